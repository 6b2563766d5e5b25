"""Who may do what with an application.

It belongs to its organisation: everybody there may read it, its writers and the administrators write, its lead
and the administrators hand it in. Officers of the call's agency or of its programme alone and auditors see what was
submitted, never a draft.
"""

from collections.abc import Collection
from uuid import UUID

from dure.control.applications.workflow import SEEN_BY_OFFICERS
from dure.control.foundation.actors import Actor

APPLICANT_ROLES = ("administrator", "developer")


def may_start(actor: Actor) -> bool:
    """For one's own organisation, which is none that gives the money."""
    return actor.organisation_id is not None and not actor.for_agency and actor.has(*APPLICANT_ROLES)


def is_own(actor: Actor, organisation_id: UUID) -> bool:
    return actor.is_system or actor.organisation_id == organisation_id


def may_see(
    actor: Actor, *, organisation_id: UUID, agency_id: UUID | None, programme_id: UUID, state: str
) -> bool:
    if is_own(actor, organisation_id):
        return True
    return state in SEEN_BY_OFFICERS and (actor.has("auditor") or may_decide(actor, agency_id, programme_id))


def may_write(actor: Actor, *, organisation_id: UUID, writers: Collection[UUID]) -> bool:
    return is_own(actor, organisation_id) and (actor.has("administrator") or actor.person_id in writers)


def may_hand_in(actor: Actor, *, organisation_id: UUID, lead: UUID | None) -> bool:
    """Submitting and withdrawing bind the organisation."""
    return is_own(actor, organisation_id) and (
        actor.has("administrator") or (lead is not None and actor.person_id == lead)
    )


def may_decide(actor: Actor, agency_id: UUID | None, programme_id: UUID) -> bool:
    """`agency_id` and `programme_id` say whose money is asked for."""
    return actor.officer_for(agency_id, programme_id)
