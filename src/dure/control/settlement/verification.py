"""Does every won on the ledger have its calls, and every call its won?

Checked against the ledger's recount, on the same snapshot: each usage transfer equals the sum of
the records that name it, each record that costs something names one, each process's sequences run
from 1 to its mark without a gap, the day totals are what the records come to, and what a process that was declared
lost held is back in its awards or was charged to them.
"""

from collections.abc import Callable

from django.db import connection

from dure.control.foundation import audit
from dure.control.ledger import services as ledger
from dure.control.ledger.recount import Recount
from dure.control.ledger.services import VerificationReport

_BY_TRANSFER = """
SELECT r.transfer_id, r.award_id, r.provider_id, sum(r.cost_micro_won)::bigint
FROM settlement_usagerecord r JOIN ledger_transfer t ON t.id = r.transfer_id
WHERE t.book_id = %s GROUP BY 1, 2, 3
"""

_ORPHANS = """
SELECT r.request_id FROM settlement_usagerecord r LEFT JOIN ledger_transfer t ON t.id = r.transfer_id
WHERE (r.cost_micro_won > 0) <> (r.transfer_id IS NOT NULL) OR (r.transfer_id IS NOT NULL AND t.id IS NULL)
LIMIT 1
"""

_GAPS = """
SELECT p.id, p.posted_sequence, count(r.sequence), coalesce(min(r.sequence), 0), coalesce(max(r.sequence), 0),
       count(DISTINCT r.sequence)
FROM settlement_gatewayprocess p LEFT JOIN settlement_usagerecord r ON r.process_id = p.id
GROUP BY p.id, p.posted_sequence
HAVING count(r.sequence) <> p.posted_sequence OR count(DISTINCT r.sequence) <> p.posted_sequence
    OR coalesce(max(r.sequence), 0) <> p.posted_sequence
LIMIT 1
"""

_DAYS = """
WITH units AS (
    SELECT day, award_id, key_id, model, deployment_id, status, jsonb_object_agg(meter, quantity) AS units
    FROM (
        SELECT (closed_at AT TIME ZONE 'Asia/Seoul')::date AS day, award_id, key_id, model, deployment_id, status,
               u.key AS meter, sum(u.value::bigint) AS quantity
        FROM settlement_usagerecord CROSS JOIN LATERAL jsonb_each_text(units) u
        WHERE units IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7
    ) summed GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT coalesce(d.day, r.day), coalesce(d.award_id, r.award_id), d.calls, r.calls, d.cost, r.cost, d.units, units.units
FROM (SELECT day, award_id, key_id, model, deployment_id, status, calls, input_tokens, output_tokens,
             cached_tokens, cost_micro_won AS cost, units FROM settlement_usageday) d
FULL JOIN (
    SELECT (closed_at AT TIME ZONE 'Asia/Seoul')::date AS day, award_id, key_id, model, deployment_id, status,
           count(*) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
           sum(cached_tokens) AS cached_tokens, sum(cost_micro_won) AS cost
    FROM settlement_usagerecord GROUP BY 1, 2, 3, 4, 5, 6
) r ON (d.day, d.award_id, d.key_id, d.model, d.deployment_id, d.status)
     = (r.day, r.award_id, r.key_id, r.model, r.deployment_id, r.status)
LEFT JOIN units ON (units.day, units.award_id, units.key_id, units.model, units.deployment_id, units.status)
     = (r.day, r.award_id, r.key_id, r.model, r.deployment_id, r.status)
WHERE (d.calls, d.input_tokens, d.output_tokens, d.cached_tokens, d.cost, d.units)
      IS DISTINCT FROM (r.calls, r.input_tokens, r.output_tokens, r.cached_tokens, r.cost, units.units)
LIMIT 1
"""

_FINISHED_WITH_ESCROW = """
SELECT p.id, sum(a.credits_posted - a.debits_posted), p.finished_at IS NULL
FROM settlement_gatewayprocess p JOIN ledger_account a ON a.counterpart_id = p.id AND a.kind = 'escrow'
WHERE (p.finished_at IS NOT NULL OR p.lost_at IS NOT NULL) AND a.credits_posted <> a.debits_posted
GROUP BY p.id LIMIT 1
"""

# A lost process: its mark and its declaration go together, and what is kept of each award it held equals the
# corrections on the ledger and its usage that was charged, or could not be, afterwards.
_LOST = """
WITH returned AS (
    SELECT e.counterpart_id AS process, e.owner_id AS award, sum(t.amount)::bigint AS micro_won
    FROM ledger_account e JOIN ledger_transfer t ON t.debit_account_id = e.id AND t.corrects_id IS NOT NULL
    WHERE e.kind = 'escrow' AND e.counterpart_id IN (SELECT process_id FROM settlement_lostescrow)
    GROUP BY 1, 2
), late AS (
    SELECT r.process_id AS process, r.award_id AS award, sum(r.cost_micro_won)::bigint AS micro_won
    FROM ledger_transfer t JOIN settlement_usagerecord r ON r.transfer_id = t.id
    WHERE t.kind = 'late_usage' GROUP BY 1, 2
)
SELECT coalesce(l.process_id, late.process), coalesce(l.award_id, late.award), l.returned_micro_won,
    coalesce(returned.micro_won, 0), l.charged_micro_won, coalesce(late.micro_won, 0)
FROM settlement_lostescrow l
LEFT JOIN returned ON (returned.process, returned.award) = (l.process_id, l.award_id)
FULL JOIN late ON (late.process, late.award) = (l.process_id, l.award_id)
WHERE (l.returned_micro_won, l.charged_micro_won)
    IS DISTINCT FROM (coalesce(returned.micro_won, 0), coalesce(late.micro_won, 0))
LIMIT 1
"""

_LOST_UNDECLARED = """
SELECT p.id FROM settlement_gatewayprocess p
LEFT JOIN (SELECT process_id, sum(returned_micro_won) AS returned FROM settlement_lostescrow GROUP BY 1) l
    ON l.process_id = p.id
LEFT JOIN settlement_lossdeclaration d ON d.process_id = p.id AND d.state = 'confirmed'
WHERE (p.lost_at IS NULL) <> (d.id IS NULL) OR (p.lost_at IS NULL AND l.process_id IS NOT NULL)
    OR coalesce(d.returned_micro_won, 0) <> coalesce(l.returned, 0)
LIMIT 1
"""


#: Checks of rooms above, each answering the first difference in words: they are told of here when those rooms start.
_OTHERS: list[Callable[[], str]] = []


def also_verify(check: Callable[[], str]) -> None:
    """Have a room above check its own records at each recount, on the same snapshot."""
    if check not in _OTHERS:
        _OTHERS.append(check)


def verify_everything() -> VerificationReport:
    """Recount the ledger, the usage records against it, and the audit trail; keep the outcome."""
    return ledger.verify(also=_usage_matches, finally_=_whole, count_usage=_count_usage)


def _usage_matches(recount: Recount) -> str:
    """The first usage transfer of a book that its records do not explain, in words."""
    remaining = dict(recount.usage)
    with connection.cursor() as cursor:
        cursor.execute(_BY_TRANSFER, [recount.book_id])
        for transfer_id, award_id, provider_id, cost in cursor:
            amount, owner, payee = remaining.pop(transfer_id, (None, None, None))
            if amount is None:
                return f"transfer {transfer_id}: several awards or providers name it, or it is no usage"
            if (amount, owner, payee) != (cost, award_id, provider_id):
                return (
                    f"transfer {transfer_id}: moves {amount} micro-won, its usage records come to {cost} "
                    f"for award {award_id} and provider {provider_id}"
                )
    if remaining:
        transfer_id = next(iter(remaining))
        return (
            f"transfer {transfer_id}: {remaining[transfer_id][0]} micro-won of usage without a usage record"
        )
    return ""


def _whole() -> str:
    """Checks that span books, and the audit trail."""
    with connection.cursor() as cursor:
        cursor.execute(_ORPHANS)
        if row := cursor.fetchone():
            return f"usage record {row[0]}: its cost and its transfer do not agree"
        cursor.execute(_GAPS)
        if row := cursor.fetchone():
            process, mark, count, least, most, _distinct = row
            return f"gateway process {process}: posted up to {mark}, holds {count} records, {least} to {most}"
        cursor.execute(_DAYS)
        if row := cursor.fetchone():
            day, award, *figures = row
            return f"usage of award {award} on {day}: day totals and records differ (calls, cost, units: {figures})"
        cursor.execute(_FINISHED_WITH_ESCROW)
        if row := cursor.fetchone():
            end = "declared lost" if row[2] else "finished"
            return f"gateway process {row[0]} is {end} and still holds {row[1]} micro-won of escrow"
        cursor.execute(_LOST)
        if row := cursor.fetchone():
            process, award, kept, returned, charged, late = row
            return (
                f"lost gateway process {process}, award {award}: returned {kept} and charged {charged} micro-won"
                f" are kept, the ledger has {returned} and {late}"
            )
        cursor.execute(_LOST_UNDECLARED)
        if row := cursor.fetchone():
            return f"gateway process {row[0]}: what it lost and what two officers declared do not agree"
    for check in _OTHERS:
        if difference := check():
            return difference
    return audit.first_difference() or ""


def _count_usage() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM settlement_usagerecord")
        (count,) = cursor.fetchone()
        return int(count)
