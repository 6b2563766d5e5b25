"""Every list of the portal comes as a file too, with the filters of its address."""

import csv
import io

import openpyxl
import pytest

from dure.control.programmes import services as programmes

from .conftest import SYSTEM, WON, client_of


def grant(name: str) -> str:
    granted = programmes.grant_award(
        actor=SYSTEM,
        programme_slug="use",
        organisation_slug="startup",
        micro_won=1_000 * WON,
        name=name,
        name_en=name,
    )
    return str(granted.award.id)


def read(client, address: str) -> list[list[str]]:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


def workbook(client, address: str):
    answer = client.get(address)
    made = openpyxl.load_workbook(io.BytesIO(answer.getvalue())).active
    for close in answer._resource_closers:  # close() would end the test's transaction with the request
        close()
    return [[cell.value for cell in row] for row in made.iter_rows()]


def test_awards_keep_their_filters_and_every_page(world) -> None:
    for number in range(25):
        grant(f"=award {number}")
    client = client_of("ministry", "officer")
    rows = read(client, "/awards/?export=csv")
    assert (len(rows), rows[1][1]) == (26, "'=award 24")
    assert len(read(client, "/awards/?export=csv&q=award+2")) == 7
    found = workbook(client, "/awards/?export=xlsx&q=award+24")
    assert (found[0][1], found[1][1], found[1][4]) == ("Award", "=award 24", "open")
    assert "export=csv" in client.get("/awards/?q=award").text
    assert "q=award&amp;export=csv" in client.get("/awards/?q=award&page=2").text


def test_others_awards_are_in_no_file(world) -> None:
    award_id = grant("theirs")
    client = client_of("company", "administrator")
    assert len(read(client, "/awards/?export=csv")) == 1
    assert client.get(f"/awards/{award_id}/calls.csv?export=xlsx").status_code == 404


@pytest.mark.parametrize(
    ("slug", "role", "address", "first"),
    [
        ("startup", "developer", "/awards/{award}/calls.csv", "request_id"),
        ("ministry", "auditor", "/ledger/{book}/transfers.csv", "sequence"),
        ("startup", "developer", "/models/?export=csv", "name"),
        ("ministry", "operator", "/operations/?export=csv", "id"),
        ("company", "provider_manager", "/earnings.csv", "group"),
    ],
)
def test_each_list_is_a_file(world, slug: str, role: str, address: str, first: str) -> None:
    address = address.format(award=grant("ours"), book=world.id)
    client = client_of(slug, role)
    rows = read(client, address)
    assert rows[0][0] == first
    assert len(workbook(client, address.replace("?export=csv", "") + "?export=xlsx")) == len(rows)


def test_a_book_has_what_its_hashes_are_computed_from(world) -> None:
    grant("ours")
    rows = read(client_of("ministry", "auditor"), f"/ledger/{world.id}/transfers.csv")
    assert rows[0] == [
        *("sequence", "id", "created_at", "kind", "unit", "debit_account", "debit_kind", "debit_owner"),
        *("credit_account", "credit_kind", "credit_owner", "amount", "memo", "corrects"),
        *("previous_hash", "hash"),
    ]
    assert [row[3] for row in rows[1:]] == ["award", "appropriation"]
