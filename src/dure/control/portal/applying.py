"""The part of an applicant's first page about applications: what waits for this person, and open calls that fit."""

from dataclasses import dataclass
from typing import Any

from dure.control.applications import selectors as applications
from dure.control.applications.selectors import Duty
from dure.control.calls import selectors as calls
from dure.control.calls.selectors import CallLine
from dure.control.foundation.actors import Actor

_DUTIES_SHOWN, _CALLS_SHOWN, _CALLS_LOOKED_AT = 5, 3, 20


@dataclass(frozen=True, slots=True)
class FittingCall:
    """An open call that the reader's organisation may apply to; `summary` is `met`, `needs_document` or `unknown`."""

    line: CallLine
    summary: str


def applying(actor: Actor) -> dict[str, Any]:
    """`duties`, those due first, and `fitting` calls in which the organisation has no application yet."""
    if actor.organisation_id is None or actor.is_platform or actor.organisation_kind == "provider":
        return {"duties": [], "fitting": []}
    duties: list[Duty] = applications.duties(actor=actor)[:_DUTIES_SHOWN]
    return {"duties": duties, "fitting": _fitting(actor)}


def _fitting(actor: Actor) -> list[FittingCall]:
    assert actor.organisation_id is not None
    open_calls = calls.calls(actor=actor, state="open", page_size=_CALLS_LOOKED_AT).items
    rounds = {line.round.id: line for line in open_calls if line.round is not None}
    begun = applications.rounds_standing_in(actor=actor, round_ids=rounds)
    fits = calls.fitting(organisation_id=actor.organisation_id, round_ids=set(rounds) - begun)
    found = [
        FittingCall(line, fits[round_id].summary)
        for round_id, line in rounds.items()
        if round_id in fits and fits[round_id].summary != "not_met"
    ]
    return found[:_CALLS_SHOWN]
