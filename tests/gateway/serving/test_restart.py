"""A node is replaced by another while clients call without a pause: nobody notices.

The real thing: PostgreSQL, two nodes of two workers each on one port, one after the other, and callers who
hold their connection, callers who make a new one each time, and streams.
"""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.database import Ledger, postgres

from .test_whole_node import COST, GRANTED, populate, start, until
from .world import CHAT, Answer, Client, MockProvider, ProviderRequest, answer_plainly, piece, run, usage

pytestmark = pytest.mark.xdist_group("postgres")

STREAM = {**CHAT, "stream": True}
_NODE = """
import sys
from pathlib import Path
from dure.gateway.app.node import NodeConfig, run_node
dsn, journal, ready, port, overlap = sys.argv[1:]
sys.exit(run_node(NodeConfig(database_url=dsn, journal=Path(journal), port=int(port), workers=2,
                             ready_file=Path(ready), overlap=overlap == "overlap")))
"""


def test_one_node_follows_another_without_a_gap(tmp_path: Path):
    with postgres() as server:
        ledger = Ledger(server.dsn)
        nodes: list[subprocess.Popen[bytes]] = []

        def node(name: str, port: int, overlap: str) -> Path:
            ready = tmp_path / f"{name}.json"
            journal = str(tmp_path / name)
            nodes.append(
                start(
                    [sys.executable, "-c", _NODE, server.gateway_dsn, journal, str(ready), str(port), overlap]
                )
            )
            return ready

        async def replace_thrice(port: int, traffic: Traffic) -> None:
            for number in range(3):
                await traffic.more(20)
                ready = node(f"next-{number}", port, "overlap")
                await until(ready.exists, 20)
                await traffic.more(20)
                nodes[-2].send_signal(signal.SIGTERM)
                await asyncio.to_thread(nodes[-2].wait, 20)
                assert nodes[-2].returncode == 0
                assert json.loads(ready.read_text())["port"] == port
            await traffic.more(20)

        async def scenario():
            provider = MockProvider()
            provider.script = streams_slowly
            await provider.start()
            award, _ = populate(ledger, provider.port)
            ready = node("first", 0, "")
            await until(ready.exists, 20)
            report = json.loads(ready.read_text())
            port = report["port"]
            traffic = Traffic(port)
            callers = [
                asyncio.ensure_future(caller())
                for caller in (traffic.holds_its_connection, traffic.connects_anew, traffic.streams)
                for _ in range(3)
            ]
            try:
                await replace_thrice(port, traffic)
            finally:
                traffic.ended = True
            await asyncio.gather(*callers)
            nodes[-1].send_signal(signal.SIGTERM)
            await asyncio.to_thread(nodes[-1].wait, 20)

            assert traffic.wrong == []
            assert len(provider.requests) == traffic.done
            assert {(status, cost) for _, _, status, cost in ledger.usage()} == {("completed", COST)}
            assert len(ledger.usage()) == traffic.done
            assert ledger.balance(award, "escrow") == 0
            assert ledger.balance(award, "award") == GRANTED - traffic.done * COST
            with pytest.raises(OSError):
                await Client.connect(port)
            await provider.stop()

        try:
            run(scenario, seconds=90)
        finally:
            for process in nodes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            ledger.close()


async def streams_slowly(request: ProviderRequest) -> None:
    if not request.body.get("stream"):
        await answer_plainly(request)
        return
    request.begin_stream()
    for text in ("Hel", "lo", " there"):
        request.event(piece(text))
        await request.writer.drain()
        await asyncio.sleep(0.05)
    request.event({"choices": [], "usage": usage(12, 3)})
    request.event("[DONE]")
    request.end_stream()


class Traffic:
    """Callers who never pause. `wrong` is everything that a caller could complain about."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.done = 0
        self.ended = False
        self.wrong: list[str] = []

    async def more(self, count: int) -> None:
        wanted = self.done + count
        while self.done < wanted and not self.wrong:
            await asyncio.sleep(0.01)
        assert self.wrong == []

    async def holds_its_connection(self) -> None:
        client = None
        while not self.ended:
            client = client or await self._connected()
            answer = await self._call(client, CHAT)
            if answer is None or answer.headers.get("connection") == "close":
                client.close()
                client = None
        if client is not None:
            client.close()

    async def connects_anew(self) -> None:
        await self._each_on_a_new_connection(CHAT)

    async def streams(self) -> None:
        await self._each_on_a_new_connection(STREAM)

    async def _each_on_a_new_connection(self, body: dict) -> None:
        while not self.ended:
            client = await self._connected()
            answer = await self._call(client, body)
            if answer is not None and body is STREAM and not answer.body.endswith(b"data: [DONE]\n\n"):
                self.wrong.append(f"cut: {answer.body!r}")
            client.close()

    async def _connected(self) -> Client:
        return await Client.connect(self.port)

    async def _call(self, client: Client, body: dict) -> Answer | None:
        try:
            answer = await client.call(body)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.wrong.append(repr(error))
            return None
        if answer.status != 200:
            self.wrong.append(f"{answer.status}: {answer.body!r}")
        self.done += 1
        return answer
