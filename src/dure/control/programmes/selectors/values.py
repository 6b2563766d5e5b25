"""What the questions about programmes and awards answer: values, each read at one moment."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import get_language

from dure.control.access.selectors import KeyView
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes.models import BudgetLine, Programme, Source


@dataclass(frozen=True, slots=True)
class ProgrammeRef:
    """A programme's names, as other things mention it."""

    id: UUID
    slug: str
    name_ko: str
    name_en: str
    agency_id: UUID | None

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en


@dataclass(frozen=True, slots=True)
class ProgrammeView:
    """A programme and its money, in micro-won, all read at one moment.

    appropriated = left to grant + granted; granted + own contribution = spent + remaining (in awards; escrow is a part
    of it). Money an ended award returned counts as left to grant again. `own_contribution` is what organisations
    brought themselves and is still in awards or spent.
    """

    id: UUID
    slug: str
    name_ko: str
    name_en: str
    agency: OrganisationView | None
    state: str
    created_at: datetime
    appropriated_micro_won: int
    granted_micro_won: int
    left_to_grant_micro_won: int
    own_contribution_micro_won: int
    spent_micro_won: int
    escrow_micro_won: int
    remaining_micro_won: int
    awards: int
    open_awards: int
    organisations: int

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en

    def as_dict(self) -> dict[str, Any]:
        """Flat values for `--json` and REST."""
        flat = {name: getattr(self, name) for name in ProgrammeView.__dataclass_fields__}
        return flat | {"agency": self.agency.slug if self.agency else None}


@dataclass(frozen=True, slots=True)
class SourceView:
    """A public source of money. `organisation_id` is whose it is, where that is known."""

    id: UUID
    slug: str
    name_ko: str
    name_en: str
    kind: str
    organisation_id: UUID | None

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en


@dataclass(frozen=True, slots=True)
class SourceMoney:
    """What one source gives one programme, in the smallest part of its unit.

    given = left + granted; granted = spent + remaining. `spent` is exact: each award's spending is divided over its
    sources as `sharing` says.
    """

    source: SourceView
    programme: ProgrammeRef
    unit: str
    given: int
    left: int
    granted: int
    spent: int

    @property
    def remaining(self) -> int:
        return self.granted - self.spent

    def as_dict(self) -> dict[str, Any]:
        flat = {
            name: getattr(self, name) for name in ("unit", "given", "left", "granted", "spent", "remaining")
        }
        return {"source": self.source.slug, "programme": self.programme.slug, **flat}


@dataclass(frozen=True, slots=True)
class SpentOfSource:
    """One part of an award: a source, or (`source` None) the organisation's own contribution. Micro-won.

    put in = spent + remaining + returned.
    """

    source: SourceView | None
    put_in_micro_won: int
    spent_micro_won: int
    returned_micro_won: int

    @property
    def remaining_micro_won(self) -> int:
        return self.put_in_micro_won - self.spent_micro_won - self.returned_micro_won

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source.slug if self.source else None,
            "put_in_micro_won": self.put_in_micro_won,
            "spent_micro_won": self.spent_micro_won,
            "returned_micro_won": self.returned_micro_won,
            "remaining_micro_won": self.remaining_micro_won,
        }


@dataclass(frozen=True, slots=True)
class CallParts:
    """Whose money one call spent: the parts of its cost by source (None: the own contribution), zeros left out."""

    request_id: UUID
    before_micro_won: int
    cost_micro_won: int
    parts: tuple[tuple[SourceView | None, int], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "request_id": self.request_id,
            "before_micro_won": self.before_micro_won,
            "cost_micro_won": self.cost_micro_won,
            "parts": [
                {"source": source.slug if source else None, "micro_won": micro_won}
                for source, micro_won in self.parts
            ],
        }


@dataclass(frozen=True, slots=True)
class BudgetLineView:
    """A budget line, in the smallest part of its unit; committed = granted on it less returned."""

    key: str
    name_ko: str
    name_en: str
    unit: str
    ceiling: int
    committed: int

    @property
    def left(self) -> int:
        return self.ceiling - self.committed

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in BudgetLineView.__dataclass_fields__} | {
            "left": self.left
        }


@dataclass(frozen=True, slots=True)
class OwnRuleView:
    """The own share asked of one size: basis points of the whole sum, with bounds in micro-won."""

    size_class: str
    share_bp: int
    least_micro_won: int
    most_micro_won: int | None


@dataclass(frozen=True, slots=True)
class OwnContributionView:
    """What own shares a programme asks, and whether they are due `before` the first call or `after`."""

    due: str
    rules: tuple[OwnRuleView, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"due": self.due, "rules": [asdict(rule) for rule in self.rules]}


@dataclass(frozen=True, slots=True)
class EligibleUseView:
    """What a programme's money may be used for; empty and None mean no limit."""

    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OwnPaymentView:
    """An own contribution that arrived."""

    id: UUID
    amount_micro_won: int
    memo: str
    created_at: datetime
    created_by_name: str


@dataclass(frozen=True, slots=True)
class AppropriationView:
    """The transfer that paid it has the same id."""

    id: UUID
    amount: int
    unit: str
    source: SourceView
    through: ProgrammeRef | None
    memo: str
    created_at: datetime
    created_by_name: str


@dataclass(frozen=True, slots=True)
class AwardView:
    """An award and its money, in micro-won, all read at one moment.

    granted + own paid = spent + remaining + returned + own returned. `granted` and `returned` are public money; the own
    contribution joins the award when it is paid. `remaining` includes `escrow`, which gateways hold for calls
    that run or may come; `spent` is what has been posted to providers.
    """

    id: UUID
    programme: ProgrammeRef
    organisation: OrganisationView
    name_ko: str
    name_en: str
    state: str
    granted_micro_won: int
    spent_micro_won: int
    escrow_micro_won: int
    remaining_micro_won: int
    returned_micro_won: int
    own_share_bp: int
    own_share_micro_won: int
    own_paid_micro_won: int
    own_returned_micro_won: int
    own_contribution_due: str
    line: BudgetLineView | None
    valid_from: datetime
    valid_until: datetime | None
    created_at: datetime
    ended_at: datetime | None
    end_reason: str
    closed_at: datetime | None

    @property
    def funded_micro_won(self) -> int:
        """All that the award ever held: public money, and the own contribution as far as it has arrived."""
        return self.granted_micro_won + self.own_paid_micro_won

    @property
    def own_outstanding_micro_won(self) -> int:
        """What of the own contribution has not arrived; nothing once the award has ended."""
        return self.own_share_micro_won - self.own_paid_micro_won if self.is_open else 0

    @property
    def waits_for_own_contribution(self) -> bool:
        """Whether calls are refused until the own contribution has arrived."""
        return self.own_contribution_due == "before" and self.own_outstanding_micro_won > 0

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def being_returned(self) -> bool:
        """Ended, and gateways still hold some of it."""
        return self.state == "returning"

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en

    def as_dict(self) -> dict[str, Any]:
        """Flat values for `--json` and REST."""
        return {
            "id": self.id,
            "programme": self.programme.slug,
            "organisation": self.organisation.slug,
            "name": self.name_ko,
            "name_en": self.name_en,
            "state": self.state,
            "granted_micro_won": self.granted_micro_won,
            "spent_micro_won": self.spent_micro_won,
            "escrow_micro_won": self.escrow_micro_won,
            "remaining_micro_won": self.remaining_micro_won,
            "returned_micro_won": self.returned_micro_won,
            "own_share_bp": self.own_share_bp,
            "own_share_micro_won": self.own_share_micro_won,
            "own_paid_micro_won": self.own_paid_micro_won,
            "own_returned_micro_won": self.own_returned_micro_won,
            "own_contribution_due": self.own_contribution_due,
            "line": self.line.key if self.line else None,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "created_at": self.created_at,
            "ended_at": self.ended_at,
            "end_reason": self.end_reason,
            "closed_at": self.closed_at,
        }


@dataclass(frozen=True, slots=True)
class AwardSums:
    granted_micro_won: int = 0
    own_paid_micro_won: int = 0
    spent_micro_won: int = 0
    escrow_micro_won: int = 0
    remaining_micro_won: int = 0
    returned_micro_won: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """How many awards have come that far, and their money in micro-won."""

    count: int
    micro_won: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Awards by how far they have come. Money: what is left of those `unused` and `running`, what was granted to those
    `spent` to the end, what came back of those `ended`. `never_used` are the oldest of the unused ones."""

    unused: Stage
    running: Stage
    spent: Stage
    ended: Stage
    never_used: list[AwardView]


@dataclass(frozen=True, slots=True)
class AwardPage:
    """One page of awards; `sums` are over every row the filters let through, not over this page."""

    items: list[AwardView]
    total: int
    page: int
    page_size: int
    sums: AwardSums

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.page_size))


@dataclass(frozen=True, slots=True)
class ProgrammePage:
    """One page of programmes, latest first."""

    items: list[ProgrammeView]
    total: int
    page: int
    page_size: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.page_size))


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key and what was called with it."""

    key: KeyView
    last_used_at: datetime | None
    calls: int
    cost_micro_won: int


@dataclass(frozen=True, slots=True)
class HomeTotals:
    """What the public home page tells: sums over all programmes, in micro-won, read at one moment."""

    at: datetime
    programmes: int
    appropriated_micro_won: int
    granted_micro_won: int
    left_to_grant_micro_won: int
    spent_micro_won: int
    remaining_micro_won: int
    open_awards: int
    organisations: int
    models: int
    calls: int
    input_tokens: int
    output_tokens: int


def ref(row: Programme) -> ProgrammeRef:
    return ProgrammeRef(
        id=row.pk, slug=row.slug, name_ko=row.name_ko, name_en=row.name_en, agency_id=row.agency_id
    )


def source_view(row: Source) -> SourceView:
    return SourceView(
        id=row.pk,
        slug=row.slug,
        name_ko=row.name_ko,
        name_en=row.name_en,
        kind=row.kind,
        organisation_id=row.organisation_id,
    )


def line_view(row: BudgetLine) -> BudgetLineView:
    return BudgetLineView(
        key=row.key,
        name_ko=row.name_ko,
        name_en=row.name_en,
        unit=row.unit,
        ceiling=row.ceiling,
        committed=row.committed,
    )
