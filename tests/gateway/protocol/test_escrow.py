"""Whatever happens in whatever order, an escrow never spends what it does not have."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dure.gateway.protocol.escrow import AwardEscrow, Waiter

amounts = st.integers(0, 1_000)


class EscrowMachine(RuleBasedStateMachine):
    """An escrow beside the award it draws on. Money is neither made nor lost."""

    def __init__(self):
        super().__init__()
        self.escrow = AwardEscrow("a")
        self.award = self.granted_once = 5_000
        self.now = 0.0
        self.holds: list[int] = []
        self.outcomes: dict[int, str] = {}
        self.posted = 0
        self.asked = 0

    @rule(amount=amounts)
    def hold_or_wait(self, amount):
        if self.escrow.try_hold(amount):
            self.holds.append(amount)
            return
        number = len(self.outcomes)
        self.outcomes[number] = "waits"

        def granted():
            assert self.outcomes[number] == "waits"
            self.outcomes[number] = "granted"
            self.holds.append(amount)

        def refused(shortage):
            assert self.outcomes[number] == "waits"
            assert shortage.reason != "insufficient" or amount > self.escrow.free
            self.outcomes[number] = "refused"

        self.escrow.waiters.append(
            Waiter(amount, came_at=self.now, deadline=self.now + 2, granted=granted, refused=refused)
        )

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), cost=amounts)
    def settle(self, data, cost):
        hold = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        free = self.escrow.free
        charged, uncovered = self.escrow.settle(hold, cost)
        assert charged + uncovered == cost
        assert uncovered == max(0, cost - hold - free)

    @rule(lend=st.booleans())
    def act(self, lend):
        """What the keeper does, with a database that may refuse."""
        for _ in range(100):
            step = self.escrow.next_step(self.now)
            if step.kind == "lease":
                assert step.amount > 0
                granted = step.amount if lend and step.amount <= self.award else 0
                self.award -= granted
                self.escrow.lease_granted(granted, award_left=self.award, elsewhere=0, now=self.now)
            elif step.kind == "admit":
                self.escrow.admit(step.waiter)
                step.waiter.granted()
            elif step.kind == "refuse":
                self.escrow.waiters.popleft()
                step.waiter.refused(self.escrow.shortage(step.waiter))
            elif step.kind == "recall":
                self.escrow.recall_again_at = self.now + 0.5
            else:
                return
        raise AssertionError("it never comes to rest")

    @rule()
    def give_back(self):
        self.award += self.escrow.take_free()

    @rule()
    def the_client_of_the_first_leaves(self):
        if self.escrow.waiters:
            self.escrow.waiters[0].cancelled = True

    @rule(seconds=st.floats(0.01, 3))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def the_database_goes_away(self):
        self.escrow.database_away = True

    @invariant()
    def nothing_is_made_or_lost(self):
        escrow = self.escrow
        assert escrow.free == escrow.leased - escrow.given_back - escrow.spent - escrow.held
        assert escrow.free >= 0
        assert escrow.held == sum(self.holds)
        assert self.award >= 0
        assert self.award + escrow.free + escrow.held + escrow.spent == self.granted_once

    @invariant()
    def nobody_who_waits_is_forgotten(self):
        waiting = sum(1 for outcome in self.outcomes.values() if outcome == "waits")
        assert waiting >= len([waiter for waiter in self.escrow.waiters if not waiter.cancelled])


EscrowMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestEscrow = EscrowMachine.TestCase


def test_a_database_that_keeps_saying_no_is_not_called_away():
    """Fifty calls want an award's last won: while those wait that came last, it is asked again and again."""
    escrow = AwardEscrow("a")
    waiter = Waiter(700, came_at=10.0, deadline=12.0, granted=lambda: None, refused=lambda shortage: None)
    escrow.waiters.append(waiter)
    escrow.leasing = True
    assert escrow.shortage(waiter).reason == "database_away"  # it has not answered since the waiter came
    escrow.lease_granted(0, award_left=300, elsewhere=0, now=11.9)
    assert escrow.shortage(waiter) == ("insufficient", 300)
    escrow.lease_granted(0, award_left=800, elsewhere=0, now=11.95)
    assert escrow.shortage(waiter).reason == "database_away"  # there is enough, if only it were handed over
