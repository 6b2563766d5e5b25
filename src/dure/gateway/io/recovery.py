"""Bringing a dead process's journal to its end, so that it can be posted and its escrow returned.

Every `opened` without `closed` becomes an interrupted record. They go, with the sequences that follow,
into one more segment, which appears under its name only when it is complete and durable: dying at any
point of this and doing it again comes to the same. The caller holds the folder's lock.

A journal with damage is not touched (`JournalDamaged`), unless the operator accepts the damage: then
everything readable is laid out anew, in order, in one segment. Sequences that are missing go first to
the requests that stay open, for one of them was lost with its record; what is then still missing gets
a record without money that says so. The damaged segments are kept beside it in `damaged/`.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from dure.contracts.ids import uuid7
from dure.contracts.usage import UsageRecord
from dure.gateway.io.journal import segment_path, segments, sync_folder
from dure.gateway.io.journal_tail import JournalDamaged
from dure.gateway.protocol import journal
from dure.gateway.protocol.frames import encode_frame
from dure.gateway.protocol.journal import Damage, Decoder, Kind

DAMAGED_NAME = "damaged"

_READ_BYTES = 4 << 20


@dataclass
class Scan:
    """Everything a journal folder says."""

    folder: Path
    last_segment: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    last_written_at: int = 0
    closed: dict[int, bytes] = field(default_factory=dict)
    open: dict[bytes, bytes] = field(default_factory=dict)
    progress: dict[bytes, bytes] = field(default_factory=dict)
    damage: list[JournalDamaged] = field(default_factory=list)
    frames: int = 0
    torn_bytes: int = 0


@dataclass(frozen=True)
class Recovered:
    """What recovery added. `interrupted` requests were open; `lost` records could not be read."""

    interrupted: int
    lost: int
    last_sequence: int


def scan(folder: Path, *, keep_closed: bool = False) -> Scan:
    """Read every segment to its end. `closed` payloads are kept by sequence only if asked for."""
    result = Scan(folder)
    previous = 0
    for number, path in segments(folder):
        if previous and number != previous + 1:
            result.damage.append(JournalDamaged(path, 0, f"segment {previous + 1} is missing before it"))
        previous = number
        _scan_segment(result, path, keep_closed=keep_closed)
        result.last_segment = number
    return result


def _scan_segment(result: Scan, path: Path, *, keep_closed: bool) -> None:
    decoder = Decoder()
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            for item in decoder.feed(data):
                _take(result, path, item, keep_closed=keep_closed)
        for item in decoder.finish():
            _take(result, path, item, keep_closed=keep_closed)
        written_at = os.fstat(file.fileno()).st_mtime_ns // 1000
    result.torn_bytes += decoder.torn_bytes
    if decoder.header is not None and not decoder.header.recovery:
        result.last_written_at = written_at


def _take(result: Scan, path: Path, item: journal.Frame | Damage, *, keep_closed: bool) -> None:
    if isinstance(item, Damage):
        reason = f"{item.reason}; sound frames go on at byte {item.end}"
        result.damage.append(JournalDamaged(path, item.offset, reason))
        return
    result.frames += 1
    payload = item.payload
    if item.kind == Kind.OPENED:
        result.open[payload[:16]] = payload
    elif item.kind == Kind.PROGRESS:
        result.progress[payload[:16]] = payload
    elif item.kind == Kind.CLOSED:
        request = journal.closed_request(payload)
        sequence = journal.closed_sequence(payload)
        result.open.pop(request, None)
        result.progress.pop(request, None)
        if sequence > result.last_sequence + 1 and result.last_sequence:
            reason = f"record {sequence} follows record {result.last_sequence}"
            result.damage.append(JournalDamaged(path, item.offset, reason))
        result.first_sequence = result.first_sequence or sequence
        result.last_sequence = max(result.last_sequence, sequence)
        if keep_closed:
            result.closed[sequence] = payload


def recover(folder: Path, *, posted: int, accept_damage: bool = False) -> Recovered:
    """Complete the journal of a dead process of which records up to `posted` are in the database."""
    found = scan(folder, keep_closed=accept_damage)
    if found.first_sequence > posted + 1:
        reason = f"record {found.first_sequence} is the first, though only {posted} are posted"
        found.damage.append(JournalDamaged(folder, 0, reason))
    if found.damage:
        if not accept_damage:
            raise found.damage[0]
        return _lay_out_anew(found, posted=posted)
    last = max(found.last_sequence, posted)
    records = _interrupted(found, range(last + 1, last + 1 + len(found.open)))
    if records:
        frames = b"".join(journal.encode_closed(record) for record in records)
        _write_segment(folder, found.last_segment + 1, frames)
    return Recovered(len(records), 0, last + len(records))


def _interrupted(found: Scan, sequences: range | list[int]) -> list[UsageRecord]:
    records = []
    for sequence, (request, payload) in zip(sequences, found.open.items(), strict=False):
        seen = found.progress.get(request)
        records.append(
            journal.interrupted(
                journal.decode_opened(payload),
                journal.decode_progress(seen) if seen else None,
                sequence=sequence,
                closed_at=found.last_written_at,
            )
        )
    return records


def _lay_out_anew(found: Scan, *, posted: int) -> Recovered:
    last = max(found.last_sequence, posted)
    missing = [number for number in range(posted + 1, last + 1) if number not in found.closed]
    beyond = range(last + 1, last + 1 + max(0, len(found.open) - len(missing)))
    interrupted = _interrupted(found, [*missing, *beyond])
    lost = [lost_record(sequence, found.last_written_at) for sequence in missing[len(interrupted) :]]
    frames = {number: encode_frame(Kind.CLOSED, payload) for number, payload in found.closed.items()}
    frames |= {record.sequence: journal.encode_closed(record) for record in (*interrupted, *lost)}
    kept = found.folder / DAMAGED_NAME
    kept.mkdir(exist_ok=True)
    damaged = segments(found.folder)
    _write_segment(
        found.folder,
        found.last_segment + 1,
        b"".join(frame for number, frame in sorted(frames.items()) if number > posted),
    )
    for _, path in damaged:
        path.rename(kept / path.name)
    sync_folder(found.folder)
    return Recovered(len(interrupted), len(lost), last + len(beyond))


def lost_record(sequence: int, closed_at: int, *, request_id: UUID | None = None) -> UsageRecord:
    """The place of a record that cannot be read or was refused: it carries no money."""
    nobody = UUID(int=0)
    return UsageRecord(
        request_id=request_id or uuid7(),
        sequence=sequence,
        award=nobody,
        key=nobody,
        model="",
        deployment=nobody,
        provider=nobody,
        price=nobody,
        endpoint="",
        status="failed",
        http_status=0,
        streamed=False,
        estimated=True,
        input_tokens=0,
        output_tokens=0,
        cached_tokens=0,
        cost_micro_won=0,
        opened_at=closed_at,
        closed_at=closed_at,
        error_code="journal_record_lost",
    )


def _write_segment(folder: Path, number: int, frames: bytes) -> None:
    """A whole segment or none, durable when this returns."""
    path = segment_path(folder, number)
    temporary = folder / f".{path.name}.new"
    process_id = UUID(folder.name)
    with temporary.open("wb") as file:
        file.write(journal.encode_header(process_id, number, created_at=0, recovery=True) + frames)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_folder(folder)
