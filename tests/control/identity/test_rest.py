"""Organisations, oneself and one's tokens over REST."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity import selectors, services
from dure.control.identity.models import Organisation, Person, PersonalAccessToken

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


class Caller:
    """Somebody with a personal access token."""

    def __init__(self, name: str, kind: str, *roles: str) -> None:
        organisation = services.add_organisation(actor=SYSTEM, slug=name, kind=kind, name_ko=name)
        self.person_id = services.add_person(actor=SYSTEM, email=f"{name}@example.kr", name=name).id
        services.add_membership(
            actor=SYSTEM, person_id=self.person_id, organisation_id=organisation.id, roles=list(roles)
        )
        actor = selectors.actor_for(person_id=self.person_id)
        self.secret = services.issue_token(actor=actor, name="test")[1]
        self.client = Client(headers={"Authorization": f"Bearer {self.secret}"})

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        answer = self.client.get(f"/api/v1/{path}", query)
        return answer.status_code, answer.json()

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        answer = self.client.post(f"/api/v1/{path}", body, content_type="application/json")
        return answer.status_code, answer.json()

    def ask_for_token(self, **body: Any) -> tuple[int, Any]:
        """As the person does who is signed in to the portal."""
        session = Client()
        session.force_login(
            Person.objects.get(pk=self.person_id), "allauth.account.auth_backends.AuthenticationBackend"
        )
        answer = session.post("/api/v1/tokens", body, content_type="application/json")
        return answer.status_code, answer.json()


@pytest.fixture
def officer() -> Caller:
    return Caller("ministry", "ministry", "officer")


@pytest.fixture
def developer() -> Caller:
    return Caller("haneul", "startup", "developer")


def test_me(developer: Caller) -> None:
    status, me = developer.get("me")
    assert (status, me["name"], me["roles"]) == (200, "haneul", ["developer"])
    assert me["acting_for"] == me["memberships"][0]["organisation"]["id"]


def test_an_organisation_is_added_found_and_not_added_twice(officer: Caller) -> None:
    body = {"slug": "narae", "kind": "sme", "name_ko": "나래"}
    status, added = officer.post("organisations", body)
    assert (status, added["name_en"]) == (201, "나래")
    assert officer.get("organisations/narae") == (200, added)
    assert officer.get(f"organisations/{added['id']}") == (200, added)
    assert officer.get("organisations", search="나래", kind="sme") == (200, [added])
    status, again = officer.post("organisations", body)
    assert (status, again["error"]["code"], again["error"]["field"]) == (409, "organisation_exists", "slug")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"slug": "A B", "kind": "sme", "name_ko": "나"}, "slug_invalid", "slug"),
        ({"slug": "ab", "kind": "club", "name_ko": "나"}, "organisation_kind_unknown", "kind"),
        ({"slug": "ab", "kind": "sme", "name_ko": "a\x00"}, "name_invalid", "name"),
        ({"slug": "ab", "kind": "sme"}, "input_invalid", "body.name_ko"),
        ({"slug": 7, "kind": [], "name_ko": None}, "input_invalid", "body.slug"),
        ([], "input_invalid", "body.slug"),
    ],
)
def test_a_wrong_organisation_names_its_field(officer: Caller, body: Any, code: str, field: str) -> None:
    status, answer = officer.post("organisations", body)
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (422, code, field)
    assert answer["error"]["remedy"]
    assert Organisation.objects.count() == 1


@pytest.mark.parametrize(
    "text",
    ["{", "", "\x00", '{"slug": "\\ud800"}', "[" * 5000, b"\xff", '{"krw": NaN}', '{"krw": 1' + "0" * 5000 + "}",
     '{"slug": "a"}'.encode("utf-16")],
)  # fmt: skip
def test_a_body_that_is_no_json_is_refused(officer: Caller, text: str | bytes) -> None:
    answer = officer.client.generic("POST", "/api/v1/organisations", text, content_type="application/json")
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["code"] in {"request_invalid", "input_invalid"}


@pytest.mark.parametrize(
    "query",
    [
        {"search": "\x00"},
        {"search": "%"},
        {"offset": 10**30},
        {"limit": -1},
        {"limit": "x"},
        {"kind": "\x00"},
    ],
)
def test_strange_questions_get_an_answer(officer: Caller, query: dict[str, Any]) -> None:
    assert officer.get("organisations", **query)[0] in {200, 422}


@pytest.mark.parametrize("slug", ["nothing", "%00", "a%0Ab", "가나", "00000000-0000-0000-0000-000000000000"])
def test_what_is_not_there_answers_404(officer: Caller, slug: str) -> None:
    status, answer = officer.get(f"organisations/{slug}")
    assert (status, answer["error"]["code"]) == (404, "organisation_not_found")


def test_others_organisations_are_not_there(officer: Caller, developer: Caller) -> None:
    assert developer.get("organisations/haneul")[0] == 200
    assert developer.get("organisations/ministry") == developer.get("organisations/nothing")
    assert developer.get("organisations")[0] == 403


def test_a_token_is_issued_listed_used_and_revoked(developer: Caller) -> None:
    status, token = developer.ask_for_token(name="report")
    assert status == 201
    secret = token.pop("secret")
    assert token in [listed | {"last_used_at": None} for listed in developer.get("tokens")[1]]
    bearer = {"Authorization": f"Bearer {secret}"}
    assert Client(headers=bearer).get("/api/v1/me").status_code == 200
    assert developer.client.delete(f"/api/v1/tokens/{token['id']}").json()["revoked_at"] is not None
    answer = Client(headers=bearer).get("/api/v1/me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    "expires_at", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00", "0001-01-01T00:00:00+09:00", "soon", 10**40]
)
def test_a_token_cannot_end_in_the_past_or_at_no_time(developer: Caller, expires_at: Any) -> None:
    status, answer = developer.ask_for_token(name="t", expires_at=expires_at)
    assert (status, answer["error"]["code"]) in {(422, "expiry_in_the_past"), (422, "input_invalid")}
    assert len(developer.get("tokens")[1]) == 1


def test_a_token_lives_for_a_year_at_most_and_for_90_days_if_nothing_is_said(developer: Caller) -> None:
    _status, token = developer.ask_for_token(name="t")
    lifetime = datetime.fromisoformat(token["expires_at"]) - clock.now()
    assert timedelta(days=89) < lifetime < timedelta(days=91)
    status, answer = developer.ask_for_token(name="t", expires_at="9999-12-31T23:59:59Z")
    assert (status, answer["error"]["code"]) == (422, "expiry_too_far")


def test_a_token_makes_no_tokens_and_ends_with_the_password(developer: Caller) -> None:
    assert developer.post("tokens", {"name": "everlasting"})[1]["error"]["code"] == "session_required"
    services.set_password(
        actor=Actor.system("test"), person_id=developer.person_id, password="namu-haneul-baram-7"
    )
    assert developer.get("me")[0] == 401


def test_a_token_that_may_read_changes_nothing(developer: Caller) -> None:
    status, issued = developer.ask_for_token(name="report", scopes=["read"])
    assert (status, issued["scopes"]) == (201, ["read"])
    reader = Client(headers={"Authorization": f"Bearer {issued['secret']}"})
    assert reader.get("/api/v1/me").json()["scopes"] == ["read"]
    refused = reader.patch("/api/v1/me", {"name": "다른 이름"}, content_type="application/json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "token_scope_missing")
    assert reader.delete(f"/api/v1/tokens/{issued['id']}").status_code == 403
    assert developer.get("me")[1]["name"] == "haneul"


def test_a_token_that_may_only_change_reads_nothing(developer: Caller) -> None:
    _status, issued = developer.ask_for_token(name="writer", scopes=["write"])
    writer = Client(headers={"Authorization": f"Bearer {issued['secret']}"})
    assert writer.get("/api/v1/me").json()["error"]["code"] == "token_scope_missing"
    changed = writer.patch("/api/v1/me", {"name": "새 이름"}, content_type="application/json")
    assert (changed.status_code, changed.json()["name"]) == (200, "새 이름")


@pytest.mark.parametrize("scopes", [[], ["admin"], ["read", "admin"], "read"])
def test_scopes_that_are_none_are_refused(developer: Caller, scopes: Any) -> None:
    assert developer.ask_for_token(name="x", scopes=scopes)[0] == 422
    assert PersonalAccessToken.objects.count() == 1


def test_a_token_by_password_is_for_the_organisation_that_is_named(client: Client) -> None:
    person = services.add_person(
        actor=SYSTEM, email="two@example.kr", name="둘", password="거북이-열두-마리-간다"
    )
    for slug in ("alpha", "beta"):
        made = services.add_organisation(actor=SYSTEM, slug=slug, kind="startup", name_ko=slug)
        services.add_membership(
            actor=SYSTEM, person_id=person.id, organisation_id=made.id, roles=["developer"]
        )
    services.add_organisation(actor=SYSTEM, slug="others", kind="startup", name_ko="남의 곳")

    def ask(**extra: Any) -> tuple[int, Any]:
        body = {
            "email": "two@example.kr",
            "password": "거북이-열두-마리-간다",
            "name": "script",
            "scopes": ["read"],
        }
        answer = client.post(
            "/api/v1/tokens/with-password", {**body, **extra}, content_type="application/json"
        )
        return answer.status_code, answer.json()

    assert ask(organisation="beta")[1]["organisation"]["slug"] == "beta"
    assert ask()[1]["organisation"]["slug"] == "alpha"
    assert ask(organisation="others")[0] == 404
    assert ask(password="guess-it-1")[1]["error"]["code"] == "password_wrong"
    assert [ask(password=f"guess-{n}")[0] for n in range(6)][-1] == 429


def test_tokens_are_counted(developer: Caller) -> None:
    answers = [developer.ask_for_token(name=str(n))[0] for n in range(services.MAX_TOKENS)]
    assert answers == [201] * (services.MAX_TOKENS - 1) + [409]


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer x", "Basic eDp5", "dure-pat-x", "Bearer \xff"]
)
def test_a_wrong_token_is_refused_everywhere(value: str, client: Client) -> None:
    answer = client.get("/api/v1/me", headers={"Authorization": value})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")


def test_a_token_that_is_used_says_so_at_most_once_a_minute(developer: Caller) -> None:
    developer.get("me")
    first = PersonalAccessToken.objects.get().last_used_at
    developer.get("me")
    assert PersonalAccessToken.objects.get().last_used_at == first is not None
    PersonalAccessToken.objects.update(last_used_at=clock.now() - timedelta(minutes=2))
    developer.get("me")
    assert PersonalAccessToken.objects.get().last_used_at > first


def test_who_is_no_longer_active_has_no_token(developer: Caller) -> None:
    Person.objects.filter(pk=developer.person_id).update(is_active=False)
    assert developer.get("me")[0] == 401


def test_a_session_may_ask_and_needs_the_csrf_token_to_change_anything(developer: Caller) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(
        Person.objects.get(pk=developer.person_id), "allauth.account.auth_backends.AuthenticationBackend"
    )
    assert client.get("/api/v1/me").status_code == 200
    refused = client.post("/api/v1/tokens", {"name": "t"}, content_type="application/json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "csrf_failed")
    client.get("/account/")
    token = client.cookies["csrftoken"].value
    allowed = client.post(
        "/api/v1/tokens", {"name": "t"}, content_type="application/json", headers={"X-CSRFToken": token}
    )
    assert allowed.status_code == 201


def test_a_token_never_speaks_with_the_sessions_voice(officer: Caller, developer: Caller) -> None:
    client = Client(headers={"Authorization": f"Bearer {developer.secret}"})
    client.force_login(
        Person.objects.get(pk=officer.person_id), "allauth.account.auth_backends.AuthenticationBackend"
    )
    assert client.get("/api/v1/me").json()["name"] == "haneul"
    assert client.get("/api/v1/me", headers={"Authorization": "Bearer no"}).status_code == 401


def test_nobody_learns_what_an_operation_takes_before_they_may_call_it(client: Client) -> None:
    answer = client.post("/api/v1/organisations", {}, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "sign_in_required")


def test_the_apis_document_is_there_for_everybody(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    assert "/api/v1/organisations/{slug}" in document["paths"]
    assert client.get("/api/v1/docs").status_code == 200


@pytest.mark.parametrize(("text", "status"), [("\\ud800", 400), ("a\\udfff", 400), ("\\ud83d\\ude00", 404)])
def test_half_of_a_surrogate_pair_never_reaches_the_database(officer: Caller, text: str, status: int) -> None:
    body = f'{{"programme": "{text}", "organisation": "ministry", "krw": 1}}'
    answer = officer.client.generic("POST", "/api/v1/awards", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        status,
        "request_invalid" if status == 400 else "programme_not_found",
    )
