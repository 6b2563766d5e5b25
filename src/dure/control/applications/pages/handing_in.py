"""Before and after the one press that binds: everything once more, the receipt, and the ways back."""

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache

from dure.control.applications import selectors, services
from dure.control.applications.pages.lists import own_share_bp
from dure.control.applications.pages.standing import attachments
from dure.control.applications.selectors import ApplicationView, SubmissionView
from dure.control.applications.services.clockwork import REFUSALS
from dure.control.applications.timing import waited
from dure.control.calls import answering, eligibility, forms
from dure.control.calls import selectors as calls
from dure.control.foundation import signing
from dure.control.foundation.errors import DureError, Forbidden, Text
from dure.control.foundation.http import Request, whole_number
from dure.control.identity.guards import signed_in
from dure.control.programmes.own_share import OwnShareRule, on_top

_LAST_SUBMISSION = 1_000_000


@signed_in
@never_cache
def check(request: Request, application_id: UUID) -> HttpResponse:
    """Everything as it will be read, what is missing, what submitting means; a POST submits."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if not view.may & {"write", "submit"}:
        if request.method == "POST":
            raise Forbidden
        return redirect("applications:application", application_id)
    problem: DureError | None = None
    if request.method == "POST":
        try:
            services.submit(actor=request.actor, application_id=application_id, waited=waited(request))
        except DureError as error:
            problem = error
            view = selectors.application(actor=request.actor, application_id=application_id)
        else:
            services.decide_at_once(application_id)
            return redirect("applications:receipt", application_id)
    context = _to_check(request, view) | {"problem": problem}
    return render(request, "applications/check.html", context, status=problem.status if problem else 200)


def _to_check(request: Request, view: ApplicationView) -> dict[str, Any]:
    values = view.values
    problems = forms.check(view.form, values, complete=True)
    findings = calls.findings_for(view.round.id, view.organisation.id)
    files = [one for one, _attachment in attachments(view, values)]
    share_bp = own_share_bp(request.actor, view.round)
    fit = eligibility.summary(findings) if findings else "met"
    most = (view.round.automatic or {}).get("most_micro_won", 0)
    return {
        "application": view,
        "sections": answering.sections(view.form, values, problems, spare=0),
        "problems": [(view.form.field(one.field), one, _where(view, one.field)) for one in problems],
        "findings": findings,
        "stops": [one for one in findings if one.state in {"not_met", "unknown"}],
        "fit": fit,
        "at_once": fit == "met" and 0 < (view.asked_micro_won or 0) <= most,
        "files": files,
        "files_bytes": sum(one["size"] for one in files),
        "answered": len(forms.submitted(view.form, values)),
        "sum_problem": _sum_problem(view),
        "own_share_bp": share_bp,
        "own_micro_won": on_top(view.asked_micro_won or 0, OwnShareRule(share_bp=share_bp)).own_micro_won,
        "deadline": view.request.due_at if view.request else view.deadline,
        "may_submit": "submit" in view.may,
    }


def _sum_problem(view: ApplicationView) -> str:
    asked, least, most = view.asked_micro_won or 0, view.round.least_micro_won, view.round.most_micro_won
    if least is not None and asked < least:
        return "below"
    return "above" if most is not None and asked > most else ""


def _where(view: ApplicationView, field: str) -> str:
    section = next(
        (one.key for one in view.form.sections if any(other.key == field for other in one.fields)), ""
    )
    return f"{reverse('applications:write', args=[view.id])}?section={section}&check=1#f-{field}-line"


def _submission(request: Request, application_id: UUID) -> SubmissionView:
    number = whole_number(request.GET.get("number", ""), most=_LAST_SUBMISSION) or None
    return selectors.receipt(actor=request.actor, application_id=application_id, number=number)


def _why_left(request: Request, view: ApplicationView) -> Text:
    """Why the rule left it to a person, in the reader's language; empty where it did not."""
    events = selectors.timeline(actor=request.actor, application_id=view.id)
    left = next((one for one in events if one.action == "application.left_to_officer"), None)
    return REFUSALS.get(left.after["reason"], "") if left else ""


@signed_in
@never_cache
def receipt(request: Request, application_id: UUID) -> HttpResponse:
    """What was handed in and when, signed; and for a small request what was decided on it."""
    made = _submission(request, application_id)
    view = selectors.application(actor=request.actor, application_id=application_id)
    left = _why_left(request, view)
    context = {
        "application": view,
        "submission": made,
        "valid": signing.verify(made.receipt.encode(), made.key_id, made.signature),
        "files": json.loads(made.content)["files"],
        "content_address": request.build_absolute_uri(reverse("applications:content_file", args=[view.id])),
        "granted": view.decision
        if view.decision and view.decision.automatic and view.decision.outcome == "accepted"
        else None,
        "left_to_person": left if view.state == "submitted" else "",
        "waits_for_rule": bool(view.round.automatic) and view.state == "submitted" and not left,
        "replaceable": "submit" in view.may,
    }
    return render(request, "applications/receipt.html", context)


def _named(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["Cache-Control"] = "private, no-store"
    return response


@signed_in
def receipt_file(request: Request, application_id: UUID) -> HttpResponse:
    """The receipt with its signature, to be kept and checked by anybody."""
    made = _submission(request, application_id)
    number = made.envelope()["content"]["application"]
    response = JsonResponse(made.envelope(), json_dumps_params={"ensure_ascii": False, "indent": 2})
    return _named(response, f"receipt-{number}-{made.number}.json")


@signed_in
def content_file(request: Request, application_id: UUID) -> HttpResponse:
    """What was handed in, to the byte: the receipt has its SHA-256."""
    made = _submission(request, application_id)
    number = made.envelope()["content"]["application"]
    response = HttpResponse(made.content, content_type="application/json; charset=utf-8")
    return _named(response, f"content-{number}-{made.number}.json")


@signed_in
@never_cache
def withdraw(request: Request, application_id: UUID) -> HttpResponse:
    """Take the application back for good, after reading what that means."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if request.method == "POST":
        services.withdraw(
            actor=request.actor, application_id=application_id, reason=request.POST.get("reason", "")
        )
        messages.success(
            request, gettext("The application %(number)s is withdrawn.") % {"number": view.number}
        )
        return redirect("applications:application", application_id)
    if "withdraw" not in view.may:
        return redirect("applications:application", application_id)
    return render(request, "applications/withdraw.html", {"application": view})


@signed_in
@never_cache
def discard(request: Request, application_id: UUID) -> HttpResponse:
    """Put back what was submitted; the text since then stays in each field's history."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if request.method == "POST":
        services.discard_changes(actor=request.actor, application_id=application_id)
        messages.success(request, gettext("The application stands as it was submitted."))
        return redirect("applications:application", application_id)
    if "write" not in view.may or not view.submissions:
        return redirect("applications:application", application_id)
    return render(request, "applications/discard.html", {"application": view})
