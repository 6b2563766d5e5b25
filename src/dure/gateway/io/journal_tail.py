"""Reading a process's journal as it grows: closed records in order, each exactly once.

A segment is complete once its successor exists, because the writer opens the next one only after its
last write to this one. A torn tail in the middle of a journal is harmless as long as the sequences go
on without a gap (a writer whose disk failed starts over in a new segment), so it is the sequences that
are held to account: a gap or unsound bytes raise `JournalDamaged` at their place, and everything
before it has been handed out.
"""

import os
from pathlib import Path
from uuid import UUID

from dure.gateway.io.journal import segments
from dure.gateway.protocol import journal
from dure.gateway.protocol.journal import Damage, Decoder, Frame, Kind

_READ_BYTES = 1 << 20

#: One closed record: its sequence and its JSON.
Closed = tuple[int, bytes]


class JournalDamaged(Exception):
    """A journal cannot be read on from here without losing something."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(f"{path} at byte {offset}: {reason}")
        self.path = path
        self.offset = offset
        self.reason = reason


class JournalTail:
    """Reads the folder of one process from its first segment, skipping what is posted up to `after`.

    `sequence` is the last closed record handed out or skipped. Set `ended` once the process is dead:
    the last segment is then complete too.
    """

    def __init__(self, folder: Path, *, after: int) -> None:
        self.folder = folder
        self.sequence = after
        self.ended = False
        self.process_id = UUID(folder.name)
        self._segment = 0
        self._path = folder
        self._descriptor = -1
        self._decoder = Decoder()
        self._ready: list[Frame | Damage] = []
        self._ready_at = 0
        self._opened_in: dict[bytes, int] = {}

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read(self, *, max_records: int, max_bytes: int) -> list[Closed]:
        """Closed records that are new since the last call, none when there is nothing new yet.

        `JournalDamaged` is raised only by a call that has nothing to hand out before the damage.
        """
        batch: list[Closed] = []
        size = 0
        while len(batch) < max_records and size < max_bytes:
            if self._ready_at == len(self._ready) and not self._read_more():
                break
            try:
                size += self._take(batch, max_records, max_bytes - size)
            except JournalDamaged:
                if batch:
                    break
                raise
        return batch

    @property
    def open_requests(self) -> int:
        """Requests opened and not closed in what has been read."""
        return len(self._opened_in)

    @property
    def unread_bytes(self) -> int:
        """Bytes in the folder's segments that have not been decoded yet."""
        total = 0
        for number, path in segments(self.folder):
            if number >= self._segment:
                total += path.stat().st_size
        if self._descriptor >= 0:
            total -= os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return total

    def finished_segments(self) -> list[Path]:
        """Segments that nothing needs any more, once all that was handed out is posted."""
        needed = min(self._opened_in.values(), default=self._segment)
        return [path for number, path in segments(self.folder) if number < min(needed, self._segment)]

    def _take(self, batch: list[Closed], max_records: int, max_bytes: int) -> int:
        """Move what is decoded into the batch; the bytes moved."""
        ready, opened_in = self._ready, self._opened_in
        at, sequence, size = self._ready_at, self.sequence, 0
        try:
            while at < len(ready) and len(batch) < max_records and size < max_bytes:
                item = ready[at]
                if isinstance(item, Damage):
                    raise JournalDamaged(
                        self._path, item.offset, f"{item.reason}; sound frames go on at byte {item.end}"
                    )
                payload = item.payload
                if item.kind == Kind.CLOSED:
                    found = int.from_bytes(payload[:8], "little")
                    opened_in.pop(payload[8:24], None)
                    if found == sequence + 1:
                        text = payload[journal.CLOSED_JSON_AT :]
                        batch.append((found, text))
                        size += len(text)
                        sequence = found
                    elif found > sequence:
                        raise JournalDamaged(
                            self._path, item.offset, f"record {found} follows record {sequence}"
                        )
                elif item.kind == Kind.OPENED:
                    opened_in[payload[:16]] = self._segment
                at += 1
        finally:
            self._ready_at, self.sequence = at, sequence
        return size

    def _read_more(self) -> bool:
        """Decode the next bytes there are; False when everything written so far has been taken."""
        while True:
            if self._descriptor < 0 and not self._open_next():
                return False
            complete = (
                self.ended or self._has_successor()
            )  # asked before reading, or the last bytes could be missed
            data = os.read(self._descriptor, _READ_BYTES)
            if data:
                self._ready, self._ready_at = self._decoder.feed(data), 0
            elif complete:
                self._ready, self._ready_at = self._decoder.finish(), 0
                self.close()
            else:
                return False
            if self._ready:
                return True

    def _has_successor(self) -> bool:
        return any(number > self._segment for number, _ in segments(self.folder))

    def _open_next(self) -> bool:
        following = [(number, path) for number, path in segments(self.folder) if number > self._segment]
        if not following:
            return False
        number, path = following[0]
        if self._segment and number != self._segment + 1:
            raise JournalDamaged(path, 0, f"segment {self._segment + 1} is missing before it")
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._segment, self._path, self._decoder = number, path, Decoder()
        return True
