"""Children that do not outlive their parent, even when the parent is killed without a word.

On Linux the kernel is asked to signal a child when the thread that started it ends. The request
does not survive a change of user, so it is made after that change and before the program starts.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

#: A process and when it began, in ticks since boot: together they are never another process.
type Identity = tuple[int, int]


def die_with_parent(number: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn`. Start such children from a thread that lives as long as they should."""
    parent = os.getpid()

    def ask() -> None:
        # A terminal's Ctrl-C reaches the whole group; the supervisor alone decides the order of stopping.
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), number)

    return ask


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """For a process that runs already: be sent this signal when the parent ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def identity(pid: int) -> Identity | None:
    """None when there is no such process, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (pid, int(fields[19]))


def is_alive(pid: int) -> bool:
    return identity(pid) is not None


def send(pid: int, number: int, *, group: bool = False) -> None:
    """A process that is gone needs no signal."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def end_all(left: Iterable[Identity], *, patience_seconds: float) -> None:
    """Ask them to end, wait, then insist, together with what they started."""
    waiting = {one for one in left if identity(one[0]) == one}
    for pid, _ in waiting:
        send(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while waiting and time.monotonic() < deadline:
        time.sleep(0.02)
        waiting = {one for one in waiting if identity(one[0]) == one}
    for pid, _ in waiting:
        send(pid, signal.SIGKILL, group=True)
        send(pid, signal.SIGKILL)
