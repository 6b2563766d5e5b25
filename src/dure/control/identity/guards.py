"""Who may open a view. Every view declares one of these; the permission test fails for one that does not.

    @public                      anybody
    @signed_in                   any person
    @requires("officer", …)      a person with one of these roles
    @requires("viewer", …, of="provider")    the same, acting for an organisation of this kind

Rows are guarded once more by the services and selectors: what is not yours answers 404.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse

from dure.control.foundation.errors import Forbidden
from dure.control.foundation.http import Request

View = Callable[..., HttpResponse]


def public(view: View) -> View:
    """Anybody may open this view."""
    return _declare(view, "public", frozenset())


def signed_in(view: View) -> View:
    """Any person who is signed in may open this view."""

    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    return _declare(guarded, "signed_in", frozenset())


def requires(*roles: str, of: str | None = None) -> Callable[[View], View]:
    """A person with one of these roles in an organisation of this kind may open this view; others get 403."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not request.actor.has(*roles) or of not in {None, request.actor.organisation_kind}:
                raise Forbidden
            return view(request, *args, **kwargs)

        return _declare(guarded, "roles", frozenset(roles), of)

    return decorate


def _declare(view: View, audience: str, roles: frozenset[str], organisation_kind: str | None = None) -> View:
    view.dure_audience = audience  # type: ignore[attr-defined]
    view.dure_roles = roles  # type: ignore[attr-defined]
    view.dure_organisation_kind = organisation_kind  # type: ignore[attr-defined]
    return view
