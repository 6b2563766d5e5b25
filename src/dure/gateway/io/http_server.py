"""Clients' connections: HTTP/1.1 in, whole requests to a handler, bytes out.

`protocol.http_request` reads. A request is handed over when its body is complete, since admission needs the body;
so there is one callback per request and no task. What a client sends ahead waits unread until it is its
turn. Reading goes on while an answer is under way, for that is how a hang-up is noticed, until more waits
than `ahead_bytes`; a half-closed connection counts as a hang-up.
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol
from weakref import WeakSet

import msgspec

from dure.gateway.protocol import errors, http1
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.http_request import Request, RequestReader

__all__ = ["ClientConnection", "Exchange", "HttpServer", "Request", "ServerLimits", "Service"]

LINGER_SECONDS = 2.0
#: A connection whose client reads nothing of what it was sent is broken off after this long.
WRITE_STALL_SECONDS = 60.0
SLOWEST_BODY_BYTES_PER_SECOND = 10_000
TLS_HANDSHAKE_SECONDS = 10.0
LOOK_FOR_IDLE_SECONDS = 0.1
#: How long a client that was accepted just before the end may take for its handshake.
ARRIVING_SECONDS = 2.0
BACKLOG = 4096
#: Descriptors that are not connections: journal, database, logs, what the runtime opens.
_OTHER_DESCRIPTORS = 64


class ServerLimits(msgspec.Struct, frozen=True):
    """What clients may send. Times are seconds.

    `ahead_bytes`: what one connection may send ahead of its turn. `connections`: how many there may be in a
    process; 0 for as many as it has descriptors, when each may need one more towards a provider.
    `waiting_bytes`: what all bodies of a process that are on their way or being served may weigh, apart from those that
    came in one piece. `drain_idle`: how long an idle connection may send one more request when the process
    is to end, for a client that is just sending should not meet a closed door.
    """

    body_bytes: int = 32 << 20
    head_bytes: int = 32 << 10
    headers: int = 100
    ahead_bytes: int = 64 << 10
    connections: int = 0
    waiting_bytes: int = 1 << 30
    head_timeout: float = 20.0
    body_idle_timeout: float = 30.0
    keep_alive_timeout: float = 75.0
    drain_idle: float = 1.0


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


class ClientConnection(asyncio.Protocol):
    """One client. `exchange` is set by the handler while an answer is under way."""

    __slots__ = (
        "__weakref__",
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
        "exchange",
        "must_close",
        "request",
        "touched_at",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
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
        if len(server.connections) > server.most_connections and not server.make_room(self):
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


class HttpServer:
    """Listens and keeps track of connections."""

    def __init__(self, service: Service, limits: ServerLimits, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self.limits = limits
        self.loop = loop
        self.now: Callable[[], float] = loop.time
        self.connections: set[ClientConnection] = set()
        self.most_connections = limits.connections or _most_connections()
        self.waiting_bytes = 0
        self._look_for_idle_at = 0.0
        # Accepted, and not made yet: with TLS that takes the client's part of the handshake.
        self._arriving: WeakSet[ClientConnection] = WeakSet()
        self.draining = False
        self.keeps_addresses = False
        self._servers: list[asyncio.Server] = []
        self._all_gone = asyncio.Event()

    async def listen(
        self,
        host: str,
        port: int,
        *,
        sockets: tuple[socket.socket, ...] = (),
        tls: ssl.SSLContext | None = None,
    ) -> int:
        """Start accepting, on `sockets` that listen already or on one of its own; the port.

        The system chooses it where `port` is 0.
        """
        create = partial(
            self.loop.create_server,
            self._accepted,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else TLS_HANDSHAKE_SECONDS,
        )
        servers = [await create(sock=given) for given in sockets]
        if not servers:
            servers = [await create(host, port)]
        self._servers += servers
        address = servers[0].sockets[0].getsockname()
        return int(address[1])

    def _accepted(self) -> ClientConnection:
        connection = ClientConnection(self)
        self._arriving.add(connection)
        return connection

    def arrived(self, connection: ClientConnection) -> None:
        self._arriving.discard(connection)
        self.connections.add(connection)

    def left(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._all_gone.set()

    def make_room(self, newcomer: ClientConnection) -> bool:
        """Close a connection that lies idle, if there is one: keeping it open was a courtesy."""
        now = self.now()
        if now >= self._look_for_idle_at:
            for connection in self.connections:
                if connection is not newcomer and connection.idle:
                    connection.abort()
                    return True
            # A flood of newcomers must not make us look through all of them for each.
            self._look_for_idle_at = now + LOOK_FOR_IDLE_SECONDS
        return False

    def sweep(self) -> None:
        now = self.now()
        for connection in list(self.connections):
            connection.sweep(now)

    async def drain(self, timeout_seconds: float) -> None:
        """Accept nothing new, let running requests finish, then break off what is left."""
        self.draining = True
        for server in self._servers:
            server.close()
        now = self.now()
        for connection in self.connections:
            connection.drain(now)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                # A handshake that fails tells nobody, so there is no event to wait for.
                while self._arriving and self.now() < now + ARRIVING_SECONDS:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                if self.connections:
                    await self._all_gone.wait()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 20
    return max(16, (soft - _OTHER_DESCRIPTORS) // 2)
