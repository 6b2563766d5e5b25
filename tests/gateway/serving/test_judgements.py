"""Moderations and reranking: small answers with meters of their own."""

import pytest

from dure.contracts.money import cost_micro_won

from .media import answer_media, offer, saying
from .world import run, world

WON = 1_000_000
MODERATION = {"model": "small", "input": ["kind", "unkind"]}
RANKING = {
    "model": "small",
    "query": "what is a dure?",
    "documents": ["a custom", {"text": "a gateway"}],
    "top_n": 1,
}
RANKED = [{"index": 0, "relevance_score": 0.9}]


def test_a_moderation_is_charged_by_the_request(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "moderations", request=500_000)
            here.provider.script = answer_media
            answer = await here.call(MODERATION, "/v1/moderations")
            assert answer.json["results"][0]["flagged"] is True
            assert here.provider.requests[0].body == {**MODERATION, "model": "upstream-name"}
            record = await here.record()
            assert (record.units, record.input_tokens, record.estimated) == ({"request": 1}, 0, False)
            assert record.cost_micro_won == cost_micro_won(((1, 500_000 * WON),))

    run(scenario)


@pytest.mark.parametrize(
    ("usage", "tokens", "estimated"),
    [({"prompt_tokens": 9, "total_tokens": 9}, 9, False), ({"total_tokens": 8}, 8, False), (None, 5, True)],
)
def test_a_moderation_may_be_charged_by_tokens(tmp_path, usage, tokens, estimated):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "moderations", input=100)
            here.provider.script = saying({"id": "m", "results": [], **({"usage": usage} if usage else {})})
            await here.call(MODERATION, "/v1/moderations")
            record = await here.record()
            assert (record.input_tokens, record.estimated) == (tokens, estimated)

    run(scenario)


def test_a_moderation_of_an_image_is_held_for_up_to_the_whole_context(tmp_path):
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "moderations", input=100)
            here.provider.script = answer_media
            for given in (parts, parts[:1], "a"):
                await here.call({"model": "small", "input": given}, "/v1/moderations")
            await here.record(3)
            holds = [opened.hold_micro_won for opened in here.journalled()[0]]
            assert holds[0] == cost_micro_won(((16_000, 100 * WON),))
            assert holds[1] < holds[0]
            assert holds[2] < holds[0]

    run(scenario)


@pytest.mark.parametrize(
    ("said", "tokens", "searches", "estimated"),
    [
        ({"meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 2}}}, 0, 2, False),
        ({"meta": {"billed_units": {"search_units": 1.0}, "tokens": {"input_tokens": 40}}}, 40, 1, False),
        ({"usage": {"search_units": 3, "total_tokens": 50}}, 50, 3, False),
        ({"usage": {"total_tokens": 60}}, 60, 1, True),
        ({"meta": {"billed_units": {"search_units": -1}}}, 17, 1, True),
        ({}, 17, 1, True),
    ],
)
def test_a_ranking_is_charged_by_its_searches(tmp_path, said, tokens, searches, estimated):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "rerank", search=3_000_000)
            here.provider.script = saying({"id": "r", "results": RANKED, **said})
            answer = await here.call(RANKING, "/v1/rerank")
            assert answer.json["results"] == RANKED
            assert here.provider.requests[0].body == {**RANKING, "model": "upstream-name"}
            record = await here.record()
            assert (record.input_tokens, record.units, record.estimated) == (
                tokens,
                {"search": searches},
                estimated,
            )
            assert record.cost_micro_won == cost_micro_won(((searches, 3_000_000 * WON),))

    run(scenario)


@pytest.mark.parametrize(
    ("said", "tokens", "estimated"),
    [
        ({"usage": {"prompt_tokens": 20, "total_tokens": 20}}, 20, False),
        ({"usage": {"total_tokens": 21}}, 21, False),
        ({"usage": {"total_tokens": -21}}, 17, True),
        ({"meta": {"billed_units": {"search_units": 1}}}, 17, True),
    ],
)
def test_a_ranking_may_be_charged_by_tokens(tmp_path, said, tokens, estimated):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "rerank", input=100)
            here.provider.script = saying({"results": RANKED, **said})
            await here.call(RANKING, "/v1/rerank")
            record = await here.record()
            assert (record.input_tokens, record.estimated) == (tokens, estimated)
            assert record.cost_micro_won == cost_micro_won(((tokens, 100 * WON),))
            # Each document is read with the query: 17 and 10, 17 and 21 bytes, and room for a template.
            assert here.journalled()[0][0].hold_micro_won == cost_micro_won(
                ((17 + 10 + 17 + 21 + 256, 100 * WON),)
            )

    run(scenario)


def test_many_and_long_documents_are_held_for_as_many_searches(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "rerank", search=1_000_000)
            here.provider.script = saying({"results": [], "meta": {"billed_units": {"search_units": 3}}})
            await here.call({**RANKING, "documents": ["a"] * 250}, "/v1/rerank")
            await here.call({**RANKING, "documents": ["a" * 5_000] * 100}, "/v1/rerank")
            await here.record(2)
            holds = [opened.hold_micro_won for opened in here.journalled()[0]]
            assert holds == [3 * WON, 21 * WON]

    run(scenario)


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": ""},
        {"query": 1},
        {"query": None},
        {"documents": []},
        {"documents": "a"},
        {"documents": [1]},
        {"Query": "a"},
    ],
)
def test_what_decides_the_price_of_a_ranking_must_be_readable(tmp_path, wrong):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "rerank", input=100)
            answer = await here.call({**RANKING, **wrong}, "/v1/rerank")
            assert (answer.status, answer.error["param"]) == (400, next(iter(wrong)))

    run(scenario)


def test_a_deployment_of_llama_cpp_ranks_but_draws_nothing(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "rerank", "images.generations", input=100, output=100)
            here.publish("deployment", here.deployment_entry(dialect="llama.cpp"))
            here.provider.script = saying(
                {"results": RANKED, "usage": {"prompt_tokens": 5, "total_tokens": 5}}
            )
            assert (await here.call(RANKING, "/v1/rerank")).status == 200
            drawn = await here.call({"model": "small", "prompt": "a"}, "/v1/images/generations")
            assert (drawn.status, drawn.error["code"]) == (503, "model_unavailable")

    run(scenario)
