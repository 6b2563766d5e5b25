"""What officers do, step by step, and what the clock and the published rule do by themselves."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from dure.control.applications import selectors, services
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid, NotFound
from dure.control.identity import services as identity_services
from dure.control.programmes import selectors as programmes
from dure.control.programmes import services as programme_services

from .conftest import SYSTEM, World, answers, won


def refused(kind: type[DureError], code: str, verb: Any, **given: Any) -> DureError:
    with pytest.raises(kind) as caught:
        verb(**given)
    assert caught.value.code == code
    return caught.value


def test_after_the_deadline_an_application_walks_the_steps_to_its_award(world: World) -> None:
    view = world.submitted()
    world.close(view.round.id)
    officer = world.officer
    assert world.see(view).step == "whole"  # every rule was met, so nobody was asked
    services.advance(actor=officer, application_id=view.id, outcome="complete")
    services.advance(actor=officer, application_id=view.id, outcome="passed")
    services.decide(
        actor=officer, application_id=view.id, outcome="accepted", reason="", granted_micro_won=won(2_000_000)
    )
    seen = services.award(actor=officer, application_id=view.id)
    assert (seen.state, seen.step) == ("awarded", "end")
    assert seen.award_id is not None
    award = programmes.award(actor=SYSTEM, award_id=seen.award_id)
    assert (award.granted_micro_won, award.organisation.slug) == (won(2_000_000), "haneul")
    assert [(one.step, one.outcome) for one in seen.passages] == [
        ("apply", "submitted"),
        ("eligible", "met"),
        ("whole", "complete"),
        ("review", "passed"),
        ("decide", "accepted"),
        ("award", "awarded"),
    ]
    assert services.award(actor=officer, application_id=view.id).award_id == seen.award_id


def test_nothing_is_decided_before_the_deadline(world: World) -> None:
    view = world.submitted()
    refused(
        Conflict,
        "deadline_not_reached",
        services.advance,
        actor=world.officer,
        application_id=view.id,
        outcome="submitted",
    )


def test_nothing_is_asked_for_while_it_may_still_be_replaced(world: World) -> None:
    """A request has a clock of its own, which would cut the applicant's time short."""
    view = world.submitted()
    refused(
        Conflict, "deadline_not_reached", services.ask_for_completion, actor=world.officer,
        application_id=view.id, fields=["story"], reason="더 자세히", due_at=clock.now() + timedelta(days=2),
    )  # fmt: skip
    assert world.see(view).state == "submitted"


def test_an_adverse_outcome_needs_a_reason_and_rejects(world: World, mails: Any) -> None:
    view = world.submitted()
    world.close(view.round.id)
    given: dict[str, Any] = {"actor": world.officer, "application_id": view.id, "outcome": "incomplete"}
    refused(Invalid, "reason_missing", services.advance, **given)
    seen = services.advance(**given, reason="사업계획서가 없습니다.")
    assert (seen.state, seen.step) == ("rejected", "end")
    applicant = world.see(view)
    assert applicant.decision is not None
    assert applicant.decision.reason == "사업계획서가 없습니다."


@pytest.mark.parametrize("krw", [0, 3_000_001])
def test_a_grant_lies_within_what_was_asked(world: World, krw: int) -> None:
    view = world.at_decision()
    refused(
        Invalid,
        "granted_out_of_range",
        services.decide,
        actor=world.officer,
        application_id=view.id,
        outcome="accepted",
        reason="",
        granted_micro_won=won(krw),
    )


def test_a_round_grants_no_more_than_its_budget(world: World) -> None:
    view = world.at_decision()
    with patch.object(selectors, "granted_in_round", lambda **_asked: won(48_000_000)):
        error = refused(
            Conflict,
            "round_budget_exceeded",
            services.decide,
            actor=world.officer,
            application_id=view.id,
            outcome="accepted",
            reason="",
        )
    assert error.data == {"left_micro_won": won(2_000_000)}


def test_a_rejection_can_be_objected_to_once_its_step_allows(world: World) -> None:
    view = world.at_decision()
    services.decide(actor=world.officer, application_id=view.id, outcome="rejected", reason="계획이 모호함")
    assert (world.see(view).state, world.see(view).step) == ("rejected", "object")
    seen = services.object_to_decision(actor=world.writer, application_id=view.id, reason="3쪽에 있습니다.")
    assert (seen.state, seen.step) == ("submitted", "object")
    services.advance(actor=world.officer, application_id=view.id, outcome="upheld")
    assert world.see(view).step == "decide"
    services.decide(actor=world.officer, application_id=view.id, outcome="accepted", reason="")
    assert world.see(view).state == "accepted"


def test_an_objection_comes_in_time(world: World) -> None:
    view = world.at_decision()
    services.decide(actor=world.officer, application_id=view.id, outcome="rejected", reason="계획이 모호함")
    with world.at(clock.now() + timedelta(days=12)):
        refused(
            Conflict,
            "deadline_passed",
            services.object_to_decision,
            actor=world.writer,
            application_id=view.id,
            reason="x",
        )


def test_a_request_for_completion_opens_its_fields_alone_and_has_its_own_clock(world: World) -> None:
    view = world.submitted()
    world.close(view.round.id)
    due = clock.now() + timedelta(days=5)
    services.ask_for_completion(
        actor=world.officer, application_id=view.id, fields=["story"], reason="더 자세히", due_at=due
    )
    seen = world.see(view)
    assert seen.request is not None
    assert (seen.state, seen.request.due_at, seen.request.fields) == ("incomplete", due, ("story",))
    refused(
        Conflict,
        "field_not_asked_for",
        services.save_answer,
        actor=world.writer,
        application_id=view.id,
        field="title",
        value="다른 제목",
        base_version=1,
    )
    world.fill(view, story="아주 자세한 내용")
    services.submit(actor=world.writer, application_id=view.id)
    seen = world.see(view, world.officer)
    assert (seen.state, seen.step, seen.values["story"]) == ("submitted", "whole", "아주 자세한 내용")
    assert seen.requests[0].answered_at is not None


def test_a_request_that_is_not_answered_goes_back_to_the_officer(world: World) -> None:
    view = world.submitted()
    world.close(view.round.id)
    services.ask_for_completion(
        actor=world.officer,
        application_id=view.id,
        fields=["story"],
        reason="더 자세히",
        due_at=clock.now() + timedelta(days=5),
    )
    world.fill(view, story="반쯤 쓴 내용")
    with world.at(clock.now() + timedelta(days=6)):
        assert services.expire_requests() == 1
        assert services.expire_requests() == 0
    seen = world.see(view, world.officer)
    assert (seen.state, seen.values["story"]) == ("submitted", "상담 기록을 요약합니다.")


def test_one_applicant_gets_more_time_with_a_reason_on_record(world: World) -> None:
    view = world.started()
    world.close(view.round.id)
    assert world.see(view).state == "lapsed"
    until = view.deadline + timedelta(days=2)
    given: dict[str, Any] = {"actor": world.officer, "application_id": view.id, "until": until}
    refused(Invalid, "reason_missing", services.extend, **given, reason=" ")
    services.extend(**given, reason="정전")
    assert (world.see(view).state, world.see(view).deadline) == ("draft", until)
    world.fill(view)
    assert services.submit(actor=world.writer, application_id=view.id).result == "created"
    assert services.close_due() == 0
    assert selectors.extensions(view.id)[0][1] == "정전"


def test_an_officer_of_another_agency_sees_nothing_and_an_applicant_decides_nothing(world: World) -> None:
    view = world.at_decision()
    other = identity_services.add_organisation(
        actor=SYSTEM, slug="agency", kind="agency", name_ko="다른 기관"
    )
    stranger = world.person(other, "officer")
    refused(
        NotFound,
        "application_not_found",
        services.decide,
        actor=stranger,
        application_id=view.id,
        outcome="rejected",
        reason="x",
    )
    with pytest.raises(Forbidden):
        services.decide(actor=world.boss, application_id=view.id, outcome="accepted", reason="")


def test_in_bulk_what_is_refused_for_one_holds_up_no_other(world: World) -> None:
    first = world.submitted()
    second = services.start(actor=world.stranger, round_id=first.round.id)
    world.fill(second, world.stranger, **answers())
    services.submit(actor=world.stranger, application_id=second.id)
    world.close(first.round.id)
    services.advance(actor=world.officer, application_id=first.id, outcome="complete")
    results = services.in_bulk(
        actor=world.officer,
        application_ids=[first.id, second.id],
        verb="advance",
        outcome="complete",
    )
    assert [one.done for one in results] == [False, True]
    assert results[0].error is not None
    assert results[0].error.code == "outcome_unknown"


def test_the_desk_counts_each_step_and_never_shows_a_draft(world: World) -> None:
    first = world.submitted()
    services.start(actor=world.stranger, round_id=first.round.id)
    columns = {one.step: one.total for one in selectors.desk(actor=world.officer, round_id=first.round.id)}
    assert columns["apply"] == 1
    assert selectors.counts(round_ids=[first.round.id])[first.round.id] == {"draft": 1, "submitted": 1}
    assert selectors.applications(actor=world.officer).total == 1


def test_duties_are_each_readers_own_oldest_first(world: World) -> None:
    view = world.submitted()
    assert selectors.duties(actor=world.officer) == []
    world.close(view.round.id)
    (duty,) = selectors.duties(actor=world.officer)
    assert (duty.kind, duty.count) == ("step", 1)
    assert selectors.duties(actor=world.writer) == []
    services.ask_for_completion(
        actor=world.officer,
        application_id=view.id,
        fields=[],
        reason="x",
        due_at=clock.now() + timedelta(days=3),
    )
    assert [one.kind for one in selectors.duties(actor=world.writer)] == ["completion"]
    assert selectors.duties(actor=world.officer) == []


# --- small requests --------------------------------------------------------------------------------------------


def test_a_small_request_is_granted_by_the_published_rule_at_once(world: World) -> None:
    round_ = world.small_round()
    view = world.submitted(round_, krw=1_000_000)
    assert services.decide_automatically(view.id) is True
    assert services.decide_automatically(view.id) is False
    seen = world.see(view)
    assert seen.state == "awarded"
    assert seen.decision is not None
    assert seen.decision.automatic
    assert seen.decision.grounds is not None
    assert seen.decision.grounds["most_micro_won"] == won(2_000_000)
    assert seen.award_id is not None
    award = programmes.award(actor=world.writer, award_id=seen.award_id)
    assert award.granted_micro_won == won(1_000_000)
    assert award.valid_until is not None


def test_a_small_request_that_is_too_large_waits_for_a_person_who_sees_why(world: World) -> None:
    view = world.submitted(world.small_round(), krw=2_500_000)
    assert services.decide_automatically(view.id) is False
    seen = world.see(view)
    assert (seen.state, seen.step) == ("submitted", "decide")
    assert seen.passages[-1].reason != ""
    assert seen.passages[-1].automatic
    services.decide(actor=world.officer, application_id=view.id, outcome="accepted", reason="")
    assert world.see(view).state == "accepted"


def test_a_group_gets_no_more_grants_than_the_rule_says(world: World) -> None:
    from dure.control.identity.models import OwnershipLink

    round_ = world.small_round()
    first = world.submitted(round_, krw=1_000_000)
    assert services.decide_automatically(first.id) is True
    OwnershipLink.objects.create(
        owner_id=world.haneul.id,
        owned_id=world.rival.id,
        kind="control",
        state="confirmed",
        valid_from=clock.now().astimezone(clock.SEOUL).date() - timedelta(days=9),
    )
    second = services.start(actor=world.stranger, round_id=round_.id)
    world.fill(second, world.stranger, **answers(1_000_000))
    services.submit(actor=world.stranger, application_id=second.id)
    assert services.decide_automatically(second.id) is False
    seen = world.see(second, world.stranger)
    assert (
        seen.passages[-1].reason
        == "소유 관계에 있는 기관들이 이번 회차에서 받을 수 있는 지원을 모두 받았습니다."
    )


def test_the_net_beneath_decides_what_was_left_waiting(world: World) -> None:
    view = world.submitted(world.small_round(), krw=1_000_000)
    assert services.decide_waiting() == 1
    assert world.see(view).state == "awarded"
    assert services.decide_waiting() == 0


def test_money_that_is_not_there_leaves_the_request_submitted(world: World) -> None:
    view = world.submitted(world.small_round(), krw=1_000_000)
    programme_services.grant_award(
        actor=SYSTEM, programme_slug="hyperscale", organisation_slug="rival", micro_won=won(999_500_000)
    )
    with pytest.raises(Conflict):
        services.decide_automatically(view.id)
    assert world.see(view).state == "submitted"
    assert services.decide_waiting() == 0
    assert isinstance(SYSTEM, Actor)


def test_the_line_that_everything_was_asked_on_pays(world: World) -> None:
    view = world.at_decision()
    world.budget_lines("api", "travel")
    services.decide(actor=world.officer, application_id=view.id, outcome="accepted", reason="")
    done = services.award(actor=world.officer, application_id=view.id)
    assert done.award_id is not None
    assert committed() == {"api": won(3_000_000), "travel": 0}


def test_where_no_one_line_was_asked_on_the_officer_names_it(world: World) -> None:
    view = world.at_decision()
    world.budget_lines("goods", "travel")
    services.decide(actor=world.officer, application_id=view.id, outcome="accepted", reason="")
    refused(Invalid, "line_missing", services.award, actor=world.officer, application_id=view.id)
    assert world.see(view).state == "accepted"
    services.award(actor=world.officer, application_id=view.id, line="travel")
    assert committed() == {"goods": 0, "travel": won(3_000_000)}


def committed() -> dict[str, int]:
    programme = programmes.programme(actor=SYSTEM, slug="hyperscale")
    return {one.key: one.committed for one in programmes.budget_lines(programme_id=programme.id)}
