"""The recount finds every way in which a book can be made to lie.

The tampering switches the database's own guards off first: what is tested here is that even an
administrator who does so is found out.
"""

import pytest
from django.db import connection
from tests.control.ledger.conftest import Accounts, move

from dure.contracts.ids import uuid7
from dure.control.ledger import selectors, services
from dure.control.ledger.models import Verification


@pytest.fixture
def history(accounts: Accounts) -> Accounts:
    move(accounts.treasury, accounts.appropriation, 1_000)
    wrong = uuid7()
    move(accounts.appropriation, accounts.award, 500, transfer_id=wrong)
    services.correct(transfer_id=uuid7(), corrects=wrong, amount=100, memo="a | b")
    move(accounts.award, accounts.escrow, 300)
    move(accounts.escrow, accounts.payable, 120)
    return accounts


def tamper(sql: str, *arguments: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(sql, arguments)
        cursor.execute("SET session_replication_role = DEFAULT")


def test_an_honest_book_has_no_difference(history: Accounts) -> None:
    report = services.verify()
    assert report.difference == ""
    assert (report.books, report.accounts, report.transfers) == (1, 5, 5)
    state = selectors.verification_state()
    assert state is not None
    assert state.ok


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        ("UPDATE ledger_transfer SET amount = 501 WHERE sequence = 2", "content does not match its hash"),
        ("UPDATE ledger_transfer SET memo = 'x' WHERE sequence = 3", "content does not match its hash"),
        (
            "UPDATE ledger_transfer SET created_at = created_at - interval '1 microsecond' WHERE sequence = 4",
            "content does not match its hash",
        ),
        ("DELETE FROM ledger_transfer WHERE sequence = 4", "transfer 4 is missing"),
        ("DELETE FROM ledger_transfer WHERE sequence = 5", "its head is not its last transfer"),
        (
            "UPDATE ledger_account SET credits_posted = credits_posted + 1 WHERE kind = 'award'",
            "stored debits",
        ),
        ("UPDATE ledger_book SET head_sequence = 7", "its head is not its last transfer"),
        (
            "UPDATE ledger_transfer SET previous_hash = hash WHERE sequence = 2",
            "does not carry the hash of the transfer before it",
        ),
    ],
)
def test_tampering_is_found_and_named(history: Accounts, deed: str, found: str) -> None:
    tamper(deed)
    report = services.verify()
    assert found in report.difference
    assert Verification.objects.latest("finished_at").difference == report.difference


def test_a_history_rewritten_with_fresh_hashes_breaks_the_published_head(history: Accounts) -> None:
    tamper("UPDATE ledger_transfer SET created_at = created_at - interval '2 days'")
    _rehash()
    assert services.publish_day_heads() == 1
    assert services.verify().difference == ""
    tamper("UPDATE ledger_transfer SET memo = 'rewritten' WHERE sequence = 5")
    _rehash()
    assert "published head" in services.verify().difference


def test_an_overdraft_in_the_middle_is_found_though_the_end_is_balanced(history: Accounts) -> None:
    """Swapping two transfers and hashing anew leaves every total right; only the history shows it."""
    tamper("UPDATE ledger_transfer SET sequence = -sequence WHERE sequence IN (1, 2)")
    tamper("UPDATE ledger_transfer SET sequence = 3 + sequence WHERE sequence < 0")
    _rehash()
    assert "overdraws an account" in services.verify().difference


def test_day_heads_are_published_once_and_only_for_past_days(history: Accounts) -> None:
    assert services.publish_day_heads() == 0
    tamper("UPDATE ledger_transfer SET created_at = created_at - interval '1 day'")
    assert services.publish_day_heads() == 1
    assert services.publish_day_heads() == 0
    (head,) = selectors.day_heads(book_id=history.book)
    assert head.sequence == 5


def _rehash() -> None:
    """What a forger with the database's keys would do: compute the whole chain again."""
    tamper(
        """
        DO $$ DECLARE r record; v_previous bytea := decode(repeat('00', 32), 'hex'); v_hash bytea;
        BEGIN FOR r IN SELECT t.*, a.unit FROM ledger_transfer t JOIN ledger_account a ON a.id = t.debit_account_id
                       ORDER BY t.sequence LOOP
            v_hash := sha256(v_previous || convert_to(concat_ws('|', r.id, r.book_id, r.sequence,
                r.debit_account_id, r.credit_account_id, r.unit, r.amount, r.kind, coalesce(r.corrects_id::text, ''),
                (extract(epoch FROM r.created_at) * 1000000)::bigint, r.memo), 'UTF8'));
            UPDATE ledger_transfer SET previous_hash = v_previous, hash = v_hash WHERE id = r.id;
            v_previous := v_hash;
        END LOOP; UPDATE ledger_book SET head_hash = v_previous; END $$
        """
    )
