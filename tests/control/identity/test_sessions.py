"""Where one is signed in, who tried to, and how one ends it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Forbidden, NotFound
from dure.control.foundation.models import OutboxMail
from dure.control.identity import account_selectors, privacy, selectors, services
from dure.control.identity.devices import device_name
from dure.control.identity.models import OpenSession, Person, SignIn

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
EMAIL, PASSWORD = "kim@example.kr", "거북이-열두-마리-간다"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Version/19 Mobile Safari/604.1"
)


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


@pytest.fixture
def kim() -> Person:
    view = services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=PASSWORD, language="en")
    return Person.objects.get(pk=view.id)


def browser(agent: str = CHROME) -> Client:
    client = Client(headers={"User-Agent": agent})
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    return client


def signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def actor(person: Person) -> Actor:
    return selectors.actor_for(person_id=person.pk)


def test_each_browser_is_a_session_and_the_asking_one_is_marked(kim: Person) -> None:
    first, second = browser(CHROME), browser(SAFARI)
    shown = first.get("/account/security/").context["sessions"]
    assert {(session.device, session.here) for session in shown} == {
        ("Chrome on Windows", True),
        ("Safari on iPhone", False),
    }
    assert signed_in(second)


def test_one_session_is_ended_and_the_others_stay(kim: Person) -> None:
    first, second = browser(CHROME), browser(SAFARI)
    other = next(s for s in first.get("/account/security/").context["sessions"] if not s.here)
    assert first.post(f"/account/security/sessions/{other.id}/end/").status_code == 302
    assert (signed_in(first), signed_in(second)) == (True, False)
    assert first.post(f"/account/security/sessions/{other.id}/end/").status_code == 404


def test_all_others_are_ended_at_once(kim: Person) -> None:
    first, second, third = browser(), browser(), browser(SAFARI)
    first.post("/account/security/sessions/end/")
    assert [signed_in(client) for client in (first, second, third)] == [True, False, False]
    assert services.end_other_sessions(actor=actor(kim), keep=first.session.session_key) == 0


def test_nobody_ends_anothers_session(kim: Person) -> None:
    browser()
    services.add_person(actor=SYSTEM, email="lee@example.kr", name="이", password=PASSWORD)
    lee = Person.objects.get(email="lee@example.kr")
    with pytest.raises(NotFound):
        services.end_session(actor=actor(lee), session_id=OpenSession.objects.get().pk)
    with pytest.raises(Forbidden):
        services.end_other_sessions(actor=actor(lee), person_id=kim.pk)
    assert OpenSession.objects.count() == 1


def test_a_new_password_signs_out_everywhere_else(kim: Person) -> None:
    first, second = browser(), browser()
    new = "두루미-세-마리-날다"
    first.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert (signed_in(first), signed_in(second)) == (True, False)
    assert [s.here for s in first.get("/account/security/").context["sessions"]] == [True]


def test_a_password_set_by_an_operator_signs_out_everywhere(kim: Person) -> None:
    first = browser()
    services.set_password(actor=SYSTEM, person_id=kim.pk, password="두루미-세-마리-날다")
    assert not signed_in(first)
    assert OpenSession.objects.count() == 0


def test_signing_out_ends_the_session(kim: Person) -> None:
    client = browser()
    client.post("/account/logout/")
    assert OpenSession.objects.count() == 0


def test_use_is_noted_once_in_five_minutes(kim: Person, django_assert_num_queries: Any) -> None:
    client = browser()
    OpenSession.objects.update(last_used_at=clock.now() - timedelta(hours=1))
    before = OpenSession.objects.get().last_used_at
    client.get("/account/")
    assert OpenSession.objects.get().last_used_at == before
    session = client.session
    session["seen"] = [0, session.session_key]
    session.save()
    client.get("/account/")
    assert OpenSession.objects.get().last_used_at > before


def test_failed_attempts_are_in_the_history(kim: Person) -> None:
    attacker = Client(headers={"User-Agent": SAFARI})
    attacker.post("/account/login/", {"login": EMAIL.upper(), "password": "guess-it-1"})
    attacker.post("/account/login/", {"login": "nobody@example.kr", "password": "guess-it-1"})
    client = browser()
    shown = client.get("/account/security/").context["sign_ins"]
    assert [(one.outcome, one.device) for one in shown] == [
        ("signed_in", "Chrome on Windows"),
        ("wrong_password", "Safari on iPhone"),
    ]


def test_a_flood_of_attempts_does_not_fill_the_history(kim: Person) -> None:
    for _ in range(40):
        services.remember_failure(person_id=kim.pk, address="192.0.2.7", agent="bot")
    assert SignIn.objects.count() == 30


def test_a_new_device_is_told_by_mail_and_a_known_one_is_not(kim: Person) -> None:
    known = browser(CHROME)
    known.post("/account/logout/")
    known.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert OutboxMail.objects.count() == 0
    browser(SAFARI)
    mail = OutboxMail.objects.get()
    assert (mail.to, mail.subject) == (EMAIL, "Sign-in from a new device")
    assert "Safari on iPhone, 127.0.0.1" in mail.body


def test_old_sessions_and_sign_ins_are_forgotten(kim: Person) -> None:
    browser()
    Session.objects.update(expire_date=clock.now() - timedelta(days=1))
    OpenSession.objects.update(last_used_at=clock.now() - timedelta(days=30))
    SignIn.objects.update(at=clock.now() - privacy.SIGN_INS_KEPT - timedelta(days=1))
    assert services.forget_old() == {"sessions": 1, "open_sessions": 1, "sign_ins": 1}
    assert services.forget_old() == {"sessions": 0, "open_sessions": 0, "sign_ins": 0}


def test_sessions_and_history_by_rest(kim: Person) -> None:
    browser()
    _token, secret = services.issue_token(actor=actor(kim), name="script")
    client, headers = Client(), {"Authorization": f"Bearer {secret}", "Accept-Language": "en"}
    listed = client.get("/api/v1/me/sessions", headers=headers).json()
    assert [(one["device"], one["here"]) for one in listed] == [("Chrome on Windows", False)]
    assert [one["outcome"] for one in client.get("/api/v1/me/sign-ins", headers=headers).json()] == [
        "signed_in"
    ]
    assert client.delete(f"/api/v1/me/sessions/{listed[0]['id']}", headers=headers).json() == {"ended": 1}
    assert client.delete(f"/api/v1/me/sessions/{listed[0]['id']}", headers=headers).status_code == 404
    assert client.delete("/api/v1/me/sessions", headers=headers).json() == {"ended": 0}


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME, "Chrome on Windows"),
        (CHROME + " Edg/140.0", "Edge on Windows"),
        (SAFARI, "Safari on iPhone"),
        ("curl/8.5", "curl/8.5"),
        ("", "unknown device"),
        ("\x00\n", "unknown device"),
    ],
)
def test_devices_are_called_by_what_people_know(agent: str, name: str) -> None:
    from django.utils import translation

    with translation.override("en"):
        assert device_name(agent) == name


def test_sessions_of_a_person_are_few_queries(kim: Person, django_assert_num_queries: Any) -> None:
    for n in range(30):
        OpenSession.objects.create(person=kim, session_key=f"key-{n}", agent=CHROME)
        Session.objects.create(
            session_key=f"key-{n}", session_data="", expire_date=clock.now() + timedelta(days=1)
        )
    with django_assert_num_queries(2):
        assert len(account_selectors.sessions_of(kim.pk)) == 30
