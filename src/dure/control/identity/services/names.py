"""How people and organisations may be called."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from dure.control.foundation.errors import Invalid


def tidy_name(text: str) -> str:
    """A name with its spaces tidied; empty and unprintable ones are refused."""
    tidy = " ".join(text.split())
    if not tidy or len(tidy) > 200 or not tidy.isprintable():
        raise Invalid(
            "name_invalid",
            _("A name has 1 to 200 printable characters."),
            field="name",
            remedy=_("Write the name as people know it."),
        )
    return tidy


def tidy_email(text: str) -> str:
    """An e-mail address in small letters; what is none is refused."""
    email = text.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid(
            "email_invalid",
            _("“%(email)s” is not an e-mail address.") % {"email": email[:100]},
            field="email",
            remedy=_("Write it like name@example.kr."),
        ) from None
    return email


def tidy_language(language: str) -> str:
    if language not in {"ko", "en"}:
        raise Invalid("language_unknown", _("The language is ko or en."), field="language")
    return language
