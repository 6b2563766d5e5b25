"""The states of programmes and awards, and every allowed change.

A programme is *open* (it grants) or *closed*. An award is *open* until it is ended by an officer or by
its own end date, then *returning* while gateways still hold escrow of it, and *closed* when the last
unspent won is back in the appropriation. There is no way back: a new award is a new decision.
"""

from typing import Final, Literal

ProgrammeState = Literal["open", "closed"]
AwardState = Literal["open", "returning", "closed"]

PROGRAMME_TRANSITIONS: Final[dict[ProgrammeState, frozenset[ProgrammeState]]] = {
    "open": frozenset({"closed"}),
    "closed": frozenset({"open"}),
}

AWARD_TRANSITIONS: Final[dict[AwardState, frozenset[AwardState]]] = {
    "open": frozenset({"returning"}),
    "returning": frozenset({"closed"}),
    "closed": frozenset(),
}

#: When an own contribution is due: before the first call may be made, or any time until the award ends.
OWN_DUE: Final = ("before", "after")

#: What a source of money is: a line of a ministry's budget, a fund, or another public source.
SOURCE_KINDS: Final = ("budget", "fund", "other")

PROGRAMME_STATES: Final = tuple(PROGRAMME_TRANSITIONS)
AWARD_STATES: Final = tuple(AWARD_TRANSITIONS)


def may_become(before: AwardState, after: AwardState) -> bool:
    return after in AWARD_TRANSITIONS[before]
