"""A part: a child process that is started, watched, started again when it dies, and stopped.

Restarts come sooner after a long life than after a short one: the wait doubles with each death in a row.
"""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dure.local.processes import die_with_parent, send

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 15.0
LIVED_WELL_SECONDS = 30.0


@dataclass
class Part:
    """`command` is given whether this is a restart. `is_ready` is asked until it says so once a life."""

    name: str
    command: Callable[[bool], Sequence[str]]
    environment: dict[str, str]
    log: Path
    is_ready: Callable[[], bool]
    before_start: Callable[[], None] = lambda: None
    #: Whether what it started may be killed with it; the gateway's workers end in order by themselves.
    kills_group: bool = True
    ready: bool = False
    failures: int = 0
    start_at: float = 0.0
    started_at: float = 0.0
    lives: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    def start(self) -> None:
        self.before_start()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command(self.lives > 0)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509
            )
        self.lives += 1
        self.ready = False
        self.started_at = time.monotonic()

    def has_ended(self) -> int | None:
        return self.process.poll() if self.process is not None else None

    def bury(self) -> float:
        """Forget a dead process; answers how many seconds to wait before the next."""
        assert self.process is not None
        if self.kills_group:
            send(self.process.pid, signal.SIGKILL, group=True)
        self.process = None
        self.ready = False
        self.failures = 0 if time.monotonic() - self.started_at > LIVED_WELL_SECONDS else self.failures
        wait: float = min(FIRST_WAIT_SECONDS * 2**self.failures, LONGEST_WAIT_SECONDS)
        self.failures += 1
        self.start_at = time.monotonic() + wait
        return wait

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            send(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.process is not None:
            send(self.process.pid, signal.SIGKILL, group=True)
            self.process.wait(10)

    def check_ready(self) -> bool:
        """True once, when it becomes ready."""
        if self.ready or self.process is None or not self.is_ready():
            return False
        self.ready = True
        return True

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 4000))
                lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
        except OSError:
            return ""
        return next((line for line in reversed(lines) if line), "")


def answers(port: int, path: str, *, host: str = "127.0.0.1") -> bool:
    """Whether the page is there: an answer below 400."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def how_it_ended(status: int) -> str:
    if status >= 0:
        return f"exit {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
