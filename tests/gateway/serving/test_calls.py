import json

from dure.contracts.money import cost_micro_won

from .world import CACHED, CHAT, INPUT, OUTPUT, ProviderRequest, completion, run, world


def test_a_plain_chat_completion_is_relayed_charged_and_recorded(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            answer = await here.call(CHAT)
            assert answer.status == 200
            assert answer.body == completion()
            record = await here.record()
            cost = cost_micro_won(((12, INPUT), (3, OUTPUT)))
            assert record.cost_micro_won == cost
            assert record.request_id == answer.request_id
            assert (record.status, record.estimated) == ("completed", False)
            assert answer.headers["x-dure-cost-micro-won"] == str(cost)
            assert answer.headers["x-dure-award-left-micro-won"] == str(1_000_000_000_000 - cost)
            sent = here.provider.requests[0]
            assert sent.path == "/v1/chat/completions"
            assert sent.body == {**CHAT, "model": "upstream-name", "max_tokens": 512}
            assert "authorization" not in sent.headers
            escrow = here.keeper.escrow(here.award)
            assert (escrow.held, escrow.spent) == (0, cost)

    run(scenario)


def test_cached_tokens_are_charged_at_their_own_price_once(tmp_path):
    async def cached(request: ProviderRequest) -> None:
        request.answer(completion(prompt=100, output=7, cached=60))

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = cached
            await here.call(CHAT)
            record = await here.record()
            assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (100, 60, 7)
            assert record.cost_micro_won == cost_micro_won(((40, INPUT), (60, CACHED), (7, OUTPUT)))

    run(scenario)


def test_a_stream_hides_the_usage_that_the_client_did_not_ask_for(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            answer = await here.call({**CHAT, "stream": True})
            assert answer.status == 200
            events = [event.removeprefix("data: ") for event in answer.body.decode().split("\n\n") if event]
            assert events[-1] == "[DONE]"
            assert (
                "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1])
                == "Hello there"
            )
            assert here.provider.requests[0].body["stream_options"] == {"include_usage": True}
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.estimated) == (12, 3, False)
            assert record.cost_micro_won == cost_micro_won(((12, INPUT), (3, OUTPUT)))

    run(scenario)


def test_a_stream_shows_the_usage_that_the_client_asked_for(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            answer = await here.call({**CHAT, "stream": True, "stream_options": {"include_usage": True}})
            assert b'"choices":[],"usage":{"prompt_tokens":12' in answer.body

    run(scenario)
