"""`/v1/messages`, by hand and by Anthropic's own client, for a deployment that speaks its dialect."""

import asyncio
import json

import anthropic
import pytest

from dure.contracts.directory import Price
from dure.contracts.ids import uuid7
from dure.contracts.money import cost_micro_won

from .world import CACHED, CHAT, INPUT, KEY, OUTPUT, Client, ProviderRequest, run, world

PATH = "/v1/messages"
BODY = {"model": "small", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
WRITE = 150_000_000
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1_000,
    "output_tokens": 15,
}
COST = cost_micro_won(((10, INPUT), (1_000, CACHED), (100, WRITE), (15, OUTPUT)))


def message(**changes) -> dict:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "upstream-name",
        "content": [{"type": "text", "text": "Hello there"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **changes,
    }


def named(data: dict) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


START = named(
    {
        "type": "message_start",
        "message": message(content=[], stop_reason=None, usage={**USAGE, "output_tokens": 1}),
    }
)
TEXT = [
    named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    named({"type": "ping"}),
    named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
    named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " there"}}),
]
END = [
    named({"type": "content_block_stop", "index": 0}),
    named(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 15},
        }
    ),
    named({"type": "message_stop"}),
]


async def answers(request: ProviderRequest) -> None:
    if request.body.get("stream"):
        request.begin_stream()
        for event in [START, *TEXT, *END]:
            request.raw(event)
        request.end_stream()
    else:
        request.answer(json.dumps(message()).encode())


def drive(tmp_path, use, script=answers, *, context_length=2_048, credential=None, **options):
    async def scenario():
        async with world(tmp_path, **options) as here:
            meters = {"input": INPUT, "output": OUTPUT, "cached_input": CACHED, "cache_write": WRITE}
            price = Price(id=str(uuid7()), effective_from=0, meters=meters)
            here.publish(
                "model",
                here.model_entry(endpoints=("messages",), prices=(price,), context_length=context_length),
            )
            changes = {"credential": credential} if credential else {}
            here.publish("deployment", here.deployment_entry(dialect="anthropic", **changes))
            here.provider.script = script
            await use(here)

    run(scenario)


def test_a_plain_message_is_relayed_charged_and_recorded(tmp_path):
    async def use(here):
        answer = await here.call({**BODY, "vendor": {"deep": [1]}}, PATH)
        assert (answer.status, answer.json) == (200, message())
        sent = here.provider.requests[0]
        assert (sent.path, sent.body) == (PATH, {**BODY, "vendor": {"deep": [1]}, "model": "upstream-name"})
        assert sent.headers["anthropic-version"] == "2023-06-01"
        record = await here.record()
        assert (record.endpoint, record.status, record.estimated) == ("messages", "completed", False)
        assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (1_110, 1_000, 15)
        assert (record.units, record.cost_micro_won) == ({"cache_write": 100}, COST)
        assert answer.headers["request-id"] == str(record.request_id)
        assert answer.headers["x-dure-cost-micro-won"] == str(COST)
        opened, _, _ = here.journalled()
        bound = len(json.dumps(BODY["messages"])) + len('{"deep": [1]}') + 128 + 16
        assert opened[0].hold_micro_won == cost_micro_won(((bound, WRITE), (64, OUTPUT)))

    drive(tmp_path, use)


def test_the_caller_s_version_and_betas_and_the_platform_s_key_go_to_the_provider(tmp_path):
    secret = tmp_path / "key"
    secret.write_text("sk-ant-platform")

    async def use(here):
        headers = (
            f"x-api-key: {KEY}\r\nanthropic-version: 2024-01-01\r\nanthropic-beta: a-1,b-2\r\n"
            "openai-beta: no\r\ncookie: no\r\n"
        )
        assert (await here.call(BODY, PATH, key=None, headers=headers)).status == 200
        sent = here.provider.requests[0].headers
        assert sent["x-api-key"] == "sk-ant-platform"
        assert (sent["anthropic-version"], sent["anthropic-beta"]) == ("2024-01-01", "a-1,b-2")
        assert not {"authorization", "cookie", "openai-beta"} & sent.keys()

    drive(tmp_path, use, credential=f"file:{secret}")


def test_the_record_of_a_stream_is_written_before_its_last_event_comes(tmp_path):
    async def use(here):
        client = await Client.connect(here.port)
        client.send({**BODY, "stream": True}, PATH)
        await client.head()
        came = b""
        async for data in client.chunks():
            came += data
            if b"message_stop" in data:
                assert [record.status for record in here.records()] == ["completed"]
        assert came == b"".join([START, *TEXT, *END])
        record = await here.record()
        assert (record.cost_micro_won, record.estimated, record.units) == (COST, False, {"cache_write": 100})
        client.close()

    drive(tmp_path, use)


def test_a_client_that_hangs_up_pays_for_what_was_read_and_relayed(tmp_path):
    async def begins(request: ProviderRequest) -> None:
        request.begin_stream()
        for event in [START, *TEXT]:
            request.raw(event)
        await request.writer.drain()
        await request.reader.read()

    async def use(here):
        client = await Client.connect(here.port)
        client.send({**BODY, "stream": True}, PATH)
        await client.head()
        async for data in client.chunks():
            if b" there" in data:
                break
        client.close()
        record = await here.record()
        assert (record.status, record.estimated) == ("cancelled", True)
        assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (1_110, 1_000, 2)
        opened, _, _ = here.journalled()
        assert record.cost_micro_won <= opened[0].hold_micro_won

    drive(tmp_path, use, begins)


def error_of(answer) -> tuple[int, str, str]:
    assert answer.json["type"] == "error"
    assert answer.error["message"]
    return answer.status, answer.error["type"], answer.error["code"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"max_tokens": None}, "missing_required_parameter"),
        ({"messages": []}, "missing_required_parameter"),
        ({"Max_Tokens": 9}, "invalid_value"),
        ({"n_cmpl": 2}, "invalid_value"),
        ({"speed": "fast"}, "not_meterable"),
        ({"mcp_servers": [{"type": "url", "url": "https://x"}]}, "not_meterable"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "not_meterable"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "not_meterable"),
        ({"tools": [{"type": "code_execution_20250825", "name": "c"}]}, "not_meterable"),
    ],
)
def test_what_makes_no_sense_or_cannot_be_metered_is_refused_in_anthropic_s_shape(tmp_path, fields, code):
    async def use(here):
        answer = await here.call({**BODY, **fields}, PATH)
        assert error_of(answer) == (400, "invalid_request_error", code)
        assert here.provider.requests == []

    drive(tmp_path, use)


def test_tools_that_the_caller_runs_and_harmless_context_management_pass(tmp_path):
    async def use(here):
        body = {
            **BODY,
            "tools": [
                {"name": "f", "input_schema": {"type": "object"}},
                {"type": "bash_20250124", "name": "b"},
            ],
            "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
            "mcp_servers": [],
            "speed": "standard",
        }
        assert (await here.call(body, PATH)).status == 200

    drive(tmp_path, use)


def test_other_errors_have_its_shape_too(tmp_path):
    async def use(here):
        unknown = await here.call({**BODY, "model": "claude-9"}, PATH)
        assert error_of(unknown) == (404, "not_found_error", "model_not_found")
        wrong = await here.call(BODY, PATH, key="dure-wrong")
        assert error_of(wrong) == (401, "authentication_error", "invalid_api_key")
        counted = await here.call(BODY, f"{PATH}/count_tokens")
        assert error_of(counted) == (404, "not_found_error", "unknown_url")
        batches = await here.call(BODY, f"{PATH}/batches")
        assert error_of(batches) == (404, "not_found_error", "unknown_url")
        chat = await here.call(CHAT)
        assert (chat.status, chat.error["code"]) == (400, "endpoint_not_supported")

    drive(tmp_path, use)


def test_a_million_tokens_of_context_must_be_on_offer(tmp_path):
    async def use(here):
        headers = "anthropic-beta: other-1,context-1m-2025-08-07\r\n"
        answer = await here.call(BODY, PATH, headers=headers)
        assert error_of(answer) == (400, "invalid_request_error", "context_not_offered")

    drive(tmp_path, use)


@pytest.mark.parametrize(
    ("body", "status", "shown"),
    [
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            "529 Overloaded",
            None,
        ),
        (
            {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}},
            "400 Bad Request",
            None,
        ),
        ({"error": {"message": "no room"}}, "400 Bad Request", (400, "invalid_request_error")),
        ({"error": {"message": "k"}}, "403 No", (502, "api_error")),
        ("gateway time-out", "502 Bad Gateway", (502, "api_error")),
        (
            {"type": "error", "error": {"type": "authentication_error", "message": "k"}},
            "401 No",
            (502, "api_error"),
        ),
    ],
)
def test_errors_of_the_provider(tmp_path, body, status, shown):
    async def fails(request: ProviderRequest) -> None:
        request.answer(json.dumps(body).encode(), status=status)

    async def use(here):
        answer = await here.call(BODY, PATH)
        if shown is None:
            assert (answer.status, answer.json) == (int(status[:3]), body)
        else:
            assert (answer.status, answer.error["type"]) == shown
            assert answer.json["request_id"] == str(answer.request_id)
            assert (answer.error["message"] == "no room") is (status[:3] == "400")
        assert (await here.record()).cost_micro_won == 0

    drive(tmp_path, use, fails)


def test_only_deployments_of_its_dialect_are_asked(tmp_path):
    async def use(here):
        here.publish("model", here.model_entry(endpoints=("messages", "chat.completions")))
        assert (await here.call(BODY, PATH)).status == 200
        chat = await here.call(CHAT)
        assert (chat.status, chat.error["code"]) == (503, "model_unavailable")
        assert [request.path for request in here.provider.requests] == [PATH]

    drive(tmp_path, use)


def sdk(here, **options) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=here.url, api_key=KEY, max_retries=0, **options)


def test_the_sdk_reads_plain_and_streamed_messages(tmp_path):
    async def use(here):
        async with sdk(here) as client:
            plain = await client.messages.create(**BODY)
            assert (plain.content[0].text, plain.usage.cache_read_input_tokens) == ("Hello there", 1_000)
            assert plain._request_id == str(here.records()[-1].request_id)
            async with client.messages.stream(**BODY) as stream:
                assert "".join([text async for text in stream.text_stream]) == "Hello there"
                assert (await stream.get_final_message()).usage.output_tokens == 15
            assert [record.cost_micro_won for record in here.records()] == [COST, COST]
        await asyncio.sleep(0)

    drive(tmp_path, use)


def test_errors_become_the_sdk_s_exceptions(tmp_path):
    async def use(here):
        async with sdk(here) as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.with_options(api_key="no").messages.create(**BODY)
            with pytest.raises(anthropic.NotFoundError):
                await client.messages.create(**{**BODY, "model": "claude-9"})
            with pytest.raises(anthropic.BadRequestError):
                await client.messages.create(**{**BODY, "messages": []})
            with pytest.raises(anthropic.RateLimitError) as poor:
                await client.messages.create(**BODY)
            assert poor.value.body["error"]["code"] == "insufficient_quota"
            with pytest.raises(anthropic.NotFoundError):
                await client.messages.count_tokens(model="small", messages=BODY["messages"])
        await asyncio.sleep(0)

    drive(tmp_path, use, micro_won=10)


async def follow(stream, relayed: asyncio.Event) -> None:
    async for _ in stream:
        relayed.set()


def test_the_sdk_raises_for_a_stream_that_breaks(tmp_path):
    relayed = asyncio.Event()

    async def breaks(request: ProviderRequest) -> None:
        request.begin_stream()
        for event in [START, *TEXT]:
            request.raw(event)
        await request.writer.drain()
        await relayed.wait()
        request.cut()

    async def use(here):
        async with sdk(here) as client:
            stream = await client.messages.create(**BODY, stream=True)
            with pytest.raises(anthropic.APIStatusError, match="broke off") as broken:
                await follow(stream, relayed)
            assert broken.value.body["error"]["type"] == "api_error"
        await asyncio.sleep(0)

    drive(tmp_path, use, breaks)
