"""Children that do not outlive their parent, even when the parent is killed without a word.

On Linux the kernel is asked to signal a child when the thread that started it ends. The request
does not survive a change of user, so it is made after that change and before the program starts.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(number: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn`. Start such children from a thread that lives as long as they should."""
    parent = os.getpid()

    def ask() -> None:
        # A terminal's Ctrl-C reaches the whole group; the supervisor alone decides the order of stopping.
        os.setpgid(0, 0)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), number)

    return ask


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """For a process that was started already: be sent this signal when the parent ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
