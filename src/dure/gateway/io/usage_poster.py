"""Posting closed records: exactly once, and one bad record never stands in the way of the others.

A batch goes as columns (`protocol/usage_columns.py`), or as JSON where that cannot be. Either door does nothing
unless the process's mark is where we think it is, so a batch whose answer was lost is simply posted again. A batch
that the database refuses goes as JSON, and is halved until the one record it will not take stands alone. That record is
written to `refused/`, with the reason, before its place in the sequence is taken by the same record without its money; the
file of a record whose place was not taken after all is removed when its folder is opened again. So each record is posted,
or refused and kept, and never both. The money of a refused record returns to its award with the rest of the escrow.
"""

import json
import logging
import os
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from dure.contracts import gateway_api
from dure.contracts.usage import UsageRecord
from dure.gateway.io.connections import (
    Connections,
    DatabaseRefused,
    Int4Array,
    Int8Array,
    JsonText,
    UuidArray,
)
from dure.gateway.io.journal_tail import Closed
from dure.gateway.io.recovery import lost_record
from dure.gateway.protocol.usage_columns import Columns, ColumnWriter, Unfit

logger = logging.getLogger(__name__)

POST_TIMEOUT_SECONDS = 60.0
REFUSED_CODE = "refused_by_ledger"

_encode_json = msgspec.json.encode


class ProcessMoney(NamedTuple):
    """An answer to `process_money`, micro-won."""

    lost: bool = False
    escrow: int = 0
    charged: int = 0
    uncovered: int = 0


class ProcessStuck(Exception):
    """The database takes nothing from this process: it is unknown, or finished already."""


class MarkMoved(Exception):
    """The database's mark is not where this reader left it; read again from the mark."""


class Batch:
    """Records whose sequences follow each other, packed into columns as they are added."""

    def __init__(self) -> None:
        self.closed: list[Closed] = []
        self.bytes = 0
        self.columns: Columns | None = None
        self._writer: ColumnWriter | None = ColumnWriter()

    def add(self, closed: list[Closed]) -> None:
        self.closed += closed
        self.bytes += sum(len(text) for _, text in closed)
        if self._writer is not None:
            try:
                self._writer.add(closed)
            except Unfit:
                self._writer = None

    def pack(self) -> None:
        """After the last record. Without columns, where a record does not fit, the batch goes as JSON."""
        if self._writer is not None:
            try:
                self.columns = self._writer.columns()
            except Unfit:
                pass
            self._writer = None


class UsagePoster:
    """Posts the records of any process. `refused` is the folder for what the database will not take."""

    def __init__(self, connections: Connections, refused: Path) -> None:
        self.refused = refused
        self.posted_records = 0
        self.refused_records = 0
        self._connections = connections

    async def mark(self, process_id: UUID) -> int | None:
        """The last posted sequence; None for a process the database does not know."""
        rows = await self._connections.ask(gateway_api.POSTED_SEQUENCE, (process_id,))
        value = rows[0][0]
        return None if value is None else int(value)

    async def money(self, process_id: UUID) -> ProcessMoney:
        """What it holds, and what came of it if it was declared lost; nothing for an unknown process."""
        rows = await self._connections.ask(gateway_api.PROCESS_MONEY, (process_id,))
        return ProcessMoney(*rows[0]) if rows else ProcessMoney()

    async def finish(self, process_id: UUID) -> None:
        await self._connections.ask(
            gateway_api.FINISH_PROCESS, (process_id,), timeout_seconds=POST_TIMEOUT_SECONDS
        )

    async def post(self, process_id: UUID, batch: Batch) -> None:
        """Post a packed batch, after all records that come before it."""
        if not batch.closed:
            return
        after, up_to = batch.closed[0][0] - 1, batch.closed[-1][0]
        if batch.columns is not None:
            try:
                mark = await self._post_columns(process_id, after, up_to, batch.columns)
            except DatabaseRefused:
                mark = None  # as text, the record that is in the way is found
            if mark is not None:
                posted = self._count(process_id, after, up_to, mark)
                await self._post_records(process_id, batch.closed[posted:])
                return
        await self._post_records(process_id, batch.closed)

    def _count(self, process_id: UUID, after: int, up_to: int, mark: int) -> int:
        """How many of the records are posted, now or before."""
        if mark < after:
            raise MarkMoved(f"process {process_id}: the mark is {mark}, not {after}")
        posted = min(mark, up_to) - after
        self.posted_records += posted
        return posted

    async def _post_columns(self, process_id: UUID, after: int, up_to: int, columns: Columns) -> int | None:
        """The new mark; None for a process that was declared lost."""
        parameters = (
            process_id, after, up_to, JsonText(columns.kinds), JsonText(columns.rest), Int4Array(columns.kind_of),
            UuidArray(columns.request_ids), *map(Int8Array, columns.numbers),
        )  # fmt: skip
        rows = await self._connections.ask(
            gateway_api.POST_USAGE_COLUMNS, parameters, timeout_seconds=POST_TIMEOUT_SECONDS
        )
        return None if rows[0][0] is None else int(rows[0][0])

    async def _post_records(self, process_id: UUID, batch: list[Closed]) -> None:
        """As JSON, halved where it is refused."""
        while batch:
            after, up_to = batch[0][0] - 1, batch[-1][0]
            try:
                mark = await self._post_text(process_id, after, up_to, b",".join([text for _, text in batch]))
            except DatabaseRefused as refused:
                if len(batch) == 1:
                    await self._set_aside(process_id, batch[0], refused)
                    return
                half = len(batch) // 2
                await self._post_records(process_id, batch[:half])
                batch = batch[half:]
                continue
            batch = batch[self._count(process_id, after, up_to, mark) :]

    async def _post_text(self, process_id: UUID, after: int, up_to: int, records: bytes) -> int:
        parameters = (process_id, after, up_to, JsonText(b"[" + records + b"]"))
        rows = await self._connections.ask(
            gateway_api.POST_USAGE, parameters, timeout_seconds=POST_TIMEOUT_SECONDS
        )
        return int(rows[0][0])

    # Refused records

    async def _set_aside(self, process_id: UUID, closed: Closed, refused: DatabaseRefused) -> None:
        sequence, text = closed
        path = self._refused_path(process_id, sequence)
        self._keep(path, process_id, closed, refused)
        for stand_in in _stand_ins(sequence, text):
            try:
                mark = await self._post_text(process_id, sequence - 1, sequence, _encode_json(stand_in))
            except DatabaseRefused:
                continue
            if mark < sequence:
                raise MarkMoved(f"process {process_id}: the mark is {mark}, not {sequence}")
            self.refused_records += 1
            logger.error(
                "record %d of process %s was refused (%s); kept in %s", sequence, process_id, refused, path
            )
            return
        path.unlink()
        raise ProcessStuck(f"the database takes no records of process {process_id}: {refused}")

    def _keep(self, path: Path, process_id: UUID, closed: Closed, refused: DatabaseRefused) -> None:
        sequence, text = closed
        report = {
            "process": str(process_id),
            "sequence": sequence,
            "sqlstate": refused.sqlstate,
            "reason": str(refused),
            "record": text.decode(errors="backslashreplace"),
        }
        self.refused.mkdir(exist_ok=True)
        temporary = path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(report, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)

    def forget_unplaced(self, process_id: UUID, mark: int) -> None:
        """Remove reports of records that the database's mark has not passed: they will be tried again."""
        for path in self.refused.glob(f"{process_id}-*.json"):
            if int(path.stem.rpartition("-")[2]) > mark:
                path.unlink()

    def _refused_path(self, process_id: UUID, sequence: int) -> Path:
        return self.refused / f"{process_id}-{sequence:012d}.json"


def _stand_ins(sequence: int, text: bytes) -> list[UsageRecord]:
    """What may take a refused record's place: the record without its money, or only a mark of its loss."""
    try:
        record = msgspec.json.decode(text, type=UsageRecord)
    except ValueError:
        return [_marker(sequence, 0)]
    without_money = msgspec.structs.replace(
        record,
        sequence=sequence,
        cost_micro_won=0,
        uncovered_micro_won=max(0, record.uncovered_micro_won) + max(0, record.cost_micro_won),
        error_code=REFUSED_CODE,
    )
    return [without_money, _marker(sequence, record.closed_at)]


def _marker(sequence: int, closed_at: int) -> UsageRecord:
    return msgspec.structs.replace(lost_record(sequence, closed_at), error_code=REFUSED_CODE)
