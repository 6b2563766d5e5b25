"""What a programme counts. An account, a line and an appropriation have one unit each; two are never mixed."""

from dataclasses import dataclass
from typing import Final

from dure.contracts.money import MICRO_WON_PER_WON

KRW: Final = "KRW"
GPU_SECOND: Final = "GPU_SECOND"


@dataclass(frozen=True, slots=True)
class Unit:
    """`parts` of the ledger's integers make one of the unit."""

    name: str
    parts: int


UNITS: Final = {KRW: Unit(KRW, MICRO_WON_PER_WON), GPU_SECOND: Unit(GPU_SECOND, 1)}
UNIT_NAMES: Final = tuple(UNITS)
