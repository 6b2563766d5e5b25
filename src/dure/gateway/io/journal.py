"""The journal's writer: one folder per gateway process, `JOURNAL_DIR/<process uuid>/`.

The folder holds `lock` (flocked while the process lives, so that a free lock means a dead process),
segments `00000001.journal`, `00000002.journal`, …, and `ballast`: blocks kept back for the day the
disk is full, given up then so that running requests can still be recorded.

Frames appended in one turn of the loop go out in one write(2) at its end; that is what a `kill -9`
cannot undo. A thread then syncs the file every few milliseconds; that is what a power cut cannot undo.
Should a write or a sync fail, the frames stay here in memory, are tried again until they are written,
and `healthy` is false until then: the process refuses new requests and finishes the running ones.
"""

import asyncio
import errno
import fcntl
import logging
import os
import re
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from uuid import UUID

from dure.gateway.protocol import frames, journal

logger = logging.getLogger(__name__)

LOCK_NAME = "lock"
BALLAST_NAME = "ballast"
SEGMENT_SUFFIX = ".journal"
_SEGMENT_NAME = re.compile(r"([0-9]{1,18})" + re.escape(SEGMENT_SUFFIX))

_WRITE_RETRY_SECONDS = 0.1
_CLOSE_SECONDS = 5.0
_KIND_AT = 2
_CLOSED = frames.CLOSED
_SEQUENCE_AT = journal.FRAME_HEAD_BYTES
_sequence_in = struct.Struct("<Q").unpack_from
_FRAMES_PER_WRITE = 1000  # below IOV_MAX


Callback = Callable[[], None]


class JournalLocked(Exception):
    """Another living process owns this journal folder."""


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}{SEGMENT_SUFFIX}"


def segments(folder: Path) -> list[tuple[int, Path]]:
    """Numbers and paths of a folder's segments, in order."""
    found = [(_SEGMENT_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match is not None)


def lock_folder(folder: Path) -> int:
    """The descriptor that holds the folder's lock until it is closed; `JournalLocked` if somebody has it."""
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            raise JournalLocked(f"{folder} belongs to a living process") from None
        raise
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)  # whoever had it has settled and removed the folder
        raise JournalLocked(f"{folder} has been settled by another process")
    return descriptor


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, not only the files' contents."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _now_us() -> int:
    return time.time_ns() // 1000


class Syncer(Protocol):
    """What makes written frames durable."""

    def written(self, data: bytes) -> None: ...

    def move_to(self, descriptor: int, old: int) -> None: ...

    def stop(self) -> None: ...


class JournalWriter:
    """Appends frames for the process whose uuid is the folder's name. Belongs to `loop`'s thread.

    The folder appears under its name only once its lock is held, so that nobody takes a process that
    is starting for one that has died.
    """

    def __init__(
        self,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        *,
        segment_bytes: int = 64 << 20,
        sync_interval_ms: float = 4.0,
        ballast_bytes: int = 4 << 20,
    ) -> None:
        self.folder = folder
        self.process_id = UUID(folder.name)
        self.healthy = True
        self.last_error = ""
        self.written_bytes = 0
        self._loop = loop
        self._segment_bytes = segment_bytes
        self._ballast_bytes = ballast_bytes
        #: The number that the next closed record must have; it is used up when that is appended.
        self.next_sequence = 1
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._partial = b""
        self._spoilt = False
        self._callbacks: list[tuple[Callback, Callback | None]] = []
        self._scheduled = False
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self._segment = 0
        self._segment_size = 0
        self._descriptor = -1
        starting = folder.with_name(f".{folder.name}.starting")
        starting.mkdir(parents=True)
        self._lock = lock_folder(starting)
        self._open_segment(starting)
        starting.rename(folder)
        sync_folder(folder.parent)
        self._syncer: Syncer = _Syncer(self._descriptor, sync_interval_ms / 1000, self._sync_failed)
        self._keep_ballast()

    # Appending

    def append(self, frame: bytes, written: Callback | None = None, refused: Callback | None = None) -> None:
        """Take a frame; it is written at the end of this turn of the loop. The callbacks are as for `after_write`.

        `ValueError` for a closed record out of sequence: a gap would stop the journal's readers.
        """
        if frame[_KIND_AT] == _CLOSED:
            (sequence,) = _sequence_in(frame, _SEQUENCE_AT)
            if sequence != self.next_sequence:
                raise ValueError(f"record {sequence} cannot follow record {self.last_sequence}")
            self.next_sequence = sequence + 1
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        if written is not None:
            self._callbacks.append((written, refused))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def after_write(self, callback: Callback, refused: Callback | None = None) -> None:
        """Call back once every frame appended so far has been given to write(2).

        If the disk refuses them, `refused` is called instead; it is for what must not happen unrecorded,
        such as a new upstream call. Without one, `callback` is called all the same: an answer that is
        already paid for is finished, and its record waits here until the disk takes it.
        """
        self._callbacks.append((callback, refused))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    @property
    def backlog_bytes(self) -> int:
        """Bytes appended and not yet written: zero unless the disk refuses them."""
        return self._pending_bytes

    @property
    def last_sequence(self) -> int:
        return self.next_sequence - 1

    def close(self) -> None:
        """Write and sync what is left and free the lock. A disk that refuses gets a few seconds more."""
        if self._closed:
            return
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        give_up_at = time.monotonic() + _CLOSE_SECONDS
        while self._pending:
            try:
                self._write_pending()
            except OSError as error:
                self._write_failed(error)
                if time.monotonic() > give_up_at:
                    lost = self._pending_bytes
                    logger.critical("journal %s: %s; %d bytes could not be kept", self.folder, error, lost)
                    break
                time.sleep(_WRITE_RETRY_SECONDS)
        self._run_callbacks(written=not self._pending)
        self._syncer.stop()
        os.close(self._descriptor)
        os.close(self._lock)

    # Writing

    def _flush(self) -> None:
        self._scheduled = False
        if self._closed:
            return
        if self._pending and self._retry is None:
            self._try_writing()
        self._run_callbacks(written=not self._pending)

    def _try_writing(self) -> None:
        try:
            self._write_pending()
        except OSError as error:
            self._write_failed(error)

    def _write_pending(self) -> None:
        if self._spoilt:
            self._next_segment()
        while self._pending:
            batch = self._pending[:_FRAMES_PER_WRITE]
            data = batch[0] if len(batch) == 1 else b"".join(batch)
            written = os.write(self._descriptor, data)
            self._segment_size += written
            self.written_bytes += written
            self._pending_bytes -= written
            if written < len(data):
                # The next try must go on at this very byte, or the file would be unsound in its middle.
                self._pending[: len(batch)] = [data[written:]]
                self._partial += data[:written]
                continue
            del self._pending[: len(batch)]
            self._syncer.written(self._partial + data if self._partial else data)
            self._partial = b""
            if self._segment_size >= self._segment_bytes and not self._closed:
                try:
                    self._next_segment()
                except OSError as error:
                    # The old segment still takes frames; only its size is beyond what it should be.
                    self._write_failed(error)

    def _run_callbacks(self, *, written: bool) -> None:
        if not self._callbacks:
            return
        callbacks, self._callbacks = self._callbacks, []
        for callback, refused in callbacks:
            try:
                (callback if written or refused is None else refused)()
            except Exception:  # one request's failure must not hold back another's answer
                logger.exception("a journal callback failed")

    def _next_segment(self) -> None:
        old = self._descriptor
        self._open_segment(self.folder)
        self._syncer.move_to(self._descriptor, old)
        self._spoilt = False

    def _open_segment(self, folder: Path) -> None:
        number = self._segment + 1
        temporary = folder / f".{number:08d}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o644)
        try:
            header = journal.encode_header(self.process_id, number, created_at=_now_us())
            if os.write(descriptor, header) != len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))
            temporary.rename(segment_path(folder, number))
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._segment = number
        self._segment_size = len(header)

    # When the disk refuses

    def _write_failed(self, error: OSError) -> None:
        if self.healthy:
            logger.error("journal %s: %s; new requests are refused until it is writable", self.folder, error)
        self.healthy = False
        self.last_error = error.strerror or str(error)
        self._give_up_ballast()
        self._try_again_later()

    def _try_again_later(self) -> None:
        if self._retry is None and not self._closed:
            self._retry = self._loop.call_later(_WRITE_RETRY_SECONDS, self._write_again)

    def _sync_failed(self, unsynced: bytes, error: OSError) -> None:
        """Called by the syncing thread. After a failed sync the kernel forgets what it could not write
        (fsync(2)), so those frames are written again, to a new segment; readers skip what they know."""
        self._loop.call_soon_threadsafe(self._start_over, unsynced, error)

    def _start_over(self, unsynced: bytes, error: OSError) -> None:
        if self._closed:
            return
        if self._partial:
            # Its beginning went to the segment that is being left; the next one gets it whole.
            self._pending[0] = self._partial + self._pending[0]
            self._pending_bytes += len(self._partial)
            self._partial = b""
        if unsynced:
            self._pending.insert(0, unsynced)
            self._pending_bytes += len(unsynced)
        self._spoilt = True
        self._write_failed(error)

    def _write_again(self) -> None:
        self._retry = None
        if self._pending or self._spoilt:
            self._try_writing()
        if not self._pending and not self._spoilt and self._keep_ballast() and not self.healthy:
            self.healthy = True
            logger.warning("journal %s: writable again; new requests are admitted", self.folder)
        if not self.healthy:
            self._try_again_later()

    def _keep_ballast(self) -> bool:
        """Have the ballast; false, and unhealthy, where there is no room for it."""
        if not self._ballast_bytes:
            return True
        path = self.folder / BALLAST_NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(descriptor, 0, self._ballast_bytes)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._write_failed(error)
            return False
        return True

    def _give_up_ballast(self) -> None:
        try:
            (self.folder / BALLAST_NAME).unlink(missing_ok=True)
        except OSError:
            logger.exception("journal %s: the ballast could not be given up", self.folder)


class _Syncer:
    """The thread that makes written frames durable. Only descriptors and bytes cross over to it."""

    def __init__(
        self, descriptor: int, interval_seconds: float, failed: Callable[[bytes, OSError], None]
    ) -> None:
        self._descriptor = descriptor
        self._interval_seconds = interval_seconds
        self._failed = failed
        self._guard = threading.Lock()
        self._unsynced: list[bytes] = []
        self._retired: list[int] = []
        self._dirty = threading.Event()
        self._stopping = threading.Event()
        self._syncing = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._syncing.start()

    def written(self, data: bytes) -> None:
        self._unsynced.append(data)
        if not self._dirty.is_set():
            self._dirty.set()

    def move_to(self, descriptor: int, old: int) -> None:
        with self._guard:
            self._retired.append(old)
            self._descriptor = descriptor
        self._dirty.set()

    def stop(self) -> None:
        self._stopping.set()
        self._dirty.set()
        self._syncing.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._dirty.wait()
            self._stopping.wait(self._interval_seconds)
            self._dirty.clear()
            self._sync()
        self._sync()

    def _sync(self) -> None:
        with self._guard:
            taken, self._unsynced = self._unsynced, []
            retired, self._retired = self._retired, []
            descriptor = self._descriptor
        try:
            for old in retired:
                os.fdatasync(old)
            if taken:
                os.fdatasync(descriptor)
        except OSError as error:
            self._failed(b"".join(taken), error)
        finally:
            for old in retired:
                os.close(old)
