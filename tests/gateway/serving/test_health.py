"""Latencies and lag as operators are told them: cheap, and never better than the truth."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.app.health import HALF_WINDOW_SECONDS, HealthBook, Sketch, percentiles_ms
from dure.gateway.app.lag import JournalLag

from .world import CHAT, ProviderRequest, answer_plainly, run, world


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300), st.sampled_from([1, 50, 95, 99, 100]))
def test_a_percentile_is_never_below_the_true_one_and_at_most_a_quarter_above(durations, percent):
    sketch = Sketch()
    for one in durations:
        sketch.add(one)
    true = sorted(durations)[-(-len(durations) * percent // 100) - 1]
    (told,) = percentiles_ms([sketch], [percent])
    assert true / 1000 <= told + 0.0005
    assert told <= true * 1.25 / 1000 + 0.0005


def test_what_lies_beyond_the_sketch_is_kept_in_its_last_bucket():
    sketch = Sketch()
    sketch.add(2**60)
    sketch.add(-5)
    assert sum(sketch.counts) == 2


def test_the_window_forgets():
    book = HealthBook()
    book.tick(1_000.0)
    book.of("a").answered(first_byte_us=1_000, total_us=2_000)
    book.of("a").failed()
    told = book.figures()["a"]
    assert (told["requests"], told["errors"]) == (2, 1)
    book.tick(1_000.0 + HALF_WINDOW_SECONDS)
    assert book.of("a").requests == 2, "the older half still counts"
    book.tick(1_000.0 + 2 * HALF_WINDOW_SECONDS)
    assert book.figures() == {"a": {"requests": 0, "errors": 0}}
    assert book.latency() == {}


def test_an_answer_is_noted_with_its_deployment(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            for body in (CHAT, {**CHAT, "stream": True}):
                assert (await here.call(body)).status == 200
            told = here.gateway.health.figures()
            assert list(told) == [here.deployment]
            assert (told[here.deployment]["requests"], told[here.deployment]["errors"]) == (2, 0)
            for name in ("first_byte_ms", "total_ms"):
                p50, p95, p99 = told[here.deployment][name]
                assert 0 <= p50 <= p95 <= p99, "the loop's own time, which has whole milliseconds"
            assert here.gateway.health.latency()["total_ms"] == told[here.deployment]["total_ms"]
            here.withdraw("deployment", here.deployment)
            assert here.gateway.health.figures() == {}

    run(scenario)


def test_a_failure_is_noted_and_counts_as_no_latency(tmp_path):
    async def script(request: ProviderRequest) -> None:
        request.answer(b'{"error": {"message": "no"}}', status="503 Service Unavailable")

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = script
            assert (await here.call(CHAT)).status >= 500
            assert here.gateway.health.figures()[here.deployment] == {"requests": 1, "errors": 1}
            here.provider.script = answer_plainly

    run(scenario)


def test_lag_is_what_the_ledger_lacks():
    lag = JournalLag()
    lag.note(0, 100, 10.0)
    assert (lag.records, lag.seconds(11.0), lag.bytes) == (0, 0.0, 0)
    lag.note(5, 600, 11.0)
    lag.note(9, 1_000, 12.0)
    assert (lag.records, lag.seconds(13.0), lag.bytes) == (9, 3.0, 900)
    lag.posted(5)
    assert (lag.records, lag.seconds(13.0), lag.bytes) == (4, 2.0, 400)
    lag.posted(9)
    assert (lag.records, lag.seconds(99.0), lag.bytes) == (0, 0.0, 0)
    lag.note(9, 1_000, 50.0)
    lag.note(10, 1_100, 50.5)
    assert lag.seconds(51.0) == pytest.approx(1.0), "not since the last record, but since it was still idle"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=600))
def test_lag_is_never_told_shorter_than_it_is(steps):
    """Also when the shipper stands still for so long that old marks are thinned."""
    lag = JournalLag()
    closed_at: list[float] = []
    posted, now = 0, 0.0
    for written, taken in steps:
        now += 0.5
        closed_at += [now] * written
        lag.note(len(closed_at), 10 * len(closed_at), now)
        posted = min(len(closed_at), posted + taken)
        lag.posted(posted)
        assert lag.records == len(closed_at) - posted
        waiting = closed_at[posted:]
        assert lag.seconds(now) >= (now - waiting[0] if waiting else 0.0)
        assert lag.bytes >= 10 * len(waiting)


def test_a_process_that_was_declared_lost_admits_nobody_else_and_gives_nothing_back(tmp_path):
    async def scenario():
        gate = asyncio.Event()

        async def held_up(request: ProviderRequest) -> None:
            await gate.wait()
            await answer_plainly(request)

        async with world(tmp_path) as here:
            here.provider.script = held_up
            running = asyncio.ensure_future(here.call(CHAT))
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            before = dict(here.bank.escrow)
            here.keeper.retire()
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (503, "ledger_unavailable")
            gate.set()
            assert (await running).status == 200, "what runs is finished, and recorded"
            assert (await here.record()).status == "completed"
            assert here.keeper.escrow(here.award).free == 0 or here.keeper.escrow(here.award).gone is False
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (503, "ledger_unavailable")
            assert len(here.provider.requests) == 1
        assert here.bank.escrow == before

    run(scenario)
