"""Forms about oneself."""

from datetime import timedelta

from django import forms
from django.utils.translation import gettext_lazy as _

from dure.control.identity.models import Scope

LIFETIMES = ((30, _("30 days")), (90, _("90 days")), (365, _("1 year")))
POWERS = (
    (Scope.READ, _("Read only: lists and details, as your script sees them")),
    ("all", _("Read and change: everything that you may do yourself")),
)


class ProfileForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100)
    language = forms.ChoiceField(
        label=_("Language"),
        choices=(("ko", "한국어"), ("en", "English")),
        help_text=_("Pages and notices come in this language."),
    )


class TokenForm(forms.Form):
    token_name = forms.CharField(
        label=_("Name of the token"), max_length=100, help_text=_("What it is for, like “monthly report”.")
    )
    powers = forms.TypedChoiceField(
        label=_("What it may do"),
        choices=POWERS,
        coerce=lambda chosen: list(Scope.values) if chosen == "all" else [chosen],
        initial=Scope.READ,
    )
    lifetime = forms.TypedChoiceField(
        label=_("Valid for"), choices=LIFETIMES, coerce=lambda days: timedelta(days=int(days)), initial=90
    )
