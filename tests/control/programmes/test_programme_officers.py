"""An officer of one programme alone moves its money and sees its awards, and no other's."""

from typing import Any

import pytest
from tests.control.programmes.conftest import SYSTEM, World, acting_for, officer_of, won

from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError
from dure.control.programmes import selectors, services


@pytest.fixture
def other(world: World) -> selectors.ProgrammeView:
    """A second programme of the same ministry."""
    return services.add_programme(
        actor=SYSTEM, slug="other", name_ko="다른 사업", krw_micro_won=won(1_000), agency_slug="ministry"
    ).programme


@pytest.fixture
def alone(world: World, other: selectors.ProgrammeView) -> Actor:
    return officer_of(world.ministry, selectors.programme(actor=SYSTEM, slug="hyperscale").id)


def refusal(verb: Any, **given: Any) -> str:
    with pytest.raises(DureError) as caught:
        verb(**given)
    return caught.value.code


def test_money_is_moved_in_the_programme_and_nowhere_else(world: World, alone: Actor) -> None:
    asked = {"actor": alone, "organisation_slug": "haneul", "micro_won": won(10)}
    award = services.grant_award(programme_slug="hyperscale", **asked).award
    services.appropriate(actor=alone, programme_slug="hyperscale", micro_won=won(5))
    services.set_budget_line(
        actor=alone, programme_slug="hyperscale", key="api", name_ko="사용료", ceiling=won(5)
    )
    assert services.end_award(actor=alone, award_id=award.id, reason="끝")[0].state == "closed"
    assert refusal(services.grant_award, programme_slug="other", **asked) == "forbidden"
    assert refusal(services.appropriate, actor=alone, programme_slug="other", micro_won=won(5)) == "forbidden"
    programme = {"slug": "mine", "name_ko": "내 사업", "krw_micro_won": won(1)}
    assert refusal(services.add_programme, actor=alone, **programme) == "forbidden"
    assert refusal(services.add_source, actor=alone, slug="fund", name_ko="기금", kind="fund") == "forbidden"


def test_nothing_leaves_for_a_programme_that_is_another_s(world: World, alone: Actor) -> None:
    source = selectors.sources()[0].slug
    asked = {"from_slug": "hyperscale", "to_slug": "other", "source_slug": source, "amount": won(1)}
    assert refusal(services.pass_on, actor=alone, **asked) == "forbidden"
    assert services.pass_on(actor=world.officer, **asked).result == "created"


def test_awards_of_the_programme_alone_are_seen(world: World, alone: Actor) -> None:
    own, theirs = world.grant(), world.grant(10, programme_slug="other")
    assert [one.id for one in selectors.awards(actor=alone).items] == [own.id]
    assert selectors.award(actor=alone, award_id=own.id).id == own.id
    assert refusal(selectors.award, actor=alone, award_id=theirs.id) == "not_found"
    assert refusal(services.end_award, actor=alone, award_id=theirs.id, reason="-") == "award_not_found"
    assert [one.slug for one in selectors.programme_choices(actor=alone)] == ["hyperscale"]


def test_the_role_counts_while_acting_for_the_agency_alone(world: World, alone: Actor) -> None:
    world.grant()
    (programme,) = alone.officer_programmes
    for elsewhere in (world.garam, world.nuri):
        actor = officer_of(elsewhere, programme)
        assert selectors.awards(actor=actor).items == []
        assert not selectors.may_grant(actor=actor, slug="hyperscale")
    assert not selectors.may_grant(actor=acting_for(world.ministry, "viewer"), slug="hyperscale")
