"""Clients' connections: HTTP/1.1 in, whole requests to a handler, bytes out.

llhttp reads strictly (both lengths, folded headers, bare LF and odd chunk sizes are refused). A request is
handed over when its body is complete, since admission needs the body; so there is one callback per request
and no task. Requests that a client sends ahead wait in line while reading is paused. Reading goes on while
an answer is under way, for that is how a hang-up is noticed; a half-closed connection counts as one.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import httptools
import msgspec

from dure.gateway.protocol import errors, http1
from dure.gateway.protocol.errors import Refusal

#: The headers that are looked at; all others are read past.
KEPT_HEADERS = (
    http1.FORWARDED_REQUEST_HEADERS
    | http1.FORWARDED_MESSAGES_HEADERS
    | {
        b"api-key",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
    }
)
LINGER_SECONDS = 2.0
#: A connection whose client reads nothing of what it was sent is broken off after this long.
WRITE_STALL_SECONDS = 60.0
#: What a chunk's head may take, beside one allowance for trailers.
_CHUNK_HEAD_BYTES = 32
SLOWEST_BODY_BYTES_PER_SECOND = 10_000


class ServerLimits(msgspec.Struct, frozen=True):
    """What a client may send. Times are seconds."""

    body_bytes: int = 32 << 20
    head_bytes: int = 32 << 10
    headers: int = 100
    pipelined: int = 16
    head_timeout: float = 20.0
    body_idle_timeout: float = 30.0
    keep_alive_timeout: float = 75.0


class Request:
    """One request, complete. `path` is without the query; header names are lower case."""

    __slots__ = ("body", "headers", "http11", "keep_alive", "method", "path", "received_at")

    def __init__(self, method: bytes, path: bytes, headers: dict[bytes, bytes], received_at: float) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.received_at = received_at
        self.body = b""
        self.http11 = True
        self.keep_alive = True


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
        "_began_at",
        "_beside_body",
        "_body",
        "_body_bytes",
        "_busy",
        "_chunks",
        "_discarding",
        "_full_since",
        "_head_bytes",
        "_head_done",
        "_header_count",
        "_headers",
        "_in_next",
        "_limits",
        "_parser",
        "_queue",
        "_reading_paused",
        "_refusal",
        "_request",
        "_server",
        "_started",
        "_url",
        "exchange",
        "must_close",
        "request",
        "touched_at",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._request: Request | None = None
        self._headers: dict[bytes, bytes] = {}
        self._url = b""
        self._body: bytes | bytearray = b""
        self._body_bytes = 0
        self._beside_body = 0
        self._chunks = 0
        self._began_at = 0.0
        self._full_since: float | None = None
        self._head_bytes = 0
        self._header_count = 0
        self._head_done = False
        self._started = False
        self._busy = False
        self._in_next = False
        self._discarding = False
        self._reading_paused = False
        self._refusal: Refusal | None = None
        self.exchange: Exchange | None = None
        self.request: Request | None = None
        self.must_close = False
        self.touched_at = 0.0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.touched_at = self._server.now()
        self._server.connections.add(self)
        if self._server.draining:
            self.must_close = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)
        self._queue.clear()
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
        self.touched_at = self._server.now()
        body_before = self._body_bytes
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            if self._refusal is None:
                self._refusal = errors.bad_framing(_cause(error))
        if self._started and not self._head_done and self._refusal is None:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self._refusal = errors.headers_too_large(self._limits.head_bytes)
        elif self._started and self._refusal is None:
            # What came and was no body: chunk heads, and trailers, which must not go on for ever either.
            self._beside_body += len(data) - (self._body_bytes - body_before)
            if self._beside_body > self._limits.head_bytes + _CHUNK_HEAD_BYTES * self._chunks:
                self._refusal = errors.bad_framing("its trailers are too large")
        self._next()

    # llhttp's side

    def on_message_begin(self) -> None:
        self._started = True
        self._head_done = False
        self._head_bytes = 0
        self._header_count = 0
        self._body_bytes = 0
        self._beside_body = 0
        self._chunks = 0
        self._began_at = self.touched_at
        self._url = b""
        self._headers = {}

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # trailers
        self._header_count += 1
        name = name.lower()
        if name in KEPT_HEADERS:
            if name == b"host" and name in self._headers:
                self._refuse(errors.bad_framing("more than one Host header"))
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                self._refuse(errors.bad_framing("a transfer coding other than chunked"))
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        self._head_done = True
        parser = self._parser
        request = Request(parser.get_method(), _path(self._url), self._headers, self.touched_at)
        version = parser.get_http_version()
        request.http11 = version == "1.1"
        self._request = request
        limits = self._limits
        if version not in {"1.1", "1.0"}:
            self._refuse(errors.bad_framing(f"HTTP version {version}"))
        elif request.http11 and b"host" not in request.headers:
            self._refuse(errors.bad_framing("the Host header is missing"))
        elif self._header_count > limits.headers or len(self._url) > limits.head_bytes:
            self._refuse(errors.headers_too_large(limits.head_bytes))
        elif _declared_length(request.headers) > limits.body_bytes:
            self._refuse(errors.body_too_large(limits.body_bytes))
        elif b"expect" in request.headers and not self._busy and request.http11 and self._refusal is None:
            self.transport.write(http1.CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse(errors.body_too_large(self._limits.body_bytes))
            self._body = b""
        elif not self._body:
            self._body = body
        else:
            # One growing buffer: a list of two-byte chunks would weigh fifty times their sum.
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        self._started = False
        body, self._body = self._body, b""
        if request is None or self._refusal is not None:
            return
        request.body = bytes(body)
        request.keep_alive = self._parser.should_keep_alive()
        self._queue.append(request)
        if len(self._queue) > self._limits.pipelined:
            self._refuse(errors.bad_framing("too many requests sent ahead"))

    def _refuse(self, refusal: Refusal) -> None:
        if self._refusal is None:
            self._refusal = refusal

    def _ignore_upgrade(self, rest: bytes) -> None:
        """A client may offer another protocol, and a server may decline by not mentioning it (RFC 9110 §7.8).

        llhttp stops behind the head of such a request, so the request goes, without the offer, to a fresh
        parser; its body follows in `rest`.
        """
        request = self._queue.pop() if self._queue else None
        if request is None or request.method == b"CONNECT":
            self._refuse(errors.bad_framing("CONNECT and unknown upgrades are not served"))
            self._next()
            return
        keep = b"" if request.keep_alive else b"connection: close\r\n"
        lines = b"".join(b"%b: %b\r\n" % header for header in request.headers.items())
        self._parser = httptools.HttpRequestParser(self)
        version = b"1.1" if request.http11 else b"1.0"
        head = b"%b %b HTTP/%b\r\n%b%b\r\n" % (request.method, request.path, version, keep, lines)
        self.data_received(head + rest)

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
        if close or self.must_close or request is None or not request.keep_alive:
            self._discarding = True
            self.transport.close()
            return
        self.touched_at = self._server.now()
        if not self._in_next and (self._queue or self._refusal is not None or self._reading_paused):
            self._next()

    def closes_after(self, request: Request) -> bool:
        """Whether the response to `request` is this connection's last."""
        return self.must_close or not request.keep_alive

    def abort(self) -> None:
        """Break the connection off, so that the client sees that its answer is not whole."""
        self._discarding = True
        self.exchange = None
        self.transport.abort()

    def _next(self) -> None:
        self._in_next = True
        # While the client does not read, nothing more is done for it: an answer would wait in memory.
        while self._queue and not self._busy and not self._discarding and self._full_since is None:
            self._busy = True
            self.request = request = self._queue.popleft()
            self._server.service.handle(request, self)
        self._in_next = False
        if self._discarding:
            return
        if self._refusal is not None and not self._busy and not self._queue:
            self._refuse_and_close(self._refusal)
            return
        self._pause_reading(
            paused=bool(self._queue) or self._refusal is not None or self._full_since is not None
        )

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
        self.transport.write(self._server.service.refuse(refusal, self))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._server.loop.call_later(LINGER_SECONDS, self.transport.close)

    # Housekeeping

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
        if not self._started:
            if idle > limits.keep_alive_timeout:
                self.transport.close()
        elif idle > (limits.body_idle_timeout if self._head_done else limits.head_timeout) or (
            now - self._began_at > self._arrival_seconds()
        ):
            self._refuse_and_close(
                Refusal(
                    408,
                    "request_timeout",
                    "The request did not arrive in time. Send it again over a faster connection.",
                    close=True,
                )
            )

    def _arrival_seconds(self) -> float:
        """How long a whole request may take: a byte now and then keeps nobody's place for ever."""
        limits = self._limits
        if not self._head_done:
            return limits.head_timeout * 2
        return (
            limits.head_timeout * 2
            + limits.body_idle_timeout
            + self._body_bytes / SLOWEST_BODY_BYTES_PER_SECOND
        )

    def drain(self) -> None:
        """Finish what is under way, then close."""
        self.must_close = True
        if not self._busy and not self._queue:
            self._discarding = True
            self.transport.close()


class HttpServer:
    """Listens and keeps track of connections."""

    def __init__(self, service: Service, limits: ServerLimits, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self.limits = limits
        self.loop = loop
        self.now: Callable[[], float] = loop.time
        self.connections: set[ClientConnection] = set()
        self.draining = False
        self._server: asyncio.Server | None = None
        self._all_gone = asyncio.Event()

    async def listen(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Start accepting; the port, which is chosen by the system where `port` is 0."""
        self._server = await self.loop.create_server(
            lambda: ClientConnection(self), host, port, reuse_port=reuse_port, backlog=4096
        )
        address = self._server.sockets[0].getsockname()
        return int(address[1])

    def left(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._all_gone.set()

    def sweep(self) -> None:
        now = self.now()
        for connection in list(self.connections):
            connection.sweep(now)

    async def drain(self, timeout_seconds: float) -> None:
        """Accept nothing new, let running requests finish, then break off what is left."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.drain()
        if self.connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), timeout_seconds)
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def _path(url: bytes) -> bytes:
    """The path of an origin-form or absolute-form target, without its query."""
    if not url.startswith(b"/") and b"://" in url:
        url = b"/" + url.split(b"://", 1)[1].partition(b"/")[2]
    return url.partition(b"?")[0]


def _declared_length(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length")
    return int(length) if length is not None else 0


def _cause(error: httptools.HttpParserError) -> str:
    return str(error) or type(error).__name__
