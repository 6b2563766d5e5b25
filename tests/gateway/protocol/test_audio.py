"""Lengths of recordings: right for sound files, never too short for cut ones, bounded work for hostile ones."""

import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.protocol.audio import length_ms

RECORDINGS = Path(__file__).parent / "recordings"
#: Milliseconds that FFmpeg decodes from each; encoders pad up to two frames of their own.
DECODED = {
    "flac.ogg": 1250,
    "fragmented.m4a": 1280,
    "live.webm": 1250,
    "low-rate.mp3": 1250,
    "no-index.mp3": 1280,
    "opus.ogg": 1250,
    "tone.flac": 1250,
    "tone.m4a": 1250,
    "tone.mp3": 1250,
    "tone.wav": 1250,
    "tone.webm": 1250,
    "vorbis.ogg": 1251,
}


def length(content: bytes) -> int | None:
    return length_ms(content, 0, len(content))


def recording(name: str) -> bytes:
    return (RECORDINGS / name).read_bytes()


@pytest.mark.parametrize(("name", "decoded"), DECODED.items())
def test_a_recording_is_as_long_as_it_decodes_to(name, decoded):
    assert -20 <= length(recording(name)) - decoded <= 100


@pytest.mark.parametrize("name", DECODED)
def test_a_recording_is_read_where_it_lies_in_a_body(name):
    content = recording(name)
    body = b"--b\r\n\r\n" + content + b"\r\n--b--"
    assert length_ms(body, 7, 7 + len(content)) == length(content)


@pytest.mark.parametrize(
    "name", ["tone.mp3", "tone.wav", "low-rate.mp3", "no-index.mp3", "opus.ogg", "live.webm"]
)
def test_a_recording_that_was_cut_is_at_least_as_long_as_its_share(name):
    content = recording(name)
    half = length(content[: len(content) // 2])
    assert 400 <= half <= 1300


@given(st.sampled_from(sorted(DECODED)), st.integers(0, 20_000), st.binary(max_size=64), st.data())
def test_whatever_is_in_a_file_its_length_is_a_number_or_unknown(name, cut, noise, data):
    content = bytearray(recording(name)[:cut])
    at = data.draw(st.integers(0, len(content)))
    content[at : at + len(noise)] = noise
    answer = length(bytes(content))
    assert answer is None or answer >= 0


@given(
    st.binary(max_size=300),
    st.sampled_from([b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3", b"ID3"]),
)
def test_noise_behind_a_format_s_mark_is_no_recording_or_one_of_some_length(noise, mark):
    answer = length(mark + noise)
    assert answer is None or answer >= 0


def test_what_is_no_recording_has_no_length():
    for content in (b"", b"hello", b"\xff" * 10_000, bytes(10_000), b"ID3\4\0\0\0\0\0\0" * 100):
        assert length(content) is None


# Files that lie about themselves


def wav(*, rate=8_000, channels=1, bits=16, block=None, data=b"\0" * 16_000, declared=None, tag=1) -> bytes:
    block = channels * bits // 8 if block is None else block
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    size = len(data) if declared is None else declared
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def test_a_wav_whose_size_is_not_known_or_too_large_is_as_long_as_its_bytes():
    assert length(wav()) == 1_000
    assert length(wav(declared=0)) == 1_000
    assert length(wav(declared=0xFFFFFFFF)) == 1_000


def test_of_a_wav_s_two_sizes_of_a_frame_the_smaller_counts():
    assert length(wav(block=4_000)) == 1_000
    assert length(wav(bits=64, block=2)) == 1_000


def test_a_wav_without_a_rate_has_no_length():
    assert length(wav(rate=0)) is None


def test_a_compressed_wav_is_measured_by_its_bytes_a_second():
    assert length(wav(tag=0x55)) == 1_000


def test_an_mp3_s_index_cannot_shorten_it():
    lying = bytearray(recording("tone.mp3"))
    at = lying.index(b"Xing") if b"Xing" in lying else lying.index(b"Info")
    lying[at + 8 : at + 12] = (1).to_bytes(4)  # one frame, it says
    assert length(bytes(lying)) == length(recording("tone.mp3"))


def test_bytes_between_an_mp3_s_frames_count_as_if_they_were_the_lowest_bitrate():
    content = recording("no-index.mp3")
    assert length(content + b"\xff" * 8_000) == length(content) + 8_000
    assert length(content + b"TAG" + bytes(125)) == length(content)


def test_a_flac_that_declares_less_is_as_long_as_its_last_frame_says():
    content = bytearray(recording("tone.flac"))
    packed = int.from_bytes(content[18:26])
    content[18:26] = (packed & ~((1 << 36) - 1) | 1).to_bytes(8)
    assert length(bytes(content)) == 1_250
    content[18:26] = (packed & ~((1 << 36) - 1)).to_bytes(8)
    assert length(bytes(content)) == 1_250


@pytest.mark.parametrize("name", ["tone.m4a", "fragmented.m4a"])
def test_an_mp4_whose_headers_declare_less_is_as_long_as_its_samples(name):
    content = bytearray(recording(name))
    true_length = length(bytes(content))
    for header, at in ((b"mvhd", 20), (b"mdhd", 20), (b"mehd", 8)):
        position = content.find(header)
        while position >= 0:
            content[position + at : position + at + 4] = bytes(4)
            position = content.find(header, position + 1)
    assert abs(length(bytes(content)) - true_length) <= 25


def test_a_webm_that_declares_less_is_as_long_as_its_last_block():
    content = bytearray(recording("tone.webm"))
    at = content.index(b"\x44\x89\x88")
    content[at + 3 : at + 11] = struct.pack(">d", 1.0)
    assert 1_240 <= length(bytes(content)) <= 1_300


def test_links_of_a_chained_ogg_are_added_up():
    content = recording("opus.ogg")
    assert length(content * 3) == 3 * length(content)


def test_hostile_files_take_no_time_to_speak_of():
    size = 4 << 20
    flac = recording("tone.flac")[:9_000]
    hostile = [
        b"\xff\xf2\x14" + bytes(21) + b"\xff\xf2\x14" + b"\xff" * size,
        (b"\xff\xf2\x14" + bytes(21)) * (size // 24),
        (b"OggS" + bytes(23)) * (size // 27),
        b"OggS" * (size // 4),
        b"\x1a\x45\xdf\xa3\x80" + b"\x1f\x43\xb6\x75\xff\xe7\x81\x00" * (size // 8),
        b"\x1a\x45\xdf\xa3\x80\x1f\x43\xb6\x75\xff\xe7\x81\x00" + b"\xa3\x84\x81\0\1\0" * (size // 6),
        b"\0\0\0\x08ftyp" + b"\0\0\0\x08moof" * (size // 8),
        flac + b"\xff\xf8" * (size // 2),
        b"RIFF\0\0\0\0WAVE" + b"abcd\0\0\0\0" * (size // 8),
    ]
    begun = time.process_time()
    for content in hostile:
        length(content)
    # Each is below a tenth of a second on a slow machine; without its bound it would be many seconds.
    assert time.process_time() - begun < 10


def test_a_length_of_years_is_none():
    assert length(wav(rate=1, channels=1, bits=8, data=b"\0" * 20_000)) == 20_000_000
    content = bytearray(recording("opus.ogg"))
    last = content.rindex(b"OggS")
    content[last + 6 : last + 14] = (1 << 60).to_bytes(8, "little")
    assert length(bytes(content)) is None
