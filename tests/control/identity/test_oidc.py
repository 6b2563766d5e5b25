"""Sign-in by OpenID Connect against a provider that runs, on loopback, and may lie."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.test import Client

from dure.control.foundation.actors import Actor
from dure.control.identity import privacy, services
from dure.control.identity.models import Consent, Person

from .identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, new_key

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
EMAIL, PASSWORD = "kim@example.kr", "거북이-열두-마리-간다"


@pytest.fixture
def provider(settings: Any) -> Iterator[IdentityProvider]:
    cache.clear()
    with IdentityProvider() as running:
        app = {
            "provider_id": "oidc",
            "name": "시험 인증",
            "client_id": CLIENT_ID,
            "secret": CLIENT_SECRET,
            "settings": {"server_url": running.issuer, "issuer": running.issuer},
        }
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
        yield running


def go(client: Client, query: str = "") -> Any:
    """The browser's way: to the provider, and back with its code."""
    sent = client.post(f"/account/oidc/oidc/{query}")
    assert sent.status_code == 302, sent.content
    there = requests.get(sent.headers["Location"], allow_redirects=False, timeout=5)
    parts = urlsplit(there.headers["Location"])
    return client.get(f"{parts.path}?{parts.query}")


def signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def person(email: str = EMAIL) -> Any:
    return services.add_person(actor=SYSTEM, email=email, name="김하늘", password=PASSWORD)


def test_somebody_new_agrees_to_the_notice_and_has_an_account(provider: IdentityProvider) -> None:
    client = Client()
    assert "시험 인증" in client.get("/account/login/").content.decode()
    assert go(client).headers["Location"] == "/account/oidc-new/"
    form = client.get("/account/oidc-new/")
    assert form.context["form"].address == EMAIL
    given = {"name": "김하늘", "language": "ko"}
    assert client.post("/account/oidc-new/", given).status_code == 200
    assert Person.objects.count() == 0
    done = client.post("/account/oidc-new/", {**given, "consent": "on"})
    assert done.headers["Location"] == "/"
    row = Person.objects.get()
    assert (row.email, row.name, row.has_usable_password()) == (EMAIL, "김하늘", False)
    assert row.email_verified_at is not None
    assert Consent.objects.get().version == privacy.NOTICE_VERSION
    assert signed_in(client)
    again = Client()
    assert go(again).headers["Location"] == "/"
    assert signed_in(again)
    assert Person.objects.count() == 1


def test_an_account_with_the_verified_address_is_connected(provider: IdentityProvider) -> None:
    kim = person()
    client = Client()
    assert go(client).status_code == 302
    assert signed_in(client)
    assert SocialAccount.objects.get().user_id == kim.id
    assert Person.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize("verified", [False, None, "false", "no", 1])
def test_an_address_that_the_provider_has_not_verified_connects_nobody(
    provider: IdentityProvider, verified: Any
) -> None:
    person()
    provider.person["email_verified"] = verified
    client = Client()
    assert go(client).status_code == 403
    assert not signed_in(client)
    assert SocialAccount.objects.count() == 0


def test_a_registration_that_waits_is_not_connected_but_gives_way(provider: IdentityProvider) -> None:
    services.register(
        actor=Actor.anonymous(),
        email=EMAIL,
        name="누군가",
        password="a-strangers-password-1",
        privacy_version=privacy.NOTICE_VERSION,
    )
    client = Client()
    assert go(client).headers["Location"] == "/account/oidc-new/"
    client.post("/account/oidc-new/", {"name": "김하늘", "language": "ko", "consent": "on"})
    assert signed_in(client)
    assert not Person.objects.get().check_password("a-strangers-password-1")


def test_the_address_alone_is_no_key_to_another_subject(provider: IdentityProvider) -> None:
    """Once connected, it is the provider's number for the person that counts; addresses change hands."""
    kim, lee = person(), person("lee@example.kr")
    go(Client())
    provider.person["email"] = "lee@example.kr"
    client = Client()
    go(client)
    assert client.get("/account/").context["request"].user.pk == kim.id != lee.id


def other_key(provider: IdentityProvider) -> None:
    provider.signing_key = new_key()


def shared_secret(provider: IdentityProvider) -> None:
    provider.header["alg"] = "HS256"
    provider.signing_key = CLIENT_SECRET * 4


def unsigned(provider: IdentityProvider) -> None:
    provider.header["alg"] = "none"
    provider.signing_key = None


LIES: dict[str, Any] = {
    "another nonce": lambda p: p.claims.update(nonce="of another browser"),
    "no nonce": lambda p: p.claims.update(nonce=None),
    "another issuer": lambda p: p.claims.update(iss="https://evil.example"),
    "another audience": lambda p: p.claims.update(aud="another-client"),
    "several audiences, for another": lambda p: p.claims.update(aud=[CLIENT_ID, "other"], azp="other"),
    "several audiences, for nobody": lambda p: p.claims.update(aud=[CLIENT_ID, "other"]),
    "expired": lambda p: p.claims.update(exp=int(time.time()) - 600),
    "without an end": lambda p: p.claims.update(exp=None),
    "from the future": lambda p: p.claims.update(iat=int(time.time()) + 600),
    "another key": other_key,
    "a shared secret": shared_secret,
    "unsigned": unsigned,
    "a key that is not published": lambda p: p.header.update(kid="second"),
    "told about somebody else": lambda p: setattr(p, "told", {"sub": "person-2", "email": EMAIL}),
    "discovery of another": lambda p: p.discovery.update(issuer="https://evil.example"),
    "no keys": lambda p: p.discovery.update(jwks_uri=f"{p.issuer}/nowhere"),
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_does_not_hold_signs_nobody_in(provider: IdentityProvider, lie: str) -> None:
    person()
    LIES[lie](provider)
    client = Client()
    sent = client.post("/account/oidc/oidc/")
    if sent.status_code == 302:
        there = requests.get(sent.headers["Location"], allow_redirects=False, timeout=5)
        parts = urlsplit(there.headers["Location"])
        sent = client.get(f"{parts.path}?{parts.query}")
    assert sent.status_code == 401
    assert not signed_in(client)
    assert SocialAccount.objects.count() == 0


def test_the_provider_tells_the_truth_otherwise(provider: IdentityProvider) -> None:
    """So that the lies above are refused for what they are."""
    person()
    provider.claims.update(aud=[CLIENT_ID, "other"], azp=CLIENT_ID)
    client = Client()
    go(client)
    assert signed_in(client)


def test_a_code_of_another_browser_signs_nobody_in(provider: IdentityProvider) -> None:
    person()
    victim, attacker = Client(), Client()
    sent = attacker.post("/account/oidc/oidc/")
    there = requests.get(sent.headers["Location"], allow_redirects=False, timeout=5)
    parts = urlsplit(there.headers["Location"])
    assert victim.get(f"{parts.path}?{parts.query}").status_code == 401
    assert not signed_in(victim)
    assert attacker.get(f"{parts.path}?{parts.query}").status_code == 302
    assert attacker.get(f"{parts.path}?{parts.query}").status_code == 401, "a state is good once"


def test_who_is_no_longer_active_is_not_signed_in(provider: IdentityProvider) -> None:
    person()
    go(Client())
    Person.objects.update(is_active=False)
    client = Client()
    go(client)
    assert not signed_in(client)


def test_who_is_signed_in_connects_and_disconnects(provider: IdentityProvider) -> None:
    kim = person()
    provider.person["email"] = "elsewhere@example.kr"
    client = Client()
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    assert go(client, "?process=connect").headers["Location"] == "/account/connections/"
    account = SocialAccount.objects.get()
    assert account.user_id == kim.id
    assert client.get("/account/security/").context["ways"].services == ("oidc",)
    client.post("/account/connections/", {"account": account.pk})
    assert SocialAccount.objects.count() == 0


def test_cancelling_there_and_a_service_that_is_away_are_explained(provider: IdentityProvider) -> None:
    client = Client()
    state = jwt.utils.base64url_encode(b"x").decode()
    assert client.get(f"/account/oidc/oidc/back/?error=access_denied&state={state}").status_code == 401
    sent = client.post("/account/oidc/oidc/")
    own = dict(part.split("=") for part in urlsplit(sent.headers["Location"]).query.split("&"))["state"]
    cancelled = client.get(f"/account/oidc/oidc/back/?error=access_denied&state={own}")
    assert cancelled.headers["Location"] == "/account/oidc-cancelled/"
    assert client.get("/account/oidc-cancelled/").status_code == 200
    assert client.get("/account/oidc/oidc/").status_code == 200
    assert client.get("/account/oidc/other/").status_code == 404
    provider.discovery["token_endpoint"] = "http://127.0.0.1:9/token"
    assert go(Client()).status_code == 401


def test_without_a_service_none_is_offered(client: Client, db: None) -> None:
    assert client.get("/account/oidc/oidc/").status_code == 404
    assert "oidc" not in client.get("/account/login/").content.decode()
