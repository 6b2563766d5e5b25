"""Numbers that strangers write into addresses."""

import pytest

from dure.control.foundation.http import whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), (str(2**63 - 1), 2**63 - 1), (str(2**63), None), ("9" * 5_000, None)]
    + [(text, None) for text in ("", " 1", "+1", "-1", "1.0", "1e3", "²", "９", "٣", "1\n", "0x1")],
)
def test_only_digits_are_a_number(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_what_is_too_large_is_none() -> None:
    assert (whole_number("24", most=24), whole_number("25", most=24)) == (24, None)
