"""A node's listening sockets, and how the next node takes them over.

Each worker accepts from a socket of its own (SO_REUSEPORT), so that the kernel shares connections out. The
parent keeps them all open: what waits in a socket's queue outlives the worker that dies. When a socket is closed, the
kernel resets what waits in its queue and what is just being connected. So a node that starts beside an
old one does not open new sockets; it is handed the old one's own, and both accept from them until the old one stops.

They are handed over by a Unix socket in the abstract namespace, whose name says which address it is
about, to processes of the same user only.
"""

import errno
import fcntl
import logging
import os
import socket
import struct
from collections.abc import Sequence

logger = logging.getLogger(__name__)

BACKLOG = 4096
HAND_OVER_SECONDS = 5.0
_MOST_SOCKETS = 256
_CREDENTIALS = struct.Struct("3i")


class PortInUse(Exception):
    """Another program listens where this node should."""


def listen(host: str, port: int, count: int, *, overlap: bool) -> tuple[list[list[socket.socket]], bool]:
    """The sockets of each of `count` workers; `PortInUse` if somebody listens there.

    With `overlap` they are those of the node that serves there already, and more where that has fewer. Also
    says whether there is such a node.
    """
    given = take_over(host, port) if overlap else []
    sockets = [given[number::count] for number in range(count)]
    if given:
        port = given[0].getsockname()[1]
        logger.info("took over %d listening sockets of the node that is running", len(given))
    elif port and not overlap:
        _refuse_if_taken(host, port)
    for own in sockets:
        if not own:
            own.append(open_socket(host, port))
            port = own[0].getsockname()[1]
    return sockets, bool(given)


def open_socket(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = _address(host, port)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _translated(error, host, port) from None
    return listener


def _refuse_if_taken(host: str, port: int) -> None:
    # Without SO_REUSEPORT the kernel says so when another process, even of ours, is listening.
    family, kind, protocol, _, address = _address(host, port)
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _translated(error, host, port) from None


def _translated(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"port {port} on {host} is in use by another program")
    return error


def _address(host: str, port: int) -> tuple[int, int, int, str, tuple[object, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]


# Handing over


class HandOver:
    """Gives a node's listening sockets to the next node that asks. `signal_number` is sent when one does."""

    def __init__(self, host: str, port: int, signal_number: int) -> None:
        self._name = _name(host, port)
        self._signal = signal_number
        self._door: socket.socket | None = None

    def open(self) -> None:
        """Again and again while the last node still has the door."""
        if self._door is not None:
            return
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            door.bind(self._name)
        except OSError:
            door.close()
            return
        door.listen(4)
        door.setblocking(False)
        # The parent waits for signals, not for descriptors: the kernel tells it of a caller by one.
        fcntl.fcntl(door, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(door, 10, self._signal)  # F_SETSIG, which the module does not name
        fcntl.fcntl(door, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        self._door = door

    def answer(self, sockets: Sequence[socket.socket]) -> None:
        """Give the sockets to whoever has asked."""
        while self._door is not None:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            with caller:
                try:
                    pid, uid, _ = _CREDENTIALS.unpack(
                        caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                    )
                    if uid == os.geteuid():
                        caller.settimeout(HAND_OVER_SECONDS)
                        socket.send_fds(caller, [b"."], [given.fileno() for given in sockets])
                        logger.info(
                            "process %d starts beside this node and shares its listening sockets", pid
                        )
                except OSError as error:
                    logger.warning("the listening sockets could not be handed over: %s", error)

    def close(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None


def take_over(host: str, port: int) -> list[socket.socket]:
    """The listening sockets of the node that serves this address; none if there is no such node."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(HAND_OVER_SECONDS)
        try:
            caller.connect(_name(host, port))
            _, descriptors, _, _ = socket.recv_fds(caller, 1, _MOST_SOCKETS)
        except OSError:
            return []
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def _name(host: str, port: int) -> bytes:
    return b"\0dure-gateway/%b/%d" % (host.encode(), port)
