"""What everybody reads: the list of calls, a call's page, its files, and asking about it."""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from dure.control.calls import answering, dates, hooks, paging, selectors, services, tables
from dure.control.calls.models import CALL_KINDS
from dure.control.calls.next_thing import NextThing, Reader, next_thing
from dure.control.foundation import calendars, exports, files
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import DureError
from dure.control.foundation.http import Request, whole_number
from dure.control.identity import selectors as identity
from dure.control.identity.guards import public, signed_in

_ORDERS = ("closing", "newest", "name")
_LAST_PAGE = 100_000
_LOOKED_AT = 20


@public
def calls(request: Request) -> HttpResponse:
    filters = _filters(request)
    if kind := exports.asked(request):
        return tables.calls(kind, actor=request.actor, filters=filters)
    page = whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1
    found = selectors.calls(actor=request.actor, page=page, **filters)
    context = {
        "lines": _with_fit(request, found.items),
        "total": found.total,
        "page": Paginator(range(found.total), found.page_size).get_page(found.page),
        "filters": filters,
        "filtered": any(filters[name] for name in ("search", "kind", "state")),
        "kinds": [(kind, paging.KIND_NAMES[kind]) for kind in CALL_KINDS],
        "phases": [(phase, paging.PHASE_BADGES[phase][0]) for phase in _phases(request)],
        "orders": _order_names(),
        "may_begin": request.actor.has(*OFFICERS),
    }
    return render(request, "calls/calls.html", context)


def _filters(request: Request) -> dict[str, Any]:
    kind, state, order = (request.GET.get(name, "") for name in ("kind", "state", "order"))
    return {
        "search": request.GET.get("q", "").strip()[:100],
        "kind": kind if kind in CALL_KINDS else "",
        "state": state if state in _phases(request) else "",
        "order": order if order in _ORDERS else "closing",
    }


def _phases(request: Request) -> list[str]:
    return [phase for phase in selectors.PHASES if phase != "draft" or request.actor.has(*OFFICERS)]


def _order_names() -> list[tuple[str, str]]:
    return [
        ("closing", gettext("Closing first")),
        ("newest", gettext("Newest first")),
        ("name", gettext("By name")),
    ]


def _applicant_id(request: Request) -> UUID | None:
    """The organisation that could apply: whom the reader acts for, unless it runs calls itself."""
    actor = request.actor
    applies = actor.kind == "person" and not actor.is_platform and actor.organisation_kind != "provider"
    return actor.organisation_id if applies else None


def _with_fit(request: Request, lines: list[selectors.CallLine]) -> list[tuple[selectors.CallLine, Any]]:
    organisation_id = _applicant_id(request)
    rounds = [line.round.id for line in lines if line.round and line.phase in {"open", "upcoming"}]
    if organisation_id is None or not rounds:
        return [(line, None) for line in lines]
    fits = selectors.fitting(organisation_id=organisation_id, round_ids=rounds)
    return [
        (line, fits[line.round.id].summary if line.round and line.round.id in fits else None)
        for line in lines
    ]


@public
def call(request: Request, slug: str) -> HttpResponse:
    return _call_page(request, selectors.call(actor=request.actor, slug=slug))


def _call_page(
    request: Request, view: selectors.CallView, *, typed: str = "", problem: str = ""
) -> HttpResponse:
    chosen = _chosen_round(request, view)
    organisation_id = _applicant_id(request)
    state = request.GET.get("q", "").strip()[:100]
    page = whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1
    asked = selectors.questions(actor=request.actor, call_slug=view.slug, search=state, page=page)
    context = {
        "call": view,
        "round": chosen,
        "others": [one for one in view.rounds if chosen is None or one.id != chosen.id],
        "apply_path": paging.apply_path(chosen.id) if chosen and chosen.accepts else "",
        "organisation_id": organisation_id,
        "organisation_path": paging.path_of("identity:own_organisation"),
        "questions": asked.items,
        "questions_total": asked.total,
        "page": Paginator(range(asked.total), asked.page_size).get_page(asked.page),
        "search": state,
        "may_ask": request.actor.kind == "person" and view.takes_questions and not view.may_manage,
        "typed": typed,
        "problem": problem,
        **_parts(chosen, organisation_id),
    }
    if chosen is not None:
        context |= _next(request, chosen, context.get("fit"))
    return render(request, "calls/call.html", context, status=422 if problem else 200)


def _next(request: Request, chosen: selectors.RoundView, fit: selectors.Fit | None) -> dict[str, Any]:
    """The one thing to do, where that is done, and the call to look at instead where this one does not fit."""
    actor = request.actor
    reader = Reader(
        signed_in=actor.kind == "person",
        has_organisation=actor.organisation_id is not None,
        applies=_applicant_id(request) is not None,
        applying=hooks.applying(actor, chosen.id) if actor.kind == "person" else hooks.Applying(),
    )
    found = next_thing(chosen.phase, reader, fit.findings if fit else ())
    return {
        "next": found,
        "applying": reader.applying,
        "next_path": _next_path(request, found),
        "instead": _instead(request, chosen) if found.kind in {"not_met", "judging", "closed"} else None,
    }


def _next_path(request: Request, found: NextThing) -> str:
    name = {
        "verify": "identity:organisation",
        "document": "identity:organisation_documents",
        "state": "identity:organisation_edit",
    }.get(found.kind)
    organisation_id = _applicant_id(request)
    if name is None or organisation_id is None:
        return ""
    if not request.actor.has("administrator"):
        name = "identity:organisation"
    return paging.path_of(name, identity.organisation(organisation_id).slug)


def _instead(request: Request, chosen: selectors.RoundView) -> selectors.CallLine | None:
    """An open call that fits the reader's organisation, the first to close; the first to close of all for others."""
    lines = [
        line
        for line in selectors.calls(actor=request.actor, state="open", page_size=_LOOKED_AT).items
        if line.round is not None and line.round.id != chosen.id
    ]
    organisation_id = _applicant_id(request)
    if organisation_id is None:
        return next(iter(lines), None)
    fits = selectors.fitting(
        organisation_id=organisation_id, round_ids=[line.round.id for line in lines if line.round]
    )
    order = ("met", "needs_document", "unknown")
    possible = [line for line in lines if line.round and fits[line.round.id].summary in order]
    return min(
        possible, key=lambda line: order.index(fits[line.round.id].summary) if line.round else 0, default=None
    )


def _chosen_round(request: Request, view: selectors.CallView) -> selectors.RoundView | None:
    number = whole_number(request.GET.get("round", ""), most=10_000)
    return next((one for one in view.rounds if one.number == number), view.round)


def _parts(chosen: selectors.RoundView | None, organisation_id: UUID | None) -> dict[str, Any]:
    """What a round's page shows of its rules, steps and form."""
    if chosen is None:
        return {}
    fit = None
    if organisation_id is not None and chosen.phase in {"open", "upcoming", "judging"}:
        fit = selectors.fitting(organisation_id=organisation_id, round_ids=[chosen.id])[chosen.id]
    return {
        "fit": fit,
        "requirements": chosen.requirements,
        "graph": paging.drawing(chosen.graph) if chosen.graph.steps else None,
        "steps": paging.step_lines(chosen.graph, chosen),
        "form": chosen.form,
    }


@public
def form(request: Request, slug: str) -> HttpResponse:
    """What an application will be asked, before anybody begins one."""
    view = selectors.call(actor=request.actor, slug=slug)
    chosen = _chosen_round(request, view)
    context = {
        "call": view,
        "round": chosen,
        "sections": answering.sections(chosen.form, {}) if chosen else [],
    }
    return render(request, "calls/form.html", context)


@signed_in
@require_POST
def ask(request: Request, slug: str) -> HttpResponse:
    view = selectors.call(actor=request.actor, slug=slug)
    text = request.POST.get("text", "")
    try:
        asked = services.ask_question(actor=request.actor, call_slug=slug, text=text)
    except DureError as error:
        if error.status in {403, 404}:
            raise
        return _call_page(request, view, typed=text, problem=str(error))
    messages.success(
        request, gettext("Your question was sent. The answer is published here, without your name.")
    )
    return redirect(f"{reverse('calls:call', args=[slug])}#question-{asked.number}")


@public
def attachment(request: Request, file_id: UUID) -> HttpResponse:
    found = selectors.attachment(actor=request.actor, attachment_id=file_id)
    return cast("HttpResponse", files.response(found.sha256, found.name))  # it answers alike


@public
def calendar(request: Request, slug: str) -> HttpResponse:
    """The dates of a call's published rounds, for a calendar."""
    view = selectors.call(actor=request.actor, slug=slug)
    events = dates.dates_of_call(actor=request.actor, slug=slug)
    response = HttpResponse(
        calendars.feed(name=view.name, events=events), content_type="text/calendar; charset=utf-8"
    )
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=f"{slug}.ics")
    return response
