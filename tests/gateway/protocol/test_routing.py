from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.contracts.directory import DeploymentEntry
from dure.gateway.protocol.routing import (
    FAILURES_IN_A_ROW,
    FAILURES_IN_WINDOW,
    LONGEST_ASKED_REST_SECONDS,
    LONGEST_REST_SECONDS,
    PROBE_SECONDS,
    RETRIES_AT_ONCE,
    WINDOW_SECONDS,
    DeploymentState,
    RetryBudget,
    choose,
    prospect,
    share_of,
)


def deployment(name: str, **fields) -> DeploymentEntry:
    return DeploymentEntry(
        id=name, model="m", provider="p", base_url="http://x", upstream_model="m", **fields
    )


def chosen(candidates, states=None, *, tried=(), now=0.0, chance=0.0):
    states = states if states is not None else defaultdict(DeploymentState)
    entry = choose(candidates, states.__getitem__, tried=tried, now=now, chance=lambda: chance)
    return entry.id if entry else None


def opened(at: float = 0.0) -> DeploymentState:
    state = DeploymentState()
    assert [state.failed(at, at) for _ in range(FAILURES_IN_A_ROW)] == [False] * (FAILURES_IN_A_ROW - 1) + [
        True
    ]
    return state


def test_the_first_priority_is_preferred_and_chance_decides_between_equals():
    candidates = [deployment("a"), deployment("b"), deployment("c", weight=9, priority=1)]
    assert Counter(chosen(candidates, chance=step / 8) for step in range(8)) == {"a": 4, "b": 4}


def test_calls_under_way_stand_in_proportion_to_weight():
    candidates = [deployment("a", weight=1), deployment("b", weight=3)]
    states = defaultdict(DeploymentState)
    for _ in range(80):
        states[chosen(candidates, states)].outstanding += 1
    assert (states["a"].outstanding, states["b"].outstanding) == (20, 60)


def test_one_that_was_tried_or_is_full_or_has_no_weight_is_not_taken():
    states = defaultdict(DeploymentState)
    states["b"].limit = states["b"].outstanding = 2
    candidates = [deployment("a"), deployment("b"), deployment("c", weight=0)]
    assert chosen(candidates, states, tried=["a"]) is None
    assert chosen([], states) is None


def test_the_next_priority_steps_in_while_the_first_is_full_or_rests():
    states = defaultdict(DeploymentState)
    candidates = [deployment("a"), deployment("b", priority=1)]
    states["a"].limit = states["a"].outstanding = 1
    assert chosen(candidates, states) == "b"
    states["a"] = opened()
    assert chosen(candidates, states, now=0.4) == "b"
    assert chosen(candidates, states, now=0.5) == "a"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 5),
            st.integers(0, 9),
            st.none() | st.integers(1, 9),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.floats(0, 1, exclude_max=True),
)
def test_what_is_chosen_is_the_least_loaded_of_the_first_priority_that_can_take_a_call(rows, chance):
    states, candidates = {}, []
    for number, (priority, weight, outstanding, limit, rests) in enumerate(
        sorted(rows, key=lambda row: row[0])
    ):
        entry = deployment(str(number), priority=priority, weight=weight)
        state = states[entry.id] = opened() if rests else DeploymentState()
        state.outstanding, state.limit = outstanding, limit
        candidates.append(entry)
    able = [
        entry
        for entry in candidates
        if entry.weight and not states[entry.id].full and not states[entry.id].resting_until
    ]
    name = chosen(candidates, states, now=0.1, chance=chance)
    if not able:
        assert name is None
        return
    first = [entry for entry in able if entry.priority == able[0].priority]
    loads = {entry.id: (states[entry.id].outstanding + 1) / entry.weight for entry in first}
    assert loads[name] == min(loads.values())


# The breaker


def test_one_that_fails_in_a_row_rests_longer_each_time_and_an_answer_ends_it():
    state = opened(100.0)
    rests, now = [state.resting_until - 100.0], 100.0
    for _ in range(9):
        now = state.resting_until
        assert state.breaker(now) == "half_open"
        assert state.failed(now, taken_at=now)
        rests.append(state.resting_until - now)
    assert rests[:4] == [0.5, 1.0, 2.0, 4.0]
    assert rests[-1] == LONGEST_REST_SECONDS
    now = state.resting_until
    assert state.succeeded(taken_at=now)
    state.close()
    assert (state.breaker(now), state.ready_at) == ("closed", 0.0)
    assert not state.failed(now, now)


def test_one_bad_answer_among_many_good_ones_rests_nobody():
    state = DeploymentState()
    for call in range(2000):
        now = call / 100
        if call % 4 == 0:
            assert not state.failed(now, now)
        else:
            state.took(now, now)
            assert not state.succeeded(now)


def test_failing_half_of_the_time_opens_the_breaker():
    state = DeploymentState()
    outcomes = []
    for call in range(FAILURES_IN_WINDOW):
        state.took(1.0, 1.0)
        state.succeeded(1.0)
        outcomes.append(state.failed(1.0 + call / 10, 1.0))
    assert outcomes == [False] * (FAILURES_IN_WINDOW - 1) + [True]


def test_what_failed_long_ago_does_not_count():
    state = DeploymentState()
    for call in range(40):
        now = call * WINDOW_SECONDS / 4
        state.took(now, now)
        state.succeeded(now)
        assert not state.failed(now, now)
    assert state.failures(now) <= 8
    assert state.failures(now + 3 * WINDOW_SECONDS) == 0


def test_calls_that_left_before_the_breaker_opened_neither_close_it_nor_prolong_the_rest():
    state = opened(10.0)
    until = state.resting_until
    assert not state.failed(10.1, taken_at=9.0)
    assert not state.succeeded(taken_at=9.0)
    assert not state.took(10.2, taken_at=9.0)
    assert (state.resting_until, state.breaker(10.2)) == (until, "open")


def test_after_the_rest_one_call_a_second_is_let_through():
    candidates, states = [deployment("a")], {"a": opened()}
    assert chosen(candidates, states, now=0.5) == "a"
    states["a"].probed(0.5)
    assert chosen(candidates, states, now=0.6) is None
    assert chosen(candidates, states, now=0.5 + PROBE_SECONDS) == "a"


def test_a_provider_that_asks_for_a_rest_gets_it_up_to_a_minute():
    state = DeploymentState()
    state.asked_to_rest(5.0, 7.0)
    assert (state.resting_until, state.breaker(6.0), state.waits_as_asked) == (12.0, "open", True)
    state.asked_to_rest(5.0, 1e9)
    assert state.resting_until == 5.0 + LONGEST_ASKED_REST_SECONDS


# Waiting, shares, retries


@pytest.mark.parametrize(
    ("limit", "outstanding", "rests", "now", "worth"),
    [
        (1, 1, False, 0.0, True),  # busy
        (None, 0, True, 0.0, True),  # rests for half a second
        (None, 0, True, -1.0, False),  # as seen a second earlier, that is too long
    ],
)
def test_it_is_worth_waiting_for_a_place_and_for_the_end_of_a_short_rest(
    limit, outstanding, rests, now, worth
):
    state = opened() if rests else DeploymentState()
    state.limit, state.outstanding = limit, outstanding
    hope = prospect([deployment("a")], lambda _: state, tried=(), now=now)
    assert hope.worth_waiting(now) is worth
    assert not prospect([deployment("a")], lambda _: state, tried=("a",), now=now).worth_waiting(now)


@given(st.integers(1, 500), st.integers(1, 40))
def test_the_parts_of_a_limit_add_up_to_it_unless_it_is_less_than_one_each(limit, processes):
    parts = [share_of(limit, processes, place) for place in range(processes)]
    assert sum(parts) == max(limit, processes)
    assert max(parts) - min(parts) <= 1


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5)), max_size=60))
def test_retries_stay_within_a_fifth_of_the_calls_and_one_a_second(steps):
    budget, now, taken = RetryBudget(), 0.0, 0
    for calls, seconds in steps:
        budget.calls += calls
        now += seconds
        for _ in range(30):
            taken += budget.take(now)
        assert taken <= RETRIES_AT_ONCE + 0.2 * budget.calls + now + 1e-6


def test_a_quiet_model_may_still_try_again():
    budget = RetryBudget()
    while budget.take(0.0):
        pass
    assert not budget.take(0.5)
    assert budget.take(1.5)
