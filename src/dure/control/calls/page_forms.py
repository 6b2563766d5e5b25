"""What people type on the pages of calls, apart from answers to a call's own form."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import checks
from dure.control.calls.models import CALL_KINDS
from dure.control.calls.paging import KIND_NAMES
from dure.control.foundation import clock
from dure.control.foundation.errors import DureError


class LineField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=kwargs.pop("max_length", 200),
            widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}),
            **kwargs,
        )


class ProseField(forms.CharField):
    def __init__(self, *, rows: int = 4, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"class": "input", "rows": rows}), **kwargs)


class MomentField(forms.Field):
    """A moment in Seoul, to the second."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateTimeInput(attrs={"class": "input", "type": "datetime-local", "step": "1"})
        super().__init__(widget=widget, **kwargs)

    def to_python(self, value: Any) -> datetime | None:
        if not value or isinstance(value, datetime):
            return value or None
        try:
            found = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise forms.ValidationError(_("Write a moment like 2027-01-31 18:00:00.")) from None
        return found if found.tzinfo else found.replace(tzinfo=clock.SEOUL)

    def prepare_value(self, value: Any) -> Any:
        return (
            value.astimezone(clock.SEOUL).strftime("%Y-%m-%dT%H:%M:%S")
            if isinstance(value, datetime)
            else value
        )


class WonField(forms.Field):
    """A sum typed in won, kept in micro-won."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            widget=forms.TextInput(attrs={"class": "input num", "inputmode": "numeric"}), **kwargs
        )

    def to_python(self, value: Any) -> int | None:
        if value is None or isinstance(value, int):
            return value
        text = str(value).replace(",", "").replace(" ", "").removesuffix("원").removeprefix("₩")
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 15:
            raise forms.ValidationError(_("Write a whole number of won, like 30,000,000."))
        return int(text) * MICRO_WON_PER_WON

    def prepare_value(self, value: Any) -> Any:
        return f"{value // MICRO_WON_PER_WON:,}" if isinstance(value, int) else value


class CountField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        kwargs = {"required": False, "min_value": 1, "max_value": 10_000} | kwargs
        super().__init__(
            widget=forms.NumberInput(attrs={"class": "input num", "inputmode": "numeric"}), **kwargs
        )


class ChoiceField(forms.ChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Select(attrs={"class": "input"}), **kwargs)


def tell(form: forms.Form, error: DureError) -> None:
    """A refusal beside its field; whoever may not do this at all sees no form."""
    if error.status in {403, 404} and error.field not in form.fields:
        raise error
    form.add_error(error.field if error.field in form.fields else None, str(error))


SLUG_HELP = _("The end of the call's address: small letters, digits and hyphens, like “api-support-2027”.")


def _slug(text: str) -> str:
    """Refused beside what else is wrong, and not only when all else is right."""
    try:
        return checks.slug(text)
    except DureError as error:
        raise forms.ValidationError(str(error)) from None


class BeginForm(forms.Form):
    """A new call: its name and programme; the rest comes from the template, or from nothing."""

    name_ko = LineField(label=_("Name in Korean"))
    name_en = LineField(label=_("Name in English"), required=False)
    slug = LineField(label=_("Short name"), max_length=63, help_text=SLUG_HELP)
    programme = ChoiceField(label=_("Programme"), help_text=_("Whose money the call spends."))
    kind = ChoiceField(label=_("Kind of call"), choices=[(kind, KIND_NAMES[kind]) for kind in CALL_KINDS])

    def __init__(
        self, *args: Any, programmes: list[tuple[str, str]], template: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["programme"].choices = programmes  # type: ignore[attr-defined]
        if template is not None:
            del self.fields["kind"]
            self.fields["name_ko"].initial, self.fields["name_en"].initial = (
                template.name_ko,
                template.name_en,
            )
            # What is published now is mostly next year's.
            next_year = clock.now().astimezone(clock.SEOUL).year + 1
            self.fields["slug"].initial = f"{template.name.replace('_', '-')}-{next_year}"

    def clean_slug(self) -> str:
        return _slug(self.cleaned_data["slug"])


class CopyForm(forms.Form):
    slug = LineField(label=_("Short name"), max_length=63, help_text=SLUG_HELP)
    name_ko = LineField(label=_("Name in Korean"))
    name_en = LineField(label=_("Name in English"), required=False)
    programme = ChoiceField(label=_("Programme"))
    years = forms.TypedChoiceField(
        label=_("Move dates by"),
        coerce=int,
        choices=[(0, _("not at all")), (1, _("one year")), (2, _("two years"))],
        initial=1,
        widget=forms.Select(attrs={"class": "input"}),
    )

    def __init__(self, *args: Any, programmes: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["programme"].choices = programmes  # type: ignore[attr-defined]

    def clean_slug(self) -> str:
        return _slug(self.cleaned_data["slug"])


class DetailsForm(forms.Form):
    name_ko = LineField(label=_("Name in Korean"))
    name_en = LineField(label=_("Name in English"), required=False)
    summary_ko = ProseField(
        label=_("Summary in Korean"),
        rows=2,
        required=False,
        max_length=500,
        help_text=_("One or two sentences for the list."),
    )
    summary_en = ProseField(label=_("Summary in English"), rows=2, required=False, max_length=500)
    text_ko = ProseField(
        label=_("Text in Korean"),
        rows=10,
        required=False,
        help_text=_("Who receives what, for what, and how it is decided. An empty line begins a paragraph."),
    )
    text_en = ProseField(label=_("Text in English"), rows=10, required=False)
    reviewed = forms.BooleanField(
        label=_("I have looked through texts, dates and sums of this copy."), required=False
    )
    reason = LineField(
        label=_("Reason for the correction"),
        required=False,
        max_length=500,
        help_text=_("Everybody can read it on the call's page."),
    )

    def __init__(self, *args: Any, published: bool, needs_review: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not published:
            del self.fields["reason"]
        if not needs_review:
            del self.fields["reviewed"]


class RoundForm(forms.Form):
    name_ko = LineField(
        label=_("Name in Korean"), required=False, help_text=_("Only where a call has several rounds.")
    )
    name_en = LineField(label=_("Name in English"), required=False)
    opens_at = MomentField(label=_("Opens"), required=False, help_text=_("In Seoul's time, to the second."))
    closes_at = MomentField(
        label=_("Closes"), required=False, help_text=_("What arrives in this very second is still in time.")
    )
    questions_until = MomentField(
        label=_("Questions until"), required=False, help_text=_("Empty: until the closing.")
    )
    budget_micro_won = WonField(label=_("Budget of the round (won)"), required=False)
    least_micro_won = WonField(label=_("Least that may be asked for (won)"), required=False)
    most_micro_won = WonField(label=_("Most that may be asked for (won)"), required=False)
    automatic = forms.BooleanField(label=_("Approve small requests by rule, at once"), required=False)
    automatic_most = WonField(label=_("Most that is approved by rule (won)"), required=False)
    automatic_days = CountField(label=_("Days that such an award is valid"))
    automatic_per_group = CountField(label=_("Such awards for one ownership group"))

    def values(self) -> dict[str, Any]:
        names = (
            "name_ko",
            "name_en",
            "opens_at",
            "closes_at",
            "questions_until",
            "budget_micro_won",
            "least_micro_won",
            "most_micro_won",
        )
        found = {name: self.cleaned_data.get(name) for name in names if name in self.fields}
        if "automatic" in self.fields:
            found["automatic"] = self._automatic()
        return found

    def _automatic(self) -> dict[str, Any] | None:
        if not self.cleaned_data.get("automatic"):
            return None
        return {
            "most_micro_won": self.cleaned_data.get("automatic_most"),
            "valid_days": self.cleaned_data.get("automatic_days"),
            "most_per_group": self.cleaned_data.get("automatic_per_group"),
        }


class ReasonForm(forms.Form):
    reason = ProseField(
        label=_("Reason"), rows=3, max_length=500, help_text=_("Everybody concerned can read it.")
    )


class ExtendForm(forms.Form):
    closes_at = MomentField(
        label=_("New closing"), help_text=_("In Seoul's time; only later than the present one.")
    )
    reason = ProseField(
        label=_("Reason"), rows=3, max_length=500, help_text=_("Everybody can read it on the call's page.")
    )
    move_steps = forms.BooleanField(
        label=_("Move the dates of the following steps by as much"), required=False
    )


class AnswerForm(forms.Form):
    text = ProseField(
        label=_("Question as it is published"), rows=4, help_text=_("Take out what would say who asked.")
    )
    answer_ko = ProseField(label=_("Answer in Korean"), rows=6)
    answer_en = ProseField(label=_("Answer in English"), rows=6, required=False)


class FileForm(forms.Form):
    file = forms.FileField(label=_("File"), widget=forms.FileInput(attrs={"class": "input"}))
    title_ko = LineField(label=_("Title in Korean"), required=False)
    title_en = LineField(label=_("Title in English"), required=False)
    reason = LineField(label=_("Reason for the correction"), required=False, max_length=500)

    def __init__(self, *args: Any, published: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not published:
            del self.fields["reason"]
