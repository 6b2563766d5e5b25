"""The gateway's line to PostgreSQL: the doors of `contracts.gateway_api`, and what to do when it is away.

Nothing here is in the path of a request that has its money already. A call whose answer was lost may
have moved money all the same: it keeps its transfer id and is repeated in the background until its
outcome is known. Until then a lease counts as not granted and a give-back as gone, which errs to the
side of never spending what we do not hold.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql

from dure.contracts import gateway_api
from dure.contracts.directory import NOTIFY_CHANNEL
from dure.contracts.ids import uuid7
from dure.gateway.io.connections import (
    CALL_TIMEOUT_SECONDS,
    Backoff,
    Connections,
    DatabaseAway,
    DatabaseRefused,
    Row,
    abort,
    call,
    connect,
)

__all__ = ["Allotment", "DatabaseAway", "DatabaseLink", "DatabaseRefused", "Lease"]

logger = logging.getLogger(__name__)

LISTEN_CHECK_SECONDS = 3.0


class Lease(NamedTuple):
    """An answer to `lease`, micro-won. `granted` is 0 or at least what was needed."""

    granted: int
    award_left: int
    escrow_elsewhere: int


class Allotment(NamedTuple):
    """An answer to `allot`. `granted` is 0 or at least what was needed; `minute` is the database's."""

    granted: int
    left: int
    elsewhere: int
    minute: int
    ends_in_ms: int
    processes: int


class DatabaseLink:
    """The doors, for one gateway process. `start` it, and `close` it at the end.

    `on_credit(award, micro_won)` is called for money that arrives late: a lease whose answer had been
    lost, or a give-back that was refused after all. `on_recall(award)` passes on another process's
    request to give back what can be spared. `on_directory_changed()` and `on_connected()` say that it
    is worth asking for changes now. They run in the loop's thread and must not block.
    """

    def __init__(self, dsn: str, process_id: UUID, *, connections: int = 2) -> None:
        self.process_id = process_id
        self.on_credit: Callable[[str, int], None] = lambda _award, _micro_won: None
        self.on_recall: Callable[[str], None] = lambda _award: None
        self.on_directory_changed: Callable[[], None] = lambda: None
        self.on_connected: Callable[[], None] = lambda: None
        self._dsn = dsn
        self._name = f"dure-gateway {process_id}"
        self._pool = Connections(dsn, self._name, count=connections)
        self._tasks: set[asyncio.Task[object]] = set()
        self._closing = False

    def start(self) -> None:
        """Begin listening, reconnecting for as long as it takes."""
        self._spawn(self._listen())

    async def close(self) -> None:
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pool.close()

    @property
    def connected(self) -> bool:
        """Whether the database answered the last time it was asked."""
        return self._pool.connected

    @property
    def away_since(self) -> float | None:
        """When, on the monotonic clock, the database stopped answering; None while it answers."""
        return self._pool.away_since

    @property
    def last_error(self) -> str:
        return self._pool.last_error

    @property
    def unsettled(self) -> int:
        """Background work under way, the listener included: above one, an outcome is unknown."""
        return len(self._tasks)

    # The doors

    async def start_process(self, node: str, pid: int, version: str) -> None:
        await self._ask(gateway_api.START_PROCESS, (self.process_id, node, pid, version))

    async def heartbeat(self, figures: dict[str, Any]) -> None:
        await self._ask(gateway_api.HEARTBEAT, (self.process_id, msgspec.json.encode(figures).decode()))

    async def share(self) -> tuple[int, int]:
        """How many gateway processes live, and which of them (from 0) this one is."""
        rows = await self._ask(gateway_api.SHARE, (self.process_id,))
        processes, place = rows[0]
        return processes, place

    async def posted_sequence(self) -> int:
        """The last of this process's records that is in the ledger."""
        rows = await self._ask(gateway_api.POSTED_SEQUENCE, (self.process_id,))
        return int(rows[0][0] or 0)

    async def directory_changes(self, since: int) -> list[Row]:
        """Rows `(version, kind, id, payload text or None)` above `since`, by version."""
        return await self._ask(gateway_api.DIRECTORY_CHANGES, (since,), timeout_seconds=30.0)

    async def recall(self, award: str | UUID) -> None:
        await self._ask(gateway_api.RECALL, (str(award),))

    async def lease(self, award: str | UUID, needed: int) -> Lease:
        """Money from the award into this process's escrow.

        Raises `DatabaseAway`, or `DatabaseRefused` for an award that may not be leased from. If the
        caller is cancelled or the answer is lost, a grant that happened comes through `on_credit`.
        """
        award, transfer_id = str(award), uuid7()
        asked = self._spawn(self._lease_once(award, transfer_id, needed))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            self._spawn(self._credit_when_known(award, transfer_id, needed, asked))
            raise
        except DatabaseAway as away:
            if away.maybe_done:
                self._spawn(self._credit_when_known(award, transfer_id, needed, None))
            raise

    async def give_back(self, award: str | UUID, amount: int) -> bool:
        """Idle escrow back to the award; the caller has taken `amount` out of what it may spend.

        True once it is done; False when the answer is lost or the database away: it then goes on being
        tried in the background. `DatabaseRefused` means that nothing moved and nothing will.
        """
        award, transfer_id = str(award), uuid7()
        asked = self._spawn(self._give_back_once(award, transfer_id, amount))
        try:
            await asyncio.shield(asked)
        except asyncio.CancelledError:
            self._spawn(self._give_back_when_known(award, transfer_id, amount, asked))
            raise
        except DatabaseAway:
            self._spawn(self._give_back_when_known(award, transfer_id, amount, None))
            return False
        return True

    async def allot(
        self,
        subject: str,
        kind: str,
        *,
        revision: int,
        minute: int,
        holding: int,
        limit: int,
        needed: int,
        wanted: int,
    ) -> Allotment:
        """State what this process holds of a limit, and ask for more; `contracts.gateway_api.ALLOT`.

        An answer that is lost is not followed up here: the next statement, of a higher revision, puts it right, which for
        slots `app.allotments` makes sure of.
        """
        rows = await self._ask(
            gateway_api.ALLOT,
            (self.process_id, subject, kind, revision, minute, holding, limit, needed, wanted),
        )
        return Allotment(*rows[0])

    async def recall_slots(self, subject: str) -> None:
        await self._ask(gateway_api.RECALL_SLOTS, (subject,))

    # Outcomes

    async def _lease_once(self, award: str, transfer_id: UUID, needed: int) -> Lease:
        rows = await self._ask(gateway_api.LEASE, (self.process_id, award, transfer_id, needed))
        return Lease(*rows[0])

    async def _give_back_once(self, award: str, transfer_id: UUID, amount: int) -> None:
        await self._ask(gateway_api.GIVE_BACK, (self.process_id, award, transfer_id, amount))

    async def _credit_when_known(
        self, award: str, transfer_id: UUID, needed: int, asked: asyncio.Task[Lease] | None
    ) -> None:
        try:
            lease = await self._until_known(
                lambda: self._lease_once(award, transfer_id, needed), asked, only_if_maybe_done=True
            )
        except DatabaseRefused as refused:
            logger.warning("award %s: a lease was refused: %s", award, refused)
            return
        if lease is not None and lease.granted:
            self.on_credit(award, lease.granted)

    async def _give_back_when_known(
        self, award: str, transfer_id: UUID, amount: int, asked: asyncio.Task[None] | None
    ) -> None:
        try:
            await self._until_known(
                lambda: self._give_back_once(award, transfer_id, amount), asked, only_if_maybe_done=False
            )
        except DatabaseRefused as refused:
            logger.warning("award %s: %d micro-won could not be given back: %s", award, amount, refused)
            self.on_credit(award, amount)

    async def _until_known[T](
        self,
        once: Callable[[], Coroutine[Any, Any, T]],
        asked: asyncio.Task[T] | None,
        *,
        only_if_maybe_done: bool,
    ) -> T | None:
        """The outcome of a call, repeated until there is one; None for one that surely never left."""
        backoff = Backoff()
        if asked is not None:
            try:
                return await asked
            except DatabaseAway as away:
                if only_if_maybe_done and not away.maybe_done:
                    return None
        while True:
            await asyncio.sleep(backoff.next_seconds())
            try:
                return await once()
            except DatabaseAway:
                continue

    # Connections

    def _spawn[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, DatabaseAway | DatabaseRefused):
            logger.error("the database link: background work failed", exc_info=error)

    async def _ask(
        self, statement: str, parameters: tuple[object, ...], *, timeout_seconds: float = CALL_TIMEOUT_SECONDS
    ) -> list[Row]:
        return await self._pool.ask(statement, parameters, timeout_seconds=timeout_seconds)

    async def _listen(self) -> None:
        backoff = Backoff()
        channels = (NOTIFY_CHANNEL, gateway_api.RECALL_CHANNEL)
        listen = [sql.SQL("LISTEN {}").format(sql.Identifier(channel)) for channel in channels]
        while not self._closing:
            try:
                connection = await connect(self._dsn, application_name=f"{self._name} listening")
                try:
                    for statement in listen:
                        await connection.execute(statement)
                    backoff.reset()
                    self._pool.came_back()
                    self.on_connected()
                    await self._pass_on_notices(connection)
                finally:
                    abort(connection)
                    await connection.close()
            except (DatabaseAway, psycopg.Error) as error:
                away = error if isinstance(error, DatabaseAway) else DatabaseAway(str(error).split("\n")[0])
                self._pool.went_away(away)
            await asyncio.sleep(backoff.next_seconds())

    async def _pass_on_notices(self, connection: psycopg.AsyncConnection[Row]) -> None:
        while True:
            async for notice in connection.notifies(timeout=LISTEN_CHECK_SECONDS):
                if notice.channel == gateway_api.RECALL_CHANNEL:
                    self.on_recall(notice.payload)
                else:
                    self.on_directory_changed()
            await call(connection, "SELECT 1", ())
