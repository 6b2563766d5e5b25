"""The limits of awards and keys in one gateway process: acts on what `protocol.limits` decides.

Requests and tokens per minute are allotted by the database to a `Rate`. Concurrency is slots: a slot is a hold of
one unit in an escrow of units, which settles at no cost, so the escrow's keeper does for slots what it does for
money: keeps a few for the next request, waits in line, recalls from other processes, gives back what lies idle.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dure.contracts.directory import AwardEntry, DirectoryEntry, KeyEntry
from dure.contracts.gateway_api import SLOTS_PREFIX
from dure.gateway.app.allotments import Allotments, Heard, LimitsLink, SlotLink
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.protocol.escrow import AwardEscrow
from dure.gateway.protocol.limits import Exceeded, Gate, Owner, Rate, RateKind, RateWaiter
from dure.gateway.protocol.networks import Network, parsed_networks

logger = logging.getLogger(__name__)

#: Slots nobody has used for this long go back.
SLOT_IDLE_SECONDS = 5.0
#: A rate nobody has used for this long is not looked at any more.
_FORGET_SECONDS = 130.0


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
        self.slot_limits: dict[str, int] = {}
        self.borrowed: dict[str, int] = {}
        self._loop = loop
        self._heard = heard = Heard()
        self._allotments = Allotments(link, heard, self.now)
        self._gates: dict[str, Gate] = {}
        self._rates: dict[tuple[str, RateKind], Rate] = {}
        self._busy: set[Rate] = set()
        self._slots_at_database = SlotLink(link, heard, self.slot_limits)
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
        return max(1, self.slot_limits.get(subject, 0) // self._heard.processes)

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

    def close(self, timeout_seconds: float) -> Awaitable[None]:
        """Give slots back; what is left of a minute ends with it."""
        return self.slots.close(timeout_seconds)

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
        self._allotments.ask(rate, needed, wanted, self._pump)


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
