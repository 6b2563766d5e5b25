"""Were the limits of awards and keys kept? Told by when the clients asked and when the provider heard of it.

A call was admitted after its client had asked and before the provider heard of it. Where both lie in one minute, that is
the minute it counts in; where they do not, nobody can say, and it is left out. The clock is that of the clients, the
provider and the database; only the node's is stepped. docs/decisions/0012-limits-by-allotment.md says what is promised:
the limit; twice the limit in a minute in which the database goes and comes back; and where PostgreSQL crashes, besides, what
was handed out in the half second before, which it may forget.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from chaos.checks import Record
from chaos.clients import Limited, Seen

#: What makes the gateway go on without the database, or the database forget its last half second.
DATABASE_TROUBLES = frozenset(
    {"kill_postgres", "kill_shipper_and_postgres", "kill_backend", "freeze_postgres", "lose_answers"}
)
#: What PostgreSQL crashes of.
CRASHES = frozenset({"kill_postgres", "kill_shipper_and_postgres"})
FORGOTTEN_SECONDS = 0.5
_COUNTED = {"completed", "cancelled", "truncated", "interrupted"}

#: What all processes together hold now of each limit; slots only of processes that live.
ALLOTTED = """
SELECT a.subject, a.kind, sum(a.amount)::bigint FROM settlement_allotment a
JOIN settlement_gatewayprocess p ON p.id = a.process
WHERE CASE WHEN a.kind = 'slots' THEN p.finished_at IS NULL AND p.last_seen_at > now() - interval '15 seconds'
    ELSE a.minute = floor(extract(epoch FROM clock_timestamp()) / 60) END
GROUP BY a.subject, a.kind
"""

SLOTS_HELD = """
SELECT a.subject, sum(a.amount)::bigint FROM settlement_allotment a
JOIN settlement_gatewayprocess p ON p.id = a.process
WHERE a.kind = 'slots' AND p.finished_at IS NULL GROUP BY a.subject HAVING sum(a.amount) > 0
"""


@dataclass
class _Used:
    requests: int = 0
    tokens: int = 0
    #: (when its client asked, tokens) of each of the requests.
    each: list[tuple[float, int]] = field(default_factory=list)

    def busiest(self) -> tuple[int, int]:
        """The most requests and tokens in any half second: more were not handed out in it, slices being small."""
        requests = tokens = 0
        self.each.sort()
        for at, (began, _) in enumerate(self.each):
            within = [each for each in self.each[at:] if each[0] <= began + FORGOTTEN_SECONDS]
            requests = max(requests, len(within))
            tokens = max(tokens, sum(amount for _, amount in within))
        return requests, tokens


class Watch:
    """Over all cycles of a run, for a minute has several."""

    def __init__(self, limits: Iterable[Limited]) -> None:
        self.limits = {limited.subject: limited for limited in limits}
        self.most = {"requests": 0.0, "tokens": 0.0, "concurrency": 0.0}  # as parts of the limit
        self._used: dict[tuple[str, int], _Used] = defaultdict(_Used)
        self._troubled: set[int] = set()
        self._crashes: Counter[int] = Counter()
        self._told: set[tuple[str, int, str]] = set()

    def cycle(
        self,
        seen: Iterable[Seen],
        entries: Iterable[dict],
        records: Iterable[Record],
        *,
        began: float,
        ended: float,
        troubles: Iterable[str],
    ) -> list[str]:
        """Differences that this cycle's calls make. `began` and `ended` are seconds of the common clock."""
        troubles = list(troubles)
        away = bool(DATABASE_TROUBLES & set(troubles))
        minutes = range(int(began // 60), int(ended // 60) + 1)
        if away:
            self._troubled |= set(minutes)
        for minute in minutes:
            self._crashes[minute] += sum(trouble in CRASHES for trouble in troubles)
        attempts: dict[str, list[dict]] = defaultdict(list)
        for entry in entries:
            attempts[entry["request_id"]].append(entry)
        by_id = {str(record.request_id): record for record in records}
        running: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for view in seen:
            record = by_id.get(view.request_id)
            for limited in view.ask.key.limits if record and record.status in _COUNTED else ():
                assert record is not None
                self._count(limited, view, record, attempts[view.request_id])
                if record.status == "completed":
                    for entry in attempts[view.request_id]:
                        if entry["finished"]:
                            running[limited.subject] += [(entry["began"], 1), (entry["ended"], -1)]
        return self._minutes_exceeded() + self._at_once(running, 2 if away else 1)

    def _count(self, limited: Limited, view: Seen, record: Record, entries: list[dict]) -> None:
        if not entries:
            return
        minute = int(view.asked // 60)
        if minute != int(min(entry["began"] for entry in entries) // 60):
            return
        used = self._used[limited.subject, minute]
        used.requests += 1
        # It counts with its estimated input and its bound, and from its end with what it used, if that is less.
        tokens = min(record.input_tokens, view.ask.estimated_input) + record.output_tokens
        used.tokens += tokens
        used.each.append((view.asked, tokens))

    def _minutes_exceeded(self) -> list[str]:
        found = []
        for (subject, minute), used in self._used.items():
            crashes = self._crashes[minute]
            forgotten = used.busiest() if crashes else (0, 0)
            for kind, amount, limit, more in (
                ("requests", used.requests, self.limits[subject].requests, forgotten[0]),
                ("tokens", used.tokens, self.limits[subject].tokens, forgotten[1]),
            ):
                if limit is None:
                    continue
                self.most[kind] = max(self.most[kind], amount / limit)
                if amount > limit * (2 if minute in self._troubled else 1) + more * crashes:
                    if (subject, minute, kind) not in self._told:
                        found.append(f"{subject}: {amount} {kind} in minute {minute}, the limit is {limit}")
                    self._told.add((subject, minute, kind))
        return found

    def _at_once(self, running: dict[str, list[tuple[float, int]]], times: int) -> list[str]:
        """Calls that were certainly running: from when the provider heard of them until it had sent all."""
        found = []
        for subject, steps in running.items():
            limit = self.limits[subject].concurrency
            if limit is None:
                continue
            now = most = 0
            for _, step in sorted(steps):  # an end comes before a beginning at the same moment
                now += step
                most = max(most, now)
            self.most["concurrency"] = max(self.most["concurrency"], most / limit)
            if most > limit * times:
                found.append(f"{subject}: {most} calls at one time, the limit is {limit}")
        return found

    def allotted(self, rows: Iterable[tuple[UUID, str, int]], *, away: bool) -> list[str]:
        """What the database has handed out is never more than the limit."""
        found = []
        for subject, kind, amount in rows:
            limited = self.limits[str(subject)]
            limit = limited.concurrency if kind == "slots" else getattr(limited, kind)
            if limit is not None and amount > limit * (2 if away else 1):
                found.append(f"{subject}: {amount} {kind} are allotted, the limit is {limit}")
        return found
