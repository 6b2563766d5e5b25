"""What can be said about an organisation, and the arithmetic of its registration number. Pure.

The size classes are those of the Framework Act on Small and Medium Enterprises (중소기업기본법) and of the Special Act on
the Promotion of Middle-Market Enterprises (중견기업 성장촉진 및 경쟁력 강화에 관한 특별법); regions are ISO 3166-2:KR.
"""

import re

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from dure.control.foundation.errors import Invalid

REGISTRATION_NUMBER_DIGITS = 10
_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_SEPARATORS = re.compile(r"[\s\-‐-―−]+")


class SizeClass(models.TextChoices):
    MICRO = "micro", _("micro enterprise")
    SMALL = "small", _("small enterprise")
    MEDIUM = "medium", _("medium-sized enterprise")
    MID_SIZED = "mid_sized", _("middle-market enterprise")
    LARGE = "large", _("large enterprise")
    NONE = "none", _("not an enterprise")


class Region(models.TextChoices):
    SEOUL = "KR-11", _("Seoul")
    BUSAN = "KR-26", _("Busan")
    DAEGU = "KR-27", _("Daegu")
    INCHEON = "KR-28", _("Incheon")
    GWANGJU = "KR-29", _("Gwangju")
    DAEJEON = "KR-30", _("Daejeon")
    ULSAN = "KR-31", _("Ulsan")
    SEJONG = "KR-50", _("Sejong")
    GYEONGGI = "KR-41", _("Gyeonggi")
    GANGWON = "KR-42", _("Gangwon")
    CHUNGBUK = "KR-43", _("North Chungcheong")
    CHUNGNAM = "KR-44", _("South Chungcheong")
    JEONBUK = "KR-45", _("Jeonbuk")
    JEONNAM = "KR-46", _("South Jeolla")
    GYEONGBUK = "KR-47", _("North Gyeongsang")
    GYEONGNAM = "KR-48", _("South Gyeongsang")
    JEJU = "KR-49", _("Jeju")


class VerificationState(models.TextChoices):
    UNVERIFIED = "unverified", pgettext_lazy("organisation", "not verified")
    ASKED = "asked", pgettext_lazy("organisation", "verification asked")
    VERIFIED = "verified", pgettext_lazy("organisation", "verified")
    REFUSED = "refused", pgettext_lazy("organisation", "verification refused")


class DocumentKind(models.TextChoices):
    BUSINESS_REGISTRATION = "business_registration", _("business registration certificate")
    SME_CERTIFICATE = "sme_certificate", _("certificate of small or medium enterprise")
    STARTUP_CERTIFICATE = "startup_certificate", _("certificate of start-up")
    VENTURE_CERTIFICATE = "venture_certificate", _("certificate of venture business")
    TAX_CLEARANCE = "tax_clearance", _("tax clearance certificate")
    SOCIAL_INSURANCE_CLEARANCE = (
        "social_insurance_clearance",
        _("clearance certificate of the four social insurances"),
    )
    RESEARCH_INSTITUTE_CERTIFICATE = (
        "research_institute_certificate",
        _("certificate of company research institute"),
    )
    OTHER = "other", _("other document")


class DocumentState(models.TextChoices):
    ASKED = "asked", pgettext_lazy("document", "waiting for an officer")
    ACCEPTED = "accepted", pgettext_lazy("document", "accepted")
    REFUSED = "refused", pgettext_lazy("document", "refused")
    WITHDRAWN = "withdrawn", pgettext_lazy("document", "withdrawn")


class LinkKind(models.TextChoices):
    SHARE = "share", _("share in the capital")
    CONTROL = "control", _("control without a majority")


class LinkState(models.TextChoices):
    DECLARED = "declared", pgettext_lazy("ownership", "waiting to be confirmed")
    CONFIRMED = "confirmed", pgettext_lazy("ownership", "confirmed")
    REFUSED = "refused", pgettext_lazy("ownership", "refused")
    WITHDRAWN = "withdrawn", pgettext_lazy("ownership", "withdrawn")


class InvitationState(models.TextChoices):
    OPEN = "open", pgettext_lazy("invitation", "waiting for an answer")
    ACCEPTED = "accepted", pgettext_lazy("invitation", "accepted")
    DECLINED = "declined", pgettext_lazy("invitation", "declined")
    REVOKED = "revoked", pgettext_lazy("invitation", "revoked")


class ProgrammeRoleKind(models.TextChoices):
    """What a person may be in one programme alone."""

    OFFICER = "officer", _("programme officer")
    REVIEWER = "reviewer", _("reviewer")


def registration_number(text: str) -> str:
    """The ten digits of a business registration number (사업자등록번호), however they were grouped.

    The last digit follows from the others, as the National Tax Service computes it: the first nine times 1, 3, 7, 1, 3,
    7, 1, 3, 5, plus the tens of the ninth's product; what is missing to a multiple of ten. Raises `Invalid`
    `registration_number_form` or `registration_number_check_digit`.
    """
    digits = _SEPARATORS.sub("", text)
    if not (digits.isascii() and digits.isdigit() and len(digits) == REGISTRATION_NUMBER_DIGITS):
        raise Invalid(
            "registration_number_form",
            _("A business registration number has ten digits."),
            field="registration_number",
            remedy=_("Write it like 123-45-67890, as it stands on the certificate."),
        )
    if digits == "0" * REGISTRATION_NUMBER_DIGITS or int(digits[9]) != check_digit(digits):
        raise Invalid(
            "registration_number_check_digit",
            _(
                "%(number)s is not a business registration number: its last digit does not follow from the others."
            )
            % {"number": shown_registration_number(digits)},
            field="registration_number",
            remedy=_("Compare each digit with the certificate; the form is 123-45-67890."),
        )
    return digits


def check_digit(digits: str) -> int:
    """The tenth digit that the first nine of a registration number ask for."""
    products = [int(digit) * weight for digit, weight in zip(digits[:9], _WEIGHTS, strict=True)]
    return -(sum(products) + products[8] // 10) % 10


def shown_registration_number(digits: str | None) -> str:
    """`123-45-67890`, as certificates write it; nothing for none."""
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}" if digits else ""


#: What a profile has, with its name on forms; the first of them is what an officer verifies.
FIELD_TITLES = {
    "registration_number": _("Business registration number"),
    "kind": _("Kind of organisation"),
    "size_class": _("Size class"),
    "founded_on": _("Date of foundation"),
    "region": _("Region"),
    "name_ko": _("Name in Korean"),
    "name_en": _("Name in English"),
    "employees": _("Employees"),
    "website": _("Website"),
}
#: Without these nobody can say whether a call is for the organisation, so an officer is not asked before.
NEEDED_FACTS = ("registration_number", "size_class", "founded_on", "region")
#: To these the size classes of enterprises do not apply.
KINDS_WITHOUT_SIZE = frozenset({"public_body", "university", "ministry", "agency"})
