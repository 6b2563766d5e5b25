"""What pages say of calls: names of kinds and phases, the steps as lines with their times, and where things are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext_lazy

from dure.control.calls import eligibility, selectors, steps
from dure.control.calls.problems import LEAST_OPEN_DAYS
from dure.control.calls.steps.drawing import rows
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Text

KIND_NAMES: Mapping[str, Text] = {
    "api_support": pgettext_lazy("kind of call", "API support"),
    "compute": pgettext_lazy("kind of call", "computing power"),
    "pilot": pgettext_lazy("kind of call", "public pilot"),
    "rnd": pgettext_lazy("kind of call", "research and development"),
    "follow_up": pgettext_lazy("kind of call", "follow-up research"),
    "small_request": pgettext_lazy("kind of call", "small request"),
}
#: (text, KRDS badge style)
PHASE_BADGES: Mapping[str, tuple[Text, str]] = {
    "draft": (pgettext_lazy("phase", "draft"), "bg-light-gray"),
    "upcoming": (pgettext_lazy("phase", "opens soon"), "bg-light-primary"),
    "open": (pgettext_lazy("phase", "open"), "bg-light-success"),
    "judging": (pgettext_lazy("phase", "being decided"), "bg-light-primary"),
    "closed": (pgettext_lazy("phase", "closed"), "bg-light-gray"),
    "cancelled": (pgettext_lazy("phase", "cancelled"), "bg-light-danger"),
}
FINDING_BADGES: Mapping[str, tuple[Text, str]] = {
    "met": (pgettext_lazy("finding", "met"), "bg-light-success"),
    "not_met": (pgettext_lazy("finding", "not met"), "bg-light-danger"),
    "needs_document": (pgettext_lazy("finding", "needs a document"), "bg-light-warning"),
    "unknown": (pgettext_lazy("finding", "not stated"), "bg-light-warning"),
}
FIT_BADGES: Mapping[str, tuple[Text, str]] = {
    "met": (gettext_lazy("fits you"), "bg-light-success"),
    "needs_document": (gettext_lazy("fits with documents"), "bg-light-warning"),
    "unknown": (gettext_lazy("say more to know"), "bg-light-warning"),
    "not_met": (gettext_lazy("does not fit"), "bg-light-gray"),
}


@dataclass(frozen=True, slots=True)
class StepLine:
    """One row of the steps in words. `ways` are (outcome, number, title) of what follows; `least` is how long the step
    lasts at least, and by which law.
    """

    number: int
    key: str
    title: str
    kind: str
    when: str
    ends_at: datetime | None
    least: str
    ways: tuple[tuple[str, int, str], ...]


def step_lines(graph: steps.Graph, round_: Any = None) -> list[StepLine]:
    ordered = rows(graph)
    number = {step.key: place for place, step in enumerate(ordered, start=1)}
    return [
        StepLine(
            number=number[step.key],
            key=step.key,
            title=step.title,
            kind=steps.kind_name(step.kind),
            when=_when(step),
            ends_at=step.closes_at or (round_.closes_at if round_ and step.kind == "application" else None),
            least=_least(step),
            ways=tuple(
                (steps.outcome_name(edge.outcome), number[edge.to], after.title)
                for edge in step.edges
                if (after := graph.step(edge.to)) is not None
            ),
        )
        for step in ordered
    ]


def days_text(days: Any) -> str:
    """“14 days”; empty for what is no number."""
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days} if isinstance(days, int) else ""


def _when(step: steps.Step) -> str:
    if step.days is None:
        return ""
    if step.days == 0:
        return gettext("on the same day")
    text = ngettext("within %(n)s day", "within %(n)s days", step.days) % {"n": step.days}
    if step.on_expiry == "advance" and step.expiry_outcome:
        outcome = steps.outcome_name(step.expiry_outcome)
        text += ", " + gettext("then “%(outcome)s” by itself") % {"outcome": outcome}
    return text


def _least(step: steps.Step) -> str:
    """“at least 30 days (…Act, art. 9)”; the law alone where it names no number of days."""
    if step.least_days is None:
        return step.law
    text = ngettext("at least %(n)s day", "at least %(n)s days", step.least_days) % {"n": step.least_days}
    return f"{text} ({step.law})" if step.law else text


def drawing(graph: steps.Graph) -> dict[str, Any]:
    """What `calls/_graph.html` draws. Titles are cut to what fits; the lines beside it say them whole."""
    found = steps.layout(graph)
    titles = {step.key: _fitting(step.title) for step in graph.steps}
    kinds = {step.key: step.kind for step in graph.steps}
    return {
        "layout": found,
        "nodes": [(node, titles[node.key], kinds[node.key]) for node in found.nodes],
        "text": " ".join(found.lines_of_text),
    }


def _fitting(title: str, room: int = 26) -> str:
    """Hangul is as wide as two letters."""
    used = 0
    for place, sign in enumerate(title):
        used += 2 if ord(sign) > 0x1100 else 1
        if used > room:
            return title[:place].rstrip() + "…"
    return title


def apply_path(round_id: UUID) -> str:
    """Where an application begins; empty where that room has no page."""
    return path_of("applications:start", round_id)


def path_of(name: str, *values: Any) -> str:
    try:
        return reverse(name, args=values)
    except NoReverseMatch:
        return ""


AREA_NAMES: Mapping[str, Text] = {
    "texts": gettext_lazy("Texts"),
    "dates": gettext_lazy("Dates"),
    "money": gettext_lazy("Money"),
    "automatic": gettext_lazy("Approval by rule"),
    "rules": gettext_lazy("Who may apply"),
    "form": gettext_lazy("Form"),
    "steps": gettext_lazy("Steps"),
}


def area_path(area: str, round_: Any) -> str:
    """Where what is wrong in an area is put right."""
    slug = round_.call.slug
    if area in {"dates", "money", "automatic"}:
        return reverse("calls:round", args=[slug, round_.id])
    names = {"texts": "calls:details", "rules": "calls:rules", "form": "calls:fields", "steps": "calls:steps"}
    return reverse(names[area], args=[slug])


def least_open_days(kind: str) -> int:
    return LEAST_OPEN_DAYS.get(kind, 1)


def matching(actor: Actor, requirements: Any) -> Any:
    """How many registered organisations the rules would fit."""
    return selectors.matching_organisations(actor=actor, content=eligibility.as_data(requirements))


COMMON_RULES: Mapping[str, Text] = {
    "kind": gettext_lazy("Kind of organisation"),
    "size": gettext_lazy("Size class"),
    "age": gettext_lazy("Time since foundation"),
    "verified": gettext_lazy("Verified organisation"),
    "document": gettext_lazy("A document"),
    "support": gettext_lazy("Support received so far"),
}
