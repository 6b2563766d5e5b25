"""REST: books, heads and the recount's outcome are public; accounts and transfers are for those who watch.

Accounts carry opaque ids only, but an award's transfers show how much a company uses and when, which is
its own business.
"""

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from ninja import Router, Schema

from dure.control.foundation.errors import NotFound
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.ledger import selectors

router = Router(tags=["ledger"])


class BookOut(Schema):
    id: UUID
    name: str
    created_at: datetime
    head_sequence: int
    head_hash: str


class AccountOut(Schema):
    id: int
    kind: str
    unit: str
    owner_id: UUID
    counterpart_id: UUID | None
    debits: int
    credits: int
    balance: int


class TransferOut(Schema):
    """`amount` is in micro-won where the accounts' unit is KRW."""

    id: UUID
    sequence: int
    debit: AccountOut
    credit: AccountOut
    amount: int
    kind: str
    memo: str
    corrects_id: UUID | None
    corrected_by: list[UUID]
    created_at: datetime
    previous_hash: str
    hash: str


class DayHeadOut(Schema):
    day: date
    sequence: int
    hash: str
    published_at: datetime


class VerificationOut(Schema):
    ok: bool
    finished_at: datetime
    transfers: int
    usage_records: int
    difference: str
    heads: dict[str, str]


@router.get("/ledger/books", response={200: list[BookOut], **ERRORS})
@audience("public")
def list_books(request: Request) -> object:
    """One book a programme."""
    return selectors.books()


@router.get("/ledger/books/{book_id}/accounts", response={200: list[AccountOut], **ERRORS})
@audience("officer", "operator", "auditor")
def list_accounts(request: Request, book_id: UUID, kind: str | None = None) -> object:
    """The accounts of a book and what they hold."""
    _book(book_id)
    return selectors.accounts(book_id=book_id, kind=kind)


@router.get("/ledger/books/{book_id}/transfers", response={200: list[TransferOut], **ERRORS})
@audience("officer", "operator", "auditor")
def list_transfers(
    request: Request,
    book_id: UUID,
    kind: str | None = None,
    before_sequence: int | None = None,
    limit: int = 50,
) -> object:
    """Transfers, latest first; `before_sequence` continues a page."""
    _book(book_id)
    return selectors.transfers(
        book_id=book_id, kind=kind, before_sequence=before_sequence, limit=min(max(limit, 1), 500)
    )


@router.get("/ledger/books/{book_id}/heads", response={200: list[DayHeadOut], **ERRORS})
@audience("public")
def list_heads(request: Request, book_id: UUID) -> object:
    """The published heads of past days."""
    _book(book_id)
    return selectors.day_heads(book_id=book_id)


@router.get("/ledger/verification", response={200: VerificationOut, **ERRORS})
@audience("public")
def verification(request: Request) -> object:
    """The outcome of the last recount of everything."""
    state = selectors.verification_state()
    if state is None:
        raise NotFound(code="never_verified")
    # What differs may name an award and its figures; that something does is everybody's business.
    if state.difference and not actor_of(request).is_platform:
        return replace(state, difference="found; the platform's officers see where")
    return state


def _book(book_id: UUID) -> None:
    if selectors.book(book_id=book_id) is None:
        raise NotFound(code="book_not_found")
