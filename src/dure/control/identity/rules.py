"""Who may do what with people and organisations. Pure: an actor and values in, yes or no out."""

from uuid import UUID

from dure.control.foundation.actors import AGENCY_KINDS, Actor

ROLES_BY_KIND = {
    "ministry": frozenset({"officer", "operator", "auditor", "administrator", "viewer"}),
    "agency": frozenset({"officer", "operator", "auditor", "administrator", "viewer"}),
    "provider": frozenset({"provider_manager", "administrator", "developer", "viewer"}),
}
ORDINARY_ROLES = frozenset({"administrator", "developer", "viewer"})


def roles_allowed(organisation_kind: str) -> frozenset[str]:
    """The roles a membership of an organisation of this kind may carry."""
    return ROLES_BY_KIND.get(organisation_kind, ORDINARY_ROLES)


def may_add_organisation(actor: Actor) -> bool:
    return actor.has("officer", "operator")


def may_see_organisation(actor: Actor, organisation_id: UUID) -> bool:
    return actor.is_platform or actor.acts_for(organisation_id)


def may_manage_members(actor: Actor, organisation_id: UUID) -> bool:
    return actor.has("operator") or (actor.acts_for(organisation_id) and actor.has("administrator"))


def may_grant_roles(actor: Actor, roles: frozenset[str]) -> bool:
    """Platform roles are given by the platform's operators alone."""
    return actor.has("operator") or roles.isdisjoint({"officer", "operator", "auditor"})


def may_found(actor: Actor) -> bool:
    """Anybody who is somebody; that their e-mail is verified is asked of the person."""
    return actor.is_system or actor.person_id is not None


#: Ministries and agencies are added by the platform's operators; what a person founds uses or offers models.
FOUNDABLE_KINDS = ("startup", "sme", "public_body", "university", "institute", "provider")
ALL_KINDS = (*FOUNDABLE_KINDS, *sorted(AGENCY_KINDS))


def may_manage_organisation(actor: Actor, organisation_id: UUID) -> bool:
    """Profile, documents, ownership: the organisation's administrators, and the platform's operators."""
    return actor.has("operator") or (actor.acts_for(organisation_id) and actor.has("administrator"))


def may_verify(actor: Actor) -> bool:
    """Verifying organisations, their documents and their ownership."""
    return actor.has("officer")


#: Roles that are given by the platform's operators to one person, and lent to nobody.
BOUND_ROLES = frozenset({"operator", "auditor"})


def may_give_programme_roles(actor: Actor, agency_id: UUID | None) -> bool:
    """Operators, and officers of the programme's agency: nobody opens what is not theirs to open."""
    return actor.has("operator") or (
        actor.has("officer") and (agency_id is None or actor.acts_for(agency_id))
    )
