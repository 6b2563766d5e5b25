"""Pages about one's own data: take it along, leave an organisation, be erased."""

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import account_selectors, personal_data, privacy, selectors, services
from dure.control.identity.guards import signed_in
from dure.control.identity.proof import proven


def _page(request: Request, *, status: int = 200, problem: DureError | None = None) -> HttpResponse:
    person_id = request.actor.person_id
    assert person_id is not None
    context = {
        "erasure": account_selectors.erasure_of(person_id),
        "memberships": selectors.memberships_of(person_id),
        "grace_days": privacy.ERASURE_GRACE.days,
        "problem": problem,
    }
    return render(request, "identity/data.html", context, status=status)


@signed_in
@never_cache
@require_GET
def data(request: Request) -> HttpResponse:
    """What is kept about oneself, and how to end it."""
    return _page(request)


@signed_in
@never_cache
@require_GET
@proven
def export(request: Request) -> HttpResponse:
    """Everything that is kept about oneself, as JSON."""
    assert request.actor.person_id is not None
    response = JsonResponse(
        personal_data.export(request.actor.person_id),
        json_dumps_params={"ensure_ascii": False, "indent": 2},
    )
    response["Content-Disposition"] = 'attachment; filename="dure-my-data.json"'
    return response


@signed_in
@require_POST
@proven
def ask_erasure(request: Request) -> HttpResponse:
    """Ask to be erased."""
    try:
        services.ask_erasure(actor=request.actor)
    except DureError as error:
        return _page(request, status=error.status, problem=error)
    messages.success(request, _("Your account will be erased. Until then you can take it back here."))
    return redirect("identity:data")


@signed_in
@require_POST
def withdraw_erasure(request: Request) -> HttpResponse:
    """Take it back."""
    services.withdraw_erasure(actor=request.actor)
    messages.success(request, _("Your account stays. Nothing was erased."))
    return redirect("identity:data")


@signed_in
@require_http_methods(["GET", "POST"])
def leave(request: Request, slug: str) -> HttpResponse:
    """Say what leaving an organisation does, then do it."""
    person_id = request.actor.person_id
    own = selectors.memberships_of(person_id) if person_id else []
    membership = next((one for one in own if one.organisation.slug == slug), None)
    if person_id is None or membership is None:
        raise NotFound(code="membership_not_found")
    context = {"membership": membership, "problem": None}
    if request.method == "GET":
        return render(request, "identity/leave.html", context)
    try:
        services.end_membership(
            actor=request.actor, person_id=person_id, organisation_id=membership.organisation.id
        )
    except DureError as error:
        return render(request, "identity/leave.html", {**context, "problem": error}, status=error.status)
    messages.success(request, _("You no longer act for %(name)s.") % {"name": membership.organisation.name})
    return redirect("identity:profile")
