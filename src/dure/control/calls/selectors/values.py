"""The values that cross this room's doors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.utils.translation import get_language

from dure.control.calls import meaning, workflow
from dure.control.calls.eligibility import Requirement
from dure.control.calls.forms import Form
from dure.control.calls.models import Call, CallAttachment, CallChange, Extension, Question, Round
from dure.control.calls.selectors import versions
from dure.control.calls.steps import Graph
from dure.control.calls.workflow import Phase
from dure.control.programmes.selectors import ProgrammeRef


def in_language(korean: str, english: str) -> str:
    """The text in the reader's language; one that is missing borrows the other."""
    return (korean or english) if (get_language() or "ko").startswith("ko") else (english or korean)


@dataclass(frozen=True, slots=True)
class CallRef:
    """A call's names, as other things mention it. `agency_id` is whose officers manage it."""

    id: UUID
    slug: str
    kind: str
    state: str
    name_ko: str
    name_en: str
    programme: ProgrammeRef

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return in_language(self.name_ko, self.name_en)

    @property
    def agency_id(self) -> UUID | None:
        return self.programme.agency_id


@dataclass(frozen=True, slots=True)
class ExtensionView:
    """Who extended is an officer's to know, and empty for others."""

    id: UUID
    old_closes_at: datetime
    new_closes_at: datetime
    reason: str
    created_at: datetime
    created_by_name: str


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of a round that has an end."""

    key: str
    due_at: datetime
    state: str
    expired_at: datetime | None
    settled_at: datetime | None
    settled_by_name: str
    reason: str


@dataclass(frozen=True)
class RoundView:
    """A round as it stands at `read_at`; sums in micro-won.

    A draft shows the form, rules and steps of its call; once it is published they are its own for good.
    """

    id: UUID
    call: CallRef
    number: int
    name_ko: str
    name_en: str
    state: str
    opens_at: datetime | None
    closes_at: datetime | None
    questions_until: datetime | None
    form_version_id: UUID | None
    rule_version_id: UUID | None
    budget_micro_won: int
    least_micro_won: int | None
    most_micro_won: int | None
    automatic: Mapping[str, int] | None
    published_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    read_at: datetime
    steps_content: Any = field(repr=False, default=None)
    extensions: tuple[ExtensionView, ...] = ()

    @property
    def name(self) -> str:
        """Its own name, if it has one, in the reader's language."""
        return in_language(self.name_ko, self.name_en)

    @property
    def phase(self) -> Phase:
        return self.phase_at(self.read_at)

    @property
    def accepts(self) -> bool:
        """Whether it took applications when it was read."""
        return self.is_open(self.read_at)

    def phase_at(self, at: datetime) -> Phase:
        return workflow.phase(self.state, self.opens_at, self.closes_at, at)

    def is_open(self, at: datetime) -> bool:
        """Whether what arrives at this moment is in time."""
        return self.phase_at(at) == "open"

    def takes_questions(self, at: datetime) -> bool:
        until = self.questions_until or self.closes_at
        return self.state == "published" and until is not None and workflow.in_time(at, until)

    @cached_property
    def graph(self) -> Graph:
        return meaning.graph(self.steps_content)

    @cached_property
    def form(self) -> Form:
        """Read when it is asked for; what a published round uses is read once."""
        return versions.form_of(self.form_version_id)

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """Likewise."""
        return versions.requirements_of(self.rule_version_id)

    def as_dict(self) -> dict[str, Any]:
        """Flat values for `--json` and REST."""
        names = (
            *("id", "number", "name_ko", "name_en", "state", "phase", "opens_at", "closes_at"),
            *("questions_until", "form_version_id", "rule_version_id", "budget_micro_won"),
            *("least_micro_won", "most_micro_won", "automatic", "published_at", "ended_at", "end_reason"),
        )
        return {name: getattr(self, name) for name in names} | {
            "call": self.call.slug,
            "extensions": list(self.extensions),
        }


@dataclass(frozen=True, slots=True)
class AttachmentView:
    id: UUID
    call_id: UUID
    sha256: str
    name: str
    size: int
    media_type: str
    title_ko: str
    title_en: str
    added_at: datetime

    @property
    def title(self) -> str:
        return in_language(self.title_ko, self.title_en)


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A correction of a published call; `before` and `after` hold the fields that differ."""

    id: UUID
    reason: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    created_at: datetime
    created_by_name: str


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question; `organisation_id` only for its own people and the officers, `mine` for its own people."""

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
    call_name_ko: str = ""
    call_name_en: str = ""

    @property
    def call_name(self) -> str:
        """In the reader's language."""
        return in_language(self.call_name_ko, self.call_name_en)

    @property
    def answer(self) -> str:
        return in_language(self.answer_ko, self.answer_en)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in QuestionView.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class CallView:
    """A call, whole, as its page shows it. `may_manage`: this reader may change, publish, extend and end it."""

    ref: CallRef
    summary_ko: str
    summary_en: str
    text_ko: str
    text_en: str
    created_at: datetime
    published_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    copied_from: str | None
    template_key: str
    needs_review: bool
    may_manage: bool
    read_at: datetime
    rounds: tuple[RoundView, ...]
    attachments: tuple[AttachmentView, ...]
    changes: tuple[ChangeView, ...]

    @property
    def id(self) -> UUID:
        return self.ref.id

    @property
    def slug(self) -> str:
        return self.ref.slug

    @property
    def kind(self) -> str:
        return self.ref.kind

    @property
    def state(self) -> str:
        return self.ref.state

    @property
    def programme(self) -> ProgrammeRef:
        return self.ref.programme

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def name_ko(self) -> str:
        return self.ref.name_ko

    @property
    def name_en(self) -> str:
        return self.ref.name_en

    @property
    def summary(self) -> str:
        return in_language(self.summary_ko, self.summary_en)

    @property
    def text(self) -> str:
        return in_language(self.text_ko, self.text_en)

    @property
    def round(self) -> RoundView | None:
        """The round that matters now: one that is open (closing first), else the next, else the latest."""
        return leading_round(self.rounds, self.read_at)

    @property
    def takes_questions(self) -> bool:
        return any(one.takes_questions(self.read_at) for one in self.rounds)

    def as_dict(self) -> dict[str, Any]:
        """Flat values for `--json` and REST."""
        names = (
            *("id", "slug", "kind", "state", "name_ko", "name_en", "summary_ko", "summary_en", "text_ko"),
            *("text_en", "created_at", "published_at", "ended_at", "end_reason", "copied_from"),
            *("needs_review", "attachments", "changes", "takes_questions"),
        )
        return {name: getattr(self, name) for name in names} | {
            "programme": self.programme.slug,
            "rounds": [one.as_dict() for one in self.rounds],
        }


@dataclass(frozen=True, slots=True)
class CallLine:
    """A call as lists show it, with the round that matters now and how many rounds are open."""

    ref: CallRef
    summary_ko: str
    summary_en: str
    published_at: datetime | None
    round: RoundView | None
    open_rounds: int
    may_manage: bool
    read_at: datetime

    @property
    def slug(self) -> str:
        return self.ref.slug

    @property
    def kind(self) -> str:
        return self.ref.kind

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def summary(self) -> str:
        return in_language(self.summary_ko, self.summary_en)

    @property
    def phase(self) -> Phase:
        """Draft, closed and cancelled are the call's own; else its round's."""
        if self.ref.state != "published":
            return self.ref.state  # type: ignore[return-value]  # the other states are phases, too
        return self.round.phase if self.round else "closed"

    def as_dict(self) -> dict[str, Any]:
        one = self.round
        return {
            "id": self.ref.id,
            "slug": self.ref.slug,
            "kind": self.ref.kind,
            "state": self.ref.state,
            "phase": self.phase,
            "name_ko": self.ref.name_ko,
            "name_en": self.ref.name_en,
            "summary_ko": self.summary_ko,
            "summary_en": self.summary_en,
            "programme": self.ref.programme.slug,
            "published_at": self.published_at,
            "round_id": one.id if one else None,
            "opens_at": one.opens_at if one else None,
            "closes_at": one.closes_at if one else None,
            "budget_micro_won": one.budget_micro_won if one else None,
            "least_micro_won": one.least_micro_won if one else None,
            "most_micro_won": one.most_micro_won if one else None,
        }


@dataclass(frozen=True, slots=True)
class Page[Item]:
    """One page of a list."""

    items: list[Item]
    total: int
    page: int
    page_size: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.page_size))


@dataclass(frozen=True, slots=True)
class VersionView:
    """A form or a set of rules as it stood; `frozen_at` says since when a published round uses it."""

    id: UUID
    number: int
    content: Any
    digest: str
    changed_at: datetime
    changed_by_name: str
    frozen_at: datetime | None


def leading_round(rounds: tuple[RoundView, ...], at: datetime) -> RoundView | None:
    ranks = {"open": 0, "upcoming": 1, "judging": 2, "closed": 3, "cancelled": 4, "draft": 5}

    def order(one: RoundView) -> tuple[int, float]:
        phase = one.phase_at(at)
        moment = one.opens_at if phase == "upcoming" else one.closes_at
        seconds = moment.timestamp() if moment else 0.0
        return ranks[phase], seconds if phase in {"open", "upcoming"} else -seconds

    return min(rounds, key=order, default=None)


def call_ref(row: Call) -> CallRef:
    """Wants `programme` read along."""
    programme = row.programme
    return CallRef(
        id=row.pk,
        slug=row.slug,
        kind=row.kind,
        state=row.state,
        name_ko=row.name_ko,
        name_en=row.name_en,
        programme=ProgrammeRef(
            id=programme.pk,
            slug=programme.slug,
            name_ko=programme.name_ko,
            name_en=programme.name_en,
            agency_id=programme.agency_id,
        ),
    )


def round_view(
    row: Round,
    ref: CallRef,
    *,
    at: datetime,
    steps: Any,
    form_version_id: UUID | None,
    rule_version_id: UUID | None,
    extensions: tuple[ExtensionView, ...] = (),
) -> RoundView:
    return RoundView(
        id=row.pk,
        call=ref,
        number=row.number,
        name_ko=row.name_ko,
        name_en=row.name_en,
        state=row.state,
        opens_at=row.opens_at,
        closes_at=row.closes_at,
        questions_until=row.questions_until,
        form_version_id=form_version_id,
        rule_version_id=rule_version_id,
        budget_micro_won=row.budget_micro_won,
        least_micro_won=row.least_micro_won,
        most_micro_won=row.most_micro_won,
        automatic=row.automatic,
        published_at=row.published_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        read_at=at,
        steps_content=steps,
        extensions=extensions,
    )


def extension_view(row: Extension, *, with_name: bool) -> ExtensionView:
    return ExtensionView(
        row.pk,
        row.old_closes_at,
        row.new_closes_at,
        row.reason,
        row.created_at,
        row.created_by_name if with_name else "",
    )


def attachment_view(row: CallAttachment) -> AttachmentView:
    names = ("call_id", "sha256", "name", "size", "media_type", "title_ko", "title_en", "added_at")
    return AttachmentView(id=row.pk, **{name: getattr(row, name) for name in names})


def change_view(row: CallChange, *, with_name: bool) -> ChangeView:
    by = row.created_by_name if with_name else ""
    return ChangeView(row.pk, row.reason, row.before, row.after, row.created_at, by)


def version_view(row: Any) -> VersionView:
    return VersionView(
        row.pk, row.number, row.content, row.digest, row.changed_at, row.changed_by_name, row.frozen_at
    )


def question_view(row: Question, *, asker: str, known: bool, mine: bool, officer: bool) -> QuestionView:
    """`known`: this reader may know who asked; the reason for withholding is theirs alone, too."""
    return QuestionView(
        id=row.pk,
        call_slug=row.call.slug,
        round_id=row.round_id,
        number=row.number,
        text=row.text,
        state=row.state,
        asked_at=row.asked_at,
        answer_ko=row.answer_ko,
        answer_en=row.answer_en,
        withheld_reason=row.withheld_reason if mine or officer else "",
        answered_at=row.answered_at,
        organisation_id=row.organisation_id if known else None,
        organisation_name=asker if known else "",
        mine=mine,
        call_name_ko=row.call.name_ko,
        call_name_en=row.call.name_en,
    )
