"""What a provider has earned, by day and model. Customers are never named to providers."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation import clock, exports
from dure.control.foundation.exports import Column
from dure.control.foundation.http import Request, whole_number
from dure.control.foundation.money import format_won
from dure.control.identity import selectors as identity
from dure.control.identity.guards import requires
from dure.control.settlement import selectors

_PERIODS = (7, 30, 90)


for_providers = requires("provider_manager", "administrator", "viewer", of="provider")


def _provider_id(request: Request) -> UUID:
    assert request.actor.organisation_id is not None
    return request.actor.organisation_id


def _today() -> date:
    return clock.now().astimezone(clock.SEOUL).date()


def _days(request: Request) -> int:
    days = whole_number(request.GET.get("days", ""))
    return days if days in _PERIODS else 30


def month_figures(provider_id: Any) -> dict[str, Any]:
    """This month so far, for the provider's first page and this one."""
    month = _sum(
        selectors.provider_earnings(provider_id=provider_id, by="day", since=_today().replace(day=1))
    )
    return {
        "month": month,
        "unpaid_micro_won": selectors.provider_unpaid(provider_id=provider_id),
        "at": clock.now(),
    }


def _sum(lines: list[selectors.SpendLine]) -> selectors.SpendLine:
    fields = ("calls", "failed_calls", "input_tokens", "output_tokens", "cached_tokens", "cost_micro_won")
    return selectors.SpendLine(
        group=None, **{name: sum(getattr(line, name) for line in lines) for name in fields}
    )


@for_providers
def earnings(request: Request) -> HttpResponse:
    provider_id, days = _provider_id(request), _days(request)
    since = _today() - timedelta(days=days - 1)
    by_day = selectors.provider_earnings(provider_id=provider_id, by="day", since=since)
    by_model = selectors.provider_earnings(provider_id=provider_id, by="model", since=since)
    total = _sum(by_day)
    context = {
        **month_figures(provider_id),
        "provider": identity.names_of([provider_id]).get(provider_id),
        "by_day": list(reversed(by_day)),
        "by_model": by_model,
        "total": total,
        "points": [(line.group, line.cost_micro_won) for line in by_day],
        "finding": _finding(by_day),
        "about": gettext("Won a day, from charged calls"),
        "days": days,
        "periods": [(n, ngettext("last %(n)s day", "last %(n)s days", n) % {"n": n}) for n in _PERIODS],
    }
    return render(request, "settlement/earnings.html", context)


def _finding(by_day: list[selectors.SpendLine]) -> str:
    if not by_day:
        return ""
    best = max(by_day, key=lambda line: line.cost_micro_won)
    day = best.group
    assert isinstance(day, date)
    korean = (get_language() or "ko").startswith("ko")
    decimals = 0 if best.cost_micro_won > 100 * MICRO_WON_PER_WON else 2
    return gettext("The best day was %(day)s, with %(sum)s") % {
        "day": f"{day.month}월 {day.day}일" if korean else f"{day.day} {day:%b}",
        "sum": format_won(best.cost_micro_won, "ko" if korean else "en", decimals=decimals),
    }


@for_providers
def earnings_live(request: Request) -> HttpResponse:
    return render(request, "settlement/earnings.html#figures", month_figures(_provider_id(request)))


_EARNINGS = (
    Column("group", _("By"), value=lambda one: one[0], words={"day": _("Day"), "model": _("Model")}),
    Column("name", _("Day or model"), value=lambda one: one[1].group),
    Column("calls", _("Calls"), "number", value=lambda one: one[1].calls),
    Column("failed_calls", _("Failed calls"), "number", value=lambda one: one[1].failed_calls),
    Column("input_tokens", _("Input"), "number", value=lambda one: one[1].input_tokens),
    Column("output_tokens", _("Output"), "number", value=lambda one: one[1].output_tokens),
    Column("cached_tokens", _("Cached"), "number", value=lambda one: one[1].cached_tokens),
    Column("cost_micro_won", _("Charged"), "micro_won", value=lambda one: one[1].cost_micro_won),
)


@for_providers
def earnings_csv(request: Request) -> HttpResponse:
    """By day and by model, money in exact micro-won: what an invoice is checked against."""
    provider_id, days = _provider_id(request), _days(request)
    since = _today() - timedelta(days=days - 1)
    rows = [
        (by, line)
        for by in ("day", "model")
        for line in selectors.provider_earnings(provider_id=provider_id, by=by, since=since)
    ]
    return exports.table(
        kind=exports.asked(request) or "csv", name=f"earnings-{since}", columns=_EARNINGS, rows=rows
    )
