"""One worker: a gateway process of its own, with its journal, its escrow and its listening socket.

`run_worker` is the whole life of an operating-system process. It ends on SIGTERM or SIGINT: accepting
stops, running requests finish, free escrow goes back, the journal is closed. A process that dies instead
leaves its journal to the shipper.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop

from dure.contracts.gateway_api import NO_PROCESS
from dure.contracts.ids import uuid7
from dure.gateway.app import telemetry
from dure.gateway.app.access_log import AccessLog
from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.ended import Observer, Observers
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.app.gateway import Gateway
from dure.gateway.app.health_checks import HealthChecks
from dure.gateway.app.lag import JournalLag
from dure.gateway.app.limits import LimitsKeeper
from dure.gateway.app.seen import add_gauges, figures
from dure.gateway.app.service import GatewayService
from dure.gateway.io.database import DatabaseAway, DatabaseLink, DatabaseRefused
from dure.gateway.io.directory_sync import DirectorySync
from dure.gateway.io.http_server import HttpServer
from dure.gateway.io.journal import JournalWriter
from dure.gateway.io.tls import ServerTls, TlsUnusable
from dure.gateway.io.upstream import UpstreamPools
from dure.gateway.protocol.directory import Directory

logger = logging.getLogger(__name__)

#: So many objects more than were freed bring about the next collection.
YOUNG_OBJECTS = 50_000
SWEEP_SECONDS = 0.1
TICK_SECONDS = 0.5
SLOW_SWEEP_SECONDS = 1.0
RETRY_SECONDS = 0.25
GIVE_BACK_SECONDS = 5.0
WAIT_FOR_DIRECTORY_SECONDS = 1.0


def run_worker(config: WorkerConfig) -> None:
    """Serve until told to stop."""
    logging.basicConfig(
        level=config.log_level, format=f"%(asctime)s worker {config.worker} %(levelname)s %(message)s"
    )
    uvloop.run(_serve(config))


async def _serve(config: WorkerConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = Worker(config, loop)
    worker.on_retired = stop.set
    loop.add_signal_handler(signal.SIGHUP, worker.reload)
    starting = asyncio.ensure_future(worker.start())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            _tell_ready(config.ready_fd, starting.result())
            await stopping
    finally:
        starting.cancel()
        stopping.cancel()
        await worker.stop()


class Worker:
    """The parts of a worker, put together. `start` answers with the port once connections are accepted.

    That is when the directory is there. Without a database it waits a moment and accepts all the same, to say
    what is missing; but never beside an older node, which serves meanwhile.

    `on_retired` is called when the database no longer knows this process: it was declared lost while it could not
    be heard, and its money is back in the awards. It ends, and its node starts another.
    """

    def __init__(self, config: WorkerConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.process_id = uuid7()
        self.directory = Directory()
        self.journal = JournalWriter(Path(config.journal_dir) / str(self.process_id), loop)
        self.link = DatabaseLink(config.database_url, self.process_id)
        self.pools = UpstreamPools(
            loop,
            ca_file=config.upstream_ca_file,
            certificate=config.upstream_certificate,
            key=config.upstream_key,
        )
        self.tls = None
        if config.tls_certificate is not None:
            self.tls = ServerTls(config.tls_certificate, config.tls_key or config.tls_certificate)
        self.keeper = EscrowKeeper(
            self.link, loop, idle_seconds=config.escrow_idle, wait_seconds=config.escrow_wait
        )
        self.limits = LimitsKeeper(
            self.link, loop, wait_seconds=config.escrow_wait, trusted_proxies=config.trusted_proxies
        )
        self.gateway = Gateway(
            config=config,
            loop=loop,
            directory=self.directory,
            keeper=self.keeper,
            limits=self.limits,
            journal=self.journal,
            pools=self.pools,
            process_id=self.process_id,
        )
        self.gateway.observer = _observer(config, loop)
        self.health = HealthChecks(self.gateway, interval_seconds=config.health_interval)
        self.server = HttpServer(GatewayService(self.gateway), config.limits, loop)
        self.server.keeps_addresses = config.access_log_addresses
        self.sync = DirectorySync(self.directory, self.link)
        self.lag = JournalLag()
        self.on_retired: Callable[[], None] = lambda: None
        self.loop_delay_ms = 0.0
        self._ticked_at = loop.time()
        self._loop = loop
        self._tasks: list[asyncio.Task[None]] = []
        self._loaded = asyncio.Event()
        self._stopped = False

    async def start(self) -> int:
        link = self.link
        link.on_recall = self._recalled
        link.on_credit = self.keeper.credited
        gateway = self.gateway
        gateway.directory_age = lambda: self.sync.age_seconds
        gateway.database_connected = lambda: link.connected
        add_gauges(gateway, self.server, self.journal, self.lag)
        link.start()
        self._every(SWEEP_SECONDS, self.keeper.sweep)
        self._every(SWEEP_SECONDS, self.limits.sweep)
        self._every(TICK_SECONDS, self._tick)
        self._every(SLOW_SWEEP_SECONDS, self._slow_sweep)
        self._tasks.append(self._loop.create_task(self._join()))
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self.config.overlap else WAIT_FOR_DIRECTORY_SECONDS):
                await self._loaded.wait()
        sockets = tuple(socket.socket(fileno=descriptor) for descriptor in self.config.listen_fds)
        port = await self.server.listen(
            self.config.host,
            self.config.port,
            sockets=sockets,
            tls=None if self.tls is None else self.tls.context,
        )
        logger.info("listening on %s:%d, process %s", self.config.host, port, self.process_id)
        return port

    def _recalled(self, payload: str) -> None:
        if not self.limits.recalled(payload):
            self.keeper.recalled(payload)

    async def _join(self) -> None:
        """Register, load the directory, follow it and send heartbeats, however long the database is away."""
        await self._until_done(
            lambda: self.link.start_process(
                self.config.node or socket.gethostname(), os.getpid(), version("dure")
            )
        )
        await self._until_done(self.sync.load)
        self.gateway.loaded = True
        self._loaded.set()
        # What has been loaded lives as long as the process: collections need not look at it again.
        gc.collect()
        gc.freeze()
        # The usual call leaves nothing behind that only a collection could free, so they may be rare.
        gc.set_threshold(YOUNG_OBJECTS, 10, 10)
        follow = self._loop.create_task(self.sync.follow())
        try:
            while True:
                await self._heartbeat()
                await asyncio.sleep(self.config.heartbeat_interval)
        finally:
            follow.cancel()
            with suppress(asyncio.CancelledError):
                await follow

    async def _until_done(self, attempt: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await attempt()
                return
            except (DatabaseAway, DatabaseRefused) as error:
                logger.warning("not ready yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _heartbeat(self) -> None:
        try:
            self.lag.posted(await self.link.posted_sequence())
            self._note_lag()
            told = figures(self.gateway, self.server, self.journal, self.lag)
            await self.link.heartbeat(told | {"loop_delay_ms": round(self.loop_delay_ms, 1)})
            self.loop_delay_ms = 0.0
            if self.gateway.limits_concurrency():
                self.gateway.take_share(*await self.link.share())
        except DatabaseRefused as refused:
            if refused.sqlstate == NO_PROCESS:
                self._retire(refused)
            else:
                logger.warning("heartbeat: %s", refused)
        except DatabaseAway as error:
            logger.debug("heartbeat: %s", error)

    def _retire(self, refused: DatabaseRefused) -> None:
        logger.error(
            "this process may spend nothing more and ends: %s. Its journal is settled by the shipper.",
            refused,
        )
        self.keeper.retire()
        self.on_retired()

    def _note_lag(self) -> None:
        self.lag.note(self.journal.last_sequence, self.journal.written_bytes, self._loop.time())

    def _every(self, seconds: float, work: Callable[[], None]) -> None:
        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    work()
                except Exception:
                    logger.exception("housekeeping failed")

        self._tasks.append(self._loop.create_task(repeat()))

    def _tick(self) -> None:
        now = self._loop.time()
        # How late this turn comes is how long everybody else was kept waiting, at most.
        self.loop_delay_ms = max(self.loop_delay_ms, (now - self._ticked_at - TICK_SECONDS) * 1000)
        self._ticked_at = now
        self._note_lag()
        self.gateway.tick()
        self.pools.sweep()

    def _slow_sweep(self) -> None:
        self.server.sweep()
        self.keeper.sweep_idle()
        self.limits.sweep_idle()
        self.gateway.retry_unusable()

    def reload(self) -> None:
        """Read the files that may have been replaced, certificates and keys, and begin new logs."""
        if self.gateway.observer is not None:
            self.gateway.observer.reopen()
        for what in (self.tls, self.pools):
            try:
                if what is not None:
                    what.reload()
            except TlsUnusable as error:
                logger.error("the last certificate stays in use: %s", error)

    async def stop(self) -> None:
        """Finish what is running, give money back, close the journal. Once."""
        if self._stopped:
            return
        self._stopped = True
        await self.server.drain(self.config.drain_timeout)
        self.health.stop()
        await asyncio.gather(self.keeper.close(GIVE_BACK_SECONDS), self.limits.close(GIVE_BACK_SECONDS))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.pools.close()
        try:
            self.journal.close()
        except OSError as error:
            logger.error("the journal's last records could not be written: %s", error)
        await self.link.close()
        if self.gateway.observer is not None:
            await asyncio.to_thread(self.gateway.observer.close)
        logger.info("stopped, process %s", self.process_id)


def _observer(config: WorkerConfig, loop: asyncio.AbstractEventLoop) -> Observer | None:
    """Whoever is told of ended requests; None where nobody asked."""
    observers: list[Observer] = []
    if config.access_log is not None:
        observers.append(AccessLog(config.access_log, loop))
    traces = telemetry.make(version("dure"))
    if traces is not None:
        observers.append(traces)
    return observers[0] if len(observers) == 1 else Observers(observers) if observers else None


def _tell_ready(ready_fd: int | None, port: int) -> None:
    if ready_fd is not None:
        with suppress(OSError):
            os.write(ready_fd, b"%d\n" % port)
            os.close(ready_fd)


def main() -> None:
    """`python -m dure.gateway.app.worker`, with a `WorkerConfig` as JSON on standard input."""
    run_worker(msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerConfig))


if __name__ == "__main__":
    main()
