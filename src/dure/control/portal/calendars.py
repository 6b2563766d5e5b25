"""Calendars that programs subscribe to, and the secret address of one's own."""

import hashlib

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.cache import get_conditional_response
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from dure.control.foundation import calendars
from dure.control.foundation.errors import NotFound
from dure.control.foundation.http import Request
from dure.control.identity import selectors as identity
from dure.control.identity.guards import public, signed_in


@public
@require_safe
def calendar(request: Request, calendar_token: str) -> HttpResponse:
    """A person's dates, for whoever has the secret address; in the person's language."""
    person_id = calendars.reader_of(calendar_token)
    person = identity.person(person_id) if person_id else None
    if person is None or not person.active:
        raise NotFound
    with translation.override(person.language):
        made = calendars.feed(
            name=gettext("Dure: dates of %(name)s") % {"name": person.name},
            events=calendars.events_of(person.id),
        )
    return _answer(request, made, "dure.ics", "private, max-age=0")


@public
@require_safe
def public_calendar(request: Request) -> HttpResponse:
    """Open calls, for everybody."""
    made = calendars.feed(name=gettext("Dure: open calls"), events=calendars.public_events())
    return _answer(request, made, "dure-calls.ics", "public, max-age=600")


def _answer(request: Request, made: bytes, name: str, caching: str) -> HttpResponse:
    etag = f'"{hashlib.sha256(made).hexdigest()[:32]}"'
    response = HttpResponse(made, content_type="text/calendar; charset=utf-8")
    response["ETag"] = etag
    response["Content-Disposition"] = f'inline; filename="{name}"'
    response["Cache-Control"] = caching
    response["X-Robots-Tag"] = "noindex"
    return get_conditional_response(request, etag=etag, response=response) or response


@signed_in
@require_POST
def make_calendar(request: Request) -> HttpResponse:
    """The answer itself shows the address; nothing keeps it for a later page."""
    token = calendars.make_feed(actor=request.actor)
    address = settings.DURE_PORTAL_URL.rstrip("/") + reverse("portal:calendar", args=[token])
    response = render(request, "portal/calendar_made.html", {"address": address}, status=201)
    response["Cache-Control"] = "no-store"
    return response


@signed_in
@require_POST
def end_calendar(request: Request) -> HttpResponse:
    calendars.end_feed(actor=request.actor)
    messages.success(request, gettext("The calendar's address no longer works."))
    return redirect("portal:notice_settings")
