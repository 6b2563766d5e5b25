"""Questions about rounds."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from dure.control.calls import rules
from dure.control.calls.models import Extension, FormVersion, Round, RoundStep, RuleVersion
from dure.control.calls.moments import database_now
from dure.control.calls.selectors.values import (
    RoundView,
    StepView,
    call_ref,
    extension_view,
    round_view,
)
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_each


def round_for(*, actor: Actor, round_id: UUID) -> RoundView:
    """One round; drafts are their agency's officers' alone. Raises `NotFound`."""
    row = _rows().filter(pk=round_id).first()
    if row is None or not rules.may_see_call(
        actor, row.call.programme.agency_id, row.call.programme_id, row.state
    ):
        raise round_not_found()
    return round_views([row], actor=actor)[0]


@once_each
def rounds_by_id(round_ids: Collection[UUID]) -> dict[UUID, RoundView]:
    """The same for many at once, for rows the caller may already see."""
    return {view.id: view for view in round_views(list(_rows().filter(pk__in=set(round_ids))))}


def round_lock_for_submission(round_id: UUID) -> RoundView:
    """The round, held so that it stays as it is until this transaction ends; `read_at` is the database's moment.

    Submissions hold it side by side; an extension or a cancellation waits for them and they for it. So each is
    judged by the moments that stood when it was: `round.is_open(received_at)`, or `round.accepts` for now.
    """
    with connection.cursor() as cursor:
        # Not Django's `select_for_update`: with it, submissions would wait for each other.
        cursor.execute("SELECT 1 FROM calls_round WHERE id = %s FOR SHARE", [round_id])
    row = _rows().filter(pk=round_id).first()
    if row is None or row.state == "draft":
        raise round_not_found()
    return round_views([row], at=database_now(), extended=False)[0]


def timed_steps(*, actor: Actor, round_id: UUID) -> list[StepView]:
    """The steps of a round that have an end, in its order; what was done about them is the officers' to see."""
    view = round_for(actor=actor, round_id=round_id)
    return timed_steps_of([view], actor=actor)[round_id]


def timed_steps_of(rounds: Sequence[RoundView], *, actor: Actor) -> dict[UUID, list[StepView]]:
    """The same for rounds that the actor was shown, in one query."""
    found: dict[UUID, list[StepView]] = {one.id: [] for one in rounds}
    officer = {one.id: rules.may_manage(actor, one.call.agency_id, one.call.programme.id) for one in rounds}
    for row in RoundStep.objects.filter(round_id__in=found).order_by("due_at", "key"):
        found[row.round_id].append(
            StepView(
                row.key,
                row.due_at,
                row.state,
                row.expired_at,
                row.settled_at,
                row.settled_by_name if officer[row.round_id] else "",
                row.reason if officer[row.round_id] else "",
            )
        )
    return found


def round_views(
    rows: Sequence[Round], *, actor: Actor | None = None, at: datetime | None = None, extended: bool = True
) -> list[RoundView]:
    """Values for rows that were judged visible. Wants `call__programme` read along; `extended`: with extensions."""
    drafts = {row.call_id for row in rows if row.state == "draft"}
    forms, requirements = latest_versions(FormVersion, drafts), latest_versions(RuleVersion, drafts)
    extensions: dict[UUID, list[Extension]] = {}
    published = [row.pk for row in rows if row.state != "draft"]
    if published and extended:
        for one in Extension.objects.filter(round__in=published).order_by("created_at"):
            extensions.setdefault(one.round_id, []).append(one)
    at = at or clock.now()
    return [
        round_view(
            row,
            call_ref(row.call),
            at=at,
            steps=row.call.steps if row.steps is None else row.steps,
            form_version_id=row.form_version_id or forms.get(row.call_id),
            rule_version_id=row.rule_version_id or requirements.get(row.call_id),
            extensions=tuple(
                extension_view(
                    one,
                    with_name=actor is not None
                    and rules.may_manage(actor, row.call.programme.agency_id, row.call.programme_id),
                )
                for one in extensions.get(row.pk, [])
            ),
        )
        for row in rows
    ]


def latest_versions(
    model: type[FormVersion] | type[RuleVersion], call_ids: Collection[UUID]
) -> dict[UUID, UUID]:
    """Call → its latest version's id."""
    if not call_ids:
        return {}
    rows = model.objects.filter(call_id__in=call_ids).order_by("call_id", "-number")
    return dict(rows.distinct("call_id").values_list("call_id", "pk"))


def round_not_found() -> NotFound:
    return NotFound(_("There is no such round."), code="round_not_found")


def _rows() -> QuerySet[Round]:
    return Round.objects.select_related("call__programme")
