"""A node: N workers on one port, one shipper, and this parent that keeps them alive.

The parent imports what its children need and forks them, so that a start and every restart take
milliseconds; it has no loop and no threads, and waits for signals. It opens the listening sockets and
keeps them while workers come and go, and hands them to a node that is started beside it (`listening`). On
SIGTERM the workers finish what is running, then the shipper posts the rest. On SIGHUP the workers read their
certificate again and begin new log files. Should the parent be killed, the kernel tells the children to end
in the same orderly way.
"""

import ctypes
import http.client
import logging
import os
import resource
import select
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.listening import HandOver, PortInUse, listen, open_socket
from dure.gateway.app.shipper import ShipperConfig, run_shipper
from dure.gateway.app.worker import run_worker

__all__ = ["NodeConfig", "PortInUse", "run_node"]

logger = logging.getLogger(__name__)

FIRST_RESTART_SECONDS = 0.1
LAST_RESTART_SECONDS = 10.0
LIVED_WELL_SECONDS = 30.0
STOP_MARGIN_SECONDS = 5.0
_STEP_SECONDS = 0.02
_IDLE_SECONDS = 1.0
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGIO}
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class NodeConfig:
    """`overlap` lets a node start beside one that still listens there and share its sockets: no gap."""

    database_url: str
    journal: Path
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    node: str = ""
    ready_file: Path | None = None
    overlap: bool = False
    drain_seconds: float = 30.0
    tls_certificate: str | None = None
    tls_key: str | None = None
    upstream_ca_file: str | None = None
    upstream_certificate: str | None = None
    upstream_key: str | None = None
    access_log: str | None = None
    access_log_addresses: bool = False
    trusted_proxies: tuple[str, ...] = ()
    log_level: str = "INFO"


def _raise_descriptor_limit() -> None:
    """As many open connections as the system allows: each stream takes two descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass
class Child:
    name: str
    run: Callable[[int], None]
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0
    sockets: list[socket.socket] = field(default_factory=list)
    ready_fd: int = -1
    ready: bool = False

    def close_sockets(self) -> None:
        for listener in self.sockets:
            listener.close()
        self.sockets.clear()


@dataclass
class Node:
    """The parent's state; `run` is its whole life and gives the exit status."""

    config: NodeConfig
    port: int = 0
    announced: bool = False
    stopping: int = 0
    workers: list[Child] = field(default_factory=list)
    shipper: Child | None = None
    hand_over: HandOver | None = None
    shared: bool = False
    hangup_stops: bool = False
    stop_began: float = 0.0
    checks_passed: int = 0
    report: bytes = b""

    def run(self) -> int:
        config = self.config
        # On a terminal SIGHUP says that the terminal is gone.
        self.hangup_stops = os.isatty(0)
        config.journal.mkdir(parents=True, exist_ok=True)
        _raise_descriptor_limit()
        sockets, self.shared = listen(config.host, config.port, config.workers, overlap=config.overlap)
        self.port = sockets[0][0].getsockname()[1]
        self.shipper = Child("shipper", self._run_shipper)
        self.workers = [
            Child(f"worker-{number}", self._run_worker(number), sockets=own)
            for number, own in enumerate(sockets, 1)
        ]
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self.hand_over = HandOver(config.host, self.port, signal.SIGIO)
        try:
            while self._step():
                self._wait()
        finally:
            self._close_sockets()
            self._remove_ready_file()
        logger.info("stopped")
        return 0

    # Turns of the parent's loop

    def _step(self) -> bool:
        """Reap, restart, announce, stop; false once there is nothing left to watch over."""
        self._reap()
        if not self.stopping:
            assert self.hand_over is not None
            self.hand_over.open()
            for child in (*self.workers, self.shipper):
                if child is not None and not child.pid and time.monotonic() >= child.start_at:
                    self._start(child)
            self._read_readiness()
            if not self.announced:
                self._announce_when_ready()
            return True
        return self._stop_step()

    def _wait(self) -> None:
        busy = self.stopping or not self.announced or any(not child.ready for child in self.workers)
        restarts = [child.start_at for child in (*self.workers, self.shipper) if child and not child.pid]
        timeout = _STEP_SECONDS if busy else _IDLE_SECONDS
        if restarts and not self.stopping:
            timeout = min(timeout, max(0.0, min(restarts) - time.monotonic()))
        received = signal.sigtimedwait(_SIGNALS, timeout)
        number = None if received is None else received.si_signo
        if number == signal.SIGHUP and not self.hangup_stops:
            logger.info("workers read their certificate again and begin new log files")
            self._signal_workers(signal.SIGHUP)
        elif number == signal.SIGIO:
            assert self.hand_over is not None
            self.hand_over.answer([listener for child in self.workers for listener in child.sockets])
        elif number in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
            self._begin_stop()

    def _begin_stop(self) -> None:
        self.stopping += 1
        if self.stopping == 1:
            self.stop_began = time.monotonic()
            logger.info("stopping: running requests are finished first")
            self._close_sockets()
            self._signal_workers(signal.SIGTERM)
        elif self.stopping == 2:
            logger.warning("stopping at once: running requests are cut and recorded as interrupted")
            self._signal_workers(signal.SIGKILL)

    def _stop_step(self) -> bool:
        shipper = self.shipper
        assert shipper is not None
        waited = time.monotonic() - self.stop_began
        if any(child.pid for child in self.workers):
            if waited > self.config.drain_seconds + STOP_MARGIN_SECONDS and self.stopping == 1:
                self._begin_stop()
            return True
        if self.stopping < 3:
            self.stopping = 3
            self.stop_began = time.monotonic()
            if not shipper.pid:
                self._start(shipper)
            os.kill(shipper.pid, signal.SIGTERM)
            return True
        if shipper.pid and waited > self._shipper_config().stop_grace_seconds + STOP_MARGIN_SECONDS:
            logger.error("the shipper does not end; what it has not posted waits in %s", self.config.journal)
            os.kill(shipper.pid, signal.SIGKILL)
        return bool(shipper.pid)

    def _close_sockets(self) -> None:
        """Accept nothing more, unless another node has these sockets too."""
        if self.hand_over is not None:
            self.hand_over.close()
        for child in self.workers:
            child.close_sockets()

    def _signal_workers(self, number: signal.Signals) -> None:
        for child in self.workers:
            if child.pid:
                os.kill(child.pid, number)

    # Children

    def _start(self, child: Child) -> None:
        if child is not self.shipper and not child.sockets:
            child.sockets.append(open_socket(self.config.host, self.port))
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._become(child, writer, parent)
        os.close(writer)
        child.pid, child.ready_fd, child.ready = pid, reader, False
        child.started_at = time.monotonic()

    def _become(self, child: Child, ready_fd: int, parent: int) -> None:
        """The child's whole life; it must never return into the parent's loop."""
        status = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                return
            for other in (*self.workers, self.shipper):
                if other is not None and other.ready_fd >= 0:
                    os.close(other.ready_fd)
                if other is not None and other is not child:
                    other.close_sockets()
            if self.hand_over is not None:
                self.hand_over.close()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can be heard
            # A shipper that is told to end before it can hear would leave the last records unposted; it
            # takes the signal once it can answer. A worker without requests may just end.
            waits = {signal.SIGTERM} if child is self.shipper else set()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS - waits)
            logging.getLogger().handlers.clear()
            child.run(ready_fd)
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:
            logger.exception("%s failed", child.name)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _run_worker(self, number: int) -> Callable[[int], None]:
        def run(ready_fd: int) -> None:
            config = self.config
            run_worker(
                WorkerConfig(
                    database_url=config.database_url,
                    journal_dir=str(config.journal),
                    host=config.host,
                    port=self.port,
                    listen_fds=tuple(listener.detach() for listener in self.workers[number - 1].sockets),
                    overlap=self.shared and not self.announced,
                    node=config.node,
                    worker=number,
                    ready_fd=ready_fd,
                    drain_timeout=config.drain_seconds,
                    tls_certificate=config.tls_certificate,
                    tls_key=config.tls_key,
                    upstream_ca_file=config.upstream_ca_file,
                    upstream_certificate=config.upstream_certificate,
                    upstream_key=config.upstream_key,
                    access_log=config.access_log,
                    access_log_addresses=config.access_log_addresses,
                    trusted_proxies=config.trusted_proxies,
                    log_level=config.log_level,
                )
            )

        return run

    def _run_shipper(self, ready_fd: int) -> None:
        os.close(ready_fd)
        logging.basicConfig(
            level=self.config.log_level, format="%(asctime)s shipper %(levelname)s %(message)s"
        )
        run_shipper(self._shipper_config())

    def _shipper_config(self) -> ShipperConfig:
        return ShipperConfig(self.config.journal, self.config.database_url)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in (*self.workers, self.shipper):
                if child is not None and child.pid == pid:
                    self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        pid, child.pid, child.ready = child.pid, 0, False
        if child.ready_fd >= 0:
            os.close(child.ready_fd)
            child.ready_fd = -1
        if self.stopping:
            return
        lived = time.monotonic() - child.started_at
        child.failures = 0 if lived > LIVED_WELL_SECONDS else child.failures + 1
        if child.failures > 1:
            # What waits in its queue is worth a tenth of a second, and no more: others can take it.
            child.close_sockets()
        pause = min(LAST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2 ** min(10, max(0, child.failures - 1)))
        child.start_at = time.monotonic() + pause
        code = os.waitstatus_to_exitcode(status)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        logger.warning("%s (process %d) %s; starting it again in %.1f s", child.name, pid, how, pause)

    # Being ready

    def _read_readiness(self) -> None:
        changed = False
        for child in self.workers:
            if child.ready_fd >= 0 and select.select((child.ready_fd,), (), (), 0)[0]:
                child.ready = bool(os.read(child.ready_fd, 64))
                os.close(child.ready_fd)
                child.ready_fd = -1
                changed = changed or child.ready
        if changed and self.announced:
            self._write_ready_file()

    def _announce_when_ready(self) -> None:
        """Ready means that whichever worker takes a connection has its directory."""
        if not all(child.ready for child in self.workers):
            return
        while self.checks_passed < 2 * len(self.workers):
            if not self._check():
                self.checks_passed = 0
                return
            self.checks_passed += 1
        self.announced = True
        self._write_ready_file()
        scheme = "http" if self.config.tls_certificate is None else "https"
        logger.info(
            "ready on %s://%s:%d with %d workers", scheme, self.config.host, self.port, len(self.workers)
        )

    def _check(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.config.host, self.config.host)  # noqa: S104
        connection = self._own_connection(host)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _own_connection(self, host: str) -> http.client.HTTPConnection:
        if self.config.tls_certificate is None:
            return http.client.HTTPConnection(host, self.port, timeout=1.0)
        context = ssl.create_default_context()
        # The certificate is for the public name, and this is ourselves.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, self.port, timeout=1.0, context=context)

    def _write_ready_file(self) -> None:
        path = self.config.ready_file
        if path is None:
            return
        pids = {child.name: child.pid for child in (*self.workers, self.shipper) if child is not None}
        report = {"host": self.config.host, "port": self.port, "pids": {"gateway": os.getpid(), **pids}}
        temporary = path.with_name(f".{path.name}.new")
        self.report = msgspec.json.encode(report) + b"\n"
        temporary.write_bytes(self.report)
        temporary.rename(path)

    def _remove_ready_file(self) -> None:
        """Unless a node that started beside this one has put its own in the same place."""
        path = self.config.ready_file
        try:
            if path is not None and path.read_bytes() == self.report:
                path.unlink()
        except FileNotFoundError:
            pass


def run_node(config: NodeConfig) -> int:
    """Serve until SIGTERM or SIGINT; a second signal cuts what is running."""
    logging.basicConfig(level=config.log_level, format="%(asctime)s gateway %(levelname)s %(message)s")
    return Node(config).run()
