"""Money is an integer number of micro-won (10⁻⁶ won), and is rounded in one place: here, up.

A price is quoted in won per million tokens, which is the same number as
micro-won per token; prices finer than that need six more digits, so a price is
kept as an integer number of micro-won per million units.
"""

from collections.abc import Iterable

MICRO_WON_PER_WON = 1_000_000
UNITS_PER_PRICE = 1_000_000


def cost_micro_won(lines: Iterable[tuple[int, int]]) -> int:
    """The charge for `(quantity, price)` lines, in micro-won, rounded up once over the sum.

    Quantities are whole units (tokens, characters, images); prices are micro-won
    per million units. Rounding the sum, not each line, keeps a charge within one
    micro-won of the exact figure however many meters it has.
    """
    numerator = 0
    for quantity, price in lines:
        if quantity < 0 or price < 0:
            raise ValueError(f"quantities and prices are never negative: {quantity} × {price}")
        numerator += quantity * price
    return rounded_up(numerator)


def rounded_up(numerator: int) -> int:
    """A sum of quantities times prices, as a charge in micro-won."""
    return -(-numerator // UNITS_PER_PRICE)
