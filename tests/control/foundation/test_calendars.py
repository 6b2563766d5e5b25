"""Calendars: RFC 5545 to the octet, in Seoul's time, and read by nobody without the secret."""

from datetime import UTC, datetime, timedelta

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.contracts.ids import uuid7
from dure.control.foundation import calendars
from dure.control.foundation.actors import Actor
from dure.control.foundation.calendars import Event
from dure.control.foundation.errors import Forbidden
from dure.control.foundation.models import AuditEvent, CalendarFeed

DEADLINE = Event(
    uid="round-7",
    title="공모 마감: 초거대 인공지능 활용 지원, 2차; 추가 모집",
    at=datetime(2026, 12, 3, 9, 0, tzinfo=UTC),
    url="/calls/use/",
    text="18시까지 제출하십시오.\n늦으면 받지 않습니다.",
    updated_at=datetime(2026, 11, 25, 1, 2, 3, 456, tzinfo=UTC),
)


def feed(*events: Event) -> bytes:
    return calendars.feed(name="두레", events=events)


def lines(made: bytes) -> list[str]:
    """Unfolded, by the RFC's own rule."""
    return made.decode().replace("\r\n ", "").split("\r\n")


def test_a_deadline_is_a_moment_in_seoul(settings) -> None:
    settings.DURE_PORTAL_URL = "https://dure.example.kr"
    found = lines(feed(DEADLINE))
    for line in (
        "UID:round-7@dure.example.kr",
        "DTSTART;TZID=Asia/Seoul:20261203T180000",
        "DTSTAMP:20261125T010203Z",
        "SUMMARY:공모 마감: 초거대 인공지능 활용 지원\\, 2차\\; 추가 모집",
        "DESCRIPTION:18시까지 제출하십시오.\\n늦으면 받지 않습니다.",
        "URL:https://dure.example.kr/calls/use/",
        "TRANSP:TRANSPARENT",
        "TRIGGER:-P1D",
        "TRIGGER:-PT1H",
        "TZID:Asia/Seoul",
        "TZOFFSETTO:+0900",
        "METHOD:PUBLISH",
        "X-WR-CALNAME:두레",
    ):
        assert line in found
    assert not [line for line in found if line.startswith("DTEND")]


def test_lines_are_folded_at_75_octets_and_no_syllable_is_cut() -> None:
    made = feed(Event(uid="x", title="가나다라마바사아자차카타파하" * 20, at=DEADLINE.at))
    assert made.endswith(b"\r\n")
    for line in made.split(b"\r\n"):
        assert len(line) <= 75
        line.decode()
    assert b"\n" not in made.replace(b"\r\n", b"")


@given(title=st.text(max_size=200), text=st.text(max_size=300))
def test_any_text_comes_back_and_adds_no_line_of_its_own(title: str, text: str) -> None:
    made = feed(Event(uid="x", title=title, at=DEADLINE.at, text=text))
    (event,) = icalendar.Calendar.from_ical(made).walk("VEVENT")
    kept = "".join(sign for sign in title if sign in "\n\t" or sign.isprintable())
    assert str(event["SUMMARY"]).replace("\r", "") == kept
    assert made.count(b"BEGIN:VEVENT") == 1


def test_a_moved_date_keeps_its_uid_and_counts_on() -> None:
    def sequence(event: Event) -> int:
        (found,) = icalendar.Calendar.from_ical(feed(event)).walk("VEVENT")
        return int(found["SEQUENCE"])

    later = DEADLINE.updated_at + timedelta(seconds=1)
    moved = Event(uid="round-7", title="x", at=DEADLINE.at + timedelta(days=1), updated_at=later)
    assert sequence(moved) == sequence(DEADLINE) + 1


def test_the_same_events_are_the_same_bytes_and_none_is_a_calendar_too() -> None:
    assert feed(DEADLINE) == feed(DEADLINE)
    assert icalendar.Calendar.from_ical(feed()).walk("VEVENT") == []


def test_rooms_give_their_dates_the_earliest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "_providers", [])
    early = Event(uid="early", title="x", at=DEADLINE.at - timedelta(days=1))

    def of_one(person_id: object) -> list[Event]:
        return [DEADLINE]

    def of_another(person_id: object) -> list[Event]:
        return [early]

    for provider in (of_one, of_another, of_one):
        calendars.provide(provider)
    assert calendars.events_of(uuid7()) == [early, DEADLINE]


@pytest.mark.django_db
def test_a_secret_opens_one_feed_until_the_next_is_made() -> None:
    kim = Actor(kind="person", name="김", person_id=uuid7())
    first = calendars.make_feed(actor=kim)
    assert calendars.reader_of(first) == kim.person_id
    assert calendars.feed_of(actor=kim).last_read_at is not None
    second = calendars.make_feed(actor=kim)
    assert (calendars.reader_of(first), calendars.reader_of(second)) == (None, kim.person_id)
    assert first not in str(CalendarFeed.objects.values_list())
    assert calendars.end_feed(actor=kim) is True
    assert calendars.end_feed(actor=kim) is False
    assert calendars.reader_of(second) is None
    actions = AuditEvent.objects.order_by("sequence").values_list("action", flat=True)
    assert list(actions) == ["calendar.made", "calendar.made", "calendar.ended"]


@pytest.mark.django_db
def test_nobody_makes_anothers() -> None:
    kim = Actor(kind="person", name="김", person_id=uuid7())
    for actor in (kim, Actor.anonymous()):
        with pytest.raises(Forbidden):
            calendars.make_feed(actor=actor, person_id=uuid7())
    assert calendars.make_feed(actor=Actor.system("test"), person_id=uuid7())
