"""Steps and the ways between them, read from JSON (docs/call-format.md).

A way leaves a step on an outcome; the outcomes of each kind of step are a fixed vocabulary, so that what
advances an application is never a word that somebody renamed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.utils.translation import gettext, pgettext_lazy

from dure.control.calls.reading import Reader, in_language
from dure.control.foundation.clock import SEOUL
from dure.control.foundation.errors import Text

MAX_STEPS = 40

KINDS: Mapping[str, Text] = {
    "notice": pgettext_lazy("step", "notice"),
    "questions": pgettext_lazy("step", "questions and answers"),
    "application": pgettext_lazy("step", "application"),
    "eligibility": pgettext_lazy("step", "eligibility check"),
    "completeness": pgettext_lazy("step", "completeness check"),
    "review": pgettext_lazy("step", "independent review"),
    "panel": pgettext_lazy("step", "panel"),
    "interview": pgettext_lazy("step", "interview"),
    "decision": pgettext_lazy("step", "decision"),
    "objection": pgettext_lazy("step", "objection"),
    "award": pgettext_lazy("step", "award"),
    "report": pgettext_lazy("step", "report"),
    "closing": pgettext_lazy("step", "closing"),
}
#: How a step of a kind can end; each needs a way onwards. A closing ends the application.
OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "notice": ("done",),
    "questions": ("done",),
    "application": ("submitted",),
    "eligibility": ("met", "not_met"),
    "completeness": ("complete", "incomplete"),
    "review": ("passed", "failed"),
    "panel": ("passed", "failed"),
    "interview": ("passed", "failed"),
    "decision": ("accepted", "refused"),
    "objection": ("none", "upheld", "rejected"),
    "award": ("awarded",),
    "report": ("accepted", "refused"),
    "closing": (),
}
#: Ends that a call may provide for besides.
OPTIONAL_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "application": ("not_submitted",),
    "decision": ("reserve",),
    "award": ("declined",),
}
_OUTCOME_NAMES: Mapping[str, Text] = {
    "done": pgettext_lazy("outcome", "done"),
    "submitted": pgettext_lazy("outcome", "submitted"),
    "not_submitted": pgettext_lazy("outcome", "not submitted"),
    "met": pgettext_lazy("outcome", "eligible"),
    "not_met": pgettext_lazy("outcome", "not eligible"),
    "complete": pgettext_lazy("outcome", "complete"),
    "incomplete": pgettext_lazy("outcome", "not completed in time"),
    "passed": pgettext_lazy("outcome", "passed"),
    "failed": pgettext_lazy("outcome", "not passed"),
    "accepted": pgettext_lazy("outcome", "accepted"),
    "refused": pgettext_lazy("outcome", "not accepted"),
    "reserve": pgettext_lazy("outcome", "on the reserve list"),
    "none": pgettext_lazy("outcome", "no objection"),
    "upheld": pgettext_lazy("outcome", "objection upheld"),
    "rejected": pgettext_lazy("outcome", "objection rejected"),
    "awarded": pgettext_lazy("outcome", "awarded"),
    "declined": pgettext_lazy("outcome", "award declined"),
}


@dataclass(frozen=True, slots=True)
class Edge:
    """`outcome` is empty only where it was left out by mistake; `problems` says so."""

    outcome: str
    to: str


@dataclass(frozen=True, slots=True)
class Step:
    """`days`: how long one application may stay here; `least_days` is the least that `law` allows.

    `on_expiry`: `wait` for a person, or `advance` by itself with `expiry_outcome`.
    """

    key: str
    kind: str
    title_ko: str
    title_en: str
    edges: tuple[Edge, ...] = ()
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    days: int | None = None
    on_expiry: str = "wait"
    expiry_outcome: str = ""
    least_days: int | None = None
    law: str = ""

    @property
    def title(self) -> str:
        return in_language(self.title_ko, self.title_en) or kind_name(self.kind)


@dataclass(frozen=True, slots=True)
class Graph:
    """`start` is the key of the first step."""

    start: str
    steps: tuple[Step, ...]

    def step(self, key: str) -> Step | None:
        return next((one for one in self.steps if one.key == key), None)


def outcomes_of(kind: str) -> tuple[str, ...]:
    return (*OUTCOMES[kind], *OPTIONAL_OUTCOMES.get(kind, ()))


def kind_name(kind: str) -> str:
    return str(KINDS[kind])


def outcome_name(outcome: str) -> str:
    return str(_OUTCOME_NAMES.get(outcome, outcome))


def following(graph: Graph, step_key: str, outcome: str) -> str | None:
    """The key of the step that follows on an outcome; None where nothing does, or there is no such step."""
    step = graph.step(step_key)
    return next((edge.to for edge in step.edges if edge.outcome == outcome), None) if step else None


def deadline(step: Step, reached_at: datetime) -> datetime | None:
    """When the step is over for an application that reached it then: `closes_at`, or the end of the last day in Seoul."""
    if step.closes_at is not None or step.days is None:
        return step.closes_at
    last_day = reached_at.astimezone(SEOUL).date() + timedelta(days=step.days)
    return datetime.combine(last_day + timedelta(days=1), time(), SEOUL)


_FIELDS = (
    "key", "kind", "title", "edges", "opens_at", "closes_at", "days", "on_expiry", "expiry_outcome", "least_days",
    "law",
)  # fmt: skip


def parse(data: Any) -> Graph:
    """Raises `Malformed` (`steps_malformed`) with paths. What is readable and yet wrong is for `problems`."""
    reader = Reader()
    root = reader.mapping(data, "", ("start", "steps"))
    start: str = ""
    steps: tuple[Step, ...] = ()
    if root is not None:
        root.require("steps")
        steps = root.items("steps", lambda item, path: _step(reader, item, path), most=MAX_STEPS)
        reader.no_repeats([(step.key, f"steps[{index}]") for index, step in enumerate(steps)])
        start = root.text("start", most=63) or (steps[0].key if steps else "")
        keys = {step.key for step in steps}
        if steps and start not in keys:
            root.note("start", gettext("There is no step “%(key)s”.") % {"key": start})
        for index, step in enumerate(steps):
            for number, edge in enumerate(step.edges):
                if edge.to not in keys:
                    message = gettext("There is no step “%(key)s”.") % {"key": edge.to}
                    reader.note(f"steps[{index}].edges[{number}].to", message)
    reader.finish("steps_malformed")
    return Graph(start, steps)


def _step(reader: Reader, data: Any, path: str) -> Step | None:
    fields = reader.mapping(data, path, _FIELDS)
    if fields is None:
        return None
    key = fields.key()
    kind = fields.choice("kind", KINDS)
    korean, english = fields.words("title", most=120)
    on_expiry = fields.choice("on_expiry", ("wait", "advance"), required=False, default="wait")
    if not kind:
        return None
    outcomes = outcomes_of(kind)
    expiry = fields.choice("expiry_outcome", outcomes, required=False)
    return Step(
        key=key,
        kind=kind,
        title_ko=korean,
        title_en=english,
        edges=fields.items("edges", lambda item, inside: _edge(reader, item, inside, outcomes), most=20),
        opens_at=fields.moment("opens_at"),
        closes_at=fields.moment("closes_at"),
        days=fields.integer("days", least=0, most=3_650),
        on_expiry=on_expiry,
        expiry_outcome=expiry,
        least_days=fields.integer("least_days", least=1, most=3_650),
        law=fields.text("law"),
    )


def _edge(reader: Reader, data: Any, path: str, outcomes: tuple[str, ...]) -> Edge | None:
    fields = reader.mapping(data, path, ("outcome", "to"))
    if fields is None:
        return None
    return Edge(fields.choice("outcome", outcomes, required=False), fields.text("to", required=True, most=63))


def as_data(graph: Graph) -> dict[str, Any]:
    """The JSON that `parse` reads back to the same values; what is not set is left out."""
    return {"start": graph.start, "steps": [_step_as_data(step) for step in graph.steps]}


def _step_as_data(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"key": step.key, "kind": step.kind}
    if step.title_ko or step.title_en:
        data["title"] = {"ko": step.title_ko, "en": step.title_en}
    for name in ("opens_at", "closes_at"):
        moment = getattr(step, name)
        if moment is not None:
            data[name] = moment.isoformat()
    for name in ("days", "least_days"):
        if getattr(step, name) is not None:
            data[name] = getattr(step, name)
    if step.on_expiry != "wait":
        data["on_expiry"] = step.on_expiry
    for name in ("expiry_outcome", "law"):
        if getattr(step, name):
            data[name] = getattr(step, name)
    data["edges"] = [
        {"outcome": edge.outcome, "to": edge.to} if edge.outcome else {"to": edge.to} for edge in step.edges
    ]
    return data
