"""The data folder: who holds it, the secret key, and what the other commands read there.

DIR/lock           held while a supervisor runs; names its process
DIR/secret_key     signs sessions and links; 0600
DIR/instance.json  where the database is; 0600; stays after a stop
DIR/ready.json     addresses, demo sign-ins, process ids; there while everything is ready; 0600
DIR/demo.json      passwords and key of the demonstration, once one was built here; 0600
DIR/parts.json     processes of this start, to find those that a killed supervisor left behind
DIR/postgresql/, DIR/journal/, DIR/media/, DIR/mail/, DIR/logs/
"""

import fcntl
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

from dure.local.errors import LocalError

LOG_BYTES = 10_000_000
LOG_GENERATIONS = 3


class DataFolder:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.postgresql = self.path / "postgresql"
        self.journal = self.path / "journal"
        self.logs = self.path / "logs"
        self.instance = self.path / "instance.json"
        self.ready = self.path / "ready.json"
        self.parts = self.path / "parts.json"
        self.demo = self.path / "demo.json"
        self.gateway_ready = self.path / "gateway.ready.json"
        self._lock: int | None = None

    def take(self) -> None:
        """Make the folder if there is none and hold it; nothing in it is touched if somebody else does."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except (FileExistsError, NotADirectoryError):
            raise LocalError(
                "data_not_a_folder", f"{self.path} is not a folder.", remedy="Choose another with --data."
            ) from None
        except OSError as error:
            raise LocalError(
                "data_not_writable",
                f"The data folder {self.path} cannot be used: {error.strerror}.",
                remedy="Choose another with --data, or start Dure as the user it belongs to.",
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
            os.close(lock)
            raise LocalError(
                "already_running",
                f"Dure already runs on {self.path} (process {holder or 'unknown'}).",
                remedy="Stop that one first (Ctrl-C where it runs, or kill it), or choose another folder with --data.",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock
        self.ready.unlink(missing_ok=True)
        self.gateway_ready.unlink(missing_ok=True)
        for folder in (self.logs, self.journal):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._ensure_secret_key()

    def release(self) -> None:
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def _ensure_secret_key(self) -> None:
        path = self.path / "secret_key"
        if not path.is_file() or not path.read_text().strip():
            write_private(path, secrets.token_urlsafe(64) + "\n")

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def rotate_logs(self) -> None:
        """Copy and truncate: the parts keep writing to the file they have, at its end."""
        for path in self.logs.glob("*.log"):
            if path.stat().st_size < LOG_BYTES:
                continue
            for generation in range(LOG_GENERATIONS, 1, -1):
                older = path.with_name(f"{path.name}.{generation - 1}")
                if older.exists():
                    older.replace(path.with_name(f"{path.name}.{generation}"))
            path.with_name(f"{path.name}.1").write_bytes(path.read_bytes())
            os.truncate(path, 0)


def write_private(path: Path, content: str) -> None:
    """Whole or not at all, for the owner only."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    write_private(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
