"""The journal's format: what goes in comes out, however the bytes are cut, torn or damaged."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.protocol import frames, journal
from dure.gateway.protocol.journal import Damage, Decoder, Frame
from dure.gateway.protocol.metering import Quantities

from .records import PROCESS, closed, header, opened, request_id


def file_of(count: int = 4) -> bytes:
    frames = []
    for number in range(1, count + 1):
        frames += [
            journal.encode_opened(opened(number)),
            journal.encode_progress(request_id(number).bytes, number, number * 100),
            journal.encode_closed(closed(number)),
        ]
    return header() + b"".join(frames)


def decode(*pieces: bytes) -> tuple[list[Frame | Damage], Decoder]:
    decoder = Decoder()
    found = [item for piece in pieces for item in decoder.feed(piece)]
    return found + decoder.finish(), decoder


def test_what_is_written_is_read() -> None:
    found, decoder = decode(
        header(3)
        + journal.encode_opened(opened(1))
        + journal.encode_progress(request_id(1).bytes, 5, 700)
        + journal.encode_closed(closed(1))
    )

    assert decoder.header == journal.Header(PROCESS, 3, 1_767_225_600_000_000, recovery=False)
    assert [frame.kind for frame in found] == [1, 2, 3]
    assert journal.decode_opened(found[0].payload) == opened(1)
    assert journal.decode_progress(found[1].payload) == journal.Progress(request_id(1), 5, 700)
    assert journal.decode_closed(found[2].payload) == closed(1)
    assert journal.closed_sequence(found[2].payload) == 1
    assert journal.closed_request(found[2].payload) == request_id(1).bytes
    assert found[0].offset == journal.HEADER_BYTES
    assert decoder.torn_bytes == 0


def test_cut_anywhere_it_reads_the_same() -> None:
    data = file_of(2)
    whole, _ = decode(data)

    assert decode(*(data[i : i + 1] for i in range(len(data))))[0] == whole
    for cut in range(len(data)):
        assert decode(data[:cut], data[cut:])[0] == whole


def test_a_torn_tail_is_cut_at_every_byte() -> None:
    data = file_of(2)
    whole, _ = decode(data)
    ends = [frame.offset for frame in whole[1:]] + [len(data)]

    for length in range(len(data)):
        found, decoder = decode(data[:length])
        sound = [frame for frame, end in zip(whole, ends, strict=True) if end <= length]
        assert found == sound
        expected_end = (
            ends[len(sound) - 1] if sound else (journal.HEADER_BYTES if length >= journal.HEADER_BYTES else 0)
        )
        assert decoder.sound_bytes == expected_end
        assert decoder.torn_bytes == length - expected_end


def test_zeros_after_the_last_frame_are_a_torn_tail() -> None:
    data = file_of(1)
    found, decoder = decode(data + bytes(4096))

    assert found == decode(data)[0]
    assert decoder.torn_bytes == 4096


def test_a_flipped_bit_anywhere_in_the_middle_is_damage_and_the_rest_is_read() -> None:
    data = file_of(3)
    whole, _ = decode(data)
    last = whole[-1].offset

    for position in range(journal.HEADER_BYTES, last):
        flipped = bytearray(data)
        flipped[position] ^= 1 << (position % 8)
        hit = max(index for index, frame in enumerate(whole) if frame.offset <= position)
        found, decoder = decode(bytes(flipped))
        assert found == [
            *whole[:hit],
            Damage(whole[hit].offset, whole[hit + 1].offset, "the frame is unsound"),
            *whole[hit + 1 :],
        ]
        assert decoder.torn_bytes == 0


def test_an_unsound_header_is_damage_and_the_frames_are_read() -> None:
    data = file_of(1)
    whole, _ = decode(data)

    for position in range(journal.HEADER_BYTES):
        flipped = bytearray(data)
        flipped[position] ^= 0x10
        found, decoder = decode(bytes(flipped))
        assert found == [Damage(0, journal.HEADER_BYTES, "the file's header is unsound"), *whole]
        assert decoder.header is None


def test_another_kind_of_file_is_said_to_be_one() -> None:
    with pytest.raises(journal.NotAJournal, match="does not begin with DUREJRNL"):
        decode(b"PK\x03\x04 something else entirely, and longer than a header of ours would be")


@pytest.mark.parametrize("length", range(len(journal.MAGIC) + 1))
def test_a_file_torn_within_its_first_bytes_is_an_empty_journal(length: int) -> None:
    found, decoder = decode(journal.MAGIC[:length])

    assert found == []
    assert decoder.torn_bytes == length


def test_a_later_format_is_refused_by_its_number() -> None:
    import struct
    import zlib

    head = bytearray(header()[:-4])
    head[8:10] = struct.pack("<H", 2)
    with pytest.raises(journal.UnsupportedVersion, match="journal format 2"):
        decode(bytes(head) + struct.pack("<I", zlib.crc32(bytes(head))))


def test_a_frame_is_never_larger_than_a_reader_takes() -> None:
    with pytest.raises(ValueError, match="at most 1048576 bytes"):
        journal.encode_frame(journal.Kind.CLOSED, bytes(journal.MAX_PAYLOAD_BYTES + 1))


payloads = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=60)), max_size=12)


@given(payloads, st.randoms(use_true_random=False))
def test_any_frames_cut_anywhere(frames: list[tuple[int, bytes]], chance: random.Random) -> None:
    data = header() + b"".join(journal.encode_frame(kind, payload) for kind, payload in frames)
    cuts = sorted(chance.randrange(len(data)) for _ in range(chance.randrange(8)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    found, decoder = decode(*pieces)

    assert [(item.kind, item.payload) for item in found] == frames
    assert decoder.torn_bytes == 0


@given(payloads, st.data())
def test_any_damage_loses_only_what_it_hit(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    pieces = [journal.encode_frame(kind, payload) for kind, payload in frames]
    whole = header() + b"".join(pieces)
    start = data.draw(st.integers(journal.HEADER_BYTES, len(whole)))
    junk = data.draw(st.binary(max_size=40))
    end = min(len(whole), start + len(junk))
    harmed = whole[:start] + junk[: end - start] + whole[end:]
    cut = data.draw(st.integers(0, len(harmed)))

    found, decoder = decode(harmed[:cut], harmed[cut:])

    survivors, offset = [], journal.HEADER_BYTES
    for frame, piece in zip(frames, pieces, strict=True):
        if harmed[offset : offset + len(piece)] == piece:
            survivors.append(frame)
        offset += len(piece)
    assert [(item.kind, item.payload) for item in found if isinstance(item, Frame)] == survivors
    assert found == decode(harmed)[0]
    assert decoder.sound_bytes + decoder.torn_bytes == len(harmed)


def test_nothing_relayed_nothing_charged() -> None:
    record = journal.interrupted(opened(1), None, sequence=9, closed_at=5)

    assert (record.status, record.estimated, record.sequence) == ("interrupted", True, 9)
    assert (record.input_tokens, record.output_tokens, record.cost_micro_won) == (0, 0, 0)
    assert record.closed_at == record.opened_at  # a clock that stepped back does not turn time around


def test_what_was_relayed_is_charged_with_its_prompt() -> None:
    progress = journal.Progress(request_id(1), 10, 900)
    record = journal.interrupted(opened(1), progress, sequence=9, closed_at=1_767_225_700_000_000)

    assert (record.input_tokens, record.output_tokens) == (40, 10)
    assert record.cost_micro_won == 40 * 120 + 10 * 480
    assert record.closed_at == 1_767_225_700_000_000


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**9))
def test_an_interrupted_call_never_costs_more_than_its_hold(
    tokens: int, input_tokens: int, hold: int
) -> None:
    request = opened(1, hold_micro_won=hold, estimated_input_tokens=input_tokens)
    record = journal.interrupted(request, journal.Progress(request_id(1), tokens, 1), sequence=1, closed_at=0)

    assert record.cost_micro_won <= hold
    assert record.cost_micro_won + record.uncovered_micro_won == input_tokens * 120 + tokens * 480


MODELS = st.sampled_from(["small", "100 % sure", 'a "quoted" name', "모델/한글:1"])
COUNTS = st.integers(0, 2**62)


def parties(model: str) -> frames.Parties:
    like = opened(1, model=model)
    return frames.Parties(
        award=like.award, key=like.key, model=model, deployment=like.deployment, provider=like.provider,
        price=like.price, endpoint=like.endpoint, meters=like.meters,
    )  # fmt: skip


def both(number: int) -> frames.RequestId:
    identifier = request_id(number)
    return frames.RequestId(identifier.bytes, str(identifier).encode())


@given(model=MODELS, streamed=st.booleans(), units=st.dictionaries(st.sampled_from(["image", "second"]), COUNTS),
       count=COUNTS, hold=COUNTS)  # fmt: skip
def test_an_opened_frame_made_of_its_parties_says_the_same(
    model: str, streamed: bool, units: dict[str, int], count: int, hold: int
) -> None:
    said = {
        "streamed": streamed, "estimated_input_tokens": count, "estimated_units": units,
        "hold_micro_won": hold, "opened_at": 1_767_225_600_000_001,
    }  # fmt: skip
    frame = parties(model).opened(both(7), **said)
    (read,) = Decoder().feed(header() + frame)
    assert read.kind == journal.Kind.OPENED
    assert read.payload[:16] == request_id(7).bytes
    assert journal.decode_opened(read.payload) == opened(7, model=model, **said)


@given(model=MODELS, estimated=st.booleans(), tokens=COUNTS, cost=COUNTS,
       uncommon=st.fixed_dictionaries({}, optional={
           "first_byte_at": COUNTS, "uncovered_micro_won": COUNTS, "attempts": st.integers(2, 9),
           "error_code": st.sampled_from(["upstream_broke", "client_closed"]),
           "units": st.dictionaries(st.sampled_from(["image", "reasoning"]), COUNTS, min_size=1),
       }))  # fmt: skip
def test_a_closed_frame_made_of_its_parties_says_the_same(
    model: str, estimated: bool, tokens: int, cost: int, uncommon: dict[str, object]
) -> None:
    said = {
        "sequence": 3, "status": "truncated", "http_status": 200, "streamed": True, "estimated": estimated,
        "input_tokens": tokens, "output_tokens": tokens, "cached_tokens": 0, "cost_micro_won": cost,
        "opened_at": 1_767_225_600_000_001, "closed_at": 1_767_225_600_000_009,
    }  # fmt: skip
    first = uncommon.get("first_byte_at")
    frame = parties(model).closed(
        both(7), 3, "truncated", 200, True, estimated, Quantities(tokens, tokens), cost,
        said["opened_at"], said["closed_at"], first, {name: of for name, of in uncommon.items() if name != "first_byte_at"},
    )  # fmt: skip
    (read,) = Decoder().feed(header() + frame)
    assert (read.kind, journal.closed_sequence(read.payload)) == (journal.Kind.CLOSED, 3)
    assert journal.closed_request(read.payload) == request_id(7).bytes
    named = {name: value for name, value in said.items() if name != "sequence"}
    assert journal.decode_closed(read.payload) == closed(3, 7, model=model, **named, **uncommon)


def test_meters_that_are_no_tokens_are_charged_with_what_was_relayed() -> None:
    request = opened(
        1,
        endpoint="audio.speech",
        meters={"character": 50_000_000, "request": 7_000_000},
        estimated_input_tokens=0,
        estimated_units={"character": 120},
    )
    relayed = journal.interrupted(request, journal.Progress(request_id(1), 0, 900), sequence=1, closed_at=0)

    assert relayed.units == {"character": 120, "request": 1}
    assert relayed.cost_micro_won == 120 * 50 + 7
    nothing = journal.interrupted(request, None, sequence=1, closed_at=0)
    assert (nothing.units, nothing.cost_micro_won) == ({}, 0)


def test_a_request_without_further_estimates_is_written_as_before() -> None:
    frame = journal.encode_opened(opened(1))

    assert b"estimated_units" not in frame
    (decoded,) = journal.Decoder().feed(header() + frame)
    assert journal.decode_opened(decoded.payload) == opened(1)
