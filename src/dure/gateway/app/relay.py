"""One request's way to a provider and back: hold, journal, send, relay, settle.

The order is the promise. Money is held before `opened` is journalled, `opened` is written before anything
leaves for the provider, and `closed` is written before the client gets the answer's last byte. Everything
runs in callbacks of the client's and the provider's connections; there is no task per request.

    waiting → opening → sending → answering → closing → done

A request may go to another deployment, or once more over a fresh connection, only until the provider's
first byte. What happens after that is a charge or an error, never a second try.
"""

import logging
from typing import Literal
from uuid import UUID

from dure.contracts.directory import AwardEntry, KeyEntry, ModelEntry, Price
from dure.contracts.ids import uuid7
from dure.contracts.usage import UsageRecord, UsageStatus
from dure.gateway.app.gateway import Gateway, Route
from dure.gateway.io.http_server import ClientConnection, Request
from dure.gateway.io.upstream import UpstreamConnection
from dure.gateway.protocol import errors, http1
from dure.gateway.protocol.admission import Bounds, largest_output_tokens
from dure.gateway.protocol.answers import estimated_output_tokens, tokens_in, upstream_refusal
from dure.gateway.protocol.calls import Call, upstream_body
from dure.gateway.protocol.directory import parsed_uuid
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.escrow import Shortage, Waiter
from dure.gateway.protocol.journal import Opened, encode_closed, encode_opened, encode_progress
from dure.gateway.protocol.metering import Tokens, actual_cost_micro_won
from dure.gateway.protocol.sse import EventScanner

logger = logging.getLogger(__name__)

#: A stream's progress is journalled after this many tokens or seconds, whichever comes first.
PROGRESS_TOKENS = 64
PROGRESS_SECONDS = 1.0
#: How long a provider may take to end its answer after the end of the stream's events.
TAIL_SECONDS = 5.0

NO_TOKENS = Tokens()
EVENT_STREAM = b"text/event-stream"
#: Upstream statuses that say "not here, not now": another deployment may do better.
_RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

Phase = Literal["waiting", "opening", "sending", "answering", "closing", "done"]


class Relay:
    __slots__ = (
        "_answer_bytes",
        "_attempts",
        "_award",
        "_award_id",
        "_bounds",
        "_call",
        "_client",
        "_client_full",
        "_escrow",
        "_first_byte_at",
        "_fresh_tried",
        "_gateway",
        "_head_sent",
        "_hold",
        "_key_id",
        "_left_at_admission",
        "_model",
        "_opened_at",
        "_opened_loop",
        "_outstanding",
        "_phase",
        "_pieces",
        "_price",
        "_price_id",
        "_progress_at",
        "_progress_tokens",
        "_relayed_bytes",
        "_request",
        "_request_id",
        "_route",
        "_scanner",
        "_started_at",
        "_tariff",
        "_tried",
        "_upstream",
        "_waiter",
        "deadline",
    )

    def __init__(
        self,
        gateway: Gateway,
        client: ClientConnection,
        request: Request,
        call: Call,
        key: KeyEntry,
        award: AwardEntry,
        model: ModelEntry,
        price: Price,
        bounds: Bounds,
        hold: int,
    ) -> None:
        self._gateway = gateway
        self._client: ClientConnection | None = client
        self._request = request
        self._call = call
        self._award = award
        self._award_id = parsed_uuid(award.id)
        self._key_id = parsed_uuid(key.id)
        self._price_id = parsed_uuid(price.id)
        self._model = model
        self._price = price
        self._tariff = gateway.tariff(price)
        self._bounds = bounds
        self._hold = hold
        self._escrow = gateway.keeper.escrow(award.id)
        self._request_id: UUID = uuid7()
        self._started_at = request.received_at
        self._opened_at = 0
        self._opened_loop = 0.0
        self._outstanding = False
        self._phase: Phase = "waiting"
        self._waiter: Waiter | None = None
        self._route: Route | None = None
        self._tried: list[str] = []
        self._attempts = 0
        self._fresh_tried = False
        self._upstream: UpstreamConnection | None = None
        self._scanner: EventScanner | None = None
        self._pieces: list[bytes] = []
        self._answer_bytes = 0
        self._relayed_bytes = 0
        self._head_sent = False
        self._client_full = False
        self._first_byte_at: int | None = None
        self._progress_at = 0.0
        self._progress_tokens = 0
        self._left_at_admission = 0
        self.deadline = 0.0

    # Admission

    def start(self) -> None:
        gateway = self._gateway
        route = gateway.route_for(self._model, self._tried)
        if route is None:
            raise self._no_route()
        self._route = route
        client = self._client
        assert client is not None
        client.exchange = self
        gateway.open_requests += 1
        if gateway.keeper.try_hold(self._escrow, self._hold, self._started_at):
            self._open()
        else:
            self._waiter = gateway.keeper.wait(
                self._escrow, self._hold, granted=self._granted, refused=self._refused
            )

    def _no_route(self) -> Refusal:
        if any(
            entry.max_concurrency is not None
            for entry in self._gateway.directory.deployments_of(self._model.id)
        ):
            return errors.deployments_busy(self._model.name)
        return errors.model_unavailable(self._model.name)

    def _granted(self) -> None:
        self._waiter = None
        self._open()

    def _refused(self, shortage: Shortage) -> None:
        """The award has not enough, the database is away, or the award ended while we waited."""
        self._waiter = None
        self._phase = "done"
        if shortage.reason == "database_away":
            refusal = errors.database_away()
        elif shortage.reason == "award_gone":
            refusal = errors.award_ended()
        else:
            refusal = errors.insufficient_quota(
                hold=self._hold,
                left=shortage.available,
                largest_output_tokens=largest_output_tokens(self._bounds, self._tariff, shortage.available),
                output_field=self._call.output_field,
            )
        self._gateway.metrics.refusals.add(1, refusal.code)
        self._answer_refusal(refusal.status, refusal.body(), http1.header_lines(refusal.headers))

    def _open(self) -> None:
        gateway = self._gateway
        route = self._route
        assert route is not None
        self._phase = "opening"
        self._opened_at = gateway.wall_us()
        self._opened_loop = gateway.now()
        self._left_at_admission = self._escrow.left
        gateway.journal.append(
            encode_opened(
                Opened(
                    request_id=self._request_id,
                    award=self._award_id,
                    key=self._key_id,
                    model=self._model.name,
                    deployment=route.uuid,
                    provider=route.provider,
                    price=self._price_id,
                    endpoint=self._call.endpoint,
                    streamed=self._call.stream,
                    estimated_input_tokens=self._bounds.estimated_input,
                    meters=self._price.meters,  # type: ignore[arg-type]
                    hold_micro_won=self._hold,
                    opened_at=self._opened_at,
                )
            )
        )
        gateway.journal.after_write(self._opened, self._not_opened)

    def _opened(self) -> None:
        if self._phase == "opening":
            self._send()

    def _not_opened(self) -> None:
        if self._phase == "opening":
            self._fail(errors.journal_unhealthy())

    # Sending

    def _send(self) -> None:
        """Send to the deployment in `_route`, over a connection that is open already or a new one."""
        route = self._route
        assert route is not None
        assert route.pool is not None
        self._phase = "sending"
        self._fresh_tried = False
        self._first_byte_at = None
        self._outstanding = True
        route.state.outstanding += 1
        connection = route.pool.take()
        if connection is not None:
            self.upstream_ready(connection)
        else:
            self._connect(route)

    def _connect(self, route: Route) -> None:
        assert route.pool is not None
        self._fresh_tried = True
        route.pool.connect(self, route.deployment.connect_timeout_ms / 1000)

    def upstream_ready(self, connection: UpstreamConnection) -> None:
        route = self._route
        if self._phase != "sending" or route is None or route.pool is None:
            connection.hand_in()
            return
        self._attempts += 1
        self._upstream = connection
        self.deadline = self._gateway.now() + route.deployment.first_byte_timeout_ms / 1000
        connection.send(self, self._upstream_request(route))

    def _upstream_request(self, route: Route) -> bytes:
        deployment = route.deployment
        call = self._call
        bounds = self._bounds
        limit: int | None = None
        if call.endpoint != "embeddings" and (
            call.output_tokens is not None or bounds.output_each < self._model.context_length
        ):
            limit = bounds.output_each
        body = upstream_body(
            call, upstream_model=deployment.upstream_model, dialect=deployment.dialect, output_limit=limit
        )
        headers = self._request.headers
        extra = b"".join(
            b"%b: %b\r\n" % (name, headers[name])
            for name in http1.FORWARDED_REQUEST_HEADERS
            if name in headers
        )
        return b"%b%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            route.heads[call.endpoint],
            extra,
            str(self._request_id).encode(),
            len(body),
            body,
        )

    def upstream_unreachable(self, reason: str) -> None:
        if self._phase != "sending":
            return
        self._attempts += 1
        self._try_elsewhere("unreachable", errors.upstream_unreachable(self._model.name, reason))

    def _try_elsewhere(self, reason: str, refusal: Refusal, body: bytes | None = None) -> None:
        """Nothing has come from this deployment: take another, or give up with `refusal`."""
        self._deployment_failed(reason)
        if self._attempts < self._gateway.config.attempts:
            route = self._gateway.route_for(self._model, self._tried)
            if route is not None:
                self._route = route
                self._send()
                return
        self._fail(refusal, body=body)

    def _deployment_failed(self, reason: str) -> None:
        route = self._route
        if route is not None:
            self._tried.append(route.deployment.id)
            route.state.failed(self._gateway.now())
            self._gateway.metrics.upstream_errors.add(1, route.deployment.id, reason)
            self._leave_deployment()

    def _leave_deployment(self) -> None:
        self._upstream = None
        if self._outstanding and self._route is not None:
            self._outstanding = False
            self._route.state.outstanding -= 1

    # The answer

    def upstream_data(self, connection: UpstreamConnection, data: bytes, *, complete: bool) -> None:
        if self._phase == "sending":
            self._phase = "answering"
            self._first_byte_at = self._elapsed_us()
            if 200 <= connection.status < 300 and self._call.stream and _is_event_stream(connection):
                self._begin_stream()
        if self._phase != "answering":
            return  # what follows the end of the events
        route = self._route
        assert route is not None
        if not self._client_full:
            self.deadline = self._gateway.now() + route.deployment.idle_timeout_ms / 1000
        if self._scanner is not None:
            self._stream_data(connection, self._scanner, data, complete=complete)
            return
        self._pieces.append(data)
        self._answer_bytes += len(data)
        if complete:
            self._whole_answer(connection)
        elif self._answer_bytes > self._gateway.config.answer_bytes:
            connection.cancel()
            self._broken("its answer is larger than the gateway takes")

    def _whole_answer(self, connection: UpstreamConnection) -> None:
        body = b"".join(self._pieces)
        self._pieces.clear()
        status = connection.status
        if not 200 <= status < 300:
            self._error_answer(connection, status, body)
            return
        route = self._route
        assert route is not None
        route.state.succeeded()
        counted = tokens_in(body)
        tokens = counted or self._within_bounds(
            self._bounds.estimated_input,
            0 if self._call.endpoint == "embeddings" else estimated_output_tokens(body),
        )
        cost = self._close("completed", tokens, estimated=counted is None, http_status=status)
        content_type = connection.headers.get(b"content-type", http1.JSON)
        forwarded = _forwarded(connection)
        self._gateway.journal.after_write(
            lambda: self._send_whole(status, body, content_type, forwarded, cost)
        )

    def _send_whole(self, status: int, body: bytes, content_type: bytes, forwarded: bytes, cost: int) -> None:
        client = self._client
        if client is None:
            return
        gateway = self._gateway
        head = http1.plain_head(
            status,
            date=gateway.date,
            content_type=content_type,
            length=len(body),
            headers=b"x-request-id: %b\r\nx-dure-cost-micro-won: %d\r\nx-dure-award-left-micro-won: %d\r\n"
            b"openai-processing-ms: %d\r\n%b"
            % (
                str(self._request_id).encode(),
                cost,
                self._escrow.left,
                int((gateway.now() - self._started_at) * 1000),
                forwarded,
            ),
            close=client.must_close or not self._request.keep_alive,
        )
        client.respond(head + body)
        self._done(status)

    def _error_answer(self, connection: UpstreamConnection, status: int, body: bytes) -> None:
        shown, shown_body = upstream_refusal(self._model.name, status, body)
        refusal = Refusal(shown, "upstream_error", "", headers=_retry_after(connection))
        self._answer_bytes = 0
        if status in _RETRIED_STATUSES:
            self._try_elsewhere(f"status_{status}", refusal, shown_body)
        else:
            if status in {401, 403, 407}:
                self._deployment_failed(f"status_{status}")
            self._fail(refusal, body=shown_body)

    # Streams

    def _begin_stream(self) -> None:
        self._scanner = EventScanner(hide_usage=not self._call.wants_usage)
        self._progress_at = self._gateway.now()
        self._gateway.open_streams += 1

    def _stream_data(
        self, connection: UpstreamConnection, scanner: EventScanner, data: bytes, *, complete: bool
    ) -> None:
        relay = scanner.feed(data)
        if complete:
            relay += scanner.finish()
        if scanner.done or complete:
            self._end_stream(connection, scanner, relay, complete=complete)
        elif relay:
            self._relay(relay)
            self._note_progress(scanner)

    def _relay(self, data: bytes) -> None:
        client = self._client
        assert client is not None
        self._relayed_bytes += len(data)
        framed = http1.chunk(data) if self._request.http11 else data
        client.write(framed if self._head_sent else self._stream_head() + framed)

    def _stream_head(self) -> bytes:
        client = self._client
        assert client is not None
        self._head_sent = True
        http11 = self._request.http11
        gateway = self._gateway
        return http1.stream_head(
            200,
            date=gateway.date,
            content_type=b"text/event-stream; charset=utf-8",
            headers=b"x-request-id: %b\r\nx-dure-hold-micro-won: %d\r\nx-dure-award-left-micro-won: %d\r\n"
            b"openai-processing-ms: %d\r\n"
            % (
                str(self._request_id).encode(),
                self._hold,
                self._left_at_admission,
                int((gateway.now() - self._started_at) * 1000),
            ),
            chunked=http11,
            close=client.must_close or not self._request.keep_alive or not http11,
        )

    def _note_progress(self, scanner: EventScanner) -> None:
        now = self._gateway.now()
        tokens = scanner.relayed_tokens
        if tokens - self._progress_tokens >= PROGRESS_TOKENS or now - self._progress_at >= PROGRESS_SECONDS:
            self._progress_tokens = tokens
            self._progress_at = now
            self._gateway.journal.append(encode_progress(self._request_id, tokens, self._relayed_bytes))

    def _end_stream(
        self, connection: UpstreamConnection, scanner: EventScanner, relay: bytes, *, complete: bool
    ) -> None:
        """The last events are here. They go out once the record is written."""
        route = self._route
        assert route is not None
        if scanner.failed or not (scanner.done or scanner.tokens or connection.framed):
            # An error event, or a stream without an end on a connection that was just closed.
            self._deployment_failed("broken_stream")
            self._cut("truncated", 200, "upstream_error" if scanner.failed else "upstream_broke")
            if not scanner.failed:
                relay += self._break_event("its stream has no end", mid_event=scanner.mid_event)
        else:
            route.state.succeeded()
            tokens = scanner.tokens or self._relayed(scanner)
            self._close("completed", tokens, estimated=scanner.tokens is None, http_status=200)
        if not complete:
            # The provider still has to end its message before the connection can be used again.
            self.deadline = self._gateway.now() + TAIL_SECONDS
        self._gateway.journal.after_write(lambda: self._send_end(relay))

    def _send_end(self, last: bytes, *, close: bool = False) -> None:
        client = self._client
        if client is None:
            return
        self._relayed_bytes += len(last)
        if self._request.http11:
            framed = (http1.chunk(last) if last else b"") + http1.LAST_CHUNK
        else:
            framed = last
        client.respond(
            framed if self._head_sent else self._stream_head() + framed,
            close=close or not self._request.http11,
        )
        self._done(200)

    def _relayed(self, scanner: EventScanner) -> Tokens:
        return self._within_bounds(self._bounds.estimated_input, scanner.relayed_tokens)

    def _within_bounds(self, input_tokens: int, output_tokens: int) -> Tokens:
        """Our own counts never charge more than what was held."""
        return Tokens(min(input_tokens, self._bounds.input), min(output_tokens, self._bounds.output))

    # Breaks

    def upstream_lost(self, connection: UpstreamConnection, reason: str) -> None:
        if self._phase not in {"sending", "answering"}:
            return
        if connection.answered:
            self._broken(reason)
        elif connection.reused and not self._fresh_tried and self._route is not None:
            # The provider closed an idle connection just as we wrote to it.
            self._connect(self._route)
        else:
            self._try_elsewhere("closed", errors.upstream_broke(self._model.name, reason))

    def upstream_late(self, connection: UpstreamConnection) -> None:
        connection.cancel()
        if self._phase not in {"sending", "answering"}:
            return
        if self._client_full:
            client = self._client
            self._abandon("client_stalled")
            if client is not None:
                client.abort()
            return
        route = self._route
        assert route is not None
        first = self._phase == "sending"
        waited = route.deployment.first_byte_timeout_ms if first else route.deployment.idle_timeout_ms
        if self._relayed_bytes:
            self._broken(f"nothing came for {waited / 1000:g} seconds")
        else:
            self._deployment_failed("timeout")
            self._fail(errors.upstream_timeout(self._model.name, waited / 1000))

    def _broken(self, reason: str) -> None:
        """The provider broke off after its first byte."""
        scanner = self._scanner
        self._deployment_failed("broken_answer")
        if scanner is None or not self._head_sent:
            self._fail(errors.upstream_broke(self._model.name, reason))
            return
        self._cut("truncated", 200, "upstream_broke")
        event = self._break_event(reason, mid_event=scanner.mid_event)
        self._gateway.journal.after_write(lambda: self._send_end(event, close=True))

    def _break_event(self, reason: str, *, mid_event: bool) -> bytes:
        return errors.error_event(
            f"The provider of '{self._model.name}' broke off ({reason}). "
            "What was sent until here is charged; request the rest again.",
            errors.SERVER,
            "upstream_broke",
            mid_event=mid_event,
        )

    def _cut(self, status: UsageStatus, http_status: int, error_code: str) -> None:
        """Close the record of an answer that did not come whole: by the provider's count, else by ours."""
        scanner = self._scanner
        tokens, estimated = NO_TOKENS, True
        if scanner is not None and scanner.tokens is not None:
            tokens, estimated = scanner.tokens, False
        elif scanner is not None and self._relayed_bytes:
            tokens = self._relayed(scanner)
        self._close(status, tokens, estimated=estimated, http_status=http_status, error_code=error_code)

    def _fail(self, refusal: Refusal, *, body: bytes | None = None) -> None:
        """Nothing usable came and nothing was relayed: an error, and no charge."""
        self._close("failed", NO_TOKENS, estimated=False, http_status=refusal.status, error_code=refusal.code)
        sent = refusal.body() if body is None else body
        lines = http1.header_lines(refusal.headers) + b"x-dure-cost-micro-won: 0\r\n"
        self._gateway.journal.after_write(lambda: self._answer_refusal(refusal.status, sent, lines))

    def _answer_refusal(self, status: int, body: bytes, lines: bytes) -> None:
        client = self._client
        if client is None:
            return
        head = http1.plain_head(
            status,
            date=self._gateway.date,
            content_type=http1.JSON,
            length=len(body),
            headers=b"x-request-id: %b\r\n%b" % (str(self._request_id).encode(), lines),
            close=client.must_close or not self._request.keep_alive,
        )
        client.respond(head + body)
        self._done(status)

    # The client

    def client_gone(self) -> None:
        if self._client is None:
            return
        self._abandon("client_closed")

    def _abandon(self, error_code: str) -> None:
        """Nobody listens any more: stop the provider, charge what was relayed."""
        self._client = None
        if self._phase == "waiting":
            if self._waiter is not None:
                self._waiter.cancelled = True
            self._phase = "done"
        elif self._phase in {"opening", "sending", "answering"}:
            upstream = self._upstream
            if upstream is not None:
                upstream.cancel()
            self._cut("cancelled", 499, error_code)
        self._done(499)

    def client_full(self) -> None:
        self._client_full = True
        if self._upstream is not None and self._phase == "answering":
            self.deadline = self._gateway.now() + self._gateway.config.client_stall_timeout
            self._upstream.pause()

    def client_drained(self) -> None:
        self._client_full = False
        if self._upstream is not None and self._phase == "answering":
            assert self._route is not None
            self.deadline = self._gateway.now() + self._route.deployment.idle_timeout_ms / 1000
            self._upstream.resume()

    # The record

    def _close(
        self, status: UsageStatus, tokens: Tokens, *, estimated: bool, http_status: int, error_code: str = ""
    ) -> int:
        """Settle the hold and journal the record; the cost. Once per request."""
        gateway = self._gateway
        route = self._route
        assert route is not None
        self._leave_deployment()
        self._phase = "closing"
        exact = actual_cost_micro_won(tokens, self._tariff) if status == "completed" or tokens.input else 0
        cost, uncovered = gateway.keeper.settle(self._escrow, self._hold, exact)
        if self._scanner is not None:
            gateway.open_streams -= 1
        journal = gateway.journal
        journal.append(
            encode_closed(
                UsageRecord(
                    request_id=self._request_id,
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
                    input_tokens=tokens.input,
                    output_tokens=tokens.output,
                    cached_tokens=tokens.cached,
                    cost_micro_won=cost,
                    opened_at=self._opened_at,
                    closed_at=self._elapsed_us(),
                    first_byte_at=self._first_byte_at,
                    uncovered_micro_won=uncovered,
                    error_code=error_code,
                    attempts=max(1, self._attempts),
                )
            )
        )
        metrics = gateway.metrics
        metrics.records.add(1, status)
        metrics.cost.add(cost)
        if uncovered:
            metrics.uncovered.add(uncovered)
        if tokens.input:
            metrics.tokens.add(tokens.input, "input")
            metrics.tokens.add(tokens.output, "output")
            metrics.tokens.add(tokens.cached, "cached")
        return cost

    def _elapsed_us(self) -> int:
        """Now, as the opening's wall time plus what the monotonic clock says has passed since: a stepped
        clock must not put an answer before its question."""
        return self._opened_at + int((self._gateway.now() - self._opened_loop) * 1_000_000)

    def _done(self, http_status: int) -> None:
        self._client = None
        self._phase = "done"
        gateway = self._gateway
        gateway.open_requests -= 1
        endpoint = self._call.endpoint
        gateway.metrics.requests.add(1, endpoint, str(http_status))
        gateway.metrics.request_seconds.observe(gateway.now() - self._started_at, endpoint)
        if self._first_byte_at is not None:
            seconds = (self._first_byte_at - self._opened_at) / 1_000_000
            gateway.metrics.first_byte_seconds.observe(seconds, endpoint)


def _is_event_stream(connection: UpstreamConnection) -> bool:
    return connection.headers.get(b"content-type", b"").lower().startswith(EVENT_STREAM)


def _forwarded(connection: UpstreamConnection) -> bytes:
    headers = connection.headers
    if len(headers) <= 2:  # a content type and a length: nothing to forward, as nearly always
        return b""
    return b"".join(
        b"%b: %b\r\n" % (name, headers[name]) for name in http1.FORWARDED_RESPONSE_HEADERS if name in headers
    )


def _retry_after(connection: UpstreamConnection) -> tuple[tuple[str, str], ...]:
    value = connection.headers.get(b"retry-after")
    return (("retry-after", value.decode("latin-1")),) if value else ()
