"""MPEG audio (MP3 and its older layers): no header speaks for the file, so its frames are walked.

Between frames nothing is believed. Bytes that belong to no frame are counted as if they were frames of the lowest
bitrate there is, 8 kbit/s, so that a decoder which finds more frames in them than we did cannot find more time.
"""

#: A common multiple of every sample rate of MPEG audio: ticks per second.
_TICKS = 14_112_000
_LOWEST_BYTES_PER_SECOND = 1_000
_TICKS_PER_LOOSE_BYTE = _TICKS // _LOWEST_BYTES_PER_SECOND
#: About a tenth of a second of work; a file of 32 MiB has more only near the lowest bitrate. The rest counts as loose bytes.
_MAX_FRAMES = 500_000
_MAX_SEARCHES = 4_096
#: How far into the file its first frame may be.
_MAX_LEAD_BYTES = 64 << 10

_KBITS_V1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_V2 = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def _frames() -> dict[bytes, tuple[int, int]]:
    """The first three bytes of every possible frame: its bytes and its ticks (ISO/IEC 11172-3, 13818-3)."""
    table = {}
    for version, rates in _RATES.items():
        for layer, kbits in (_KBITS_V1 if version == 3 else _KBITS_V2).items():
            samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
            slot = 4 if layer == 1 else 1
            for kbit_index, kbit in enumerate(kbits, 1):
                for rate_index, rate in enumerate(rates):
                    for low in range(4):  # padding, private
                        padding = low >> 1
                        size = (samples // 8 * kbit * 1000 // rate // slot + padding) * slot
                        for unprotected in (0, 1):
                            second = 0xE0 | version << 3 | (4 - layer) << 1 | unprotected
                            third = kbit_index << 4 | rate_index << 2 | low
                            table[bytes((0xFF, second, third))] = size, samples * _TICKS // rate
    return table


_frame = _frames().get


def behind_id3(body: bytes, start: int, end: int) -> int:
    """Where the sound begins behind ID3v2 tags; a tag that is longer than the file is none."""
    position = start
    while body.startswith(b"ID3", position, end) and position + 10 <= end:
        size = 0
        for byte in body[position + 6 : position + 10]:
            size = size << 7 | byte & 0x7F
        size += 20 if body[position + 5] & 0x10 else 10
        if position + size >= end:
            break
        position += size
    return position


def length_ms(body: bytes, start: int, end: int) -> int | None:
    end = _before_tags(body, start, end)
    position = first = _next_frame(body, start, min(end, start + _MAX_LEAD_BYTES), end)
    if first < 0:
        return None
    ticks = loose = 0
    searches = _MAX_SEARCHES
    for _ in range(_MAX_FRAMES):
        frame = _frame(body[position : position + 3])
        if frame is not None:
            position += frame[0]
            ticks += frame[1]
            if position >= end:
                break
            continue
        searches -= 1
        found = body.find(b"\xff", position + 1, end) if searches else end
        if found < 0:
            found = end
        loose += found - position
        position = found
        if position >= end:
            break
    loose += max(0, end - position)
    if _is_index(body, first):
        frame = _frame(body[first : first + 3])
        ticks -= frame[1] if frame is not None else 0
    return -(-(ticks + loose * _TICKS_PER_LOOSE_BYTE) * 1000 // _TICKS)


def _next_frame(body: bytes, start: int, search_end: int, end: int) -> int:
    """The first frame that another follows (or the end); -1 where there is none."""
    position = start
    for _ in range(_MAX_SEARCHES):
        position = body.find(b"\xff", position, search_end)
        if position < 0:
            return -1
        frame = _frame(body[position : position + 3])
        if frame is not None:
            follows = position + frame[0]
            if follows >= end or _frame(body[follows : follows + 3]) is not None:
                return position
        position += 1
    return -1


def _is_index(body: bytes, first: int) -> bool:
    """Whether the first frame holds a table of contents instead of sound (Xing, Info)."""
    return any(body.startswith((b"Xing", b"Info"), first + offset) for offset in (13, 21, 36))


def _before_tags(body: bytes, start: int, end: int) -> int:
    """The end without tags behind the sound (ID3v1, APEv2)."""
    if end - start > 128 and body.startswith(b"TAG", end - 128):
        end -= 128
    if end - start > 32 and body.startswith(b"APETAGEX", end - 32):
        size = int.from_bytes(body[end - 20 : end - 16], "little")
        has_header = body[end - 9] & 0x80
        size += 32 if has_header else 0
        if size < end - start:
            end -= size
    return end
