"""Sign-in by OpenID Connect, with what a token says checked in full (OpenID Connect Core 1.0, 3.1.3.7).

allauth does the redirects, PKCE, the state and the exchange of the code. Checked here: the issuer of the discovery
document, and of the token its signature by a published key, algorithm, issuer, audience, times and nonce,
whichever way it came. What the provider adds about the person counts if it is about the same subject.

A person who exists is connected by an address that the provider has verified and we have, too; somebody new agrees
to the privacy notice first.
"""

import json
import secrets
from typing import Any

import jwt
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from requests import RequestException

from dure.control.foundation.http import Request
from dure.control.identity import privacy, services
from dure.control.identity.guards import public
from dure.control.identity.models import Person
from dure.control.identity.sign_up import PersonFields

#: Signatures that only the provider can make; with a shared secret (HS256), whoever checks could sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: How far the provider's clock may be off, in seconds.
LEEWAY_SECONDS = 60


class CheckedAdapter(OpenIDConnectOAuth2Adapter):
    """`nonce` is what this browser's state remembers of the nonce that was sent out."""

    nonce: str | None = None

    @property
    def openid_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().openid_config
        if config.get("issuer", "").rstrip("/") != self.get_provider().app.settings["issuer"]:
            raise OAuth2Error("the discovery document names another issuer")
        return config

    def complete_login(
        self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any
    ) -> SocialLogin:
        try:
            claims = self._claims(app, kwargs["response"].get("id_token"))
            config = self.openid_config
            about = self._fetch_user_info(token.token) if config.get("userinfo_endpoint") else {}
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OAuth2Error("the token does not hold") from error
        if about and about.get("sub") != claims["sub"]:
            raise OAuth2Error("what is told is about somebody else")
        known = {**claims, **about}
        said = known.get("email_verified")
        known["email_verified"] = said is True or said == "true"
        kept = {name: known.get(name) for name in ("sub", "iss", "email", "email_verified", "name")}
        return self.get_provider().sociallogin_from_response(request, {"userinfo": kept})

    def _claims(self, app: SocialApp, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise OAuth2Error("an algorithm that is not taken")
        claims: dict[str, Any] = jwt.decode(
            token,
            key=self._key(header),
            algorithms=[header["alg"]],
            audience=app.client_id,
            issuer=self.openid_config["issuer"],
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
        if not self.nonce or not secrets.compare_digest(str(claims.get("nonce", "")), self.nonce):
            raise OAuth2Error("a nonce that was not sent")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else app.client_id) != app.client_id:
            raise OAuth2Error("a token for somebody else")
        return claims

    def _key(self, header: dict[str, Any]) -> Any:
        with get_adapter().get_requests_session() as session:
            response = session.get(self.openid_config["jwks_uri"])
            response.raise_for_status()
        keys = [key for key in response.json()["keys"] if key.get("use", "sig") == "sig"]
        fitting = [key for key in keys if header.get("kid") in {key.get("kid"), None}]
        if len(fitting) != 1 or fitting[0].get("alg", header["alg"]) != header["alg"]:
            raise OAuth2Error("no key that it could be signed with")
        return jwt.PyJWK.from_json(json.dumps(fitting[0]), algorithm=header["alg"]).key


class Callback(OAuth2CallbackView):
    def _get_state(self, request: HttpRequest, provider: Any) -> tuple[dict[str, Any] | None, Any]:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce")
        return state, response

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Also where the service cannot even be asked how it is asked."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except (OAuth2Error, RequestException, KeyError, ValueError) as error:
            return render_authentication_error(request, self.adapter.get_provider(), exception=error)


def begin(request: Request, provider_id: str) -> HttpResponse:
    """Send the browser to the sign-in service (POST), or ask whether to (GET)."""
    provider = _provider(request, provider_id)
    if request.method != "POST":
        return render(request, "socialaccount/login.html", {"provider": provider})
    nonce = secrets.token_urlsafe(32)
    where = provider.get_redirect_from_request_kwargs(request)
    where |= {"scope": provider.get_scope(), "auth_params": {"nonce": nonce}}
    try:
        return provider.redirect(request, nonce=nonce, **where)
    except (OAuth2Error, RequestException, KeyError, ValueError) as error:
        return render_authentication_error(request, provider, exception=error)


def back(request: Request, provider_id: str) -> HttpResponse:
    """The browser comes back from the sign-in service."""
    _provider(request, provider_id)
    return Callback.adapter_view(CheckedAdapter(request, provider_id))(request)


@public
def failed(request: Request) -> HttpResponse:
    """What allauth leads to where it has nothing better to say."""
    return render(request, "socialaccount/authentication_error.html")


def _provider(request: Request, provider_id: str) -> Any:
    try:
        provider = get_adapter().get_provider(request, provider_id)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    provider.oauth2_adapter_class = CheckedAdapter
    return provider


class ServiceAdapter(DefaultSocialAccountAdapter):
    error_messages = DefaultSocialAccountAdapter.error_messages | {
        "email_taken": _("This address belongs to another account."),
        "invalid_token": _("The sign-in service's answer does not hold."),
        "no_password": _("Set a password first, or you could not sign in any more."),
        "no_verified_email": _("Confirm your address first."),
        "disconnect_last": _("This is your only way to sign in."),
        "connected_other": _("That account is connected with another person."),
    }

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Who is new here needs an address that the sign-in service has verified."""
        if sociallogin.is_existing or sociallogin.state.get("process") == "connect":
            return
        if not _verified_address(sociallogin):
            raise ImmediateHttpResponse(render(request, "socialaccount/no_verified_email.html", status=403))

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[Person, str] | None:
        """Only an account whose own address is confirmed; a registration that waits is nobody's yet."""
        address = _verified_address(sociallogin)
        if not address:
            return None
        person = Person.objects.filter(email=address, email_verified_at__isnull=False, is_active=True).first()
        return (person, address) if person else None

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> Person:
        view = services.register_verified(
            actor=request.actor,  # type: ignore[attr-defined]
            email=_verified_address(sociallogin),
            name=form.cleaned_data["name"],
            language=form.cleaned_data["language"],
            privacy_version=privacy.NOTICE_VERSION,
        )
        person = Person.objects.get(pk=view.id)
        sociallogin.email_addresses = []
        sociallogin.connect(request, person)
        return person


class SignUpForm(PersonFields):
    """What somebody new says who comes from a sign-in service; the address is the service's."""

    def __init__(self, *args: Any, sociallogin: SocialLogin, **kwargs: Any) -> None:
        kwargs.pop("email_required", None)
        said = sociallogin.account.extra_data.get("userinfo", {})
        kwargs["initial"] = {
            "name": str(said.get("name") or "")[:100],
            "language": "ko" if (get_language() or "ko").startswith("ko") else "en",
        }
        super().__init__(*args, **kwargs)
        self.sociallogin = sociallogin
        self.address = _verified_address(sociallogin)

    def try_save(self, request: HttpRequest) -> tuple[Person, None]:
        return get_adapter().save_user(request, self.sociallogin, form=self), None


def _verified_address(sociallogin: SocialLogin) -> str:
    found: list[EmailAddress] = sociallogin.email_addresses
    return next((one.email.lower() for one in found if one.verified and one.email), "")
