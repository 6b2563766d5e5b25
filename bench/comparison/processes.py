"""Starting, finding and timing processes."""

import os
import resource
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
ROOT = BENCH.parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join((str(BENCH), str(ROOT / "src"), str(ROOT / "tests"))),
}
_TICKS = os.sysconf("SC_CLK_TCK")


def allow_many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def python(*arguments: object, interpreter: str = "", **options) -> subprocess.Popen:
    """Another `interpreter` of the same version uses the packages of this one."""
    environment = dict(ENVIRONMENT)
    if interpreter:
        environment["PYTHONPATH"] += os.pathsep + sysconfig.get_path("platlib")
    return subprocess.Popen([interpreter or sys.executable, *map(str, arguments)], env=environment, **options)


def wait_for(port: int, process: subprocess.Popen | None = None, *, seconds: float = 90) -> float:
    """Seconds until something listens."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return time.monotonic() - began
        except OSError:
            if process is not None and process.poll() is not None:
                break
            time.sleep(0.01)
    raise SystemExit(f"nothing listens on port {port}")


def end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def family(pid: int) -> list[int]:
    """A process and all that came from it."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        for thread in Path(f"/proc/{one}/task").iterdir():
            try:
                todo += map(int, (thread / "children").read_text().split())
            except OSError:
                continue
    return found


class Share:
    """A control group that gets a part of one core and no more, in slices of ten milliseconds. `OSError` where the system
    does not let us make one."""

    PERIOD_US = 10_000

    def __init__(self, name: str, part: float) -> None:
        quota = int(self.PERIOD_US * part)
        first = Path("/sys/fs/cgroup/cpu")
        if (first / "cpu.cfs_quota_us").exists():
            self._folder = first / name
            self._folder.mkdir()
            (self._folder / "cpu.cfs_period_us").write_text(str(self.PERIOD_US))
            (self._folder / "cpu.cfs_quota_us").write_text(str(quota))
            return
        root = Path("/sys/fs/cgroup")
        (root / "cgroup.subtree_control").write_text("+cpu")
        self._folder = root / name
        self._folder.mkdir()
        (self._folder / "cpu.max").write_text(f"{quota} {self.PERIOD_US}")

    def hold(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        """Once what it held has ended."""
        self._folder.rmdir()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children, so far."""
    total = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(") ", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident_bytes(pid: int) -> int:
    """What a process and its children hold in memory, shared pages counted once each."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
