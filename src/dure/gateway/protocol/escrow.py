"""One award's escrow in one gateway process: arithmetic and decisions, no clock and no database.

    free = leased − given back − spent − held

A request is admitted only while its hold fits in what is free, so the sum of what is spent never exceeds
what the database has moved into this process's escrow account. Requests that do not fit wait in line;
`next_step` says what to do for the first of them. Those in line are served in order, since a small
request that jumped ahead could keep a large one waiting until it is refused wrongly.

What is *left* of an award, as told to callers, is what the award's account had at the last lease, plus
what other processes held then, plus what is here. It is exact when this process is the only one.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

#: How long a request waits for money that is in other processes' escrow, in seconds.
WAIT_SECONDS = 2.0
#: A recall is repeated at most this often, in seconds.
RECALL_SECONDS = 0.5
#: After the database granted nothing, it is asked again after this long.
DRY_SECONDS = 0.1
#: A slice that lasts less than this is followed by a larger one.
BRISK_SECONDS = 1.0
#: After a recall notice, money that comes free here is returned at once for this long.
RECALLED_SECONDS = 2.0


class Waiter:
    """A request that waits for `hold` micro-won. One of its callbacks is called, unless it is cancelled."""

    __slots__ = ("came_at", "cancelled", "deadline", "granted", "hold", "refused")

    def __init__(
        self,
        hold: int,
        *,
        came_at: float,
        deadline: float,
        granted: Callable[[], None],
        refused: Callable[["Shortage"], None],
    ) -> None:
        self.hold = hold
        self.came_at = came_at
        self.deadline = deadline
        self.granted = granted
        self.refused = refused
        self.cancelled = False


class Shortage(NamedTuple):
    """Why a waiter was refused. `available` is what could have been held, in micro-won."""

    reason: Literal["insufficient", "database_away", "award_gone"]
    available: int


class Step(NamedTuple):
    """What to do next: admit or refuse `waiter`, lease `amount`, recall from other processes, or wait."""

    kind: Literal["admit", "refuse", "lease", "recall", "wait", "idle"]
    waiter: Waiter | None = None
    amount: int = 0


IDLE = Step("idle")
WAIT = Step("wait")
RECALL = Step("recall")


class AwardEscrow:
    """Times are the loop's seconds, money is micro-won."""

    __slots__ = (
        "answered_at",
        "award",
        "award_left",
        "database_away",
        "dry_until",
        "elsewhere",
        "free",
        "given_back",
        "gone",
        "held",
        "last_hold",
        "leased",
        "leased_at",
        "leasing",
        "recall_again_at",
        "recalled_until",
        "slice",
        "spent",
        "used_at",
        "waiters",
    )

    def __init__(self, award: str) -> None:
        self.award = award
        self.leased = 0
        self.given_back = 0
        self.spent = 0
        self.held = 0
        self.free = 0
        self.slice = 0
        self.award_left: int | None = None
        self.elsewhere = 0
        self.waiters: deque[Waiter] = deque()
        self.leasing = False
        self.database_away = False
        self.gone = False
        self.answered_at = float("-inf")
        self.dry_until = 0.0
        self.recall_again_at = 0.0
        self.recalled_until = 0.0
        self.last_hold = 0
        self.used_at = 0.0
        self.leased_at = 0.0

    @property
    def escrow(self) -> int:
        """What this process still has of the award."""
        return self.free + self.held

    @property
    def left(self) -> int:
        return (self.award_left or 0) + self.elsewhere + self.free + self.held

    @property
    def available(self) -> int:
        """What could be held at this moment, as far as is known here."""
        return (self.award_left or 0) + self.free

    def try_hold(self, amount: int) -> bool:
        if amount > self.free or self.waiters or self.gone:
            return False
        self.free -= amount
        self.held += amount
        self.last_hold = amount
        return True

    def settle(self, hold: int, cost: int) -> tuple[int, int]:
        """Release a hold, charge the cost from it, then from what is free; what was charged, and what stays uncovered."""
        self.held -= hold
        free = self.free + hold
        charged = min(free, cost)
        self.free = free - charged
        self.spent += charged
        return charged, cost - charged

    def lease_granted(self, granted: int, *, award_left: int, elsewhere: int, now: float) -> None:
        self.leased += granted
        self.free += granted
        self.award_left = award_left
        self.elsewhere = elsewhere
        self.database_away = False
        self.answered_at = now
        if granted:
            self.slice = granted
            self.leased_at = now
        else:
            self.dry_until = now + DRY_SECONDS

    def take_free(self) -> int:
        """Everything that is free leaves this escrow; the caller gives it back to the award."""
        amount, self.free = self.free, 0
        self.given_back += amount
        if self.award_left is not None:
            self.award_left += amount
        return amount

    def wants_top_up(self, now: float) -> bool:
        """Whether to lease ahead of need; not right after a recall, when it would be missed elsewhere."""
        return (
            self.free * 2 < self.slice
            and not self.leasing
            and not self.gone
            and (self.award_left or 0) > 0
            and now >= self.dry_until
            and now >= self.recalled_until
        )

    def top_up_amount(self, now: float) -> int:
        """What to ask for ahead of need: more when the last slice went quickly, up to an eighth of what is left."""
        amount = self.slice if now - self.leased_at < BRISK_SECONDS else self.last_hold
        return max(1, self.last_hold, min(amount, (self.award_left or 0) // 8))

    def next_step(self, now: float) -> Step:  # noqa: C901  (a decision table)
        """The next thing to do for those who wait. Call again after doing it, until it says wait or idle."""
        waiters = self.waiters
        while waiters and waiters[0].cancelled:
            waiters.popleft()
        if not waiters:
            return IDLE
        first = waiters[0]
        if self.gone:
            return Step("refuse", first)
        if first.hold <= self.free:
            return Step("admit", first)
        if now >= first.deadline:
            return Step("refuse", first)
        if self.leasing:
            return WAIT
        if self.database_away:
            return Step("refuse", first)
        if now >= self.dry_until:
            return Step("lease", first, self._amount_to_ask(first))
        if first.hold > self.left:
            return Step("refuse", first)
        if now >= self.recall_again_at and self.elsewhere > 0:
            return RECALL
        return WAIT

    def _amount_to_ask(self, first: Waiter) -> int:
        """What all who wait lack, as far as the award is known to have it; at least what the first lacks."""
        lacking = first.hold - self.free
        together = sum(waiter.hold for waiter in self.waiters if not waiter.cancelled) - self.free
        if self.award_left is None:
            return lacking
        return max(lacking, min(together, self.award_left))

    def admit(self, waiter: Waiter) -> None:
        """The first in line gets its hold."""
        self.waiters.popleft()
        self.free -= waiter.hold
        self.held += waiter.hold
        self.last_hold = waiter.hold

    def shortage(self, waiter: Waiter) -> Shortage:
        """Why `waiter` goes without. The database counts as away only if it has told this waiter nothing: one
        that keeps answering "nothing more" is usually being asked again just when the time is up."""
        if self.gone:
            return Shortage("award_gone", 0)
        unanswered = self.database_away or (
            self.leasing and (self.answered_at < waiter.came_at or waiter.hold <= self.available)
        )
        return Shortage("database_away" if unanswered else "insufficient", self.available)
