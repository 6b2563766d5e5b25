"""`dure gateway`, `dure gateway recover` and `dure journal inspect`, as a person runs them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from dure.cli.gateway import gateway as gateway_command
from dure.cli.journal import journal as journal_command
from dure.control.foundation.money import format_won
from dure.gateway.protocol import journal
from gateway.database import Ledger, Postgres

from .conftest import COST, Process

pytestmark = pytest.mark.xdist_group("gateway-database")


def damage(path: Path) -> int:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return len(data) // 2


def test_inspect_shows_every_frame(root: Path, ledger: Ledger) -> None:
    process = Process(root, ledger)
    call = process.opened(process.id)
    path = process.write(
        journal.encode_opened(call),
        journal.encode_progress(call.request_id.bytes, 4, 90),
        journal.encode_closed(process.closed(process.id, request_id=call.request_id)),
    )

    text = CliRunner().invoke(journal_command, ["inspect", str(path)])
    lines = CliRunner().invoke(journal_command, ["inspect", str(process.folder), "--json"])

    assert text.exit_code == lines.exit_code == 0
    assert f"{path}: segment 1 of process {process.id}" in text.output
    assert f"opened    {call.request_id} smollm2-135m-instruct hold 100000 micro-won" in text.output
    assert f"progress  {call.request_id} 4 tokens, 90 bytes" in text.output
    assert f"closed    {call.request_id} #1 completed 38+12 tokens {COST} micro-won" in text.output
    assert text.output.endswith("1 opened, 1 progress, 1 closed (records 1 to 1), 0 damaged places\n")
    objects = [json.loads(line) for line in lines.output.splitlines()]
    assert [line["kind"] for line in objects] == ["header", "opened", "progress", "closed", "summary"]
    assert objects[3]["cost_micro_won"] == COST


def test_inspect_goes_on_behind_damage(root: Path, ledger: Ledger) -> None:
    process = Process(root, ledger)
    process.calls(process.id, 9)
    path = process.folder / "00000001.journal"
    hit = damage(path)

    result = CliRunner().invoke(journal_command, ["inspect", str(path), "--json"])

    assert result.exit_code == 1
    objects = [json.loads(line) for line in result.output.splitlines()]
    (place,) = [line for line in objects if line["kind"] == "damage"]
    assert place["offset"] <= hit < place["end"]
    assert objects[-1]["opened"] + objects[-1]["closed"] == 17


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"%PDF-1.7 and what comes after it", "does not begin with DUREJRNL"), (None, "holds no segments")],
)
def test_inspect_says_what_is_not_a_journal(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "file"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)

    result = CliRunner().invoke(journal_command, ["inspect", str(file)])

    assert result.exit_code == 1
    assert message in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def recover(server: Postgres, *arguments: object):
    return CliRunner().invoke(
        gateway_command, ["recover", "--database-url", server.gateway_dsn, *map(str, arguments)]
    )


def test_recover_settles_a_copied_journal(server: Postgres, root: Path, ledger: Ledger) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 3)
    process.write(journal.encode_opened(process.opened(award)))

    result = recover(server, "--journal", root)

    returned = format_won(process.leased - 3 * COST, "en")
    assert result.output == (
        f"{process.id}: 4 records posted, 1 of them interrupted, 0 lost; {returned} of escrow returned\n"
    )
    assert ledger.finished(process.id)
    assert ledger.balance(award, "award") == 10**9 - 3 * COST
    again = recover(server, "--journal", root)
    assert again.exit_code == 1
    assert "nothing to settle" in again.output


def test_recover_says_what_is_damaged_and_how_to_go_on(server: Postgres, root: Path, ledger: Ledger) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 9)
    damage(process.folder / "00000001.journal")

    refused = recover(server, "--journal", process.folder)
    assert refused.exit_code == 1
    assert "00000001.journal at byte" in refused.output
    assert "--accept-damage" in refused.output

    accepted = recover(server, "--journal", process.folder, "--accept-damage", "--json")
    assert accepted.exit_code == 0
    assert json.loads(accepted.output)["process_id"] == str(process.id)
    assert len(process.posted()) == 9
    assert ledger.finished(process.id)


def test_recover_without_a_database_is_a_sentence(root: Path, ledger: Ledger) -> None:
    Process(root, ledger)
    url = "host=127.0.0.1 port=1 user=nobody dbname=none"
    result = CliRunner().invoke(gateway_command, ["recover", "--journal", str(root), "--database-url", url])

    assert result.exit_code == 1
    assert "connection" in result.output
    assert "Traceback" not in result.output


_NODE = "from dure.cli.gateway import gateway; gateway()"


@contextmanager
def node(
    server: Postgres, folder: Path, *arguments: object, database_url: str = ""
) -> Iterator[subprocess.Popen]:
    folder.mkdir(exist_ok=True)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _NODE, "--journal", folder / "journal", "--database-url",
             database_url or server.gateway_dsn, "--ready-file", folder / "ready.json", *map(str, arguments)],
            stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def ready(folder: Path) -> dict:
    return until(
        lambda: json.loads((folder / "ready.json").read_text()) if (folder / "ready.json").exists() else None
    )


def until(condition, seconds: float = 15):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def log_of(folder: Path) -> str:
    return (folder / "log").read_text()


def test_a_node_restarts_what_dies_and_settles_it(server: Postgres, ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with node(server, folder, "--port", 0, "--workers", 2, "--node", "here") as process:
        report = ready(folder)
        assert sorted(report["pids"]) == ["gateway", "shipper", "worker-1", "worker-2"]
        (dead,) = ledger.connection.execute(
            "SELECT id FROM settlement_gatewayprocess WHERE os_pid = %s AND node = 'here'"
            " AND finished_at IS NULL", (report["pids"]["worker-1"],),
        ).fetchone()  # fmt: skip
        os.kill(report["pids"]["worker-1"], signal.SIGKILL)
        os.kill(report["pids"]["shipper"], signal.SIGKILL)
        until(lambda: ledger.finished(dead))
        until(lambda: ready(folder)["pids"]["worker-1"] != report["pids"]["worker-1"])
        assert "was killed by SIGKILL; starting it again in 0.1 s" in log_of(folder)
        until(lambda: len(list((folder / "journal").glob("*-*"))) == 2)

        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0

    assert not (folder / "ready.json").exists()
    assert [path.name for path in (folder / "journal").iterdir()] == ["shipper.lock"]
    assert "Traceback" not in log_of(folder)


def test_a_node_told_to_stop_while_its_shipper_is_dead_leaves_nothing_behind(
    server: Postgres, ledger: Ledger, tmp_path: Path
) -> None:
    """The shipper that is started for the end must not be told to end before it can hear it."""
    folder = tmp_path / "node"
    with node(server, folder, "--port", 0) as process:
        pids = ready(folder)["pids"]
        os.kill(pids["shipper"], signal.SIGKILL)
        until(lambda: "shipper (process" in log_of(folder))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0

    assert [path.name for path in (folder / "journal").iterdir()] == ["shipper.lock"]


def test_a_killed_parent_takes_its_children_along_in_order(
    server: Postgres, ledger: Ledger, tmp_path: Path
) -> None:
    folder = tmp_path / "node"
    with node(server, folder, "--port", 0) as process:
        pids = ready(folder)["pids"]
        process.kill()
        process.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()))

    assert [path.name for path in (folder / "journal").iterdir()] == ["shipper.lock"]


def test_a_port_in_use_is_a_sentence(server: Postgres, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with node(server, tmp_path / "node", "--port", port) as process:
            assert process.wait(timeout=15) == 1

    log = log_of(tmp_path / "node")
    assert f"port {port} on 127.0.0.1 is in use" in log
    assert "Traceback" not in log


def test_a_node_beside_another_for_a_restart_without_a_gap(
    server: Postgres, ledger: Ledger, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    with node(server, old, "--port", 0) as first:
        port = ready(old)["port"]
        with node(server, new, "--port", port, "--overlap") as second:
            assert ready(new)["port"] == port
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=15) == 0
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
            second.send_signal(signal.SIGTERM)
            assert second.wait(timeout=15) == 0


def test_the_elder_of_two_nodes_leaves_the_youngers_ready_file(server: Postgres, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    with node(server, folder, "--port", 0) as first:
        before = ready(folder)
        with node(server, folder, "--port", before["port"], "--overlap") as second:
            until(lambda: ready(folder)["pids"]["gateway"] == second.pid)
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=30) == 0
            assert ready(folder)["pids"]["gateway"] == second.pid
            second.send_signal(signal.SIGTERM)
            assert second.wait(timeout=30) == 0
            assert not (folder / "ready.json").exists()


def test_without_a_database_the_node_waits_and_stops_when_told(server: Postgres, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    url = "host=127.0.0.1 port=1 user=nobody dbname=none"
    with node(server, folder, "--port", 0, database_url=url) as process:
        until(lambda: "the database is away" in log_of(folder))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert "Traceback" not in log_of(folder)


def test_without_an_instance_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DURE_DATABASE_URL", "DURE_GATEWAY_DATABASE_URL", "DURE_DATA_DIR", "DURE_JOURNAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(gateway_command, [])

    assert result.exit_code == 1
    assert "There is no Dure in" in result.output
    assert "(no_instance)" in result.output
