"""REST: an award's calls and spending, a provider's earnings, the gateways' state."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Router, Schema

from dure.control.access import selectors as access
from dure.control.foundation.errors import NotFound
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.settlement import selectors

router = Router(tags=["usage"])


class UsageOut(Schema):
    """One call. Money is micro-won; prompts and answers are kept nowhere."""

    request_id: UUID
    award_id: UUID
    key_id: UUID
    model: str
    endpoint: str
    status: str
    http_status: int
    streamed: bool
    estimated: bool
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micro_won: int
    uncovered_micro_won: int
    attempts: int
    error_code: str
    units: dict[str, int]
    tries: list[dict[str, Any]]
    opened_at: datetime
    first_byte_at: datetime | None
    closed_at: datetime
    transfer_id: UUID | None


class SpendOut(Schema):
    group: str | date | UUID | None
    calls: int
    failed_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micro_won: int


class EarningsOut(Schema):
    unpaid_micro_won: int
    lines: list[SpendOut]


class GatewayOut(Schema):
    id: UUID
    node: str
    version: str
    started_at: datetime
    last_seen_at: datetime
    finished_at: datetime | None
    posted_sequence: int
    silent: bool
    escrow_micro_won: int


@router.get("/awards/{award_id}/usage", response={200: list[UsageOut], **ERRORS})
@audience("signed_in")
def list_usage(
    request: Request,
    award_id: UUID,
    status: str | None = None,
    model: str | None = None,
    key: UUID | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> object:
    """An award's calls, latest first; `before` (a request id) continues a page."""
    access.entitlement(actor=actor_of(request), award_id=award_id)
    return selectors.usage(
        award_id=award_id,
        status=status,
        model=model,
        key_id=key,
        before=before,
        limit=min(max(limit, 1), 1_000),
    )


@router.get("/awards/{award_id}/spend", response={200: list[SpendOut], **ERRORS})
@audience("signed_in")
def list_spend(
    request: Request, award_id: UUID, by: Literal["day", "model", "key"] = "day", since: date | None = None
) -> object:
    """What an award spent, by day, model or key."""
    access.entitlement(actor=actor_of(request), award_id=award_id)
    group = {"day": selectors.spend_by_day, "model": selectors.spend_by_model, "key": selectors.spend_by_key}[
        by
    ]
    return group(award_ids=[award_id], since=since)


@router.get("/usage/{request_id}", response={200: UsageOut, **ERRORS})
@audience("signed_in")
def show_usage(request: Request, request_id: UUID) -> object:
    """One call by the id its answer carried in `x-request-id`."""
    view = selectors.usage_record(request_id=request_id)
    if view is None:
        raise NotFound
    access.entitlement(actor=actor_of(request), award_id=view.award_id)
    return view


@router.get("/earnings", response={200: EarningsOut, **ERRORS})
@audience("provider_manager", "administrator", "viewer", of="provider")
def earnings(
    request: Request,
    by: Literal["day", "model"] = "day",
    since: date | None = None,
    until: date | None = None,
) -> object:
    """What one's own provider has earned. No customer is named."""
    actor = actor_of(request)
    assert actor.organisation_id is not None
    return {
        "unpaid_micro_won": selectors.provider_unpaid(provider_id=actor.organisation_id),
        "lines": selectors.provider_earnings(
            provider_id=actor.organisation_id, by=by, since=since, until=until
        ),
    }


@router.get("/gateways", response={200: list[GatewayOut], **ERRORS})
@audience("operator", "auditor")
def list_gateways(request: Request) -> object:
    """Gateway processes that run, or that ended with something left to settle."""
    return selectors.gateway_processes()
