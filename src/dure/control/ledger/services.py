"""Verbs of the ledger: open books and accounts, transfer, correct, publish a day's head.

Who may move whose money is decided by the rooms above, which own the reasons; this room
guarantees that no movement overdraws a fund, happens twice, or is ever changed.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Sum
from django.utils.translation import gettext_lazy as _

from dure.contracts.ids import uuid7
from dure.control.foundation import clock
from dure.control.foundation.errors import Conflict, DureError, Invalid, NotFound
from dure.control.ledger.models import Account, AccountKind, Book, Transfer, Verification
from dure.control.ledger.recount import Recount, recount_book
from dure.control.ledger.selectors import AccountView, account_view

__all__ = [
    "TransferResult",
    "VerificationReport",
    "correct",
    "correct_escrow",
    "lock_books",
    "open_account",
    "open_book",
    "publish_day_heads",
    "transfer",
    "verify",
]

_MAX_AMOUNT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TransferResult:
    """`created`, or `exists` when the very same transfer was made before."""

    transfer_id: UUID
    result: Literal["created", "exists"]


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What a recount read, and the first difference in words (empty when everything agrees)."""

    books: int
    accounts: int
    transfers: int
    usage_records: int
    difference: str
    heads: dict[str, str]
    finished_at: datetime

    @property
    def ok(self) -> bool:
        return not self.difference


def open_book(*, book_id: UUID, name: str) -> None:
    """Open a book; opening it again leaves it as it is."""
    Book.objects.get_or_create(id=book_id, defaults={"name": name, "created_at": clock.now()})


def open_account(
    *, book_id: UUID, kind: str, owner_id: UUID, counterpart_id: UUID | None = None, unit: str = "KRW"
) -> AccountView:
    """Open an account; opening it again answers the same account."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_open_account(%s, %s, %s, %s, %s)", [book_id, kind, unit, owner_id, counterpart_id]
        )
        (account_id,) = cursor.fetchone()
    return account_view(Account.objects.get(pk=account_id))


def lock_books(*, book_ids: Collection[UUID]) -> None:
    """Hold these books until the transaction ends, in the order of their ids: what is read of them now stays so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_lock_books(%s)", [list(book_ids)])


def transfer(
    *,
    transfer_id: UUID,
    debit_account_id: int,
    credit_account_id: int,
    amount: int,
    kind: str,
    memo: str = "",
    corrects: UUID | None = None,
) -> TransferResult:
    """Move `amount` (the unit's smallest part: micro-won) from the debited to the credited account.

    The caller chooses the id, so that a retry is `exists` and not a second movement. Raises
    `DureError` whose code is the ledger's named result; nothing has moved then.
    """
    if not 0 < amount <= _MAX_AMOUNT:
        raise Invalid("amount_must_be_positive", _("The amount must be more than zero."), field="amount")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_post(%s, %s, %s, %s, %s, %s, %s)",
            [transfer_id, debit_account_id, credit_account_id, amount, kind, memo[:500], corrects],
        )
        (result,) = cursor.fetchone()
    if result not in {"created", "exists"}:
        raise _refusal(result)
    return TransferResult(transfer_id=transfer_id, result=result)


def correct(*, transfer_id: UUID, corrects: UUID, amount: int, memo: str) -> TransferResult:
    """Reverse `amount` of an earlier transfer by a new one that names it. Nothing is edited."""
    original = Transfer.objects.filter(pk=corrects).first()
    if original is None:
        raise NotFound(
            _("There is no transfer with this id to correct."), code="transfer_to_correct_not_found"
        )
    return transfer(
        transfer_id=transfer_id,
        debit_account_id=original.credit_account_id,
        credit_account_id=original.debit_account_id,
        amount=amount,
        kind="correction",
        memo=memo,
        corrects=corrects,
    )


def correct_escrow(*, counterpart_ids: Collection[UUID], memo: str) -> dict[tuple[UUID, UUID], int]:
    """Return all that these counterparts hold in escrow: corrections of the transfers that put it there.

    The latest first, each by as much as is still to return, so every won goes back the way it came. Answers what was
    returned by (counterpart, owner). Belongs into the caller's transaction, which has made sure that nothing more is
    set aside for them.
    """
    ids = list(counterpart_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_lock_books(ARRAY(SELECT DISTINCT book_id FROM ledger_account"
            " WHERE counterpart_id = ANY(%s) AND kind = 'escrow'))",
            [ids],
        )
    held = Account.objects.filter(
        counterpart_id__in=ids, kind=AccountKind.ESCROW, credits_posted__gt=F("debits_posted")
    )
    returned: dict[tuple[UUID, UUID], int] = {}
    for row in held.order_by("id"):
        assert row.counterpart_id is not None
        balance = row.credits_posted - row.debits_posted
        _correct_latest(row, balance, memo)
        whose = (row.counterpart_id, row.owner_id)
        returned[whose] = returned.get(whose, 0) + balance
    return returned


def _correct_latest(escrow: Account, amount: int, memo: str) -> None:
    came = Transfer.objects.filter(credit_account=escrow).order_by("-sequence")
    corrected = Sum("corrections__amount", default=0)
    for lease in came.annotate(corrected=corrected).iterator(chunk_size=100):
        part = min(amount, lease.amount - lease.corrected)
        if part > 0:
            correct(transfer_id=uuid7(), corrects=lease.pk, amount=part, memo=memo)
            amount -= part
        if not amount:
            return
    raise RuntimeError(f"escrow account {escrow.pk} holds {amount} micro-won that no transfer brought")


def publish_day_heads(*, at: datetime | None = None) -> int:
    """Fix the head of every past day of Seoul's calendar that has transfers; returns how many are new."""
    today = (at or clock.now()).astimezone(clock.SEOUL).date()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ledger_dayhead (book_id, day, sequence, hash, published_at)
            SELECT DISTINCT ON (book_id, (created_at AT TIME ZONE 'Asia/Seoul')::date)
                book_id, (created_at AT TIME ZONE 'Asia/Seoul')::date, sequence, hash, clock_timestamp()
            FROM ledger_transfer
            WHERE created_at >= coalesce(
                    (SELECT (max(day) + 1)::timestamp AT TIME ZONE 'Asia/Seoul' FROM ledger_dayhead d
                     WHERE d.book_id = ledger_transfer.book_id), '-infinity')
              AND created_at < %s::date::timestamp AT TIME ZONE 'Asia/Seoul'
            ORDER BY book_id, (created_at AT TIME ZONE 'Asia/Seoul')::date, sequence DESC
            ON CONFLICT DO NOTHING
            """,
            [today],
        )
        return int(cursor.rowcount)


def verify(
    *,
    also: Callable[[Recount], str] | None = None,
    finally_: Callable[[], str] | None = None,
    count_usage: Callable[[], int] | None = None,
) -> VerificationReport:
    """Recount every book from its first transfer on one consistent snapshot, and keep the outcome.

    `also` lets a room above check its own records against each book's recount, `finally_` what spans
    books, and `count_usage` says how many records it read (settlement: usage).
    """
    started = clock.now()
    accounts = transfers = usage_records = 0
    difference = ""
    heads: dict[str, str] = {}
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        books = list(Book.objects.order_by("created_at", "id"))
        for book in books:
            recount = recount_book(book)
            accounts += recount.accounts
            transfers += recount.transfers
            heads[str(book.id)] = bytes(book.head_hash).hex()
            difference = recount.difference or (also(recount) if also else "")
            if difference:
                break
        if finally_ and not difference:
            difference = finally_()
        if count_usage:
            usage_records = count_usage()
    finished = clock.now()
    Verification.objects.create(
        started_at=started,
        finished_at=finished,
        transfers=transfers,
        usage_records=usage_records,
        difference=difference,
        heads=heads,
    )
    return VerificationReport(
        books=len(books),
        accounts=accounts,
        transfers=transfers,
        usage_records=usage_records,
        difference=difference,
        heads=heads,
        finished_at=finished,
    )


def _refusal(result: str) -> DureError:
    """The error for a named result of `ledger_post`."""
    conflicts = {
        "exists_with_different_accounts": _("A transfer with this id exists between other accounts."),
        "exists_with_different_amount": _("A transfer with this id exists with another amount."),
        "exists_with_different_kind": _("A transfer with this id exists for another purpose."),
        "exceeds_credits": _("The account holds less than this amount."),
        "exceeds_debits": _("More would flow back than was ever paid out."),
        "exceeds_corrected_amount": _("A correction cannot exceed the transfer it corrects."),
    }
    if result in conflicts:
        return Conflict(result, conflicts[result])
    invalid = {
        "account_not_found": _("There is no such account."),
        "accounts_in_different_books": _("Both accounts must belong to one book."),
        "accounts_of_different_units": _("Both accounts must count the same unit."),
        "accounts_must_differ": _("A transfer needs two different accounts."),
        "amount_must_be_positive": _("The amount must be more than zero."),
        "transfer_to_correct_not_found": _("There is no transfer with this id to correct."),
        "correction_must_reverse_accounts": _("A correction moves money back between the same two accounts."),
    }
    return Invalid(result, invalid[result])
