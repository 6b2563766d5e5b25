"""Whose money each call spent: posted by the gateway's own door, in the order of posting, exact to the micro-won."""

from uuid import UUID

import msgspec
import pytest
from django.db import connection
from tests.control.programmes.conftest import SYSTEM, World, won

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.contracts.usage import UsageRecord
from dure.control.foundation import clock
from dure.control.programmes import selectors, services
from dure.control.programmes.own_share import OwnShareRule
from dure.control.programmes.selectors import AwardView
from dure.control.settlement import services as settlement


def door(statement: str, *arguments: object) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        row = cursor.fetchone()
    return row[0] if row else None


class Process:
    """A gateway process that spends of one award."""

    def __init__(self, award: AwardView, provider: UUID, micro_won: int) -> None:
        self.id, self.award, self.provider, self.posted = uuid7(), award, provider, 0
        door(gateway_api.START_PROCESS, self.id, "node", 1, "test")
        door(gateway_api.LEASE, self.id, award.id, uuid7(), micro_won)

    def post(self, *costs: int, opened: list[UUID] | None = None) -> list[UUID]:
        """One batch; answers the calls' ids in the order of the journal."""
        now = clock.to_unix_us(clock.now())
        ids = opened or [uuid7() for _ in costs]
        records = [
            UsageRecord(
                request_id=request_id, sequence=self.posted + number, award=self.award.id, key=UUID(int=1),
                model="small", deployment=UUID(int=2), provider=self.provider, price=UUID(int=3),
                endpoint="chat.completions", status="completed", http_status=200, streamed=False, estimated=False,
                input_tokens=1, output_tokens=1, cached_tokens=0, cost_micro_won=cost, opened_at=now, closed_at=now,
            )
            for number, (request_id, cost) in enumerate(zip(ids, costs, strict=True), 1)
        ]  # fmt: skip
        body = msgspec.json.encode(records).decode()
        after, self.posted = self.posted, self.posted + len(costs)
        door(gateway_api.POST_USAGE, self.id, after, self.posted, body)
        return ids


@pytest.fixture
def award(world: World) -> AwardView:
    """₩3,000, of which the ministry gives two thirds."""
    services.add_source(actor=SYSTEM, slug="fund", name_ko="기금", kind="fund")
    services.appropriate(
        actor=SYSTEM, programme_slug="hyperscale", micro_won=won(500_000), source_slug="fund"
    )
    return world.grant(3_000)


def parts(award: AwardView, ids: list[UUID]) -> list[dict[str, int]]:
    found = selectors.calls_by_source(award_id=award.id, request_ids=ids)
    return [
        {source.slug if source else "own": part for source, part in found[one].parts} if one in found else {}
        for one in ids
    ]


def test_each_call_spends_in_proportion_and_all_together_spend_what_the_award_did(
    world: World, award: AwardView
) -> None:
    process = Process(award, world.nuri.id, won(100))
    first = process.post(1, 1, 1, 0)
    second = process.post(7_000_003, 2)
    assert parts(award, first) == [{"ministry": 1}, {"fund": 1}, {"ministry": 1}, {}]
    (large, small) = parts(award, second)
    assert sum(large.values()) == 7_000_003
    assert sum(small.values()) == 2
    by_call = parts(award, [*first, *second])
    totals = {name: sum(one.get(name, 0) for one in by_call) for name in ("ministry", "fund")}
    lines = selectors.spent_by_source(award.id)
    assert totals == {line.source.slug: line.spent_micro_won for line in lines if line.source}
    assert sum(totals.values()) == 7_000_008


def test_the_order_is_that_of_posting_whoever_opened_first(world: World, award: AwardView) -> None:
    early, late = uuid7(), uuid7()
    one, other = Process(award, world.nuri.id, won(10)), Process(award, world.nuri.id, won(10))
    other.post(3, opened=[late])
    one.post(3, opened=[early])
    found = selectors.calls_by_source(award_id=award.id, request_ids=[early, late])
    assert (found[late].before_micro_won, found[early].before_micro_won) == (0, 3)
    earlier = parts(award, [early, late])
    for cost in (5, 11, 1_000_000):
        one.post(cost)
    assert parts(award, [early, late]) == earlier


def test_calls_of_one_batch_that_were_opened_hours_apart(world: World, award: AwardView) -> None:
    now_ms = clock.to_unix_us(clock.now()) // 1_000
    ids = [uuid7(now_ms), uuid7(now_ms - 9 * 3_600_000), uuid7(now_ms - 1)]
    Process(award, world.nuri.id, won(10)).post(10, 20, 30, opened=ids)
    found = selectors.calls_by_source(award_id=award.id, request_ids=[ids[2]])
    assert found[ids[2]].before_micro_won == 30


def test_an_own_contribution_takes_part_from_when_it_arrived(world: World, award: AwardView) -> None:
    services.set_own_contribution(
        actor=SYSTEM, programme_slug="hyperscale", rules={"small": OwnShareRule(5_000)}
    )
    shared = world.grant(1_000, size_class="small", sources=["ministry"])
    process = Process(shared, world.nuri.id, won(100))
    before = process.post(100)
    services.confirm_own_contribution(actor=SYSTEM, award_id=shared.id)
    after = process.post(1_000)
    assert parts(shared, before) == [{"ministry": 100}]
    assert parts(shared, after) == [{"ministry": 500, "own": 500}]
    assert settlement.verify_everything().ok


def test_others_calls_are_not_among_them(world: World, award: AwardView) -> None:
    (call,) = Process(award, world.nuri.id, won(10)).post(5)
    assert selectors.calls_by_source(award_id=world.grant(1_000).id, request_ids=[call]) == {}
    assert selectors.calls_by_source(award_id=award.id, request_ids=[]) == {}
