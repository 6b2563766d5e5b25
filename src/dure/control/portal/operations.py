"""The operator's page: is anything lost, late or overloaded; one line, then the parts."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import clock, exports
from dure.control.foundation.exports import Column
from dure.control.foundation.http import Request
from dure.control.identity.guards import requires
from dure.control.portal.processes import Waiting, waiting_by_process
from dure.control.portal.templatetags import portal_ui
from dure.control.settlement import selectors as settlement
from dure.control.settlement.operations import operations as look

#: Of processes that ended, those of the last month are listed in a file.
_EXPORTED = timedelta(days=31)
_COLUMNS = (
    Column("id", _("Id")),
    Column("node", _("Node")),
    Column("os_pid", _("Process number"), "number"),
    Column("version", _("Version")),
    Column("state", _("State"), words={state: badge.text for state, badge in portal_ui.STATES.items()}),
    Column("started_at", _("Up since"), "moment"),
    Column("last_seen_at", _("Last heard of"), "moment"),
    Column("finished_at", _("Ended"), "moment"),
    Column("posted_sequence", _("Calls"), "number"),
    Column("unposted_records", _("Not posted"), "number"),
    Column("escrow_micro_won", _("Set aside"), "micro_won"),
)


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
    if kind := exports.asked(request):
        rows = settlement.gateway_processes(finished_since=_EXPORTED)
        return exports.table(kind=kind, name=gettext("Gateway processes"), columns=_COLUMNS, rows=rows)
    return render(request, "portal/operations.html", _context(request))


@requires("operator")
def operations_live(request: Request) -> HttpResponse:
    return render(request, "portal/operations.html#state", _context(request))
