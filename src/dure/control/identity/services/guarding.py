"""What the verbs of organisations begin with: the row, locked, if it is there for this actor."""

from uuid import UUID

from django.utils.translation import gettext_lazy as _

from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Forbidden, Invalid, NotFound
from dure.control.identity import rules
from dure.control.identity.models import Organisation

LONGEST_REASON = 500


def locked(organisation_id: UUID) -> Organisation:
    """The organisation's row, locked: changes to one organisation take turns. Raises `NotFound`."""
    row = Organisation.objects.select_for_update().filter(pk=organisation_id).first()
    if row is None:
        raise NotFound(code="organisation_not_found")
    return row


def managed(actor: Actor, organisation_id: UUID) -> Organisation:
    """The same for who manages it: others' organisations are not there, one's own may be another's to manage."""
    if not rules.may_see_organisation(actor, organisation_id):
        raise NotFound(code="organisation_not_found")
    if not rules.may_manage_organisation(actor, organisation_id):
        raise Forbidden
    return locked(organisation_id)


def given_reason(text: str, *, field: str = "reason") -> str:
    """A reason that is told to somebody: it may not be empty."""
    tidy = tidy_text(text, field=field)
    if not tidy:
        raise Invalid(
            "reason_missing",
            _("A reason is needed."),
            field=field,
            remedy=_("Say it so that the people concerned know what to do."),
        )
    return tidy


def tidy_text(text: str, *, field: str, longest: int = LONGEST_REASON) -> str:
    tidy = " ".join(text.split())
    if len(tidy) > longest or not tidy.isprintable():
        raise Invalid(
            "text_invalid",
            _("This has %(n)d printable characters at most.") % {"n": longest},
            field=field,
            remedy=_("Shorten it."),
        )
    return tidy
