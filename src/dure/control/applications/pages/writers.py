"""Who writes an application together."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache

from dure.control.applications import selectors, services
from dure.control.applications.selectors import ApplicationView
from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import selectors as identity
from dure.control.identity.guards import signed_in


@signed_in
@never_cache
def writers(request: Request, application_id: UUID) -> HttpResponse:
    """Add a colleague, take one off, hand over the lead."""
    view = selectors.application(actor=request.actor, application_id=application_id)
    if request.actor.organisation_id != view.organisation.id:
        raise NotFound(code="application_not_found")
    email, problem = "", None
    if request.method == "POST":
        email = request.POST.get("email", "").strip()[:254]
        try:
            _change(request, view, email)
        except DureError as error:
            if error.status in {403, 404}:
                raise
            problem = error
        else:
            return redirect("applications:writers", application_id)
    here = {one.person.id for one in view.writers}
    context = {
        "application": view,
        "colleagues": [
            member.person
            for member in identity.members_of(view.organisation.id)
            if member.person.id not in here and member.person.active
        ],
        "email": email,
        "problem": problem,
        "may_invite": "invite" in view.may,
        "may_lead": "lead" in view.may,
    }
    return render(request, "applications/writers.html", context, status=problem.status if problem else 200)


def _change(request: Request, view: ApplicationView, email: str) -> None:
    verb, person = request.POST.get("verb", ""), _person(request, view)
    if verb == "add":
        services.invite_writer(actor=request.actor, application_id=view.id, email=email)
        messages.success(request, gettext("%(email)s writes with you from now on.") % {"email": email})
    elif verb == "remove" and person:
        services.remove_writer(actor=request.actor, application_id=view.id, person_id=person)
        messages.success(request, gettext("Removed. What they wrote stays."))
    elif verb == "lead" and person:
        services.name_lead(actor=request.actor, application_id=view.id, person_id=person)
        messages.success(request, gettext("The lead is handed over."))
    else:
        raise Forbidden


def _person(request: Request, view: ApplicationView) -> UUID | None:
    chosen = request.POST.get("person", "")
    return next((one.person.id for one in view.writers if str(one.person.id) == chosen), None)
