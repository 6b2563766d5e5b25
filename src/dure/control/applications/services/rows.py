"""What every verb on an application begins with: the row, locked, and whether this actor may."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from dure.control.applications import rules
from dure.control.applications.models import Application, ApplicationMember, CompletenessRequest, Passage
from dure.control.applications.selectors.seeing import seen_by
from dure.control.applications.workflow import ApplicationState, may_become
from dure.control.calls import selectors as calls
from dure.control.calls import steps
from dure.control.calls.selectors import RoundView
from dure.control.calls.workflow import in_time
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, NotFound

database_moment = calls.database_now


def _rows_to_lock() -> QuerySet[Application]:
    """With the programme read along, which says whose officers may."""
    rows = Application.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("round__call")


def locked(actor: Actor, application_id: UUID) -> Application:
    """The application, locked against other changes; raises `NotFound` for what is not the actor's to see."""
    return seen_by(actor, _rows_to_lock().filter(pk=application_id).first())


def locked_for_writing(actor: Actor, application_id: UUID) -> Application:
    row = locked(actor, application_id)
    writers = ApplicationMember.objects.filter(application=row).values_list("person_id", flat=True)
    if not rules.may_write(actor, organisation_id=row.organisation_id, writers=set(writers)):
        raise Forbidden(
            _("You are not among the writers of this application."),
            code="not_a_writer",
            remedy=_("Ask its lead or your administrator to add you."),
        )
    return row


def locked_for_handing_in(actor: Actor, application_id: UUID) -> tuple[Application, list[UUID]]:
    """And its writers, who came first before who came later."""
    row = locked(actor, application_id)
    members = ApplicationMember.objects.filter(application=row).order_by("added_at")
    writers = list(members.values_list("person_id", "lead"))
    lead = next((person_id for person_id, leads in writers if leads), None)
    if not rules.may_hand_in(actor, organisation_id=row.organisation_id, lead=lead):
        raise Forbidden(
            _("Only its lead and your administrators hand in or withdraw an application."),
            code="not_the_lead",
            remedy=_("Ask one of them; your text is kept."),
        )
    return row, [person_id for person_id, _leads in writers]


def locked_for_deciding(actor: Actor, application_id: UUID) -> Application:
    row = locked(actor, application_id)
    if not rules.may_decide(actor, row.agency_id, row.programme_id):
        raise Forbidden
    return row


def locked_for_extending(actor: Actor, application_id: UUID) -> Application:
    """An officer may give more time to a draft without being shown it."""
    row = _rows_to_lock().filter(pk=application_id).first()
    if row is None or not (
        rules.may_decide(actor, row.agency_id, row.programme_id) or rules.is_own(actor, row.organisation_id)
    ):
        raise NotFound(_("There is no such application."), code="application_not_found")
    if not rules.may_decide(actor, row.agency_id, row.programme_id):
        raise Forbidden
    return row


def lock_group(organisation_ids: Collection[UUID]) -> None:
    """Until the transaction ends, nobody else looks at this ownership group's requests."""
    _lock(f"group {min(organisation_ids)}")


def lock_budget(round_id: UUID) -> None:
    """Until the transaction ends, nobody else grants from this round. After the group's lock where both are taken."""
    _lock(f"round {round_id}")


def _lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def open_request(row: Application) -> CompletenessRequest | None:
    return CompletenessRequest.objects.filter(application=row, answered_at=None, expired_at=None).first()


def deadline(row: Application, round_: RoundView, request: CompletenessRequest | None) -> datetime:
    """The last moment of handing in: the request's own where something is missing, else the later of round and extension."""
    if row.state == "incomplete" and request is not None:
        return request.due_at
    return max(filter(None, (round_.closes_at, row.extended_until)))


def still_open(row: Application, round_: RoundView, *, waited: timedelta = timedelta(0)) -> datetime:
    """The moment that counts for this change, or the refusal with both moments to the second.

    What counts is when the request reached this server: `waited` is how long it has been on its way through it since,
    so a rush in the last minute makes nobody late. The second that a deadline names is in time, to its end.
    """
    if row.state not in {"draft", "submitted", "incomplete"} or (
        row.state == "submitted" and row.step != first_step(round_)
    ):
        raise Conflict(
            "application_not_open",
            _("This application is no longer open for changes."),
            remedy=_("See its timeline for what happens next."),
            data={"state": row.state, "step": row.step},
        )
    if round_.state == "cancelled":
        raise Conflict(
            "round_cancelled",
            _("This round was cancelled: %(reason)s") % {"reason": round_.end_reason},
            remedy=_("What you wrote is kept."),
        )
    moment = database_moment() - max(waited, timedelta(0))
    if round_.opens_at and moment < round_.opens_at:
        raise Conflict(
            "round_not_open_yet",
            _("Applications are not accepted yet."),
            data={"opens_at": round_.opens_at.isoformat()},
        )
    due = deadline(row, round_, open_request(row) if row.state == "incomplete" else None)
    if not in_time(moment, due):
        raise Conflict(
            "deadline_passed",
            _("The deadline has passed. What you wrote is kept, and what was submitted before it counts."),
            remedy=_("If something of ours kept you from submitting, write to the programme office."),
            data={"deadline": due.isoformat(), "received_at": moment.isoformat()},
        )
    return moment


def first_step(round_: RoundView) -> str:
    """The key of the step in which applications are written."""
    return next((step.key for step in round_.graph.steps if step.kind == "application"), "")


def become(row: Application, state: ApplicationState) -> None:
    """Change the state in memory, or refuse by the workflow's table."""
    if not may_become(row.state, state):  # type: ignore[arg-type]
        raise Conflict(
            "application_state",
            _("This cannot be done with an application in this state."),
            remedy=_("Reload the page: somebody may have been quicker."),
            data={"state": row.state},
        )
    row.state = state


def pass_on(
    row: Application,
    round_: RoundView,
    *,
    outcome: str,
    at: datetime,
    by_name: str,
    reason: str = "",
    automatic: bool = False,
) -> str:
    """Leave the step with an outcome for the one that follows; the application is not saved here."""
    to = steps.following(round_.graph, row.step, outcome) or ""
    Passage.objects.create(
        application=row,
        step=row.step,
        outcome=outcome,
        to_step=to,
        reason=reason,
        automatic=automatic,
        at=at,
        by_name=by_name[:200],
    )
    if to:
        row.step, row.step_entered_at = to, at
    return to
