"""Several connections at once try to break the ledger: real threads, real transactions."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.control.ledger.conftest import make_accounts, move

from dure.contracts.ids import uuid7
from dure.control.foundation.errors import DureError
from dure.control.ledger import services

WORKERS = 6


pytestmark = pytest.mark.django_db(transaction=True)


def at_once(deeds: list[Callable[[], str]]) -> list[str]:
    """Run the deeds on as many connections, released together; a refusal answers its code."""
    barrier = threading.Barrier(len(deeds))

    def run(deed: Callable[[], str]) -> str:
        try:
            barrier.wait(10)
            return deed()
        except DureError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


def test_two_grants_of_the_last_won_give_it_once() -> None:
    accounts = make_accounts()
    move(accounts.treasury, accounts.appropriation, 1)
    results = at_once([lambda: move(accounts.appropriation, accounts.award, 1) for _ in range(WORKERS)])
    assert sorted(results) == ["created", *["exceeds_credits"] * (WORKERS - 1)]
    assert accounts.balance(accounts.award) == 1


def test_the_same_transfer_from_many_connections_moves_once() -> None:
    accounts = make_accounts()
    transfer_id = uuid7()
    results = at_once(
        [
            lambda: move(accounts.treasury, accounts.appropriation, 5, transfer_id=transfer_id)
            for _ in range(WORKERS)
        ]
    )
    assert sorted(results) == ["created", *["exists"] * (WORKERS - 1)]
    assert accounts.balance(accounts.appropriation) == 5


def test_corrections_racing_for_one_transfer_never_exceed_it() -> None:
    accounts = make_accounts()
    move(accounts.treasury, accounts.appropriation, 100)
    original = uuid7()
    move(accounts.appropriation, accounts.award, 100, transfer_id=original)
    results = at_once([lambda: _correct(original, 40) for _ in range(WORKERS)])
    assert results.count("created") == 2
    assert accounts.balance(accounts.award) == 20


def test_transfers_in_both_directions_do_not_lock_each_other_out() -> None:
    accounts = make_accounts()
    move(accounts.treasury, accounts.appropriation, 1_000)
    move(accounts.appropriation, accounts.award, 500)
    there = [lambda: move(accounts.appropriation, accounts.award, 1)] * 5
    back = [lambda: move(accounts.award, accounts.appropriation, 1)] * 5
    assert at_once(there + back) == ["created"] * 10
    assert services.verify().difference == ""


_ACCOUNTS = st.sampled_from(["treasury", "appropriation", "award", "escrow", "payable"])
_DEEDS = st.lists(
    st.tuples(_ACCOUNTS, _ACCOUNTS, st.integers(-1, 60), st.integers(0, 3)), min_size=2, max_size=12
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_DEEDS)
def test_whatever_is_tried_at_once_the_books_agree(deeds: list[tuple[str, str, int, int]]) -> None:
    """Random transfers, ids reused at random, four connections: never below zero, the recount is clean."""
    accounts = make_accounts()
    move(accounts.treasury, accounts.appropriation, 100)
    ids = [uuid7() for _ in range(4)]

    def deed(debit: str, credit: str, amount: int, index: int) -> Callable[[], str]:
        reused = ids[index] if index else uuid7()
        return lambda: move(getattr(accounts, debit), getattr(accounts, credit), amount, transfer_id=reused)

    for start in range(0, len(deeds), 4):
        at_once([deed(*line) for line in deeds[start : start + 4]])
    funds = (accounts.appropriation, accounts.award, accounts.escrow, accounts.payable)
    held = [accounts.balance(account) for account in funds]
    assert min(held) >= 0
    assert sum(held) == accounts.balance(accounts.treasury)
    assert services.verify().difference == ""


def _correct(original: UUID, amount: int) -> str:
    return services.correct(transfer_id=uuid7(), corrects=original, amount=amount, memo="").result
