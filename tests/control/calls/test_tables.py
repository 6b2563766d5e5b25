"""The list of calls as a file: what the filters let through, with exact sums."""

import csv
from io import StringIO

from .conftest import World, won
from .test_pages import browser


def test_the_list_comes_as_csv_with_its_filters(world: World) -> None:
    world.published("api-2026")
    world.call("a-draft")
    answer = browser(None).get("/calls/?export=csv&kind=api_support")
    rows = list(csv.DictReader(StringIO(b"".join(answer).decode("utf-8-sig"))))
    assert [(row["slug"], row["phase"], row["most_micro_won"]) for row in rows] == [
        ("api-2026", "open", str(won(10_000_000)))
    ]


def test_an_officer_finds_their_drafts_in_the_workbook(world: World) -> None:
    world.call("a-draft")
    answer = browser(world.officer).get("/calls/?export=xlsx")
    assert answer.status_code == 200
    assert answer["Content-Type"].endswith("spreadsheetml.sheet")
    assert b"".join(answer).startswith(b"PK")
    answer.close()
