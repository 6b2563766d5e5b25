"""Template filters of this room's pages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import template
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext

from dure.control.applications import words
from dure.control.applications.services.clockwork import REFUSALS
from dure.control.calls import steps
from dure.control.foundation import clock
from dure.control.foundation.templatetags.dure_format import seoul_datetime_text, won

register = template.Library()


@dataclass(frozen=True, slots=True)
class Badge:
    text: Any
    style: str


@register.filter
def application_badge(state: str) -> Badge:
    return Badge(words.STATE_NAMES.get(state, state), words.STATE_STYLES.get(state, "bg-light-gray"))


@register.filter
def clock_time(moment: datetime | None) -> str:
    """`14:03:22`, in Seoul."""
    return f"{moment.astimezone(clock.SEOUL):%H:%M:%S}" if moment else ""


@register.filter
def happened(action: str) -> Any:
    return words.EVENTS.get(action, action)


@register.filter
def in_event(event: Any, graph: steps.Graph) -> str:
    """What the event adds to its name: where it went, until when, why."""
    after = event.after or {}
    said: list[str] = []
    if outcome := after.get("outcome"):
        said.append(steps.outcome_name(outcome))
    if step := graph.step(str(after.get("step", ""))):
        said.append(gettext("now: %(step)s") % {"step": step.title})
    if number := after.get("number") if event.action == "application.submitted" else None:
        said.append(gettext("submission %(n)s") % {"n": number})
    if isinstance(after.get("granted_micro_won"), int):
        said.append(won(after["granted_micro_won"]))
    until = parse_datetime(str(after.get("due_at") or after.get("deadline") or ""))
    if until:
        said.append(gettext("until %(moment)s") % {"moment": seoul_datetime_text(until)})
    reason = after.get("reason")
    if event.action == "application.left_to_officer":
        said.append(str(REFUSALS.get(str(reason), "")))
    elif reason and not after.get("automatic"):
        said.append(str(reason))
    return " · ".join(said)


@register.filter
def acted(name: str) -> Any:
    """Who acted: the software's own names in this room in words, everybody else's as they are."""
    return str(words.SYSTEM_NAMES.get(name, name))


@register.filter
def as_percent(basis_points: int) -> str:
    """`25` or `12.5`."""
    return f"{basis_points / 100:g}"
