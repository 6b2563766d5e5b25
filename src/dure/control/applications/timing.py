"""When a request counts as having arrived."""

import time
from datetime import timedelta

from dure.control.foundation.http import Request


def waited(request: Request) -> timedelta:
    """How long this request has been on its way through the server."""
    arrived = getattr(request, "arrived", None)
    return timedelta(seconds=max(0.0, time.monotonic() - arrived)) if arrived is not None else timedelta(0)
