"""The scanner sees the same stream however it is cut, and changes nothing but the chunk it hides."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.protocol.metering import Quantities
from dure.gateway.protocol.openai import ChunkScanner
from dure.gateway.protocol.sse import HELD_BYTES


def event(data: object, end: bytes = b"\n\n") -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + end


def text(content: str) -> dict:
    return {"choices": [{"delta": {"content": content}}]}


USAGE = {
    "choices": [],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}},
}
STREAM = [
    event({"choices": [{"delta": {"role": "assistant", "content": ""}}]}),
    event(text("Hel")),
    b": a comment\n\n",
    event(text('lo "usage" \n\n [DONE]')),
    event({"choices": [{"delta": {"content": "x"}}], "usage": None}),
    event({"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": ""}}]}}]}),
    event({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
    event(USAGE),
    event(b"[DONE]"),
]
SHOWN = b"".join(piece for piece in STREAM if b"prompt_tokens" not in piece)


def scan(pieces: list[bytes], *, hide: bool = True) -> tuple[bytes, ChunkScanner]:
    scanner = ChunkScanner(hide_usage=hide)
    relayed = b"".join(scanner.feed(piece) for piece in pieces) + scanner.finish()
    return relayed, scanner


def check(relayed: bytes, scanner: ChunkScanner, expected: bytes) -> None:
    assert relayed == expected
    assert scanner.counted == Quantities(9, 4, 2)
    assert scanner.relayed_tokens == 4
    assert scanner.done
    assert not scanner.failed
    assert not scanner.mid_event


def test_event_by_event():
    check(*scan(STREAM), SHOWN)


def test_at_once():
    check(*scan([b"".join(STREAM)]), SHOWN)


def test_byte_by_byte():
    whole = b"".join(STREAM)
    check(*scan([whole[at : at + 1] for at in range(len(whole))]), SHOWN)


def test_with_usage_shown():
    check(*scan(STREAM, hide=False), b"".join(STREAM))


def test_with_carriage_returns():
    whole = b"".join(STREAM).replace(b"\n", b"\r\n")
    shown = SHOWN.replace(b"\n", b"\r\n")
    check(*scan([whole]), shown)
    check(*scan([whole[at : at + 1] for at in range(len(whole))]), shown)


@given(cuts=st.lists(st.integers(0, len(b"".join(STREAM))), max_size=12), hide=st.booleans())
def test_cut_anywhere(cuts, hide):
    whole = b"".join(STREAM)
    edges = [0, *sorted(cuts), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    check(*scan(pieces, hide=hide), SHOWN if hide else whole)


@given(
    pieces=st.lists(
        st.binary(max_size=40)
        | st.sampled_from([b"\n\n", b"\r\n\r\n", b"data: ", b'"usage"', b"[DONE]", b"\r"])
    )
)
def test_any_bytes_pass_unchanged_where_nothing_is_to_be_hidden(pieces):
    relayed, _ = scan(pieces, hide=False)
    assert relayed == b"".join(pieces)


def test_usage_in_a_chunk_that_carries_content_is_read_and_relayed():
    chunk = event(
        {"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    )
    relayed, scanner = scan([chunk])
    assert (relayed, scanner.counted) == (chunk, Quantities(1, 1, 0))


def test_data_over_two_lines():
    relayed, scanner = scan([b'data: {"choices": [],\ndata: "usage": {"prompt_tokens": 3}}\n\n'])
    assert (relayed, scanner.counted) == (b"", Quantities(3, 0, 0))


@pytest.mark.parametrize("usage", ['{"prompt_tokens": -1}', '"many"', "{}", '{"prompt_tokens": 1.5}'])
def test_usage_that_makes_no_sense_is_not_believed(usage):
    _, scanner = scan([b'data: {"choices": [], "usage": %b}\n\n' % usage.encode()])
    assert scanner.counted is None


def test_an_error_event():
    broken = event({"error": {"message": "out of memory"}})
    relayed, scanner = scan([event(text("a")), broken])
    assert relayed.endswith(broken)
    assert scanner.failed
    assert not scanner.done


def test_an_event_without_end_is_let_through_in_time():
    scanner = ChunkScanner(hide_usage=True)
    head = scanner.feed(b"data: " + b"x" * (HELD_BYTES + 1))
    assert len(head) > HELD_BYTES
    assert scanner.mid_event
    assert scanner.feed(b"more\n") == b"more"
    assert scanner.feed(b"\n" + event(b"[DONE]")) == b"\n\n" + event(b"[DONE]")
    assert scanner.done
    assert not scanner.mid_event


def test_the_last_event_may_lack_its_end():
    relayed, scanner = scan([event(text("a")), b"data: [DONE]"])
    assert relayed.endswith(b"data: [DONE]")
    assert scanner.done


@given(st.lists(st.sampled_from([
    b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":""}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":" \\"content\\":\\"b"}}],"usage":null}\n\n',
    b'data: {"choices":[{"delta":{"content": "c"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"","reasoning":"d"}}]}\n\n',
    b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}]}\n\n',
    b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n',
    b": a comment\n\n",
])))  # fmt: skip
def test_the_cheap_count_is_the_thorough_one(events: list[bytes]) -> None:
    data = b"".join(events)
    scanner = ChunkScanner(hide_usage=False)
    assert scanner.pieces(data) == len(scanner.content.findall(data))
