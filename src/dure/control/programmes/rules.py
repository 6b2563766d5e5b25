"""Who may do what with programmes and awards.

Programmes and their totals are public. An award is seen by its own organisation and by the platform;
money is moved by the officers of the agency whose money it is, and by those of the programme alone.
"""

from uuid import UUID

from dure.control.foundation.actors import Actor


def may_add_programme(actor: Actor, agency_id: UUID | None) -> bool:
    return actor.is_system or (actor.has("officer") and agency_id is not None and actor.acts_for(agency_id))


def may_add_source(actor: Actor) -> bool:
    """A source is a name until money is appropriated from it."""
    return actor.is_system or actor.has("officer")


def may_move_money(actor: Actor, agency_id: UUID | None, programme_id: UUID) -> bool:
    """Appropriate, grant and end: an officer of the programme's agency (any officer where it has none), and who is
    an officer of this programme alone."""
    return actor.officer_for(agency_id, programme_id)


def may_see_award(actor: Actor, organisation_id: UUID, agency_id: UUID | None, programme_id: UUID) -> bool:
    """`agency_id` and `programme_id` are those of the programme it was granted from."""
    return (
        actor.is_platform
        or actor.organisation_id == organisation_id
        or actor.officer_for(agency_id, programme_id)
    )
