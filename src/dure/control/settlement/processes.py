"""Questions about gateway processes: who lives, who fell silent, and which awards' money waits with them.

A process that ends in order gives everything back and is finished. One that died is settled by its node within
seconds. What is left is a process that is *silent*: its node is away, or lost with its disk. The escrow it holds
*waits*, until its journal is brought back or two officers declare it lost.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from dure.control.foundation import clock
from dure.control.foundation.reading import once_a_page
from dure.control.ledger import selectors as ledger
from dure.control.settlement.models import GatewayProcess, LossDeclaration, LostEscrow

#: A gateway process says it lives every few seconds; this long without a word and it is gone.
SILENT_AFTER = timedelta(seconds=15)

#: A process that was declared lost stays in the list this long; its journal may still turn up.
LOST_SHOWN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class LossView:
    """What officers said about a process (`workflow`); `state` says expired as soon as its time is over."""

    id: UUID
    process_id: UUID
    state: str
    reason: str
    requested_at: datetime
    requested_by_id: UUID
    requested_by_name: str
    expires_at: datetime
    waiting_micro_won: int
    decided_at: datetime | None
    decided_by_id: UUID | None
    decided_by_name: str
    returned_micro_won: int

    @property
    def is_open(self) -> bool:
        return self.state == "requested"


@dataclass(frozen=True, slots=True)
class GatewayProcessView:
    """A gateway process that holds escrow or a journal not yet posted to its end.

    `figures` is what its last heartbeat told (`dure.gateway.app.seen.figures`); an older gateway leaves some out.
    """

    id: UUID
    node: str
    os_pid: int
    version: str
    started_at: datetime
    last_seen_at: datetime
    finished_at: datetime | None
    lost_at: datetime | None
    posted_sequence: int
    figures: dict[str, Any]
    silent: bool
    escrow_micro_won: int
    loss: LossView | None

    @property
    def state(self) -> str:
        """`running`, `silent`, `lost` or `finished`."""
        if self.finished_at is not None:
            return "finished"
        if self.lost_at is not None:
            return "lost"
        return "silent" if self.silent else "running"

    @property
    def waits(self) -> bool:
        """Whether money waits for this process's journal."""
        return self.state == "silent" and self.escrow_micro_won > 0

    @property
    def unposted_records(self) -> int:
        """Closed calls that are in its journal and not in the ledger yet, as of its last word."""
        return max(0, int(self._figure("journal_sequence") or 0) - self.posted_sequence)

    @property
    def unposted_seconds(self) -> float:
        """Age of the oldest of them, as of its last word; 0 where none waits."""
        return (self._figure("journal_unposted_seconds") or 0.0) if self.unposted_records else 0.0

    @property
    def unposted_bytes(self) -> int:
        return int(self._figure("journal_unposted_bytes") or 0) if self.unposted_records else 0

    @property
    def open_requests(self) -> int:
        return int(self._figure("open_requests") or 0)

    @property
    def open_streams(self) -> int:
        return int(self._figure("open_streams") or 0)

    @property
    def requests(self) -> int:
        """Answered since it started."""
        return int(self._figure("requests") or 0)

    @property
    def directory_version(self) -> int | None:
        version = self._figure("directory_version")
        return None if version is None else int(version)

    @property
    def directory_age_seconds(self) -> float | None:
        """How long before its last word it had heard that its directory is the newest."""
        return self._figure("directory_age_seconds")

    @property
    def first_byte_ms(self) -> tuple[float, ...]:
        """Percentiles 50, 95 and 99 over all its deployments in the last minutes; empty without a call."""
        return percentiles_in(self.figures, "first_byte_ms")

    @property
    def total_ms(self) -> tuple[float, ...]:
        return percentiles_in(self.figures, "total_ms")

    def _figure(self, name: str) -> float | None:
        """A number that its heartbeat told; None where it told none."""
        return number_in(self.figures, name)


@dataclass(frozen=True, slots=True)
class WaitingEscrow:
    """Money of one award that waits for one silent process, in micro-won, since its last word."""

    process_id: UUID
    node: str
    since: datetime
    award_id: UUID
    micro_won: int
    loss: LossView | None


@dataclass(frozen=True, slots=True)
class LostSum:
    """What one lost process held of one award: returned, and charged or left uncovered when its journal turned up."""

    process_id: UUID
    award_id: UUID
    returned_micro_won: int
    charged_micro_won: int
    uncovered_micro_won: int


def gateway_processes(
    *, finished_since: timedelta | None = None, named: str | None = None
) -> list[GatewayProcessView]:
    """Processes not finished (and, if asked, those finished lately), newest first, with their escrow.

    `named` is a node's name or a process's id.
    """
    now = clock.now()
    wanted = Q(finished_at=None, lost_at=None) | Q(finished_at=None, lost_at__gte=now - LOST_SHOWN)
    if finished_since is not None:
        wanted |= Q(finished_at__gte=now - finished_since)
    rows = GatewayProcess.objects.filter(wanted)
    if named is not None:
        rows = rows.filter(_named(named))
    return _views(list(rows.order_by("-started_at")), now)


def gateway_process(*, process_id: UUID) -> GatewayProcessView | None:
    row = GatewayProcess.objects.filter(pk=process_id).first()
    return _views([row], clock.now())[0] if row else None


def waiting_escrow(*, award_ids: Collection[UUID] | None = None) -> list[WaitingEscrow]:
    """What waits for silent processes, of these awards or of all, the largest sum first."""
    return list(_waiting_escrow(None if award_ids is None else frozenset(award_ids)))


@once_a_page
def _waiting_escrow(award_ids: frozenset[UUID] | None) -> tuple[WaitingEscrow, ...]:
    now = clock.now()
    silent = GatewayProcess.objects.filter(
        finished_at=None, lost_at=None, last_seen_at__lt=now - SILENT_AFTER
    ).in_bulk()
    if not silent:
        return ()
    losses = _losses(silent, now)
    return tuple(
        WaitingEscrow(
            process_id=held.counterpart_id,
            node=silent[held.counterpart_id].node,
            since=silent[held.counterpart_id].last_seen_at,
            award_id=held.owner_id,
            micro_won=held.amount,
            loss=losses.get(held.counterpart_id),
        )
        for held in ledger.escrow_holdings(counterpart_ids=list(silent), owner_ids=award_ids)
    )


def lost_sums(*, process_id: UUID | None = None, award_ids: Collection[UUID] | None = None) -> list[LostSum]:
    """What declared losses came to, by process and award."""
    rows = LostEscrow.objects.order_by("process_id", "award_id")
    if process_id is not None:
        rows = rows.filter(process_id=process_id)
    if award_ids is not None:
        rows = rows.filter(award_id__in=award_ids)
    return [LostSum(**{name: getattr(row, name) for name in LostSum.__dataclass_fields__}) for row in rows]


def loss_view(row: LossDeclaration, *, now: datetime) -> LossView:
    values = {name: getattr(row, name) for name in LossView.__dataclass_fields__}
    if row.state == "requested" and row.expires_at <= now:
        values["state"] = "expired"
    return LossView(**values)


def number_in(figures: Mapping[str, Any], name: str) -> float | None:
    """A number from a heartbeat, which comes from another machine, perhaps of another release; None where it is none."""
    value = figures.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def percentiles_in(figures: Mapping[str, Any], name: str) -> tuple[float, ...]:
    """Three numbers from a heartbeat; empty where they are not."""
    values = figures.get(name)
    if not isinstance(values, list) or len(values) != 3:
        return ()
    return (
        tuple(float(value) for value in values)
        if all(isinstance(value, int | float) and math.isfinite(value) for value in values)
        else ()
    )


def _named(text: str) -> Q:
    try:
        return Q(node=text) | Q(pk=UUID(text))
    except ValueError:
        return Q(node=text)


def _losses(process_ids: Collection[UUID], now: datetime) -> dict[UUID, LossView]:
    """The latest declaration about each process."""
    rows = LossDeclaration.objects.filter(process_id__in=process_ids).order_by("requested_at", "pk")
    return {row.process_id: loss_view(row, now=now) for row in rows}


def _views(rows: list[GatewayProcess], now: datetime) -> list[GatewayProcessView]:
    ids = [row.pk for row in rows]
    held = ledger.escrow_by_counterpart(counterpart_ids=ids)
    losses = _losses(ids, now)
    return [
        GatewayProcessView(
            id=row.pk,
            node=row.node,
            os_pid=row.os_pid,
            version=row.version,
            started_at=row.started_at,
            last_seen_at=row.last_seen_at,
            finished_at=row.finished_at,
            lost_at=row.lost_at,
            posted_sequence=row.posted_sequence,
            figures=row.figures,
            silent=row.finished_at is None and row.lost_at is None and row.last_seen_at < now - SILENT_AFTER,
            escrow_micro_won=held.get(row.pk, 0),
            loss=losses.get(row.pk),
        )
        for row in rows
    ]
