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

from dure.contracts.gateway_api import NO_PROCESS
from dure.contracts.ids import uuid7
from dure.gateway.app.config import WorkerConfig
from dure.gateway.app.escrow_keeper import EscrowKeeper
from dure.gateway.app.gateway import Gateway
from dure.gateway.app.lag import JournalLag
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
    worker.on_retired = stop.set
    try:
        port = await worker.start()
        _tell_ready(config.ready_fd, port)
        await stop.wait()
    finally:
        await worker.stop()


class Worker:
    """The parts of a worker, put together. `start` answers with the port once connections are accepted.

    `on_retired` is called when the database no longer knows this process: it was declared lost while it could not
    be heard, and its money is back in the awards. It ends, and its node starts another.
    """

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
        self.gateway = Gateway(
            config=config,
            loop=loop,
            directory=self.directory,
            keeper=self.keeper,
            journal=self.journal,
            pools=self.pools,
            process_id=self.process_id,
        )
        self.server = HttpServer(GatewayService(self.gateway), config.limits, loop)
        self.sync = DirectorySync(self.directory, self.link)
        self.lag = JournalLag()
        self.on_retired: Callable[[], None] = lambda: None
        self.loop_delay_ms = 0.0
        self._ticked_at = loop.time()
        self._loop = loop
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    async def start(self) -> int:
        link = self.link
        link.on_recall = self.keeper.recalled
        link.on_credit = self.keeper.credited
        gateway = self.gateway
        gateway.directory_age = lambda: self.sync.age_seconds
        gateway.database_connected = lambda: link.connected
        add_gauges(gateway, self.server, self.journal, self.lag)
        link.start()
        port = await self.server.listen(self.config.host, self.config.port, reuse_port=self.config.reuse_port)
        self._every(SWEEP_SECONDS, self.keeper.sweep)
        self._every(TICK_SECONDS, self._tick)
        self._every(SLOW_SWEEP_SECONDS, self._slow_sweep)
        self._tasks.append(self._loop.create_task(self._join()))
        logger.info("listening on %s:%d, process %s", self.config.host, port, self.process_id)
        return port

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
            self.lag.posted(await self.link.posted_sequence())
            self._note_lag()
            told = figures(self.gateway, self.server, self.journal, self.lag)
            await self.link.heartbeat(told | {"loop_delay_ms": round(self.loop_delay_ms, 1)})
            self.loop_delay_ms = 0.0
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
        self.gateway.retry_unusable()

    async def stop(self) -> None:
        """Finish what is running, give money back, close the journal. Once."""
        if self._stopped:
            return
        self._stopped = True
        await self.server.drain(self.config.drain_timeout)
        await self.keeper.close(GIVE_BACK_SECONDS)
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


def figures(
    gateway: Gateway, server: HttpServer, journal: JournalWriter, lag: JournalLag
) -> dict[str, object]:
    """What a heartbeat tells operators. Readers do without what an older gateway leaves out."""
    escrows = gateway.keeper.escrows.values()
    age = gateway.directory_age()
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
        "journal_unposted_records": lag.records,
        "journal_unposted_seconds": round(lag.seconds(gateway.now()), 3),
        "journal_unposted_bytes": lag.bytes,
        "directory_version": gateway.directory.version,
        "directory_age_seconds": None if age is None else round(age, 3),
        "directory_unreadable": len(gateway.directory.unreadable),
        "deployments": gateway.health.figures(),
        **gateway.health.latency(),
    }


def add_gauges(gateway: Gateway, server: HttpServer, journal: JournalWriter, lag: JournalLag) -> None:
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
    gauge("journal_unposted_records", "Usage records not in the ledger yet.", lambda: lag.records)
    gauge(
        "journal_unposted_seconds",
        "Age of the oldest usage record that is not in the ledger yet.",
        lambda: lag.seconds(gateway.now()),
    )
    gauge("journal_unposted_bytes", "Bytes of the journal not in the ledger yet.", lambda: lag.bytes)
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
