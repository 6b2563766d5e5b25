"""What officers type about programmes: their money, their terms, and what they grant."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import clock
from dure.control.foundation.money import parse_krw
from dure.control.programmes.forms import _ListField as ListField
from dure.control.programmes.own_share import SIZE_CLASSES, OwnShareRule
from dure.control.programmes.selectors import OwnContributionView
from dure.control.programmes.units import GPU_SECOND, KRW

_PERCENT = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,2}))?")
SIZE_NAMES = {
    "micro": _("micro enterprise"),
    "small": _("small enterprise"),
    "medium": _("medium enterprise"),
    "mid_sized": _("mid-sized enterprise"),
    "large": _("large enterprise"),
    "none": _("not an enterprise"),
}
SOURCE_KIND_NAMES = {
    "budget": _("budget of a ministry"),
    "fund": _("public fund"),
    "other": _("other public source"),
}
DUE_NAMES = {"after": _("any time until the award ends"), "before": _("before the first call")}


class TextField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.TextInput(attrs={"class": "input", "autocomplete": "off"}))
        super().__init__(**kwargs)


class ChoiceField(forms.ChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Select(attrs={"class": "input"}), **kwargs)


class WonField(forms.CharField):
    """Whole won as people write them; the value is micro-won."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TextInput(attrs={"class": "input", "inputmode": "numeric", "autocomplete": "off"})
        super().__init__(max_length=40, widget=widget, **kwargs)

    def clean(self, value: Any) -> int | None:
        text = super().clean(value).removesuffix("원").removeprefix("₩")
        if not text:
            return None
        try:
            return parse_krw(text)
        except ValueError:
            raise forms.ValidationError(
                _("Write whole won, such as 300,000,000; at most 9 trillion.")
            ) from None


class DayField(forms.DateField):
    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateInput(attrs={"class": "input", "type": "date"}, format="%Y-%m-%d")
        super().__init__(required=False, widget=widget, **kwargs)


def first_moment(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), clock.SEOUL) if day else None


def last_moment(day: date | None) -> datetime | None:
    """The end of a last day."""
    return datetime.combine(day + timedelta(days=1), time(), clock.SEOUL) if day else None


class SourceForm(forms.Form):
    name_ko = TextField(label=_("Name in Korean"), max_length=200)
    name_en = TextField(label=_("Name in English"), max_length=200, required=False)
    slug = TextField(
        label=_("Short name"),
        help_text=_("Small letters, digits and hyphens; it is part of the address and stays."),
        max_length=63,
    )
    kind = ChoiceField(label=_("Kind"), choices=list(SOURCE_KIND_NAMES.items()))


class ProgrammeForm(forms.Form):
    name_ko = TextField(label=_("Name in Korean"), max_length=200)
    name_en = TextField(label=_("Name in English"), max_length=200, required=False)
    slug = TextField(
        label=_("Short name"),
        help_text=_("Small letters, digits and hyphens; it is part of the address and stays."),
        max_length=63,
    )
    krw = WonField(label=_("First appropriation, in won"))
    source = ChoiceField(label=_("Source"), required=False)

    def __init__(self, *args: Any, sources: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _choices(self, "source", [("", _("my agency's own budget")), *sources.items()])


class AppropriationForm(forms.Form):
    source = ChoiceField(label=_("Source"))
    unit = ChoiceField(
        label=_("Unit"),
        choices=[(KRW, _("won")), (GPU_SECOND, _("GPU seconds"))],
        help_text=_("GPU seconds are kept on record; awards are granted in won only."),
    )
    amount = WonField(label=_("Amount"), help_text=_("Whole won, or whole GPU seconds."))
    memo = TextField(label=_("Note for the ledger"), max_length=300, required=False)

    def __init__(self, *args: Any, sources: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _choices(self, "source", sources.items())


class PassOnForm(forms.Form):
    to = ChoiceField(label=_("To the programme"))
    source = ChoiceField(label=_("Source"), help_text=_("The money stays this source's."))
    krw = WonField(label=_("Amount, in won"))
    memo = TextField(label=_("Note for the ledger"), max_length=300, required=False)

    def __init__(
        self, *args: Any, programmes: Mapping[str, Any], sources: Mapping[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        _choices(self, "to", programmes.items())
        _choices(self, "source", sources.items())


class LineForm(forms.Form):
    name_ko = TextField(label=_("Name in Korean"), max_length=200)
    name_en = TextField(label=_("Name in English"), max_length=200, required=False)
    key = TextField(
        label=_("Short name"),
        help_text=_("Small letters, digits and underscores, such as api_use."),
        max_length=40,
    )
    krw = WonField(label=_("Ceiling, in won"))


class UseForm(forms.Form):
    models = ListField(label=_("Models"), help_text=_("One to a line; empty for every model on offer."))
    endpoints = ListField(
        label=_("Endpoints"),
        help_text=_("One to a line, such as chat.completions; empty for every endpoint of the models."),
    )
    first_day = DayField(label=_("First day"))
    last_day = DayField(label=_("Last day"))


class OwnContributionForm(forms.Form):
    """A share, and bounds, for each size."""

    due = ChoiceField(label=_("Due"), choices=list(DUE_NAMES.items()))

    def __init__(self, *args: Any, standing: OwnContributionView, **kwargs: Any) -> None:
        rules = {rule.size_class: rule for rule in standing.rules}
        initial: dict[str, Any] = {"due": standing.due}
        for size, rule in rules.items():
            initial[f"share_{size}"] = f"{rule.share_bp / 100:g}"
            initial[f"least_{size}"] = _plain(rule.least_micro_won)
            initial[f"most_{size}"] = _plain(rule.most_micro_won)
        super().__init__(*args, **kwargs)
        self.initial = initial
        for size, name in SIZE_NAMES.items():
            self.fields[f"share_{size}"] = TextField(
                label=_("%(size)s: own share, percent") % {"size": name}, max_length=6, required=False
            )
            self.fields[f"least_{size}"] = WonField(
                label=_("%(size)s: at least, in won") % {"size": name}, required=False
            )
            self.fields[f"most_{size}"] = WonField(
                label=_("%(size)s: at most, in won") % {"size": name}, required=False
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for size in SIZE_CLASSES:
            text = (cleaned.get(f"share_{size}") or "").removesuffix("%").strip()
            match = _PERCENT.fullmatch(text)
            if text and match is None:
                self.add_error(f"share_{size}", _("Write a share such as 10 or 12.5, below 100."))
        return cleaned

    def rules(self) -> dict[str, OwnShareRule]:
        found = {}
        for size in SIZE_CLASSES:
            text = (self.cleaned_data[f"share_{size}"] or "").removesuffix("%").strip()
            least, most = self.cleaned_data[f"least_{size}"], self.cleaned_data[f"most_{size}"]
            if text or least:
                match = _PERCENT.fullmatch(text or "0")
                assert match is not None
                share = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0") or 0)
                found[size] = OwnShareRule(share, least or 0, most)
        return found

    @property
    def rows(self) -> list[tuple[Any, list[forms.BoundField]]]:
        return [
            (name, [self[f"share_{size}"], self[f"least_{size}"], self[f"most_{size}"]])
            for size, name in SIZE_NAMES.items()
        ]


class GrantForm(forms.Form):
    organisation = TextField(
        label=_("Organisation"), help_text=_("Its short name, such as haneul-labs."), max_length=63
    )
    krw = WonField(label=_("Public money, in won"))
    name_ko = TextField(
        label=_("Name in Korean"),
        help_text=_("Left empty, it is named like the programme."),
        max_length=200,
        required=False,
    )
    name_en = TextField(label=_("Name in English"), max_length=200, required=False)
    line = ChoiceField(label=_("Budget line"), required=False)
    source = ChoiceField(label=_("Source"), required=False)
    size_class = ChoiceField(
        label=_("Size of the organisation"),
        help_text=_("It decides the own contribution."),
        choices=[("", _("as the organisation has stated")), *SIZE_NAMES.items()],
        required=False,
    )
    first_day = DayField(label=_("First day"))
    last_day = DayField(label=_("Last day"))

    def __init__(
        self, *args: Any, lines: Mapping[str, Any], sources: Mapping[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        _choices(self, "source", [("", _("each in proportion to what it has left")), *sources.items()])
        if lines:
            _choices(self, "line", lines.items())
        else:
            del self.fields["line"]


class OwnPaymentForm(forms.Form):
    krw = WonField(label=_("What has arrived, in won"))
    memo = TextField(
        label=_("Note"),
        help_text=_("For instance the account and the day it came in."),
        max_length=300,
        required=False,
    )


class EndForm(forms.Form):
    reason = TextField(
        label=_("Reason"), help_text=_("The organisation reads it on the award's page."), max_length=500
    )


def _choices(form: forms.Form, name: str, choices: Any) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = list(choices)


def _plain(micro_won: int | None) -> str:
    return f"{micro_won // 10**6:,}" if micro_won else ""
