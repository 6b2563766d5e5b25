"""Own contributions: an officer confirms that one has arrived, or that what was left of it has been paid back.

Money comes in through a treasury of the award's own and lies on its own-contribution account for as long as it is
neither in the award nor back with its organisation. No account but a treasury ever owes.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid5

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.access import services as access
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.ledger import selectors as ledger_selectors
from dure.control.ledger import services as ledger
from dure.control.programmes import checks, rules, selectors
from dure.control.programmes.models import Award, OwnPayment
from dure.control.programmes.selectors import AwardView


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An award after a confirmation; `exists` when the same id had confirmed the same before."""

    award: AwardView
    micro_won: int
    result: Literal["created", "exists"]


def confirm_own_contribution(
    *,
    actor: Actor,
    award_id: UUID,
    micro_won: int | None = None,
    memo: str = "",
    request_id: UUID | None = None,
) -> Confirmed:
    """Confirm that an organisation's own contribution has arrived: all that is outstanding, or a part of it.

    It joins the award at once. Where it is due before the first call, calls work as soon as all of it is there.
    """
    with transaction.atomic():
        row = locked_award(actor, award_id)
        if request_id and (found := OwnPayment.objects.filter(pk=request_id).first()):
            if found.award_id != award_id or micro_won not in (None, found.amount_micro_won):
                raise checks.exists_differently()
            return Confirmed(selectors.award_views([row])[0], found.amount_micro_won, "exists")
        if row.state != "open":
            raise Conflict(
                "award_ended", _("This award has ended; an own contribution can no longer join it.")
            )
        amount = _amount_due(row, micro_won)
        payment_id = request_id or uuid7()
        spent = _pay_in(row, payment_id, amount)
        OwnPayment.objects.create(
            id=payment_id,
            award=row,
            amount_micro_won=amount,
            spent_before_micro_won=spent,
            memo=" ".join(memo.split())[:300],
            created_at=clock.now(),
            created_by_name=actor.name[:200],
        )
        row.own_paid_micro_won += amount
        row.save(update_fields=["own_paid_micro_won"])
        if row.own_paid_micro_won == row.own_share_micro_won and row.own_contribution_due == "before":
            access.release_entitlement(actor=actor, award_id=row.pk)
        audit.record(
            actor=actor,
            action="award.own_contribution_confirmed",
            subject_kind="award",
            subject_id=row.pk,
            after={"micro_won": amount, "paid_micro_won": row.own_paid_micro_won},
        )
    return Confirmed(selectors.award_views([row])[0], amount, "created")


def confirm_own_contribution_repaid(*, actor: Actor, award_id: UUID, memo: str = "") -> Confirmed:
    """Confirm that what an ended award left of the own contribution has been paid back to its organisation."""
    with transaction.atomic():
        row = locked_award(actor, award_id)
        ledger.lock_books(book_ids=[row.programme_id])
        account, treasury = _accounts(row)
        amount = ledger_selectors.balances_of(account_ids=[account])[account]
        if not amount:
            raise Conflict(
                "nothing_to_repay", _("Nothing of this award's own contribution waits to be paid back.")
            )
        ledger.transfer(
            transfer_id=uuid7(),
            debit_account_id=account,
            credit_account_id=treasury,
            amount=amount,
            kind="own_contribution_repaid",
            memo=" ".join(memo.split())[:300],
        )
        audit.record(
            actor=actor,
            action="award.own_contribution_repaid",
            subject_kind="award",
            subject_id=row.pk,
            after={"micro_won": amount},
        )
    return Confirmed(selectors.award_views([row])[0], amount, "created")


def own_account(row: Award) -> int:
    return _accounts(row)[0]


def locked_award(actor: Actor, award_id: UUID) -> Award:
    """The award, locked, for an officer of the agency whose money it is."""
    row = (
        Award.objects.select_for_update(of=("self",), no_key=True)
        .select_related("programme", "line")
        .filter(pk=award_id)
        .first()
    )
    if row is None or not rules.may_see_award(
        actor, row.organisation_id, row.programme.agency_id, row.programme_id
    ):
        raise NotFound(_("There is no award with this id."), code="award_not_found")
    if not rules.may_move_money(actor, row.programme.agency_id, row.programme_id):
        raise Forbidden
    return row


def _amount_due(row: Award, micro_won: int | None) -> int:
    due = row.own_share_micro_won - row.own_paid_micro_won
    amount = due if micro_won is None else micro_won
    if due == 0:
        raise Conflict("no_own_contribution_due", _("No own contribution is outstanding for this award."))
    if not 0 < amount <= due or (amount % MICRO_WON_PER_WON and amount != due):
        raise Invalid(
            "own_contribution_out_of_range",
            _("%(due)s is outstanding; confirm that, or a part of it in whole won.")
            % {"due": checks.won(due)},
            field="krw",
            data={"due_micro_won": due},
        )
    return amount


def _pay_in(row: Award, payment_id: UUID, amount: int) -> int:
    """Move it in; answers what the award had spent until then, which the locked book keeps true."""
    account, treasury = _accounts(row)
    ledger.lock_books(book_ids=[row.programme_id])
    held = ledger_selectors.balances_by_kind(owner_ids=[row.pk], kinds=("award", "escrow"))
    spent = row.granted_micro_won + row.own_paid_micro_won - sum(held.get(row.pk, {}).values())
    steps = (
        (uuid5(payment_id, "paid"), treasury, account, "own_contribution_paid"),
        (payment_id, account, row.account_id, "own_contribution"),
    )
    for transfer_id, debit, credit, kind in steps:
        ledger.transfer(
            transfer_id=transfer_id,
            debit_account_id=debit,
            credit_account_id=credit,
            amount=amount,
            kind=kind,
            memo=row.name_ko,
        )
    return spent


def _accounts(row: Award) -> tuple[int, int]:
    """The award's own-contribution account, and the treasury it comes in through."""
    own = ledger.open_account(book_id=row.programme_id, kind="own_contribution", owner_id=row.pk)
    treasury = ledger.open_account(book_id=row.programme_id, kind="treasury", owner_id=row.pk)
    return own.id, treasury.id
