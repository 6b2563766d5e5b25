"""One request's way to a provider and back: hold, journal, send, relay, settle.

The order is the promise. Money is held before `opened` is journalled, `opened` is written before anything
leaves for the provider, and `closed` is written before the client gets the answer's last byte. Everything
runs in callbacks of the client's and the provider's connections; there is no task per request.

    waiting → opening → sending → answering → closing → done

A request waits for a place at a deployment and for its money, in this order (`app.waiting` says why). It may go to
another deployment, or once more over a fresh connection, only until the provider's first byte, and as far as the
model's retry budget allows. What happens after that is a charge or an error, never a second try.
"""

import logging
from typing import Literal

from dure.contracts.directory import ModelEntry
from dure.contracts.usage import Attempt, UsageStatus
from dure.gateway.app.charge import Charge
from dure.gateway.app.gateway import Gateway, Route
from dure.gateway.app.waiting import Taking, Ticket
from dure.gateway.io.http_server import ClientConnection, Request
from dure.gateway.io.upstream import UpstreamConnection
from dure.gateway.protocol import errors, http1
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.endpoints import ModelEndpoint
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.escrow import Shortage, Waiter
from dure.gateway.protocol.metering import Quantities
from dure.gateway.protocol.sse import Scanner

logger = logging.getLogger(__name__)

#: How long a provider may take to end its answer after the end of the stream's events, in seconds.
TAIL_SECONDS = 5.0

CLIENT_CLOSED = 499
#: Upstream statuses that say "not here, not now": another deployment may do better.
_RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 529})
#: Upstream statuses with which a provider may ask to be left alone for a while.
_ASKING_STATUSES = frozenset({429, 503, 529})

Phase = Literal["waiting", "opening", "sending", "answering", "closing", "done"]


class Relay:
    """`deadline` is for the provider's connection: when to stop waiting for its next byte."""

    __slots__ = (
        "_answer_bytes",
        "_attempts",
        "_call",
        "_charge",
        "_client",
        "_client_full",
        "_endpoint",
        "_first_byte_seconds",
        "_fresh_tried",
        "_gateway",
        "_has_money",
        "_head_sent",
        "_model",
        "_noted",
        "_outstanding",
        "_phase",
        "_pieces",
        "_relayed_bytes",
        "_request",
        "_route",
        "_scanner",
        "_taken_at",
        "_ticket",
        "_timed_out",
        "_tried",
        "_tries",
        "_upstream",
        "_waiter",
        "deadline",
    )

    _route: Route

    def __init__(
        self,
        gateway: Gateway,
        client: ClientConnection,
        request: Request,
        endpoint: ModelEndpoint,
        call: Call,
        model: ModelEntry,
        charge: Charge,
    ) -> None:
        self._gateway = gateway
        self._client: ClientConnection | None = client
        self._request = request
        self._endpoint = endpoint
        self._call = call
        self._model = model
        self._charge = charge
        self._phase: Phase = "waiting"
        self._waiter: Waiter | None = None
        self._ticket: Ticket | None = None
        self._has_money = False
        self._tried: list[str] = []
        self._attempts = 0
        self._tries: list[Attempt] | None = None
        self._taken_at = 0.0
        self._first_byte_seconds = -1.0
        self._timed_out = False
        self._noted = False
        self._fresh_tried = False
        self._outstanding = False
        self._upstream: UpstreamConnection | None = None
        self._scanner: Scanner | None = None
        self._pieces: list[bytes] = []
        self._answer_bytes = 0
        self._relayed_bytes = 0
        self._head_sent = False
        self._client_full = False
        self.deadline = 0.0

    # Admission

    def start(self) -> None:
        """Pass the limits, take a place, hold the money, and go; or wait. Raises `Refusal` where there is nothing to
        wait for."""
        client = self._client
        assert client is not None
        permit = self._charge.permit
        if permit is None:
            route = self._place()
            client.exchange = self
            self._gateway.open_requests += 1
            if route is not None:
                self._pay_for(route)
            return
        client.exchange = self
        self._gateway.open_requests += 1
        if permit.enter(granted=self._permitted, refused=self._limited):
            self._permitted()

    def _permitted(self) -> None:
        """The limits of key and award let it pass."""
        try:
            route = self._place()
        except Refusal as refusal:
            self._limited(refusal)
            return
        if route is not None:
            self._pay_for(route)

    def _limited(self, refusal: Refusal) -> None:
        self._charge.refused()
        self._answer_refusal(refusal)

    def _place(self) -> Route | None:
        """A deployment with a place; None where this call now waits for one."""
        # Where others wait for a place already, nobody overtakes them.
        route = None if self._model.id in self._gateway.waiting.lines else self._next_route()
        if route is None:
            self._ticket = self._join()
        else:
            self._refuse_unfit(route)
        return route

    def _refuse_unfit(self, route: Route) -> None:
        self._endpoint.refuse_dialect(self._call, route.deployment.dialect, self._model.name)

    def _join(self, *, first: bool = False) -> Ticket:
        return self._gateway.waiting.join(
            self._model,
            self._charge.escrow.award,
            self,
            tried=self._tried,
            came_at=self._request.received_at,
            first=first,
        )

    def take_place(self) -> Taking:
        """It is this call's turn in line."""
        route = self._next_route()
        if route is None:
            return "blocked"
        self._ticket = None
        try:
            self._refuse_unfit(route)
        except Refusal as refusal:
            self.place_refused(refusal)
            return "left"
        if self._has_money:
            self._take(route)
            self._open()
            return "taken"
        return "taken" if self._pay_for(route) else "left"

    def place_refused(self, refusal: Refusal) -> None:
        self._ticket = None
        self._let_go_of_money()
        self._charge.refused()
        self._answer_refusal(refusal)

    def _pay_for(self, route: Route) -> bool:
        """Hold the worst case and go, or leave the place to others and wait for money."""
        keeper = self._gateway.keeper
        charge = self._charge
        charge.find_escrow()
        if keeper.try_hold(charge.escrow, charge.hold, self._request.received_at):
            self._has_money = True
            self._take(route)
            self._open()
            return True
        self._wait_for_money()
        return False

    def _wait_for_money(self) -> None:
        charge = self._charge
        charge.find_escrow()
        self._waiter = self._gateway.keeper.wait(
            charge.escrow, charge.hold, granted=self._money_came, refused=self._refused
        )

    def _money_came(self) -> None:
        self._waiter = None
        self._has_money = True
        try:
            if self._model.id not in self._gateway.waiting.lines:
                route = self._next_route()
                if route is not None:
                    self._refuse_unfit(route)
                    self._take(route)
                    self._open()
                    return
            self._ticket = self._join(first=True)
        except Refusal as refusal:
            self.place_refused(refusal)

    def _let_go_of_money(self) -> None:
        if self._has_money:
            self._has_money = False
            self._charge.release()

    def _next_route(self) -> Route | None:
        return self._gateway.route_for(self._model, self._tried, self._endpoint.name)

    def _take(self, route: Route) -> None:
        """Take a place at a deployment; `_leave_deployment` gives it up."""
        self._route = route
        self._outstanding = True
        self._first_byte_seconds = -1.0
        self._noted = False
        self._taken_at = now = self._gateway.now()
        state = route.state
        state.outstanding += 1
        if state.resting_until:
            state.probed(now)

    def _refused(self, shortage: Shortage) -> None:
        charge = self._charge
        if (
            shortage.reason == "insufficient"
            and self._request.headers.get(b"x-dure-fit", b"").lower() == b"true"
        ):
            # What lies idle in other processes is asked for once; then what is here must do.
            most = shortage.available if charge.fitted else charge.escrow.left - charge.escrow.held
            if charge.fit(most):
                self._wait_for_money()
                return
        charge.refused()
        self._answer_refusal(charge.refusal(shortage))

    def _open(self) -> None:
        self._phase = "opening"
        route = self._route
        route.budget.calls += 1
        self._charge.open(route)
        self._gateway.journal.after_write(self._opened, self._not_opened)

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
        assert route.pool is not None
        self._phase = "sending"
        self._fresh_tried = False
        connection = route.pool.take()
        if connection is not None:
            self.upstream_ready(connection)
        else:
            self._connect()

    def _connect(self) -> None:
        route = self._route
        assert route.pool is not None
        self._fresh_tried = True
        route.pool.connect(self, route.connect_seconds)

    def upstream_ready(self, connection: UpstreamConnection) -> None:
        if self._phase != "sending":
            connection.hand_in()
            return
        self._attempts += 1
        self._upstream = connection
        self.deadline = self._gateway.now() + self._route.first_byte_seconds
        connection.send(self, self._upstream_request())

    def _upstream_request(self) -> bytes:
        route = self._route
        call = self._call
        limit: int | None = self._charge.bounds.output_each
        if call.output_tokens is None and limit == self._model.context_length:
            limit = None  # the model's context is the limit already
        body = self._endpoint.upstream_body(
            call,
            upstream_model=route.deployment.upstream_model,
            dialect=route.deployment.dialect,
            output_limit=limit,
        )
        return b"%bcontent-type: %b\r\n%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            route.heads[call.endpoint],
            call.content_type,
            self._endpoint.upstream_headers(self._request.headers),
            self._charge.request_id.text,
            len(body),
            body,
        )

    def upstream_unreachable(self, reason: str) -> None:
        if self._phase == "sending":
            self._attempts += 1
            self._try_elsewhere("unreachable", errors.upstream_unreachable(self._model.name, reason))

    def _try_elsewhere(
        self, reason: str, refusal: Refusal, body: bytes | None = None, *, asked_rest_seconds: float = 0.0
    ) -> None:
        """Nothing usable has come from this deployment: take another, or give up."""
        self._deployment_failed(reason, asked_rest_seconds=asked_rest_seconds)
        route = self._elsewhere()
        if route is None:
            self._fail(refusal, body)
            return
        self._take(route)
        self._phase = "opening"
        self._charge.goes_to(route)
        self._gateway.journal.after_write(self._opened, self._not_opened)

    def _elsewhere(self) -> Route | None:
        """Another deployment with a place, if one more try is allowed."""
        gateway = self._gateway
        model = self._model
        if self._attempts >= gateway.config.attempts:
            return None
        route = self._next_route()
        if route is None:
            return None
        try:
            self._refuse_unfit(route)
        except Refusal:
            return None
        if not route.budget.take(gateway.now()):
            gateway.metrics.retry_budget_exhausted.add(1, model.name)
            return None
        gateway.metrics.retries.add(1, model.name)
        return route

    def _deployment_failed(self, reason: str, *, asked_rest_seconds: float = 0.0) -> None:
        route = self._route
        self._tried.append(route.deployment.id)
        self._note_attempt(reason)
        route.health.failed()
        self._gateway.metrics.upstream_errors.add(1, route.deployment.id, reason)
        self._leave_deployment()
        self._gateway.failed(route, self._taken_at, asked_rest_seconds=asked_rest_seconds)

    def _note_attempt(self, outcome: str) -> None:
        """What came of the attempt under way, for the record."""
        seconds = self._first_byte_seconds
        if seconds < 0.0:
            seconds = self._gateway.now() - self._taken_at
        if self._tries is None:
            self._tries = []
        self._tries.append(Attempt(deployment=self._route.uuid, outcome=outcome, ms=round(seconds * 1000)))
        self._noted = True

    def _leave_deployment(self) -> None:
        self._upstream = None
        if self._outstanding:
            self._outstanding = False
            state = self._route.state
            state.outstanding -= 1
            if state.limit is not None:
                state.held_for(self._gateway.now() - self._taken_at)
            waiting = self._gateway.waiting
            if waiting.lines:
                waiting.freed(self._model.id)

    # The answer

    def upstream_data(self, connection: UpstreamConnection, data: bytes, *, complete: bool) -> None:
        if self._phase == "sending":
            self._phase = "answering"
            self._charge.first_byte()
            self._reached(connection.status)
            if connection.status == 200 and _is_plain(connection):
                self._scanner = self._endpoint.scanner(self._call, _content_type(connection))
                if self._scanner is not None:
                    self._gateway.open_streams += 1
        if self._phase != "answering":
            return  # what follows the end of the events
        if data and not self._client_full:
            # Headers alone are no answer yet: the first token has the time of a first byte.
            self.deadline = self._gateway.now() + self._route.idle_seconds
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

    def _reached(self, status: int) -> None:
        """The deployment's first byte is here."""
        now = self._gateway.now()
        route = self._route
        self._first_byte_seconds = now - self._taken_at
        if 200 <= status < 300 and route.state.took(now, self._taken_at):
            self._gateway.recovered(route)

    def _whole_answer(self, connection: UpstreamConnection) -> None:
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._answer_bytes = 0
        status = connection.status
        if not 200 <= status < 300:
            self._error_answer(connection, body)
            return
        if not _is_plain(connection):
            # We asked for none. Neither we nor the client could read it, so it is no answer to pay for.
            refusal = errors.upstream_broke(
                self._model.name, "its answer is encoded in a way nobody asked for"
            )
            self._try_elsewhere("encoded", refusal)
            return
        self._route.state.succeeded(self._taken_at)
        content_type = connection.headers.get(b"content-type", http1.JSON)
        counted = self._endpoint.meter(self._call, body, content_type)
        charged_by = counted or self._endpoint.count(self._call, self._charge.bounds, body)
        cost = self._close("completed", charged_by, estimated=counted is None, http_status=status)
        # The connection may serve somebody else by the time the record is written.
        forwarded = http1.forwarded(http1.FORWARDED_RESPONSE_HEADERS, connection.headers)
        self._gateway.journal.after_write(
            lambda: self._send_whole(status, body, content_type, forwarded, cost)
        )

    def _send_whole(self, status: int, body: bytes, content_type: bytes, forwarded: bytes, cost: int) -> None:
        client = self._client
        if client is None:
            return
        head = http1.plain_head(
            status,
            date=self._gateway.date,
            content_type=content_type,
            length=len(body),
            headers=b"x-dure-cost-micro-won: %d\r\nx-dure-award-left-micro-won: %d\r\n%b%b"
            % (cost, self._charge.escrow.left, self._own_headers(), forwarded),
            close=client.closes_after(self._request),
        )
        client.respond(head + body)
        self._done(status)

    def _own_headers(self) -> bytes:
        elapsed_ms = int((self._gateway.now() - self._request.received_at) * 1000)
        lines = self._endpoint.answer_headers(self._charge.request_id.text, elapsed_ms)
        charge = self._charge
        return lines + charge.headers() if charge.permit is not None or charge.fitted else lines

    def _error_answer(self, connection: UpstreamConnection, body: bytes) -> None:
        status = connection.status
        shown, shown_body = self._endpoint.upstream_refusal(
            self._model.name, self._route.deployment.dialect, status, body, self._charge.request_id.text
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
            self._gateway.forget_route(self._route.deployment.id)
            self._deployment_failed(f"status_{status}")
        else:
            self._answered_the_caller(status)
        self._fail(refusal, shown_body)

    def _answered_the_caller(self, status: int) -> None:
        """An error that speaks of the request: the deployment is well."""
        state = self._route.state
        if 400 <= status < 500 and state.succeeded(self._taken_at):
            self._gateway.recovered(self._route)

    # Streams

    def _stream_data(
        self, connection: UpstreamConnection, scanner: Scanner, data: bytes, *, complete: bool
    ) -> None:
        relay = scanner.feed(data)
        if complete:
            relay += scanner.finish()
        if scanner.done or complete:
            self._end_stream(connection, scanner, relay, complete=complete)
        elif relay:
            self._relayed_bytes += len(relay)
            framed = http1.chunk(relay) if self._request.http11 else relay
            client = self._client
            assert client is not None
            client.write(framed if self._head_sent else self._stream_head(client, scanner) + framed)
            self._charge.progress(scanner.relayed_tokens, self._relayed_bytes)

    def _stream_head(self, client: ClientConnection, scanner: Scanner) -> bytes:
        self._head_sent = True
        http11 = self._request.http11
        return http1.stream_head(
            200,
            date=self._gateway.date,
            content_type=scanner.content_type,
            headers=b"x-dure-hold-micro-won: %d\r\nx-dure-award-left-micro-won: %d\r\n%b"
            % (self._charge.hold, self._charge.left_at_admission, self._own_headers()),
            chunked=http11,
            close=not http11 or client.closes_after(self._request),
        )

    def _end_stream(
        self, connection: UpstreamConnection, scanner: Scanner, relay: bytes, *, complete: bool
    ) -> None:
        """The last events are here. They go out once the record is written."""
        last: bytes | None = relay
        if scanner.relayed_tokens:
            self._relayed_bytes += len(relay)  # what came in one piece with the break is relayed and charged
        whole = scanner.done or scanner.counted or (connection.framed and not scanner.ends_itself)
        if scanner.failed or not whole:
            # An error event, or a stream without its end, or without any on a connection that was just closed.
            self._deployment_failed("broken_stream")
            self._cut("truncated", 200, "upstream_error" if scanner.failed else "upstream_broke")
            if not scanner.failed:
                event = self._break_event(scanner, "its stream has no end")
                last = None if event is None else relay + event
        else:
            self._route.state.succeeded(self._taken_at)
            self._close(
                "completed", self._followed(scanner), estimated=scanner.counted is None, http_status=200
            )
        if not complete:
            # The provider still has to end its message before the connection can be used again.
            self.deadline = self._gateway.now() + TAIL_SECONDS
        self._gateway.journal.after_write(lambda: self._send_end(scanner, last, close=False))

    def _send_end(self, scanner: Scanner, last: bytes | None, *, close: bool) -> None:
        """The stream's last bytes; None where only breaking off can say that it is not whole."""
        client = self._client
        if client is None:
            return
        if last is None:
            client.abort()
            self._done(200)
            return
        http11 = self._request.http11
        framed = http1.last_chunks(last) if http11 else last
        client.respond(
            framed if self._head_sent else self._stream_head(client, scanner) + framed,
            close=close or not http11,
        )
        self._done(200)

    # Breaks

    def upstream_lost(self, connection: UpstreamConnection, reason: str) -> None:
        if self._phase not in {"sending", "answering"}:
            return
        if connection.answered:
            self._broken(reason)
        elif connection.reused and not self._fresh_tried:
            # The provider closed an idle connection just as we wrote to it.
            self._note_attempt("closed")
            self._noted = False
            self._connect()
        else:
            refusal = errors.upstream_broke(self._model.name, reason)
            self._try_elsewhere("closed", refusal)

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
        waiting = self._phase == "sending"
        waited = self._route.first_byte_seconds if waiting else self._route.idle_seconds
        if self._head_sent:
            self._broken(f"nothing came for {waited:g} seconds")
            return
        refusal = errors.upstream_timeout(self._model.name, waited)
        if waiting and not connection.answered and not self._timed_out:
            # Once only: it may have cost the provider work, and it has cost the caller time.
            self._timed_out = True
            self._try_elsewhere("timeout", refusal)
        else:
            self._deployment_failed("timeout")
            self._fail(refusal)

    def _broken(self, reason: str) -> None:
        """The provider broke off after its first byte."""
        scanner = self._scanner
        self._deployment_failed("broken_answer")
        if scanner is None or not self._head_sent:
            self._fail(errors.upstream_broke(self._model.name, reason))
            return
        self._cut("truncated", 200, "upstream_broke")
        event = self._break_event(scanner, reason)
        self._gateway.journal.after_write(lambda: self._send_end(scanner, event, close=True))

    def _break_event(self, scanner: Scanner, reason: str) -> bytes | None:
        return self._endpoint.break_event(errors.stream_broke(self._model.name, reason), scanner)

    def _cut(self, status: UsageStatus, http_status: int, error_code: str) -> None:
        """An answer that did not come whole: charged by the provider's count if it came, else by ours."""
        scanner = self._scanner
        counted: Quantities | None = None
        estimated = True
        if scanner is not None and (scanner.counted is not None or self._worth_something(scanner)):
            counted, estimated = self._followed(scanner), scanner.counted is None
        self._close(status, counted, estimated=estimated, http_status=http_status, error_code=error_code)

    def _worth_something(self, scanner: Scanner) -> bool:
        """An error that came before any content was no answer, whatever preamble it had."""
        return self._relayed_bytes > 0 and not (scanner.failed and not scanner.relayed_tokens)

    def _followed(self, scanner: Scanner) -> Quantities:
        """The provider's count of a stream, or ours with what the provider has said so far."""
        return scanner.counted or self._charge.bounds.estimate(scanner.relayed_tokens, scanner.said)

    def _fail(self, refusal: Refusal, body: bytes | None = None) -> None:
        """Nothing usable came and nothing was relayed: an error, and no charge."""
        self._close("failed", None, http_status=refusal.status, error_code=refusal.code)
        self._gateway.journal.after_write(lambda: self._answer_refusal(refusal, body))

    def _answer_refusal(self, refusal: Refusal, body: bytes | None = None) -> None:
        client = self._client
        if client is None:
            return
        if body is None:
            body = self._endpoint.refusal_body(refusal, self._charge.request_id.text)
        self._gateway.metrics.refusals.add(1, refusal.code)
        head = http1.plain_head(
            refusal.status,
            date=self._gateway.date,
            content_type=http1.JSON,
            length=len(body),
            headers=b"%bx-dure-cost-micro-won: 0\r\n%b"
            % (self._own_headers(), http1.header_lines(refusal.headers)),
            close=client.closes_after(self._request),
        )
        client.respond(head + body)
        self._done(refusal.status, refusal.code)

    # The client

    def client_gone(self) -> None:
        if self._client is not None:
            self._abandon("client_closed")

    def _abandon(self, error_code: str) -> None:
        """Nobody listens any more: stop the provider, charge what was relayed."""
        self._client = None
        if self._waiter is not None:
            self._waiter.cancelled = True
        if self._ticket is not None:
            self._gateway.waiting.leave(self._ticket)
            self._ticket = None
        if self._phase == "waiting":
            self._let_go_of_money()
            self._charge.refused()
        elif self._phase in {"opening", "sending", "answering"}:
            if self._upstream is not None:
                self._upstream.cancel()
            self._cut("cancelled", CLIENT_CLOSED, error_code)
        self._done(CLIENT_CLOSED)

    def client_full(self) -> None:
        self._client_full = True
        if self._upstream is not None and self._phase == "answering":
            self.deadline = self._gateway.now() + self._gateway.config.client_stall_timeout
            self._upstream.pause()

    def client_drained(self) -> None:
        self._client_full = False
        if self._upstream is not None and self._phase == "answering":
            self.deadline = self._gateway.now() + self._route.idle_seconds
            self._upstream.resume()

    # The end

    def _close(
        self,
        status: UsageStatus,
        counted: Quantities | None,
        *,
        http_status: int,
        estimated: bool = False,
        error_code: str = "",
    ) -> int:
        """Settle and journal, once per request; what was charged."""
        if self._phase == "sending" or self._tries is not None:
            self._note_last_attempt()
        self._leave_deployment()
        self._phase = "closing"
        if self._scanner is not None:
            self._gateway.open_streams -= 1
        if status == "completed":
            self._route.health.answered(
                first_byte_us=self._charge.first_byte_us,
                total_us=int((self._gateway.now() - self._request.received_at) * 1_000_000),
            )
        return self._charge.close(
            status,
            counted,
            route=self._route,
            attempts=self._attempts,
            tries=self._tries,
            http_status=http_status,
            estimated=estimated,
            error_code=error_code,
        )

    def _note_last_attempt(self) -> None:
        if self._phase in {"sending", "answering"} and not self._noted:
            self._note_attempt("answered" if self._phase == "answering" else "cancelled")

    def _done(self, http_status: int, error_code: str = "") -> None:
        self._client = None
        self._phase = "done"
        self._leave_deployment()
        gateway = self._gateway
        gateway.open_requests -= 1
        metrics = gateway.metrics
        endpoint = self._call.endpoint
        metrics.requests.add(1, endpoint, str(http_status))
        metrics.request_seconds.observe(gateway.now() - self._request.received_at, endpoint)
        first_byte_seconds = self._charge.first_byte_seconds
        if first_byte_seconds is not None:
            metrics.first_byte_seconds.observe(first_byte_seconds, endpoint)
        observer = gateway.observer
        if observer is not None:
            route = getattr(self, "_route", None)
            pool = None if route is None else route.pool
            observer.ended(
                self._charge.ended(
                    self._request,
                    http_status=http_status,
                    error_code=error_code,
                    origin=None if pool is None else pool.origin,
                )
            )


def _is_plain(connection: UpstreamConnection) -> bool:
    return connection.headers.get(b"content-encoding", b"identity") == b"identity"


def _content_type(connection: UpstreamConnection) -> bytes:
    return connection.headers.get(b"content-type", b"").lower()


def _retry_after(connection: UpstreamConnection) -> tuple[tuple[str, str], ...]:
    value = connection.headers.get(b"retry-after")
    return (("retry-after", value.decode("latin-1")),) if value else ()
