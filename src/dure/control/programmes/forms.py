"""What people type about keys."""

from datetime import datetime, timedelta

from django import forms
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import clock

_VALIDITIES = [
    ("30", _("30 days")),
    ("90", _("90 days")),
    ("365", _("one year")),
    ("", _("as long as the award")),
]


class KeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        help_text=_("What it is for, such as “product server”: so that you know later which one to revoke."),
        max_length=80,
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}),
        error_messages={"required": _("Give the key a name.")},
    )
    validity = forms.ChoiceField(
        label=_("Works for"),
        help_text=_("A shorter time limits the damage of a lost key; it can be replaced without a pause."),
        choices=_VALIDITIES,
        initial="365",
        required=False,
        widget=forms.Select(attrs={"class": "input"}),
    )

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["validity"]
        return clock.now() + timedelta(days=int(days)) if days else None
