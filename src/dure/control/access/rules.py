"""Who may see, issue and revoke keys.

The award's own organisation and the platform see that keys exist; a provider never does, not even of
calls it serves. Whoever may not see gets `not_found`, because that a row exists is already news.
"""

from uuid import UUID

from dure.control.foundation.actors import Actor


def may_see(actor: Actor, organisation_id: UUID, agency_id: UUID | None, programme_id: UUID) -> bool:
    """`agency_id` and `programme_id` say whose money the award is; officers of that programme see it, too."""
    return (
        actor.is_platform
        or actor.organisation_id == organisation_id
        or actor.officer_for(agency_id, programme_id)
    )


def may_issue(actor: Actor, organisation_id: UUID) -> bool:
    """A key spends the organisation's award, so only its own people may have one made."""
    return actor.is_system or (
        actor.organisation_id == organisation_id and actor.has("administrator", "developer")
    )


def may_revoke(actor: Actor, organisation_id: UUID, agency_id: UUID | None, programme_id: UUID) -> bool:
    """Stopping a leak is open to more people: the programme's officers and the operators, too."""
    if may_issue(actor, organisation_id) or actor.has("operator"):
        return True
    return actor.officer_for(agency_id, programme_id)


def may_limit(actor: Actor, agency_id: UUID | None, programme_id: UUID) -> bool:
    """An award's limits are set by those who grant it: officers of the programme's agency, or of the programme."""
    return actor.officer_for(agency_id, programme_id)
