"""The limits of awards and keys in one gateway process: acts on what `protocol.limits` decides.

Requests and tokens per minute are allotted by the database to a `Rate`. Concurrency is slots: a slot is a hold of
one unit in an escrow of units, which settles at no cost, so the escrow's keeper does for slots what it does for
money: keeps a few for the next request, waits in line, recalls from other processes, gives back what lies idle.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from dure.contracts.directory import AwardEntry, DirectoryEntry, KeyEntry
from dure.contracts.gateway_api import SLOTS_PREFIX
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.io.database import Allotment, DatabaseAway, DatabaseRefused, Lease
from dure.gateway.protocol.escrow import AwardEscrow
from dure.gateway.protocol.limits import Exceeded, Gate, Owner, Rate, RateKind, RateWaiter
from dure.gateway.protocol.networks import Network, parsed_networks

logger = logging.getLogger(__name__)

#: Slots nobody has used for this long go back.
SLOT_IDLE_SECONDS = 5.0
#: A rate nobody has used for this long is not looked at any more.
_FORGET_SECONDS = 130.0


class LimitsLink(Protocol):
    """The doors of `io.database.DatabaseLink` for limits."""

    async def allot(
        self,
        subject: str,
        kind: str,
        *,
        revision: int,
        minute: int,
        holding: int,
        limit: int,
        needed: int,
        wanted: int,
    ) -> Allotment: ...

    async def recall_slots(self, subject: str) -> None: ...


class LimitsKeeper:
    """`limited` has the ids of the keys and awards that limit anything; all others pay one look into it."""

    def __init__(
        self,
        link: LimitsLink,
        loop: asyncio.AbstractEventLoop,
        *,
        wait_seconds: float,
        trusted_proxies: tuple[str, ...] = (),
    ) -> None:
        self.limited: set[str] = set()
        self.trusted = parsed_networks(trusted_proxies)
        self.now: Callable[[], float] = loop.time
        self.processes = 1
        self.slot_limits: dict[str, int] = {}
        self.borrowed: dict[str, int] = {}
        self._link = link
        self._loop = loop
        self._revisions = itertools.count(1)
        self._gates: dict[str, Gate] = {}
        self._rates: dict[tuple[str, RateKind], Rate] = {}
        self._busy: set[Rate] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots_at_database = SlotLink(self, link, self._revisions)
        self.slots = EscrowKeeper(
            self._slots_at_database, loop, idle_seconds=SLOT_IDLE_SECONDS, wait_seconds=wait_seconds
        )

    # The directory

    def gate(self, key: KeyEntry, award: AwardEntry) -> Gate:
        """What limits this key and its award, made anew when either has changed."""
        gate = self._gates.get(key.id)
        if gate is None or gate.key is not key or gate.award is not award:
            gate = self._gates[key.id] = self._made(key, award)
        return gate

    def changed(self, kind: str, entry_id: str, entry: DirectoryEntry | None) -> None:
        """A listener of the directory."""
        if kind not in {"key", "award"}:
            return
        if isinstance(entry, KeyEntry | AwardEntry):
            if limits_anything(entry):
                self.limited.add(entry_id)
            else:
                self.limited.discard(entry_id)
            self._set_slot_limit(entry)
            self.slots.reopened(entry_id)
            return
        self.limited.discard(entry_id)
        self.slot_limits.pop(entry_id, None)
        self._gates.pop(entry_id, None)
        self.slots.withdrawn(entry_id)
        for rate_kind in ("requests", "tokens"):
            self._rates.pop((entry_id, rate_kind), None)

    def _set_slot_limit(self, entry: KeyEntry | AwardEntry) -> None:
        if entry.concurrency is None:
            self.slot_limits.pop(entry.id, None)
        else:
            self.slot_limits[entry.id] = entry.concurrency

    def _made(self, key: KeyEntry, award: AwardEntry) -> Gate:
        owned: tuple[tuple[KeyEntry | AwardEntry, Owner], ...] = ((key, "key"), (award, "award"))
        rates = []
        for kind in ("requests", "tokens"):
            for entry, owner in owned:
                limit = entry.requests_per_minute if kind == "requests" else entry.tokens_per_minute
                if limit is not None:
                    rates.append(self._rate(entry.id, owner, kind, limit))
        return Gate(
            key,
            award,
            networks=tuple((owner, _readable_networks(entry)) for entry, owner in owned if entry.networks),
            rates=tuple(rates),
            slots=tuple((entry.id, owner) for entry, owner in owned if entry.concurrency is not None),
        )

    def _rate(self, subject: str, owner: Owner, kind: RateKind, limit: int) -> Rate:
        rate = self._rates.get((subject, kind))
        if rate is None:
            rate = self._rates[subject, kind] = Rate(subject, owner, kind, limit)
        rate.limit = limit
        return rate

    # For requests

    def used(self, rate: Rate) -> None:
        """A request has been admitted: fetch more in time."""
        self._busy.add(rate)
        if rate.free * 2 < rate.slice:
            self._ask_ahead(rate, self.now())

    def wait(
        self, rate: Rate, amount: int, *, granted: Callable[[], None], refused: Callable[[Exceeded], None]
    ) -> RateWaiter:
        """Wait for the database's word; one of the callbacks comes later, never from within this call."""
        waiter = RateWaiter(amount, granted=granted, refused=refused)
        rate.waiters.append(waiter)
        self._busy.add(rate)
        self._loop.call_soon(self._pump, rate)
        return waiter

    def borrow(self, slot: AwardEscrow) -> bool:
        """While the database is away: a slot within this process's share, at least one."""
        subject = slot.award
        if slot.held + self.borrowed.get(subject, 0) >= self.slot_share(subject):
            return False
        self.borrowed[subject] = self.borrowed.get(subject, 0) + 1
        return True

    def slot_share(self, subject: str) -> int:
        return max(1, self.slot_limits.get(subject, 0) // self.processes)

    def hand_back(self, subject: str) -> None:
        """A borrowed slot is free again."""
        left = self.borrowed[subject] - 1
        if left:
            self.borrowed[subject] = left
        else:
            del self.borrowed[subject]

    # Notices and housekeeping

    def recalled(self, payload: str) -> bool:
        """Whether a recall was about slots, and so is done."""
        if not payload.startswith(SLOTS_PREFIX):
            return False
        self.slots.recalled(payload[len(SLOTS_PREFIX) :])
        return True

    def sweep(self) -> None:
        """Every tenth of a second."""
        self.slots.sweep()
        now = self.now()
        for rate in list(self._busy):
            if rate.waiters:
                self._pump(rate)
            elif now - rate.used_at > _FORGET_SECONDS:
                self._busy.discard(rate)
            else:
                self._ask_ahead(rate, now)

    def sweep_idle(self) -> None:
        """Every second."""
        self.slots.sweep_idle()
        self._slots_at_database.retry()
        now = self.now()
        for rate in self._busy:
            if rate.spare(now):
                self._ask(rate, 0, 0)

    async def close(self, timeout_seconds: float) -> None:
        """Give slots back; what is left of a minute ends with it."""
        await self.slots.close(timeout_seconds)

    # Acting

    def _pump(self, rate: Rate) -> None:
        while True:
            now = self.now()
            step = rate.next_step(now)
            match step.kind:
                case "idle" | "wait":
                    return
                case "ask":
                    self._ask(rate, step.needed, step.wanted)
                    return
                case "admit":
                    rate.admit().granted()
                case "refuse":
                    waiter = rate.waiters.popleft()
                    waiter.refused(rate.exceeded(waiter.amount, now))

    def _ask_ahead(self, rate: Rate, now: float) -> None:
        amount = rate.wants_ahead(now)
        if amount:
            self._ask(rate, amount, 0)

    def _ask(self, rate: Rate, needed: int, wanted: int) -> None:
        rate.asking = True
        self._spawn(self._ask_and_pump(rate, needed, wanted))

    async def _ask_and_pump(self, rate: Rate, needed: int, wanted: int) -> None:
        asked_at = self.now()
        try:
            answer = await self._link.allot(
                rate.subject,
                rate.kind,
                revision=next(self._revisions),
                minute=rate.minute,
                holding=rate.allotted,
                limit=rate.limit,
                needed=needed,
                wanted=wanted,
            )
            self.processes = rate.processes = answer.processes
            rate.answered(
                answer.granted,
                answer.left,
                answer.minute,
                answer.ends_in_ms / 1000,
                asked_at=asked_at,
                now=self.now(),
            )
        except (DatabaseAway, DatabaseRefused) as error:
            if isinstance(error, DatabaseRefused):
                logger.warning("%s %s: %s per minute: %s", rate.owner, rate.subject, rate.kind, error)
            rate.processes = self.processes
            if needed:
                rate.database_away(self.now())
        finally:
            rate.asking = False
        self._pump(rate)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class SlotLink:
    """The database's door for slots, in the shape in which the escrow's keeper knows its own."""

    def __init__(self, keeper: LimitsKeeper, link: LimitsLink, revisions: "itertools.count[int]") -> None:
        self._keeper = keeper
        self._link = link
        self._revisions = revisions
        self._held: dict[str, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._untold: set[str] = set()
        self._tasks: set[asyncio.Task[bool]] = set()

    async def lease(self, award: str, needed: int) -> Lease:
        async with self._turn(award):
            answer = await self._allot(award, needed)
            self._held[award] = self._held.get(award, 0) + answer.granted
            return Lease(answer.granted, answer.left, answer.elsewhere)

    async def give_back(self, award: str, amount: int) -> bool:
        async with self._turn(award):
            self._held[award] -= amount
            return await self._tell(award)

    async def recall(self, award: str) -> None:
        await self._link.recall_slots(award)

    def retry(self) -> None:
        """Tell the database what it could not be told before."""
        for subject in list(self._untold):
            self._untold.discard(subject)
            task = asyncio.get_running_loop().create_task(self.give_back(subject, 0))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, subject: str) -> bool:
        try:
            await self._allot(subject, 0)
        except DatabaseAway:
            self._untold.add(subject)
            return False
        except DatabaseRefused as refused:
            logger.warning("%s: slots not given back: %s", subject, refused)
        return True

    async def _allot(self, subject: str, needed: int) -> Allotment:
        answer = await self._link.allot(
            subject,
            "slots",
            revision=next(self._revisions),
            minute=0,
            holding=self._held.get(subject, 0),
            limit=self._keeper.slot_limits.get(subject, 0),
            needed=needed,
            wanted=needed,
        )
        self._keeper.processes = answer.processes
        return answer

    def _turn(self, subject: str) -> asyncio.Lock:
        """One statement at a time: what it says is held must be what is held when it arrives."""
        turn = self._turns.get(subject)
        if turn is None:
            turn = self._turns[subject] = asyncio.Lock()
        return turn


def limits_anything(entry: KeyEntry | AwardEntry) -> bool:
    if entry.networks or entry.concurrency is not None:
        return True
    if entry.requests_per_minute is not None or entry.tokens_per_minute is not None:
        return True
    return isinstance(entry, KeyEntry) and bool(entry.models or entry.valid_from is not None)


def _readable_networks(entry: KeyEntry | AwardEntry) -> tuple[Network, ...]:
    """Rules that cannot be read let nobody in: better than letting in whom they were to keep out."""
    try:
        return parsed_networks(entry.networks)
    except ValueError as error:
        logger.error("%s: its networks cannot be read, so it is used from nowhere: %s", entry.id, error)
        return ()
