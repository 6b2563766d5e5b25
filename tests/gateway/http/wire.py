"""A client's or a provider's end of a connection, in memory: bytes in, what was made of them out."""

import json
from collections.abc import Callable

from dure.gateway.io.clients import ClientConnection
from dure.gateway.io.http_server import HttpServer
from dure.gateway.io.server_limits import ServerLimits
from dure.gateway.io.upstream import Origin, UpstreamConnection, UpstreamPool
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.http_request import Request

LIMITS = ServerLimits(body_bytes=100_000_000)


class Transport:
    """What a transport does that is asked of it here. Nothing is ever full."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False
        self.aborted = False
        self.paused = False

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Clock:
    """The loop, as far as connections look at it: a clock that is set by hand, and timers that wait for it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.later: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        self.later.append((self.now + seconds, callback))


class Recorder:
    """A handler that writes down what it gets. `late`: it answers only when told."""

    def __init__(self, *, late: bool = False) -> None:
        self.got: list[tuple[bytes, bytes, bytes]] = []
        self.requests: list[Request] = []
        self.refusals: list[Refusal] = []
        self.late = late
        self._waiting: ClientConnection | None = None

    def handle(self, request: Request, connection: ClientConnection) -> None:
        self.got.append((request.method, request.path, request.body))
        self.requests.append(request)
        if self.late:
            self._waiting = connection
        else:
            connection.respond(b"answer;")

    def answer_all(self) -> None:
        while self._waiting is not None:
            connection, self._waiting = self._waiting, None
            connection.respond(b"answer;")

    def refuse(self, refusal: Refusal, connection: ClientConnection) -> bytes:
        self.refusals.append(refusal)
        return json.dumps([refusal.status, refusal.code]).encode()


class Client:
    """A connection to a server of its own. `outcome` is all that can be told about it from outside."""

    def __init__(self, *, late: bool = False, limits: ServerLimits = LIMITS) -> None:
        self.clock = Clock()
        self.service = Recorder(late=late)
        self.server = HttpServer(self.service, limits, self.clock)  # type: ignore[arg-type]
        self.transport = Transport()
        self.connection = ClientConnection(self.server)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    def send(self, *pieces: bytes) -> "Client":
        for piece in pieces:
            if not self.transport.closed:
                self.connection.data_received(piece)
        self.service.answer_all()
        return self

    @property
    def outcome(self) -> list[str]:
        lines = [
            f"serves {method.decode()} {path.decode('latin-1')} {body.decode('latin-1')}".rstrip(" ")
            for method, path, body in self.service.got
        ]
        lines += [f"refused {refusal.status} {refusal.code}" for refusal in self.service.refusals]
        if self.transport.closed and not self.service.refusals:
            lines.append("closes")
        return lines


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


class Caller:
    """A request to a provider, and all that its connection told it."""

    def __init__(self) -> None:
        self.deadline = 0.0
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.end = "waits"

    def upstream_ready(self, connection: UpstreamConnection) -> None:
        raise AssertionError

    def upstream_unreachable(self, reason: str) -> None:
        raise AssertionError

    def upstream_data(self, connection: UpstreamConnection, data: bytes, complete: bool) -> None:
        assert self.end == "waits", "nothing comes after the end"
        self.status = connection.status
        self.headers = connection.headers
        self.body += data
        if complete:
            self.end = "complete"

    def upstream_chunk(self, connection: UpstreamConnection, chunk: bytes, at: int) -> None:
        self.upstream_data(connection, chunk[at:-2], False)

    def upstream_lost(self, connection: UpstreamConnection, reason: str) -> None:
        assert self.end == "waits", "nothing comes after the end"
        self.end = "broken"
        self.reason = reason

    def upstream_late(self, connection: UpstreamConnection) -> None:
        raise AssertionError


class Provider:
    """A connection to a provider that carries one request. `outcome` is in the corpus' words."""

    def __init__(self) -> None:
        self.pool = UpstreamPool(Origin("provider", 80, False), Clock(), lambda: None)  # type: ignore[arg-type, return-value]
        self.transport = Transport()
        self.connection = UpstreamConnection(self.pool)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self.caller = Caller()
        self.connection.send(self.caller, b"request")

    def send(self, *pieces: bytes) -> "Provider":
        for piece in pieces:
            if not self.transport.closed:
                self.connection.data_received(piece)
        return self

    def again(self) -> "Provider":
        """The next request on the same connection."""
        assert self.reusable
        self.caller = Caller()
        self.connection.send(self.caller, b"request")
        return self

    def hang_up(self) -> "Provider":
        self.transport.closed = True
        self.connection.connection_lost(None)
        return self

    @property
    def reusable(self) -> bool:
        return self.pool.take() is self.connection

    @property
    def outcome(self) -> str:
        caller = self.caller
        gives = f"gives {caller.status} {caller.body.decode('latin-1')}".rstrip(" ")
        if caller.end == "complete":
            return gives + (", closes" if self.transport.closed else "")
        if caller.end == "broken":
            return f"{gives}, broken" if caller.body else "broken"
        return caller.end
