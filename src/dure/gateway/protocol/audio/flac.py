"""FLAC (RFC 9639): STREAMINFO declares the samples; the last frame says how many came before it.

Silence takes next to no bytes in FLAC, so its bytes bound nothing. The larger of the two figures is taken.
"""

from typing import NamedTuple

_STREAMINFO_BYTES = 34
_MAX_BLOCKS = 1_000
_SEARCHED_BYTES = 256 << 10
_MAX_SEARCHES = 256


class StreamInfo(NamedTuple):
    """Samples in a block (the most), samples a second, samples in all (0: not said)."""

    block: int
    rate: int
    samples: int


def stream_info(body: bytes, at: int, end: int) -> StreamInfo | None:
    """The content of a STREAMINFO block at `at`."""
    if at + _STREAMINFO_BYTES > end:
        return None
    block = int.from_bytes(body[at + 2 : at + 4])
    packed = int.from_bytes(body[at + 10 : at + 18])
    rate = packed >> 44
    return StreamInfo(block, rate, packed & (1 << 36) - 1) if rate and block else None


def length_ms(body: bytes, start: int, end: int) -> int | None:
    position = start + 4
    info = None
    for _ in range(_MAX_BLOCKS):
        if position + 4 > end:
            return None
        head = body[position]
        size = int.from_bytes(body[position + 1 : position + 4])
        position += 4
        if head & 0x7F == 0 and info is None:
            info = stream_info(body, position, end)
        position += size
        if head & 0x80:
            break
    if info is None or position >= end:
        return None
    samples = max(info.samples, _last_sample(body, position, end, info))
    return -(-samples * 1000 // info.rate) if samples else None


def _last_sample(body: bytes, start: int, end: int, info: StreamInfo) -> int:
    """Where the last frame ends, in samples, as its head says; 0 where none is found near the end."""
    lowest = max(start, end - _SEARCHED_BYTES)
    at = end
    for _ in range(_MAX_SEARCHES):
        at = max(body.rfind(b"\xff\xf8", lowest, at), body.rfind(b"\xff\xf9", lowest, at))
        if at < 0:
            return 0
        last = _frame_end(body[at : at + 16], info)
        if last:
            return last
    return 0


def _frame_end(head: bytes, info: StreamInfo) -> int:
    """The sample behind a frame with this head; 0 for bytes that are no frame's head (RFC 9639 §9.1)."""
    if len(head) < 6 or head[3] & 1 or head[2] >> 4 == 0 or head[2] & 15 == 15:
        return 0
    ones = 0
    while ones < 8 and head[4] & 0x80 >> ones:
        ones += 1
    length = max(1, ones)
    if ones in {1, 8} or len(head) < 4 + length + 5:
        return 0
    number = head[4] & 0x7F >> ones
    for byte in head[5 : 4 + length]:
        if byte & 0xC0 != 0x80:
            return 0
        number = number << 6 | byte & 0x3F
    at = 4 + length
    code = head[2] >> 4
    if code == 1:
        block = 192
    elif code <= 5:
        block = 144 << code
    elif code in {6, 7}:
        width = code - 5
        block = int.from_bytes(head[at : at + width]) + 1
        at += width
    else:
        block = 1 << code
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return 0
    return number + block if head[1] & 1 else number * info.block + block


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
