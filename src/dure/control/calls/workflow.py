"""The states of calls, rounds, questions and steps, and every allowed change.

A call is a *draft* until its first round is published, and *closed* when its last round is. A round is *published*
for as long as it is worked on, before its opening, while it takes applications and while they are judged:
whether it is open is a matter of its two moments (`phase`), never of a state that something must set in time.
*closed* is an officer's word that a round is done, and *cancelled* that it will not be done. Neither comes back.

A step whose time is over is *expired* and waits for a person (*handled*), unless it was published as one that goes
on by itself (*advanced*).
"""

from datetime import datetime, timedelta
from typing import Final, Literal

type CallState = Literal["draft", "published", "closed", "cancelled"]
type RoundState = Literal["draft", "published", "closed", "cancelled"]
type QuestionState = Literal["open", "answered", "withheld"]
type StepState = Literal["waiting", "expired", "advanced", "handled"]
type Phase = Literal["draft", "upcoming", "open", "judging", "closed", "cancelled"]

_LIFE: Final[dict[str, frozenset[str]]] = {
    "draft": frozenset({"published"}),
    "published": frozenset({"closed", "cancelled"}),
    "closed": frozenset(),
    "cancelled": frozenset(),
}
CALL_TRANSITIONS: Final = _LIFE
ROUND_TRANSITIONS: Final = _LIFE
#: An answer may be put right, and a question that was withheld may be answered after all; neither is taken back.
QUESTION_TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "open": frozenset({"answered", "withheld"}),
    "answered": frozenset({"answered"}),
    "withheld": frozenset({"answered"}),
}
STEP_TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "waiting": frozenset({"expired", "advanced", "handled"}),
    "expired": frozenset({"handled", "waiting"}),  # waiting again: an extension moved its moment
    "advanced": frozenset(),
    "handled": frozenset(),
}

CALL_STATES: Final = tuple(CALL_TRANSITIONS)
ROUND_STATES: Final = tuple(ROUND_TRANSITIONS)
QUESTION_STATES: Final = tuple(QUESTION_TRANSITIONS)
STEP_STATES: Final = tuple(STEP_TRANSITIONS)

_TABLES: Final = {
    "call": CALL_TRANSITIONS,
    "round": ROUND_TRANSITIONS,
    "question": QUESTION_TRANSITIONS,
    "step": STEP_TRANSITIONS,
}


def may_become(thing: Literal["call", "round", "question", "step"], before: str, after: str) -> bool:
    return after in _TABLES[thing].get(before, frozenset())


def in_time(moment: datetime, due: datetime) -> bool:
    """A deadline names the last second that is in time: what comes at 18:00:00.9 is in time for 18:00:00."""
    return moment < due + timedelta(seconds=1)


def phase(state: str, opens_at: datetime | None, closes_at: datetime | None, at: datetime) -> Phase:
    """Where a round stands at a moment. It is open from `opens_at` on, and up to and with the second `closes_at`."""
    if state == "draft" or opens_at is None or closes_at is None:
        return "draft"
    if state == "closed":
        return "closed"
    if state == "cancelled":
        return "cancelled"
    if at < opens_at:
        return "upcoming"
    return "open" if in_time(at, closes_at) else "judging"
