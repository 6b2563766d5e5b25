from collections import Counter, defaultdict

from dure.contracts.directory import DeploymentEntry
from dure.gateway.protocol.routing import LONGEST_REST_SECONDS, DeploymentState, choose


def deployment(name: str, **fields) -> DeploymentEntry:
    return DeploymentEntry(
        id=name, model="m", provider="p", base_url="http://x", upstream_model="m", **fields
    )


def chosen(candidates, states=None, *, tried=(), now=0.0, chance=0.0):
    states = states if states is not None else defaultdict(DeploymentState)
    entry = choose(candidates, states.__getitem__, tried=tried, now=now, chance=lambda: chance)
    return entry.id if entry else None


def test_the_first_priority_is_preferred_and_chance_follows_weight():
    candidates = [deployment("a", weight=1), deployment("b", weight=3), deployment("c", weight=9, priority=1)]
    assert Counter(chosen(candidates, chance=step / 8) for step in range(8)) == {"a": 2, "b": 6}


def test_one_that_was_tried_or_is_full_or_has_no_weight_is_not_taken():
    states = defaultdict(DeploymentState)
    states["b"].outstanding = 2
    candidates = [deployment("a"), deployment("b", max_concurrency=2), deployment("c", weight=0)]
    assert chosen(candidates, states, tried=["a"]) is None
    assert chosen([], states) is None


def test_one_that_failed_rests_longer_each_time_and_success_ends_it():
    state = DeploymentState()
    rests = []
    for _ in range(10):
        state.failed(100.0)
        rests.append(state.resting_until - 100.0)
    assert rests[:4] == [0.5, 1.0, 2.0, 4.0]
    assert rests[-1] == LONGEST_REST_SECONDS
    state.succeeded()
    assert (state.failures, state.resting_until) == (0, 0.0)


def test_the_next_priority_steps_in_and_when_all_rest_the_one_ready_soonest_is_tried():
    states = defaultdict(DeploymentState)
    candidates = [deployment("a"), deployment("b", priority=1)]
    states["a"].failed(0.0)
    assert chosen(candidates, states, now=0.1) == "b"
    states["b"].failed(0.0)
    states["b"].failed(0.0)
    assert chosen(candidates, states, now=0.1) == "a"
    assert chosen(candidates, states, now=0.6) == "a"
