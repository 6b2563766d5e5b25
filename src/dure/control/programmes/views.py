"""Awards: the list, the award's page with its live parts, and its keys."""

from datetime import date, timedelta
from typing import Any, get_args
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache

from dure.contracts.usage import UsageStatus
from dure.control.access import selectors as access
from dure.control.access import services as keys
from dure.control.foundation import exports
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import DureError, Forbidden, Invalid, NotFound
from dure.control.foundation.http import Request, whole_number
from dure.control.identity.guards import requires, signed_in
from dure.control.programmes import selectors, tables
from dure.control.programmes.forms import AwardLimitsForm, KeyForm, KeyLimitsForm
from dure.control.programmes.outlook import burn_chart, outlook
from dure.control.programmes.snippets import snippets
from dure.control.programmes.workflow import AWARD_STATES
from dure.control.settlement import selectors as settlement

CALLS_SHOWN = 20
_LAST_PAGE = 100_000
_OVERLAP_HOURS = (1, 24, 72, 168)


@signed_in
def awards(request: Request) -> HttpResponse:
    search, state = request.GET.get("q", "").strip()[:100], request.GET.get("state", "")
    state = state if state in AWARD_STATES else ""
    if kind := exports.asked(request):
        return tables.awards(kind, actor=request.actor, search=search, state=state)
    page = whole_number(request.GET.get("page", ""), most=_LAST_PAGE) or 1
    found = selectors.awards(actor=request.actor, search=search, state=state, page=page)
    context = {
        "awards": found.items,
        "total": found.total,
        "sums": found.sums,
        "page": Paginator(range(found.total), found.page_size).get_page(found.page),
        "search": search,
        "state": state,
        "states": AWARD_STATES,
    }
    return render(request, "programmes/awards.html", context)


def _filters(request: Request) -> dict[str, Any]:
    status, before = request.GET.get("status", ""), request.GET.get("before", "")
    try:
        cursor = UUID(before) if before else None
    except ValueError:
        cursor = None
    return {
        "model": request.GET.get("model", "")[:120],
        "status": status if status in get_args(UsageStatus) else "",
        "before": cursor,
    }


def _calls(request: Request, award_id: UUID) -> dict[str, Any]:
    filters = _filters(request)
    found = settlement.usage(
        award_id=award_id,
        status=filters["status"] or None,
        model=filters["model"] or None,
        before=filters["before"],
        limit=CALLS_SHOWN + 1,
    )
    shown = found[:CALLS_SHOWN]
    parts = {}
    if selectors.has_several_parts(award_id):
        parts = selectors.calls_by_source(award_id=award_id, request_ids=[one.request_id for one in shown])
    return {
        "calls": shown,
        "call_parts": {request_id: one.parts for request_id, one in parts.items()},
        "older": found[CALLS_SHOWN - 1].request_id if len(found) > CALLS_SHOWN else None,
        "filters": filters,
    }


def spent_by_day(award_id: UUID) -> dict[date, int]:
    """What an award spent on each day with calls."""
    lines = settlement.spend_by_day(award_ids=[award_id])
    return {line.group: line.cost_micro_won for line in lines if isinstance(line.group, date)}


def _may(request: Request, view: selectors.AwardView) -> dict[str, bool]:
    return {
        "issue": access.may_issue(actor=request.actor, award_id=view.id) and view.is_open,
        "limit": access.may_limit(actor=request.actor, award_id=view.id) and view.is_open,
        "revoke": access.may_revoke(actor=request.actor, award_id=view.id),
        "confirm_own": view.own_outstanding_micro_won > 0
        and selectors.may_grant(actor=request.actor, slug=view.programme.slug),
        "repay_own": view.own_returned_micro_won > 0
        and selectors.may_grant(actor=request.actor, slug=view.programme.slug)
        and selectors.own_waiting(view.id) > 0,
    }


@signed_in
@never_cache
def award(request: Request, award_id: UUID) -> HttpResponse:
    view = selectors.award(actor=request.actor, award_id=award_id)
    by_model = settlement.spend_by_model(award_ids=[award_id])
    by_day = spent_by_day(award_id)
    uses = selectors.keys_with_use(actor=request.actor, award_id=award_id)
    context = {
        "award": view,
        "outlook": outlook(view, by_day),
        "waiting": settlement.waiting_escrow(award_ids=[award_id]),
        "used": bool(by_model),
        "parts": selectors.spent_by_source(award_id, spent_micro_won=view.spent_micro_won),
        "own_waiting": selectors.own_waiting(award_id) if view.own_returned_micro_won else 0,
        "burn": burn_chart(view, by_day) if by_model else None,
        "by_model": by_model,
        **_calls(request, award_id),
        "statuses": get_args(UsageStatus),
        "keys": uses,
        "overlaps": _overlaps(),
        "may": _may(request, view),
        "limits": access.entitlement(actor=request.actor, award_id=award_id),
        "snippets": snippets(award_id=award_id, actor=request.actor),
        "timeline": selectors.award_timeline(actor=request.actor, award_id=award_id, limit=20),
    }
    return render(request, "programmes/award.html", context)


@signed_in
@never_cache
def award_live(request: Request, award_id: UUID, part: str) -> HttpResponse:
    """A part of the award's page as it is now: `summary`, `models`, `calls` or `keys`."""
    view = selectors.award(actor=request.actor, award_id=award_id)
    context: dict[str, Any] = {"award": view}
    if part == "calls":
        context |= _calls(request, award_id)
    elif part == "keys":
        uses = selectors.keys_with_use(actor=request.actor, award_id=award_id)
        context |= {"keys": uses, "may": _may(request, view)}
    elif part == "models":
        context["by_model"] = settlement.spend_by_model(award_ids=[award_id])
    elif part == "summary":
        context["outlook"] = outlook(view, spent_by_day(award_id))
        context["waiting"] = settlement.waiting_escrow(award_ids=[award_id])
    else:
        raise NotFound
    return render(request, f"programmes/award.html#{part}", context)


@signed_in
def award_csv(request: Request, award_id: UUID) -> HttpResponse:
    """The calls that match the filters, latest first, with exact micro-won."""
    selectors.award(actor=request.actor, award_id=award_id)
    filters = _filters(request)
    return tables.calls(
        exports.asked(request) or "csv",
        award_id=award_id,
        status=filters["status"] or None,
        model=filters["model"] or None,
    )


def _overlaps() -> list[tuple[int, str]]:
    texts = []
    for hours in _OVERLAP_HOURS:
        if hours < 24:
            text = ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours}
        else:
            text = ngettext("%(n)s day", "%(n)s days", hours // 24) % {"n": hours // 24}
        texts.append((hours, text))
    return texts


def _use_of(request: Request, award_id: UUID, key_id: UUID) -> selectors.KeyUse:
    uses = selectors.keys_with_use(actor=request.actor, award_id=award_id)
    found = next((use for use in uses if use.key.id == key_id), None)
    if found is None:
        access.key(actor=request.actor, key_id=key_id)
        raise Invalid("key_of_other_award", gettext("This key belongs to another award."))
    return found


def _shown_once(
    request: Request, award_id: UUID, issued: keys.IssuedKey, replaced: Any = None
) -> HttpResponse:
    """The page with the secret. It is the answer to the order itself: nothing keeps the secret for a later page."""
    context = {
        "award": selectors.award(actor=request.actor, award_id=award_id),
        "key": issued.key,
        "secret": issued.secret,
        "replaced": replaced,
        "snippets": snippets(award_id=award_id, actor=request.actor, secret=issued.secret),
    }
    response = render(request, "programmes/key_shown.html", context, status=201)
    response["Cache-Control"] = "no-store"
    return response


@signed_in
def issue_key(request: Request, award_id: UUID) -> HttpResponse:
    view = selectors.award(actor=request.actor, award_id=award_id)
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            issued = keys.issue_key(
                actor=request.actor,
                award_id=award_id,
                name=form.cleaned_data["name"],
                expires_at=form.expires_at(),
                limits=keys.KeyLimits(**form.changes()),
            )
        except DureError as error:
            _tell(form, error)
        else:
            return _shown_once(request, award_id, issued)
    status = 422 if form.is_bound else 200
    return render(request, "programmes/key_issue.html", {"award": view, "form": form}, status=status)


def _tell(form: KeyLimitsForm, error: DureError) -> None:
    """A refusal beside its field; whoever may not do this at all sees no form."""
    if error.status in {403, 404}:
        raise error
    form.add_error(error.field if error.field in form.fields else None, str(error))


@requires(*OFFICERS)
def award_limits(request: Request, award_id: UUID) -> HttpResponse:
    view = selectors.award(actor=request.actor, award_id=award_id)
    if not access.may_limit(actor=request.actor, award_id=award_id):
        raise Forbidden
    standing = access.entitlement(actor=request.actor, award_id=award_id)
    form = AwardLimitsForm(request.POST or None, initial=_standing(standing, AwardLimitsForm.limits))
    if request.method == "POST" and form.is_valid():
        try:
            keys.change_limits(actor=request.actor, award_id=award_id, changes=form.changes())
        except DureError as error:
            _tell(form, error)
        else:
            messages.success(request, gettext("The limits hold within a second."))
            return redirect("programmes:award", award_id)
    return _limits_page(request, view, form, gettext("Limits of the award"))


@signed_in
def key_limits(request: Request, award_id: UUID, key_id: UUID) -> HttpResponse:
    use = _use_of(request, award_id, key_id)
    if not access.may_issue(actor=request.actor, award_id=award_id):
        raise Forbidden
    form = KeyLimitsForm(request.POST or None, initial=_standing(use.key, KeyLimitsForm.limits))
    if request.method == "POST" and form.is_valid():
        try:
            keys.change_key_limits(actor=request.actor, key_id=key_id, changes=form.changes())
        except DureError as error:
            _tell(form, error)
        else:
            messages.success(request, gettext("The limits hold within a second."))
            return redirect("programmes:award", award_id)
    title = gettext("Limits of the key “%(name)s”") % {"name": use.key.name or f"{use.key.prefix}…"}
    return _limits_page(request, selectors.award(actor=request.actor, award_id=award_id), form, title)


def _standing(view: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(view, name) for name in names}


def _limits_page(
    request: Request, view: selectors.AwardView, form: KeyLimitsForm, title: str
) -> HttpResponse:
    context = {"award": view, "form": form, "title": title, "for_award": isinstance(form, AwardLimitsForm)}
    return render(request, "programmes/limits.html", context, status=422 if form.is_bound else 200)


@signed_in
def revoke_key(request: Request, award_id: UUID, key_id: UUID) -> HttpResponse:
    use = _use_of(request, award_id, key_id)
    if request.method == "POST":
        view, changed = keys.revoke_key(actor=request.actor, key_id=key_id)
        text = (
            gettext("The key %(prefix)s… is revoked.")
            if changed
            else gettext("The key %(prefix)s… had been revoked already.")
        )
        messages.success(request, text % {"prefix": view.prefix})
        return redirect("programmes:award", award_id)
    context = {"award": selectors.award(actor=request.actor, award_id=award_id), "use": use}
    return render(request, "programmes/key_confirm.html", context)


@signed_in
def rotate_key(request: Request, award_id: UUID, key_id: UUID) -> HttpResponse:
    use = _use_of(request, award_id, key_id)
    if request.method == "POST":
        hours = whole_number(request.POST.get("overlap_hours", "24"), most=_OVERLAP_HOURS[-1])
        if hours is None:
            raise Invalid(
                "overlap_invalid", gettext("Choose how long the old key works on."), field="overlap"
            )
        issued = keys.rotate_key(actor=request.actor, key_id=key_id, overlap=timedelta(hours=hours))
        return _shown_once(request, award_id, issued, replaced=access.key(actor=request.actor, key_id=key_id))
    context = {
        "award": selectors.award(actor=request.actor, award_id=award_id),
        "use": use,
        "rotating": True,
        "overlaps": _overlaps(),
    }
    return render(request, "programmes/key_confirm.html", context)
