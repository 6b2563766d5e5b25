"""How money is read and shown. Sums are integers of micro-won everywhere else."""

import re

from dure.contracts.money import MICRO_WON_PER_WON

_KRW = re.compile(r"[0-9]{1,3}(,[0-9]{3})+|[0-9]+")
MAX_KRW = 9_000_000_000_000  # nine trillion won: the largest sum whose micro-won fit a bigint
_TEN_THOUSAND, _HUNDRED_MILLION = 1_0000, 1_0000_0000
_ENGLISH_UNITS = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K"))


def parse_krw(text: str) -> int:
    """Whole won, `1000000` or `1,000,000`, as micro-won; ValueError says what is wrong."""
    stripped = text.strip()
    if not _KRW.fullmatch(stripped):
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        raise ValueError(f"{shown!r} is not a sum in whole won, like 1000000 or 1,000,000")
    digits = stripped.replace(",", "").lstrip("0") or "0"
    # Counted first: Python refuses to read thousands of digits, in words of its own.
    if len(digits) > len(str(MAX_KRW)) or (krw := int(digits)) > MAX_KRW:
        raise ValueError(f"the largest sum is {MAX_KRW:,} won")
    return krw * MICRO_WON_PER_WON


def format_won(micro_won: int, language: str = "ko", *, decimals: int | None = None) -> str:
    """Exact, with separators: `1,234원` / `₩1,234`; fractions only where there are any.

    `decimals` cuts towards zero for display of live figures; the exact sum stays on the ledger.
    """
    sign = "-" if micro_won < 0 else ""
    whole, fraction = divmod(abs(micro_won), MICRO_WON_PER_WON)
    digits = f"{fraction:06d}"
    digits = digits.rstrip("0") if decimals is None else digits[:decimals]
    number = f"{sign}{whole:,}" + (f".{digits}" if digits else "")
    return f"{number}원" if language.startswith("ko") else f"₩{number}"


def format_won_short(micro_won: int, language: str = "ko") -> str:
    """A sum to be read among others that it is taken from or added to: `3,799만 9,999원`, `1억 2,000만원`.

    Below a hundred million every won is said, above it the last four digits are left out in either language, so
    that what was granted less what was spent is seen to be what is left. Never more than it is.
    """
    sign = "-" if micro_won < 0 else ""
    won = abs(micro_won) // MICRO_WON_PER_WON
    if won < _TEN_THOUSAND or (won < _HUNDRED_MILLION and not language.startswith("ko")):
        return format_won(micro_won, language, decimals=0 if won >= 100 or not micro_won else 2)
    if language.startswith("ko"):
        hundred_millions, rest = divmod(won, _HUNDRED_MILLION)
        ten_thousands, ones = divmod(rest, _TEN_THOUSAND)
        parts = [f"{hundred_millions:,}억"] if hundred_millions else []
        if ten_thousands and hundred_millions < 1_000:
            parts.append(f"{ten_thousands:,}만")
        if ones and not hundred_millions:
            parts.append(f"{ones:,}")
        return f"{sign}{' '.join(parts)}원"
    size, letter = (10**6, "M") if won < 1_000 * _HUNDRED_MILLION else (10**9, "B")
    return f"{sign}₩{_decimal(won, size, 2)}{letter}"


def format_won_rough(micro_won: int, language: str = "ko") -> str:
    """A sum to a few figures, for the ends of an axis: `1,500만원`, `1.55억원`, `₩1.5M`; never more than it is."""
    sign = "-" if micro_won < 0 else ""
    won = abs(micro_won) // MICRO_WON_PER_WON
    if language.startswith("ko"):
        if won >= _HUNDRED_MILLION:
            return f"{sign}{_decimal(won, _HUNDRED_MILLION, 2)}억원"
        if won >= 10 * _TEN_THOUSAND:
            return f"{sign}{won // _TEN_THOUSAND:,}만원"
        return format_won_short(micro_won, language)
    for size, letter in _ENGLISH_UNITS:
        if won >= size:
            return f"{sign}₩{_decimal(won, size, 1 if won < 100 * size else 0)}{letter}"
    return format_won_short(micro_won, language)


def _decimal(number: int, size: int, decimals: int) -> str:
    """`number / size`, cut, without zeros at its end."""
    whole, rest = divmod(number, size)
    fraction = str(rest * 10**decimals // size).zfill(decimals).rstrip("0") if decimals else ""
    return f"{whole:,}" + (f".{fraction}" if fraction else "")
