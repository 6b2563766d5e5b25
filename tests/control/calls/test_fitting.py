"""Facts of organisations, findings for them, and whole lists and populations in a fixed number of queries."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.control.calls.conftest import RULES, SYSTEM, World, seoul, won

from dure.contracts.ids import uuid7
from dure.control.calls import selectors, services
from dure.control.calls.eligibility import ATTRIBUTES
from dure.control.calls.facts import facts_of_everybody, whole_months
from dure.control.foundation.errors import Forbidden, NotFound
from dure.control.identity import services as identity
from dure.control.programmes import services as programmes

CHILD = "1208147521"
TODAY = seoul("2026-11-25T12:00")


@pytest.fixture
def young(world: World) -> World:
    """Haneul was founded four years ago, controls a company that has an open award of ₩3,000,000, and has one itself."""
    identity.change_profile(
        actor=SYSTEM, organisation_id=world.haneul.id, founded_on=date(2022, 11, 26), size_class="small"
    )
    child = identity.add_organisation(actor=SYSTEM, slug="child", kind="startup", name_ko="child")
    identity.change_profile(actor=SYSTEM, organisation_id=child.id, registration_number=CHILD)
    link = identity.declare_link(
        actor=SYSTEM,
        organisation_id=world.haneul.id,
        other_is="owned",
        other_name="child",
        other_number=CHILD,
        share_bp=5_000,
        valid_from=date(2024, 1, 1),
    )
    identity.confirm_link(actor=SYSTEM, link_id=link.id)
    for slug, krw in (("haneul", 2_000_000), ("child", 3_000_000)):
        programmes.grant_award(
            actor=SYSTEM, programme_slug="hyperscale", organisation_slug=slug, micro_won=won(krw)
        )
    return world


@pytest.mark.parametrize(
    ("since", "until", "months"),
    [
        (date(2022, 11, 26), date(2026, 11, 25), 47),
        (date(2022, 11, 25), date(2026, 11, 25), 48),
        (date(2024, 1, 31), date(2024, 2, 29), 0),
        (date(2024, 2, 29), date(2025, 2, 28), 11),
        (date(2027, 1, 1), date(2026, 1, 1), 0),
    ],
)
def test_months_of_the_calendar(since: date, until: date, months: int) -> None:
    assert whole_months(since, until) == months


def test_every_attribute_has_a_fact(young: World) -> None:
    facts = selectors.facts_of(young.haneul.id, at=TODAY)
    assert set(facts) == set(ATTRIBUTES)
    assert facts["organisation.age_months"] == 47
    assert (facts["organisation.kind"], facts["organisation.region"]) == ("startup", None)
    assert facts["document.tax_clearance"] == "missing"
    assert (facts["group.support_micro_won"], facts["group.open_awards"], facts["group.size"]) == (
        won(5_000_000),
        2,
        2,
    )


def test_everybody_is_told_of_as_one_by_one(young: World) -> None:
    everybody = {str(sorted(map(str, facts.items()))) for facts in facts_of_everybody(at=TODAY)}
    rows = [young.haneul, young.narae, young.ministry, young.agency]
    one_by_one = {str(sorted(map(str, selectors.facts_of(one.id, at=TODAY).items()))) for one in rows}
    assert one_by_one <= everybody
    assert len(list(facts_of_everybody())) == 5


def test_findings_are_known_before_anybody_writes(young: World) -> None:
    round_ = young.published()
    assert [(one.key, one.state) for one in selectors.findings_for(round_.id, young.haneul.id)] == [
        ("young", "met"),
        ("enterprise", "met"),
    ]
    assert [one.state for one in selectors.findings_for(round_.id, young.narae.id)] == ["unknown", "not_met"]
    with pytest.raises(NotFound):
        selectors.findings_for(uuid7(), young.haneul.id)


def test_a_list_of_rounds_is_judged_in_as_many_queries_as_one(young: World) -> None:
    def queries(ids: list) -> int:  # type: ignore[type-arg]
        with CaptureQueriesContext(connection) as counted:
            found = selectors.fitting(organisation_id=young.haneul.id, round_ids=ids)
        assert {fit.summary for fit in found.values()} == {"met"}
        assert set(found) == set(ids)
        return len(counted)

    ids = [young.published(f"call-{number}", budget_micro_won=won(10_000_000)).id for number in range(6)]
    assert queries(ids[:1]) == queries(ids) <= 10
    draft = young.round("call-0", budget_micro_won=won(10_000_000))
    assert (
        selectors.fitting(organisation_id=young.narae.id, round_ids=[draft.id])[draft.id].summary == "not_met"
    )
    assert selectors.fitting(organisation_id=young.haneul.id, round_ids=[]) == {}


def test_the_rule_builder_hears_how_many_it_would_fit(young: World) -> None:
    found = selectors.matching_organisations(actor=young.officer, content=RULES)
    assert (found.organisations, found.met, found.unknown, found.not_met) == (5, 1, 1, 3)
    assert selectors.matching_organisations(actor=young.officer, content=[]).met == 5
    with pytest.raises(Forbidden):
        selectors.matching_organisations(actor=young.applicant, content=RULES)


def test_an_open_round_keeps_its_rules_when_the_call_gets_others(young: World) -> None:
    round_ = young.published()
    services.save_rules(actor=young.officer, call_slug="api-2026", content=[])
    assert len(selectors.findings_for(round_.id, young.haneul.id)) == 2


def test_age_is_counted_on_the_day_in_seoul(young: World) -> None:
    """In Seoul the 26th begins nine hours before it does in UTC."""
    eve, day = seoul("2026-11-25T23:59:59"), seoul("2026-11-26T00:00:00")
    ages = [selectors.facts_of(young.haneul.id, at=at)["organisation.age_months"] for at in (eve, day)]
    assert ages == [47, 48]
    assert day - eve == timedelta(seconds=1)
