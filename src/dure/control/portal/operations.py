"""The operator's page: is anything lost, late or overloaded; one line, then the parts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, ngettext

from dure.control.catalogue import selectors as catalogue
from dure.control.foundation import clock, outbox
from dure.control.foundation.http import Request
from dure.control.identity.guards import requires
from dure.control.ledger import selectors as ledger
from dure.control.settlement import selectors as settlement

#: Everything is recounted once a day; this long without is late.
_RECOUNT_LATE = timedelta(hours=26)
_MAIL_LATE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something an operator should act on: what is wrong, and what to do."""

    text: str
    remedy: str


def troubles(processes: list[settlement.GatewayProcessView]) -> list[Trouble]:
    """What is wrong now, the gravest first; empty when nothing is."""
    found = []
    state = ledger.verification_state()
    if state is not None and not state.ok:
        found.append(
            Trouble(
                gettext("The recount found a difference: %(difference)s") % {"difference": state.difference},
                gettext("Do not correct anything by hand. Keep the data and run “dure ledger verify”."),
            )
        )
    running = [process for process in processes if process.finished_at is None]
    alive = [process for process in running if not process.silent]
    if not alive:
        found.append(
            Trouble(
                gettext("No gateway is running: calls are not answered."),
                gettext("Start one with “dure gateway”."),
            )
        )
    silent = [process for process in running if process.silent]
    if silent:
        found.append(
            Trouble(
                ngettext(
                    "%(n)s gateway process fell silent before its journal was posted.",
                    "%(n)s gateway processes fell silent before their journals were posted.",
                    len(silent),
                )
                % {"n": len(silent)},
                ngettext(
                    "Its node recovers the journal by itself; if the node is lost, bring its journal folder back.",
                    "Their nodes recover the journals by themselves; if a node is lost, bring its journal folder"
                    " back.",
                    len(silent),
                ),
            )
        )
    if state is not None and clock.now() - state.finished_at > _RECOUNT_LATE:
        found.append(
            Trouble(gettext("The recount is late."), gettext("See whether the worker runs (“dure worker”)."))
        )
    unsent = outbox.unsent_older_than(_MAIL_LATE)
    if unsent:
        found.append(
            Trouble(
                ngettext("%(n)s notice waits to be sent.", "%(n)s notices wait to be sent.", unsent)
                % {"n": unsent},
                gettext("See whether the worker runs and the mail server answers."),
            )
        )
    return found


def _context(request: Request) -> dict[str, Any]:
    processes = settlement.gateway_processes(finished_since=timedelta(hours=1))
    models = catalogue.models(actor=request.actor)
    return {
        "at": clock.now(),
        "troubles": troubles(processes),
        "processes": processes,
        "alive": sum(1 for process in processes if process.finished_at is None and not process.silent),
        "escrow_micro_won": sum(process.escrow_micro_won for process in processes),
        "calls_today": settlement.totals(since=clock.now().astimezone(clock.SEOUL).date()),
        "verification": ledger.verification_state(),
        "routes": [(model, deployment) for model in models for deployment in model.deployments],
    }


@requires("operator")
def operations(request: Request) -> HttpResponse:
    return render(request, "portal/operations.html", _context(request))


@requires("operator")
def operations_live(request: Request) -> HttpResponse:
    return render(request, "portal/operations.html#state", _context(request))
