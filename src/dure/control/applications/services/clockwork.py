"""What happens by the clock and by rule: rounds close, requests run out, small requests are granted.

Nothing here decides against anybody: a time that is over makes a draft lapse (its officer can bring it back) or
puts the application before a person. The one decision that software makes is to grant a small request, by a rule
that the call published, with the figures it was held against.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest
from django.utils.translation import gettext_lazy as _

from dure.control.applications import selectors, tellings
from dure.control.applications.models import Application, CompletenessRequest, Decision
from dure.control.applications.services import deciding, rows
from dure.control.calls import eligibility, steps
from dure.control.calls import selectors as calls
from dure.control.calls.selectors import RoundView
from dure.control.calls.workflow import in_time
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError
from dure.control.identity import selectors as identity
from dure.control.programmes import selectors as programme_selectors
from dure.control.programmes import services as programmes

logger = logging.getLogger(__name__)

CLOCK = Actor.system("deadlines of calls")
RULE = Actor.system("automatic approval")
#: How long before a deadline those who have not submitted are reminded.
REMINDERS = (timedelta(days=7), timedelta(days=1), timedelta(hours=2))


def close_due(*, limit: int = 2_000) -> int:
    """Let drafts lapse and submitted applications move on, where their deadline has passed; how many."""
    now = rows.database_moment()
    due = (
        Application.objects.filter(state__in=["draft", "submitted"])
        .annotate(due=Greatest(F("round__closes_at"), Coalesce("extended_until", "round__closes_at")))
        .filter(due__lte=now)
        .order_by("due")
    )
    candidates = due.values_list("pk", "round_id", "step")[:limit]
    graphs: dict[UUID, RoundView] = calls.rounds_by_id({round_id for _pk, round_id, _step in candidates})
    return sum(
        _each(_close, application_id)
        for application_id, round_id, step in candidates
        if step == rows.first_step(graphs[round_id])
    )


def _each(verb: Callable[[UUID], bool], application_id: UUID) -> int:
    """One application's part, by itself: a fault in one keeps no other waiting, and is seen in the log."""
    try:
        return int(verb(application_id))
    except DureError as error:
        logger.warning("application %s: %s", application_id, error.code)
    return 0


@transaction.atomic
def _close(application_id: UUID) -> bool:
    row = (
        Application.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=application_id).first()
    )
    if row is None or row.state not in {"draft", "submitted"}:
        return False
    round_ = calls.round_lock_for_submission(row.round_id)
    now = rows.database_moment()
    if row.step != rows.first_step(round_) or in_time(now, rows.deadline(row, round_, None)):
        return False
    if row.state == "draft":
        rows.become(row, "lapsed")
        row.ended_at = now
        row.save(update_fields=["state", "ended_at"])
        audit.record(actor=CLOCK, action="application.lapsed", subject_kind="application", subject_id=row.pk)
        tellings.lapsed(row)
        return True
    row.changed = False
    rows.pass_on(row, round_, outcome="submitted", at=now, by_name=CLOCK.name, automatic=True)
    row.save(update_fields=["changed", "step", "step_entered_at"])
    audit.record(
        actor=CLOCK,
        action="application.advanced",
        subject_kind="application",
        subject_id=row.pk,
        after={"step": row.step, "outcome": "submitted"},
    )
    check_eligibility(row, round_)
    return True


def check_eligibility(row: Application, round_: RoundView) -> None:
    """At an eligibility step: go on where every rule is met; whatever else waits for an officer."""
    step = round_.graph.step(row.step)
    if step is None or step.kind != "eligibility":
        return
    findings = calls.findings_for(row.round_id, row.organisation_id)
    if eligibility.summary(findings) != "met" or steps.following(round_.graph, row.step, "met") is None:
        return
    rows.pass_on(row, round_, outcome="met", at=clock.now(), by_name=RULE.name, automatic=True)
    row.save(update_fields=["step", "step_entered_at"])
    audit.record(
        actor=RULE,
        action="application.advanced",
        subject_kind="application",
        subject_id=row.pk,
        after={"step": row.step, "outcome": "met"},
    )


def expire_requests() -> int:
    """Completeness requests whose time is over go back to the officer as they are; how many."""
    due = CompletenessRequest.objects.filter(
        answered_at=None, expired_at=None, due_at__lte=rows.database_moment()
    )
    return sum(_each(_expire, one) for one in due.values_list("application_id", flat=True)[:2_000])


@transaction.atomic
def _expire(application_id: UUID) -> bool:
    row = (
        Application.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=application_id).first()
    )
    request = rows.open_request(row) if row else None
    now = rows.database_moment()
    if row is None or row.state != "incomplete" or request is None or in_time(now, request.due_at):
        return False
    request.expired_at = now
    request.save(update_fields=["expired_at"])
    rows.become(row, "submitted")
    row.changed = False
    row.save(update_fields=["state", "changed"])
    audit.record(
        actor=CLOCK,
        action="application.completion_expired",
        subject_kind="application",
        subject_id=row.pk,
    )
    tellings.completion_expired(row)
    return True


def remind(*, at: datetime | None = None) -> int:
    """Tell writers of drafts that the deadline comes; each reminder goes out once."""
    now = at or rows.database_moment()
    told = 0
    drafts = (
        Application.objects.filter(state="draft")
        .annotate(due=Greatest(F("round__closes_at"), Coalesce("extended_until", "round__closes_at")))
        .filter(due__gt=now, due__lte=now + REMINDERS[0])
    )
    for row in drafts.order_by("due")[:5_000]:
        due: datetime = row.due
        nearest = min(pause for pause in REMINDERS if due - now <= pause)
        with transaction.atomic():
            tellings.deadline_near(row, due, nearest)
        told += 1
    return told


# --- small requests --------------------------------------------------------------------------------------------


def decide_waiting(*, limit: int = 500) -> int:
    """Small requests that were submitted and not looked at yet; how many were granted."""
    waiting = (
        Application.objects.filter(state="submitted", round__automatic__isnull=False)
        .filter(Q(decisions=None))
        .order_by("submitted_at")
        .values_list("pk", flat=True)[:limit]
    )
    return sum(_each(decide_automatically, one) for one in waiting)


def decide_at_once(application_id: UUID) -> bool:
    """What follows a submission: a refusal here leaves the application submitted, for a person to look at."""
    return bool(_each(decide_automatically, application_id))


def decide_automatically(application_id: UUID) -> bool:
    """Grant a small request if the published rule allows it; otherwise it waits for an officer, with the reason on record.

    One transaction: the decision, the money and the right to call, or none of them.
    """
    with transaction.atomic():
        row = (
            Application.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(pk=application_id, state="submitted")
            .first()
        )
        if row is None or Decision.objects.filter(application=row).exists():
            return False
        round_ = calls.round_lock_for_submission(row.round_id)
        if round_.automatic is None:
            return False
        refusal, grounds = _held_against(row, round_)
        if refusal:
            _leave_to_officer(row, round_, refusal, grounds)
            return False
        _walk_to_decision(row, round_)
        step = round_.graph.step(row.step)
        if step is None or step.kind != "decision":
            return False
        decision = deciding.record_decision(
            row,
            round_,
            actor=RULE,
            outcome="accepted",
            reason=str(_("Granted by the call's published rule for small requests.")),
            granted_micro_won=row.asked_micro_won,
            automatic=True,
            grounds=grounds,
        )
        days = round_.automatic.get("valid_days")
        granted = programmes.grant_award(
            actor=RULE,
            programme_slug=round_.call.programme.slug,
            organisation_slug=identity.organisation(row.organisation_id).slug,
            micro_won=decision.granted_micro_won or 0,
            name=row.title or round_.call.name_ko,
            valid_until=clock.now() + timedelta(days=days) if days else None,
            line=deciding.line_asked_for(row.pk, round_),
            request_id=row.pk,
        )
        deciding.finish_award(RULE, row, round_, granted.award.id, automatic=True)
    return True


def _held_against(row: Application, round_: RoundView) -> tuple[str, dict[str, object]]:
    """Why the rule does not grant it ("" if it does), and the figures that were looked at."""
    rule = round_.automatic
    assert rule is not None
    group = identity.ownership_group(row.organisation_id)
    # Two requests of one group at the same moment are looked at one after the other.
    rows.lock_group(group)
    rows.lock_budget(row.round_id)
    granted = selectors.grants_in_round(round_id=row.round_id, organisation_ids=group)
    asked = row.asked_micro_won or 0
    left = round_.budget_micro_won - selectors.granted_in_round(round_id=row.round_id)
    findings = calls.findings_for(row.round_id, row.organisation_id)
    grounds: dict[str, object] = {
        "asked_micro_won": asked,
        "most_micro_won": rule["most_micro_won"],
        "grants_to_group": granted,
        "most_grants_to_group": rule.get("most_per_group"),
        "round_left_micro_won": left,
        "support_before_micro_won": programme_selectors.support_received(organisation_ids=group),
        "rules": {one.key: one.state for one in findings},
    }
    if not 0 < asked <= rule["most_micro_won"]:
        return "sum", grounds
    most_per_group = rule.get("most_per_group")
    if most_per_group and granted >= most_per_group:
        return "group", grounds
    if round_.budget_micro_won and asked > left:
        return "budget", grounds
    if eligibility.summary(findings) != "met":
        return "eligibility", grounds
    return "", grounds


#: Why a small request is left to a person.
REFUSALS = {
    "sum": _("The sum is above what is granted without a person."),
    "group": _("Your ownership group has received what one group may receive in this round."),
    "budget": _("The round's money is used up."),
    "eligibility": _("A rule is not met, or a document is missing."),
}


def _leave_to_officer(row: Application, round_: RoundView, refusal: str, grounds: dict[str, object]) -> None:
    """Leave the writing step, once, with the reason; an officer goes on from there."""
    if row.step != rows.first_step(round_):
        return
    reason = str(REFUSALS[refusal])
    rows.pass_on(
        row,
        round_,
        outcome="submitted",
        at=clock.now(),
        by_name=RULE.name,
        reason=reason,
        automatic=True,
    )
    row.save(update_fields=["step", "step_entered_at"])
    audit.record(
        actor=RULE,
        action="application.left_to_officer",
        subject_kind="application",
        subject_id=row.pk,
        after={"reason": refusal, "grounds": grounds},
    )
    tellings.left_to_officer(row, REFUSALS[refusal])


def _walk_to_decision(row: Application, round_: RoundView) -> None:
    """Pass the steps before the decision whose outcome the rule itself has just established."""
    for _turn in range(len(round_.graph.steps)):
        step = round_.graph.step(row.step)
        if step is None or step.kind == "decision":
            return
        outcome = {"application": "submitted", "eligibility": "met", "completeness": "complete"}.get(
            step.kind
        )
        if outcome is None or not rows.pass_on(
            row, round_, outcome=outcome, at=clock.now(), by_name=RULE.name, automatic=True
        ):
            return
