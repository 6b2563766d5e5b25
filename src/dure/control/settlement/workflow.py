"""The states of declaring a gateway process lost, and every allowed change.

A declaration is *requested* by one officer. Another *confirms* it within `TERM`, which returns the process's escrow
to the awards; either may *withdraw* it before that. One that nobody confirms in time is *expired* and may be
requested anew. Confirmed is for good: the process stays lost, whatever its journal says when it turns up.
"""

from datetime import timedelta
from typing import Final, Literal

LossState = Literal["requested", "confirmed", "withdrawn", "expired"]

TERM: Final = timedelta(days=7)

LOSS_TRANSITIONS: Final[dict[LossState, frozenset[LossState]]] = {
    "requested": frozenset({"confirmed", "withdrawn", "expired"}),
    "confirmed": frozenset(),
    "withdrawn": frozenset(),
    "expired": frozenset(),
}

LOSS_STATES: Final = tuple(LOSS_TRANSITIONS)


def may_become(before: LossState, after: LossState) -> bool:
    return after in LOSS_TRANSITIONS[before]
