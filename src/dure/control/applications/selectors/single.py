"""One application, for whoever may see it, and what they may do with it now."""

import json
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from dure.control.applications import rules
from dure.control.applications.models import (
    Answer,
    AnswerRevision,
    Application,
    ApplicationMember,
    Attachment,
    CompletenessRequest,
    Submission,
)
from dure.control.applications.selectors.lines import due_of, kind_of_step, line_values, writing_step
from dure.control.applications.selectors.seeing import own_row, visible
from dure.control.applications.selectors.values import (
    AnswerView,
    ApplicationView,
    AttachmentView,
    Pulse,
    SubmissionView,
    WriterView,
    answer_view,
    attachment_view,
    completeness_view,
    decision_view,
    passage_view,
    submission_view,
)
from dure.control.calls import forms
from dure.control.calls import selectors as calls
from dure.control.calls.selectors import RoundView
from dure.control.foundation import audit
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.identity import selectors as identity


def application(*, actor: Actor, application_id: UUID) -> ApplicationView:
    """Raises `NotFound` for what is not the actor's to see."""
    row = visible(actor, application_id)
    return _whole(actor, row)


def pulse(*, actor: Actor, application_id: UUID) -> Pulse:
    """For the application's own organisation; asked for every few seconds."""
    row = own_row(actor, application_id)
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
    return calls.form_of(own_row(actor, application_id).form_version_id)


def revisions(*, actor: Actor, application_id: UUID, field: str) -> list[AnswerView]:
    """Every state one field has had, newest first; its writers' organisation alone sees them."""
    row = own_row(actor, application_id)
    found = AnswerRevision.objects.filter(answer__application=row, answer__field=field).order_by("-version")
    return [AnswerView(field, one.value, one.version, one.at, one.by_name) for one in found[:100]]


def receipt(*, actor: Actor, application_id: UUID, number: int | None = None) -> SubmissionView:
    """The receipt of a submission, the last one where no number is given."""
    row = visible(actor, application_id)
    found = Submission.objects.filter(application=row)
    chosen = found.filter(number=number).first() if number else found.order_by("-number").first()
    if chosen is None:
        raise NotFound(_("Nothing was submitted yet."), code="submission_not_found")
    return submission_view(chosen)


def attachment(*, actor: Actor, application_id: UUID, attachment_id: UUID) -> AttachmentView:
    """A file of an application: officers see what was submitted, its own organisation everything."""
    row = visible(actor, application_id)
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
    row = visible(actor, application_id)
    return audit.events_for("application", row.pk, limit=limit)


def _whole(actor: Actor, row: Application) -> ApplicationView:
    line = line_values(
        row, identity.names_of([row.organisation_id]), calls.rounds_by_id({row.round_id}), due_of([row])
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
        row.state == "submitted" and row.step == writing_step(round_)
    )
    return frozenset(
        _as_applicant(actor, row, kind_of_step(row, round_), members, writing=writing)
        | _as_officer(actor, row, kind_of_step(row, round_), writing=writing)
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
