"""Awards: granted out of a programme's sources, ended, and what was not spent brought home to each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.access import services as access
from dure.control.access.services import Limits
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Invalid
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger_selectors
from dure.control.ledger import services as ledger
from dure.control.programmes import checks, plan, selectors
from dure.control.programmes.models import Award, AwardShare, BudgetLine, Funding, Programme
from dure.control.programmes.parts import Parts
from dure.control.programmes.plan import OwnShare, Share, Sources
from dure.control.programmes.selectors import AwardView, BudgetLineView, SourceView
from dure.control.programmes.services.own_contributions import locked_award, own_account
from dure.control.programmes.workflow import AwardState, may_become


@dataclass(frozen=True, slots=True)
class Granted:
    """An award, and whether this call made it or it `exists` from an earlier call with the same id."""

    award: AwardView
    result: Literal["created", "exists"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a grant would come to, in micro-won."""

    organisation: OrganisationView
    public_micro_won: int
    own_micro_won: int
    sources: tuple[tuple[SourceView, int], ...]
    line: BudgetLineView | None
    left_micro_won: int

    @property
    def line_left(self) -> int:
        """What the budget line would have left."""
        return self.line.left - self.public_micro_won if self.line else 0


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
    line: str | None = None,
    sources: Sources | None = None,
    size_class: str | None = None,
    of_total: bool = False,
    request_id: UUID | None = None,
    at: datetime | None = None,
) -> Granted:
    """Grant an organisation money of a programme to call models with, or `appropriation_exceeded`.

    `micro_won` is the public money; with `of_total` it is the public money and the own share together. `sources` says
    whose money it is, as amounts by source or as the sources to take it from; by default each gives in proportion to
    what it has left. `line` can be left out where the programme has at most one. `size_class` decides the own share; by
    default it is what the organisation has stated. Term and limits stay within what the programme's
    money may be used for, and are taken from there where they are not given.
    """
    now = at or clock.now()
    _check_asked(micro_won, valid_from or now, valid_until, now)
    with transaction.atomic():
        programme = checks.programme_to_move(actor, programme_slug)
        organisation = checks.organisation(organisation_slug)
        if request_id and (found := Award.objects.filter(pk=request_id).first()):
            return _same_award(found, programme, organisation, micro_won, of_total=of_total)
        names = checks.names(name, name_en) if name.strip() else (programme.name_ko, programme.name_en)
        own = plan.own_share(programme, organisation, micro_won, size_class=size_class, of_total=of_total)
        term = plan.dates(programme, valid_from or now, valid_until, chosen_start=valid_from is not None)
        allowed = plan.limits(programme, limits)
        budget_line = plan.line(programme, line, own.split.public_micro_won)
        shares = plan.shares(programme, own.split.public_micro_won, sources)
        row = _grant(
            programme,
            organisation,
            request_id or uuid7(),
            own,
            shares,
            budget_line,
            names=names,
            term=term,
            now=now,
        )
        access.open_entitlement(
            actor=actor,
            award_id=row.pk,
            organisation_id=organisation.id,
            programme_id=programme.pk,
            agency_id=programme.agency_id,
            valid_from=term[0],
            valid_until=term[1],
            limits=allowed,
            held=row.own_contribution_due == "before" and row.own_share_micro_won > 0,
        )
        audit.record(
            actor=actor,
            action="award.granted",
            subject_kind="award",
            subject_id=row.pk,
            after={
                "programme": programme.slug,
                "organisation": organisation.slug,
                "granted_micro_won": row.granted_micro_won,
                "own_share_micro_won": row.own_share_micro_won,
                "sources": {share.funding.source.slug: share.micro_won for share in shares},
                "line": budget_line.key if budget_line else None,
                "valid_until": term[1],
            },
        )
    return Granted(selectors.award_views([row])[0], "created")


def preview_award(
    *,
    actor: Actor,
    programme_slug: str,
    organisation_slug: str,
    micro_won: int,
    name: str = "",
    name_en: str | None = None,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    line: str | None = None,
    sources: Sources | None = None,
    size_class: str | None = None,
    of_total: bool = False,
) -> Preview:
    """What `grant_award` with the same arguments would do at this moment, or its refusal. Nothing is changed."""
    now = clock.now()
    _check_asked(micro_won, valid_from or now, valid_until, now)
    with transaction.atomic():
        programme = checks.programme_to_move(actor, programme_slug)
        organisation = checks.organisation(organisation_slug)
        if name.strip():
            checks.names(name, name_en)
        own = plan.own_share(programme, organisation, micro_won, size_class=size_class, of_total=of_total)
        plan.dates(programme, valid_from or now, valid_until, chosen_start=valid_from is not None)
        public = own.split.public_micro_won
        budget_line = plan.line(programme, line, public)
        shares = plan.shares(programme, public, sources)
    view = selectors.programme(actor=actor, slug=programme_slug)
    return Preview(
        organisation=organisation,
        public_micro_won=public,
        own_micro_won=own.split.own_micro_won,
        sources=tuple((selectors.source_view(share.funding.source), share.micro_won) for share in shares),
        line=selectors.line_view(budget_line) if budget_line else None,
        left_micro_won=view.left_to_grant_micro_won - public,
    )


def _check_asked(micro_won: int, starts: datetime, until: datetime | None, now: datetime) -> None:
    checks.sum_in_range(micro_won)
    checks.dates(starts, None)
    checks.dates(None, until)
    if until is not None and until <= max(starts, now):
        raise Invalid(
            "award_ends_before_start",
            _("The award's end must lie ahead, and after its start."),
            field="valid_until",
        )


def end_award(
    *, actor: Actor, award_id: UUID, reason: str, at: datetime | None = None
) -> tuple[AwardView, bool]:
    """End an award: calls stop within a second, what is unspent goes back to whom it came from.

    What gateways hold in escrow follows as they give it back (`return_closed_awards`). The second value is
    False when the award had ended before; then nothing is changed.
    """
    now = at or clock.now()
    reason = " ".join(reason.split())
    with transaction.atomic():
        row = locked_award(actor, award_id)
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
    row = Award.objects.select_related("programme", "line").get(pk=award_id)
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
        if row.line_id is not None:
            BudgetLine.objects.select_for_update(no_key=True).get(pk=row.line_id)
        # Held until this commits, so that what is read of it here is what will stand.
        ledger.lock_books(book_ids=[row.programme_id])
        held = ledger_selectors.balances_by_kind(owner_ids=[row.pk], kinds=("award", "escrow"))
        amount = held.get(row.pk, {}).get("award", 0)
        if amount > 0:
            _give_back(row, amount)
        if sum(held.get(row.pk, {}).values()) == amount:
            row.state, row.closed_at = "closed", clock.now()
        elif not amount:
            return 0
        row.save(update_fields=["returned_micro_won", "own_returned_micro_won", "state", "closed_at"])
        audit.record(
            actor=Actor.system("return of unspent money"),
            action="award.returned",
            subject_kind="award",
            subject_id=row.pk,
            after={"returned_micro_won": amount, "state": row.state},
        )
    return amount


def _give_back(row: Award, amount: int) -> None:
    """Return what is there to each source, and to the own contribution, as its part of it falls (`sharing`)."""
    parts = Parts.of(row)
    *public, own = parts.returned_next(amount)
    for share, part in zip(parts.shares, public, strict=True):
        if part:
            _transfer(
                uuid7(), (row.account_id, share.funding.account_id), part, "award_return", row.end_reason
            )
            AwardShare.objects.filter(pk=share.pk).update(returned_micro_won=F("returned_micro_won") + part)
    if own:
        _transfer(uuid7(), (row.account_id, own_account(row)), own, "own_contribution_return", row.end_reason)
    row.returned_micro_won += sum(public)
    row.own_returned_micro_won += own
    if row.line_id is not None:
        BudgetLine.objects.filter(pk=row.line_id).update(committed=F("committed") - sum(public))


def _grant(
    programme: Programme,
    organisation: OrganisationView,
    award_id: UUID,
    own: OwnShare,
    shares: Sequence[Share],
    budget_line: BudgetLine | None,
    *,
    names: tuple[str, str],
    term: tuple[datetime, datetime | None],
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
                granted_micro_won=own.split.public_micro_won,
                line=budget_line,
                size_class=own.size_class,
                own_share_bp=own.share_bp,
                own_share_micro_won=own.split.own_micro_won,
                own_contribution_due=programme.own_contribution_due,
                account_id=account.id,
                valid_from=term[0],
                valid_until=term[1],
                created_at=now,
            )
    except IntegrityError:
        raise checks.exists_differently() from None
    if budget_line is not None:
        BudgetLine.objects.filter(pk=budget_line.pk).update(committed=F("committed") + row.granted_micro_won)
    for position, share in enumerate(shares):
        transfer_id = award_id if position == 0 else uuid5(award_id, share.funding.source.slug)
        _fund(row, share.funding, share.micro_won, position, transfer_id)
    return row


def _fund(row: Award, funding: Funding, micro_won: int, position: int, transfer_id: UUID) -> None:
    AwardShare.objects.create(
        award=row, funding=funding, position=position, granted_micro_won=micro_won, transfer_id=transfer_id
    )
    try:
        _transfer(transfer_id, (funding.account_id, row.account_id), micro_won, "award", row.name_ko)
    except DureError as error:
        if error.code != "exceeds_credits":
            raise
        raise checks.source_exceeded(funding.source, 0, micro_won, funding.unit) from None


def _transfer(transfer_id: UUID, sides: tuple[int, int], amount: int, kind: str, memo: str) -> None:
    ledger.transfer(
        transfer_id=transfer_id,
        debit_account_id=sides[0],
        credit_account_id=sides[1],
        amount=amount,
        kind=kind,
        memo=memo,
    )


def _same_award(
    row: Award, programme: Programme, organisation: OrganisationView, micro_won: int, *, of_total: bool
) -> Granted:
    there = row.granted_micro_won + (row.own_share_micro_won if of_total else 0)
    if (row.programme_id, row.organisation_id, there) != (programme.pk, organisation.id, micro_won):
        raise checks.exists_differently()
    return Granted(selectors.award_views([row])[0], "exists")
