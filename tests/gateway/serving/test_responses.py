"""`/v1/responses`, by hand and by OpenAI's own client."""

import asyncio
import json

import openai
import pytest

from dure.contracts.money import cost_micro_won

from .world import CACHED, INPUT, KEY, OUTPUT, Client, ProviderRequest, run, world

PATH = "/v1/responses"
BODY = {"model": "small", "input": "Hi"}
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 17,
}
COST = cost_micro_won(((8, INPUT), (4, CACHED), (5, OUTPUT)))


def response(status: str = "completed", usage: dict | None = USAGE, **changes) -> dict:
    part = {"type": "output_text", "text": "Hello there", "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1741476542,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": "upstream-name",
        "output": [message] if status == "completed" else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
        **changes,
    }


def typed(kind: str, number: int, **data) -> bytes:
    event = {"type": kind, "sequence_number": number, **data}
    return f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode()


def delta(text: str, number: int) -> bytes:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    return typed("response.output_text.delta", number, delta=text, **place)


STARTED = typed("response.created", 0, response=response("in_progress", None))
EVENTS = [
    STARTED,
    delta("Hello", 1),
    delta(" there", 2),
    typed("response.completed", 3, response=response()),
]


async def answers(request: ProviderRequest) -> None:
    if request.body.get("stream"):
        request.begin_stream()
        for event in EVENTS:
            request.raw(event)
        request.end_stream()
    else:
        request.answer(json.dumps(response()).encode())


def drive(tmp_path, use, script=answers, **options):
    async def scenario():
        async with world(tmp_path, **options) as here:
            here.publish("model", here.model_entry(endpoints=("responses",)))
            here.publish("deployment", here.deployment_entry(dialect="openai"))
            here.provider.script = script
            await use(here)

    run(scenario)


def test_a_plain_response_is_relayed_charged_and_recorded(tmp_path):
    async def use(here):
        body = {**BODY, "max_output_tokens": 50, "vendor": {"deep": [1]}, "background": False}
        answer = await here.call(body, PATH)
        assert (answer.status, answer.json) == (200, response())
        assert here.provider.requests[0].path == PATH
        assert here.provider.requests[0].body == {**body, "model": "upstream-name"}
        record = await here.record()
        assert (record.endpoint, record.status, record.estimated) == ("responses", "completed", False)
        assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (12, 4, 5)
        assert (record.units, record.cost_micro_won) == ({"reasoning": 2}, COST)

    drive(tmp_path, use)


def test_a_limit_that_nobody_set_is_set_and_a_higher_one_lowered(tmp_path):
    async def use(here):
        await here.call(BODY, PATH)
        await here.call({**BODY, "max_output_tokens": 9_000}, PATH)
        assert [request.body["max_output_tokens"] for request in here.provider.requests] == [512, 512]

    drive(tmp_path, use)


def test_the_record_of_a_stream_is_written_before_its_last_event_comes(tmp_path):
    async def use(here):
        client = await Client.connect(here.port)
        client.send({**BODY, "stream": True}, PATH)
        await client.head()
        came = b""
        async for data in client.chunks():
            came += data
            if b"response.completed" in data:
                assert [record.status for record in here.records()] == ["completed"]
        assert came == b"".join(EVENTS)
        record = await here.record()
        assert (record.cost_micro_won, record.estimated, record.units) == (COST, False, {"reasoning": 2})
        client.close()

    drive(tmp_path, use)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [{"type": "function", "name": "f"}, {"type": "code_interpreter"}]}, "tools"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x"}]}, "tools"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "file_search"}]}]}, "tools"),
        ({"input": [{"type": "additional_tools", "tools": [{"type": "web_search"}]}]}, "tools"),
    ],
)
def test_what_cannot_be_bounded_or_metered_is_refused(tmp_path, fields, param):
    async def use(here):
        answer = await here.call({**BODY, **fields}, PATH)
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "not_meterable", param)
        assert here.provider.requests == []

    drive(tmp_path, use)


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_0"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}, "input": None},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y.png"}]}]},
        {"input": [{"type": "item_reference", "id": "msg_0"}]},
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
    ],
)
def test_what_lies_elsewhere_is_held_for_the_whole_context(tmp_path, fields):
    async def use(here):
        assert (await here.call({**BODY, **fields, "max_output_tokens": 10}, PATH)).status == 200
        opened, _, _ = here.journalled()
        assert opened[0].hold_micro_won == cost_micro_won(((2_048, INPUT), (10, OUTPUT)))

    drive(tmp_path, use)


def test_text_is_held_for_its_bytes(tmp_path):
    async def use(here):
        items = [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
        ]
        tools = [{"type": "function", "name": "f", "parameters": {}}]
        await here.call({**BODY, "input": items, "tools": tools, "max_output_tokens": 10}, PATH)
        bound = len(json.dumps(items)) + len(json.dumps(tools)) + 128 + 3 * 16 + 1_024
        opened, _, _ = here.journalled()
        assert opened[0].hold_micro_won == cost_micro_won(((bound, INPUT), (10, OUTPUT)))

    drive(tmp_path, use)


def test_a_client_that_hangs_up_is_charged_what_was_relayed(tmp_path):
    async def begins(request: ProviderRequest) -> None:
        request.begin_stream()
        request.raw(STARTED)
        request.raw(delta("Hello", 1))
        await request.writer.drain()
        await request.reader.read()

    async def use(here):
        client = await Client.connect(here.port)
        client.send({**BODY, "stream": True}, PATH)
        await client.head()
        async for data in client.chunks():
            if b"Hello" in data:
                break
        client.close()
        record = await here.record()
        assert (record.status, record.estimated, record.output_tokens) == ("cancelled", True, 1)
        assert record.input_tokens > 0

    drive(tmp_path, use, begins)


def test_a_response_that_failed_before_it_said_anything_costs_nothing(tmp_path):
    failed = response("failed", None, error={"code": "server_error", "message": "out of memory"})

    async def fails(request: ProviderRequest) -> None:
        request.begin_stream()
        request.raw(STARTED)
        request.raw(typed("response.failed", 1, response=failed))
        request.end_stream()

    async def use(here):
        answer = await here.call({**BODY, "stream": True}, PATH)
        assert answer.body.endswith(typed("response.failed", 1, response=failed))
        record = await here.record()
        assert (record.status, record.error_code) == ("truncated", "upstream_error")
        assert (record.cost_micro_won, record.input_tokens) == (0, 0)

    drive(tmp_path, use, fails)


def sdk(here) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0)


def test_the_sdk_reads_plain_and_streamed_responses(tmp_path):
    async def use(here):
        async with sdk(here) as client:
            plain = await client.responses.create(**BODY)
            assert (plain.output_text, plain.usage.total_tokens) == ("Hello there", 17)
            assert plain._request_id == str(here.records()[-1].request_id)
            events = [event async for event in await client.responses.create(**BODY, stream=True)]
            assert [event.type for event in events] == [
                "response.created",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.completed",
            ]
            assert events[-1].response.usage.output_tokens_details.reasoning_tokens == 2
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(**BODY, tools=[{"type": "web_search"}])
            assert refused.value.code == "not_meterable"
        await asyncio.sleep(0)

    drive(tmp_path, use)


async def follow(stream, relayed: asyncio.Event) -> None:
    async for _ in stream:
        relayed.set()


def test_the_sdk_raises_for_a_stream_that_breaks(tmp_path):
    async def breaks(request: ProviderRequest) -> None:
        request.begin_stream()
        request.raw(STARTED)
        request.raw(delta("Hello", 1))
        await request.writer.drain()
        await relayed.wait()
        request.cut()

    relayed = asyncio.Event()

    async def use(here):
        async with sdk(here) as client:
            stream = await client.responses.create(**BODY, stream=True)
            with pytest.raises(openai.APIError, match="broke off") as broken:
                await follow(stream, relayed)
            assert broken.value.code == "upstream_broke"
        await asyncio.sleep(0)

    drive(tmp_path, use, breaks)


def test_a_stream_that_stops_without_its_end_is_told_of_with_the_next_number(tmp_path):
    async def breaks(request: ProviderRequest) -> None:
        request.begin_stream()
        request.raw(STARTED)
        request.raw(delta("Hello", 1))
        request.end_stream()

    async def use(here):
        client = await Client.connect(here.port)
        client.send({**BODY, "stream": True}, PATH)
        relayed = STARTED + delta("Hello", 1)
        answer = await client.answer()
        assert answer.body.startswith(relayed + b"event: error\ndata: ")
        told = json.loads(answer.body.removeprefix(relayed).split(b"data: ")[1])
        assert (told["type"], told["sequence_number"], told["code"]) == ("error", 2, "upstream_broke")
        assert (await here.record()).status == "truncated"
        client.close()

    drive(tmp_path, use, breaks)
