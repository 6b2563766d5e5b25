"""REST: programmes, their money, and awards. Sums go in as whole won and come out as micro-won."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from ninja import Field, Router, Schema, Status

from dure.contracts.directory import HIGHEST_LIMIT
from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.access.services import Limits
from dure.control.foundation import clock
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.identity import selectors as identity
from dure.control.programmes import selectors, services

router = Router(tags=["programmes"])


class ProgrammeOut(Schema):
    id: UUID
    slug: str
    name_ko: str
    name_en: str
    agency: str | None
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


class ProgrammeIn(Schema):
    """`id` is yours to choose: the same id again answers the same programme."""

    slug: str
    name_ko: str
    name_en: str | None = None
    krw: int
    agency: str | None = None
    id: UUID | None = None


class AppropriationIn(Schema):
    krw: int
    memo: str = ""
    id: UUID | None = None


class AwardOut(Schema):
    """granted = spent + remaining + returned; `remaining` includes `escrow`."""

    id: UUID
    programme: str
    organisation: str
    name: str
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


class SumsOut(Schema):
    granted_micro_won: int
    spent_micro_won: int
    escrow_micro_won: int
    remaining_micro_won: int
    returned_micro_won: int


class AwardPageOut(Schema):
    """`sums` are over all rows that the filters let through."""

    items: list[AwardOut]
    total: int
    page: int
    page_size: int
    sums: SumsOut


class AwardLimitsIn(Schema):
    """null and an empty list mean no limit; `networks` are CIDR."""

    models: list[str] = Field(default_factory=list, max_length=200)
    max_tokens_ceiling: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)
    requests_per_minute: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)
    tokens_per_minute: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)
    concurrency: int | None = Field(None, ge=1, le=HIGHEST_LIMIT)
    networks: list[str] = Field(default_factory=list, max_length=50)


class AwardIn(Schema):
    """`id` is yours to choose: the same id again answers the same award and grants nothing more."""

    programme: str
    organisation: str
    krw: int
    name: str = ""
    name_en: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    limits: AwardLimitsIn | None = None
    id: UUID | None = None


class EndIn(Schema):
    reason: str


@router.get("/programmes", response={200: list[ProgrammeOut], **ERRORS})
@audience("public")
def list_programmes(request: Request, search: str = "", state: str = "") -> object:
    """Programmes and what became of their money; public."""
    return [
        view.as_dict() for view in selectors.programmes(actor=actor_of(request), search=search, state=state)
    ]


@router.post("/programmes", response={200: ProgrammeOut, 201: ProgrammeOut, **ERRORS})
@audience("officer")
def add_programme(request: Request, body: ProgrammeIn) -> object:
    """Found a programme with its first appropriation."""
    added = services.add_programme(
        actor=actor_of(request),
        slug=body.slug,
        name_ko=body.name_ko,
        name_en=body.name_en,
        krw_micro_won=body.krw * MICRO_WON_PER_WON,
        agency_slug=body.agency,
        request_id=body.id,
    )
    return Status(201 if added.result == "created" else 200, added.programme.as_dict())


@router.get("/programmes/{slug}", response={200: ProgrammeOut, **ERRORS})
@audience("public")
def show_programme(request: Request, slug: str) -> object:
    """One programme; public."""
    return selectors.programme(actor=actor_of(request), slug=slug).as_dict()


@router.post("/programmes/{slug}/appropriations", response={200: ProgrammeOut, 201: ProgrammeOut, **ERRORS})
@audience("officer")
def appropriate(request: Request, slug: str, body: AppropriationIn) -> object:
    """Put more money into a programme."""
    added = services.appropriate(
        actor=actor_of(request),
        programme_slug=slug,
        micro_won=body.krw * MICRO_WON_PER_WON,
        memo=body.memo,
        request_id=body.id,
    )
    return Status(201 if added.result == "created" else 200, added.programme.as_dict())


@router.get("/awards", response={200: AwardPageOut, **ERRORS})
@audience("signed_in")
def list_awards(
    request: Request,
    programme: str = "",
    organisation: str = "",
    state: str = "",
    search: str = "",
    order: Literal["created", "granted", "name", "until"] = "created",
    descending: bool = True,
    page: int = 1,
    page_size: int = 20,
) -> object:
    """The awards one may see: the platform all, an organisation its own."""
    actor = actor_of(request)
    organisation_id = None
    if organisation:
        organisation_id = identity.organisation_for(actor=actor, slug_or_id=organisation).id
    found = selectors.awards(
        actor=actor,
        programme_slug=programme,
        organisation_id=organisation_id,
        state=state,
        search=search,
        order=order,
        descending=descending,
        page=page,
        page_size=page_size,
    )
    return {
        "items": [view.as_dict() for view in found.items],
        "total": found.total,
        "page": found.page,
        "page_size": found.page_size,
        "sums": found.sums,
    }


@router.post("/awards", response={200: AwardOut, 201: AwardOut, **ERRORS})
@audience("officer")
def grant_award(request: Request, body: AwardIn) -> object:
    """Grant an organisation money of a programme; never more than the programme has left."""
    granted = services.grant_award(
        actor=actor_of(request),
        programme_slug=body.programme,
        organisation_slug=body.organisation,
        micro_won=body.krw * MICRO_WON_PER_WON,
        name=body.name,
        name_en=body.name_en,
        valid_from=_aware(body.valid_from),
        valid_until=_aware(body.valid_until),
        limits=_limits(body.limits),
        request_id=body.id,
    )
    return Status(201 if granted.result == "created" else 200, granted.award.as_dict())


@router.get("/awards/{award_id}", response={200: AwardOut, **ERRORS})
@audience("signed_in")
def show_award(request: Request, award_id: UUID) -> object:
    """One award; others' are not there."""
    return selectors.award(actor=actor_of(request), award_id=award_id).as_dict()


@router.post("/awards/{award_id}/end", response={200: AwardOut, **ERRORS})
@audience("officer")
def end_award(request: Request, award_id: UUID, body: EndIn) -> object:
    """End an award; what is unspent goes back to the programme. Doing so again changes nothing."""
    view, _changed = services.end_award(actor=actor_of(request), award_id=award_id, reason=body.reason)
    return view.as_dict()


def _aware(moment: datetime | None) -> datetime | None:
    """Seoul's time where no offset is given."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=clock.SEOUL)


def _limits(body: AwardLimitsIn | None) -> Limits | None:
    if body is None:
        return None
    return Limits(
        models=tuple(body.models),
        max_tokens_ceiling=body.max_tokens_ceiling,
        requests_per_minute=body.requests_per_minute,
        tokens_per_minute=body.tokens_per_minute,
        concurrency=body.concurrency,
        networks=tuple(body.networks),
    )
