"""The form of a call: read, checked, counted and compared."""

from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.control.calls import forms, shipped
from dure.control.calls.forms.answers import length
from dure.control.calls.reading import Malformed


@pytest.fixture(autouse=True)
def in_english() -> Any:
    with translation.override("en"):
        yield


def field(key: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "kind": kind, "label": key, **more}


def form(*fields: dict[str, Any]) -> forms.Form:
    return forms.parse({"sections": [{"key": "one", "title": "One", "fields": list(fields)}]})


def options(*keys: str) -> list[dict[str, Any]]:
    return [{"key": key, "label": key} for key in keys]


def when(key: str, comparison: str, value: Any = None) -> dict[str, Any]:
    condition = {"field": key, "comparison": comparison}
    return condition if value is None else {**condition, "value": value}


def codes(found: forms.Form, answers: dict[str, Any], *, complete: bool = True) -> list[tuple[str, str, str]]:
    return [(one.field, one.code, one.place) for one in forms.check(found, answers, complete=complete)]


class TestReading:
    @pytest.mark.parametrize(
        ("one", "path"),
        [
            (field("a", "texts"), "kind"),
            (field("A", "text"), "key"),
            ({"key": "a", "kind": "text"}, "label"),
            (field("a", "text", lines=[]), "lines"),
            (field("a", "text", least_length=9, most_length=3), "most_length"),
            (field("a", "whole_number", least=9, most=3), "most"),
            (field("a", "whole_number", least=1.5), "least"),
            (field("a", "date", first="2027-02-01", last="2027-01-01"), "last"),
            (field("a", "choice"), "options"),
            (field("a", "choice", options=[]), "options"),
            (field("a", "choice", options=options("x", "x")), "options[1].key"),
            (field("a", "consent"), "statement"),
            (field("a", "file", types=["exe"]), "types[0]"),
            (
                field("a", "budget", lines=[{"key": "x", "label": "x", "most_percent": 101}]),
                "lines[0].most_percent",
            ),
            (field("a", "table", columns=[{"key": "x", "label": "x", "kind": "file"}]), "columns[0].kind"),
            (field("a", "text", required="yes"), "required"),
            (field("a", "text", when=when("b", "answered")), "when.field"),
            (field("a", "text", when=when("a", "answered")), "when"),
            (field("a", "text", when=[when("a", "is", 1), when("zz", "answered")]), "when[0].comparison"),
        ],
    )
    def test_a_mistake_is_named_by_its_path(self, one: dict[str, Any], path: str) -> None:
        with pytest.raises(Malformed) as refused:
            form(one)
        assert (refused.value.code, refused.value.field) == (
            "form_malformed",
            f"sections[0].fields[0].{path}",
        )

    def test_conditions_must_be_answerable(self) -> None:
        choice = field("c", "choice", options=options("x", "y"))
        for bad in (
            when("c", "is", "z"),
            when("c", "at_least", 3),
            when("c", "in", "x"),
            when("c", "is", ["x"]),
            when("c", "in", []),
        ):
            with pytest.raises(Malformed):
                form(choice, field("a", "text", when=bad))
        form(choice, field("a", "text", when=when("c", "in", ["x", "y"])))

    @pytest.mark.parametrize(
        ("condition", "message", "remedy"),
        [
            (
                when("c", "is", "z"),
                "“a” waits for “z” as the answer to “c”, which does not offer it.",
                "Its options: x, y.",
            ),
            (
                when("c", "in", ["x", "z"]),
                "“a” waits for “z” as the answer to “c”, which does not offer it.",
                "Its options: x, y.",
            ),
            (
                when("c", "is", ""),
                "“a” waits for an answer to “c”, and it is not said for which.",
                "Its options: x, y.",
            ),
            (
                when("d", "is", "x"),
                "“a” waits for the answer to “d”, and there is no such field.",
                "Keep that field, or change first when “a” is asked.",
            ),
        ],
    )
    def test_an_answer_that_is_not_offered_is_named_with_who_waits_for_it(
        self, condition: dict[str, Any], message: str, remedy: str
    ) -> None:
        choice = field("c", "choice", options=options("x", "y"))
        with pytest.raises(Malformed) as refused:
            form(choice, field("a", "text", when=condition))
        (mistake,) = refused.value.mistakes
        assert (mistake.message, mistake.remedy) == (message, remedy)

    def test_a_circle_of_conditions_is_refused_and_named(self) -> None:
        with pytest.raises(Malformed) as refused:
            form(
                field("a", "yes_no", when=when("c", "is", True)),
                field("b", "yes_no", when=when("a", "is", True)),
                field("c", "yes_no", when=when("b", "is", True)),
            )
        assert "a → c → b → a" in str(refused.value.message)

    def test_keys_are_unique_over_the_whole_form(self) -> None:
        section = {"title": "x", "fields": [field("a", "text")]}
        with pytest.raises(Malformed) as refused:
            forms.parse({"sections": [{"key": "one", **section}, {"key": "two", **section}]})
        assert refused.value.field == "sections[1].fields[0].key"

    def test_more_fields_than_anybody_answers_are_counted_over_all_sections(self) -> None:
        with pytest.raises(Malformed) as refused:
            form(*(field(f"f{n}", "text") for n in range(300)))
        assert [one.message for one in refused.value.mistakes] == ["At most 150 fields, please."]

    def test_a_text_that_is_too_long_is_not_called_empty_besides(self) -> None:
        with pytest.raises(Malformed) as refused:
            form({**field("a", "text"), "label": {"ko": "가" * 5_000, "en": ""}})
        assert [one.message for one in refused.value.mistakes] == ["At most 300 characters, please."]

    def test_a_label_in_one_language_serves_both(self) -> None:
        (one,) = form({"key": "a", "kind": "text", "label": {"ko": "가"}}).fields
        assert (one.label_ko, one.label_en) == ("가", "가")

    def test_an_empty_form_is_a_form(self) -> None:
        assert list(forms.parse(None).fields) == []
        assert forms.progress(forms.parse({}), {}).percent == 100


class TestAnswers:
    ALL_KINDS: tuple[tuple[dict[str, Any], list[Any], list[tuple[Any, str]]], ...] = (
        (field("a", "text", most_length=3), ["가나다", " 가"], [("가나다라", "too_long"), ("가\n나", "one_line"), (3, "not_understood"), ("a\x00", "control_characters")]),
        (field("a", "long_text", least_length=3), ["가\n나", "가나다"], [("가나", "too_short"), (["가"], "not_understood")]),
        (field("a", "whole_number", least=1, most=9), [1, 9], [(0, "too_little"), (10, "too_much"), (1.0, "not_whole"), (True, "not_whole"), ("3", "not_whole")]),
        (field("a", "won"), [0, 10**12], [(-1, "too_little"), (10**12 + 1, "too_much"), (10**400, "too_much"), (1.5, "not_whole")]),
        (field("a", "percentage"), [0, 100, "12.5", 12.25, "33 %"], [("12.345", "not_percentage"), (-1, "too_little"), (101, "too_much"), ("NaN", "not_percentage"), (float("inf"), "not_percentage"), (True, "not_percentage"), ("1e9999", "not_percentage")]),
        (field("a", "date", first="2027-01-01", last="2027-12-31"), ["2027-01-01", "2027-12-31"], [("2026-12-31", "too_early"), ("2028-01-01", "too_late"), ("2027-02-29", "not_date"), ("20270101", "not_date"), (3, "not_date")]),
        (field("a", "choice", options=options("x", "y")), ["x"], [("z", "unknown_option"), (["x"], "unknown_option")]),
        (field("a", "choices", options=options("x", "y", "z"), least=2, most=2), [["x", "y"]], [(["x"], "too_few"), (["x", "y", "z"], "too_many"), (["x", "q"], "unknown_option"), (["x", "x"], "not_understood"), ("x", "not_understood")]),
        (field("a", "yes_no"), [True, False], [("yes", "not_understood"), (1, "not_understood")]),
        (field("a", "consent", statement="s"), [True, False], [("on", "not_understood")]),
        (field("a", "email"), ["a@b.kr", "가@나라.한국"], [("a@b", "not_email"), ("a b@c.kr", "not_email"), ("@b.kr", "not_email"), (f"{'a' * 300}@b.kr", "not_email")]),
        (field("a", "url"), ["https://b.kr/가", "http://1.2.3.4:80/"], [("b.kr", "not_url"), ("javascript:alert(1)", "not_url"), ("https://[", "not_url"), ("https://b.kr:99999", "not_url"), ("https://a b", "not_url")]),
        (field("a", "phone"), ["02-1234-5678", "+82 10 1234 5678"], [("12", "not_phone"), ("0" * 40, "not_phone"), ("call me", "not_phone")]),
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("one", "good", "bad"), ALL_KINDS, ids=lambda value: value["kind"] if isinstance(value, dict) else ""
    )
    def test_each_kind_takes_its_own_answers(
        self, one: dict[str, Any], good: list[Any], bad: list[tuple[Any, str]]
    ) -> None:
        for answer in good:
            assert codes(form(one), {"a": answer}) == []
        for answer, code in bad:
            assert [found for _, found, _ in codes(form(one), {"a": answer})] == [code]

    def test_files(self) -> None:
        one = field("a", "file", types=["pdf", "jpg"], most_bytes=1000, most=2)
        pdf = {"sha256": "0" * 64, "name": "계획.PDF", "size": 1000, "media_type": "application/pdf"}
        assert codes(form(one), {"a": [pdf, {**pdf, "name": "a.jpeg"}]}) == []
        assert codes(form(one), {"a": [{**pdf, "name": "a.exe"}]}) == [("a", "file_type_refused", "[0]")]
        assert codes(form(one), {"a": [{**pdf, "size": 1001}]}) == [("a", "file_too_large", "[0]")]
        assert codes(form(one), {"a": [pdf] * 3}) == [("a", "too_many", "")]
        assert codes(form(one), {"a": [{**pdf, "sha256": "../../etc"}]}) == [
            ("a", "not_understood", "[0].sha256")
        ]

    def test_a_budget_is_held_to_its_lines_and_its_total(self) -> None:
        lines = [
            {"key": "api", "label": "API"},
            {"key": "travel", "label": "Travel", "most_won": 300, "most_percent": 20},
        ]
        budget = form(field("a", "budget", lines=lines, least=500, most=1000))
        rows = [{"line": "api", "text": "calls", "won": 700}, {"line": "travel", "won": 100}]
        assert codes(budget, {"a": rows}) == []
        assert forms.total(budget, {"a": rows}) == 800
        assert codes(budget, {"a": [{"line": "api", "won": 499}]}) == [("a", "total_too_little", "")]
        assert codes(budget, {"a": [{"line": "api", "won": 1001}]}) == [("a", "total_too_much", "")]
        assert codes(budget, {"a": [{"line": "api", "won": 600}, {"line": "travel", "won": 151}]}) == [
            ("a", "line_too_large_a_share", "travel")
        ]
        assert codes(budget, {"a": [{"line": "api", "won": 600}, {"line": "travel", "won": 150}]}) == []
        assert codes(budget, {"a": [{"line": "travel", "won": 301}]}, complete=False) == [
            ("a", "line_too_much", "travel")
        ]
        assert codes(budget, {"a": [{"line": "gifts", "won": 600}]})[0] == ("a", "unknown_option", "[0].line")
        assert codes(budget, {"a": [{"line": "api", "won": -5}]})[0] == ("a", "not_whole", "[0].won")

    def test_a_draft_may_be_half_done(self) -> None:
        lines = [{"key": "api", "label": "API", "most_percent": 50}]
        draft = form(
            field("budget", "budget", lines=lines, least=500),
            field("team", "people", least=2, roles=options("lead")),
            field(
                "plan", "table", columns=[{"key": "what", "kind": "text", "label": "What", "required": True}]
            ),
            field("text", "text", required=True, least_length=5),
        )
        answers = {"budget": [{"line": "api"}], "team": [{"name": "김"}], "plan": [{}], "text": "abc"}
        assert codes(draft, answers, complete=False) == []
        assert codes(draft, answers) == [
            ("budget", "missing", "[0].won"),
            ("budget", "total_too_little", ""),
            ("team", "missing", "[0].role"),
            ("team", "missing", "[0].share"),
            ("team", "too_few", ""),
            ("plan", "missing", "[0].what"),
            ("text", "too_short", ""),
        ]

    def test_people_and_tables(self) -> None:
        both = form(
            field("team", "people", roles=options("lead")),
            field("plan", "table", most=1, columns=[{"key": "until", "kind": "date", "label": "Until"}]),
        )
        good = {"team": [{"name": "김", "role": "lead", "share": "50"}], "plan": [{"until": "2027-01-01"}]}
        assert codes(both, good) == []
        bad = {"team": [{"name": "김", "role": "boss", "share": 101}], "plan": [{"until": "soon"}, {"x": 1}]}
        assert codes(both, bad) == [
            ("team", "unknown_option", "[0].role"),
            ("team", "not_percentage", "[0].share"),
            ("plan", "not_date", "[0].until"),
            ("plan", "not_understood", "[1]"),
            ("plan", "too_many", ""),
        ]

    def test_a_required_consent_must_be_given(self) -> None:
        one = form(field("a", "consent", statement="s", required=True))
        assert codes(one, {"a": False}) == [("a", "consent_missing", "")]
        assert codes(one, {}) == [("a", "consent_missing", "")]
        assert codes(one, {"a": False}, complete=False) == []

    def test_an_answer_to_no_field_is_named(self) -> None:
        assert codes(form(field("a", "text")), {"b": 1}) == [("b", "unknown_field", "")]

    def test_messages_are_sentences_in_the_readers_language(self) -> None:
        one = form(field("a", "text", most_length=3))
        (problem,) = forms.check(one, {"a": "가나다라"}, complete=True)
        assert (problem.message, problem.remedy) == ("4 characters; at most 3.", "Shorten it by 1.")
        with translation.override("ko"):
            (problem,) = forms.check(one, {"a": "가나다라"}, complete=True)
        assert (problem.message, problem.remedy) == (
            "4자입니다. 3자까지 쓸 수 있습니다.",
            "1자를 줄여 주십시오.",
        )

    @pytest.mark.parametrize(
        ("text", "count"),
        [
            ("", 0),
            ("한글", 2),
            ("\u1112\u1161\u11ab", 1),
            ("e\u0301", 1),
            ("👨‍👩‍👧", 1),
            ("👍🏽", 1),
            ("a\r\nb", 3),
            ("  ", 2),
        ],
    )
    def test_characters_are_counted_as_people_do(self, text: str, count: int) -> None:
        assert length(text) == count


class TestConditions:
    FORM = form(
        field("kind", "choice", options=options("x", "y"), required=True),
        field("many", "choices", options=options("p", "q")),
        field("count", "whole_number"),
        field("if_x", "text", required=True, when=when("kind", "is", "x")),
        field("if_not_x", "text", when=when("kind", "is_not", "x")),
        field("if_p", "text", when=when("many", "in", ["p"])),
        field("if_many", "text", when=when("count", "at_least", 10)),
        field("deep", "text", required=True, when=[when("if_x", "answered"), when("count", "at_most", 5)]),
    )

    def shown(self, **answers: Any) -> set[str]:
        return set(forms.visible(self.FORM, answers)) - {"kind", "many", "count"}

    def test_fields_are_shown_by_other_answers(self) -> None:
        assert self.shown() == set()
        assert self.shown(kind="x") == {"if_x"}
        assert self.shown(kind="y") == {"if_not_x"}
        assert self.shown(many=["q", "p"], count=10) == {"if_p", "if_many"}
        assert self.shown(kind="x", if_x="a", count=5) == {"if_x", "deep"}

    def test_what_is_hidden_hides_what_depends_on_it(self) -> None:
        assert self.shown(kind="y", if_x="kept from before", count=5) == {"if_not_x"}

    def test_answers_to_hidden_fields_are_neither_checked_nor_submitted(self) -> None:
        answers = {"kind": "y", "if_x": ["nonsense"], "count": 3}
        assert forms.check(self.FORM, answers, complete=True) == []
        assert forms.submitted(self.FORM, answers) == {"kind": "y", "count": 3}

    def test_an_answer_of_the_wrong_kind_shows_nothing_and_breaks_nothing(self) -> None:
        for nonsense in ({}, [[]], {"a": []}, "x" * 10, -1, 1.5, None, [None]):
            forms.visible(self.FORM, {"kind": nonsense, "many": nonsense, "count": nonsense})


class TestProgress:
    def test_it_counts_required_fields_that_are_shown(self) -> None:
        found = forms.progress(TestConditions.FORM, {"kind": "x"})
        assert (found.answered, found.asked, found.percent, found.finished) == (1, 2, 50, False)
        found = forms.progress(TestConditions.FORM, {"kind": "y"})
        assert (found.answered, found.asked, found.percent, found.finished) == (1, 1, 100, True)

    def test_a_wrong_answer_is_not_the_end(self) -> None:
        found = forms.progress(form(field("a", "email", required=True)), {"a": "no"})
        assert (found.answered, found.asked, found.percent, found.finished) == (1, 1, 99, False)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["line", "won", "name", "sha256", "size", "share", "x"]), inside, max_size=3
        )
    ),
    max_leaves=8,
)


class TestAnyAnswer:
    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_no_answer_breaks_a_shipped_form_in_either_language(self, data: st.DataObject) -> None:
        one = shipped.template(data.draw(st.sampled_from(shipped.NAMES))).form
        answers = {each.key: data.draw(_json) for each in one.fields}
        for language in ("ko", "en"):
            with translation.override(language):
                problems = forms.check(one, answers, complete=True)
                assert all(
                    problem.message and "%" not in problem.message.replace("% of", "").replace("%까지", "")
                    for problem in problems
                )
        # What is wrong in a draft is wrong in the end as well.
        draft = {(problem.field, problem.code) for problem in forms.check(one, answers, complete=False)}
        assert draft <= {(problem.field, problem.code) for problem in problems}
        progress = forms.progress(one, answers)
        assert progress.finished == (not [problem for problem in problems if problem.code != "unknown_field"])
        assert forms.total(one, answers) >= 0
        forms.submitted(one, answers)

    @settings(max_examples=200, deadline=None)
    @given(_json)
    def test_whatever_is_sent_as_a_form_is_read_or_refused(self, data: Any) -> None:
        for shape in (data, {"sections": data}, {"sections": [{"key": "a", "title": "a", "fields": data}]}):
            try:
                found = forms.parse(shape)
            except Malformed:
                continue
            assert forms.parse(forms.as_data(found)) == found
