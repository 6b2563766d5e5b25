"""How much an organisation brings itself (자부담): one rule, one rounding.

A rule states the own share in basis points (1/100 of a percent) of the *whole* sum, that is public money and own
share together. The own share is rounded up to whole won, in favour of the state, and then bounded by the
rule's least and most sum. Either the whole is given and divided, or the public money is given and the own share is
what must come on top so that it makes up its part of the whole.
"""

from dataclasses import dataclass
from typing import Final

from dure.contracts.money import MICRO_WON_PER_WON

#: Sizes of organisations (Framework Act on Small and Medium Enterprises, 중소기업기본법, Article 2; Special Act on
#: Mid-sized Enterprises); `none` for those that are no enterprise.
SIZE_CLASSES: Final = ("micro", "small", "medium", "mid_sized", "large", "none")

WHOLE_BP: Final = 10_000


@dataclass(frozen=True, slots=True)
class OwnShareRule:
    """A share in basis points of the whole (0 to 9,999), and bounds of the sum in micro-won (None: no upper bound)."""

    share_bp: int = 0
    least_micro_won: int = 0
    most_micro_won: int | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A whole sum in two parts, in micro-won."""

    public_micro_won: int
    own_micro_won: int

    @property
    def whole_micro_won(self) -> int:
        return self.public_micro_won + self.own_micro_won


def divide(whole_micro_won: int, rule: OwnShareRule) -> Split:
    """Divide a whole sum. The own share never exceeds the whole."""
    own = _bounded(_up(whole_micro_won * rule.share_bp, WHOLE_BP), rule)
    own = min(own, whole_micro_won)
    return Split(whole_micro_won - own, own)


def on_top(public_micro_won: int, rule: OwnShareRule) -> Split:
    """The own share that must come on top of this much public money."""
    own = _up(public_micro_won * rule.share_bp, WHOLE_BP - rule.share_bp)
    return Split(public_micro_won, _bounded(own, rule))


def _up(numerator: int, denominator: int) -> int:
    """The quotient, rounded up to whole won."""
    return -(-numerator // (denominator * MICRO_WON_PER_WON)) * MICRO_WON_PER_WON


def _bounded(own_micro_won: int, rule: OwnShareRule) -> int:
    if not rule.share_bp and not rule.least_micro_won:
        return 0
    own = max(own_micro_won, rule.least_micro_won)
    return own if rule.most_micro_won is None else min(own, rule.most_micro_won)
