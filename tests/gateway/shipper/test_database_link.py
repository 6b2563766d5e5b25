"""The gateway's line to PostgreSQL: no money appears twice or is forgotten when answers are lost."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from dure.contracts.ids import uuid7
from dure.gateway.io import connections as connections_io
from dure.gateway.io.database import DatabaseAway, DatabaseLink, DatabaseRefused, Lease
from dure.gateway.io.directory_sync import DirectorySync
from gateway.database import Ledger, Postgres

pytestmark = pytest.mark.xdist_group("gateway-database")


class Fate:
    """Decides what becomes of the next calls: `sent` ones are carried out and their answer is lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.next: list[str] = []
        self._real = connections_io.call
        monkeypatch.setattr(connections_io, "call", self.call)
        monkeypatch.setattr(connections_io.Backoff, "next_seconds", lambda self: 0.01)

    async def call(self, connection, statement, parameters, **limits):
        fate = self.next.pop(0) if self.next else "answered"
        if fate == "not sent":
            raise DatabaseAway("the line is dead", maybe_done=True)
        rows = await self._real(connection, statement, parameters, **limits)
        if fate == "sent":
            raise DatabaseAway("the answer was lost", maybe_done=True)
        return rows


@pytest.fixture
def fate(monkeypatch: pytest.MonkeyPatch) -> Fate:
    return Fate(monkeypatch)


def with_link(server: Postgres, work: Callable[[DatabaseLink], Awaitable[None]]) -> None:
    async def main() -> None:
        link = DatabaseLink(server.gateway_dsn, uuid7())
        await link.start_process("test", 1, "0")
        try:
            await work(link)
        finally:
            await link.close()

    asyncio.run(main())


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def credits_of(link: DatabaseLink) -> list[tuple[str, int]]:
    late: list[tuple[str, int]] = []
    link.on_credit = lambda award, amount: late.append((award, amount))
    return late


def test_a_lease_and_what_is_left(server: Postgres, ledger: Ledger) -> None:
    award = ledger.grant(1000)

    async def work(link: DatabaseLink) -> None:
        first = await link.lease(award, 900)
        assert first == Lease(granted=900, award_left=100, escrow_elsewhere=0)
        assert await link.lease(str(award), 101) == Lease(0, 100, 0)
        assert await link.give_back(award, 300) is True
        assert ledger.balance(award, "award") == 400

    with_link(server, work)


@pytest.mark.parametrize("lost", [["sent"], ["sent", "sent"], ["not sent"], ["sent", "not sent", "sent"]])
def test_a_lease_whose_answer_was_lost_is_credited_once(
    server: Postgres, ledger: Ledger, fate: Fate, lost: list[str]
) -> None:
    award = ledger.grant(1000)

    async def work(link: DatabaseLink) -> None:
        late = credits_of(link)
        fate.next = list(lost)
        with pytest.raises(DatabaseAway):
            await link.lease(award, 900)
        await until(lambda: bool(late))
        await until(lambda: link.unsettled == 0)
        assert late == [(str(award), 900)]
        assert ledger.balance(award, "escrow") == 900

    with_link(server, work)


def test_a_lease_whose_caller_left_is_credited(server: Postgres, ledger: Ledger) -> None:
    award = ledger.grant(1000)

    async def work(link: DatabaseLink) -> None:
        late = credits_of(link)
        asking = asyncio.create_task(link.lease(award, 900))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: late == [(str(award), 900)])

    with_link(server, work)


def test_a_give_back_whose_answer_was_lost_happens_once(server: Postgres, ledger: Ledger, fate: Fate) -> None:
    award = ledger.grant(1000)

    async def work(link: DatabaseLink) -> None:
        late = credits_of(link)
        await link.lease(award, 900)
        fate.next = ["sent", "not sent", "sent"]
        assert await link.give_back(award, 300) is False
        await until(lambda: link.unsettled == 0)
        assert ledger.balance(award, "escrow") == 600
        assert late == []

    with_link(server, work)


def test_a_refused_give_back_moves_nothing(server: Postgres, ledger: Ledger, fate: Fate) -> None:
    award = ledger.grant(1000)

    async def work(link: DatabaseLink) -> None:
        late = credits_of(link)
        await link.lease(award, 900)
        with pytest.raises(DatabaseRefused, match="exceeds_credits"):
            await link.give_back(award, 901)
        fate.next = ["not sent"]
        assert await link.give_back(award, 901) is False
        await until(lambda: late == [(str(award), 901)])
        assert ledger.balance(award, "escrow") == 900

    with_link(server, work)


def test_notices_reach_the_process(server: Postgres, ledger: Ledger) -> None:
    award = ledger.grant(1000)

    async def work(link: DatabaseLink) -> None:
        recalled: list[str] = []
        changes: list[int] = []
        connected: list[int] = []
        link.on_recall = recalled.append
        link.on_directory_changed = lambda: changes.append(1)
        link.on_connected = lambda: connected.append(1)
        link.start()
        await until(lambda: bool(connected))
        await link.recall(award)
        ledger.publish("award", str(award), '{"x":1}')
        await until(lambda: recalled == [str(award)] and bool(changes))
        await link.heartbeat({"open_requests": 3})

    with_link(server, work)


def test_a_server_that_died_is_away_at_once_and_used_again_when_back(
    server: Postgres, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    award = ledger.grant(1000)
    ledger.close()

    async def work(link: DatabaseLink) -> None:
        connected: list[int] = []
        link.on_connected = lambda: connected.append(1)
        link.start()
        await until(lambda: bool(connected))
        await asyncio.to_thread(server.kill)
        for _ in range(20):
            began = time.monotonic()
            with pytest.raises(DatabaseAway):
                await link.lease(award, 1)
            assert time.monotonic() - began < 0.5
        assert not link.connected
        assert link.away_since is not None
        await asyncio.to_thread(server.start)
        await until(lambda: len(connected) == 2)
        assert (await link.lease(award, 900)).granted == 900
        assert link.connected

    with_link(server, work)
    assert caplog.text.count("the database is away") == 1


def test_a_server_that_does_not_answer_is_away_after_the_time_limit(
    server: Postgres, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    award = ledger.grant(1000)

    async def work(link: DatabaseLink) -> None:
        late = credits_of(link)
        first = await link.lease(award, 100)
        backends = [
            row[0]
            for row in ledger.connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s",
                (f"dure-gateway {link.process_id}",),
            )
        ]
        assert backends
        stopped = [server.pid, *backends]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(DatabaseAway, match="no answer within"):
                await link.lease(award, 100)
            assert 2.5 < time.monotonic() - began < 5
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        await until(lambda: bool(late))
        assert len(late) == 1
        assert ledger.balance(award, "escrow") == first.granted + late[0][1]

    with_link(server, work)


class Kept:
    """A directory that only remembers."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.applied: list[int] = []

    def apply(self, version: int, kind: str, entry_id: str, payload: str | None) -> None:
        self.applied.append(version)
        if payload == '"not understood"':
            raise ValueError("not understood")
        if payload is None:
            self.entries.pop((kind, entry_id), None)
        else:
            self.entries[kind, entry_id] = payload


def test_changes_arrive_within_a_second_and_survive_an_absence(server: Postgres, ledger: Ledger) -> None:
    key = str(uuid7())
    ledger.publish("key", key, '{"n":1}')

    async def work(link: DatabaseLink) -> None:
        nonlocal ledger
        directory = Kept()
        sync = DirectorySync(directory, link)
        assert sync.age_seconds is None
        await sync.load()
        assert directory.entries["key", key] == '{"n":1}'
        link.start()
        following = asyncio.create_task(sync.follow())
        await asyncio.sleep(0.2)
        began = time.monotonic()
        ledger.publish("key", key, None)
        await until(lambda: ("key", key) not in directory.entries)
        assert time.monotonic() - began < 0.4, "the notice came, not the poll"

        ledger.close()
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(0.7)
        kept = dict(directory.entries)
        assert sync.age_seconds > 0.5
        assert directory.entries == kept
        await asyncio.to_thread(server.start)
        ledger = Ledger(server.dsn)
        ledger.publish("key", key, '{"n":2}')
        await until(lambda: directory.entries.get(("key", key)) == '{"n":2}')
        await until(lambda: sync.age_seconds < 0.6)
        assert directory.applied == sorted(directory.applied)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    with_link(server, work)
    ledger.close()


def test_a_lease_whose_connection_died_with_its_answer_is_asked_about_again(
    server: Postgres, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repetition that found nobody to ask must not make us forget the first question."""
    award = ledger.grant(1000)
    real_call, real_connect = connections_io.call, connections_io.connect
    monkeypatch.setattr(connections_io.Backoff, "next_seconds", lambda self: 0.01)
    refusals = iter((True, False))

    async def call_and_die(connection, statement, parameters, **limits):
        await real_call(connection, statement, parameters, **limits)
        monkeypatch.setattr(connections_io, "call", real_call)
        await connection.close()
        raise DatabaseAway("the server closed the connection unexpectedly", maybe_done=True)

    async def connect_later(dsn, **options):
        if next(refusals, False):
            raise DatabaseAway("connection refused")
        return await real_connect(dsn, **options)

    async def work(link: DatabaseLink) -> None:
        late = credits_of(link)
        monkeypatch.setattr(connections_io, "call", call_and_die)
        monkeypatch.setattr(connections_io, "connect", connect_later)
        with pytest.raises(DatabaseAway) as raised:
            await link.lease(award, 900)
        assert raised.value.maybe_done
        await until(lambda: late == [(str(award), 900)])
        assert ledger.balance(award, "escrow") == 900

    with_link(server, work)


def test_processes_learn_how_many_they_are_and_which_of_them(server: Postgres, ledger: Ledger) -> None:
    async def main() -> None:
        execute = ledger.connection.execute
        execute("UPDATE settlement_gatewayprocess SET last_seen_at = now() - interval '1 hour'")
        links = [DatabaseLink(server.gateway_dsn, name) for name in sorted(uuid7() for _ in range(3))]
        for link in links:
            await link.start_process("test", 1, "0")
        assert [await link.share() for link in links] == [(3, 0), (3, 1), (3, 2)]
        execute(
            "UPDATE settlement_gatewayprocess SET last_seen_at = now() - interval '11 seconds' WHERE id = %s",
            (links[0].process_id,),
        )
        assert [await link.share() for link in links[1:]] == [(2, 0), (2, 1)]
        # One that has not been heard of lately still counts itself.
        assert await links[0].share() == (3, 0)
        for link in links:
            await link.close()

    asyncio.run(main())
