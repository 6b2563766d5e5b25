"""From journals into the ledger: every record once, whatever dies when."""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.gateway.app import shipper as shipper_app
from dure.gateway.app.shipper import FolderShipment, Shipper, ShipperConfig, settle_folders
from dure.gateway.io import connections as connections_io
from dure.gateway.io.connections import Connections, DatabaseAway
from dure.gateway.io.journal import JournalLocked, JournalWriter, lock_folder
from dure.gateway.io.journal_tail import JournalDamaged
from dure.gateway.io.usage_poster import ProcessStuck, UsagePoster
from dure.gateway.protocol import journal
from gateway.database import Ledger, Postgres

from .conftest import COST, Process

pytestmark = pytest.mark.xdist_group("gateway-database")


@pytest.fixture
def config(server: Postgres, root: Path) -> ShipperConfig:
    return ShipperConfig(root, server.gateway_dsn, poll_seconds=0.02, batch_records=7, stop_grace_seconds=8)


def ship_to_the_end(config: ShipperConfig) -> Shipper:
    shipper = Shipper(config)
    shipper.stop()
    asyncio.run(shipper.run())
    return shipper


async def until(condition, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def assert_settled(process: Process, award, granted: int, calls: int) -> None:
    """Each call once, in order; its money moved; the rest back with the award; nothing left behind."""
    posted = process.posted()
    assert [row[0] for row in posted] == list(range(1, calls + 1))
    assert len({row[1] for row in posted}) == calls
    spent = sum(row[3] for row in posted)
    assert process.ledger.balance(award, "award") == granted - spent
    assert process.ledger.balance(award, "escrow") == 0
    assert process.ledger.finished(process.id)
    assert not process.folder.exists()


def test_a_dead_process_is_settled(root: Path, ledger: Ledger, config: ShipperConfig) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 20)
    relayed, silent = process.opened(award), process.opened(award)
    process.write(
        journal.encode_opened(relayed),
        journal.encode_progress(relayed.request_id.bytes, 10, 500),
        journal.encode_opened(silent),
    )

    ship_to_the_end(config)

    assert_settled(process, award, 10**9, 22)
    assert process.posted()[-2:] == [
        (21, relayed.request_id, "interrupted", 40 * 120 + 10 * 480),
        (22, silent.request_id, "interrupted", 0),
    ]
    assert [path.name for path in root.iterdir()] == ["shipper.lock"]


def test_a_living_process_is_posted_as_it_writes(root: Path, ledger: Ledger, server: Postgres) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**7)
    process.folder.rmdir()

    async def main() -> list[float]:
        writer = JournalWriter(process.folder, asyncio.get_running_loop(), segment_bytes=4000)
        shipper = Shipper(ShipperConfig(root, server.gateway_dsn))
        running = asyncio.create_task(shipper.run())
        lags = []
        for count in range(1, 16):
            record = process.closed(award)
            writer.append(journal.encode_opened(process.opened(award, record.request_id)))
            writer.append(journal.encode_closed(record))
            began = time.monotonic()
            await until(lambda count=count: len(process.posted()) == count)
            lags.append(time.monotonic() - began)
        assert len(list(process.folder.glob("*.journal"))) <= 2, "posted segments are let go"
        assert not ledger.finished(process.id)
        writer.close()
        await until(lambda: not process.folder.exists())
        shipper.stop()
        await running
        return lags

    lags = asyncio.run(main())

    assert_settled(process, award, 10**9, 15)
    assert sorted(lags)[len(lags) // 2] < 0.25


def test_a_paused_process_keeps_its_folder(root: Path, ledger: Ledger, config: ShipperConfig) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 3)
    process.write(journal.encode_opened(process.opened(award)))
    lock = lock_folder(process.folder)

    ship_to_the_end(replace(config, stop_grace_seconds=0.3))

    assert len(process.posted()) == 3
    assert process.folder.exists()
    assert not ledger.finished(process.id)
    with pytest.raises(JournalLocked):
        asyncio.run(settle_folders(config, [process.folder], accept_damage=False))
    os.close(lock)
    ship_to_the_end(config)
    assert_settled(process, award, 10**9, 4)


@pytest.mark.parametrize("seed", range(4))
def test_lost_answers_post_nothing_twice(
    root: Path, ledger: Ledger, config: ShipperConfig, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    real = connections_io.call

    async def unreliable(connection, statement, parameters, **limits):
        fate = chance.random()
        if fate < 0.2:
            raise DatabaseAway("lost before it was sent", maybe_done=True)
        rows = await real(connection, statement, parameters, **limits)
        if fate < 0.5:
            raise DatabaseAway("the answer was lost", maybe_done=True)
        return rows

    monkeypatch.setattr(connections_io, "call", unreliable)
    monkeypatch.setattr(connections_io.Backoff, "next_seconds", lambda self: 0.002)
    award = ledger.grant(10**9)
    processes = [Process(root, ledger) for _ in range(3)]
    for process in processes:
        process.lease(award, 10**6)
        process.calls(award, 30)
        process.write(journal.encode_opened(process.opened(award)))

    ship_to_the_end(replace(config, stop_grace_seconds=30, stop_when_away_seconds=30))

    for process in processes:
        assert [row[0] for row in process.posted()] == list(range(1, 32))
        assert ledger.finished(process.id)
    assert ledger.balance(award, "award") == 10**9 - 90 * COST
    assert ledger.balance(award, "escrow") == 0


_SHIP = """
import asyncio, sys
from pathlib import Path
from dure.gateway.app.shipper import Shipper, ShipperConfig
shipper = Shipper(ShipperConfig(Path(sys.argv[1]), sys.argv[2], poll_seconds=0.01, batch_records=5))
print("started", flush=True)
shipper.stop()
asyncio.run(shipper.run())
"""


def test_killed_at_any_moment_and_started_again(root: Path, ledger: Ledger, server: Postgres) -> None:
    award = ledger.grant(10**9)
    processes = []
    for _ in range(4):
        process = Process(root, ledger)
        process.lease(award, 10**7)
        process.calls(award, 150)
        process.write(*(journal.encode_opened(process.opened(award)) for _ in range(10)))
        processes.append(process)
    chance = random.Random(3)
    kills = 0
    while any(process.folder.exists() for process in processes):
        shipper = subprocess.Popen(
            [sys.executable, "-c", _SHIP, str(root), server.gateway_dsn], stdout=subprocess.PIPE
        )
        assert shipper.stdout is not None
        shipper.stdout.readline()
        try:
            # The first ones soon, so that there are some on a quick machine, too.
            latest = 0.03 if kills < 3 else 0.25
            shipper.wait(timeout=chance.uniform(0.0, latest) if kills < 30 else 30)
        except subprocess.TimeoutExpired:
            shipper.kill()
            shipper.wait()
            kills += 1
        shipper.stdout.close()

    assert kills >= 3
    for process in processes:
        assert [row[0] for row in process.posted()] == list(range(1, 161))
        assert len({row[1] for row in process.posted()}) == 160
        assert ledger.finished(process.id)
    assert ledger.balance(award, "award") == 10**9 - 600 * COST
    assert ledger.balance(award, "escrow") == 0


def refuse(process: Process, award, **changes: object) -> bytes:
    return journal.encode_closed(process.closed(award, **changes))


def test_a_refused_record_is_kept_and_the_others_are_posted(
    root: Path, ledger: Ledger, config: ShipperConfig, caplog: pytest.LogCaptureFixture
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 5)
    too_dear = process.closed(award, cost_micro_won=10**8)
    too_long = process.closed(award, model="m" * 121)
    process.write(journal.encode_closed(too_dear), journal.encode_closed(too_long))
    process.calls(award, 5)

    shipper = ship_to_the_end(config)

    rows = process.posted()
    assert [row[0] for row in rows] == list(range(1, 13))
    assert [row[3] for row in rows] == [COST] * 5 + [0, 0] + [COST] * 5
    assert rows[5][1] == too_dear.request_id  # its usage is known, its money is not charged
    assert_settled(process, award, 10**9, 12)
    assert shipper.poster.refused_records == 2
    kept = sorted((root / "refused").iterdir())
    assert [path.name for path in kept] == [f"{process.id}-{number:012d}.json" for number in (6, 7)]
    report = json.loads(kept[0].read_text())
    assert "exceeds_credits" in report["reason"]
    assert json.loads(report["record"])["cost_micro_won"] == 10**8
    assert caplog.text.count("was refused") == 2


def test_a_finished_process_takes_nothing_and_loses_nothing(
    root: Path, ledger: Ledger, config: ShipperConfig
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    ledger.connection.execute(gateway_api.FINISH_PROCESS, (process.id,))
    process.calls(award, 5)

    with pytest.raises(ProcessStuck, match="is finished"):
        asyncio.run(settle_folders(config, [process.folder], accept_damage=False))

    assert process.folder.exists()
    assert list((root / "refused").iterdir()) == []
    assert process.posted() == []


def test_a_process_the_database_never_knew(root: Path, ledger: Ledger, config: ShipperConfig) -> None:
    award = ledger.grant(10**9)
    empty = Process(root, ledger, known=False)
    empty.write()
    stranger = Process(root, ledger, known=False)
    stranger.calls(award, 1)

    ship_to_the_end(config)

    assert not empty.folder.exists()
    assert stranger.folder.exists()
    with pytest.raises(ProcessStuck, match="does not know process"):
        asyncio.run(settle_folders(config, [stranger.folder], accept_damage=False))


def test_a_damaged_journal_stops_alone(
    root: Path, ledger: Ledger, config: ShipperConfig, caplog: pytest.LogCaptureFixture
) -> None:
    award = ledger.grant(10**9)
    damaged, sound = Process(root, ledger), Process(root, ledger)
    for process in (damaged, sound):
        process.lease(award, 10**6)
        records = process.calls(award, 6)
    path = next(damaged.folder.glob("*.journal"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    ship_to_the_end(config)

    assert len(records) == 6
    assert ledger.finished(sound.id)
    posted_before = len(damaged.posted())
    assert 0 < posted_before < 6
    assert not ledger.finished(damaged.id)
    assert f"{path} at byte" in caplog.text
    assert caplog.text.count("is not posted further") == 1
    with pytest.raises(JournalDamaged):
        asyncio.run(settle_folders(config, [damaged.folder], accept_damage=False))

    (settled,) = asyncio.run(settle_folders(config, [damaged.folder], accept_damage=True))

    assert settled.posted == 6 - posted_before
    assert_settled(damaged, award, 10**9 - 6 * COST, 6)
    kept = root / "damaged" / str(damaged.id) / "damaged" / path.name
    assert kept.read_bytes() == bytes(data)


def test_what_a_dead_shipper_left_is_cleared(
    root: Path, ledger: Ledger, config: ShipperConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper_app, "_LEFTOVER_SECONDS", 0.0)
    process = Process(root, ledger)
    done = root / f".{process.id}.done"
    starting = root / f".{process.id}.starting"
    for folder in (done, starting):
        folder.mkdir()
        (folder / "lock").touch()
    process.folder.rmdir()

    ship_to_the_end(config)

    assert [path.name for path in root.iterdir()] == ["shipper.lock"]


def test_a_process_that_starts_while_the_clock_jumps_keeps_its_folder(
    root: Path, config: ShipperConfig
) -> None:
    starting = root / f".{uuid7()}.starting"
    starting.mkdir()
    os.utime(starting, (0, 0))

    ship_to_the_end(config)

    assert starting.exists()


def test_two_shippers_do_not_work_on_one_folder(root: Path, config: ShipperConfig, caplog) -> None:
    async def main() -> None:
        first, second = Shipper(config), Shipper(config)
        tasks = [asyncio.create_task(first.run())]
        await asyncio.sleep(0.05)
        tasks.append(asyncio.create_task(second.run()))
        await until(lambda: "another shipper works on" in caplog.text)
        first.stop()
        second.stop()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_two_readers_of_one_living_journal_post_it_once(
    root: Path, ledger: Ledger, config: ShipperConfig
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**7)
    process.calls(award, 200)
    lock = lock_folder(process.folder)

    async def main() -> None:
        lines = [Connections(config.database_url, f"reader {number}") for number in range(2)]
        tasks = []
        for number, line in enumerate(lines):
            of_its_own = replace(config, batch_records=5 + number * 3)
            shipment = FolderShipment(process.folder, UsagePoster(line, root / "refused"), of_its_own)
            tasks.append(asyncio.create_task(shipment.run()))
        await until(lambda: len(process.posted()) == 200)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for line in lines:
            await line.close()

    asyncio.run(main())
    os.close(lock)

    assert [row[0] for row in process.posted()] == list(range(1, 201))


def test_the_database_dies_and_comes_back(
    ledger: Ledger, root: Path, config: ShipperConfig, server: Postgres, caplog
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**7)
    process.calls(award, 200)
    lock = lock_folder(process.folder)  # the process lives

    async def main() -> None:
        shipper = Shipper(config)
        running = asyncio.create_task(shipper.run())
        await until(lambda: len(process.posted()) >= 20)
        ledger.close()
        await asyncio.to_thread(server.kill)
        process.calls(award, 100)  # whatever was posted by now, these are not
        await until(lambda: "the database is away" in caplog.text)
        await asyncio.to_thread(server.start)
        os.close(lock)
        await until(lambda: not process.folder.exists(), 20)
        shipper.stop()
        await running

    asyncio.run(main())

    process.ledger = Ledger(server.dsn)
    assert_settled(process, award, 10**9, 300)
    process.ledger.close()
    assert caplog.text.count("the database is away") == 1
    assert caplog.text.count("the database is back") == 1


def test_a_folder_that_another_shipper_settles_is_let_go(
    root: Path,
    ledger: Ledger,
    config: ShipperConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A node that is stopped while it waits for its predecessor's shipper makes two of them for a moment."""
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 3)
    real, before = FolderShipment._take_lock, []

    def too_late(self: FolderShipment) -> bool:
        if not before:
            before.append(self)
            process.folder.rename(root / f".{process.folder.name}.done")
        return real(self)

    monkeypatch.setattr(FolderShipment, "_take_lock", too_late)

    began = time.monotonic()
    ship_to_the_end(config)

    assert time.monotonic() - began < 5
    assert "not posted further" not in caplog.text
    poster = UsagePoster(Connections(config.database_url, "test"), root / "refused")
    assert FolderShipment(process.folder, poster, config).unposted_bytes() == 0


def test_a_disk_that_was_full_does_not_hold_a_journal_up(
    root: Path, ledger: Ledger, config: ShipperConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 3)
    process.write(journal.encode_opened(process.opened(award)))
    real, failures = shipper_app.recover, [OSError(28, "No space left on device")]

    def recover(*arguments, **options):
        if failures:
            raise failures.pop()
        return real(*arguments, **options)

    monkeypatch.setattr(shipper_app, "recover", recover)

    async def main() -> None:
        shipper = Shipper(config)
        running = asyncio.create_task(shipper.run())
        await until(lambda: not process.folder.exists(), seconds=5)
        shipper.stop()
        await running

    asyncio.run(main())

    assert not failures
    assert_settled(process, award, 10**9, 4)
