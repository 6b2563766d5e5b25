"""The operator's page: is anything lost, late or overloaded; one line, then the parts."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from dure.control.foundation import clock
from dure.control.foundation.http import Request
from dure.control.identity.guards import requires
from dure.control.portal.processes import Waiting, waiting_by_process
from dure.control.settlement import selectors as settlement
from dure.control.settlement.operations import operations as look


def _context(request: Request) -> dict[str, Any]:
    state = look(actor=request.actor)
    waiting: list[Waiting] = waiting_by_process(state.waiting)
    return {
        "state": state,
        "waiting": waiting,
        "verification": state.verification,
        "calls_today": settlement.totals(since=clock.now().astimezone(clock.SEOUL).date()),
    }


@requires("operator")
def operations(request: Request) -> HttpResponse:
    return render(request, "portal/operations.html", _context(request))


@requires("operator")
def operations_live(request: Request) -> HttpResponse:
    return render(request, "portal/operations.html#state", _context(request))
