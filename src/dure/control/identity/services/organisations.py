"""Organisations that officers and operators add."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid
from dure.control.identity import rules, selectors
from dure.control.identity.models import Organisation, OrganisationKind
from dure.control.identity.selectors import OrganisationView
from dure.control.identity.services.founding import RESERVED_SLUGS, SLUG
from dure.control.identity.services.names import tidy_name


@transaction.atomic
def add_organisation(
    *, actor: Actor, slug: str, kind: str, name_ko: str, name_en: str | None = None, demo: bool = False
) -> OrganisationView:
    """Add an organisation; its slug is its lasting name in addresses and commands."""
    if not rules.may_add_organisation(actor):
        raise Forbidden
    if not SLUG.fullmatch(slug) or slug in RESERVED_SLUGS:
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
