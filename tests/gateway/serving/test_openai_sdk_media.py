"""OpenAI's own client on sound, pictures and moderation."""

import io

import openai
import pytest

from .media import answer_media, offer, wav
from .test_openai_sdk import drive
from .world import KEY


def recording() -> io.BytesIO:
    file = io.BytesIO(wav())
    file.name = "meeting.wav"
    return file


def test_transcriptions_in_every_format(tmp_path):
    async def use(client, here):
        offer(here, "audio.transcriptions", "audio.translations", second=140_000)
        here.provider.script = answer_media
        plain = await client.audio.transcriptions.create(model="small", file=recording())
        assert (plain.text, plain.usage.seconds) == ("Hello there", 3)
        assert plain._request_id == str(here.records()[-1].request_id)
        verbose = await client.audio.transcriptions.create(
            model="small",
            file=recording(),
            response_format="verbose_json",
            timestamp_granularities=["segment", "word"],
            language="ko",
        )
        assert (verbose.duration, verbose.language) == (2.5, "en")
        subtitles = await client.audio.transcriptions.create(
            model="small", file=recording(), response_format="srt"
        )
        assert subtitles.startswith("1\n00:00:00,000")
        with pytest.deprecated_call():  # by OpenAI, which goes on serving it
            english = await client.audio.translations.create(model="small", file=recording())
        assert english.text == "Hello there"
        assert [(record.endpoint, record.units, record.estimated) for record in here.records()] == [
            ("audio.transcriptions", {"second": 3}, False),
            ("audio.transcriptions", {"second": 3}, False),
            ("audio.transcriptions", {"second": 3}, True),
            ("audio.translations", {"second": 3}, False),
        ]

    drive(tmp_path, use)


def test_a_transcription_as_a_stream(tmp_path):
    async def use(client, here):
        offer(here, "audio.transcriptions", input=3_000, audio_input=8_000, output=14_000)
        here.provider.script = answer_media
        stream = await client.audio.transcriptions.create(
            model="small", file=("m.wav", wav(), "audio/wav"), stream=True, include=["logprobs"]
        )
        events = [event async for event in stream]
        assert "".join(event.delta for event in events[:-1]) == events[-1].text == "Hello there"
        assert events[-1].usage.input_tokens == here.records()[-1].input_tokens == 25

    drive(tmp_path, use)


def test_speech_whole_and_as_it_comes(tmp_path):
    async def use(client, here):
        offer(here, "audio.speech", character=20_000)
        here.provider.script = answer_media
        speech = {"model": "small", "voice": "alloy", "input": "안녕"}
        whole = await client.audio.speech.create(**speech)
        assert whole.content == b"ID3" + b"\0" * 1000 + b"\xff\xfb"
        async with client.audio.speech.with_streaming_response.create(**speech) as answer:
            assert answer.headers["content-type"] == "audio/mpeg"
            pieces = [piece async for piece in answer.iter_bytes()]
        assert b"".join(pieces) == whole.content
        async with client.audio.speech.with_streaming_response.create(
            **speech, stream_format="sse"
        ) as answer:
            lines = [line async for line in answer.iter_lines() if line]
        assert len(lines) == 2
        assert [record.units["character"] for record in here.records()] == [2, 2, 2]

    drive(tmp_path, use)


def test_images_and_moderations(tmp_path):
    async def use(client, here):
        offer(here, "images.generations", "moderations", image=60_000_000, request=500_000)
        here.provider.script = answer_media
        pictures = await client.images.generate(model="small", prompt="a field", n=2, size="1024x1024")
        assert [picture.b64_json for picture in pictures.data] == ["iVBORw0KGgo="] * 2
        judged = await client.moderations.create(model="small", input="kind words")
        assert judged.results[0].flagged is True
        assert [record.units for record in here.records()] == [{"image": 2, "request": 1}, {"request": 1}]

    drive(tmp_path, use)


def test_refusals_become_the_sdks_exceptions(tmp_path):
    async def use(client, here):
        offer(here, "audio.transcriptions", "images.generations", second=140_000, image=60_000_000)
        here.provider.script = answer_media
        with pytest.raises(openai.BadRequestError) as unreadable:
            await client.audio.transcriptions.create(model="small", file=("a.wav", b"no sound"))
        assert (unreadable.value.code, unreadable.value.param) == ("audio_unreadable", "file")
        with pytest.raises(openai.RateLimitError) as poor:
            await client.images.generate(model="small", prompt="a field", n=2)
        assert poor.value.code == "insufficient_quota"
        with pytest.raises(openai.BadRequestError) as elsewhere:
            await client.moderations.create(model="small", input="a")
        assert elsewhere.value.code == "endpoint_not_supported"
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key=KEY + "x").audio.speech.create(
                model="small", voice="a", input="a"
            )

    drive(tmp_path, use, micro_won=100_000_000)
