"""Connections to PostgreSQL that come and go: time limits, reconnecting, and errors in two words.

`DatabaseAway` is what repeating may cure, `DatabaseRefused` what it will not. Every door of
`contracts.gateway_api` may be called again with the same arguments, so a call on a connection that
turns out to be dead is repeated at once on a fresh one.
"""

import asyncio
import logging
import os
import random
import socket
import time
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

logger = logging.getLogger(__name__)

CALL_TIMEOUT_SECONDS = 3.0
CONNECT_TIMEOUT_SECONDS = 3
FIRST_BACKOFF_SECONDS = 0.05
LAST_BACKOFF_SECONDS = 2.0

#: What repeating may cure: connection (08), rollback (40), resources (53), lock (55), operator (57),
#: system (58); and what a migration that is still running cures: role (28), database (3D), schema
#: (3F), missing function or grant (42).
_PASSING_CLASSES = ("08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58")

Row = tuple[Any, ...]


class DatabaseAway(Exception):
    """PostgreSQL did not answer. `maybe_done` tells whether the statement may have been carried out."""

    def __init__(self, message: str, *, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class DatabaseSilent(DatabaseAway):
    """The time limit passed: there is a server, and it does not answer."""


class DatabaseRefused(Exception):
    """PostgreSQL answered, with an error that repeating will not cure; nothing was changed."""

    def __init__(self, message: str, *, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class JsonText:
    """JSON as the bytes it already is, for a parameter of type text."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _JsonTextDumper(Dumper):
    def dump(self, obj: JsonText) -> Buffer:
        return obj.data


class BinaryArray:
    """An array in PostgreSQL's binary form, for a parameter of the subclass's type."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Int4Array(BinaryArray): ...


class Int8Array(BinaryArray): ...


class UuidArray(BinaryArray): ...


class _BinaryArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> Buffer:
        return obj.data


class _Int4ArrayDumper(_BinaryArrayDumper):
    oid = 1007


class _Int8ArrayDumper(_BinaryArrayDumper):
    oid = 1016


class _UuidArrayDumper(_BinaryArrayDumper):
    oid = 2951


class Backoff:
    """Doubling waits with jitter, so that many processes do not come back in one step."""

    def __init__(self, first: float = FIRST_BACKOFF_SECONDS, last: float = LAST_BACKOFF_SECONDS) -> None:
        self._first = first
        self._last = last
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def next_seconds(self) -> float:
        wait = self._next * random.uniform(0.7, 1.3)  # noqa: S311 - not for secrets
        self._next = min(self._next * 2, self._last)
        return wait


def translated(error: psycopg.Error, *, maybe_done: bool) -> DatabaseAway | DatabaseRefused:
    """The database's error in our two words, without the connection string or a statement's parameters."""
    state = error.sqlstate
    text = (error.diag.message_primary or str(error).split("\n")[0]).strip() or type(error).__name__
    if state is None or state[:2] in _PASSING_CLASSES:
        # A server that is shutting down (57P) may have committed before it said so.
        lost = state is None or state.startswith("57P")
        return DatabaseAway(text, maybe_done=maybe_done and lost)
    return DatabaseRefused(text, sqlstate=state)


async def connect(dsn: str, *, application_name: str) -> psycopg.AsyncConnection[Row]:
    """A connection in autocommit mode; `DatabaseAway` if there is none to be had."""
    try:
        connection = await psycopg.AsyncConnection.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name=application_name,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
        )
    except psycopg.Error as error:
        raise DatabaseAway(str(translated(error, maybe_done=False))) from None
    connection.adapters.register_dumper(JsonText, _JsonTextDumper)
    connection.adapters.register_dumper(Int4Array, _Int4ArrayDumper)
    connection.adapters.register_dumper(Int8Array, _Int8ArrayDumper)
    connection.adapters.register_dumper(UuidArray, _UuidArrayDumper)
    return connection


def abort(connection: psycopg.AsyncConnection[Row]) -> None:
    """End a connection that may never answer, so that whoever waits on it is woken at once.

    Cancelling the waiting task would make psycopg ask the server to cancel and wait for it, which a
    server that has stopped does not answer.
    """
    try:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        pass  # it has ended already


async def call(
    connection: psycopg.AsyncConnection[Row],
    statement: str,
    parameters: tuple[object, ...],
    *,
    timeout_seconds: float = CALL_TIMEOUT_SECONDS,
) -> list[Row]:
    """Run one statement to its end or to the time limit, whatever happens to the caller."""

    async def run() -> list[Row]:
        cursor = await connection.execute(statement, parameters)
        return await cursor.fetchall() if cursor.description else []

    work = asyncio.ensure_future(run())
    try:
        done, _ = await asyncio.wait((work,), timeout=timeout_seconds)
    except asyncio.CancelledError:
        abort(connection)
        work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise
    if not done:
        abort(connection)
        await asyncio.wait((work,))
    try:
        return work.result()
    except psycopg.Error as error:
        if not done:
            raise DatabaseSilent(f"no answer within {timeout_seconds:g} s", maybe_done=True) from None
        raise translated(error, maybe_done=True) from None


class Connections:
    """A few connections, made when they are needed and again when they are lost. Used from one loop."""

    def __init__(self, dsn: str, name: str, *, count: int = 2) -> None:
        self.connected = False
        self.away_since: float | None = time.monotonic()
        self.last_error = ""
        self._dsn = dsn
        self._name = name
        self._idle: asyncio.LifoQueue[psycopg.AsyncConnection[Row] | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._idle.put_nowait(None)
        self._backoff = Backoff()
        self._try_again_at = 0.0
        self._connections: set[psycopg.AsyncConnection[Row]] = set()

    async def close(self) -> None:
        for connection in list(self._connections):
            abort(connection)
            await connection.close()
        self._connections.clear()

    async def ask(
        self,
        statement: str,
        parameters: tuple[object, ...],
        *,
        timeout_seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> list[Row]:
        connection = await self._idle.get()
        maybe_done = False
        try:
            if connection is not None and not connection.closed:
                try:
                    rows = await call(connection, statement, parameters, timeout_seconds=timeout_seconds)
                    self.came_back()
                    return rows
                except DatabaseAway as away:
                    if isinstance(away, DatabaseSilent) or not connection.closed:
                        raise
                    maybe_done = away.maybe_done
            connection = await self._connect()
            rows = await call(connection, statement, parameters, timeout_seconds=timeout_seconds)
            self.came_back()
            return rows
        except DatabaseAway as away:
            # The first try may have been carried out, even if the second did not so much as leave.
            away.maybe_done = away.maybe_done or maybe_done
            self.went_away(away)
            raise
        finally:
            if connection is not None and connection.closed:
                self._connections.discard(connection)
                connection = None
            self._idle.put_nowait(connection)

    async def _connect(self) -> psycopg.AsyncConnection[Row]:
        if time.monotonic() < self._try_again_at:
            raise DatabaseAway(self.last_error or "the database is away")
        connection = await connect(self._dsn, application_name=self._name)
        self._connections.add(connection)
        return connection

    def came_back(self) -> None:
        if self.away_since is not None:
            if self.last_error:
                logger.warning("the database is back after %.1f s", time.monotonic() - self.away_since)
            self.away_since = None
            self._backoff.reset()
            self._try_again_at = 0.0
        self.connected = True

    def went_away(self, away: DatabaseAway) -> None:
        self.connected = False
        now = time.monotonic()
        if self.away_since is None or not self.last_error:
            self.away_since = self.away_since or now
            logger.warning("the database is away: %s", away)
        self.last_error = str(away)
        if now >= self._try_again_at:
            self._try_again_at = now + self._backoff.next_seconds()
