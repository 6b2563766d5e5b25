"""MP4 and M4A (ISO/IEC 14496-12): the tables of samples, or of fragments, beside what the headers declare."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_MAX_BOXES = 50_000
_MAX_TABLE_ENTRIES = 200_000
_UNKNOWN_32, _UNKNOWN_64 = (1 << 32) - 1, (1 << 64) - 1


class _Box(NamedTuple):
    kind: bytes
    start: int
    end: int


class _Reading:
    """What was found so far. Times are in the units of their track; `steps` and `entries` bound the work."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.steps = _MAX_BOXES
        self.entries = _MAX_TABLE_ENTRIES
        self.longest_ms = 0
        self.scales: dict[int, int] = {}
        self.sample_lengths: dict[int, int] = {}
        self.fragments: dict[int, int] = {}

    def boxes(self, start: int, end: int) -> Iterator[_Box]:
        position = start
        while position + 8 <= end and self.steps:
            self.steps -= 1
            size = self.u32(position)
            kind = self.body[position + 4 : position + 8]
            head = 8
            if size == 1 and position + 16 <= end:
                size, head = self.u64(position + 8), 16
            box_end = end if size == 0 else min(end, position + size)
            if box_end < position + head:
                return
            yield _Box(kind, position + head, box_end)
            position = box_end

    def may_read(self, entries: int) -> bool:
        """Whether a table of so many entries is read; from the first that is too long on, nothing is."""
        self.entries -= entries
        if self.entries < 0:
            self.steps = 0
        return self.entries >= 0

    def u32(self, at: int) -> int:
        return int.from_bytes(self.body[at : at + 4])

    def u64(self, at: int) -> int:
        return int.from_bytes(self.body[at : at + 8])

    def lasts(self, units: int, scale: int) -> None:
        if scale:
            self.longest_ms = max(self.longest_ms, -(-units * 1000 // scale))


def length_ms(body: bytes, start: int, end: int) -> int | None:
    reading = _Reading(body)
    for box in reading.boxes(start, end):
        if box.kind == b"moov":
            _movie(reading, box)
        elif box.kind == b"moof":
            _fragment(reading, box)
    for track, units in reading.fragments.items():
        reading.lasts(units, reading.scales.get(track, 0))
    return reading.longest_ms or None if reading.steps else None


def _movie(reading: _Reading, movie: _Box) -> None:
    scale = 0
    for box in reading.boxes(movie.start, movie.end):
        if box.kind == b"mvhd":
            scale, units = _scale_and_units(reading, box)
            reading.lasts(units, scale)
        elif box.kind == b"trak":
            _track(reading, box)
        elif box.kind == b"mvex":
            for inner in reading.boxes(box.start, box.end):
                if inner.kind == b"trex" and inner.end - inner.start >= 16:
                    reading.sample_lengths[reading.u32(inner.start + 4)] = reading.u32(inner.start + 12)
                elif inner.kind == b"mehd":
                    wide = reading.body[inner.start]
                    units = reading.u64(inner.start + 4) if wide else reading.u32(inner.start + 4)
                    reading.lasts(units, scale)


def _scale_and_units(reading: _Reading, box: _Box) -> tuple[int, int]:
    """Of `mvhd` and `mdhd`: units per second, and the length in units (0: not said)."""
    if box.end - box.start < 20:
        return 0, 0
    if reading.body[box.start] == 1:
        units = reading.u64(box.start + 24)
        return reading.u32(box.start + 20), 0 if units == _UNKNOWN_64 else units
    units = reading.u32(box.start + 16)
    return reading.u32(box.start + 12), 0 if units == _UNKNOWN_32 else units


def _track(reading: _Reading, track: _Box) -> None:
    number = scale = 0
    for box in reading.boxes(track.start, track.end):
        if box.kind == b"tkhd" and box.end - box.start >= 24:
            number = reading.u32(box.start + (20 if reading.body[box.start] == 1 else 12))
        elif box.kind == b"mdia":
            for inner in reading.boxes(box.start, box.end):
                if inner.kind == b"mdhd":
                    scale, units = _scale_and_units(reading, inner)
                    reading.lasts(units, scale)
                elif inner.kind == b"minf":
                    reading.lasts(_sample_table_units(reading, inner), scale)
    reading.scales[number] = scale


def _sample_table_units(reading: _Reading, media: _Box) -> int:
    """The sum over `stts`: so many samples of so many units, again and again."""
    for box in reading.boxes(media.start, media.end):
        if box.kind != b"stbl":
            continue
        for inner in reading.boxes(box.start, box.end):
            if inner.kind == b"stts" and inner.end - inner.start >= 8:
                entries = min(reading.u32(inner.start + 4), (inner.end - inner.start - 8) // 8)
                if not reading.may_read(entries):
                    return 0
                table = memoryview(reading.body)[inner.start + 8 : inner.start + 8 + 8 * entries]
                return sum(count * units for count, units in struct.iter_unpack(">II", table))
    return 0


def _fragment(reading: _Reading, fragment: _Box) -> None:
    for box in reading.boxes(fragment.start, fragment.end):
        if box.kind == b"traf":
            _track_fragment(reading, box)


def _track_fragment(reading: _Reading, track_fragment: _Box) -> None:
    track = sample_units = 0
    for box in reading.boxes(track_fragment.start, track_fragment.end):
        if box.kind == b"tfhd" and box.end - box.start >= 8:
            flags = reading.u32(box.start) & 0xFFFFFF
            track = reading.u32(box.start + 4)
            at = box.start + 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
            sample_units = reading.u32(at) if flags & 0x08 else reading.sample_lengths.get(track, 0)
        elif box.kind == b"trun" and box.end - box.start >= 8:
            units = _run_units(reading, box, sample_units)
            reading.fragments[track] = reading.fragments.get(track, 0) + units


def _run_units(reading: _Reading, run: _Box, sample_units: int) -> int:
    flags = reading.u32(run.start) & 0xFFFFFF
    count = reading.u32(run.start + 4)
    if not flags & 0x100:
        return count * sample_units
    at = run.start + 8 + (4 if flags & 0x01 else 0) + (4 if flags & 0x04 else 0)
    width = 4 * (flags >> 8 & 0x0F).bit_count()
    count = min(count, max(0, run.end - at) // width)
    if not reading.may_read(count):
        return 0
    return sum(reading.u32(at + index * width) for index in range(count))
