"""The lists of this room as files."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import exports
from dure.control.foundation.actors import Actor
from dure.control.foundation.exports import Column
from dure.control.programmes import selectors
from dure.control.settlement import selectors as settlement

_CALLS_READ = 1_000
AWARD_WORDS = {"open": _("open"), "returning": _("returning the rest"), "closed": _("closed")}
CALL_WORDS = {
    "completed": _("completed"),
    "cancelled": _("cancelled by caller"),
    "truncated": _("cut off by provider"),
    "failed": _("failed"),
    "interrupted": _("interrupted"),
}
_AWARDS = (
    Column("id", _("Id"), value=lambda one: one.id),
    Column("name", _("Award"), value=lambda one: one.name),
    Column("organisation", _("Organisation"), value=lambda one: one.organisation.name),
    Column("programme", _("Programme"), value=lambda one: one.programme.slug),
    Column("state", _("State"), words=AWARD_WORDS),
    Column("granted_micro_won", _("Granted"), "micro_won"),
    Column("spent_micro_won", _("Spent"), "micro_won"),
    Column("remaining_micro_won", _("Left"), "micro_won"),
    Column("returned_micro_won", _("Returned"), "micro_won"),
    Column("valid_from", pgettext_lazy("table column", "From"), "moment"),
    Column("valid_until", _("Until"), "moment"),
)
_CALLS = (
    Column("request_id", _("API call")),
    Column("opened_at", _("Began"), "moment"),
    Column("closed_at", _("Ended"), "moment"),
    Column("model", _("Model")),
    Column("endpoint", _("Used for")),
    Column("status", _("Outcome"), words=CALL_WORDS),
    Column("http_status", _("HTTP status"), "number"),
    Column("streamed", _("streamed"), "yes_no"),
    Column("estimated", _("estimated"), "yes_no"),
    Column("input_tokens", _("Input"), "number"),
    Column("output_tokens", _("Output"), "number"),
    Column("cached_tokens", _("Cached"), "number"),
    Column("cost_micro_won", _("Cost"), "micro_won"),
    Column("uncovered_micro_won", _("Uncovered"), "micro_won"),
    Column("error_code", _("Error")),
)


def awards(kind: exports.Kind, *, actor: Actor, search: str, state: str) -> HttpResponse:
    def page(number: int) -> Any:
        return selectors.awards(actor=actor, search=search, state=state, page=number, page_size=100)

    return exports.table(kind=kind, name=gettext("Awards"), columns=_AWARDS, rows=exports.every(page))


def calls(kind: exports.Kind, *, award_id: UUID, status: str | None, model: str | None) -> HttpResponse:
    def rows() -> Iterator[settlement.UsageView]:
        before: UUID | None = None
        while found := settlement.usage(
            award_id=award_id, status=status, model=model, before=before, limit=_CALLS_READ
        ):
            yield from found
            before = found[-1].request_id

    return exports.table(kind=kind, name=f"calls-{award_id}", columns=_CALLS, rows=rows())
