"""One rule, one rounding: up to whole won, in favour of the state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.control.programmes.conftest import won

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.programmes.own_share import OwnShareRule, Split, divide, on_top

SUMS = st.integers(1, 10**16)
RULES = st.builds(OwnShareRule, share_bp=st.integers(0, 9_999))


@pytest.mark.parametrize(
    ("whole", "share_bp", "split"),
    [
        (won(100), 1_000, Split(won(90), won(10))),
        (won(101), 1_000, Split(won(90), won(11))),
        (won(1), 5_000, Split(0, won(1))),
        (won(100), 0, Split(won(100), 0)),
    ],
)
def test_a_whole_is_divided(whole: int, share_bp: int, split: Split) -> None:
    assert divide(whole, OwnShareRule(share_bp)) == split


@pytest.mark.parametrize(
    ("public", "share_bp", "own"),
    [(won(90), 1_000, won(10)), (won(91), 1_000, won(11)), (won(1), 5_000, won(1)), (won(5), 0, 0)],
)
def test_the_own_share_comes_on_top(public: int, share_bp: int, own: int) -> None:
    assert on_top(public, OwnShareRule(share_bp)) == Split(public, own)


def test_bounds_hold_after_the_rounding() -> None:
    rule = OwnShareRule(1_000, least_micro_won=won(20), most_micro_won=won(30))
    assert [divide(won(krw), rule).own_micro_won for krw in (100, 250, 10_000)] == [won(20), won(25), won(30)]
    assert divide(won(15), rule) == Split(0, won(15))
    assert on_top(won(10_000), OwnShareRule(0, least_micro_won=won(7))).own_micro_won == won(7)


@given(SUMS, RULES)
def test_parts_make_the_whole_and_never_favour_the_organisation(whole: int, rule: OwnShareRule) -> None:
    split = divide(whole, rule)
    assert split.whole_micro_won == whole
    assert split.own_micro_won * 10_000 >= whole * rule.share_bp
    exact = -(-whole * rule.share_bp // 10_000)
    assert 0 <= split.own_micro_won - exact < MICRO_WON_PER_WON


@given(SUMS, RULES)
def test_what_comes_on_top_makes_up_its_part_of_the_whole(public: int, rule: OwnShareRule) -> None:
    split = on_top(public, rule)
    assert split.own_micro_won % MICRO_WON_PER_WON == 0
    assert split.own_micro_won * 10_000 >= split.whole_micro_won * rule.share_bp
