"""One request's way to a provider and back: journal, send, relay, settle.

The order is the promise. Money is held before `opened` is journalled, `opened` is written before anything
leaves for the provider, and `closed` is written before the client gets the answer's last byte. Everything
runs in callbacks of the client's and the provider's connections; there is no task per request.

    waiting → opening → sending → answering → closing → done

How a request gets from waiting to opening is in `app.admission`, which deployments it was given to in `app.attempts`, and
how an answer passes by that is relayed as it comes in `app.streaming`. It may go to another deployment only until the
provider's first byte. What happens after that is a charge or an error, never a second try.
"""

from collections.abc import Callable
from typing import Literal, Protocol

from dure.contracts.usage import UsageStatus
from dure.gateway.app.attempts import Attempts
from dure.gateway.app.charge import Charge
from dure.gateway.app.gateway import Gateway, Route
from dure.gateway.app.streaming import Stream
from dure.gateway.io.clients import ClientConnection
from dure.gateway.io.upstream import UpstreamConnection
from dure.gateway.protocol import errors, http1
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.endpoints import ModelEndpoint
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.http_request import Request
from dure.gateway.protocol.metering import Quantities

#: How long a provider may take to end its answer after the end of the stream's events, in seconds.
TAIL_SECONDS = 5.0

CLIENT_CLOSED = 499
#: Upstream statuses that say "not here, not now": another deployment may do better.
_RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 529})
#: Upstream statuses with which a provider may ask to be left alone for a while.
_ASKING_STATUSES = frozenset({429, 503, 529})
_IDENTITY = b"identity"

Phase = Literal["waiting", "opening", "sending", "answering", "closing", "done"]


class Waits(Protocol):
    """`app.admission.Admission`, where the call has to wait for something."""

    def leave(self) -> None: ...


class Relay:
    """`deadline` is for the provider's connection: when to stop waiting for its next byte."""

    __slots__ = (
        "_answer",
        "_answer_bytes",
        "_call",
        "_client_full",
        "_cost",
        "_pieces",
        "_stream",
        "_upstream",
        "admission",
        "attempts",
        "charge",
        "client",
        "deadline",
        "endpoint",
        "gateway",
        "model",
        "phase",
        "request",
    )

    #: A whole answer that waits for its record: status, body, type, further header lines; and what it cost.
    _answer: tuple[int, bytes, bytes, bytes]
    _cost: int

    def __init__(
        self,
        gateway: Gateway,
        client: ClientConnection,
        request: Request,
        endpoint: ModelEndpoint,
        call: Call,
        charge: Charge,
    ) -> None:
        self.gateway = gateway
        self.client: ClientConnection | None = client
        self.request = request
        self.endpoint = endpoint
        self.model = charge.model
        self.charge = charge
        self.phase: Phase = "waiting"
        self.attempts = Attempts(gateway, charge.model)
        self.admission: Waits | None = None
        self.deadline = 0.0
        self._call = call
        self._upstream: UpstreamConnection | None = None
        self._stream: Stream | None = None
        self._pieces: list[bytes] | None = None
        self._answer_bytes = 0
        self._client_full = False

    # Going out

    def next_route(self) -> Route | None:
        """A deployment that has a place; `Refusal` where it could not serve this call."""
        route = self.gateway.route_for(self.model, self.attempts.tried, self.endpoint.name)
        if route is not None:
            self.endpoint.refuse_dialect(self._call, route.deployment.dialect, self.model.name)
        return route

    def begin(self) -> None:
        """From now on the client is answered from here."""
        client = self.client
        assert client is not None
        client.exchange = self
        self.gateway.open_requests += 1

    def go(self, route: Route) -> None:
        """The worst case is held: take the place, write that down, and send."""
        now = self.gateway.now()
        self.attempts.take(route, now)
        self.phase = "opening"
        route.budget.calls += 1
        self.gateway.journal.append(self.charge.open(route, now), self._send, self._not_opened)

    def _not_opened(self) -> None:
        if self.phase == "opening":
            self._fail(errors.journal_unhealthy())

    def _send(self) -> None:
        """It is written: send to the deployment, over a connection that is open already or a new one."""
        if self.phase != "opening":
            return
        self.phase = "sending"
        pool = self.attempts.route.pool
        assert pool is not None
        connection = pool.take()
        if connection is not None:
            self.upstream_ready(connection)
        else:
            self._connect()

    def _connect(self) -> None:
        route = self.attempts.route
        assert route.pool is not None
        self.attempts.fresh = True
        route.pool.connect(self, route.connect_seconds)

    def upstream_ready(self, connection: UpstreamConnection) -> None:
        if self.phase != "sending":
            connection.hand_in()
            return
        attempts = self.attempts
        attempts.count += 1
        self._upstream = connection
        self.deadline = self.gateway.now() + attempts.route.first_byte_seconds
        connection.send(self, self._upstream_request(attempts.route))

    def _upstream_request(self, route: Route) -> bytes:
        call = self._call
        limit: int | None = self.charge.bounds.output_each
        if call.output_tokens is None and limit == self.model.context_length:
            limit = None  # the model's context is the limit already
        deployment = route.deployment
        head = self.request.head
        if head.forwarded is None:
            head.forwarded = self.endpoint.upstream_headers(head.headers)
        body = self.endpoint.upstream_body(
            call,
            upstream_model=deployment.upstream_model,
            dialect=deployment.dialect,
            output_limit=limit,
        )
        return b"%bcontent-type: %b\r\n%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            route.heads[call.endpoint],
            call.content_type,
            head.forwarded,
            self.charge.request_id.text,
            len(body),
            body,
        )

    # Failing before the first byte

    def upstream_unreachable(self, reason: str) -> None:
        if self.phase == "sending":
            self.attempts.count += 1
            self._try_elsewhere("unreachable", errors.upstream_unreachable(self.model.name, reason))

    def _try_elsewhere(
        self, reason: str, refusal: Refusal, body: bytes | None = None, *, asked_rest_seconds: float = 0.0
    ) -> None:
        """Nothing usable has come from this deployment: take another, or give up."""
        self._upstream = None
        self.attempts.failed(reason, asked_rest_seconds=asked_rest_seconds)
        route = self._elsewhere()
        if route is None:
            self._fail(refusal, body)
            return
        self.attempts.take(route, self.gateway.now())
        self.phase = "opening"
        self.gateway.journal.append(self.charge.goes_to(route), self._send, self._not_opened)

    def _elsewhere(self) -> Route | None:
        """Another deployment with a place, if one more try is allowed."""
        if self.attempts.count >= self.gateway.config.attempts:
            return None
        try:
            route = self.next_route()
        except Refusal:
            return None
        return route if route is not None and self.attempts.may_go_on(route) else None

    # The answer

    def upstream_chunk(self, connection: UpstreamConnection, chunk: bytes, at: int) -> None:
        """One whole chunk of the answer's body, which is in it from `at` to the last two bytes."""
        stream, client = self._stream, self.client
        if (
            stream is None
            or client is None
            or not stream.flows
            or self.phase != "answering"
            or not stream.scanner.passes(chunk)
        ):
            self.upstream_data(connection, chunk[at:-2], False)
            return
        client.transport.write(chunk)
        stream.relayed_bytes += len(chunk) - at - 2
        now = self.gateway.now()
        if not self._client_full:
            self.deadline = now + stream.idle_seconds
        self.charge.progress(stream.scanner.relayed_tokens, stream.relayed_bytes, now)

    def upstream_data(self, connection: UpstreamConnection, data: bytes, complete: bool) -> None:
        now = self.gateway.now()
        if self.phase == "sending":
            self._answer_begins(connection, now)
        if self.phase != "answering":
            return  # what follows the end of the events
        if self._stream is not None:
            self._more_is_due(data, now)
            self._stream.data(connection, data, complete, now)
        elif complete:
            if self._pieces is not None:
                data = b"".join((*self._pieces, data))
                self._pieces = None
                self._answer_bytes = 0
            self._whole_answer(connection, data, now)
        else:
            self._more_is_due(data, now)
            if self._pieces is None:
                self._pieces = []
            self._pieces.append(data)
            self._answer_bytes += len(data)
            if self._answer_bytes > self.gateway.config.answer_bytes:
                connection.cancel()
                self._broken("its answer is larger than the gateway takes")

    def _answer_begins(self, connection: UpstreamConnection, now: float) -> None:
        self.phase = "answering"
        self.charge.first_byte(now)
        self.attempts.reached(connection.status, now)
        headers = connection.headers
        if connection.status == 200 and headers.get(b"content-encoding", _IDENTITY) == _IDENTITY:
            content_type = headers.get(b"content-type", b"").lower()
            scanner = self.endpoint.scanner(self._call, content_type)
            if scanner is not None:
                self._stream = Stream(self, scanner)
                self.gateway.open_streams += 1

    def _more_is_due(self, data: bytes, now: float) -> None:
        if data and not self._client_full:
            # Headers alone are no answer yet: the first token has the time of a first byte.
            self.deadline = now + self.attempts.route.idle_seconds

    def wait_for_the_tail(self, now: float) -> None:
        self.deadline = now + TAIL_SECONDS

    def _whole_answer(self, connection: UpstreamConnection, body: bytes, now: float) -> None:
        status = connection.status
        headers = connection.headers
        if not 200 <= status < 300:
            self._error_answer(connection, body)
            return
        if headers.get(b"content-encoding", _IDENTITY) != _IDENTITY:
            # We asked for none. Neither we nor the client could read it, so it is no answer to pay for.
            refusal = errors.upstream_broke(
                self.model.name, "its answer is encoded in a way nobody asked for"
            )
            self._try_elsewhere("encoded", refusal)
            return
        attempts = self.attempts
        attempts.route.state.succeeded(attempts.taken_at)
        content_type = headers.get(b"content-type", http1.JSON)
        counted = self.endpoint.meter(self._call, body, content_type)
        charged_by = counted or self.endpoint.count(self._call, self.charge.bounds, body)
        # The connection may serve somebody else by the time the record is written.
        forwarded = http1.forwarded(http1.FORWARDED_RESPONSE_HEADERS, headers)
        self._answer = (status, body, content_type, forwarded)
        self._cost = self.close(
            "completed", charged_by, status, estimated=counted is None, written=self._send_whole
        )

    def _send_whole(self) -> None:
        client = self.client
        if client is None:
            return
        status, body, content_type, forwarded = self._answer
        head = http1.plain_head(
            status,
            date=self.gateway.date,
            content_type=content_type,
            length=len(body),
            headers=b"x-dure-cost-micro-won: %d\r\nx-dure-award-left-micro-won: %d\r\n%b%b"
            % (self._cost, self.charge.escrow.left, self.own_headers(), forwarded),
            close=client.closes_after(self.request),
        )
        client.respond(head + body)
        self.done(status)

    def own_headers(self) -> bytes:
        elapsed_ms = int((self.gateway.now() - self.request.received_at) * 1000)
        charge = self.charge
        lines = self.endpoint.answer_headers(charge.request_id.text, elapsed_ms)
        return lines + charge.headers() if charge.permit is not None or charge.fitted else lines

    def _error_answer(self, connection: UpstreamConnection, body: bytes) -> None:
        status = connection.status
        route = self.attempts.route
        shown, shown_body = self.endpoint.upstream_refusal(
            self.model.name, route.deployment.dialect, status, body, self.charge.request_id.text
        )
        refusal = Refusal(shown, "upstream_error", "", headers=_retry_after(connection))
        if status in _RETRIED_STATUSES and shown == status:
            retry_after = connection.headers.get(b"retry-after") if status in _ASKING_STATUSES else None
            self._try_elsewhere(
                f"status_{status}",
                refusal,
                shown_body,
                asked_rest_seconds=http1.retry_after_seconds(retry_after),
            )
            return
        if status in http1.CREDENTIAL_STATUSES:
            # The key may have been replaced where it is kept: the next call reads it again.
            self.gateway.forget_route(route.deployment.id)
            self._upstream = None
            self.attempts.failed(f"status_{status}")
        else:
            self.attempts.answered_the_caller(status)
        self._fail(refusal, shown_body)

    # Breaks

    def upstream_lost(self, connection: UpstreamConnection, reason: str) -> None:
        if self.phase not in {"sending", "answering"}:
            return
        if connection.answered:
            self._broken(reason)
        elif connection.reused and not self.attempts.fresh:
            # The provider closed an idle connection just as we wrote to it.
            self.attempts.once_more()
            self._connect()
        else:
            refusal = errors.upstream_broke(self.model.name, reason)
            self._try_elsewhere("closed", refusal)

    def upstream_late(self, connection: UpstreamConnection) -> None:
        connection.cancel()
        if self.phase not in {"sending", "answering"}:
            return
        if self._client_full:
            client = self.client
            self._abandon("client_stalled")
            if client is not None:
                client.abort()
            return
        waiting = self.phase == "sending"
        route = self.attempts.route
        waited = route.first_byte_seconds if waiting else route.idle_seconds
        if self._stream is not None and self._stream.begun:
            self._broken(f"nothing came for {waited:g} seconds")
            return
        refusal = errors.upstream_timeout(self.model.name, waited)
        if waiting and not connection.answered and not self.attempts.timed_out:
            # Once only: it may have cost the provider work, and it has cost the caller time.
            self.attempts.timed_out = True
            self._try_elsewhere("timeout", refusal)
        else:
            self._upstream = None
            self.attempts.failed("timeout")
            self._fail(refusal)

    def _broken(self, reason: str) -> None:
        """The provider broke off after its first byte."""
        self._upstream = None
        self.attempts.failed("broken_answer")
        if self._stream is not None and self._stream.begun:
            self._stream.broken(reason)
        else:
            self._fail(errors.upstream_broke(self.model.name, reason))

    def cut(self, status: UsageStatus, http_status: int, error_code: str) -> None:
        """An answer that did not come whole: charged by the provider's count if it came, else by ours."""
        counted, estimated = (None, True) if self._stream is None else self._stream.due()
        self.close(status, counted, http_status, estimated=estimated, error_code=error_code)

    def _fail(self, refusal: Refusal, body: bytes | None = None) -> None:
        """Nothing usable came and nothing was relayed: an error, and no charge."""
        self.close("failed", None, refusal.status, error_code=refusal.code)
        self.gateway.journal.after_write(lambda: self.refuse(refusal, body))

    def refuse(self, refusal: Refusal, body: bytes | None = None) -> None:
        client = self.client
        if client is None:
            return
        if body is None:
            body = self.endpoint.refusal_body(refusal, self.charge.request_id.text)
        self.gateway.metrics.refusals.add(1, refusal.code)
        head = http1.plain_head(
            refusal.status,
            date=self.gateway.date,
            content_type=http1.JSON,
            length=len(body),
            headers=b"%bx-dure-cost-micro-won: 0\r\n%b"
            % (self.own_headers(), http1.header_lines(refusal.headers)),
            close=client.closes_after(self.request),
        )
        client.respond(head + body)
        self.done(refusal.status, refusal.code)

    # The client

    def client_gone(self) -> None:
        if self.client is not None:
            self._abandon("client_closed")

    def _abandon(self, error_code: str) -> None:
        """Nobody listens any more: stop the provider, charge what was relayed."""
        self.client = None
        if self.phase == "waiting":
            if self.admission is not None:
                self.admission.leave()
        elif self.phase in {"opening", "sending", "answering"}:
            if self._upstream is not None:
                self._upstream.cancel()
            self.cut("cancelled", CLIENT_CLOSED, error_code)
        self.done(CLIENT_CLOSED)

    def client_full(self) -> None:
        self._client_full = True
        if self._upstream is not None and self.phase == "answering":
            self.deadline = self.gateway.now() + self.gateway.config.client_stall_timeout
            self._upstream.pause()

    def client_drained(self) -> None:
        self._client_full = False
        if self._upstream is not None and self.phase == "answering":
            self.deadline = self.gateway.now() + self.attempts.route.idle_seconds
            self._upstream.resume()

    # The end

    def close(
        self,
        status: UsageStatus,
        counted: Quantities | None,
        http_status: int,
        *,
        estimated: bool = False,
        error_code: str = "",
        written: Callable[[], None] | None = None,
    ) -> int:
        """Settle and journal, once per request; what was charged. `written` is called when that is on record."""
        attempts = self.attempts
        now = self.gateway.now()
        if self.phase == "sending":
            attempts.note_last("cancelled")
        elif self.phase == "answering" and attempts.tries is not None:
            attempts.note_last("answered")
        attempts.leave(now)
        self._upstream = None
        self.phase = "closing"
        if self._stream is not None:
            self.gateway.open_streams -= 1
        if status == "completed":
            total_us = int((now - self.request.received_at) * 1_000_000)
            attempts.route.health.answered(self.charge.first_byte_us, total_us)
        return self.charge.close(
            status,
            counted,
            now,
            route=attempts.route,
            attempts=attempts.count,
            tries=attempts.tries,
            http_status=http_status,
            estimated=estimated,
            error_code=error_code,
            written=written,
        )

    def done(self, http_status: int, error_code: str = "") -> None:
        self.client = self.admission = self._stream = None
        self.phase = "done"
        gateway = self.gateway
        gateway.open_requests -= 1
        now = gateway.now()
        if self.attempts.outstanding:
            self.attempts.leave(now)
            self._upstream = None
        endpoint = self.endpoint.name
        gateway.metrics.ended(
            endpoint, http_status, now - self.request.received_at, self.charge.first_byte_seconds
        )
        observer = gateway.observer
        if observer is not None:
            route = getattr(self.attempts, "route", None)
            pool = None if route is None else route.pool
            observer.ended(
                self.charge.ended(
                    self.request,
                    http_status=http_status,
                    error_code=error_code,
                    origin=None if pool is None else pool.origin,
                )
            )


def _retry_after(connection: UpstreamConnection) -> tuple[tuple[str, str], ...]:
    value = connection.headers.get(b"retry-after")
    return (("retry-after", value.decode("latin-1")),) if value else ()
