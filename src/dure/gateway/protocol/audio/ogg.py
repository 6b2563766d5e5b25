"""Ogg (RFC 3533) with Opus (RFC 7845), Vorbis, FLAC or Speex: a page says how many samples there were by its end."""

import struct

from dure.gateway.protocol.audio import flac

_PAGE = struct.Struct("<4sBBqIIIB")
_OPUS_RATE = 48_000
_MAX_PAGES = 50_000
_FIRST_PAGE = 2


def length_ms(body: bytes, start: int, end: int) -> int | None:
    """Links of a chained file are added up; of streams that run beside each other the longest counts."""
    total = longest = pages = 0
    known = heads_ended = False
    streams: dict[int, tuple[int, int]] = {}
    position = start
    while position + _PAGE.size <= end:
        pages += 1
        if pages > _MAX_PAGES:
            return None
        magic, version, flags, granule, serial, _, _, segments = _PAGE.unpack_from(body, position)
        if magic != b"OggS" or version:
            position = body.find(b"OggS", position + 1, end)
            if position < 0:
                break
            continue
        content = position + _PAGE.size + segments
        if flags & _FIRST_PAGE:
            if heads_ended:
                total, longest, streams, heads_ended = total + longest, 0, {}, False
            stream = _stream(body, content, end)
            if stream is not None:
                streams[serial] = stream
                known = True
        else:
            heads_ended = True
            if granule > 0 and serial in streams:
                skipped, rate = streams[serial]
                longest = max(longest, -(-(granule - skipped) * 1000 // rate))
        position = content + sum(body[position + _PAGE.size : content])
    return (total + longest) or None if known else None


def _stream(body: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Samples to leave out at the start, and the sample rate, by a stream's first packet."""
    head = body[at : min(end, at + 64)]
    if head.startswith(b"OpusHead") and len(head) >= 12:
        return int.from_bytes(head[10:12], "little"), _OPUS_RATE
    rate = 0
    if head.startswith(b"\x01vorbis"):
        rate = int.from_bytes(head[12:16], "little")
    elif head.startswith(b"Speex   "):
        rate = int.from_bytes(head[36:40], "little")
    elif head.startswith(b"\x7fFLAC"):
        info = flac.stream_info(head, 17, len(head))
        rate = info.rate if info is not None else 0
    return (0, rate) if rate else None
