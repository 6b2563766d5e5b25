"""What every verb of programmes asks of its input, and the sentences for a refusal."""

import re

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.foundation.money import MAX_KRW, format_won
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger
from dure.control.programmes import rules
from dure.control.programmes.models import Programme

MAX_MICRO_WON = MAX_KRW * MICRO_WON_PER_WON
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_AGENCY_KINDS = ("ministry", "agency")


def slug(text: str) -> None:
    """A programme's short name."""
    if not _SLUG.fullmatch(text):
        raise Invalid(
            "slug_invalid",
            _("“%(slug)s” cannot be a short name.") % {"slug": text[:80]},
            field="slug",
            remedy=_("Use 1 to 63 small letters, digits and hyphens, like “hyperscale-ai-2026”."),
        )


def appropriation_exceeded(programme: Programme, micro_won: int) -> Conflict:
    balances = ledger.balances(owner_ids=[programme.pk], kind="appropriation")
    left = balances.get(programme.pk, 0)
    return Conflict(
        "appropriation_exceeded",
        _("The programme “%(slug)s” has %(left)s left to grant; %(asked)s was asked for.")
        % {"slug": programme.slug, "left": won(left), "asked": won(micro_won)},
        field="krw",
        remedy=_("Grant less, or appropriate more to the programme first."),
        data={"left_micro_won": left, "asked_micro_won": micro_won},
    )


def exists_differently() -> Conflict:
    return Conflict(
        "exists_with_different_content",
        _("This id was used before for something else; nothing was changed."),
        field="id",
        remedy=_("Leave the id away to make something new."),
    )


def programme_to_move(actor: Actor, slug: str) -> Programme:
    """The programme, locked, so that its grants are decided one after another."""
    row = Programme.objects.select_for_update(no_key=True).filter(slug=slug).first()
    if row is None:
        raise NotFound(
            _("There is no programme “%(slug)s”.") % {"slug": slug},
            code="programme_not_found",
            field="programme",
            remedy=_("See them with: dure programmes list"),
        )
    if not rules.may_move_money(actor, row.agency_id):
        raise Forbidden
    if row.state != "open":
        raise Conflict("programme_closed", _("The programme “%(slug)s” is closed.") % {"slug": slug})
    return row


def organisation(slug: str) -> OrganisationView:
    try:
        found = identity.organisation(slug)
    except NotFound:
        raise NotFound(
            _("There is no organisation “%(slug)s”.") % {"slug": slug},
            code="organisation_not_found",
            field="organisation",
            remedy=_("Add it with: dure organisations add %(slug)s --kind KIND --name NAME") % {"slug": slug},
        ) from None
    if not found.active:
        raise Conflict(
            "organisation_inactive", _("The organisation “%(slug)s” is not active.") % {"slug": slug}
        )
    return found


def agency(actor: Actor, slug: str | None) -> OrganisationView | None:
    if slug:
        found = organisation(slug)
        if found.kind not in _AGENCY_KINDS:
            raise Invalid(
                "not_an_agency",
                _("The organisation “%(slug)s” is neither a ministry nor an agency.") % {"slug": slug},
                field="agency",
            )
        return found
    if actor.organisation_id is not None and actor.organisation_kind in _AGENCY_KINDS:
        return identity.organisation(actor.organisation_id)
    choices = [
        one for kind in _AGENCY_KINDS for one in identity.organisations(kind=kind, limit=10) if one.active
    ]
    # A real ministry is never in doubt because the demonstration has one, too.
    choices = [one for one in choices if not one.demo] or choices
    if len(choices) > 1:
        raise Invalid(
            "agency_ambiguous",
            _("There is more than one ministry or agency; whose programme is it?"),
            field="agency",
            remedy=_("Name one of: %(slugs)s.") % {"slugs": ", ".join(one.slug for one in choices)},
        )
    return choices[0] if choices else None


def names(name_ko: str, name_en: str | None) -> tuple[str, str]:
    korean, english = " ".join(name_ko.split()), " ".join((name_en or "").split())
    korean, english = korean or english, english or korean
    if not korean or max(len(korean), len(english)) > 200 or not (korean + english).isprintable():
        raise Invalid("name_invalid", _("A name has 1 to 200 printable characters."), field="name")
    return korean, english


def sum_in_range(micro_won: int) -> None:
    if not 0 < micro_won <= MAX_MICRO_WON:
        raise Invalid(
            "sum_out_of_range",
            _("The sum must be more than zero and at most %(most)s.") % {"most": won(MAX_MICRO_WON)},
            field="krw",
        )


def won(micro_won: int) -> str:
    return format_won(micro_won, get_language() or "ko")
