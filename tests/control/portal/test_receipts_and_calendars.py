"""The pages, operations and commands around receipts and calendars."""

import json
from datetime import timedelta
from pathlib import Path

import icalendar
import pytest
from click.testing import CliRunner
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from dure.cli.main import dure
from dure.control.foundation import calendars, clock, receipts, signing
from dure.control.identity import selectors
from dure.control.identity.models import Person
from dure.control.programmes import services as programmes

from .conftest import SYSTEM, WON, client_of


@pytest.fixture(autouse=True)
def folder(settings, tmp_path: Path) -> None:
    settings.DURE_DATA_DIR = tmp_path
    settings.DURE_PORTAL_URL = "https://dure.example.kr"


@pytest.fixture
def anybody(db) -> Client:
    client = Client()
    client.cookies["dure_language"] = "en"
    return client


def test_anybody_verifies_a_receipt_pasted_or_chosen(anybody: Client) -> None:
    made = json.dumps(receipts.sign({"organisation": "<b>새벽</b>", "submission": 3}), ensure_ascii=False)
    assert "<textarea" in anybody.get("/verify/").text
    pasted = anybody.post("/verify/", {"receipt": made}).text
    assert "This receipt is genuine." in pasted
    assert "&lt;b&gt;새벽&lt;/b&gt;" in pasted
    chosen = anybody.post("/verify/", {"file": SimpleUploadedFile("receipt.json", made.encode())}).text
    assert "This receipt is genuine." in chosen
    changed = anybody.post("/verify/", {"receipt": made.replace("3", "4", 1)}).text
    assert "This receipt is not genuine." in changed


@pytest.mark.parametrize("given", [{}, {"receipt": "x"}, {"receipt": "{" * 9_999}])
def test_what_is_no_receipt_is_said_and_kept_to_be_put_right(anybody: Client, given: dict) -> None:
    answer = anybody.post("/verify/", given)
    assert answer.status_code == 422
    assert "This is not a receipt." in answer.text
    assert given.get("receipt", "") in answer.text


def test_a_file_that_is_no_text_is_no_receipt(anybody: Client) -> None:
    answer = anybody.post("/verify/", {"file": SimpleUploadedFile("x", b"\xff" * 300_000)})
    assert answer.status_code == 422


def test_rest_gives_keys_and_verifies(anybody: Client) -> None:
    made = receipts.sign({"a": 1})
    (key,) = anybody.get("/api/v1/signing-keys").json()
    assert (key["key_id"], key["current"]) == (made["key_id"], True)
    ask = {"content_type": "application/json"}
    assert anybody.post("/api/v1/receipts/verify", made, **ask).json() == {
        "genuine": True,
        "key": "current",
        "key_id": made["key_id"],
    }
    assert anybody.post("/api/v1/receipts/verify", {**made, "content": {}}, **ask).json()["genuine"] is False
    assert anybody.post("/api/v1/receipts/verify", {"content": {}}, **ask).status_code == 422


def test_the_command_verifies(db, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(receipts.sign({"a": 1})))
    genuine = CliRunner().invoke(dure, ["receipts", "verify", str(path)])
    assert (genuine.exit_code, genuine.output.split()[:2]) == (0, ["receipt", "genuine"])
    path.write_text(path.read_text().replace("1", "2", 1))
    assert CliRunner().invoke(dure, ["receipts", "verify", str(path), "--json"]).exit_code == 1
    keys = CliRunner().invoke(dure, ["receipts", "keys", "--json"]).output
    assert json.loads(keys)["key_id"] == signing.public_keys()[0].key_id


def grant():
    return programmes.grant_award(
        actor=SYSTEM,
        programme_slug="use",
        organisation_slug="startup",
        micro_won=WON,
        name="실증",
        valid_until=clock.now() + timedelta(days=30),
    ).award


def test_a_calendar_is_read_at_its_secret_address_alone(world, anybody: Client) -> None:
    award = grant()
    client = client_of("startup", "developer")
    shown = client.post("/notices/calendar/")
    assert (shown.status_code, shown["Cache-Control"]) == (201, "no-store")
    start = shown.text.index("https://dure.example.kr/calendar/")
    address = shown.text[start : shown.text.index(".ics", start) + 4].removeprefix("https://dure.example.kr")
    read = anybody.get(address)
    assert read["Content-Type"] == "text/calendar; charset=utf-8"
    (event,) = icalendar.Calendar.from_ical(read.content).walk("VEVENT")
    assert str(event["SUMMARY"]) == "지원 기간 종료: 실증"
    assert str(event["URL"]) == f"https://dure.example.kr/awards/{award.id}/"
    again = anybody.get(address, headers={"If-None-Match": read["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert anybody.get("/calendar/guess.ics").status_code == 404
    Person.objects.filter(email="startup-developer@example.kr").update(is_active=False)
    assert anybody.get(address).status_code == 404


def test_others_dates_are_in_nobodys_calendar(world) -> None:
    grant()
    client_of("company", "administrator")
    client_of("ministry", "officer")
    for slug in ("company-administrator", "ministry-officer"):
        person = selectors.person_by_email(f"{slug}@example.kr")
        assert calendars.events_of(person.id) == []


def test_an_address_is_made_and_ended_by_page_rest_and_command(world, anybody: Client) -> None:
    client = client_of("startup", "developer")
    assert client.get("/api/v1/calendar").status_code == 404
    made = client.post("/api/v1/calendar").json()["url"].removeprefix("https://dure.example.kr")
    assert anybody.get(made).status_code == 200
    assert client.get("/api/v1/calendar").json()["last_read_at"] is not None
    assert "Make a new address" in client.get("/notices/settings/").text
    client.post("/notices/calendar/end/")
    assert anybody.get(made).status_code == 404
    assert client.delete("/api/v1/calendar").json() == {"ended": False}
    email = "startup-developer@example.kr"
    told = CliRunner().invoke(dure, ["notices", "calendar", email]).output.strip()
    assert anybody.get(told.removeprefix("https://dure.example.kr")).status_code == 200
    assert CliRunner().invoke(dure, ["notices", "calendar", email, "--end"]).exit_code == 0


def test_everybodys_calendar_is_a_calendar(anybody: Client) -> None:
    assert icalendar.Calendar.from_ical(anybody.get("/calendar/calls.ics").content)["METHOD"] == "PUBLISH"
