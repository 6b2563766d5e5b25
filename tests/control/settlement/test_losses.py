"""A gateway that is lost: two officers give its money back, and its journal still counts if it turns up."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import Error, IntegrityError, connection, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.control.settlement.conftest import GRANT, World, call, post, start
from tests.control.settlement.test_gateway_api import lease

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.control.access import services as access
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.foundation.models import OutboxMail
from dure.control.identity import services as identity
from dure.control.ledger import selectors as ledger
from dure.control.settlement import selectors, services
from dure.control.settlement.models import GatewayProcess, LossDeclaration, LostEscrow, UsageRecord
from dure.control.settlement.services import verify_everything
from dure.control.settlement.workflow import LOSS_STATES, LOSS_TRANSITIONS, TERM

SYSTEM = Actor.system("test")
REASON = "the machine burnt down with its disk"


def silence(process: UUID, seconds: int = 60) -> None:
    GatewayProcess.objects.filter(pk=process).update(last_seen_at=clock.now() - timedelta(seconds=seconds))


def person(organisation: Any, email: str, *roles: str, language: str = "ko") -> Actor:
    added = identity.add_person(actor=SYSTEM, email=email, name=email.partition("@")[0], language=language)
    identity.add_membership(
        actor=SYSTEM, person_id=added.id, organisation_id=organisation.id, roles=list(roles)
    )
    return Actor(
        kind="person",
        name=added.name,
        person_id=added.id,
        organisation_id=organisation.id,
        organisation_kind=organisation.kind,
        roles=frozenset(roles),
    )


class Ministry:
    """Two officers whose money it is, one of another ministry, an operator, and somebody of a start-up."""

    def __init__(self, world: World) -> None:
        def add(slug: str, kind: str) -> Any:
            return identity.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=slug)

        own, other, startup = add("our-own", "ministry"), add("other", "ministry"), add("startup", "startup")
        self.first = person(own, "first@example.kr", "officer")
        self.second = person(own, "second@example.kr", "officer", language="en")
        self.stranger = person(other, "stranger@example.kr", "officer")
        self.operator = person(own, "operator@example.kr", "operator")
        self.user = person(startup, "user@example.kr", "administrator")
        access.open_entitlement(
            actor=SYSTEM,
            award_id=world.award,
            organisation_id=startup.id,
            programme_id=world.programme,
            agency_id=own.id,
            valid_from=clock.now(),
            valid_until=None,
        )


@pytest.fixture
def ministry(world: World) -> Ministry:
    return Ministry(world)


@pytest.fixture
def gone(world: World, ministry: Ministry) -> UUID:
    """A process that posted one call of 70, holds 63,930 of the award, and has said nothing for a minute."""
    process = start()
    lease(process, world.award, 1_000)
    post(process, 0, [world.record(1, 70)])
    silence(process)
    return process


def declare(ministry: Ministry, *processes: UUID) -> list[selectors.LossView]:
    services.declare_lost(actor=ministry.first, process_ids=processes, reason=REASON)
    return services.confirm_lost(actor=ministry.second, process_ids=processes)


def refused(code: str, work: Callable[[], object]) -> None:
    with pytest.raises((Conflict, Forbidden, Invalid, NotFound)) as caught:
        work()
    assert caught.value.code == code


def test_what_waits_is_shown_by_award_and_process(world: World, gone: UUID) -> None:
    (waiting,) = selectors.waiting_escrow()
    assert (waiting.process_id, waiting.award_id, waiting.micro_won) == (gone, world.award, 63_930)
    assert (waiting.node, waiting.loss) == ("node", None)
    assert selectors.waiting_escrow(award_ids=[world.award]) == [waiting]
    assert selectors.waiting_escrow(award_ids=[uuid7()]) == []
    (view,) = selectors.gateway_processes()
    assert (view.state, view.waits, view.escrow_micro_won) == ("silent", True, 63_930)


def test_a_living_process_makes_nothing_wait(world: World) -> None:
    lease(start(), world.award, 1_000)
    assert selectors.waiting_escrow() == []


def test_two_officers_return_the_money_as_a_correction_of_the_leases(
    world: World, ministry: Ministry, gone: UUID
) -> None:
    (asked,) = services.declare_lost(actor=ministry.first, process_ids=[gone], reason=f"  {REASON}\n")
    assert (asked.state, asked.reason, asked.waiting_micro_won) == ("requested", REASON, 63_930)
    assert asked.expires_at - asked.requested_at == TERM
    assert world.held("escrow") == 63_930, "one word moves nothing"

    (done,) = services.confirm_lost(actor=ministry.second, process_ids=[gone])
    assert (done.state, done.returned_micro_won) == ("confirmed", 63_930)
    assert (world.held("award"), world.held("escrow"), world.held("payable")) == (GRANT - 70, 0, 70)
    (correction,) = ledger.transfers(book_id=world.programme, kind="correction")
    (leased,) = ledger.transfers(book_id=world.programme, kind="lease")
    assert (correction.corrects_id, correction.amount) == (leased.id, 63_930)
    assert REASON in correction.memo
    assert selectors.waiting_escrow() == []
    (view,) = selectors.gateway_processes()
    assert (view.state, view.silent, view.escrow_micro_won) == ("lost", False, 0)
    assert verify_everything().difference == ""


def test_the_latest_leases_are_corrected_first_and_none_by_more_than_it_was(
    world: World, ministry: Ministry
) -> None:
    process = start()
    granted = [lease(process, world.award, 1_000)[0] for _ in range(3)]
    call(gateway_api.GIVE_BACK, process, world.award, uuid7(), 10_000)
    post(process, 0, [world.record(1, granted[0] - 5_000)])
    silence(process)
    declare(ministry, process)
    amounts = [one.amount for one in ledger.transfers(book_id=world.programme, kind="correction")]
    assert sorted(amounts) == sorted([granted[2], granted[1] - 5_000])
    assert world.held("escrow") == 0
    assert verify_everything().difference == ""


def test_the_audit_trail_says_who_and_why(world: World, ministry: Ministry, gone: UUID) -> None:
    declare(ministry, gone)
    events = audit.events_for("gateway_process", gone)
    assert [(event.action, event.person_id) for event in events] == [
        ("gateway.declared_lost", ministry.second.person_id),
        ("gateway.loss_requested", ministry.first.person_id),
    ]
    assert events[0].after["returned_micro_won"] == 63_930
    (event,) = [
        one for one in audit.events_for("award", world.award) if one.action == "award.escrow_corrected"
    ]
    assert (event.after["returned_micro_won"], event.after["reason"]) == (63_930, REASON)


def test_the_officers_concerned_are_told_in_their_languages(
    world: World, ministry: Ministry, gone: UUID
) -> None:
    declare(ministry, gone)
    mails = OutboxMail.objects.filter(dedupe_key__startswith="loss-").order_by("created_at", "to")
    assert [(mail.to, mail.language) for mail in mails] == 2 * [
        ("first@example.kr", "ko"),
        ("second@example.kr", "en"),
    ]
    english = [mail for mail in mails if mail.language == "en"]
    assert [mail.subject for mail in english] == [
        "Confirm or refuse: the gateway node is to be declared lost",
        "The gateway node was declared lost; its money is back in the awards",
    ]
    assert REASON in english[0].body
    assert "programme: ₩0.06393 (1 award)" in english[0].body
    assert f"/operations/gateways/{gone}/" in english[0].body
    assert "first" in english[1].body
    assert "second" in english[1].body


def test_a_node_of_several_processes_is_one_decision(world: World, ministry: Ministry, gone: UUID) -> None:
    other, alive = start(), start()
    lease(other, world.award, 500)
    silence(other)
    refused(
        "process_alive",
        lambda: services.declare_lost(actor=ministry.first, process_ids=[gone, alive], reason=REASON),
    )
    assert LossDeclaration.objects.count() == 0, "all or none"
    views = declare(ministry, gone, other)
    assert {view.process_id: view.returned_micro_won for view in views} == {gone: 63_930, other: 32_000}
    assert OutboxMail.objects.filter(dedupe_key__startswith="loss-").count() == 4, (
        "one notice an officer and step"
    )
    assert world.held("escrow") == 0
    assert verify_everything().difference == ""


def test_one_officer_alone_cannot(ministry: Ministry, gone: UUID) -> None:
    services.declare_lost(actor=ministry.first, process_ids=[gone], reason=REASON)
    refused("second_officer_needed", lambda: services.confirm_lost(actor=ministry.first, process_ids=[gone]))
    row = LossDeclaration.objects.get()
    with pytest.raises(IntegrityError, match="needs_two_people"), transaction.atomic():
        LossDeclaration.objects.filter(pk=row.pk).update(state="confirmed", decided_by_id=row.requested_by_id)


def test_who_may_not(ministry: Ministry, gone: UUID) -> None:
    for actor in (ministry.stranger, ministry.operator, SYSTEM):
        refused(
            "officer_needed",
            lambda actor=actor: services.declare_lost(actor=actor, process_ids=[gone], reason=REASON),
        )
    for actor in (ministry.user, Actor.anonymous()):
        refused(
            "process_not_found",
            lambda actor=actor: services.declare_lost(actor=actor, process_ids=[gone], reason=REASON),
        )
    services.declare_lost(actor=ministry.first, process_ids=[gone], reason=REASON)
    for verb in (services.confirm_lost, services.withdraw_lost):
        refused("officer_needed", lambda verb=verb: verb(actor=ministry.stranger, process_ids=[gone]))


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501])
def test_a_reason_is_needed_and_has_an_end(ministry: Ministry, gone: UUID, reason: str) -> None:
    code = "reason_missing" if not reason.strip() else "reason_too_long"
    refused(code, lambda: services.declare_lost(actor=ministry.first, process_ids=[gone], reason=reason))


def test_a_living_or_settled_process_is_not_lost(world: World, ministry: Ministry, gone: UUID) -> None:
    alive = start()
    lease(alive, world.award, 1_000)
    refused(
        "process_alive",
        lambda: services.declare_lost(actor=ministry.first, process_ids=[alive], reason=REASON),
    )
    services.declare_lost(actor=ministry.first, process_ids=[gone], reason=REASON)
    call(gateway_api.HEARTBEAT, gone, "{}")
    refused("process_alive", lambda: services.confirm_lost(actor=ministry.second, process_ids=[gone]))
    call(gateway_api.FINISH_PROCESS, gone)
    refused("process_settled", lambda: services.confirm_lost(actor=ministry.second, process_ids=[gone]))
    refused("process_not_found", lambda: services.confirm_lost(actor=ministry.second, process_ids=[uuid7()]))
    assert verify_everything().difference == ""


def test_either_withdraws_and_it_can_be_asked_again(ministry: Ministry, gone: UUID) -> None:
    for actor in (ministry.first, ministry.second):
        services.declare_lost(actor=ministry.first, process_ids=[gone], reason=REASON)
        refused(
            "declaration_exists",
            lambda: services.declare_lost(actor=ministry.second, process_ids=[gone], reason=REASON),
        )
        (taken_back,) = services.withdraw_lost(actor=actor, process_ids=[gone])
        assert taken_back.state == "withdrawn"
        refused(
            "declaration_missing", lambda: services.confirm_lost(actor=ministry.second, process_ids=[gone])
        )
    declare(ministry, gone)
    refused("declaration_missing", lambda: services.withdraw_lost(actor=ministry.first, process_ids=[gone]))
    refused(
        "process_settled",
        lambda: services.declare_lost(actor=ministry.second, process_ids=[gone], reason=REASON),
    )


def test_a_week_later_the_request_no_longer_stands(ministry: Ministry, gone: UUID) -> None:
    (asked,) = services.declare_lost(actor=ministry.first, process_ids=[gone], reason=REASON)
    late = asked.expires_at
    refused(
        "declaration_expired",
        lambda: services.confirm_lost(actor=ministry.second, process_ids=[gone], at=late),
    )
    (again,) = services.declare_lost(actor=ministry.second, process_ids=[gone], reason=REASON, at=late)
    assert again.id != asked.id
    assert set(LossDeclaration.objects.values_list("state", flat=True)) == {"expired", "requested"}
    services.confirm_lost(
        actor=ministry.first, process_ids=[gone], at=again.expires_at - timedelta(microseconds=1)
    )


def test_every_state_can_be_reached_and_the_database_knows_them() -> None:
    assert {"requested"} | set().union(*LOSS_TRANSITIONS.values()) == set(LOSS_STATES)


# The process afterwards


def test_a_lost_process_hears_of_it_and_gets_nothing_more(
    world: World, ministry: Ministry, gone: UUID
) -> None:
    declare(ministry, gone)
    for statement, arguments in (
        (gateway_api.LEASE, (gone, world.award, uuid7(), 1)),
        (gateway_api.HEARTBEAT, (gone, "{}")),
        (gateway_api.GIVE_BACK, (gone, world.award, uuid7(), 1)),
    ):
        with pytest.raises(Error), transaction.atomic():
            call(statement, *arguments)
    with pytest.raises(Error) as heard, transaction.atomic():
        call(gateway_api.HEARTBEAT, gone, "{}")
    assert heard.value.__cause__.sqlstate == gateway_api.NO_PROCESS  # type: ignore[union-attr]


def test_its_journal_is_charged_to_the_award_when_it_turns_up(
    world: World, ministry: Ministry, gone: UUID
) -> None:
    declare(ministry, gone)
    records = [world.record(2, 1_000), world.record(3, 0, status="failed"), world.record(4, 500)]
    assert post(gone, 1, records) == 4
    assert post(gone, 1, records) == 4, "the same batch again changes nothing"
    assert call(gateway_api.PROCESS_MONEY, gone) == (True, 0, 1_500, 0)
    call(gateway_api.FINISH_PROCESS, gone)
    assert (world.held("award"), world.held("payable")) == (GRANT - 1_570, 1_570)
    (transfer,) = ledger.transfers(book_id=world.programme, kind="late_usage")
    assert (transfer.amount, transfer.debit.kind, transfer.debit.owner_id) == (1_500, "award", world.award)
    (view,) = selectors.gateway_processes(finished_since=timedelta(hours=1))
    assert view.state == "finished"
    (kept,) = selectors.lost_sums(process_id=gone)
    assert (kept.returned_micro_won, kept.charged_micro_won, kept.uncovered_micro_won) == (63_930, 1_500, 0)
    assert verify_everything().difference == ""


def test_what_the_award_no_longer_has_is_uncovered_in_the_order_of_the_calls(
    world: World, ministry: Ministry, gone: UUID
) -> None:
    declare(ministry, gone)
    other = start()
    left = world.held("award")
    taken = 0
    while left - taken > 1_000:
        taken += lease(other, world.award, (left - taken) // 2)[0]
    left -= taken
    records = [
        world.record(2, left - 10),
        world.record(3, 100),
        world.record(4, 7, error_code="upstream_broke"),
    ]
    post(gone, 1, records)
    rows = UsageRecord.objects.filter(process_id=gone, sequence__gt=1).order_by("sequence")
    assert [(row.cost_micro_won, row.uncovered_micro_won, row.error_code) for row in rows] == [
        (left - 10, 0, ""),
        (10, 90, "uncovered_after_loss"),
        (0, 7, "upstream_broke"),
    ]
    assert [row.transfer_id is None for row in rows] == [False, False, True]
    assert world.held("award") == 0
    assert call(gateway_api.PROCESS_MONEY, gone) == (True, 0, left, 97)
    assert verify_everything().difference == ""


def test_never_more_than_was_returned_from_this_process(world: World, ministry: Ministry, gone: UUID) -> None:
    """As in its life it could not spend more than was set aside for it."""
    declare(ministry, gone)
    post(gone, 1, [world.record(2, 63_000)])
    post(gone, 2, [world.record(3, 1_000)])
    (kept,) = selectors.lost_sums(process_id=gone)
    assert (kept.charged_micro_won, kept.uncovered_micro_won) == (63_930, 70)
    assert world.held("award") == GRANT - 70 - 63_930
    assert verify_everything().difference == ""


def test_an_award_it_held_nothing_of_is_not_charged(world: World, ministry: Ministry, gone: UUID) -> None:
    declare(ministry, gone)
    other = World().fund()
    post(gone, 1, [world.record(2, 5), world.record(3, 9, award=other.award)])
    assert other.held("award") == GRANT
    sums = {one.award_id: one for one in selectors.lost_sums(process_id=gone)}
    assert (sums[other.award].charged_micro_won, sums[other.award].uncovered_micro_won) == (0, 9)
    assert verify_everything().difference == ""


def test_tampering_with_a_loss_is_found(world: World, ministry: Ministry, gone: UUID) -> None:
    declare(ministry, gone)
    post(gone, 1, [world.record(2, 1_000)])
    deeds = {
        "UPDATE settlement_lostescrow SET returned_micro_won = 63931": "the ledger has 63930 and 1000",
        "UPDATE settlement_lostescrow SET charged_micro_won = 999": "the ledger has 63930 and 1000",
        "DELETE FROM settlement_lostescrow": "the ledger has 0 and 1000",
        "UPDATE settlement_lossdeclaration SET state = 'withdrawn'": "do not agree",
        "UPDATE settlement_gatewayprocess SET lost_at = NULL": "do not agree",
    }
    for deed, found in deeds.items():
        point = transaction.savepoint_create()
        with connection.cursor() as cursor:
            cursor.execute(deed)
        assert found in verify_everything().difference
        transaction.savepoint_rollback(point)
    assert verify_everything().difference == ""


def test_the_gateways_role_may_ask_what_recovery_came_to(world: World, gone: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE dure_gateway")
        cursor.execute(gateway_api.PROCESS_MONEY, [gone])
        assert cursor.fetchone() == (False, 63_930, 0, 0)
        for function in (
            "settlement_cover_late_usage(uuid, text)",
            "settlement_pay_late_usage(uuid, bigint, jsonb)",
        ):
            cursor.execute("SELECT has_function_privilege(%s, 'EXECUTE')", [function])
            assert cursor.fetchone() == (False,)
        cursor.execute("RESET ROLE")


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["lease", "give_back", "post", "post", "finish", "declare", "declare", "alive"]),
        st.integers(0, 2),
        st.integers(1, 300_000),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_whatever_is_declared_lost_and_turns_up_every_won_is_somewhere(
    db: None, steps: list[tuple[str, int, int]]
) -> None:
    """In any order, also of a process that was declared lost while it went on spending."""
    point = transaction.savepoint_create()
    world = World().fund()
    ministry = Ministry(world)
    processes = [start() for _ in range(3)]
    posted = dict.fromkeys(processes, 0)
    told = 0
    for step, index, amount in steps:
        process = processes[index]
        try:
            with transaction.atomic():
                if step == "lease":
                    lease(process, world.award, amount)
                elif step == "give_back":
                    call(gateway_api.GIVE_BACK, process, world.award, uuid7(), amount)
                elif step == "post":
                    record = world.record(posted[process] + 1, amount)
                    posted[process] = post(process, posted[process], [record])
                    told += amount
                elif step == "finish":
                    call(gateway_api.FINISH_PROCESS, process)
                elif step == "alive":
                    call(gateway_api.HEARTBEAT, process, "{}")
                else:
                    silence(process)
                    declare(ministry, process)
        except (Error, Conflict):
            continue  # refused, and so nothing moved
        assert world.held("award") + world.held("escrow") + world.held("payable") == GRANT
    charged = sum(UsageRecord.objects.filter(award_id=world.award).values_list("cost_micro_won", flat=True))
    uncovered = sum(
        UsageRecord.objects.filter(award_id=world.award).values_list("uncovered_micro_won", flat=True)
    )
    assert world.held("payable") == charged
    assert charged + uncovered == told
    lost = LostEscrow.objects.filter(award_id=world.award)
    assert all(row.charged_micro_won <= row.returned_micro_won for row in lost)
    assert sum(row.uncovered_micro_won for row in lost) == uncovered
    assert verify_everything().difference == ""
    transaction.savepoint_rollback(point)


# Two connections at once


@pytest.fixture
def beside(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session of its own, as the gateway has."""
    with psycopg.connect(database_url) as other:
        other.execute("SET lock_timeout = '10s'")
        yield other
        other.rollback()
    connections.close_all()


def _backend_waits(other: psycopg.Connection[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [other.info.backend_pid]
        )
        return cursor.fetchone() == ("Lock",)


def test_a_lease_under_way_is_returned_too_or_refused(
    database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """A lease that came first is part of what returns; one that comes after the officers' word is refused."""
    world = World().fund()
    ministry = Ministry(world)
    process = start()
    beside.execute(gateway_api.LEASE, (process, world.award, uuid7(), 1_000))
    beside.commit()
    silence(process)
    services.declare_lost(actor=ministry.first, process_ids=[process], reason=REASON)
    with transaction.atomic():
        services.confirm_lost(actor=ministry.second, process_ids=[process])
        beside.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            beside.execute(gateway_api.LEASE, (process, world.award, uuid7(), 1_000))
        beside.rollback()
    with pytest.raises(psycopg.errors.NoDataFound):
        beside.execute(gateway_api.LEASE, (process, world.award, uuid7(), 1_000))
    beside.rollback()
    assert (world.held("award"), world.held("escrow")) == (GRANT, 0)
