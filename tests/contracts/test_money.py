"""One rounding rule: the sum is rounded up, once."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.contracts.money import cost_micro_won

quantities = st.integers(0, 10**9)
prices = st.integers(0, 10**12)


@given(st.lists(st.tuples(quantities, prices), max_size=5))
def test_cost_is_the_exact_sum_rounded_up_once(lines: list[tuple[int, int]]) -> None:
    exact = sum((Fraction(quantity * price, 1_000_000) for quantity, price in lines), Fraction(0))
    assert cost_micro_won(lines) == ceil(exact)


@given(
    st.lists(st.tuples(quantities, prices), max_size=5), st.lists(st.tuples(quantities, prices), max_size=5)
)
def test_splitting_a_call_never_makes_it_cheaper(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    assert cost_micro_won(first) + cost_micro_won(second) >= cost_micro_won(first + second)


def test_a_price_of_one_won_per_million_tokens_is_one_micro_won_per_token() -> None:
    one_won_per_million = 1_000_000
    assert cost_micro_won([(7, one_won_per_million)]) == 7


def test_the_smallest_price_costs_at_least_one_micro_won() -> None:
    assert cost_micro_won([(1, 1)]) == 1


@pytest.mark.parametrize("line", [(-1, 5), (5, -1)])
def test_negative_quantities_and_prices_are_refused(line: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="never negative"):
        cost_micro_won([line])
