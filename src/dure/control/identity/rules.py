"""Who may do what with people and organisations. Pure: an actor and values in, yes or no out."""

from uuid import UUID

from dure.control.foundation.actors import Actor

PLATFORM_KINDS = frozenset({"ministry", "agency"})
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
