"""What every room's REST router shares: who may call an operation, and the shape of errors.

Each operation declares its audience as pages do; the permission test reads `dure_audience` off the
view function. The NinjaAPI itself is made in `config.api`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from ninja import Schema
from ninja.decorators import decorate_view

from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Forbidden
from dure.control.foundation.http import Request


class ErrorBody(Schema):
    """`field` names the input at fault; `remedy` says what would be right."""

    code: str
    message: str
    field: str | None = None
    remedy: str = ""


class ErrorSchema(Schema):
    error: ErrorBody


#: For an operation's `response=`: what it may answer besides success.
ERRORS = {401: ErrorSchema, 403: ErrorSchema, 404: ErrorSchema, 409: ErrorSchema, 422: ErrorSchema}


def actor_of(request: Request) -> Actor:
    """The actor of a REST request: a token's person, else the session's."""
    return request.actor


def audience(*who: str, of: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare and enforce who may call an operation: "public", "signed_in", or roles (`of` a kind of organisation).

    The check comes before the input is read: who may not call learns nothing about what it takes.
    """

    def guard(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        operation = run.__self__  # type: ignore[attr-defined]

        @wraps(run)
        def guarded(request: Request, **values: Any) -> HttpResponse:
            try:
                check_audience(actor_of(request), who, of=of, token_given="Authorization" in request.headers)
            except DureError as error:
                return operation.api.on_exception(request, error)  # type: ignore[no-any-return]
            return run(request, **values)

        return guarded

    def decorate(operation: Callable[..., Any]) -> Callable[..., Any]:
        named = who[0] in {"public", "signed_in"}
        operation.dure_audience = who[0] if named else "roles"  # type: ignore[attr-defined]
        operation.dure_roles = frozenset() if named else frozenset(who)  # type: ignore[attr-defined]
        operation.dure_organisation_kind = of  # type: ignore[attr-defined]
        return decorate_view(guard)(operation)

    return decorate


def check_audience(
    actor: Actor, who: tuple[str, ...], *, of: str | None = None, token_given: bool = False
) -> None:
    """Raise unless the actor belongs to the audience."""
    if who == ("public",):
        return
    if actor.kind == "anonymous":
        if token_given:
            raise DureError(
                "invalid_token",
                _("This token is unknown, expired or revoked."),
                status=401,
                remedy=_("Issue a new one on your account page."),
            )
        raise DureError(
            "sign_in_required",
            _("This needs a signed-in person."),
            status=401,
            remedy=_("Send “Authorization: Bearer” with a personal access token."),
        )
    if who != ("signed_in",) and not actor.has(*who):
        raise Forbidden
    if of not in {None, actor.organisation_kind}:
        raise Forbidden


#: What asks and changes nothing (RFC 9110, 9.2.1).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_scope(actor: Actor, method: str) -> None:
    """Raise unless what the caller's token allows covers the method; a session allows everything."""
    needed = "read" if method in SAFE_METHODS else "write"
    if actor.scopes is not None and needed not in actor.scopes:
        raise Forbidden(
            _("This token may not do that: it lacks the scope “%(scope)s”.") % {"scope": needed},
            code="token_scope_missing",
            remedy=_("Use a token that has it, or issue one on your account page."),
        )
