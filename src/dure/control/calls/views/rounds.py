"""Rounds of a call: dates and sums, publishing by numbers, extending, closing."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from dure.control.calls import page_forms, paging, selectors, services
from dure.control.calls.page_forms import tell
from dure.control.calls.views.building import managed
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity.guards import requires


def _round_of(call: selectors.CallView, round_id: UUID) -> selectors.RoundView:
    found = next((one for one in call.rounds if one.id == round_id), None)
    if found is None:
        raise NotFound(code="round_not_found")
    return found


@requires(*OFFICERS)
@require_POST
def add_round(request: Request, slug: str) -> HttpResponse:
    managed(request, slug)
    made = services.add_round(actor=request.actor, call_slug=slug)
    return redirect("calls:round", slug, made.id)


def _initial(one: selectors.RoundView) -> dict[str, Any]:
    names = (
        *("name_ko", "name_en", "opens_at", "closes_at", "questions_until"),
        *("budget_micro_won", "least_micro_won", "most_micro_won"),
    )
    rule = one.automatic or {}
    return {name: getattr(one, name) for name in names} | {
        "automatic": bool(rule),
        "automatic_most": rule.get("most_micro_won"),
        "automatic_days": rule.get("valid_days"),
        "automatic_per_group": rule.get("most_per_group"),
    }


@requires(*OFFICERS)
def round_page(request: Request, slug: str, round_id: UUID) -> HttpResponse:
    view = managed(request, slug)
    one = _round_of(view, round_id)
    form = page_forms.RoundForm(request.POST or None, initial=_initial(one))
    if one.state != "draft":
        # What applicants rely on stays; a name and more money may come.
        for name in set(form.fields) - {"name_ko", "name_en", "budget_micro_won"}:
            del form.fields[name]
    if request.method == "POST" and form.is_valid():
        try:
            services.change_round(actor=request.actor, round_id=round_id, **form.values())
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("Saved."))
            return redirect("calls:build", slug)
    context = {"call": view, "round": one, "form": form, "least_open": paging.least_open_days(view.kind)}
    return render(request, "calls/round.html", context, status=422 if form.is_bound else 200)


@requires(*OFFICERS)
def publish(request: Request, slug: str, round_id: UUID) -> HttpResponse:
    """What publishing will do, in numbers; and doing it."""
    view = managed(request, slug)
    one = _round_of(view, round_id)
    refusal = ""
    if request.method == "POST":
        try:
            services.publish_round(actor=request.actor, round_id=round_id)
        except DureError as error:
            if error.status in {403, 404}:
                raise
            refusal = str(error)
        else:
            messages.success(request, gettext("The round is published. Everybody can read it now."))
            return redirect("calls:build", slug)
    problems = (
        services.publication_problems(actor=request.actor, round_id=round_id) if one.state == "draft" else []
    )
    form = one.form
    context = {
        "call": view,
        "round": one,
        "refusal": refusal,
        "stopping": [
            (problem, paging.area_path(problem.area, one))
            for problem in problems
            if problem.severity == "problem"
        ],
        "warnings": [problem for problem in problems if problem.severity != "problem"],
        "field_count": len(list(form.fields)),
        "rule_count": len(one.requirements),
        "step_count": len(one.graph.steps),
    }
    return render(request, "calls/publish.html", context, status=422 if refusal else 200)


@requires(*OFFICERS)
def extend(request: Request, slug: str, round_id: UUID) -> HttpResponse:
    view = managed(request, slug)
    one = _round_of(view, round_id)
    form = page_forms.ExtendForm(request.POST or None, initial={"closes_at": one.closes_at})
    if request.method == "POST" and form.is_valid():
        try:
            services.extend_round(actor=request.actor, round_id=round_id, **form.cleaned_data)
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("The closing was moved. Everybody with a draft is told."))
            return redirect("calls:build", slug)
    return render(
        request,
        "calls/extend.html",
        {"call": view, "round": one, "form": form},
        status=422 if form.is_bound else 200,
    )


@requires(*OFFICERS)
def close(request: Request, slug: str, round_id: UUID) -> HttpResponse:
    view = managed(request, slug)
    one = _round_of(view, round_id)
    form = page_forms.ReasonForm(request.POST or None)
    form.fields["reason"].required = False
    if request.method == "POST" and form.is_valid():
        try:
            services.close_round(actor=request.actor, round_id=round_id, reason=form.cleaned_data["reason"])
        except DureError as error:
            tell(form, error)
        else:
            messages.success(request, gettext("The round is closed."))
            return redirect("calls:build", slug)
    return render(
        request,
        "calls/close.html",
        {"call": view, "round": one, "form": form},
        status=422 if form.is_bound else 200,
    )


@requires(*OFFICERS)
@require_POST
def discard_round(request: Request, slug: str, round_id: UUID) -> HttpResponse:
    _round_of(managed(request, slug), round_id)
    services.discard_round(actor=request.actor, round_id=round_id)
    messages.success(request, gettext("The draft of the round was thrown away."))
    return redirect("calls:build", slug)
