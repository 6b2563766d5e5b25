"""What every verb of calls asks of its input, and the rows it works on, locked in one order: the call, then its round."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import rules
from dure.control.calls.models import CALL_KINDS, Call, Round
from dure.control.calls.selectors.calls import call_not_found
from dure.control.calls.selectors.rounds import round_not_found
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.foundation.money import MAX_KRW
from dure.control.programmes import selectors as programmes
from dure.control.programmes.selectors import ProgrammeView

MAX_MICRO_WON = MAX_KRW * MICRO_WON_PER_WON
MAX_TEXT = 50_000
#: Dates beyond this are mistakes, and some could be written but never read again.
FARTHEST = timedelta(days=36_600)
#: Pages stand there (`urls`).
RESERVED = frozenset({"new", "questions", "files"})
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
AUTOMATIC_KEYS = ("most_micro_won", "valid_days", "most_per_group")


def slug(text: str) -> str:
    """A call's short name."""
    if not _SLUG.fullmatch(text) or text in RESERVED:
        raise Invalid(
            "slug_invalid",
            _("“%(slug)s” cannot be a short name.") % {"slug": text[:80]},
            field="slug",
            remedy=_("Use 1 to 63 small letters, digits and hyphens, like “api-support-2027”."),
        )
    return text


def kind(text: str) -> str:
    if text not in CALL_KINDS:
        raise Invalid(
            "call_kind_unknown",
            _("“%(kind)s” is not a kind of call.") % {"kind": text[:80]},
            field="kind",
            remedy=_("Kinds are: %(kinds)s.") % {"kinds": ", ".join(CALL_KINDS)},
        )
    return text


def line(text: str, field: str, *, most: int = 200, required: bool = False) -> str:
    """One line of text with its spaces tidied."""
    tidy = " ".join(text.split())
    if len(tidy) > most or not tidy.isprintable():
        raise Invalid(
            "text_invalid", _("At most %(most)s printable characters, please.") % {"most": most}, field=field
        )
    if required and not tidy:
        raise Invalid("text_missing", _("This must not be empty."), field=field)
    return tidy


def prose(text: str, field: str, *, most: int = MAX_TEXT, required: bool = False) -> str:
    """Text of several lines; line ends become \\n."""
    tidy = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(tidy) > most or _UNPRINTABLE.search(tidy):
        raise Invalid(
            "text_invalid", _("At most %(most)s printable characters, please.") % {"most": most}, field=field
        )
    if required and not tidy:
        raise Invalid("text_missing", _("This must not be empty."), field=field)
    return tidy


def reason(text: str, *, remedy: Any = "") -> str:
    """Why something was done, as those concerned will read it."""
    tidy = " ".join(text.split())
    if not tidy:
        raise Invalid(
            "reason_missing",
            _("This is not done without a reason."),
            field="reason",
            remedy=remedy or _("Write what those concerned should read."),
        )
    return line(tidy, "reason", most=500)


def moment(value: datetime | None, field: str) -> datetime | None:
    """Aware, to the second, and within a hundred years; a naive one is Seoul's."""
    if value is None:
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=clock.SEOUL)
    try:
        far = abs(aware - clock.now()) > FARTHEST
    except OverflowError:
        far = True
    if far:
        raise Invalid("date_out_of_range", _("This date is more than a hundred years away."), field=field)
    return aware.replace(microsecond=0)


def after(earlier: datetime | None, later: datetime | None, field: str) -> None:
    if earlier is not None and later is not None and later <= earlier:
        raise Invalid(
            "round_closes_before_opening",
            _("The closing must come after the opening."),
            field=field,
            remedy=_("Give a later closing, or an earlier opening."),
        )


def sum_of(value: int | None, field: str, *, least: int = 0) -> int | None:
    if value is not None and not least <= value <= MAX_MICRO_WON:
        raise Invalid(
            "sum_out_of_range",
            _("The sum is out of range: at most %(most)s won.") % {"most": f"{MAX_KRW:,}"},
            field=field,
        )
    return value


def automatic(value: Mapping[str, Any] | None) -> dict[str, int] | None:
    """Limits of automatic approval: `most_micro_won`, `valid_days`, `most_per_group`, whole and positive."""
    if value is None:
        return None
    found: dict[str, int] = {}
    for name in AUTOMATIC_KEYS:
        number = value.get(name)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= MAX_MICRO_WON:
            raise Invalid(
                "automatic_invalid",
                _("Automatic approval needs a whole number above zero for “%(name)s”.") % {"name": name},
                field="automatic",
                remedy=_(
                    "Give the most that one request may ask for, how many days it is valid, and how many a group may have."
                ),
            )
        found[name] = number
    if unknown := set(value) - set(AUTOMATIC_KEYS):
        raise Invalid(
            "automatic_invalid",
            _("“%(name)s” is not known here.") % {"name": min(map(str, unknown))[:60]},
            field="automatic",
        )
    return found


def programme_for(actor: Actor, programme_slug: str) -> ProgrammeView:
    """An open programme whose calls the actor may manage."""
    try:
        if not programme_slug.isprintable():
            raise NotFound
        found = programmes.programme(actor=actor, slug=programme_slug)
    except NotFound:
        raise NotFound(
            _("There is no programme “%(slug)s”.") % {"slug": programme_slug[:80]},
            code="programme_not_found",
            field="programme",
        ) from None
    if not rules.may_manage(actor, found.agency.id if found.agency else None, found.id):
        raise Forbidden
    if found.state != "open":
        raise Conflict(
            "programme_closed",
            _("The programme “%(slug)s” is closed.") % {"slug": programme_slug},
            field="programme",
        )
    return found


def call_to_change(actor: Actor, call_slug: str, *, drafts_only: bool = False) -> Call:
    """The call, locked, for someone who manages it."""
    row = (
        Call.objects.select_for_update(of=("self",), no_key=True)
        .select_related("programme")
        .filter(slug=call_slug)
        .first()
        if call_slug.isprintable()
        else None
    )
    return _managed_call(actor, row, drafts_only=drafts_only)


def call_to_read(actor: Actor, call_slug: str) -> Call:
    """The call as it stands, ended ones too, for someone who manages it."""
    row = (
        Call.objects.select_related("programme").filter(slug=call_slug).first()
        if call_slug.isprintable()
        else None
    )
    if row is None or not rules.may_see_call(actor, row.programme.agency_id, row.programme_id, row.state):
        raise call_not_found()
    if not rules.may_manage(actor, row.programme.agency_id, row.programme_id):
        raise Forbidden
    return row


def round_to_look_at(actor: Actor, round_id: UUID) -> Round:
    """The round as it stands, unlocked, for someone who manages it."""
    row = Round.objects.select_related("call__programme").filter(pk=round_id).first()
    if row is None:
        raise round_not_found()
    _managed_round(actor, row)
    return row


def round_to_change(actor: Actor, round_id: UUID) -> Round:
    """The round and, before it, its call, both locked, for someone who manages them."""
    call = (
        Call.objects.select_for_update(of=("self",), no_key=True)
        .select_related("programme")
        .filter(pk__in=Round.objects.filter(pk=round_id).values("call_id"))
        .first()
    )
    row = Round.objects.select_for_update(of=("self",), no_key=True).filter(pk=round_id).first()
    if call is None or row is None:
        raise round_not_found()
    row.call = call
    _managed_round(actor, row)
    return row


def _managed_round(actor: Actor, row: Round) -> None:
    programme = row.call.programme
    if not rules.may_manage(actor, programme.agency_id, programme.pk):
        if not rules.may_see_call(actor, programme.agency_id, programme.pk, row.state):
            raise round_not_found()
        raise Forbidden


def _managed_call(actor: Actor, row: Call | None, *, drafts_only: bool) -> Call:
    if row is None or not rules.may_see_call(actor, row.programme.agency_id, row.programme_id, row.state):
        raise call_not_found()
    if not rules.may_manage(actor, row.programme.agency_id, row.programme_id):
        raise Forbidden
    if row.state in {"closed", "cancelled"}:
        raise Conflict(
            "call_ended",
            _("This call has ended; nothing of it is changed any more."),
            remedy=_("Copy it for a new call."),
        )
    if drafts_only and row.state != "draft":
        raise Conflict("call_is_published", _("This call is published."))
    return row
