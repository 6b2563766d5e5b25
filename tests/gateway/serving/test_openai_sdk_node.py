"""OpenAI's client for Node.js against the gateway, in a process of its own (`tests/sdk_node`)."""

import asyncio
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from .media import RECORDINGS, answer_media, offer
from .test_responses import answers as answer_responses
from .world import KEY, ProviderRequest, answer_plainly, run, world

FOLDER = Path(__file__).parents[2] / "sdk_node"
#: Of the machine, or where `scripts/bootstrap.py` puts one.
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), str(FOLDER.parents[1] / ".uv" / "node" / "bin")))
OLDEST_NODE = 20


@cache
def node() -> str | None:
    """A Node.js that the client runs on."""
    found = shutil.which("node", path=PATH)
    if found is None or not (FOLDER / "node_modules" / "openai").is_dir():
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    return found if version.startswith("v") and int(version[1:].split(".")[0]) >= OLDEST_NODE else None


async def answer(request: ProviderRequest) -> None:
    if request.path.endswith("/responses"):
        await answer_responses(request)
    elif request.path.endswith(("/completions", "/embeddings")):
        await answer_plainly(request)
    else:
        await answer_media(request)


def drive(tmp_path, case: str, *, endpoint: str = "chat.completions", **meters: int) -> tuple[dict, list]:
    """What the client said of `case`, and the usage records."""

    async def scenario():
        async with world(tmp_path) as here:
            offer(here, endpoint, **(meters or {"input": 120, "output": 480}))
            here.provider.script = answer
            process = await asyncio.create_subprocess_exec(
                node(), "drive.mjs", f"{here.url}/v1", KEY, case,
                cwd=FOLDER, env={"PATH": PATH, "RECORDING": str(RECORDINGS / "tone.wav")},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            said, complaints = await process.communicate()
            assert process.returncode == 0, complaints.decode()
            return json.loads(said), here.records()

    return run(scenario, seconds=60)


CASES = [
    ("chat", "chat.completions", {}, {"text": "Hello", "tokens": 12}),
    ("chat_stream", "chat.completions", {}, {"text": "Hello there", "tokens": 3}),
    ("responses", "responses", {}, {"text": "Hello there", "tokens": 5}),
    (
        "responses_stream",
        "responses",
        {},
        {
            "types": [
                "response.created",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.completed",
            ],
            "tokens": 5,
        },
    ),
    ("embeddings", "embeddings", {}, {"vector": [0.1, 0.2]}),
    ("transcription", "audio.transcriptions", {"second": 140_000}, {"text": "Hello there", "seconds": 3}),
    ("transcription_stream", "audio.transcriptions", {}, {"text": "Hello there", "tokens": 25}),
    ("translation", "audio.translations", {"second": 140_000}, {"text": "Hello there"}),
    ("speech", "audio.speech", {"character": 20_000}, {"bytes": 1_005, "type": "audio/mpeg"}),
    ("images", "images.generations", {"image": 60_000_000}, {"pictures": 2}),
    ("moderation", "moderations", {"request": 500_000}, {"flagged": True}),
]


@pytest.mark.skipif(node() is None, reason="Node.js or its packages are missing: scripts/bootstrap.py --dev")
class TestNode:
    @pytest.mark.parametrize(
        ("case", "endpoint", "meters", "expected"), CASES, ids=[case[0] for case in CASES]
    )
    def test_the_client_gets_what_the_provider_said(self, tmp_path, case, endpoint, meters, expected):
        said, records = drive(tmp_path, case, endpoint=endpoint, **meters)
        request_id = said.pop("id", None)
        assert said == expected
        assert [(record.endpoint, record.status, record.estimated) for record in records] == [
            (endpoint, "completed", False)
        ]
        assert request_id in {None, str(records[0].request_id)}

    def test_the_client_lists_models(self, tmp_path):
        assert drive(tmp_path, "models") == ({"ids": ["small"]}, [])

    def test_a_refusal_becomes_the_clients_exception(self, tmp_path):
        said, records = drive(tmp_path, "refusal")
        assert said == {
            "exception": "NotFoundError",
            "status": 404,
            "code": "model_not_found",
            "param": "model",
        }
        assert records == []
