"""A small world for the gateway: a provider on loopback, a database in memory, a real journal and server."""

import asyncio
import faulthandler
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import msgspec
import uvloop

from dure.contracts.directory import AwardEntry, DeploymentEntry, DirectoryEntry, KeyEntry, ModelEntry, Price
from dure.contracts.ids import uuid7
from dure.contracts.usage import UsageRecord
from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.app.gateway import Gateway
from dure.gateway.app.health_checks import HealthChecks
from dure.gateway.app.limits import LimitsKeeper
from dure.gateway.app.service import GatewayService
from dure.gateway.io.database import Allotment, DatabaseAway, Lease
from dure.gateway.io.http_server import HttpServer
from dure.gateway.io.journal import JournalWriter, segments
from dure.gateway.io.upstream import UpstreamPools
from dure.gateway.protocol import journal as journal_format
from dure.gateway.protocol.directory import Directory

KEY = "dure-abcdefgh-0123456789abcdefghijklmnopqrstuv"
INPUT, CACHED, OUTPUT = 120_000_000, 30_000_000, 480_000_000  # micro-won per million: ₩120, ₩30, ₩480


def run[T](work: Callable[[], Awaitable[T]], seconds: float = 60) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await work()

    # A loop that cannot be closed would hold up the tests for ever.
    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    try:
        return uvloop.run(bounded())
    finally:
        faulthandler.cancel_dump_traceback_later()


class FakeLink:
    """The database's money doors, in memory. Several processes may share one `Bank`."""

    def __init__(self, bank: "Bank", name: str = "here") -> None:
        self.bank = bank
        self.name = name
        self.on_recall: Callable[[str], None] = lambda award: None
        self.leases: list[tuple[str, int, int]] = []
        self.recalls = 0
        self.allotments: list[tuple[str, int]] = []
        bank.links.append(self)

    async def lease(self, award: str, needed: int) -> Lease:
        await self._answer()
        bank = self.bank
        left = bank.awards.get(award, 0)
        granted = min(left, max(needed, min(left // 8, needed * 64))) if needed <= left else 0
        bank.awards[award] = left - granted
        bank.escrow[self.name, award] = bank.escrow.get((self.name, award), 0) + granted
        self.leases.append((award, needed, granted))
        elsewhere = sum(
            held
            for (name, held_award), held in bank.escrow.items()
            if held_award == award and name != self.name
        )
        return Lease(granted, bank.awards[award], elsewhere)

    async def give_back(self, award: str, amount: int) -> bool:
        await self._answer()
        assert amount > 0
        self.bank.escrow[self.name, award] -= amount
        assert self.bank.escrow[self.name, award] >= 0
        self.bank.awards[award] += amount
        return True

    async def recall(self, award: str) -> None:
        await self._answer()
        self.recalls += 1
        for link in self.bank.links:
            asyncio.get_running_loop().call_soon(link.on_recall, award)

    async def allot(self, subject: str, kind: str, *, revision: int, minute: int, holding: int, limit: int,
                    needed: int, wanted: int) -> Allotment:  # fmt: skip
        """As `gateway_api.allot` does it, by a clock that a test may set."""
        await self._answer()
        bank = self.bank
        self.allotments.append((kind, needed))
        now_minute, ends_in_ms = (
            (0, 0)
            if kind == "slots"
            else (int(bank.clock() // 60), int(60_000 - bank.clock() * 1000 % 60_000))
        )
        own = holding if minute == now_minute else 0
        rows = bank.allotted.setdefault((subject, kind), {})
        elsewhere = sum(held for name, (at, held) in rows.items() if name != self.name and at == now_minute)
        left = max(0, limit - own - elsewhere)
        share = 0 if kind == "slots" else left // (32 * bank.processes)
        granted = min(left, max(needed, wanted, share)) if 0 < needed <= left else 0
        rows[self.name] = (now_minute, own + granted)
        if bank.unheard:
            raise DatabaseAway("its answer was lost")
        return Allotment(granted, left - granted, elsewhere, now_minute, ends_in_ms, bank.processes)

    async def recall_slots(self, subject: str) -> None:
        await self.recall(f"slots:{subject}")

    async def _answer(self) -> None:
        await asyncio.sleep(self.bank.delay)
        if self.bank.away:
            raise DatabaseAway("the database is away")


class Bank:
    def __init__(self) -> None:
        self.awards: dict[str, int] = {}
        self.escrow: dict[tuple[str, str], int] = {}
        self.links: list[FakeLink] = []
        self.away = False
        self.unheard = False
        self.delay = 0.0
        self.allotted: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        self.clock: Callable[[], float] = time.time
        self.processes = 1


class MockProvider:
    """A model API on loopback. `script(request) -> None` writes the answer; it keeps its own meter."""

    def __init__(self) -> None:
        self.requests: list[ProviderRequest] = []
        self.cut = 0
        self.port = 0
        self.script: Callable[[ProviderRequest], Awaitable[None]] = answer_plainly
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in lines[1:])
                    if name
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                is_json = headers.get("content-type", "").startswith("application/json")
                decoded = json.loads(body) if is_json else {}
                method, path, _ = lines[0].split(" ")
                request = ProviderRequest(path, headers, decoded, reader, writer, method)
                request.raw_body = body
                self.requests.append(request)
                await self.script(request)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.cut += 1
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


class ProviderRequest:
    def __init__(self, path, headers, body, reader, writer, method="POST") -> None:
        self.method: str = method
        self.path: str = path
        self.headers: dict[str, str] = headers
        self.body: dict = body
        self.raw_body = b""
        self.reader: asyncio.StreamReader = reader
        self.writer: asyncio.StreamWriter = writer

    def answer(
        self, body: bytes, status: str = "200 OK", content_type: str = "application/json", extra: str = ""
    ) -> None:
        self.writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode()
            + body
        )

    def begin_stream(self, content_type: str = "text/event-stream", extra: str = "") -> None:
        self.writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{extra}transfer-encoding: chunked\r\n\r\n".encode()
        )

    def event(self, data: dict | str) -> None:
        text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
        self.raw(f"data: {text}\n\n".encode())

    def raw(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.writer.write(b"0\r\n\r\n")

    def cut(self) -> None:
        self.writer.transport.abort()


def piece(text: str, finish: str | None = None) -> dict:
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}],
    }


def usage(prompt: int, completion: int, cached: int | None = None) -> dict:
    figures: dict = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached is not None:
        figures["prompt_tokens_details"] = {"cached_tokens": cached}
    return figures


def completion(text: str = "Hello", *, prompt: int = 12, output: int = 3, cached: int | None = None) -> bytes:
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "upstream-name",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": usage(prompt, output, cached),
        }
    ).encode()


async def answer_plainly(request: ProviderRequest) -> None:
    """What a well-behaved provider does, streaming where it is asked to."""
    if request.path.endswith("/embeddings"):
        answer = {
            "object": "list",
            "model": "m",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        }
        request.answer(json.dumps(answer).encode())
    elif request.body.get("stream"):
        request.begin_stream()
        for text in ("Hel", "lo", " there"):
            request.event(piece(text))
        request.event(piece("", "stop"))
        if (request.body.get("stream_options") or {}).get("include_usage"):
            request.event(
                {"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": usage(12, 3)}
            )
        request.event("[DONE]")
        request.end_stream()
    else:
        request.answer(completion())


class World:
    """One gateway process with its surroundings."""

    def __init__(self, folder: Path, config: WorkerConfig, bank: Bank, name: str) -> None:
        loop = asyncio.get_running_loop()
        self.bank = bank
        self.process_id = uuid7()
        self.directory = Directory()
        self.journal = JournalWriter(folder / str(self.process_id), loop, ballast_bytes=0)
        self.link = FakeLink(bank, name)
        self.pools = UpstreamPools(
            loop,
            ca_file=config.upstream_ca_file,
            certificate=config.upstream_certificate,
            key=config.upstream_key,
        )
        self.keeper = EscrowKeeper(
            self.link, loop, idle_seconds=config.escrow_idle, wait_seconds=config.escrow_wait
        )
        self.limits = LimitsKeeper(
            self.link, loop, wait_seconds=config.escrow_wait, trusted_proxies=config.trusted_proxies
        )
        self.link.on_recall = lambda payload: self.limits.recalled(payload) or self.keeper.recalled(payload)
        self.gateway = Gateway(
            config=config,
            loop=loop,
            directory=self.directory,
            keeper=self.keeper,
            limits=self.limits,
            journal=self.journal,
            pools=self.pools,
            process_id=self.process_id,
        )
        self.gateway.loaded = True
        self.health = HealthChecks(self.gateway, interval_seconds=config.health_interval)
        self.server = HttpServer(GatewayService(self.gateway), config.limits, loop)
        self.provider = MockProvider()
        self.port = 0
        self.award = str(uuid7())
        self.key = str(uuid7())
        self.model = str(uuid7())
        self.deployment = str(uuid7())
        self.provider_id = str(uuid7())
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        await self.provider.start()
        self.port = await self.server.listen("127.0.0.1", 0)
        self._sweeper = asyncio.ensure_future(self._sweep())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.keeper.sweep()
            self.keeper.sweep_idle()
            self.limits.sweep()
            self.limits.sweep_idle()
            self.pools.sweep()
            self.server.sweep()

    async def stop(self) -> None:
        await self.server.drain(1.0)
        self.health.stop()
        await self.keeper.close(1.0)
        await self.limits.close(1.0)
        if self._sweeper is not None:
            self._sweeper.cancel()
        self.pools.close()
        self.journal.close()
        await self.provider.stop()

    # The directory

    def publish(self, kind: str, entry: DirectoryEntry) -> None:
        self.directory.apply(self.directory.version + 1, kind, entry.id, msgspec.json.encode(entry))

    def withdraw(self, kind: str, entry_id: str) -> None:
        self.directory.apply(self.directory.version + 1, kind, entry_id, None)

    def populate(self, *, micro_won: int = 1_000_000_000_000) -> None:
        self.bank.awards.setdefault(self.award, micro_won)
        self.publish("award", self.award_entry())
        self.publish("key", self.key_entry())
        self.publish("model", self.model_entry())
        self.publish("deployment", self.deployment_entry())

    def award_entry(self, **changes) -> AwardEntry:
        entry = AwardEntry(id=self.award, organisation=str(uuid7()), programme=str(uuid7()), valid_from=0)
        return msgspec.structs.replace(entry, **changes)

    def key_entry(self, secret: str = KEY, **changes) -> KeyEntry:
        digest = hashlib.sha256(secret.encode()).hexdigest()
        return msgspec.structs.replace(
            KeyEntry(id=self.key, digest=digest, award=self.award, prefix=secret[:13]), **changes
        )

    def model_entry(self, **changes) -> ModelEntry:
        entry = ModelEntry(
            id=self.model,
            name="small",
            provider=self.provider_id,
            endpoints=("chat.completions", "completions", "embeddings"),
            context_length=2_048,
            max_output_tokens=512,
            prices=(
                Price(
                    id=str(uuid7()),
                    effective_from=0,
                    meters={"input": INPUT, "output": OUTPUT, "cached_input": CACHED},
                ),
            ),
            created_at=1_700_000_000_000_000,
            owned_by="provider",
        )
        return msgspec.structs.replace(entry, **changes)

    def deployment_entry(self, **changes) -> DeploymentEntry:
        entry = DeploymentEntry(
            id=self.deployment,
            model=self.model,
            provider=self.provider_id,
            base_url=f"http://127.0.0.1:{self.provider.port}",
            upstream_model="upstream-name",
            dialect="llama.cpp",
        )
        return msgspec.structs.replace(entry, **changes)

    # What is on record

    def journalled(
        self,
    ) -> tuple[list[journal_format.Opened], list[UsageRecord], list[journal_format.Progress]]:
        opened, closed, progress = [], [], []
        for _, path in segments(self.journal.folder):
            decoder = journal_format.Decoder()
            for frame in [*decoder.feed(path.read_bytes()), *decoder.finish()]:
                assert isinstance(frame, journal_format.Frame)
                if frame.kind == journal_format.Kind.OPENED:
                    opened.append(journal_format.decode_opened(frame.payload))
                elif frame.kind == journal_format.Kind.CLOSED:
                    closed.append(journal_format.decode_closed(frame.payload))
                else:
                    progress.append(journal_format.decode_progress(frame.payload))
        return opened, closed, progress

    def records(self) -> list[UsageRecord]:
        return self.journalled()[1]

    async def record(self, count: int = 1) -> UsageRecord:
        """The last record, once there are `count`."""
        while len(records := self.records()) < count:
            await asyncio.sleep(0.005)
        assert len(records) == count
        return records[-1]

    async def call(
        self, body: object, path: str = "/v1/chat/completions", key: str | None = KEY, **options
    ) -> "Answer":
        client = await Client.connect(self.port)
        try:
            return await client.call(body, path, key, **options)
        finally:
            client.close()


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> dict:
        return self.json["error"]

    @property
    def request_id(self) -> UUID:
        return UUID(self.headers["x-request-id"])


class Client:
    """A plain HTTP/1.1 client that shows exactly what came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def call(
        self,
        body: object,
        path: str = "/v1/chat/completions",
        key: str | None = KEY,
        method: str = "POST",
        headers: str = "",
    ) -> Answer:
        self.send(body, path, key, method, headers)
        return await self.answer()

    def send(
        self,
        body: object,
        path: str = "/v1/chat/completions",
        key: str | None = KEY,
        method: str = "POST",
        headers: str = "",
    ) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        authorization = f"authorization: Bearer {key}\r\n" if key else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{authorization}{headers}content-length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode("latin-1") + data)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
            if name
        }
        return int(lines[0].split(" ")[1]), headers

    async def answer(self) -> Answer:
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join([piece async for piece in self.chunks()])
        elif "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        else:
            body = await self.reader.read()
        return Answer(status, headers, body)

    async def chunks(self):
        while True:
            size = int(await self.reader.readline(), 16)
            data = await self.reader.readexactly(size + 2)
            if not size:
                return
            yield data[:-2]

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def world(
    folder: Path,
    *,
    micro_won: int = 1_000_000_000_000,
    bank: Bank | None = None,
    name: str = "here",
    **config,
):
    built = World(
        folder, WorkerConfig(database_url="", journal_dir=str(folder), **config), bank or Bank(), name
    )
    await built.start()
    built.populate(micro_won=micro_won)
    try:
        yield built
    finally:
        await built.stop()


CHAT = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}
