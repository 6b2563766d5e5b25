"""The shipper: brings every journal on this node to the database, and dead ones to their end.

One per node, in a process of its own, so that posting never takes a turn from relaying. For each
folder in the journal directory there is one task, which reads the segments as they grow and posts what
is closed. When a folder's lock comes free its process is dead: the task takes the lock, completes the
journal, posts the rest, has the database return the escrow, and removes the folder. Each step is safe
to repeat, so dying anywhere here costs time and nothing else.
"""

import asyncio
import errno
import fcntl
import logging
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from dure.gateway.io.connections import Backoff, Connections, DatabaseAway
from dure.gateway.io.journal import JournalLocked, lock_folder, segments
from dure.gateway.io.journal_tail import JournalDamaged, JournalTail
from dure.gateway.io.loose import process_folders
from dure.gateway.io.recovery import DAMAGED_NAME, Recovered, recover, scan
from dure.gateway.io.usage_poster import Batch, MarkMoved, ProcessMoney, ProcessStuck, UsagePoster
from dure.gateway.protocol.journal import JournalError

logger = logging.getLogger(__name__)

REFUSED_NAME = "refused"
SHIPPER_LOCK_NAME = "shipper.lock"

_LEFTOVER_SECONDS = 60.0
_PIECE_RECORDS = 500


@dataclass(frozen=True)
class ShipperConfig:
    """`poll_seconds` is the longest a closed record waits to be read; a stop takes at most the grace."""

    journal: Path
    database_url: str
    poll_seconds: float = 0.1
    batch_records: int = 25_000
    batch_bytes: int = 20 << 20
    stuck_retry_seconds: float = 30.0
    stop_grace_seconds: float = 20.0
    stop_when_away_seconds: float = 3.0


@dataclass(frozen=True)
class Settled:
    """What settling one dead folder came to. Money is micro-won.

    `returned` is the escrow that went back to the awards. A process that was `declared_lost` has none left: its
    usage was `charged` to the awards as far as they had the money, the rest stayed `uncovered`.
    """

    process_id: UUID
    posted: int
    interrupted: int
    lost: int
    declared_lost: bool = False
    returned_micro_won: int = 0
    charged_micro_won: int = 0
    uncovered_micro_won: int = 0


class FolderShipment:
    """Ships one process's folder until its process is dead and everything is settled."""

    def __init__(
        self, folder: Path, poster: UsagePoster, config: ShipperConfig, *, accept_damage: bool = False
    ) -> None:
        self.folder = folder
        self.process_id = UUID(folder.name)
        self.complaint = ""
        self._poster = poster
        self._config = config
        self._accept_damage = accept_damage
        self._lock = -1
        self._tail: JournalTail | None = None
        self._money_at_end: ProcessMoney | None = None

    async def run(self) -> None:
        """Until settled. Waits out a database that is away; complains once of what only people can mend."""
        backoff = Backoff()
        while self.folder.exists():
            try:
                while not await self._ship():
                    backoff.reset()
                    self.complaint = ""
                    await asyncio.sleep(self._config.poll_seconds)
                return
            except DatabaseAway:
                await asyncio.sleep(backoff.next_seconds())
            except MarkMoved:
                self._forget_tail()
            except (JournalDamaged, JournalError, ProcessStuck) as problem:
                self._forget_tail()
                self._complain(problem)
                await asyncio.sleep(self._config.stuck_retry_seconds)
            except OSError as problem:
                self._forget_tail()
                if not self.folder.exists():
                    return  # another shipper, which was just stopping, has settled it
                self._complain(problem)
                await asyncio.sleep(backoff.next_seconds())  # a full disk is not full for ever

    async def settle(self) -> Settled:
        """Settle the folder of a dead process now; whatever is in the way is raised."""
        self._lock = lock_folder(self.folder)
        posted_before = self._poster.posted_records
        before = await self._poster.money(self.process_id)
        outcome = await self._settle()
        after = self._money_at_end or before
        return Settled(
            self.process_id,
            self._poster.posted_records - posted_before,
            outcome.interrupted,
            outcome.lost,
            declared_lost=after.lost,
            returned_micro_won=after.escrow,
            charged_micro_won=after.charged - before.charged,
            uncovered_micro_won=after.uncovered - before.uncovered,
        )

    def close(self) -> None:
        self._forget_tail()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def unposted_bytes(self) -> int:
        """An estimate for people: what this task has not read yet."""
        if self._tail is not None:
            return self._tail.unread_bytes
        try:
            return sum(path.stat().st_size for _, path in segments(self.folder))
        except FileNotFoundError:
            return 0  # another shipper has settled it meanwhile

    async def _ship(self) -> bool:
        """Post what there is; true when there will never be more."""
        if self._lock >= 0 or self._take_lock():
            await self._settle()
            return True
        if self._tail is None:
            mark = await self._poster.mark(self.process_id)
            if mark is None:
                return False  # it is starting, and has no money to spend yet
            self._poster.forget_unplaced(self.process_id, mark)
            self._tail = JournalTail(self.folder, after=mark)
        await self._post_what_is_there(self._tail)
        return False

    async def _post_what_is_there(self, tail: JournalTail) -> None:
        """Read the next batch while the database works on this one."""
        posting: asyncio.Task[None] | None = None
        removable: list[Path] = []
        try:
            while True:
                batch = await self._next_batch(tail)
                if posting is not None:
                    await posting
                    posting = None
                    for path in removable:
                        path.unlink(missing_ok=True)
                if not batch.closed:
                    return
                removable = tail.finished_segments()
                posting = asyncio.create_task(self._poster.post(self.process_id, batch))
                await asyncio.sleep(0)
        except BaseException:
            # What was read and perhaps not posted must be read again from the database's mark.
            self._forget_tail()
            raise
        finally:
            if posting is not None:
                await asyncio.wait((posting,))
                if not posting.cancelled() and posting.exception() is not None:
                    self._forget_tail()

    async def _next_batch(self, tail: JournalTail) -> Batch:
        """In pieces: between them what was packed before goes on its way to the database."""
        batch = Batch()
        config = self._config
        while len(batch.closed) < config.batch_records and batch.bytes < config.batch_bytes:
            try:
                piece = tail.read(
                    max_records=min(_PIECE_RECORDS, config.batch_records - len(batch.closed)),
                    max_bytes=config.batch_bytes - batch.bytes,
                )
            except JournalDamaged:
                if batch.closed:
                    break  # what comes before the damage is posted first; then it is met again
                raise
            if not piece:
                break
            batch.add(piece)
            await asyncio.sleep(0)
        batch.pack()
        return batch

    # A dead process

    def _take_lock(self) -> bool:
        try:
            self._lock = lock_folder(self.folder)
        except JournalLocked:
            return False
        return True

    async def _settle(self) -> Recovered:
        self._forget_tail()
        mark = await self._poster.mark(self.process_id)
        if mark is None:
            if scan(self.folder).frames:
                raise ProcessStuck(f"the database does not know process {self.process_id}")
            self._remove()
            return Recovered(0, 0, 0)
        self._poster.forget_unplaced(self.process_id, mark)
        outcome = await self._complete(mark)
        self._money_at_end = await self._poster.money(self.process_id)
        await self._poster.finish(self.process_id)
        self._remove()
        if outcome.interrupted or outcome.lost:
            logger.warning(
                "process %s died: %d open requests recorded as interrupted, %d records lost",
                self.process_id, outcome.interrupted, outcome.lost,
            )  # fmt: skip
        return outcome

    async def _complete(self, mark: int) -> Recovered:
        """Post all there is, complete the journal, post what that added."""
        if self._accept_damage:
            outcome = recover(self.folder, posted=mark, accept_damage=True)
        self._tail = tail = JournalTail(self.folder, after=mark)
        tail.ended = True
        await self._post_what_is_there(tail)
        if not self._accept_damage:
            outcome = Recovered(0, 0, tail.sequence)
            if tail.open_requests:
                outcome = recover(self.folder, posted=tail.sequence)
                await self._post_what_is_there(tail)
        if tail.sequence != outcome.last_sequence:
            raise ProcessStuck(
                f"{self.folder}: the journal ends at {outcome.last_sequence}, posted are {tail.sequence}"
            )
        return outcome

    def _remove(self) -> None:
        self._forget_tail()
        if (self.folder / DAMAGED_NAME).exists():
            kept = self.folder.parent / DAMAGED_NAME
            kept.mkdir(exist_ok=True)
            self.folder.rename(kept / self.folder.name)
        else:
            done = self.folder.with_name(f".{self.folder.name}.done")
            self.folder.rename(done)
            shutil.rmtree(done, ignore_errors=True)
        self.close()

    def _forget_tail(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _complain(self, problem: Exception) -> None:
        text = str(problem)
        if text != self.complaint:
            self.complaint = text
            logger.error(
                "journal %s is not posted further: %s. Other journals go on; see `dure journal inspect` and"
                " `dure gateway recover`.",
                self.folder.name, text,
            )  # fmt: skip


class Shipper:
    """All folders of one journal directory."""

    def __init__(self, config: ShipperConfig) -> None:
        self.config = config
        self.connections = Connections(config.database_url, "dure-shipper", count=4)
        self.poster = UsagePoster(self.connections, config.journal / REFUSED_NAME)
        self._shipments: dict[str, tuple[FolderShipment, asyncio.Task[None]]] = {}
        self._starting_since: dict[str, float] = {}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Post what is left and end; folders of living processes are left to their next shipper."""
        self._stopping.set()

    async def run(self) -> None:
        self.config.journal.mkdir(parents=True, exist_ok=True)
        lock = await self._only_one()
        try:
            while not self._stopping.is_set():
                self._look_for_folders()
                await self._wait(2 * self.config.poll_seconds)
            await self._finish()
        finally:
            await self._end_tasks()
            await self.connections.close()
            if lock >= 0:
                os.close(lock)

    def _look_for_folders(self) -> None:
        for name, (shipment, task) in list(self._shipments.items()):
            if task.done():
                del self._shipments[name]
                shipment.close()
                if not task.cancelled() and (problem := task.exception()) is not None:
                    logger.error("shipping %s failed; it is tried again", name, exc_info=problem)
        for folder in process_folders(self.config.journal):
            if folder.name not in self._shipments:
                shipment = FolderShipment(folder, self.poster, self.config)
                self._shipments[folder.name] = (shipment, asyncio.create_task(shipment.run()))
        self._sweep()

    def _sweep(self) -> None:
        """Clear what a process left that died while starting, or a shipper while removing."""
        for path in self.config.journal.glob(".*.done"):
            shutil.rmtree(path, ignore_errors=True)
        starting = {path.name: path for path in self.config.journal.glob(".*.starting")}
        self._starting_since = {name: at for name, at in self._starting_since.items() if name in starting}
        for path in starting.values():
            self._sweep_starting(path)

    def _sweep_starting(self, path: Path) -> None:
        """By how long it has been seen here, not by its date: a clock that is set forward must not age it."""
        seen_at = self._starting_since.setdefault(path.name, time.monotonic())
        if time.monotonic() - seen_at < _LEFTOVER_SECONDS:
            return
        try:
            lock = lock_folder(path)
        except (JournalLocked, OSError):
            return
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)  # only now, or its process could begin to write into what is being removed

    async def _finish(self) -> None:
        """After the workers have ended: everything is posted, or it is said what is not."""
        began = time.monotonic()
        while True:
            self._look_for_folders()
            if not self._shipments:
                return
            waited = time.monotonic() - began
            away = not self.connections.connected and waited > self.config.stop_when_away_seconds
            stuck = all(shipment.complaint for shipment, _ in self._shipments.values())
            if away or stuck or waited > self.config.stop_grace_seconds:
                break
            await asyncio.sleep(self.config.poll_seconds)
        waiting = sum(shipment.unposted_bytes() for shipment, _ in self._shipments.values())
        logger.warning(
            "stopping with %d journals not settled (about %d bytes not posted): they are kept, and posted at"
            " the next start",
            len(self._shipments), waiting,
        )  # fmt: skip

    async def _end_tasks(self) -> None:
        for _, task in self._shipments.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._shipments.values()), return_exceptions=True)
        for shipment, _ in self._shipments.values():
            shipment.close()

    async def _only_one(self) -> int:
        """The directory's shipper lock; two shippers would do no harm, and no good either."""
        path = self.config.journal / SHIPPER_LOCK_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        told = False
        while not self._stopping.is_set():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except OSError as error:
                if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                    raise
            if not told:
                logger.warning("another shipper works on %s; waiting for it to end", self.config.journal)
                told = True
            await self._wait(0.5)
        os.close(descriptor)
        return -1

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            pass


def run_shipper(config: ShipperConfig) -> None:
    """The shipper's process: until SIGTERM, then until everything is posted or the grace is over."""
    import uvloop

    async def main() -> None:
        shipper = Shipper(config)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, shipper.stop)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # a terminal's Ctrl-C is the parent's to pass on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the node starts us with it held back
        await shipper.run()

    uvloop.run(main())


async def settle_folders(config: ShipperConfig, folders: list[Path], *, accept_damage: bool) -> list[Settled]:
    """Settle dead processes' folders by hand, one after another; the first obstacle is raised."""
    connections = Connections(config.database_url, "dure-recover", count=1)
    settled = []
    try:
        for folder in folders:
            poster = UsagePoster(connections, folder.parent / REFUSED_NAME)
            shipment = FolderShipment(folder, poster, config, accept_damage=accept_damage)
            try:
                settled.append(await shipment.settle())
            finally:
                shipment.close()
    finally:
        await connections.close()
    return settled
