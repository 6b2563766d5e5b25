"""What every page needs besides its own content."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from dure.control.foundation import notices
from dure.control.foundation.actors import Actor
from dure.control.portal.navigation import menu_for

DISPLAY_COOKIE = "dure_display"
DISPLAYS = ("standard", "high-contrast")


def portal(request: HttpRequest) -> dict[str, Any]:
    actor = getattr(request, "actor", None) or Actor.anonymous()
    display = request.COOKIES.get(DISPLAY_COOKIE, "")
    return {
        "actor": actor,
        "menu": SimpleLazyObject(lambda: menu_for(actor, request.path)),
        "memberships": SimpleLazyObject(lambda: _memberships(actor)),
        "waiting_invitations": SimpleLazyObject(lambda: _invitations(actor)),
        "unread_notices": SimpleLazyObject(lambda: _unread(actor)),
        "display": display if display in DISPLAYS else DISPLAYS[0],
        "demonstration": settings.DURE_DEMO,
        "dure_version": settings.DURE_VERSION,
        "gateway_url": settings.DURE_GATEWAY_URL,
    }


def _unread(actor: Actor) -> int:
    return notices.unread_count(actor.person_id) if actor.person_id else 0


def _memberships(actor: Actor) -> list[Any]:
    if actor.person_id is None:
        return []
    from dure.control.identity import selectors

    return list(selectors.memberships_of(actor.person_id))


def _invitations(actor: Actor) -> list[Any]:
    """Asked by first pages alone."""
    if actor.person_id is None:
        return []
    from dure.control.identity import selectors

    return list(selectors.invitations_for(actor.person_id))
