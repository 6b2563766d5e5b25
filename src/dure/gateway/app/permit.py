"""One request's way through the limits of its key and award: slots, then requests and tokens of the minute.

Slots come first, since they may be waited for, and what counts for a minute is taken when the request can go. All
that was taken is given back when a later step refuses.
"""

from collections.abc import Callable
from functools import partial

from dure.gateway.app.limits import LimitsKeeper
from dure.gateway.protocol import errors, limit_refusals
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.escrow import AwardEscrow, Shortage, Waiter
from dure.gateway.protocol.limits import Exceeded, Gate, Owner, Rate, RateKind, RateWaiter, rate_headers


class Permit:
    """`tokens` is what the request counts for: its estimated input and the output that it may have.

    `_slots` and `_borrowed` are places, in the order of the gate's; `_turns` are the minutes in which its first rates were
    taken from.
    """

    __slots__ = (
        "_borrowed",
        "_gate",
        "_granted",
        "_keeper",
        "_refused",
        "_slots",
        "_tokens",
        "_turns",
        "_waiter",
    )

    def __init__(self, keeper: LimitsKeeper, gate: Gate, tokens: int) -> None:
        self._keeper = keeper
        self._gate = gate
        self._tokens = tokens
        self._slots: list[AwardEscrow] = []
        self._borrowed: list[str] = []
        self._turns: list[int] = []
        self._waiter: Waiter | RateWaiter | None = None
        self._granted: Callable[[], None] = _nothing
        self._refused: Callable[[Refusal], None] = _not_expected

    def check(self, now: float) -> None:
        """Refuse at once what surely does not fit."""
        for rate in self._gate.rates:
            amount = self._amount(rate)
            if rate.surely_exceeded(amount, now):
                raise limit_refusals.rate_exceeded(rate.exceeded(amount, now))

    def take(self, now: float) -> bool:
        """Whether nothing of it has to be waited for. What was taken is kept for `enter`, which goes on from there."""
        gate, slots, rates = self._gate, self._slots, self._gate.rates
        keeper = self._keeper
        at = len(slots) + len(self._borrowed)
        while at < len(gate.slots):
            slot = keeper.slots.escrow(gate.slots[at][0])
            if not keeper.slots.try_hold(slot, 1, now):
                return False
            slots.append(slot)
            at += 1
        at = len(self._turns)
        while at < len(rates):
            rate = rates[at]
            if not rate.take(self._amount(rate), now):
                return False
            self._took(rate)
            at += 1
        return True

    def enter(self, *, granted: Callable[[], None], refused: Callable[[Refusal], None]) -> bool:
        """Whether the request may go on at once; else one of the callbacks comes later."""
        self._granted = granted
        self._refused = refused
        return self._advance()

    def settle(self, tokens: int) -> None:
        """The request has ended, and used that many tokens."""
        unused = self._tokens - tokens
        if unused > 0:
            self._give_back("tokens", unused)
        self._turns.clear()
        self._leave_slots()

    def cancel(self) -> None:
        """The request was refused after all, or its client left before it went out: it counts for nothing."""
        if self._waiter is not None:
            self._waiter.cancelled = True
            self._waiter = None
        self._give_back("requests", 1)
        self._give_back("tokens", self._tokens)
        self._turns.clear()
        self._leave_slots()

    def _give_back(self, kind: RateKind, amount: int) -> None:
        now = self._keeper.now()
        rates = self._gate.rates
        for at, turn in enumerate(self._turns):
            if rates[at].kind == kind:
                rates[at].give_back(amount, turn, now)

    def headers(self) -> bytes:
        """`x-ratelimit-*`, as lines."""
        return rate_headers(self._gate, self._keeper.now())

    def _amount(self, rate: Rate) -> int:
        return self._tokens if rate.kind == "tokens" else 1

    def _advance(self) -> bool:
        """Take what can be had, and wait for the first thing that cannot."""
        keeper = self._keeper
        if self.take(keeper.now()):
            return True
        at = len(self._slots) + len(self._borrowed)
        if at < len(self._gate.slots):
            slot = keeper.slots.escrow(self._gate.slots[at][0])
            self._waiter = keeper.slots.wait(
                slot, 1, granted=partial(self._slot_granted, slot), refused=self._slot_refused
            )
        else:
            rate = self._gate.rates[len(self._turns)]
            self._waiter = keeper.wait(
                rate,
                self._amount(rate),
                granted=partial(self._rate_granted, rate),
                refused=self._rate_refused,
            )
        return False

    def _took(self, rate: Rate) -> None:
        self._turns.append(rate.turn)
        self._keeper.used(rate)

    def _go_on(self) -> None:
        self._waiter = None
        if self._advance():
            self._granted()

    def _slot_granted(self, slot: AwardEscrow) -> None:
        self._slots.append(slot)
        self._go_on()

    def _slot_refused(self, shortage: Shortage) -> None:
        subject, owner = self._gate.slots[len(self._slots) + len(self._borrowed)]
        if shortage.reason == "database_away" and self._keeper.borrow(self._keeper.slots.escrow(subject)):
            self._borrowed.append(subject)
            self._go_on()
            return
        self._waiter = None
        self.cancel()
        self._refused(self._slot_refusal(shortage, subject, owner))

    def _slot_refusal(self, shortage: Shortage, subject: str, owner: Owner) -> Refusal:
        if shortage.reason == "award_gone":
            return errors.award_ended() if owner == "award" else errors.key_revoked(self._gate.key.prefix)
        keeper = self._keeper
        share = keeper.slot_share(subject) if shortage.reason == "database_away" else None
        return limit_refusals.too_many_at_once(owner, keeper.slot_limits.get(subject, 0), share)

    def _rate_granted(self, rate: Rate) -> None:
        self._took(rate)
        self._go_on()

    def _rate_refused(self, over: Exceeded) -> None:
        self._waiter = None
        self.cancel()
        self._refused(limit_refusals.rate_exceeded(over))

    def _leave_slots(self) -> None:
        for slot in self._slots:
            self._keeper.slots.settle(slot, 1, 0)
        self._slots.clear()
        for subject in self._borrowed:
            self._keeper.hand_back(subject)
        self._borrowed.clear()


def _nothing() -> None:
    pass


def _not_expected(refusal: Refusal) -> None:
    raise refusal
