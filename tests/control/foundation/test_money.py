"""Sums as people write and read them."""

import pytest

from dure.control.foundation.money import MAX_KRW, format_won, format_won_short, parse_krw

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
        (9_999, "9,999원", "₩9.9K"),
        (12_345, "1만 2,345원", "₩12.3K"),
        (1_200_000, "120만원", "₩1.2M"),
        (120_000_000, "1억 2,000만원", "₩120M"),
        (11_000_000_000, "110억원", "₩11B"),
    ],
)
def test_large_sums_are_shown_short_and_never_as_more_than_they_are(
    krw: int, korean: str, english: str
) -> None:
    assert format_won_short(krw * WON, "ko") == korean
    assert format_won_short(krw * WON, "en") == english
