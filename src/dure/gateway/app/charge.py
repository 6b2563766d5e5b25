"""One request's money and what is written about it: the hold, `opened`, `progress`, `closed`.

A charge is opened once its hold is set aside and closed exactly once, with whatever is known by then. Its
times follow the monotonic clock from the wall time of its opening, so that a stepped clock cannot put an
answer before its question.
"""

from collections.abc import Callable
from typing import Any

from dure.contracts.usage import Attempt, UsageStatus
from dure.gateway.app.ended import Ended
from dure.gateway.app.gateway import Gateway, Route
from dure.gateway.app.offers import Offer
from dure.gateway.app.permit import Permit
from dure.gateway.io.upstream import Origin
from dure.gateway.protocol import errors
from dure.gateway.protocol.admission import hold_micro_won, largest_output_tokens
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.endpoints import ModelEndpoint
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.escrow import Shortage
from dure.gateway.protocol.http_request import Request
from dure.gateway.protocol.journal import encode_progress
from dure.gateway.protocol.metering import (
    NO_QUANTITIES,
    Quantities,
    actual_cost_micro_won,
    recorded_units,
)

#: A stream's progress is journalled after this many tokens or seconds, whichever comes first.
PROGRESS_TOKENS = 64
PROGRESS_SECONDS = 1.0


class Charge:
    """`hold` is set aside by the caller, through `escrow`, before `open` is called."""

    __slots__ = (
        "_call",
        "_gateway",
        "_offer",
        "_opened_at",
        "_opened_loop",
        "_progress_at",
        "_progress_tokens",
        "bounds",
        "closed",
        "escrow",
        "first_byte_at",
        "fitted",
        "hold",
        "left_at_admission",
        "model",
        "permit",
        "request_id",
    )

    def __init__(self, gateway: Gateway, endpoint: ModelEndpoint, call: Call, offer: Offer) -> None:
        self._gateway = gateway
        self._call = call
        self._offer = offer
        self._progress_tokens = 0
        self.model = offer.model
        call.meters = offer.price.meters  # type: ignore[assignment]
        self.bounds = endpoint.bounds(call, offer.model, offer.award)
        self.hold = hold_micro_won(self.bounds, offer.tariff)
        self.escrow = gateway.keeper.escrow(offer.award.id)
        self.request_id = gateway.new_request_id()
        self.first_byte_at: int | None = None
        self.closed: bytes | None = None
        self.permit: Permit | None = None
        self.fitted = False

    def find_escrow(self) -> None:
        """To be called before money is asked for: while the call waited for something else, an escrow with nothing
        in it may have been swept away, and what is leased into it then would be nobody's."""
        self.escrow = self._gateway.keeper.escrow(self._offer.award.id)

    @property
    def counted_tokens(self) -> int:
        """What the request counts for in tokens per minute, like OpenAI's."""
        return self.bounds.estimated_input + self.bounds.output

    def fit(self, available_micro_won: int) -> bool:
        """Lower the limit on output to the largest whose hold fits; False where not even one token does."""
        tokens = largest_output_tokens(self.bounds, self._offer.tariff, available_micro_won)
        if tokens is None or tokens >= self.bounds.output_each:
            return False
        self.bounds = self.bounds._replace(output_each=tokens)
        self.hold = hold_micro_won(self.bounds, self._offer.tariff)
        self.fitted = True
        return True

    def refused(self) -> None:
        """The request does not go out after all."""
        if self.permit is not None:
            self.permit.cancel()

    def headers(self) -> bytes:
        """What the answer says about limits, as lines."""
        lines = b"" if self.permit is None else self.permit.headers()
        return lines + b"x-dure-max-tokens: %d\r\n" % self.bounds.output_each if self.fitted else lines

    def refusal(self, shortage: Shortage) -> Refusal:
        """Why the hold could not be had."""
        if shortage.reason == "database_away":
            return errors.database_away()
        if shortage.reason == "award_gone":
            return errors.award_ended()
        return errors.insufficient_quota(
            hold=self.hold,
            left=shortage.available,
            largest_output_tokens=largest_output_tokens(self.bounds, self._offer.tariff, shortage.available),
            output_field=self._call.output_field,
        )

    def open(self, route: Route, now: float) -> bytes:
        """The frame of `opened`, for the journal. `now` is in the loop's seconds."""
        self._opened_at = self._gateway.wall_us()
        self._opened_loop = self._progress_at = now
        if self._call.stream:
            self.left_at_admission = self.escrow.left
        return self.goes_to(route)

    def goes_to(self, route: Route) -> bytes:
        """`opened`, and again for each further deployment: if the process dies, the right provider is paid."""
        bounds, offer = self.bounds, self._offer
        parties = offer.parties.get(route) or offer.parties_at(route)
        return parties.opened(
            self.request_id,
            self._call.stream,
            bounds.estimated_input,
            bounds.estimated_units,
            self.hold,
            self._opened_at,
        )

    def release(self) -> None:
        """The hold is free again: nothing was opened, and nothing will be."""
        self._gateway.keeper.settle(self.escrow, self.hold, 0)

    def first_byte(self, now: float) -> None:
        self.first_byte_at = self._opened_at + int((now - self._opened_loop) * 1_000_000)

    @property
    def first_byte_seconds(self) -> float | None:
        at = self.first_byte_at
        return None if at is None else (at - self._opened_at) / 1_000_000

    @property
    def first_byte_us(self) -> int:
        """From the opening to the provider's first byte; 0 before that."""
        at = self.first_byte_at
        return 0 if at is None else at - self._opened_at

    def ended(self, request: Request, *, http_status: int, error_code: str, origin: Origin | None) -> Ended:
        """All that operators may know of it."""
        offer = self._offer
        now = self._gateway.wall_us()
        return Ended(
            received_at=now - int((self._gateway.now() - request.received_at) * 1_000_000),
            ended_at=now,
            endpoint=self._call.endpoint,
            http_status=http_status,
            error_code=error_code,
            request_id=self.request_id.text.decode(),
            key=offer.key.prefix,
            award=offer.award.id,
            model=offer.model.name,
            owner=offer.model.owned_by,
            streamed=self._call.stream,
            server=None if origin is None else (origin.host, origin.port),
            traceparent=request.headers.get(b"traceparent", b""),
            client=request.client_address,
            frame=self.closed,
        )

    def progress(self, tokens: int, relayed_bytes: int, now: float) -> None:
        """Called for each piece of a stream; writes now and then."""
        if tokens - self._progress_tokens >= PROGRESS_TOKENS or now - self._progress_at >= PROGRESS_SECONDS:
            self._progress_tokens = tokens
            self._progress_at = now
            self._gateway.journal.append(encode_progress(self.request_id.raw, tokens, relayed_bytes))

    def close(
        self,
        status: UsageStatus,
        counted: Quantities | None,
        now: float,
        *,
        route: Route,
        attempts: int,
        tries: list[Attempt] | None = None,
        http_status: int,
        estimated: bool = False,
        error_code: str = "",
        written: Callable[[], None] | None = None,
    ) -> int:
        """Settle the hold and journal the record; what was charged. `counted` None: nothing is charged. `written` is
        called once the record is written."""
        gateway, offer = self._gateway, self._offer
        uncommon: dict[str, Any] = {}
        cost = 0
        if counted is None:
            counted = NO_QUANTITIES
        else:
            cost = actual_cost_micro_won(counted, offer.tariff)
            if counted.units or offer.tariff.request:
                uncommon["units"] = recorded_units(counted, offer.tariff)
        charged, uncovered = gateway.keeper.settle(self.escrow, self.hold, cost)
        if uncovered:
            uncommon["uncovered_micro_won"] = uncovered
        if error_code:
            uncommon["error_code"] = error_code
        if attempts > 1:
            uncommon["attempts"] = attempts
        if tries:
            uncommon["tries"] = tries
        if self.permit is not None:
            if attempts:
                self.permit.settle(counted.input + counted.output)
            else:
                self.permit.cancel()
        opened_at = self._opened_at
        journal = gateway.journal
        self.closed = frame = (offer.parties.get(route) or offer.parties_at(route)).closed(
            self.request_id,
            journal.next_sequence,
            status,
            http_status,
            self._call.stream,
            estimated,
            counted,
            charged,
            opened_at,
            opened_at + int((now - self._opened_loop) * 1_000_000),
            self.first_byte_at,
            uncommon,
        )
        journal.append(frame, written)
        gateway.metrics.closed(status, counted, charged, uncovered)
        return charged
