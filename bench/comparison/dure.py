"""Ours, as it runs for real: PostgreSQL with the migrations, a directory and awards in it, gateway workers from the shell.

Everything a request meets is on: key check, worst-case hold, escrow leased from the ledger, journal written and
synced to the disk, metrics, and limits on award and key (too high to refuse anything). The shipper runs where
`shipper` says so: posting is a process of its own, measured by `bench/shipper.py`.
"""

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec

from dure.contracts.directory import AwardEntry, DeploymentEntry, KeyEntry, ModelEntry, Price
from dure.contracts.ids import uuid7
from dure.gateway.app.config import WorkerConfig
from dure.gateway.protocol.directory import key_digest
from gateway.database import Ledger, Postgres, postgres

from .load import Target
from .processes import end, free_port, python, wait_for

KEY = "dure-bench-00000000000000000000000000000000000000000000"
#: Limits that are counted and never reached.
_LIMITS = {
    "requests_per_minute": 10**9,
    "tokens_per_minute": 10**13,
    "concurrency": 10**6,
}
_GRANT = 10**15
_NODE = """
import sys, json
from pathlib import Path
from dure.gateway.app.node import NodeConfig, run_node
wish = json.loads(sys.argv[1])
wish["journal"], wish["ready_file"] = Path(wish["journal"]), Path(wish["ready_file"])
sys.exit(run_node(NodeConfig(**wish)))
"""


class Dure:
    """One PostgreSQL and a populated directory; `worker` or `node` then serves it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.server: Postgres = stack.enter_context(postgres())
        self.ledger = Ledger(self.server.dsn)
        stack.callback(self.ledger.close)

    def populate(
        self, provider_port: int, *, awards: int = 1, keys: int = 1, limits: bool = True
    ) -> list[str]:
        """Publish; one key's secret for each award. The keys beyond one for each award only fill the directory."""
        model, provider = str(uuid7()), str(uuid7())
        price = Price(str(uuid7()), 0, {"input": 120_000_000, "output": 480_000_000})
        self._publish("model", ModelEntry(
            id=model, name="small", provider=provider, endpoints=("chat.completions",), context_length=8192,
            max_output_tokens=4096, prices=(price,),
        ))  # fmt: skip
        self._publish("deployment", DeploymentEntry(
            id=str(uuid7()), model=model, provider=provider, base_url=f"http://127.0.0.1:{provider_port}",
            upstream_model="m",
        ))  # fmt: skip
        wanted = _LIMITS if limits else {}
        secrets, ids = [], []
        for number in range(awards):
            award = str(self.ledger.grant(_GRANT // awards))
            ids.append(award)
            self._publish("award", AwardEntry(
                id=award, organisation=str(uuid7()), programme=str(self.ledger.book), valid_from=0, **wanted
            ))  # fmt: skip
            secrets.append(KEY[:-6] + f"{number:06d}")
            self._publish("key", KeyEntry(
                id=str(uuid7()), digest=key_digest(secrets[-1].encode()), award=award, prefix=KEY[:13], **wanted
            ))  # fmt: skip
        self._fill(ids, keys - awards)
        return secrets

    def _publish(self, kind: str, entry) -> None:
        self.ledger.publish(kind, entry.id, msgspec.json.encode(entry).decode())

    def _fill(self, awards: list[str], count: int) -> None:
        if count <= 0:
            return
        cursor = self.ledger.connection.cursor()
        (version,) = cursor.execute("SELECT max(version) FROM foundation_directoryentry").fetchone()
        columns = "COPY foundation_directoryentry (kind, entry_id, version, payload) FROM STDIN"
        with cursor.copy(columns) as copy:
            for number in range(count):
                entry = KeyEntry(
                    id=str(uuid7()), digest=key_digest(b"filler %d" % number), award=awards[number % len(awards)],
                    prefix="dure-filler00", name=f"key {number}",
                )  # fmt: skip
                version += 1
                copy.write_row(("key", entry.id, version, msgspec.json.encode(entry).decode()))

    def worker(self, interpreter: str = "") -> tuple[subprocess.Popen, int, float]:
        """One gateway process without its shipper: the process, its port, seconds until it was ready."""
        port = free_port()
        config = WorkerConfig(
            database_url=self.server.gateway_dsn, journal_dir=str(self._journal("worker")), port=port
        )
        began = time.monotonic()
        process = python(
            "-m",
            "dure.gateway.app.worker",
            interpreter=interpreter,
            stdin=subprocess.PIPE,
            stderr=self._log("worker"),
        )
        process.stdin.write(msgspec.json.encode(config))
        process.stdin.close()
        self._stack.callback(end, process)
        wait_for(port, process)
        _until_ready(port)
        return process, port, time.monotonic() - began

    def node(self, workers: int) -> tuple[subprocess.Popen, int, list[int]]:
        """A node with its shipper: the process, its port, its workers' process ids."""
        port = free_port()
        wish = {
            "database_url": self.server.gateway_dsn,
            "journal": str(self._journal(f"node-{workers}")),
            "ready_file": str(self.folder / f"ready-{workers}.json"),
            "port": port,
            "workers": workers,
        }
        process = python("-c", _NODE, json.dumps(wish), stderr=self._log(f"node-{workers}"))
        self._stack.callback(end, process)
        wait_for(port, process)
        ready = Path(wish["ready_file"])
        while not ready.exists():  # by then every worker is
            if process.poll() is not None:
                raise SystemExit("the node ended before it was ready")
            time.sleep(0.01)
        pids = json.loads(ready.read_bytes())["pids"]
        return process, port, [pid for name, pid in pids.items() if name.startswith("worker")]

    def target(self, process: subprocess.Popen, port: int, secret: str) -> Target:
        return Target(port, process.pid, headers={"authorization": f"Bearer {secret}"})

    def _journal(self, name: str) -> Path:
        path = self.folder / f"journal-{name}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _log(self, name: str):
        return self._stack.enter_context((self.folder / f"{name}.log").open("ab"))


def _until_ready(port: int) -> None:
    import http.client

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    raise SystemExit("the gateway did not become ready")
