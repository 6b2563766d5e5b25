"""Kinds of input that several commands share. A wrong value is named by its option before anything starts."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

from dure.control.foundation.money import parse_krw

_SEOUL = ZoneInfo("Asia/Seoul")
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
#: A time of day follows the date, after a T or a space.
_HAS_TIME = re.compile(r"[Tt ]")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Krw(click.ParamType[int]):
    """Whole won, `1000000` or `1,000,000`, more than zero; the value is micro-won."""

    name = "won"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            micro_won = parse_krw(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if micro_won == 0:
            self.fail("the sum must be more than zero.", param, ctx)
        return micro_won


class Moment(click.ParamType[datetime]):
    """A moment. A date alone means the end of that day in Seoul; a time without an offset is Seoul's."""

    name = "date"

    def __init__(self, *, end_of_day: bool = True) -> None:
        self.end_of_day = end_of_day

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            if not _HAS_TIME.search(text):
                day = date.fromisoformat(text) + timedelta(days=1 if self.end_of_day else 0)
                return datetime.combine(day, time(), _SEOUL)
            moment = datetime.fromisoformat(text)
            # Years at the ends of the calendar have moments that no database and no other time zone can name.
            return (moment if moment.tzinfo else moment.replace(tzinfo=_SEOUL)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is not a date like 2027-01-31 or 2027-01-31T18:00:00+09:00.", param, ctx)


class Deadline(Moment):
    """The last second that is in time; a date alone means the last one of that day in Seoul."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        moment = super().convert(value, param, ctx)
        is_day = isinstance(value, str) and not _HAS_TIME.search(value.strip())
        return moment - timedelta(seconds=1) if is_day else moment


class Duration(click.ParamType[timedelta]):
    """`90s`, `30m`, `24h`, `7d`, or `0`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        text = str(value).strip()
        if text == "0":
            return timedelta(0)
        match = _DURATION.fullmatch(text)
        if match is None:
            self.fail(f"{text!r} is not a duration like 30m, 24h, 7d or 0.", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


class Seconds(click.FloatRange):
    """Seconds from 0 to an hour. `nan` lies in no range, and click's comparison lets it pass."""

    def __init__(self) -> None:
        super().__init__(0, 3600)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if str(value).strip().lower().lstrip("+-") == "nan":
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return float(super().convert(value, param, ctx))


def show_won(micro_won: int) -> str:
    """Exact won, `₩1,234.5`."""
    from dure.control.foundation.money import format_won

    return format_won(micro_won, "en")


def show_amount(amount: int, unit: str) -> str:
    """An amount with its unit: won, or a count of another unit."""
    return show_won(amount) if unit == "KRW" else f"{amount:,} {unit}"


def show_moment(moment: datetime | None, *, seconds: bool = False) -> str:
    """Seoul's time to the minute, or to the second."""
    if moment is None:
        return "–"
    return moment.astimezone(_SEOUL).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
