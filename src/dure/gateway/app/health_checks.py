"""Asking deployments that rest whether they are well again: `GET` of their `health_path`, every few seconds.

A 2xx closes the breaker, so that no caller's request has to be the one that finds out. A rest that the provider asked
for (`Retry-After`) is kept to its end first.
"""

import asyncio
import logging
from collections.abc import Callable

from dure.gateway.app.gateway import Gateway, Route
from dure.gateway.io.upstream import UpstreamConnection

logger = logging.getLogger(__name__)

LONGEST_ANSWER_SECONDS = 10.0


class _Question:
    """One GET: a user of a connection, whose `answer` is the status, or 0 for none."""

    def __init__(self, route: Route, loop: asyncio.AbstractEventLoop) -> None:
        self.deadline = 0.0
        self.answer: asyncio.Future[int] = loop.create_future()
        self._route = route
        self._loop = loop

    def upstream_ready(self, connection: UpstreamConnection) -> None:
        patience = min(self._route.first_byte_seconds, LONGEST_ANSWER_SECONDS)
        self.deadline = self._loop.time() + patience
        connection.send(self, self._route.health_request)

    def upstream_unreachable(self, reason: str) -> None:
        self._answered(0)

    def upstream_data(self, connection: UpstreamConnection, data: bytes, complete: bool) -> None:
        if not complete:
            connection.cancel()  # the status is all that is asked for
        self._answered(connection.status)

    def upstream_chunk(self, connection: UpstreamConnection, chunk: bytes, at: int) -> None:
        """What the answer says does not matter."""

    def upstream_lost(self, connection: UpstreamConnection, reason: str) -> None:
        self._answered(0)

    def upstream_late(self, connection: UpstreamConnection) -> None:
        connection.cancel()
        self._answered(0)

    def _answered(self, status: int) -> None:
        if not self.answer.done():
            self.answer.set_result(status)


class HealthChecks:
    """Watches deployments from the moment their breaker opens until it is closed, one task for each."""

    def __init__(self, gateway: Gateway, *, interval_seconds: float) -> None:
        self._gateway = gateway
        self._interval_seconds = interval_seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}
        gateway.watch_health = self.watch

    def watch(self, deployment_id: str) -> None:
        if deployment_id not in self._tasks:
            task = self._gateway.loop.create_task(self._watch(deployment_id))
            self._tasks[deployment_id] = task
            task.add_done_callback(self._ended(deployment_id))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _ended(self, deployment_id: str) -> Callable[[asyncio.Task[None]], None]:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.pop(deployment_id, None)
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("the health check of deployment %s failed", deployment_id, exc_info=error)

        return ended

    async def _watch(self, deployment_id: str) -> None:
        gateway = self._gateway
        while True:
            await asyncio.sleep(self._interval_seconds)
            # The directory may have changed it meanwhile, or taken it away.
            route = gateway.route(deployment_id)
            if route is None or not route.health_request or not route.state.resting_until:
                return
            state = route.state
            if state.waits_as_asked and gateway.now() < state.resting_until:
                continue
            if await self._is_well(route) and state.resting_until:
                gateway.recovered(route)
                return

    async def _is_well(self, route: Route) -> bool:
        if route.pool is None:
            return False
        question = _Question(route, self._gateway.loop)
        route.pool.connect(question, route.connect_seconds)
        return 200 <= await question.answer < 300
