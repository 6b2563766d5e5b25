"""A real PostgreSQL in a folder, for one machine: made, started, stopped, and found again after a crash.

The server listens on nothing but a Unix socket inside its own data folder (mode 0700), so whoever may
enter that folder is trusted and nobody else can knock. PostgreSQL refuses to run as root; as root
it therefore runs as another user, and two things make that work below a folder which that user may not enter:
it is started *in* its data folder (the folder is entered while still root) and calls it `/proc/self/cwd`, a link
that needs no permission on the way; and when the programs lie out of its reach they are copied once to a
place where they do not.

A data folder appears under its name only when it is complete: initdb works in `<name>.new`, which is
renamed at the end, so whatever bears the final name was whole and on disk at least once.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from dure.local.errors import LocalError
from dure.local.postgres_programs import Account, account_for, programs
from dure.local.processes import die_with_parent, send

MAJOR_VERSION = "18"
OWNER = "dure"
GATEWAY_ROLE = "dure_gateway"
DATABASE = "dure"
#: A Unix socket's whole path must fit 107 bytes; its name takes 16 of them.
LONGEST_SOCKET_FOLDER = 90
START_SECONDS = 60.0
STOP_SECONDS = 20.0
HERE = "/proc/self/cwd"

type Say = Callable[[str], None]

SETTINGS: dict[str, str] = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
#: For servers that live as long as a test run.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """The server of one data folder. The caller holds whatever lock keeps others off that folder."""

    def __init__(
        self,
        data: Path,
        *,
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
        say: Say = lambda _: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.data = data.absolute()
        self._log = log
        self._settings = {**SETTINGS, **(settings or {})}
        self._say = say
        self._pause = pause
        self._process: subprocess.Popen[bytes] | None = None
        self._account: Account | None = None
        self._bin: Path | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def url(self, *, user: str = OWNER, database: str = DATABASE) -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.socket_folder()), safe='')}"

    def has_ended(self) -> int | None:
        """The exit status, once the server is gone without having been stopped."""
        return self._process.poll() if self._process is not None else None

    @property
    def owner_url(self) -> str:
        return self.url()

    @property
    def gateway_url(self) -> str:
        """For the gateway's own role, which the migrations make."""
        return self.url(user=GATEWAY_ROLE)

    def socket_folder(self) -> Path:
        """Where clients find the socket: the data folder, or a short link to it when its path is too long."""
        if len(os.fsencode(self.data)) <= LONGEST_SOCKET_FOLDER:
            return self.data
        home = Path(tempfile.gettempdir()) / f"dure-{os.geteuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        state = home.lstat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o077 or home.is_symlink():
            raise LocalError(
                "socket_folder_unsafe",
                f"{home} belongs to somebody else or is open to others, so the database's socket"
                " cannot be reached through it.",
                remedy="Remove it, or choose a data folder with a shorter path.",
            )
        link = home / sha256(os.fsencode(self.data)).hexdigest()[:16]
        if not link.is_symlink() or link.readlink() != self.data:
            spare = link.with_suffix(f".{os.getpid()}")
            spare.unlink(missing_ok=True)
            spare.symlink_to(self.data)
            spare.replace(link)
        return link

    def start(self) -> None:
        """Make the data folder if there is none, start the server, wait until it answers."""
        self._account = account_for(self.data)
        self._bin = programs(self._account)
        self._discard_half_made()
        if self.data.exists():
            self._check_folder()
        else:
            self._create()
        self._await_predecessor()
        self._launch()

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, everything is on disk."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(STOP_SECONDS)

    def ensure_database(self, name: str = DATABASE) -> None:
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url(database="postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    # Making the folder

    def _discard_half_made(self) -> None:
        half_made = self._unfinished
        if half_made.exists():
            self._say(
                f"Found a database folder whose making was interrupted ({half_made.name}); starting it afresh."
            )
            shutil.rmtree(half_made)

    @property
    def _unfinished(self) -> Path:
        return self.data.with_name(f"{self.data.name}.new")

    def _create(self) -> None:
        folder = self._unfinished
        folder.mkdir(mode=0o700, parents=True)
        assert self._account is not None
        if self._account.drop_to is not None:
            os.chown(folder, *self._account.drop_to)
        durable = self._settings.get("fsync") != "off"
        result = self._run(
            "initdb", "-D", HERE, "-U", OWNER, "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin",
            "--locale=C.UTF-8", "--no-instructions", "--sync-method=syncfs", *([] if durable else ["--no-sync"]),
            cwd=folder,
        )  # fmt: skip
        if result.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise LocalError(
                "database_not_created",
                f"PostgreSQL could not make its data folder {self.data}: {_last_line(result.stderr)}",
                remedy="Look at the free space and the permissions of the folder above it.",
            )
        folder.rename(self.data)
        if durable:
            _sync_folder(self.data.parent)

    def _check_folder(self) -> None:
        try:
            version = (self.data / "PG_VERSION").read_text().strip()
        except PermissionError:
            raise LocalError(
                "database_folder_not_ours",
                f"The database folder {self.data} belongs to another user.",
                remedy="Start Dure as the user who made it, or choose another folder with --data.",
            ) from None
        except (FileNotFoundError, NotADirectoryError):
            raise LocalError(
                "database_folder_damaged",
                f"{self.data} is not a PostgreSQL data folder; it was left as it is.",
                remedy="Move it away, or choose another folder with --data.",
            ) from None
        if version != MAJOR_VERSION:
            raise LocalError(
                "database_version",
                f"The database in {self.data} was made by PostgreSQL {version}, and this is PostgreSQL"
                f" {MAJOR_VERSION}; it was left as it is.",
                remedy=f"Carry it over with pg_dump of version {version}, or choose another folder with --data.",
            )

    # Running the server

    def _await_predecessor(self) -> None:
        """A server whose supervisor was killed is still closing down; its folder is ours as soon as it is done."""
        pid = self._running_pid()
        if pid is None:
            return
        self._say(f"Waiting for the database's former server (process {pid}) to finish.")
        send(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while self._running_pid() is not None:
            if time.monotonic() > deadline:
                raise LocalError(
                    "database_running",
                    f"Another PostgreSQL (process {pid}) is using {self.data} and does not stop.",
                    remedy=f"Stop it with: kill -QUIT {pid}",
                )
            self._pause(0.02)

    def _running_pid(self) -> int | None:
        """The server that has this folder, if it lives. Forgets a note whose number another process now has."""
        note = self.data / "postmaster.pid"
        try:
            pid = int(note.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        try:
            if Path(f"/proc/{pid}/cwd").samefile(self.data):
                return pid
        except FileNotFoundError:
            if not Path(f"/proc/{pid}").exists():
                return None  # PostgreSQL itself knows what to do with the note of a dead process.
            # Dead, but its parent has not taken notice: to PostgreSQL that looks alive, for ever.
            if (survivor := self._inhabitant()) is not None:
                return survivor
        except PermissionError:
            pass
        note.unlink(missing_ok=True)
        # The socket's own note bears the same number.
        (self.data / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        return None

    def _inhabitant(self) -> int | None:
        """A process that works in the data folder, as every process of a server does."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "cwd").samefile(self.data):
                    return int(entry.name)
            except OSError:
                continue
        return None

    def _launch(self) -> None:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + START_SECONDS
        while True:
            offset = self._log.stat().st_size if self._log is not None and self._log.exists() else 0
            self._process = self._popen("postgres", "-D", HERE, *options)
            while self._process.poll() is None:
                if self._is_ready(self._process.pid):
                    return
                if time.monotonic() > deadline:
                    self.stop()
                    raise self._not_started("it was not ready in time", offset)
                self._pause(0.01)
            output = self._log_since(offset)
            # Processes of a killed server hold its memory for a moment longer.
            if "shared memory block" not in output or time.monotonic() > deadline:
                raise self._not_started(_last_line(output) or f"exit {self._process.returncode}", offset)
            self._pause(0.1)

    def _is_ready(self, pid: int) -> bool:
        """What pg_ctl reads: the process id is the first line of the note, the state the eighth."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _not_started(self, why: str, offset: int) -> LocalError:
        where = f" Its log is {self._log}." if self._log is not None else ""
        return LocalError("database_not_started", f"PostgreSQL did not start: {why}.{where}")

    def _log_since(self, offset: int) -> str:
        if self._log is None or not self._log.exists():
            return ""
        with self._log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        assert self._bin is not None
        assert self._account is not None
        output = self._log.open("ab") if self._log is not None else None
        try:
            return subprocess.Popen(
                [self._bin / program, *arguments],
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=output or subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                env=_environment(),
                preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509
                **self._account.popen_arguments,
            )
        finally:
            if output is not None:
                output.close()

    def _run(self, program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        assert self._bin is not None
        assert self._account is not None
        return subprocess.run(
            [self._bin / program, *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=_environment(),
            start_new_session=True,
            **self._account.popen_arguments,
        )


def check_database(url: str) -> None:
    """A database that is not ours to start: it must answer, and be new enough."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version
    except psycopg.ProgrammingError:
        raise LocalError(
            "database_url",
            "DURE_DATABASE_URL is not an address of a PostgreSQL database.",
            remedy="It looks like postgresql://user@host/name.",
        ) from None
    except psycopg.OperationalError as error:
        raise LocalError(
            "database_away",
            f"The database that DURE_DATABASE_URL names does not answer: {str(error).splitlines()[0]}.",
            remedy="Without the variable an embedded PostgreSQL is used.",
        ) from None
    if version // 10_000 < int(MAJOR_VERSION):
        raise LocalError(
            "database_version",
            f"The database that DURE_DATABASE_URL names is PostgreSQL {version // 10_000}; Dure needs {MAJOR_VERSION}.",
        )


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else ""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
