"""The comparison finds what it is there to find: each way of being inexact is a difference in words."""

import json
from dataclasses import asdict, replace
from uuid import UUID

import pytest

from chaos.checks import Circumstances, Record, compare, ledger
from chaos.clients import Ask, Drawer, Key, Limited, Seen
from chaos.limits import Watch
from chaos.provider import Entry, Script
from chaos.trouble import WEIGHTS, draw_plan
from dure.contracts.ids import uuid7

AWARD, PRICE, PROCESS, REQUEST = uuid7(), uuid7(), uuid7(), uuid7()
PID = 4711
METERS = {"input": 120_000_001, "output": 480_000_007, "cached_input": 30_000_003}
ABOUT = Circumstances(
    killed=frozenset(), told_to_end=frozenset(), prices={PRICE: METERS}, big=frozenset({str(AWARD)}), withdrawn=False
)  # fmt: skip


def ask(**changes) -> Ask:
    key = Key("dure-secret", str(AWARD), "big")
    plain = Ask(
        Script(call="1"), key, "model-0", "/v1/chat/completions", b"{}", estimated_input=21, stream=True
    )
    return replace(plain, **changes)


def entry(**changes) -> dict:
    whole = Entry(
        str(REQUEST), "1", "stream", status=200, sent=8, reported=(21, 8, 0), usage="end", finished=True
    )
    return json.loads(json.dumps(asdict(replace(whole, **changes))))


def view(**changes) -> Seen:
    whole = Seen("1", ask(), str(REQUEST), status=200, tokens=8, whole=True, usage=(21, 8, 0))
    return replace(whole, **changes)


def record(**changes) -> Record:
    whole = Record(
        request_id=REQUEST, process_id=PROCESS, os_pid=PID, sequence=1, award=AWARD, price=PRICE, status="completed",
        http_status=200, streamed=True, estimated=False, input_tokens=21, output_tokens=8, cached_tokens=0,
        cost=6_361, uncovered=0, attempts=1, error_code="", in_order=True,
    )  # fmt: skip
    return replace(whole, **changes)


def cut_record(**changes) -> Record:
    return record(
        **{
            "status": "cancelled", "http_status": 499, "estimated": True, "output_tokens": 5, "cost": 4_921, **changes
        }
    )  # fmt: skip


CUT_ENTRY = entry(finished=False, cut=True, reported=None, sent=6)
CUT_VIEW = view(whole=False, tokens=4, hung_up=True, usage=None)


def test_what_agrees_is_no_difference():
    assert compare([view()], [entry()], [record()], ABOUT) == []
    assert compare([CUT_VIEW], [CUT_ENTRY], [cut_record()], ABOUT) == []


def test_a_call_that_was_refused_before_it_was_admitted_has_no_record():
    refused = view(status=429, code="insufficient_quota", whole=False, tokens=0, usage=None)
    about = replace(ABOUT, big=frozenset())
    assert compare([refused], [], [], about) == []
    (difference,) = compare([refused], [], [], ABOUT)
    assert "of which its award has plenty" in difference


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "has 0 records (1 attempts at the provider"),
        ([record(), record(sequence=2)], "has 2 records"),
        ([record(output_tokens=7, cost=5_881)], "tokens (21, 7, 0), the provider's meter says (21, 8, 0)"),
        ([record(cost=6_362)], "costs 6362 and 0 uncovered, its tokens come to 6361"),
        ([record(estimated=True)], "the provider's meter says"),
        ([record(award=uuid7())], "the key's is"),
        ([record(http_status=499, status="cancelled")], "the client saw the whole answer"),
        ([record(status="interrupted", estimated=True)], "its process was not killed"),
        ([record(in_order=False)], "its times are not in order"),
        ([record(attempts=0)], "records 0 attempts, the provider has seen 1"),
        (
            [record(status="failed", input_tokens=0, output_tokens=0, cost=0)],
            "the client saw an answer begin",
        ),
    ],
)
def test_a_whole_answer(records, words):
    differences = compare([view()], [entry()], records, ABOUT)
    assert any(words in difference and str(REQUEST) in difference for difference in differences), differences


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"output_tokens": 7, "cost": 5_881}, "7 tokens, the provider sent 6"),
        ({"output_tokens": 3, "cost": 3_961}, "3 tokens, the client received 4"),
        ({"estimated": False}, "not marked as estimated"),
        ({"input_tokens": 22, "cost": 5_041}, "input 22, to be estimated as 21"),
        ({"status": "completed", "http_status": 200}, "the provider did not finish it"),
        ({"status": "truncated", "http_status": 200}, "the provider did not break off"),
    ],
)
def test_a_cut_answer(changed, words):
    differences = compare([CUT_VIEW], [CUT_ENTRY], [cut_record(**changed)], ABOUT)
    assert any(words in difference for difference in differences), differences


def test_a_cut_that_nobody_made():
    (difference,) = compare([replace(CUT_VIEW, hung_up=False)], [CUT_ENTRY], [cut_record()], ABOUT)
    assert "the client did not hang up" in difference
    told = replace(ABOUT, told_to_end=frozenset({PID}))
    assert compare([replace(CUT_VIEW, hung_up=False)], [CUT_ENTRY], [cut_record()], told) == []


def test_bodies_that_should_be_refused():
    bad = view(ask=ask(expect="bad"))
    assert "should have been refused as bad" in " ".join(compare([bad], [entry()], [record()], ABOUT))
    refused = Seen("1", ask(expect="bad"), status=400, code="invalid_json")
    assert compare([refused], [], [], ABOUT) == []


def test_sums_and_history():
    tables = {
        "HAVING count(*) > 1": [(REQUEST,)],
        "balance < 0": [(7, "award", AWARD, 12, -1)],
        "AS kind": [],
        "FILTER": [(AWARD, 90, 5, 4)],
        "'payable'": [(4, 5)],
        "finished_at": [(PROCESS, PID, False, 3, 5)],
    }

    def rows(statement: str) -> list[tuple]:
        return next(found for words, found in tables.items() if words in statement)

    differences = ledger(rows, {AWARD: 100}, at_rest=True)
    assert differences == [
        f"request {REQUEST}: recorded twice",
        f"account 7 (award of {AWARD}) stood at -1 after transfer 12",
        f"award {AWARD}: granted 100, but 90 left + 5 in escrow + 4 spent",
        f"award {AWARD}: 5 micro-won are still in escrow",
        "providers are owed 4, the records come to 5",
        f"process {PROCESS}: finished: False, holds 5 micro-won",
    ]


def test_the_same_seed_draws_the_same_plan_and_the_same_calls():
    assert draw_plan("7/3", 2.5) == draw_plan("7/3", 2.5)
    assert {name for number in range(300) for _, name in draw_plan(f"7/{number}", 2.5)} == set(WEIGHTS)
    keys = [Key("dure-a", str(UUID(int=1)), "big"), Key("dure-b", str(UUID(int=2)), "small")]
    first, second = (Drawer("7/3/1", keys, ["dure-r"], ["m"]) for _ in range(2))
    assert [first.draw() for _ in range(50)] == [second.draw() for _ in range(50)]


# Limits

LIMITED = Limited(str(AWARD), requests=3, tokens=100, concurrency=2)


def limited_calls(count: int, *, at: float = 60.0, apart: float = 0.1, lasting: float = 0.05, **changes):
    """Calls of one limited key, one after another: what the clients, the provider and the ledger say."""
    seen, entries, records = [], [], []
    for number in range(count):
        began = at + number * apart
        request = uuid7()
        key = Key("dure-secret", str(AWARD), "limited", (LIMITED,))
        seen.append(view(request_id=str(request), ask=ask(key=key), asked=began - 0.01))
        entries.append(entry(request_id=str(request), began=began, ended=began + lasting))
        records.append(record(request_id=request, **changes))
    return seen, entries, records


def watched(*calls, troubles=()) -> list[str]:
    watch = Watch([LIMITED])
    return [
        difference
        for seen, entries, records in calls
        for difference in watch.cycle(seen, entries, records, began=60.0, ended=70.0, troubles=troubles)
    ]


def test_a_limit_that_is_kept():
    assert watched(limited_calls(3, at=61.0)) == []
    # One more in the minute after, and one of which nobody can say in which minute it was admitted.
    assert watched(limited_calls(3, at=61.0), limited_calls(1, at=121.0), limited_calls(1, at=120.005)) == []
    assert watched(limited_calls(5, at=61.0, status="failed")) == []


def test_a_minute_that_has_more_than_its_limit_is_told_once():
    said = [
        f"{AWARD}: 4 requests in minute 1, the limit is 3",
        f"{AWARD}: 116 tokens in minute 1, the limit is 100",
    ]
    assert watched(limited_calls(2, at=61.0), limited_calls(2, at=65.0)) == said
    assert watched(limited_calls(4, at=61.0), limited_calls(1, at=69.0)) == said


def test_without_the_database_a_minute_may_have_twice_its_limit():
    assert watched(limited_calls(6, at=61.0), troubles=["freeze_postgres"]) == []
    assert watched(limited_calls(7, at=61.0), troubles=["freeze_postgres"])
    assert watched(limited_calls(6, at=61.0), troubles=["kill_worker"])


def test_a_crash_of_the_database_may_forget_what_was_handed_out_in_half_a_second():
    assert watched(limited_calls(7, at=61.0, apart=2.0), troubles=["kill_postgres"]) == []
    assert watched(limited_calls(8, at=61.0, apart=2.0), troubles=["kill_postgres"])
    assert watched(limited_calls(8, at=61.0, apart=0.4), troubles=["kill_postgres"]) == []
    assert watched(limited_calls(9, at=61.0, apart=0.4), troubles=["kill_postgres"])


def test_calls_at_one_time():
    assert watched(limited_calls(2, at=61.0, lasting=9.0)) == []
    assert watched(limited_calls(3, at=61.0, lasting=0.15)) == []
    assert watched(limited_calls(3, at=61.0, lasting=0.25)) == [
        f"{AWARD}: 3 calls at one time, the limit is 2"
    ]


def test_what_was_handed_out_is_compared_too():
    watch = Watch([LIMITED])
    assert (
        watch.allotted([(AWARD, "slots", 2), (AWARD, "requests", 3), (AWARD, "tokens", 100)], away=False)
        == []
    )
    assert watch.allotted([(AWARD, "slots", 3)], away=False) == [
        f"{AWARD}: 3 slots are allotted, the limit is 2"
    ]
    assert watch.allotted([(AWARD, "requests", 6)], away=True) == []


def test_only_a_limited_key_may_be_told_that_it_asks_too_often():
    told = Seen("1", ask(), status=429, code="rate_limit_exceeded")
    assert "refused for no reason" in " ".join(compare([told], [], [], ABOUT))
    key = Key("dure-secret", str(AWARD), "limited", (LIMITED,))
    assert compare([replace(told, ask=ask(key=key))], [], [], ABOUT) == []
