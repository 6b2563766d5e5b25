"""One answer against its field."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext, ngettext

from dure.control.calls.forms.fields import (
    MAX_FILES,
    MAX_LONG_TEXT,
    MAX_ROWS,
    MAX_WON,
    Column,
    Field,
    Option,
)
from dure.control.calls.forms.problems import Problem, required_problem
from dure.control.calls.reading import as_day

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{5,24}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

type Found = Iterator[tuple[str, str, str, str]]
"""code, message, remedy, place"""


def length(text: str) -> int:
    """Characters as people count them: a syllable written as parts, an accent or an emoji's joiners add none."""
    count, joined = 0, False
    for character in unicodedata.normalize("NFC", text.replace("\r\n", "\n")):
        if character == "\u200d":
            joined = True
            continue
        if unicodedata.category(character) in {"Mn", "Me", "Cf"} or "\U0001f3fb" <= character <= "\U0001f3ff":
            continue
        if not joined:
            count += 1
        joined = False
    return count


def problems_of(one: Field, answer: Any, *, complete: bool) -> list[Problem]:
    """Problems of an answer that is there. Unless `complete`, too little of something is no problem yet."""
    if one.kind == "consent" and answer is False:
        return [required_problem(one)] if complete and one.required else []
    found = _CHECKS[one.kind](one, answer, complete)
    return [Problem(one.key, code, message, remedy, place) for code, message, remedy, place in found]


def _not_understood(place: str = "") -> tuple[str, str, str, str]:
    return "not_understood", gettext("This is no answer to the question."), "", place


def _text(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, str):
        yield _not_understood()
        return
    if any(unicodedata.category(character) == "Cc" and character not in "\n\r\t" for character in answer):
        yield "control_characters", gettext("Control characters are not accepted."), "", ""
    if one.kind == "text" and "\n" in answer:
        yield "one_line", gettext("One line only, please."), "", ""
    count = length(answer)
    most = one.most_length or (MAX_LONG_TEXT if one.kind == "long_text" else 500)
    if count > most:
        yield (
            "too_long",
            ngettext(
                "%(count)s character; at most %(most)s.", "%(count)s characters; at most %(most)s.", count
            )
            % {"count": f"{count:,}", "most": f"{most:,}"},
            gettext("Shorten it by %(over)s.") % {"over": f"{count - most:,}"},
            "",
        )
    if complete and one.least_length and count < one.least_length:
        yield (
            "too_short",
            ngettext(
                "%(count)s character; at least %(least)s.", "%(count)s characters; at least %(least)s.", count
            )
            % {"count": f"{count:,}", "least": f"{one.least_length:,}"},
            gettext("Write a little more."),
            "",
        )


def _whole(answer: Any) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool)


def _number(one: Field, answer: Any, complete: bool) -> Found:
    if not _whole(answer):
        yield "not_whole", gettext("Write a whole number."), gettext("Digits only, like 1200000."), ""
        return
    least = one.least if one.least is not None else (0 if one.kind == "won" else -MAX_WON)
    most = one.most if one.most is not None else MAX_WON
    yield from _in_range(answer, least, most, "")


def _in_range(value: Any, least: int, most: int, place: str) -> Found:
    if value < least:
        yield "too_little", gettext("At least %(least)s.") % {"least": f"{least:,}"}, "", place
    elif value > most:
        yield "too_much", gettext("At most %(most)s.") % {"most": f"{most:,}"}, "", place


def as_percentage(answer: Any) -> Decimal | None:
    """A number or its text, with at most two decimals; None if it is no percentage."""
    if isinstance(answer, bool) or not isinstance(answer, int | float | str):
        return None
    if isinstance(answer, int) and abs(answer) > 10**6:
        return None
    try:
        found = Decimal(str(answer).strip().removesuffix("%").strip())
    except InvalidOperation:
        return None
    if not found.is_finite() or abs(found) > 10**6 or found != round(found, 2):
        return None
    return found


def _percentage(one: Field, answer: Any, complete: bool) -> Found:
    found = as_percentage(answer)
    if found is None:
        yield "not_percentage", gettext("Write a percentage with at most two decimals, like 12.5."), "", ""
        return
    yield from _in_range(found, one.least or 0, 100 if one.most is None else one.most, "")


def _date(one: Field, answer: Any, complete: bool) -> Found:
    day = as_day(answer)
    if day is None:
        yield "not_date", gettext("Write a date like 2027-01-31."), "", ""
    elif one.first and day < one.first:
        yield "too_early", gettext("Not before %(day)s.") % {"day": one.first.isoformat()}, "", ""
    elif one.last and day > one.last:
        yield "too_late", gettext("Not after %(day)s.") % {"day": one.last.isoformat()}, "", ""


def _unknown_option(place: str = "") -> tuple[str, str, str, str]:
    return "unknown_option", gettext("This cannot be chosen here."), gettext("Choose one of the list."), place


def _is_option(options: tuple[Option, ...], answer: Any) -> bool:
    return isinstance(answer, str) and any(option.key == answer for option in options)


def _choice(one: Field, answer: Any, complete: bool) -> Found:
    if not _is_option(one.options, answer):
        yield _unknown_option()


def _choices(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, list) or len({repr(item) for item in answer}) != len(answer):
        yield _not_understood()
        return
    for index, item in enumerate(answer):
        if not _is_option(one.options, item):
            yield _unknown_option(f"[{index}]")
    yield from _how_many(one, len(answer), len(one.options), complete)


def _how_many(one: Field, count: int, highest: int, complete: bool) -> Found:
    most = one.most if one.most is not None else highest
    if count > most:
        yield (
            "too_many",
            gettext("%(count)s are given; at most %(most)s.") % {"count": count, "most": most},
            "",
            "",
        )
    if complete and one.least and count < one.least:
        yield (
            "too_few",
            gettext("%(count)s are given; at least %(least)s.") % {"count": count, "least": one.least},
            gettext("Add more."),
            "",
        )


def _yes_no(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, bool):
        yield _not_understood()


def _email(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, str) or len(answer) > 254 or not _EMAIL.fullmatch(answer.strip()):
        yield "not_email", gettext("Write an e-mail address like name@company.kr."), "", ""


def _url(one: Field, answer: Any, complete: bool) -> Found:
    if not _is_web_address(answer):
        yield "not_url", gettext("Write a web address that begins with https://."), "", ""


def _is_web_address(answer: Any) -> bool:
    if (
        not isinstance(answer, str)
        or len(answer) > 2_000
        or any(character.isspace() for character in answer.strip())
    ):
        return False
    try:
        parts = urlsplit(answer.strip())
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return False


def _phone(one: Field, answer: Any, complete: bool) -> Found:
    digits = sum(character.isdigit() for character in answer) if isinstance(answer, str) else 0
    if not isinstance(answer, str) or not _PHONE.fullmatch(answer.strip()) or not 7 <= digits <= 15:
        yield "not_phone", gettext("Write a telephone number like 02-1234-5678."), "", ""


def _file(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, list):
        yield _not_understood()
        return
    for index, item in enumerate(answer):
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            yield _not_understood(f"[{index}]")
            continue
        if not isinstance(item.get("sha256"), str) or not _SHA256.fullmatch(item["sha256"]):
            yield _not_understood(f"[{index}].sha256")
        ending = item["name"].rpartition(".")[2].lower()
        ending = {"jpeg": "jpg"}.get(ending, ending)
        if one.types and ending not in one.types:
            yield (
                "file_type_refused",
                gettext("“%(name)s” is of another kind than asked for.") % {"name": item["name"]},
                gettext("These are accepted: %(types)s.") % {"types": ", ".join(one.types)},
                f"[{index}]",
            )
        if not _whole(item.get("size")) or item["size"] <= 0:
            yield _not_understood(f"[{index}].size")
        elif one.most_bytes is not None and item["size"] > one.most_bytes:
            yield (
                "file_too_large",
                gettext("“%(name)s” is larger than %(most)s MB.")
                % {"name": item["name"], "most": f"{one.most_bytes / 1_048_576:,.4g}"},
                gettext("Make it smaller, for instance by reducing its pictures."),
                f"[{index}]",
            )
    yield from _how_many(one, len(answer), MAX_FILES, complete)


def _budget(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, list) or len(answer) > MAX_ROWS:
        yield _not_understood()
        return
    by_line = {line.key: 0 for line in one.lines}
    for index, row in enumerate(answer):
        if not isinstance(row, Mapping):
            yield _not_understood(f"[{index}]")
            continue
        line, won, text = row.get("line"), row.get("won"), row.get("text", "")
        if not isinstance(line, str) or line not in by_line:
            if complete or line:
                yield _unknown_option(f"[{index}].line")
        elif won is None:
            if complete:
                yield "missing", gettext("The amount is missing."), gettext("Fill it in."), f"[{index}].won"
        elif not _whole(won) or not 0 <= won <= MAX_WON:
            yield "not_whole", gettext("Write whole won, like 1200000."), "", f"[{index}].won"
        else:
            by_line[line] += won
        if not isinstance(text, str) or length(text) > 500:
            yield _not_understood(f"[{index}].text")
    yield from _budget_limits(one, by_line, complete)


def _budget_limits(one: Field, by_line: Mapping[str, int], complete: bool) -> Found:
    whole = sum(by_line.values())
    for line in one.lines:
        amount, words = by_line[line.key], {"line": line.label, "won": f"{by_line[line.key]:,}"}
        if line.most_won is not None and amount > line.most_won:
            yield (
                "line_too_much",
                gettext("“%(line)s”: %(won)s won; at most %(most)s won.")
                % {**words, "most": f"{line.most_won:,}"},
                "",
                line.key,
            )
        # Only a finished budget has a total that shares can be taken of.
        if complete and line.most_percent is not None and amount * 100 > whole * line.most_percent:
            yield (
                "line_too_large_a_share",
                gettext("“%(line)s”: %(won)s won; at most %(most)s %% of the total.")
                % {**words, "most": line.most_percent},
                "",
                line.key,
            )
    if one.most is not None and whole > one.most:
        yield (
            "total_too_much",
            gettext("The total is %(won)s won; at most %(most)s won.")
            % {"won": f"{whole:,}", "most": f"{one.most:,}"},
            gettext("Lower it by %(over)s won.") % {"over": f"{whole - one.most:,}"},
            "",
        )
    if complete and one.least is not None and whole < one.least:
        yield (
            "total_too_little",
            gettext("The total is %(won)s won; at least %(least)s won.")
            % {"won": f"{whole:,}", "least": f"{one.least:,}"},
            "",
            "",
        )


def _table(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, list):
        yield _not_understood()
        return
    known = {column.key for column in one.columns}
    for index, row in enumerate(answer):
        if not isinstance(row, Mapping) or set(row) - known:
            yield _not_understood(f"[{index}]")
            continue
        for column in one.columns:
            yield from _cell(column, row.get(column.key), f"[{index}].{column.key}", complete)
    yield from _how_many(one, len(answer), MAX_ROWS, complete)


def _cell(column: Column, value: Any, place: str, complete: bool) -> Found:
    if value is None or value == "":
        if complete and column.required:
            message = gettext("“%(column)s” is missing.") % {"column": column.label}
            yield "missing", message, gettext("Fill it in."), place
        return
    as_field = Field(column.key, column.kind, column.label_ko, column.label_en, options=column.options)
    for code, message, remedy, inside in _CHECKS[column.kind](as_field, value, complete):
        yield code, message, remedy, place + inside


def _people(one: Field, answer: Any, complete: bool) -> Found:
    if not isinstance(answer, list):
        yield _not_understood()
        return
    for index, person in enumerate(answer):
        if not isinstance(person, Mapping) or set(person) - {"name", "role", "share"}:
            yield _not_understood(f"[{index}]")
            continue
        yield from _person(one, person, f"[{index}]", complete)
    yield from _how_many(one, len(answer), MAX_ROWS, complete)


def _person(one: Field, person: Mapping[str, Any], place: str, complete: bool) -> Found:
    missing = {
        "name": gettext("The name is missing."),
        "role": gettext("The role is missing."),
        "share": gettext("The share of working time is missing."),
    }
    for part, message in missing.items():
        value = person.get(part)
        if value is None or value == "":
            if complete:
                yield "missing", message, gettext("Fill it in."), f"{place}.{part}"
        elif part == "share":
            percent = as_percentage(value)
            if percent is None or not 0 <= percent <= 100:
                text = gettext("Write the share of working time as a percentage from 0 to 100.")
                yield "not_percentage", text, "", f"{place}.share"
        elif not isinstance(value, str) or length(value) > 100:
            yield _not_understood(f"{place}.{part}")
        elif part == "role" and one.options and not _is_option(one.options, value):
            yield _unknown_option(f"{place}.role")


_CHECKS: Mapping[str, Callable[[Field, Any, bool], Found]] = {
    "text": _text,
    "long_text": _text,
    "whole_number": _number,
    "won": _number,
    "percentage": _percentage,
    "date": _date,
    "choice": _choice,
    "choices": _choices,
    "yes_no": _yes_no,
    "consent": _yes_no,
    "email": _email,
    "url": _url,
    "phone": _phone,
    "file": _file,
    "budget": _budget,
    "table": _table,
    "people": _people,
}
