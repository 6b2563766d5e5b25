"""The real thing: PostgreSQL, a node of two workers and its shipper, a provider, clients."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from dure.contracts.directory import AwardEntry, DeploymentEntry, KeyEntry, ModelEntry, Price
from dure.contracts.ids import uuid7
from dure.contracts.money import cost_micro_won
from dure.gateway.protocol.directory import key_digest
from gateway.database import Ledger, postgres

from .world import CHAT, INPUT, KEY, OUTPUT, Client, MockProvider, ProviderRequest, answer_plainly, run

pytestmark = pytest.mark.xdist_group("postgres")

COST = cost_micro_won(((12, INPUT), (3, OUTPUT)))
GRANTED = 1_000_000_000
_NODE = """
import sys
from pathlib import Path
from dure.gateway.app.node import NodeConfig, run_node
dsn, journal, ready = sys.argv[1:]
sys.exit(run_node(NodeConfig(database_url=dsn, journal=Path(journal), port=0, workers=2, ready_file=Path(ready))))
"""


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": "src"})


async def until(condition, seconds: float = 10.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
    return found


async def both_have_read(port: int, version: int) -> None:
    """Wait until each worker has this version of the directory; whichever takes a connection answers for itself."""
    deadline, workers = time.monotonic() + 10, set()
    while workers != {1, 2}:
        assert time.monotonic() < deadline, "it did not happen in time"
        client = await Client.connect(port)
        answer = await client.call(None, "/readyz", None, "GET")
        client.close()
        if answer.json["directory_version"] >= version:
            workers.add(answer.json["worker"])
        await asyncio.sleep(0.01)


def populate(
    ledger: Ledger, provider_port: int, *, granted: int = GRANTED, deployment: dict | None = None, **limits
) -> tuple[str, str]:
    award, model, provider, key = ledger.grant(granted), str(uuid7()), str(uuid7()), str(uuid7())
    entries = [
        (
            "award",
            AwardEntry(
                id=str(award),
                organisation=str(uuid7()),
                programme=str(ledger.book),
                valid_from=0,
                **limits,
            ),
        ),
        ("key", KeyEntry(id=key, digest=key_digest(KEY.encode()), award=str(award), prefix=KEY[:13])),
        (
            "model",
            ModelEntry(
                id=model,
                name="small",
                provider=provider,
                endpoints=("chat.completions",),
                context_length=2048,
                max_output_tokens=512,
                prices=(Price(str(uuid7()), 0, {"input": INPUT, "output": OUTPUT}),),
            ),
        ),
        (
            "deployment",
            DeploymentEntry(
                id=str(uuid7()),
                model=model,
                provider=provider,
                base_url=f"http://127.0.0.1:{provider_port}",
                upstream_model="up",
                **(deployment or {}),
            ),
        ),
    ]
    for kind, entry in entries:
        ledger.publish(kind, entry.id, msgspec.json.encode(entry).decode())
    return award, key


def test_calls_are_charged_exactly_and_a_revoked_key_stops_within_a_second(tmp_path: Path):
    with postgres() as server:
        ledger = Ledger(server.dsn)
        ready = tmp_path / "ready.json"
        node = None

        async def scenario():
            provider = MockProvider()
            await provider.start()
            try:
                await serve(provider)
            finally:
                await provider.stop()  # or the loop could not be closed

        async def serve(provider: MockProvider) -> None:
            nonlocal node
            award, key = populate(ledger, provider.port)
            command = [sys.executable, "-c", _NODE, server.gateway_dsn, str(tmp_path / "journal"), str(ready)]
            node = start(command)
            await until(ready.exists, 40.0)
            port = json.loads(ready.read_text())["port"]

            async def call(body) -> int:
                client = await Client.connect(port)
                answer = await client.call(body)
                client.close()
                return answer.status

            bodies = [CHAT, {**CHAT, "stream": True}] * 20
            statuses = await asyncio.gather(*(call(body) for body in bodies))
            assert set(statuses) == {200}
            await until(lambda: len(ledger.usage()) == 40)
            assert {(status, cost) for _, _, status, cost in ledger.usage()} == {("completed", COST)}

            ledger.publish("key", key, None)
            revoked_at = time.monotonic()
            while await call(CHAT) == 200:
                assert time.monotonic() - revoked_at < 1.0
            served = len(provider.requests)
            node.send_signal(signal.SIGTERM)
            await asyncio.to_thread(node.wait, 15)
            assert node.returncode == 0
            assert len(ledger.usage()) == served
            assert ledger.balance(award, "escrow") == 0
            assert ledger.balance(award, "award") == GRANTED - served * COST

        try:
            run(scenario)
        finally:
            if node is not None and node.poll() is None:
                node.kill()
                node.wait()
            ledger.close()


def test_limits_hold_over_the_workers_together(tmp_path: Path):
    with postgres() as server:
        ledger = Ledger(server.dsn)
        ready = tmp_path / "ready.json"
        node = None

        async def scenario():
            provider = MockProvider()
            await provider.start()
            try:
                await serve(provider)
            finally:
                await provider.stop()  # or the loop could not be closed

        async def serve(provider: MockProvider) -> None:
            nonlocal node
            award, _ = populate(ledger, provider.port, requests_per_minute=20)
            command = [sys.executable, "-c", _NODE, server.gateway_dsn, str(tmp_path / "journal"), str(ready)]
            node = start(command)
            await until(ready.exists, 40.0)
            port = json.loads(ready.read_text())["port"]

            async def burst(count: int) -> dict[int, int]:
                # A connection each, so that the kernel deals them out to both workers.
                async def call() -> int:
                    client = await Client.connect(port)
                    answer = await client.call(CHAT)
                    client.close()
                    return answer.status

                statuses = await asyncio.gather(*(call() for _ in range(count)))
                return {status: statuses.count(status) for status in set(statuses)}

            minute = ledger.minute()
            counted = await burst(60)
            more = await burst(5)
            if ledger.minute() == minute:
                assert (counted, more) == ({200: 20, 429: 40}, {429: 5})
            else:
                assert counted[200] + more.get(200, 0) <= 2 * 20

            running = most = 0

            async def slowly(request) -> None:
                nonlocal running, most
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.02)
                running -= 1
                await answer_plainly(request)

            provider.script = slowly
            version = ledger.publish(
                "award",
                str(award),
                msgspec.json.encode(
                    AwardEntry(
                        id=str(award),
                        organisation=str(uuid7()),
                        programme=str(ledger.book),
                        valid_from=0,
                        concurrency=3,
                    )
                ).decode(),
            )
            await both_have_read(port, version)
            assert await burst(40) == {200: 40}
            assert most == 3
            for _ in range(10):  # never refused while fewer run, wherever the slots lie idle
                assert await burst(1) == {200: 1}
            node.send_signal(signal.SIGTERM)
            await asyncio.to_thread(node.wait, 15)
            assert node.returncode == 0
            assert ledger.allotted(award, "slots") == 0
            await provider.stop()

        while time.time() % 60 > 45:  # the burst should fall into one minute
            time.sleep(0.1)
        try:
            run(scenario)
        finally:
            if node is not None and node.poll() is None:
                node.kill()
                node.wait()
            ledger.close()


def test_two_workers_keep_a_deployments_limit_together(tmp_path: Path):
    with postgres() as server:
        ledger = Ledger(server.dsn)
        ready = tmp_path / "ready.json"
        node = None

        def limits() -> list[int]:
            rows = ledger.connection.execute(
                "SELECT route.value->>'limit' FROM settlement_gatewayprocess, jsonb_each(figures->'deployments') AS route"
            )
            return sorted(int(limit) for (limit,) in rows if limit is not None)

        async def scenario():
            provider = MockProvider()
            await provider.start()
            try:
                await serve(provider)
            finally:
                await provider.stop()

        async def serve(provider: MockProvider) -> None:
            nonlocal node
            running = most = 0

            async def count(request: ProviderRequest) -> None:
                nonlocal running, most
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.02)
                running -= 1
                await answer_plainly(request)

            populate(ledger, provider.port, deployment={"max_concurrency": 3})
            command = [sys.executable, "-c", _NODE, server.gateway_dsn, str(tmp_path / "journal"), str(ready)]
            node = start(command)
            await until(ready.exists, 40.0)
            port = json.loads(ready.read_text())["port"]

            async def call() -> int:
                client = await Client.connect(port)
                answer = await client.call(CHAT)
                client.close()
                return answer.status

            deadline = time.monotonic() + 40
            while limits() != [1, 2]:  # a worker speaks of a route once it has used it
                assert time.monotonic() < deadline, limits()
                assert set(await asyncio.gather(*(call() for _ in range(4)))) == {200}
                await asyncio.sleep(0.1)
            provider.script = count
            assert set(await asyncio.gather(*(call() for _ in range(40)))) == {200}
            assert 1 < most <= 3

        try:
            run(scenario, seconds=120)
        finally:
            if node is not None:
                node.send_signal(signal.SIGTERM)
                node.wait(60)
            ledger.close()
