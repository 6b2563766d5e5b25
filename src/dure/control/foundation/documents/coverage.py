"""Which characters a font can show: the `cmap` table of OpenType, formats 4 and 12 (ISO/IEC 14496-22)."""

import struct


def characters(font: bytes) -> frozenset[int]:
    """Code points with a glyph other than “missing”; ValueError if it is no OpenType font."""
    count = struct.unpack_from(">H", font, 4)[0]
    if font[:4] not in {b"OTTO", b"\0\1\0\0"}:
        raise ValueError("no OpenType font")
    tables = {
        font[at : at + 4]: struct.unpack_from(">II", font, at + 8) for at in range(12, 12 + 16 * count, 16)
    }
    start = tables[b"cmap"][0]
    found: set[int] = set()
    for number in range(struct.unpack_from(">H", font, start + 2)[0]):
        at = start + struct.unpack_from(">I", font, start + 4 + 8 * number + 4)[0]
        form = struct.unpack_from(">H", font, at)[0]
        if form == 12:
            found |= _format_12(font, at)
        elif form == 4:
            found |= _format_4(font, at)
    return frozenset(found)


def _format_12(font: bytes, at: int) -> set[int]:
    groups = struct.unpack_from(">I", font, at + 12)[0]
    found: set[int] = set()
    for number in range(groups):
        first, last, glyph = struct.unpack_from(">III", font, at + 16 + 12 * number)
        found.update(range(first + (glyph == 0), last + 1))
    return found


def _format_4(font: bytes, at: int) -> set[int]:
    segments = struct.unpack_from(">H", font, at + 6)[0] // 2

    def column(offset: int, signs: str = "H") -> tuple[int, ...]:
        return struct.unpack_from(f">{segments}{signs}", font, at + offset)

    ends, starts = column(14), column(16 + 2 * segments)
    deltas, ranges_at = column(16 + 4 * segments), at + 16 + 6 * segments
    offsets = column(16 + 6 * segments)
    found: set[int] = set()
    for number, (first, last, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code
            if offset:
                place = ranges_at + 2 * number + offset + 2 * (code - first)
                glyph = struct.unpack_from(">H", font, place)[0]
            if (glyph + delta) % 0x10000 if glyph or not offset else 0:
                found.add(code)
    return found
