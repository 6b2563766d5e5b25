"""Lists of programmes and sources as files, and their figures in words."""

from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import clock, exports
from dure.control.foundation.actors import Actor
from dure.control.foundation.exports import Column
from dure.control.foundation.money import format_won
from dure.control.programmes import selectors
from dure.control.programmes.units import KRW

_PROGRAMMES = (
    Column("slug", _("Short name")),
    Column("name", _("Programme"), value=lambda one: one.name),
    Column("agency", _("Agency"), value=lambda one: one.agency.name if one.agency else ""),
    Column("state", _("State"), words={"open": _("open"), "closed": _("closed")}),
    Column("appropriated_micro_won", _("Appropriated"), "micro_won"),
    Column("granted_micro_won", _("Granted"), "micro_won"),
    Column("own_contribution_micro_won", _("Own contributions"), "micro_won"),
    Column("spent_micro_won", _("Spent"), "micro_won"),
    Column("remaining_micro_won", _("Left in awards"), "micro_won"),
    Column("left_to_grant_micro_won", _("Left to grant"), "micro_won"),
    Column("awards", _("Awards"), "number"),
)
_SOURCES = (
    Column("source", _("Source"), value=lambda one: one.source.name),
    Column("programme", _("Programme"), value=lambda one: one.programme.name),
    Column("unit", _("Unit")),
    Column("given", _("Appropriated"), "number"),
    Column("left", _("Left to grant"), "number"),
    Column("granted", _("Granted"), "number"),
    Column("spent", _("Spent"), "number"),
)


def programmes(kind: exports.Kind, *, actor: Actor, search: str, state: str) -> HttpResponse:
    def page(number: int) -> Any:
        return selectors.programme_page(actor=actor, search=search, state=state, page=number, page_size=100)

    return exports.table(kind=kind, name=gettext("Programmes"), columns=_PROGRAMMES, rows=exports.every(page))


def sources(kind: exports.Kind, *, search: str) -> HttpResponse:
    """A row for each programme that a source gives money; figures in the smallest part of the unit."""
    rows = (
        line
        for one in selectors.sources(search=search)
        for line in selectors.money_of_source(source_id=one.id)
    )
    return exports.table(kind=kind, name=gettext("Sources"), columns=_SOURCES, rows=rows)


def shown(amount: int, unit: str) -> str:
    """An amount with its unit, for people."""
    if unit == KRW:
        return format_won(amount, get_language() or "ko")
    return gettext("%(n)s GPU seconds") % {"n": f"{amount:,}"}


def first_day(moment: datetime | None) -> date | None:
    return moment.astimezone(clock.SEOUL).date() if moment else None


def last_day(moment: datetime | None) -> date | None:
    return (moment - timedelta(microseconds=1)).astimezone(clock.SEOUL).date() if moment else None
