"""REST: members, invitations, roles lent, and roles in one programme."""

from datetime import datetime
from uuid import UUID

from ninja import Router, Schema, Status
from pydantic import AwareDatetime

from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience
from dure.control.identity import selectors, services
from dure.control.identity.api import MembershipOut
from dure.control.identity.organisation_api import OrganisationReasonIn, organisation_id_of

router = Router(tags=["members"])


class MemberPersonOut(Schema):
    id: UUID
    email: str
    name: str


class MemberOut(Schema):
    person: MemberPersonOut
    roles: list[str]
    valid_until: datetime | None


class RolesIn(Schema):
    roles: list[str]
    valid_until: AwareDatetime | None = None


class InvitationIn(Schema):
    email: str
    roles: list[str]
    membership_until: AwareDatetime | None = None
    language: str = "ko"


class InvitationOut(Schema):
    id: UUID
    organisation_slug: str
    organisation_name_ko: str
    organisation_name_en: str
    email: str
    roles: list[str]
    membership_until: datetime | None
    state: str
    invited_by_name: str
    invited_at: datetime
    expires_at: datetime
    answered_at: datetime | None


class DelegationIn(Schema):
    delegate_id: UUID
    roles: list[str]
    valid_until: AwareDatetime
    valid_from: AwareDatetime | None = None
    reason: str


class DelegationOut(Schema):
    id: UUID
    organisation_slug: str
    giver_id: UUID
    giver_name: str
    delegate_id: UUID
    delegate_name: str
    roles: list[str]
    reason: str
    valid_from: datetime
    valid_until: datetime
    state: str


class ProgrammeRoleIn(Schema):
    person_id: UUID
    programme_id: UUID
    role: str
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    reason: str = ""


class ProgrammeRoleOut(Schema):
    id: UUID
    person_id: UUID
    person_name: str
    person_email: str
    programme_id: UUID
    role: str
    valid_from: datetime
    valid_until: datetime | None
    given_by_name: str
    reason: str


@router.get("/organisations/{organisation}/members", response={200: list[MemberOut], **ERRORS})
@audience("signed_in")
def list_members(request: Request, organisation: str) -> object:
    """Who acts for the organisation, with what roles."""
    return selectors.members_of(organisation_id_of(request, organisation))


@router.put("/organisations/{organisation}/members/{person_id}", response={200: MemberOut, **ERRORS})
@audience("signed_in")
def change_member(request: Request, organisation: str, person_id: UUID, body: RolesIn) -> object:
    """Change a member's roles and last moment."""
    organisation_id = organisation_id_of(request, organisation)
    selectors.member(organisation_id, person_id)
    return services.add_membership(
        actor=actor_of(request),
        person_id=person_id,
        organisation_id=organisation_id,
        roles=body.roles,
        valid_until=body.valid_until,
    )


@router.delete("/organisations/{organisation}/members/{person_id}", response={204: None, **ERRORS})
@audience("signed_in")
def end_member(request: Request, organisation: str, person_id: UUID, reason: str = "") -> object:
    """End a membership, one's own or, as an administrator, another's. The last administrator stays."""
    services.end_membership(
        actor=actor_of(request),
        person_id=person_id,
        organisation_id=organisation_id_of(request, organisation),
        reason=reason,
    )
    return Status(204, None)


@router.get("/organisations/{organisation}/invitations", response={200: list[InvitationOut], **ERRORS})
@audience("signed_in")
def list_invitations(request: Request, organisation: str) -> object:
    """Invitations that wait, and those answered in the last sixty days; for its administrators."""
    return selectors.invitations_for_administrators(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation)
    )


@router.post("/organisations/{organisation}/invitations", response={201: InvitationOut, **ERRORS})
@audience("signed_in")
def invite(request: Request, organisation: str, body: InvitationIn) -> object:
    """Invite an address; the link in the mail works for 14 days and once."""
    view = services.invite(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation), **body.dict()
    )
    return Status(201, view)


@router.post("/invitations/{invitation_id}/resend", response={200: InvitationOut, **ERRORS})
@audience("signed_in")
def resend_invitation(request: Request, invitation_id: UUID) -> object:
    """Send it again with a new link."""
    return services.resend_invitation(actor=actor_of(request), invitation_id=invitation_id)


@router.delete("/invitations/{invitation_id}", response={200: InvitationOut, **ERRORS})
@audience("signed_in")
def revoke_invitation(request: Request, invitation_id: UUID) -> object:
    """Take it back; its link stops working."""
    return services.revoke_invitation(actor=actor_of(request), invitation_id=invitation_id)


@router.get("/me/invitations", response={200: list[InvitationOut], **ERRORS})
@audience("signed_in")
def my_invitations(request: Request) -> object:
    """Invitations to one's verified address that wait for an answer."""
    actor = actor_of(request)
    assert actor.person_id is not None
    return selectors.invitations_for(actor.person_id)


@router.post("/me/invitations/{invitation_id}/accept", response={200: MembershipOut, **ERRORS})
@audience("signed_in")
def accept_invitation(request: Request, invitation_id: UUID) -> object:
    """Act for the organisation from now on."""
    return services.accept_invitation(actor=actor_of(request), invitation_id=invitation_id)


@router.post("/me/invitations/{invitation_id}/decline", response={200: InvitationOut, **ERRORS})
@audience("signed_in")
def decline_invitation(request: Request, invitation_id: UUID) -> object:
    """Say no."""
    return services.decline_invitation(actor=actor_of(request), invitation_id=invitation_id)


@router.get("/organisations/{organisation}/delegations", response={200: list[DelegationOut], **ERRORS})
@audience("signed_in")
def list_delegations(request: Request, organisation: str) -> object:
    """Roles lent in the organisation."""
    return selectors.delegations_of(organisation_id_of(request, organisation))


@router.post("/organisations/{organisation}/delegations", response={201: DelegationOut, **ERRORS})
@audience("signed_in")
def delegate(request: Request, organisation: str, body: DelegationIn) -> object:
    """Lend one's own roles to another member, until a date."""
    view = services.delegate(
        actor=actor_of(request), organisation_id=organisation_id_of(request, organisation), **body.dict()
    )
    return Status(201, view)


@router.delete("/delegations/{delegation_id}", response={200: DelegationOut, **ERRORS})
@audience("signed_in")
def revoke_delegation(request: Request, delegation_id: UUID) -> object:
    """End it now."""
    return services.revoke_delegation(actor=actor_of(request), delegation_id=delegation_id)


@router.get("/programme-roles", response={200: list[ProgrammeRoleOut], **ERRORS})
@audience("officer", "operator", "auditor")
def list_programme_roles(request: Request, programme_id: UUID) -> object:
    """Who is officer or reviewer of one programme alone."""
    return selectors.people_with_programme_role(programme_id)


@router.get("/me/programme-roles", response={200: list[ProgrammeRoleOut], **ERRORS})
@audience("signed_in")
def my_programme_roles(request: Request) -> object:
    """What one is in single programmes."""
    actor = actor_of(request)
    assert actor.person_id is not None
    return selectors.programme_roles(actor.person_id)


@router.post("/programme-roles", response={201: ProgrammeRoleOut, **ERRORS})
@audience("officer", "operator")
def give_programme_role(request: Request, body: ProgrammeRoleIn) -> object:
    """Make a person officer or reviewer of one programme."""
    return Status(201, services.give_programme_role(actor=actor_of(request), **body.dict()))


@router.post("/programme-roles/{programme_role_id}/take", response={200: ProgrammeRoleOut, **ERRORS})
@audience("officer", "operator")
def take_programme_role(request: Request, programme_role_id: UUID, body: OrganisationReasonIn) -> object:
    """End it now, with a reason."""
    return services.take_programme_role(
        actor=actor_of(request), programme_role_id=programme_role_id, reason=body.reason
    )
