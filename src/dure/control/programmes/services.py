"""Verbs of programmes: found, appropriate, grant, end, and bring home what was not spent.

Money moves treasury → appropriation → award, and back award → appropriation. That no appropriation is
overspent, however many grants come at one moment, is the ledger's guarantee; this room turns its
refusal into a sentence. Callers may choose a thing's id (`request_id`): asked again with the same id, a
service answers what it made the first time.

Order of locks, as in every room: rows, ledger books, audit trail, directory. So a verb calls the rooms below
before it writes its own audit event: what they lock must not come after the trail.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.access import services as access
from dure.control.access.services import Limits
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid, NotFound
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger_selectors
from dure.control.ledger import services as ledger
from dure.control.programmes import checks, rules, selectors
from dure.control.programmes.models import Appropriation, Award, Programme
from dure.control.programmes.selectors import AwardView, ProgrammeView
from dure.control.programmes.workflow import AwardState, may_become

#: Dates beyond this are mistakes, and some could be written but never read again.
_FARTHEST = timedelta(days=36_600)

__all__ = [
    "Added",
    "Granted",
    "add_programme",
    "appropriate",
    "end_award",
    "end_expired_awards",
    "grant_award",
    "return_closed_awards",
]


@dataclass(frozen=True, slots=True)
class Added:
    """A programme, and whether this call made it or it `exists` from an earlier call with the same id."""

    programme: ProgrammeView
    result: Literal["created", "exists"]


@dataclass(frozen=True, slots=True)
class Granted:
    """An award, and whether this call made it or it `exists` from an earlier call with the same id."""

    award: AwardView
    result: Literal["created", "exists"]


def add_programme(
    *,
    actor: Actor,
    slug: str,
    name_ko: str,
    name_en: str | None = None,
    krw_micro_won: int,
    agency_slug: str | None = None,
    request_id: UUID | None = None,
) -> Added:
    """Found a programme and put its first appropriation into its book.

    Without `agency_slug` it belongs to the actor's own agency, else to the only ministry or agency there
    is; where there is none at all, a programme without an agency is allowed.
    """
    checks.slug(slug)
    names = checks.names(name_ko, name_en)
    checks.sum_in_range(krw_micro_won)
    agency = checks.agency(actor, agency_slug)
    if not rules.may_add_programme(actor, agency.id if agency else None):
        raise Forbidden
    with transaction.atomic():
        if request_id and (found := Programme.objects.filter(pk=request_id).first()):
            return _same_programme(actor, found, slug, krw_micro_won)
        row = _found_programme(request_id or uuid7(), slug, names, agency)
        _appropriate(actor, row, row.pk, krw_micro_won, memo="")
        audit.record(
            actor=actor,
            action="programme.added",
            subject_kind="programme",
            subject_id=row.pk,
            after={"slug": slug, "name_ko": names[0], "agency": agency.slug if agency else None},
        )
    return Added(selectors.programme(actor=actor, slug=slug), "created")


def appropriate(
    *,
    actor: Actor,
    programme_slug: str,
    micro_won: int,
    memo: str = "",
    request_id: UUID | None = None,
) -> Added:
    """Put more money into a programme."""
    checks.sum_in_range(micro_won)
    with transaction.atomic():
        row = checks.programme_to_move(actor, programme_slug)
        if request_id and (found := Appropriation.objects.filter(pk=request_id).first()):
            if (found.programme_id, found.amount_micro_won) != (row.pk, micro_won):
                raise checks.exists_differently()
            return Added(selectors.programme(actor=actor, slug=row.slug), "exists")
        _appropriate(actor, row, request_id or uuid7(), micro_won, memo=" ".join(memo.split())[:300])
    return Added(selectors.programme(actor=actor, slug=programme_slug), "created")


def grant_award(
    *,
    actor: Actor,
    programme_slug: str,
    organisation_slug: str,
    micro_won: int,
    name: str = "",
    name_en: str | None = None,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    limits: Limits | None = None,
    request_id: UUID | None = None,
    at: datetime | None = None,
) -> Granted:
    """Grant an organisation money of a programme to call models with, or `appropriation_exceeded`."""
    now = at or clock.now()
    checks.sum_in_range(micro_won)
    starts = valid_from or now
    for field, moment in (("valid_from", starts), ("valid_until", valid_until)):
        if moment is not None and abs(moment - now) > _FARTHEST:
            raise Invalid(
                "date_out_of_range",
                _("This date is more than a hundred years away."),
                field=field,
                remedy=_("Leave the end out for an award without an end date."),
            )
    if valid_until is not None and valid_until <= max(starts, now):
        raise Invalid(
            "award_ends_before_start",
            _("The award's end must lie ahead, and after its start."),
            field="valid_until",
        )
    with transaction.atomic():
        programme = checks.programme_to_move(actor, programme_slug)
        organisation = checks.organisation(organisation_slug)
        if request_id and (found := Award.objects.filter(pk=request_id).first()):
            return _same_award(found, programme, organisation, micro_won)
        names = checks.names(name, name_en) if name.strip() else (programme.name_ko, programme.name_en)
        row = _grant(
            programme, organisation, request_id or uuid7(), micro_won, names, starts, valid_until, now
        )
        access.open_entitlement(
            actor=actor,
            award_id=row.pk,
            organisation_id=organisation.id,
            programme_id=programme.pk,
            agency_id=programme.agency_id,
            valid_from=starts,
            valid_until=valid_until,
            limits=limits,
        )
        audit.record(
            actor=actor,
            action="award.granted",
            subject_kind="award",
            subject_id=row.pk,
            after={
                "programme": programme.slug,
                "organisation": organisation.slug,
                "granted_micro_won": micro_won,
                "valid_until": valid_until,
            },
        )
    return Granted(selectors.award_views([row])[0], "created")


def end_award(
    *, actor: Actor, award_id: UUID, reason: str, at: datetime | None = None
) -> tuple[AwardView, bool]:
    """End an award: calls stop within a second, what is unspent goes back to the appropriation.

    What gateways hold in escrow follows as they give it back (`return_closed_awards`). The second value is
    False when the award had ended before; then nothing is changed.
    """
    now = at or clock.now()
    reason = " ".join(reason.split())
    with transaction.atomic():
        row = (
            Award.objects.select_for_update(of=("self",), no_key=True)
            .select_related("programme")
            .filter(pk=award_id)
            .first()
        )
        if row is None or not rules.may_see_award(actor, row.organisation_id):
            raise NotFound(_("There is no award with this id."), code="award_not_found")
        if not rules.may_move_money(actor, row.programme.agency_id):
            raise Forbidden
        if not may_become(cast("AwardState", row.state), "returning"):
            return selectors.award_views([row])[0], False
        if not reason:
            raise Invalid(
                "reason_missing",
                _("An award is not ended without a reason."),
                field="reason",
                remedy=_("Write what the organisation should read."),
            )
        row.state, row.ended_at, row.end_reason = "returning", now, reason[:500]
        row.save(update_fields=["state", "ended_at", "end_reason"])
        access.close_entitlement(actor=actor, award_id=row.pk, reason=row.end_reason, at=now)
        audit.record(
            actor=actor,
            action="award.ended",
            subject_kind="award",
            subject_id=row.pk,
            before={"state": "open"},
            after={"state": "returning", "reason": row.end_reason},
        )
    _return(award_id)
    row = Award.objects.select_related("programme").get(pk=award_id)
    return selectors.award_views([row])[0], True


def end_expired_awards(*, at: datetime | None = None) -> int:
    """End awards whose term is over; returns how many."""
    now = at or clock.now()
    ids = list(Award.objects.filter(state="open", valid_until__lte=now).values_list("pk", flat=True))
    system = Actor.system("term of awards")
    return sum(
        end_award(actor=system, award_id=one, reason="The award's term is over.", at=now)[1] for one in ids
    )


def return_closed_awards() -> int:
    """Bring home what ended awards still hold, as far as gateways have given it back; micro-won returned."""
    ids = list(Award.objects.filter(state="returning").order_by("ended_at").values_list("pk", flat=True))
    return sum(_return(award_id) for award_id in ids)


def _return(award_id: UUID) -> int:
    with transaction.atomic():
        row = (
            Award.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("programme")
            .filter(pk=award_id, state="returning")
            .first()
        )
        if row is None:
            return 0
        held = _held(row)
        amount = held.get("award", 0)
        if amount > 0:
            try:
                ledger.transfer(
                    transfer_id=uuid7(),
                    debit_account_id=row.account_id,
                    credit_account_id=row.programme.appropriation_account_id,
                    amount=amount,
                    kind="award_return",
                    memo=row.end_reason,
                )
            except DureError as error:
                # A lease that was under way when the award ended took some of it: next time, then.
                if error.code != "exceeds_credits":
                    raise
                return 0
            # The book is locked now, so these balances are the ones this transaction commits.
            held = _held(row)
        row.returned_micro_won += amount
        if not any(held.values()):
            row.state, row.closed_at = "closed", clock.now()
        elif not amount:
            return 0
        row.save(update_fields=["returned_micro_won", "state", "closed_at"])
        audit.record(
            actor=Actor.system("return of unspent money"),
            action="award.returned",
            subject_kind="award",
            subject_id=row.pk,
            after={"returned_micro_won": amount, "state": row.state},
        )
    return amount


def _held(row: Award) -> dict[str, int]:
    return ledger_selectors.balances_by_kind(owner_ids=[row.pk], kinds=("award", "escrow")).get(row.pk, {})


def _found_programme(
    programme_id: UUID, slug: str, names: tuple[str, str], agency: OrganisationView | None
) -> Programme:
    ledger.open_book(book_id=programme_id, name=names[0])
    treasury = ledger.open_account(book_id=programme_id, kind="treasury", owner_id=programme_id)
    appropriation = ledger.open_account(book_id=programme_id, kind="appropriation", owner_id=programme_id)
    try:
        with transaction.atomic():
            return Programme.objects.create(
                id=programme_id,
                slug=slug,
                name_ko=names[0],
                name_en=names[1],
                agency_id=agency.id if agency else None,
                treasury_account_id=treasury.id,
                appropriation_account_id=appropriation.id,
                created_at=clock.now(),
            )
    except IntegrityError:
        raise Conflict(
            "programme_exists",
            _("There is a programme “%(slug)s” already.") % {"slug": slug},
            field="slug",
            remedy=_("Choose another short name, or appropriate more money to the one that is there."),
        ) from None


def _same_programme(actor: Actor, row: Programme, slug: str, micro_won: int) -> Added:
    first = Appropriation.objects.filter(pk=row.pk).first()
    if row.slug != slug or first is None or first.amount_micro_won != micro_won:
        raise checks.exists_differently()
    return Added(selectors.programme(actor=actor, slug=slug), "exists")


def _appropriate(actor: Actor, row: Programme, transfer_id: UUID, micro_won: int, memo: str) -> None:
    before = (
        Appropriation.objects.filter(programme=row).aggregate(total=Sum("amount_micro_won"))["total"] or 0
    )
    if before + micro_won > checks.MAX_MICRO_WON:
        raise Invalid(
            "sum_too_large",
            _("A programme holds at most %(most)s.") % {"most": checks.won(checks.MAX_MICRO_WON)},
            field="krw",
        )
    try:
        with transaction.atomic():
            Appropriation.objects.create(
                id=transfer_id,
                programme=row,
                amount_micro_won=micro_won,
                memo=memo,
                created_at=clock.now(),
                created_by_name=actor.name[:200],
            )
    except IntegrityError:
        raise checks.exists_differently() from None
    ledger.transfer(
        transfer_id=transfer_id,
        debit_account_id=row.treasury_account_id,
        credit_account_id=row.appropriation_account_id,
        amount=micro_won,
        kind="appropriation",
        memo=memo,
    )
    audit.record(
        actor=actor,
        action="programme.appropriated",
        subject_kind="programme",
        subject_id=row.pk,
        after={"micro_won": micro_won, "memo": memo},
    )


def _grant(
    programme: Programme,
    organisation: OrganisationView,
    award_id: UUID,
    micro_won: int,
    names: tuple[str, str],
    valid_from: datetime,
    valid_until: datetime | None,
    now: datetime,
) -> Award:
    account = ledger.open_account(book_id=programme.pk, kind="award", owner_id=award_id)
    try:
        with transaction.atomic():
            row = Award.objects.create(
                id=award_id,
                programme=programme,
                organisation_id=organisation.id,
                name_ko=names[0],
                name_en=names[1],
                granted_micro_won=micro_won,
                account_id=account.id,
                valid_from=valid_from,
                valid_until=valid_until,
                created_at=now,
            )
    except IntegrityError:
        raise checks.exists_differently() from None
    try:
        ledger.transfer(
            transfer_id=award_id,
            debit_account_id=programme.appropriation_account_id,
            credit_account_id=account.id,
            amount=micro_won,
            kind="award",
            memo=names[0],
        )
    except DureError as error:
        if error.code != "exceeds_credits":
            raise
        raise checks.appropriation_exceeded(programme, micro_won) from None
    return row


def _same_award(row: Award, programme: Programme, organisation: OrganisationView, micro_won: int) -> Granted:
    asked = (programme.pk, organisation.id, micro_won)
    if (row.programme_id, row.organisation_id, row.granted_micro_won) != asked:
        raise checks.exists_differently()
    return Granted(selectors.award_views([row])[0], "exists")
