"""`dure gateway nodes` and `declare-lost`: what waits for a silent gateway, and two officers at a keyboard."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection
from tests.cli.test_awards_and_keys import SYSTEM, Run, award, run

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.control.foundation import clock
from dure.control.identity import selectors as identity_selectors
from dure.control.identity import services as identity
from dure.control.settlement.models import GatewayProcess

__all__ = ["award", "run"]  # fixtures


@pytest.fixture
def process(run: Run, award: UUID) -> UUID:
    """Silent for five minutes, with ₩64 of the award."""
    made = uuid7()
    with connection.cursor() as cursor:
        cursor.execute(gateway_api.START_PROCESS, [made, "busan-gw-1", 4711, "1.0"])
        cursor.execute(gateway_api.LEASE, [made, award, uuid7(), 1_000_000])
    GatewayProcess.objects.filter(pk=made).update(last_seen_at=clock.now() - timedelta(minutes=5))
    return made


def token_of(name: str, role: str = "officer") -> str:
    person = identity.add_person(actor=SYSTEM, email=f"{name}@example.kr", name=name)
    ministry = identity_selectors.organisation("ministry")
    identity.add_membership(actor=SYSTEM, person_id=person.id, organisation_id=ministry.id, roles=[role])
    return identity.issue_token(actor=identity_selectors.actor_for(person_id=person.id), name="cli")[1]


def test_without_a_gateway(run: Run) -> None:
    status, out, err = run("gateway", "nodes")
    assert (status, out) == (0, "")
    assert "No gateway runs" in err


def test_what_waits_is_listed(run: Run, award: UUID, process: UUID) -> None:
    status, out, _ = run("gateway", "nodes")
    assert status == 0
    assert "Money that waits for silent gateways:" in out
    row = out.splitlines()[-1].split()
    assert row[:4] == ["busan-gw-1", str(process), str(award), "₩64"]
    told = json.loads(run("gateway", "nodes", "--json")[1])
    assert (told["state"], told["escrow_micro_won"], told["loss"]) == ("silent", 64_000_000, None)
    assert told["waiting"] == [{"award_id": str(award), "micro_won": 64_000_000}]
    assert "₩64 since" in run("awards", "show", award)[1]


def test_two_officers(run: Run, process: UUID, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = token_of("first"), token_of("second")
    monkeypatch.setenv("DURE_TOKEN", first)
    status, out, _ = run("gateway", "declare-lost", "busan-gw-1", "--reason", "burnt down")
    assert status == 0
    assert out.startswith(
        f"{process}: asked for; ₩64 waits. Another officer confirms it with --confirm until "
    )
    status, _, err = run("gateway", "declare-lost", process, "--confirm")
    assert status == 1
    assert "(second_officer_needed)" in err
    (file := tmp_path / "token").write_text(f"{second}\n")
    confirmed = run("gateway", "declare-lost", "busan-gw-1", "--confirm", "--token-file", file)
    assert confirmed == (0, f"{process}: declared lost; ₩64 is back in the awards\n", "")
    assert json.loads(run("gateway", "nodes", "--json")[1])["state"] == "lost"
    assert json.loads(run("ledger", "verify", "--json")[1])["ok"]


def test_withdrawing(run: Run, process: UUID) -> None:
    first, second = token_of("first"), token_of("second")
    run("gateway", "declare-lost", process, "--reason", "burnt down", "--token", first)
    status, out, _ = run("gateway", "declare-lost", process, "--withdraw", "--token", second, "--json")
    assert (status, json.loads(out)["state"]) == (0, "withdrawn")


def test_who_sits_at_the_keyboard_must_be_known(
    run: Run, process: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DURE_TOKEN", raising=False)
    ask = ("gateway", "declare-lost", process, "--reason", "burnt down")
    assert "(token_missing)" in run(*ask)[2]
    assert "(invalid_token)" in run(*ask, "--token", "dure-pat-nonsense")[2]
    assert "(officer_needed)" in run(*ask, "--token", token_of("operator", "operator"))[2]
    assert "(reason_missing)" in run(*ask[:3], "--token", token_of("first"))[2]


def test_names_that_mean_nothing_silent(run: Run, process: UUID) -> None:
    token = token_of("first")
    unknown = run("gateway", "declare-lost", "no-such-node", "--reason", "x", "--token", token)
    assert unknown[0] == 1
    assert "nothing is known by that name" in unknown[2]
    early = run("gateway", "declare-lost", "busan-gw-1", "--confirm", "--token", token)
    assert "that was asked for" in early[2]
    GatewayProcess.objects.update(last_seen_at=clock.now())
    alive = run("gateway", "declare-lost", "busan-gw-1", "--reason", "x", "--token", token)
    assert "what is there of it: running" in alive[2]
    assert "(process_alive)" in run("gateway", "declare-lost", process, "--reason", "x", "--token", token)[2]
    assert run("gateway", "declare-lost", process, "--confirm", "--withdraw", "--token", token)[0] == 2
