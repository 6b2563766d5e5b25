"""What the room learns from allauth and Django about signing in and out."""

import time
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.account.signals import (
    email_changed,
    email_confirmed,
    password_changed,
    password_set,
    user_logged_in,
)
from allauth.mfa.signals import authentication_failed as second_factor_failed
from django.contrib.auth.signals import user_logged_in as session_began
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest

from dure.control.foundation import audit
from dure.control.identity import selectors, services
from dure.control.identity.middleware import DEVICE_COOKIE, SESSION_SEEN
from dure.control.identity.models import Person
from dure.control.identity.person_models import SignInOutcome


def _where(request: HttpRequest) -> dict[str, Any]:
    try:
        address = get_adapter().get_client_ip(request)
    except PermissionDenied:
        address = None
    return {"address": address, "agent": request.META.get("HTTP_USER_AGENT", "")}


@receiver(session_began)
def remember_session(request: HttpRequest, user: Person, **_: Any) -> None:
    key = request.session.session_key
    if key:
        services.remember_use(person_id=user.pk, session_key=key, earlier_key=None, **_where(request))
        request.session[SESSION_SEEN] = [int(time.time()), key]


@receiver(user_logged_in)
def remember_sign_in(request: HttpRequest, user: Person, **_: Any) -> None:
    request.keep_device = services.remember_sign_in(  # type: ignore[attr-defined]
        person_id=user.pk, device=request.COOKIES.get(DEVICE_COOKIE, ""), **_where(request)
    )


@receiver(user_login_failed)
def remember_failure(request: HttpRequest | None = None, **arguments: Any) -> None:
    address = str((arguments.get("credentials") or {}).get("email") or "")
    person = selectors.person_by_email(address)
    if request is not None and person is not None and person.active:
        services.remember_failure(person_id=person.id, **_where(request))


@receiver(second_factor_failed)
def remember_wrong_code(request: HttpRequest, user: Person, **_: Any) -> None:
    services.remember_failure(person_id=user.pk, outcome=SignInOutcome.WRONG_CODE, **_where(request))


@receiver(user_logged_out)
def forget_session(request: HttpRequest, user: Person | None = None, **_: Any) -> None:
    if request.session.session_key:
        services.forget_session(session_key=request.session.session_key)


@receiver(email_confirmed)
def remember_verified(email_address: EmailAddress, **_: Any) -> None:
    services.remember_verified(person_id=email_address.user_id)


@receiver(email_changed)
def record_new_address(user: Person, **_: Any) -> None:
    """The trail says that the address changed, not to which: it cannot forget."""
    audit.record(
        actor=selectors.alone(user),
        action="person.email_changed",
        subject_kind="person",
        subject_id=user.pk,
    )


@receiver([password_changed, password_set])
def end_other_sessions(request: HttpRequest, user: Person, **_: Any) -> None:
    """Whoever knew the old password is out at once, and not only with their next click."""
    services.end_other_sessions(actor=selectors.alone(user), keep=request.session.session_key)
