"""Organisations and who acts for them."""

import re
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import rules, selectors
from dure.control.identity.models import Membership, Organisation, OrganisationKind, Person
from dure.control.identity.selectors import MembershipView, OrganisationView
from dure.control.identity.services.names import tidy_name

_SLUG = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")


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
    name_ko = tidy_name(name_ko)
    name_en = tidy_name(name_en) if name_en else name_ko
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
