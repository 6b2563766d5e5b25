"""REST: the sources of programmes' money, their terms, and whose money awards spend.

Sums go in as whole won (`krw`), or as an `amount` of another unit, and come out in the smallest part of their unit
(micro-won).
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from ninja import Field, Router, Schema, Status

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.programmes import selectors, services
from dure.control.programmes.api import AwardOut, ProgrammeOut, SizeClass, amount_of, aware
from dure.control.programmes.own_share import OwnShareRule
from dure.control.programmes.units import KRW
from dure.control.settlement import selectors as settlement

router = Router(tags=["programmes"])
_CALLS = 50


class SourceOut(Schema):
    id: UUID
    slug: str
    name_ko: str
    name_en: str
    kind: str
    organisation_id: UUID | None


class SourceIn(Schema):
    """Without `organisation` the source is your own agency's."""

    slug: str
    name_ko: str
    name_en: str | None = None
    kind: Literal["budget", "fund", "other"] = "budget"
    organisation: str | None = None


class SourceMoneyOut(Schema):
    """given = left + granted; granted = spent + remaining."""

    source: str
    programme: str
    unit: str
    given: int
    left: int
    granted: int
    spent: int
    remaining: int


class SourcePageOut(SourceOut):
    programmes: list[SourceMoneyOut]


class PassOnIn(Schema):
    """`id` is yours to choose: the same id again passes nothing more on."""

    to: str
    source: str
    krw: int = 0
    amount: int = 0
    unit: str = KRW
    memo: str = ""
    id: UUID | None = None


class BudgetLineOut(Schema):
    """In the smallest part of `unit`; committed = granted on it less returned."""

    key: str
    name_ko: str
    name_en: str
    unit: str
    ceiling: int
    committed: int
    left: int


class LineIn(Schema):
    name_ko: str
    name_en: str | None = None
    krw: int = 0
    ceiling: int = 0
    unit: str = KRW


class OwnRuleOut(Schema):
    size_class: str
    share_bp: int
    least_micro_won: int
    most_micro_won: int | None


class OwnContributionOut(Schema):
    """Shares are basis points of the whole sum; a size that is not named owes nothing."""

    due: Literal["before", "after"]
    rules: list[OwnRuleOut]


class OwnRuleIn(Schema):
    size_class: SizeClass
    share_bp: int
    least_krw: int = Field(0, ge=0, le=9_000_000_000_000)
    most_krw: int | None = Field(None, ge=0, le=9_000_000_000_000)


class OwnContributionIn(Schema):
    due: Literal["before", "after"] = "after"
    rules: list[OwnRuleIn] = Field(default_factory=list, max_length=20)


class UseOut(Schema):
    """Empty lists and null mean no limit."""

    models: list[str]
    endpoints: list[str]
    valid_from: datetime | None
    valid_until: datetime | None


class UseIn(Schema):
    models: list[str] = Field(default_factory=list, max_length=200)
    endpoints: list[str] = Field(default_factory=list, max_length=50)
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class PartOut(Schema):
    """`source` null is the organisation's own contribution; put in = spent + remaining + returned."""

    source: str | None
    put_in_micro_won: int
    spent_micro_won: int
    returned_micro_won: int
    remaining_micro_won: int


class CallPartOut(Schema):
    source: str | None
    micro_won: int


class CallPartsOut(Schema):
    """`before` is what the award had spent before this call, in the order in which calls were posted."""

    request_id: UUID
    before_micro_won: int
    cost_micro_won: int
    parts: list[CallPartOut]


class ConfirmIn(Schema):
    """Without `krw`, all that is outstanding. `id` is yours to choose: the same id again confirms nothing more."""

    krw: int | None = None
    memo: str = ""
    id: UUID | None = None


class MemoIn(Schema):
    memo: str = ""


@router.get("/sources", response={200: list[SourceOut], **ERRORS})
@audience("public")
def list_sources(request: Request, search: str = "") -> object:
    """Whose money programmes spend; public."""
    return selectors.sources(search=search)


@router.post("/sources", response={201: SourceOut, **ERRORS})
@audience("officer")
def add_source(request: Request, body: SourceIn) -> object:
    """Name a public source of money."""
    made = services.add_source(
        actor=actor_of(request),
        slug=body.slug,
        name_ko=body.name_ko,
        name_en=body.name_en,
        kind=body.kind,
        organisation_slug=body.organisation,
    )
    return Status(201, made)


@router.get("/sources/{slug}", response={200: SourcePageOut, **ERRORS})
@audience("public")
def show_source(request: Request, slug: str) -> object:
    """A source, and what became of its money in each programme; public."""
    found = selectors.source(slug=slug)
    money = selectors.money_of_source(source_id=found.id)
    names = ("id", "slug", "name_ko", "name_en", "kind", "organisation_id")
    return {name: getattr(found, name) for name in names} | {"programmes": [one.as_dict() for one in money]}


@router.get("/programmes/{slug}/sources", response={200: list[SourceMoneyOut], **ERRORS})
@audience("public")
def list_programme_sources(request: Request, slug: str) -> object:
    """What each source gives a programme, and what of it was spent, to the micro-won; public."""
    return [one.as_dict() for one in selectors.money_of_programme(programme_id=_programme(request, slug).id)]


@router.post("/programmes/{slug}/pass-on", response={200: ProgrammeOut, 201: ProgrammeOut, **ERRORS})
@audience(*OFFICERS)
def pass_on(request: Request, slug: str, body: PassOnIn) -> object:
    """Give what a source gave this programme, and it has not granted, to another programme; answers that one."""
    added = services.pass_on(
        actor=actor_of(request),
        from_slug=slug,
        to_slug=body.to,
        source_slug=body.source,
        amount=amount_of(body.krw, body.amount, body.unit),
        unit=body.unit,
        memo=body.memo,
        request_id=body.id,
    )
    return Status(201 if added.result == "created" else 200, added.programme.as_dict())


@router.get("/programmes/{slug}/lines", response={200: list[BudgetLineOut], **ERRORS})
@audience("public")
def list_lines(request: Request, slug: str) -> object:
    """A programme's budget lines; public."""
    return [line.as_dict() for line in selectors.budget_lines(programme_id=_programme(request, slug).id)]


@router.put("/programmes/{slug}/lines/{key}", response={200: BudgetLineOut, **ERRORS})
@audience(*OFFICERS)
def set_line(request: Request, slug: str, key: str, body: LineIn) -> object:
    """Add a budget line, or change its name or ceiling."""
    return services.set_budget_line(
        actor=actor_of(request),
        programme_slug=slug,
        key=key,
        name_ko=body.name_ko,
        name_en=body.name_en,
        ceiling=amount_of(body.krw, body.ceiling, body.unit),
        unit=body.unit,
    ).as_dict()


@router.get("/programmes/{slug}/own-contribution", response={200: OwnContributionOut, **ERRORS})
@audience("public")
def show_own_contribution(request: Request, slug: str) -> object:
    """The own shares a programme asks; public."""
    return selectors.own_contribution(programme_id=_programme(request, slug).id).as_dict()


@router.put("/programmes/{slug}/own-contribution", response={200: OwnContributionOut, **ERRORS})
@audience(*OFFICERS)
def set_own_contribution(request: Request, slug: str, body: OwnContributionIn) -> object:
    """Set the own shares a programme asks, all at once; awards granted before keep theirs."""
    return services.set_own_contribution(
        actor=actor_of(request),
        programme_slug=slug,
        due=body.due,
        rules={
            rule.size_class: OwnShareRule(
                rule.share_bp,
                rule.least_krw * MICRO_WON_PER_WON,
                None if rule.most_krw is None else rule.most_krw * MICRO_WON_PER_WON,
            )
            for rule in body.rules
        },
    ).as_dict()


@router.get("/programmes/{slug}/eligible-use", response={200: UseOut, **ERRORS})
@audience("public")
def show_eligible_use(request: Request, slug: str) -> object:
    """What a programme's money may be used for; public."""
    return selectors.eligible_use(programme_id=_programme(request, slug).id)


@router.put("/programmes/{slug}/eligible-use", response={200: UseOut, **ERRORS})
@audience(*OFFICERS)
def set_eligible_use(request: Request, slug: str, body: UseIn) -> object:
    """Set what a programme's money may be used for; it holds for new awards."""
    return services.set_eligible_use(
        actor=actor_of(request),
        programme_slug=slug,
        models=body.models,
        endpoints=body.endpoints,
        valid_from=aware(body.valid_from),
        valid_until=aware(body.valid_until),
    )


@router.get("/awards/{award_id}/sources", response={200: list[PartOut], **ERRORS})
@audience("signed_in")
def show_award_sources(request: Request, award_id: UUID) -> object:
    """Whose money an award is, and what of each was spent; the sums are the award's, to the micro-won."""
    selectors.award(actor=actor_of(request), award_id=award_id)
    return [part.as_dict() for part in selectors.spent_by_source(award_id)]


@router.get("/awards/{award_id}/calls-by-source", response={200: list[CallPartsOut], **ERRORS})
@audience("signed_in")
def list_calls_by_source(
    request: Request, award_id: UUID, before: UUID | None = None, limit: int = _CALLS
) -> object:
    """Whose money each call spent, latest first; calls that cost nothing are left out. `before` continues a page."""
    selectors.award(actor=actor_of(request), award_id=award_id)
    limit = min(max(limit, 1), 200)
    calls = [call.request_id for call in settlement.usage(award_id=award_id, before=before, limit=limit)]
    found = selectors.calls_by_source(award_id=award_id, request_ids=calls)
    return [found[request_id].as_dict() for request_id in calls if request_id in found]


@router.post("/awards/{award_id}/own-contribution", response={200: AwardOut, 201: AwardOut, **ERRORS})
@audience(*OFFICERS)
def confirm_own_contribution(request: Request, award_id: UUID, body: ConfirmIn) -> object:
    """Confirm that an own contribution has arrived; it joins the award at once."""
    confirmed = services.confirm_own_contribution(
        actor=actor_of(request),
        award_id=award_id,
        micro_won=None if body.krw is None else body.krw * MICRO_WON_PER_WON,
        memo=body.memo,
        request_id=body.id,
    )
    return Status(201 if confirmed.result == "created" else 200, confirmed.award.as_dict())


@router.post("/awards/{award_id}/own-contribution/repaid", response={200: AwardOut, **ERRORS})
@audience(*OFFICERS)
def confirm_own_contribution_repaid(request: Request, award_id: UUID, body: MemoIn) -> object:
    """Confirm that what an ended award left of the own contribution has been paid back."""
    return services.confirm_own_contribution_repaid(
        actor=actor_of(request), award_id=award_id, memo=body.memo
    ).award.as_dict()


def _programme(request: Request, slug: str) -> selectors.ProgrammeView:
    return selectors.programme(actor=actor_of(request), slug=slug)
