"""Sums as people write and read them."""

import pytest

from dure.control.foundation.money import MAX_KRW, format_won, format_won_rough, format_won_short, parse_krw

WON = 1_000_000


@pytest.mark.parametrize(
    ("text", "krw"), [("0", 0), ("1", 1), ("1,000,000", 1_000_000), (" 250000 ", 250_000)]
)
def test_whole_won_are_read(text: str, krw: int) -> None:
    assert parse_krw(text) == krw * WON


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1.5", "1,00", "만원", "1e6", "１０", "10 000", "1,0000", str(MAX_KRW + 1), "9" * 5_000],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="won"):
        parse_krw(text)


@pytest.mark.parametrize(
    ("micro_won", "korean", "english"),
    [
        (0, "0원", "₩0"),
        (1, "0.000001원", "₩0.000001"),
        (1_234_500_000, "1,234.5원", "₩1,234.5"),
        (-5 * WON, "-5원", "₩-5"),
        (120_000_000 * WON, "120,000,000원", "₩120,000,000"),
    ],
)
def test_sums_are_shown_exactly(micro_won: int, korean: str, english: str) -> None:
    assert format_won(micro_won, "ko") == korean
    assert format_won(micro_won, "en") == english


@pytest.mark.parametrize(
    ("krw", "korean", "english"),
    [
        (0, "0원", "₩0"),
        (9_999, "9,999원", "₩9,999"),
        (12_345, "1만 2,345원", "₩12,345"),
        (1_200_000, "120만원", "₩1,200,000"),
        (37_999_999, "3,799만 9,999원", "₩37,999,999"),
        (120_000_000, "1억 2,000만원", "₩120M"),
        (155_016_789, "1억 5,501만원", "₩155.01M"),
        (2_462_000_000, "24억 6,200만원", "₩2,462M"),
        (1_230_000_000_000, "12,300억원", "₩1,230B"),
        (-37_999_999, "-3,799만 9,999원", "₩-37,999,999"),
    ],
)
def test_sums_that_stand_beside_others_are_said_finely_enough_to_add_up(
    krw: int, korean: str, english: str
) -> None:
    assert format_won_short(krw * WON, "ko") == korean
    assert format_won_short(krw * WON, "en") == english


def test_what_is_left_of_a_round_grant_is_not_said_as_ten_thousand_less() -> None:
    granted, spent = 38_000_000 * WON, 170_000
    assert format_won_short(granted - spent, "ko") == "3,799만 9,999원"
    assert format_won_short(spent, "ko") == "0.17원"


@pytest.mark.parametrize(
    ("krw", "korean", "english"),
    [
        (0, "0원", "₩0"),
        (1_500, "1,500원", "₩1.5K"),
        (15_000, "1만 5,000원", "₩15K"),
        (7_499_999, "749만원", "₩7.4M"),
        (155_016_789, "1.55억원", "₩155M"),
        (200_000_000, "2억원", "₩200M"),
        (11_000_000_000, "110억원", "₩11B"),
    ],
)
def test_the_ends_of_an_axis_are_said_roughly(krw: int, korean: str, english: str) -> None:
    assert format_won_rough(krw * WON, "ko") == korean
    assert format_won_rough(krw * WON, "en") == english
