"""Signing in, passwords, and whom one acts for, as a browser meets them."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.test import Client

from dure.control.foundation.actors import Actor
from dure.control.foundation.models import OutboxMail
from dure.control.identity import selectors, services
from dure.control.identity.models import Organisation, Person, SignIn

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
EMAIL, PASSWORD = "kim@example.kr", "거북이-열두-마리-간다"


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


@pytest.fixture
def kim() -> Person:
    person = services.add_person(actor=SYSTEM, email=EMAIL, name="김하늘", password=PASSWORD, language="en")
    for slug in ("first", "second"):
        organisation = services.add_organisation(actor=SYSTEM, slug=slug, kind="startup", name_ko=slug)
        services.add_membership(
            actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=["developer"]
        )
    return Person.objects.get(pk=person.id)


def sign_in(client: Client, password: str = PASSWORD, email: str = EMAIL, **extra: str) -> int:
    return client.post("/account/login/", {"login": email, "password": password, **extra}).status_code


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_one_signs_in_with_address_and_password_in_any_case(client: Client, kim: Person) -> None:
    assert sign_in(client, email="KIM@Example.kr") == 302
    assert signed_in(client)


def test_a_sign_in_is_remembered_with_its_address(client: Client, kim: Person) -> None:
    sign_in(client)
    assert [row.address for row in SignIn.objects.filter(person=kim)] == ["127.0.0.1"]


def test_after_sign_in_pages_come_in_ones_own_language_unless_another_was_chosen_here(kim: Person) -> None:
    fresh, korean = Client(), Client()
    korean.cookies["dure_language"] = "ko"
    sign_in(fresh)
    sign_in(korean)
    assert fresh.cookies["dure_language"].value == "en"
    assert korean.cookies["dure_language"].value == "ko"


def test_one_comes_back_to_the_page_one_wanted_and_to_no_other_site(client: Client, kim: Person) -> None:
    first = client.get("/account/")
    assert first.headers["Location"] == "/account/login/?next=/account/"
    answer = client.post("/account/login/?next=https://evil.example/", {"login": EMAIL, "password": PASSWORD})
    assert answer.headers["Location"] == "/"


def test_a_wrong_password_and_an_unknown_address_look_the_same(client: Client, kim: Person) -> None:
    wrong = client.post("/account/login/", {"login": EMAIL, "password": "no"})
    unknown = client.post("/account/login/", {"login": "lee@example.kr", "password": "no"})
    assert (wrong.status_code, unknown.status_code) == (200, 200)
    assert list(wrong.context["form"].errors) == list(unknown.context["form"].errors)
    assert not signed_in(client)


def test_guessing_is_slowed_down(client: Client, kim: Person) -> None:
    for _ in range(5):
        sign_in(client, password="guess")
    sign_in(client)
    assert not signed_in(client)


def test_who_is_no_longer_active_cannot_sign_in_and_open_sessions_end(client: Client, kim: Person) -> None:
    sign_in(client)
    Person.objects.update(is_active=False)
    assert client.get("/account/").status_code == 302
    assert sign_in(Client()) in {200, 302}
    assert [row.outcome for row in SignIn.objects.all()] == ["signed_in"]


def test_a_forgotten_password_is_set_anew_by_a_mailed_link_once(client: Client, kim: Person) -> None:
    answer = client.post("/account/password/reset/", {"email": EMAIL})
    assert answer.status_code == 302
    assert set_by_link(OutboxMail.objects.get().body, "달팽이-스무-마리-온다")
    link, told = OutboxMail.objects.order_by("id")
    assert told.subject == "Your account was changed"
    assert not set_by_link(link.body, "또-다른-비밀번호-하나")
    assert sign_in(client, password="달팽이-스무-마리-온다") == 302


def test_asking_for_an_unknown_address_looks_the_same(client: Client, kim: Person) -> None:
    known = client.post("/account/password/reset/", {"email": EMAIL})
    unknown = client.post("/account/password/reset/", {"email": "lee@example.kr"})
    assert (known.status_code, known.headers["Location"]) == (
        unknown.status_code,
        unknown.headers["Location"],
    )


@pytest.mark.parametrize(("language", "words"), [("ko", "비밀번호를 정해"), ("en", "Set your password")])
def test_who_is_added_without_a_password_is_mailed_a_link_to_set_one(language: str, words: str) -> None:
    services.add_person(actor=SYSTEM, email="new@example.kr", name="이새봄", language=language)
    mail = OutboxMail.objects.get()
    assert (mail.to, mail.language) == ("new@example.kr", language)
    assert words in mail.body
    assert set_by_link(mail.body, PASSWORD)
    client = Client()
    assert sign_in(client, email="new@example.kr") == 302


def set_by_link(body: str, password: str) -> bool:
    found = re.search(r"https?://\S+/password/reset/key/\S+", body)
    assert found
    client = Client()
    form = client.get(urlsplit(found[0]).path, follow=True)
    if form.context.get("token_fail"):
        return False
    answer = client.post(form.request["PATH_INFO"], {"password1": password, "password2": password})
    return answer.status_code == 302


def test_one_changes_ones_own_password(client: Client, kim: Person) -> None:
    sign_in(client)
    new = "두루미-세-마리-날다"
    client.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert sign_in(Client(), password=new) == 302


def test_one_acts_for_the_organisation_one_chooses_and_for_no_stranger(client: Client, kim: Person) -> None:
    stranger = services.add_organisation(actor=SYSTEM, slug="third", kind="startup", name_ko="third").id
    sign_in(client)
    for slug in ("second", "first"):
        client.post("/act-for/", {"organisation": str(selectors.organisation(slug).id)})
        assert client.get("/account/").context["actor"].organisation_id == selectors.organisation(slug).id
    assert client.post("/act-for/", {"organisation": str(stranger)}).status_code == 404
    assert client.get("/account/").context["actor"].organisation_id == selectors.organisation("first").id


def test_a_proxys_own_password_does_not_sign_anybody_out(client: Client, kim: Person) -> None:
    sign_in(client)
    assert client.get("/account/", headers={"Authorization": "Basic c3RhZ2U6aW5n"}).status_code == 200


def test_the_demonstrations_people_are_offered_in_a_demonstration_alone(
    client: Client, kim: Person, settings: Any, tmp_path: Path
) -> None:
    kept = {"passwords": {EMAIL: PASSWORD, "gone@example.kr": "never-shown-1"}, "api_key": None}
    (tmp_path / "demo.json").write_text(json.dumps(kept), encoding="utf-8")
    settings.DURE_DATA_DIR = tmp_path
    Organisation.objects.filter(slug="first").update(demo=True)
    assert PASSWORD not in client.get("/account/login/").content.decode()
    settings.DURE_DEMO = True
    shown = client.get("/account/login/").content.decode()
    assert PASSWORD in shown
    assert "never-shown-1" not in shown
    Organisation.objects.update(demo=False)
    assert PASSWORD not in client.get("/account/login/").content.decode()
    for damaged in ("{", "[]", '{"passwords": 3}'):
        (tmp_path / "demo.json").write_text(damaged, encoding="utf-8")
        assert client.get("/account/login/").status_code == 200


def test_a_token_is_shown_once_and_listed_by_its_start(client: Client, kim: Person) -> None:
    sign_in(client)
    answer = client.post("/account/tokens/", {"token_name": "report", "powers": "all", "lifetime": "30"})
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert answer.headers["Cache-Control"] == "no-store"
    listed = client.get("/account/tokens/").content.decode()
    assert secret not in listed
    assert secret[:17] in listed
    token = selectors.tokens_of(kim.pk)[0]
    assert client.get(f"/account/tokens/{token.id}/revoke/").context["token"] == token
    assert selectors.actor_for_token(secret) is not None
    client.post(f"/account/tokens/{token.id}/revoke/")
    assert selectors.actor_for_token(secret) is None


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"token_name": "", "powers": "all", "lifetime": "30"},
        {"token_name": "a", "powers": "all", "lifetime": "9"},
        {"token_name": "a", "powers": "everything", "lifetime": "30"},
    ],
)
def test_a_token_form_with_a_mistake_is_shown_again(
    client: Client, kim: Person, form: dict[str, str]
) -> None:
    sign_in(client)
    answer = client.post("/account/tokens/", form)
    assert answer.status_code == 422
    assert selectors.tokens_of(kim.pk) == []


def test_details_are_changed_and_mistakes_are_explained(client: Client, kim: Person) -> None:
    sign_in(client)
    assert client.post("/account/", {"name": "", "language": "ko"}).status_code == 422
    assert client.post("/account/", {"name": "김바다", "language": "ko"}).status_code == 302
    kim.refresh_from_db()
    assert (kim.name, kim.language) == ("김바다", "ko")


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("page", ["login", "signup", "password/reset", "password/reset/done", "inactive"])
def test_pages_before_sign_in_are_whole_in_both_languages(client: Client, page: str, language: str) -> None:
    client.cookies["dure_language"] = language
    answer = client.get(f"/account/{page}/")
    assert answer.status_code == 200
    hangul = re.search("[가-힣]{2}", re.search(r"(?s)<h1>(.*?)</h1>", answer.content.decode())[1])  # type: ignore[index]
    assert bool(hangul) == (language == "ko")
