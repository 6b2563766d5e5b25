"""Who may apply: rules read, decided and evaluated."""

import time
from collections.abc import Mapping
from datetime import date
from itertools import product
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.control.calls import eligibility
from dure.control.calls.eligibility.clashing import LAWS, months_between
from dure.control.calls.eligibility.domains import normal, without
from dure.control.calls.reading import Malformed

TODAY = date(2027, 1, 15)


@pytest.fixture(autouse=True)
def in_english() -> Any:
    with translation.override("en"):
        yield


def compare(attribute: str, comparison: str, value: Any = None) -> dict[str, Any]:
    rule = {"attribute": attribute, "comparison": comparison}
    return rule if value is None else {**rule, "value": value}


def require(**rules: Any) -> tuple[eligibility.Requirement, ...]:
    return eligibility.parse([{"key": key, "title": key, "rule": rule} for key, rule in rules.items()])


def pairs(requirements: tuple[eligibility.Requirement, ...], **kwargs: Any) -> list[tuple[str, ...]]:
    return [clash.keys for clash in eligibility.clashes(requirements, **kwargs)]


SMALL = compare("organisation.size_class", "in", ["micro", "small", "medium"])
LARGE = compare("organisation.size_class", "in", ["mid_sized", "large"])
STARTUP = compare("organisation.kind", "is", "startup")
YOUNG = compare("organisation.age_months", "at_most", 84)
OLD = compare("organisation.age_months", "at_least", 85)


class TestReading:
    @pytest.mark.parametrize(
        ("rule", "path"),
        [
            (compare("organisation.colour", "is", "red"), "[0].rule.attribute"),
            (compare("organisation.kind", "at_least", "sme"), "[0].rule.comparison"),
            (compare("organisation.kind", "is", "club"), "[0].rule.value"),
            (compare("organisation.kind", "in", []), "[0].rule.value"),
            (compare("organisation.kind", "in", ["sme", "club"]), "[0].rule.value[1]"),
            (compare("organisation.kind", "in", "sme"), "[0].rule.value"),
            (compare("organisation.kind", "is"), "[0].rule.value"),
            (compare("organisation.age_months", "between", [9, 3]), "[0].rule.value"),
            (compare("organisation.age_months", "between", [9]), "[0].rule.value"),
            (compare("organisation.age_months", "at_most", True), "[0].rule.value"),
            (compare("organisation.age_months", "at_most", 3.5), "[0].rule.value"),
            (compare("organisation.employees", "at_least", -1), "[0].rule.value"),
            (compare("organisation.founded_on", "before", "2027-02-30"), "[0].rule.value"),
            (compare("organisation.verified", "is", "yes"), "[0].rule.value"),
            (compare("document.other", "present", 1), "[0].rule.value"),
            ({"all": []}, "[0].rule.all"),
            ({"all": [{"any": [compare("organisation.kind", "is", 3)]}]}, "[0].rule.all[0].any[0].value"),
            ({"all": [YOUNG], "any": [YOUNG]}, "[0].rule.all"),
            ({}, "[0].rule.attribute"),
            ("organisation.kind is sme", "[0].rule"),
        ],
    )
    def test_a_mistake_is_named_by_its_path(self, rule: Any, path: str) -> None:
        with pytest.raises(Malformed) as refused:
            require(one=rule)
        assert (refused.value.code, refused.value.status, refused.value.field) == (
            "rules_malformed",
            422,
            path,
        )

    def test_all_mistakes_are_named_at_once(self) -> None:
        with pytest.raises(Malformed) as refused:
            eligibility.parse(
                [{"key": "A B"}, {"key": "same", "title": "x", "rule": YOUNG}]
                + [{"key": "same", "title": "x", "rule": YOUNG, "extra": 1}]
            )
        assert [mistake["path"] for mistake in refused.value.data["mistakes"]] == [
            "[0].key", "[0].title", "[0].rule", "[2].extra", "[2].key",
        ]  # fmt: skip

    def test_nesting_and_size_are_bounded(self) -> None:
        deep: dict[str, Any] = YOUNG
        for _ in range(1_000):
            deep = {"all": [deep]}
        with pytest.raises(Malformed):
            require(one=deep)
        with pytest.raises(Malformed):
            require(one={"any": [YOUNG] * 41})
        with pytest.raises(Malformed):
            require(**{f"r{n}": {"any": [YOUNG] * 20} for n in range(11)})

    def test_nothing_required_is_met_by_everybody(self) -> None:
        assert eligibility.parse([]) == eligibility.parse(None) == ()
        assert eligibility.clashes(()) == []
        assert eligibility.summary([]) == "met"


class TestClashes:
    def test_a_set_that_somebody_meets_has_none(self) -> None:
        assert eligibility.clashes(require(a=SMALL, b=STARTUP, c=YOUNG)) == []

    def test_two_that_exclude_each_other_are_named_in_both_languages(self) -> None:
        (clash,) = eligibility.clashes(require(small=SMALL, young=YOUNG, old=OLD))
        assert clash.keys == ("young", "old")
        assert clash.laws == ()
        assert clash.message == clash.message_en
        assert clash.message_en == (
            "Nobody can meet these together: “young” (time since foundation: at most 7 years) and "
            "“old” (time since foundation: at least 7 years 1 month)."
        )
        assert clash.message_ko == (
            "함께 충족할 수 없는 조건입니다: “young”(설립 후 기간: 7년 이하), “old”(설립 후 기간: 7년 1개월 이상)."
        )

    def test_every_clashing_pair_is_named(self) -> None:
        rules = require(small=SMALL, large=LARGE, young=YOUNG, old=OLD)
        assert pairs(rules) == [("small", "large"), ("young", "old")]

    def test_the_two_conditions_are_found_inside_what_must_all_hold(self) -> None:
        (clash,) = eligibility.clashes(require(one={"all": [YOUNG, STARTUP, {"all": [OLD, SMALL]}]}))
        assert clash.keys == ("one",)
        assert [eligibility.describe(part.rule) for part in clash.parts] == [
            "time since foundation: at most 7 years",
            "time since foundation: at least 7 years 1 month",
        ]

    def test_a_condition_that_nobody_meets_alone(self) -> None:
        kinds = list(eligibility.ATTRIBUTES["organisation.kind"].options)
        rules = require(none=compare("organisation.kind", "not_in", kinds), young=YOUNG)
        assert pairs(rules) == [("none",)]

    def test_three_that_only_clash_together_are_all_named(self) -> None:
        rules = require(
            a={"any": [YOUNG, SMALL]},
            b=OLD,
            c=LARGE,
            d=compare("organisation.region", "is", "KR-11"),
        )
        assert pairs(rules) == [("a", "b", "c")]

    def test_four_that_only_clash_together(self) -> None:
        seoul = compare("organisation.region", "is", "KR-11")
        rules = require(
            a={"any": [YOUNG, SMALL, seoul]}, b=OLD, c=LARGE, d=compare("organisation.region", "is", "KR-26")
        )
        assert pairs(rules) == [("a", "b", "c", "d")]

    def test_what_the_law_says_counts_and_is_named(self) -> None:
        (clash,) = eligibility.clashes(require(startup=STARTUP, large=LARGE))
        assert clash.keys == ("startup", "large")
        assert clash.laws == (
            "a start-up is a small or medium enterprise (SME Start-up Support Act, art. 2)",
        )
        assert "the law says" in clash.message_en
        assert "중소기업창업 지원법 제2조" in clash.message_ko
        certificate = compare("document.sme_certificate", "present")
        assert pairs(require(certificate=certificate, large=LARGE)) == [("certificate", "large")]
        assert pairs(require(startup=STARTUP, old=compare("organisation.age_months", "at_least", 121))) == [
            ("startup", "old")
        ]
        assert pairs(require(startup=STARTUP, old=compare("organisation.age_months", "at_least", 120))) == []

    def test_a_day_of_foundation_and_an_age_are_one_fact_when_the_day_is_known(self) -> None:
        rules = require(
            recent=compare("organisation.founded_on", "after", "2025-01-15"),
            old=compare("organisation.age_months", "at_least", 24),
        )
        assert pairs(rules) == []
        assert pairs(rules, today=TODAY) == [("recent", "old")]
        future = require(a=compare("organisation.founded_on", "after", "2027-01-15"))
        assert pairs(future, today=TODAY) == [("a",)]

    def test_the_largest_sets_are_decided_or_refused_within_seconds(self) -> None:
        attributes = ["organisation.employees", "organisation.age_months", "group.open_awards", "group.size"]
        hard = {
            f"r{n}": {
                "any": [
                    {
                        "all": [
                            compare(attributes[(n + k) % 4], "is", n + k + 1),
                            compare(attributes[(n + k + 1) % 4], "is_not", k + 1),
                        ]
                    }
                    for k in range(5)
                ]
            }
            for n in range(20)
        }
        begun = time.monotonic()
        try:
            assert eligibility.clashes(require(**hard))
        except eligibility.TooEntangled:
            pass
        assert time.monotonic() - begun < 20

    def test_a_long_plain_set_is_quick(self) -> None:
        rules = require(
            **{
                f"r{n}": {
                    "all": [
                        compare("organisation.employees", "at_least", n),
                        compare("organisation.age_months", "at_most", 500 - n),
                    ]
                }
                for n in range(39)
            },
            last=compare("organisation.employees", "at_most", 5),
        )
        begun = time.monotonic()
        assert len(pairs(rules)) == 33
        assert time.monotonic() - begun < 5


class TestRedundancies:
    def test_what_everybody_meets(self) -> None:
        (found,) = eligibility.redundancies(
            require(all=compare("organisation.age_months", "at_least", 0), young=YOUNG)
        )
        assert (found.requirement.key, found.implied_by) == ("all", None)

    def test_what_another_implies(self) -> None:
        (found,) = eligibility.redundancies(
            require(wide=YOUNG, narrow=compare("organisation.age_months", "at_most", 36))
        )
        assert found.implied_by is not None
        assert (found.requirement.key, found.implied_by.key) == ("wide", "narrow")
        assert found.message_en == "Whoever meets “narrow” also meets “wide”; it can be left out."

    def test_of_two_that_say_the_same_one_is_named(self) -> None:
        assert len(eligibility.redundancies(require(a=YOUNG, b=YOUNG))) == 1

    def test_the_law_implies_too(self) -> None:
        (found,) = eligibility.redundancies(require(startup=STARTUP, small=SMALL))
        assert found.requirement.key == "small"

    def test_that_a_value_is_stated_is_worth_asking(self) -> None:
        assert eligibility.redundancies(require(a=compare("organisation.employees", "present"))) == []


class TestFindings:
    FACTS: Mapping[str, object] = {
        "organisation.kind": "sme",
        "organisation.size_class": None,
        "organisation.age_months": 85,
        "organisation.founded_on": date(2019, 12, 1),
        "organisation.verified": False,
        "document.tax_clearance": "valid",
        "document.sme_certificate": "asked",
        "group.support_micro_won": 30_000_000_000_000,
    }

    def state(self, rule: Any) -> str:
        (finding,) = eligibility.evaluate(require(one=rule), self.FACTS)
        return finding.state

    @pytest.mark.parametrize(
        ("rule", "state"),
        [
            (compare("organisation.kind", "is", "sme"), "met"),
            (STARTUP, "not_met"),
            (SMALL, "unknown"),
            (OLD, "met"),
            (YOUNG, "not_met"),
            (compare("organisation.age_months", "between", [85, 85]), "met"),
            (compare("organisation.founded_on", "before", "2019-12-01"), "not_met"),
            (compare("organisation.founded_on", "before", "2019-12-02"), "met"),
            (compare("organisation.founded_on", "after", "2019-12-01"), "not_met"),
            (compare("organisation.verified", "is", True), "not_met"),
            (compare("organisation.verified", "is_not", True), "met"),
            (compare("document.tax_clearance", "present"), "met"),
            (compare("document.sme_certificate", "present"), "needs_document"),
            (compare("document.other", "present"), "needs_document"),
            (compare("organisation.employees", "present"), "unknown"),
            (compare("group.support_micro_won", "at_most", 30_000_000_000_000), "met"),
            (compare("group.support_micro_won", "at_most", 29_999_999_999_999), "not_met"),
            ({"all": [OLD, SMALL]}, "unknown"),
            ({"all": [YOUNG, SMALL]}, "not_met"),
            ({"all": [SMALL, compare("document.other", "present")]}, "unknown"),
            ({"any": [SMALL, compare("document.other", "present")]}, "needs_document"),
            ({"any": [YOUNG, SMALL]}, "unknown"),
            ({"any": [YOUNG, OLD]}, "met"),
            ({"any": [YOUNG, STARTUP]}, "not_met"),
        ],
    )
    def test_a_rule_has_one_of_four_states(self, rule: Any, state: str) -> None:
        assert self.state(rule) == state

    def test_a_finding_says_why_and_what_to_do(self) -> None:
        unknown, young, document, verified = eligibility.evaluate(
            require(
                size=SMALL,
                young=YOUNG,
                paper=compare("document.sme_certificate", "present"),
                verified=compare("organisation.verified", "is", True),
            ),
            self.FACTS,
        )
        assert unknown.reason == (
            "size class is not stated; asked for: one of micro enterprise, small enterprise, medium enterprise."
        )
        assert unknown.remedy == "State the size class on your organisation's page."
        assert (young.reason, young.remedy) == (
            "time since foundation: 7 years 1 month; asked for: at most 7 years.",
            "",
        )
        assert document.reason == "SME certificate: handed in, being looked at."
        assert verified.remedy == "Ask for verification on your organisation's page."
        assert unknown.attributes == ("organisation.size_class",)

    def test_a_finding_is_in_the_readers_language(self) -> None:
        with translation.override("ko"):
            (finding,) = eligibility.evaluate(require(young=YOUNG), self.FACTS)
        assert finding.reason == "설립 후 기간: 7년 1개월. 필요한 조건: 7년 이하."

    @pytest.mark.parametrize(
        ("states", "whole"),
        [
            (["met", "met"], "met"),
            (["met", "needs_document"], "needs_document"),
            (["unknown", "needs_document"], "unknown"),
            (["unknown", "not_met"], "not_met"),
        ],
    )
    def test_the_summary_is_the_worst(self, states: list[Any], whole: str) -> None:
        findings = [eligibility.Finding("k", "", "", state, "", "", "", ()) for state in states]
        assert eligibility.summary(findings) == whole

    @pytest.mark.parametrize("fact", ["club", 3, [], {}, "", b"sme", float("nan"), object()])
    def test_a_fact_that_is_no_value_counts_as_not_stated(self, fact: object) -> None:
        for key in eligibility.ATTRIBUTES:
            if key.startswith("organisation.") and not (fact == 3 and key.endswith(("months", "employees"))):
                (finding,) = eligibility.evaluate(require(one=compare(key, "present")), {key: fact})
                assert finding.state == "unknown"

    def test_facts_beyond_every_limit_still_compare(self) -> None:
        (finding,) = eligibility.evaluate(
            require(a=compare("group.support_micro_won", "at_least", 1)), {"group.support_micro_won": 10**30}
        )
        assert finding.state == "met"


# -- against brute force ------------------------------------------------------------------------------

_SMALL_WORLD: dict[str, list[Any]] = {
    "organisation.kind": ["startup", "sme", "university", "ministry"],
    "organisation.size_class": ["micro", "large", "none"],
    "organisation.age_months": [0, 1, 84, 85, 120, 121],
    "organisation.verified": [True, False],
    "document.sme_certificate": ["valid", "asked", "missing"],
}


def _comparisons() -> st.SearchStrategy[dict[str, Any]]:
    kind, size = _SMALL_WORLD["organisation.kind"], _SMALL_WORLD["organisation.size_class"]
    ages = st.sampled_from([0, 1, 84, 85, 120, 121])
    return st.one_of(
        st.builds(lambda how, v: compare("organisation.kind", how, v), st.sampled_from(["in", "not_in"]), st.lists(st.sampled_from(kind), min_size=1, unique=True)),
        st.builds(lambda how, v: compare("organisation.size_class", how, v), st.sampled_from(["is", "is_not"]), st.sampled_from(size)),
        st.builds(lambda how, v: compare("organisation.age_months", how, v), st.sampled_from(["at_least", "at_most", "is", "is_not"]), ages),
        st.builds(lambda a, b: compare("organisation.age_months", "between", [min(a, b), max(a, b)]), ages, ages),
        st.builds(lambda how, v: compare("organisation.verified", how, v), st.sampled_from(["is", "is_not"]), st.booleans()),
        st.just(compare("document.sme_certificate", "present")),
    )  # fmt: skip


# The small world holds only some of the choices, so each set of rules also says that nothing lies outside it.
_WORLD = [
    compare("organisation.kind", "in", _SMALL_WORLD["organisation.kind"]),
    compare("organisation.size_class", "in", _SMALL_WORLD["organisation.size_class"]),
    {
        "any": [
            compare("organisation.age_months", "is", age) for age in _SMALL_WORLD["organisation.age_months"]
        ]
    },
]
_rules = st.recursive(
    _comparisons(),
    lambda inside: st.builds(
        lambda word, rules: {word: rules},
        st.sampled_from(["all", "any"]),
        st.lists(inside, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
_LAW_REQUIREMENTS = (
    "organisation.kind",
    "organisation.size_class",
    "organisation.age_months",
    "document.sme_certificate",
)


def _lawful(facts: Mapping[str, object]) -> bool:
    """The law in its own words, not those of the code under test."""
    kind, size, age = (
        facts["organisation.kind"],
        facts["organisation.size_class"],
        facts["organisation.age_months"],
    )
    assert isinstance(age, int)
    small = size in {"micro", "small", "medium"}
    if kind in {"sme", "startup"} and not small:
        return False
    if kind == "startup" and age > 120:
        return False
    if kind == "ministry" and size != "none":
        return False
    return small or facts["document.sme_certificate"] != "valid"


def _everybody() -> list[dict[str, object]]:
    found = [dict(zip(_SMALL_WORLD, values, strict=True)) for values in product(*_SMALL_WORLD.values())]
    return [facts for facts in found if _lawful(facts)]


EVERYBODY = _everybody()


def _met(requirements: Any, facts: Mapping[str, object]) -> bool:
    return eligibility.summary(eligibility.evaluate(requirements, facts)) == "met"


class TestAgainstEverybody:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(_rules, min_size=1, max_size=4))
    def test_clashes_are_found_exactly_when_nobody_of_a_small_world_meets_the_set(
        self, rules: list[Any]
    ) -> None:
        requirements = require(**{f"r{n}": rule for n, rule in enumerate([*rules, *_WORLD])})
        somebody = any(_met(requirements, facts) for facts in EVERYBODY)
        assert (eligibility.clashes(requirements) == []) == somebody
        example = eligibility.example(requirements)
        assert (example is not None) == somebody
        if example is not None:
            assert _met(requirements, {**EVERYBODY[0], **example})

    @settings(max_examples=100, deadline=None)
    @given(st.lists(_rules, min_size=1, max_size=4))
    def test_a_named_clash_clashes_and_none_of_it_could_be_left_out(self, rules: list[Any]) -> None:
        requirements = require(**{f"r{n}": rule for n, rule in enumerate(rules)})
        for clash in eligibility.clashes(requirements):
            alone = [
                eligibility.Requirement(f"p{n}", "", "", part.rule) for n, part in enumerate(clash.parts)
            ]
            assert eligibility.example(alone) is None
            for left_out in range(len(alone)):
                assert eligibility.example([*alone[:left_out], *alone[left_out + 1 :]]) is not None

    @settings(max_examples=100, deadline=None)
    @given(st.lists(_rules, min_size=2, max_size=4))
    def test_what_is_called_redundant_changes_nothing_for_anybody(self, rules: list[Any]) -> None:
        requirements = require(**{f"r{n}": rule for n, rule in enumerate(rules)})
        if eligibility.clashes(requirements):
            return
        useless = {one.requirement.key for one in eligibility.redundancies(requirements)}
        needed = [one for one in requirements if one.key not in useless]
        for facts in EVERYBODY:
            assert _met(needed, facts) == _met(requirements, facts)

    @settings(max_examples=200, deadline=None)
    @given(_rules)
    def test_rules_read_back_and_can_be_said(self, rule: Any) -> None:
        requirements = require(one=rule)
        assert eligibility.parse(eligibility.as_data(requirements)) == requirements
        for language in ("ko", "en"):
            with translation.override(language):
                assert eligibility.describe(requirements[0].rule)

    @settings(max_examples=200, deadline=None)
    @given(
        _rules,
        st.fixed_dictionaries(
            {key: st.sampled_from([*values, None]) for key, values in _SMALL_WORLD.items()}
        ),
    )
    def test_not_knowing_never_turns_into_knowing_better(self, rule: Any, facts: dict[str, Any]) -> None:
        """What is met or not met with facts left out stays so whatever they turn out to be."""
        (finding,) = eligibility.evaluate(require(one=rule), facts)
        if finding.state in {"unknown", "needs_document"}:
            return
        unknown = [key for key, value in facts.items() if value is None]
        for values in product(*(_SMALL_WORLD[key] for key in unknown)):
            full = {**facts, **dict(zip(unknown, values, strict=True))}
            (again,) = eligibility.evaluate(require(one=rule), full)
            assert again.state == finding.state


@given(
    st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), max_size=6),
    st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), max_size=6),
)
def test_sets_subtract_like_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    def members(spans: Any) -> set[int]:
        return {n for low, high in spans for n in range(low, high + 1)}

    assert members(without(normal(one), normal(other))) == members(one) - members(other)


@pytest.mark.parametrize(
    ("founded", "today", "months"),
    [
        (date(2020, 1, 15), date(2027, 1, 14), 83),
        (date(2020, 1, 15), date(2027, 1, 15), 84),
        (date(2024, 2, 29), date(2025, 2, 28), 11),
        (date(2027, 2, 1), date(2027, 1, 15), 0),
    ],
)
def test_months_are_counted_whole(founded: date, today: date, months: int) -> None:
    assert months_between(founded, today) == months


def test_the_laws_contradict_nothing() -> None:
    assert len(LAWS) == 8
    assert eligibility.example(()) is not None
