"""Dates as calendars that phones and desktops subscribe to (iCalendar, RFC 5545).

A room that has dates registers where it is loaded (`AppConfig.ready`):

    calendars.provide(deadlines_of)          # (person_id) -> Iterable[Event], for a person's own feed
    calendars.provide_public(open_calls)     # () -> Iterable[Event], for everybody's

A calendar program cannot sign in, so a person's feed has a secret address. It is shown once and kept as its SHA-256; a new one
ends the old.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import icalendar
from django.conf import settings
from django.db import transaction

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Forbidden, Text
from dure.control.foundation.models import CalendarFeed

type Provider = Callable[[UUID], Iterable["Event"]]
type PublicProvider = Callable[[], Iterable["Event"]]

ALARMS = (timedelta(days=1), timedelta(hours=1))
#: How often programs are asked to come back (RFC 7986).
REFRESH = timedelta(hours=1)
_READ_SEEN_AFTER = timedelta(minutes=10)
_SEQUENCE_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_providers: list[Provider] = []
_public_providers: list[PublicProvider] = []


@dataclass(frozen=True, slots=True)
class Event:
    """`uid` is the same as long as it is the same date, also after the date has moved; `updated_at` says when it last did.

    `url` is an address in the portal (`/…`) or a full one. Without `ends_at` it is a moment: a deadline.
    """

    uid: str
    title: Text
    at: datetime
    ends_at: datetime | None = None
    url: str = ""
    text: Text = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedView:
    created_at: datetime
    last_read_at: datetime | None


def provide(provider: Provider) -> None:
    """Register whose dates a person's feed gathers; once, however often it is asked for."""
    if provider not in _providers:
        _providers.append(provider)


def provide_public(provider: PublicProvider) -> None:
    if provider not in _public_providers:
        _public_providers.append(provider)


def events_of(person_id: UUID) -> list[Event]:
    """A person's dates from every room, the earliest first, in the active language."""
    found = [event for provider in _providers for event in provider(person_id)]
    return sorted(found, key=lambda event: (event.at, event.uid))


def public_events() -> list[Event]:
    found = [event for provider in _public_providers for event in provider()]
    return sorted(found, key=lambda event: (event.at, event.uid))


def feed(*, name: str, events: Iterable[Event]) -> bytes:
    """The calendar: Seoul's time with its definition, an alarm a day and an hour before; the same bytes for the same events."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Dure//Dure//KO")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", icalendar.vDuration(REFRESH))
    for event in events:
        calendar.add_component(_component(event))
    calendar.add_component(_seoul())
    made: bytes = calendar.to_ical()
    return made


def _component(event: Event) -> icalendar.Event:
    host = urlsplit(settings.DURE_PORTAL_URL).hostname or "localhost"
    updated = (event.updated_at or _SEQUENCE_EPOCH).astimezone(UTC).replace(microsecond=0)
    title = _clean(event.title)
    made = icalendar.Event()
    made.add("uid", event.uid if "@" in event.uid else f"{event.uid}@{host}")
    made.add("dtstamp", updated)
    made.add("last-modified", updated)
    made.add("sequence", max(0, int((updated - _SEQUENCE_EPOCH).total_seconds())))
    made.add("summary", title)
    made.add("dtstart", event.at.astimezone(clock.SEOUL).replace(microsecond=0))
    if event.ends_at is not None:
        made.add("dtend", event.ends_at.astimezone(clock.SEOUL).replace(microsecond=0))
    else:
        made.add("transp", "TRANSPARENT")  # a deadline makes nobody busy
    if text := _clean(event.text):
        made.add("description", text)
    if event.url:
        address = settings.DURE_PORTAL_URL.rstrip("/") + event.url if event.url.startswith("/") else event.url
        made.add("url", address)
    for before in ALARMS:
        alarm = icalendar.Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", title)
        alarm.add("trigger", -before)
        made.add_component(alarm)
    return made


def _clean(text: Text) -> str:
    return "".join(sign for sign in str(text) if sign in "\n\t" or sign.isprintable())


def _seoul() -> icalendar.Timezone:
    """Korea has had one offset since 1988, and no rule about summer."""
    zone, standard = icalendar.Timezone(), icalendar.TimezoneStandard()
    zone.add("tzid", "Asia/Seoul")
    standard.add("dtstart", datetime(1988, 10, 9, 3, 0, 0))  # noqa: DTZ001 - local by definition
    standard.add("tzname", "KST")
    standard.add("tzoffsetfrom", timedelta(hours=9))
    standard.add("tzoffsetto", timedelta(hours=9))
    zone.add_component(standard)
    return zone


# A person's secret address


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def make_feed(*, actor: Actor, person_id: UUID | None = None) -> str:
    """A new secret for a person's feed; whoever had the old one reads nothing any more."""
    whose = _whose(actor, person_id)
    token = secrets.token_urlsafe(24)
    CalendarFeed.objects.update_or_create(
        person_id=whose, defaults={"digest": _digest(token), "created_at": clock.now(), "last_read_at": None}
    )
    audit.record(actor=actor, action="calendar.made", subject_kind="person", subject_id=whose)
    return token


@transaction.atomic
def end_feed(*, actor: Actor, person_id: UUID | None = None) -> bool:
    """Whether there was one to end."""
    whose = _whose(actor, person_id)
    count, _each = CalendarFeed.objects.filter(person_id=whose).delete()
    if count:
        audit.record(actor=actor, action="calendar.ended", subject_kind="person", subject_id=whose)
    return bool(count)


def feed_of(*, actor: Actor, person_id: UUID | None = None) -> FeedView | None:
    row = CalendarFeed.objects.filter(person_id=_whose(actor, person_id)).first()
    return FeedView(row.created_at, row.last_read_at) if row else None


def reader_of(token: str) -> UUID | None:
    """Whose feed this secret opens; the reading is remembered, so that a person sees whether it is used."""
    row = CalendarFeed.objects.filter(digest=_digest(token)).first()
    if row is None:
        return None
    now = clock.now()
    if row.last_read_at is None or now - row.last_read_at > _READ_SEEN_AFTER:
        CalendarFeed.objects.filter(pk=row.pk).update(last_read_at=now)
    return row.person_id


def forget(*, person_id: UUID) -> None:
    """Erase a person's feed (PIPA art. 36)."""
    CalendarFeed.objects.filter(person_id=person_id).delete()


def _whose(actor: Actor, person_id: UUID | None) -> UUID:
    whose = person_id or actor.person_id
    if whose is None or not (actor.is_system or whose == actor.person_id):
        raise Forbidden
    return whose
