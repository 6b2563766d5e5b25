"""Questions about how people come to act for organisations: invitations, and roles lent. Read through `selectors`."""

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core import signing
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import clock
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page
from dure.control.identity.facts import InvitationState
from dure.control.identity.models import Delegation, Invitation, Membership, Organisation, Person, Role

INVITATION_VALID_FOR = timedelta(days=14)
#: Keeps an invitation's token from being taken for anything else that is signed.
TOKEN_SALT = "dure.identity.invitation"  # noqa: S105 - no secret


@dataclass(frozen=True, slots=True)
class InvitationView:
    id: UUID
    organisation_id: UUID
    organisation_slug: str
    organisation_name_ko: str
    organisation_name_en: str
    email: str
    roles: tuple[str, ...]
    membership_until: datetime | None
    state: str
    invited_by_name: str
    invited_at: datetime
    expires_at: datetime
    answered_at: datetime | None

    @property
    def role_names(self) -> list[str]:
        return [str(Role(role).label) for role in self.roles]

    @property
    def shown_state(self) -> str:
        """Its state, and `expired` where nobody answered in time."""
        return "expired" if self.state == "open" and self.expires_at <= clock.now() else self.state

    @property
    def answerable(self) -> bool:
        return self.shown_state == "open"

    @property
    def masked_email(self) -> str:
        """Enough of the address for who knows it, and no more for others."""
        name, _at, domain = self.email.partition("@")
        return f"{name[:1]}{'•' * 5}@{domain}"


@dataclass(frozen=True, slots=True)
class DelegationView:
    id: UUID
    organisation_id: UUID
    organisation_slug: str
    organisation_name_ko: str
    organisation_name_en: str
    giver_id: UUID
    giver_name: str
    delegate_id: UUID
    delegate_name: str
    roles: tuple[str, ...]
    reason: str
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None

    @property
    def role_names(self) -> list[str]:
        return [str(Role(role).label) for role in self.roles]

    @property
    def state(self) -> str:
        now = clock.now()
        if self.revoked_at is not None:
            return "revoked"
        if self.valid_until <= now:
            return "ended"
        return "upcoming" if self.valid_from > now else "in_force"

    @property
    def live(self) -> bool:
        return self.state in {"in_force", "upcoming"}


@dataclass(frozen=True, slots=True)
class LentRole:
    """A role that a person holds for another, as of now."""

    role: str
    giver_id: UUID
    giver_name: str


def invitation_by_token(token: str) -> InvitationView:
    """What a mailed link leads to; `NotFound` for one that was never sent, is too old, or was sent anew since."""
    try:
        identity, nonce = signing.loads(token, salt=TOKEN_SALT, max_age=INVITATION_VALID_FOR)
        row = Invitation.objects.select_related("organisation").get(pk=UUID(identity))
    except (signing.BadSignature, ValueError, TypeError, Invitation.DoesNotExist):
        row, nonce = None, ""
    if row is None or not hmac.compare_digest(row.nonce, str(nonce)) or not row.organisation.active:
        raise NotFound(
            _("This invitation is not valid, or a newer mail has taken its place."),
            code="invitation_not_found",
            remedy=_("Open the link in the latest mail, or ask for a new invitation."),
        )
    return invitation_view(row)


def invitation_token(row: Invitation) -> str:
    """What the mailed link carries."""
    return signing.dumps([str(row.pk), row.nonce], salt=TOKEN_SALT)


def invitations_of(organisation_id: UUID) -> list[InvitationView]:
    """Invitations of an organisation that wait, and those of the last sixty days that were answered; latest first."""
    since = clock.now() - timedelta(days=60)
    rows = (
        Invitation.objects.select_related("organisation")
        .filter(Q(state=InvitationState.OPEN) | Q(answered_at__gte=since), organisation_id=organisation_id)
        .order_by("-invited_at", "-id")[:200]
    )
    return [invitation_view(row) for row in rows]


def invitation_of(organisation_id: UUID, invitation_id: UUID) -> InvitationView:
    """One of an organisation's invitations; raises `NotFound`."""
    rows = Invitation.objects.select_related("organisation")
    row = rows.filter(pk=invitation_id, organisation_id=organisation_id).first()
    if row is None:
        raise NotFound(code="invitation_not_found")
    return invitation_view(row)


def delegation_of(organisation_id: UUID, delegation_id: UUID) -> DelegationView:
    """One delegation in an organisation; raises `NotFound`."""
    row = _related(Delegation.objects.filter(pk=delegation_id, organisation_id=organisation_id)).first()
    if row is None:
        raise NotFound(code="delegation_not_found")
    return delegation_view(row)


@once_a_page
def invitations_for(person_id: UUID) -> list[InvitationView]:
    """Invitations that wait for this person's answer: to their verified address, and still valid."""
    verified = Person.objects.filter(pk=person_id, is_active=True, email_verified_at__isnull=False)
    rows = Invitation.objects.select_related("organisation").filter(
        email__in=verified.values("email"),
        state=InvitationState.OPEN,
        expires_at__gt=clock.now(),
        organisation__active=True,
    )
    return [invitation_view(row) for row in rows.order_by("invited_at", "id")]


def invitation_for(*, person_id: UUID | None, invitation_id: UUID) -> InvitationView:
    """One that was sent to this person's verified address, whatever became of it; raises `NotFound`."""
    person = verified_person(person_id)
    row = (
        Invitation.objects.select_related("organisation")
        .filter(pk=invitation_id, email=person.email, organisation__active=True)
        .first()
        if person
        else None
    )
    if row is None:
        raise NotFound(code="invitation_not_found")
    return invitation_view(row)


def verified_person(person_id: UUID | None) -> Person | None:
    """Someone who is known to read mail at their address."""
    if person_id is None:
        return None
    return Person.objects.filter(pk=person_id, is_active=True, email_verified_at__isnull=False).first()


def lent_roles(*, person_id: UUID, organisation_id: UUID) -> list[LentRole]:
    """Roles that others lent to a person in an organisation and still hold themselves, as of now."""
    rows = _in_force(_live().filter(delegate_id=person_id, organisation_id=organisation_id))
    found = list(rows.values_list("giver_id", "giver__name", "roles"))
    held = _held({(giver_id, organisation_id) for giver_id, _name, _roles in found})
    return [
        LentRole(role=role, giver_id=giver_id, giver_name=name)
        for giver_id, name, roles in found
        for role in roles
        if role in held[giver_id, organisation_id]
    ]


def delegates_with(organisation_id: UUID, roles: list[str]) -> list[Person]:
    """Members who stand in for someone in one of these roles, as of now."""
    return _delegates(_live().filter(organisation_id=organisation_id), roles)


def delegates_anywhere(role: str) -> list[Person]:
    """Who stands in for someone in this role in whichever organisation, as of now."""
    return _delegates(_live(), [role])


def _delegates(live: QuerySet[Delegation], roles: list[str]) -> list[Person]:
    rows = _in_force(live).filter(roles__overlap=roles, delegate__is_active=True)
    found = list(rows.select_related("delegate"))
    held = _held({(row.giver_id, row.organisation_id) for row in found})
    return [
        row.delegate for row in found if set(roles) & set(row.roles) & held[row.giver_id, row.organisation_id]
    ]


def delegations_of(organisation_id: UUID) -> list[DelegationView]:
    """Roles lent in an organisation, now and to come; and those that ended in the last thirty days."""
    since = clock.now() - timedelta(days=30)
    rows = Delegation.objects.filter(
        Q(revoked_at=None) | Q(revoked_at__gte=since), organisation_id=organisation_id, valid_until__gte=since
    )
    return [delegation_view(row) for row in _related(rows)]


def delegations_concerning(person_id: UUID) -> list[DelegationView]:
    """Roles this person lends or is lent, now and to come, in all their organisations."""
    return [
        delegation_view(row)
        for row in _related(_live().filter(Q(giver_id=person_id) | Q(delegate_id=person_id)))
    ]


def _live() -> QuerySet[Delegation]:
    return Delegation.objects.filter(revoked_at=None, valid_until__gt=clock.now(), organisation__active=True)


def _related(rows: QuerySet[Delegation]) -> QuerySet[Delegation]:
    return rows.select_related("organisation", "giver", "delegate").order_by("-valid_from", "-id")


def _in_force(live: QuerySet[Delegation]) -> QuerySet[Delegation]:
    """Latest first. What the giver does not hold any more is still in it (`_held`)."""
    return live.filter(valid_from__lte=clock.now(), giver__is_active=True).order_by("-valid_from", "-id")


def _held(givers: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], set[str]]:
    """What people hold today themselves, by person and organisation. Nobody lends more than they have, nor longer."""
    held: dict[tuple[UUID, UUID], set[str]] = {giver: set() for giver in givers}
    if not held:
        return held
    now = clock.now()
    rows = Membership.objects.filter(
        Q(valid_until=None) | Q(valid_until__gt=now),
        person_id__in={person_id for person_id, _organisation in held},
        organisation_id__in={organisation_id for _person, organisation_id in held},
        valid_from__lte=now,
    )
    for person_id, organisation_id, roles in rows.values_list("person_id", "organisation_id", "roles"):
        held.get((person_id, organisation_id), set()).update(roles)
    return held


def invitation_view(row: Invitation) -> InvitationView:
    return InvitationView(
        id=row.pk,
        **_organisation(row.organisation),
        email=row.email,
        roles=tuple(row.roles),
        membership_until=row.membership_until,
        state=row.state,
        invited_by_name=row.invited_by_name,
        invited_at=row.invited_at,
        expires_at=row.expires_at,
        answered_at=row.answered_at,
    )


def delegation_view(row: Delegation) -> DelegationView:
    return DelegationView(
        id=row.pk,
        **_organisation(row.organisation),
        giver_id=row.giver_id,
        giver_name=row.giver.name,
        delegate_id=row.delegate_id,
        delegate_name=row.delegate.name,
        roles=tuple(row.roles),
        reason=row.reason,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        revoked_at=row.revoked_at,
    )


def _organisation(row: Organisation) -> dict[str, Any]:
    return {
        "organisation_id": row.pk,
        "organisation_slug": row.slug,
        "organisation_name_ko": row.name_ko,
        "organisation_name_en": row.name_en,
    }
