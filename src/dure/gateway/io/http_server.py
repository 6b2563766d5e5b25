"""Listens for clients, and keeps track of their connections (`io.clients`)."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from weakref import WeakSet

from dure.gateway.io.clients import ClientConnection, Service
from dure.gateway.io.server_limits import ServerLimits

TLS_HANDSHAKE_SECONDS = 10.0
LOOK_FOR_IDLE_SECONDS = 0.1
#: How long a client that was accepted just before the end may take for its handshake.
ARRIVING_SECONDS = 2.0
BACKLOG = 4096
#: Descriptors that are not connections: journal, database, logs, what the runtime opens.
_OTHER_DESCRIPTORS = 64


class Arrival:
    """Held by a connection, and watched in its place."""

    __slots__ = ("__weakref__",)


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
        self._arriving: WeakSet[Arrival] = WeakSet()
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
        arrival = Arrival()
        self._arriving.add(arrival)
        return ClientConnection(self, arrival)

    @property
    def count(self) -> int:
        return len(self.connections)

    def arrived(self, connection: ClientConnection) -> None:
        if isinstance(connection.arrival, Arrival):
            self._arriving.discard(connection.arrival)
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
