"""`dure people …`: what an operator does with an account, on its person's word."""

import json
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from dure.cli._context import run
from dure.cli.people import people
from dure.control.foundation.actors import Actor
from dure.control.foundation.models import OutboxMail
from dure.control.identity import account_selectors, privacy, selectors, services

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
EMAIL, PASSWORD = "kim@example.kr", "거북이-열두-마리-간다"


@pytest.fixture(autouse=True)
def language_stays() -> Iterator[None]:
    cache.clear()
    with translation.override("en"):
        yield


@pytest.fixture
def kim() -> selectors.PersonView:
    person = services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=PASSWORD)
    organisation = services.add_organisation(actor=SYSTEM, slug="haneul", kind="startup", name_ko="하늘")
    services.add_membership(
        actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=["administrator"]
    )
    return person


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(people, list(arguments)) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(people, list(arguments)) == 1
    return capsys.readouterr().err.splitlines()[0].rsplit("(", 1)[1].rstrip(")")


def test_a_token_is_issued_listed_used_and_revoked(
    kim: selectors.PersonView, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = said(capsys, "issue-token", EMAIL, "--name", "script", "--organisation", "haneul").strip()
    actor = selectors.actor_for_token(secret)
    assert actor is not None
    assert (actor.person_id, actor.scopes) == (kim.id, {"read"})
    listed = json.loads(said(capsys, "tokens", EMAIL, "--json"))
    assert (listed["organisation"], listed["scopes"], listed["active"]) == ("haneul", "read", True)
    assert refused(capsys, "revoke-tokens", EMAIL, "--starts-with", "nothing") == "token_not_found"
    assert said(capsys, "revoke-tokens", EMAIL) == "1 revoked\n"
    assert selectors.actor_for_token(secret) is None
    assert refused(capsys, "issue-token", EMAIL, "--name", "x", "--organisation", "nowhere") == (
        "organisation_not_found"
    )


def test_an_account_is_shown_signed_out_and_its_history_read(
    kim: selectors.PersonView, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client()
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    shown = json.loads(said(capsys, "show", EMAIL, "--json"))
    assert (shown["sessions"], shown["acts_for"]) == (1, ["haneul (administrator)"])
    assert "김하늘" in said(capsys, "show", EMAIL)
    assert json.loads(said(capsys, "sign-ins", EMAIL, "--json"))["outcome"] == "signed_in"
    assert said(capsys, "sign-out", EMAIL) == "1 ended\n"
    assert client.get("/account/").status_code == 302
    assert said(capsys, "reset-second-factor", EMAIL) == "0 removed\n"


def test_a_person_is_exported_and_erased_when_it_is_said_twice(
    kim: selectors.PersonView, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(said(capsys, "export", EMAIL))["person"]["name"] == "김하늘"
    assert refused(capsys, "erase", EMAIL) == "confirmation_missing"
    assert selectors.person_by_email(EMAIL) is not None
    assert said(capsys, "erase", EMAIL, "--yes") == "erased\n"
    assert selectors.person_by_email(EMAIL) is None
    assert refused(capsys, "show", EMAIL) == "person_not_found"


def test_a_wish_to_be_erased_is_taken_back(
    kim: selectors.PersonView, capsys: pytest.CaptureFixture[str]
) -> None:
    services.ask_erasure(actor=selectors.actor_for(person_id=kim.id))
    said(capsys, "keep", EMAIL)
    assert account_selectors.erasure_of(kim.id) is None
    assert refused(capsys, "keep", EMAIL) == "erasure_not_found"


def test_a_link_is_mailed_again(capsys: pytest.CaptureFixture[str]) -> None:
    services.register(
        actor=Actor.anonymous(),
        email="new@example.kr",
        name="새",
        password=PASSWORD,
        privacy_version=privacy.NOTICE_VERSION,
    )
    OutboxMail.objects.all().delete()
    said(capsys, "resend", "new@example.kr")
    assert OutboxMail.objects.get().to == "new@example.kr"
    assert refused(capsys, "resend", "nobody@example.kr") == "person_not_found"
