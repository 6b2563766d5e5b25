"""What stands in the way of publishing, each by its code, and what publishing freezes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from tests.control.calls.conftest import FORM, RULES, STEPS, World, seoul, steps_with, won

from dure.control.calls import hooks, selectors, services
from dure.control.calls.models import FormVersion, Round, RuleVersion
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound


def test_a_whole_call_is_published_and_seen_by_everybody(world: World) -> None:
    anybody = Actor.anonymous()
    world.filled()
    round_ = world.round()
    with pytest.raises(NotFound):
        selectors.call(actor=anybody, slug="api-2026")
    published = services.publish_round(actor=world.officer, round_id=round_.id)
    assert (published.state, published.phase, published.call.state) == ("published", "open", "published")
    seen = selectors.call(actor=anybody, slug="api-2026")
    assert [one.id for one in seen.rounds] == [round_.id]
    assert seen.may_manage is False
    assert selectors.round_for(actor=anybody, round_id=round_.id).form.field("title").required


def test_an_empty_draft_hears_of_everything_at_once(world: World) -> None:
    world.call(name_en="", summary_ko="", summary_en="", text_ko="", text_en="")
    round_ = services.add_round(actor=world.officer, call_slug="api-2026")
    with pytest.raises(Invalid) as refused:
        services.publish_round(actor=world.officer, round_id=round_.id)
    assert refused.value.code == "round_not_ready"
    assert [one["code"] for one in refused.value.data["problems"]] == [
        *(
            "korean_missing",
            "korean_missing",
            "date_missing",
            "date_missing",
            "budget_missing",
            "most_missing",
        ),
        *("form_empty", "steps_malformed"),
        *("english_missing", "english_missing", "english_missing", "no_rules"),
    ]
    assert all(one["message"] for one in refused.value.data["problems"])
    assert selectors.round_for(actor=world.officer, round_id=round_.id).state == "draft"


NOW = clock.now()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"closes_at": NOW + timedelta(days=6)}, "open_too_briefly"),
        ({"opens_at": NOW - timedelta(days=60), "closes_at": NOW - timedelta(days=1)}, "closes_in_the_past"),
        ({"questions_until": NOW + timedelta(days=31)}, "questions_after_closing"),
        ({"budget_micro_won": 0}, "budget_missing"),
        ({"budget_micro_won": won(1_000_000_001)}, "budget_exceeds_programme"),
        ({"most_micro_won": None}, "most_missing"),
        ({"least_micro_won": won(20_000_000)}, "least_above_most"),
        ({"most_micro_won": won(100_000_001)}, "most_above_budget"),
        (
            {"automatic": {"most_micro_won": won(5_000_001), "valid_days": 30, "most_per_group": 1}},
            "automatic_limit_too_high",
        ),
        (
            {"automatic": {"most_micro_won": won(1), "valid_days": 366, "most_per_group": 1}},
            "automatic_limit_too_high",
        ),
        (
            {
                "budget_micro_won": won(500_000),
                "least_micro_won": None,
                "most_micro_won": won(500_000),
                "automatic": {"most_micro_won": won(500_001), "valid_days": 30, "most_per_group": 1},
            },
            "automatic_above_budget",
        ),
    ],
)
def test_problems_of_dates_and_money(world: World, more: dict[str, Any], code: str) -> None:
    world.filled()
    assert world.problems(world.round(**more).id) == [code]


@pytest.mark.parametrize(
    ("form", "codes"),
    [
        ({"sections": []}, ["form_empty"]),
        (
            {
                "sections": [
                    {
                        "key": "a",
                        "title": "A",
                        "fields": [{"key": "b", "kind": "text", "label": "B"}],
                    }
                ]
            },
            ["no_required_field", "budget_field_missing"],
        ),
    ],
)
def test_problems_of_the_form(world: World, form: Any, codes: list[str]) -> None:
    world.filled()
    services.save_form(actor=world.officer, call_slug="api-2026", content=form)
    assert world.problems(world.round().id) == codes


def test_rules_that_nobody_can_meet_are_refused_by_name(world: World) -> None:
    world.filled()
    old = {
        "key": "old",
        "title": {"ko": "업력 10년 이상", "en": "At least ten years old"},
        "rule": {"attribute": "organisation.age_months", "comparison": "at_least", "value": 120},
    }
    services.save_rules(actor=world.officer, call_slug="api-2026", content=[*RULES, old])
    round_ = world.round()
    found = services.publication_problems(actor=world.officer, round_id=round_.id)
    assert [(one.code, one.area, one.where) for one in found if one.severity == "problem"] == [
        ("rules_clash", "rules", "young,old")
    ]


def test_steps_with_a_dead_end_or_dates_of_their_own_are_refused(world: World) -> None:
    world.filled()
    round_ = world.round()
    broken = steps_with(award={"edges": []}, apply={"closes_at": "2027-01-01T00:00:00+09:00"})
    services.save_steps(actor=world.officer, call_slug="api-2026", content=broken)
    assert set(world.problems(round_.id)) >= {"outcome_without_way", "application_dates_of_its_own"}


def test_a_small_request_needs_its_rule(world: World) -> None:
    world.filled(kind="small_request")
    assert world.problems(world.round().id) == ["automatic_missing"]


def test_budgets_of_published_rounds_are_promises(world: World) -> None:
    world.published(budget_micro_won=won(700_000_000))
    second = world.round(budget_micro_won=won(300_000_001))
    assert world.problems(second.id) == ["budget_exceeds_programme"]
    services.change_round(actor=world.officer, round_id=second.id, budget_micro_won=won(300_000_000))
    assert services.publish_round(actor=world.officer, round_id=second.id).state == "published"
    first = selectors.call(actor=world.officer, slug="api-2026").rounds[0]
    with pytest.raises(Conflict) as refused:
        services.change_round(actor=world.officer, round_id=first.id, budget_micro_won=won(700_000_001))
    assert refused.value.code == "budget_exceeds_programme"


def test_what_was_granted_from_a_round_is_not_promised_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round of ₩700m of which ₩200m were granted takes ₩500m more: with ₩800m left, ₩300m are free."""
    from dure.control.programmes import services as programmes

    round_ = world.published(budget_micro_won=won(700_000_000))
    programmes.grant_award(
        actor=world.officer,
        programme_slug="hyperscale",
        organisation_slug="haneul",
        micro_won=won(200_000_000),
    )
    monkeypatch.setattr(
        hooks, "_granted", [lambda ids: {round_.id: won(200_000_000)} if round_.id in ids else {}]
    )
    assert world.problems(world.round(budget_micro_won=won(300_000_000)).id) == []
    assert world.problems(world.round(budget_micro_won=won(300_000_001)).id) == ["budget_exceeds_programme"]


def test_publishing_twice_changes_nothing(world: World) -> None:
    round_ = world.published()
    before = len(audit.events_for("call", round_.call.id))
    again = services.publish_round(actor=world.officer, round_id=round_.id)
    assert again.published_at == round_.published_at
    assert len(audit.events_for("call", round_.call.id)) == before


def test_only_the_agencys_officers_publish(world: World) -> None:
    world.filled()
    round_ = world.round()
    for actor in (world.stranger, world.applicant):
        with pytest.raises(NotFound):
            services.publish_round(actor=actor, round_id=round_.id)
    services.publish_round(actor=world.officer, round_id=round_.id)
    for actor in (world.stranger, world.applicant):
        with pytest.raises(Forbidden):
            services.publish_round(actor=actor, round_id=round_.id)


def test_a_published_round_keeps_its_form_rules_and_steps(world: World) -> None:
    round_ = world.published()
    other = {**FORM, "sections": [{**FORM["sections"][0], "title": {"ko": "다른", "en": "Other"}}]}
    saved = services.save_form(actor=world.officer, call_slug="api-2026", content=other)
    services.save_rules(actor=world.officer, call_slug="api-2026", content=[])
    services.save_steps(actor=world.officer, call_slug="api-2026", content=steps_with(decide={"days": 3}))
    assert saved.number == 2
    standing = selectors.round_for(actor=world.applicant, round_id=round_.id)
    assert standing.form.sections[0].title_en == "Plan"
    assert [one.key for one in standing.requirements] == ["young", "enterprise"]
    assert standing.graph.step("decide").days is None
    draft = world.round()
    assert (draft.form.sections[0].title_en, draft.requirements, draft.graph.step("decide").days) == (
        "Other",
        (),
        3,
    )


def test_a_draft_version_is_written_over_and_a_used_one_is_not(world: World) -> None:
    world.filled()
    services.save_form(actor=world.officer, call_slug="api-2026", content={"sections": []})
    services.save_form(actor=world.officer, call_slug="api-2026", content=FORM)
    assert FormVersion.objects.count() == 1
    services.publish_round(actor=world.officer, round_id=world.round().id)
    row = FormVersion.objects.get()
    for change in (lambda: row.delete(), lambda: FormVersion.objects.update(content={})):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_an_officer_who_is_erased_is_erased_from_frozen_versions_too(world: World) -> None:
    world.published()
    assert FormVersion.objects.update(changed_by_name="erased-00000000") == 1
    assert RuleVersion.objects.update(changed_by_name="erased-00000000") == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("opens_at", seoul("2030-01-01")),
        ("closes_at", seoul("2020-01-01")),
        ("least_micro_won", 0),
        ("most_micro_won", won(1)),
        ("budget_micro_won", won(1)),
        ("steps", STEPS),
        ("automatic", {}),
        ("state", "draft"),
        ("rule_version", None),
        ("questions_until", seoul("2030-01-01")),
    ],
)
def test_the_database_itself_keeps_a_published_rounds_promises(world: World, field: str, value: Any) -> None:
    round_ = world.published()
    if field == "steps":
        value = {"start": "x", "steps": []}
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.filter(pk=round_.id).update(**{field: value})
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.filter(pk=round_.id).delete()


def test_change_round_refuses_to_move_the_goalposts(world: World) -> None:
    round_ = world.published()
    for name, value in (
        ("closes_at", clock.now() + timedelta(days=90)),
        ("opens_at", clock.now()),
        ("least_micro_won", 0),
        ("automatic", {"most_micro_won": 1, "valid_days": 1, "most_per_group": 1}),
    ):
        with pytest.raises(Conflict) as refused:
            services.change_round(actor=world.officer, round_id=round_.id, **{name: value})
        assert (refused.value.code, refused.value.field) == ("round_is_published", name)
    with pytest.raises(Conflict) as refused:
        services.change_round(actor=world.officer, round_id=round_.id, budget_micro_won=won(99_999_999))
    assert refused.value.code == "budget_only_grows"
    more = services.change_round(
        actor=world.officer, round_id=round_.id, name_ko="1차", budget_micro_won=won(100_000_001)
    )
    assert (more.name_ko, more.budget_micro_won) == ("1차", won(100_000_001))


def test_a_copy_must_be_looked_through(world: World) -> None:
    world.published()
    copied = services.copy_call(actor=world.officer, slug="api-2026", new_slug="api-2027")
    assert "not_reviewed" in world.problems(copied.rounds[0].id)
    services.change_call(actor=world.officer, slug="api-2027", reviewed=True)
    assert "not_reviewed" not in world.problems(copied.rounds[0].id)


def test_listeners_hear_of_a_publication_in_its_transaction(world: World) -> None:
    def refuse(round_id: object) -> None:
        raise RuntimeError(str(round_id))

    world.filled()
    round_ = world.round()
    hooks.round_published.register(refuse)
    try:
        with pytest.raises(RuntimeError, match=str(round_.id)):
            services.publish_round(actor=world.officer, round_id=round_.id)
    finally:
        hooks.round_published.unregister(refuse)
    assert selectors.round_for(actor=world.officer, round_id=round_.id).state == "draft"
    assert selectors.call(actor=world.officer, slug="api-2026").state == "draft"
