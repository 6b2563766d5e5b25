"""Founding an organisation, and keeping what it says about itself."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import facts, romanisation, rules, selectors
from dure.control.identity.membership_selectors import verified_person
from dure.control.identity.models import Membership, Organisation, Person
from dure.control.identity.organisation_selectors import OrganisationProfile, today
from dure.control.identity.services import ownership
from dure.control.identity.services.guarding import managed
from dure.control.identity.services.names import tidy_name

SLUG = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
#: Words that stand where a slug does in the portal's addresses.
RESERVED_SLUGS = frozenset({"found", "own", "verifications", "export", "new"})
MOST_UNVERIFIED = 5
_SLUG_ATTEMPTS = 10
_MOST_EMPLOYEES = 10_000_000
_EARLIEST = date(1392, 1, 1)
#: What an officer verifies: whoever changes one of these is verified anew.
VERIFIED_FACTS = ("registration_number", "kind", "size_class", "founded_on")
PROFILE = (*VERIFIED_FACTS, "name_ko", "name_en", "region", "employees", "website")


@transaction.atomic
def found_organisation(
    *,
    actor: Actor,
    registration_number: str,
    name_ko: str,
    kind: str,
    name_en: str | None = None,
    size_class: str | None = None,
    founded_on: date | None = None,
    region: str | None = None,
    employees: int | None = None,
    website: str = "",
    slug: str | None = None,
    administrator_id: UUID | None = None,
) -> OrganisationProfile:
    """Found an organisation; whoever founds it becomes its administrator.

    An operator founds on behalf of `administrator_id`. Without a slug one is made of the name. Raises `Conflict`
    `registration_number_taken` without saying by whom, and `Forbidden` `email_not_verified`.
    """
    founder = _founder(actor, administrator_id)
    values = _checked(
        {
            "registration_number": registration_number,
            "kind": kind,
            "name_ko": name_ko,
            "name_en": name_en or name_ko,
            "size_class": size_class,
            "founded_on": founded_on,
            "region": region,
            "employees": employees,
            "website": website,
        }
    )
    if kind not in rules.FOUNDABLE_KINDS and not actor.has("operator"):
        raise _not_foundable()
    if kind in facts.KINDS_WITHOUT_SIZE and values["size_class"] is None:
        values["size_class"] = facts.SizeClass.NONE.value
    if Organisation.objects.filter(registration_number=values["registration_number"]).exists():
        raise _taken()
    row = _inserted(values, slug)
    Membership.objects.create(person=founder, organisation=row, roles=_first_roles(kind))
    ownership.adopt(row)
    audit.record(
        actor=actor,
        action="organisation.founded",
        subject_kind="organisation",
        subject_id=row.pk,
        after={"slug": row.slug, **values, "administrator": founder.pk},
    )
    return selectors.profile(row.pk)


@transaction.atomic
def change_profile(*, actor: Actor, organisation_id: UUID, **changes: Any) -> OrganisationProfile:
    """Change what an organisation says about itself; what is not named stays.

    A change of number, kind, size class or foundation date puts a verified organisation back in the officers' queue.
    """
    row = managed(actor, organisation_id)
    if unknown := sorted(set(changes) - set(PROFILE)):
        raise Invalid(
            "field_unknown",
            _("An organisation has no “%(name)s”.") % {"name": unknown[0]},
            field=unknown[0],
        )
    if row.kind not in rules.FOUNDABLE_KINDS and "kind" in changes and changes["kind"] != row.kind:
        raise Invalid("kind_is_fixed", _("The kind of this organisation is fixed."), field="kind")
    wanted = _checked(changes)
    if wanted.get("kind", row.kind) != row.kind:
        _fits_kind(row, wanted["kind"], actor)
    before = {name: getattr(row, name) for name in wanted}
    changed = {name: value for name, value in wanted.items() if before[name] != value}
    if not changed:
        return selectors.profile(row.pk)
    number = changed.get("registration_number")
    if number and Organisation.objects.exclude(pk=row.pk).filter(registration_number=number).exists():
        raise _taken()
    for name, value in changed.items():
        setattr(row, name, value)
    put_back = row.verification_state == facts.VerificationState.VERIFIED and bool(
        changed.keys() & set(VERIFIED_FACTS)
    )
    if put_back:
        row.verification_state, row.verification_asked_at = facts.VerificationState.ASKED, clock.now()
        row.verified_at, row.verification_reason = None, ""
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise _taken() from None
    if number:
        ownership.adopt(row)
    audit.record(
        actor=actor,
        action="organisation.changed",
        subject_kind="organisation",
        subject_id=row.pk,
        before={name: before[name] for name in changed},
        after={**changed, **({"verification_state": "asked"} if put_back else {})},
    )
    return selectors.profile(row.pk)


def slug_proposal(name_ko: str, name_en: str | None = None) -> str:
    """The short name an organisation of this name would get: the first that is free."""
    proposed = romanisation.slug_of(name_en or name_ko)
    if proposed == "organisation" and name_en:
        proposed = romanisation.slug_of(name_ko)
    taken = set(
        Organisation.objects.filter(slug__startswith=proposed[:50]).values_list("slug", flat=True)
    ) | set(RESERVED_SLUGS)
    number, free = 2, proposed
    while free in taken:
        free, number = romanisation.numbered(proposed, number), number + 1
    return free


def _founder(actor: Actor, administrator_id: UUID | None) -> Person:
    if not rules.may_found(actor) or (administrator_id is not None and not actor.has("operator")):
        raise Forbidden
    person_id = administrator_id or actor.person_id
    if person_id is None:
        raise Invalid(
            "administrator_missing",
            _("An organisation needs a first administrator."),
            field="administrator",
            remedy=_("Name a registered person."),
        )
    # Locked, so that one person's foundings take turns and are counted.
    founder = Person.objects.select_for_update().filter(pk=person_id, is_active=True).first()
    if founder is None:
        raise NotFound(code="person_not_found")
    if verified_person(founder.pk) is None:
        raise Forbidden(
            _("Your e-mail address is not verified yet."),
            code="email_not_verified",
            remedy=_("Open the link in the mail that we sent you, then come back."),
        )
    unverified = Organisation.objects.filter(
        memberships__person=founder, memberships__roles__contains=["administrator"], active=True
    ).exclude(verification_state=facts.VerificationState.VERIFIED)
    if not actor.has("operator") and unverified.count() >= MOST_UNVERIFIED:
        raise Conflict(
            "too_many_unverified",
            _("You administer %(n)d organisations that are not verified yet.") % {"n": MOST_UNVERIFIED},
            remedy=_("Have one of them verified first."),
        )
    return founder


def _first_roles(kind: str) -> list[str]:
    return ["administrator", "provider_manager"] if kind == "provider" else ["administrator", "developer"]


def _inserted(values: Mapping[str, Any], slug: str | None) -> Organisation:
    """The new row. A short name of our own making that somebody else took meanwhile is made anew."""
    if slug is not None and (not SLUG.fullmatch(slug) or slug in RESERVED_SLUGS):
        raise Invalid(
            "slug_invalid",
            _("“%(slug)s” cannot be a short name.") % {"slug": slug},
            field="slug",
            remedy=_("Use 1 to 63 small letters, digits and hyphens, like “haneul-labs”."),
        )
    for _attempt in range(_SLUG_ATTEMPTS):
        tried = slug or slug_proposal(values["name_ko"], values["name_en"])
        try:
            with transaction.atomic():
                return Organisation.objects.create(slug=tried, **values)
        except IntegrityError:
            # Which of the two names was taken first says nothing about the other.
            if Organisation.objects.filter(registration_number=values["registration_number"]).exists():
                raise _taken() from None
            if slug is not None:
                break
    raise Conflict(
        "organisation_exists",
        _("There is an organisation “%(slug)s” already.") % {"slug": tried},
        field="slug",
        remedy=_("Choose another short name."),
    )


def _taken() -> Conflict:
    return Conflict(
        "registration_number_taken",
        _("An organisation with this business registration number is registered already."),
        field="registration_number",
        remedy=_(
            "Ask its administrator for an invitation. If nobody at your organisation knows of it, write to the operators."
        ),
    )


def _not_foundable() -> Invalid:
    return Invalid(
        "kind_not_foundable",
        _("Ministries and agencies are added by the platform's operators."),
        field="kind",
        remedy=_("Choose another kind, or write to the operators."),
    )


def _fits_kind(row: Organisation, kind: str, actor: Actor) -> None:
    if kind not in rules.FOUNDABLE_KINDS and not actor.has("operator"):
        raise _not_foundable()
    allowed = rules.roles_allowed(kind)
    if any(not set(roles) <= allowed for roles in row.memberships.values_list("roles", flat=True)):
        raise Conflict(
            "kind_needs_other_roles",
            _("Members have roles that an organisation of this kind does not have."),
            field="kind",
            remedy=_("Change their roles first."),
        )


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are kept; the first that cannot be raises `Invalid`."""
    return {name: _CHECKS[name](value) for name, value in values.items()}


def _number(value: str | None) -> str:
    return facts.registration_number(value or "")


def _choice(field: str, known: list[str], *, needed: bool) -> Any:
    def check(value: str | None) -> str | None:
        if value in {None, ""} and not needed:
            return None
        if value not in known:
            raise Invalid(
                "organisation_kind_unknown" if field == "kind" else f"{field}_unknown",
                _("“%(value)s” is not one of the choices.") % {"value": value or ""},
                field=field,
                remedy=_("Choices are: %(choices)s.") % {"choices": ", ".join(known)},
            )
        return value

    return check


def _name(field: str) -> Any:
    def check(value: str) -> str:
        try:
            return tidy_name(value)
        except Invalid as error:
            error.field = field
            raise

    return check


def _founded_on(value: date | None) -> date | None:
    if value is not None and not _EARLIEST <= value <= today():
        raise Invalid(
            "founded_on_invalid",
            _("The date of foundation lies in the future, or too far in the past."),
            field="founded_on",
            remedy=_("Take the date of opening (개업연월일) from the certificate."),
        )
    return value


def _employees(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= _MOST_EMPLOYEES:
        raise Invalid(
            "employees_invalid",
            _("The number of employees is 0 or more."),
            field="employees",
            remedy=_("Give the number of regular employees."),
        )
    return value


def _website(value: str | None) -> str:
    text = (value or "").strip()
    if not text:
        return ""
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        fine = parts.scheme in {"http", "https"} and "." in (parts.hostname or "") and text.isprintable()
    except ValueError:
        fine = False
    if not fine or len(text) > 200 or " " in text or parts.username:
        raise Invalid(
            "website_invalid",
            _("This is no address of a website."),
            field="website",
            remedy=_("Write it like https://www.example.kr."),
        )
    return text


_CHECKS: Mapping[str, Any] = {
    "registration_number": _number,
    "kind": _choice("kind", list(rules.ALL_KINDS), needed=True),
    "name_ko": _name("name_ko"),
    "name_en": _name("name_en"),
    "size_class": _choice("size_class", facts.SizeClass.values, needed=False),
    "founded_on": _founded_on,
    "region": _choice("region", facts.Region.values, needed=False),
    "employees": _employees,
    "website": _website,
}
