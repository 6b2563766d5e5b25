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
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop

from dure.contracts.ids import uuid7
from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.app.gateway import Gateway
from dure.gateway.app.limits import LimitsKeeper
from dure.gateway.app.service import GatewayService
from dure.gateway.io.database import DatabaseAway, DatabaseLink, DatabaseRefused
from dure.gateway.io.directory_sync import DirectorySync
from dure.gateway.io.http_server import HttpServer
from dure.gateway.io.journal import JournalWriter
from dure.gateway.io.upstream import UpstreamPools
from dure.gateway.protocol.directory import Directory

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 0.1
TICK_SECONDS = 0.5
SLOW_SWEEP_SECONDS = 1.0
RETRY_SECONDS = 0.25
GIVE_BACK_SECONDS = 5.0


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
    try:
        port = await worker.start()
        _tell_ready(config.ready_fd, port)
        await stop.wait()
    finally:
        await worker.stop()


class Worker:
    """The parts of a worker, put together. `start` answers with the port once connections are accepted."""

    def __init__(self, config: WorkerConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.process_id = uuid7()
        self.directory = Directory()
        self.journal = JournalWriter(Path(config.journal_dir) / str(self.process_id), loop)
        self.link = DatabaseLink(config.database_url, self.process_id)
        self.pools = UpstreamPools(loop, ca_file=config.upstream_ca_file)
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
        self.server = HttpServer(GatewayService(self.gateway), config.limits, loop)
        self.sync = DirectorySync(self.directory, self.link)
        self._loop = loop
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    async def start(self) -> int:
        link = self.link
        link.on_recall = self._recalled
        link.on_credit = self.keeper.credited
        gateway = self.gateway
        gateway.directory_age = lambda: self.sync.age_seconds
        gateway.database_connected = lambda: link.connected
        add_gauges(gateway, self.server, self.journal)
        link.start()
        port = await self.server.listen(self.config.host, self.config.port, reuse_port=self.config.reuse_port)
        self._every(SWEEP_SECONDS, self.keeper.sweep)
        self._every(SWEEP_SECONDS, self.limits.sweep)
        self._every(TICK_SECONDS, self._tick)
        self._every(SLOW_SWEEP_SECONDS, self._slow_sweep)
        self._tasks.append(self._loop.create_task(self._join()))
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
        # What has been loaded lives as long as the process: collections need not look at it again.
        gc.collect()
        gc.freeze()
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
            await self.link.heartbeat(figures(self.gateway, self.server, self.journal))
        except (DatabaseAway, DatabaseRefused) as error:
            logger.debug("heartbeat: %s", error)

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
        self.gateway.tick()
        self.pools.sweep()

    def _slow_sweep(self) -> None:
        self.server.sweep()
        self.keeper.sweep_idle()
        self.limits.sweep_idle()
        self.gateway.retry_unusable()

    async def stop(self) -> None:
        """Finish what is running, give money back, close the journal. Once."""
        if self._stopped:
            return
        self._stopped = True
        await self.server.drain(self.config.drain_timeout)
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
        logger.info("stopped, process %s", self.process_id)


def figures(gateway: Gateway, server: HttpServer, journal: JournalWriter) -> dict[str, object]:
    """What a heartbeat tells operators."""
    escrows = gateway.keeper.escrows.values()
    return {
        "worker": gateway.config.worker,
        "connections": len(server.connections),
        "open_requests": gateway.open_requests,
        "open_streams": gateway.open_streams,
        "requests": sum(gateway.metrics.requests.values.values()),
        "cost_micro_won": gateway.metrics.cost.values[()],
        "free_micro_won": sum(escrow.free for escrow in escrows),
        "held_micro_won": sum(escrow.held for escrow in escrows),
        "waiting": sum(len(escrow.waiters) for escrow in escrows),
        "journal_sequence": journal.last_sequence,
        "journal_backlog_bytes": journal.backlog_bytes,
        "journal_healthy": journal.healthy,
        "directory_version": gateway.directory.version,
    }


def add_gauges(gateway: Gateway, server: HttpServer, journal: JournalWriter) -> None:
    metrics = gateway.metrics
    escrows = gateway.keeper.escrows
    started = time.time()
    gauge = metrics.gauge
    gauge(
        "info",
        "Which process this is.",
        lambda: 1,
        process=str(gateway.process_id),
        worker=str(gateway.config.worker),
    )
    gauge("start_time_seconds", "When this process started, seconds since 1970.", lambda: started)
    gauge("connections", "Open client connections.", lambda: len(server.connections))
    gauge("open_requests", "Requests under way.", lambda: gateway.open_requests)
    gauge("open_streams", "Streams under way.", lambda: gateway.open_streams)
    gauge("escrow_free_micro_won", "Escrow that is free.", lambda: sum(e.free for e in escrows.values()))
    gauge(
        "escrow_held_micro_won",
        "Escrow held for requests under way.",
        lambda: sum(e.held for e in escrows.values()),
    )
    gauge(
        "escrow_waiting",
        "Requests that wait for money.",
        lambda: sum(len(e.waiters) for e in escrows.values()),
    )
    gauge("journal_sequence", "Number of the last usage record.", lambda: journal.last_sequence)
    gauge("journal_backlog_bytes", "Bytes not yet written to the journal.", lambda: journal.backlog_bytes)
    gauge("journal_healthy", "1 while the journal can be written.", lambda: int(journal.healthy))
    gauge("directory_version", "Version of the directory.", lambda: gateway.directory.version)
    gauge("directory_age_seconds", "Since the directory was last confirmed.", gateway.directory_age)
    gauge(
        "directory_unreadable", "Directory entries not understood.", lambda: len(gateway.directory.unreadable)
    )
    gauge("database_connected", "1 while the database answers.", lambda: int(gateway.database_connected()))


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
