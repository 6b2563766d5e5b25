"""An officer of one programme alone carries its applications to their end, and sees none of the agency's others."""

from datetime import timedelta
from typing import Any

import pytest

from dure.control.applications import selectors, services
from dure.control.calls import services as calls
from dure.control.foundation import clock
from dure.control.foundation.errors import DureError
from dure.control.foundation.models import Notice

from .conftest import World, won


def refusal(verb: Any, **given: Any) -> str:
    with pytest.raises(DureError) as caught:
        verb(**given)
    return caught.value.code


def test_an_application_is_decided_and_awarded_by_the_officer_of_its_programme(world: World) -> None:
    view = world.submitted()
    alone = world.programme_officer("hyperscale")
    world.close(view.round.id)
    for outcome in ("complete", "passed"):
        services.advance(actor=alone, application_id=view.id, outcome=outcome)
    services.decide(
        actor=alone, application_id=view.id, outcome="accepted", reason="", granted_micro_won=won(2_000_000)
    )
    (result,) = services.in_bulk(actor=alone, application_ids=[view.id], verb="award")
    assert result.error is None
    assert selectors.application(actor=alone, application_id=view.id).state == "awarded"


def test_other_programmes_of_the_agency_stay_closed(world: World) -> None:
    world.other_programme()
    view = world.submitted()
    theirs = world.programme_officer("other")
    world.close(view.round.id)
    assert refusal(selectors.application, actor=theirs, application_id=view.id) == "application_not_found"
    assert refusal(selectors.desk, actor=theirs, round_id=view.round.id) == "round_not_found"
    advance = {"actor": theirs, "application_id": view.id, "outcome": "complete"}
    assert refusal(services.advance, **advance) == "application_not_found"
    (result,) = services.in_bulk(actor=theirs, application_ids=[view.id], verb="advance", outcome="complete")
    assert result.error is not None
    assert selectors.applications(actor=theirs).total == 0
    assert selectors.every_application(actor=theirs) == []
    assert selectors.duties(actor=theirs) == []


def test_lists_duties_and_the_desk_show_the_programme_s(world: World) -> None:
    view = world.submitted()
    alone = world.programme_officer("hyperscale")
    world.close(view.round.id)
    assert [one.id for one in selectors.applications(actor=alone).items] == [view.id]
    assert [one.id for one in selectors.every_application(actor=alone)] == [view.id]
    assert [one.kind for one in selectors.duties(actor=alone)] == ["step"]
    assert sum(one.total for one in selectors.desk(actor=alone, round_id=view.round.id)) == 1


def test_a_draft_is_not_shown_and_its_time_may_be_extended(world: World) -> None:
    draft = world.started()
    alone = world.programme_officer("hyperscale")
    assert refusal(selectors.application, actor=alone, application_id=draft.id) == "application_not_found"
    assert selectors.applications(actor=alone).total == 0
    until = clock.now() + timedelta(days=40)
    assert services.extend(actor=alone, application_id=draft.id, until=until, reason="장애").state == "draft"


def test_what_an_applicant_answers_is_told_to_the_programme_s_officer(world: World) -> None:
    view = world.at_decision()
    alone = world.programme_officer("hyperscale")
    services.decide(actor=alone, application_id=view.id, outcome="rejected", reason="예산 부족")
    services.object_to_decision(actor=world.boss, application_id=view.id, reason="다시 보아 주십시오.")
    told = Notice.objects.filter(person_id=alone.person_id, path=f"/applications/{view.id}/")
    assert told.count() == 1


def test_calls_are_closed_to_who_has_no_role(world: World) -> None:
    view = world.submitted()
    nobody = world.programme_officer()
    assert refusal(selectors.application, actor=nobody, application_id=view.id) == "application_not_found"
    assert (
        refusal(calls.extend_round, actor=nobody, round_id=view.round.id, closes_at=view.deadline, reason="-")
        == "forbidden"
    )
