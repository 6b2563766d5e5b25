"""In which order an award was spent: what had gone before each call.

The order is that of posting. Transfers come as their book has them; calls that one transfer charged come by their
sequence in their process's journal. It never changes, whatever is posted later, so what is reckoned from it (whose
money paid for a call) can be reckoned again at any time.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from dure.contracts.ids import uuid7_unix_ms
from dure.control.settlement.models import UsageRecord

# What was charged from the earliest transfer asked about on, subtracted from all that was: pages ask about late calls.
_BEFORE = """
WITH asked AS (
    SELECT id, sequence, book_id FROM ledger_transfer WHERE id = ANY (%(transfers)s)
), charged AS (
    SELECT t.id, t.sequence, t.amount FROM ledger_transfer t
    JOIN ledger_account a ON a.id = t.debit_account_id
    WHERE t.book_id = (SELECT book_id FROM asked LIMIT 1) AND t.sequence >= (SELECT min(sequence) FROM asked)
      AND a.owner_id = %(award)s AND a.kind IN ('award', 'escrow') AND t.kind IN ('usage', 'late_usage')
), running AS (
    SELECT id, amount, sum(amount) OVER (ORDER BY sequence DESC) AS from_here_on FROM charged
)
SELECT r.id, r.amount,
    (SELECT coalesce(sum(cost_micro_won), 0) FROM settlement_usageday WHERE award_id = %(award)s) - r.from_here_on
FROM running r JOIN asked ON asked.id = r.id
"""

#: Calls of one transfer were closed within seconds of each other, so most were opened near each other, too.
_NEAR_MS = 3_600_000
_LAST_MS = 2**48 - 1


@dataclass(frozen=True, slots=True)
class Spent:
    """A call that cost something, and what the award had spent before it, in micro-won."""

    request_id: UUID
    before_micro_won: int
    cost_micro_won: int


def order_of_spending(*, award_id: UUID, request_ids: Collection[UUID]) -> dict[UUID, Spent]:
    """Where each of these calls of one award stands; calls that cost nothing, or are not the award's, are absent."""
    asked = list(
        UsageRecord.objects.filter(
            award_id=award_id, request_id__in=request_ids, transfer_id__isnull=False
        ).values_list("request_id", "transfer_id")
    )
    if not asked:
        return {}
    before = _before(award_id, {transfer_id for _, transfer_id in asked if transfer_id})
    found: dict[UUID, Spent] = {}
    siblings = _siblings(award_id, before, _near([request_id for request_id, _ in asked]))
    if sum(cost for _, _, cost in siblings) != sum(amount for amount, _ in before.values()):
        siblings = _siblings(award_id, before, None)
    running = {transfer_id: start for transfer_id, (_, start) in before.items()}
    for request_id, transfer_id, cost in siblings:
        found[request_id] = Spent(request_id, running[transfer_id], cost)
        running[transfer_id] += cost
    return {request_id: found[request_id] for request_id, _ in asked}


def _before(award_id: UUID, transfer_ids: Iterable[UUID]) -> dict[UUID, tuple[int, int]]:
    """Each transfer's amount, and what had been charged to the award before it."""
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE, {"award": award_id, "transfers": list(transfer_ids)})
        return {transfer_id: (amount, int(before)) for transfer_id, amount, before in cursor.fetchall()}


def _near(request_ids: Collection[UUID]) -> tuple[UUID, UUID]:
    times = [uuid7_unix_ms(one) for one in request_ids]
    earliest, latest = max(0, min(times) - _NEAR_MS), min(_LAST_MS, max(times) + _NEAR_MS)
    return UUID(int=earliest << 80), UUID(int=(latest + 1 << 80) - 1)


def _siblings(
    award_id: UUID, transfer_ids: Collection[UUID], near: tuple[UUID, UUID] | None
) -> list[tuple[UUID, UUID, int]]:
    rows = UsageRecord.objects.filter(award_id=award_id, transfer_id__in=transfer_ids)
    if near is not None:
        rows = rows.filter(request_id__range=near)
    found = rows.order_by("sequence").values_list("request_id", "transfer_id", "cost_micro_won")
    return [(request_id, transfer_id, cost) for request_id, transfer_id, cost in found if transfer_id]
