"""What is known of all organisations at once, in one query each: for counting whom a rule would fit.

Read through `selectors`, the room's door.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from dure.control.identity.models import Organisation, OrganisationDocument
from dure.control.identity.organisation_models import OUTSIDE, OwnershipLink
from dure.control.identity.organisation_selectors import (
    CONTROLLING_SHARE_BP,
    OrganisationProfile,
    profile_view,
    today,
)


def every_profile() -> list[OrganisationProfile]:
    """All active organisations."""
    return [profile_view(row) for row in Organisation.objects.filter(active=True).order_by("pk")]


def every_document_state() -> dict[UUID, dict[str, str]]:
    """Organisation → kind of document → `valid` (accepted and in date) or `asked`; others are missing."""
    current = Q(state="accepted") & (Q(valid_until=None) | Q(valid_until__gte=today()))
    rows = OrganisationDocument.objects.filter(current | Q(state="asked"))
    found: dict[UUID, dict[str, str]] = {}
    for organisation_id, kind, state in rows.values_list("organisation_id", "kind", "state"):
        states = found.setdefault(organisation_id, {})
        if states.get(kind) != "valid":
            states[kind] = "valid" if state == "accepted" else "asked"
    return found


def every_group() -> dict[UUID, frozenset[UUID]]:
    """Organisation → its ownership group, for those that are bound to another; the same as `ownership_group`."""
    day = today()
    rows = OwnershipLink.objects.filter(
        Q(valid_until=None) | Q(valid_until__gte=day),
        Q(kind="control") | Q(share_bp__gte=CONTROLLING_SHARE_BP),
        state="confirmed",
        valid_from__lte=day,
    )
    found: dict[UUID, frozenset[UUID]] = {}
    for nodes in _bound(rows.values_list("owner_node", "owned_node")):
        group = frozenset(UUID(node) for node in nodes if _is_organisation(node))
        if len(group) > 1:
            found |= dict.fromkeys(group, group)
    return found


def _bound(links: Iterable[tuple[str | None, str | None]]) -> list[set[str]]:
    """Sets of nodes that links connect, however many lie between."""
    set_of: dict[str, set[str]] = {}
    for owner, owned in links:
        if owner is None or owned is None:
            continue
        one, other = set_of.setdefault(owner, {owner}), set_of.setdefault(owned, {owned})
        if one is other:
            continue
        small, large = sorted((one, other), key=len)
        large |= small
        set_of |= dict.fromkeys(small, large)
    return list({id(nodes): nodes for nodes in set_of.values()}.values())


def _is_organisation(node: str) -> bool:
    return not node.startswith(OUTSIDE)
