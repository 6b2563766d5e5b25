"""What people type about keys and limits."""

import re
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from dure.contracts.directory import HIGHEST_LIMIT
from dure.control.foundation import clock

_VALIDITIES = [
    ("30", _("30 days")),
    ("90", _("90 days")),
    ("365", _("one year")),
    ("", _("as long as the award")),
]


_SEPARATORS = re.compile(r"[\s,]+")


class _ListField(forms.CharField):
    """Words, one to a line or with commas between."""

    def __init__(self, **kwargs: Any) -> None:
        attributes = {"class": "input", "rows": "3", "autocomplete": "off", "spellcheck": "false"}
        super().__init__(required=False, max_length=10_000, widget=forms.Textarea(attrs=attributes), **kwargs)

    def to_python(self, value: str | None) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(filter(None, _SEPARATORS.split(super().to_python(value) or "")))

    def prepare_value(self, value: object) -> object:
        return "\n".join(value) if isinstance(value, list | tuple) else value


class _CountField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        widget = forms.NumberInput(attrs={"class": "input", "inputmode": "numeric"})
        super().__init__(required=False, min_value=1, max_value=HIGHEST_LIMIT, widget=widget, **kwargs)


class KeyLimitsForm(forms.Form):
    """What is left empty is no limit."""

    requests_per_minute = _CountField(label=_("Calls a minute"))
    tokens_per_minute = _CountField(
        label=_("Tokens a minute"),
        help_text=_(
            "A call counts by its input and the longest answer it allows; what it did not need comes back."
        ),
    )
    concurrency = _CountField(label=_("Calls at once"))
    models = _ListField(label=_("Models"), help_text=_("One to a line; empty for every model on offer."))
    networks = _ListField(
        label=_("Networks"),
        help_text=_("Where calls may come from, one to a line, such as 203.0.113.0/24; empty for anywhere."),
    )

    limits: tuple[str, ...] = (
        "requests_per_minute",
        "tokens_per_minute",
        "concurrency",
        "models",
        "networks",
    )

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.limits}

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.limits]

    @property
    def other_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in self.limits]

    @property
    def has_limits(self) -> bool:
        """Whether to show them at once."""
        return self.is_bound and any(self.data.get(name) for name in self.limits)


class AwardLimitsForm(KeyLimitsForm):
    max_tokens_ceiling = _CountField(
        label=_("Longest answer, in tokens"),
        help_text=_("A call that asks for more, or does not say, gets this."),
    )
    endpoints = _ListField(
        label=_("Endpoints"),
        help_text=_("One to a line, such as chat.completions; empty for every endpoint of the models."),
    )

    limits = (*KeyLimitsForm.limits, "max_tokens_ceiling", "endpoints")


class KeyForm(KeyLimitsForm):
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
