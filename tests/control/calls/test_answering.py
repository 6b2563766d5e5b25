"""A form as pages show it, and what a browser sends back."""

from typing import Any

import pytest
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils import translation

from dure.control.calls import answering, forms, shipped


@pytest.fixture(autouse=True)
def in_english() -> Any:
    with translation.override("en"):
        yield


def options(*keys: str) -> list[dict[str, Any]]:
    return [{"key": key, "label": key} for key in keys]


FORM = forms.parse(
    {
        "sections": [
            {
                "key": "one",
                "title": "One",
                "fields": [
                    {"key": "text", "kind": "text", "label": "Text", "help": "Help", "most_length": 10},
                    {"key": "long", "kind": "long_text", "label": "Long"},
                    {"key": "users", "kind": "whole_number", "label": "Users", "unit": "people"},
                    {"key": "sum", "kind": "won", "label": "Sum"},
                    {"key": "share", "kind": "percentage", "label": "Share"},
                    {"key": "day", "kind": "date", "label": "Day"},
                    {"key": "pick", "kind": "choice", "label": "Pick", "options": options("a", "b")},
                    {"key": "picks", "kind": "choices", "label": "Picks", "options": options("a", "b")},
                    {"key": "yes", "kind": "yes_no", "label": "Yes?", "required": True},
                    {"key": "agree", "kind": "consent", "label": "Agree", "statement": "Statement"},
                    {"key": "mail", "kind": "email", "label": "Mail"},
                    {"key": "web", "kind": "url", "label": "Web"},
                    {"key": "tel", "kind": "phone", "label": "Tel"},
                    {"key": "papers", "kind": "file", "label": "Papers", "types": ["pdf"], "most_bytes": 1048576},
                    {"key": "budget", "kind": "budget", "label": "Budget", "most": 1000, "lines": options("api")},
                    {"key": "plan", "kind": "table", "label": "Plan", "columns": [{"key": "what", "kind": "text", "label": "What"}, {"key": "on", "kind": "yes_no", "label": "On"}]},
                    {"key": "team", "kind": "people", "label": "Team", "roles": options("lead")},
                    {"key": "why", "kind": "text", "label": "Why", "when": {"field": "yes", "comparison": "is", "value": True}},
                ],
            }
        ]
    }
)  # fmt: skip
ANSWERS: dict[str, Any] = {
    "text": "가 & <b>",
    "long": "\nfirst\nsecond",
    "users": 1200,
    "sum": 5000000,
    "share": "12.5",
    "day": "2027-01-31",
    "pick": "b",
    "picks": ["a", "b"],
    "yes": True,
    "agree": True,
    "mail": "a@b.kr",
    "web": "https://b.kr",
    "tel": "02-123-4567",
    "budget": [{"line": "api", "text": "calls", "won": 700}],
    "plan": [{"what": "x", "on": False}],
    "team": [{"name": "김", "role": "lead", "share": "50"}],
    "why": "because",
}


def page(answers: dict[str, Any], problems: Any = ()) -> str:
    (asked,) = answering.sections(FORM, answers, problems)
    return render_to_string("calls/fields/_section.html", {"asked": asked})


def submit(html: str) -> QueryDict:
    """What a browser would send of a page as it stands."""
    import html as escapes
    import re

    sent = QueryDict(mutable=True)
    for tag in re.findall(r"<input[^>]*>", html):
        values = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if values.get("type") in {"radio", "checkbox"} and " checked" not in tag:
            continue
        if values.get("type") != "file":
            sent.appendlist(values["name"], escapes.unescape(values.get("value", "on")))
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>', html, re.DOTALL):
        sent.appendlist(name, escapes.unescape(text).replace("\n", "\r\n"))
    for name, inside in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', html, re.DOTALL):
        chosen = re.findall(r'value="([^"]*)" selected', inside)
        sent.appendlist(name, chosen[0] if chosen else "")
    return sent


def test_what_is_shown_comes_back_as_it_was() -> None:
    assert answering.read(FORM, submit(page(ANSWERS))) == ANSWERS


def test_an_empty_page_comes_back_as_no_answers() -> None:
    read = answering.read(FORM, submit(page({})))
    assert forms.check(FORM, read, complete=False) == []
    assert forms.submitted(FORM, read) == {"agree": False}


@pytest.mark.parametrize("name", shipped.NAMES)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_shipped_form_is_drawn_in_both_languages(name: str, language: str) -> None:
    with translation.override(language):
        for asked in answering.sections(shipped.template(name).form, {}):
            assert render_to_string("calls/fields/_section.html", {"asked": asked}).count(
                "data-field="
            ) == len(asked.section.fields)
            render_to_string("calls/fields/_shown.html", {"asked": asked})


def test_only_questions_that_the_page_had_are_read() -> None:
    assert answering.read(FORM, QueryDict("f-text=x&f-sum-asked=1&f-sum=1,000")) == {"sum": 1000}


@pytest.mark.parametrize(
    ("kind", "typed", "answer"),
    [("sum", "1,200,000원", 1200000), ("sum", "₩ 5", 5), ("sum", "-3", -3), ("sum", "twelve", "twelve"), ("sum", "²", "²"), ("sum", "9" * 30, "9" * 30), ("text", "  a ", "a"), ("text", " ", None), ("pick", "", None), ("yes", "maybe", "maybe")],
)  # fmt: skip
def test_typing_is_forgiven_or_kept_for_the_check(kind: str, typed: str, answer: Any) -> None:
    sent = QueryDict(mutable=True)
    sent[f"f-{kind}-asked"], sent[f"f-{kind}"] = "1", typed
    assert answering.read(FORM, sent) == {kind: answer}


def test_rows_that_say_nothing_are_left_out_and_none_is_read_without_end() -> None:
    sent = QueryDict("f-plan-asked=1&f-plan-rows=999999999&f-plan-1-what=x")
    assert answering.read(FORM, sent) == {"plan": [{"what": "x"}]}
    assert answering.read(FORM, QueryDict("f-plan-asked=1&f-plan-rows=x&f-plan-0-what=x")) == {"plan": []}


def test_a_problem_stands_at_its_question_and_what_was_typed_stays() -> None:
    answers = {**ANSWERS, "sum": "a lot", "budget": [{"line": "api", "won": "much"}]}
    html = page(answers, forms.check(FORM, answers, complete=False))
    assert 'value="a lot"' in html
    assert 'value="much" aria-invalid="true"' in html
    assert "Write a whole number." in html


def test_markup_in_answers_stays_text() -> None:
    assert "<b>" not in page(ANSWERS)
    (asked,) = answering.sections(FORM, ANSWERS)
    assert "<b>" not in render_to_string("calls/fields/_shown.html", {"asked": asked})


def test_hidden_questions_are_on_the_page_and_say_when_they_show() -> None:
    (asked,) = answering.sections(FORM, {})
    why = asked.questions[-1]
    assert not why.shown
    assert why.when == '[{"field": "yes", "comparison": "is", "value": true}]'


@pytest.mark.parametrize(
    ("key", "text"),
    [("text", "가 & <b>"), ("users", "1,200 people"), ("sum", "₩5,000,000"), ("share", "12.5 %"), ("day", "31 Jan 2027"), ("pick", "b"), ("picks", "a, b"), ("yes", "yes"), ("agree", "agreed")],
)  # fmt: skip
def test_answers_are_read_by_people(key: str, text: str) -> None:
    found = answering.question(FORM, key, ANSWERS)
    assert found is not None
    assert found.text == text
