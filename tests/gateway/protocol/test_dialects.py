"""What each provider's own figures come to. The shapes in `payloads/` are those of the providers' documentation."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.endpoints import ENDPOINTS
from dure.gateway.protocol.metering import Quantities, Tariff, actual_cost_micro_won

PAYLOADS = {
    path.stem: json.loads(path.read_text()) for path in Path(__file__).with_name("payloads").glob("*.json")
}
CASES = {f"{name}: {case['what']}": case for name, file in PAYLOADS.items() for case in file["cases"]}
ANSWERS = {name: case for name, case in CASES.items() if "answer" in case}
STREAMS = {name: case for name, case in CASES.items() if "events" in case}


def expected(case: dict) -> Quantities | None:
    return Quantities(**case["counted"]) if case["counted"] is not None else None


def call_of(case: dict) -> Call:
    return Call(case["endpoint"], "m", {}, 0, stream=True)


def events_of(case: dict) -> list[bytes]:
    """Named events where the endpoint names them."""
    named = case["endpoint"] in {"responses", "messages"}
    return [
        (f"event: {event['type']}\n" if named else "").encode()
        + b"data: "
        + (event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)).encode()
        + b"\n\n"
        for event in case["events"]
    ]


def scan(case: dict, pieces: list[bytes]):
    scanner = ENDPOINTS[case["endpoint"]].scanner(call_of(case), b"text/event-stream")
    relayed = b"".join([*(scanner.feed(piece) for piece in pieces), scanner.finish()])
    return relayed, scanner


def is_hidden(event: bytes) -> bool:
    return b'"choices": []' in event and b'"usage": {' in event


def check(case: dict, pieces: list[bytes], shown: bytes) -> None:
    relayed, scanner = scan(case, pieces)
    assert relayed == shown
    assert scanner.counted == expected(case)
    assert scanner.relayed_tokens == case["relayed_tokens"]
    assert scanner.done
    assert scanner.failed is case.get("failed", False)
    assert not scanner.mid_event


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer(name):
    case = ANSWERS[name]
    endpoint = ENDPOINTS[case["endpoint"]]
    body = json.dumps(case["answer"], ensure_ascii=False).encode()
    assert endpoint.meter(call_of(case), body, b"application/json") == expected(case)


@pytest.mark.parametrize("name", ANSWERS)
def test_parts_are_parts(name):
    """Priced alike, the parts cost what the whole does: nothing is counted twice, nothing is lost."""
    counted = expected(ANSWERS[name])
    whole = Tariff.of({"input": 10**6, "output": 10**6})
    apart = Tariff.of(
        dict.fromkeys(
            ("input", "cached_input", "cache_write", "audio_input", "output", "audio_output"), 10**6
        )
    )
    total = counted.input + counted.output
    assert actual_cost_micro_won(counted, whole) == actual_cost_micro_won(counted, apart) == total


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_however_it_is_cut(name):
    case = STREAMS[name]
    events = events_of(case)
    whole = b"".join(events)
    shown = b"".join(event for event in events if not is_hidden(event))
    check(case, events, shown)
    check(case, [whole], shown)
    check(case, [whole[at : at + 1] for at in range(len(whole))], shown)
    for at in range(len(whole)):
        check(case, [whole[:at], whole[at:]], shown)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_with_carriage_returns(name):
    case = STREAMS[name]
    events = [event.replace(b"\n", b"\r\n") for event in events_of(case)]
    shown = b"".join(event for event in events if not is_hidden(event))
    check(case, [b"".join(events)], shown)


@given(data=st.data(), name=st.sampled_from(sorted(STREAMS)))
def test_a_stream_cut_anywhere(data, name):
    case = STREAMS[name]
    events = events_of(case)
    whole = b"".join(events)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))
    edges = [0, *sorted(cuts), len(whole)]
    shown = b"".join(event for event in events if not is_hidden(event))
    check(case, [whole[start:end] for start, end in itertools.pairwise(edges)], shown)


@pytest.mark.parametrize("name", STREAMS)
def test_what_follows_the_end_does_not_change_the_count(name):
    case = STREAMS[name]
    events = events_of(case)
    shown = b"".join(event for event in events if not is_hidden(event))
    check(case, [*events, b": bye\n\n"], shown + b": bye\n\n")


@pytest.mark.parametrize(
    "details",
    [
        {"prompt_tokens_details": []},
        {"completion_tokens_details": {"reasoning_tokens": "many"}},
        {"prompt_cache_hit_tokens": 1.5},
    ],
)
def test_a_detail_that_makes_no_sense_does_not_lose_the_totals(details):
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, **details}
    chat = ENDPOINTS["chat.completions"]
    case = {"endpoint": "chat.completions", "events": [{"choices": [], "usage": usage}, "[DONE]"]}
    assert chat.meter(call_of(case), json.dumps({"usage": usage}).encode(), b"") == Quantities(9, 4)
    _, scanner = scan(case, events_of(case))
    assert (scanner.counted, scanner.done) == (Quantities(9, 4), True)


tokens = st.integers(0, 10**6)


@given(
    prompt=tokens,
    completion=tokens,
    cached=tokens,
    written=tokens,
    heard=tokens,
    thought=tokens,
    spoken=tokens,
    prices=st.dictionaries(
        st.sampled_from(["input", "output", "cached_input", "cache_write", "audio_input", "audio_output"]),
        st.integers(0, 10**9),
    ),
)
def test_parts_that_overlap_are_never_charged_beyond_the_whole(
    prompt, completion, cached, written, heard, thought, spoken, prices
):
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": heard,
        },
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": spoken},
    }
    counted = ENDPOINTS["chat.completions"].meter(
        Call("chat.completions", "m", {}, 0), json.dumps({"usage": usage}).encode(), b""
    )
    assert (counted.input, counted.output) == (prompt, completion)
    tariff = Tariff.of(prices)
    worst = prompt * tariff.dearest_input + completion * tariff.dearest_output
    assert 0 <= actual_cost_micro_won(counted, tariff) <= -(-worst // 10**6)


@pytest.mark.parametrize(
    ("events", "said", "counted"),
    [
        (1, Quantities(175, 1, 50, {"cache_write": 100}), None),
        (4, Quantities(175, 1, 50, {"cache_write": 100}), None),
        (5, Quantities(175, 9, 50, {"cache_write": 100}), Quantities(175, 9, 50, {"cache_write": 100})),
    ],
)
def test_a_message_that_breaks_off_has_said_what_it_read(events, said, counted):
    usage = {
        "input_tokens": 25,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 50,
        "output_tokens": 1,
    }
    case = {
        "endpoint": "messages",
        "events": [
            {"type": "message_start", "message": {"usage": usage}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "b"}},
            {"type": "ping"},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        ],
    }
    _, scanner = scan(case, events_of(case)[:events])
    assert (scanner.said, scanner.counted, scanner.done) == (said, counted, False)


def test_totals_in_the_middle_of_a_message_are_not_its_end():
    case = {
        "endpoint": "messages",
        "events": [
            {"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
            {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 3}},
        ],
    }
    _, scanner = scan(case, events_of(case))
    assert (scanner.said, scanner.counted) == (Quantities(5, 3), None)


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {"type": "error", "code": "server_error", "message": "…", "param": None, "sequence_number": 3},
    ],
)
def test_an_error_event_is_passed_on(error):
    case = {"endpoint": "messages" if "error" in error else "responses", "events": [error]}
    relayed, scanner = scan(case, events_of(case))
    assert relayed == b"".join(events_of(case))
    assert (scanner.failed, scanner.done) == (True, False)
