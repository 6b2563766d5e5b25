"""Lists as files: CSV for programs, XLSX for people.

    if kind := exports.asked(request):
        return exports.table(kind=kind, name=gettext("Awards"), columns=_COLUMNS, rows=rows)

A CSV's first line is the columns' keys, which stay the same in every language; a workbook's is their titles. Nothing that a
person wrote is taken for a formula (OWASP, "CSV injection"): in CSV it gets an apostrophe before it, in a workbook it
is stored as text. The template `components/export.html` has the two links, with the filters in the address.
"""

import csv
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, BinaryIO, Literal, cast

import xlsxwriter
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation import clock
from dure.control.foundation.errors import Text

Kind = Literal["csv", "xlsx"]
CellKind = Literal["text", "number", "won", "micro_won", "date", "moment", "yes_no"]
#: A workbook is put together before it is sent; 50,000 rows take some seconds. A CSV flows and has no end.
MOST_WORKBOOK_ROWS = 50_000
_LONGEST_CELL = 32_767  # Excel's own limit
#: Above it Excel's numbers, which are binary doubles, leave out units.
_EXACT = 2**53
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_WIDTHS = {"text": 24, "number": 12, "won": 18, "micro_won": 18, "date": 12, "moment": 20, "yes_no": 8}
_FORMATS = {
    "number": "#,##0",
    "won": "#,##0",
    "micro_won": "#,##0.######",
    "date": "yyyy-mm-dd",
    "moment": "yyyy-mm-dd hh:mm:ss",
}


@dataclass(frozen=True, slots=True)
class Column:
    """`key` is the CSV's heading, and where the value is found in a row unless `value` says how.

    Kinds: `won` takes micro-won and shows won. `micro_won` is for sums with fractions: the CSV has the micro-won, exactly;
    the workbook has won to calculate with and a second column with the exact micro-won. `date` is a day, or a
    moment's day in Seoul; `moment` is an aware moment, in UTC in the CSV (ISO 8601) and in Seoul's time in the workbook.
    `words` are what the workbook says for codes, such as states; the CSV keeps the codes.
    """

    key: str
    title: Text
    kind: CellKind = "text"
    value: Callable[[Any], Any] | None = None
    words: Mapping[str, Text] | None = None

    def of(self, row: Mapping[str, Any] | object) -> Any:
        if self.value is not None:
            return self.value(row)
        return row.get(self.key) if isinstance(row, Mapping) else getattr(row, self.key)


def asked(request: HttpRequest) -> Kind | None:
    """Which file the address asks for (`?export=csv`), if any."""
    kind = request.GET.get("export", "")
    return cast("Kind", kind) if kind in {"csv", "xlsx"} else None


def every[T](page: Callable[[int], Any], *, items: str = "items") -> Iterator[T]:
    """The rows of all pages of a selector that answers one page with its `pages` or `paginator`."""
    number = 1
    while True:
        found = page(number)
        yield from getattr(found, items)
        last = found.paginator.num_pages if hasattr(found, "paginator") else found.pages
        if number >= last:
            return
        number += 1


def table(
    *, kind: Kind, name: str, columns: Sequence[Column], rows: Iterable[Mapping[str, Any] | object]
) -> HttpResponse:
    """A download called `name` with today's date. Rows may be a generator; they are asked for one at a time."""
    filename = f"{name}-{clock.now().astimezone(clock.SEOUL):%Y-%m-%d}.{kind}"
    if kind == "xlsx":
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
        try:
            _workbook(cast("BinaryIO", file), name, columns, rows)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        response: Any = FileResponse(
            file, content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        )
    else:
        lines = _lines(columns, rows, translation.get_language() or "ko")
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = content_disposition_header(True, filename)
    response["Cache-Control"] = "private, no-store"
    return cast("HttpResponse", response)


# CSV (RFC 4180)


class _Echo:
    """What csv.writer needs of a file: it hands the line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def _lines(columns: Sequence[Column], rows: Iterable[Any], language: str) -> Iterator[str]:
    writer = csv.writer(_Echo())
    # Excel takes a file for UTF-8 only if it begins with this.
    yield "\N{ZERO WIDTH NO-BREAK SPACE}" + cast("str", writer.writerow([column.key for column in columns]))
    for row in rows:
        with translation.override(language):
            cells = [_plain(column.kind, column.of(row)) for column in columns]
        yield cast("str", writer.writerow(cells))


def _plain(kind: CellKind, value: Any) -> str:
    if value is None:
        return ""
    if kind == "won":
        whole, fraction = divmod(abs(value), MICRO_WON_PER_WON)
        return ("-" if value < 0 else "") + f"{whole}" + (f".{fraction:06d}".rstrip("0") if fraction else "")
    if kind in {"number", "micro_won"}:
        return str(value)
    if kind == "yes_no":
        return "true" if value else "false"
    if kind == "moment":
        return cast("datetime", value).astimezone(UTC).isoformat()
    if kind == "date":
        return _day(value).isoformat()
    return neutral(str(value))


def neutral(text: str) -> str:
    """A text that no spreadsheet program takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _day(value: date) -> date:
    return value.astimezone(clock.SEOUL).date() if isinstance(value, datetime) else value


# XLSX


def _workbook(file: BinaryIO, name: str, columns: Sequence[Column], rows: Iterable[Any]) -> None:
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(file, options)
    book.set_properties({"title": name, "created": datetime(2000, 1, 1)})  # noqa: DTZ001 - no clock in a file
    formats = {kind: book.add_format({"num_format": form}) for kind, form in _FORMATS.items()}
    sheet = book.add_worksheet()
    _headings(book, sheet, columns)
    for place, row in enumerate(rows, start=1):
        if place > MOST_WORKBOOK_ROWS:
            sheet.write_string(
                place,
                0,
                gettext("There is more. The CSV file has every row; this workbook has the first ones."),
            )
            break
        at = 0
        for column in columns:
            value = column.of(row)
            if column.words is not None:
                value = column.words.get(value, value)
            at += _write(sheet, place, at, column.kind, value, formats)
    book.close()


def _headings(book: Workbook, sheet: Worksheet, columns: Sequence[Column]) -> None:
    bold = book.add_format({"bold": True, "bottom": 1})
    titles: list[tuple[str, CellKind]] = []
    for column in columns:
        if column.kind == "micro_won":
            names = {"title": str(column.title)}
            titles += [
                (gettext("%(title)s (won)") % names, "micro_won"),
                (gettext("%(title)s (micro-won, exact)") % names, "number"),
            ]
        elif column.kind == "won":
            titles.append((gettext("%(title)s (won)") % {"title": str(column.title)}, "won"))
        else:
            titles.append((str(column.title), column.kind))
    for at, (title, kind) in enumerate(titles):
        sheet.set_column(at, at, max(_WIDTHS[kind], min(40, 2 + 2 * len(title))))
        sheet.write_string(0, at, title, bold)
    sheet.freeze_panes(1, 0)


def _write(
    sheet: Worksheet, place: int, at: int, kind: CellKind, value: Any, formats: Mapping[str, Format]
) -> int:
    """Write a value; how many cells it took."""
    width = 2 if kind == "micro_won" else 1
    if value is None:
        return width
    if kind in {"won", "micro_won"}:
        # A number to calculate with: a workbook has doubles alone. What is exact stands beside it, or in the CSV.
        sheet.write_number(place, at, value / MICRO_WON_PER_WON, formats[kind])
        if kind == "micro_won":
            _integer(sheet, place, at + 1, value, formats["number"])
    elif kind == "number":
        _integer(sheet, place, at, value, formats["number"])
    elif kind == "date":
        sheet.write_datetime(place, at, _day(value), formats["date"])
    elif kind == "moment":
        local = cast("datetime", value).astimezone(clock.SEOUL).replace(tzinfo=None)
        sheet.write_datetime(place, at, local, formats["moment"])
    elif kind == "yes_no":
        sheet.write_boolean(place, at, bool(value))
    else:
        text = str(value) if isinstance(value, str | Promise) else f"{value}"
        sheet.write_string(place, at, text[:_LONGEST_CELL])
    return width


def _integer(sheet: Worksheet, place: int, at: int, value: int, form: Format) -> None:
    if abs(value) <= _EXACT:
        sheet.write_number(place, at, value, form)
    else:
        sheet.write_string(place, at, str(value))
