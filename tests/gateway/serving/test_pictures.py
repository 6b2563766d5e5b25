"""Images: held for by `n`, charged by what came."""

import pytest

from dure.contracts.money import cost_micro_won

from .media import answer_media, offer, saying, streaming
from .world import Client, run, world

PATH = "/v1/images/generations"
IMAGE = {"model": "small", "prompt": "a village working its fields"}
WON = 1_000_000
USAGE = {
    "input_tokens": 50,
    "output_tokens": 1_056,
    "total_tokens": 1_106,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}


def preview(index: int) -> dict:
    return {
        "type": "image_generation.partial_image",
        "b64_json": "A" * 3_000_000,
        "partial_image_index": index,
    }


def completed(usage: dict | None = USAGE) -> dict:
    event = {"type": "image_generation.completed", "b64_json": "A" * 3_000_000}
    return event if usage is None else {**event, "usage": usage}


def test_pictures_are_held_for_by_n_and_charged_by_how_many_came(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "images.generations", image=60_000_000)
            here.provider.script = saying(
                {"created": 1, "data": [{"url": "https://a"}, {"url": "https://b"}]}
            )
            answer = await here.call({**IMAGE, "n": 3, "size": "1024x1024", "anything": 1}, PATH)
            assert [picture["url"] for picture in answer.json["data"]] == ["https://a", "https://b"]
            assert here.provider.requests[0].body == {
                **IMAGE, "model": "upstream-name", "n": 3, "size": "1024x1024", "anything": 1,
            }  # fmt: skip
            record = await here.record()
            assert (record.units, record.estimated, record.input_tokens) == ({"image": 2}, False, 0)
            assert record.cost_micro_won == cost_micro_won(((2, 60_000_000 * WON),))
            assert here.journalled()[0][0].hold_micro_won == cost_micro_won(((3, 60_000_000 * WON),))

    run(scenario)


def test_pictures_priced_by_tokens_are_held_for_at_the_models_ceiling(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "images.generations", input=7_000, output=56_000, max_output_tokens=6_300)
            here.provider.script = saying({"created": 1, "data": [{"b64_json": "AA=="}], "usage": USAGE})
            await here.call({**IMAGE, "n": 2}, PATH)
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.units) == (50, 1_056, {"image": 1})
            assert record.cost_micro_won == cost_micro_won(((50, 7_000 * WON), (1_056, 56_000 * WON)))
            prompt = len('"a village working its fields"') + 128
            assert here.journalled()[0][0].hold_micro_won == cost_micro_won(
                ((prompt, 7_000 * WON), (12_600, 56_000 * WON))
            )

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "units", "output"),
    [
        ({"data": [{"b64_json": "AA=="}]}, {"image": 1}, 6_300),
        ({"data": [{"b64_json": "AA=="}] * 5}, {"image": 2}, 12_600),
        ({"data": []}, {}, 0),
        (b"nonsense", {"image": 2}, 12_600),
    ],
)
def test_tokens_that_nobody_counted_are_charged_for_what_came(tmp_path, answer, units, output):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "images.generations", input=7_000, output=56_000, max_output_tokens=6_300)
            here.provider.script = saying(answer)
            await here.call({**IMAGE, "n": 2}, PATH)
            record = await here.record()
            assert (record.units, record.output_tokens, record.estimated) == (units, output, True)

    run(scenario)


def test_previews_and_picture_are_relayed_and_charged_by_the_last_event(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "images.generations", input=7_000, output=56_000, max_output_tokens=6_300)
            here.provider.script = streaming(preview(0), preview(1), completed())
            answer = await here.call({**IMAGE, "stream": True, "partial_images": 2}, PATH)
            assert (answer.status, answer.body.count(b"data: ")) == (200, 3)
            assert len(answer.body) > 9_000_000
            record = await here.record()
            assert (record.output_tokens, record.units, record.estimated) == (1_056, {"image": 1}, False)
            prompt = len('"a village working its fields"') + 128
            assert here.journalled()[0][0].hold_micro_won == cost_micro_won(
                ((prompt, 7_000 * WON), (6_300 + 200, 56_000 * WON))
            )

    run(scenario)


def test_of_several_pictures_in_a_stream_all_are_added_up(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "images.generations", input=7_000, output=56_000)
            here.provider.script = streaming(completed(), completed())
            await here.call({**IMAGE, "stream": True, "n": 2}, PATH)
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.units) == (100, 2_112, {"image": 2})
            here.provider.script = streaming(completed())
            await here.call({**IMAGE, "stream": True, "n": 2}, PATH)
            record = await here.record(2)
            assert (record.output_tokens, record.units, record.status) == (1_056, {"image": 1}, "completed")

    run(scenario)


@pytest.mark.parametrize("before", [[preview(0)], [preview(0), completed(), preview(0)]])
def test_whoever_hangs_up_on_a_picture_pays_for_those_that_were_begun(tmp_path, before):
    async def hangs(request):
        request.begin_stream()
        for event in before:
            request.event(event)
        await request.reader.read(1)

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "images.generations", image=60_000_000)
            here.provider.script = hangs
            client = await Client.connect(here.port)
            client.send({**IMAGE, "stream": True, "n": 2}, PATH)
            await client.head()
            seen = 0
            async for chunk in client.chunks():
                seen += len(chunk)
                if seen >= 3_000_000 * len(before):
                    break
            client.close()
            record = await here.record()
            assert (record.status, record.units, record.estimated) == ("cancelled", {"image": 2}, True)

    run(scenario)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"n": 129},
        {"n": "2"},
        {"N": 2},
        {"prompt": ""},
        {"prompt": 1},
        {"stream": 1},
        {"partial_images": -1},
    ],
)
def test_what_decides_the_price_must_be_readable(tmp_path, wrong):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "images.generations", image=60_000_000)
            here.provider.script = answer_media
            answer = await here.call({**IMAGE, **wrong}, PATH)
            assert (answer.status, answer.error["param"]) == (400, next(iter(wrong)))

    run(scenario)


def test_too_many_pictures_for_what_is_left_are_refused(tmp_path):
    async def scenario():
        async with world(tmp_path, micro_won=100 * WON) as here:
            offer(here, "images.generations", image=60_000_000)
            here.provider.script = answer_media
            answer = await here.call({**IMAGE, "n": 2}, PATH)
            assert (answer.status, answer.error["code"]) == (429, "insufficient_quota")
            assert "send less at once" in answer.error["message"]
            assert (await here.call(IMAGE, PATH)).status == 200

    run(scenario)
