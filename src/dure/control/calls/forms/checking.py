"""Answers against a form: what is shown, what is wrong, how far it is, what it costs.

Answers are a mapping from field key to JSON value. Those of hidden fields are kept by whoever keeps the
answers, but they are neither checked, counted nor submitted (`submitted`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dure.control.calls.forms.answers import as_percentage, problems_of
from dure.control.calls.forms.fields import Condition, Field, Form
from dure.control.calls.forms.problems import Problem, required_problem


@dataclass(frozen=True, slots=True)
class SectionProgress:
    """`answered` of `asked` required fields have an answer; `wrong` fields have problems besides being empty."""

    key: str
    answered: int
    asked: int
    wrong: int

    @property
    def finished(self) -> bool:
        return self.answered == self.asked and not self.wrong


@dataclass(frozen=True, slots=True)
class Progress:
    sections: tuple[SectionProgress, ...]

    @property
    def answered(self) -> int:
        return sum(section.answered for section in self.sections)

    @property
    def asked(self) -> int:
        return sum(section.asked for section in self.sections)

    @property
    def finished(self) -> bool:
        return all(section.finished for section in self.sections)

    @property
    def percent(self) -> int:
        """100 only when finished."""
        if self.finished:
            return 100
        return min(99, self.answered * 100 // self.asked) if self.asked else 99


def is_empty(value: Any) -> bool:
    """No answer: nothing, blank text, an empty list. `false` is an answer, 0 is one."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def visible(form: Form, answers: Mapping[str, Any]) -> frozenset[str]:
    """Keys of the fields that are shown. A hidden field counts as unanswered for those that depend on it."""
    known: dict[str, bool] = {}

    def shown(one: Field) -> bool:
        if one.key not in known:
            known[one.key] = all(
                (other := form.field(condition.field)) is not None
                and shown(other)
                and _holds(condition, other, answers.get(condition.field))
                for condition in one.when
            )
        return known[one.key]

    return frozenset(one.key for one in form.fields if shown(one))


def _holds(condition: Condition, other: Field, answer: Any) -> bool:
    if is_empty(answer):
        return False
    if condition.comparison == "answered":
        return True
    if other.kind == "budget":
        answer = _sum(answer)
    elif other.kind == "percentage":
        answer = as_percentage(answer)
    many = answer if other.kind == "choices" and isinstance(answer, list) else [answer]
    given = {_hashable(item) for item in many}
    match condition.comparison:
        case "is":
            return condition.value in given
        case "is_not":
            return condition.value not in given
        case "in":
            return bool(given & set(condition.value))
        case "not_in":
            return not given & set(condition.value)
    if isinstance(answer, bool) or not isinstance(answer, int | Decimal):
        return False
    return bool(
        answer >= condition.value if condition.comparison == "at_least" else answer <= condition.value
    )


def _hashable(answer: Any) -> Any:
    return answer if isinstance(answer, str | int | Decimal) else repr(answer)


def check(form: Form, answers: Mapping[str, Any], *, complete: bool) -> list[Problem]:
    """What is wrong, in the order of the form. Unless `complete`, that something is missing is no problem yet."""
    shown = visible(form, answers)
    found: list[Problem] = []
    for one in form.fields:
        if one.key not in shown:
            continue
        answer = answers.get(one.key)
        if is_empty(answer):
            if complete and one.required:
                found.append(required_problem(one))
            continue
        found += problems_of(one, answer, complete=complete)
    found += [Problem.unknown_field(key) for key in sorted(answers) if form.field(key) is None]
    return found


def progress(form: Form, answers: Mapping[str, Any]) -> Progress:
    shown = visible(form, answers)
    sections = []
    for section in form.sections:
        answered = asked = wrong = 0
        for one in section.fields:
            if one.key not in shown:
                continue
            answer = answers.get(one.key)
            empty = is_empty(answer)
            faults = [] if empty else problems_of(one, answer, complete=True)
            if one.required:
                asked += 1
                answered += not empty
            wrong += bool(faults)
        sections.append(SectionProgress(section.key, answered, asked, wrong))
    return Progress(tuple(sections))


def submitted(form: Form, answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers that are handed in: of fields that are shown, in the order of the form, empty ones left out."""
    shown = visible(form, answers)
    return {
        one.key: answers[one.key]
        for one in form.fields
        if one.key in shown and not is_empty(answers.get(one.key))
    }


def total(form: Form, answers: Mapping[str, Any]) -> int:
    """What is asked for, in won: the sum of all budgets that are shown; amounts that are not whole count nothing."""
    shown = visible(form, answers)
    return sum(_sum(answers.get(one.key)) for one in form.fields if one.kind == "budget" and one.key in shown)


def _sum(answer: Any) -> int:
    rows = answer if isinstance(answer, list) else []
    amounts = [row.get("won") for row in rows if isinstance(row, Mapping)]
    return sum(won for won in amounts if isinstance(won, int) and not isinstance(won, bool) and won > 0)
