"""Pages about the safety of one's account: ways to sign in, open sessions, the sign-in history."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from dure.control.foundation.http import Request
from dure.control.identity import account_selectors, services
from dure.control.identity.guards import signed_in
from dure.control.identity.sign_in import offered

_SIGN_INS_A_PAGE = 30


@signed_in
@never_cache
@require_GET
def security(request: Request) -> HttpResponse:
    """How one signs in, where one is signed in, and who tried to."""
    person_id = request.actor.person_id
    assert person_id is not None
    context = {
        "sessions": account_selectors.sessions_of(person_id, here=request.session.session_key),
        "sign_ins": account_selectors.sign_ins_of(person_id, limit=_SIGN_INS_A_PAGE),
        "services": offered(),
        "ways": account_selectors.ways_to_sign_in(person_id),
    }
    return render(request, "identity/security.html", context)


@signed_in
@require_GET
def to_security(_request: Request) -> HttpResponse:
    """Where allauth's own overviews of second factors and passkeys would be."""
    return redirect("identity:security")


@signed_in
@require_POST
def end_session(request: Request, session_id: UUID) -> HttpResponse:
    """Sign one device out."""
    services.end_session(actor=request.actor, session_id=session_id)
    messages.success(request, _("That device is signed out."))
    return redirect("identity:security")


@signed_in
@require_POST
def end_other_sessions(request: Request) -> HttpResponse:
    """Sign out everywhere but here."""
    ended = services.end_other_sessions(actor=request.actor, keep=request.session.session_key)
    messages.success(
        request,
        ngettext("%(n)d other device is signed out.", "%(n)d other devices are signed out.", ended)
        % {"n": ended},
    )
    return redirect("identity:security")
