"""The escrows of a gateway process: acts on what `protocol.escrow` decides.

At most one lease per award is under way, so requests that come together share one question to the
database. Money nobody has used for a while goes back, and at once when another process asks for it, when
its award is withdrawn, or when this process ends.
"""

import asyncio
from collections.abc import Awaitable, Callable

from dure.gateway.app.leases import EscrowLink, Leases
from dure.gateway.protocol.escrow import (
    RECALL_SECONDS,
    RECALLED_SECONDS,
    WAIT_SECONDS,
    AwardEscrow,
    Shortage,
    Waiter,
)


class EscrowKeeper:
    def __init__(
        self,
        link: EscrowLink,
        loop: asyncio.AbstractEventLoop,
        *,
        idle_seconds: float,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.escrows: dict[str, AwardEscrow] = {}
        self.leases = Leases(link, loop)
        self._loop = loop
        self._idle_seconds = idle_seconds
        self._wait_seconds = wait_seconds
        self._waiting: set[AwardEscrow] = set()
        self._recalled: set[AwardEscrow] = set()

    def escrow(self, award: str) -> AwardEscrow:
        escrow = self.escrows.get(award)
        if escrow is None:
            escrow = self.escrows[award] = AwardEscrow(award)
        return escrow

    # For requests

    def try_hold(self, escrow: AwardEscrow, amount: int, now: float) -> bool:
        """Hold at once, if there is enough here and nobody waits."""
        escrow.used_at = now
        if not escrow.try_hold(amount):
            return False
        if escrow.free * 2 < escrow.slice:
            self._top_up(escrow, now)
        return True

    def wait(
        self,
        escrow: AwardEscrow,
        amount: int,
        *,
        granted: Callable[[], None],
        refused: Callable[[Shortage], None],
    ) -> Waiter:
        """Wait for a hold; one of the callbacks comes later, never from within this call."""
        now = self._loop.time()
        waiter = Waiter(
            amount, came_at=now, deadline=now + self._wait_seconds, granted=granted, refused=refused
        )
        if not escrow.waiters:
            # Until the database answers anew, what it said before (that it is away) does not count.
            escrow.database_away = False
        escrow.waiters.append(waiter)
        self._waiting.add(escrow)
        self._loop.call_soon(self._pump, escrow)
        return waiter

    def settle(self, escrow: AwardEscrow, hold: int, cost: int) -> tuple[int, int]:
        settlement = escrow.settle(hold, cost)
        if escrow.waiters:
            self._loop.call_soon(self._pump, escrow)
        elif escrow.gone or self.leases.retired:
            self._loop.call_soon(self._give_back, escrow)
        return settlement

    # Notices

    def recalled(self, award: str) -> None:
        """Another process needs this award's money."""
        escrow = self.escrows.get(award)
        if escrow is not None:
            escrow.recalled_until = self._loop.time() + RECALLED_SECONDS
            self._recalled.add(escrow)
            self._give_back(escrow)

    def withdrawn(self, award: str) -> None:
        """The award has ended: those who wait are refused, what is free goes back."""
        escrow = self.escrows.get(award)
        if escrow is not None:
            escrow.gone = True
            self._loop.call_soon(self._pump, escrow)
            self._give_back(escrow)

    def reopened(self, award: str) -> None:
        escrow = self.escrows.get(award)
        if escrow is not None:
            escrow.gone = False

    def credited(self, award: str, amount: int) -> None:
        """Money that was ours all along has turned up: a lease or a give-back whose outcome was unknown."""
        if self.leases.retired:
            return
        escrow = self.escrow(award)
        escrow.leased += amount
        escrow.free += amount
        self._loop.call_soon(self._pump, escrow)

    # The sweep, every tenth of a second

    def sweep(self) -> None:
        now = self._loop.time()
        for escrow in list(self._waiting):
            self._pump(escrow)
        for escrow in list(self._recalled):
            if now >= escrow.recalled_until:
                self._recalled.discard(escrow)
            elif not escrow.waiters:
                self._give_back(escrow)

    def sweep_idle(self) -> None:
        before = self._loop.time() - self._idle_seconds
        for award, escrow in list(self.escrows.items()):
            if escrow.used_at >= before or escrow.waiters or escrow.leasing:
                continue
            if escrow.free:
                self._give_back(escrow)
            elif not escrow.held:
                # Nothing is here any more; its sums are the ledger's to remember.
                del self.escrows[award]
                self._recalled.discard(escrow)

    def retire(self) -> None:
        """Nothing here is ours any more: nobody else is admitted, and nothing is given back."""
        self.leases.retired = True
        for escrow in self.escrows.values():
            escrow.take_free()
            escrow.database_away = True
            self._loop.call_soon(self._pump, escrow)

    def close(self, timeout_seconds: float) -> Awaitable[None]:
        """Give everything back that is free, and wait for the database to take it."""
        for escrow in self.escrows.values():
            escrow.gone = True
            self._give_back(escrow)
        return self.leases.finish(timeout_seconds)

    # Acting

    def _pump(self, escrow: AwardEscrow) -> None:
        """Do what can be done for those who wait."""
        while True:
            now = self._loop.time()
            step = escrow.next_step(now)
            match step.kind:
                case "idle":
                    self._waiting.discard(escrow)
                    return
                case "wait":
                    return
                case "lease":
                    self._lease(escrow, step.amount)
                    return
                case "recall":
                    escrow.recall_again_at = now + RECALL_SECONDS
                    self.leases.recall(escrow.award)
                case "admit":
                    assert step.waiter is not None
                    escrow.admit(step.waiter)
                    step.waiter.granted()
                case "refuse":
                    assert step.waiter is not None
                    escrow.waiters.popleft()
                    step.waiter.refused(escrow.shortage(step.waiter))

    def _top_up(self, escrow: AwardEscrow, now: float) -> None:
        if escrow.wants_top_up(now):
            self._lease(escrow, escrow.top_up_amount(now))

    def _lease(self, escrow: AwardEscrow, amount: int) -> None:
        self.leases.ask(escrow, amount, self.answered)

    def answered(self, escrow: AwardEscrow) -> None:
        """The database has said what can be leased, or that it cannot be reached."""
        self._pump(escrow)
        if escrow.gone:
            self._give_back(escrow)

    def _give_back(self, escrow: AwardEscrow) -> None:
        if escrow.free > 0:
            self.leases.give_back(escrow.award, escrow.take_free())
