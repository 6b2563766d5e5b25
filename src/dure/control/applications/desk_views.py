"""The officer's desk: rounds in numbers, the pipeline of one, and deeds on several applications at once."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache

from dure.control.applications import desk, selectors, services
from dure.control.applications.desk import Deed
from dure.control.applications.desk_forms import BulkReasonForm, ExtensionByNumberForm
from dure.control.applications.pages.lists import COLUMNS
from dure.control.applications.selectors import ApplicationLine
from dure.control.applications.services.deciding import ADVERSE, MAX_BULK
from dure.control.applications.workflow import APPLICATION_STATES, SEEN_BY_OFFICERS
from dure.control.calls import selectors as calls
from dure.control.calls import steps
from dure.control.calls.page_forms import tell
from dure.control.calls.selectors import RoundView
from dure.control.foundation import exports
from dure.control.foundation.actors import OFFICERS, Actor
from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request, whole_number
from dure.control.identity.guards import requires

#: What one request carries through: so that a person sees it move, and no server answers for minutes.
BATCH = 50
_LAST_PAGE = 100_000
_ROUNDS_A_PAGE = 20
ORDERS = ("oldest", "submitted", "sum", "number")


@requires(*OFFICERS, "auditor")
@never_cache
def rounds(request: Request) -> HttpResponse:
    """The rounds of the agency, where something waits longest first."""
    lines = desk.round_lines(actor=request.actor)
    page = Paginator(lines, _ROUNDS_A_PAGE).get_page(
        whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1
    )
    return render(request, "applications/desk.html", {"lines": page.object_list, "page": page})


@requires(*OFFICERS, "auditor")
@never_cache
def board(request: Request, round_id: UUID) -> HttpResponse:
    """A round's pipeline: a column a step; or, searched and filtered, as a list."""
    columns = selectors.desk(actor=request.actor, round_id=round_id)
    round_ = calls.round_for(actor=request.actor, round_id=round_id)
    filters = _filters(request.GET, round_)
    if kind := exports.asked(request):
        rows = selectors.every_application(actor=request.actor, round_id=round_id, **filters)
        return exports.table(kind=kind, name=gettext("Applications"), columns=COLUMNS, rows=rows)
    as_list = request.GET.get("view") == "list" or any(filters[one] for one in ("search", "state", "step"))
    context: dict[str, Any] = {
        **_about(request.actor, round_, filters),
        "columns": columns,
        "waiting": sum(one.total for one in columns),
        "drafts": selectors.counts(round_ids=[round_id]).get(round_id, {}).get("draft", 0),
    }
    if not as_list:
        return render(request, "applications/desk_board.html", context)
    found = selectors.applications(
        actor=request.actor,
        round_id=round_id,
        page=whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1,
        **filters,
    )
    context |= {
        "applications": found.items,
        "total": found.total,
        "asked_micro_won": found.asked_micro_won,
        "page": Paginator(range(found.total), found.page_size).get_page(found.page),
        "all_at_once": found.page_size < found.total <= MAX_BULK,
    }
    return render(request, "applications/desk_list.html", context)


def _about(actor: Actor, round_: RoundView, filters: Mapping[str, Any]) -> dict[str, Any]:
    granted = selectors.granted_in_round(round_id=round_.id)
    return {
        "round": round_,
        "filters": filters,
        "states": [state for state in APPLICATION_STATES if state in SEEN_BY_OFFICERS],
        "deeds": _grouped(round_, filters["step"]),
        "may_act": actor.has(*OFFICERS),
        "granted_micro_won": granted,
        "left_micro_won": round_.budget_micro_won - granted,
    }


def _filters(asked: Mapping[str, Any], round_: RoundView) -> dict[str, Any]:
    state, step, order = asked.get("state", ""), asked.get("step", ""), asked.get("order", "")
    return {
        "search": str(asked.get("q", "")).strip()[:100],
        "state": state if state in SEEN_BY_OFFICERS else "",
        "step": step if round_.graph.step(step) else "",
        "order": order if order in ORDERS else "oldest",
    }


def _grouped(round_: RoundView, step: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """(step, its deeds) as a select takes them; of one step alone where the list shows one."""
    found: dict[str, list[tuple[str, str]]] = {}
    for deed in desk.deeds(round_):
        if not step or deed.step.key == step:
            found.setdefault(deed.step.title, []).append((deed.key, deed_name(deed)))
    return list(found.items())


def deed_name(deed: Deed) -> str:
    match deed.verb:
        case "accept":
            return gettext("Accept, for what was asked")
        case "reject":
            return gettext("Do not accept")
        case "award":
            return gettext("Grant the award")
    return str(steps.outcome_name(deed.outcome))


@requires(*OFFICERS)
@never_cache
def bulk(request: Request, round_id: UUID) -> HttpResponse:
    """Several at once: first what would happen, in numbers; then, confirmed, it happens in portions."""
    selectors.desk(actor=request.actor, round_id=round_id, shown=0)
    round_ = calls.round_for(actor=request.actor, round_id=round_id)
    if request.method != "POST":
        return redirect("applications:desk_board", round_id)
    deed = next((one for one in desk.deeds(round_) if one.key == request.POST.get("deed")), None)
    ids = _ids(request, round_)
    lines = desk.chosen(actor=request.actor, round_=round_, ids=ids[:MAX_BULK])
    problem = ""
    if not lines:
        problem = gettext("Choose the applications first.")
    elif len(ids) > MAX_BULK:
        problem = gettext("At most %(n)d applications at once.") % {"n": MAX_BULK}
    if deed is None or problem:
        problem = problem if deed else gettext("Choose what is to be done first.")
        context = {"round": round_, "problem": problem}
        return render(request, "applications/desk_nothing.html", context, status=422)
    needed = deed.outcome in ADVERSE or deed.verb == "reject"
    confirmed = request.POST.get("confirmed") == "1"
    form = BulkReasonForm(request.POST if confirmed else None, needed=needed)
    if confirmed and form.is_valid():
        return _carry_out(request, round_, deed, lines, form.cleaned_data["reason"])
    return render(
        request,
        "applications/desk_confirm.html",
        _what_would_happen(round_, deed, lines) | {"form": form, "needed": needed},
        status=422 if confirmed else 200,
    )


def _ids(request: Request, round_: RoundView) -> list[UUID]:
    """What was ticked; or everything that the list's filters let through. One more than may be done at once says that
    there were more."""
    if request.POST.get("all") == "1":
        filters = _filters(request.POST, round_)
        filters.pop("order")
        return selectors.ids_that_match(
            actor=request.actor, limit=MAX_BULK + 1, round_id=round_.id, **filters
        )
    found = []
    for text in request.POST.getlist("ids")[: MAX_BULK + 1]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def _what_would_happen(round_: RoundView, deed: Deed, lines: Sequence[ApplicationLine]) -> dict[str, Any]:
    fits, elsewhere = desk.affected(deed, lines)
    organisations = {one.organisation.id for one in fits}
    asked = sum(one.asked_micro_won or 0 for one in fits)
    left = round_.budget_micro_won - selectors.granted_in_round(round_id=round_.id)
    return {
        "round": round_,
        "deed": deed,
        "deed_name": deed_name(deed),
        "sentence": sentence(deed, len(fits)),
        "told": len(organisations),
        "fits": fits,
        "shown": fits[:20],
        "more": max(0, len(fits) - 20),
        "elsewhere": elsewhere,
        "asked_micro_won": asked if deed.verb == "accept" else None,
        "left_micro_won": left,
        "beyond": deed.verb == "accept" and asked > left,
    }


def sentence(deed: Deed, n: int) -> str:
    """What happens, in numbers: the heading of the page that asks whether it shall."""
    values = {"n": n, "step": deed.step.title, "outcome": deed_name(deed)}
    match deed.verb:
        case "accept":
            text = ngettext(
                "%(n)d application is accepted for the sum it asks for.",
                "%(n)d applications are accepted for the sums they ask for.",
                n,
            )
        case "reject":
            text = ngettext("%(n)d application is not accepted.", "%(n)d applications are not accepted.", n)
        case "award":
            text = ngettext("%(n)d award is granted.", "%(n)d awards are granted.", n)
        case _:
            text = ngettext(
                "%(n)d application leaves “%(step)s” with “%(outcome)s”.",
                "%(n)d applications leave “%(step)s” with “%(outcome)s”.",
                n,
            )
    return text % values


def _carry_out(
    request: Request, round_: RoundView, deed: Deed, lines: Sequence[ApplicationLine], reason: str
) -> HttpResponse:
    """The next portion. What comes after it travels in the page, so that it may be left at any moment."""
    portion, rest = list(lines[:BATCH]), list(lines[BATCH:])
    results = services.in_bulk(
        actor=request.actor,
        application_ids=[one.id for one in portion],
        verb=deed.verb,  # type: ignore[arg-type]
        reason=reason,
        outcome=deed.outcome,
    )
    by_id = {one.id: one for one in portion}
    done = sum(one.done for one in results) + (whole_number(request.POST.get("done", ""), most=MAX_BULK) or 0)
    refused = [tuple(text.split("|", 2)) for text in request.POST.getlist("refused")[:MAX_BULK]]
    refused = [one for one in refused if len(one) == 3]
    refused += [
        (str(one.application_id), by_id[one.application_id].number, _said(one.error))
        for one in results
        if one.error is not None
    ]
    context = {
        "round": round_,
        "deed": deed,
        "deed_name": deed_name(deed),
        "reason": reason,
        "done": done,
        "refused": refused,
        "rest": rest,
        "all": done + len(refused) + len(rest),
        "so_far": done + len(refused),
    }
    return render(request, "applications/desk_result.html", context)


def _said(error: DureError) -> str:
    return f"{error.message} {error.remedy}".strip() if error.remedy else str(error.message)


@requires(*OFFICERS)
@never_cache
def extend_by_number(request: Request, round_id: UUID) -> HttpResponse:
    """More time for an applicant whose draft officers do not see: by the number that they say."""
    selectors.desk(actor=request.actor, round_id=round_id, shown=0)
    round_ = calls.round_for(actor=request.actor, round_id=round_id)
    form = ExtensionByNumberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            application_id = selectors.id_of(values["number"])
            if selectors.application_line(application_id).round.id != round_id:
                raise NotFound(
                    gettext("No application of this round has this number."),
                    code="application_not_found",
                    field="number",
                )
            services.extend(
                actor=request.actor,
                application_id=application_id,
                until=values["until"],
                reason=values["reason"],
            )
        except DureError as error:
            tell(form, error)
        else:
            return render(
                request,
                "applications/desk_extended.html",
                {"round": round_, "number": values["number"], "until": values["until"]},
            )
    context = {"round": round_, "form": form}
    return render(request, "applications/desk_extend.html", context, status=422 if form.errors else 200)
