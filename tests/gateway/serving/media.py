"""What the tests of sound, pictures, moderation and ranking share: models with their prices, uploads, a provider."""

import json
import struct
from pathlib import Path

from dure.contracts.directory import Price
from dure.contracts.ids import uuid7

from .world import ProviderRequest, World

RECORDINGS = Path(__file__).parents[1] / "protocol" / "recordings"
BOUNDARY = "----boundary-of-a-test"
UPLOAD = f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n"


def offer(
    here: World, *endpoints: str, context_length: int = 16_000, max_output_tokens: int = 2_000, **meters: int
) -> None:
    """Publish the model `small` on other endpoints; prices are won per million units."""
    price = Price(
        id=str(uuid7()),
        effective_from=0,
        meters={meter: won * 1_000_000 for meter, won in meters.items()},
    )
    here.publish(
        "model",
        here.model_entry(
            endpoints=endpoints,
            prices=(price,),
            context_length=context_length,
            max_output_tokens=max_output_tokens,
        ),
    )
    here.publish("deployment", here.deployment_entry(dialect="openai"))


def wav(seconds: float = 2.5, rate: int = 8_000) -> bytes:
    data = bytes(int(seconds * rate))
    form = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def upload(recording: bytes | None = None, /, **fields: str) -> bytes:
    """A form as SDKs write it; `model` is `small` unless said."""
    parts = []
    for name, value in {"model": "small", **fields}.items():
        parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode())
    head = b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    parts.append(head + (wav() if recording is None else recording))
    line = f"--{BOUNDARY}".encode()
    return b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def saying(answer: object, content_type: str = "application/json"):
    """A provider's script that gives one answer."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    async def script(request: ProviderRequest) -> None:
        request.answer(body, content_type=content_type)

    return script


def streaming(*events: dict | str):
    async def script(request: ProviderRequest) -> None:
        request.begin_stream()
        for event in events:
            request.event(event)
        request.end_stream()

    return script


async def answer_media(request: ProviderRequest) -> None:
    """What OpenAI answers on each of these paths, in its shapes."""
    path = request.path
    if path.endswith("/speech"):
        if request.body.get("stream_format") == "sse":
            await streaming(
                {"type": "speech.audio.delta", "audio": "AAEC"},
                {
                    "type": "speech.audio.done",
                    "usage": {"input_tokens": 3, "output_tokens": 40, "total_tokens": 43},
                },
            )(request)
        else:
            request.begin_stream("audio/mpeg")
            for piece in (b"ID3", b"\0" * 1000, b"\xff\xfb"):
                request.raw(piece)
            request.end_stream()
    elif "/audio/" in path:
        await _answer_recording(request)
    elif path.endswith("/images/generations"):
        pictures = [{"b64_json": "iVBORw0KGgo="}] * request.body.get("n", 1)
        request.answer(json.dumps({"created": 1, "data": pictures}).encode())
    elif path.endswith("/moderations"):
        scores = {"hate": 0.01, "violence": 0.9}
        result = {"flagged": True, "categories": {name: score > 0.5 for name, score in scores.items()}}
        result |= {
            "category_scores": scores,
            "category_applied_input_types": {"hate": ["text"], "violence": ["text"]},
        }
        request.answer(json.dumps({"id": "modr-1", "model": "m", "results": [result]}).encode())


async def _answer_recording(request: ProviderRequest) -> None:
    if b'name="stream"' in request.raw_body:
        usage = {
            "type": "tokens",
            "input_tokens": 25,
            "output_tokens": 2,
            "total_tokens": 27,
            "input_token_details": {"audio_tokens": 25, "text_tokens": 0},
        }
        await streaming(
            {"type": "transcript.text.delta", "delta": "Hello"},
            {"type": "transcript.text.delta", "delta": " there"},
            {"type": "transcript.text.done", "text": "Hello there", "usage": usage},
        )(request)
    elif b"verbose_json" in request.raw_body:
        answer = {
            "task": "transcribe",
            "language": "en",
            "duration": 2.5,
            "text": "Hello there",
            "segments": [],
        }
        request.answer(json.dumps(answer).encode())
    elif b"\r\n\r\nsrt\r\n" in request.raw_body:
        request.answer(b"1\n00:00:00,000 --> 00:00:02,500\nHello there\n", content_type="text/plain")
    else:
        answer = {"text": "Hello there", "usage": {"type": "duration", "seconds": 3}}
        request.answer(json.dumps(answer).encode())
