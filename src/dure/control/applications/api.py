"""REST: everything an applicant and an officer do with applications.

Fields are saved one by one or several together, each against the version its writer began from: two programs that
write one application lose nothing of each other's. Sums come out as micro-won, and go in as whole won.
"""

from datetime import datetime
from typing import Any, BinaryIO, Literal, cast
from uuid import UUID

from django.http import FileResponse, HttpResponse
from ninja import Field, File, Form, Query, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import AwareDatetime

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.applications import desk, selectors, services
from dure.control.applications.timing import waited
from dure.control.foundation import files
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience

router = Router(tags=["applications"])


class OrganisationRef(Schema):
    slug: str
    name_ko: str
    name_en: str


class ApplicationLineOut(Schema):
    """`step` is a key of the round's step graph; `changed` says that there is text that was not submitted yet."""

    id: UUID
    number: str
    title: str
    state: str
    step: str
    organisation: OrganisationRef
    call: str
    round_id: UUID
    asked_micro_won: int | None
    changed: bool
    created_at: datetime
    submitted_at: datetime | None
    step_entered_at: datetime
    ended_at: datetime | None
    deadline: datetime
    award_id: UUID | None

    @staticmethod
    def resolve_call(one: selectors.ApplicationLine) -> str:
        return one.round.call.slug

    @staticmethod
    def resolve_round_id(one: selectors.ApplicationLine) -> UUID:
        return one.round.id


class PageOut(Schema):
    """`asked_micro_won` is the sum over all rows that the filters let through."""

    items: list[ApplicationLineOut]
    total: int
    asked_micro_won: int
    page: int
    page_size: int


class AnswerOut(Schema):
    field: str
    value: Any
    version: int
    updated_at: datetime
    updated_by_name: str


class ApplicationAttachmentOut(Schema):
    id: UUID
    field: str
    name: str
    sha256: str
    size: int
    media_type: str
    added_at: datetime
    added_by_name: str


class WriterOut(Schema):
    person_id: UUID
    name: str
    lead: bool

    @staticmethod
    def resolve_person_id(one: selectors.WriterView) -> UUID:
        return one.person.id

    @staticmethod
    def resolve_name(one: selectors.WriterView) -> str:
        return one.person.name


class SubmissionOut(Schema):
    """`receipt` is the signed text itself; verify it with the keys at /api/v1/signing-keys (Ed25519)."""

    number: int
    at: datetime
    by_name: str
    sha256: str
    receipt: str
    key_id: str
    signature: str


class PassageOut(Schema):
    step: str
    outcome: str
    to_step: str
    reason: str
    automatic: bool
    at: datetime


class CompletenessOut(Schema):
    fields: list[str]
    reason: str
    asked_at: datetime
    due_at: datetime
    answered_at: datetime | None
    expired_at: datetime | None


class DecisionOut(Schema):
    outcome: str
    reason: str
    granted_micro_won: int | None
    automatic: bool
    grounds: dict[str, Any] | None
    at: datetime


class ApplicationOut(ApplicationLineOut):
    answers: list[AnswerOut]
    attachments: list[ApplicationAttachmentOut]
    writers: list[WriterOut]
    submissions: list[SubmissionOut]
    passages: list[PassageOut]
    requests: list[CompletenessOut]
    decisions: list[DecisionOut]
    extended_until: datetime | None
    may: list[str]

    @staticmethod
    def resolve_may(one: selectors.ApplicationView) -> list[str]:
        return sorted(one.may)


class StartIn(Schema):
    round_id: UUID


class FieldAnswerIn(Schema):
    """`base_version` is the version you began from, 0 for a field that was empty; or `base` is the value itself."""

    value: Any = None
    base_version: int = Field(0, ge=0, le=2_000_000_000)
    base: Any = None


class AnswersIn(Schema):
    answers: dict[str, FieldAnswerIn] = Field(..., max_length=500)


class SavedOut(Schema):
    """`merged`: somebody else's change is in the value; `conflict`: both texts are, marked."""

    field: str
    value: Any
    version: int
    merged: bool
    conflict: bool


class WriterIn(Schema):
    email: str = Field(..., max_length=254)


class ApplicationReasonIn(Schema):
    reason: str = Field("", max_length=4_000)


class AdvanceIn(ApplicationReasonIn):
    outcome: str = Field(..., max_length=60)


class CompletionIn(ApplicationReasonIn):
    fields: list[str] = Field([], max_length=500)
    due_at: AwareDatetime


class ExtensionIn(ApplicationReasonIn):
    until: AwareDatetime


class DecisionIn(ApplicationReasonIn):
    """`krw` is what is granted, in whole won; left out, what was asked for."""

    outcome: Literal["accepted", "rejected"]
    krw: int | None = Field(None, gt=0, le=9_000_000_000_000)


class ApplicationAwardIn(Schema):
    """`line` is the programme's budget line that pays; left out, the one on which all that was asked for stands."""

    valid_until: AwareDatetime | None = None
    line: str = Field("", max_length=60)


class BulkIn(ApplicationReasonIn):
    ids: list[UUID] = Field(..., min_length=1, max_length=500)
    verb: Literal["advance", "accept", "reject", "award"]
    outcome: str = Field("", max_length=60)


class BulkOut(Schema):
    id: UUID
    done: bool
    error: dict[str, Any] | None


class SubmittedOut(SubmissionOut):
    """`result` is `exists` where nothing had changed since the last submission."""

    result: str
    application_state: str
    award_id: UUID | None


class DeskStepOut(Schema):
    """How many wait at a step of the round."""

    step: str
    title: str
    waiting: int


class DeskRoundOut(Schema):
    """A round in numbers. `asked_micro_won` is what those ask for that wait; `waiting` leaves those out that are still
    before their deadline."""

    round_id: UUID
    call: str
    number: int
    phase: str
    closes_at: datetime | None
    drafts: int
    submitted: int
    accepted: int
    refused: int
    awarded: int
    waiting: int
    steps: list[DeskStepOut]
    budget_micro_won: int
    asked_micro_won: int
    granted_micro_won: int
    left_micro_won: int
    oldest_at: datetime | None
    oldest_step: str

    @classmethod
    def of(cls, line: desk.RoundLine) -> "DeskRoundOut":
        same = (
            "drafts submitted accepted refused awarded waiting asked_micro_won granted_micro_won left_micro_won"
            " oldest_at oldest_step"
        ).split()
        return cls(
            round_id=line.round.id,
            call=line.round.call.slug,
            number=line.round.number,
            phase=line.round.phase,
            closes_at=line.round.closes_at,
            steps=[DeskStepOut(step=step.key, title=step.title, waiting=many) for step, many in line.steps],
            budget_micro_won=line.round.budget_micro_won,
            **{name: getattr(line, name) for name in same},
        )


@router.get("/applications", response={200: PageOut, **ERRORS})
@audience("signed_in")
def list_applications(
    request: Request,
    search: str = Query("", max_length=200),
    state: str = Query("", max_length=20),
    step: str = Query("", max_length=60),
    round_id: UUID | None = None,
    call: str = Query("", max_length=63),
    order: Literal["newest", "oldest", "submitted", "number", "sum"] = "newest",
    page: int = Query(1, ge=1, le=100_000),
    page_size: int = Query(30, ge=1, le=200),
) -> object:
    """One's organisation's applications; for officers, what was submitted to their agency."""
    return selectors.applications(
        actor=actor_of(request),
        search=search,
        state=state,
        step=step,
        round_id=round_id,
        call_slug=call,
        order=order,
        page=page,
        page_size=page_size,
    )


@router.post("/applications", response={201: ApplicationOut, **ERRORS})
@audience("signed_in")
def start(request: Request, body: StartIn) -> object:
    """Begin an application for the organisation one acts for, or get the one that is there."""
    return Status(201, services.start(actor=actor_of(request), round_id=body.round_id))


@router.get("/applications/{application_id}", response={200: ApplicationOut, **ERRORS})
@audience("signed_in")
def show(request: Request, application_id: UUID) -> object:
    """One application: to its own organisation as it is written, to officers as it was submitted."""
    return selectors.application(actor=actor_of(request), application_id=application_id)


@router.patch("/applications/{application_id}/answers", response={200: list[SavedOut], **ERRORS})
@audience("signed_in")
def save_answers(request: Request, application_id: UUID, body: AnswersIn) -> object:
    """Save fields, all or none."""
    return services.save_answers(
        actor=actor_of(request),
        application_id=application_id,
        answers={name: (one.value, one.base_version) for name, one in body.answers.items()},
        bases={name: one.base for name, one in body.answers.items() if "base" in one.model_fields_set},
        waited=waited(request),
    )


@router.get(
    "/applications/{application_id}/answers/{field}/revisions", response={200: list[AnswerOut], **ERRORS}
)
@audience("signed_in")
def list_revisions(request: Request, application_id: UUID, field: str) -> object:
    """Every state of one field, newest first."""
    return selectors.revisions(actor=actor_of(request), application_id=application_id, field=field)


@router.post("/applications/{application_id}/attachments", response={201: ApplicationAttachmentOut, **ERRORS})
@audience("signed_in")
def attach(request: Request, application_id: UUID, field: Form[str], file: File[UploadedFile]) -> object:
    """Put a file into a field of files (multipart: `field`, `file`)."""
    view = services.attach(
        actor=actor_of(request),
        application_id=application_id,
        field=field,
        stream=cast("BinaryIO", file.file),
        name=file.name or "",
        waited=waited(request),
    )
    return Status(201, view)


@router.get("/applications/{application_id}/attachments/{attachment_id}", response={200: None, **ERRORS})
@audience("signed_in")
def download(request: Request, application_id: UUID, attachment_id: UUID) -> FileResponse:
    """The file itself."""
    found = selectors.attachment(
        actor=actor_of(request), application_id=application_id, attachment_id=attachment_id
    )
    return files.response(found.sha256, found.name)


@router.delete(
    "/applications/{application_id}/attachments/{attachment_id}",
    response={200: ApplicationAttachmentOut, **ERRORS},
)
@audience("signed_in")
def detach(request: Request, application_id: UUID, attachment_id: UUID) -> object:
    """Take a file out of the text; a submission that had it keeps it."""
    return services.detach(
        actor=actor_of(request), application_id=application_id, attachment_id=attachment_id
    )


@router.post("/applications/{application_id}/writers", response={200: ApplicationOut, **ERRORS})
@audience("signed_in")
def invite_writer(request: Request, application_id: UUID, body: WriterIn) -> object:
    """Let a colleague write, too."""
    return services.invite_writer(actor=actor_of(request), application_id=application_id, email=body.email)


@router.delete("/applications/{application_id}/writers/{person_id}", response={200: ApplicationOut, **ERRORS})
@audience("signed_in")
def remove_writer(request: Request, application_id: UUID, person_id: UUID) -> object:
    """Take a co-writer off."""
    return services.remove_writer(actor=actor_of(request), application_id=application_id, person_id=person_id)


@router.post("/applications/{application_id}/lead/{person_id}", response={200: ApplicationOut, **ERRORS})
@audience("signed_in")
def name_lead(request: Request, application_id: UUID, person_id: UUID) -> object:
    """Hand the lead to another writer."""
    return services.name_lead(actor=actor_of(request), application_id=application_id, person_id=person_id)


@router.post("/applications/{application_id}/submit", response={200: SubmittedOut, **ERRORS})
@audience("signed_in")
def submit(request: Request, application_id: UUID) -> object:
    """Hand it in. What counts is when this request arrived. A small request is decided on at once."""
    actor = actor_of(request)
    done = services.submit(actor=actor, application_id=application_id, waited=waited(request))
    if done.by_rule:
        services.decide_at_once(application_id)
    state, award_id = selectors.standing_of(application_id) if done.by_rule else (done.state, done.award_id)
    made = done.submission
    names = [*SubmissionOut.model_fields]
    return {
        **{name: getattr(made, name) for name in names},
        "result": done.result,
        "application_state": state,
        "award_id": award_id,
    }


@router.get("/applications/{application_id}/receipt", response={200: dict[str, Any], **ERRORS})
@audience("signed_in")
def receipt(
    request: Request, application_id: UUID, number: int | None = Query(None, ge=1, le=1_000_000)
) -> object:
    """The signed receipt of a submission, the last one where no number is given."""
    return selectors.receipt(actor=actor_of(request), application_id=application_id, number=number).envelope()


@router.get("/applications/{application_id}/content", response={200: dict[str, Any], **ERRORS})
@audience("signed_in")
def content(
    request: Request, application_id: UUID, number: int | None = Query(None, ge=1, le=1_000_000)
) -> HttpResponse:
    """What was handed in, to the byte: its SHA-256 is the receipt's `content_sha256`."""
    found = selectors.receipt(actor=actor_of(request), application_id=application_id, number=number)
    return HttpResponse(found.content, content_type="application/json; charset=utf-8")


@router.post("/applications/{application_id}/withdraw", response={200: ApplicationOut, **ERRORS})
@audience("signed_in")
def withdraw(request: Request, application_id: UUID, body: ApplicationReasonIn) -> object:
    """Take it back for good."""
    return services.withdraw(actor=actor_of(request), application_id=application_id, reason=body.reason)


@router.post("/applications/{application_id}/discard-changes", response={200: ApplicationOut, **ERRORS})
@audience("signed_in")
def discard_changes(request: Request, application_id: UUID) -> object:
    """Put back the text of the last submission."""
    return services.discard_changes(actor=actor_of(request), application_id=application_id)


@router.post("/applications/{application_id}/object", response={200: ApplicationOut, **ERRORS})
@audience("signed_in")
def object_to_decision(request: Request, application_id: UUID, body: ApplicationReasonIn) -> object:
    """Object to a rejection."""
    return services.object_to_decision(
        actor=actor_of(request), application_id=application_id, reason=body.reason
    )


@router.get("/applications/{application_id}/timeline", response={200: list[dict[str, Any]], **ERRORS})
@audience("signed_in")
def timeline(request: Request, application_id: UUID) -> object:
    """Everything that happened to it, newest first."""
    events = selectors.timeline(actor=actor_of(request), application_id=application_id)
    return [{"at": one.at, "action": one.action, "by": one.actor_name, "after": one.after} for one in events]


@router.post("/applications/{application_id}/advance", response={200: ApplicationOut, **ERRORS})
@audience(*OFFICERS)
def advance(request: Request, application_id: UUID, body: AdvanceIn) -> object:
    """Leave the present step with an outcome."""
    return services.advance(
        actor=actor_of(request), application_id=application_id, outcome=body.outcome, reason=body.reason
    )


@router.post("/applications/{application_id}/completion", response={200: ApplicationOut, **ERRORS})
@audience(*OFFICERS)
def ask_for_completion(request: Request, application_id: UUID, body: CompletionIn) -> object:
    """Ask for what is missing; the named fields open again until `due_at`."""
    return services.ask_for_completion(
        actor=actor_of(request),
        application_id=application_id,
        fields=body.fields,
        reason=body.reason,
        due_at=body.due_at,
    )


@router.post("/applications/{application_id}/extension", response={200: ApplicationLineOut, **ERRORS})
@audience(*OFFICERS)
def extend(request: Request, application_id: UUID, body: ExtensionIn) -> object:
    """Give one applicant more time."""
    return services.extend(
        actor=actor_of(request), application_id=application_id, until=body.until, reason=body.reason
    )


@router.post("/applications/{application_id}/decision", response={200: ApplicationOut, **ERRORS})
@audience(*OFFICERS)
def decide(request: Request, application_id: UUID, body: DecisionIn) -> object:
    """Accept for a sum, or reject with a reason."""
    return services.decide(
        actor=actor_of(request),
        application_id=application_id,
        outcome=body.outcome,
        reason=body.reason,
        granted_micro_won=body.krw * MICRO_WON_PER_WON if body.krw is not None else None,
    )


@router.post("/applications/{application_id}/award", response={200: ApplicationOut, **ERRORS})
@audience(*OFFICERS)
def award(request: Request, application_id: UUID, body: ApplicationAwardIn) -> object:
    """Grant what was decided, on the ledger; twice grants once."""
    return services.award(
        actor=actor_of(request), application_id=application_id, valid_until=body.valid_until, line=body.line
    )


@router.post("/desk/bulk", response={200: list[BulkOut], **ERRORS})
@audience(*OFFICERS)
def bulk(request: Request, body: BulkIn) -> object:
    """The same for several; what is refused for one does not hold up another."""
    results = services.in_bulk(
        actor=actor_of(request),
        application_ids=body.ids,
        verb=body.verb,
        reason=body.reason,
        outcome=body.outcome,
    )
    return [
        {"id": one.application_id, "done": one.done, "error": one.error.as_dict() if one.error else None}
        for one in results
    ]


@router.get("/desk/rounds", response={200: list[DeskRoundOut], **ERRORS})
@audience(*OFFICERS, "auditor")
def list_desk_rounds(request: Request) -> object:
    """The rounds that the caller decides on, in numbers; where something waits longest first."""
    return [DeskRoundOut.of(line) for line in desk.round_lines(actor=actor_of(request))]


@router.get("/desk/rounds/{round_id}", response={200: DeskRoundOut, **ERRORS})
@audience(*OFFICERS, "auditor")
def show_desk_round(request: Request, round_id: UUID) -> object:
    """One round in numbers."""
    return DeskRoundOut.of(desk.round_line(actor=actor_of(request), round_id=round_id))
