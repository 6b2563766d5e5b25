"""The writer: one write per turn, nothing lost while the process lives, whatever the disk does."""

import asyncio
import errno
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dure.gateway.io import journal as journal_io
from dure.gateway.io.journal import JournalLocked, JournalWriter, lock_folder, segments
from dure.gateway.io.journal_tail import JournalTail
from dure.gateway.protocol import journal

from .records import PROCESS, closed, opened

Write = Callable[[int, bytes], int]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    failures: list[str] = []
    loop.set_exception_handler(lambda _, context: failures.append(repr(context.get("exception"))))
    yield loop
    loop.close()
    assert failures == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / str(PROCESS)


def turns(loop: asyncio.AbstractEventLoop, seconds: float = 0.0) -> None:
    loop.run_until_complete(asyncio.sleep(seconds))


def until(loop: asyncio.AbstractEventLoop, condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)

    loop.run_until_complete(wait())


def sequences(folder: Path) -> list[int]:
    tail = JournalTail(folder, after=0)
    tail.ended = True
    found = []
    while batch := tail.read(max_records=1000, max_bytes=1 << 20):
        found += [sequence for sequence, _ in batch]
    tail.close()
    return found


def close_call(writer: JournalWriter) -> None:
    writer.append(journal.encode_closed(closed(writer.next_sequence)))


def test_frames_of_one_turn_go_out_in_one_write(
    loop: asyncio.AbstractEventLoop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(folder, loop)
    sizes: list[int] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or real(fd, data))
    frames = [journal.encode_opened(opened(number)) for number in range(20)]
    seen: list[str] = []
    writer.after_write(lambda: seen.append("before any frame"))
    for frame in frames:
        writer.append(frame)
    writer.after_write(lambda: seen.append(f"{len(sizes)} writes"))
    assert sizes == []

    turns(loop)

    assert sizes == [sum(map(len, frames))]
    assert seen == ["before any frame", "1 writes"]
    assert writer.backlog_bytes == 0
    writer.close()


def test_what_was_written_survives_without_close(loop: asyncio.AbstractEventLoop, folder: Path) -> None:
    writer = JournalWriter(folder, loop)
    for _ in range(3):
        close_call(writer)
    turns(loop)

    assert sequences(folder) == [1, 2, 3]
    writer.close()


def test_segments_follow_each_other_and_the_old_ones_are_let_go(
    loop: asyncio.AbstractEventLoop, folder: Path
) -> None:
    writer = JournalWriter(folder, loop, segment_bytes=2000)
    tail = JournalTail(folder, after=0)
    pinned = journal.encode_opened(opened(999))
    found = []
    for number in range(1, 41):
        if number == 11:
            writer.append(pinned)
        close_call(writer)
        turns(loop)
        found += [sequence for sequence, _ in tail.read(max_records=1000, max_bytes=1 << 20)]

    assert found == list(range(1, 41))
    assert [number for number, _ in segments(folder)] == list(range(1, len(segments(folder)) + 1))
    pinned_in = next(number for number, path in segments(folder) if pinned in path.read_bytes())
    assert [int(path.stem) for path in tail.finished_segments()] == list(range(1, pinned_in))
    writer.append(journal.encode_closed(closed(writer.next_sequence, 999)))
    turns(loop)
    tail.read(max_records=1000, max_bytes=1 << 20)
    assert len(tail.finished_segments()) >= len(segments(folder)) - 2
    tail.close()
    writer.close()


def test_a_folder_is_seen_only_once_it_is_locked(loop: asyncio.AbstractEventLoop, folder: Path) -> None:
    writer = JournalWriter(folder, loop)

    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    with pytest.raises(JournalLocked, match="belongs to a living process"):
        lock_folder(folder)
    writer.close()
    os.close(lock_folder(folder))


def test_a_lock_on_a_removed_folder_is_no_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    real = journal_io.fcntl.flock

    def settled_by_another_meanwhile(descriptor: int, operation: int) -> None:
        (folder / journal_io.LOCK_NAME).unlink()
        real(descriptor, operation)

    monkeypatch.setattr(journal_io.fcntl, "flock", settled_by_another_meanwhile)
    with pytest.raises(JournalLocked, match="settled by another"):
        lock_folder(folder)


class Disk:
    """Stands before os.write and os.fdatasync for journal files, and refuses when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self.sync_error: int = 0
        self._write, self._sync = os.write, os.fdatasync
        self._fallocate = os.posix_fallocate
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "fdatasync", self.sync)
        monkeypatch.setattr(os, "posix_fallocate", self.fallocate)

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is None:
            return self._write(descriptor, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written

    def fallocate(self, descriptor: int, offset: int, length: int) -> None:
        if self.room is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fallocate(descriptor, offset, length)

    def sync(self, descriptor: int) -> None:
        if self.sync_error:
            code, self.sync_error = self.sync_error, 0
            raise OSError(code, os.strerror(code))
        self._sync(descriptor)


def test_a_full_disk_refuses_new_calls_and_keeps_running_ones(
    loop: asyncio.AbstractEventLoop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(folder, loop)
    disk = Disk(monkeypatch)
    close_call(writer)
    turns(loop)
    disk.room = 100  # the next frame is torn after a hundred bytes
    told: list[str] = []

    writer.append(journal.encode_opened(opened(7)))
    writer.after_write(lambda: told.append("sent upstream"), lambda: told.append("refused"))
    close_call(writer)
    writer.after_write(lambda: told.append("answer finished"))
    turns(loop)

    assert told == ["refused", "answer finished"]
    assert not writer.healthy
    assert writer.backlog_bytes > 0
    assert writer.last_error == "No space left on device"
    close_call(writer)
    turns(loop, 0.25)
    assert not writer.healthy
    assert sequences(folder) == [1]

    disk.room = None
    until(loop, lambda: writer.healthy)
    assert writer.backlog_bytes == 0
    close_call(writer)
    turns(loop)
    assert sequences(folder) == [1, 2, 3, 4]
    writer.close()


def test_the_ballast_makes_room_for_running_calls(
    loop: asyncio.AbstractEventLoop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(folder, loop, ballast_bytes=1 << 16)
    ballast = folder / journal_io.BALLAST_NAME
    assert ballast.stat().st_size == 1 << 16
    disk = Disk(monkeypatch)
    disk.room = 0
    close_call(writer)
    turns(loop)
    assert not ballast.exists()

    disk.room = 1 << 15  # what the ballast gave back
    until(loop, lambda: writer.backlog_bytes == 0)

    assert sequences(folder) == [1]
    assert not writer.healthy  # recorded, but no room for new calls
    disk.room = None
    until(loop, lambda: writer.healthy)
    assert ballast.stat().st_size == 1 << 16
    writer.close()


@pytest.mark.parametrize("seed", range(8))
def test_short_writes_at_random_never_harm_the_file(
    loop: asyncio.AbstractEventLoop, folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(journal_io, "_WRITE_RETRY_SECONDS", 0.001)
    writer = JournalWriter(folder, loop, segment_bytes=3000, sync_interval_ms=1)
    disk = Disk(monkeypatch)
    chance = random.Random(seed)
    for _ in range(60):
        disk.room = chance.choice([None, 0, chance.randrange(2000)])
        if chance.random() < 0.15:
            disk.sync_error = errno.EIO
        for _ in range(chance.randrange(4)):
            close_call(writer)
        turns(loop, chance.choice([0, 0, 0.003]))
    disk.room = None
    until(loop, lambda: writer.healthy and not writer.backlog_bytes)
    writer.close()

    assert sequences(folder) == list(range(1, writer.last_sequence + 1))


def test_after_a_failed_sync_the_frames_are_written_again(
    loop: asyncio.AbstractEventLoop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    writer = JournalWriter(folder, loop, sync_interval_ms=1)
    disk.sync_error = errno.EIO
    close_call(writer)
    turns(loop)

    until(loop, lambda: len(segments(folder)) == 2)
    until(loop, lambda: writer.healthy)

    frame = journal.encode_closed(closed(1))
    assert all(frame in path.read_bytes() for _, path in segments(folder))
    assert sequences(folder) == [1]
    writer.close()


def test_a_record_out_of_sequence_never_gets_into_the_file(
    loop: asyncio.AbstractEventLoop, folder: Path
) -> None:
    writer = JournalWriter(folder, loop)
    for wrong in (0, 2):
        with pytest.raises(ValueError, match=f"record {wrong} cannot follow record 0"):
            writer.append(journal.encode_closed(closed(wrong)))
    assert writer.next_sequence == 1
    close_call(writer)
    with pytest.raises(ValueError, match="record 1 cannot follow record 1"):
        writer.append(journal.encode_closed(closed(1)))
    writer.close()

    assert sequences(folder) == [1]


def test_one_failing_callback_does_not_hold_back_the_others(
    loop: asyncio.AbstractEventLoop, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = JournalWriter(folder, loop)
    told: list[str] = []
    writer.after_write(lambda: 1 / 0)
    writer.after_write(lambda: told.append("answered"))
    turns(loop)

    assert told == ["answered"]
    assert "a journal callback failed" in caplog.text
    writer.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "disk"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no file system may be mounted here")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_disk_that_is_really_full(loop: asyncio.AbstractEventLoop, small_disk: Path) -> None:
    folder = small_disk / str(PROCESS)
    writer = JournalWriter(folder, loop, ballast_bytes=64 << 10)
    assert writer.healthy
    hog = small_disk / "hog"
    with pytest.raises(OSError, match="No space"):
        hog.write_bytes(bytes(1 << 20))

    while writer.healthy:
        close_call(writer)
        turns(loop)
    for _ in range(20):
        close_call(writer)
    until(loop, lambda: writer.backlog_bytes == 0)  # the ballast's room
    assert not writer.healthy

    hog.unlink()
    until(loop, lambda: writer.healthy)
    writer.close()
    assert sequences(folder) == list(range(1, writer.last_sequence + 1))


def test_only_numbers_name_segments(tmp_path: Path) -> None:
    for name in ("00000001.journal", "².journal", "9" * 30 + ".journal", "-1.journal", "1.journal~"):
        (tmp_path / name).touch()
    assert segments(tmp_path) == [(1, tmp_path / "00000001.journal")]
