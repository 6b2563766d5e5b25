"""What differs between two versions of a call's form, rules and steps, in words; and who may ask."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.utils import translation
from tests.control.calls.conftest import FORM, RULES, STEPS, World, steps_with

from dure.control.calls import comparing, eligibility, forms, selectors, services, shipped, steps
from dure.control.foundation.errors import Invalid, NotFound


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def said(found: list[comparing.Difference]) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    return [
        (one.title, one.change, [(part.title, part.before, part.after) for part in one.parts])
        for one in found
    ]


def form(*sections: list[dict[str, Any]]) -> forms.Form:
    return forms.parse(
        {
            "sections": [
                {"key": f"s{n}", "title": f"Section {n}", "fields": fields}
                for n, fields in enumerate(sections)
            ]
        }
    )


def field(key: str, kind: str = "text", **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": kind, "label": key, **more}


def test_of_a_form_it_is_said_what_each_question_was_and_is() -> None:
    options = [{"key": "idea", "label": "Idea"}, {"key": "product", "label": "Product"}]
    stage = field("stage", "choice", options=options)
    old = form([field("goes"), field("stays"), field("changes"), stage], [])
    when = {"field": "stage", "comparison": "in", "value": ["idea", "product"]}
    changed = field("changes", required=True, most_length=9, when=when)
    more = field("stage", "choice", options=[*options, {"key": "sold", "label": "Sold"}])
    new = form([changed, more], [field("stays"), field("comes", "date")])
    assert said(comparing.of_forms(old, new)) == [
        (
            "changes",
            "changed",
            [
                ("Must be answered", "no", "yes"),
                ("Asked only when", "", "stage: is one of Idea, Product"),
                ("Most characters", "", "9"),
            ],
        ),
        ("stage", "changed", [("Options", "Idea, Product", "Idea, Product, Sold")]),
        ("stays", "moved", [("Section", "Section 0", "Section 1")]),
        (
            "comes",
            "added",
            [
                ("Section", "", "Section 1"),
                ("Kind", "", "date"),
                ("Question in Korean", "", "comes"),
                ("Question in English", "", "comes"),
                ("Must be answered", "", "no"),
            ],
        ),
        (
            "goes",
            "removed",
            [
                ("Section", "Section 0", ""),
                ("Kind", "short text", ""),
                ("Question in Korean", "goes", ""),
                ("Question in English", "goes", ""),
                ("Must be answered", "no", ""),
            ],
        ),
    ]
    assert comparing.of_forms(new, new) == []


def test_of_requirements_it_is_said_what_is_asked_for() -> None:
    eight = deepcopy(RULES[0])
    eight["rule"]["value"] = 96
    new = eligibility.parse([eight])
    assert said(comparing.of_requirements(eligibility.parse(RULES), new)) == [
        (
            "At most seven years old",
            "changed",
            [
                (
                    "asked for",
                    "time since foundation: at most 7 years",
                    "time since foundation: at most 8 years",
                )
            ],
        ),
        (
            "Small or medium",
            "removed",
            [
                ("Name", "Small or medium", ""),
                ("asked for", "kind of organisation: one of start-up, small or medium enterprise", ""),
            ],
        ),
    ]


def test_of_steps_it_is_said_where_each_outcome_leads_and_what_the_time_is() -> None:
    content = steps_with(decide={"days": 14}, apply={"least_days": 30, "law": "Act, art. 9"})
    content["steps"].insert(
        1,
        {
            "key": "panel",
            "kind": "panel",
            "title": {"ko": "평가", "en": "Panel"},
            "edges": [{"outcome": "passed", "to": "decide"}, {"outcome": "failed", "to": "end"}],
        },
    )
    content["steps"][0]["edges"] = [{"outcome": "submitted", "to": "panel"}]
    found = comparing.of_steps(steps.parse(STEPS), steps.parse(content))
    assert said(found)[0] == (
        "Application",
        "changed",
        [
            ("Days at least", "", "30 days"),
            ("By which law or rule", "", "Act, art. 9"),
            ("On “submitted” follows", "Decision", "Panel"),
        ],
    )
    assert [(one.title, one.change) for one in found] == [
        ("Application", "changed"),
        ("Panel", "added"),
        ("Decision", "changed"),
    ]
    assert ("On “passed” follows", "", "Decision") in said(found)[1][2]


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("name", shipped.NAMES)
def test_whatever_a_template_has_can_be_said(name: str, language: str) -> None:
    with translation.override(language):
        one, empty = shipped.template(name), forms.parse({"sections": []})
        added = comparing.of_forms(empty, one.form)
        assert [each.key for each in added] == [each.key for each in one.form.fields]
        assert not [part for each in added for part in each.parts if "{" in part.after or not part.title]
        assert comparing.of_forms(one.form, one.form) == []
        assert comparing.of_steps(one.graph, one.graph) == []
        assert comparing.of_requirements(one.requirements, one.requirements) == []


class TestWhoAsks:
    def test_the_newest_is_compared_with_the_one_before(self, world: World) -> None:
        world.published()
        content = deepcopy(FORM)
        content["sections"][0]["fields"][0]["required"] = False
        services.save_form(actor=world.officer, call_slug="api-2026", content=content)
        services.save_steps(actor=world.officer, call_slug="api-2026", content=steps_with(decide={"days": 5}))
        found = selectors.comparison(actor=world.officer, slug="api-2026", part="form")
        assert found.old is not None
        assert found.new is not None
        assert (found.old.name, found.new.name) == ("1", "2")
        assert said(found.differences) == [("Title", "changed", [("Must be answered", "yes", "no")])]
        found = selectors.comparison(actor=world.officer, slug="api-2026", part="steps")
        assert [one.name for one in found.versions] == ["draft", "round-1"]
        assert said(found.differences) == [("Decision", "changed", [("Days", "", "5 days")])]
        found = selectors.comparison(actor=world.officer, slug="api-2026", part="rules")
        assert (found.old, found.differences) == (None, [])

    def test_a_copy_is_compared_with_what_it_was_copied_from(self, world: World) -> None:
        world.published()
        services.copy_call(actor=world.officer, slug="api-2026", new_slug="api-2027")
        services.save_rules(actor=world.officer, call_slug="api-2027", content=RULES[:1])
        found = selectors.comparison(actor=world.officer, slug="api-2027", part="rules", old="source")
        assert [(one.title, one.change) for one in found.differences] == [("Small or medium", "removed")]

    def test_a_version_that_is_not_there_is_refused_with_those_that_are(self, world: World) -> None:
        world.published()
        with pytest.raises(Invalid) as refused:
            selectors.comparison(actor=world.officer, slug="api-2026", part="steps", old="round-9")
        assert (refused.value.code, refused.value.field) == ("version_unknown", "old")
        assert str(refused.value.remedy) == "Known: draft, round-1."

    def test_others_find_nothing(self, world: World) -> None:
        world.published()
        for actor in (world.stranger, world.applicant):
            with pytest.raises(NotFound):
                selectors.comparison(actor=actor, slug="api-2026", part="form")
