"""Who may do what with calls. Pure: an actor and values in, yes or no out.

What is published is public, and stays so. A draft is its own agency's officers' alone, and those of its programme.
`agency_id` and `programme_id` are the call's programme and whose it is.
"""

from uuid import UUID

from dure.control.foundation.actors import Actor


def may_manage(actor: Actor, agency_id: UUID | None, programme_id: UUID) -> bool:
    """Write, publish, extend and end: an officer of the programme's agency (any officer where it has none), and who is
    an officer of this programme alone."""
    return actor.officer_for(agency_id, programme_id)


def may_see_call(actor: Actor, agency_id: UUID | None, programme_id: UUID, state: str) -> bool:
    return state != "draft" or may_manage(actor, agency_id, programme_id)


def may_ask(actor: Actor) -> bool:
    """A question is asked by a person for the organisation they act for."""
    return actor.kind == "person" and actor.person_id is not None and actor.organisation_id is not None


def may_see_question(
    actor: Actor, agency_id: UUID | None, programme_id: UUID, *, state: str, organisation_id: UUID | None
) -> bool:
    """Answered ones are public; the others are the asking organisation's and the officers'."""
    return (
        state == "answered"
        or may_manage(actor, agency_id, programme_id)
        or (organisation_id is not None and actor.organisation_id == organisation_id)
    )


def may_know_asker(
    actor: Actor, agency_id: UUID | None, programme_id: UUID, *, organisation_id: UUID | None
) -> bool:
    """Who asked is never public: it would tell competitors who applies."""
    return may_manage(actor, agency_id, programme_id) or (
        organisation_id is not None and actor.organisation_id == organisation_id
    )
