"""Second factors: a password alone no longer opens the account, in the portal or over REST."""

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client

from dure.control.foundation.actors import Actor
from dure.control.foundation.models import OutboxMail
from dure.control.identity import account_selectors, services

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
EMAIL, PASSWORD = "kim@example.kr", "거북이-열두-마리-간다"


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


@pytest.fixture
def kim() -> Any:
    return services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=PASSWORD, language="en")


def code_of(secret: str, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def sign_in(client: Client) -> str:
    answer = client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    return str(answer.headers.get("Location", answer.status_code))


def signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def set_up(client: Client) -> tuple[str, list[str]]:
    """An authenticator app; returns its secret and the recovery codes."""
    page = client.get("/account/second-factor/app/add/")
    secret = page.context["form"].secret
    assert secret in page.content.decode()
    done = client.post("/account/second-factor/app/add/", {"code": code_of(secret)})
    assert done.headers["Location"] == "/account/recovery-codes/"
    shown = client.get("/account/recovery-codes/").content.decode()
    return secret, re.findall(r"\b\d{8}\b", shown)


def test_with_an_app_a_password_alone_signs_nobody_in(kim: Any) -> None:
    first = Client()
    sign_in(first)
    secret, codes = set_up(first)
    assert len(codes) == 10
    cache.clear()
    client = Client()
    assert sign_in(client) == "/account/second-factor/check/"
    assert not signed_in(client)
    assert client.get("/account/second-factor/check/").status_code == 200
    client.post("/account/second-factor/check/", {"code": "000000"})
    assert not signed_in(client)
    assert (
        client.post("/account/second-factor/check/", {"code": code_of(secret, 1)}).headers["Location"] == "/"
    )
    assert signed_in(client)
    outcomes = [one.outcome for one in account_selectors.sign_ins_of(kim.id)]
    assert outcomes == ["signed_in", "wrong_code", "signed_in"]


def test_a_recovery_code_works_once(kim: Any) -> None:
    first = Client()
    sign_in(first)
    _secret, codes = set_up(first)
    for client, expected in ((Client(), True), (Client(), False)):
        sign_in(client)
        client.post("/account/second-factor/check/", {"code": codes[0]})
        assert signed_in(client) is expected


def test_the_secret_is_not_in_the_clear(kim: Any, settings: Any) -> None:
    client = Client()
    sign_in(client)
    secret, codes = set_up(client)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not any(code in stored for code in codes)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another-secret-key-" + "y" * 40
    settings.SECRET_KEY_FALLBACKS = [old]
    assert Authenticator.objects.get(type="totp").wrap().validate_code(code_of(secret, -1)) in {True, False}


def test_its_owner_is_told_by_mail_and_can_remove_it(
    kim: Any, django_capture_on_commit_callbacks: Any
) -> None:
    client = Client()
    sign_in(client)
    with django_capture_on_commit_callbacks(execute=True):
        set_up(client)
    told = [mail.body.splitlines()[2] for mail in OutboxMail.objects.order_by("id")]
    assert told == ["An authenticator app was set up for signing in."]
    assert client.get("/account/second-factor/app/remove/").status_code == 200
    client.post("/account/second-factor/app/remove/")
    assert Authenticator.objects.count() == 0


def test_setting_one_up_asks_who_is_there_where_that_was_long_ago(kim: Any) -> None:
    client = Client()
    sign_in(client)
    set_up(client)
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3_600
    session.save()
    for page in ("second-factor/app/remove", "recovery-codes", "passkeys/add"):
        assert client.get(f"/account/{page}/").headers["Location"].startswith("/account/reauthenticate/")


def test_rest_asks_for_the_code_as_well(kim: Any) -> None:
    first = Client()
    sign_in(first)
    secret, codes = set_up(first)
    cache.clear()

    def ask(**extra: str) -> tuple[int, str]:
        body = {"email": EMAIL, "password": PASSWORD, "name": "script", **extra}
        answer = Client().post("/api/v1/tokens/with-password", body, content_type="application/json")
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    assert ask() == (401, "code_needed")
    assert ask(code="000000") == (401, "code_wrong")
    assert ask(code=code_of(secret, 1)) == (201, "")
    assert ask(code=codes[3]) == (201, "")
    assert ask(code=codes[3]) == (401, "code_wrong")


def test_codes_are_not_guessed_at_leisure(kim: Any) -> None:
    first = Client()
    sign_in(first)
    secret, _codes = set_up(first)
    client = Client()
    sign_in(client)
    for n in range(12):
        client.post("/account/second-factor/check/", {"code": f"{n:06}"})
    client.post("/account/second-factor/check/", {"code": code_of(secret, 1)})
    assert not signed_in(client)


def test_an_operator_resets_what_is_lost(kim: Any) -> None:
    client = Client()
    sign_in(client)
    set_up(client)
    assert services.reset_second_factors(actor=SYSTEM, person_id=kim.id) == 2
    assert not signed_in(client)
    assert sign_in(Client()) == "/"
    assert services.reset_second_factors(actor=SYSTEM, person_id=kim.id) == 0


@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_of_second_factors_are_whole(kim: Any, language: str) -> None:
    client = Client()
    sign_in(client)
    client.cookies["dure_language"] = language
    set_up(client)
    pages = (
        "security passkeys/add recovery-codes recovery-codes/new second-factor/app/remove second-factor/again"
        " reauthenticate connections email"
    )
    for page in pages.split():
        answer = client.get(f"/account/{page}/")
        assert answer.status_code == 200, page
        heading = re.search(r"(?s)<h1>(.*?)</h1>", answer.content.decode())
        assert heading is not None
        assert bool(re.search("[가-힣]{2}", heading[1])) == (language == "ko"), page
    assert client.get("/account/recovery-codes/download/").status_code == 200
    assert client.get("/account/passkeys/").headers["Location"] == "/account/security/"


def test_nobody_removes_anothers_passkey(kim: Any) -> None:
    theirs = Authenticator.objects.create(
        user_id=services.add_person(actor=SYSTEM, email="other@example.kr", name="다른").id,
        type=Authenticator.Type.WEBAUTHN,
        data={"name": "Theirs", "credential": {}},
    )
    client = Client()
    sign_in(client)
    for ask in (client.get, client.post):
        assert ask(f"/account/passkeys/{theirs.pk}/remove/").status_code == 404
    assert Authenticator.objects.filter(pk=theirs.pk).exists()
