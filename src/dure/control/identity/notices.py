"""Mail that identity sends by itself."""

from datetime import datetime
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from dure.control.foundation import clock, outbox
from dure.control.identity.devices import device_name
from dure.control.identity.models import Person
from dure.control.identity.selectors import PersonView


def welcome(person: Person) -> None:
    """Tell someone who was added without a password how to set one, in their language.

    The link works as long as one for a forgotten password; after that they ask for such a one.
    """
    key = default_token_generator.make_token(person)
    address = {"uidb36": user_pk_to_url_str(person), "key": key}
    context = {
        "person": person,
        "set_password_url": settings.DURE_PORTAL_URL
        + reverse("account_reset_password_from_key", kwargs=address),
        "forgotten_url": settings.DURE_PORTAL_URL + reverse("account_reset_password"),
        "days": settings.PASSWORD_RESET_TIMEOUT // 86_400,
    }
    _mail(person, "welcome", context, dedupe_key=f"welcome-{person.pk}")


def confirm_address(address: EmailAddress) -> None:
    """The link that proves that a registration's address is read by the one who registered; one a minute at most."""
    context = {
        "confirm_url": settings.DURE_PORTAL_URL
        + reverse("account_confirm_email", args=[EmailConfirmationHMAC.create(address).key]),
        "days": settings.ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS,
    }
    _mail(address.user, "confirm", context, dedupe_key=f"confirm-{address.pk}-{_minute()}", to=address.email)


def already_registered(person: Person) -> None:
    """Somebody registered with an address that has an account; one a minute at most."""
    context = {
        "sign_in_url": settings.DURE_PORTAL_URL + reverse("account_login"),
        "forgotten_url": settings.DURE_PORTAL_URL + reverse("account_reset_password"),
    }
    _mail(person, "already_registered", context, dedupe_key=f"registered-{person.pk}-{_minute()}")


def erasure_asked(person: Person, *, due_at: datetime, key: str) -> None:
    """The account will be erased, and until then its owner can take that back."""
    context = {"due_at": due_at, "data_url": settings.DURE_PORTAL_URL + reverse("identity:data")}
    _mail(person, "erasure_asked", context, dedupe_key=f"erasure-{key}")


#: How the dedupe key of the last mail to somebody begins; it is removed as soon as it is sent.
FAREWELL = "erased-"


def erased(person: PersonView) -> None:
    """The last mail: the account is gone (PIPA art. 36(2): the result is told)."""
    _mail(person, "erased", {}, dedupe_key=f"{FAREWELL}{person.id}")


def new_device(person: Person, *, address: str | None, agent: str) -> None:
    """Somebody signed in from a device that this person never used before."""
    context = {
        "at": clock.now(),
        "address": address or "–",
        "agent": agent,
        "forgotten_url": settings.DURE_PORTAL_URL + reverse("account_reset_password"),
        "security_url": settings.DURE_PORTAL_URL + reverse("identity:security"),
    }
    _mail(person, "new_device", context)


def account_changed(person: Person, what: Any, *, address: str, agent: str, to: str | None = None) -> None:
    """Something that matters for the account's safety was done, by its owner or by somebody else."""
    context = {
        "what": what,
        "at": clock.now(),
        "address": address,
        "agent": agent,
        "forgotten_url": settings.DURE_PORTAL_URL + reverse("account_reset_password"),
        "security_url": settings.DURE_PORTAL_URL + reverse("identity:security"),
    }
    _mail(person, "account_changed", context, to=to or "")


def _mail(
    person: Person | PersonView,
    template: str,
    context: dict[str, Any],
    *,
    dedupe_key: str | None = None,
    to: str = "",
) -> None:
    context = {"person": person, **context}
    with translation.override(person.language):
        if "agent" in context:
            context["device"] = device_name(context["agent"])
        outbox.send_mail_later(
            to=to or person.email,
            subject=render_to_string(f"identity/email/{template}_subject.txt", context),
            body=render_to_string(f"identity/email/{template}_message.txt", context),
            language=person.language,
            dedupe_key=dedupe_key,
        )


def _minute() -> int:
    return int(clock.now().timestamp()) // 60
