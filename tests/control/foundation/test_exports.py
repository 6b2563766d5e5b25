"""Lists as files: exact, typed, in the reader's language, and never a formula."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime

import openpyxl
import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from hypothesis import given
from hypothesis import strategies as st

from dure.control.foundation import exports
from dure.control.foundation.exports import Column

COLUMNS = (
    Column("name", _("Notices")),
    Column("calls", "호출", "number"),
    Column("granted_won", "확정", "won"),
    Column("cost_micro_won", "비용", "micro_won"),
    Column("day", "날", "date"),
    Column("at", "때", "moment"),
    Column("open", "열림", "yes_no"),
    Column("state", "상태", words={"open": _("Notices")}),
)
ROW = {
    "name": "새벽, 소프트",
    "calls": 3,
    "granted_won": 1_000_000 * 10**6,
    "cost_micro_won": 1_234_567,
    "day": date(2026, 11, 25),
    "at": datetime(2026, 11, 24, 15, 30, 5, tzinfo=UTC),
    "open": True,
    "state": "open",
}
EMPTY = dict.fromkeys(ROW)


def content(response: HttpResponse) -> bytes:
    read = response.getvalue() if hasattr(response, "getvalue") else b"".join(response.streaming_content)
    for close in response._resource_closers:  # what close() does, but for the signal that a request has ended
        close()
    return read


def as_csv(rows, columns=COLUMNS) -> list[list[str]]:
    text = content(exports.table(kind="csv", name="목록", columns=columns, rows=rows)).decode()
    assert text[0] == "\N{ZERO WIDTH NO-BREAK SPACE}"
    return list(csv.reader(io.StringIO(text[1:], newline="")))


def as_workbook(rows, columns=COLUMNS) -> list[tuple]:
    made = content(exports.table(kind="xlsx", name="목록", columns=columns, rows=rows))
    (sheet,) = openpyxl.load_workbook(io.BytesIO(made)).worksheets
    return [tuple(cell.value for cell in row) for row in sheet.iter_rows()]


def test_a_csv_has_keys_exact_sums_and_moments_in_utc() -> None:
    with translation.override("ko"):
        assert as_csv([ROW, EMPTY]) == [
            ["name", "calls", "granted_won", "cost_micro_won", "day", "at", "open", "state"],
            [
                "새벽, 소프트",
                "3",
                "1000000",
                "1234567",
                "2026-11-25",
                "2026-11-24T15:30:05+00:00",
                "true",
                "open",
            ],
            [""] * 8,
        ]


def test_a_workbook_has_titles_typed_cells_and_seouls_time() -> None:
    with translation.override("ko"):
        head, first, second = as_workbook([ROW, EMPTY | {"name": "달래"}])
    assert head == (
        *("알림", "호출", "확정(원)", "비용(원)", "비용(마이크로원, 정확한 값)", "날", "때", "열림", "상태"),
    )
    assert first == (
        *("새벽, 소프트", 3, 1_000_000, 1.234567, 1_234_567),
        *(datetime(2026, 11, 25), datetime(2026, 11, 25, 0, 30, 5), True, "알림"),  # noqa: DTZ001
    )
    assert second == ("달래", *(None,) * 8)


@pytest.mark.parametrize("text", ["=1+1", "+82 2", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"])
def test_nothing_is_taken_for_a_formula(text: str) -> None:
    column = (Column("name", "이름"),)
    assert as_csv([{"name": text}], column)[1] == [f"'{text}"]
    made = content(exports.table(kind="xlsx", name="x", columns=column, rows=[{"name": text}]))
    cell = openpyxl.load_workbook(io.BytesIO(made)).active["A2"]
    assert cell.data_type in {"s", "inlineStr"}


def test_a_negative_sum_is_a_number_and_no_formula() -> None:
    columns = (Column("a", "a", "won"), Column("b", "b", "number"), Column("c", "c", "micro_won"))
    row = {"a": -1_500_000, "b": -3, "c": -1}
    assert as_csv([row], columns)[1] == ["-1.5", "-3", "-1"]
    assert as_workbook([row], columns)[1] == (-1.5, -3, -0.000001, -1)


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_exact_sum_survives_both_files(micro_won: int) -> None:
    columns = (Column("a", "a", "micro_won"),)
    assert int(as_csv([{"a": micro_won}], columns)[1][0]) == micro_won
    assert int(as_workbook([{"a": micro_won}], columns)[1][1]) == micro_won


@given(st.text(max_size=60))
def test_any_text_comes_back(text: str) -> None:
    (_head, (read,)) = as_csv([{"a": text}], (Column("a", "a"),))
    assert read.removeprefix("'") == text.removeprefix("'")


def test_a_list_without_rows_has_its_headings() -> None:
    assert (len(as_csv([])), len(as_workbook([]))) == (1, 1)


def test_a_csv_flows_and_asks_for_no_row_before_its_turn() -> None:
    asked = 0

    def endless() -> Iterator[dict]:
        nonlocal asked
        while True:
            asked += 1
            yield ROW

    response = exports.table(kind="csv", name="x", columns=COLUMNS, rows=endless())
    flow = iter(response.streaming_content)
    assert [next(flow) is not None for _ in range(4)] == [True] * 4
    assert asked <= 4


def test_a_workbook_that_is_cut_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_WORKBOOK_ROWS", 2)
    with translation.override("en"):
        rows = as_workbook([{"a": "1"}, {"a": "2"}, {"a": "3"}], (Column("a", "a"),))
    assert [row[0][:13] for row in rows] == ["a", "1", "2", "There is more"]


def test_the_name_is_korean_and_dated() -> None:
    response = exports.table(kind="csv", name="지원금", columns=COLUMNS, rows=[])
    assert response["Content-Disposition"].startswith(
        "attachment; filename*=utf-8''%EC%A7%80%EC%9B%90%EA%B8%88-2"
    )
    assert response["Content-Disposition"].endswith(".csv")


@pytest.mark.parametrize(("query", "kind"), [("csv", "csv"), ("xlsx", "xlsx"), ("pdf", None), ("", None)])
def test_the_address_asks(query: str, kind: str | None) -> None:
    assert exports.asked(RequestFactory().get("/", {"export": query})) == kind


def test_every_page_is_read() -> None:
    class Page:
        def __init__(self, number: int) -> None:
            self.items, self.pages = [number * 10, number * 10 + 1], 3

    assert list(exports.every(Page)) == [10, 11, 20, 21, 30, 31]
