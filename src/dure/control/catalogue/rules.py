"""Who may do what with the catalogue.

Everyone may read what is on offer. Prices that still lie ahead are shown to those who will pay them and to
the platform, never to a rival provider. Addresses and credentials are the provider's and the operator's.
"""

from uuid import UUID

from dure.control.foundation.actors import Actor


def may_apply(actor: Actor) -> bool:
    """Operators for every provider, a provider's managers for their own."""
    return actor.has("operator", "provider_manager")


def may_apply_for(actor: Actor, provider_id: UUID) -> bool:
    return actor.has("operator") or (actor.has("provider_manager") and actor.acts_for(provider_id))


def may_see_inside(actor: Actor, provider_id: UUID) -> bool:
    """Addresses, retired models and the whole price history."""
    return actor.is_platform or (actor.organisation_kind == "provider" and actor.acts_for(provider_id))


def may_see_coming_prices(actor: Actor, provider_id: UUID) -> bool:
    if actor.kind == "anonymous":
        return False
    return actor.organisation_kind != "provider" or may_see_inside(actor, provider_id)
