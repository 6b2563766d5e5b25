"""WebM and Matroska (RFC 9559): the last block of the last cluster, beside the length that `Info` declares.

Browsers record without a declared length, into clusters whose size is not known either. So clusters are
found by their mark, from the end, and only the latest one is walked.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_CLUSTER = b"\x1f\x43\xb6\x75"
_SEGMENT, _INFO, _TIMESTAMP_SCALE, _DURATION = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4489
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _BLOCK_DURATION = 0xE7, 0xA3, 0xA0, 0xA1, 0x9B
_IN_CLUSTER = frozenset({_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, 0xA7, 0xAB, 0xBF, 0xEC})
_DEFAULT_SCALE_NS = 1_000_000
_MAX_CLUSTERS = 2_000
_MAX_ELEMENTS = 20_000
#: A block's time within its cluster is two bytes.
_MAX_CLUSTER_TICKS = 32_767


class _Element(NamedTuple):
    kind: int
    start: int
    end: int


def length_ms(body: bytes, start: int, end: int) -> int | None:
    scale_ns, declared = _info(body, start, end)
    last = _last_block_end(body, start, end)
    milliseconds = -(-max(declared, last) * scale_ns // 1_000_000)
    return milliseconds or None


def _elements(body: bytes, start: int, end: int) -> Iterator[_Element]:
    """The elements side by side in a span; one of unknown size reaches to the span's end."""
    position = start
    for _ in range(_MAX_ELEMENTS):
        if position >= end:
            return
        id_bytes = 9 - body[position].bit_length()
        size_at = position + id_bytes
        if id_bytes > 4 or size_at >= end or not body[size_at]:
            return
        size_bytes = 9 - body[size_at].bit_length()
        content = size_at + size_bytes
        if content > end:
            return
        size = int.from_bytes(body[size_at:content]) & (1 << 7 * size_bytes) - 1
        unknown = size == (1 << 7 * size_bytes) - 1
        element_end = end if unknown else min(end, content + size)
        yield _Element(int.from_bytes(body[position:size_at]), content, element_end)
        position = element_end


def _info(body: bytes, start: int, end: int) -> tuple[int, int]:
    """Nanoseconds of a tick, and the declared length in ticks (0: none)."""
    scale_ns, ticks = _DEFAULT_SCALE_NS, 0
    for segment in _elements(body, start, end):
        if segment.kind != _SEGMENT:
            continue
        for box in _elements(body, segment.start, segment.end):
            if box.kind != _INFO:
                continue
            for field in _elements(body, box.start, box.end):
                if field.kind == _TIMESTAMP_SCALE:
                    scale_ns = int.from_bytes(body[field.start : field.end][:8]) or scale_ns
                elif field.kind == _DURATION:
                    ticks = _float(body[field.start : field.end])
            return scale_ns, ticks
    return scale_ns, ticks


def _float(raw: bytes) -> int:
    """A length as a whole number, rounded up; 0 for what is none."""
    if len(raw) not in {4, 8}:
        return 0
    value: float = struct.unpack(">f" if len(raw) == 4 else ">d", raw)[0]
    return int(value) + 1 if 0 < value < 2**53 else 0


def _last_block_end(body: bytes, start: int, end: int) -> int:
    """In ticks."""
    latest, latest_at = -1, -1
    position = end
    for _ in range(_MAX_CLUSTERS):
        position = body.rfind(_CLUSTER, start, position)
        if position < 0:
            break
        timestamp = _cluster_timestamp(body, position, end)
        if timestamp is not None and timestamp > latest:
            latest, latest_at = timestamp, position
    return latest + _cluster_ticks(body, latest_at, end) if latest_at >= 0 else 0


def _cluster_ticks(body: bytes, at: int, end: int) -> int:
    """How long a cluster's blocks go on, from its own timestamp."""
    before = last = duration = 0
    cluster = next(_elements(body, at, end))
    for number, element in enumerate(_elements(body, cluster.start, cluster.end), 1):
        if number == _MAX_ELEMENTS:
            return _MAX_CLUSTER_TICKS
        if element.kind not in _IN_CLUSTER:
            break
        if element.kind == _SIMPLE_BLOCK:
            relative = _relative(body, element)
        elif element.kind == _BLOCK_GROUP:
            relative, duration = _block_group(body, element)
        else:
            continue
        if relative > last:
            before, last = last, relative
    # A block lasts as long as the one before it, unless it says so itself.
    return last + max(duration, last - before)


def _block_group(body: bytes, group: _Element) -> tuple[int, int]:
    """The block's time within its cluster, and how long it says it lasts (0: not said)."""
    relative = duration = 0
    for inner in _elements(body, group.start, group.end):
        if inner.kind == _BLOCK:
            relative = _relative(body, inner)
        elif inner.kind == _BLOCK_DURATION:
            duration = int.from_bytes(body[inner.start : inner.end][:8])
    return relative, duration


def _cluster_timestamp(body: bytes, at: int, end: int) -> int | None:
    """Of what looks like a cluster; None where it is none."""
    cluster = next(_elements(body, at, end), None)
    if cluster is None:
        return None
    for element in _elements(body, cluster.start, cluster.end):
        if element.kind == _TIMESTAMP and element.end - element.start <= 8:
            return int.from_bytes(body[element.start : element.end])
        if element.kind not in {0xEC, 0xBF}:
            return None
    return None


def _relative(body: bytes, block: _Element) -> int:
    """A block's time within its cluster: behind the track's number, two bytes, signed."""
    if block.start >= block.end or not body[block.start]:
        return 0
    at = block.start + 9 - body[block.start].bit_length()
    return int.from_bytes(body[at : min(at + 2, block.end)], signed=True)
