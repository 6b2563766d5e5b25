"""Ports of the parts: looked at before anything starts, then kept so that a part that restarts finds its own again.

A reservation is bound but never listened on, so connections go only to the part. The part binds the same port with
SO_REUSEPORT, which the kernel allows between processes of one user, and so would another start of ours on
this machine while neither listens yet. A name that only one process can hold keeps them apart.
"""

import errno
import socket
from typing import Self

from dure.local.errors import LocalError

HOST = "127.0.0.1"


class Reservation:
    """A port of the loopback address, kept until `close`."""

    def __init__(self, port: int) -> None:
        """Raise OSError, EADDRINUSE if anybody listens there or keeps it."""
        # An abstract name: it is nowhere on disk and ends with its holder, however that one ends.
        self._name = socket.socket(socket.AF_UNIX)
        self._kept = socket.socket()
        try:
            if port:
                self._name.bind(f"\0dure/{HOST}:{port}")
                # Without SO_REUSEPORT the kernel refuses when anybody listens, a process of ours included.
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((HOST, port))
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._kept.bind((HOST, port))
            self.port: int = self._kept.getsockname()[1]
            if not port:
                self._name.bind(f"\0dure/{HOST}:{self.port}")
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        self._kept.close()
        self._name.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reserve(port: int, *, part: str, option: str) -> Reservation:
    """Keep a port of the loopback address; 0 picks a free one."""
    try:
        return Reservation(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise LocalError(
                "port_in_use",
                f"Port {port}, where the {part} would listen, is in use by another program.",
                remedy=f"Choose another with {option}; 0 picks a free one.",
            ) from None
        if error.errno == errno.EACCES:
            raise LocalError(
                "port_not_allowed",
                f"You may not listen on port {port}, where the {part} would.",
                remedy=f"Choose one above 1023 with {option}.",
            ) from None
        raise
