"""The place where it happens: a PostgreSQL, a node, the provider, a small disk for the journals, and money.

Everything here can be killed and started again while the clients go on.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from chaos.clients import Key, Limited
from dure.contracts.directory import AwardEntry, DeploymentEntry, KeyEntry, ModelEntry, Price
from dure.contracts.ids import uuid7
from gateway.database import Ledger, Postgres

TESTS = Path(__file__).resolve().parents[1]
DISK_BYTES = 192 << 20
BIG, MEDIUM, SMALL = 10**15, 60_000_000, 900_000  # micro-won


class Server(Postgres):
    """PostgreSQL that can also be frozen, and lose one of its processes."""

    def children(self) -> list[int]:
        return children(self.pid)

    def freeze(self) -> None:
        for pid in [self.pid, *self.children()]:
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in [self.pid, *self.children()]:
            _signal(pid, signal.SIGCONT)

    def kill_backend(self, pid: int) -> None:
        _signal(pid, signal.SIGKILL)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL does not come back"
                time.sleep(0.05)

    def backends(self, user: str) -> list[int]:
        found = []
        for pid in self.children():
            with suppress(OSError):
                if f": {user} ".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class Provider:
    """The provider's process and what its meter says."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.provider"], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._read = 0

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def _meter(self) -> dict:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", f"/meter?after={self._read}", headers={"content-length": "0"})
        report = json.loads(connection.getresponse().read())
        connection.close()
        return report

    def open(self) -> int:
        return self._meter()["open"]

    def new_entries(self) -> list[dict]:
        entries = self._meter()["entries"]
        self._read += len(entries)
        return entries


class Disk:
    """A folder that can be full: a small file system of its own where we may mount one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        self.mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def fill(self) -> None:
        with self._filler.open("wb") as file, suppress(OSError):
            while True:
                free = os.statvfs(self.folder)
                if not free.f_bavail:
                    return
                os.posix_fallocate(
                    file.fileno(), os.fstat(file.fileno()).st_size, free.f_bavail * free.f_frsize
                )

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


class Node:
    """`dure gateway --workers N`, and those of its processes that outlive it."""

    def __init__(
        self, dsn: str, journal: Path, folder: Path, *, workers: int, environment: dict[str, str]
    ) -> None:
        self.journal = journal
        self.port = _free_port()
        self.log = folder / "node.log"
        self.killed: set[int] = set()  # pids that got SIGKILL
        self.told_to_end: set[int] = set()  # pids that got SIGTERM, from us or from the kernel
        self.orphans: set[int] = set()
        self._dsn = dsn
        self._ready = folder / "ready.json"
        self._workers = workers
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._ending: list[subprocess.Popen[bytes]] = []

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, overlap: bool = False) -> None:
        """Start and do not wait. Without `overlap` it ends at once if an old one still listens."""
        self._ready.unlink(missing_ok=True)
        log = self.log.open("ab")
        command = [
            Path(sys.executable).with_name("dure"), "gateway", "--workers", str(self._workers),
            "--journal", self.journal, "--port", str(self.port), "--ready-file", self._ready,
            "--drain-seconds", "3", "--node", "chaos", "--database-url", self._dsn,
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [*command, *(["--overlap"] if overlap else [])],
            stdout=log, stderr=log, env={**os.environ, **self._environment},
        )  # fmt: skip
        log.close()

    def start_again(self, *, timeout_seconds: float = 30.0) -> None:
        """Start, again if the port is not free yet, and wait until it is ready."""
        deadline = time.monotonic() + timeout_seconds
        while not (self.running and self._ready.exists()):
            if not self.running:
                self.start()
            if time.monotonic() > deadline:
                raise TimeoutError("the node does not get ready")
            time.sleep(0.05)

    def stop(self, *, timeout_seconds: float = 60.0) -> int | None:
        """SIGTERM; the exit status, None where it does not end."""
        assert self._process is not None
        self.told_to_end |= set(children(self.pid))
        self._process.terminate()
        try:
            return self._process.wait(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """SIGKILL to the parent alone; the kernel tells its children to end."""
        assert self._process is not None
        self._let_go()
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> None:
        """SIGKILL to the parent and its children, with nobody left to tell anybody anything."""
        assert self._process is not None
        left = children(self.pid)
        os.kill(self.pid, signal.SIGSTOP)  # so that it starts nobody meanwhile
        left += [pid for pid in children(self.pid) if pid not in left]
        self._process.kill()
        for pid in left:
            self.kill_child(pid)
        self._process.wait()
        self.orphans |= set(left)

    def hand_over(self) -> None:
        """Start a second node on the same port, then have the first one end."""
        before = self._process
        assert before is not None
        self._let_go()
        self.orphans.add(before.pid)
        self.start(overlap=True)
        before.terminate()
        self._ending.append(before)

    def _let_go(self) -> None:
        left = set(children(self.pid))
        self.orphans |= left
        self.told_to_end |= left

    def orphans_alive(self) -> set[int]:
        for process in self._ending:
            process.poll()  # so that it does not stay a zombie
        self.orphans = {pid for pid in self.orphans if alive(pid)}
        return self.orphans

    def kill_everything(self) -> None:
        if self.running:
            self.orphans |= set(children(self.pid))
            assert self._process is not None
            self._process.kill()
            self._process.wait()
        for pid in self.orphans:
            _signal(pid, signal.SIGCONT)
            _signal(pid, signal.SIGKILL)

    def shippers(self) -> list[int]:
        return [pid for pid in self._children() if self._opens(pid, "shipper.lock")]

    def workers(self) -> list[int]:
        return [pid for pid in self._children() if not self._opens(pid, "shipper.lock")]

    def kill_child(self, pid: int) -> None:
        self.killed.add(pid)
        _signal(pid, signal.SIGKILL)

    def pause(self, pid: int) -> None:
        _signal(pid, signal.SIGSTOP)

    def resume(self, pid: int) -> None:
        _signal(pid, signal.SIGCONT)

    def _children(self) -> list[int]:
        return children(self.pid) if self.running else []

    @staticmethod
    def _opens(pid: int, name: str) -> bool:
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if link.readlink().name == name:
                        return True
        return False

    # What it says of itself

    def figures(self) -> dict[UUID, dict[str, float]]:
        """Gauges of each worker, by process; asks over fresh connections until all have answered."""
        import http.client

        found: dict[UUID, dict[str, float]] = {}
        for _ in range(60):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            finally:
                connection.close()
            gauges = {}
            process = None
            for line in text.splitlines():
                name, _, value = line.rpartition(" ")
                if name.startswith("dure_gateway_info{"):
                    process = UUID(name.partition('process="')[2].partition('"')[0])
                elif name.startswith("dure_gateway_") and "{" not in name:
                    gauges[name.removeprefix("dure_gateway_")] = float(value)
            if process is not None:
                found[process] = gauges
            if len(found) == self._workers:
                break
        return found


def _free_port() -> int:
    """Below the range of outgoing connections: while the node is away, a client that keeps knocking at a port of
    that range is at some time given that very port itself, meets itself, and keeps the node from it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Limits:
    """Of an award or a key, before it has an id."""

    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None

    def of(self, subject: str) -> Limited:
        return Limited(subject, self.requests, self.tokens, self.concurrency)

    def fields(self) -> dict[str, Any]:
        """As the directory's entries have them."""
        return {
            "requests_per_minute": self.requests,
            "tokens_per_minute": self.tokens,
            "concurrency": self.concurrency,
        }


NO_LIMITS = Limits()


class Money:
    """Awards, keys and prices, said to the ledger and the directory in SQL; survives the database's death."""

    def __init__(self, dsn: str, provider_port: int) -> None:
        self._dsn = dsn
        self._ledger = Ledger(dsn)
        self.granted: dict[UUID, int] = {}
        self.small: list[UUID] = []
        self.keys: list[Key] = []
        self.revoked: list[str] = []
        self.models: list[str] = []
        self.prices: dict[UUID, dict[str, int]] = {}
        self._entries: dict[UUID, AwardEntry] = {}
        self._offer(provider_port)
        for size, micro_won, count in (("big", BIG, 2), ("medium", MEDIUM, 3), ("small", SMALL, 4)):
            for _ in range(count):
                self._award(size, micro_won)
        self._award(
            "limited", BIG, Limits(requests=90, tokens=9_000, concurrency=4), Limits(concurrency=3), Limits()
        )
        self._award("limited", BIG, Limits(), Limits(requests=60, tokens=6_000, concurrency=3))

    def close(self) -> None:
        self._ledger.close()

    def reconnect(self) -> None:
        with suppress(psycopg.Error):
            self._ledger.close()
        self._ledger.connection = psycopg.connect(self._dsn, autocommit=True)
        self._ledger.connection.execute("SET search_path = public")

    def rows(self, statement: str, *parameters: object) -> list[tuple]:
        return self._ledger.connection.execute(statement, parameters or None).fetchall()

    @property
    def limits(self) -> set[Limited]:
        return {limited for key in self.keys for limited in key.limits}

    def _award(self, size: str, micro_won: int, limits: Limits = NO_LIMITS, *key_limits: Limits) -> None:
        award = self._ledger.grant(micro_won)
        self.granted[award] = micro_won
        if size == "small":
            self.small.append(award)
        entry = AwardEntry(
            id=str(award), organisation=str(uuid7()), programme=str(self._ledger.book), valid_from=0,
            **limits.fields(),
        )  # fmt: skip
        self._entries[award] = entry
        self._publish("award", entry)
        for own in key_limits or (NO_LIMITS,):
            secret, key_id = self._key(award, own, revoked=False)
            both = (limits.of(str(award)), own.of(key_id))
            kept = tuple(limited for limited in both if limited != Limited(limited.subject))
            self.keys.append(Key(secret, str(award), size, kept))
        if size == "big":
            self.revoked.append(self._key(award, NO_LIMITS, revoked=True)[0])

    def _key(self, award: UUID, limits: Limits, *, revoked: bool) -> tuple[str, str]:
        secret = f"dure-chaos{len(self.keys):03d}-{uuid7().hex}"
        digest = hashlib.sha256(secret.encode()).hexdigest()
        entry = KeyEntry(
            id=str(uuid7()), digest=digest, award=str(award), prefix=secret[:13], **limits.fields()
        )
        self._publish("key", entry)
        if revoked:
            self._ledger.publish("key", entry.id, None)
        return secret, entry.id

    def _offer(self, provider_port: int) -> None:
        provider = str(uuid7())
        tariffs = (
            {"input": 120_000_001, "output": 480_000_007, "cached_input": 30_000_003},
            {"input": 333_333, "output": 77_777_777, "request": 1_500_000},
        )
        for number, meters in enumerate(tariffs):
            price = Price(id=str(uuid7()), effective_from=0, meters=meters)  # type: ignore[arg-type]
            self.prices[UUID(price.id)] = meters
            model = ModelEntry(
                id=str(uuid7()), name=f"model-{number}", provider=provider, context_length=4_096,
                endpoints=("chat.completions", "completions", "embeddings"), max_output_tokens=1_500,
                prices=(price,),
            )  # fmt: skip
            self.models.append(model.name)
            self._publish("model", model)
            for place in "abc":
                self._publish(
                    "deployment",
                    DeploymentEntry(
                        id=str(uuid7()), model=model.id, provider=provider, upstream_model="upstream",
                        base_url=f"http://127.0.0.1:{provider_port}/{place}", priority=int(place == "c"),
                    ),
                )  # fmt: skip

    def _publish(self, kind: str, entry: msgspec.Struct) -> None:
        self._ledger.publish(kind, entry.id, msgspec.json.encode(entry).decode())  # type: ignore[attr-defined]

    def withdraw(self, award: UUID) -> None:
        self._ledger.publish("award", str(award), None)

    def reopen(self, award: UUID) -> None:
        self._publish("award", self._entries[award])

    def refill(self) -> None:
        """The small awards get what they have spent again, so that they can run dry once more."""
        for award in self.small:
            missing = SMALL - self._ledger.balance(award, "award") - self._ledger.balance(award, "escrow")
            if missing > 0:
                (result,) = self.rows(
                    "SELECT ledger_post(%s, (SELECT id FROM ledger_account WHERE kind = 'treasury'),"
                    " (SELECT id FROM ledger_account WHERE kind = 'award' AND owner_id = %s), %s, 'test')",
                    uuid7(), award, missing,
                )[0]  # fmt: skip
                assert result == "created", result
                self.granted[award] += missing


def copy_evidence(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("ballast", "filler"))
