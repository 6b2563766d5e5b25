"""What rooms above may want to hear of. They register in their `AppConfig.ready`; this room never imports them.

A listener runs inside the transaction of the cause: what it writes is written with it, and what it raises undoes it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dure.control.foundation.actors import Actor

__all__ = [
    "Applying",
    "applying",
    "call_cancelled",
    "deadline_moved",
    "granted_micro_won",
    "round_published",
    "step_advanced",
    "step_expired",
]


class Hook[**P]:
    """A list of listeners, called in the order in which they registered."""

    def __init__(self) -> None:
        self._listeners: list[Callable[P, object]] = []

    def register(self, listener: Callable[P, object]) -> None:
        """Also usable as a decorator; the same listener is registered once."""
        if listener not in self._listeners:
            self._listeners.append(listener)

    def unregister(self, listener: Callable[P, object]) -> None:
        self._listeners.remove(listener)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for listener in list(self._listeners):
            listener(*args, **kwargs)


#: (round_id)
round_published: Hook[[UUID]] = Hook()
#: (round_id, old_closes_at, new_closes_at, reason): tell everyone with a draft.
deadline_moved: Hook[[UUID, datetime, datetime, str]] = Hook()
#: (call_id, round_ids, reason)
call_cancelled: Hook[[UUID, Collection[UUID], str]] = Hook()
#: (round_id, step_key): its time is over and it waits for a person.
step_expired: Hook[[UUID, str]] = Hook()
#: (round_id, step_key): its time is over, and it was published as one that goes on by itself.
step_advanced: Hook[[UUID, str]] = Hook()

type Granted = Callable[[Collection[UUID]], Mapping[UUID, int]]
_granted: list[Granted] = []


def answer_granted_micro_won(answer: Granted) -> None:
    """Register who knows what was granted from rounds: round ids in, micro-won by round out."""
    _granted[:] = [answer]


def granted_micro_won(round_ids: Collection[UUID]) -> Mapping[UUID, int]:
    """What was granted from these rounds so far; nothing is known while no room answers."""
    return _granted[0](round_ids) if _granted and round_ids else {}


@dataclass(frozen=True, slots=True)
class Applying:
    """Whether an actor may begin an application for their organisation, and the one it has in a round: its page and
    whether it is still a draft."""

    may: bool = True
    path: str = ""
    draft: bool = False


type AskApplying = Callable[[Actor, UUID], Applying]
_applying: list[AskApplying] = []


def answer_applying(answer: AskApplying) -> None:
    """Register who knows what an actor's organisation has in a round."""
    _applying[:] = [answer]


def applying(actor: Actor, round_id: UUID) -> Applying:
    """Everybody may and nobody has while no room answers."""
    return _applying[0](actor, round_id) if _applying else Applying()
