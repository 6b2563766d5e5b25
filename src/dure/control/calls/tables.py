"""The list of calls as a file."""

from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from dure.control.calls import paging, selectors
from dure.control.foundation import exports
from dure.control.foundation.actors import Actor
from dure.control.foundation.exports import Column


def _of_round(name: str) -> Any:
    return lambda line: getattr(line.round, name) if line.round else None


_COLUMNS = (
    Column("slug", _("Short name")),
    Column("name", pgettext_lazy("support", "Call")),
    Column("kind", _("Kind"), words=paging.KIND_NAMES),
    Column("phase", _("State"), words={name: badge[0] for name, badge in paging.PHASE_BADGES.items()}),
    Column("programme", _("Programme"), value=lambda line: line.ref.programme.slug),
    Column("opens_at", _("Opens"), "moment", value=_of_round("opens_at")),
    Column("closes_at", _("Closes"), "moment", value=_of_round("closes_at")),
    Column("budget_micro_won", _("Budget"), "micro_won", value=_of_round("budget_micro_won")),
    Column("least_micro_won", _("Least"), "micro_won", value=_of_round("least_micro_won")),
    Column("most_micro_won", _("Most"), "micro_won", value=_of_round("most_micro_won")),
)


def calls(kind: exports.Kind, *, actor: Actor, filters: dict[str, Any]) -> HttpResponse:
    """All that the filters let through, with the round that matters now."""

    def page(number: int) -> Any:
        return selectors.calls(actor=actor, page=number, page_size=selectors.MAX_PAGE_SIZE, **filters)

    name = pgettext("support", "Calls") or gettext("Calls")
    return exports.table(kind=kind, name=name, columns=_COLUMNS, rows=exports.every(page))
