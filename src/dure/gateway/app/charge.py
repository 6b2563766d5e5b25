"""One request's money and what is written about it: the hold, `opened`, `progress`, `closed`.

A charge is opened once its hold is set aside and closed exactly once, with whatever is known by then. Its
times follow the monotonic clock from the wall time of its opening, so that a stepped clock cannot put an
answer before its question.
"""

from dure.contracts.directory import AwardEntry, KeyEntry, ModelEntry, Price
from dure.contracts.usage import UsageRecord, UsageStatus
from dure.gateway.app.gateway import Gateway, Route
from dure.gateway.protocol import errors
from dure.gateway.protocol.admission import hold_micro_won, largest_output_tokens
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.directory import parsed_uuid
from dure.gateway.protocol.endpoints import ModelEndpoint
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.escrow import Shortage
from dure.gateway.protocol.journal import Opened, encode_closed, encode_opened, encode_progress
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
        "_award_id",
        "_call",
        "_gateway",
        "_key_id",
        "_model",
        "_opened_at",
        "_opened_loop",
        "_price",
        "_price_id",
        "_progress_at",
        "_progress_tokens",
        "_tariff",
        "bounds",
        "escrow",
        "first_byte_at",
        "hold",
        "left_at_admission",
        "request_id",
        "request_id_text",
    )

    def __init__(
        self,
        gateway: Gateway,
        endpoint: ModelEndpoint,
        call: Call,
        *,
        key: KeyEntry,
        award: AwardEntry,
        model: ModelEntry,
        price: Price,
    ) -> None:
        self._gateway = gateway
        self._call = call
        self._award_id = parsed_uuid(award.id)
        self._key_id = parsed_uuid(key.id)
        self._price_id = parsed_uuid(price.id)
        self._model = model
        self._price = price
        self._tariff = gateway.tariff(price)
        self._opened_at = 0
        self._opened_loop = 0.0
        self._progress_at = 0.0
        self._progress_tokens = 0
        call.meters = price.meters  # type: ignore[assignment]
        self.bounds = endpoint.bounds(call, model, award)
        self.hold = hold_micro_won(self.bounds, self._tariff)
        self.escrow = gateway.keeper.escrow(award.id)
        self.request_id = gateway.new_request_id()
        self.request_id_text = str(self.request_id).encode()
        self.first_byte_at: int | None = None
        self.left_at_admission = 0

    def refusal(self, shortage: Shortage) -> Refusal:
        """Why the hold could not be had."""
        if shortage.reason == "database_away":
            return errors.database_away()
        if shortage.reason == "award_gone":
            return errors.award_ended()
        return errors.insufficient_quota(
            hold=self.hold,
            left=shortage.available,
            largest_output_tokens=largest_output_tokens(self.bounds, self._tariff, shortage.available),
            output_field=self._call.output_field,
        )

    def open(self, route: Route) -> None:
        gateway = self._gateway
        self._opened_at = gateway.wall_us()
        self._opened_loop = self._progress_at = gateway.now()
        self.left_at_admission = self.escrow.left
        opened = Opened(
            request_id=self.request_id,
            award=self._award_id,
            key=self._key_id,
            model=self._model.name,
            deployment=route.uuid,
            provider=route.provider,
            price=self._price_id,
            endpoint=self._call.endpoint,
            streamed=self._call.stream,
            estimated_input_tokens=self.bounds.estimated_input,
            estimated_units=self.bounds.estimated_units,
            meters=self._price.meters,  # type: ignore[arg-type]
            hold_micro_won=self.hold,
            opened_at=self._opened_at,
        )
        gateway.journal.append(encode_opened(opened))

    def first_byte(self) -> None:
        self.first_byte_at = self._now_us()

    @property
    def first_byte_seconds(self) -> float | None:
        at = self.first_byte_at
        return None if at is None else (at - self._opened_at) / 1_000_000

    def progress(self, tokens: int, relayed_bytes: int) -> None:
        """Called for each piece of a stream; writes now and then."""
        now = self._gateway.now()
        if tokens - self._progress_tokens >= PROGRESS_TOKENS or now - self._progress_at >= PROGRESS_SECONDS:
            self._progress_tokens = tokens
            self._progress_at = now
            self._gateway.journal.append(encode_progress(self.request_id, tokens, relayed_bytes))

    def close(
        self,
        status: UsageStatus,
        counted: Quantities | None,
        *,
        route: Route,
        attempts: int,
        http_status: int,
        estimated: bool = False,
        error_code: str = "",
    ) -> int:
        """Settle the hold and journal the record; what was charged. `counted` None: nothing is charged."""
        gateway = self._gateway
        tariff = self._tariff
        cost = actual_cost_micro_won(counted, tariff) if counted is not None else 0
        charged, uncovered = gateway.keeper.settle(self.escrow, self.hold, cost)
        units = recorded_units(counted, tariff)
        counted = counted or NO_QUANTITIES
        journal = gateway.journal
        record = UsageRecord(
            request_id=self.request_id,
            sequence=journal.next_sequence(),
            award=self._award_id,
            key=self._key_id,
            model=self._model.name,
            deployment=route.uuid,
            provider=route.provider,
            price=self._price_id,
            endpoint=self._call.endpoint,
            status=status,
            http_status=http_status,
            streamed=self._call.stream,
            estimated=estimated,
            input_tokens=counted.input,
            output_tokens=counted.output,
            cached_tokens=counted.cached,
            cost_micro_won=charged,
            opened_at=self._opened_at,
            closed_at=self._now_us(),
            first_byte_at=self.first_byte_at,
            uncovered_micro_won=uncovered,
            error_code=error_code,
            attempts=max(1, attempts),
            units=units,
        )
        journal.append(encode_closed(record))
        self._count(record)
        return charged

    def _count(self, record: UsageRecord) -> None:
        metrics = self._gateway.metrics
        metrics.records.add(1, record.status)
        if record.cost_micro_won:
            metrics.cost.add(record.cost_micro_won)
            metrics.tokens.add(record.input_tokens, "input")
            metrics.tokens.add(record.output_tokens, "output")
        if record.cached_tokens:
            metrics.tokens.add(record.cached_tokens, "cached")
        if record.units:
            for meter, quantity in record.units.items():
                metrics.units.add(quantity, meter)
        if record.uncovered_micro_won:
            metrics.uncovered.add(record.uncovered_micro_won)

    def _now_us(self) -> int:
        return self._opened_at + int((self._gateway.now() - self._opened_loop) * 1_000_000)
