"""The templates that ship with Dure: each could be published as it is."""

from datetime import date, datetime, timedelta

import pytest
from django.utils import translation

from dure.control.calls import eligibility, forms, shipped, steps
from dure.control.foundation.clock import SEOUL
from dure.control.foundation.errors import NotFound

OPENS = datetime(2027, 1, 4, 10, tzinfo=SEOUL)


@pytest.mark.parametrize("name", shipped.NAMES)
class TestEachTemplate:
    def test_its_steps_have_no_problem_in_a_round_of_its_usual_length(self, name: str) -> None:
        template = shipped.template(name)
        closes = OPENS + timedelta(days=template.days_open)
        assert steps.problems(template.graph, opens_at=OPENS, closes_at=closes) == []

    def test_somebody_can_meet_its_requirements_and_each_of_them_asks_for_something(self, name: str) -> None:
        requirements = shipped.template(name).requirements
        assert eligibility.clashes(requirements, today=date(2027, 1, 4)) == []
        assert eligibility.redundancies(requirements, today=date(2027, 1, 4)) == []
        facts = eligibility.example(requirements)
        assert facts is not None
        assert eligibility.summary(eligibility.evaluate(requirements, facts)) == "met"

    def test_its_form_asks_for_money_within_its_limits(self, name: str) -> None:
        template = shipped.template(name)
        budget = next(one for one in template.form.fields if one.kind == "budget")
        assert (budget.least, budget.most) == (template.least_won, template.most_won)
        assert template.least_won < template.most_won < template.budget_won

    def test_it_reads_back_to_the_same_values(self, name: str) -> None:
        template = shipped.template(name)
        assert steps.parse(steps.as_data(template.graph)) == template.graph
        assert forms.parse(forms.as_data(template.form)) == template.form
        assert eligibility.parse(eligibility.as_data(template.requirements)) == template.requirements

    def test_every_text_is_in_both_languages(self, name: str) -> None:
        template = shipped.template(name)
        texts = [(template.name_ko, template.name_en), (template.summary_ko, template.summary_en)]
        texts += [(template.text_ko, template.text_en)]
        texts += [(one.title_ko, one.title_en) for one in template.requirements]
        for section in template.form.sections:
            texts += [(section.title_ko, section.title_en)]
            texts += [(one.label_ko, one.label_en) for one in section.fields]
        texts += [
            (step.title_ko, step.title_en) for step in template.graph.steps if step.title_ko or step.title_en
        ]
        assert [pair for pair in texts if not all(pair) or pair[0] == pair[1]] == []

    def test_its_kind_is_its_name(self, name: str) -> None:
        assert shipped.template(name).kind == name


def test_only_small_requests_are_decided_by_rule() -> None:
    assert [one.name for one in shipped.templates() if one.automatic] == ["small_request"]


def test_a_template_that_is_not_shipped_is_not_found() -> None:
    with pytest.raises(NotFound) as refused:
        shipped.template("../secret")
    assert refused.value.code == "template_not_found"


def test_whoever_changes_what_he_was_given_changes_nobody_elses() -> None:
    shipped.template("rnd").rules_data.clear()
    assert len(shipped.template("rnd").requirements) == 4


def test_titles_follow_the_reader() -> None:
    with translation.override("en"):
        assert shipped.template("small_request").title == "Small requests"
    with translation.override("ko"):
        assert shipped.template("small_request").title == "소액 즉시지원"


def test_a_law_is_named_only_where_its_text_was_read() -> None:
    named = {
        (template.name, step.key, step.least_days, step.law)
        for template in shipped.templates()
        for step in template.graph.steps
        if step.law or step.least_days
    }
    assert named == {
        ("rnd", "application", 30, "국가연구개발혁신법 시행령 제9조제1항"),
        ("rnd", "objection", 10, "국가연구개발혁신법 제14조제6항"),
    }
