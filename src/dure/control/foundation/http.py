"""The request as this project's middleware leaves it, so that types say what views rely on."""

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from dure.control.foundation.actors import Actor

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails


class Request(HttpRequest):
    """`actor` is who acts (identity.middleware); `htmx` is truthy for a partial update (django_htmx)."""

    actor: Actor
    htmx: "HtmxDetails"
    #: `time.monotonic()` when this process took the request up.
    arrived: float


class ArrivalMiddleware:
    """The first of all: notes when a request arrived, and lets a few at once go on.

    A server that took requests up only as fast as it answers them would not know how long they had waited for it,
    and would call late in a rush what came in time. So there is room for many to wait here, past the door.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        at_once = settings.DURE_PORTAL_TURNS
        self.turns = threading.BoundedSemaphore(at_once) if at_once else contextlib.nullcontext()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.arrived = time.monotonic()  # type: ignore[attr-defined]
        with self.turns:
            return self.get_response(request)


#: `str.isdigit` takes “²” as well, which `int` does not; and `int` refuses thousands of digits.
_WHOLE = re.compile(r"[0-9]{1,19}")


def whole_number(text: str, *, most: int = 2**63 - 1) -> int | None:
    """The whole number that an address or a form gives, from 0 to `most`; None for anything else."""
    number = int(text) if _WHOLE.fullmatch(text) else None
    return number if number is None or number <= most else None
