"""REST: an award's calls and spending, a provider's earnings, the gateways' state."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Router, Schema

from dure.control.access import selectors as access
from dure.control.foundation.errors import NotFound
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.settlement import selectors, services
from dure.control.settlement.operations import RouteHealth, operations

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


class LossOut(Schema):
    """What officers said about a silent process: `requested`, `confirmed`, `withdrawn` or `expired`."""

    id: UUID
    process_id: UUID
    state: str
    reason: str
    requested_at: datetime
    requested_by_name: str
    expires_at: datetime
    waiting_micro_won: int
    decided_at: datetime | None
    decided_by_name: str
    returned_micro_won: int


class WaitingEscrowOut(Schema):
    """Money of one award that waits for one silent gateway process, since its last word."""

    process_id: UUID
    node: str
    since: datetime
    award_id: UUID
    micro_won: int
    loss: LossOut | None


class GatewayOut(Schema):
    """`state` is running, silent, lost or finished. `figures` is what its last heartbeat told, and may lack any of it."""

    id: UUID
    node: str
    os_pid: int
    version: str
    state: str
    started_at: datetime
    last_seen_at: datetime
    finished_at: datetime | None
    lost_at: datetime | None
    posted_sequence: int
    silent: bool
    escrow_micro_won: int
    unposted_records: int
    unposted_seconds: float
    unposted_bytes: int
    open_requests: int
    open_streams: int
    requests: int
    directory_version: int | None
    directory_age_seconds: float | None
    first_byte_ms: tuple[float, ...]
    total_ms: tuple[float, ...]
    figures: dict[str, Any]
    loss: LossOut | None


class TroubleOut(Schema):
    code: str
    text: str
    remedy: str
    process_id: UUID | None


class RouteOut(Schema):
    """A deployment over the last minutes; percentiles 50, 95 and 99 in milliseconds, of the slowest process."""

    deployment_id: UUID
    name: str
    model: str
    provider: str
    offered: str
    state: str
    outstanding: int
    queued: int
    requests: int
    errors: int
    first_byte_ms: tuple[float, ...]
    total_ms: tuple[float, ...]

    @staticmethod
    def resolve_provider(route: RouteHealth) -> str:
        return route.provider.slug


class DatabaseOut(Schema):
    version: str
    connections: int
    connections_most: int
    size_bytes: int
    replicas: int


class OperationsOut(Schema):
    """`troubles` is empty when nothing is lost, late or overloaded."""

    at: datetime
    troubles: list[TroubleOut]
    processes: list[GatewayOut]
    waiting: list[WaitingEscrowOut]
    routes: list[RouteOut]
    directory_version: int
    database: DatabaseOut


class LossIn(Schema):
    reason: str


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


@router.get("/awards/{award_id}/waiting", response={200: list[WaitingEscrowOut], **ERRORS})
@audience("signed_in")
def list_waiting(request: Request, award_id: UUID) -> object:
    """What of an award waits for silent gateways and cannot be spent until their journals are settled."""
    access.entitlement(actor=actor_of(request), award_id=award_id)
    return selectors.waiting_escrow(award_ids=[award_id])


@router.get("/gateways", response={200: list[GatewayOut], **ERRORS})
@audience("officer", "operator", "auditor")
def list_gateways(request: Request) -> object:
    """Gateway processes that run, or that ended with something left to settle."""
    return selectors.gateway_processes()


@router.get("/gateways/waiting", response={200: list[WaitingEscrowOut], **ERRORS})
@audience("officer", "operator", "auditor")
def list_all_waiting(request: Request) -> object:
    """What waits for silent gateways, by process and award, the largest sum first."""
    return selectors.waiting_escrow()


@router.get("/gateways/{process_id}", response={200: GatewayOut, **ERRORS})
@audience("officer", "operator", "auditor")
def show_gateway(request: Request, process_id: UUID) -> object:
    """One gateway process, also one that is long finished."""
    view = selectors.gateway_process(process_id=process_id)
    if view is None:
        raise NotFound(code="process_not_found")
    return view


@router.post("/gateways/{process_id}/loss", response={200: LossOut, **ERRORS})
@audience("officer")
def declare_lost(request: Request, process_id: UUID, body: LossIn) -> object:
    """The first officer asks to declare a silent process lost; another confirms within seven days."""
    (view,) = services.declare_lost(actor=actor_of(request), process_ids=[process_id], reason=body.reason)
    return view


@router.post("/gateways/{process_id}/loss/confirm", response={200: LossOut, **ERRORS})
@audience("officer")
def confirm_lost(request: Request, process_id: UUID) -> object:
    """The second officer confirms: what the process holds returns to the awards, as corrections."""
    (view,) = services.confirm_lost(actor=actor_of(request), process_ids=[process_id])
    return view


@router.post("/gateways/{process_id}/loss/withdraw", response={200: LossOut, **ERRORS})
@audience("officer")
def withdraw_lost(request: Request, process_id: UUID) -> object:
    """Either officer takes the request back; nothing has moved."""
    (view,) = services.withdraw_lost(actor=actor_of(request), process_ids=[process_id])
    return view


@router.get("/operations", response={200: OperationsOut, **ERRORS})
@audience("operator", "auditor")
def show_operations(request: Request) -> object:
    """Is anything lost, late or overloaded: what the operator's page shows."""
    return operations(actor=actor_of(request))
