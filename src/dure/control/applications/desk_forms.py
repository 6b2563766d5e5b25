"""What officers type on the desk."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from dure.control.applications.selectors import ApplicationView
from dure.control.applications.services.deciding import ADVERSE
from dure.control.calls import steps
from dure.control.calls.page_forms import ChoiceField, LineField, MomentField, ProseField, WonField
from dure.control.foundation import clock
from dure.control.programmes import selectors as programmes

_COMPLETION_DAYS = 7


def _end_of_day(days: int) -> datetime:
    """The last second of a day ahead, in Seoul."""
    day = clock.now().astimezone(clock.SEOUL).date() + timedelta(days=days)
    return datetime.combine(day, time(23, 59, 59), clock.SEOUL)


class AdvanceForm(forms.Form):
    """Leave the step with one of its outcomes."""

    outcome = ChoiceField(label=_("Outcome"))
    reason = ProseField(
        label=_("Reason"),
        required=False,
        help_text=_("The applicant reads it. An outcome against the applicant needs one."),
    )

    def __init__(self, *args: Any, view: ApplicationView, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        step = view.round.graph.step(view.step)
        self.fields["outcome"].choices = [  # type: ignore[attr-defined]
            (edge.outcome, outcome_line(view, edge)) for edge in (step.edges if step else ())
        ]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("outcome") in ADVERSE and not found.get("reason", "").strip():
            self.add_error("reason", _("Write what the applicant should read."))
        return found


def outcome_line(view: ApplicationView, edge: steps.Edge) -> str:
    """An outcome with where it leads: `passed → Decision`."""
    target = view.round.graph.step(edge.to)
    name = steps.outcome_name(edge.outcome)
    return f"{name} → {target.title}" if target else str(name)


class CompletionForm(forms.Form):
    """Ask for what is missing."""

    fields_asked = forms.MultipleChoiceField(
        label=_("What is to be completed"),
        required=False,
        widget=forms.CheckboxSelectMultiple(),
        help_text=_("Only these open again. Where none is chosen, the whole form does."),
    )
    reason = ProseField(label=_("What is missing"), help_text=_("The applicant reads it."))
    due_at = MomentField(label=_("To be completed by"), help_text=_("Seoul time."))

    def __init__(self, *args: Any, view: ApplicationView, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["due_at"].initial = _end_of_day(_COMPLETION_DAYS)
        self.fields["fields_asked"].choices = [  # type: ignore[attr-defined]
            (one.key, one.label) for one in view.form.fields
        ]


class DecisionForm(forms.Form):
    """Accept for a sum, or reject with a reason."""

    outcome = ChoiceField(
        label=_("Decision"), choices=[("", "–"), ("accepted", _("Accept")), ("rejected", _("Do not accept"))]
    )
    granted = WonField(
        label=_("Sum that is granted"), required=False, help_text=_("In won, at most what was asked for.")
    )
    reason = ProseField(
        label=_("Reason"),
        required=False,
        help_text=_("The applicant reads it. It is needed where you do not accept."),
    )

    def __init__(self, *args: Any, view: ApplicationView, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["granted"].initial = view.asked_micro_won

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("outcome") == "rejected" and not found.get("reason", "").strip():
            self.add_error("reason", _("Write what the applicant should read."))
        return found


class AwardForm(forms.Form):
    """Grant what was decided."""

    valid_until = MomentField(
        label=_("The award ends"),
        required=False,
        help_text=_("Seoul time. Left empty, it ends when an officer ends it."),
    )

    line = ChoiceField(
        label=_("Budget line that pays"),
        required=False,
        help_text=_("Left open, it is the one on which all that was asked for stands."),
    )
    field_order = ("line", "valid_until")

    def __init__(self, *args: Any, view: ApplicationView, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lines = [
            one
            for one in programmes.budget_lines(programme_id=view.round.call.programme.id)
            if one.unit == "KRW"
        ]
        if len(lines) < 2:
            del self.fields["line"]
            return
        self.fields["line"].choices = [("", "–"), *((one.key, one.name) for one in lines)]  # type: ignore[attr-defined]


class ExtensionForm(forms.Form):
    """More time for one applicant."""

    until = MomentField(label=_("New deadline"), help_text=_("Seoul time, later than the present one."))
    reason = ProseField(label=_("Reason"), help_text=_("It stays on record, and the applicant reads it."))

    def __init__(self, *args: Any, view: ApplicationView | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class ExtensionByNumberForm(ExtensionForm):
    """The same for a draft, which officers know by its number alone."""

    number = LineField(
        label=_("Number of the application"),
        max_length=20,
        help_text=_(
            "Its writers see it on every page of it. What they write stays theirs until it is submitted."
        ),
    )
    field_order = ("number", "until", "reason")


class BulkReasonForm(forms.Form):
    """One reason for all."""

    reason = ProseField(label=_("Reason for all of them"), required=False)

    def __init__(self, *args: Any, needed: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = needed
        self.fields["reason"].help_text = _("Each applicant reads it.")
