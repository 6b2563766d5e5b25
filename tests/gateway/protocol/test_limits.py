"""Requests and tokens per minute: over any interleaving of processes and a database, no minute exceeds its limit."""

from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dure.contracts.directory import AwardEntry, KeyEntry
from dure.gateway.protocol.limit_refusals import rate_exceeded
from dure.gateway.protocol.limits import IDLE_SECONDS, Gate, Rate, RateWaiter, duration_text, rate_headers

LIMIT = 40
PROCESSES = 3


class Database:
    """`gateway_api.allot`, as arithmetic."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rows: dict[int, tuple[int, int, int]] = {}

    def allot(self, process, revision, minute, holding, needed, wanted, now):
        at, ends_in = int(now // 60), 60 - now % 60
        if process in self.rows and self.rows[process][0] > revision:
            return 0, 0, at, ends_in
        own = holding if minute == at else 0
        elsewhere = sum(row[2] for other, row in self.rows.items() if other != process and row[1] == at)
        left = max(0, self.limit - own - elsewhere)
        granted = min(left, max(needed, wanted, left // (32 * PROCESSES))) if 0 < needed <= left else 0
        self.rows[process] = (revision, at, own + granted)
        return granted, left - granted, at, ends_in


class Statement:
    def __init__(self, process, revision, rate, needed, wanted, asked_at) -> None:
        self.process = process
        self.asked = (revision, rate.minute, rate.allotted, needed, wanted)
        self.asked_at = asked_at
        self.answer = None
        self.awaited = True


class RateMachine(RuleBasedStateMachine):
    """Several processes; statements travel, are carried out and answered at any time, in any order, or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database(LIMIT)
        self.rates = [Rate("award", "award", "tokens", LIMIT) for _ in range(PROCESSES)]
        for rate in self.rates:
            rate.processes = PROCESSES
        self.now = 1_000_000.0
        self.revision = 0
        self.statements: list[Statement] = []
        self.admitted: dict[int, int] = defaultdict(int)
        self.running: list[tuple[int, int, int, int]] = []
        self.on_share: set[int] = set()
        self.waiting = 0

    @property
    def minute(self) -> int:
        return int(self.now // 60)

    def admit(self, process, amount):
        self.admitted[self.minute] += amount
        self.running.append((process, amount, self.rates[process].turn, self.minute))

    @rule(process=st.integers(0, PROCESSES - 1), amount=st.integers(1, LIMIT))
    def request(self, process, amount):
        rate = self.rates[process]
        if rate.surely_exceeded(amount, self.now):
            return
        if rate.take(amount, self.now):
            self.admit(process, amount)
            return

        def granted():
            self.waiting -= 1
            self.admit(process, amount)

        def refused(over):
            self.waiting -= 1
            assert over.amount > over.remaining or over.share is not None

        self.waiting += 1
        rate.waiters.append(RateWaiter(amount, granted=granted, refused=refused))
        self.pump(process)

    def pump(self, process):
        """What the keeper does."""
        rate = self.rates[process]
        for _ in range(100):
            step = rate.next_step(self.now)
            if step.kind in {"idle", "wait"}:
                return
            if step.kind == "ask":
                self.ask(process, step.needed, step.wanted)
                return
            if step.kind == "admit":
                rate.admit().granted()
            else:
                waiter = rate.waiters.popleft()
                waiter.refused(rate.exceeded(waiter.amount, self.now))
        raise AssertionError("the decisions go round in circles")

    def ask(self, process, needed, wanted):
        self.rates[process].asking = True
        self.revision += 1
        self.statements.append(
            Statement(process, self.revision, self.rates[process], needed, wanted, self.now)
        )

    @precondition(lambda self: any(one.answer is None for one in self.statements))
    @rule(data=st.data())
    def carry_out(self, data):
        one = data.draw(st.sampled_from([one for one in self.statements if one.answer is None]))
        revision, minute, holding, needed, wanted = one.asked
        one.answer = self.database.allot(one.process, revision, minute, holding, needed, wanted, self.now)
        if not one.awaited:
            self.statements.remove(one)

    @precondition(lambda self: any(one.answer and one.awaited for one in self.statements))
    @rule(data=st.data())
    def answer(self, data):
        one = data.draw(st.sampled_from([one for one in self.statements if one.answer and one.awaited]))
        self.statements.remove(one)
        rate = self.rates[one.process]
        granted, left, minute, ends_in = one.answer
        rate.answered(granted, left, minute, ends_in, asked_at=one.asked_at, now=self.now)
        rate.asking = False
        self.pump(one.process)

    @precondition(lambda self: any(one.awaited for one in self.statements))
    @rule(data=st.data())
    def lose(self, data):
        """The answer does not come; the statement may still be carried out, even behind later ones."""
        one = data.draw(st.sampled_from([one for one in self.statements if one.awaited]))
        one.awaited = False
        if one.answer is not None:
            self.statements.remove(one)
        rate = self.rates[one.process]
        if one.asked[3]:
            rate.database_away(self.now)
            self.on_share |= {self.minute, self.minute + 1}
        rate.asking = False
        self.pump(one.process)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data):
        """A request ends in its minute or after it, having used a part."""
        process, amount, turn, minute = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        rate = self.rates[process]
        unused = data.draw(st.integers(0, amount))
        before = rate.free
        rate.give_back(unused, turn, self.now)
        if rate.free != before:
            assert minute == self.minute or minute in self.on_share
            self.admitted[minute] -= unused
        self.pump(process)

    @rule(process=st.integers(0, PROCESSES - 1))
    def look_after(self, process):
        rate = self.rates[process]
        if ahead := rate.wants_ahead(self.now):
            self.ask(process, ahead, 0)
        elif rate.spare(self.now):
            self.ask(process, 0, 0)

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.5, 20.0, 59.9, 61.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @invariant()
    def no_minute_exceeds_its_limit(self):
        for minute, amount in self.admitted.items():
            if minute not in self.on_share:
                assert 0 <= amount <= LIMIT
            else:
                assert amount <= 3 * LIMIT

    @invariant()
    def nothing_is_free_that_was_not_allotted(self):
        for rate in self.rates:
            assert 0 <= rate.free <= rate.allotted
            assert rate.waiters or not rate.open or rate.left >= 0

    def teardown(self):
        """Everybody who waits is told something, once the database answers again."""
        for _ in range(40):
            for one in [one for one in self.statements if one.awaited]:
                revision, minute, holding, needed, wanted = one.asked
                one.answer = one.answer or self.database.allot(
                    one.process, revision, minute, holding, needed, wanted, self.now
                )
                self.statements.remove(one)
                rate = self.rates[one.process]
                granted, left, minute, ends_in = one.answer
                rate.answered(granted, left, minute, ends_in, asked_at=one.asked_at, now=self.now)
                rate.asking = False
                self.pump(one.process)
            for process in range(PROCESSES):
                self.pump(process)
            self.now += 0.3
        assert self.waiting == 0
        self.no_minute_exceeds_its_limit()


RateMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_any_interleaving = RateMachine.TestCase


def rate_with(granted: int, left: int, *, limit: int = 100, ends_in: float = 30.0, kind="requests") -> Rate:
    rate = Rate("a", "award", kind, limit)
    rate.answered(granted, left, 7, ends_in, asked_at=0.0, now=0.0)
    return rate


def test_what_was_admitted_in_a_minute_that_is_over_here_and_not_there_stays_counted():
    """The end is told a little early; asked again in the same minute, the database hears of all that was taken."""
    rate = rate_with(10, 90)
    assert rate.take(8, 1.0)
    assert not rate.take(1, 30.0)
    assert (rate.free, rate.allotted, rate.minute) == (0, 10, 7)
    rate.answered(3, 87, 7, 0.05, asked_at=30.0, now=30.0)
    assert (rate.free, rate.allotted) == (3, 13)


def test_unused_tokens_return_within_the_minute_and_never_to_another():
    rate = rate_with(50, 0, kind="tokens")
    turn = rate.turn
    assert rate.take(50, 1.0)
    rate.give_back(20, turn, 2.0)
    assert rate.free == 20
    rate.answered(5, 95, 8, 60.0, asked_at=31.0, now=31.0)
    rate.give_back(20, turn, 32.0)
    assert rate.free == 5


def test_while_the_database_is_away_each_process_admits_its_share():
    rate = rate_with(3, 0, limit=20)
    rate.processes = 4
    assert rate.take(3, 1.0)
    rate.database_away(2.0)
    assert (rate.free, rate.on_share) == (2, True)
    assert rate.take(2, 3.0)
    assert rate.surely_exceeded(1, 4.0)
    assert rate.exceeded(1, 4.0).share == 5
    rate.database_away(31.0)
    assert (rate.free, rate.ends_at) == (5, 90.0)
    rate.database_away(40.0)
    assert rate.free == 5
    rate.processes = 100
    rate.database_away(700.0)
    assert (rate.free, rate.ends_at) == (1, 750.0)


def test_what_lies_idle_goes_back():
    rate = rate_with(10, 40)
    assert rate.take(4, 1.0)
    assert rate.spare(1.5) == 0
    assert rate.spare(1.0 + IDLE_SECONDS) == 6
    assert (rate.free, rate.allotted, rate.left) == (0, 4, 46)


def test_unused_tokens_beyond_two_slices_go_back_though_the_subject_is_busy():
    rate = rate_with(1_000, 0, limit=1_000, kind="tokens")
    turn = rate.turn
    rate.slice = 100
    assert rate.take(1_000, 1.0)
    rate.give_back(900, turn, 1.1)
    rate.last_amount = 50
    assert rate.spare(1.2) == 700
    assert rate.free == 200


def test_a_busy_subject_fetches_ahead_where_slices_are_worth_it():
    rate = rate_with(100, 5_000, limit=6_000)
    assert rate.take(1, 1.0)
    assert rate.wants_ahead(1.0) == 0
    assert rate.take(50, 1.0)
    rate.last_amount = 1
    assert rate.wants_ahead(1.0) == 1
    assert rate.wants_ahead(30.0) == 1, "the next minute, for one that was busy in the last"
    assert rate.wants_ahead(95.0) == 1
    rate.used_at = -100.0
    assert rate.wants_ahead(95.0) == 0
    small = rate_with(1, 10, limit=20)
    assert small.take(1, 1.0)
    assert small.wants_ahead(1.0) == 0, "one request in hand would be one that another process is refused"


def test_the_stricter_limit_is_told():
    award, key = rate_with(10, 20, limit=50), Rate("k", "key", "requests", 30)
    key.answered(5, 5, 7, 12.2, asked_at=0.0, now=0.0)
    tokens = Rate("k", "key", "tokens", 1_000)
    owner = AwardEntry(id="a", organisation="", programme="", valid_from=0)
    gate = Gate(
        KeyEntry(id="k", digest="", award="a", prefix=""),
        owner,
        networks=(),
        rates=(key, award, tokens),
        slots=(),
    )
    assert rate_headers(gate, 1.0).decode().split("\r\n") == [
        "x-ratelimit-limit-requests: 30",
        "x-ratelimit-remaining-requests: 10",
        "x-ratelimit-reset-requests: 12s",
        "x-ratelimit-limit-tokens: 1000",
        "x-ratelimit-remaining-tokens: 1000",
        "x-ratelimit-reset-tokens: 0ms",
        "",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0801, "81ms"),
        (0.9999, "1000ms"),
        (1, "1s"),
        (11.2, "12s"),
        (59.5, "1m0s"),
        (60, "1m0s"),
        (90, "1m30s"),
    ],
)
def test_durations_are_openais_and_rounded_up(seconds, text):
    assert duration_text(seconds) == text


def test_a_refusal_says_which_limit_what_is_left_and_when():
    rate = rate_with(5, 2, kind="tokens", ends_in=12.2)
    refusal = rate_exceeded(rate.exceeded(9, 0.0))
    assert (refusal.status, refusal.kind, refusal.code) == (429, "tokens", "rate_limit_exceeded")
    assert dict(refusal.headers) == {"retry-after": "13"}
    assert "the limit of 100 tokens per minute of your award leaves 7 in this minute" in refusal.message
    assert "counts as 9." in refusal.message
    assert "begins in 13s" in refusal.message
    never = rate_exceeded(rate.exceeded(101, 0.0))
    assert dict(never.headers) == {"x-should-retry": "false"}
    assert "can never be admitted" in never.message
