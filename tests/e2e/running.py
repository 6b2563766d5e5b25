"""A person at a terminal with `dure up` in it, and the other commands beside it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dure.local.processes import is_alive

PATIENCE_SECONDS = 180.0


def clean_environment() -> dict[str, str]:
    """Without what the test run has set for itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DURE_", "DJANGO_"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}", "NO_PROXY": "127.0.0.1"}


def dure(*arguments: str | Path, timeout: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dure.cli.main", *map(str, arguments)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def until[T](question: Callable[[], T], *, what: str, seconds: float = PATIENCE_SECONDS) -> T:
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what}: waited {seconds:.0f} s in vain"
        time.sleep(0.05)
    return answer


class Instance:
    """One data folder and the supervisor that runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.screen = folder.with_suffix(".screen")

    def up(self, *arguments: str, before: Sequence[str] = (), **environment: str) -> None:
        self.begin(*arguments, before=before, **environment)
        until(lambda: self.is_ready() or self.has_ended(), what="ready")
        assert self.is_ready(), self.shown()

    def begin(self, *arguments: str, before: Sequence[str] = (), **environment: str) -> None:
        """`before` is put before the command, as `setpriv` is."""
        (self.folder / "ready.json").unlink(missing_ok=True)  # of a killed one
        with self.screen.open("wb") as screen:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "dure.cli.main", "up", "--data", str(self.folder),
                 "--portal-port", "0", "--gateway-port", "0", *arguments],
                env=clean_environment() | environment, stdout=screen, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def is_ready(self) -> bool:
        return (self.folder / "ready.json").exists()

    def has_ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def shown(self) -> str:
        return self.screen.read_text()

    @property
    def ready(self) -> dict[str, Any]:
        return json.loads((self.folder / "ready.json").read_text())

    @property
    def pids(self) -> dict[str, int]:
        return self.ready["pids"]

    def processes(self) -> list[str]:
        """Everything alive that was started for this folder."""
        mark = f"DURE_DATA_DIR={self.folder}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or not is_alive(int(entry.name)):
                continue
            try:
                ours = mark in (entry / "environ").read_bytes().split(b"\0")
                ours = ours or (entry / "cwd").resolve() == self.folder / "postgresql"
                if ours:
                    found.append(f"{entry.name} {(entry / 'cmdline').read_text().replace(chr(0), ' ')}")
            except OSError:
                continue
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
