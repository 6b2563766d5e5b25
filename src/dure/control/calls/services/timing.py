"""Steps whose time is over. Nothing goes on by itself unless the call was published saying so."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.calls import checks, hooks, meaning
from dure.control.calls.models import RoundStep
from dure.control.calls.moments import database_now
from dure.control.calls.selectors import StepView
from dure.control.calls.workflow import in_time, may_become
from dure.control.foundation import audit
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, NotFound

_CLOCK = Actor.system("dates of steps")


def expire_steps(*, at: datetime | None = None) -> int:
    """Mark steps of published rounds whose time is over, and let those go on that were published so; how many."""
    now = at or database_now()
    due = RoundStep.objects.filter(state="waiting", due_at__lt=now, round__state="published")
    return sum(_expire(pk, now) for pk in list(due.order_by("due_at").values_list("pk", flat=True)))


@transaction.atomic
def _expire(timed_id: UUID, now: datetime) -> bool:
    row = (
        RoundStep.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("round")
        .filter(pk=timed_id, state="waiting", round__state="published")
        .first()
    )
    if row is None or in_time(now, row.due_at):
        return False
    step = meaning.graph(row.round.steps).step(row.key)
    row.expired_at = now
    if step is not None and step.on_expiry == "advance":
        row.state, row.settled_at, row.settled_by_name = "advanced", now, _CLOCK.name
        row.reason = f"published to go on by itself with “{step.expiry_outcome}”"
    else:
        row.state = "expired"
    row.save(update_fields=["state", "expired_at", "settled_at", "settled_by_name", "reason"])
    (hooks.step_advanced if row.state == "advanced" else hooks.step_expired)(row.round_id, row.key)
    audit.record(
        actor=_CLOCK,
        action=f"step.{row.state}",
        subject_kind="call",
        subject_id=row.round.call_id,
        after={"round": row.round.number, "step": row.key, "due_at": row.due_at, "reason": row.reason},
    )
    return True


@transaction.atomic
def settle_step(*, actor: Actor, round_id: UUID, step_key: str, reason: str) -> StepView:
    """Say what was done about a step whose time is over, so that it waits for nobody any more."""
    round_ = checks.round_to_change(actor, round_id)
    reason = checks.reason(reason)
    row = RoundStep.objects.select_for_update().filter(round=round_, key=step_key).first()
    if row is None:
        raise NotFound(_("This step has no end, or there is no such step."), code="step_not_found")
    if not may_become("step", row.state, "handled"):
        raise Conflict("step_is_settled", _("This step is settled already."))
    row.state, row.settled_at = "handled", database_now()
    row.settled_by_name, row.reason = actor.name[:200], reason
    row.save(update_fields=["state", "settled_at", "settled_by_name", "reason"])
    audit.record(
        actor=actor,
        action="step.handled",
        subject_kind="call",
        subject_id=round_.call_id,
        after={"round": round_.number, "step": step_key, "reason": reason},
    )
    return StepView(
        row.key, row.due_at, row.state, row.expired_at, row.settled_at, row.settled_by_name, row.reason
    )
