"""One client's connection: HTTP/1.1 in, whole requests to a handler, bytes out.

`protocol.http_request` reads. A request is handed over when its body is complete, since admission needs the body;
so there is one callback per request and no task. What a client sends ahead waits unread until it is its
turn. Reading goes on while an answer is under way, for that is how a hang-up is noticed, until more waits
than `ahead_bytes`; a half-closed connection counts as a hang-up.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from dure.gateway.io.server_limits import ServerLimits
from dure.gateway.protocol import errors, http1
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.http_request import Request, RequestReader

LINGER_SECONDS = 2.0
#: A connection whose client reads nothing of what it was sent is broken off after this long.
WRITE_STALL_SECONDS = 60.0
SLOWEST_BODY_BYTES_PER_SECOND = 10_000


class Exchange(Protocol):
    """A request under way that is told about its client. All three may come at any time."""

    def client_gone(self) -> None: ...

    def client_full(self) -> None:
        """The client reads slower than we write."""

    def client_drained(self) -> None: ...


class Service(Protocol):
    def handle(self, request: Request, connection: "ClientConnection") -> None:
        """Answer through `connection`, now or later, exactly once. Must not raise."""

    def refuse(self, refusal: Refusal, connection: "ClientConnection") -> bytes:
        """The response to a request that could not even be read, as bytes."""


class Server(Protocol):
    """`io.http_server.HttpServer`, as its connections know it. `waiting_bytes` is what all bodies of a process weigh."""

    service: Service
    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    most_connections: int
    waiting_bytes: int
    draining: bool
    keeps_addresses: bool

    @property
    def limits(self) -> ServerLimits: ...

    @property
    def count(self) -> int: ...

    def arrived(self, connection: "ClientConnection") -> None: ...

    def left(self, connection: "ClientConnection") -> None: ...

    def make_room(self, newcomer: "ClientConnection") -> bool: ...


class ClientConnection:
    """An `asyncio.Protocol`. `exchange` is set by the handler while an answer is under way; `arrival` is the server's."""

    __slots__ = (
        "_address",
        "_began_at",
        "_busy",
        "_discarding",
        "_full_since",
        "_in_next",
        "_limits",
        "_more",
        "_reader",
        "_reading_paused",
        "_server",
        "_weighed",
        "arrival",
        "exchange",
        "must_close",
        "request",
        "touched_at",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, server: Server, arrival: object = None) -> None:
        self._server = server
        self.arrival = arrival
        self._limits = limits = server.limits
        self._reader = RequestReader(
            head_bytes=limits.head_bytes, headers=limits.headers, body_bytes=limits.body_bytes
        )
        self._began_at = 0.0
        self._full_since: float | None = None
        self._weighed = 0
        self._address = ""
        self._busy = False
        self._in_next = False
        self._more = False
        self._discarding = False
        self._reading_paused = False
        self.exchange: Exchange | None = None
        self.request: Request | None = None
        self.must_close = False
        self.touched_at = 0.0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        server = self._server
        self.touched_at = server.now()
        server.arrived(self)
        if server.keeps_addresses:
            peer = transport.get_extra_info("peername")
            self._address = peer[0] if isinstance(peer, tuple) else ""
        if server.draining:
            self.must_close = True
        if server.count > server.most_connections and not server.make_room(self):
            self._refuse_and_close(errors.too_many_connections())

    def connection_lost(self, exc: Exception | None) -> None:
        self._weigh(0)
        self._server.left(self)
        self._discarding = True
        if self.exchange is not None:
            self.exchange.client_gone()
            self.exchange = None

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._full_since = self._server.now()
        if self.exchange is not None:
            self.exchange.client_full()

    def resume_writing(self) -> None:
        self._full_since = None
        if self.exchange is not None:
            self.exchange.client_drained()
        elif not self._busy and not self._in_next:
            self._next()

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        server = self._server
        self.touched_at = now = server.now()
        if not self._busy and self._full_since is None:
            whole = self._reader.whole(data)
            if whole is not None:
                # Nothing waits, and nothing is begun by it: the usual request of a connection that is kept.
                self._busy = True
                self.request = request = Request(whole[0], whole[1], now, self._address)
                server.service.handle(request, self)
                return
        self._more = True
        self._reader.feed(data)
        self._next()

    # The handler's side

    def respond(self, data: bytes, *, close: bool = False) -> None:
        """A whole response."""
        self.transport.write(data)
        self.finished(close=close)

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def finished(self, *, close: bool = False) -> None:
        """The response is complete; the next request in line may start."""
        request, self.request = self.request, None
        self.exchange = None
        self._busy = False
        if self._weighed:
            self._weigh(0)
        if close or self.must_close or request is None or not request.head.keep_alive:
            self._discarding = True
            self.transport.close()
            return
        self.touched_at = self._server.now()
        if self._more and not self._in_next:
            self._next()

    def closes_after(self, request: Request) -> bool:
        """Whether the response to `request` is this connection's last."""
        return self.must_close or not request.head.keep_alive

    def abort(self) -> None:
        """Break the connection off, so that the client sees that its answer is not whole."""
        self._discarding = True
        self.exchange = None
        self.transport.abort()

    def _next(self) -> None:
        reader = self._reader
        self._in_next = True
        # While the client does not read, nothing more is done for it: an answer would wait in memory.
        while not self._busy and not self._discarding and self._full_since is None:
            request = reader.next()
            if request is None:
                self._in_next = False
                self._more = reader.begun
                self._incomplete(reader)
                return
            self._began_at = 0.0
            request.received_at = self.touched_at
            request.client_address = self._address
            self._busy = True
            self.request = request
            self._server.service.handle(request, self)
        self._in_next = False
        paused = self._full_since is not None or reader.ahead_bytes > self._limits.ahead_bytes
        if paused != self._reading_paused and not self._discarding:
            self._pause_reading(paused=paused)

    def _incomplete(self, reader: RequestReader) -> None:
        """Nothing to serve now: the next request is on its way, or what came is none."""
        refusal = reader.refusal
        if refusal is None and reader.begun:
            if not self._began_at:
                self._began_at = self.touched_at
            if reader.body_bytes:
                self._weigh(reader.body_bytes)
                if self._server.waiting_bytes > self._limits.waiting_bytes:
                    refusal = errors.too_much_waiting()
            if reader.take_expectation():
                self.transport.write(http1.CONTINUE)
        if refusal is not None:
            self._refuse_and_close(refusal)
        elif self._reading_paused:
            self._pause_reading(paused=False)

    def _weigh(self, body_bytes: int) -> None:
        self._server.waiting_bytes += body_bytes - self._weighed
        self._weighed = body_bytes

    def _pause_reading(self, *, paused: bool) -> None:
        if paused != self._reading_paused and not self.transport.is_closing():
            self._reading_paused = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _refuse_and_close(self, refusal: Refusal) -> None:
        # Closing with unread bytes would reset the connection and could destroy the answer on its way, so
        # what is still coming is read and dropped for a moment.
        self._pause_reading(paused=False)
        self._discarding = True
        self.must_close = True
        self._weigh(0)
        self.transport.write(self._server.service.refuse(refusal, self))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._server.loop.call_later(LINGER_SECONDS, self.transport.close)

    # Housekeeping

    @property
    def idle(self) -> bool:
        """Whether nothing has come of a next request, and nothing is under way."""
        return not (self._busy or self._discarding or self._reader.begun)

    def sweep(self, now: float) -> None:
        """Close what is overdue: a slow head, a stalled body, an idle connection, an answer nobody reads."""
        full_since = self._full_since
        if full_since is not None and self.exchange is None and now - full_since > WRITE_STALL_SECONDS:
            self.transport.abort()
            return
        if self._busy or self._discarding:
            return
        idle = now - self.touched_at
        limits = self._limits
        reader = self._reader
        if not reader.begun:
            if idle > (limits.drain_idle if self.must_close else limits.keep_alive_timeout):
                self.transport.close()
        elif idle > (limits.body_idle_timeout if reader.in_body else limits.head_timeout) or (
            now - self._began_at > self._arrival_seconds()
        ):
            self._refuse_and_close(errors.request_timeout())

    def _arrival_seconds(self) -> float:
        """How long a whole request may take: a byte now and then keeps nobody's place for ever."""
        limits = self._limits
        reader = self._reader
        if not reader.in_body:
            return limits.head_timeout * 2
        return (
            limits.head_timeout * 2
            + limits.body_idle_timeout
            + reader.body_bytes / SLOWEST_BODY_BYTES_PER_SECOND
        )

    def drain(self, now: float) -> None:
        """Finish what is under way, or one request more that may be on its way, then close."""
        self.must_close = True
        self.touched_at = now
