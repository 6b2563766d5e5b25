"""What officers do with an application: carry it along its call's steps, ask for what is missing, decide, award.

Whatever ends badly for the applicant has a reason that the applicant reads.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from dure.control.applications import selectors, tellings
from dure.control.applications.models import (
    Application,
    CompletenessRequest,
    Decision,
    Extension,
    Submission,
)
from dure.control.applications.selectors import ApplicationLine, ApplicationView
from dure.control.applications.services import rows
from dure.control.calls import selectors as calls
from dure.control.calls import steps
from dure.control.calls.selectors import RoundView
from dure.control.calls.workflow import in_time
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid
from dure.control.foundation.money import format_won
from dure.control.identity import selectors as identity
from dure.control.programmes import selectors as terms
from dure.control.programmes import services as programmes

MAX_REASON = 4_000
LONGEST_REQUEST = timedelta(days=90)
MAX_BULK = 500
_SYSTEM = Actor.system("application")


@dataclass(frozen=True, slots=True)
class BulkResult:
    """One application of a bulk action: done, or the refusal it met; the others are not affected."""

    application_id: UUID
    error: DureError | None

    @property
    def done(self) -> bool:
        return self.error is None


def reason_of(text: str, *, needed: bool = True) -> str:
    """A reason with its ends trimmed; the applicant reads it, so it may not be missing."""
    tidy = text.strip()
    if needed and not tidy:
        raise Invalid(
            "reason_missing",
            _("This needs a reason."),
            field="reason",
            remedy=_("Write what the applicant should read."),
        )
    if len(tidy) > MAX_REASON:
        raise Invalid(
            "reason_too_long",
            _("A reason has at most %(n)d characters.") % {"n": MAX_REASON},
            field="reason",
        )
    return tidy


@transaction.atomic
def advance(*, actor: Actor, application_id: UUID, outcome: str, reason: str = "") -> ApplicationView:
    """Leave the present step with one of its outcomes. Decisions and awards have verbs of their own.

    An outcome against the applicant needs a reason; where the call's graph ends with it, the application is rejected.
    """
    row = rows.locked_for_deciding(actor, application_id)
    round_ = calls.round_for(actor=_SYSTEM, round_id=row.round_id)
    if row.state != "submitted":
        raise Conflict(
            "application_state",
            _("This cannot be done with an application in this state."),
            data={"state": row.state},
        )
    step = round_.graph.step(row.step)
    if step is None or step.kind in {"decision", "award", "report", "closing"}:
        raise Conflict("step_has_own_verb", _("This step is left by a decision or an award."))
    _not_while_it_is_written(row, round_)
    _outcome_known(step, outcome)
    reason = reason_of(reason, needed=outcome in ADVERSE)
    leave(row, round_, actor=actor, outcome=outcome, reason=reason)
    return selectors.application(actor=actor, application_id=row.pk)


def _not_while_it_is_written(row: Application, round_: RoundView) -> None:
    if row.step == rows.first_step(round_) and in_time(
        rows.database_moment(), rows.deadline(row, round_, None)
    ):
        raise Conflict(
            "deadline_not_reached",
            _("The applicant may still replace the application until the deadline."),
            remedy=_("Wait until the deadline has passed."),
        )


#: Outcomes against the applicant, who reads why.
ADVERSE = frozenset({"not_met", "incomplete", "failed", "refused", "rejected"})
#: Where an application has ended unless its applicant objects.
_ENDS = frozenset({"closing", "objection"})


def leave(row: Application, round_: RoundView, *, actor: Actor, outcome: str, reason: str = "") -> None:
    """Leave the step, and be rejected where that ends it."""
    before, now = row.step, clock.now()
    rows.pass_on(row, round_, outcome=outcome, at=now, by_name=actor.name, reason=reason)
    step = round_.graph.step(row.step)
    ended = step is not None and step.kind in _ENDS and outcome in ADVERSE
    if ended:
        rows.become(row, "rejected")
        row.ended_at = now
    row.save(update_fields=["state", "step", "step_entered_at", "ended_at"])
    made = None
    if ended:
        made = Decision.objects.create(
            application=row, outcome="rejected", reason=reason, at=now, by_name=actor.name[:200]
        )
    audit.record(
        actor=actor,
        action="application.advanced",
        subject_kind="application",
        subject_id=row.pk,
        before={"step": before},
        after={"step": row.step, "outcome": outcome, "reason": reason},
    )
    if made is not None:
        tellings.decided(row, made)
    else:
        tellings.advanced(row, round_, reason)


def _outcome_known(step: steps.Step, outcome: str) -> None:
    known = [edge.outcome for edge in step.edges]
    if outcome not in known:
        raise Invalid(
            "outcome_unknown",
            _("The step “%(step)s” has no outcome “%(outcome)s”.")
            % {"step": step.title, "outcome": outcome[:60]},
            field="outcome",
            remedy=_("Choose one of: %(outcomes)s.") % {"outcomes": ", ".join(known)},
        )


@transaction.atomic
def ask_for_completion(
    *, actor: Actor, application_id: UUID, fields: Sequence[str], reason: str, due_at: datetime
) -> ApplicationView:
    """Ask for what is missing or wrong. Only the named fields open again (all, where none is named)."""
    row = rows.locked_for_deciding(actor, application_id)
    _not_while_it_is_written(row, calls.round_for(actor=_SYSTEM, round_id=row.round_id))
    now = clock.now()
    reason = reason_of(reason)
    if not now < due_at <= now + LONGEST_REQUEST:
        raise Invalid(
            "due_out_of_range",
            _("The deadline lies ahead, within %(n)d days.") % {"n": LONGEST_REQUEST.days},
            field="due_at",
        )
    form = calls.form_of(row.form_version_id)
    unknown = [name for name in fields if form.field(name) is None]
    if unknown:
        raise Invalid(
            "field_unknown",
            _("The form has no field “%(field)s”.") % {"field": unknown[0][:80]},
            field="fields",
        )
    rows.become(row, "incomplete")
    row.save(update_fields=["state"])
    request = CompletenessRequest.objects.create(
        application=row,
        fields=list(dict.fromkeys(fields)),
        reason=reason,
        asked_at=now,
        asked_by_name=actor.name[:200],
        due_at=due_at,
    )
    audit.record(
        actor=actor,
        action="application.completion_asked",
        subject_kind="application",
        subject_id=row.pk,
        after={"fields": request.fields, "reason": reason, "due_at": due_at},
    )
    tellings.completion_asked(row, request)
    return selectors.application(actor=actor, application_id=row.pk)


@transaction.atomic
def extend(*, actor: Actor, application_id: UUID, until: datetime, reason: str) -> ApplicationLine:
    """Give one applicant more time, which is on record with its reason; a lapsed draft comes back."""
    row = rows.locked_for_extending(actor, application_id)
    round_ = calls.round_for(actor=_SYSTEM, round_id=row.round_id)
    reason = reason_of(reason)
    standing = max(filter(None, (round_.closes_at, row.extended_until)))
    if until <= max(standing, clock.now()) or until > standing + timedelta(days=366):
        raise Invalid(
            "extension_not_later",
            _("The new deadline lies after the present one, and ahead."),
            field="until",
            data={"deadline": standing.isoformat()},
        )
    if row.state == "lapsed":
        rows.become(row, "draft")
    elif row.state not in {"draft", "submitted"} or row.step != rows.first_step(round_):
        raise Conflict(
            "application_not_open",
            _("This application is no longer open for changes."),
            remedy=_("Ask for a completion instead."),
        )
    row.extended_until, row.ended_at = until, None
    row.save(update_fields=["state", "extended_until", "ended_at"])
    Extension.objects.create(
        application=row, until=until, reason=reason, at=clock.now(), by_name=actor.name[:200]
    )
    audit.record(
        actor=actor,
        action="application.extended",
        subject_kind="application",
        subject_id=row.pk,
        before={"deadline": standing},
        after={"deadline": until, "reason": reason},
    )
    tellings.extended(row, until, reason)
    return selectors.application_line(row.pk)


@transaction.atomic
def decide(
    *,
    actor: Actor,
    application_id: UUID,
    outcome: Literal["accepted", "rejected"],
    reason: str,
    granted_micro_won: int | None = None,
) -> ApplicationView:
    """Accept for a sum, or reject. What is granted may be less than what was asked for, never more."""
    row = rows.locked_for_deciding(actor, application_id)
    round_ = calls.round_for(actor=_SYSTEM, round_id=row.round_id)
    step = round_.graph.step(row.step)
    if row.state != "submitted" or step is None or step.kind != "decision":
        raise Conflict(
            "not_at_a_decision",
            _("This application is not at a decision."),
            remedy=_("Carry it through the steps before."),
            data={"state": row.state, "step": row.step},
        )
    granted = _granted(row, outcome, granted_micro_won)
    if granted is not None:
        _within_budget(round_, granted)
    record_decision(
        row,
        round_,
        actor=actor,
        outcome=outcome,
        reason=reason_of(reason, needed=outcome == "rejected"),
        granted_micro_won=granted,
    )
    return selectors.application(actor=actor, application_id=row.pk)


def _granted(row: Application, outcome: str, granted_micro_won: int | None) -> int | None:
    if outcome not in {"accepted", "rejected"}:
        raise Invalid("outcome_unknown", _("Accept or reject."), field="outcome")
    if outcome == "rejected":
        return None
    granted = granted_micro_won if granted_micro_won is not None else row.asked_micro_won
    most = row.asked_micro_won
    if not granted or granted <= 0 or (most is not None and granted > most):
        raise Invalid(
            "granted_out_of_range",
            _("Grant more than nothing, and not more than was asked for."),
            field="granted",
            data={"asked_micro_won": most},
        )
    return granted


def _within_budget(round_: RoundView, granted: int) -> None:
    """A round grants no more than it was published with, however many decide at one moment."""
    rows.lock_budget(round_.id)
    left = round_.budget_micro_won - selectors.granted_in_round(round_id=round_.id)
    if granted > left:
        raise Conflict(
            "round_budget_exceeded",
            _("This round has %(left)s left.") % {"left": format_won(left, get_language() or "ko")},
            field="granted",
            remedy=_("Grant less, or raise the round's budget first."),
            data={"left_micro_won": left},
        )


def record_decision(
    row: Application,
    round_: RoundView,
    *,
    actor: Actor,
    outcome: str,
    reason: str,
    granted_micro_won: int | None,
    automatic: bool = False,
    grounds: dict[str, Any] | None = None,
) -> Decision:
    """Write the decision down and leave the step with it."""
    now = clock.now()
    made = Decision.objects.create(
        application=row,
        outcome=outcome,
        reason=reason,
        granted_micro_won=granted_micro_won,
        automatic=automatic,
        grounds=grounds,
        at=now,
        by_name=actor.name[:200],
    )
    rows.become(row, "accepted" if outcome == "accepted" else "rejected")
    rows.pass_on(
        row,
        round_,
        outcome="accepted" if outcome == "accepted" else "refused",
        at=now,
        by_name=actor.name,
        reason=reason,
        automatic=automatic,
    )
    row.ended_at = now if outcome == "rejected" else None
    row.save(update_fields=["state", "step", "step_entered_at", "ended_at"])
    audit.record(
        actor=actor,
        action=f"application.{outcome}",
        subject_kind="application",
        subject_id=row.pk,
        after={"granted_micro_won": granted_micro_won, "reason": reason, "automatic": automatic},
    )
    tellings.decided(row, made)
    return made


@transaction.atomic
def award(
    *, actor: Actor, application_id: UUID, valid_until: datetime | None = None, line: str = ""
) -> ApplicationView:
    """Grant what was decided, on the ledger. The award has the application's id, so twice grants once.

    `line` is the programme's budget line that pays. Left out, it is the one on which all that was asked for stands; a
    programme with several lines raises `line_missing` where it stands on several, or on none of them.
    """
    row = rows.locked_for_deciding(actor, application_id)
    if row.state == "awarded":
        return selectors.application(actor=actor, application_id=row.pk)
    round_ = calls.round_for(actor=_SYSTEM, round_id=row.round_id)
    decision = Decision.objects.filter(application=row).order_by("-at").first()
    if row.state != "accepted" or decision is None or decision.granted_micro_won is None:
        raise Conflict(
            "not_accepted",
            _("Only an accepted application is awarded."),
            data={"state": row.state},
        )
    findings = calls.findings_for(row.round_id, row.organisation_id)
    wrong = [one for one in findings if one.state == "not_met"]
    if wrong:
        raise Conflict(
            "not_eligible",
            _("The organisation no longer meets these rules: %(rules)s.")
            % {"rules": ", ".join(str(one.title) for one in wrong)},
            remedy=_("Reject it with the reason, or have the organisation bring its page up to date."),
            data={"rules": [one.key for one in wrong]},
        )
    organisation = identity.organisation(row.organisation_id)
    granted = programmes.grant_award(
        actor=actor,
        programme_slug=round_.call.programme.slug,
        organisation_slug=organisation.slug,
        micro_won=decision.granted_micro_won,
        name=row.title or round_.call.name_ko,
        valid_until=valid_until,
        line=line or line_asked_for(row.pk, round_),
        request_id=row.pk,
    )
    finish_award(actor, row, round_, granted.award.id, automatic=False)
    return selectors.application(actor=actor, application_id=row.pk)


def line_asked_for(application_id: UUID, round_: RoundView) -> str | None:
    """The programme's budget line on which all that was submitted stands; None where that is several, or none of them."""
    last = Submission.objects.filter(application=application_id).order_by("-number").first()
    answers = json.loads(last.content)["answers"] if last else {}
    asked = {
        entry["line"]
        for one in round_.form.fields
        if one.kind == "budget"
        for entry in answers.get(one.key) or []
        if entry.get("won")
    }
    kept = {one.key for one in terms.budget_lines(programme_id=round_.call.programme.id)}
    return asked.pop() if len(asked) == 1 and asked <= kept else None


def finish_award(
    actor: Actor, row: Application, round_: RoundView, award_id: UUID, *, automatic: bool
) -> None:
    """The application's side of a grant that is on the ledger."""
    now = clock.now()
    rows.become(row, "awarded")
    rows.pass_on(row, round_, outcome="awarded", at=now, by_name=actor.name, automatic=automatic)
    row.award_id, row.ended_at = award_id, now
    row.save(update_fields=["state", "step", "step_entered_at", "award_id", "ended_at"])
    audit.record(
        actor=actor,
        action="application.awarded",
        subject_kind="application",
        subject_id=row.pk,
        after={"award": award_id},
    )
    tellings.awarded(row, award_id)


@transaction.atomic
def object_to_decision(*, actor: Actor, application_id: UUID, reason: str) -> ApplicationView:
    """The applicant objects to a rejection, once, while the call's step for it lasts."""
    row, _writers = rows.locked_for_handing_in(actor, application_id)
    round_ = calls.round_for(actor=_SYSTEM, round_id=row.round_id)
    step = round_.graph.step(row.step)
    if row.state != "rejected" or step is None or step.kind != "objection":
        raise Conflict(
            "no_objection_open",
            _("No objection can be raised now."),
            data={"state": row.state, "step": row.step},
        )
    until = steps.deadline(step, row.step_entered_at)
    if until is not None and not in_time(rows.database_moment(), until):
        raise Conflict("deadline_passed", _("The time for an objection is over."))
    reason = reason_of(reason)
    rows.become(row, "submitted")
    row.ended_at = None
    row.save(update_fields=["state", "ended_at"])
    audit.record(
        actor=actor,
        action="application.objected",
        subject_kind="application",
        subject_id=row.pk,
        after={"reason": reason},
    )
    tellings.objected(row, reason)
    return selectors.application(actor=actor, application_id=row.pk)


def in_bulk(
    *,
    actor: Actor,
    application_ids: Collection[UUID],
    verb: Literal["advance", "reject", "accept", "award"],
    reason: str = "",
    outcome: str = "",
) -> list[BulkResult]:
    """The same for several, each in a transaction of its own: what is refused for one does not hold up another."""
    if not actor.has(*OFFICERS):
        raise Forbidden
    if len(application_ids) > MAX_BULK:
        raise Invalid(
            "too_many_at_once", _("At most %(n)d applications at once.") % {"n": MAX_BULK}, field="ids"
        )
    results = []
    for application_id in dict.fromkeys(application_ids):
        try:
            if verb == "advance":
                advance(actor=actor, application_id=application_id, outcome=outcome, reason=reason)
            elif verb == "award":
                award(actor=actor, application_id=application_id)
            else:
                decide(
                    actor=actor,
                    application_id=application_id,
                    outcome="rejected" if verb == "reject" else "accepted",
                    reason=reason,
                )
        except DureError as error:
            results.append(BulkResult(application_id, error))
        else:
            results.append(BulkResult(application_id, None))
    return results
