"""What every verb of programmes asks of its input, and the sentences for a refusal."""

import re
from datetime import datetime, timedelta

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation import clock
from dure.control.foundation.actors import AGENCY_KINDS, Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.foundation.money import MAX_KRW, format_won
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes import rules
from dure.control.programmes.models import BudgetLine, Programme, Source
from dure.control.programmes.units import KRW, UNIT_NAMES, UNITS
from dure.control.programmes.workflow import OWN_DUE, SOURCE_KINDS

MAX_MICRO_WON = MAX_KRW * MICRO_WON_PER_WON
#: Dates beyond this are mistakes, and some could be written but never read again.
FARTHEST = timedelta(days=36_600)
_LINE_KEY = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def slug(text: str) -> None:
    """A programme's or a source's short name; “new” is the address of the page that makes one."""
    if not _SLUG.fullmatch(text) or text == "new":
        raise Invalid(
            "slug_invalid",
            _("“%(slug)s” cannot be a short name.") % {"slug": text[:80]},
            field="slug",
            remedy=_("Use 1 to 63 small letters, digits and hyphens, like “hyperscale-ai-2026”."),
        )


def appropriation_exceeded(programme: Programme, micro_won: int, left: int) -> Conflict:
    return Conflict(
        "appropriation_exceeded",
        _("The programme “%(slug)s” has %(left)s left to grant; %(asked)s was asked for.")
        % {"slug": programme.slug, "left": won(left), "asked": won(micro_won)},
        field="krw",
        remedy=_("Grant less, or appropriate more to the programme first."),
        data={"left_micro_won": left, "asked_micro_won": micro_won},
    )


def source_exceeded(row: Source, left: int, asked: int, unit: str) -> Conflict:
    return Conflict(
        "source_exceeded",
        _("The source “%(slug)s” has %(left)s left to grant here; %(asked)s was asked for.")
        % {"slug": row.slug, "left": shown(left, unit), "asked": shown(asked, unit)},
        field="sources",
        remedy=_("Take less of it, or name other sources, too."),
        data={"source": row.slug, "left": left, "asked": asked, "unit": unit},
    )


def line_exceeded(row: BudgetLine, asked: int) -> Conflict:
    left = row.ceiling - row.committed
    return Conflict(
        "line_exceeded",
        _("The budget line “%(key)s” has %(left)s left; %(asked)s was asked for.")
        % {"key": row.key, "left": shown(left, row.unit), "asked": shown(asked, row.unit)},
        field="line",
        remedy=_("Grant less, name another line, or raise its ceiling first."),
        data={"line": row.key, "left": left, "asked": asked, "unit": row.unit},
    )


def units_differ(one: str, other: str) -> Conflict:
    return Conflict(
        "units_differ",
        _("This counts in %(one)s, not in %(other)s; the two are never mixed.")
        % {"one": one, "other": other},
        field="unit",
    )


def not_awarded_yet(unit: str) -> Conflict:
    """Whoever tries to grant out of something that is counted in another unit."""
    return Conflict(
        "units_differ",
        _("This counts in %(one)s, and awards are granted in won only.") % {"one": unit},
        field="unit",
        remedy=_("Name a line or a source that counts in won. What is counted in %(one)s is kept on record.")
        % {"one": unit},
        data={"unit": unit, "awarded_in": KRW},
    )


def source(slug: str) -> Source:
    row = Source.objects.filter(slug=slug).first()
    if row is None:
        raise NotFound(
            _("There is no source “%(slug)s”.") % {"slug": slug[:80]},
            code="source_not_found",
            field="source",
            remedy=_("Add it first; then money can be appropriated from it."),
        )
    return row


def only_source(programme: Programme) -> Source:
    """The source of a programme that has one only."""
    found = list(Source.objects.filter(fundings__programme=programme).distinct().order_by("slug")[:20])
    if len(found) != 1:
        raise Invalid(
            "source_missing",
            _("This programme has several sources; whose money is it?"),
            field="source",
            remedy=_("Name one of: %(slugs)s.") % {"slugs": ", ".join(row.slug for row in found)},
        )
    return found[0]


def source_kind(kind: str) -> None:
    if kind not in SOURCE_KINDS:
        raise Invalid(
            "source_kind_unknown",
            _("A source is one of: %(names)s.") % {"names": ", ".join(SOURCE_KINDS)},
            field="kind",
        )


def own_due(due: str) -> None:
    if due not in OWN_DUE:
        raise Invalid(
            "own_contribution_due_unknown",
            _("An own contribution is due “before” the first call, or “after” it."),
            field="due",
        )


def line_key(key: str) -> None:
    if not _LINE_KEY.fullmatch(key):
        raise Invalid(
            "line_key_invalid",
            _("“%(key)s” cannot be a line's short name.") % {"key": key[:60]},
            field="key",
            remedy=_("Use 1 to 40 small letters, digits and underscores, like “api_use”."),
        )


def dates(valid_from: datetime | None, valid_until: datetime | None) -> None:
    now = clock.now()
    for field, moment in (("valid_from", valid_from), ("valid_until", valid_until)):
        if moment is not None and abs(moment - now) > FARTHEST:
            raise Invalid(
                "date_out_of_range",
                _("This date is more than a hundred years away."),
                field=field,
                remedy=_("Leave the end out for an award without an end date."),
            )
    if valid_from is not None and valid_until is not None and valid_until <= valid_from:
        raise Invalid("ends_before_start", _("The end must lie after the start."), field="valid_until")


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
    if not rules.may_move_money(actor, row.agency_id, row.pk):
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
        if found.kind not in AGENCY_KINDS:
            raise Invalid(
                "not_an_agency",
                _("The organisation “%(slug)s” is neither a ministry nor an agency.") % {"slug": slug},
                field="agency",
            )
        return found
    if actor.organisation_id is not None and actor.for_agency:
        return identity.organisation(actor.organisation_id)
    choices = [
        one
        for kind in sorted(AGENCY_KINDS, reverse=True)
        for one in identity.organisations(kind=kind, limit=10)
        if one.active
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
    amount_in_range(micro_won, KRW)


def amount_in_range(amount: int, unit: str) -> int:
    """An amount in the smallest part of a unit."""
    if unit not in UNITS:
        raise Invalid(
            "unit_unknown",
            _("There is no unit “%(unit)s”.") % {"unit": unit[:40]},
            field="unit",
            remedy=_("Use one of: %(names)s.") % {"names": ", ".join(UNIT_NAMES)},
        )
    if not 0 < amount <= MAX_MICRO_WON:
        raise Invalid(
            "sum_out_of_range",
            _("The sum must be more than zero and at most %(most)s.") % {"most": shown(MAX_MICRO_WON, unit)},
            field="krw" if unit == KRW else "amount",
        )
    return amount


def programme_not_too_large(amount: int, unit: str) -> None:
    if amount > MAX_MICRO_WON:
        raise Invalid(
            "sum_too_large",
            _("A programme holds at most %(most)s.") % {"most": shown(MAX_MICRO_WON, unit)},
            field="krw" if unit == KRW else "amount",
        )


def shown(amount: int, unit: str) -> str:
    """An amount with its unit, for people."""
    return won(amount) if unit == KRW else f"{amount:,} {unit}"


def won(micro_won: int) -> str:
    return format_won(micro_won, get_language() or "ko")
