"""Questions about usage: an award's calls, what was spent on what, what a provider has earned.

Money and tokens come from the day totals; single calls from the records. Callers have already
decided whether the actor may ask about this award or provider.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max, Q, QuerySet, Sum

from dure.control.ledger import selectors as ledger
from dure.control.settlement.models import UsageDay, UsageRecord
from dure.control.settlement.processes import (
    SILENT_AFTER,
    GatewayProcessView,
    LossView,
    LostSum,
    WaitingEscrow,
    gateway_process,
    gateway_processes,
    loss_view,
    lost_sums,
    waiting_escrow,
)
from dure.control.settlement.spending import Spent, order_of_spending

__all__ = [
    "SILENT_AFTER",
    "GatewayProcessView",
    "LossView",
    "LostSum",
    "SpendLine",
    "Spent",
    "UsageView",
    "WaitingEscrow",
    "daily_spend",
    "gateway_process",
    "gateway_processes",
    "latest_usage",
    "loss_view",
    "lost_sums",
    "order_of_spending",
    "provider_earnings",
    "provider_unpaid",
    "spend_by_day",
    "spend_by_key",
    "spend_by_model",
    "totals",
    "usage",
    "usage_record",
    "use_of_keys",
    "used_awards",
    "waiting_escrow",
]


@dataclass(frozen=True, slots=True)
class UsageView:
    """One call, without content: Dure keeps no prompt and no answer."""

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
    provider_id: UUID
    deployment_id: UUID
    transfer_id: UUID | None

    @property
    def duration_ms(self) -> int:
        return (self.closed_at - self.opened_at) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class SpendLine:
    """Totals of one group: a model, a day, a key, or everything (`group` None)."""

    group: str | date | UUID | None
    calls: int
    failed_calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micro_won: int


def usage(
    *,
    award_id: UUID,
    status: str | None = None,
    model: str | None = None,
    key_id: UUID | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[UsageView]:
    """Calls of an award, latest first; `before` (a request id) continues a page."""
    rows = UsageRecord.objects.filter(award_id=award_id)
    if status:
        rows = rows.filter(status=status)
    if model:
        rows = rows.filter(model=model)
    if key_id:
        rows = rows.filter(key_id=key_id)
    if before:
        rows = rows.filter(request_id__lt=before)
    return [_usage_view(row) for row in rows.order_by("-request_id")[:limit]]


def latest_usage(*, award_ids: Collection[UUID], limit: int = 10) -> list[UsageView]:
    """The latest calls of several awards together."""
    rows = UsageRecord.objects.filter(award_id__in=award_ids).order_by("-request_id")[:limit]
    return [_usage_view(row) for row in rows]


def usage_record(*, request_id: UUID) -> UsageView | None:
    row = UsageRecord.objects.filter(request_id=request_id).first()
    return _usage_view(row) if row else None


def totals(
    *, award_ids: Collection[UUID] | None = None, since: date | None = None, until: date | None = None
) -> SpendLine:
    """Everything together, or of some awards, on days from `since` to `until` (Seoul, inclusive)."""
    rows = _days(award_ids=award_ids, since=since, until=until)
    return _line(None, rows.aggregate(**_SUMS))


def spend_by_model(*, award_ids: Collection[UUID], since: date | None = None) -> list[SpendLine]:
    return _group("model", _days(award_ids=award_ids, since=since), order="-cost_micro_won_sum")


def spend_by_day(*, award_ids: Collection[UUID], since: date | None = None) -> list[SpendLine]:
    """Days with calls only, oldest first."""
    return _group("day", _days(award_ids=award_ids, since=since), order="day")


def daily_spend(*, award_ids: Collection[UUID]) -> dict[UUID, dict[date, int]]:
    """What each award spent on each day with calls; awards never used are absent."""
    spent: dict[UUID, dict[date, int]] = {}
    rows = _days(award_ids=award_ids).values_list("award_id", "day").annotate(cost=Sum("cost_micro_won"))
    for award_id, day, cost in rows:
        spent.setdefault(award_id, {})[day] = int(cost)
    return spent


def spend_by_key(*, award_ids: Collection[UUID], since: date | None = None) -> list[SpendLine]:
    return _group("key_id", _days(award_ids=award_ids, since=since), order="-cost_micro_won_sum")


def used_awards(*, award_ids: Collection[UUID]) -> set[UUID]:
    """Those of the awards to which at least one call was made."""
    return set(UsageDay.objects.filter(award_id__in=award_ids).values_list("award_id", flat=True).distinct())


def use_of_keys(*, key_ids: Collection[UUID]) -> dict[UUID, tuple[int, int, datetime | None]]:
    """Each key's calls, what they cost in micro-won, and when the latest of them ended; keys never used are absent."""
    rows = (
        UsageDay.objects.filter(key_id__in=key_ids)
        .values_list("key_id")
        .annotate(called=Sum("calls"), cost=Sum("cost_micro_won"), last=Max("last_closed_at"))
    )
    return {key_id: (int(called), int(cost), last) for key_id, called, cost, last in rows if key_id}


def provider_earnings(
    *, provider_id: UUID, by: str = "day", since: date | None = None, until: date | None = None
) -> list[SpendLine]:
    """What a provider has earned, grouped by `day` or `model`. No customer is named."""
    if by not in {"day", "model"}:
        raise ValueError(f"earnings are grouped by day or by model, not by {by!r}")
    rows = _days(since=since, until=until).filter(provider_id=provider_id)
    return _group(by, rows, order="day" if by == "day" else "-cost_micro_won_sum")


def provider_unpaid(*, provider_id: UUID) -> int:
    """What stands on the provider's payable accounts, in micro-won."""
    return ledger.balances(owner_ids=[provider_id], kind="payable").get(provider_id, 0)


_TOTALS = ("calls", "input_tokens", "output_tokens", "cached_tokens", "cost_micro_won")
_SUMS = {f"{name}_sum": Sum(name) for name in _TOTALS} | {
    "failed_sum": Sum("calls", filter=Q(status="failed"))
}


def _days(
    *, award_ids: Collection[UUID] | None = None, since: date | None = None, until: date | None = None
) -> QuerySet[UsageDay]:
    rows = UsageDay.objects.all()
    if award_ids is not None:
        rows = rows.filter(award_id__in=award_ids)
    if since:
        rows = rows.filter(day__gte=since)
    if until:
        rows = rows.filter(day__lte=until)
    return rows


def _group(field: str, rows: QuerySet[UsageDay], *, order: str) -> list[SpendLine]:
    return [_line(row[field], row) for row in rows.values(field).annotate(**_SUMS).order_by(order)]


def _line(group: str | date | UUID | None, row: Mapping[str, Any]) -> SpendLine:
    return SpendLine(
        group=group,
        failed_calls=int(row["failed_sum"] or 0),
        **{name: int(row[f"{name}_sum"] or 0) for name in _TOTALS},
    )


def _usage_view(row: UsageRecord) -> UsageView:
    values = {name: getattr(row, name) for name in UsageView.__dataclass_fields__}
    return UsageView(**values | {"units": row.units or {}, "tries": row.tries or []})
