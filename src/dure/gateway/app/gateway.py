"""What all requests of a worker share: the directory, the money, the journal, the ways to providers."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol
from uuid import UUID

from dure.contracts.directory import DeploymentEntry, DirectoryEntry, Endpoint, ModelEntry
from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.app.limits import LimitsKeeper
from dure.gateway.app.metrics import Metrics
from dure.gateway.io.credentials import CredentialMissing, resolve
from dure.gateway.io.upstream import UpstreamPool, UpstreamPools, origin_of
from dure.gateway.protocol.directory import Directory
from dure.gateway.protocol.endpoints import ENDPOINTS
from dure.gateway.protocol.http1 import upstream_head_start
from dure.gateway.protocol.journal import RequestId
from dure.gateway.protocol.routing import DeploymentState, choose

logger = logging.getLogger(__name__)


_VERSION_7 = 7 << 76
_VARIANT = 2 << 62
#: The bits of a UUIDv7 that are neither time nor version nor variant.
_CHANCE = ((1 << 12) - 1) << 64 | (1 << 62) - 1


class Journal(Protocol):
    """`io.journal.JournalWriter`, as far as requests need it."""

    healthy: bool

    def next_sequence(self) -> int: ...

    def append(self, frame: bytes) -> None: ...

    def after_write(
        self, callback: Callable[[], None], refused: Callable[[], None] | None = None
    ) -> None: ...


class Route:
    """A deployment made ready for use. `unusable` says why it is not; `heads` has the endpoints of its dialect."""

    __slots__ = (
        "connect_seconds",
        "deployment",
        "first_byte_seconds",
        "heads",
        "idle_seconds",
        "pool",
        "provider",
        "state",
        "unusable",
        "uuid",
    )

    def __init__(self, deployment: DeploymentEntry, pools: UpstreamPools, state: DeploymentState) -> None:
        self.deployment = deployment
        self.state = state
        self.uuid = UUID(deployment.id)
        self.provider = UUID(deployment.provider)
        self.connect_seconds = deployment.connect_timeout_ms / 1000
        self.first_byte_seconds = deployment.first_byte_timeout_ms / 1000
        self.idle_seconds = deployment.idle_timeout_ms / 1000
        self.heads: dict[Endpoint, bytes] = {}
        self.unusable = ""
        self.pool: UpstreamPool | None = None
        try:
            origin, prefix = origin_of(deployment.base_url)
            credential = resolve(deployment.credential)
        except (ValueError, CredentialMissing) as error:
            self.unusable = str(error)
            logger.error("deployment %s cannot be used: %s", deployment.id, error)
            return
        self.pool = pools.pool(origin)
        dialect = deployment.dialect
        for name, endpoint in ENDPOINTS.items():
            if dialect in endpoint.dialects:
                self.heads[name] = upstream_head_start(
                    host=origin.authority, path=prefix + endpoint.path, credential=credential, dialect=dialect
                )


class Gateway:
    """Shared by every request of one worker. `wall_us` is UTC in microseconds, `now` the loop's seconds."""

    def __init__(
        self,
        *,
        config: WorkerConfig,
        loop: asyncio.AbstractEventLoop,
        directory: Directory,
        keeper: EscrowKeeper,
        limits: LimitsKeeper,
        journal: Journal,
        pools: UpstreamPools,
        process_id: UUID,
    ) -> None:
        self.config = config
        self.loop = loop
        self.now: Callable[[], float] = loop.time
        self.directory = directory
        self.keeper = keeper
        self.limits = limits
        self.journal = journal
        self.pools = pools
        self.process_id = process_id
        self.metrics = Metrics()
        self.open_requests = 0
        self.open_streams = 0
        self.loaded = False
        self.directory_age: Callable[[], float | None] = lambda: None
        self.database_connected: Callable[[], bool] = lambda: True
        self.date = b""
        self._routes: dict[str, Route] = {}
        self._states: dict[str, DeploymentState] = {}
        self._random = b""
        self._random_at = 0
        self.tick()
        directory.listeners.append(limits.changed)
        directory.listeners.append(self._directory_changed)

    @staticmethod
    def wall_us() -> int:
        return time.time_ns() // 1000

    def tick(self) -> None:
        """A few times a second: what need not be computed for every request."""
        self.date = formatdate(usegmt=True).encode()

    def new_request_id(self) -> RequestId:
        """A UUIDv7 (RFC 9562 §5.7), from random bytes that are fetched for many at once."""
        at = self._random_at
        if at == len(self._random):
            self._random, at = os.urandom(10 * 256), 0
        self._random_at = at + 10
        chance = int.from_bytes(self._random[at : at + 10], "big") & _CHANCE
        number = time.time_ns() // 1_000_000 << 80 | _VERSION_7 | _VARIANT | chance
        raw = number.to_bytes(16, "big")
        text = raw.hex()
        return RequestId(raw, f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode())

    def state_of(self, deployment_id: str) -> DeploymentState:
        state = self._states.get(deployment_id)
        if state is None:
            state = self._states[deployment_id] = DeploymentState()
        return state

    def route_for(self, model: ModelEntry, tried: list[str], endpoint: Endpoint) -> Route | None:
        """A usable deployment that was not tried yet. Those that cannot serve are added to `tried`."""
        candidates = self.directory.deployments_of(model.id)
        while True:
            entry = choose(candidates, self.state_of, tried=tried, now=self.now(), chance=random.random)
            if entry is None:
                return None
            route = self._routes.get(entry.id)
            if route is None or route.deployment is not entry:
                route = self._routes[entry.id] = Route(entry, self.pools, self.state_of(entry.id))
            if endpoint in route.heads:
                return route
            tried.append(entry.id)

    def forget_route(self, deployment_id: str) -> None:
        """Make the route anew for the next call, with the credential as it is then."""
        self._routes.pop(deployment_id, None)

    def retry_unusable(self) -> None:
        """Look again for credentials that were missing."""
        for entry_id, route in list(self._routes.items()):
            if route.unusable:
                del self._routes[entry_id]

    def _directory_changed(self, kind: str, entry_id: str, entry: DirectoryEntry | None) -> None:
        if kind == "award":
            if entry is None:
                self.keeper.withdrawn(entry_id)
            else:
                self.keeper.reopened(entry_id)
        elif kind == "deployment":
            self._routes.pop(entry_id, None)
            if entry is None:
                self._states.pop(entry_id, None)
