"""What the questions about programmes and awards answer: values, each read at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import get_language

from dure.control.access.selectors import KeyView
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes.models import Programme


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

    appropriated = left to grant + granted; granted = spent + remaining (in awards; escrow is a part of
    it). Money an ended award returned counts as left to grant again.
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
class AppropriationView:
    """The transfer that paid it has the same id."""

    id: UUID
    amount_micro_won: int
    memo: str
    created_at: datetime
    created_by_name: str


@dataclass(frozen=True, slots=True)
class AwardView:
    """An award and its money, in micro-won, all read at one moment.

    granted = spent + remaining + returned. `remaining` includes `escrow`, which gateways hold for calls
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
    valid_from: datetime
    valid_until: datetime | None
    created_at: datetime
    ended_at: datetime | None
    end_reason: str
    closed_at: datetime | None

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
    spent_micro_won: int = 0
    escrow_micro_won: int = 0
    remaining_micro_won: int = 0
    returned_micro_won: int = 0


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
