"""Whose money is spent: exact to the last unit, at every moment."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.control.programmes.sharing import Step, apportion, cumulative

WEIGHTS = st.lists(st.integers(0, 10**16), min_size=1, max_size=4).filter(any)
MANY = st.lists(st.integers(0, 10**16), min_size=5, max_size=12).filter(any)
SMALL = st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any)


@st.composite
def funding(draw: st.DrawFn) -> list[Step]:
    """Two or three parts; the last one arrives later, in one or two instalments, once something was spent."""
    public = draw(st.lists(st.integers(1, 40), min_size=1, max_size=2))
    steps = [Step(0, (*public, 0))]
    spent, funded = 0, sum(public)
    for more in draw(st.lists(st.integers(1, 30), max_size=2)):
        spent = draw(st.integers(spent, funded))
        steps.append(Step(spent, (*(0 for _ in public), more)))
        funded += more
    return steps


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (0, (7, 3), (0, 0)),
        (1, (7, 3), (1, 0)),
        (5, (7, 3), (3, 2)),
        (10, (7, 3), (7, 3)),
        (3, (1, 1, 1), (1, 1, 1)),
        (4, (0, 5, 0), (0, 4, 0)),
    ],
)
def test_a_sum_is_divided(total: int, weights: tuple[int, ...], parts: tuple[int, ...]) -> None:
    assert apportion(total, weights) == parts


@pytest.mark.parametrize("total", [-1, 11])
def test_no_more_is_divided_than_there_is(total: int) -> None:
    with pytest.raises(ValueError, match="cannot be divided"):
        apportion(total, (7, 3))


@given(WEIGHTS, st.fractions(0, 1))
def test_parts_come_to_the_sum_and_are_within_one_of_their_proportion(
    weights: list[int], part: Fraction
) -> None:
    total = int(sum(weights) * part)
    parts = apportion(total, weights)
    assert sum(parts) == total
    for got, weight in zip(parts, weights, strict=True):
        assert abs(got - Fraction(total * weight, sum(weights))) < 1
        assert 0 <= got <= weight


@given(MANY, st.fractions(0, 1))
def test_many_parts_are_within_two(weights: list[int], part: Fraction) -> None:
    total = int(sum(weights) * part)
    parts = apportion(total, weights)
    assert sum(parts) == total
    assert all(
        abs(got - Fraction(total * weight, sum(weights))) < 2
        for got, weight in zip(parts, weights, strict=True)
    )


@given(SMALL)
def test_every_single_unit_falls_to_one_part_and_is_never_taken_back(weights: list[int]) -> None:
    before = apportion(0, weights)
    for total in range(1, sum(weights) + 1):
        now = apportion(total, weights)
        assert sorted(a - b for a, b in zip(now, before, strict=True)) == [0] * (len(weights) - 1) + [1]
        before = now
    assert before == tuple(weights)


@given(WEIGHTS, st.fractions(0, 1), st.fractions(0, 1))
def test_parts_never_shrink(weights: list[int], one: Fraction, other: Fraction) -> None:
    less, more = sorted(int(sum(weights) * part) for part in (one, other))
    assert all(a <= b for a, b in zip(apportion(less, weights), apportion(more, weights), strict=True))


@given(funding())
def test_money_that_arrives_later_changes_nothing_of_what_was_spent_before(steps: list[Step]) -> None:
    put_in = [sum(column) for column in zip(*(step.added for step in steps), strict=True)]
    before = cumulative(0, steps)
    for total in range(1, sum(put_in) + 1):
        now = cumulative(total, steps)
        assert sorted(a - b for a, b in zip(now, before, strict=True)) == [0] * (len(now) - 1) + [1]
        if len(steps) > 1 and total <= steps[1].spent_before:
            assert now[-1] == 0
        before = now
    assert list(before) == put_in
