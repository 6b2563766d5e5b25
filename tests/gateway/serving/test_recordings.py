"""Transcriptions and translations: uploads that go through untouched, charged by the second or by tokens."""

import json

import pytest

from dure.contracts.ids import uuid7
from dure.contracts.money import cost_micro_won

from .media import BOUNDARY, UPLOAD, answer_media, offer, saying, streaming, upload, wav
from .world import Client, run, world

PATH = "/v1/audio/transcriptions"
WON = 1_000_000


async def transcribe(here, recording=None, path=PATH, **fields):
    return await here.call(upload(recording, **fields), path, headers=UPLOAD)


@pytest.mark.parametrize("name", ["audio.transcriptions", "audio.translations"])
def test_a_recording_reaches_the_provider_as_it_was_but_for_the_model(tmp_path, name):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, name, second=140_000)
            here.provider.script = answer_media
            answer = await transcribe(
                here, path="/v1/" + name.replace(".", "/"), language="ko", anything="goes"
            )
            assert (answer.status, answer.json["text"]) == (200, "Hello there")
            sent = here.provider.requests[0]
            assert sent.raw_body == upload(language="ko", anything="goes").replace(
                b"\r\n\r\nsmall", b"\r\n\r\nupstream-name"
            )
            assert sent.headers["content-type"] == f'multipart/form-data; boundary="{BOUNDARY}"'
            record = await here.record()
            assert (record.endpoint, record.status, record.estimated) == (name, "completed", False)
            assert record.units == {"second": 3}
            assert record.cost_micro_won == cost_micro_won(((3, 140_000 * WON),))
            assert (record.input_tokens, record.output_tokens) == (0, 0)
            opened = here.journalled()[0][0]
            assert opened.hold_micro_won == cost_micro_won(((4, 140_000 * WON),))

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "content_type", "seconds", "estimated"),
    [
        ({"text": "a", "usage": {"type": "duration", "seconds": 2.2}}, "application/json", 3, False),
        ({"text": "a", "duration": 2.5}, "application/json", 3, False),
        ({"text": "a", "duration": "2.01"}, "application/json", 3, False),
        ({"text": "a"}, "application/json", 3, True),
        ({"text": "a", "duration": -1}, "application/json", 3, True),
        ({"text": "a", "duration": 1e300}, "application/json", 3, True),
        (
            {"text": "a", "usage": {"type": "tokens", "input_tokens": 9, "output_tokens": 1}},
            "application/json",
            3,
            True,
        ),
        (b"WEBVTT\n\n00:00.000 --> 00:02.500\nHello\n", "text/vtt", 3, True),
    ],
)
def test_seconds_are_the_providers_or_else_measured(tmp_path, answer, content_type, seconds, estimated):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            here.provider.script = saying(answer, content_type)
            got = await transcribe(here)
            assert got.headers["content-type"] == content_type
            record = await here.record()
            assert (record.units, record.estimated) == ({"second": seconds}, estimated)

    run(scenario)


def test_tokens_of_sound_have_their_own_price(tmp_path):
    usage = {
        "type": "tokens",
        "input_tokens": 30,
        "output_tokens": 5,
        "total_tokens": 35,
        "input_token_details": {"audio_tokens": 25, "text_tokens": 5},
    }

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", input=3_000, audio_input=8_000, output=14_000)
            here.provider.script = saying({"text": "a", "usage": usage})
            await transcribe(here)
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.units) == (30, 5, {"audio_input": 25})
            assert record.cost_micro_won == cost_micro_won(
                ((5, 3_000 * WON), (25, 8_000 * WON), (5, 14_000 * WON))
            )
            # Nothing in the form limits tokens: the model's own ceilings are held for, at the dearest price.
            assert here.journalled()[0][0].hold_micro_won == cost_micro_won(
                ((16_000, 8_000 * WON), (2_000, 14_000 * WON))
            )

    run(scenario)


def test_llama_cpp_spells_its_details_in_another_way(tmp_path):
    usage = {"type": "tokens", "input_tokens": 363, "output_tokens": 71, "total_tokens": 434}
    said = {
        "type": "transcript.text.done",
        "text": "a",
        "usage": {**usage, "input_tokens_details": {"cached_tokens": 358}},
    }

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", input=3_000, cached_input=300, output=14_000)
            here.publish("deployment", here.deployment_entry(dialect="llama.cpp"))
            here.provider.script = saying(said)
            assert (await transcribe(here)).status == 200
            record = await here.record()
            assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (363, 358, 71)
            assert record.estimated is False

    run(scenario)


def test_a_limit_that_the_form_brings_is_held_for(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", input=3_000, output=14_000)
            here.provider.script = answer_media
            await transcribe(here, max_completion_tokens="100", max_tokens="50", stream="true")
            assert here.journalled()[0][0].hold_micro_won == cost_micro_won(
                ((16_000, 3_000 * WON), (100, 14_000 * WON))
            )
            for fields, code in (
                ({"max_tokens": "2001"}, "invalid_value"),
                ({"max_tokens": "many"}, "invalid_type"),
                ({"n": "2"}, "invalid_value"),
                ({"best_of": "2"}, "invalid_value"),
                ({"n_predict": "2"}, "invalid_value"),
            ):
                refused = await transcribe(here, **fields)
                assert (refused.status, refused.error["code"], refused.error["param"]) == (
                    400,
                    code,
                    next(iter(fields)),
                )

    run(scenario)


def test_tokens_that_nobody_counted_are_estimated_by_the_recordings_length(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", input=3_000, output=14_000)
            here.provider.script = saying(b"Hello there, you", "text/plain")
            await transcribe(here)
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.estimated) == (30, 4, True)
            assert record.units == {"second": 3, "audio_input": 30}

    run(scenario)


def test_a_stream_of_events_is_charged_by_its_last(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", input=3_000, output=14_000)
            here.provider.script = answer_media
            answer = await transcribe(here, stream="true")
            events = [json.loads(event[6:]) for event in answer.body.decode().split("\n\n") if event]
            assert [event["type"] for event in events] == ["transcript.text.delta"] * 2 + [
                "transcript.text.done"
            ]
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.streamed) == (25, 2, True)
            assert (record.status, record.estimated) == ("completed", False)

    run(scenario)


def test_a_stream_without_usage_is_charged_by_the_measured_length(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            here.provider.script = streaming(
                {"type": "transcript.text.delta", "delta": "Hello"},
                {"type": "transcript.text.done", "text": "Hello"},
            )
            await transcribe(here, stream="true")
            record = await here.record()
            assert (record.units, record.estimated, record.status) == ({"second": 3}, True, "completed")

    run(scenario)


def test_chunks_of_another_dialect_are_followed_too(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", input=3_000, output=14_000)
            here.provider.script = streaming(
                {"object": "transcription.chunk", "choices": [{"delta": {"content": "Hello"}}]},
                {
                    "object": "transcription.chunk",
                    "choices": [],
                    "usage": {"prompt_tokens": 12, "completion_tokens": 1},
                },
                "[DONE]",
            )
            answer = await transcribe(here, stream="1")
            assert answer.body.endswith(b"data: [DONE]\n\n")
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.estimated) == (12, 1, False)

    run(scenario)


def test_whoever_hangs_up_is_charged_for_the_recording_and_what_was_relayed(tmp_path):
    async def hangs(request):
        request.begin_stream()
        request.event({"type": "transcript.text.delta", "delta": "Hello"})
        await request.reader.read(1)

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            here.provider.script = hangs

            client = await Client.connect(here.port)
            client.send(upload(stream="true"), PATH, headers=UPLOAD)
            await client.head()
            await anext(client.chunks())
            client.close()
            record = await here.record()
            assert (record.status, record.units, record.estimated) == ("cancelled", {"second": 3}, True)

    run(scenario)


def test_a_recording_whose_length_cannot_be_told_is_refused_where_seconds_are_paid(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            answer = await transcribe(here, b"this is no sound")
            assert (answer.status, answer.error["code"], answer.error["param"]) == (
                400,
                "audio_unreadable",
                "file",
            )
            assert here.provider.requests == []
            assert here.journalled()[0] == []
            offer(here, "audio.transcriptions", input=3_000, output=14_000)
            here.provider.script = answer_media
            assert (await transcribe(here, b"this is no sound")).status == 200

    run(scenario)


def test_a_recording_that_lies_about_its_length_never_takes_more_than_there_is(tmp_path):
    async def scenario():
        price = 140_000 * WON
        hold = cost_micro_won(((4, price),))
        async with world(tmp_path, micro_won=hold) as here:
            offer(here, "audio.transcriptions", second=140_000)
            here.provider.script = saying({"text": "a", "usage": {"type": "duration", "seconds": 3600}})
            answer = await transcribe(here)
            assert answer.status == 200
            record = await here.record()
            assert record.units == {"second": 3600}
            assert record.cost_micro_won == hold
            assert record.uncovered_micro_won == cost_micro_won(((3600, price),)) - hold
            escrow = here.keeper.escrow(here.award)
            assert (escrow.held, escrow.left) == (0, 0)
            assert (await transcribe(here)).error["code"] == "insufficient_quota"

    run(scenario)


def test_what_a_lying_recording_costs_is_paid_from_the_escrow_as_far_as_it_goes(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            here.provider.script = saying({"text": "a", "usage": {"type": "duration", "seconds": 60}})
            await transcribe(here)
            record = await here.record()
            assert record.cost_micro_won + record.uncovered_micro_won == cost_micro_won(
                ((60, 140_000 * WON),)
            )

    run(scenario)


def test_uploads_that_could_be_read_in_two_ways_are_refused(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            twice = upload().replace(
                f"--{BOUNDARY}\r\n".encode(),
                f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nsmall\r\n--{BOUNDARY}\r\n'.encode(),
                1,
            )
            cases = [
                (twice, UPLOAD, 400, "invalid_multipart", "model"),
                (upload(Model="dear"), UPLOAD, 400, "invalid_multipart", "Model"),
                (upload()[:-4], UPLOAD, 400, "invalid_multipart", None),
                (upload(), "content-type: multipart/form-data\r\n", 400, "invalid_multipart", None),
                (upload(), "content-type: application/json\r\n", 415, "unsupported_content_type", None),
                (upload(), "", 415, "unsupported_content_type", None),
                (upload(model=""), UPLOAD, 400, "missing_required_parameter", "model"),
                (upload(model="other"), UPLOAD, 404, "model_not_found", "model"),
                (upload(stream="maybe"), UPLOAD, 400, "invalid_type", "stream"),
                (
                    upload().replace(b'name="file"', b'name="recording"'),
                    UPLOAD,
                    400,
                    "missing_required_parameter",
                    "file",
                ),
                (
                    upload().replace(b'; filename="a.wav"', b""),
                    UPLOAD,
                    400,
                    "missing_required_parameter",
                    "file",
                ),
            ]
            for body, headers, status, code, param in cases:
                answer = await here.call(body, PATH, headers=headers)
                assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, param)
            assert here.provider.requests == []

    run(scenario)


def test_an_upload_near_the_limit_passes(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            here.provider.script = answer_media
            recording = wav(seconds=24 * 60, rate=16_000)  # 23 MB
            answer = await transcribe(here, recording)
            assert answer.status == 200
            assert len(here.provider.requests[0].raw_body) == len(upload(recording)) + len(
                "upstream-name"
            ) - len("small")

    run(scenario)


def test_another_deployment_gets_its_own_name_of_the_model(tmp_path):
    async def fails_once(request):
        if len(seen) == 0:
            seen.append(request)
            request.answer(b"{}", status="503 Service Unavailable")
        else:
            await answer_media(request)

    seen: list = []

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.transcriptions", second=140_000)
            here.provider.script = fails_once

            here.publish(
                "deployment",
                here.deployment_entry(
                    id=str(uuid7()), upstream_model="second-name", dialect="openai", priority=1
                ),
            )
            assert (await transcribe(here)).status == 200
            assert b"\r\n\r\nsecond-name\r\n" in here.provider.requests[1].raw_body
            assert (await here.record()).attempts == 2

    run(scenario)
