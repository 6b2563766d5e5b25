"""Open calls stand in everybody's calendar, and a call that moves keeps its place there."""

from datetime import timedelta

from django.test import Client

from dure.control.calls import services
from dure.control.calls.dates import dates_of_rounds
from dure.control.foundation import clock
from dure.control.foundation.calendars import Event

from .conftest import World


def closings() -> list[Event]:
    return [one for one in dates_of_rounds() if one.uid.startswith("round-") and one.uid.count("-") == 5]


def test_a_published_round_is_everybodys_date_and_a_draft_is_nobodys(world: World) -> None:
    round_ = world.published()
    world.call("api-2027")
    (event,) = closings()
    assert (event.uid, event.at, event.url) == (f"round-{round_.id}", round_.closes_at, "/calls/api-2026/")
    assert f"UID:round-{round_.id}" in Client().get("/calendar/calls.ics").text.replace("\r\n ", "")


def test_an_extended_round_is_the_same_date_later(world: World) -> None:
    round_ = world.published()
    (before,) = closings()
    services.extend_round(
        actor=world.officer,
        round_id=round_.id,
        closes_at=round_.closes_at + timedelta(days=7),
        reason="서버 점검이 있었습니다",
    )
    (after,) = closings()
    assert (after.uid, after.at - before.at) == (before.uid, timedelta(days=7))
    assert after.updated_at > before.updated_at


def test_a_call_that_has_not_begun_is_there_too(world: World) -> None:
    world.published(opens_at=clock.now() + timedelta(days=3))
    assert len(closings()) == 1


def test_openings_and_last_questions_are_dates_too(world: World) -> None:
    now = clock.now()
    round_ = world.published(questions_until=now + timedelta(days=10))
    second = world.round(opens_at=now + timedelta(days=3))
    services.publish_round(actor=world.officer, round_id=second.id)
    assert {one.uid for one in dates_of_rounds()} == {
        f"round-{what}{one}"
        for what, one in (
            *(("opens-", round_.id), ("questions-", round_.id), ("", round_.id)),
            *(("opens-", second.id), ("", second.id)),
        )
    }
