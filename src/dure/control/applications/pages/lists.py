"""The list of applications, and the page before one begins."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from dure.control.applications import rules, selectors, services, words
from dure.control.applications.workflow import APPLICATION_STATES, SEEN_BY_OFFICERS
from dure.control.calls import eligibility, forms
from dure.control.calls import selectors as calls
from dure.control.foundation import exports
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.errors import DureError
from dure.control.foundation.exports import Column
from dure.control.foundation.http import Request, whole_number
from dure.control.identity import selectors as identity
from dure.control.identity.guards import signed_in
from dure.control.programmes import selectors as programmes

_LAST_PAGE = 100_000
_ORDERS = {
    "newest": _("Newest first"),
    "submitted": _("Submitted last first"),
    "oldest": _("Longest at its step first"),
    "sum": _("Largest sum first"),
    "number": _("By number"),
}
#: How long a question takes to answer, in minutes, for the estimate before somebody begins.
_MINUTES = {"long_text": 15, "budget": 15, "table": 10, "people": 10, "file": 5, "text": 2}
COLUMNS = (
    Column("number", _("Number")),
    Column("title", _("Title")),
    Column("organisation", _("Organisation"), value=lambda one: one.organisation.name),
    Column("call", _("Call"), value=lambda one: one.round.call.name),
    Column("call_slug", _("Address of the call"), value=lambda one: one.round.call.slug),
    Column("state", _("State"), words=words.STATE_NAMES),
    Column("step", _("Step"), value=lambda one: one.step_title),
    Column("asked_micro_won", _("Sum asked for"), "won"),
    Column("created_at", _("Begun"), "moment"),
    Column("submitted_at", _("Submitted"), "moment"),
    Column("deadline", _("Deadline"), "moment"),
    Column("ended_at", _("Ended"), "moment"),
)


@signed_in
@never_cache
def applications(request: Request) -> HttpResponse:
    """One's organisation's applications; for officers and auditors what was submitted to them."""
    filters = _filters(request)
    if kind := exports.asked(request):
        return exports.table(
            kind=kind, name=gettext("Applications"), columns=COLUMNS, rows=_every(request.actor, filters)
        )
    page = whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1
    found = selectors.applications(actor=request.actor, page=page, **filters)
    context = {
        "applications": found.items,
        "total": found.total,
        "asked_micro_won": found.asked_micro_won,
        "page": Paginator(range(found.total), found.page_size).get_page(found.page),
        "filters": filters,
        "filtered": any(filters[name] for name in ("search", "state", "call_slug")),
        "states": _states(request.actor),
        "orders": _ORDERS.items(),
        "others": request.actor.has(*OFFICERS, "auditor"),
    }
    return render(request, "applications/applications.html", context)


def _states(actor: Actor) -> list[str]:
    officers = actor.has(*OFFICERS, "auditor")
    return [state for state in APPLICATION_STATES if not officers or state in SEEN_BY_OFFICERS]


def _filters(request: Request) -> dict[str, Any]:
    state, order = request.GET.get("state", ""), request.GET.get("order", "")
    return {
        "search": request.GET.get("q", "").strip()[:100],
        "state": state if state in APPLICATION_STATES else "",
        "call_slug": "".join(sign for sign in request.GET.get("call", "")[:63] if sign.isprintable()),
        "order": order if order in _ORDERS else "newest",
    }


def _every(actor: Actor, filters: dict[str, Any]) -> Iterator[selectors.ApplicationLine]:
    yield from selectors.every_application(actor=actor, **filters)


@signed_in
@never_cache
def start(request: Request, round_id: UUID) -> HttpResponse:
    """Whether the call fits, what it asks and until when, on one page; then begin."""
    actor = request.actor
    round_ = calls.round_for(actor=actor, round_id=round_id)
    standing = (
        selectors.standing(organisation_id=actor.organisation_id, round_id=round_id)
        if (actor.organisation_id and rules.may_start(actor))
        else None
    )
    if standing is not None:
        return redirect("applications:application", standing)
    problem: DureError | None = None
    if request.method == "POST":
        try:
            made = services.start(actor=actor, round_id=round_id)
        except DureError as error:
            if error.status == 404:
                raise
            problem = error
        else:
            return redirect("applications:write", made.id)
    findings = calls.findings_for(round_id, actor.organisation_id) if actor.organisation_id else []
    context = {
        "round": round_,
        "call": round_.call,
        "call_url": call_path(round_.call.slug),
        "findings": findings,
        "fit": eligibility.summary(findings) if findings else "met",
        "sections": round_.form.sections,
        "questions": sum(len(one.fields) for one in round_.form.sections),
        "required": sum(one.required and not one.when for one in round_.form.fields),
        "files": [one for one in round_.form.fields if one.kind == "file"],
        "minutes": _minutes(round_.form),
        "own_share_bp": own_share_bp(actor, round_),
        "may_start": rules.may_start(actor),
        "problem": problem,
    }
    return render(request, "applications/start.html", context, status=problem.status if problem else 200)


def _minutes(form: forms.Form) -> int:
    """A rough guess, in steps of five minutes."""
    guess = sum(_MINUTES.get(one.kind, 1) for one in form.fields if not one.when)
    return max(5, -(-guess // 5) * 5)


def own_share_bp(actor: Actor, round_: calls.RoundView) -> int:
    """The own share that an award of this call asks of the actor's organisation, in basis points of the whole."""
    if actor.organisation_id is None:
        return 0
    size = identity.profile(actor.organisation_id).size_class
    return programmes.own_contribution_bp(round_.call.programme.id, size)


def call_path(slug: str) -> str:
    """Where a call is read."""
    try:
        return reverse("calls:call", args=[slug])
    except NoReverseMatch:
        return "/"
