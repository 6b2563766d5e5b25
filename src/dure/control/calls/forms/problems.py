from dataclasses import dataclass

from django.utils.translation import gettext

from dure.control.calls.forms.fields import Field


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is the field's key; `place` is where inside its answer: `[2].won` is the amount of the third row."""

    field: str
    code: str
    message: str
    remedy: str = ""
    place: str = ""

    @classmethod
    def unknown_field(cls, key: str) -> "Problem":
        return cls(key, "unknown_field", gettext("The form has no such field."))


def required_problem(one: Field) -> Problem:
    if one.kind == "consent":
        return Problem(
            one.key,
            "consent_missing",
            gettext("“%(field)s” needs your consent.") % {"field": one.label},
            gettext("Read the statement and tick the box."),
        )
    return Problem(
        one.key,
        "missing",
        gettext("“%(field)s” has no answer yet.") % {"field": one.label},
        gettext("Choose one.") if one.kind in {"choice", "yes_no"} else gettext("Fill it in."),
    )
