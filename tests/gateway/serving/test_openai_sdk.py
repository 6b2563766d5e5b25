"""OpenAI's own client against the gateway: it must not notice the difference."""

import asyncio

import openai
import pytest

from .world import CHAT, KEY, run, world


def drive(tmp_path, use, **options):
    async def scenario():
        async with world(tmp_path, **options) as here:
            client = openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0)
            try:
                return await use(client, here)
            finally:
                await client.close()
                await asyncio.sleep(0)

    return run(scenario)


def test_plain_streamed_embedded_listed(tmp_path):
    async def use(client, here):
        plain = await client.chat.completions.create(**CHAT)
        assert (plain.choices[0].message.content, plain.usage.prompt_tokens) == ("Hello", 12)
        assert plain._request_id == str(here.records()[-1].request_id)
        stream = await client.chat.completions.create(**CHAT, stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello there"
        stream = await client.chat.completions.create(
            **CHAT, stream=True, stream_options={"include_usage": True}
        )
        assert [chunk async for chunk in stream][-1].usage.completion_tokens == 3
        embedded = await client.embeddings.create(model="small", input="a", encoding_format="float")
        assert embedded.data[0].embedding == [0.1, 0.2]
        assert [model.id async for model in client.models.list()] == ["small"]
        assert (await client.models.retrieve("small")).owned_by == "provider"

    drive(tmp_path, use)


def test_errors_become_the_sdks_exceptions(tmp_path):
    async def use(client, here):
        with pytest.raises(openai.AuthenticationError) as wrong:
            await client.with_options(api_key="sk-no").models.list()
        assert wrong.value.code == "invalid_api_key"
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="gpt-9", messages=CHAT["messages"])
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.RateLimitError) as poor:
            await client.chat.completions.create(**CHAT)
        assert (poor.value.code, poor.value.type) == ("insufficient_quota", "insufficient_quota")
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="small", messages=[])

    drive(tmp_path, use, micro_won=10)


def test_a_broken_stream_raises(tmp_path):
    async def breaks(request):
        request.begin_stream()
        request.event({"choices": [{"index": 0, "delta": {"content": "Hi"}}]})
        await request.writer.drain()
        await asyncio.sleep(0.05)
        request.cut()

    async def use(client, here):
        here.provider.script = breaks
        stream = await client.chat.completions.create(**CHAT, stream=True)
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in stream:
                pass

    drive(tmp_path, use)
