"""Two real nodes on one real PostgreSQL: an award's last won, and a database that goes away and comes back."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from dure.gateway.protocol.escrow import WAIT_SECONDS
from gateway.database import Ledger, Postgres, postgres

from .test_whole_node import COST, populate, start, until
from .world import CHAT, Answer, Client, MockProvider, ProviderRequest, answer_plainly, piece, run, usage

pytestmark = pytest.mark.xdist_group("postgres")

BODY = {**CHAT, "max_tokens": 20}
#: What a decision may take beyond its time on a machine that is busy with other things.
LENIENT_SECONDS = 5.0

_NODE = """
import sys
from pathlib import Path
from dure.gateway.app.node import NodeConfig, run_node
dsn, journal, ready = sys.argv[1:]
sys.exit(run_node(NodeConfig(database_url=dsn, journal=Path(journal), port=0, ready_file=Path(ready))))
"""


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


class Node:
    def __init__(self, server: Postgres, folder: Path) -> None:
        folder.mkdir()
        self.ready = folder / "ready.json"
        command = [sys.executable, "-c", _NODE, server.gateway_dsn, str(folder / "journal"), str(self.ready)]
        self.process: subprocess.Popen[bytes] = start(command)

    @property
    def port(self) -> int:
        return json.loads(self.ready.read_text())["port"]

    async def call(self, body: object, path: str = "/v1/chat/completions", method: str = "POST") -> Answer:
        client = await Client.connect(self.port)
        try:
            return await client.call(body, path, method=method)
        finally:
            client.close()

    async def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.process.wait, 30) == 0

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@asynccontextmanager
async def nodes(server: Postgres, folder: Path, count: int) -> AsyncIterator[list[Node]]:
    made = [Node(server, folder / f"node-{number}") for number in range(count)]
    try:
        for node in made:
            await until(node.ready.exists, 30)
        yield made
    finally:
        for node in made:
            node.kill()


@asynccontextmanager
async def serving(provider: MockProvider) -> AsyncIterator[None]:
    await provider.start()
    try:
        yield
    finally:
        await provider.stop()


def test_a_call_is_refused_for_want_of_money_only_when_the_whole_award_cannot_cover_it(
    server: Postgres, tmp_path: Path
) -> None:
    ledger = Ledger(server.dsn)

    async def scenario() -> None:
        provider = MockProvider()
        granted = 120 * COST
        async with serving(provider):
            award, _ = populate(ledger, provider.port, granted=granted)
            served = await use_up(award, granted)
        assert ledger.balance(award, "escrow") == 0
        assert ledger.balance(award, "award") == granted - served * COST

    async def use_up(award: UUID, granted: int) -> int:
        """Calls by turns at both nodes until both refuse; how many were served."""
        async with nodes(server, tmp_path, 2) as pair:
            first = await pair[0].call({**BODY, "stream": True})
            hold = int(first.headers["x-dure-hold-micro-won"])
            assert ledger.balance(award, "escrow") > hold, "it set aside more than it needed"
            served, refused, turn = 1, 0, 1
            while refused < 2:
                began = time.monotonic()
                answer = await pair[turn % 2].call(BODY)
                waited = time.monotonic() - began
                left = granted - served * COST
                if answer.status == 200:
                    served, refused = served + 1, 0
                else:
                    assert answer.error["code"] == "insufficient_quota"
                    assert left < hold, f"{left} was left of the award, {hold} was asked for"
                    assert waited < WAIT_SECONDS + LENIENT_SECONDS
                    refused += 1
                turn += 1
            assert granted - served * COST < hold
            for node in pair:
                await node.stop()
        return served

    assert WAIT_SECONDS == 2.0
    try:
        run(scenario, 120)
    finally:
        ledger.close()


def test_while_the_database_is_away_calls_go_on_and_all_is_posted_when_it_is_back(
    server: Postgres, tmp_path: Path
) -> None:
    ledger = Ledger(server.dsn)

    async def scenario() -> None:
        gate = asyncio.Event()

        async def slow_stream(request: ProviderRequest) -> None:
            if not request.body.get("stream"):
                await answer_plainly(request)
                return
            request.begin_stream()
            request.event(piece("Hel"))
            await request.writer.drain()
            await gate.wait()
            request.event(piece("lo"))
            request.event(piece("", "stop"))
            request.event(
                {"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": usage(12, 3)}
            )
            request.event("[DONE]")
            request.end_stream()

        provider = MockProvider()
        provider.script = slow_stream
        async with serving(provider):
            award, _ = populate(ledger, provider.port, granted=200 * COST)
            served = await through_an_absence(award, gate)
        assert ledger.balance(award, "award") == (200 - served) * COST

    async def through_an_absence(award: UUID, gate: asyncio.Event) -> int:
        nonlocal ledger
        async with nodes(server, tmp_path, 1) as (node,):
            stream = await Client.connect(node.port)
            stream.send({**BODY, "stream": True})
            status, _ = await stream.head()
            assert status == 200
            ledger.close()
            await asyncio.to_thread(server.kill)

            served = 1
            while True:
                answer = await node.call(BODY)
                if answer.status != 200:
                    break
                served += 1
            assert (answer.status, answer.error["code"]) == (503, "ledger_unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert served > 1, "it admitted calls while its escrow lasted"

            async def told() -> dict:
                return (await node.call(None, "/readyz", "GET")).json

            report = await told()
            while report["database_connected"] or report["directory_age_seconds"] < 0.6:
                await asyncio.sleep(0.1)
                report = await told()
            assert report["status"] == "ready", "it keeps its directory, and says how old it is"
            assert report["directory_version"] > 0

            gate.set()
            body = b"".join([piece async for piece in stream.chunks()])
            assert body.endswith(b"data: [DONE]\n\n"), "a stream that ran goes on to its end"
            stream.close()

            await asyncio.to_thread(server.start)
            ledger = Ledger(server.dsn)
            deadline = time.monotonic() + 30
            while (await node.call(BODY)).status != 200:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            served += 1
            await until(lambda: len(_records(ledger, award)) == served, 30)
            assert {(status, cost) for status, cost in _records(ledger, award)} == {("completed", COST)}
            report = await told()
            assert report["directory_age_seconds"] < LENIENT_SECONDS
            await node.stop()
        return served

    try:
        run(scenario, 120)
    finally:
        ledger.close()


def _records(ledger: Ledger, award: UUID) -> list[tuple[str, int]]:
    rows = ledger.connection.execute(
        "SELECT status, cost_micro_won FROM settlement_usagerecord WHERE award_id = %s", (award,)
    )
    return rows.fetchall()
