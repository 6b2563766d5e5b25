"""Verbs of identity: organisations, people, memberships, personal access tokens."""

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import notices, rules, selectors
from dure.control.identity.models import (
    Membership,
    Organisation,
    OrganisationKind,
    Person,
    PersonalAccessToken,
)
from dure.control.identity.selectors import MembershipView, OrganisationView, PersonView, TokenView

__all__ = [
    "add_membership",
    "add_organisation",
    "add_person",
    "issue_token",
    "revoke_token",
    "set_password",
    "update_profile",
]

_SLUG = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
TOKEN_PREFIX = "dure-pat-"  # noqa: S105 - what every token starts with, not one
MAX_TOKENS = 20
TOKEN_LIFETIME = timedelta(days=90)
LONGEST_TOKEN_LIFETIME = timedelta(days=366)


@transaction.atomic
def add_organisation(
    *, actor: Actor, slug: str, kind: str, name_ko: str, name_en: str | None = None, demo: bool = False
) -> OrganisationView:
    """Add an organisation; its slug is its lasting name in addresses and commands."""
    if not rules.may_add_organisation(actor):
        raise Forbidden
    if not _SLUG.fullmatch(slug):
        raise Invalid(
            "slug_invalid",
            _("“%(slug)s” cannot be a short name.") % {"slug": slug},
            field="slug",
            remedy=_("Use 1 to 63 small letters, digits and hyphens, like “haneul-labs”."),
        )
    if kind not in OrganisationKind.values:
        raise Invalid(
            "organisation_kind_unknown",
            _("“%(kind)s” is not a kind of organisation.") % {"kind": kind},
            field="kind",
            remedy=_("Kinds are: %(kinds)s.") % {"kinds": ", ".join(OrganisationKind.values)},
        )
    name_ko = _name(name_ko)
    name_en = _name(name_en) if name_en else name_ko
    try:
        with transaction.atomic():
            row = Organisation.objects.create(
                slug=slug, kind=kind, name_ko=name_ko, name_en=name_en, demo=demo
            )
    except IntegrityError:
        raise Conflict(
            "organisation_exists",
            _("There is an organisation “%(slug)s” already.") % {"slug": slug},
            field="slug",
            remedy=_("Choose another short name, or use the one that is there."),
        ) from None
    audit.record(
        actor=actor,
        action="organisation.added",
        subject_kind="organisation",
        subject_id=row.pk,
        after={"slug": slug, "kind": kind, "name_ko": name_ko, "name_en": name_en},
    )
    return selectors.organisation_view(row)


@transaction.atomic
def add_person(
    *, actor: Actor, email: str, name: str, password: str | None = None, language: str = "ko"
) -> PersonView:
    """Add a person. Without a password they get mail with a link to set one."""
    if not actor.has("operator", "administrator"):
        raise Forbidden
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Invalid(
            "email_invalid",
            _("“%(email)s” is not an e-mail address.") % {"email": email},
            field="email",
            remedy=_("Write it like name@example.kr."),
        ) from None
    if language not in {"ko", "en"}:
        raise Invalid("language_unknown", _("The language is ko or en."), field="language")
    person = Person(email=email, name=_name(name)[:100], language=language)
    if password is not None:
        try:
            validate_password(password, person)
        except ValidationError as error:
            raise Invalid("password_weak", " ".join(error.messages), field="password") from None
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            "person_exists",
            _("Someone is registered as %(email)s already.") % {"email": email},
            field="email",
        ) from None
    audit.record(
        actor=actor,
        action="person.added",
        subject_kind="person",
        subject_id=person.pk,
        after={"email": email, "name": person.name},
    )
    if password is None:
        notices.welcome(person)
    return selectors.person_view(person)


@transaction.atomic
def add_membership(
    *,
    actor: Actor,
    person_id: UUID,
    organisation_id: UUID,
    roles: list[str],
    valid_until: datetime | None = None,
) -> MembershipView:
    """Let a person act for an organisation; naming them again replaces their roles."""
    organisation = selectors.organisation(organisation_id)
    wanted = frozenset(roles)
    before = (
        Membership.objects.select_for_update()
        .filter(person_id=person_id, organisation_id=organisation_id)
        .first()
    )
    # Taking a platform role away is as much the operators' own as giving it.
    touched = wanted | frozenset(before.roles if before else ())
    if not rules.may_manage_members(actor, organisation_id) or not rules.may_grant_roles(actor, touched):
        raise Forbidden
    allowed = rules.roles_allowed(organisation.kind)
    if not wanted or not wanted <= allowed:
        raise Invalid(
            "role_not_allowed",
            _("This organisation cannot give the role “%(roles)s”.")
            % {"roles": ", ".join(sorted(wanted - allowed)) or "–"},
            field="roles",
            remedy=_("Roles are: %(roles)s.") % {"roles": ", ".join(sorted(allowed))},
        )
    if not Person.objects.filter(pk=person_id).exists():
        raise NotFound(code="person_not_found")
    row, _made = Membership.objects.update_or_create(
        person_id=person_id,
        organisation_id=organisation_id,
        defaults={"roles": sorted(wanted), "valid_until": valid_until},
    )
    audit.record(
        actor=actor,
        action="membership.set",
        subject_kind="organisation",
        subject_id=organisation_id,
        before={"person": person_id, "roles": before.roles} if before else None,
        after={"person": person_id, "roles": sorted(wanted), "valid_until": valid_until},
    )
    return selectors.membership_view(row)


@transaction.atomic
def set_password(*, actor: Actor, person_id: UUID, password: str) -> None:
    """Give a person a new password (by an operator; people change their own on their account page)."""
    if not actor.has("operator"):
        raise Forbidden
    person = Person.objects.select_for_update().filter(pk=person_id).first()
    if person is None:
        raise NotFound(code="person_not_found")
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise Invalid("password_weak", " ".join(error.messages), field="password") from None
    person.set_password(password)
    person.save(update_fields=["password"])
    # Whoever had the old password may have made tokens with it.
    PersonalAccessToken.objects.filter(person_id=person_id, revoked_at=None).update(revoked_at=clock.now())
    audit.record(actor=actor, action="person.password_set", subject_kind="person", subject_id=person_id)


@transaction.atomic
def update_profile(*, actor: Actor, name: str, language: str) -> PersonView:
    """Change one's own name and language."""
    if actor.person_id is None:
        raise Forbidden
    person = Person.objects.select_for_update().get(pk=actor.person_id)
    if language not in {"ko", "en"}:
        raise Invalid("language_unknown", _("The language is ko or en."), field="language")
    before = {"name": person.name, "language": person.language}
    person.name, person.language = _name(name)[:100], language
    person.save(update_fields=["name", "language"])
    audit.record(
        actor=actor,
        action="person.updated",
        subject_kind="person",
        subject_id=person.pk,
        before=before,
        after={"name": person.name, "language": language},
    )
    return selectors.person_view(person)


@transaction.atomic
def issue_token(*, actor: Actor, name: str, expires_at: datetime | None = None) -> tuple[TokenView, str]:
    """A personal access token for the organisation one acts for; the secret is in the answer only."""
    if actor.person_id is None:
        raise Forbidden
    now = clock.now()
    expires_at = expires_at or now + TOKEN_LIFETIME
    if expires_at <= now:
        raise Invalid("expiry_in_the_past", _("The end date lies in the past."), field="expires_at")
    if expires_at > now + LONGEST_TOKEN_LIFETIME:
        raise Invalid(
            "expiry_too_far",
            _("A token lives for a year at most."),
            field="expires_at",
            remedy=_("Choose an earlier end date."),
        )
    Person.objects.select_for_update().get(pk=actor.person_id)
    if sum(token.active for token in selectors.tokens_of(actor.person_id)) >= MAX_TOKENS:
        raise Conflict(
            "too_many_tokens",
            _("You have %(n)d active tokens already.") % {"n": MAX_TOKENS},
            remedy=_("Revoke one that you no longer use."),
        )
    visible = secrets.token_hex(4)
    secret = f"{TOKEN_PREFIX}{visible}-{secrets.token_urlsafe(32)}"
    row = PersonalAccessToken.objects.create(
        person_id=actor.person_id,
        organisation_id=actor.organisation_id,
        name=_name(name)[:100],
        prefix=visible,
        digest=hashlib.sha256(secret.encode()).hexdigest(),
        expires_at=expires_at,
    )
    audit.record(
        actor=actor,
        action="token.issued",
        subject_kind="person",
        subject_id=actor.person_id,
        after={"token": row.pk, "name": row.name, "prefix": visible, "expires_at": expires_at},
    )
    return selectors.token_view(row), secret


@transaction.atomic
def revoke_token(*, actor: Actor, token_id: UUID) -> TokenView:
    """Revoke one's own token; doing so again changes nothing."""
    row = (
        PersonalAccessToken.objects.select_for_update().filter(pk=token_id, person_id=actor.person_id).first()
        if actor.person_id
        else None
    )
    if row is None:
        raise NotFound(code="token_not_found")
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        row.save(update_fields=["revoked_at"])
        audit.record(
            actor=actor,
            action="token.revoked",
            subject_kind="person",
            subject_id=row.person_id,
            after={"token": row.pk, "name": row.name},
        )
    return selectors.token_view(row)


def _name(text: str) -> str:
    """A name with its spaces tidied; empty and unprintable ones are refused."""
    tidy = " ".join(text.split())
    if not tidy or len(tidy) > 200 or not tidy.isprintable():
        raise Invalid(
            "name_invalid",
            _("A name has 1 to 200 printable characters."),
            field="name",
            remedy=_("Write the name as people know it."),
        )
    return tidy
