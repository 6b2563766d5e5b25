"""Many applications: pages, exports, the desk's board."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Sum, Window
from django.db.models.functions import RowNumber

from dure.control.applications import rules
from dure.control.applications.models import Application
from dure.control.applications.selectors.lines import lines_from
from dure.control.applications.selectors.seeing import filtered, scope
from dure.control.applications.selectors.values import ApplicationLine, ApplicationsPage, DeskColumn
from dure.control.applications.workflow import STANDING
from dure.control.calls import selectors as calls
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound

PAGE_SIZE = 30
ORDERS = {
    "newest": ("-created_at",),
    "oldest": ("step_entered_at", "pk"),
    "submitted": ("-submitted_at", "-created_at"),
    "number": ("number",),
    "sum": ("-asked_micro_won", "number"),
}


def applications(
    *,
    actor: Actor,
    search: str = "",
    state: str = "",
    step: str = "",
    round_id: UUID | None = None,
    call_slug: str = "",
    order: str = "newest",
    page: int = 1,
    page_size: int = PAGE_SIZE,
) -> ApplicationsPage:
    """Those the actor may see: their organisation's, or what was submitted to their agency."""
    found = filtered(
        scope(actor), search=search, state=state, step=step, round_id=round_id, call_slug=call_slug
    )
    sums = found.aggregate(total=Count("pk"), asked=Sum("asked_micro_won"))
    total = sums["total"]
    page = max(1, min(page, (total + page_size - 1) // page_size or 1))
    ordered = found.order_by(*ORDERS.get(order, ORDERS["newest"]))
    return ApplicationsPage(
        items=lines_from(list(ordered[(page - 1) * page_size : page * page_size])),
        total=total,
        asked_micro_won=int(sums["asked"] or 0),
        page=page,
        page_size=page_size,
    )


def every_application(*, actor: Actor, limit: int = 50_000, **filters: Any) -> list[ApplicationLine]:
    """For an export: all that the filters let through."""
    order = filters.pop("order", "number")
    found = filtered(scope(actor), **filters).order_by(*ORDERS.get(order, ORDERS["number"]))
    return lines_from(list(found[:limit]))


def lines_of(*, actor: Actor, round_id: UUID, ids: Collection[UUID]) -> list[ApplicationLine]:
    """Those of one round among these that the actor may list, longest at their step first."""
    found = scope(actor).filter(round_id=round_id, pk__in=set(ids)).order_by("step_entered_at", "pk")
    return lines_from(list(found))


def ids_that_match(*, actor: Actor, limit: int, **filters: Any) -> list[UUID]:
    """The same filters as a list's, without its pages; longest at their step first."""
    found = filtered(scope(actor), **filters).order_by("step_entered_at", "pk")
    return list(found.values_list("pk", flat=True)[:limit])


def desk(*, actor: Actor, round_id: UUID, shown: int = 20) -> list[DeskColumn]:
    """The pipeline of a round: each step with what waits there, longest first."""
    round_ = calls.round_for(actor=actor, round_id=round_id)
    if not rules.may_decide(actor, round_.call.agency_id, round_.call.programme.id) and not actor.has(
        "auditor"
    ):
        raise NotFound(code="round_not_found")
    here = Application.objects.filter(round_id=round_id, state__in=["submitted", "incomplete", "accepted"])
    sums = {
        line["step"]: line
        for line in here.values("step").annotate(
            total=Count("pk"), asked=Sum("asked_micro_won"), oldest=Min("step_entered_at")
        )
    }
    place = Window(RowNumber(), partition_by="step", order_by=["step_entered_at", "pk"])
    first: dict[str, list[ApplicationLine]] = {}
    for line in lines_from(list(here.annotate(place=place).filter(place__lte=shown).order_by("place"))):
        first.setdefault(line.step, []).append(line)
    return [
        DeskColumn(
            step=step.key,
            title=step.title,
            kind=step.kind,
            total=sums[step.key]["total"] if step.key in sums else 0,
            asked_micro_won=int(sums[step.key]["asked"] or 0) if step.key in sums else 0,
            oldest_at=sums[step.key]["oldest"] if step.key in sums else None,
            items=first.get(step.key, []),
        )
        for step in round_.graph.steps
    ]


def rounds_standing_in(*, actor: Actor, round_ids: Collection[UUID]) -> set[UUID]:
    """Those of the rounds in which the own organisation has a standing application."""
    if actor.organisation_id is None:
        return set()
    rows = Application.objects.filter(
        organisation_id=actor.organisation_id, round_id__in=set(round_ids), state__in=sorted(STANDING)
    )
    return set(rows.values_list("round_id", flat=True))
