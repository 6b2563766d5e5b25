"""`dure organisations` beyond adding and listing: every verb, by what it prints and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from tests.control.foundation import samples
from tests.control.identity.organisations import SYSTEM, new_number, officer, person

from dure.cli._context import run
from dure.cli.organisations import organisations
from dure.cli.people import people
from dure.control.identity import selectors
from dure.control.programmes import services as programmes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def language_stays() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str, group: Any = organisations) -> Any:
        assert run(group, list(arguments)) == 0, capsys.readouterr().err
        printed = capsys.readouterr().out
        lines = [json.loads(line) for line in printed.splitlines()] if "--json" in arguments else [printed]
        return lines[0] if len(lines) == 1 else lines

    return call


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(organisations, list(arguments)) == 1
    return capsys.readouterr().err.rpartition("(")[2].partition(")")[0]


@pytest.fixture
def haneul(cli: Any) -> str:
    person("kim@example.kr")
    view = cli(
        *(
            "found",
            new_number(),
            "--name",
            "하늘랩",
            "--kind",
            "startup",
            "--administrator",
            "kim@example.kr",
        ),
        *("--size", "small", "--founded", "2024-03-02", "--region", "KR-11", "--json"),
    )
    assert (view["slug"], view["verification_state"]) == ("haneullaep", "unverified")
    return str(view["slug"])


def test_founding_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    person("kim@example.kr")
    rest = ["--name", "하늘랩", "--kind", "startup", "--administrator"]
    assert refused(capsys, "found", "123-45-67890", *rest, "kim@example.kr") == (
        "registration_number_check_digit"
    )
    assert refused(capsys, "found", new_number(), *rest, "no@example.kr") == "person_not_found"


def test_an_organisation_is_verified_by_its_certificate(
    cli: Any, haneul: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, "ask", haneul) == "business_registration_missing"
    file = tmp_path / "사업자등록증.pdf"
    file.write_bytes(samples.pdf())
    document = cli("documents", "add", haneul, str(file), "--kind", "business_registration", "--json")
    assert document["state"] == "asked"
    assert cli("ask", haneul, "--json")["verification_state"] == "asked"
    assert cli("waiting", "--json")["slug"] == haneul
    assert cli("refuse", haneul, "--reason", "흐릿함", "--json")["verification_state"] == "refused"
    cli("ask", haneul)
    assert cli("verify", haneul, "--json")["verification_state"] == "verified"
    fetched = tmp_path / "fetched.pdf"
    cli("documents", "fetch", haneul, document["id"], str(fetched))
    assert fetched.read_bytes() == samples.pdf()
    assert cli("edit", haneul, "--size", "medium", "--json")["verification_state"] == "asked"
    assert cli("documents", "refuse", document["id"], "--reason", "위조", "--json")["state"] == "refused"
    assert cli("documents", "accept", document["id"], "--json")["state"] == "accepted"
    assert cli("documents", "list", haneul, "--json")["id"] == document["id"]


def test_people_are_invited_changed_and_let_go(
    cli: Any, haneul: str, capsys: pytest.CaptureFixture[str]
) -> None:
    person("lee@example.kr")
    invitation = cli("invitations", "send", haneul, "lee@example.kr", "--role", "viewer", "--json")
    assert "acts for" in cli("invitations", "answer", invitation["id"], "--accept")
    cli("members", "set", haneul, "lee@example.kr", "--role", "developer")
    lent = cli(
        *("delegations", "lend", haneul, "--from", "kim@example.kr", "--to", "lee@example.kr"),
        *("--role", "administrator", "--until", "2027-01-31", "--reason", "휴가", "--json"),
    )
    assert lent["state"] == "in_force"
    assert cli("delegations", "end", lent["id"], "--json")["state"] == "revoked"
    assert len(cli("members", "list", haneul, "--json")) == 2
    cli("members", "end", haneul, "lee@example.kr")
    assert refused(capsys, "members", "end", haneul, "kim@example.kr") == "last_administrator"
    other = cli("invitations", "send", haneul, "park@example.kr", "--role", "viewer", "--json")
    assert refused(capsys, "invitations", "resend", other["id"]) == "invitation_just_sent"
    assert cli("invitations", "revoke", other["id"], "--json")["state"] == "revoked"


def test_connections_make_a_group(cli: Any, haneul: str) -> None:
    link = cli("links", "declare", haneul, "--owner", "지주회사", "--share", "66.7", "--json")
    assert (link["state"], link["share_bp"]) == ("declared", 6_670)
    assert cli("links", "confirm", link["id"], "--json")["state"] == "confirmed"
    assert cli("links", "ask-end", link["id"], "2027-01-31", "--json")["end_asked_on"] == "2027-01-31"
    assert cli("links", "end", link["id"], "2027-01-31", "--json")["valid_until"] == "2027-01-31"
    assert cli("group", haneul, "--json")["slug"] == haneul
    assert cli("links", "list", haneul, "--json")["id"] == link["id"]


def test_roles_in_one_programme(cli: Any) -> None:
    clerk, lee = officer(), person("lee@example.kr")
    assert clerk.organisation_id is not None
    programmes.add_programme(
        actor=SYSTEM, slug="ai-2027", name_ko="사업", krw_micro_won=10**12, agency_slug="ministry"
    )
    given = cli("programme-roles", "give", "ai-2027", "lee@example.kr", "officer", "--json", group=people)
    assert [one.role for one in selectors.programme_roles(lee)] == ["officer"]
    assert cli("programme-roles", "list", "ai-2027", "--json", group=people)["id"] == given["id"]
    cli("programme-roles", "take", given["id"], group=people)
    assert selectors.programme_roles(lee) == []
