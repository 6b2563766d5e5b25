"""How money is read and shown. Sums are integers of micro-won everywhere else."""

import re

from dure.contracts.money import MICRO_WON_PER_WON

_KRW = re.compile(r"[0-9]{1,3}(,[0-9]{3})+|[0-9]+")
MAX_KRW = 9_000_000_000_000  # nine trillion won: the largest sum whose micro-won fit a bigint
_KOREAN_UNITS = ((1_0000_0000, "억"), (1_0000, "만"))
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
    """Large sums to three or four figures: `1억 2,000만원`, `₩120M`; never more than it is."""
    sign = "-" if micro_won < 0 else ""
    won = abs(micro_won) // MICRO_WON_PER_WON
    if language.startswith("ko"):
        if won >= _KOREAN_UNITS[0][0]:
            hundred_millions, rest = divmod(won, _KOREAN_UNITS[0][0])
            ten_thousands = rest // _KOREAN_UNITS[1][0]
            tail = f" {ten_thousands:,}만" if ten_thousands and hundred_millions < 1_000 else ""
            return f"{sign}{hundred_millions:,}억{tail}원"
        if won >= _KOREAN_UNITS[1][0]:
            ten_thousands, rest = divmod(won, _KOREAN_UNITS[1][0])
            tail = f" {rest:,}" if rest and ten_thousands < 100 else ""
            return f"{sign}{ten_thousands:,}만{tail}원"
        return format_won(micro_won, language, decimals=0 if won >= 100 or not micro_won else 2)
    for size, letter in _ENGLISH_UNITS:
        if won >= size:
            tenths = won * 10 // size
            shown = (
                f"{tenths // 10:,}"
                if tenths % 10 == 0 or tenths >= 1_000
                else f"{tenths // 10:,}.{tenths % 10}"
            )
            return f"{sign}₩{shown}{letter}"
    return format_won(micro_won, language, decimals=0 if won >= 100 or not micro_won else 2)
