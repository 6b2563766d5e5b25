"""Who may do what with gateway processes. Pure: an actor and values in, yes or no out.

A lost process's money goes back to the awards it came from, so it takes officers of an agency whose money is in it,
and two of them. The command line's own actor is nobody in particular and may not stand in for either.
"""

from collections.abc import Collection
from uuid import UUID

from dure.control.foundation.actors import Actor


def may_see_processes(actor: Actor) -> bool:
    return actor.is_platform


def may_declare_lost(actor: Actor, agencies: Collection[UUID | None]) -> bool:
    """`agencies` are those whose awards the process holds money of; None stands for "no agency in particular"."""
    if actor.kind != "person" or actor.person_id is None or not actor.has("officer"):
        return False
    return not agencies or None in agencies or actor.organisation_id in agencies
