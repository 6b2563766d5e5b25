"""What this room hears of calls: deadlines that move, calls that are cancelled; and what it answers them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from dure.control.applications import selectors, tellings
from dure.control.applications.models import Application
from dure.control.calls import hooks


def register() -> None:
    hooks.deadline_moved.register(tell_of_new_deadline)
    hooks.call_cancelled.register(tell_of_cancelling)
    hooks.answer_granted_micro_won(selectors.granted_from_rounds)


def tell_of_new_deadline(round_id: UUID, old: datetime, new: datetime, reason: str) -> None:
    for row in Application.objects.filter(round_id=round_id, state__in=["draft", "submitted"]):
        tellings.round_extended(row, new, reason)


def tell_of_cancelling(call_id: UUID, round_ids: Collection[UUID], reason: str) -> None:
    rows = Application.objects.filter(round_id__in=round_ids, state__in=["draft", "submitted", "incomplete"])
    for row in rows:
        tellings.round_cancelled(row, reason)
