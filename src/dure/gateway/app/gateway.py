"""What all requests of a worker share: the directory, the money, the journal, the ways to providers."""

import asyncio
import logging
import os
import random
import time
from binascii import hexlify
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol
from uuid import UUID

from dure.contracts.directory import DeploymentEntry, DirectoryEntry, Endpoint, ModelEntry
from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.ended import Observer
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.app.health import DeploymentHealth, HealthBook
from dure.gateway.app.limits import LimitsKeeper
from dure.gateway.app.metrics import Metrics
from dure.gateway.app.waiting import WaitingRoom
from dure.gateway.io.credentials import CredentialMissing, resolve
from dure.gateway.io.upstream import UpstreamPool, UpstreamPools, origin_of
from dure.gateway.protocol.directory import Directory
from dure.gateway.protocol.endpoints import ENDPOINTS
from dure.gateway.protocol.frames import RequestId
from dure.gateway.protocol.http1 import upstream_head_start
from dure.gateway.protocol.routing import DeploymentState, RetryBudget, choose, share_of

logger = logging.getLogger(__name__)


_time_ns = time.time_ns
_VERSION_7 = 7 << 76
_VARIANT = 2 << 62
#: The bits of a UUIDv7 that are neither time nor version nor variant.
_CHANCE = ((1 << 12) - 1) << 64 | (1 << 62) - 1


class Journal(Protocol):
    """`io.journal.JournalWriter`, as far as requests need it."""

    healthy: bool
    next_sequence: int

    def append(
        self,
        frame: bytes,
        written: Callable[[], None] | None = None,
        refused: Callable[[], None] | None = None,
    ) -> None: ...

    def after_write(
        self, callback: Callable[[], None], refused: Callable[[], None] | None = None
    ) -> None: ...


class Route:
    """A deployment made ready for use. `unusable` says why it is not; `heads` has the endpoints of its dialect."""

    __slots__ = (
        "budget",
        "connect_seconds",
        "deployment",
        "first_byte_seconds",
        "heads",
        "health",
        "health_request",
        "idle_seconds",
        "pool",
        "provider",
        "state",
        "unusable",
        "uuid",
    )

    def __init__(
        self,
        deployment: DeploymentEntry,
        pools: UpstreamPools,
        state: DeploymentState,
        budget: RetryBudget,
        health: DeploymentHealth,
    ) -> None:
        self.deployment = deployment
        self.state = state
        self.budget = budget
        self.health = health
        self.uuid = UUID(deployment.id)
        self.provider = UUID(deployment.provider)
        self.connect_seconds = deployment.connect_timeout_ms / 1000
        self.first_byte_seconds = deployment.first_byte_timeout_ms / 1000
        self.idle_seconds = deployment.idle_timeout_ms / 1000
        self.heads: dict[Endpoint, bytes] = {}
        self.health_request = b""
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
        if deployment.health_path:
            self.health_request = b"%b\r\n" % upstream_head_start(
                method="GET",
                host=origin.authority,
                path=prefix + deployment.health_path,
                credential=credential,
                dialect=dialect,
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
        self.health = HealthBook()
        self.observer: Observer | None = None
        self.open_requests = 0
        self.open_streams = 0
        self.loaded = False
        self.directory_age: Callable[[], float | None] = lambda: None
        self.database_connected: Callable[[], bool] = lambda: True
        self.date = b""
        self._routes: dict[str, Route] = {}
        # By model, the route to its one deployment, where it has no other.
        self._only: dict[str, Route] = {}
        self.states: dict[str, DeploymentState] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._share = (1, 0)
        self.waiting = WaitingRoom(loop, directory, self.state_of, self.metrics)
        #: Told of each deployment whose breaker opens and that can be asked whether it is well.
        self.watch_health: Callable[[str], None] = lambda _deployment_id: None
        self._chances: list[int] = []
        self.tick()
        directory.listeners.append(limits.changed)
        directory.listeners.append(self._directory_changed)

    @staticmethod
    def wall_us() -> int:
        return time.time_ns() // 1000

    def tick(self) -> None:
        """A few times a second: what need not be computed for every request."""
        self.date = formatdate(usegmt=True).encode()
        self.health.tick(self.now())

    def new_request_id(self) -> RequestId:
        """A UUIDv7 (RFC 9562 §5.7), from random bytes that are fetched for many at once."""
        if not self._chances:
            random_bytes = os.urandom(10 * 256)
            self._chances = [
                int.from_bytes(random_bytes[at : at + 10]) & _CHANCE | _VERSION_7 | _VARIANT
                for at in range(0, len(random_bytes), 10)
            ]
        raw = (_time_ns() // 1_000_000 << 80 | self._chances.pop()).to_bytes(16)
        text = hexlify(raw)
        return RequestId(raw, b"%b-%b-%b-%b-%b" % (text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    # Routes

    def state_of(self, deployment_id: str) -> DeploymentState:
        state = self.states.get(deployment_id)
        if state is None:
            state = self.states[deployment_id] = DeploymentState()
            state.limit = self._limit_of(deployment_id)
        return state

    def route_for(self, model: ModelEntry, tried: list[str], endpoint: Endpoint) -> Route | None:
        """A usable deployment that was not tried yet. Those that cannot serve are added to `tried`."""
        only = self._only.get(model.id)
        if only is not None and not tried and endpoint in only.heads:
            # The usual case, in a hurry: nothing to choose, no limit, no rest.
            state = only.state
            if not state.resting_until and state.limit is None:
                return only
        candidates = self.directory.deployments_of(model.id)
        while True:
            entry = choose(candidates, self.state_of, tried=tried, now=self.now(), chance=random.random)
            if entry is None:
                return None
            route = self._routes.get(entry.id)
            if route is None or route.deployment is not entry:
                route = self._new_route(entry)
            if endpoint in route.heads:
                if len(candidates) == 1:
                    self._only[model.id] = route
                return route
            tried.append(entry.id)

    def route(self, deployment_id: str) -> Route | None:
        """The route to a deployment as the directory has it now; None where it is gone or cannot be used."""
        entry = self.directory.deployments.get(deployment_id)
        if entry is None:
            return None
        route = self._routes.get(deployment_id)
        if route is None or route.deployment is not entry:
            route = self._new_route(entry)
        return None if route.unusable else route

    def _new_route(self, entry: DeploymentEntry) -> Route:
        budget = self._budgets.get(entry.model)
        if budget is None:
            budget = self._budgets[entry.model] = RetryBudget()
        route = self._routes[entry.id] = Route(
            entry, self.pools, self.state_of(entry.id), budget, self.health.of(entry.id)
        )
        return route

    def failed(self, route: Route, taken_at: float, *, asked_rest_seconds: float = 0.0) -> None:
        """A call that was given to a deployment at `taken_at` failed there, or was sent away for a while."""
        deployment = route.deployment
        if asked_rest_seconds:
            opened = not route.state.resting_until
            route.state.asked_to_rest(self.now(), asked_rest_seconds)
        else:
            opened = route.state.failed(self.now(), taken_at)
        if opened:
            self.metrics.breaker_openings.add(1, deployment.id)
            logger.warning(
                "deployment %s rests for %.1f s", deployment.id, route.state.resting_until - self.now()
            )
            if route.health_request:
                self.watch_health(deployment.id)
        self.waiting.freed(deployment.model)

    def recovered(self, route: Route) -> None:
        """A deployment that rested answers again."""
        route.state.close()
        logger.info("deployment %s answers again", route.deployment.id)
        self.waiting.freed(route.deployment.model)

    def limits_concurrency(self) -> bool:
        return any(entry.max_concurrency is not None for entry in self.directory.deployments.values())

    def take_share(self, processes: int, place: int) -> None:
        """This is number `place` (from 0) of so many processes that keep the deployments' limits together."""
        if (processes, place) != self._share:
            self._share = (processes, place)
            for deployment_id, state in self.states.items():
                state.limit = self._limit_of(deployment_id)
            for model_id in list(self.waiting.lines):
                self.waiting.freed(model_id)

    def _limit_of(self, deployment_id: str) -> int | None:
        entry = self.directory.deployments.get(deployment_id)
        if entry is None or entry.max_concurrency is None:
            return None
        return share_of(entry.max_concurrency, *self._share)

    def forget_route(self, deployment_id: str) -> None:
        """Make the route anew for the next call, with the credential as it is then."""
        self._routes.pop(deployment_id, None)
        self._only.clear()

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
            self._deployment_changed(entry_id, entry)
        elif kind == "model" and entry is None:
            self._budgets.pop(entry_id, None)

    def _deployment_changed(self, entry_id: str, entry: DirectoryEntry | None) -> None:
        before = self._routes.pop(entry_id, None)
        self._only.clear()
        state = self.states.get(entry_id)
        if state is not None and not isinstance(entry, DeploymentEntry):
            # Calls under way there are counted on: the deployment may come back before they end.
            if not state.outstanding:
                del self.states[entry_id]
            self.health.forget(entry_id)
        elif state is not None and isinstance(entry, DeploymentEntry):
            state.limit = self._limit_of(entry_id)
            if before is not None and before.deployment.base_url != entry.base_url:
                state.close()  # what failed was another place
        model_id = entry.model if isinstance(entry, DeploymentEntry) else ""
        for known in {model_id, before.deployment.model if before is not None else model_id}:
            self.waiting.freed(known)
