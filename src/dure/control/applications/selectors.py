"""Questions about applications. Values cross; models do not."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext_lazy as _

from dure.control.applications import rules
from dure.control.applications.models import (
    Answer,
    AnswerRevision,
    Application,
    ApplicationMember,
    Attachment,
    CompletenessRequest,
    Decision,
    Extension,
    Passage,
    Submission,
)
from dure.control.applications.workflow import SEEN_BY_OFFICERS, STANDING
from dure.control.calls import forms, steps
from dure.control.calls import selectors as calls
from dure.control.calls.selectors import RoundView
from dure.control.foundation import audit
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView, PersonView

PAGE_SIZE = 30
ORDERS = {
    "newest": ("-created_at",),
    "oldest": ("step_entered_at", "pk"),
    "submitted": ("-submitted_at", "-created_at"),
    "number": ("number",),
    "sum": ("-asked_micro_won", "number"),
}


@dataclass(frozen=True, slots=True)
class AnswerView:
    field: str
    value: Any
    version: int
    updated_at: datetime
    updated_by_name: str


@dataclass(frozen=True, slots=True)
class AttachmentView:
    id: UUID
    field: str
    sha256: str
    name: str
    size: int
    media_type: str
    added_at: datetime
    added_by_name: str
    removed_at: datetime | None


@dataclass(frozen=True, slots=True)
class WriterView:
    person: PersonView
    lead: bool
    added_at: datetime


@dataclass(frozen=True, slots=True)
class SubmissionView:
    id: UUID
    application_id: UUID
    number: int
    at: datetime
    by_name: str
    sha256: str
    receipt: str
    key_id: str
    signature: str
    findings: list[dict[str, str]] = field(repr=False)
    content: str = field(repr=False)

    def envelope(self) -> dict[str, Any]:
        """The receipt as a file: what `dure receipts verify` and the page for it take."""
        return {"content": json.loads(self.receipt), "key_id": self.key_id, "signature": self.signature}


@dataclass(frozen=True, slots=True)
class PassageView:
    step: str
    outcome: str
    to_step: str
    reason: str
    automatic: bool
    at: datetime
    by_name: str


@dataclass(frozen=True, slots=True)
class CompletenessView:
    id: UUID
    fields: tuple[str, ...]
    reason: str
    asked_at: datetime
    asked_by_name: str
    due_at: datetime
    answered_at: datetime | None
    expired_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.answered_at is None and self.expired_at is None


@dataclass(frozen=True, slots=True)
class DecisionView:
    outcome: str
    reason: str
    granted_micro_won: int | None
    automatic: bool
    grounds: dict[str, Any] | None
    at: datetime
    by_name: str


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """An application as lists show it. `deadline` is the last moment of handing in: of a completion, its own."""

    id: UUID
    number: str
    title: str
    state: str
    step: str
    organisation: OrganisationView
    round: RoundView
    asked_micro_won: int | None
    changed: bool
    created_at: datetime
    submitted_at: datetime | None
    step_entered_at: datetime
    ended_at: datetime | None
    award_id: UUID | None
    deadline: datetime

    @property
    def step_title(self) -> str:
        """The step's name in the reader's language."""
        found = self.round.graph.step(self.step)
        return found.title if found else self.step


@dataclass(frozen=True, slots=True)
class ApplicationView(ApplicationLine):
    """One application, whole; `may` says what this actor can do with it now."""

    form: forms.Form
    answers: list[AnswerView]
    attachments: list[AttachmentView]
    writers: list[WriterView]
    submissions: list[SubmissionView]
    passages: list[PassageView]
    requests: list[CompletenessView]
    decisions: list[DecisionView]
    extended_until: datetime | None
    may: frozenset[str]

    @property
    def values(self) -> dict[str, Any]:
        """Field → what stands in it, files included: what `forms.check` and `forms.progress` take."""
        files: dict[str, Any] = {}
        for one in self.attachments:
            files.setdefault(one.field, []).append(_file_value(one))
        return {answer.field: answer.value for answer in self.answers} | files

    @property
    def progress(self) -> forms.Progress:
        return forms.progress(self.form, self.values)

    @property
    def request(self) -> CompletenessView | None:
        """What is asked for just now."""
        return next((one for one in self.requests if one.is_open), None)

    @property
    def decision(self) -> DecisionView | None:
        return self.decisions[-1] if self.decisions else None

    @property
    def last_submission(self) -> SubmissionView | None:
        return self.submissions[-1] if self.submissions else None


@dataclass(frozen=True, slots=True)
class ApplicationsPage:
    """`asked_micro_won` is the sum over all rows that the filters let through, not of this page alone."""

    items: list[ApplicationLine]
    total: int
    asked_micro_won: int
    page: int
    page_size: int


@dataclass(frozen=True, slots=True)
class DeskColumn:
    """A step of the pipeline board: how many wait there, since when, and the first of them."""

    step: str
    title: str
    kind: str
    total: int
    asked_micro_won: int
    oldest_at: datetime | None
    items: list[ApplicationLine]


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing a person has to do. `since` orders them; `due_at` is a deadline where there is one."""

    kind: str
    subject: str
    detail: str
    path: str
    since: datetime
    due_at: datetime | None = None
    count: int = 1


# --- one application -------------------------------------------------------------------------------------------


def application(*, actor: Actor, application_id: UUID) -> ApplicationView:
    """Raises `NotFound` for what is not the actor's to see."""
    row = _visible(actor, application_id)
    return _whole(actor, row)


def standing(*, organisation_id: UUID, round_id: UUID) -> UUID | None:
    """The application that an organisation has in a round, unless it was withdrawn or refused."""
    found = Application.objects.filter(
        round_id=round_id, organisation_id=organisation_id, state__in=sorted(STANDING)
    )
    return found.values_list("pk", flat=True).first()


@dataclass(frozen=True, slots=True)
class Pulse:
    """How an application stands, for whoever has it open: what changes is what others did.

    `marks` has a short text for each field that changes whenever the field does: an answer's version, or its files.
    """

    state: str
    step: str
    deadline: datetime | None
    marks: dict[str, str]


def pulse(*, actor: Actor, application_id: UUID) -> Pulse:
    """For the application's own organisation; asked for every few seconds."""
    row = _own(actor, application_id)
    answers = Answer.objects.filter(application=row).values_list("field", "version")
    marks = {name: str(version) for name, version in answers}
    there = Attachment.objects.filter(application=row, removed_at=None).order_by("added_at", "pk")
    for name, attachment_id in there.values_list("field", "pk"):
        marks[name] = f"{marks[name]}-{attachment_id.hex[-8:]}" if name in marks else attachment_id.hex[-8:]
    request = CompletenessRequest.objects.filter(application=row, answered_at=None, expired_at=None).first()
    closes_at = calls.rounds_by_id({row.round_id})[row.round_id].closes_at
    deadline = request.due_at if request else max(filter(None, (closes_at, row.extended_until)), default=None)
    return Pulse(row.state, row.step, deadline, marks)


def form_for(*, actor: Actor, application_id: UUID) -> forms.Form:
    """The form that an application of one's own organisation is written in."""
    return calls.form_of(_own(actor, application_id).form_version_id)


def answers_of(application_id: UUID) -> dict[str, Any]:
    return dict(Answer.objects.filter(application_id=application_id).values_list("field", "value"))


def files_of(application_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Field → its files, oldest first, as `forms.check` takes them."""
    found: dict[str, list[dict[str, Any]]] = {}
    rows = Attachment.objects.filter(application_id=application_id, removed_at=None).order_by("added_at")
    for row in rows:
        found.setdefault(row.field, []).append(_file_value(attachment_view(row)))
    return found


def revisions(*, actor: Actor, application_id: UUID, field: str) -> list[AnswerView]:
    """Every state one field has had, newest first; its writers' organisation alone sees them."""
    row = _own(actor, application_id)
    found = AnswerRevision.objects.filter(answer__application=row, answer__field=field).order_by("-version")
    return [AnswerView(field, one.value, one.version, one.at, one.by_name) for one in found[:100]]


def receipt(*, actor: Actor, application_id: UUID, number: int | None = None) -> SubmissionView:
    """The receipt of a submission, the last one where no number is given."""
    row = _visible(actor, application_id)
    found = Submission.objects.filter(application=row)
    chosen = found.filter(number=number).first() if number else found.order_by("-number").first()
    if chosen is None:
        raise NotFound(_("Nothing was submitted yet."), code="submission_not_found")
    return submission_view(chosen)


def attachment(*, actor: Actor, application_id: UUID, attachment_id: UUID) -> AttachmentView:
    """A file of an application: officers see what was submitted, its own organisation everything."""
    row = _visible(actor, application_id)
    found = Attachment.objects.filter(application=row, pk=attachment_id).first()
    if found is None:
        raise NotFound(code="attachment_not_found")
    if not rules.is_own(actor, row.organisation_id):
        last = (
            Submission.objects.filter(application=row).order_by("-number").values_list("content", flat=True)
        )
        submitted = {one["sha256"] for one in json.loads(last.first() or '{"files": []}')["files"]}
        if found.sha256 not in submitted:
            raise NotFound(code="attachment_not_found")
    return attachment_view(found)


def timeline(*, actor: Actor, application_id: UUID, limit: int = 100) -> list[Any]:
    """Everything that happened to it, newest first."""
    row = _visible(actor, application_id)
    return audit.events_for("application", row.pk, limit=limit)


def application_line(application_id: UUID) -> ApplicationLine:
    """The line alone, for services that have judged who asks."""
    (line,) = _lines([Application.objects.get(pk=application_id)])
    return line


def standing_of(application_id: UUID) -> tuple[str, UUID | None]:
    """Its state and its award, for services that have judged who asks."""
    return Application.objects.values_list("state", "award_id").get(pk=application_id)


def id_of(number: str) -> UUID:
    """The id of an application by the number that people say; raises `NotFound`. Who may see it is asked later."""
    found = Application.objects.filter(number=number.strip()[:20]).values_list("pk", flat=True).first()
    if found is None:
        raise NotFound(_("There is no such application."), code="application_not_found", field="number")
    return found


def granted_in_round(*, round_id: UUID) -> int:
    """Micro-won that decisions in this round granted."""
    return granted_from_rounds([round_id]).get(round_id, 0)


def grants_in_round(*, round_id: UUID, organisation_ids: Collection[UUID]) -> int:
    """How many grants these organisations have from this round."""
    return Application.objects.filter(
        round_id=round_id, organisation_id__in=set(organisation_ids), state__in=["accepted", "awarded"]
    ).count()


def granted_from_rounds(round_ids: Collection[UUID]) -> dict[UUID, int]:
    """The same for several rounds, by round."""
    rows = Decision.objects.filter(
        outcome="accepted",
        application__round_id__in=set(round_ids),
        application__state__in=["accepted", "awarded"],
    )
    sums = rows.values("application__round_id").annotate(total=Sum("granted_micro_won"))
    return {line["application__round_id"]: int(line["total"]) for line in sums}


# --- lists -----------------------------------------------------------------------------------------------------


def applications(
    *,
    actor: Actor,
    search: str = "",
    state: str = "",
    step: str = "",
    round_id: UUID | None = None,
    call_slug: str = "",
    order: str = "newest",
    page: int = 1,
    page_size: int = PAGE_SIZE,
) -> ApplicationsPage:
    """Those the actor may see: their organisation's, or what was submitted to their agency."""
    found = _filtered(
        _scope(actor), search=search, state=state, step=step, round_id=round_id, call_slug=call_slug
    )
    sums = found.aggregate(total=Count("pk"), asked=Sum("asked_micro_won"))
    total = sums["total"]
    page = max(1, min(page, (total + page_size - 1) // page_size or 1))
    ordered = found.order_by(*ORDERS.get(order, ORDERS["newest"]))
    return ApplicationsPage(
        items=_lines(list(ordered[(page - 1) * page_size : page * page_size])),
        total=total,
        asked_micro_won=int(sums["asked"] or 0),
        page=page,
        page_size=page_size,
    )


def every_application(*, actor: Actor, limit: int = 50_000, **filters: Any) -> list[ApplicationLine]:
    """For an export: all that the filters let through."""
    order = filters.pop("order", "number")
    found = _filtered(_scope(actor), **filters).order_by(*ORDERS.get(order, ORDERS["number"]))
    return _lines(list(found[:limit]))


def lines_of(*, actor: Actor, round_id: UUID, ids: Collection[UUID]) -> list[ApplicationLine]:
    """Those of one round among these that the actor may list, longest at their step first."""
    found = _scope(actor).filter(round_id=round_id, pk__in=set(ids)).order_by("step_entered_at", "pk")
    return _lines(list(found))


def ids_that_match(*, actor: Actor, limit: int, **filters: Any) -> list[UUID]:
    """The same filters as a list's, without its pages; longest at their step first."""
    found = _filtered(_scope(actor), **filters).order_by("step_entered_at", "pk")
    return list(found.values_list("pk", flat=True)[:limit])


def desk(*, actor: Actor, round_id: UUID, shown: int = 20) -> list[DeskColumn]:
    """The pipeline of a round: each step with what waits there, longest first."""
    round_ = calls.round_for(actor=actor, round_id=round_id)
    if not rules.may_decide(actor, round_.call.agency_id, round_.call.programme.id) and not actor.has(
        "auditor"
    ):
        raise NotFound(code="round_not_found")
    here = Application.objects.filter(round_id=round_id, state__in=["submitted", "incomplete", "accepted"])
    sums = {
        line["step"]: line
        for line in here.values("step").annotate(
            total=Count("pk"), asked=Sum("asked_micro_won"), oldest=Min("step_entered_at")
        )
    }
    place = Window(RowNumber(), partition_by="step", order_by=["step_entered_at", "pk"])
    first: dict[str, list[ApplicationLine]] = {}
    for line in _lines(list(here.annotate(place=place).filter(place__lte=shown).order_by("place"))):
        first.setdefault(line.step, []).append(line)
    return [
        DeskColumn(
            step=step.key,
            title=step.title,
            kind=step.kind,
            total=sums[step.key]["total"] if step.key in sums else 0,
            asked_micro_won=int(sums[step.key]["asked"] or 0) if step.key in sums else 0,
            oldest_at=sums[step.key]["oldest"] if step.key in sums else None,
            items=first.get(step.key, []),
        )
        for step in round_.graph.steps
    ]


def counts(*, round_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """Round → state → how many; drafts are counted, never shown."""
    found: dict[UUID, dict[str, int]] = {}
    lines = Application.objects.filter(round_id__in=set(round_ids)).values("round_id", "state")
    for line in lines.annotate(total=Count("pk")):
        found.setdefault(line["round_id"], {})[line["state"]] = line["total"]
    return found


def rounds_standing_in(*, actor: Actor, round_ids: Collection[UUID]) -> set[UUID]:
    """Those of the rounds in which the own organisation has a standing application."""
    if actor.organisation_id is None:
        return set()
    rows = Application.objects.filter(
        organisation_id=actor.organisation_id, round_id__in=set(round_ids), state__in=sorted(STANDING)
    )
    return set(rows.values_list("round_id", flat=True))


def writers_of_drafts(round_id: UUID) -> list[PersonView]:
    """Whom a new deadline concerns: everybody who writes an application of this round."""
    people = ApplicationMember.objects.filter(
        application__round_id=round_id, application__state__in=["draft", "submitted"]
    )
    return identity.person_views(set(people.values_list("person_id", flat=True)))


def duties(*, actor: Actor) -> list[Duty]:
    """What waits for this actor: what has a deadline first, the nearest before the later, then the oldest."""
    found: list[Duty] = []
    if actor.person_id is not None and actor.organisation_id is not None:
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
    for line in _lines(list(rows), due):
        if line.state == "submitted" and line.step != _writing_step(line.round):
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
    rows = _scope(actor).filter(state__in=["submitted", "accepted"])
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


# --- values ----------------------------------------------------------------------------------------------------


def _writing_step(round_: RoundView) -> str:
    return next((step.key for step in round_.graph.steps if step.kind == "application"), "")


def _scope(actor: Actor) -> QuerySet[Application]:
    """What an actor may list at all."""
    rows = Application.objects.all()
    if actor.is_system:
        return rows
    if actor.has("auditor"):
        return rows.filter(state__in=sorted(SEEN_BY_OFFICERS))
    if actor.has("officer"):
        return rows.filter(Q(agency=None) | Q(agency_id=actor.organisation_id)).filter(
            state__in=sorted(SEEN_BY_OFFICERS)
        )
    if actor.organisation_id is None:
        return rows.none()
    if actor.officer_programmes:
        return rows.filter(
            agency_id=actor.organisation_id,
            round__call__programme__in=actor.officer_programmes,
            state__in=sorted(SEEN_BY_OFFICERS),
        )
    return rows.filter(organisation_id=actor.organisation_id)


def _filtered(
    rows: QuerySet[Application],
    *,
    search: str = "",
    state: str = "",
    step: str = "",
    round_id: UUID | None = None,
    call_slug: str = "",
) -> QuerySet[Application]:
    if words := "".join(sign for sign in search if sign.isprintable()).strip():
        rows = rows.filter(
            Q(title__icontains=words)
            | Q(number__icontains=words)
            | Q(organisation__name_ko__icontains=words)
            | Q(organisation__name_en__icontains=words)
        )
    if state:
        rows = rows.filter(state=state)
    if step:
        rows = rows.filter(step=step)
    if round_id:
        rows = rows.filter(round_id=round_id)
    if call_slug:
        rows = rows.filter(round__call__slug=call_slug)
    return rows


@once_a_page
def _visible(actor: Actor, application_id: UUID) -> Application:
    row = Application.objects.select_related("round__call").filter(pk=application_id).first()
    if row is None or not rules.may_see(
        actor,
        organisation_id=row.organisation_id,
        agency_id=row.agency_id,
        programme_id=row.programme_id,
        state=row.state,
    ):
        raise NotFound(_("There is no such application."), code="application_not_found")
    return row


def _own(actor: Actor, application_id: UUID) -> Application:
    """What its own organisation alone may ask about."""
    row = _visible(actor, application_id)
    if not rules.is_own(actor, row.organisation_id):
        raise NotFound(_("There is no such application."), code="application_not_found")
    return row


def _lines(rows: list[Application], due: Mapping[UUID, datetime] | None = None) -> list[ApplicationLine]:
    organisations = identity.names_of({row.organisation_id for row in rows})
    rounds = calls.rounds_by_id({row.round_id for row in rows})
    due = _due(rows) if due is None else due
    return [ApplicationLine(**_line(row, organisations, rounds, due)) for row in rows]


def _due(rows: Collection[Application]) -> dict[UUID, datetime]:
    """Until when those that are to be completed wait."""
    incomplete = [row.pk for row in rows if row.state == "incomplete"]
    if not incomplete:
        return {}
    requests = CompletenessRequest.objects.filter(
        application__in=incomplete, answered_at=None, expired_at=None
    )
    return dict(requests.values_list("application_id", "due_at"))


def _line(
    row: Application,
    organisations: Mapping[UUID, OrganisationView],
    rounds: Mapping[UUID, RoundView],
    due: Mapping[UUID, datetime],
) -> dict[str, Any]:
    round_ = rounds[row.round_id]
    return {
        "id": row.pk,
        "number": row.number,
        "title": row.title,
        "state": row.state,
        "step": row.step,
        "organisation": organisations[row.organisation_id],
        "round": round_,
        "asked_micro_won": row.asked_micro_won,
        "changed": row.changed,
        "created_at": row.created_at,
        "submitted_at": row.submitted_at,
        "step_entered_at": row.step_entered_at,
        "ended_at": row.ended_at,
        "award_id": row.award_id,
        "deadline": due.get(row.pk) or max(filter(None, (round_.closes_at, row.extended_until))),
    }


def _whole(actor: Actor, row: Application) -> ApplicationView:
    line = _line(
        row, identity.names_of([row.organisation_id]), calls.rounds_by_id({row.round_id}), _due([row])
    )
    own = rules.is_own(actor, row.organisation_id)
    members = list(ApplicationMember.objects.filter(application=row).order_by("-lead", "added_at"))
    people = {person.id: person for person in identity.person_views({one.person_id for one in members})}
    submissions = [submission_view(one) for one in row.submissions.order_by("number")]
    answers = [answer_view(one) for one in row.answers.order_by("field")]
    attachments = [
        attachment_view(one) for one in row.attachments.filter(removed_at=None).order_by("added_at")
    ]
    if not own and submissions:
        answers, attachments = _as_submitted(row, submissions[-1], answers)
    return ApplicationView(
        **line,
        form=calls.form_of(row.form_version_id),
        answers=answers,
        attachments=attachments,
        writers=[WriterView(people[one.person_id], one.lead, one.added_at) for one in members],
        submissions=submissions,
        passages=[passage_view(one) for one in row.passages.order_by("pk")],
        requests=[completeness_view(one) for one in row.completeness_requests.order_by("asked_at")],
        decisions=[decision_view(one) for one in row.decisions.order_by("pk")],
        extended_until=row.extended_until,
        may=_may(actor, row, line["round"], members),
    )


def _as_submitted(
    row: Application, submission: SubmissionView, answers: list[AnswerView]
) -> tuple[list[AnswerView], list[AttachmentView]]:
    """Officers read what was handed in, never what is being written since."""
    content = json.loads(submission.content)
    known = {answer.field: answer for answer in answers}
    shown = [
        AnswerView(
            name, value, known[name].version if name in known else 0, submission.at, submission.by_name
        )
        for name, value in content["answers"].items()
    ]
    wanted = {one["sha256"] for one in content["files"]}
    files = row.attachments.filter(sha256__in=wanted).order_by("added_at")
    return shown, [attachment_view(one) for one in files]


def _may(
    actor: Actor, row: Application, round_: RoundView, members: list[ApplicationMember]
) -> frozenset[str]:
    """The verbs that this actor could use now; deadlines are the services' to judge."""
    writing = row.state in {"draft", "incomplete"} or (
        row.state == "submitted" and row.step == _writing_step(round_)
    )
    return frozenset(
        _as_applicant(actor, row, _kind(row, round_), members, writing=writing)
        | _as_officer(actor, row, _kind(row, round_), writing=writing)
    )


def _as_applicant(
    actor: Actor, row: Application, kind: str, members: list[ApplicationMember], *, writing: bool
) -> set[str]:
    may = set()
    writers = {one.person_id for one in members}
    lead = next((one.person_id for one in members if one.lead), None)
    if rules.may_write(actor, organisation_id=row.organisation_id, writers=writers):
        may |= {"read_revisions", *(("write", "invite") if writing else ())}
    if rules.may_hand_in(actor, organisation_id=row.organisation_id, lead=lead):
        may |= {"submit", "lead"} if writing else set()
        if row.state in {"draft", "submitted", "incomplete", "accepted"}:
            may.add("withdraw")
        if row.state == "rejected" and kind == "objection":
            may.add("object")
    return may


def _as_officer(actor: Actor, row: Application, kind: str, *, writing: bool) -> set[str]:
    if row.state == "draft" or not rules.may_decide(actor, row.agency_id, row.programme_id):
        return set()
    may = {"extend"} if writing or row.state == "lapsed" else set()
    if row.state == "submitted" and not writing:
        may |= {"ask_for_completion", "decide" if kind == "decision" else "advance"}
    if row.state == "accepted" and kind == "award":
        may.add("award")
    return may


def _kind(row: Application, round_: RoundView) -> str:
    found = round_.graph.step(row.step)
    return found.kind if found else ""


def _file_value(one: AttachmentView) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "name": one.name,
        "sha256": one.sha256,
        "size": one.size,
        "media_type": one.media_type,
    }


def answer_view(row: Answer) -> AnswerView:
    return AnswerView(row.field, row.value, row.version, row.updated_at, row.updated_by_name)


def attachment_view(row: Attachment) -> AttachmentView:
    names = (
        *("id", "field", "sha256", "name", "size", "media_type", "added_at", "added_by_name"),
        "removed_at",
    )
    return AttachmentView(**{name: getattr(row, name) for name in names})


def submission_view(row: Submission) -> SubmissionView:
    names = (
        *("id", "application_id", "number", "at", "by_name", "sha256", "receipt", "key_id", "signature"),
        *("findings", "content"),
    )
    return SubmissionView(**{name: getattr(row, name) for name in names})


def passage_view(row: Passage) -> PassageView:
    names = ("step", "outcome", "to_step", "reason", "automatic", "at", "by_name")
    return PassageView(**{name: getattr(row, name) for name in names})


def completeness_view(row: CompletenessRequest) -> CompletenessView:
    return CompletenessView(
        row.pk,
        tuple(row.fields),
        row.reason,
        row.asked_at,
        row.asked_by_name,
        row.due_at,
        row.answered_at,
        row.expired_at,
    )


def decision_view(row: Decision) -> DecisionView:
    names = ("outcome", "reason", "granted_micro_won", "automatic", "grounds", "at", "by_name")
    return DecisionView(**{name: getattr(row, name) for name in names})


def extensions(application_id: UUID) -> list[tuple[datetime, str, datetime, str]]:
    """(until, reason, at, by whom) of each extension of one application."""
    found = Extension.objects.filter(application_id=application_id).order_by("at")
    return list(found.values_list("until", "reason", "at", "by_name"))
