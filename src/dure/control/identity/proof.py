"""What cannot be taken back asks once more who is there: a password, a code or a passkey, shortly before.

Signing in counts, too: who has just proved who they are is not asked again for a quarter of an hour.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse

from dure.control.foundation.http import Request

LASTS_SECONDS = 15 * 60


def proved_lately(request: HttpRequest) -> bool:
    """Whether this session's person proved who they are in the last quarter of an hour, or has no means to."""
    if not request.user.is_authenticated:
        return False
    if not get_reauthentication_flows(request.user):
        # Somebody who signs in by another service alone: their last sign-in there has to do.
        return True
    records = get_authentication_records(request, request.user)
    return any(time.time() - record["at"] < LASTS_SECONDS for record in records)


def proven(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Ask for proof first, where it was long ago; what was sent is not lost meanwhile."""

    @wraps(view)
    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if not proved_lately(request):
            raise ReauthenticationRequired
        return view(request, *args, **kwargs)

    return guarded
