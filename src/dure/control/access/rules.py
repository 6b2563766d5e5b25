"""Who may see, issue and revoke keys.

The award's own organisation and the platform see that keys exist; a provider never does, not even of
calls it serves. Whoever may not see gets `not_found`, because that a row exists is already news.
"""

from uuid import UUID

from dure.control.foundation.actors import Actor


def may_see(actor: Actor, organisation_id: UUID) -> bool:
    return actor.is_platform or actor.organisation_id == organisation_id


def may_issue(actor: Actor, organisation_id: UUID) -> bool:
    """A key spends the organisation's award, so only its own people may have one made."""
    return actor.is_system or (
        actor.organisation_id == organisation_id and actor.has("administrator", "developer")
    )


def may_revoke(actor: Actor, organisation_id: UUID, agency_id: UUID | None) -> bool:
    """Stopping a leak is open to more people: the programme's officers and the operators, too."""
    if may_issue(actor, organisation_id) or actor.has("operator"):
        return True
    return actor.has("officer") and (agency_id is None or actor.organisation_id == agency_id)


def may_limit(actor: Actor, agency_id: UUID | None) -> bool:
    """An award's limits are set by those who grant it: officers of the programme's agency."""
    return actor.is_system or (actor.has("officer") and (agency_id is None or actor.acts_for(agency_id)))
