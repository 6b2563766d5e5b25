"""Every answer, every event and every error, held against OpenAI's own description of its API.

The provider answers with OpenAI's own examples where those are what the description says, so that what the gateway
changes (the models' names, the usage it asks for, the events of a break) is all that can be wrong.
"""

import json
from copy import deepcopy
from typing import Any

import pytest

from . import openai_schema as schema
from .media import UPLOAD, offer, saying, upload
from .test_responses import BODY as RESPONSES_BODY
from .test_responses import response
from .world import CHAT, KEY, Client, ProviderRequest, World, run, world

EVENTS = "text/event-stream"
CHAT_CHUNK = {
    "id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1694268190, "model": "gpt-5.4",
    "system_fingerprint": "fp_44709d6fcb", "service_tier": "default",
}  # fmt: skip
USAGE = {
    "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 1, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0
    },
}  # fmt: skip


def named_alike(node: Any) -> Any:
    """The provider knows the model by a name of its own, the client by ours."""
    node = deepcopy(node)
    for part in (node, node.get("response") if isinstance(node, dict) else None):
        if isinstance(part, dict) and "model" in part:
            part["model"] = "upstream-name"
    return node


def whole_response(status: str = "completed", **changes: Any) -> dict:
    """OpenAI's examples of responses are older than its description."""
    found = response(status, metadata={}, temperature=1.0, top_p=1.0, **changes)
    for item in found["output"]:
        item["content"][0]["logprobs"] = []
    if status == "in_progress":
        del found["usage"]
    return found


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
FUNCTION_CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}", "status": "completed"
}  # fmt: skip


EMBEDDINGS = {
    "object": "list", "model": "upstream-name", "usage": {"prompt_tokens": 8, "total_tokens": 8},
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0023064255, -0.009327292]}],
}  # fmt: skip
VERBOSE = {
    "task": "transcribe", "language": "english", "duration": 2.5, "text": "Hello there",
    "words": [{"word": "Hello", "start": 0.0, "end": 0.5}], "usage": {"type": "duration", "seconds": 3},
    "segments": [{
        "id": 0, "seek": 0, "start": 0.0, "end": 2.5, "text": "Hello there", "tokens": [50364], "temperature": 0.0,
        "avg_logprob": -0.28, "compression_ratio": 1.23, "no_speech_prob": 0.009,
    }],
}  # fmt: skip
TOKENS = {
    "type": "tokens", "input_tokens": 25, "output_tokens": 2, "total_tokens": 27,
    "input_token_details": {"audio_tokens": 25, "text_tokens": 0},
}  # fmt: skip


PLAIN = [
    ("chat.completions", "/chat/completions", CHAT, ("Default",)),
    ("chat.completions", "/chat/completions", CHAT, ("Image input",)),
    ("completions", "/completions", {"model": "small", "prompt": "Say this is a test"}, ("No streaming",)),
    ("embeddings", "/embeddings", {"model": "small", "input": "Your text"}, EMBEDDINGS),
    ("responses", "/responses", RESPONSES_BODY, whole_response()),
    ("responses", "/responses", RESPONSES_BODY, {**whole_response(), "output": [REASONING, FUNCTION_CALL]}),
    ("images.generations", "/images/generations", {"model": "small", "prompt": "otter"}, ("Generate image",)),
    ("moderations", "/moderations", {"model": "small", "input": "I am."}, ("Image and text",)),
    ("audio.transcriptions", "/audio/transcriptions", upload(), ("Default",)),
    ("audio.transcriptions", "/audio/transcriptions", upload(include="logprobs"), ("Logprobs",)),
    ("audio.transcriptions", "/audio/transcriptions", upload(response_format="verbose_json"), VERBOSE),
    ("audio.translations", "/audio/translations", upload(), ("",)),
]


def prepare(here: World, endpoint: str) -> None:
    meters = {"input": 120, "output": 480}
    if endpoint.startswith("audio"):
        meters = {"second": 140_000}
    elif endpoint.startswith("images"):
        meters = {"image": 10, "input": 1, "output": 1}
    elif endpoint == "moderations":
        meters = {"request": 1}
    offer(here, endpoint, **meters)


@pytest.mark.parametrize(
    ("endpoint", "path", "body", "source"),
    PLAIN,
    ids=[
        f"{endpoint}-{source[0] if isinstance(source, tuple) else 'ours'}" for endpoint, _, _, source in PLAIN
    ],
)
def test_an_answer_is_of_openais_shape(tmp_path, endpoint, path, body, source):
    sent = schema.example(path, *source) if isinstance(source, tuple) else source
    sent = named_alike(sent)
    check = schema.validator(path)
    assert schema.faults(sent, check) == []  # or the test would say nothing

    async def scenario():
        async with world(tmp_path) as here:
            prepare(here, endpoint)
            here.provider.script = saying(sent)
            headers = UPLOAD if isinstance(body, bytes) else ""
            answer = await here.call(body, f"/v1{path}", headers=headers)
            assert answer.status == 200, answer.body
            assert schema.faults(answer.json, check) == []
            assert {**answer.json, "model": None} == {**sent, "model": None}

    run(scenario)


def chat_events(include_usage: bool) -> list[dict]:
    events = [
        {**CHAT_CHUNK, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
        for delta, finish in (
            ({"role": "assistant", "content": ""}, None),
            ({"content": "Hello"}, None),
            ({}, "stop"),
        )
    ]
    return [*events, {**CHAT_CHUNK, "choices": [], "usage": USAGE}] if include_usage else events


def completion_events() -> list[dict]:
    base = {
        "id": "cmpl-7i",
        "object": "text_completion",
        "created": 1690759702,
        "model": "gpt-3.5-turbo-instruct",
    }
    choice = {"index": 0, "text": "This", "logprobs": None, "finish_reason": None}
    last = {**choice, "text": "", "finish_reason": "stop"}
    return [
        {**base, "choices": [choice]},
        {**base, "choices": [last]},
        {**base, "choices": [], "usage": USAGE},
    ]


PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSE_EVENTS = [
    {
        "type": "response.created",
        "sequence_number": 0,
        "response": whole_response("in_progress"),
    },
    {
        "type": "response.output_text.delta",
        "sequence_number": 1,
        "delta": "Hello there",
        "logprobs": [],
        **PLACE,
    },
    {
        "type": "response.output_text.done",
        "sequence_number": 2,
        "text": "Hello there",
        "logprobs": [],
        **PLACE,
    },
    {"type": "response.completed", "sequence_number": 3, "response": whole_response()},
]
TRANSCRIPT = [
    {"type": "transcript.text.delta", "delta": "Hel"},
    {"type": "transcript.text.delta", "delta": "lo"},
    {"type": "transcript.text.done", "text": "Hello", "usage": TOKENS},
]
SPEECH = [
    {"type": "speech.audio.delta", "audio": "AAEC"},
    {"type": "speech.audio.delta", "audio": "AwQF"},
    {"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 40, "total_tokens": 43}},
]

STREAMS = [
    ("chat.completions", "/chat/completions", {**CHAT, "stream": True}, chat_events),
    (
        "chat.completions",
        "/chat/completions",
        {**CHAT, "stream": True, "stream_options": {"include_usage": True}},
        chat_events,
    ),
    ("completions", "/completions", {"model": "small", "prompt": "a", "stream": True}, completion_events),
    ("responses", "/responses", {**RESPONSES_BODY, "stream": True}, RESPONSE_EVENTS),
    ("audio.transcriptions", "/audio/transcriptions", upload(stream="true"), TRANSCRIPT),
    (
        "audio.speech",
        "/audio/speech",
        {"model": "small", "input": "Hello", "voice": "alloy", "stream_format": "sse"},
        SPEECH,
    ),
]


def event_faults(path: str, event: dict) -> list[str]:
    if path != "/completions":
        return schema.faults(event, schema.validator(path, EVENTS))
    # The description has no schema for a completion's stream: its chunks are completions that have not finished.
    finished = [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in event["choices"]]
    return schema.faults({**event, "choices": finished}, schema.validator(path))


def events_of(body: bytes) -> list[dict]:
    found = []
    for event in body.split(b"\n\n"):
        data = b"".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        if data and data != b"[DONE]":
            found.append(json.loads(data))
    return found


def script_of(path: str, source: Any):
    """The events for a request, and a script that streams them (and the first of them, before it breaks)."""

    def drawn(request: ProviderRequest) -> list[dict]:
        if source is chat_events:
            return chat_events(bool((request.body.get("stream_options") or {}).get("include_usage")))
        return source() if callable(source) else source

    def streaming(broken: bool = False):
        async def script(request: ProviderRequest) -> None:
            request.begin_stream()
            events = drawn(request)
            for event in events[: 2 if broken else len(events)]:
                named = f"event: {event['type']}\n" if "type" in event else ""
                request.raw(f"{named}data: {json.dumps(event)}\n\n".encode())
            if broken:
                request.cut()
                return
            if "choices" in events[0]:
                request.event("[DONE]")
            request.end_stream()

        return script

    return streaming


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
@pytest.mark.parametrize(
    ("endpoint", "path", "body", "source"),
    STREAMS,
    ids=["chat", "chat-usage", "completions", "responses", "transcriptions", "speech"],
)
def test_events_are_of_openais_shape(tmp_path, endpoint, path, body, source, broken):
    async def scenario():
        async with world(tmp_path) as here:
            meters = {"input": 120, "output": 480}
            if endpoint.startswith("audio"):
                meters["audio_input" if endpoint.endswith("transcriptions") else "audio_output"] = 8_000
            offer(here, endpoint, **meters)
            here.provider.script = script_of(path, source)(broken)
            headers = UPLOAD if isinstance(body, bytes) else ""
            client = await Client.connect(here.port)
            client.send(body, f"/v1{path}", KEY, headers=headers)
            answer = await client.answer()
            client.close()
            assert answer.status == 200, answer.body
            events = events_of(answer.body)
            if broken:
                *events, last = events
                assert error_faults(last) == []
            assert len(events) >= 2
            assert [fault for event in events for fault in event_faults(path, event)] == []

    run(scenario)


def error_faults(event: dict) -> list[str]:
    """An error within a stream is shaped as an error's body; one of a response is an event of its own besides."""
    found = schema.faults(event, schema.named("ErrorResponse"))
    if "sequence_number" in event:
        found += schema.faults(event, schema.named("ResponseErrorEvent"))
    return found


def test_models_are_of_openais_shape(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            for path, of_ours in (("/models", "/v1/models"), ("/models/{model}", "/v1/models/small")):
                answer = await client.call(b"", of_ours, KEY, method="GET")
                assert answer.status == 200
                assert schema.faults(answer.json, schema.validator(path, method="get")) == []
            client.close()

    run(scenario)


REFUSED = [
    (401, "/v1/chat/completions", CHAT, "sk-no", {}),
    (401, "/v1/chat/completions", CHAT, None, {}),
    (404, "/v1/chat/completions", {**CHAT, "model": "gpt-9"}, KEY, {}),
    (404, "/v1/nothing", CHAT, KEY, {}),
    (400, "/v1/chat/completions", {"model": "small", "messages": []}, KEY, {}),
    (400, "/v1/chat/completions", b"{", KEY, {}),
    (400, "/v1/chat/completions", {**CHAT, "max_tokens": -1}, KEY, {}),
    (400, "/v1/embeddings", {"model": "small"}, KEY, {}),
    (429, "/v1/chat/completions", CHAT, KEY, {"micro_won": 10}),
]


@pytest.mark.parametrize(
    ("status", "path", "body", "key", "options"),
    REFUSED,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(REFUSED)],
)
def test_a_refusal_is_of_openais_shape(tmp_path, status, path, body, key, options):
    async def scenario():
        async with world(tmp_path, **options) as here:
            answer = await here.call(body, path, key)
            assert answer.status == status, answer.body
            assert schema.faults(answer.json, schema.named("ErrorResponse")) == []

    run(scenario)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize(
    "body", [b"out of memory", b"{}", b'{"detail":"x"}', b'{"error":"x"}', b'{"error":{"message":"x"}}', b""]
)
def test_a_providers_error_becomes_one_of_openais_shape(tmp_path, status, body):
    async def fails(request: ProviderRequest) -> None:
        request.answer(body, status=status)

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = fails
            answer = await here.call(CHAT)
            assert answer.status >= 400
            assert schema.faults(answer.json, schema.named("ErrorResponse")) == []

    run(scenario)


def test_the_comparison_finds_what_is_wrong():
    sent = schema.example("/chat/completions", "Default")
    for spoil in (
        lambda answer: answer.pop("choices"),
        lambda answer: answer["choices"][0].update(finish_reason="perhaps"),
        lambda answer: answer["usage"].update(prompt_tokens="12"),
        lambda answer: answer["choices"][0]["message"].pop("role"),
    ):
        wrong = deepcopy(sent)
        spoil(wrong)
        assert schema.faults(wrong, schema.validator("/chat/completions"))
    assert schema.faults({"error": {"message": "x"}}, schema.named("ErrorResponse"))
