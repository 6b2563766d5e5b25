"""What an officer's desk asks: the rounds of an agency in numbers, and what a deed on several would do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Sum

from dure.control.applications import selectors
from dure.control.applications.models import Application
from dure.control.applications.selectors import ApplicationLine
from dure.control.calls import selectors as calls
from dure.control.calls.selectors import RoundView
from dure.control.calls.steps import Step
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound

#: States in which an application stands at a step and waits for somebody.
WAITING = frozenset({"submitted", "incomplete", "accepted"})
#: Kinds of step that are left by no outcome of an officer's choosing.
_WITHOUT_OUTCOME = frozenset({"decision", "award", "report", "closing"})


@dataclass(frozen=True, slots=True)
class RoundLine:
    """A round on the desk: how many are where, and its money in micro-won. Drafts are counted, never shown."""

    round: RoundView
    drafts: int
    submitted: int
    accepted: int
    refused: int
    awarded: int
    steps: list[tuple[Step, int]]
    asked_micro_won: int
    granted_micro_won: int
    oldest_at: datetime | None
    oldest_step: str

    @property
    def left_micro_won(self) -> int:
        return self.round.budget_micro_won - self.granted_micro_won

    @property
    def waiting(self) -> int:
        """How many wait for an officer: those that are past their writing."""
        return sum(total for step, total in self.steps if step.kind != "application")


def round_lines(*, actor: Actor) -> list[RoundLine]:
    """The rounds this actor decides on: where something waits longest first, then what closes last."""
    rounds = calls.managed_rounds(actor=actor)
    ids = [one.id for one in rounds]
    figures: dict[UUID, list[dict[str, Any]]] = {}
    counted = Application.objects.filter(round_id__in=ids).values("round_id", "state", "step")
    for line in counted.annotate(
        total=Count("pk"), asked=Sum("asked_micro_won"), oldest=Min("step_entered_at")
    ).order_by():
        figures.setdefault(line["round_id"], []).append(dict(line))
    granted = selectors.granted_from_rounds(ids)
    lines = [_round_line(one, figures.get(one.id, []), granted.get(one.id, 0)) for one in rounds]
    return sorted(lines, key=lambda line: (line.oldest_at is None, line.oldest_at or line.round.read_at))


def round_line(*, actor: Actor, round_id: UUID) -> RoundLine:
    """One of them; raises `NotFound` for a round on which the actor does not decide."""
    found = next((one for one in round_lines(actor=actor) if one.round.id == round_id), None)
    if found is None:
        raise NotFound(code="round_not_found")
    return found


def _round_line(round_: RoundView, figures: Sequence[dict[str, Any]], granted: int) -> RoundLine:
    def total(*states: str) -> int:
        return sum(line["total"] for line in figures if line["state"] in states)

    standing = [line for line in figures if line["state"] in WAITING]
    at = {
        step.key: sum(line["total"] for line in standing if line["step"] == step.key)
        for step in round_.graph.steps
    }
    writing = {step.key for step in round_.graph.steps if step.kind == "application"}
    waiting = [line for line in standing if line["step"] not in writing and line["state"] != "incomplete"]
    oldest = min(waiting, key=lambda line: line["oldest"], default=None)
    step = round_.graph.step(oldest["step"]) if oldest else None
    return RoundLine(
        round=round_,
        drafts=total("draft"),
        submitted=sum(line["total"] for line in figures if line["state"] not in {"draft", "lapsed"}),
        accepted=total("accepted"),
        refused=total("rejected"),
        awarded=total("awarded"),
        steps=[(one, at[one.key]) for one in round_.graph.steps if at[one.key]],
        asked_micro_won=sum(int(line["asked"] or 0) for line in standing),
        granted_micro_won=granted,
        oldest_at=oldest["oldest"] if oldest else None,
        oldest_step=step.title if step else "",
    )


@dataclass(frozen=True, slots=True)
class Deed:
    """What can be done with all that stand at one step: `key` is `step|verb|outcome`."""

    step: Step
    verb: str
    outcome: str = ""

    @property
    def key(self) -> str:
        return f"{self.step.key}|{self.verb}|{self.outcome}"


def deeds(round_: RoundView) -> list[Deed]:
    """Every deed that a round's steps know, in their order."""
    found = []
    for step in round_.graph.steps:
        if step.kind == "decision":
            found += [Deed(step, "accept"), Deed(step, "reject")]
        elif step.kind == "award":
            found.append(Deed(step, "award"))
        elif step.kind not in _WITHOUT_OUTCOME:
            found += [Deed(step, "advance", edge.outcome) for edge in step.edges]
    return found


def chosen(*, actor: Actor, round_: RoundView, ids: Collection[UUID]) -> list[ApplicationLine]:
    """Those of this round among the ids that the actor may see, longest at its step first."""
    return selectors.lines_of(actor=actor, round_id=round_.id, ids=ids)


def affected(
    deed: Deed, lines: Sequence[ApplicationLine]
) -> tuple[list[ApplicationLine], list[ApplicationLine]]:
    """(those the deed applies to, those that stand elsewhere)."""
    wanted = "accepted" if deed.verb == "award" else "submitted"
    fits = [one for one in lines if one.step == deed.step.key and one.state == wanted]
    inside = {one.id for one in fits}
    return fits, [one for one in lines if one.id not in inside]
