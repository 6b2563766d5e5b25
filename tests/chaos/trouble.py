"""What goes wrong, and when: a plan drawn from the seed, and the hands that carry it out.

Journals on a full disk and a killed worker do not come together: what a worker could not write is lost with
it, which docs/journal.md says and which is no promise to check.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos.line import Line
    from chaos.site import Disk, Money, Node, Server

CLOCK_STEPS_SECONDS = (-90_000, -3_700, -5, 5, 3_700, 90_000, 40 * 86_400, 100 * 86_400)

WEIGHTS = {
    "kill_worker": 6,
    "kill_both_workers": 2,
    "kill_worker_and_shipper": 3,
    "kill_shipper_and_postgres": 2,
    "kill_all": 2,
    "kill_shipper": 3,
    "kill_shipper_mid_batch": 5,
    "kill_node": 3,
    "restart_node": 2,
    "kill_postgres": 5,
    "kill_backend": 3,
    "freeze_postgres": 2,
    "lose_answers": 4,
    "pause_worker": 3,
    "pause_shipper": 2,
    "full_disk": 4,
    "step_clock": 3,
    "withdraw_award": 2,
}
_WORKERS_DIE = {
    "kill_worker", "kill_both_workers", "kill_worker_and_shipper", "kill_all", "kill_node", "restart_node"
}  # fmt: skip

Step = tuple[float, str]


def draw_plan(seed: str, seconds: float, only: Collection[str] = ()) -> list[Step]:
    """Moments within the cycle and what happens then; `only` these things, if any are named."""
    chance = random.Random(seed)
    names = [name for name in WEIGHTS if not only or name in only]
    weights = [WEIGHTS[name] for name in names]
    drawn = set(chance.choices(names, weights, k=chance.choice((1, 1, 2, 2, 3))))
    if "full_disk" in drawn:
        drawn -= _WORKERS_DIE
    if "restart_node" in drawn:
        drawn -= {"kill_node", "kill_all"}
    return sorted((chance.uniform(0.15, 0.85) * seconds, name) for name in sorted(drawn))


class Trouble:
    """Carries out steps; every one of them ends with things as they were. Counts what it did."""

    def __init__(
        self,
        *,
        seed: str,
        server: Server,
        node: Node,
        disk: Disk,
        money: Money,
        line: Line,
        clock: Callable[[float], bool],
    ) -> None:
        self.done: list[str] = []
        self._chance = random.Random(seed)
        self._server = server
        self._node = node
        self._disk = disk
        self._money = money
        self._line = line
        self._clock = clock

    async def carry_out(self, plan: list[Step], until: Callable[[], bool]) -> None:
        began = asyncio.get_running_loop().time()
        for at, name in plan:
            await asyncio.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
            if until():
                return
            act: Callable[[], Awaitable[bool]] = getattr(self, f"_{name}")
            if await act():
                self.done.append(name)

    async def _kill_worker(self, count: int = 1) -> bool:
        workers = self._node.workers()
        self._chance.shuffle(workers)
        for pid in workers[:count]:
            self._node.kill_child(pid)
        return bool(workers)

    async def _kill_both_workers(self) -> bool:
        return await self._kill_worker(2)

    async def _kill_worker_and_shipper(self) -> bool:
        """The shipper dies while it settles what the worker left."""
        found = await self._kill_worker()
        await asyncio.sleep(self._chance.uniform(0.02, 0.3))
        await self._kill_shipper()
        await asyncio.sleep(self._chance.uniform(0.1, 0.4))
        return await self._kill_shipper() or found

    async def _kill_shipper_and_postgres(self) -> bool:
        """A batch may have been posted, and nobody is left who knows."""
        await self._kill_shipper()
        return await self._kill_postgres()

    async def _kill_all(self) -> bool:
        """The whole node at once, as when a container is killed."""
        self._node.kill_all()
        await asyncio.to_thread(self._node.start_again)
        return True

    async def _kill_shipper(self) -> bool:
        shippers = self._node.shippers()
        for pid in shippers:
            self._node.kill_child(pid)
        return bool(shippers)

    async def _kill_shipper_mid_batch(self) -> bool:
        """Let work pile up before it, and kill it in the middle of that."""
        shippers = self._node.shippers()
        for pid in shippers:
            self._node.pause(pid)
        await asyncio.sleep(self._chance.uniform(0.3, 0.8))
        for pid in shippers:
            self._node.resume(pid)
        await asyncio.sleep(self._chance.uniform(0.001, 0.04))
        return await self._kill_shipper()

    async def _kill_node(self) -> bool:
        self._node.kill()
        if self._chance.random() < 0.5:
            self._node.start(overlap=True)
        else:
            await asyncio.to_thread(self._node.start_again)
        return True

    async def _restart_node(self) -> bool:
        """The orderly restart, with or without a gap."""
        if self._chance.random() < 0.5:
            self._node.hand_over()
        else:
            await asyncio.to_thread(self._node.stop)
            self._node.start()
        return True

    async def _kill_postgres(self) -> bool:
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(self._chance.choice((0.0, 0.2, 1.0)))
        await asyncio.to_thread(self._server.start)
        await asyncio.to_thread(self._money.reconnect)
        return True

    async def _kill_backend(self) -> bool:
        """One server process dies, and PostgreSQL throws everybody out and recovers."""
        backends = self._server.backends("dure_gateway")
        if not backends:
            return False
        self._server.kill_backend(self._chance.choice(backends))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(self._server.wait_until_ready)
        await asyncio.to_thread(self._money.reconnect)
        return True

    async def _freeze_postgres(self) -> bool:
        """Silence: the connections stand and nobody answers, sometimes beyond the calls' time limit."""
        self._server.freeze()
        await asyncio.sleep(self._chance.choice((0.3, 0.8, 3.3)))
        self._server.thaw()
        return True

    async def _lose_answers(self) -> bool:
        await self._line.lose_answers(
            self._chance.choice((0.01, 0.05, 0.3, 1.0)), self._chance.choice((0.0, 0.1, 0.6))
        )
        return True

    async def _pause_worker(self) -> bool:
        return await self._pause(self._node.workers())

    async def _pause_shipper(self) -> bool:
        return await self._pause(self._node.shippers())

    async def _pause(self, pids: list[int]) -> bool:
        if not pids:
            return False
        pid = self._chance.choice(pids)
        self._node.pause(pid)
        await asyncio.sleep(self._chance.uniform(0.2, 1.2))
        self._node.resume(pid)
        return True

    async def _full_disk(self) -> bool:
        if not self._disk.mounted:
            return False
        try:
            await asyncio.to_thread(self._disk.fill)
            await asyncio.sleep(self._chance.uniform(0.3, 1.2))
        finally:
            self._disk.free()
        return True

    async def _step_clock(self) -> bool:
        return self._clock(self._chance.choice(CLOCK_STEPS_SECONDS))

    async def _withdraw_award(self) -> bool:
        award = self._chance.choice(list(self._money.granted))
        await asyncio.to_thread(self._money.withdraw, award)
        await asyncio.sleep(self._chance.uniform(0.1, 0.6))
        await asyncio.to_thread(self._money.reopen, award)
        return True
