"""Reading a journal to its end, and completing a dead process's: repeatable at every point."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.io import recovery
from dure.gateway.io.journal import segment_path, segments
from dure.gateway.io.journal_tail import JournalDamaged, JournalTail
from dure.gateway.io.recovery import Recovered, recover, scan
from dure.gateway.protocol import journal

from .records import PROCESS, closed, header, opened, request_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / str(PROCESS)
    folder.mkdir()
    return folder


def call(number: int) -> bytes:
    return journal.encode_opened(opened(number)) + journal.encode_closed(closed(number))


def write_segment(folder: Path, number: int, *frames: bytes) -> Path:
    path = segment_path(folder, number)
    path.write_bytes(header(number) + b"".join(frames))
    return path


def read_all(folder: Path, after: int = 0) -> list:
    tail = JournalTail(folder, after=after)
    tail.ended = True
    records = []
    try:
        while batch := tail.read(max_records=3, max_bytes=1 << 20):
            records += [journal._decode_usage(text) for _, text in batch]
    finally:
        tail.close()
    return records


def test_nothing_open_nothing_added(folder: Path) -> None:
    write_segment(folder, 1, call(1), call(2))

    assert recover(folder, posted=0) == Recovered(0, 0, 2)
    assert len(segments(folder)) == 1


def test_open_calls_become_interrupted_records_with_the_sequences_that_follow(folder: Path) -> None:
    write_segment(
        folder,
        1,
        journal.encode_opened(opened(10)),
        call(1),
        journal.encode_opened(opened(11)),
        journal.encode_progress(request_id(11).bytes, 3, 200),
        journal.encode_progress(request_id(11).bytes, 8, 500),
    )

    assert recover(folder, posted=0) == Recovered(2, 0, 3)
    records = read_all(folder)
    assert [(r.sequence, r.request_id, r.status, r.output_tokens) for r in records] == [
        (1, request_id(1), "completed", 12),
        (2, request_id(10), "interrupted", 0),
        (3, request_id(11), "interrupted", 8),
    ]
    assert recover(folder, posted=0) == Recovered(0, 0, 3)
    assert recover(folder, posted=2) == Recovered(0, 0, 3)


def test_sequences_go_on_after_what_is_posted_when_the_posted_segments_are_gone(folder: Path) -> None:
    write_segment(folder, 5, journal.encode_opened(opened(10)))

    assert recover(folder, posted=40) == Recovered(1, 0, 41)
    assert [record.sequence for record in read_all(folder, after=40)] == [41]


@pytest.mark.parametrize("cut", [1, 5, 11, 12, 40, 400])
def test_a_torn_tail_is_cut_and_its_call_is_interrupted(folder: Path, cut: int) -> None:
    path = write_segment(folder, 1, call(1), call(2))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - cut])

    assert recover(folder, posted=0) == Recovered(1, 0, 2)
    assert [(r.sequence, r.status) for r in read_all(folder)] == [(1, "completed"), (2, "interrupted")]


def test_dying_while_recovering_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_segment(folder, 1, call(1), journal.encode_opened(opened(10)))

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    for step in ("fsync", "rename", "sync_folder"):
        place = {"fsync": recovery.os, "rename": Path, "sync_folder": recovery}[step]
        with monkeypatch.context() as patch:
            patch.setattr(place, step, die)
            with pytest.raises(Died):
                recover(folder, posted=0)

    # The last of them died after the segment had its name: it stands, and is not added to.
    assert recover(folder, posted=0) == Recovered(0, 0, 2)
    assert [(r.sequence, r.status) for r in read_all(folder)] == [(1, "completed"), (2, "interrupted")]


def test_damage_hands_out_what_is_before_it_and_then_names_its_place(folder: Path) -> None:
    path = write_segment(folder, 1, call(1), call(2), call(3))
    data = bytearray(path.read_bytes())
    hit = data.index(journal.encode_closed(closed(2))) + 100
    data[hit] ^= 1
    path.write_bytes(data)
    tail = JournalTail(folder, after=0)
    tail.ended = True

    assert [sequence for sequence, _ in tail.read(max_records=10, max_bytes=1 << 20)] == [1]
    with pytest.raises(JournalDamaged, match=r"00000001\.journal at byte \d+: the frame is unsound; sound"):
        tail.read(max_records=10, max_bytes=1 << 20)
    tail.close()
    with pytest.raises(JournalDamaged, match="unsound"):
        recover(folder, posted=0)
    assert path.read_bytes() == bytes(data)


def test_accepted_damage_keeps_everything_that_can_be_read(folder: Path) -> None:
    path = write_segment(folder, 1, *(call(number) for number in range(1, 6)))
    data = bytearray(path.read_bytes())
    data[data.index(journal.encode_closed(closed(2))) + 100] ^= 1  # its opened can still be read
    start = data.index(call(4))
    data[start : start + len(call(4))] = bytes(len(call(4)))  # nothing of it can be read
    path.write_bytes(data)

    assert recover(folder, posted=1, accept_damage=True) == Recovered(1, 1, 5)
    records = read_all(folder, after=1)
    assert [(r.sequence, r.status, r.cost_micro_won, r.error_code) for r in records] == [
        (2, "interrupted", 0, "gateway_process_lost"),
        (3, "completed", 10_320, ""),
        (4, "failed", 0, "journal_record_lost"),
        (5, "completed", 10_320, ""),
    ]
    assert records[0].request_id == request_id(2)
    assert (folder / "damaged" / "00000001.journal").read_bytes() == bytes(data)
    assert recover(folder, posted=1, accept_damage=True) == Recovered(0, 0, 5)
    assert read_all(folder, after=1) == records


@pytest.mark.parametrize(
    ("lost", "message"),
    [(1, "record 3 is the first, though only 0 are posted"), (2, "segment 2 is missing before it")],
)
def test_a_missing_segment_is_damage(folder: Path, lost: int, message: str) -> None:
    for number in (1, 2, 3):
        write_segment(folder, number, call(2 * number - 1), call(2 * number))
    segment_path(folder, lost).unlink()

    with pytest.raises(JournalDamaged, match=message):
        recover(folder, posted=0)


def test_a_gap_in_the_sequences_is_damage(folder: Path) -> None:
    write_segment(folder, 1, call(1), call(3))

    with pytest.raises(JournalDamaged, match="record 3 follows record 1"):
        recover(folder, posted=0)
    with pytest.raises(JournalDamaged, match="record 3 follows record 1"):
        read_all(folder)


@given(st.data())
def test_however_a_journal_is_cut_every_call_is_recorded_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Calls open and close in any order, over several segments; the process dies at any byte."""
    folder = tmp_path_factory.mktemp("journal") / str(PROCESS)
    folder.mkdir()
    numbers = itertools.count(100)
    open_calls: list[int] = []
    frames: list[tuple[str, int, bytes]] = []
    sequence = 0
    for step in data.draw(st.lists(st.sampled_from(["open", "close", "progress"]), max_size=14)):
        if step == "open":
            number = next(numbers)
            open_calls.append(number)
            frames.append(("open", number, journal.encode_opened(opened(number))))
        elif open_calls and step == "close":
            number = open_calls.pop(data.draw(st.integers(0, len(open_calls) - 1)))
            sequence += 1
            frames.append(("close", number, journal.encode_closed(closed(sequence, number))))
        elif open_calls:
            number = open_calls[-1]
            frames.append(("progress", number, journal.encode_progress(request_id(number).bytes, 2, 20)))
    split = data.draw(st.integers(0, len(frames)))
    write_segment(folder, 1, *(frame for _, _, frame in frames[:split]))
    last = write_segment(folder, 2, *(frame for _, _, frame in frames[split:]))
    size = data.draw(st.integers(0, last.stat().st_size))
    last.write_bytes(last.read_bytes()[:size])

    kept, end = frames[:split], journal.HEADER_BYTES
    for frame in frames[split:]:
        end += len(frame[2])
        if end <= size:
            kept.append(frame)
    opened_calls = {request_id(number) for kind, number, _ in kept if kind == "open"}
    closed_calls = {request_id(number) for kind, number, _ in kept if kind == "close"}

    outcome = recover(folder, posted=0)
    records = read_all(folder)

    assert [record.sequence for record in records] == list(range(1, outcome.last_sequence + 1))
    assert sorted(record.request_id for record in records) == sorted(opened_calls)
    interrupted = {record.request_id for record in records if record.status == "interrupted"}
    assert interrupted == opened_calls - closed_calls
    assert recover(folder, posted=outcome.last_sequence) == Recovered(0, 0, outcome.last_sequence)
    assert scan(folder).open == {}
