"""A form as pages show it, and what a browser sends back as answers.

The application wizard, the builder's preview and the desk all go through here:

    asked = answering.sections(form, answers, problems)      # for {% include "calls/fields/_section.html" %}
    typed = answering.read(form, request.POST)               # the answers to the questions that were on the page

Inputs are named `f-<key>`, those of rows `f-<key>-<row>-<part>`. A page says with `f-<key>-asked` that it had the
question, so that a box without a tick is an answer and a question on another page is none. Files come by
a way of their own (`f-<key>` in `request.FILES`), for they are stored before they are answers.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext, pgettext

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls.eligibility.wording import shown_day, shown_won
from dure.control.calls.forms import Field, Form, Option, Problem, Section, total, visible
from dure.control.calls.forms.answers import length
from dure.control.calls.reading import as_day

#: Empty rows that wait below the filled ones.
SPARE_ROWS = 2
MOST_ROWS_SENT = 250
_ROWS = {"budget", "table", "people"}
_NUMBERS = {"whole_number", "won"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One input of a row. `kind` as for fields; `options` where one is chosen."""

    name: str
    part: str
    kind: str
    label: str
    value: Any
    required: bool = False
    options: tuple[Option, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with its answer. `answer` is as it was typed; `shown` says whether its conditions hold."""

    field: Field
    answer: Any
    shown: bool
    problems: tuple[Problem, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()

    @property
    def name(self) -> str:
        return f"f-{self.field.key}"

    @property
    def template(self) -> str:
        return f"calls/fields/{self.field.kind}.html"

    @property
    def is_group(self) -> bool:
        """Several inputs under one heading, rather than one with its label."""
        return self.field.kind in {"choice", "choices", "yes_no", "consent", "file", *_ROWS}

    @property
    def when(self) -> str:
        """The conditions, for the script that shows the question as soon as they hold."""
        conditions = [
            {"field": one.field, "comparison": one.comparison, "value": one.value} for one in self.field.when
        ]
        return json.dumps(conditions) if conditions else ""

    @property
    def described_by(self) -> str:
        ids = [f"{self.name}-help"] if self.field.help else []
        ids += [f"{self.name}-problem"] if self.problems else []
        return " ".join(ids)

    @property
    def length(self) -> int:
        return length(self.answer) if isinstance(self.answer, str) else 0

    @property
    def chosen(self) -> frozenset[str]:
        many = self.answer if isinstance(self.answer, list) else [self.answer]
        return frozenset(one for one in many if isinstance(one, str))

    @property
    def headings(self) -> tuple[Cell, ...]:
        return self.rows[0] if self.rows else ()

    @property
    def total(self) -> int:
        """Of a budget, in won."""
        return total(
            Form((Section("s", "", "", fields=(_unconditional(self.field),)),)), {self.field.key: self.answer}
        )

    @property
    def accept(self) -> str:
        return ",".join(f".{ending}" for ending in self.field.types)

    @property
    def most_megabytes(self) -> str:
        return f"{(self.field.most_bytes or 0) / 1_048_576:,.4g}"

    @property
    def text(self) -> str:
        """The answer to read, for kinds that are one line; rows and files have their own tables."""
        return shown_answer(self.field, self.answer)

    @property
    def filled_rows(self) -> list[list[str]]:
        return [
            [_cell_text(cell) for cell in row]
            for row in self.rows
            if any(cell.value not in {None, ""} for cell in row)
        ]


@dataclass(frozen=True, slots=True)
class AskedSection:
    section: Section
    questions: tuple[Asked, ...] = field(default=())

    @property
    def problems(self) -> int:
        return sum(len(one.problems) for one in self.questions)


def sections(
    form: Form,
    answers: Mapping[str, Any],
    problems: Iterable[Problem] = (),
    *,
    only: str = "",
    spare: int = SPARE_ROWS,
) -> list[AskedSection]:
    """Every section with its questions, or the section named `only`."""
    shown = visible(form, answers)
    by_field: dict[str, list[Problem]] = {}
    for problem in problems:
        by_field.setdefault(problem.field, []).append(problem)
    return [
        AskedSection(
            section,
            tuple(
                _asked(one, answers.get(one.key), one.key in shown, by_field.get(one.key, []), spare)
                for one in section.fields
            ),
        )
        for section in form.sections
        if not only or section.key == only
    ]


def question(
    form: Form, key: str, answers: Mapping[str, Any], problems: Iterable[Problem] = ()
) -> Asked | None:
    """One question alone, for what is saved field by field."""
    one = form.field(key)
    if one is None:
        return None
    mine = [problem for problem in problems if problem.field == key]
    return _asked(one, answers.get(key), key in visible(form, answers), mine, SPARE_ROWS)


def _asked(one: Field, answer: Any, shown: bool, problems: Sequence[Problem], spare: int) -> Asked:
    if one.kind not in _ROWS:
        return Asked(one, answer, shown, tuple(problems))
    places = {problem.place: problem.message for problem in problems}
    given = [row for row in answer if isinstance(row, Mapping)] if isinstance(answer, list) else []
    most = one.most if one.kind != "budget" and one.most is not None else MOST_ROWS_SENT
    count = max(len(given), min(len(given) + spare, most))
    rows = tuple(
        tuple(_cells(one, number, given[number] if number < len(given) else {}, places))
        for number in range(count)
    )
    return Asked(one, answer, shown, tuple(problems), rows)


def _cells(one: Field, number: int, row: Mapping[str, Any], places: Mapping[str, str]) -> Iterator[Cell]:
    for part, kind, label, required, options in _parts(one):
        yield Cell(
            name=f"f-{one.key}-{number}-{part}",
            part=part,
            kind=kind,
            label=label,
            value=row.get(part),
            required=required,
            options=options,
            problem=places.get(f"[{number}].{part}", ""),
        )


def _parts(one: Field) -> Iterator[tuple[str, str, str, bool, tuple[Option, ...]]]:
    if one.kind == "budget":
        lines = tuple(Option(line.key, line.label_ko, line.label_en) for line in one.lines)
        yield "line", "choice", pgettext("budget", "Budget line"), True, lines
        yield "text", "text", pgettext("budget", "What for"), False, ()
        yield "won", "won", pgettext("budget", "Amount (won)"), True, ()
    elif one.kind == "people":
        yield "name", "text", pgettext("people", "Name"), True, ()
        yield "role", "choice" if one.options else "text", pgettext("people", "Role"), True, one.options
        yield "share", "percentage", pgettext("people", "Share of working time (%)"), True, ()
    else:
        for column in one.columns:
            yield column.key, column.kind, column.label, column.required, column.options


# -- back from the browser ----------------------------------------------------------------------------


def read(form: Form, sent: QueryDict) -> dict[str, Any]:
    """Typed answers to the questions that the page had, files left out. What cannot be typed stays text, for `check`
    to say what is wrong with it beside what was written."""
    return {
        one.key: read_one(one, sent)
        for one in form.fields
        if one.kind != "file" and f"f-{one.key}-asked" in sent
    }


def read_one(one: Field, sent: QueryDict) -> Any:
    name = f"f-{one.key}"
    if one.kind in _ROWS:
        return _rows(one, sent)
    if one.kind == "choices":
        return list(dict.fromkeys(value for value in sent.getlist(name) if value))
    if one.kind == "consent":
        return bool(sent.get(name))
    return _typed(one.kind, sent.get(name, ""))


def _typed(kind: str, text: str) -> Any:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if kind != "long_text":
        text = text.strip()
    if not text.strip():
        return None
    if kind in _NUMBERS:
        digits = text.replace(",", "").replace(" ", "").removesuffix("원").removeprefix("₩")
        sign = digits.removeprefix("-")
        return int(digits) if sign.isascii() and sign.isdigit() and len(sign) < 20 else text
    if kind == "yes_no":
        return {"yes": True, "no": False}.get(text, text)
    return text


def _rows(one: Field, sent: QueryDict) -> list[dict[str, Any]]:
    try:
        count = min(int(sent.get(f"f-{one.key}-rows", "0")), MOST_ROWS_SENT)
    except ValueError:
        count = 0
    found = []
    for number in range(count):
        row = {}
        for part, kind, _label, _required, _options in _parts(one):
            value = _typed(kind, sent.get(f"f-{one.key}-{number}-{part}", ""))
            if value is not None:
                row[part] = value
        # A budget line that is chosen for a row by itself says nothing yet.
        if row:
            found.append(row)
    return found


# -- to read ------------------------------------------------------------------------------------------


def shown_answer(one: Field, answer: Any) -> str:
    """A single answer as a person reads it; empty where there is none."""
    if answer is None or answer in ("", []):
        return ""
    match one.kind:
        case "yes_no":
            return pgettext("answer", "yes") if answer is True else pgettext("answer", "no")
        case "consent":
            return gettext("agreed") if answer is True else gettext("not agreed")
        case "choice" | "choices":
            names = {option.key: option.label for option in one.options}
            many = answer if isinstance(answer, list) else [answer]
            return pgettext("joins values", ", ").join(names.get(str(key), str(key)) for key in many)
    return _value_text(one.kind, answer, one.unit)


def _value_text(kind: str, value: Any, unit: str = "") -> str:
    if kind == "won" and isinstance(value, int):
        return shown_won(value * MICRO_WON_PER_WON)
    if kind == "whole_number" and isinstance(value, int):
        return f"{value:,} {unit}".strip()
    if kind == "percentage":
        return f"{value} %"
    if kind == "date" and (day := as_day(value)):
        return shown_day(day)
    return str(value)


def _cell_text(cell: Cell) -> str:
    if cell.value is None or cell.value == "":
        return ""
    if cell.kind == "choice":
        return next((one.label for one in cell.options if one.key == cell.value), str(cell.value))
    if cell.kind == "yes_no":
        return pgettext("answer", "yes") if cell.value is True else pgettext("answer", "no")
    return _value_text(cell.kind, cell.value)


def _unconditional(one: Field) -> Field:
    return replace(one, when=())
