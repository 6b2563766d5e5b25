"""Whose programme it is. Programmes are opaque ids in this room; the room of programmes registers who knows."""

from collections.abc import Callable
from uuid import UUID

from dure.control.foundation.actors import Actor
from dure.control.identity import rules

_whose: list[Callable[[UUID], UUID | None]] = []


def ask_whose_programme(find: Callable[[UUID], UUID | None]) -> None:
    """Register who says which agency's a programme is (None: no agency's); it raises `NotFound` for no programme."""
    _whose[:] = [find]


def may_give_programme_roles(*, actor: Actor, programme_id: UUID) -> bool:
    """Whether the actor gives and takes roles in this programme; raises `NotFound` where there is none."""
    return rules.may_give_programme_roles(actor, _whose[0](programme_id))
