"""What the questions answer with, and how a row becomes it."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from dure.control.applications.models import (
    Answer,
    Attachment,
    CompletenessRequest,
    Decision,
    Passage,
    Submission,
)
from dure.control.calls import forms
from dure.control.calls.selectors import RoundView
from dure.control.identity.selectors import OrganisationView, PersonView


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
            files.setdefault(one.field, []).append(file_value(one))
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


@dataclass(frozen=True, slots=True)
class Pulse:
    """How an application stands, for whoever has it open: what changes is what others did.

    `marks` has a short text for each field that changes whenever the field does: an answer's version, or its files.
    """

    state: str
    step: str
    deadline: datetime | None
    marks: dict[str, str]


def file_value(one: AttachmentView) -> dict[str, Any]:
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
