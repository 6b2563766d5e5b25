"""What one award's flood costs another: awards that take turns for a place, beside a plain queue.

    .venv/bin/python bench/fairness.py [--seconds 10] [--flood 200] [--limit 8] [--service-ms 50] [--json FILE]

One deployment is capped at `--limit` calls at a time, each of which takes half to one and a half times
`--service-ms`. The first award keeps
`--flood` calls open, each followed by the next; the second sends one call at a time. The second's latency is
measured without the flood, with it and a line in which awards take turns (as the gateway has it), and with it and
a line that serves whoever came first. Gateway, provider and clients share one process and one loop, so the
ratios are what counts.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop
from tests.gateway.serving.world import CHAT, KEY, Client, World, answer_plainly, world

from dure.contracts.ids import uuid7
from dure.gateway.app import waiting
from dure.gateway.protocol.turns import Turns

OTHER_KEY = "dure-other-awd-0123456789abcdefghijklmnopqrstuv"


class Plain(Turns[waiting.Ticket]):
    """One line for all: first come, first served."""

    def join(self, award, ticket, *, first=False):
        super().join("", ticket, first=first)

    def leave(self, award, ticket):
        return super().leave("", ticket)

    def ahead_of(self, award):
        return len(self)


async def flood(here: World, stop: asyncio.Event) -> int:
    client = await Client.connect(here.port)
    calls = 0
    while not stop.is_set():
        await client.call(CHAT, key=KEY)
        calls += 1
    client.close()
    return calls


async def single(here: World, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    client = await Client.connect(here.port)
    took = []
    end = loop.time() + seconds
    while loop.time() < end:
        began = loop.time()
        answer = await client.call(CHAT, key=OTHER_KEY)
        took.append(loop.time() - began)
        if answer.status != 200:
            raise SystemExit(f"the second award was refused: {answer.status} {answer.body!r}")
    client.close()
    return took


async def run(folder: Path, options, *, calls: int) -> tuple[list[float], int]:
    """The second award's latencies in seconds, and how many calls the first one had served."""

    chance = random.Random(1)

    async def answer(request) -> None:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * options.service_ms / 1000)
        await answer_plainly(request)

    async with world(folder) as here:
        here.provider.script = answer
        here.publish(
            "deployment",
            here.deployment_entry(
                max_concurrency=options.limit, queue_limit=calls + 1, queue_timeout_ms=600_000
            ),
        )
        award = str(uuid7())
        here.bank.awards[award] = 10**14
        here.publish("award", here.award_entry(id=award))
        here.publish("key", here.key_entry(OTHER_KEY, id=str(uuid7()), award=award))
        await here.call(CHAT, key=OTHER_KEY)  # its money is here now
        stop = asyncio.Event()
        first = [asyncio.ensure_future(flood(here, stop)) for _ in range(calls)]
        await asyncio.sleep(0.5)
        took = await single(here, options.seconds)
        stop.set()
        served = sum(await asyncio.gather(*first))
    return took, served


def percentiles(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"calls": len(took), "p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--flood", type=int, default=200)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--service-ms", type=float, default=50.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    turns = waiting.Turns
    results = {}
    for name, line, calls in (
        ("no flood", turns, 0),
        ("flood, awards take turns", turns, options.flood),
        ("flood, plain queue", Plain, options.flood),
    ):
        waiting.Turns = line
        with tempfile.TemporaryDirectory() as folder:
            took, served = uvloop.run(run(Path(folder), options, calls=calls))
        results[name] = {**percentiles(took), "flood_served": served}
    base = results["no flood"]
    print(f"{'':26}{'calls':>7}{'p50 ms':>9}{'×':>7}{'p99 ms':>9}{'×':>7}{'flood served':>14}")
    for name, found in results.items():
        print(
            f"{name:26}{found['calls']:7}{found['p50_ms']:9.1f}{found['p50_ms'] / base['p50_ms']:7.1f}"
            f"{found['p99_ms']:9.1f}{found['p99_ms'] / base['p99_ms']:7.1f}{found['flood_served']:14}"
        )
    if options.json:
        options.json.write_text(json.dumps({"options": vars(options) | {"json": None}, **results}, indent=1))


if __name__ == "__main__":
    main()
