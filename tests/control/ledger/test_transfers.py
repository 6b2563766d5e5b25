"""What a transfer does, and every way in which it is refused by name."""

import pytest
from django.db import Error, IntegrityError, connection, transaction
from tests.control.ledger.conftest import Accounts, move

from dure.contracts.ids import uuid7
from dure.control.foundation.errors import DureError
from dure.control.ledger import selectors, services
from dure.control.ledger.models import Account, Transfer


def refusal(*args: object, **kwargs: object) -> str:
    with pytest.raises(DureError) as raised, transaction.atomic():
        move(*args, **kwargs)  # type: ignore[arg-type]
    return raised.value.code


def test_money_moves_from_the_debited_to_the_credited_account(accounts: Accounts) -> None:
    assert move(accounts.treasury, accounts.appropriation, 1_000) == "created"
    assert move(accounts.appropriation, accounts.award, 400) == "created"
    assert accounts.balance(accounts.treasury) == 1_000
    assert accounts.balance(accounts.appropriation) == 600
    assert accounts.balance(accounts.award) == 400


def test_a_fund_is_never_overdrawn_by_even_one(accounts: Accounts) -> None:
    move(accounts.treasury, accounts.appropriation, 1_000)
    assert refusal(accounts.appropriation, accounts.award, 1_001) == "exceeds_credits"
    assert move(accounts.appropriation, accounts.award, 1_000) == "created"
    assert refusal(accounts.appropriation, accounts.award, 1) == "exceeds_credits"


def test_the_treasury_takes_back_no_more_than_it_paid_out(accounts: Accounts) -> None:
    move(accounts.treasury, accounts.appropriation, 10)
    assert move(accounts.appropriation, accounts.treasury, 10) == "created"
    assert refusal(accounts.appropriation, accounts.treasury, 1) == "exceeds_credits"


def test_the_same_transfer_again_exists_and_moves_nothing(accounts: Accounts) -> None:
    transfer_id = uuid7()
    assert move(accounts.treasury, accounts.appropriation, 10, transfer_id=transfer_id) == "created"
    assert move(accounts.treasury, accounts.appropriation, 10, transfer_id=transfer_id) == "exists"
    assert accounts.balance(accounts.appropriation) == 10


def test_an_id_used_for_something_else_is_refused_by_name(accounts: Accounts) -> None:
    transfer_id = uuid7()
    move(accounts.treasury, accounts.appropriation, 10, transfer_id=transfer_id)
    again = {"transfer_id": transfer_id}
    assert refusal(accounts.treasury, accounts.appropriation, 11, **again) == "exists_with_different_amount"
    assert refusal(accounts.treasury, accounts.award, 10, **again) == "exists_with_different_accounts"
    assert (
        refusal(accounts.treasury, accounts.appropriation, 10, kind="other", **again)
        == "exists_with_different_kind"
    )


def test_impossible_transfers_are_refused_by_name(accounts: Accounts) -> None:
    other_book = services.open_account(book_id=_new_book(), kind="award", owner_id=uuid7()).id
    other_unit = services.open_account(
        book_id=accounts.book, kind="award", owner_id=uuid7(), unit="GPU_SECOND"
    ).id
    assert refusal(accounts.treasury, accounts.appropriation, 0) == "amount_must_be_positive"
    assert refusal(accounts.treasury, accounts.appropriation, -5) == "amount_must_be_positive"
    assert refusal(accounts.treasury, accounts.appropriation, 2**63) == "amount_must_be_positive"
    assert refusal(accounts.treasury, accounts.treasury, 1) == "accounts_must_differ"
    assert refusal(accounts.treasury, -1, 1) == "account_not_found"
    assert refusal(accounts.treasury, other_book, 1) == "accounts_in_different_books"
    assert refusal(accounts.treasury, other_unit, 1) == "accounts_of_different_units"


def test_a_sum_beyond_what_an_account_can_count_moves_nothing(accounts: Accounts) -> None:
    largest = 2**63 - 1
    move(accounts.treasury, accounts.appropriation, largest)
    with pytest.raises(Error, match="out of range"), transaction.atomic():
        move(accounts.treasury, accounts.appropriation, 1)
    assert accounts.balance(accounts.appropriation) == largest


def test_a_correction_is_a_new_transfer_that_names_the_old(accounts: Accounts) -> None:
    move(accounts.treasury, accounts.appropriation, 100)
    wrong, right = uuid7(), uuid7()
    move(accounts.appropriation, accounts.award, 60, transfer_id=wrong)
    services.correct(transfer_id=right, corrects=wrong, amount=20, memo="20 too many")
    assert accounts.balance(accounts.award) == 40
    original = selectors.transfer(transfer_id=wrong)
    assert original is not None
    assert original.amount == 60
    assert original.corrected_by == (right,)


def test_corrections_together_never_exceed_the_original(accounts: Accounts) -> None:
    move(accounts.treasury, accounts.appropriation, 100)
    wrong = uuid7()
    move(accounts.appropriation, accounts.award, 60, transfer_id=wrong)
    move(accounts.appropriation, accounts.award, 40)
    services.correct(transfer_id=uuid7(), corrects=wrong, amount=50, memo="")
    with pytest.raises(DureError) as raised:
        services.correct(transfer_id=uuid7(), corrects=wrong, amount=11, memo="")
    assert raised.value.code == "exceeds_corrected_amount"


def test_a_correction_of_nothing_is_refused(accounts: Accounts) -> None:
    with pytest.raises(DureError) as raised:
        services.correct(transfer_id=uuid7(), corrects=uuid7(), amount=1, memo="")
    assert raised.value.code == "transfer_to_correct_not_found"


def test_transfers_cannot_be_changed_or_removed(accounts: Accounts) -> None:
    move(accounts.treasury, accounts.appropriation, 100)
    _execute("SET CONSTRAINTS ALL IMMEDIATE")
    for change in (
        lambda: Transfer.objects.update(amount=1),
        lambda: Transfer.objects.all().delete(),
        lambda: _execute("TRUNCATE ledger_transfer CASCADE"),
    ):
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            change()


def test_an_account_cannot_be_made_poorer_or_renamed_behind_the_ledgers_back(accounts: Accounts) -> None:
    move(accounts.treasury, accounts.appropriation, 100)
    row = Account.objects.filter(pk=accounts.appropriation)
    for change in ({"credits_posted": 99}, {"owner_id": uuid7()}, {"kind": "award"}):
        with pytest.raises(Error, match="totals only grow"), transaction.atomic():
            row.update(**change)
    with pytest.raises(IntegrityError, match="never_overdrawn"), transaction.atomic():
        row.update(debits_posted=101)


def test_opening_an_account_twice_is_the_same_account(accounts: Accounts) -> None:
    owner = uuid7()
    first = services.open_account(book_id=accounts.book, kind="award", owner_id=owner)
    assert services.open_account(book_id=accounts.book, kind="award", owner_id=owner) == first


def test_every_transfer_carries_the_hash_of_the_one_before(accounts: Accounts) -> None:
    for amount in (1, 2, 3):
        move(accounts.treasury, accounts.appropriation, amount)
    third, second, first = selectors.transfers(book_id=accounts.book)
    assert (first.sequence, second.sequence, third.sequence) == (1, 2, 3)
    assert first.previous_hash == "00" * 32
    assert second.previous_hash == first.hash
    assert third.previous_hash == second.hash
    book = selectors.book(book_id=accounts.book)
    assert book is not None
    assert (book.head_sequence, book.head_hash) == (3, third.hash)


def test_transfers_are_listed_in_pages_latest_first(accounts: Accounts) -> None:
    for amount in range(1, 6):
        move(accounts.treasury, accounts.appropriation, amount)
    page = selectors.transfers(book_id=accounts.book, limit=2)
    assert [line.amount for line in page] == [5, 4]
    following = selectors.transfers(book_id=accounts.book, before_sequence=page[-1].sequence, limit=2)
    assert [line.amount for line in following] == [3, 2]


def _new_book() -> object:
    book = uuid7()
    services.open_book(book_id=book, name="another programme")
    return book


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
