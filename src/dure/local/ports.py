"""Ports of the parts: looked at before anything starts, then kept so that a part that restarts finds its own again.

A reservation is bound but never listened on, so connections go only to the part. The part binds the same port with
SO_REUSEPORT, which the kernel allows between processes of one user.
"""

import errno
import socket

from dure.local.errors import LocalError

HOST = "127.0.0.1"


def reserve(port: int, *, part: str, option: str) -> socket.socket:
    """Keep a port of the loopback address; 0 picks a free one."""
    try:
        if port:
            # Without SO_REUSEPORT the kernel refuses when anybody listens, a process of ours included.
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
        kept = socket.socket()
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind((HOST, port))
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
    return kept


def number_of(reservation: socket.socket) -> int:
    port: int = reservation.getsockname()[1]
    return port
