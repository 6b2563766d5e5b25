"""Template filters for money, tokens and time, in the reader's language and Seoul's time."""

from datetime import date, datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext

from dure.control.foundation import clock, money

register = template.Library()

_WEEKDAYS_KO = "월화수목금토일"


def _language() -> str:
    return get_language() or "ko"


@register.filter
def won(micro_won: int | None) -> str:
    """Exact won with separators."""
    return "–" if micro_won is None else money.format_won(micro_won, _language())


@register.filter
def won_short(micro_won: int | None) -> SafeString | str:
    """Large sums in 만·억 (or M, B), the exact figure on hover."""
    if micro_won is None:
        return "–"
    exact = money.format_won(micro_won, _language())
    return format_html('<span title="{}">{}</span>', exact, money.format_won_short(micro_won, _language()))


@register.filter
def micro_won(value: int | None) -> str:
    """The ledger's own figure: micro-won with separators."""
    return "–" if value is None else f"{value:,} µ₩"


@register.filter
def tokens(count: int | None) -> str:
    """`1,234`, and above ten million `12.3 M`."""
    if count is None:
        return "–"
    return f"{count:,}" if count < 10_000_000 else f"{count / 1_000_000:,.1f} M"


@register.filter
def seoul_date(moment: datetime | date | None) -> str:
    """`2026년 11월 23일 (월)` or `23 Nov 2026`; a day of the calendar is taken as it is."""
    if moment is None:
        return "–"
    local = moment.astimezone(clock.SEOUL) if isinstance(moment, datetime) else moment
    if _language().startswith("ko"):
        return f"{local.year}년 {local.month}월 {local.day}일 ({_WEEKDAYS_KO[local.weekday()]})"
    return f"{local.day} {local:%b} {local.year}"


@register.filter
def last_day(end: datetime | None) -> str:
    """The day in Seoul that an end still belongs to: what ends at midnight ends with the day before."""
    return "–" if end is None else seoul_date(end - timedelta(microseconds=1))


@register.filter
def seoul_datetime(moment: datetime | None) -> SafeString | str:
    """Date and time to the second, in a <time> element that carries the exact moment."""
    if moment is None:
        return "–"
    local = moment.astimezone(clock.SEOUL)
    return format_html(
        '<time datetime="{}">{} {}</time>', local.isoformat(), seoul_date(moment), f"{local:%H:%M:%S}"
    )


def seoul_datetime_text(moment: datetime | None) -> str:
    """The same as plain text, for mail and documents: `2026년 11월 23일 (월) 18:00:00`."""
    if moment is None:
        return "–"
    return f"{seoul_date(moment)} {moment.astimezone(clock.SEOUL):%H:%M:%S}"


@register.filter
def time_left(moment: datetime | None) -> str:
    """What is left until a deadline: `3일 4시간 남음`, `3 days 4 hours left`, or that it has passed."""
    if moment is None:
        return gettext("no end date")
    left = moment - clock.now()
    if left <= timedelta(0):
        return gettext("ended")
    hours, minutes = left.seconds // 3600, left.seconds // 60 % 60
    parts = []
    if left.days:
        parts.append(ngettext("%(n)d day", "%(n)d days", left.days) % {"n": left.days})
    if hours and left.days < 14:
        parts.append(ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours})
    if not left.days and (minutes or not hours):
        parts.append(ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes})
    return gettext("%(duration)s left") % {"duration": " ".join(parts)}
