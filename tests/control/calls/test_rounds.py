"""Rounds after publication: extended, closed, and the steps whose time is over."""

from datetime import timedelta
from uuid import UUID

import pytest
from tests.control.calls.conftest import World, steps_with, won
from tests.control.calls.test_calls import ANYBODY, code_of

from dure.control.calls import hooks, selectors, services
from dure.control.calls.models import Round
from dure.control.foundation import audit, clock
from dure.control.foundation.errors import Forbidden, Invalid

DAY = timedelta(days=1)


def test_an_extension_is_later_reasoned_recorded_and_public(world: World) -> None:
    round_ = world.published()
    assert round_.closes_at is not None
    for moment, reason, code in (
        (round_.closes_at, "x", "extension_not_later"),
        (round_.closes_at - DAY, "x", "extension_not_later"),
        (round_.closes_at + DAY, "  ", "reason_missing"),
    ):
        assert (
            code_of(
                lambda moment=moment, reason=reason: services.extend_round(
                    actor=world.officer, round_id=round_.id, closes_at=moment, reason=reason
                )
            )
            == code
        )
    later = round_.closes_at + 3 * DAY
    extended = services.extend_round(
        actor=world.officer, round_id=round_.id, closes_at=later, reason="접수 시스템 점검"
    )
    assert extended.closes_at == later
    (seen,) = selectors.round_for(actor=ANYBODY, round_id=round_.id).extensions
    assert (seen.old_closes_at, seen.new_closes_at, seen.reason, seen.created_by_name) == (
        round_.closes_at,
        later,
        "접수 시스템 점검",
        "",
    )
    event = audit.events_for("call", round_.call.id)[0]
    assert (event.action, event.actor_name) == ("round.extended", world.officer.name)


def test_only_the_agencys_officers_extend(world: World) -> None:
    round_ = world.published()
    assert round_.closes_at is not None
    for actor in (world.stranger, world.applicant, ANYBODY):
        with pytest.raises(Forbidden):
            services.extend_round(
                actor=actor, round_id=round_.id, closes_at=round_.closes_at + DAY, reason="x"
            )


def test_whoever_listens_hears_of_a_moved_deadline(world: World) -> None:
    heard: list[tuple[UUID, str]] = []

    def listen(round_id: UUID, old: object, new: object, reason: str) -> None:
        heard.append((round_id, reason))

    round_ = world.published()
    assert round_.closes_at is not None
    hooks.deadline_moved.register(listen)
    try:
        services.extend_round(
            actor=world.officer, round_id=round_.id, closes_at=round_.closes_at + DAY, reason="눈"
        )
    finally:
        hooks.deadline_moved.unregister(listen)
    assert heard == [(round_.id, "눈")]


def with_decision_until(world: World, days: int) -> Round:
    """A round that closes in 30 days and is decided `days` days after that."""
    now = clock.now()
    world.filled()
    ends = (now + timedelta(days=30 + days)).isoformat()
    services.save_steps(
        actor=world.officer, call_slug="api-2026", content=steps_with(decide={"closes_at": ends})
    )
    return services.publish_round(actor=world.officer, round_id=world.round(closes_at=now + 30 * DAY).id)


def test_other_dates_move_only_when_that_is_asked_for(world: World) -> None:
    round_ = with_decision_until(world, 10)
    decided = round_.graph.step("decide").closes_at
    services.extend_round(
        actor=world.officer, round_id=round_.id, closes_at=round_.closes_at + 5 * DAY, reason="x"
    )
    one = selectors.round_for(actor=world.officer, round_id=round_.id)
    assert one.graph.step("decide").closes_at == decided
    with pytest.raises(Invalid) as refused:
        services.extend_round(
            actor=world.officer, round_id=round_.id, closes_at=round_.closes_at + 20 * DAY, reason="x"
        )
    assert (refused.value.code, refused.value.data["steps"]) == ("steps_before_closing", ["decide"])
    services.extend_round(
        actor=world.officer,
        round_id=round_.id,
        closes_at=round_.closes_at + 20 * DAY,
        reason="x",
        move_steps=True,
    )
    one = selectors.round_for(actor=world.officer, round_id=round_.id)
    assert one.graph.step("decide").closes_at == decided + 15 * DAY
    due = {step.key: step.due_at for step in selectors.timed_steps(actor=world.officer, round_id=round_.id)}
    assert due["apply"] == round_.closes_at + 20 * DAY
    assert abs(due["decide"] - (decided + 15 * DAY)) < timedelta(seconds=1)


def test_a_round_is_not_closed_before_its_time(world: World) -> None:
    round_ = world.published()
    assert (
        code_of(lambda: services.close_round(actor=world.officer, round_id=round_.id)) == "round_still_open"
    )


def test_automatic_approvals_may_end_when_the_money_does(world: World) -> None:
    round_ = world.published(
        "small",
        {"kind": "small_request"},
        automatic={"most_micro_won": won(1_000_000), "valid_days": 90, "most_per_group": 1},
    )
    assert code_of(lambda: services.close_round(actor=world.officer, round_id=round_.id)) == "reason_missing"
    closed = services.close_round(actor=world.officer, round_id=round_.id, reason="예산 소진")
    assert (closed.state, closed.end_reason) == ("closed", "예산 소진")
    assert services.close_round(actor=world.officer, round_id=round_.id).ended_at == closed.ended_at
    assert selectors.call(actor=ANYBODY, slug="small").state == "closed"


def over(round_id: UUID) -> None:
    """Time passes: what the database would refuse to be changed is changed without its trigger."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE calls_round SET opens_at = opens_at - interval '60 days', closes_at = closes_at - interval '60 days'"
            " WHERE id = %s",
            [round_id],
        )
        cursor.execute(
            "UPDATE calls_roundstep SET due_at = due_at - interval '60 days' WHERE round_id = %s", [round_id]
        )
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_after_its_time_a_round_is_judged_and_then_closed(world: World) -> None:
    round_ = world.published()
    over(round_.id)
    assert selectors.round_for(actor=ANYBODY, round_id=round_.id).phase == "judging"
    assert services.close_round(actor=world.officer, round_id=round_.id).state == "closed"
    assert (
        code_of(
            lambda: services.extend_round(
                actor=world.officer, round_id=round_.id, closes_at=clock.now() + DAY, reason="x"
            )
        )
        == "round_not_published"
    )


def test_after_an_outage_a_closing_may_be_moved_though_it_has_passed(world: World) -> None:
    round_ = world.published()
    over(round_.id)
    services.expire_steps()
    moved = services.extend_round(
        actor=world.officer, round_id=round_.id, closes_at=clock.now() + DAY, reason="장애"
    )
    assert moved.phase == "open"
    (step,) = selectors.timed_steps(actor=world.officer, round_id=round_.id)
    assert (step.key, step.state, step.expired_at) == ("apply", "waiting", None)
    again = clock.now() + timedelta(hours=25)
    assert services.expire_steps(at=again) == 1


def test_an_expired_step_waits_for_a_person(world: World) -> None:
    heard: list[str] = []
    round_ = with_decision_until(world, 10)
    assert services.expire_steps() == 0
    over(round_.id)

    def listen(round_id: UUID, key: str) -> None:
        heard.append(key)

    hooks.step_expired.register(listen)
    try:
        assert services.expire_steps() == 2
        assert services.expire_steps() == 0
    finally:
        hooks.step_expired.unregister(listen)
    assert heard == ["apply", "decide"]
    states = {one.key: one.state for one in selectors.timed_steps(actor=world.officer, round_id=round_.id)}
    assert states == {"apply": "expired", "decide": "expired"}
    settled = services.settle_step(
        actor=world.officer, round_id=round_.id, step_key="decide", reason="위원회를 다시 엽니다"
    )
    assert (settled.state, settled.settled_by_name) == ("handled", world.officer.name)
    for key, code in (("decide", "step_is_settled"), ("award", "step_not_found")):
        assert (
            code_of(
                lambda key=key: services.settle_step(
                    actor=world.officer, round_id=round_.id, step_key=key, reason="x"
                )
            )
            == code
        )
    public = selectors.timed_steps(actor=ANYBODY, round_id=round_.id)
    assert {(one.settled_by_name, one.reason) for one in public} == {("", "")}


def test_a_step_published_to_go_on_by_itself_does_and_says_why(world: World) -> None:
    world.filled()
    now = clock.now()
    services.save_steps(
        actor=world.officer,
        call_slug="api-2026",
        content=steps_with(
            decide={
                "closes_at": (now + 40 * DAY).isoformat(),
                "on_expiry": "advance",
                "expiry_outcome": "refused",
            }
        ),
    )
    round_ = services.publish_round(actor=world.officer, round_id=world.round().id)
    over(round_.id)
    heard: list[str] = []

    def listen(round_id: UUID, key: str) -> None:
        heard.append(key)

    hooks.step_advanced.register(listen)
    try:
        services.expire_steps()
    finally:
        hooks.step_advanced.unregister(listen)
    assert heard == ["decide"]
    step = selectors.timed_steps(actor=world.officer, round_id=round_.id)[1]
    assert (step.state, step.reason) == ("advanced", "published to go on by itself with “refused”")
