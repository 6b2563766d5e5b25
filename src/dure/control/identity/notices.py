"""Mail that identity sends by itself."""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from dure.control.foundation import outbox
from dure.control.identity.models import Person


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
    with translation.override(person.language):
        outbox.send_mail_later(
            to=person.email,
            subject=render_to_string("identity/email/welcome_subject.txt", context),
            body=render_to_string("identity/email/welcome_message.txt", context),
            language=person.language,
            dedupe_key=f"welcome-{person.pk}",
        )
