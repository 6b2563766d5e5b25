"""What waits for somebody."""

from uuid import UUID

from django.db.models import Count, Min, Q

from dure.control.applications.models import Application, CompletenessRequest
from dure.control.applications.selectors.lines import lines_from, writing_step
from dure.control.applications.selectors.seeing import scope
from dure.control.applications.selectors.values import Duty
from dure.control.calls import selectors as calls
from dure.control.calls import steps
from dure.control.foundation.actors import OFFICERS, Actor


def duties(*, actor: Actor) -> list[Duty]:
    """What waits for this actor: what has a deadline first, the nearest before the later, then the oldest."""
    found: list[Duty] = []
    if actor.person_id is not None and actor.organisation_id is not None and not actor.for_agency:
        found += _applicant_duties(actor, actor.organisation_id, actor.person_id)
    if actor.has(*OFFICERS):
        found += _officer_duties(actor)
    return sorted(found, key=lambda duty: (duty.due_at is None, duty.due_at or duty.since))


def _applicant_duties(actor: Actor, organisation_id: UUID, person_id: UUID) -> list[Duty]:
    own = Application.objects.filter(organisation_id=organisation_id)
    if not actor.has("administrator"):
        own = own.filter(members__person_id=person_id)
    rows = own.filter(Q(state__in=["draft", "incomplete"]) | Q(state="submitted", changed=True)).order_by(
        "created_at"
    )[:100]
    requests = {
        one.application_id: one
        for one in CompletenessRequest.objects.filter(
            application__in=[row.pk for row in rows], answered_at=None, expired_at=None
        )
    }
    found = []
    due = {application_id: one.due_at for application_id, one in requests.items()}
    for line in lines_from(list(rows), due):
        if line.state == "submitted" and line.step != writing_step(line.round):
            continue
        request = requests.get(line.id)
        kind = {"draft": "draft", "incomplete": "completion", "submitted": "changed"}[line.state]
        found.append(
            Duty(
                kind=kind,
                subject=line.title or line.number,
                detail=line.round.call.name,
                path=f"/applications/{line.id}/",
                since=request.asked_at if request else line.created_at,
                due_at=request.due_at if request else line.deadline,
            )
        )
    return found


def _officer_duties(actor: Actor) -> list[Duty]:
    rows = scope(actor).filter(state__in=["submitted", "accepted"])
    waiting = list(
        rows.values("round_id", "step").annotate(total=Count("pk"), oldest=Min("step_entered_at")).order_by()
    )
    rounds = calls.rounds_by_id({line["round_id"] for line in waiting})
    found = []
    for line in waiting:
        round_ = rounds[line["round_id"]]
        step = round_.graph.step(line["step"])
        if step is None or step.kind == "application":
            continue
        found.append(
            Duty(
                kind="step",
                subject=step.title,
                detail=round_.call.name,
                path=f"/desk/{round_.id}/?step={step.key}",
                since=line["oldest"],
                due_at=steps.deadline(step, line["oldest"]),
                count=line["total"],
            )
        )
    return found
