"""What a call's page leads each reader to: one thing, and what stands in between before it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from tests.control.applications.conftest import RULES, SYSTEM, World, make_world
from tests.control.portal.test_tasks import browser

from dure.control.applications import services
from dure.control.calls import services as calls
from dure.control.calls.eligibility import Finding
from dure.control.calls.hooks import Applying
from dure.control.calls.next_thing import Reader, next_thing
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services
from dure.control.identity.models import Organisation

PAGE = "/calls/api-2026/"


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def rule(key: str, **rule: Any) -> dict[str, Any]:
    return {"key": key, "title": {"ko": key, "en": key}, "rule": rule}


OLD = rule("old", attribute="organisation.age_months", comparison="at_least", value=600)
VERIFIED = rule("sure", attribute="organisation.verified", comparison="is", value=True)
PAPER = rule("paper", attribute="document.tax_clearance", comparison="present")
STAFF = rule("staff", attribute="organisation.employees", comparison="at_least", value=1)


def card(actor: Actor | None, path: str = PAGE) -> tuple[str, list[tuple[str, str]]]:
    """The card's words, and its buttons: (kind and where, label), the primary one first."""
    from django.test import Client

    client = browser(actor) if actor else Client(headers={"accept-language": "en"})
    client.cookies["dure_language"] = "en"
    answer = client.get(path)
    assert answer.status_code == 200
    html = re.search(r'(?s)<div class="card tint apply-card">(.*?)\n</div>', answer.content.decode())
    assert html is not None
    buttons = re.findall(r'class="krds-btn large (\w+)" href="([^"]+)">([^<]+)<', html[1])
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html[1]))
    assert [kind for kind, *_ in buttons].count("primary") <= 1
    return words, [(f"{kind} {path}", label) for kind, path, label in buttons]


def test_who_meets_every_rule_applies(world: World) -> None:
    round_ = world.round()
    assert card(world.writer)[1] == [(f"primary /applications/start/{round_.id}/", "Apply")]


def test_who_is_not_signed_in_signs_in_and_comes_back(world: World) -> None:
    world.round()
    words, buttons = card(None)
    assert buttons == [("primary /account/login/?next=/calls/api-2026/", "Sign in to apply")]
    assert "Register" in words


def test_who_acts_for_no_organisation_founds_one(world: World) -> None:
    world.round()
    person = identity_services.add_person(actor=SYSTEM, email="new@example.kr", name="새사람")
    _, buttons = card(identity.actor_for(person_id=person.id))
    assert buttons == [("primary /organisations/found/", "Found an organisation")]


def test_who_may_not_apply_reads_whom_to_ask(world: World) -> None:
    world.round()
    words, buttons = card(world.onlooker)
    assert (buttons, "Ask your organisation's administrator" in words) == ([], True)
    assert card(world.officer)[1] == []


def test_an_organisation_that_is_not_verified_is_led_to_its_verification(world: World) -> None:
    round_ = world.round(rules=[VERIFIED])
    words, buttons = card(world.boss)
    assert buttons == [
        ("primary /organisations/haneul/", "Have the organisation verified"),
        (f"tertiary /applications/start/{round_.id}/", "Begin a draft all the same"),
    ]
    assert "It can be submitted once every rule is met." in words
    Organisation.objects.filter(pk=world.haneul.id).update(verification_state="verified")
    assert card(world.boss)[1][0][1] == "Apply"


def test_a_missing_document_is_handed_in_and_does_not_stop_the_application(world: World) -> None:
    round_ = world.round(rules=[PAPER])
    assert card(world.boss)[1] == [
        ("primary /organisations/haneul/documents/", "Hand in the document"),
        (f"tertiary /applications/start/{round_.id}/", "Apply"),
    ]
    assert card(world.writer)[1][0][0] == "primary /organisations/haneul/"


def test_what_is_not_stated_is_stated(world: World) -> None:
    world.round(rules=[STAFF])
    assert card(world.boss)[1][0] == (
        "primary /organisations/haneul/edit/",
        "State it on the organisation's page",
    )


def test_a_rule_that_cannot_be_met_leads_and_another_call_that_fits_is_named(world: World) -> None:
    round_ = world.round(rules=[OLD])
    words, buttons = card(world.writer)
    assert "old" in words
    assert buttons == [
        ("secondary /calls/", "See other calls"),
        (f"tertiary /applications/start/{round_.id}/", "Begin a draft all the same"),
    ]
    world.round("fits", closes_at=clock.now() + timedelta(days=50))
    world.round("fits-not", rules=[OLD], closes_at=clock.now() + timedelta(days=9))
    assert card(world.writer)[1][0] == ("primary /calls/fits/", "API support")


def test_one_s_own_application_is_gone_on_with_and_then_looked_at(world: World) -> None:
    view = world.started(world.round(rules=[*RULES, STAFF]))
    assert card(world.writer)[1] == [(f"primary /applications/{view.id}/", "Go on with the application")]
    Organisation.objects.filter(pk=world.haneul.id).update(employees=3)
    world.fill(view)
    services.submit(actor=world.writer, application_id=view.id)
    assert card(world.writer)[1] == [(f"primary /applications/{view.id}/", "See the application")]
    assert card(world.stranger)[1][0][1] != "See the application"
    world.close(view.round.id)
    assert card(world.writer)[1][0][1] == "See the application"


def test_before_the_opening_the_dates_are_taken_along(world: World) -> None:
    opens_at = clock.now() + timedelta(days=3)
    world.round(opens_at=opens_at)
    for actor in (world.writer, None):
        assert card(actor)[1] == [("primary /calls/api-2026/calendar.ics", "Add the dates to your calendar")]


def test_before_the_opening_a_rule_is_met_in_time(world: World) -> None:
    world.round(rules=[VERIFIED], opens_at=clock.now() + timedelta(days=3))
    assert card(world.boss)[1] == [("primary /organisations/haneul/", "Have the organisation verified")]


def test_a_round_that_is_over_leads_to_one_that_is_open(world: World) -> None:
    world.round()
    calls.cancel_call(actor=world.officer, slug="api-2026", reason="예산이 다 쓰였습니다")
    words, buttons = card(None)
    assert ("This round is over." in words, buttons) == (True, [("secondary /calls/", "See other calls")])
    world.round("fits")
    assert card(world.writer)[1] == [("primary /calls/fits/", "API support")]


def test_the_worst_finding_leads_and_of_several_the_first() -> None:
    reader = Reader(signed_in=True, has_organisation=True, applies=True, applying=Applying())

    def finding(key: str, state: Any) -> Finding:
        return Finding(key, key, key, state, "", "", "", ("group.size",))

    given = [
        finding("a", "met"),
        finding("b", "needs_document"),
        finding("c", "not_met"),
        finding("d", "not_met"),
    ]
    found = next_thing("open", reader, given)
    assert found.finding is not None
    assert (found.kind, found.finding.key, found.draft) == ("not_met", "c", True)
    assert next_thing("open", reader, given[:1]).kind == "apply"
