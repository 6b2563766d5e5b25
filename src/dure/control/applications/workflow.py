"""The states of applications, and every allowed change.

An application is a *draft* until it is first *submitted*. Until its deadline it may be submitted anew; what was
submitted last counts, so taking it up again loses nothing. After the deadline officers carry it along the call's
steps, and may find it *incomplete*, which starts a clock of its own. It ends *accepted* and then *awarded*,
*rejected*, *withdrawn* by the applicant, or *lapsed* as a draft that was never submitted. A rejection is taken
up again only by an objection; an extension brings a lapsed draft back.
"""

from typing import Final, Literal

ApplicationState = Literal[
    "draft", "submitted", "incomplete", "accepted", "rejected", "awarded", "withdrawn", "lapsed"
]

APPLICATION_TRANSITIONS: Final[dict[ApplicationState, frozenset[ApplicationState]]] = {
    "draft": frozenset({"submitted", "withdrawn", "lapsed"}),
    "submitted": frozenset({"incomplete", "accepted", "rejected", "withdrawn"}),
    "incomplete": frozenset({"submitted", "rejected", "withdrawn"}),
    "accepted": frozenset({"awarded", "rejected", "withdrawn"}),
    "rejected": frozenset({"submitted"}),
    "awarded": frozenset(),
    "withdrawn": frozenset(),
    "lapsed": frozenset({"draft"}),
}

APPLICATION_STATES: Final = tuple(APPLICATION_TRANSITIONS)
#: What counts as one application of an organisation in a round: another may be started only after these.
STANDING: Final[frozenset[ApplicationState]] = frozenset(
    {"draft", "submitted", "incomplete", "accepted", "awarded"}
)
#: What an officer sees; a draft is its writers' own.
SEEN_BY_OFFICERS: Final[frozenset[ApplicationState]] = frozenset(APPLICATION_STATES) - {"draft", "lapsed"}
#: Waits for an officer to do the next thing.
WITH_OFFICERS: Final[frozenset[ApplicationState]] = frozenset({"submitted", "accepted"})


def may_become(before: ApplicationState, after: ApplicationState) -> bool:
    return after in APPLICATION_TRANSITIONS[before]
