"""How people and organisations may be called."""

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
