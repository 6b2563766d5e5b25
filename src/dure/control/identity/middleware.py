"""Puts `request.actor` on every request: who acts, and for which organisation. Notes which devices are in use."""

import time
from collections.abc import Callable
from typing import cast
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from dure.control.foundation.actors import Actor
from dure.control.identity import selectors, services

SESSION_KEY = "acting_as"
#: When and under which key the session was last noted: [unix seconds, session key].
SESSION_SEEN = "seen"
#: A random value by which a browser is known again when somebody signs in with it.
DEVICE_COOKIE = "dure_device"
API = "/api/"
_YEAR_SECONDS = 31_536_000


class ActorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Lazy: static files and public pages of anonymous readers ask the database nothing.
        request.actor = SimpleLazyObject(lambda: _actor(request))  # type: ignore[attr-defined]
        response = self.get_response(request)
        if device := getattr(request, "keep_device", None):
            response.set_cookie(
                DEVICE_COOKIE,
                device,
                max_age=_YEAR_SECONDS,
                samesite="Lax",
                httponly=True,
                secure=settings.SESSION_COOKIE_SECURE,
            )
        return response


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
    _note_use(request)
    chosen = request.session.get(SESSION_KEY)
    return selectors.actor_for(person_id=request.user.pk, organisation_id=UUID(chosen) if chosen else None)


def _note_use(request: HttpRequest) -> None:
    """At most once in five minutes a session, so that pages cost nothing for it."""
    key = request.session.session_key
    at, earlier = request.session.get(SESSION_SEEN) or (0, None)
    if key is None or (earlier == key and time.time() - at < services.ACTIVITY_EVERY.total_seconds()):
        return
    services.remember_use(
        person_id=cast("UUID", request.user.pk),
        session_key=key,
        earlier_key=earlier,
        address=get_adapter().get_client_ip(request),
        agent=request.META.get("HTTP_USER_AGENT", ""),
    )
    request.session[SESSION_SEEN] = [int(time.time()), key]
