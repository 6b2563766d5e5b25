"""REST: programmes, their money, and awards. Sums go in as whole won and come out as micro-won."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from ninja import Field, Router, Schema, Status

from dure.contracts.directory import HIGHEST_LIMIT
from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.access.services import Limits
from dure.control.foundation import clock
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import Invalid
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.identity import selectors as identity
from dure.control.programmes import selectors, services
from dure.control.programmes.plan import Sources
from dure.control.programmes.units import KRW

router = Router(tags=["programmes"])
SizeClass = Literal["micro", "small", "medium", "mid_sized", "large", "none"]


class ProgrammeOut(Schema):
    """granted + own contribution = spent + remaining; `granted` is public money."""

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
    own_contribution_micro_won: int
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
    source: str | None = None
    id: UUID | None = None


class AppropriationIn(Schema):
    """Whole won (`krw`), or an `amount` of another `unit`; `source` can be left out where there is one only. Awards are
    granted in won only: what is counted in another unit is kept on record."""

    krw: int = 0
    amount: int = 0
    unit: str = KRW
    source: str | None = None
    memo: str = ""
    id: UUID | None = None


class AppropriationOut(Schema):
    """`through` is the programme that passed it on."""

    id: UUID
    amount: int
    unit: str
    source: str
    through: str | None
    memo: str
    created_at: datetime


class AwardOut(Schema):
    """granted + own paid = spent + remaining + returned + own returned; `remaining` includes `escrow`.

    `granted` and `returned` are public money; the own share joins the award when it is paid.
    """

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
    own_share_bp: int
    own_share_micro_won: int
    own_paid_micro_won: int
    own_returned_micro_won: int
    own_contribution_due: str
    line: str | None
    valid_from: datetime
    valid_until: datetime | None
    created_at: datetime
    ended_at: datetime | None
    end_reason: str
    closed_at: datetime | None


class SumsOut(Schema):
    granted_micro_won: int
    own_paid_micro_won: int
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
    endpoints: list[str] = Field(default_factory=list, max_length=50)


class AwardIn(Schema):
    """`krw` is the public money, or with `of_total` that and the own share together.

    `line` can be left out where the programme has at most one. `sources` are whole won by source, or the sources to take
    it from; by default each gives in proportion to what it has left. `size_class` decides the own share; by
    default it is what the organisation has stated. `id` is yours to choose: the same id again answers the same
    award and grants nothing more.
    """

    programme: str
    organisation: str
    krw: int
    name: str = ""
    name_en: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    limits: AwardLimitsIn | None = None
    line: str | None = None
    sources: dict[str, int] | list[str] | None = None
    size_class: SizeClass | None = None
    of_total: bool = False
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
        source_slug=body.source,
        request_id=body.id,
    )
    return Status(201 if added.result == "created" else 200, added.programme.as_dict())


@router.get("/programmes/{slug}", response={200: ProgrammeOut, **ERRORS})
@audience("public")
def show_programme(request: Request, slug: str) -> object:
    """One programme; public."""
    return selectors.programme(actor=actor_of(request), slug=slug).as_dict()


@router.get("/programmes/{slug}/appropriations", response={200: list[AppropriationOut], **ERRORS})
@audience("public")
def list_appropriations(request: Request, slug: str) -> object:
    """The money put into a programme, latest first; public."""
    selectors.programme(actor=actor_of(request), slug=slug)
    return [
        {
            **{name: getattr(one, name) for name in ("id", "amount", "unit", "memo", "created_at")},
            "source": one.source.slug,
            "through": one.through.slug if one.through else None,
        }
        for one in selectors.appropriations(actor=actor_of(request), slug=slug)
    ]


@router.post("/programmes/{slug}/appropriations", response={200: ProgrammeOut, 201: ProgrammeOut, **ERRORS})
@audience(*OFFICERS)
def appropriate(request: Request, slug: str, body: AppropriationIn) -> object:
    """Put more money into a programme."""
    added = services.appropriate(
        actor=actor_of(request),
        programme_slug=slug,
        amount=amount_of(body.krw, body.amount, body.unit),
        unit=body.unit,
        source_slug=body.source,
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
@audience(*OFFICERS)
def grant_award(request: Request, body: AwardIn) -> object:
    """Grant an organisation money of a programme; never more than the programme has left."""
    granted = services.grant_award(
        actor=actor_of(request),
        programme_slug=body.programme,
        organisation_slug=body.organisation,
        micro_won=body.krw * MICRO_WON_PER_WON,
        name=body.name,
        name_en=body.name_en,
        valid_from=aware(body.valid_from),
        valid_until=aware(body.valid_until),
        limits=_limits(body.limits),
        line=body.line,
        sources=_sources(body.sources),
        size_class=body.size_class,
        of_total=body.of_total,
        request_id=body.id,
    )
    return Status(201 if granted.result == "created" else 200, granted.award.as_dict())


@router.get("/awards/{award_id}", response={200: AwardOut, **ERRORS})
@audience("signed_in")
def show_award(request: Request, award_id: UUID) -> object:
    """One award; others' are not there."""
    return selectors.award(actor=actor_of(request), award_id=award_id).as_dict()


@router.post("/awards/{award_id}/end", response={200: AwardOut, **ERRORS})
@audience(*OFFICERS)
def end_award(request: Request, award_id: UUID, body: EndIn) -> object:
    """End an award; what is unspent goes back to the programme. Doing so again changes nothing."""
    view, _changed = services.end_award(actor=actor_of(request), award_id=award_id, reason=body.reason)
    return view.as_dict()


def amount_of(krw: int, amount: int, unit: str) -> int:
    """In the unit's smallest part: won are given whole."""
    if krw and (amount or unit != KRW):
        raise Invalid(
            "amount_ambiguous", _("Give either whole won, or an amount of another unit."), field="krw"
        )
    return krw * MICRO_WON_PER_WON if krw else amount


def _sources(body: dict[str, int] | list[str] | None) -> Sources | None:
    if isinstance(body, dict):
        return {slug: krw * MICRO_WON_PER_WON for slug, krw in body.items()}
    return body


def aware(moment: datetime | None) -> datetime | None:
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
        endpoints=tuple(body.endpoints),
    )
