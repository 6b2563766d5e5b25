"""Recounting a book: every transfer read again in order, hashed again, summed again.

Nothing is taken from the stored totals but to compare with them at the end. The balance of every
account is followed through its whole history, so "never below zero" is checked at each moment
and not only now.
"""

import hashlib
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection

from dure.control.ledger.models import AccountKind, Book

_GENESIS = bytes(32)

#: Between which kinds of account money moves when calls are charged: from escrow that was set aside before, or, for
#: what turns up of a process that was declared lost, from the award itself.
_USAGE = {"usage": ("escrow", "payable"), "late_usage": ("award", "payable")}

#: And between which it moves otherwise. An own contribution comes in from a treasury of its owner, lies on the owner's
#: account until it joins the award, and what is not spent goes the same way back.
_MOVES = {
    **_USAGE,
    "appropriation": ("treasury", "appropriation"),
    "passed_on": ("appropriation", "treasury"),
    "award": ("appropriation", "award"),
    "award_return": ("award", "appropriation"),
    "lease": ("award", "escrow"),
    "give_back": ("escrow", "award"),
    "own_contribution_paid": ("treasury", "own_contribution"),
    "own_contribution": ("own_contribution", "award"),
    "own_contribution_return": ("award", "own_contribution"),
    "own_contribution_repaid": ("own_contribution", "treasury"),
}

_TRANSFERS = """
SELECT id, sequence, debit_account_id, credit_account_id, amount, kind, memo, corrects_id,
       (extract(epoch FROM created_at) * 1000000)::bigint, previous_hash, hash
FROM ledger_transfer WHERE book_id = %s AND sequence > %s ORDER BY sequence LIMIT 20000
"""


@dataclass(slots=True)
class Recount:
    """What one book comes to. `usage` maps usage transfers to (amount, owner of what was charged, payee)."""

    book_id: UUID
    accounts: int = 0
    transfers: int = 0
    difference: str = ""
    usage: dict[UUID, tuple[int, UUID, UUID]] = field(default_factory=dict)


@dataclass(slots=True)
class _Account:
    kind: str
    unit: str
    owner: UUID
    debits_stored: int
    credits_stored: int
    debits: int = 0
    credits: int = 0

    @property
    def overdrawn(self) -> bool:
        if self.kind == AccountKind.TREASURY:
            return self.credits > self.debits
        return self.debits > self.credits


def transfer_hash(
    *,
    previous: bytes,
    transfer_id: UUID,
    book_id: UUID,
    sequence: int,
    debit: int,
    credit: int,
    unit: str,
    amount: int,
    kind: str,
    corrects: UUID | None,
    created_at_us: int,
    memo: str,
) -> bytes:
    """SHA-256 over the previous hash and the fields joined by `|`, as `ledger_post` computes it."""
    content = "|".join(
        str(part)
        for part in (
            transfer_id,
            book_id,
            sequence,
            debit,
            credit,
            unit,
            amount,
            kind,
            corrects or "",
            created_at_us,
            memo,
        )
    )
    return hashlib.sha256(previous + content.encode()).digest()


def recount_book(book: Book) -> Recount:
    """Read the whole book again; stops at the first difference and says it in words."""
    recount = Recount(book_id=book.id)
    accounts = _accounts(book)
    recount.accounts = len(accounts)
    originals: dict[UUID, int] = {}
    previous, sequence = _GENESIS, 0
    while not recount.difference:
        with connection.cursor() as cursor:
            cursor.execute(_TRANSFERS, [book.id, sequence])
            rows = cursor.fetchall()
        if not rows:
            break
        for row in rows:
            difference = _replay(book, accounts, row, previous, sequence + 1, recount, originals)
            if difference:
                recount.difference = difference
                return recount
            sequence, previous = row[1], bytes(row[10])
            recount.transfers += 1
    recount.difference = _compare_totals(book, accounts, sequence, previous)
    return recount


def _accounts(book: Book) -> dict[int, _Account]:
    rows = book.accounts.values_list("id", "kind", "unit", "owner_id", "debits_posted", "credits_posted")
    return {row[0]: _Account(*row[1:]) for row in rows}


def _replay(
    book: Book,
    accounts: dict[int, _Account],
    row: tuple,
    previous: bytes,
    expected: int,
    recount: Recount,
    originals: dict[UUID, int],
) -> str:
    (
        transfer_id,
        sequence,
        debit_id,
        credit_id,
        amount,
        kind,
        memo,
        corrects,
        created_us,
        stored_previous,
        stored,
    ) = row
    where = f"book {book.id}, transfer {sequence} ({transfer_id})"
    if sequence != expected:
        return f"book {book.id}: transfer {expected} is missing (the next one is {sequence})"
    debit, credit = accounts.get(debit_id), accounts.get(credit_id)
    if debit is None or credit is None:
        return f"{where}: an account of another book, or none"
    if debit.unit != credit.unit:
        return f"{where}: accounts of different units"
    if bytes(stored_previous) != previous:
        return f"{where}: does not carry the hash of the transfer before it"
    computed = transfer_hash(
        previous=previous,
        transfer_id=transfer_id,
        book_id=book.id,
        sequence=sequence,
        debit=debit_id,
        credit=credit_id,
        unit=debit.unit,
        amount=amount,
        kind=kind,
        corrects=corrects,
        created_at_us=created_us,
        memo=memo,
    )
    if computed != bytes(stored):
        return f"{where}: its content does not match its hash"
    debit.debits += amount
    credit.credits += amount
    if debit.overdrawn or credit.overdrawn:
        return f"{where}: overdraws an account"
    if corrects is not None:
        if originals.get(corrects, 0) < amount:
            return f"{where}: corrects more than the transfer it names, or one that is not there"
        originals[corrects] -= amount
    originals[transfer_id] = amount
    if kind in _USAGE:
        recount.usage[transfer_id] = (amount, debit.owner, credit.owner)
    sides = (debit.kind, credit.kind)
    return "" if _MOVES.get(kind, sides) == sides else f"{where}: {kind} from {debit.kind} to {credit.kind}"


def _compare_totals(book: Book, accounts: dict[int, _Account], sequence: int, head: bytes) -> str:
    if (book.head_sequence, bytes(book.head_hash)) != (sequence, head):
        return f"book {book.id}: its head is not its last transfer"
    for account_id, account in accounts.items():
        if (account.debits, account.credits) != (account.debits_stored, account.credits_stored):
            return (
                f"book {book.id}, account {account_id} ({account.kind}): "
                f"stored debits and credits are {account.debits_stored} and {account.credits_stored}, "
                f"recounted {account.debits} and {account.credits}"
            )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.day FROM ledger_dayhead d LEFT JOIN ledger_transfer t "
            "ON t.book_id = d.book_id AND t.sequence = d.sequence AND t.hash = d.hash "
            "WHERE d.book_id = %s AND t.id IS NULL ORDER BY d.day LIMIT 1",
            [book.id],
        )
        if row := cursor.fetchone():
            return f"book {book.id}: the published head of {row[0]} is not in the chain"
    return ""
