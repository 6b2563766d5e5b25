"""Journals brought back from lost nodes, and processes that were declared lost, on a real PostgreSQL."""

import json
import shutil
import signal
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner

from dure.cli.gateway import gateway as gateway_command
from dure.contracts import gateway_api
from dure.gateway.io.loose import FolderExists, folders_to_settle
from dure.gateway.protocol import journal
from gateway.database import Ledger, Postgres

from .conftest import COST, Process
from .test_commands import log_of, node, ready, recover, until

pytestmark = pytest.mark.xdist_group("gateway-database")


def declare_lost(ledger: Ledger, process: UUID, award: UUID) -> int:
    """What the control plane does when the second officer confirms, said in SQL; what was returned."""
    with ledger.connection.transaction():
        held = ledger.connection.execute(
            "SELECT e.id, a.id, (e.credits_posted - e.debits_posted)::bigint FROM settlement_gatewayprocess p"
            " JOIN ledger_account e ON e.counterpart_id = p.id AND e.kind = 'escrow'"
            " JOIN ledger_account a ON a.owner_id = e.owner_id AND a.kind = 'award'"
            " WHERE p.id = %s FOR UPDATE OF p",
            (process,),
        ).fetchone()
        returned = held[2] if held else 0
        if held and returned:
            ledger.connection.execute(
                "SELECT ledger_post(uuidv7(), %s, %s, %s, 'correction')", (held[0], held[1], returned)
            )
        ledger.connection.execute(
            "UPDATE settlement_gatewayprocess SET lost_at = clock_timestamp() WHERE id = %s", (process,)
        )
        ledger.connection.execute(
            "INSERT INTO settlement_lostescrow VALUES (%s, %s, %s, 0, 0)", (process, award, returned)
        )
    return returned


def test_a_lost_process_is_settled_and_it_is_said_what_became_of_the_money(
    server: Postgres, root: Path, ledger: Ledger
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 3)
    process.write(journal.encode_opened(process.opened(award)))
    declare_lost(ledger, process.id, award)
    assert ledger.balance(award, "award") == 10**9

    said = recover(server, "--journal", root)

    assert said.output == (
        f"{process.id}: 4 records posted, 1 of them interrupted, 0 lost; declared lost before, so ₩0.03096"
        " charged to the awards and ₩0 left uncovered\n"
    )
    assert ledger.finished(process.id)
    assert ledger.balance(award, "award") == 10**9 - 3 * COST
    assert not process.folder.exists()


def test_what_the_award_no_longer_has_is_said_to_be_uncovered(
    server: Postgres, root: Path, ledger: Ledger
) -> None:
    award = ledger.grant(10**6)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 3)
    declare_lost(ledger, process.id, award)
    other = Process(root / "other", ledger)
    other.lease(award, 10**6 - COST)

    settled = json.loads(recover(server, "--journal", process.folder, "--json").output)

    assert (settled["declared_lost"], settled["posted"]) == (True, 3)
    assert (settled["charged_micro_won"], settled["uncovered_micro_won"]) == (COST, 2 * COST)
    assert [cost for _, _, _, cost in process.posted()] == [COST, 0, 0]
    assert ledger.balance(award, "award") == 0


# What is brought back


def test_a_bare_file_says_itself_whose_it_is(
    server: Postgres, root: Path, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine, with nothing but the file and the database's address."""
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 3)
    rescue = tmp_path / "rescue"
    rescue.mkdir()
    file = rescue / "from the burnt disk.journal"
    shutil.copy(process.folder / "00000001.journal", file)
    shutil.rmtree(root)
    for name in ("DURE_GATEWAY_DATABASE_URL", "DURE_DATA_DIR", "DURE_JOURNAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DURE_DATABASE_URL", server.dsn)
    monkeypatch.chdir(rescue)

    said = CliRunner().invoke(gateway_command, ["recover", "--journal", str(file)])

    assert said.output.startswith(f"{process.id}: 3 records posted, 0 of them interrupted, 0 lost; ")
    assert ledger.finished(process.id)
    assert [path.name for path in rescue.iterdir()] == [file.name], "what was brought back stays as it is"
    again = CliRunner().invoke(gateway_command, ["recover", "--journal", str(file)])
    assert again.exit_code == 0
    assert "0 records posted" in again.output


def test_loose_files_of_several_processes_are_sorted_out(
    server: Postgres, root: Path, ledger: Ledger, tmp_path: Path
) -> None:
    award = ledger.grant(10**9)
    rescue = tmp_path / "rescue"
    rescue.mkdir()
    processes = [Process(root, ledger) for _ in range(2)]
    for number, process in enumerate(processes):
        process.lease(award, 10**6)
        process.calls(award, 2)
        process.calls(award, 1)
        for segment in process.folder.glob("*.journal"):
            shutil.copy(segment, rescue / f"{'ab'[number]}-{segment.name}")

    said = recover(server, "--journal", rescue)

    assert said.exit_code == 0
    assert all(ledger.finished(process.id) for process in processes)
    assert [len(process.posted()) for process in processes] == [3, 3]


def test_a_file_in_its_folder_stands_for_the_folder(root: Path, ledger: Ledger) -> None:
    process = Process(root, ledger, known=False)
    path = process.write()
    assert folders_to_settle(path) == folders_to_settle(process.folder) == [process.folder]
    assert folders_to_settle(root) == [process.folder]


def test_a_second_segment_alone_does_not_pass_for_the_whole(
    server: Postgres, root: Path, ledger: Ledger, tmp_path: Path
) -> None:
    award = ledger.grant(10**9)
    process = Process(root, ledger)
    process.lease(award, 10**6)
    process.calls(award, 2)
    process.calls(award, 2)
    file = tmp_path / "second.journal"
    shutil.copy(process.folder / "00000002.journal", file)
    refused = recover(server, "--journal", file)
    assert refused.exit_code == 1
    assert "record 3 follows record 0" in refused.output
    assert not ledger.finished(process.id)


def test_a_folder_beside_its_loose_file_is_not_guessed_at(root: Path, ledger: Ledger) -> None:
    process = Process(root, ledger, known=False)
    loose = root / "loose.journal"
    shutil.copy(process.write(), loose)
    process.write()
    (process.folder / "00000001.journal").write_bytes(b"")
    with pytest.raises(FolderExists, match="give that folder"):
        folders_to_settle(loose)


def test_files_that_are_no_journals_are_a_sentence(server: Postgres, tmp_path: Path) -> None:
    for content in (b"%PDF-1.7 and what comes after it is long enough", b""):
        file = tmp_path / "x.journal"
        file.write_bytes(content)
        refused = recover(server, "--journal", file)
        assert refused.exit_code == 1
        assert "does not begin as a journal does" in refused.output
        assert "Traceback" not in refused.output


# A process that was only cut off


def test_a_living_process_that_was_declared_lost_ends_and_its_node_starts_another(
    server: Postgres, ledger: Ledger, tmp_path: Path
) -> None:
    folder = tmp_path / "node"
    with node(server, folder, "--port", 0, "--node", "cut-off") as parent:
        ready(folder)
        (first,) = ledger.connection.execute(
            "SELECT id FROM settlement_gatewayprocess WHERE node = 'cut-off' AND finished_at IS NULL"
        ).fetchone()
        declare_lost(ledger, first, ledger.grant(10**6))
        until(lambda: "may spend nothing more and ends" in log_of(folder))
        until(lambda: ledger.finished(first))
        (second,) = until(
            lambda: ledger.connection.execute(
                "SELECT id FROM settlement_gatewayprocess WHERE node = 'cut-off' AND finished_at IS NULL"
            ).fetchone()
        )
        assert second != first
        until(lambda: _figures(ledger, second).get("directory_version") is not None)
        told = _figures(ledger, second)
        assert told["journal_unposted_records"] == 0
        assert told["deployments"] == {}
        assert told["directory_age_seconds"] < 5
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(timeout=20) == 0
    assert "Traceback" not in log_of(folder)


def _figures(ledger: Ledger, process: UUID) -> dict:
    (figures,) = ledger.connection.execute(
        "SELECT figures FROM settlement_gatewayprocess WHERE id = %s", (process,)
    ).fetchone()
    return figures


def test_a_lost_process_is_told_by_its_heartbeat(ledger: Ledger, root: Path) -> None:
    import psycopg

    award = ledger.grant(10**6)
    process = Process(root, ledger)
    declare_lost(ledger, process.id, award)
    with pytest.raises(psycopg.Error) as refused:
        ledger.connection.execute(gateway_api.HEARTBEAT, (process.id, "{}"))
    assert refused.value.sqlstate == gateway_api.NO_PROCESS
