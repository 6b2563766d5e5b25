"""What a rule may ask about, and how each kind of value may be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from dure.control.foundation.errors import Text

type Kind = Literal["choice", "whole_number", "won", "months", "yes_no", "document", "date"]

#: How each kind may be compared; `in`, `not_in` take a list, `between` takes [least, most], `present` takes nothing.
COMPARISONS: Mapping[Kind, tuple[str, ...]] = {
    "choice": ("is", "is_not", "in", "not_in", "present"),
    "whole_number": ("is", "is_not", "at_least", "at_most", "between", "in", "not_in", "present"),
    "won": ("at_least", "at_most", "between", "is", "is_not", "present"),
    "months": ("at_least", "at_most", "between", "is", "is_not", "present"),
    "yes_no": ("is", "is_not", "present"),
    "document": ("present",),
    "date": ("before", "after", "between", "is", "is_not", "present"),
}

#: A document is `valid`: accepted and in date; `asked`: handed in, not looked at yet.
DOCUMENT_STATES = ("valid", "asked", "missing")


@dataclass(frozen=True, slots=True)
class Attribute:
    """`remedy` says where an organisation states it, or what it can do so that it changes."""

    key: str
    kind: Kind
    name: Text
    options: Mapping[str, Text] = field(default_factory=dict)
    remedy: Text = ""
    least: int = 0
    most: int = 10**6


_ORGANISATION_KINDS: Mapping[str, Text] = {
    "ministry": _("ministry"),
    "agency": _("agency"),
    "provider": _("model provider"),
    "sme": _("small or medium enterprise"),
    "startup": _("start-up"),
    "public_body": _("public body"),
    "university": _("university"),
    "institute": _("research institute"),
}
_SIZE_CLASSES: Mapping[str, Text] = {
    "micro": pgettext_lazy("size class", "micro enterprise"),
    "small": pgettext_lazy("size class", "small enterprise"),
    "medium": pgettext_lazy("size class", "medium enterprise"),
    "mid_sized": pgettext_lazy("size class", "mid-sized enterprise"),
    "large": pgettext_lazy("size class", "large enterprise"),
    "none": pgettext_lazy("size class", "not an enterprise"),
}
#: ISO 3166-2:KR
_REGIONS: Mapping[str, Text] = {
    "KR-11": _("Seoul"),
    "KR-26": _("Busan"),
    "KR-27": _("Daegu"),
    "KR-28": _("Incheon"),
    "KR-29": _("Gwangju"),
    "KR-30": _("Daejeon"),
    "KR-31": _("Ulsan"),
    "KR-50": _("Sejong"),
    "KR-41": _("Gyeonggi"),
    "KR-42": _("Gangwon"),
    "KR-43": _("North Chungcheong"),
    "KR-44": _("South Chungcheong"),
    "KR-45": _("North Jeolla"),
    "KR-46": _("South Jeolla"),
    "KR-47": _("North Gyeongsang"),
    "KR-48": _("South Gyeongsang"),
    "KR-49": _("Jeju"),
}
DOCUMENT_KINDS: Mapping[str, Text] = {
    "business_registration": _("business registration certificate"),
    "sme_certificate": _("SME certificate"),
    "startup_certificate": _("start-up certificate"),
    "venture_certificate": _("venture certificate"),
    "tax_clearance": _("tax clearance certificate"),
    "social_insurance_clearance": _("social insurance clearance"),
    "research_institute_certificate": _("certificate of a corporate research institute"),
    "other": _("other document"),
}

_ALL = [
    Attribute(
        "organisation.kind",
        "choice",
        _("kind of organisation"),
        _ORGANISATION_KINDS,
        _("Your organisation's page says what kind it is."),
    ),
    Attribute(
        "organisation.size_class",
        "choice",
        _("size class"),
        _SIZE_CLASSES,
        _("State the size class on your organisation's page."),
    ),
    Attribute(
        "organisation.age_months",
        "months",
        _("time since foundation"),
        remedy=_("State the day of foundation on your organisation's page."),
        most=12_000,
    ),
    Attribute(
        "organisation.founded_on",
        "date",
        _("day of foundation"),
        remedy=_("State the day of foundation on your organisation's page."),
    ),
    Attribute(
        "organisation.region",
        "choice",
        _("region"),
        _REGIONS,
        _("State the region on your organisation's page."),
    ),
    Attribute(
        "organisation.employees",
        "whole_number",
        _("number of employees"),
        remedy=_("State the number of employees on your organisation's page."),
        most=10_000_000,
    ),
    Attribute(
        "organisation.verified",
        "yes_no",
        _("verified organisation"),
        remedy=_("Ask for verification on your organisation's page."),
    ),
    *(
        Attribute(
            f"document.{kind}",
            "document",
            name,
            remedy=_("Hand the document in on your organisation's page."),
        )
        for kind, name in DOCUMENT_KINDS.items()
    ),
    Attribute(
        "group.support_micro_won",
        "won",
        _("support received by the whole ownership group"),
        most=10**18,
    ),
    Attribute(
        "group.open_awards",
        "whole_number",
        _("running awards of the whole ownership group"),
    ),
    Attribute(
        "group.size",
        "whole_number",
        _("members of the ownership group"),
        least=1,
    ),
]
ATTRIBUTES: Mapping[str, Attribute] = {one.key: one for one in _ALL}
