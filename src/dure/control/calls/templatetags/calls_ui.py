"""Template filters of this room's pages."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.translation import gettext, gettext_lazy

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import comparing, forms, paging
from dure.control.calls.eligibility import Requirement, describe
from dure.control.calls.eligibility.wording import shown_won
from dure.control.calls.selectors.values import in_language

register = template.Library()


@register.filter
def won_of_won(won: int | None) -> str:
    """A sum that is kept in whole won, as forms keep theirs."""
    return "" if won is None else shown_won(won * MICRO_WON_PER_WON)


@dataclass(frozen=True, slots=True)
class Badge:
    text: Any
    style: str


def _badge(found: tuple[Any, str] | None, name: str) -> Badge:
    return Badge(*found) if found else Badge(name, "bg-light-gray")


@register.filter
def phase_badge(phase: str) -> Badge:
    return _badge(paging.PHASE_BADGES.get(phase), phase)


@register.filter
def finding_badge(state: str) -> Badge:
    return _badge(paging.FINDING_BADGES.get(state), state)


@register.filter
def fit_badge(state: str) -> Badge:
    return _badge(paging.FIT_BADGES.get(state), state)


_CHANGE_STYLES = {"added": "bg-light-success", "removed": "bg-light-danger"}


@register.filter
def change_badge(change: str) -> Badge:
    return Badge(comparing.CHANGE_NAMES.get(change, change), _CHANGE_STYLES.get(change, "bg-light-primary"))


@register.filter
def call_kind(kind: str) -> Any:
    return paging.KIND_NAMES.get(kind, kind)


@register.filter
def described(requirement: Requirement) -> str:
    """A requirement's rule in words."""
    return describe(requirement.rule)


@register.filter
def from_to(round_: Any) -> str:
    """What one request may ask for."""
    least, most = round_.least_micro_won, round_.most_micro_won
    if least and most:
        return gettext("%(least)s to %(most)s") % {"least": shown_won(least), "most": shown_won(most)}
    if most:
        return gettext("at most %(most)s") % {"most": shown_won(most)}
    return gettext("at least %(least)s") % {"least": shown_won(least)} if least else gettext("no limit")


@register.filter
def field_kind(kind: str) -> str:
    return forms.kind_name(kind)


@register.filter
def comparison_name(comparison: str) -> Any:
    return comparing.CONDITION_NAMES.get(comparison, comparison)


@register.filter
def words(text: Any) -> str:
    """Text of the JSON in the reader's language: plain, or in two languages."""
    if isinstance(text, dict):
        return in_language(str(text.get("ko") or ""), str(text.get("en") or ""))
    return str(text or "")


_EVENTS = {
    "call.added": gettext_lazy("Call begun"),
    "call.copied": gettext_lazy("Call copied"),
    "call.changed": gettext_lazy("Texts changed"),
    "call.corrected": gettext_lazy("Texts corrected"),
    "call.cancelled": gettext_lazy("Call cancelled"),
    "call.closed": gettext_lazy("Call closed"),
    "call.form_saved": gettext_lazy("Form saved"),
    "call.rules_saved": gettext_lazy("Requirements saved"),
    "call.steps_saved": gettext_lazy("Steps saved"),
    "call.attachment_added": gettext_lazy("File added"),
    "call.attachment_removed": gettext_lazy("File taken away"),
    "round.added": gettext_lazy("Round added"),
    "round.changed": gettext_lazy("Round changed"),
    "round.discarded": gettext_lazy("Draft of a round thrown away"),
    "round.published": gettext_lazy("Round published"),
    "round.extended": gettext_lazy("Closing extended"),
    "round.closed": gettext_lazy("Round closed"),
    "question.asked": gettext_lazy("Question asked"),
    "question.answered": gettext_lazy("Question answered"),
    "question.answer_changed": gettext_lazy("Answer put right"),
    "question.withheld": gettext_lazy("Question withheld"),
    "step.expired": gettext_lazy("Time of a step over"),
    "step.advanced": gettext_lazy("Step went on by itself"),
    "step.handled": gettext_lazy("Step settled"),
}


@register.filter
def call_event(action: str) -> Any:
    return _EVENTS.get(action, action)
