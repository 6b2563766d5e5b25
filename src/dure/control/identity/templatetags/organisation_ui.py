"""How the states of organisations, documents, connections and invitations are shown, and what happened to them."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from dure.control.foundation.models import AuditEvent
from dure.control.identity import facts
from dure.control.identity.models import Role

register = template.Library()

_GOOD, _WARN, _BAD, _PLAIN, _INFO = (
    "bg-light-success",
    "bg-light-warning",
    "bg-light-danger",
    "bg-light-gray",
    "bg-light-primary",
)


@dataclass(frozen=True, slots=True)
class Badge:
    text: Any
    style: str


_STYLES = {
    "unverified": _PLAIN,
    "asked": _WARN,
    "declared": _WARN,
    "open": _WARN,
    "verified": _GOOD,
    "accepted": _GOOD,
    "confirmed": _GOOD,
    "in_force": _GOOD,
    "upcoming": _INFO,
    "refused": _BAD,
    "expired": _BAD,
}
_COMPUTED = {
    "document": {"expired": pgettext_lazy("document", "out of date")},
    "ownership": {"ended": pgettext_lazy("ownership", "ended")},
    "invitation": {"expired": pgettext_lazy("invitation", "no longer valid")},
    "delegation": {
        "in_force": pgettext_lazy("delegation", "in force"),
        "upcoming": pgettext_lazy("delegation", "to come"),
        "ended": pgettext_lazy("delegation", "ended"),
        "revoked": pgettext_lazy("delegation", "ended early"),
    },
}


def _badge(of: str, state: str, labels: dict[str, Any]) -> Badge:
    text = _COMPUTED.get(of, {}).get(state) or labels.get(state, state)
    return Badge(text, _STYLES.get(state, _PLAIN))


@register.filter
def verification_badge(state: str) -> Badge:
    return _badge("organisation", state, dict(facts.VerificationState.choices))


@register.filter
def document_badge(state: str) -> Badge:
    return _badge("document", state, dict(facts.DocumentState.choices))


@register.filter
def link_badge(state: str) -> Badge:
    return _badge("ownership", state, dict(facts.LinkState.choices))


@register.filter
def invitation_badge(state: str) -> Badge:
    return _badge("invitation", state, dict(facts.InvitationState.choices))


@register.filter
def delegation_badge(state: str) -> Badge:
    return _badge("delegation", state, {})


_EVENTS = {
    "organisation.added": _("Organisation added"),
    "organisation.founded": _("Organisation registered"),
    "organisation.changed": _("Profile changed"),
    "organisation.verification_asked": _("Verification asked"),
    "organisation.verified": _("Organisation verified"),
    "organisation.verification_refused": _("Verification refused"),
    "document.added": _("Document handed in"),
    "document.withdrawn": _("Document withdrawn"),
    "document.accepted": _("Document accepted"),
    "document.refused": _("Document refused"),
    "ownership.declared": _("Connection declared"),
    "ownership.confirmed": _("Connection confirmed"),
    "ownership.refused": _("Connection refused"),
    "ownership.withdrawn": _("Connection withdrawn"),
    "ownership.end_asked": _("End of a connection reported"),
    "ownership.ended": _("End of a connection set"),
    "invitation.sent": _("Invitation sent"),
    "invitation.sent_again": _("Invitation sent again"),
    "invitation.revoked": _("Invitation revoked"),
    "invitation.accepted": _("Invitation accepted"),
    "invitation.declined": _("Invitation declined"),
    "membership.set": _("Roles of a member set"),
    "membership.ended": _("Membership ended"),
    "delegation.given": _("Roles lent"),
    "delegation.revoked": _("Delegation ended"),
}


@register.filter
def organisation_event(action: str) -> Any:
    return _EVENTS.get(action, action)


@register.filter
def organisation_event_detail(event: AuditEvent) -> str:
    """What tells this event from others of its kind: fields, a document, an address, roles; and the reason."""
    after = event.after or {}
    parts = []
    if event.action == "organisation.changed":
        parts.append(", ".join(str(facts.FIELD_TITLES[name]) for name in after if name in facts.FIELD_TITLES))
    elif event.action.startswith("document."):
        parts.append(str(dict(facts.DocumentKind.choices).get(after.get("kind", ""), "")))
    elif event.action.startswith("ownership."):
        parts.append(gettext("%(owner)s → %(owned)s") % {"owner": after["owner"], "owned": after["owned"]})
    elif event.action.startswith("invitation."):
        parts.append(str(after.get("email", "")))
    elif event.action.startswith(("membership.", "delegation.")) and after.get("roles"):
        known = dict(Role.choices)
        parts.append(", ".join(str(known.get(role, role)) for role in after["roles"]))
    parts.append(str(after.get("reason", "")))
    return " · ".join(filter(None, parts))


@register.filter
def file_size(size: int) -> str:
    """In KB or MB, as people read it."""
    return f"{max(size / 1024, 1):,.0f} KB" if size < 1 << 20 else f"{size / (1 << 20):,.1f} MB"
