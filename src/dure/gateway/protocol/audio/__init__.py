"""How long an uploaded recording is, told from its container, without decoding anything.

The answer is used twice: for the hold, before the provider has counted, and for the charge where the provider
never counts. A file may lie about itself. What can be counted is therefore preferred to what is declared (the
frames of an MP3, the bytes of a WAV, the samples of an MP4, the last block of a WebM), and of two figures the
larger is taken. A file that still tells less than it holds is charged by the provider's count; what that comes
to beyond the hold is taken from the award as far as its escrow goes, and the rest is `uncovered`.

Every reader looks at spans of the body in place, takes a bounded number of steps and answers None rather than
guess: `audio_unreadable` for a model that is priced by the second.
"""

from collections.abc import Callable

from dure.gateway.protocol.audio import flac, mp4, mpeg, ogg, riff, webm

__all__ = ["MOST_MS", "length_ms"]

#: A figure beyond this is none: no upload lasts four months.
MOST_MS = 10_000_000_000

_Reader = Callable[[bytes, int, int], int | None]

_BY_MAGIC: tuple[tuple[int, bytes, _Reader], ...] = (
    (8, b"WAVE", riff.length_ms),
    (0, b"fLaC", flac.length_ms),
    (0, b"OggS", ogg.length_ms),
    (4, b"ftyp", mp4.length_ms),
    (0, b"\x1a\x45\xdf\xa3", webm.length_ms),
)


def length_ms(body: bytes, start: int, end: int) -> int | None:
    """Milliseconds of the recording in `body[start:end]`, rounded up; None where it cannot be told."""
    sound = mpeg.behind_id3(body, start, end)
    for offset, magic, reader in _BY_MAGIC:
        if body.startswith(magic, sound + offset, end):
            length = reader(body, sound, end)
            break
    else:
        length = mpeg.length_ms(body, sound, end)
    return length if length is not None and length <= MOST_MS else None
