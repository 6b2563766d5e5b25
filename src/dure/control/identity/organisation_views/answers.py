"""Answering an invitation: by the mailed link, or from one's own first page."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dure.control.foundation.errors import DureError, NotFound
from dure.control.foundation.http import Request
from dure.control.identity import selectors, services
from dure.control.identity.guards import public, signed_in
from dure.control.identity.middleware import SESSION_KEY


@public
@never_cache
def by_link(request: Request, token: str) -> HttpResponse:
    """What the mailed link opens: the question for whom it was sent to, the way there for anybody else."""
    invitation = selectors.invitation_by_token(token)
    own = any(one.id == invitation.id for one in _waiting(request))
    answer = render(
        request, "identity/invitation.html", {"invitation": invitation, "own": own, "here": request.path}
    )
    # The address is a key, so it is told to nobody. "no-referrer" would take the origin from the page's own forms too,
    # and browsers' answers to the invitation would be refused.
    answer["Referrer-Policy"] = "strict-origin"
    return answer


@signed_in
@never_cache
@require_http_methods(["GET", "POST"])
def answer(request: Request, invitation_id: UUID) -> HttpResponse:
    """Accept and act for the organisation from the next page on, or decline."""
    invitation = selectors.invitation_for(person_id=request.actor.person_id, invitation_id=invitation_id)
    if request.method == "GET":
        return render(request, "identity/invitation.html", {"invitation": invitation, "own": True})
    decision = request.POST.get("answer", "")
    try:
        if decision == "accept":
            membership = services.accept_invitation(actor=request.actor, invitation_id=invitation_id)
            request.session[SESSION_KEY] = str(membership.organisation.id)
            text = gettext("You act for %(name)s from now on.") % {"name": membership.organisation.name}
        elif decision == "decline":
            services.decline_invitation(actor=request.actor, invitation_id=invitation_id)
            text = gettext("You have declined the invitation.")
        else:
            raise NotFound
    except DureError as error:
        if error.status in {403, 404}:
            raise
        messages.error(request, str(error))
    else:
        messages.success(request, text)
    return redirect("portal:home")


def _waiting(request: Request) -> list[selectors.InvitationView]:
    person_id = request.actor.person_id
    return selectors.invitations_for(person_id) if person_id else []
