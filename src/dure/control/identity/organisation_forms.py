"""What people type about organisations."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import clock
from dure.control.foundation.errors import DureError
from dure.control.identity import facts, rules
from dure.control.identity.models import OrganisationKind, Role
from dure.control.identity.services.documents import FILE_KINDS


def end_of_day(day: date | None) -> datetime | None:
    """The moment a day in Seoul is over; the day itself still counts."""
    return None if day is None else datetime.combine(day + timedelta(days=1), time(), clock.SEOUL)


def tell(form: forms.Form, error: DureError) -> None:
    """A refusal beside its field; whoever may not do this at all sees no form."""
    if error.status in {403, 404}:
        raise error
    form.add_error(error.field if error.field in form.fields else None, str(error))


def _text(**attributes: str) -> forms.TextInput:
    return forms.TextInput(attrs={"class": "input", **attributes})


def _day() -> forms.DateInput:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "input"})


def _choice(
    label: Any, choices: list[tuple[str, Any]], *, required: bool, help_text: Any = ""
) -> forms.ChoiceField:
    empty = [] if required else [("", _("not stated"))]
    widget = forms.Select(attrs={"class": "input"})
    return forms.ChoiceField(
        label=label, choices=[*empty, *choices], required=required, widget=widget, help_text=help_text
    )


class ProfileForm(forms.Form):
    registration_number = forms.CharField(
        label=facts.FIELD_TITLES["registration_number"],
        help_text=_("Ten digits, such as 123-45-67890, as on the business registration certificate."),
        max_length=40,
        widget=_text(inputmode="numeric", autocomplete="off"),
    )
    name_ko = forms.CharField(label=facts.FIELD_TITLES["name_ko"], max_length=200, widget=_text())
    name_en = forms.CharField(
        label=facts.FIELD_TITLES["name_en"],
        max_length=200,
        required=False,
        widget=_text(),
        help_text=_("Shown to readers of English. Left empty, the Korean name is used."),
    )
    kind = _choice(
        facts.FIELD_TITLES["kind"],
        [(kind, OrganisationKind(kind).label) for kind in rules.FOUNDABLE_KINDS],
        required=True,
    )
    size_class = _choice(
        facts.FIELD_TITLES["size_class"],
        list(facts.SizeClass.choices),
        required=False,
        help_text=_(
            "By the Framework Act on Small and Medium Enterprises. It decides your own share of the costs."
        ),
    )
    founded_on = forms.DateField(
        label=facts.FIELD_TITLES["founded_on"],
        required=False,
        widget=_day(),
        help_text=_(
            "The date of opening on the certificate. Many calls ask for the age of the organisation."
        ),
    )
    region = _choice(
        facts.FIELD_TITLES["region"],
        list(facts.Region.choices),
        required=False,
        help_text=_("Where the head office is."),
    )
    employees = forms.IntegerField(
        label=facts.FIELD_TITLES["employees"],
        required=False,
        min_value=0,
        widget=forms.NumberInput(attrs={"class": "input", "inputmode": "numeric"}),
    )
    website = forms.CharField(
        label=facts.FIELD_TITLES["website"],
        max_length=200,
        required=False,
        widget=_text(inputmode="url", autocomplete="url"),
    )

    def __init__(self, *args: Any, fixed_kind: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if fixed_kind:
            del self.fields["kind"]

    def values(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        for name in ("size_class", "region"):
            given[name] = given[name] or None
        given["name_en"] = given["name_en"] or given["name_ko"]
        return given


class FoundForm(ProfileForm):
    slug = forms.CharField(
        label=_("Short name"),
        max_length=63,
        required=False,
        widget=_text(autocomplete="off", autocapitalize="none", spellcheck="false"),
        help_text=_(
            "For addresses, such as haneul-labs. Left empty, one is made of the name. It does not change later."
        ),
    )

    def values(self) -> dict[str, Any]:
        given = super().values()
        return {**given, "slug": given["slug"] or None}


class DocumentForm(forms.Form):
    kind = _choice(_("Kind of document"), list(facts.DocumentKind.choices), required=True)
    file = forms.FileField(
        label=_("File"),
        help_text=_("PDF, JPG, PNG, HWP or HWPX, 20 MB at most."),
        widget=forms.FileInput(attrs={"accept": ",".join(f".{kind}" for kind in (*FILE_KINDS, "jpeg"))}),
    )
    issued_on = forms.DateField(label=_("Date of issue"), required=False, widget=_day())
    valid_until = forms.DateField(
        label=_("Valid until"),
        required=False,
        widget=_day(),
        help_text=_("Leave it empty if the document has no end. We remind you 30 days before it ends."),
    )


class RolesForm(forms.Form):
    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose one role at least.")},
    )

    def __init__(self, *args: Any, roles: frozenset[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["roles"].choices = [(role.value, role.label) for role in Role if role.value in roles]  # type: ignore[attr-defined]


class MemberForm(RolesForm):
    valid_until = forms.DateField(
        label=_("Until"),
        required=False,
        widget=_day(),
        help_text=_("The last day of the membership. Leave it empty if it has no end."),
    )


class InvitationForm(RolesForm):
    email = forms.EmailField(
        label=_("E-mail address"),
        widget=forms.EmailInput(attrs={"class": "input", "autocomplete": "off"}),
        help_text=_("The person answers the invitation signed in with this address."),
    )
    membership_until = forms.DateField(
        label=_("Until"),
        required=False,
        widget=_day(),
        help_text=_("The last day of the membership. Leave it empty if it has no end."),
    )
    language = forms.ChoiceField(
        label=_("Language of the mail"),
        choices=(("ko", "한국어"), ("en", "English")),
        widget=forms.Select(attrs={"class": "input"}),
        help_text=_("Who is registered already gets it in their own language."),
    )

    field_order = ("email", "roles", "membership_until", "language")


class DelegationForm(RolesForm):
    delegate = forms.ChoiceField(label=_("Who stands in"), widget=forms.Select(attrs={"class": "input"}))
    valid_until = forms.DateField(
        label=_("Until"),
        widget=_day(),
        help_text=_("The last day, 180 days ahead at most. The roles go back by themselves."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=_text(),
        help_text=_("Both of you and the administrators see it."),
    )

    field_order = ("delegate", "roles", "valid_until", "reason")

    def __init__(self, *args: Any, people: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["delegate"].choices = people  # type: ignore[attr-defined]


class LinkForm(forms.Form):
    other_is = _choice(
        _("The other organisation"),
        [
            ("owner", _("owns part of ours, or controls it")),
            ("owned", _("belongs to ours in part, or is controlled by it")),
        ],
        required=True,
    )
    other_name = forms.CharField(label=_("Its name"), max_length=200, widget=_text(autocomplete="off"))
    other_number = forms.CharField(
        label=_("Its business registration number"),
        max_length=40,
        required=False,
        widget=_text(inputmode="numeric", autocomplete="off"),
        help_text=_("Leave it empty only for an organisation abroad."),
    )
    kind = _choice(_("Connection"), list(facts.LinkKind.choices), required=True)
    share = forms.DecimalField(
        label=_("Share in percent"),
        required=False,
        min_value=Decimal("0.01"),
        max_value=Decimal(100),
        decimal_places=2,
        widget=forms.NumberInput(attrs={"class": "input", "step": "0.01", "inputmode": "decimal"}),
        help_text=_("Only for a share. From 50% on, the two belong to one group."),
    )
    valid_from = forms.DateField(label=_("Since"), widget=_day())
    valid_until = forms.DateField(
        label=_("Until"), required=False, widget=_day(), help_text=_("Leave it empty if there is no end.")
    )

    def values(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        share = given.pop("share")
        return {**given, "share_bp": None if share is None else int(share * 100)}


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"class": "input", "rows": "3"}),
        help_text=_("It is sent to the people concerned."),
        error_messages={"required": _("Give a reason, so that the people concerned know what to do.")},
    )

    def __init__(self, *args: Any, optional: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = not optional


class LastDayForm(ReasonForm):
    last_day = forms.DateField(label=_("Last day"), widget=_day())
    field_order = ("last_day", "reason")
