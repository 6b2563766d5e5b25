"""Requests and tokens per minute: one limit in one gateway process, arithmetic and decisions without a clock.

A minute is one of the database's clock, and what is admitted in it over all processes together never exceeds the
limit. Each process is *allotted* parts of it, as with escrow, and admits from what it has. Allotments end with
their minute. The end is taken from when the database was asked, so it is never later here than there.

    free = allotted − returned − admitted + unused

Slices are small where little is left, so that what lies idle in other processes is at most about a sixteenth of
the limit; what nobody has used for a while, and unused tokens beyond a slice, go back to the minute.

While the database is away a process admits its equal share of each minute, by the number of processes it last
heard of, and at least one.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

from dure.contracts.directory import AwardEntry, KeyEntry
from dure.gateway.protocol.networks import Network

MINUTE_SECONDS = 60.0
#: When the database has said that too little is left, it is asked again after this long.
ASK_AGAIN_SECONDS = 0.25
#: What nobody has used for this long goes back to the minute.
IDLE_SECONDS = 2.0
#: More is fetched ahead of need only where a slice is worth this many requests: less would lie idle.
SLICE_WORTH_REQUESTS = 8
#: So shortly before the minute's end nothing is returned any more.
NOT_WORTH_RETURNING_SECONDS = 1.0

RateKind = Literal["requests", "tokens"]
Owner = Literal["award", "key"]


class RateWaiter:
    """A request that waits for `amount`. One of its callbacks is called, unless it is cancelled."""

    __slots__ = ("amount", "cancelled", "granted", "refused")

    def __init__(
        self, amount: int, *, granted: Callable[[], None], refused: Callable[["Exceeded"], None]
    ) -> None:
        self.amount = amount
        self.granted = granted
        self.refused = refused
        self.cancelled = False


class Exceeded(NamedTuple):
    """A limit that a request does not fit. `ends_in` is seconds; `share` is this process's while the database
    is away, else None."""

    owner: Owner
    kind: RateKind
    limit: int
    amount: int
    remaining: int
    ends_in: float
    share: int | None

    @property
    def too_large(self) -> bool:
        return self.amount > self.limit


class RateStep(NamedTuple):
    """What to do for those who wait: admit or refuse the first, ask the database, or wait."""

    kind: Literal["admit", "refuse", "ask", "wait", "idle"]
    needed: int = 0
    wanted: int = 0


IDLE = RateStep("idle")
WAIT = RateStep("wait")
ADMIT = RateStep("admit")
REFUSE = RateStep("refuse")


class Rate:
    """One limit per minute of one award or key (`subject`). Times are the loop's seconds.

    `allotted` is what the database has on record for this process, and `minute` in which minute; `left` is what
    nobody has been allotted, as last told. `turn` changes with every minute, so that what was admitted in one is
    never given back to another.
    """

    __slots__ = (
        "allotted",
        "ask_again_at",
        "asking",
        "ends_at",
        "free",
        "kind",
        "last_amount",
        "left",
        "limit",
        "minute",
        "on_share",
        "open",
        "owner",
        "processes",
        "slice",
        "subject",
        "turn",
        "used_at",
        "waiters",
    )

    def __init__(self, subject: str, owner: Owner, kind: RateKind, limit: int) -> None:
        self.subject = subject
        self.owner: Owner = owner
        self.kind: RateKind = kind
        self.limit = limit
        self.free = 0
        self.allotted = 0
        self.left = 0
        self.minute = -1
        self.turn = 0
        self.open = False
        self.on_share = False
        self.ends_at = float("-inf")
        self.ask_again_at = float("-inf")
        self.slice = 0
        self.processes = 1
        self.asking = False
        self.used_at = float("-inf")
        self.last_amount = 0
        self.waiters: deque[RateWaiter] = deque()

    # For requests

    def take(self, amount: int, now: float) -> bool:
        """Admit at once, if there is enough here and nobody waits."""
        if now >= self.ends_at:
            self._expire()
        self.used_at = now
        self.last_amount = amount
        if amount > self.free or self.waiters:
            return False
        self.free -= amount
        return True

    def give_back(self, amount: int, turn: int, now: float) -> None:
        """What a request admitted in `turn` did not use; it counts only within its minute."""
        if turn == self.turn and self.open and now < self.ends_at:
            self.free += amount

    def surely_exceeded(self, amount: int, now: float) -> bool:
        """Whether asking the database could not help, as far as was heard a moment ago."""
        if amount > self.limit:
            return True
        if not self.open or now >= self.ends_at or amount <= self.free or self.waiters:
            return False
        return self.on_share or (amount > self.free + self.left and now < self.ask_again_at)

    def remaining(self, now: float) -> int:
        """What could still be admitted in this minute, as far as is known here."""
        if not self.open or now >= self.ends_at:
            return self.limit
        return min(self.limit, self.free + self.left)

    def exceeded(self, amount: int, now: float) -> Exceeded:
        return Exceeded(
            self.owner,
            self.kind,
            self.limit,
            amount,
            self.remaining(now),
            max(0.0, self.ends_at - now),
            self.share if self.on_share else None,
        )

    @property
    def share(self) -> int:
        """What this process admits in a minute while the database is away."""
        return max(1, self.limit // self.processes)

    # For those who wait

    def next_step(self, now: float) -> RateStep:
        """The next thing to do. Call again after doing it, until it says wait or idle."""
        waiters = self.waiters
        while waiters and waiters[0].cancelled:
            waiters.popleft()
        if not waiters:
            return IDLE
        if now >= self.ends_at:
            self._expire()
        amount = waiters[0].amount
        if amount > self.limit:
            return REFUSE
        if amount <= self.free:
            return ADMIT
        if self.asking:
            return WAIT
        if self.on_share or (self.open and amount > self.free + self.left and now < self.ask_again_at):
            return REFUSE
        together = sum(waiter.amount for waiter in waiters if not waiter.cancelled)
        return RateStep("ask", amount - self.free, together - self.free)

    def admit(self) -> RateWaiter:
        """The first in line is admitted, in this turn."""
        waiter = self.waiters.popleft()
        self.free -= waiter.amount
        return waiter

    # The database's answers

    def answered(
        self, granted: int, left: int, minute: int, ends_in: float, *, asked_at: float, now: float
    ) -> None:
        """`ends_in` is in seconds, counted by the database at some time after `asked_at`."""
        if minute != self.minute:
            self.minute = minute
            self.allotted = 0
            self.ends_at = float("-inf")
            self._expire()
        if not self.open:
            self.turn += 1
            self.open = True
        # The same minute may have been asked for twice: each end is no later than the database's.
        self.ends_at = max(self.ends_at, asked_at + ends_in)
        self.allotted += granted
        self.free += granted
        self.left = left
        self.ask_again_at = now + ASK_AGAIN_SECONDS
        if granted:
            self.slice = granted

    def database_away(self, now: float) -> None:
        """Once in a minute: make what was allotted up to this process's share."""
        if now >= self.ends_at:
            self._expire()
            self._next_minute_by_ourselves(now)
        if self.on_share:
            return
        self.on_share = True
        self.left = 0
        more = max(0, self.share - self.allotted)
        self.allotted += more
        self.free += more

    def _next_minute_by_ourselves(self, now: float) -> None:
        if self.ends_at == float("-inf"):
            self.ends_at = now + MINUTE_SECONDS
        else:
            minutes = 1 + int((now - self.ends_at) // MINUTE_SECONDS)
            self.minute += minutes
            self.ends_at += minutes * MINUTE_SECONDS
        self.allotted = 0
        self.turn += 1
        self.open = True

    def _expire(self) -> None:
        """The minute is over, as far as is known here. What was allotted stays on record, for where the
        database's clock is still in it."""
        self.open = self.on_share = False
        self.free = self.left = 0

    # Ahead of need

    def wants_ahead(self, now: float) -> int:
        """What to ask for before a request needs it: half of a slice is used, or a minute has begun for a
        subject that was busy in the last one. 0 for nothing."""
        amount = max(1, self.last_amount)
        if self.asking or self.waiters or self.slice < SLICE_WORTH_REQUESTS * amount or amount > self.limit:
            return 0
        if now >= self.ends_at:
            return amount if self.used_at >= self.ends_at - MINUTE_SECONDS else 0
        if self.on_share or self.free * 2 >= self.slice or self.left < amount:
            return 0
        return amount

    def spare(self, now: float) -> int:
        """Take what should go back to the minute out of what is free: all when idle, else what exceeds twice a
        slice. The caller tells the database what is allotted then."""
        if (
            not self.open
            or self.on_share
            or self.asking
            or self.waiters
            or now >= self.ends_at - NOT_WORTH_RETURNING_SECONDS
        ):
            return 0
        if now - self.used_at >= IDLE_SECONDS:
            amount = self.free
        else:
            amount = max(0, self.free - 2 * max(self.slice, self.last_amount))
        self.free -= amount
        self.allotted -= amount
        self.left += amount
        return amount


class Gate:
    """What a key and its award allow, made once from their directory entries. `slots` are subjects with a limit
    of calls at one time."""

    __slots__ = ("award", "by_kind", "key", "models", "networks", "rates", "slots", "valid_from")

    def __init__(
        self,
        key: KeyEntry,
        award: AwardEntry,
        *,
        networks: tuple[tuple[Owner, tuple[Network, ...]], ...],
        rates: tuple[Rate, ...],
        slots: tuple[tuple[str, Owner], ...],
    ) -> None:
        self.key = key
        self.award = award
        self.valid_from = key.valid_from or 0
        self.models = frozenset(key.models)
        self.networks = networks
        self.rates = rates
        self.slots = slots
        of_kind = (
            (kind, tuple(rate for rate in rates if rate.kind == kind)) for kind in ("requests", "tokens")
        )
        self.by_kind = tuple((kind.encode(), found) for kind, found in of_kind if found)


def duration_text(seconds: float) -> str:
    """OpenAI's form, rounded up: `80ms`, `12s`, `1m0s`."""
    if seconds < 1:
        return f"{max(0, -int(-seconds * 1000 // 1))}ms"
    whole = -int(-seconds // 1)
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"


def rate_headers(gate: Gate, now: float) -> bytes:
    """`x-ratelimit-*` lines for each kind, by whichever of the key's and the award's limit leaves less."""
    lines = b""
    for kind, rates in gate.by_kind:
        rate = rates[0]
        remaining = rate.remaining(now)
        for other in rates[1:]:
            left = other.remaining(now)
            if left < remaining:
                rate, remaining = other, left
        ends_in = rate.ends_at - now
        lines += (
            b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %b\r\n"
            % (
                kind,
                rate.limit,
                kind,
                remaining,
                kind,
                duration_text(ends_in).encode() if ends_in > 0 else b"0ms",
            )
        )
    return lines
