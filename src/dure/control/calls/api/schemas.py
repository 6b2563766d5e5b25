"""What goes in and comes out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation import clock
from dure.control.foundation.money import MAX_KRW


class ExtensionOut(Schema):
    """`created_by_name` is empty for everybody but the call's officers."""

    id: UUID
    old_closes_at: datetime
    new_closes_at: datetime
    reason: str
    created_at: datetime
    created_by_name: str


class AutomaticOut(Schema):
    """Limits of approval by rule."""

    most_micro_won: int
    valid_days: int
    most_per_group: int


class RoundOut(Schema):
    """`phase` follows from the state and the two moments; it is open up to and with the second `closes_at`."""

    id: UUID
    call: str
    number: int
    name_ko: str
    name_en: str
    state: str
    phase: str
    opens_at: datetime | None
    closes_at: datetime | None
    questions_until: datetime | None
    form_version_id: UUID | None
    rule_version_id: UUID | None
    budget_micro_won: int
    least_micro_won: int | None
    most_micro_won: int | None
    automatic: AutomaticOut | None
    published_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    extensions: list[ExtensionOut]


class RoundWholeOut(RoundOut):
    """With what applicants are asked, in the shapes of docs/call-format.md."""

    form: dict[str, Any]
    requirements: list[Any]
    steps: dict[str, Any]


class CallAttachmentOut(Schema):
    id: UUID
    name: str
    size: int
    media_type: str
    sha256: str
    title_ko: str
    title_en: str
    added_at: datetime


class CallChangeOut(Schema):
    """A correction: the fields that differ, before and after."""

    id: UUID
    reason: str
    before: dict[str, Any]
    after: dict[str, Any]
    created_at: datetime
    created_by_name: str


class CallLineOut(Schema):
    """With the round that matters now: one that is open, else the next, else the latest."""

    id: UUID
    slug: str
    kind: str
    state: str
    phase: str
    name_ko: str
    name_en: str
    summary_ko: str
    summary_en: str
    programme: str
    published_at: datetime | None
    round_id: UUID | None
    opens_at: datetime | None
    closes_at: datetime | None
    budget_micro_won: int | None
    least_micro_won: int | None
    most_micro_won: int | None


class CallPageOut(Schema):
    items: list[CallLineOut]
    total: int
    page: int
    page_size: int


class CallOut(Schema):
    id: UUID
    slug: str
    kind: str
    state: str
    name_ko: str
    name_en: str
    summary_ko: str
    summary_en: str
    text_ko: str
    text_en: str
    programme: str
    created_at: datetime
    published_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    copied_from: str | None
    needs_review: bool
    takes_questions: bool
    rounds: list[RoundOut]
    attachments: list[CallAttachmentOut]
    changes: list[CallChangeOut]


class CallIn(Schema):
    """`template` begins from one that ships with Dure. `id` is yours to choose: the same id again answers the same call."""

    slug: str
    programme: str
    kind: str = ""
    name_ko: str = ""
    name_en: str = ""
    summary_ko: str = ""
    summary_en: str = ""
    text_ko: str = ""
    text_en: str = ""
    template: str | None = None
    id: UUID | None = None


class CallChangeIn(Schema):
    """Only what is given is changed. Of a published call its texts alone, with a reason that everybody can read."""

    slug: str | None = None
    kind: str | None = None
    programme: str | None = None
    name_ko: str | None = None
    name_en: str | None = None
    summary_ko: str | None = None
    summary_en: str | None = None
    text_ko: str | None = None
    text_en: str | None = None
    reviewed: bool | None = None
    reason: str = ""


class CopyIn(Schema):
    slug: str
    programme: str | None = None
    name_ko: str | None = None
    name_en: str | None = None
    years: int = Field(1, ge=0, le=20)


class CallReasonIn(Schema):
    reason: str


class MaybeReasonIn(Schema):
    reason: str = ""


class VersionOut(Schema):
    """`digest` is what the next saving may name as its `base`; a frozen version is used by a published round."""

    id: UUID | None = None
    number: int | None = None
    content: Any = None
    digest: str
    changed_at: datetime | None = None
    changed_by_name: str = ""
    frozen_at: datetime | None = None


class ComparedVersionOut(Schema):
    """`name` is how a version is asked for."""

    name: str
    title: str
    changed_at: datetime | None
    changed_by_name: str
    frozen_at: datetime | None


class ComparedPartOut(Schema):
    """An empty text where there was or is nothing."""

    name: str
    title: str
    before: str
    after: str


class ContentDifferenceOut(Schema):
    key: str
    title: str
    change: str
    parts: list[ComparedPartOut]


class ComparisonOut(Schema):
    part: str
    versions: list[ComparedVersionOut]
    old: ComparedVersionOut | None
    new: ComparedVersionOut | None
    differences: list[ContentDifferenceOut]


class ContentIn(Schema):
    """`content` in the shape of docs/call-format.md. With `base`, nothing is written over that was saved meanwhile."""

    content: Any = None
    base: str | None = None


class CallDocumentIn(Schema):
    """A call as one document, as `GET /calls/{slug}/document` answers it."""

    document: dict[str, Any]
    reason: str = ""


class AutomaticIn(Schema):
    most_krw: int = Field(ge=1, le=MAX_KRW)
    valid_days: int = Field(ge=1, le=36_500)
    most_per_group: int = Field(ge=1, le=10_000)

    def as_values(self) -> dict[str, int]:
        return {
            "most_micro_won": self.most_krw * MICRO_WON_PER_WON,
            "valid_days": self.valid_days,
            "most_per_group": self.most_per_group,
        }


class RoundIn(Schema):
    """Only what is given is set; times without an offset are Seoul's, sums are whole won."""

    name_ko: str | None = None
    name_en: str | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    questions_until: datetime | None = None
    budget_krw: int | None = Field(None, ge=0, le=MAX_KRW)
    least_krw: int | None = Field(None, ge=0, le=MAX_KRW)
    most_krw: int | None = Field(None, ge=1, le=MAX_KRW)
    automatic: AutomaticIn | None = None

    def as_values(self) -> dict[str, Any]:
        """As services take them."""
        values: dict[str, Any] = {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            if name.endswith("_krw"):
                values[name.replace("_krw", "_micro_won")] = value and value * MICRO_WON_PER_WON
            elif name.startswith("name_"):
                values[name] = value or ""
            elif name == "automatic":
                values[name] = value.as_values() if value else None
            else:
                values[name] = value
        return values


class ProblemOut(Schema):
    """`severity` is `problem`, which stops the publication, or `warning`. `where` is a field, or a key in the area."""

    code: str
    area: str
    where: str
    message: str
    remedy: str
    severity: str


class ExtendIn(Schema):
    """`move_steps` moves the dates of the steps after the closing by as much; else they stay."""

    closes_at: datetime
    reason: str
    move_steps: bool = False


class StepOut(Schema):
    """A step that has an end. What was done about it is told to the call's officers alone."""

    key: str
    due_at: datetime
    state: str
    expired_at: datetime | None
    settled_at: datetime | None
    settled_by_name: str
    reason: str


class FindingOut(Schema):
    """`state`: `met`, `not_met`, `needs_document` or `unknown`."""

    key: str
    title_ko: str
    title_en: str
    state: str
    condition: str
    reason: str
    remedy: str


class FitOut(Schema):
    summary: str
    findings: list[FindingOut]


class MatchingIn(Schema):
    requirements: list[Any] = Field(default_factory=list)


class MatchingOut(Schema):
    """How many active organisations there are, and how many of them these rules would fit."""

    organisations: int
    met: int
    needs_document: int
    unknown: int
    not_met: int


class TemplateOut(Schema):
    name: str
    kind: str
    name_ko: str
    name_en: str
    summary_ko: str
    summary_en: str
    days_open: int
    budget_won: int
    least_won: int
    most_won: int


class QuestionOut(Schema):
    """Who asked is told to their own organisation and the call's officers alone."""

    id: UUID
    call_slug: str
    round_id: UUID | None
    number: int
    text: str
    state: str
    asked_at: datetime
    answer_ko: str
    answer_en: str
    withheld_reason: str
    answered_at: datetime | None
    organisation_id: UUID | None
    organisation_name: str
    mine: bool


class QuestionPageOut(Schema):
    items: list[QuestionOut]
    total: int
    page: int
    page_size: int


class QuestionIn(Schema):
    """`id` is yours to choose: the same id again asks nothing more."""

    text: str
    round_id: UUID | None = None
    id: UUID | None = None


class QuestionAnswerIn(Schema):
    """`text` replaces the question where its words would say who asked."""

    answer_ko: str
    answer_en: str = ""
    text: str | None = None


def aware(moment: datetime | None) -> datetime | None:
    """Seoul's time where no offset is given."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=clock.SEOUL)
