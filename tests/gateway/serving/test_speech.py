"""Speech: sound relayed as it comes, charged by the character, or by tokens where a provider says them."""

import asyncio
import json

import pytest

from dure.contracts.money import cost_micro_won
from dure.gateway.protocol import journal as journal_format
from dure.gateway.protocol.journal import interrupted

from .media import answer_media, offer, saying, streaming
from .world import Client, run, world

PATH = "/v1/audio/speech"
SPEECH = {"model": "small", "input": "안녕, 두레!", "voice": "alloy"}  # 7 characters, 15 bytes
WON = 1_000_000


def test_sound_is_relayed_byte_for_byte_and_charged_by_the_character(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = answer_media
            answer = await here.call(SPEECH, PATH)
            assert (answer.status, answer.headers["content-type"]) == (200, "audio/mpeg")
            assert answer.body == b"ID3" + b"\0" * 1000 + b"\xff\xfb"
            assert here.provider.requests[0].body == {**SPEECH, "model": "upstream-name"}
            record = await here.record()
            cost = cost_micro_won(((7, 20_000 * WON),))
            assert (record.units, record.cost_micro_won, record.estimated) == ({"character": 7}, cost, False)
            assert (record.status, record.streamed, record.output_tokens) == ("completed", True, 0)
            assert answer.headers["x-dure-hold-micro-won"] == str(cost)
            assert here.keeper.escrow(here.award).held == 0

    run(scenario)


def test_sound_of_a_known_length_is_relayed_too(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = saying(b"RIFF-and-so-on", "audio/wav")
            answer = await here.call(SPEECH, PATH)
            assert (answer.body, answer.headers["content-type"]) == (b"RIFF-and-so-on", "audio/wav")
            assert (await here.record()).units == {"character": 7}

    run(scenario)


def test_an_answer_without_sound_is_whole(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = saying(b"", "audio/mpeg")
            answer = await here.call(SPEECH, PATH)
            assert (answer.status, answer.body) == (200, b"")

    run(scenario)


def test_the_last_byte_waits_for_the_record(tmp_path):
    async def scenario():
        goes_on = asyncio.Event()

        async def in_two(request):
            request.begin_stream("audio/pcm")
            request.raw(b"abc")
            await goes_on.wait()
            request.raw(b"def")
            request.end_stream()

        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = in_two
            client = await Client.connect(here.port)
            client.send(SPEECH, PATH)
            assert (await client.head())[0] == 200
            chunks = client.chunks()
            assert await anext(chunks) == b"ab"
            assert here.records() == []
            goes_on.set()
            rest = b""
            async for chunk in chunks:
                rest += chunk
                if rest.endswith(b"f"):
                    assert len(here.records()) == 1
            assert rest == b"cdef"
            client.close()

    run(scenario)


@pytest.mark.parametrize("over", ["provider", "client"])
def test_sound_that_breaks_off_is_seen_as_broken_and_its_text_is_charged(tmp_path, over):
    async def breaks(request):
        request.begin_stream("audio/mpeg")
        request.raw(b"abcdef")
        await request.writer.drain()
        if over == "provider":
            await asyncio.sleep(0.05)
            request.cut()
        else:
            await request.reader.read(1)

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = breaks
            client = await Client.connect(here.port)
            client.send(SPEECH, PATH)
            assert (await client.head())[0] == 200
            chunks = client.chunks()
            assert await anext(chunks) == b"abcde"
            if over == "provider":
                # Words of an error would be heard as noise; only the connection's end can tell.
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError, ValueError)):
                    await anext(chunks)
            client.close()
            record = await here.record()
            assert record.status == ("truncated" if over == "provider" else "cancelled")
            assert (record.units, record.estimated) == ({"character": 7}, True)
            assert record.cost_micro_won == cost_micro_won(((7, 20_000 * WON),))

    run(scenario)


def test_nothing_is_charged_where_nothing_came(tmp_path):
    async def fails(request):
        request.answer(b'{"error": {"message": "no such voice"}}', status="400 Bad Request")

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = fails
            answer = await here.call(SPEECH, PATH)
            assert (answer.status, answer.error["message"]) == (400, "no such voice")
            record = await here.record()
            assert (record.status, record.cost_micro_won, record.units) == ("failed", 0, {})

    run(scenario)


def test_sound_that_was_compressed_by_the_provider_is_no_answer(tmp_path):
    async def squeezed(request):
        request.begin_stream("audio/mpeg", "content-encoding: gzip\r\n")
        request.raw(b"abc")
        request.end_stream()

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = squeezed
            answer = await here.call(SPEECH, PATH)
            assert (answer.status, answer.error["code"]) == (502, "upstream_broke")
            assert (await here.record()).cost_micro_won == 0

    run(scenario)


def test_a_slow_listener_slows_the_provider_down(tmp_path):
    sent = 0

    async def much(request):
        nonlocal sent
        request.begin_stream("audio/pcm")
        for _ in range(400):
            request.raw(b"\0" * 65_536)
            await request.writer.drain()
            sent += 65_536
        request.end_stream()

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = much
            client = await Client.connect(here.port)
            client.send(SPEECH, PATH)
            await client.head()
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.3)
            assert sent < 400 * 65_536
            total = 0
            async for chunk in client.chunks():
                total += len(chunk)
            assert total == 400 * 65_536
            client.close()

    run(scenario)


def test_events_that_carry_sound_say_their_tokens(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", input=800, output=5_000, audio_output=16_000)
            here.provider.script = answer_media
            answer = await here.call({**SPEECH, "stream_format": "sse"}, PATH)
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.body.count(b"data: ") == 2
            record = await here.record()
            assert (record.input_tokens, record.output_tokens, record.estimated) == (3, 40, False)
            assert record.units == {"character": 7, "audio_output": 40}
            assert record.cost_micro_won == cost_micro_won(((3, 800 * WON), (40, 16_000 * WON)))

    run(scenario)


def test_sound_does_not_say_its_tokens_so_they_are_estimated(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", input=800, output=16_000)
            here.provider.script = answer_media
            await here.call(SPEECH, PATH)
            record = await here.record()
            # 15 bytes of text, at four to a token; a token of sound for each of them.
            assert (record.input_tokens, record.output_tokens, record.estimated) == (4, 15, True)
            assert record.units == {"character": 7, "audio_output": 15}
            opened = here.journalled()[0][0]
            assert opened.hold_micro_won == cost_micro_won(
                ((len(json.dumps(SPEECH["input"])) + 128, 800 * WON), (2_000, 16_000 * WON))
            )

    run(scenario)


def test_an_error_event_ends_the_speech(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = streaming(
                {"type": "speech.audio.delta", "audio": "AAEC"}, {"type": "error", "error": {"message": "oh"}}
            )
            await here.call({**SPEECH, "stream_format": "sse"}, PATH)
            record = await here.record()
            assert (record.status, record.units, record.estimated) == ("truncated", {"character": 7}, True)

    run(scenario)


@pytest.mark.parametrize("wrong", [{"input": ""}, {"input": None}, {"input": 3}, {"Input": "a" * 9}])
def test_a_text_that_cannot_be_counted_is_refused(tmp_path, wrong):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            answer = await here.call({**SPEECH, **wrong}, PATH)
            assert (answer.status, answer.error["param"].lower()) == (400, "input")
            assert here.provider.requests == []

    run(scenario)


def test_a_call_whose_process_died_is_charged_its_text_once_anything_was_relayed(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            offer(here, "audio.speech", character=20_000)
            here.provider.script = answer_media
            await here.call(SPEECH, PATH)
            await here.record()
            opened = here.journalled()[0][0]
            progress = journal_format.Progress(opened.request_id, 0, 1_000)
            nothing = interrupted(opened, None, sequence=1, closed_at=opened.opened_at)
            assert (nothing.cost_micro_won, nothing.units) == (0, {})
            begun = interrupted(opened, progress, sequence=1, closed_at=opened.opened_at)
            assert (begun.units, begun.cost_micro_won) == (
                {"character": 7},
                cost_micro_won(((7, 20_000 * WON),)),
            )

    run(scenario)
