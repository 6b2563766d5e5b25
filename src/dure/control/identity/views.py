"""Pages about oneself: details, memberships, access tokens."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError
from dure.control.foundation.http import Request
from dure.control.identity import account_selectors, selectors, services
from dure.control.identity.forms import ProfileForm, TokenForm
from dure.control.identity.guards import signed_in
from dure.control.identity.proof import proven
from dure.control.identity.sign_in import remember_language


def _actor(request: Request) -> Actor:
    return request.actor


def _page(request: Request, *, status: int = 200, **extra: object) -> HttpResponse:
    person_id = _actor(request).person_id
    assert person_id is not None
    context = {
        "form": ProfileForm(initial={"name": request.user.name, "language": request.user.language}),  # type: ignore[union-attr]
        "memberships": selectors.memberships_of(person_id),
        "delegations": selectors.delegations_concerning(person_id),
        "programme_roles": selectors.programme_roles(person_id),
        "erasure": account_selectors.erasure_of(person_id),
        **extra,
    }
    return render(request, "identity/profile.html", context, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def profile(request: Request) -> HttpResponse:
    """One's details; the language chosen here is the language of pages and notices."""
    if request.method == "GET":
        return _page(request)
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return _page(request, form=form, status=422)
    try:
        view = services.update_profile(actor=_actor(request), **form.cleaned_data)
    except DureError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _page(request, form=form, status=error.status)
    response = redirect("identity:profile")
    remember_language(response, view.language)
    with translation.override(view.language):
        messages.success(request, _("Your details are saved."))
    return response


def _tokens_page(request: Request, *, status: int = 200, **extra: object) -> HttpResponse:
    person_id = _actor(request).person_id
    assert person_id is not None
    context = {"token_form": TokenForm(), "tokens": selectors.tokens_of(person_id), **extra}
    return render(request, "identity/tokens.html", context, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def tokens(request: Request) -> HttpResponse:
    """One's tokens; a new one is shown, this once, on the page that answers."""
    return _issue(request) if request.method == "POST" else _tokens_page(request)


@proven
def _issue(request: Request) -> HttpResponse:
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _tokens_page(request, token_form=form, status=422)
    given = form.cleaned_data
    try:
        token, secret = services.issue_token(
            actor=_actor(request),
            name=given["token_name"],
            expires_at=clock.now() + given["lifetime"],
            scopes=given["powers"],
        )
    except DureError as error:
        form.add_error("token_name" if error.field == "name" else None, str(error))
        return _tokens_page(request, token_form=form, status=error.status)
    response = _tokens_page(request, issued_token=token, secret=secret)
    response["Cache-Control"] = "no-store"
    return response


@signed_in
@require_http_methods(["GET", "POST"])
def revoke_token(request: Request, token_id: UUID) -> HttpResponse:
    """Say what revoking does, then do it."""
    if request.method == "GET":
        token = selectors.token(actor=_actor(request), token_id=token_id)
        return render(request, "identity/token_revoke.html", {"token": token})
    token = services.revoke_token(actor=_actor(request), token_id=token_id)
    messages.success(request, _("The token “%(name)s” no longer works.") % {"name": token.name})
    return redirect("identity:tokens")
