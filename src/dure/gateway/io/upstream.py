"""Connections to providers: a pool for each origin, one answer at a time on each connection.

A connection is used again when its answer ended cleanly. The provider may close it at the very moment we
send; since nothing has come back then, the request goes out once more on a fresh connection. Deadlines are
checked by a sweep, not by a timer per request.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from dure.gateway.io.connecting import Origin, open_connection
from dure.gateway.io.tls import client_context
from dure.gateway.protocol.http_answer import AnswerReader

__all__ = ["Origin", "UpstreamConnection", "UpstreamPool", "UpstreamPools", "User", "origin_of"]

IDLE_SECONDS = 30.0
MAX_IDLE = 1024


def origin_of(base_url: str) -> tuple[Origin, str]:
    """The origin and the path prefix of a deployment's `base_url`. `ValueError` for one that is unusable."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not an http(s) address: {base_url!r}")
    tls = parts.scheme == "https"
    return Origin(parts.hostname, parts.port or (443 if tls else 80), tls), parts.path.rstrip("/")


class User(Protocol):
    """A request that uses a connection. `deadline` is in the loop's seconds."""

    deadline: float

    def upstream_ready(self, connection: "UpstreamConnection") -> None: ...

    def upstream_unreachable(self, reason: str) -> None: ...

    def upstream_data(self, connection: "UpstreamConnection", data: bytes, complete: bool) -> None:
        """Bytes of the answer's body (possibly none: its head has come)."""

    def upstream_chunk(self, connection: "UpstreamConnection", chunk: bytes, at: int) -> None:
        """The same, not the first of the answer, and one chunk as it came: the body's bytes are `chunk[at:-2]`."""

    def upstream_lost(self, connection: "UpstreamConnection", reason: str) -> None:
        """The connection ended or made no sense before the answer was complete."""

    def upstream_late(self, connection: "UpstreamConnection") -> None:
        """The deadline passed."""


class UpstreamConnection(asyncio.Protocol):
    """`answered`: whether any byte came back for this request; `reused`: whether it is not the first here. `status` and
    `headers` are those of the answer, once its head has come."""

    __slots__ = (
        "_paused",
        "_pool",
        "_reader",
        "answered",
        "closed",
        "headers",
        "idle_since",
        "reused",
        "status",
        "transport",
        "user",
    )

    transport: asyncio.Transport

    def __init__(self, pool: "UpstreamPool") -> None:
        self._pool = pool
        self._reader = AnswerReader()
        self._paused = False
        self.user: User | None = None
        self.reused = False
        self.answered = False
        self.closed = False
        self.idle_since = 0.0
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    # The user's side

    @property
    def framed(self) -> bool:
        """Whether the answer's end can be told from the connection's."""
        return self._reader.framed

    def send(self, user: User, data: bytes) -> None:
        self.user = user
        self.answered = False
        if self._reader.head_done:
            self._reader.restart()
        self._pool.active.add(self)
        self.transport.write(data)

    def pause(self) -> None:
        if not self._paused and not self.closed:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._paused and not self.closed:
            self._paused = False
            self.transport.resume_reading()

    def hand_in(self) -> None:
        """Not needed after all: for whoever comes next."""
        self._pool.give_back(self)

    def cancel(self) -> None:
        """Give up the answer; the provider sees the connection close."""
        self.user = None
        self._pool.active.discard(self)
        self.closed = True
        self.transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._pool.forget(self)
        user, self.user = self.user, None
        if user is None:
            return
        if exc is None and self._reader.end():
            user.upstream_data(self, b"", True)
        else:
            user.upstream_lost(self, str(exc) if exc else "the connection was closed")

    def data_received(self, data: bytes) -> None:
        user = self.user
        if user is None:
            # Nothing was asked, so nothing that comes can be an answer.
            self.transport.abort()
            return
        reader = self._reader
        if not self.answered:
            self.answered = True
            whole = reader.whole(data)
            if whole is not None and (like := reader.like) is not None:
                # The usual answer of a provider that is asked again and again.
                self.status = like.status
                self.headers = like.headers
                self._release(reusable=True)
                user.upstream_data(self, whole, True)
                return
        elif at := reader.one_chunk(data):
            user.upstream_chunk(self, data, at)
            return
        body = reader.feed(data)
        self.status = reader.status
        self.headers = reader.headers
        if reader.broken:
            if body:
                user.upstream_data(self, body, False)
            if self.user is user:
                self._break(user, f"its answer is not well-formed HTTP: {reader.broken}")
            return
        if reader.complete:
            self._release(reusable=reader.reusable)
            user.upstream_data(self, body, True)
        elif reader.head_done:
            user.upstream_data(self, body, False)

    def _break(self, user: User, reason: str) -> None:
        self.cancel()
        user.upstream_lost(self, reason)

    def _release(self, *, reusable: bool) -> None:
        """The answer is complete."""
        self.user = None
        if self._paused:
            self.resume()
        if not reusable and not self.closed:
            self.closed = True
            self.transport.close()
        self.reused = True
        self._pool.give_back(self)


class UpstreamPool:
    """Connections to one origin. `active` have a request under way."""

    def __init__(
        self, origin: Origin, loop: asyncio.AbstractEventLoop, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        self.origin = origin
        self.active: set[UpstreamConnection] = set()
        self._idle: list[UpstreamConnection] = []
        self._loop = loop
        self._tls = tls
        self._connecting: set[asyncio.Task[None]] = set()

    def take(self) -> UpstreamConnection | None:
        """An idle connection, the one used last: it is the likeliest to be alive."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and not connection.transport.is_closing():
                return connection
        return None

    def connect(self, user: User, timeout_seconds: float) -> None:
        """A fresh connection, later, through `user.upstream_ready` or `user.upstream_unreachable`."""
        opened = partial(UpstreamConnection, self)
        task = self._loop.create_task(
            open_connection(self._loop, self.origin, self._tls, opened, user, timeout_seconds)
        )
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def give_back(self, connection: UpstreamConnection) -> None:
        """A connection without a request, for the next one."""
        self.active.discard(connection)
        if connection.closed:
            return
        if len(self._idle) >= MAX_IDLE:
            connection.closed = True
            connection.transport.close()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        self.active.discard(connection)
        if connection.user is None:
            try:
                self._idle.remove(connection)
            except ValueError:
                pass

    def sweep(self, now: float) -> None:
        for connection in list(self.active):
            user = connection.user
            if user is not None and user.deadline <= now:
                user.upstream_late(connection)
        idle = self._idle
        if idle and now - idle[0].idle_since > IDLE_SECONDS:
            kept = [connection for connection in idle if now - connection.idle_since <= IDLE_SECONDS]
            for connection in idle[: len(idle) - len(kept)]:
                connection.closed = True
                connection.transport.close()
            self._idle = kept

    def close(self) -> None:
        for task in self._connecting:
            task.cancel()
        for connection in [*self._idle, *self.active]:
            connection.closed = True
            connection.transport.abort()
        self._idle.clear()


class UpstreamPools:
    """All pools of a process, made when first needed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        ca_file: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        self._loop = loop
        self._make_context = partial(client_context, ca_file=ca_file, certificate=certificate, key=key)
        self._pools: dict[Origin, UpstreamPool] = {}
        self._context: ssl.SSLContext | None = None

    def pool(self, origin: Origin) -> UpstreamPool:
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = UpstreamPool(origin, self._loop, self._tls_context)
        return pool

    def _tls_context(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = self._make_context()
        return self._context

    def sweep(self) -> None:
        now = self._loop.time()
        # A call that is late may go elsewhere, and so make another pool.
        for pool in list(self._pools.values()):
            pool.sweep(now)

    def reload(self) -> None:
        """Read the files for TLS again for connections from now on; `TlsUnusable` leaves things as they were."""
        if self._context is not None:
            self._context = self._make_context()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
