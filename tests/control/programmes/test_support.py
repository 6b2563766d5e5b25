"""What organisations received, and what they would bring themselves."""

from datetime import timedelta

from tests.control.programmes.conftest import SYSTEM, World, won

from dure.control.foundation import clock
from dure.control.programmes import selectors, services
from dure.control.programmes.models import OwnContributionRule


def test_support_is_what_was_granted_less_what_came_back(world: World) -> None:
    first, _second = world.grant(1_000), world.grant(500)
    world.grant(250, organisation_slug="garam")
    assert selectors.support_received(organisation_ids=[world.haneul.id]) == won(1_500)
    services.end_award(actor=SYSTEM, award_id=first.id, reason="done")
    assert selectors.support_received(organisation_ids=[world.haneul.id]) == won(500)
    both = [world.haneul.id, world.garam.id]
    assert selectors.support_received(organisation_ids=both, programme_id=first.programme.id) == won(750)
    assert selectors.support_received(organisation_ids=both, programme_id=world.ministry.id) == 0
    assert selectors.support_received(organisation_ids=[]) == 0


def test_support_can_be_asked_from_a_day_on(world: World) -> None:
    world.grant(1_000, at=clock.now() - timedelta(days=400))
    world.grant(300)
    since = clock.now() - timedelta(days=365)
    assert selectors.support_received(organisation_ids=[world.haneul.id], since=since) == won(300)


def test_only_open_awards_are_counted(world: World) -> None:
    first = world.grant(1_000)
    world.grant(1_000, organisation_slug="garam")
    both = [world.haneul.id, world.garam.id]
    assert selectors.open_awards_count(organisation_ids=both) == 2
    services.end_award(actor=SYSTEM, award_id=first.id, reason="done")
    assert selectors.open_awards_count(organisation_ids=both) == 1


def test_the_own_share_follows_from_the_size(world: World) -> None:
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    assert selectors.own_contribution_bp(programme.id, "small") == 0
    assert selectors.own_contribution_bp(programme.id, None) == 0
    for size, share in (("small", 1_000), ("medium", 2_000), ("large", 5_000)):
        OwnContributionRule.objects.create(programme_id=programme.id, size_class=size, share_bp=share)
    assert selectors.own_contribution_bp(programme.id, "small") == 1_000
    assert selectors.own_contribution_bp(programme.id, "none") == 0
    assert selectors.own_contribution_bp(programme.id, None) == 5_000
