"""Granting, ending and returning: what an award holds at each moment, who may, and what the gateways hear."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.utils import translation
from tests.control.programmes.conftest import SYSTEM, Gateway, World, acting_for, won

from dure.contracts.ids import uuid7
from dure.control.access import selectors as access
from dure.control.access import services as keys
from dure.control.access.services import Limits
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.models import DirectoryEntry
from dure.control.ledger import services as ledger
from dure.control.programmes import selectors, services
from dure.control.settlement.models import UsageDay


def published(kind: str) -> list[str]:
    rows = DirectoryEntry.objects.filter(kind=kind).exclude(payload=None).order_by("version")
    return list(rows.values_list("entry_id", flat=True))


def code_of(deed: Callable[[], object]) -> str:
    with pytest.raises(DureError) as caught:
        deed()
    return caught.value.code


def test_a_programme_starts_with_its_appropriation(world: World) -> None:
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    assert programme.appropriated_micro_won == programme.left_to_grant_micro_won == won(1_000_000)
    assert programme.agency == world.ministry
    assert ledger.verify().ok


def test_an_award_holds_what_was_granted_and_may_call_at_once(world: World) -> None:
    award = world.grant(600_000)
    assert award.granted_micro_won == award.remaining_micro_won == won(600_000)
    assert (award.spent_micro_won, award.escrow_micro_won, award.returned_micro_won) == (0, 0, 0)
    assert published("award") == [str(award.id)]
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").left_to_grant_micro_won == won(400_000)


def test_not_one_won_more_than_is_left(world: World, left_to_grant: Callable[[], int]) -> None:
    world.grant(600_000)
    with translation.override("en"), pytest.raises(DureError) as caught:
        world.grant(400_001)
    assert caught.value.code == "appropriation_exceeded"
    assert (
        str(caught.value.message)
        == "The programme “hyperscale” has ₩400,000 left to grant; ₩400,001 was asked for."
    )
    assert caught.value.data == {"left_micro_won": won(400_000), "asked_micro_won": won(400_001)}
    assert left_to_grant() == 400_000
    assert selectors.awards(actor=SYSTEM).total == 1
    assert len(published("award")) == 1
    world.grant(400_000)
    assert left_to_grant() == 0


def test_the_same_call_again_grants_once(world: World, left_to_grant: Callable[[], int]) -> None:
    request_id = uuid7()

    def grant(krw: int, organisation: str = "haneul") -> services.Granted:
        return services.grant_award(
            actor=SYSTEM,
            programme_slug="hyperscale",
            organisation_slug=organisation,
            micro_won=won(krw),
            request_id=request_id,
        )

    assert grant(1_000).result == "created"
    assert grant(1_000).result == "exists"
    assert code_of(lambda: grant(1_001)) == "exists_with_different_content"
    assert code_of(lambda: grant(1_000, "garam")) == "exists_with_different_content"
    assert left_to_grant() == 999_000


def test_what_an_award_says_while_it_is_spent(world: World, gateway: Gateway) -> None:
    award = world.grant(1_000)
    gateway.lease(award, 300)
    gateway.spend(award, 120)
    now = selectors.award(actor=SYSTEM, award_id=award.id)
    assert now.spent_micro_won == won(120)
    assert now.escrow_micro_won == won(180)
    assert now.remaining_micro_won == won(880)
    assert now.granted_micro_won == now.spent_micro_won + now.remaining_micro_won + now.returned_micro_won


def test_an_ended_award_returns_what_is_there_and_the_rest_when_gateways_give_it_back(
    world: World, gateway: Gateway, left_to_grant: Callable[[], int]
) -> None:
    award = world.grant(1_000)
    key = keys.issue_key(actor=SYSTEM, award_id=award.id).key
    gateway.lease(award, 300)
    gateway.spend(award, 120)
    ended, changed = services.end_award(actor=world.officer, award_id=award.id, reason="중복 지원")
    assert changed
    assert (ended.state, ended.being_returned) == ("returning", True)
    assert ended.returned_micro_won == won(700)
    assert ended.remaining_micro_won == ended.escrow_micro_won == won(180)
    assert (published("award"), published("key")) == ([], [])
    assert access.key(actor=SYSTEM, key_id=key.id).state == "revoked"
    assert code_of(lambda: keys.issue_key(actor=SYSTEM, award_id=award.id)) == "award_ended"

    gateway.spend(award, 30)
    assert services.return_closed_awards() == 0
    gateway.give_back(award, 150)
    assert services.return_closed_awards() == won(150)
    closed = selectors.award(actor=SYSTEM, award_id=award.id)
    assert (closed.state, closed.remaining_micro_won) == ("closed", 0)
    assert closed.spent_micro_won == won(150)
    assert closed.returned_micro_won == won(850)
    assert left_to_grant() == 1_000_000 - 150
    assert services.return_closed_awards() == 0
    assert ledger.verify().ok
    assert audit.first_difference() is None


def test_an_award_is_ended_once(world: World) -> None:
    award = world.grant()
    _, first = services.end_award(actor=SYSTEM, award_id=award.id, reason="끝")
    again, second = services.end_award(actor=SYSTEM, award_id=award.id, reason="다시")
    assert (first, second) == (True, False)
    assert again.end_reason == "끝"


def test_an_award_is_not_ended_without_a_reason(world: World) -> None:
    award = world.grant()
    assert (
        code_of(lambda: services.end_award(actor=SYSTEM, award_id=award.id, reason="  ")) == "reason_missing"
    )
    assert selectors.award(actor=SYSTEM, award_id=award.id).is_open


def test_an_award_ends_with_its_term(world: World) -> None:
    term = clock.now() + timedelta(days=30)
    award = world.grant(1_000, valid_until=term)
    forever = world.grant(1_000)
    assert services.end_expired_awards(at=term - timedelta(seconds=1)) == 0
    assert services.end_expired_awards(at=term) == 1
    assert services.end_expired_awards(at=term) == 0
    assert selectors.award(actor=SYSTEM, award_id=award.id).state == "closed"
    assert selectors.award(actor=SYSTEM, award_id=forever.id).is_open


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"programme_slug": "nothing"}, "programme_not_found"),
        ({"organisation_slug": "nobody"}, "organisation_not_found"),
        ({"micro_won": 0}, "sum_out_of_range"),
        ({"micro_won": -1}, "sum_out_of_range"),
        ({"micro_won": 2**63}, "sum_out_of_range"),
        ({"name": "x" * 201}, "name_invalid"),
        ({"name": "a\x00b"}, "name_invalid"),
        ({"valid_until": clock.now() - timedelta(days=1)}, "award_ends_before_start"),
        ({"valid_until": datetime(9999, 12, 31, tzinfo=UTC)}, "date_out_of_range"),
        ({"valid_from": datetime(1, 1, 1, tzinfo=UTC)}, "date_out_of_range"),
        ({"limits": Limits(models=("nothing-7b",))}, "model_not_found"),
    ],
)
def test_a_wrong_grant_changes_nothing(
    world: World, change: dict, code: str, left_to_grant: Callable[[], int]
) -> None:
    asked = {"programme_slug": "hyperscale", "organisation_slug": "haneul", "micro_won": won(1)}
    assert code_of(lambda: services.grant_award(actor=SYSTEM, **(asked | change))) == code
    assert left_to_grant() == 1_000_000
    assert published("award") == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"slug": "Big Programme"}, "slug_invalid"),
        ({"slug": "hyperscale"}, "programme_exists"),
        ({"krw_micro_won": 0}, "sum_out_of_range"),
        ({"name_ko": "  "}, "name_invalid"),
        ({"agency_slug": "nobody"}, "organisation_not_found"),
        ({"agency_slug": "haneul"}, "not_an_agency"),
    ],
)
def test_a_wrong_programme_is_not_founded(world: World, change: dict, code: str) -> None:
    asked = {"slug": "second", "name_ko": "둘째", "krw_micro_won": won(1)}
    assert code_of(lambda: services.add_programme(actor=SYSTEM, **(asked | change))) == code
    assert len(selectors.programmes(actor=SYSTEM)) == 1


def test_a_programme_without_any_ministry_has_no_agency(db: None) -> None:
    added = services.add_programme(actor=SYSTEM, slug="first", name_ko="첫", krw_micro_won=won(1))
    assert added.programme.agency is None


def test_more_than_one_agency_must_be_named(world: World) -> None:
    from dure.control.identity import services as identity

    identity.add_organisation(actor=SYSTEM, slug="agency", kind="agency", name_ko="진흥원")
    asked = {"actor": SYSTEM, "slug": "second", "name_ko": "둘째", "krw_micro_won": won(1)}
    assert code_of(lambda: services.add_programme(**asked)) == "agency_ambiguous"
    assert services.add_programme(**asked, agency_slug="agency").programme.agency.slug == "agency"


def test_more_money_is_appropriated_once_for_each_id(world: World) -> None:
    request_id = uuid7()

    def more(krw: int) -> str:
        return services.appropriate(
            actor=world.officer, programme_slug="hyperscale", micro_won=won(krw), request_id=request_id
        ).result

    assert [more(5), more(5)] == ["created", "exists"]
    assert code_of(lambda: more(6)) == "exists_with_different_content"
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").appropriated_micro_won == won(1_000_005)


def test_who_may_move_money(world: World) -> None:
    from dure.control.identity import services as identity

    other = identity.add_organisation(
        actor=SYSTEM, slug="other-ministry", kind="ministry", name_ko="다른 부처"
    )
    award = world.grant()
    nobody = [
        Actor.anonymous(),
        acting_for(world.haneul, "administrator", "developer"),
        acting_for(world.nuri, "provider_manager"),
        acting_for(world.ministry, "operator"),
        acting_for(world.ministry, "auditor"),
        acting_for(other, "officer"),
    ]
    for actor in nobody:
        with pytest.raises(Forbidden):
            services.grant_award(
                actor=actor, programme_slug="hyperscale", organisation_slug="haneul", micro_won=won(1)
            )
        with pytest.raises(Forbidden):
            services.appropriate(actor=actor, programme_slug="hyperscale", micro_won=won(1))
        with pytest.raises((Forbidden, NotFound)):
            services.end_award(actor=actor, award_id=award.id, reason="x")
    services.grant_award(
        actor=world.officer, programme_slug="hyperscale", organisation_slug="haneul", micro_won=won(1)
    )


def test_others_awards_are_not_there(world: World) -> None:
    mine, others = world.grant(), world.grant(organisation_slug="garam")
    me = acting_for(world.haneul, "viewer")
    assert [award.id for award in selectors.awards(actor=me).items] == [mine.id]
    assert selectors.awards(actor=me).sums.granted_micro_won == won(1_000)
    assert selectors.award(actor=me, award_id=mine.id).id == mine.id
    for actor in (me, acting_for(world.nuri, "provider_manager", "administrator"), Actor.anonymous()):
        for absent in (others.id, uuid7()):
            with pytest.raises(NotFound) as caught:
                selectors.award(actor=actor, award_id=absent)
            assert caught.value.code == "not_found"
            with pytest.raises(NotFound):
                selectors.award_timeline(actor=actor, award_id=absent)
    assert selectors.awards(actor=acting_for(world.nuri, "provider_manager")).total == 0
    assert selectors.awards(actor=Actor.anonymous()).total == 0
    assert selectors.awards(actor=acting_for(world.ministry, "auditor")).total == 2


def test_the_list_filters_sorts_and_sums_everything_it_found(world: World, gateway: Gateway) -> None:
    small, large = (
        world.grant(100, name="작은 과제"),
        world.grant(900, name="큰 과제", organisation_slug="garam"),
    )
    gateway.lease(large, 100)
    gateway.spend(large, 40)

    def found(**asked: object) -> list[UUID]:
        return [award.id for award in selectors.awards(actor=SYSTEM, **asked).items]  # type: ignore[arg-type]

    assert found() == [large.id, small.id]
    assert found(order="granted", descending=False) == [small.id, large.id]
    assert found(search="작은") == [small.id]
    assert found(search="garam") == [large.id]
    assert found(state="closed") == []
    assert found(organisation_id=world.garam.id) == [large.id]
    page = selectors.awards(actor=SYSTEM, page_size=1)
    assert (len(page.items), page.total, page.pages) == (1, 2, 2)
    assert page.sums == selectors.AwardSums(
        granted_micro_won=won(1_000),
        spent_micro_won=won(40),
        escrow_micro_won=won(60),
        remaining_micro_won=won(960),
        returned_micro_won=0,
    )


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_asks_as_many_questions_for_thirty_as_for_one(
    world: World, count: int, django_assert_num_queries
) -> None:
    for _ in range(count):
        world.grant(1)
    with django_assert_num_queries(6):
        assert len(selectors.awards(actor=SYSTEM, page_size=50).items) == count


def test_the_pipeline_counts_every_award_however_many(world: World, gateway: Gateway) -> None:
    used = world.grant(1_000)
    gateway.lease(used, 100)
    gateway.spend(used, 40)
    UsageDay.objects.create(
        day=clock.now().astimezone(clock.SEOUL).date(), award_id=used.id, key_id=used.id, model="m", deployment_id=used.id, status="completed",
        provider_id=used.id, calls=1, input_tokens=1, output_tokens=1, cached_tokens=0, cost_micro_won=won(40),
        last_closed_at=clock.now(),
    )  # fmt: skip
    ended = world.grant(500)
    services.end_award(actor=SYSTEM, award_id=ended.id, reason="Done.")
    unused = [world.grant(10) for _ in range(103)]
    found = selectors.pipeline(actor=SYSTEM, shown=2)
    assert (found.unused, found.running, found.spent, found.ended) == (
        selectors.Stage(103, won(1_030)),
        selectors.Stage(1, won(960)),
        selectors.Stage(0, 0),
        selectors.Stage(1, won(500)),
    )
    assert [one.id for one in found.never_used] == [one.id for one in unused[:2]]


def test_the_home_figures_add_up(world: World, gateway: Gateway) -> None:
    award = world.grant(1_000)
    gateway.lease(award, 100)
    gateway.spend(award, 40)
    totals = selectors.home_totals()
    assert totals.appropriated_micro_won == won(1_000_000)
    assert totals.granted_micro_won == won(1_000)
    assert totals.spent_micro_won == won(40)
    assert totals.remaining_micro_won == won(960)
    assert totals.left_to_grant_micro_won == won(999_000)
    assert (totals.programmes, totals.open_awards, totals.organisations) == (1, 1, 1)


def test_the_timeline_tells_what_happened_latest_first(world: World) -> None:
    award = world.grant()
    issued = keys.issue_key(actor=acting_for(world.haneul, "developer"), award_id=award.id)
    keys.revoke_key(actor=world.officer, key_id=issued.key.id, reason="유출")
    services.end_award(actor=world.officer, award_id=award.id, reason="끝")
    events = selectors.award_timeline(actor=acting_for(world.haneul, "viewer"), award_id=award.id)
    assert [event.action for event in events] == [
        "award.returned",
        "award.ended",
        "entitlement.closed",
        "key.revoked",
        "key.issued",
        "award.granted",
        "entitlement.opened",
    ]
    assert all(issued.secret not in str(event.after) for event in events)
