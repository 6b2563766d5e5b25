"""Programmes, their sources, and the money that comes from them."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger_selectors
from dure.control.ledger import services as ledger
from dure.control.programmes import checks, rules, selectors
from dure.control.programmes.models import Appropriation, Funding, Programme, Source
from dure.control.programmes.selectors import ProgrammeView, SourceView
from dure.control.programmes.units import KRW


@dataclass(frozen=True, slots=True)
class Added:
    """A programme, and whether this call made it or it `exists` from an earlier call with the same id."""

    programme: ProgrammeView
    result: Literal["created", "exists"]


def add_source(
    *,
    actor: Actor,
    slug: str,
    name_ko: str,
    name_en: str | None = None,
    kind: str = "budget",
    organisation_slug: str | None = None,
) -> SourceView:
    """Name a public source of money, of the actor's own agency or of another organisation."""
    checks.slug(slug)
    names = checks.names(name_ko, name_en)
    checks.source_kind(kind)
    owner = checks.organisation(organisation_slug) if organisation_slug else None
    if not rules.may_add_source(actor):
        raise Forbidden
    with transaction.atomic():
        try:
            with transaction.atomic():
                row = Source.objects.create(
                    slug=slug,
                    name_ko=names[0],
                    name_en=names[1],
                    kind=kind,
                    organisation_id=owner.id if owner else actor.organisation_id,
                    created_at=clock.now(),
                )
        except IntegrityError:
            raise Conflict(
                "source_exists",
                _("There is a source “%(slug)s” already.") % {"slug": slug},
                field="slug",
                remedy=_("Choose another short name, or appropriate from the one that is there."),
            ) from None
        audit.record(
            actor=actor,
            action="source.added",
            subject_kind="source",
            subject_id=row.pk,
            after={"slug": slug, "name_ko": names[0], "kind": kind},
        )
    return selectors.source(slug=slug)


def add_programme(
    *,
    actor: Actor,
    slug: str,
    name_ko: str,
    name_en: str | None = None,
    krw_micro_won: int,
    agency_slug: str | None = None,
    source_slug: str | None = None,
    request_id: UUID | None = None,
) -> Added:
    """Found a programme and put its first appropriation into its book.

    Without `agency_slug` it belongs to the actor's own agency, else to the only ministry or agency there
    is; where there is none at all, a programme without an agency is allowed. Without `source_slug` the money is the
    agency's own.
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
        source = checks.source(source_slug) if source_slug else _own_source(row, agency)
        _appropriate(actor, _funding(row, source, KRW), row.pk, krw_micro_won, memo="")
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
    micro_won: int = 0,
    amount: int = 0,
    unit: str = KRW,
    source_slug: str | None = None,
    memo: str = "",
    request_id: UUID | None = None,
) -> Added:
    """Put more money of a source into a programme: `micro_won`, or an `amount` of another unit.

    The source may be left out where the programme has one only.
    """
    amount = checks.amount_in_range(micro_won or amount, unit)
    with transaction.atomic():
        row = checks.programme_to_move(actor, programme_slug)
        if request_id and (found := Appropriation.objects.filter(pk=request_id).first()):
            if (found.programme_id, found.amount, found.funding.unit) != (row.pk, amount, unit):
                raise checks.exists_differently()
            return Added(selectors.programme(actor=actor, slug=row.slug), "exists")
        source = checks.source(source_slug) if source_slug else checks.only_source(row)
        funding = _funding(row, source, unit)
        _appropriate(actor, funding, request_id or uuid7(), amount, memo=" ".join(memo.split())[:300])
    return Added(selectors.programme(actor=actor, slug=programme_slug), "created")


def pass_on(
    *,
    actor: Actor,
    from_slug: str,
    to_slug: str,
    source_slug: str,
    amount: int,
    unit: str = KRW,
    memo: str = "",
    request_id: UUID | None = None,
) -> Added:
    """Give what a source gave one programme, and it has not granted, to another: the source stays the source.

    In the giving programme's book the money leaves its appropriation for the treasury; from there it is
    appropriated in the other's. Both books are held meanwhile, so no won is in neither, or in both.
    """
    amount = checks.amount_in_range(amount, unit)
    memo = " ".join(memo.split())[:300]
    if from_slug == to_slug:
        raise Invalid(
            "programmes_must_differ", _("A programme cannot pass money on to itself."), field="programme"
        )
    with transaction.atomic():
        # In the order of their names: two that pass on to each other wait in no circle.
        rows = {slug: checks.programme_to_move(actor, slug) for slug in sorted((from_slug, to_slug))}
        giver, taker = rows[from_slug], rows[to_slug]
        if request_id and (found := Appropriation.objects.filter(pk=request_id).first()):
            asked = (taker.pk, giver.pk, amount, unit)
            if (found.programme_id, found.through_id, found.amount, found.funding.unit) != asked:
                raise checks.exists_differently()
            return Added(selectors.programme(actor=actor, slug=to_slug), "exists")
        source = checks.source(source_slug)
        given = Funding.objects.filter(programme=giver, source=source, unit=unit).first()
        ledger.lock_books(book_ids=[giver.pk, taker.pk])
        left = ledger_selectors.balances_of(account_ids=[given.account_id])[given.account_id] if given else 0
        if given is None or left < amount:
            raise checks.source_exceeded(source, left, amount, unit)
        transfer_id = request_id or uuid7()
        _transfer(
            uuid5(transfer_id, "passed_on"),
            (given.account_id, given.treasury_account_id),
            amount,
            "passed_on",
            taker.name_ko,
        )
        _appropriate(
            actor,
            _funding(taker, source, unit),
            transfer_id,
            amount,
            memo=memo or giver.name_ko,
            through=giver,
        )
        audit.record(
            actor=actor,
            action="programme.passed_on",
            subject_kind="programme",
            subject_id=giver.pk,
            after={"to": to_slug, "source": source.slug, "amount": amount, "unit": unit},
        )
    return Added(selectors.programme(actor=actor, slug=to_slug), "created")


def _found_programme(
    programme_id: UUID, slug: str, names: tuple[str, str], agency: OrganisationView | None
) -> Programme:
    ledger.open_book(book_id=programme_id, name=names[0])
    try:
        with transaction.atomic():
            return Programme.objects.create(
                id=programme_id,
                slug=slug,
                name_ko=names[0],
                name_en=names[1],
                agency_id=agency.id if agency else None,
                created_at=clock.now(),
            )
    except IntegrityError:
        raise Conflict(
            "programme_exists",
            _("There is a programme “%(slug)s” already.") % {"slug": slug},
            field="slug",
            remedy=_("Choose another short name, or appropriate more money to the one that is there."),
        ) from None


def _own_source(row: Programme, agency: OrganisationView | None) -> Source:
    """The source that is the agency itself, or, without one, the programme."""
    slug, name_ko, name_en = (
        (agency.slug, agency.name_ko, agency.name_en) if agency else (row.slug, row.name_ko, row.name_en)
    )
    return Source.objects.get_or_create(
        slug=slug,
        defaults={
            "name_ko": name_ko,
            "name_en": name_en,
            "kind": "budget" if agency else "other",
            "organisation_id": agency.id if agency else None,
            "created_at": clock.now(),
        },
    )[0]


def _funding(row: Programme, source: Source, unit: str) -> Funding:
    """What this source gives this programme; opened with its account when it first does."""
    found = Funding.objects.filter(programme=row, source=source, unit=unit).first()
    if found is not None:
        return found
    treasury = ledger.open_account(book_id=row.pk, kind="treasury", owner_id=row.pk, unit=unit)
    account = ledger.open_account(
        book_id=row.pk, kind="appropriation", owner_id=row.pk, counterpart_id=source.pk, unit=unit
    )
    return Funding.objects.create(
        programme=row,
        source=source,
        unit=unit,
        account_id=account.id,
        treasury_account_id=treasury.id,
        created_at=clock.now(),
    )


def _same_programme(actor: Actor, row: Programme, slug: str, micro_won: int) -> Added:
    first = Appropriation.objects.filter(pk=row.pk).first()
    if row.slug != slug or first is None or first.amount != micro_won:
        raise checks.exists_differently()
    return Added(selectors.programme(actor=actor, slug=slug), "exists")


def _appropriate(
    actor: Actor,
    funding: Funding,
    transfer_id: UUID,
    amount: int,
    memo: str,
    through: Programme | None = None,
) -> None:
    there = Appropriation.objects.filter(programme_id=funding.programme_id, funding__unit=funding.unit)
    before = there.aggregate(total=Sum("amount"))["total"] or 0
    checks.programme_not_too_large(before + amount, funding.unit)
    try:
        with transaction.atomic():
            Appropriation.objects.create(
                id=transfer_id,
                programme_id=funding.programme_id,
                funding=funding,
                through=through,
                amount=amount,
                memo=memo,
                created_at=clock.now(),
                created_by_name=actor.name[:200],
            )
    except IntegrityError:
        raise checks.exists_differently() from None
    _transfer(transfer_id, (funding.treasury_account_id, funding.account_id), amount, "appropriation", memo)
    shown = {"micro_won": amount} if funding.unit == KRW else {"amount": amount, "unit": funding.unit}
    audit.record(
        actor=actor,
        action="programme.appropriated",
        subject_kind="programme",
        subject_id=funding.programme_id,
        after={**shown, "source": funding.source.slug, "memo": memo},
    )


def _transfer(transfer_id: UUID, sides: tuple[int, int], amount: int, kind: str, memo: str) -> None:
    try:
        ledger.transfer(
            transfer_id=transfer_id,
            debit_account_id=sides[0],
            credit_account_id=sides[1],
            amount=amount,
            kind=kind,
            memo=memo,
        )
    except DureError as error:
        # An id that a transfer of something else has already.
        if error.code.startswith("exists_with_different"):
            raise checks.exists_differently() from None
        raise
