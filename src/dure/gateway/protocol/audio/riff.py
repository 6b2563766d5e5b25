"""WAV (RIFF, RF64): `fmt ` says how many bytes a sample frame has, and the bytes of `data` are counted."""

import struct

_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_MAX_CHUNKS = 10_000
#: PCM, float, A-law, µ-law, and the extensible form, which is one of those.
_FRAMED = frozenset({1, 3, 6, 7, 0xFFFE})
#: Microsoft's and IMA's ADPCM, whose format names the samples of a block.
_BLOCKED = frozenset({2, 0x11})


def length_ms(body: bytes, start: int, end: int) -> int | None:
    position = start + 12
    form = b""
    data_bytes = 0
    for _ in range(_MAX_CHUNKS):
        if position + _CHUNK.size > end:
            break
        name, size = _CHUNK.unpack_from(body, position)
        position += _CHUNK.size
        left = end - position
        if name == b"fmt ":
            form = body[position : min(position + size, end)]
        elif name == b"data":
            if size == 0 or size > left:
                size = left  # written by a recorder that could not go back, or cut
            data_bytes += size
        position += size + size % 2
    return _length_ms(form, data_bytes)


def _length_ms(form: bytes, data_bytes: int) -> int | None:
    if len(form) < _FORMAT.size or not data_bytes:
        return None
    tag, channels, rate, bytes_per_second, block, bits = map(int, _FORMAT.unpack_from(form))
    if tag in _FRAMED:
        frame = channels * -(-bits // 8)
        sizes = [size for size in (block, frame) if size]
        if not rate or not sizes:
            return None
        return -(-data_bytes * 1000 // (rate * min(sizes)))
    lengths: list[int] = []
    if bytes_per_second:
        lengths.append(-(-data_bytes * 1000 // bytes_per_second))
    if tag in _BLOCKED and rate and block and len(form) >= 20:
        samples = int.from_bytes(form[18:20], "little")
        lengths.append(-(-(-(-data_bytes // block) * samples * 1000) // rate))
    return max(lengths, default=None)
