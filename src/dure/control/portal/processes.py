"""A gateway process's page: what it holds of whom, and what officers say about it when it does not come back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext, ngettext
from django.views.decorators.cache import never_cache

from dure.control.access import selectors as access
from dure.control.foundation import audit
from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.foundation.money import format_won
from dure.control.identity.guards import requires
from dure.control.ledger import selectors as ledger
from dure.control.programmes import selectors as programmes
from dure.control.settlement import rules, selectors, services

READERS = ("officer", "operator", "auditor")
_STEPS: dict[str, Callable[..., list[selectors.LossView]]] = {
    "request": services.declare_lost,
    "confirm": services.confirm_lost,
    "withdraw": services.withdraw_lost,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one silent process: how much, of how many awards, since when."""

    process_id: UUID
    node: str
    since: datetime
    micro_won: int
    awards: int
    loss: selectors.LossView | None


@dataclass(frozen=True, slots=True)
class AwardLine:
    """One award's money with a process: what waits, or what became of it after the process was declared lost."""

    award_id: UUID
    name_ko: str
    name_en: str
    waiting_micro_won: int
    returned_micro_won: int
    charged_micro_won: int
    uncovered_micro_won: int


def waiting_by_process(found: Iterable[selectors.WaitingEscrow]) -> list[Waiting]:
    """Summed by process, the longest silence first."""
    groups: dict[UUID, list[selectors.WaitingEscrow]] = {}
    for one in found:
        groups.setdefault(one.process_id, []).append(one)
    lines = [
        Waiting(
            process_id=process_id,
            node=parts[0].node,
            since=parts[0].since,
            micro_won=sum(one.micro_won for one in parts),
            awards=len(parts),
            loss=parts[0].loss,
        )
        for process_id, parts in groups.items()
    ]
    return sorted(lines, key=lambda line: line.since)


def _process(process_id: UUID) -> selectors.GatewayProcessView:
    view = selectors.gateway_process(process_id=process_id)
    if view is None:
        raise NotFound(code="process_not_found")
    return view


def _lines(process_id: UUID) -> list[AwardLine]:
    held = {one.owner_id: one.amount for one in ledger.escrow_holdings(counterpart_ids=[process_id])}
    lost = {one.award_id: one for one in selectors.lost_sums(process_id=process_id)}
    ids = [*held, *(award_id for award_id in lost if award_id not in held)]
    names = programmes.award_names(award_ids=ids)
    lines = []
    for award_id in ids:
        korean, english = names.get(award_id, (str(award_id), str(award_id)))
        after = lost.get(award_id)
        lines.append(
            AwardLine(
                award_id=award_id,
                name_ko=korean,
                name_en=english,
                waiting_micro_won=held.get(award_id, 0),
                returned_micro_won=after.returned_micro_won if after else 0,
                charged_micro_won=after.charged_micro_won if after else 0,
                uncovered_micro_won=after.uncovered_micro_won if after else 0,
            )
        )
    return lines


def _of_the_node(view: selectors.GatewayProcessView, *, asked: bool) -> list[UUID]:
    """This process and the others of its node that are as silent and as far along: one machine, one decision."""
    return [
        other.id
        for other in selectors.gateway_processes(named=view.node)
        if other.state == "silent" and (other.loss is not None and other.loss.is_open) == asked
    ]


@requires(*READERS)
@never_cache
def gateway_process(request: Request, process_id: UUID) -> HttpResponse:
    """What it holds, of whom, and since when; for officers, the step that is theirs."""
    return _page(request, _process(process_id))


def _page(
    request: Request, view: selectors.GatewayProcessView, problem: DureError | None = None
) -> HttpResponse:
    lines = _lines(view.id)
    agencies = access.agencies_of(award_ids=[line.award_id for line in lines])
    open_loss = view.loss if view.loss is not None and view.loss.is_open else None
    may_decide = rules.may_declare_lost(request.actor, agencies) and view.state == "silent"
    own = open_loss is not None and open_loss.requested_by_id == request.actor.person_id
    context = {
        "process": view,
        "lines": lines,
        "loss": view.loss,
        "together": len(_of_the_node(view, asked=open_loss is not None)) if may_decide else 0,
        "may": {
            "request": may_decide and open_loss is None,
            "confirm": may_decide and open_loss is not None and not own,
            "withdraw": may_decide and open_loss is not None,
        },
        "own": own,
        "problem": problem,
        "reason": request.POST.get("reason", ""),
        "timeline": audit.events_for("gateway_process", view.id, limit=20),
    }
    return render(request, "portal/gateway_process.html", context, status=problem.status if problem else 200)


@requires("officer")
def decide_loss(request: Request, process_id: UUID, step: str) -> HttpResponse:
    """One officer's word: `request`, `confirm` or `withdraw`, for this process or all like it of its node."""
    view = _process(process_id)
    if step not in _STEPS:
        raise NotFound
    if request.method != "POST":
        return redirect("portal:gateway_process", process_id)
    ids = {process_id}
    if request.POST.get("whole_node"):
        ids |= set(_of_the_node(view, asked=step != "request"))
    asked: dict[str, Any] = {"actor": request.actor, "process_ids": ids}
    if step == "request":
        asked["reason"] = request.POST.get("reason", "")
    try:
        decided = _STEPS[step](**asked)
    except DureError as error:
        if error.status in {403, 404}:
            raise
        return _page(request, _process(process_id), error)
    messages.success(request, _said(step, decided))
    return redirect("portal:gateway_process", process_id)


def _said(step: str, decided: list[selectors.LossView]) -> str:
    processes = ngettext("%(n)s process", "%(n)s processes", len(decided)) % {"n": len(decided)}
    if step == "request":
        return gettext("Asked for (%(processes)s). The other officers have been told.") % {
            "processes": processes
        }
    if step == "withdraw":
        return gettext("Withdrawn (%(processes)s). Nothing has moved.") % {"processes": processes}
    returned = sum(one.returned_micro_won for one in decided)
    return gettext("%(sum)s is back in the awards (%(processes)s).") % {
        "sum": format_won(returned, get_language() or "ko"),
        "processes": processes,
    }
