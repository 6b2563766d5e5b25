"""What one call costs in our own code: no sockets, no disk, no database; the least of many repetitions.

    .venv/bin/python bench/hotpath.py                 # µs for a plain call and for a streamed chunk
    .venv/bin/python bench/hotpath.py --profile 25    # where the time goes
    .venv/bin/python bench/hotpath.py --limits        # for a key and an award that have limits

A client's bytes go into `ClientConnection`, what comes out for the provider is answered with ready bytes, and the journal
is written to memory. So the figure leaves out what the kernel does, and hardly depends on what else the
machine is doing: it is the one to watch while changing the code. `bench/compare.py` measures the whole.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import msgspec
from comparison.interpreter import build
from comparison.provider import Answers

from dure.contracts.directory import AwardEntry, DeploymentEntry, KeyEntry, ModelEntry, Price
from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.app.gateway import Gateway
from dure.gateway.app.limits import LimitsKeeper
from dure.gateway.app.service import GatewayService
from dure.gateway.io.clients import ClientConnection
from dure.gateway.io.http_server import HttpServer
from dure.gateway.io.journal import JournalWriter
from dure.gateway.io.upstream import UpstreamConnection, UpstreamPools, origin_of
from dure.gateway.protocol.directory import Directory, key_digest
from gateway.database import uuid7

KEY = "dure-bench-00000000000000000000000000000000000000000000"
ADDRESS = "http://127.0.0.1:9"


class Loop:
    """As much of a loop as the hot path asks for; `turn` runs what is ready."""

    def __init__(self) -> None:
        self.ready: list = []
        self.time = time.monotonic

    def call_soon(self, callback, *arguments):
        self.ready.append((callback, arguments))

    call_soon_threadsafe = call_soon

    def call_later(self, *_):
        return None

    def turn(self) -> None:
        while self.ready:
            ready, self.ready = self.ready, []
            for callback, arguments in ready:
                callback(*arguments)


class Transport:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.write = self.sent.append

    def writelines(self, pieces) -> None:
        self.sent.append(b"".join(pieces))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 1) if name == "peername" else default

    def close(self) -> None: ...

    abort = close


#: Of the award and of the key: two of each kind.
_LIMITS = {"requests_per_minute": 10**12, "tokens_per_minute": 10**12, "concurrency": 1_000}


class Syncer:
    def written(self, data) -> None: ...


class Link:
    async def lease(self, award, needed): ...


class Bench:
    def __init__(self, folder: Path, *, limits: bool) -> None:
        self.loop = Loop()
        directory = Directory()
        keeper = EscrowKeeper(Link(), self.loop, idle_seconds=30)
        journal = JournalWriter(folder / str(uuid7()), self.loop, sync_interval_ms=1000, ballast_bytes=0)
        journal._segment_bytes = 1 << 60
        journal._syncer.stop()
        journal._syncer = Syncer()
        os.dup2(os.open(os.devnull, os.O_WRONLY), journal._descriptor)
        self.pools = UpstreamPools(self.loop)
        self.gateway = Gateway(
            config=WorkerConfig(database_url="", journal_dir=str(folder)), loop=self.loop, directory=directory,
            keeper=keeper, limits=LimitsKeeper(Link(), self.loop, wait_seconds=2.0), journal=journal, pools=self.pools, process_id=uuid7(),
        )  # fmt: skip
        self.gateway.loaded = True
        self.journal = journal
        award = str(uuid7())
        self._publish(directory, award, _LIMITS if limits else {})
        escrow = keeper.escrow(award)
        escrow.lease_granted(10**15, award_left=0, elsewhere=0, now=0)
        if limits:
            self._allot()
        self.server = HttpServer(GatewayService(self.gateway), self.gateway.config.limits, self.loop)
        self.client = ClientConnection(self.server)
        self.client.connection_made(Transport())
        pool = self.pools.pool(origin_of(ADDRESS)[0])
        self.upstream = UpstreamConnection(pool)
        self.upstream.connection_made(Transport())
        pool.give_back(self.upstream)

    def _allot(self) -> None:
        """As much of each limit as the run needs, of a minute that does not end."""
        keeper, directory = self.gateway.limits, self.gateway.directory
        (key,), (award,) = directory.keys.values(), directory.awards.values()
        gate = keeper.gate(key, award)
        for rate in gate.rates:
            rate.answered(10**12, 0, 0, 1e9, asked_at=0.0, now=0.0)
        for subject, _ in gate.slots:
            keeper.slots.escrow(subject).lease_granted(1_000, award_left=0, elsewhere=0, now=0)

    def _publish(self, directory: Directory, award: str, limits: dict) -> None:
        model, provider = str(uuid7()), str(uuid7())
        price = Price(str(uuid7()), 0, {"input": 120_000_000, "output": 480_000_000})
        entries = [
            ("award", AwardEntry(id=award, organisation=award, programme=award, valid_from=0, **limits)),
            ("key", KeyEntry(id=str(uuid7()), digest=key_digest(KEY.encode()), award=award, prefix=KEY[:13], **limits)),
            ("model", ModelEntry(
                id=model, name="small", provider=provider, endpoints=("chat.completions",), context_length=8192,
                max_output_tokens=4096, prices=(price,),
            )),
            ("deployment", DeploymentEntry(
                id=str(uuid7()), model=model, provider=provider, base_url=ADDRESS, upstream_model="m",
            )),
        ]  # fmt: skip
        for version, (kind, entry) in enumerate(entries, start=1):
            directory.apply(version, kind, entry.id, msgspec.json.encode(entry).decode())

    def call(self, request: bytes) -> None:
        """Until the request has gone to the provider."""
        self.client.data_received(request)
        self.loop.turn()
        if not self.upstream.transport.sent:
            raise SystemExit(self.client.transport.sent)
        self.upstream.transport.sent.clear()

    def forget(self) -> None:
        self.client.transport.sent.clear()


def request(*, stream: bool) -> bytes:
    call = {
        "model": "small",
        "messages": [{"role": "user", "content": "Tell me a story " * 4}],
        "max_tokens": 100,
    }
    body = json.dumps(call | ({"stream": True} if stream else {})).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\ncontent-type: application/json\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def plain(bench: Bench, count: int) -> float:
    """Seconds for one call."""
    data, answer = request(stream=False), Answers(50).plain
    began = time.perf_counter()
    for _ in range(count):
        bench.call(data)
        bench.upstream.data_received(answer)
        bench.loop.turn()
        bench.forget()
    return (time.perf_counter() - began) / count


def chunks(bench: Bench, count: int) -> float:
    """Seconds for one chunk of a stream."""
    answers = Answers(50)
    bench.call(request(stream=True))
    bench.upstream.data_received(answers.stream_head + answers.event)
    began = time.perf_counter()
    for _ in range(count):
        bench.upstream.data_received(answers.event)
    bench.loop.turn()
    took = (time.perf_counter() - began) / count
    bench.upstream.data_received(answers.last)
    bench.loop.turn()
    bench.forget()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", type=int, metavar="LINES")
    parser.add_argument("--repetitions", type=int, default=60)
    parser.add_argument("--limits", action="store_true", help="the key and its award have limits")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), limits=options.limits)
        asyncio.set_event_loop(None)
        if options.profile:
            for load in (plain, chunks):
                profiler = cProfile.Profile()
                profiler.runcall(load, bench, 5000)
                pstats.Stats(profiler).sort_stats("tottime").print_stats(options.profile)
            return
        print(f"Python {sys.version.split()[0]}, {build()}")
        print(f"plain call  {min(plain(bench, 500) for _ in range(options.repetitions)) * 1e6:6.1f} µs")
        print(f"chunk       {min(chunks(bench, 1000) for _ in range(options.repetitions)) * 1e6:6.1f} µs")


if __name__ == "__main__":
    main()
