"""What this room hears of calls: deadlines that move, calls that are cancelled; and what it answers them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from dure.control.applications import rules, selectors, tellings
from dure.control.applications.models import Application
from dure.control.calls import hooks
from dure.control.foundation.actors import Actor


def register() -> None:
    hooks.deadline_moved.register(tell_of_new_deadline)
    hooks.call_cancelled.register(tell_of_cancelling)
    hooks.answer_granted_micro_won(selectors.granted_from_rounds)
    hooks.answer_applying(applying)


def applying(actor: Actor, round_id: UUID) -> hooks.Applying:
    if actor.organisation_id is None:
        return hooks.Applying(may=False)
    may = rules.may_start(actor)
    found = selectors.standing(organisation_id=actor.organisation_id, round_id=round_id)
    if found is None or actor.is_platform:
        return hooks.Applying(may=may)
    state, _award = selectors.standing_of(found)
    return hooks.Applying(may, reverse("applications:application", args=[found]), state == "draft")


def tell_of_new_deadline(round_id: UUID, old: datetime, new: datetime, reason: str) -> None:
    for row in Application.objects.filter(round_id=round_id, state__in=["draft", "submitted"]):
        tellings.round_extended(row, new, reason)


def tell_of_cancelling(call_id: UUID, round_ids: Collection[UUID], reason: str) -> None:
    rows = Application.objects.filter(round_id__in=round_ids, state__in=["draft", "submitted", "incomplete"])
    for row in rows:
        tellings.round_cancelled(row, reason)
