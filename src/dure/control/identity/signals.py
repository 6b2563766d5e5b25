"""The sign-in history."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from dure.control.identity.models import Person, SignIn


@receiver(user_logged_in)
def remember_sign_in(request: HttpRequest, user: Person, **_: Any) -> None:
    SignIn.objects.create(
        person=user,
        address=get_adapter().get_client_ip(request),
        agent=request.META.get("HTTP_USER_AGENT", "")[:300],
    )
