"""The sign-in page, which in a demonstration offers its people at a click."""

import json
from typing import Any

from allauth.account.views import LoginView
from django.conf import settings
from django.http import HttpResponse

from dure.control.identity import selectors


class SignInView(LoginView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"demo_users": _demo_users(), "services": offered()}

    def form_valid(self, form: Any) -> HttpResponse:
        """On a device where no language was chosen yet, pages come in the person's own."""
        response = super().form_valid(form)
        if self.request.user.is_authenticated and settings.LANGUAGE_COOKIE_NAME not in self.request.COOKIES:
            remember_language(response, self.request.user.language)
        return response


def remember_language(response: HttpResponse, language: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=31_536_000,
        samesite="Lax",
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
    )


def offered() -> list[dict[str, str]]:
    """The sign-in services of this deployment: [{"id": …, "name": …}]."""
    apps: Any = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
    return [{"id": app["provider_id"], "name": app["name"]} for app in apps]


def _demo_users() -> list[dict[str, Any]]:
    """The demonstration's people with their passwords, which are no secret; empty anywhere else."""
    if not settings.DURE_DEMO or settings.DURE_DATA_DIR is None:
        return []
    try:
        kept = json.loads((settings.DURE_DATA_DIR / "demo.json").read_text(encoding="utf-8"))
        passwords = dict(kept["passwords"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    members = {member.person.email: member for member in selectors.demonstration_members()}
    return [
        {"email": email, "password": password, "member": members[email]}
        for email, password in passwords.items()
        if email in members
    ]


sign_in = SignInView.as_view()
