"""What every room's REST router shares: who may call an operation, and the shape of errors.

Each operation declares its audience as pages do; the permission test reads `dure_audience` off the
view function. The NinjaAPI itself is made in `config.api`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Schema

from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Forbidden


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


def actor_of(request: HttpRequest) -> Actor:
    """The actor of a REST request: a token's person, else the session's."""
    return request.actor  # type: ignore[attr-defined, no-any-return]


def audience(*who: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare and enforce who may call an operation: "public", "signed_in", or roles."""

    def decorate(operation: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(operation)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            actor = actor_of(request)
            if who != ("public",) and actor.kind == "anonymous":
                raise DureError(
                    "sign_in_required",
                    _("This needs a signed-in person."),
                    status=401,
                    remedy=_("Send “Authorization: Bearer” with a personal access token."),
                )
            if who[0] not in {"public", "signed_in"} and not actor.has(*who):
                raise Forbidden
            return operation(request, *args, **kwargs)

        guarded.dure_audience = who[0] if who[0] in {"public", "signed_in"} else "roles"  # type: ignore[attr-defined]
        guarded.dure_roles = frozenset(who) - {"public", "signed_in"}  # type: ignore[attr-defined]
        return guarded

    return decorate
