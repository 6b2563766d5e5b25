"""Puts `request.actor` on every request: who acts, and for which organisation."""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from dure.control.foundation.actors import Actor
from dure.control.identity import selectors

SESSION_KEY = "acting_as"
API = "/api/"


class ActorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Lazy: static files and public pages of anonymous readers ask the database nothing.
        request.actor = SimpleLazyObject(lambda: _actor(request))  # type: ignore[attr-defined]
        return self.get_response(request)


def _actor(request: HttpRequest) -> Actor:
    # A call that shows a token speaks as the token's person or as nobody, never as the session's. On pages
    # the header is not ours: a proxy in front may ask for a password of its own.
    authorization = request.headers.get("Authorization")
    if authorization and request.path.startswith(API):
        scheme, _, secret = authorization.partition(" ")
        found = selectors.actor_for_token(secret.strip()) if scheme.lower() == "bearer" else None
        return found or Actor.anonymous()
    if not request.user.is_authenticated:
        return Actor.anonymous()
    chosen = request.session.get(SESSION_KEY)
    return selectors.actor_for(person_id=request.user.pk, organisation_id=UUID(chosen) if chosen else None)
