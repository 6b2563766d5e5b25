"""The gateway's doors: nothing is spent twice, nothing is lost, and nothing else is open."""

from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import Error, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.control.settlement.conftest import GRANT, World, call, post, start

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.contracts.usage import Attempt
from dure.control.foundation import clock, directory
from dure.control.settlement import selectors
from dure.control.settlement.models import UsageDay
from dure.control.settlement.services import verify_everything


def lease(process: object, award: object, needed: int, transfer_id: object = None) -> tuple[int, int, int]:
    return call(gateway_api.LEASE, process, award, transfer_id or uuid7(), needed)


def test_a_lease_moves_a_slice_from_the_award_into_escrow(world: World) -> None:
    process = start()
    granted, left, elsewhere = lease(process, world.award, 100)
    assert (granted, left, elsewhere) == (6_400, GRANT - 6_400, 0)
    assert (world.held("award"), world.held("escrow")) == (GRANT - 6_400, 6_400)


def test_slices_shrink_as_the_award_empties_and_never_exceed_it(world: World) -> None:
    process = start()
    granted = [lease(process, world.award, 1_000)[0] for _ in range(400)]
    assert granted[0] == 64_000
    assert all(later <= earlier for earlier, later in pairwise(granted) if later)
    assert sum(granted) == world.held("escrow")
    assert world.held("award") < 1_000
    assert lease(process, world.award, 1_000)[0] == 0


def test_a_lease_asked_again_with_its_id_is_the_same_lease(world: World) -> None:
    process, transfer_id = start(), uuid7()
    first = lease(process, world.award, 100, transfer_id)
    assert lease(process, world.award, 100, transfer_id)[0] == first[0]
    assert world.held("escrow") == first[0]


def test_what_other_processes_hold_is_told(world: World) -> None:
    first, second = start(), start()
    granted = lease(first, world.award, 100)[0]
    assert lease(second, world.award, GRANT)[0] == 0
    assert lease(second, world.award, GRANT)[2] == granted


def test_an_award_that_is_not_there_or_withdrawn_grants_nothing(world: World) -> None:
    process = start()
    assert lease(process, uuid7(), 1) == (0, 0, 0)
    with transaction.atomic():
        directory.withdraw("award", world.award)
    assert lease(process, world.award, 1)[0] == 0


def test_unknown_and_finished_processes_are_refused(world: World) -> None:
    with pytest.raises(Error, match="unknown or finished"), transaction.atomic():
        lease(uuid7(), world.award, 1)
    process = start()
    call(gateway_api.FINISH_PROCESS, process)
    with pytest.raises(Error, match="unknown or finished"), transaction.atomic():
        lease(process, world.award, 1)


def test_escrow_given_back_twice_with_one_id_returns_once(world: World) -> None:
    process, transfer_id = start(), uuid7()
    granted = lease(process, world.award, 100)[0]
    for _ in range(2):
        call(gateway_api.GIVE_BACK, process, world.award, transfer_id, 400)
    assert world.held("escrow") == granted - 400
    with pytest.raises(Error, match="exceeds_credits"), transaction.atomic():
        call(gateway_api.GIVE_BACK, process, world.award, uuid7(), granted)


def test_usage_moves_escrow_to_the_provider_and_is_posted_once(world: World) -> None:
    process = start()
    granted = lease(process, world.award, 1_000)[0]
    records = [world.record(1, 70), world.record(2, 30), world.record(3, 0, status="failed", http_status=502)]
    assert post(process, 0, records) == 3
    assert post(process, 0, records) == 3, "the same batch again changes nothing"
    assert post(process, 1, records) == 3, "nor does one from a mark that is not the standing one"
    assert world.held("payable") == 100
    assert world.held("escrow") == granted - 100
    assert call(gateway_api.POSTED_SEQUENCE, process) == 3
    assert sorted(view.cost_micro_won for view in selectors.usage(award_id=world.award)) == [0, 30, 70]
    line = selectors.totals(award_ids=[world.award])
    assert (line.calls, line.failed_calls, line.cost_micro_won) == (3, 1, 100)
    assert verify_everything().difference == ""


@pytest.mark.parametrize(
    ("sequences", "cost", "complaint"),
    [
        ((1, 3), 1, "expected sequences"),
        ((2, 3), 1, "expected sequences"),
        ((1, 1), 1, "expected sequences"),
        ((1, 2), 10**9, "exceeds_credits"),
    ],
)
def test_a_batch_that_cannot_be_right_posts_nothing(
    world: World, sequences: tuple[int, ...], cost: int, complaint: str
) -> None:
    process = start()
    lease(process, world.award, 1_000)
    with pytest.raises(Error, match=complaint), transaction.atomic():
        post(process, 0, [world.record(sequence, cost) for sequence in sequences])
    assert call(gateway_api.POSTED_SEQUENCE, process) == 0
    assert selectors.usage(award_id=world.award) == []
    assert world.held("payable") == 0


def test_usage_without_escrow_is_refused(world: World) -> None:
    process = start()
    with pytest.raises(Error, match="holds no escrow"), transaction.atomic():
        post(process, 0, [world.record(1, 5)])


def test_finishing_returns_all_escrow_and_closes_the_books_of_the_process(world: World) -> None:
    process = start()
    lease(process, world.award, 1_000)
    post(process, 0, [world.record(1, 70)])
    for _ in range(2):
        call(gateway_api.FINISH_PROCESS, process)
    assert world.held("escrow") == 0
    assert world.held("award") == GRANT - 70
    with pytest.raises(Error, match="is finished"), transaction.atomic():
        post(process, 1, [world.record(2, 1)])
    assert verify_everything().difference == ""


def test_a_clock_far_off_loses_no_record(world: World) -> None:
    process = start()
    lease(process, world.award, 1_000)
    year_2100 = 4_102_444_800_000_000
    post(process, 0, [world.record(1, 5, opened_at=0, closed_at=1), world.record(2, 5, closed_at=year_2100)])
    assert len(selectors.usage(award_id=world.award)) == 2
    assert verify_everything().difference == ""


def test_records_ahead_of_their_months_partition_do_not_stop_the_making_of_others(world: World) -> None:
    process = start()
    lease(process, world.award, 1_000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_char(now() AT TIME ZONE 'Asia/Seoul' + interval '3 months', 'YYYY-MM-15')")
        (ahead,) = cursor.fetchone()
        cursor.execute("SELECT (extract(epoch FROM %s::date) * 1000000)::bigint", [ahead])
        (closed_at,) = cursor.fetchone()
        post(process, 0, [world.record(1, 5, closed_at=closed_at)])
        cursor.execute("SELECT settlement_ensure_partitions(4)")
        cursor.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'settlement_usagerecord'::regclass"
        )
        (partitions,) = cursor.fetchone()
    assert partitions == 5, "this month, the two made by the migration, the fourth ahead, and the default"
    assert len(selectors.usage(award_id=world.award)) == 1


def test_times_are_kept_to_the_microsecond(world: World) -> None:
    process = start()
    lease(process, world.award, 1_000)
    moment = 1_795_466_656_123_457
    post(process, 0, [world.record(1, 5, opened_at=moment, first_byte_at=moment + 1, closed_at=moment + 2)])
    (view,) = selectors.usage(award_id=world.award)
    assert (view.closed_at - view.opened_at).microseconds == 2
    assert view.opened_at.microsecond == 123_457


def test_the_gateways_role_can_open_its_doors_and_nothing_else(world: World) -> None:
    process = start()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE dure_gateway")
        cursor.execute(gateway_api.LEASE, [process, world.award, uuid7(), 10])
        assert cursor.fetchone()[0] == 640
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
        tables = [name for (name,) in cursor.fetchall()]
        assert "ledger_transfer" in tables
        for table in tables:
            for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                cursor.execute("SELECT has_table_privilege(%s, %s)", [f"public.{table}", privilege])
                assert cursor.fetchone() == (False,), f"{privilege} on {table}"
        cursor.execute("SELECT has_function_privilege('settlement_ensure_partitions(integer)', 'EXECUTE')")
        assert cursor.fetchone() == (False,)
        cursor.execute("RESET ROLE")


def test_tampered_usage_is_found(world: World) -> None:
    process = start()
    lease(process, world.award, 1_000)
    post(process, 0, [world.record(1, 70), world.record(2, 30)])
    deeds = {
        "UPDATE settlement_usagerecord SET cost_micro_won = 31 WHERE sequence = 2": "its usage records come to 101",
        "DELETE FROM settlement_usagerecord WHERE sequence = 2": "its usage records come to 70",
        "UPDATE settlement_usagerecord SET sequence = 5 WHERE sequence = 2": "holds 2 records, 1 to 5",
        "UPDATE settlement_usageday SET input_tokens = 1": "day totals and records differ",
    }
    for deed, found in deeds.items():
        point = transaction.savepoint_create()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(deed)
        assert found in verify_everything().difference
        transaction.savepoint_rollback(point)
    assert verify_everything().difference == ""


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lease", "give_back", "post", "finish"]), st.integers(0, 2), st.integers(1, 200_000)
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_whatever_order_processes_act_in_every_won_is_somewhere(
    db: None, steps: list[tuple[str, int, int]]
) -> None:
    world = World().fund()
    processes = [start() for _ in range(3)]
    posted = dict.fromkeys(processes, 0)
    for step, index, amount in steps:
        process = processes[index]
        try:
            with transaction.atomic():
                if step == "lease":
                    lease(process, world.award, amount)
                elif step == "give_back":
                    call(gateway_api.GIVE_BACK, process, world.award, uuid7(), amount)
                elif step == "post":
                    posted[process] = post(
                        process, posted[process], [world.record(posted[process] + 1, amount)]
                    )
                else:
                    call(gateway_api.FINISH_PROCESS, process)
        except Error:
            continue  # refused, and so nothing moved
        assert world.held("award") + world.held("escrow") + world.held("payable") == GRANT
    report = verify_everything()
    assert report.difference == ""


def test_units_beside_tokens_are_kept_and_summed_by_day(world: World) -> None:
    process = start()
    lease(process, world.award, 1_000)
    midday = datetime(2026, 11, 20, 12, tzinfo=clock.SEOUL)
    at = clock.to_unix_us(midday)
    same: dict[str, Any] = {"opened_at": at, "closed_at": at, "endpoint": "images.generations"}
    post(process, 0, [
        world.record(1, 10, units={"image": 2}, **same),
        world.record(2, 10, units={"image": 1, "request": 1}, **same),
        world.record(3, 10, **same),
    ])  # fmt: skip
    post(process, 3, [world.record(4, 10, units={"image": 4}, **same)])
    (day,) = UsageDay.objects.all()
    assert (day.calls, day.units) == (4, {"image": 7, "request": 1})
    assert [view.units for view in selectors.usage(award_id=world.award)].count({}) == 1
    assert verify_everything().ok


def test_each_attempt_is_kept(world: World) -> None:
    process = start()
    lease(process, world.award, 1_000)
    tries = [
        Attempt(deployment=UUID(int=7), outcome="unreachable", ms=12),
        Attempt(deployment=UUID(int=8), outcome="answered", ms=30),
    ]
    post(process, 0, [world.record(1, 10, attempts=2, tries=tries)])
    (view,) = selectors.usage(award_id=world.award)
    assert view.tries == [
        {"deployment": str(UUID(int=7)), "outcome": "unreachable", "ms": 12},
        {"deployment": str(UUID(int=8)), "outcome": "answered", "ms": 30},
    ]
