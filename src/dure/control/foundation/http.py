"""The request as this project's middleware leaves it, so that types say what views rely on."""

from typing import TYPE_CHECKING

from django.http import HttpRequest

from dure.control.foundation.actors import Actor

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails


class Request(HttpRequest):
    """`actor` is who acts (identity.middleware); `htmx` is truthy for a partial update (django_htmx)."""

    actor: Actor
    htmx: "HtmxDetails"
