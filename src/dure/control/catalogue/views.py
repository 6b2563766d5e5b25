"""The catalogue's pages: what is offered at which price, for everyone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dure.contracts.directory import Endpoint
from dure.control.catalogue import selectors
from dure.control.foundation import exports
from dure.control.foundation.exports import Column
from dure.control.foundation.http import Request
from dure.control.identity.guards import public


@dataclass(frozen=True, slots=True)
class _PriceRow:
    effective_from: object
    state: str
    cells: list[tuple[str, int | None]]


def _price(meter: str) -> Callable[[selectors.ModelView], int | None]:
    return lambda one: one.price.meters.get(meter) if one.price else None


_COLUMNS = (
    Column("name", _("Model")),
    Column("title_ko", _("Korean title")),
    Column("title_en", _("English title")),
    Column("provider", _("Provider"), value=lambda one: one.provider.name),
    Column("endpoints", _("Used for"), value=lambda one: " ".join(one.endpoints)),
    Column("context_length", _("Context length"), "number"),
    Column("max_output_tokens", _("Longest answer"), "number"),
    Column("callable", _("takes calls"), "yes_no"),
    Column("input_micro_won", _("Input, per million tokens"), "micro_won", value=_price("input")),
    Column("output_micro_won", _("Output, per million tokens"), "micro_won", value=_price("output")),
)


@public
def models(request: Request) -> HttpResponse:
    search, endpoint = request.GET.get("q", "").strip()[:100], request.GET.get("endpoint", "")
    offered = selectors.models(actor=request.actor, search=search, endpoint=endpoint)
    offered.sort(key=lambda view: not view.callable)
    if kind := exports.asked(request):
        return exports.table(kind=kind, name=gettext("Models"), columns=_COLUMNS, rows=offered)
    context = {"models": offered, "search": search, "endpoint": endpoint, "endpoints": get_args(Endpoint)}
    return render(request, "catalogue/models.html", context)


@public
def model(request: Request, name: str) -> HttpResponse:
    found = selectors.model(actor=request.actor, name=name)
    meters = sorted({meter for price in found.price_history for meter in price.meters}, key=_meter_order)
    rows = [
        _PriceRow(price.effective_from, price.state, [(meter, price.meters.get(meter)) for meter in meters])
        for price in found.price_history
    ]
    state = {"retired": "retired", "no_price": "upcoming", "unreachable": "unreachable"}.get(
        found.why_not, "available"
    )
    return render(
        request, "catalogue/model.html", {"model": found, "prices": rows, "meters": meters, "state": state}
    )


def _meter_order(meter: str) -> tuple[int, str]:
    known = ("input", "cached_input", "cache_write", "audio_input", "output", "audio_output")
    return (known.index(meter) if meter in known else len(known), meter)
