"""What differs between two versions of what a call is made of, in words: added, removed, changed, what before, what now.

Pure: two forms, two sets of requirements or two graphs in, differences out, in the order of the newer one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext, pgettext_lazy

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import eligibility, forms, steps
from dure.control.calls.eligibility import Requirement
from dure.control.calls.eligibility.wording import shown_won
from dure.control.calls.forms.writing import field_as_data
from dure.control.calls.reading import in_language
from dure.control.foundation.clock import SEOUL
from dure.control.foundation.errors import Text

type Change = Literal["added", "removed", "changed", "moved"]

CHANGE_NAMES: Mapping[str, Text] = {
    "added": gettext_lazy("added"),
    "removed": gettext_lazy("removed"),
    "changed": gettext_lazy("changed"),
    "moved": gettext_lazy("moved"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that differs: `name` as in the JSON, `title` in words; an empty text where there was or is nothing."""

    name: str
    title: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, a requirement or a step; `parts` of what was added or removed say what it is or was."""

    key: str
    title: str
    change: Change
    parts: tuple[Part, ...] = ()


type _Said = Mapping[str, tuple[str, str]]
"""Of one thing: part's name → (its title, its value in words)."""


def of_requirements(old: Sequence[Requirement], new: Sequence[Requirement]) -> list[Difference]:
    def said(one: Requirement) -> _Said:
        return {
            "title": (gettext("Name"), one.title),
            "rule": (pgettext("requirement", "asked for"), eligibility.describe(one.rule)),
        }

    return _differences(
        {one.key: (one.title, said(one)) for one in old}, {one.key: (one.title, said(one)) for one in new}
    )


def of_steps(old: steps.Graph, new: steps.Graph) -> list[Difference]:
    def all_said(graph: steps.Graph) -> dict[str, tuple[str, _Said]]:
        titles = {step.key: step.title for step in graph.steps}
        return {step.key: (step.title, _step_said(step, titles)) for step in graph.steps}

    found = _differences(all_said(old), all_said(new))
    before, after = old.step(old.start), new.step(new.start)
    if before and after and before.key != after.key:
        part = Part("start", gettext("Begins with"), before.title, after.title)
        found.insert(0, Difference("", gettext("The whole"), "changed", (part,)))
    return found


def of_forms(old: forms.Form, new: forms.Form) -> list[Difference]:
    def all_said(form: forms.Form) -> dict[str, tuple[str, _Said]]:
        known = {one.key: one for one in form.fields}
        return {
            one.key: (one.label, _field_said(one, section.title, known))
            for section in form.sections
            for one in section.fields
        }

    return _differences(all_said(old), all_said(new))


def _differences(
    old: Mapping[str, tuple[str, _Said]], new: Mapping[str, tuple[str, _Said]]
) -> list[Difference]:
    found = []
    for key, (title, now) in new.items():
        if key not in old:
            found.append(Difference(key, title, "added", _parts({}, now)))
        elif parts := _parts(old[key][1], now):
            only_moved = [part.name for part in parts] == ["section"]
            found.append(Difference(key, title, "moved" if only_moved else "changed", parts))
    removed = [
        Difference(key, title, "removed", _parts(said, {}))
        for key, (title, said) in old.items()
        if key not in new
    ]
    return found + removed


def _parts(before: _Said, after: _Said) -> tuple[Part, ...]:
    names = dict.fromkeys([*after, *before])
    return tuple(
        Part(name, (after.get(name) or before[name])[0], was, now)
        for name in names
        if (was := before.get(name, ("", ""))[1]) != (now := after.get(name, ("", ""))[1])
    )


# -- steps --------------------------------------------------------------------------------------------


def _step_said(step: steps.Step, titles: Mapping[str, str]) -> _Said:
    said = {
        "kind": (gettext("Kind"), steps.kind_name(step.kind)),
        "title": (gettext("Name"), step.title),
        "days": (gettext("Days"), _days(step.days)),
        "opens_at": (gettext("Begins"), _moment(step.opens_at)),
        "closes_at": (gettext("Ends"), _moment(step.closes_at)),
        "least_days": (gettext("Days at least"), _days(step.least_days)),
        "law": (gettext("By which law or rule"), step.law),
    }
    if step.on_expiry == "advance":
        outcome = steps.outcome_name(step.expiry_outcome) if step.expiry_outcome else ""
        goes_on = gettext("it goes on by itself")
        said["on_expiry"] = (
            gettext("When the time is over"),
            f"{goes_on} ({outcome})" if outcome else goes_on,
        )
    else:
        said["on_expiry"] = (gettext("When the time is over"), gettext("it waits for a person"))
    for edge in step.edges:
        name = gettext("On “%(name)s” follows") % {"name": steps.outcome_name(edge.outcome)}
        said[f"to_{edge.outcome}"] = (name, titles.get(edge.to, edge.to))
    return said


def _days(days: int | None) -> str:
    return "" if days is None else ngettext("%(n)s day", "%(n)s days", days) % {"n": days}


def _moment(moment: Any) -> str:
    return "" if moment is None else moment.astimezone(SEOUL).strftime("%Y-%m-%d %H:%M")


# -- forms --------------------------------------------------------------------------------------------

_PART_NAMES: Mapping[str, Text] = {
    "section": gettext_lazy("Section"),
    "kind": gettext_lazy("Kind"),
    "label_ko": gettext_lazy("Question in Korean"),
    "label_en": gettext_lazy("Question in English"),
    "help_ko": gettext_lazy("Help in Korean"),
    "help_en": gettext_lazy("Help in English"),
    "statement_ko": gettext_lazy("Statement in Korean"),
    "statement_en": gettext_lazy("Statement in English"),
    "placeholder": gettext_lazy("Example"),
    "unit": gettext_lazy("Unit"),
    "required": gettext_lazy("Must be answered"),
    "when": gettext_lazy("Asked only when"),
    "least": gettext_lazy("Least"),
    "most": gettext_lazy("Most"),
    "least_length": gettext_lazy("Least characters"),
    "most_length": gettext_lazy("Most characters"),
    "most_bytes": gettext_lazy("Most megabytes of a file"),
    "first": gettext_lazy("Earliest day"),
    "last": gettext_lazy("Latest day"),
    "types": gettext_lazy("File types"),
    "options": gettext_lazy("Options"),
    "roles": gettext_lazy("Roles"),
    "lines": gettext_lazy("Budget lines"),
    "columns": gettext_lazy("Columns"),
}
_IN_BOTH = ("label", "help", "statement")


def _field_said(one: forms.Field, section: str, known: Mapping[str, forms.Field]) -> _Said:
    said: dict[str, str] = {"section": section}
    for name, value in field_as_data(one).items():
        if name == "key":
            continue
        if name in _IN_BOTH:
            said |= {f"{name}_ko": value.get("ko", ""), f"{name}_en": value.get("en", "")}
        else:
            said[name] = _value_said(one, name, value, known)
    said.setdefault("required", pgettext("answer", "no"))
    return {name: (str(_PART_NAMES.get(name, name)), text) for name, text in said.items()}


def _value_said(one: forms.Field, name: str, value: Any, known: Mapping[str, forms.Field]) -> str:
    joined = pgettext("joins values", ", ")
    match name, value:
        case "kind", _:
            return forms.kind_name(value)
        case "when", _:
            return pgettext("joins conditions", " and ").join(
                _condition_said(item, known.get(item.field)) for item in one.when
            )
        case "most_bytes", int():
            return f"{value / 1_048_576:,.4g}"
        case _, bool():
            return pgettext("answer", "yes") if value else pgettext("answer", "no")
        case _, int():
            return f"{value:,}"
        case _, {"ko": korean, "en": english}:
            return in_language(korean, english)
        case _, list():
            return joined.join(_row_said(row) if isinstance(row, dict) else str(row) for row in value)
    return str(value)


def _row_said(row: Mapping[str, Any]) -> str:
    """An option, a role, a column, or a budget line with its limits."""
    label = row.get("label") or {}
    text = in_language(label.get("ko", ""), label.get("en", "")) or row["key"]
    limits = list(_limits_said(row))
    return f"{text} ({', '.join(limits)})" if limits else text


def _limits_said(row: Mapping[str, Any]) -> Iterator[str]:
    if row.get("most_won") is not None:
        yield shown_won(row["most_won"] * MICRO_WON_PER_WON)
    if row.get("most_percent") is not None:
        yield f"{row['most_percent']} %"
    if "kind" in row:
        yield forms.kind_name(row["kind"])


def _condition_said(condition: forms.Condition, other: forms.Field | None) -> str:
    value = condition.value
    many = value if isinstance(value, tuple) else () if value is None else (value,)
    options = {option.key: option.label for option in other.options} if other else {}
    words = [
        (pgettext("answer", "yes") if one else pgettext("answer", "no"))
        if isinstance(one, bool)
        else options.get(str(one), str(one))
        for one in many
    ]
    comparison = str(CONDITION_NAMES.get(condition.comparison, condition.comparison))
    return f"{other.label if other else condition.field}: {comparison} {', '.join(words)}".strip()


CONDITION_NAMES: Mapping[str, Text] = {
    "is": pgettext_lazy("comparison", "is"),
    "is_not": pgettext_lazy("comparison", "is not"),
    "in": pgettext_lazy("comparison", "is one of"),
    "not_in": pgettext_lazy("comparison", "is none of"),
    "at_least": pgettext_lazy("comparison", "is at least"),
    "at_most": pgettext_lazy("comparison", "is at most"),
    "between": pgettext_lazy("comparison", "is between"),
    "before": pgettext_lazy("comparison", "is before"),
    "after": pgettext_lazy("comparison", "is after"),
    "present": pgettext_lazy("comparison", "is there"),
    "answered": pgettext_lazy("comparison", "is answered"),
}
