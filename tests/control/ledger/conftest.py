"""A small programme's accounts to move money between."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from dure.contracts.ids import uuid7
from dure.control.ledger import selectors, services


@dataclass(frozen=True)
class Accounts:
    """One book: treasury → appropriation → award → escrow → payable."""

    book: UUID
    treasury: int
    appropriation: int
    award: int
    escrow: int
    payable: int

    def balance(self, account: int) -> int:
        view = selectors.account(account_id=account)
        assert view is not None
        return view.balance


def make_accounts() -> Accounts:
    book = uuid7()
    services.open_book(book_id=book, name="programme")

    def account(kind: str) -> int:
        return services.open_account(book_id=book, kind=kind, owner_id=uuid7()).id

    return Accounts(
        book, *(account(kind) for kind in ("treasury", "appropriation", "award", "escrow", "payable"))
    )


def move(debit: int, credit: int, amount: int, *, transfer_id: UUID | None = None, kind: str = "test") -> str:
    return services.transfer(
        transfer_id=transfer_id or uuid7(),
        debit_account_id=debit,
        credit_account_id=credit,
        amount=amount,
        kind=kind,
    ).result


@pytest.fixture
def accounts(db: None) -> Accounts:
    return make_accounts()
