"""What the pages of organisations share: whose page it is, and asking before something is done."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Text
from dure.control.foundation.http import Request
from dure.control.identity import rules, selectors
from dure.control.identity.organisation_forms import tell


def may(actor: Actor, profile: selectors.OrganisationProfile) -> dict[str, bool]:
    """What the page offers; the services decide once more."""
    return {
        "manage": rules.may_manage_organisation(actor, profile.id),
        "members": rules.may_manage_members(actor, profile.id),
        "verify": rules.may_verify(actor),
        "own": actor.organisation_id == profile.id,
    }


def whose(request: Request, organisation: str) -> dict[str, Any]:
    """The organisation of the address, if it is there for who asks: the start of every page's context."""
    profile = selectors.profile_for(actor=request.actor, slug_or_id=organisation)
    return {"organisation": profile, "may": may(request.actor, profile)}


def confirm(
    request: Request,
    context: dict[str, Any],
    *,
    title: Text,
    text: Text,
    action: Text,
    done: Text,
    back: str,
    run: Callable[[dict[str, Any]], object],
    form: forms.Form | None = None,
    parent: Text = "",
) -> HttpResponse:
    """Say what will happen, ask for a reason where there is a form, then do it and go back."""
    status = 200
    if request.method == "POST" and (form is None or form.is_valid()):
        try:
            run(form.cleaned_data if form else {})
        except DureError as error:
            if error.status in {403, 404}:
                raise
            status = error.status
            if form is None:
                messages.error(request, str(error))
                return redirect(back)
            tell(form, error)
        else:
            messages.success(request, str(done))
            return redirect(back)
    elif request.method == "POST":
        status = 422
    page = {
        **context,
        "title": title,
        "text": text,
        "action": action,
        "back": back,
        "form": form,
        "parent": parent,
    }
    return render(request, "identity/organisation_confirm.html", page, status=status)
