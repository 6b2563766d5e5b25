"""Three accounts of the same calls, compared: the provider's meter, the clients' own counts, the ledger.

Every function gives differences in words, naming the request; an empty list means that all agree. The rules
are those of docs/journal.md and `contracts.usage`; nothing here asks the gateway what it thinks.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from chaos.clients import Seen
from dure.contracts.money import cost_micro_won

#: Codes by which a good call may be refused while things go wrong around it.
REFUSALS = {
    "insufficient_quota", "award_ended", "ledger_unavailable", "journal_unavailable", "not_ready", "shutting_down",
    "upstream_unreachable", "upstream_broke", "upstream_timeout", "upstream_error", "upstream_credential_refused",
    "scripted",
}  # fmt: skip

#: Codes of refusals before a call is admitted: no record, and the provider never hears of it.
NOT_ADMITTED = {"insufficient_quota", "award_ended", "ledger_unavailable", "rate_limit_exceeded"}


@dataclass(frozen=True)
class Record:
    """A usage record as the ledger has it; `os_pid` is its process's."""

    request_id: UUID
    process_id: UUID
    os_pid: int
    sequence: int
    award: UUID
    price: UUID
    status: str
    http_status: int
    streamed: bool
    estimated: bool
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: int
    uncovered: int
    attempts: int
    error_code: str
    in_order: bool  # opened ≤ first byte ≤ closed

    @property
    def tokens(self) -> tuple[int, int, int]:
        return self.input_tokens, self.output_tokens, self.cached_tokens


@dataclass(frozen=True)
class Circumstances:
    """What was done to the node, as far as it excuses anything."""

    killed: frozenset[int]
    told_to_end: frozenset[int]
    prices: dict[UUID, dict[str, int]]
    big: frozenset[str]
    withdrawn: bool


def compare(
    seen: Iterable[Seen], entries: Iterable[dict], records: Iterable[Record], about: Circumstances
) -> list[str]:
    """Differences over one cycle's calls, all of which have ended."""
    attempts: dict[UUID, list[dict]] = defaultdict(list)
    for entry in entries:
        attempts[UUID(entry["request_id"])].append(entry)
    by_id: dict[UUID, list[Record]] = defaultdict(list)
    for record in records:
        by_id[record.request_id].append(record)
    told: dict[UUID, Seen] = {}
    nameless: dict[str, list[Seen]] = defaultdict(list)
    found: list[str] = []
    for view in seen:
        found += _view_alone(view, about)
        if view.request_id:
            if UUID(view.request_id) in told:
                found.append(f"request {view.request_id}: two answers carry this id")
            told[UUID(view.request_id)] = view
        else:
            nameless[view.call].append(view)
    for request_id in attempts.keys() | by_id.keys() | told.keys():
        view = told.get(request_id)
        if view is None and attempts[request_id]:
            left = nameless[attempts[request_id][0]["call"]]
            view = left.pop() if left else None
        found += [
            f"request {request_id}: {what}"
            for what in _request(by_id[request_id], attempts[request_id], view, about)
        ]
    return found


def relayed_beyond(seen: Iterable[Seen], records: Iterable[Record]) -> int:
    """The most tokens that a client received of an interrupted call beyond what its record says: what the
    journal's progress had not been told yet."""
    interrupted = {str(record.request_id): record for record in records if record.status == "interrupted"}
    return max(
        (
            view.tokens - interrupted[view.request_id].output_tokens
            for view in seen
            if view.request_id in interrupted
        ),
        default=0,
    )


def _view_alone(view: Seen, about: Circumstances) -> list[str]:
    what = f"call {view.call} ({view.ask.script.kind}, status {view.status} {view.code})"
    if view.hung:
        return [f"{what}: no end after the longest wait"]
    if view.ask.expect:
        expected = {0, 503, 401} if view.ask.expect == "denied" else {0, 503, 400, 404}
        if about.withdrawn:
            expected.add(403)  # its award has ended at this moment
        if view.status not in expected:
            return [f"{what}: should have been refused as {view.ask.expect}"]
        if view.request_id and view.ask.expect:
            return [f"{what}: was refused and yet became request {view.request_id}"]
        return []
    if view.code == "rate_limit_exceeded" and view.status == 429 and view.ask.key.limits:
        return []
    if view.status >= 400 and view.code not in REFUSALS:
        return [f"{what}: refused for no reason that the script knows"]
    if view.code == "insufficient_quota" and view.ask.key.award in about.big and not about.withdrawn:
        return [f"{what}: refused for want of money, of which its award has plenty"]
    return []


def _request(
    records: list[Record], entries: list[dict], view: Seen | None, about: Circumstances
) -> list[str]:
    if view is not None and view.code in NOT_ADMITTED and not records and not entries:
        return []
    if len(records) != 1:
        seen = f"{len(entries)} attempts at the provider, the client saw {_shown(view)}"
        return [f"has {len(records)} records ({seen})"]
    record = records[0]
    found = [] if record.in_order else ["its times are not in order"]
    if view is not None:
        found += _against_client(record, view)
    if view is not None and view.ask.expect:
        found.append(f"should have been refused as {view.ask.expect}")
    if record.status != "interrupted" and record.attempts < len(entries):
        found.append(f"records {record.attempts} attempts, the provider has seen {len(entries)}")
    found += _money(record, about.prices[record.price])
    check = {
        "completed": _completed, "cancelled": _cut, "truncated": _cut, "failed": _failed, "interrupted": _interrupted
    }[record.status]  # fmt: skip
    found += check(record, entries, view, about)
    return [f"{record.status}, process {record.process_id} #{record.sequence}: {what}" for what in found]


def _shown(view: Seen | None) -> str:
    if view is None:
        return "nothing"
    return f"status {view.status} {view.code}, {view.tokens} tokens, whole: {view.whole}"


def _against_client(record: Record, view: Seen) -> list[str]:
    found = []
    if view.whole and record.status != "completed":
        found.append("the client saw the whole answer")
    if view.status == 200 and record.status == "failed":
        found.append("the client saw an answer begin")
    if (
        view.status
        and record.status not in {"interrupted", "cancelled"}
        and view.status != record.http_status
    ):
        found.append(f"records status {record.http_status}, the client saw {view.status}")
    if view.cost is not None and view.cost != record.cost:
        found.append(f"cost {record.cost}, the client was told {view.cost}")
    if view.whole and view.usage and (view.usage != record.tokens or record.estimated):
        found.append(f"tokens {record.tokens}, the client was told {view.usage}")
    if str(record.award) != view.ask.key.award:
        found.append(f"on award {record.award}, the key's is {view.ask.key.award}")
    if record.streamed != view.ask.stream:
        found.append("streamed or not: differs from what was asked")
    return found


def _money(record: Record, meters: dict[str, int]) -> list[str]:
    price = meters.get("input", 0)
    expected = 0
    if record.input_tokens or record.output_tokens:
        expected = cost_micro_won(
            (
                (record.input_tokens - record.cached_tokens, price),
                (record.cached_tokens, meters.get("cached_input", price)),
                (record.output_tokens, meters.get("output", 0)),
                (1, meters.get("request", 0)),
            )
        )
    if record.cost + record.uncovered != expected:
        return [f"costs {record.cost} and {record.uncovered} uncovered, its tokens come to {expected}"]
    return []


def _completed(record: Record, entries: list[dict], view: Seen | None, about: Circumstances) -> list[str]:
    if not entries:
        return ["the provider never saw it"]
    last = entries[-1]
    found = []
    if not last["finished"] or last["status"] >= 400:
        found.append("the provider did not finish it")
    if view is not None and view.whole and record.tokens[1] and view.tokens != last["sent"]:
        found.append(f"the client got {view.tokens} tokens, the provider sent {last['sent']}")
    if record.uncovered and not last["over"]:
        found.append(
            f"{record.uncovered} micro-won are uncovered, though the provider stayed within the bounds"
        )
    if last["reported"]:
        if record.estimated or record.tokens != tuple(last["reported"]):
            found.append(f"tokens {record.tokens}, the provider's meter says {tuple(last['reported'])}")
        return found
    if not record.estimated or record.cached_tokens or record.output_tokens != last["sent"]:
        found.append(f"tokens {record.tokens}, the provider sent {last['sent']} and no usage")
    if view is not None and record.input_tokens != view.ask.estimated_input:
        found.append(f"input {record.input_tokens}, to be estimated as {view.ask.estimated_input}")
    return found


def _cut(record: Record, entries: list[dict], view: Seen | None, about: Circumstances) -> list[str]:
    found = []
    sent = entries[-1]["sent"] if entries else 0
    received = view.tokens if view is not None else 0
    reported = entries[-1]["reported"] if entries else None
    if record.output_tokens > sent:
        found.append(f"{record.output_tokens} tokens, the provider sent {sent}")
    if record.output_tokens < received:
        found.append(f"{record.output_tokens} tokens, the client received {received}")
    if record.uncovered:
        found.append(f"{record.uncovered} micro-won uncovered")
    if record.estimated:
        found += _estimate(record, view)
    elif not reported or record.tokens[0] != reported[0] or record.cached_tokens != reported[2]:
        found.append("not marked as estimated, though the provider told no usage")
    if record.status == "truncated" and not (entries and entries[-1]["broke"]):
        found.append("the provider did not break off")
    if record.status == "cancelled" and not (
        view is None or view.hung_up or record.os_pid in about.told_to_end
    ):
        found.append("the client did not hang up")
    return found


def _estimate(record: Record, view: Seen | None) -> list[str]:
    if record.cached_tokens:
        return ["cached tokens cannot be estimated"]
    expected = view.ask.estimated_input if view is not None else record.input_tokens
    if record.input_tokens not in {0, expected}:
        return [f"input {record.input_tokens}, to be estimated as {expected}"]
    if record.output_tokens and not record.input_tokens:
        return ["output without input"]
    return []


def _failed(record: Record, entries: list[dict], view: Seen | None, about: Circumstances) -> list[str]:
    found = []
    if record.tokens != (0, 0, 0) or record.cost or record.uncovered:
        found.append(f"is charged: {record.tokens}, {record.cost} micro-won")
    if entries and entries[-1]["finished"] and entries[-1]["status"] == 200:
        found.append(f"the provider finished it ({record.error_code})")
    return found


def _interrupted(record: Record, entries: list[dict], view: Seen | None, about: Circumstances) -> list[str]:
    found = _estimate(record, view)
    sent = entries[-1]["sent"] if entries else 0
    if record.output_tokens > sent:
        found.append(f"{record.output_tokens} tokens, the provider sent {sent}")
    if not record.estimated:
        found.append("not marked as estimated")
    if record.os_pid not in about.killed:
        found.append("its process was not killed")
    return found


# The ledger alone

RECORDS = """
SELECT r.request_id, r.process_id, p.os_pid, r.sequence, r.award_id, r.price_id, r.status, r.http_status, r.streamed,
    r.estimated, r.input_tokens, r.output_tokens, r.cached_tokens, r.cost_micro_won, r.uncovered_micro_won,
    r.attempts, r.error_code,
    r.opened_at <= r.closed_at AND coalesce(r.first_byte_at BETWEEN r.opened_at AND r.closed_at, true)
FROM settlement_usagerecord r JOIN settlement_gatewayprocess p ON p.id = r.process_id
LEFT JOIN unnest(%s::uuid[], %s::bigint[]) AS known(process, mark) ON known.process = r.process_id
WHERE r.sequence > coalesce(known.mark, 0)
"""

_TWICE = "SELECT request_id FROM settlement_usagerecord GROUP BY request_id HAVING count(*) > 1"

_BELOW_ZERO = """
SELECT id, kind, owner_id, sequence, balance FROM (
    SELECT a.id, a.kind, a.owner_id, t.sequence,
        sum(CASE WHEN t.credit_account_id = a.id THEN t.amount ELSE -t.amount END)
            OVER (PARTITION BY a.id ORDER BY t.sequence) AS balance
    FROM ledger_account a JOIN ledger_transfer t ON a.id IN (t.debit_account_id, t.credit_account_id)
    WHERE a.kind <> 'treasury'
) history WHERE balance < 0
"""

_SUMS = """
SELECT a.owner_id, sum(a.credits_posted - a.debits_posted) FILTER (WHERE a.kind = 'award'),
    coalesce(sum(a.credits_posted - a.debits_posted) FILTER (WHERE a.kind = 'escrow'), 0),
    (SELECT coalesce(sum(r.cost_micro_won), 0) FROM settlement_usagerecord r WHERE r.award_id = a.owner_id)
FROM ledger_account a WHERE a.kind IN ('award', 'escrow') GROUP BY a.owner_id
"""

_PAYABLE = """
SELECT coalesce((SELECT sum(credits_posted - debits_posted) FROM ledger_account WHERE kind = 'payable'), 0),
    coalesce((SELECT sum(cost_micro_won) FROM settlement_usagerecord), 0)
"""

ESCROWS = """
SELECT p.id, p.os_pid, p.finished_at IS NOT NULL, p.posted_sequence,
    coalesce((SELECT sum(a.credits_posted - a.debits_posted) FROM ledger_account a
              WHERE a.counterpart_id = p.id AND a.kind = 'escrow'), 0)::bigint
FROM settlement_gatewayprocess p
"""


def ledger(rows, granted: dict[UUID, int], *, at_rest: bool) -> list[str]:
    """Differences in the sums and in the history. `at_rest`: no process lives, so nothing may be in escrow."""
    found = [f"request {request_id}: recorded twice" for (request_id,) in rows(_TWICE)]
    for account, kind, owner, sequence, balance in rows(_BELOW_ZERO):
        found.append(f"account {account} ({kind} of {owner}) stood at {balance} after transfer {sequence}")
    seen = Counter()
    for award, left, escrow, spent in rows(_SUMS):
        seen[award] += 1
        if granted.get(award) != left + escrow + spent:
            found.append(
                f"award {award}: granted {granted.get(award)}, but {left} left + {escrow} in escrow + {spent} spent"
            )
        if at_rest and escrow:
            found.append(f"award {award}: {escrow} micro-won are still in escrow")
    found += [f"award {award}: is gone" for award in granted.keys() - seen.keys()]
    ((payable, cost),) = rows(_PAYABLE)
    if payable != cost:
        found.append(f"providers are owed {payable}, the records come to {cost}")
    if at_rest:
        for process, _, finished, _, escrow in rows(ESCROWS):
            if not finished or escrow:
                found.append(f"process {process}: finished: {finished}, holds {escrow} micro-won")
    return found
