"""Registration by oneself: an address is proved by its mailbox and the password together, and nothing leaks."""

import re
from datetime import timedelta
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core.cache import cache
from django.test import Client

from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError
from dure.control.foundation.models import AuditEvent, OutboxMail
from dure.control.identity import privacy, selectors, services
from dure.control.identity.models import Consent, Person

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
EMAIL, PASSWORD, OTHER = "kim@example.kr", "거북이-열두-마리-간다", "두루미-세-마리-날다"
FORM = {"name": "김하늘", "email": EMAIL, "password1": PASSWORD, "language": "ko", "consent": "on"}


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


def register(**changes: str) -> Any:
    given = {
        "email": EMAIL,
        "name": "김하늘",
        "password": PASSWORD,
        "privacy_version": privacy.NOTICE_VERSION,
        **changes,
    }
    return services.register(actor=Actor.anonymous(), **given)


def latest_link() -> str:
    body = OutboxMail.objects.order_by("-id")[0].body
    found = re.search(r"https?://\S+/account/confirm-email/\S+", body)
    assert found, body
    return urlsplit(found[0]).path


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_registering_in_the_portal_ends_at_home_signed_in(client: Client) -> None:
    answer = client.post("/account/signup/", FORM)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/confirm-email/")
    assert client.get("/account/confirm-email/").status_code == 200
    assert not signed_in(client)
    assert OutboxMail.objects.count() == 1
    phone = Client()
    assert EMAIL in phone.get(latest_link()).content.decode()
    assert phone.post(latest_link(), {"password": PASSWORD}).headers["Location"] == "/"
    assert signed_in(phone)
    person = Person.objects.get()
    assert person.email_verified_at is not None
    assert (person.name, person.language) == ("김하늘", "ko")


def test_consent_is_remembered_with_its_version_and_time() -> None:
    before = clock.now()
    register(language="en")
    consent = Consent.objects.get()
    assert (consent.version, consent.language) == (privacy.NOTICE_VERSION, "en")
    assert before <= consent.given_at <= clock.now()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "가\x00나"}, "name"),
        ({"email": "no address"}, "email"),
        ({"password1": "short"}, "password1"),
        ({"password1": "1234567890123"}, "password1"),
        ({"language": "fr"}, "language"),
        ({"consent": ""}, "consent"),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_what_was_typed_stays(
    client: Client, change: dict[str, str], field: str
) -> None:
    answer = client.post("/account/signup/", {**FORM, **change})
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert (Person.objects.count(), OutboxMail.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": "nobody"}, "email_invalid"),
        ({"name": " "}, "name_invalid"),
        ({"password": "kim@example.kr"}, "password_weak"),
        ({"language": "fr"}, "language_unknown"),
        ({"privacy_version": "2001-01-01"}, "consent_missing"),
    ],
)
def test_what_cannot_be_registered_is_refused_by_name(change: dict[str, str], code: str) -> None:
    with pytest.raises(DureError) as refused:
        register(**change)
    assert refused.value.code == code
    assert Person.objects.count() == 0


def test_an_address_that_is_taken_looks_like_one_that_is_free(client: Client) -> None:
    services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=OTHER)
    taken = client.post("/account/signup/", FORM)
    free = Client().post("/account/signup/", {**FORM, "email": "free@example.kr"})
    assert (taken.status_code, taken.headers["Location"]) == (free.status_code, free.headers["Location"])
    assert Client().get(taken.headers["Location"]).status_code == 200
    mails = {mail.to: mail.subject for mail in OutboxMail.objects.all()}
    assert mails == {
        EMAIL: "이미 두레 계정이 있습니다",
        "free@example.kr": "두레: 이메일 주소를 확인해 주세요",
    }
    assert Person.objects.get(email=EMAIL).check_password(OTHER)


def test_before_the_address_is_confirmed_nobody_signs_in_and_the_link_comes_again(client: Client) -> None:
    register()
    cache.clear()
    answer = client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert answer.headers["Location"] == "/account/confirm-email/"
    assert not signed_in(client)


def test_the_link_alone_confirms_nothing(client: Client) -> None:
    register()
    assert client.get(latest_link()).status_code == 200
    assert client.post(latest_link(), {"password": "another-password-1"}).status_code == 422
    assert client.post(latest_link(), {}).status_code == 422
    assert EmailAddress.objects.get().verified is False
    assert not signed_in(client)


def test_who_registers_in_anothers_name_gains_nothing(client: Client) -> None:
    """The owner's own registration takes the place of the stranger's, whose password then opens nothing."""
    register(password=OTHER, name="누군가")
    register()
    assert client.post(latest_link(), {"password": OTHER}).status_code == 422
    assert client.post(latest_link(), {"password": PASSWORD}).status_code == 302
    person = Person.objects.get()
    assert (person.name, person.check_password(PASSWORD)) == ("김하늘", True)


def test_a_link_works_once_and_only_for_its_own_account(client: Client) -> None:
    register()
    link = latest_link()
    assert client.post(link, {"password": PASSWORD}).status_code == 302
    assert Client().get(link).status_code == 404
    assert Client().post(link, {"password": PASSWORD}).status_code == 404
    assert Client().get("/account/confirm-email/forged-key/").status_code == 404


def test_a_registration_takes_no_address_from_who_is_added_by_an_operator() -> None:
    register(password=OTHER)
    added = services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=PASSWORD)
    assert added.email_verified_at is not None
    assert Person.objects.get().check_password(PASSWORD)
    assert not Consent.objects.exists()


def test_who_is_added_by_an_operator_is_not_made_anew_by_registering() -> None:
    services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘")
    assert register() is None
    assert not Person.objects.get().check_password(PASSWORD)


def test_a_new_link_is_sent_to_who_waits_and_the_answer_is_the_same_for_all(client: Client) -> None:
    register()
    services.add_person(actor=SYSTEM, email="lee@example.kr", name="이", password=OTHER)
    OutboxMail.objects.all().delete()
    answers = [
        client.post("/account/confirm-email/again/", {"email": email}).headers["Location"]
        for email in (EMAIL.upper(), "lee@example.kr", "nobody@example.kr")
    ]
    assert answers == ["/account/confirm-email/"] * 3
    assert [mail.to for mail in OutboxMail.objects.all()] == [EMAIL]
    assert client.post("/account/confirm-email/again/", {"email": "?"}).status_code == 422


def test_a_registration_that_nobody_confirms_is_removed_after_a_week() -> None:
    register()
    assert services.forget_unconfirmed() == 0
    Person.objects.update(created_at=clock.now() - privacy.UNCONFIRMED_KEPT - timedelta(minutes=1))
    services.add_person(actor=SYSTEM, email="lee@example.kr", name="이", password=OTHER)
    Person.objects.filter(email="lee@example.kr").update(created_at=clock.now() - timedelta(days=400))
    assert services.forget_unconfirmed() == 1
    assert [person.email for person in Person.objects.all()] == ["lee@example.kr"]


def test_the_audit_trail_of_a_registration_holds_no_address() -> None:
    register()
    told = [(event.action, event.before, event.after) for event in AuditEvent.objects.all()]
    assert told == [("person.registered", None, None)]


def test_a_deployment_may_close_registration(client: Client, settings: Any) -> None:
    settings.DURE_REGISTRATION = False
    assert client.get("/account/signup/").templates[0].name == "account/signup_closed.html"
    client.post("/account/signup/", FORM)
    assert Person.objects.count() == 0


def test_the_same_through_rest_alone(client: Client) -> None:
    body = {
        "email": EMAIL,
        "name": "김하늘",
        "password": PASSWORD,
        "privacy_version": privacy.NOTICE_VERSION,
    }

    def post(path: str, content: Any) -> Any:
        return client.post(f"/api/v1/{path}", content, content_type="application/json")

    first, again = post("registrations", body), post("registrations", body)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    wanted = {"email": EMAIL, "password": PASSWORD, "name": "script"}
    assert post("tokens/with-password", wanted).json()["error"]["code"] == "email_unverified"
    key = latest_link().rstrip("/").rsplit("/", 1)[-1]
    wrong = post("registrations/confirm", {"key": key, "email": EMAIL, "password": OTHER})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "password_wrong")
    forged = post("registrations/confirm", {"key": "x" + key, "email": EMAIL, "password": PASSWORD})
    assert (forged.status_code, forged.json()["error"]["code"]) == (422, "link_invalid")
    assert (
        post("registrations/confirm", {"key": key, "email": EMAIL, "password": PASSWORD}).status_code == 200
    )
    issued = post("tokens/with-password", wanted)
    assert issued.status_code == 201
    me = client.get("/api/v1/me", headers={"Authorization": f"Bearer {issued.json()['secret']}"}).json()
    assert (me["email"], me["acting_for"], me["memberships"]) == (EMAIL, None, [])


def test_registering_by_rest_slows_down() -> None:
    client = Client()
    answers = [
        client.post(
            "/api/v1/registrations/resend", {"email": EMAIL}, content_type="application/json"
        ).status_code
        for _ in range(25)
    ]
    assert answers[0] == 202
    assert answers[-1] == 429


def test_a_token_made_before_one_belongs_anywhere_acts_for_no_organisation_later_either() -> None:
    person = services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=PASSWORD)
    _token, secret = services.issue_token(actor=selectors.actor_for(person_id=person.id), name="early")
    organisation = services.add_organisation(actor=SYSTEM, slug="first", kind="startup", name_ko="첫째")
    services.add_membership(
        actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=["administrator"]
    )
    actor = selectors.actor_for_token(secret)
    assert actor is not None
    assert (actor.person_id, actor.organisation_id, actor.roles) == (person.id, None, frozenset())


def test_who_was_here_before_registration_opened_goes_on_signing_in(client: Client) -> None:
    """The migration, on a database with people in it, one of whom has an address of allauth's already."""
    known = services.add_person(actor=SYSTEM, email="lee@example.kr", name="이", password=PASSWORD)
    services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=PASSWORD)
    EmailAddress.objects.exclude(user_id=known.id).delete()
    Person.objects.update(email_verified_at=None)
    migration = import_module("dure.control.identity.migrations.0004_known_people_are_verified")
    migration.verify(apps, None)
    migration.verify(apps, None)
    assert {(row.email, row.verified, row.primary) for row in EmailAddress.objects.all()} == {
        ("lee@example.kr", True, True),
        (EMAIL, True, True),
    }
    assert not Person.objects.filter(email_verified_at=None).exists()
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert signed_in(client)
