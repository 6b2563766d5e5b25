"""Asking someone by e-mail to act for an organisation.

The mailed link carries a signed token with the invitation's nonce; a new sending has a new nonce, so only the latest
link works. Whoever opens it must be signed in with the address it was sent to, verified: a link that was passed on
lets nobody in.
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock, outbox, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import rules, selectors, telling, workflow
from dure.control.identity.facts import InvitationState
from dure.control.identity.membership_selectors import (
    INVITATION_VALID_FOR,
    InvitationView,
    invitation_token,
    invitation_view,
    verified_person,
)
from dure.control.identity.models import Invitation, Organisation, Person, Role
from dure.control.identity.selectors import MembershipView
from dure.control.identity.services.guarding import locked
from dure.control.identity.services.memberships import checked_roles, put

MOST_OPEN = 100
PAUSE_BETWEEN_SENDINGS = timedelta(minutes=1)


@transaction.atomic
def invite(
    *,
    actor: Actor,
    organisation_id: UUID,
    email: str,
    roles: list[str],
    membership_until: datetime | None = None,
    language: str = "ko",
) -> InvitationView:
    """Invite an address; the link in the mail works for 14 days and once.

    Raises `Conflict` `already_member` or `invitation_exists`.
    """
    row = _managed(actor, organisation_id)
    address, wanted = _address(email), frozenset(roles)
    checked_roles(row.kind, wanted)
    if not rules.may_grant_roles(actor, wanted):
        raise Forbidden
    _dates(membership_until)
    if language not in {"ko", "en"}:
        raise Invalid("language_unknown", _("The language is ko or en."), field="language")
    if any(member.person.email == address for member in selectors.members_of(row.pk)):
        raise Conflict(
            "already_member",
            _("%(email)s acts for the organisation already.") % {"email": address},
            field="email",
            remedy=_("Change the roles on the members' page."),
        )
    waiting = Invitation.objects.select_for_update().filter(organisation=row, state=InvitationState.OPEN)
    now = clock.now()
    standing = waiting.filter(email=address).first()
    if standing is not None and standing.expires_at > now:
        raise Conflict(
            "invitation_exists",
            _("%(email)s has been invited already.") % {"email": address},
            field="email",
            remedy=_("Send the invitation again, or revoke it first."),
        )
    if standing is not None:
        standing.state, standing.answered_at = InvitationState.REVOKED, now
        standing.save()
    if waiting.filter(expires_at__gt=now).count() >= MOST_OPEN:
        raise Conflict(
            "too_many_invitations",
            _("%(n)d invitations wait for an answer already.") % {"n": MOST_OPEN},
            remedy=_("Revoke those that are no longer needed."),
        )
    invitation = Invitation.objects.create(
        organisation=row,
        email=address,
        roles=sorted(wanted),
        membership_until=membership_until,
        language=language,
        nonce=secrets.token_urlsafe(32),
        invited_by_name=actor.name,
        invited_at=now,
        expires_at=now + INVITATION_VALID_FOR,
    )
    _record(actor, invitation, "invitation.sent")
    _send(invitation)
    return invitation_view(invitation)


@transaction.atomic
def resend_invitation(*, actor: Actor, invitation_id: UUID) -> InvitationView:
    """Send it again with a new link and 14 days more; the link before no longer works."""
    invitation = _of_ones_organisation(actor, invitation_id)
    _may_become(invitation, InvitationState.REVOKED)
    now = clock.now()
    if now - invitation.invited_at < PAUSE_BETWEEN_SENDINGS:
        raise Conflict(
            "invitation_just_sent",
            _("The invitation was sent a moment ago."),
            remedy=_("Wait a minute before you send it again."),
        )
    invitation.nonce, invitation.invited_at = secrets.token_urlsafe(32), now
    invitation.expires_at = now + INVITATION_VALID_FOR
    invitation.save()
    _record(actor, invitation, "invitation.sent_again")
    _send(invitation)
    return invitation_view(invitation)


@transaction.atomic
def revoke_invitation(*, actor: Actor, invitation_id: UUID) -> InvitationView:
    """Take it back; its link no longer works. Doing so again changes nothing."""
    invitation = _of_ones_organisation(actor, invitation_id)
    if invitation.state == InvitationState.REVOKED:
        return invitation_view(invitation)
    _answer(invitation, InvitationState.REVOKED)
    _record(actor, invitation, "invitation.revoked")
    return invitation_view(invitation)


@transaction.atomic
def accept_invitation(*, actor: Actor, invitation_id: UUID) -> MembershipView:
    """Act for the organisation from now on. Only whoever reads mail at the invited address accepts, and once; an operator
    at the command line answers for them.

    Who has become a member meanwhile keeps the roles they have and gets those of the invitation besides.
    """
    person, invitation = _ones_own(actor, invitation_id)
    _still_valid(invitation)
    _answer(invitation, InvitationState.ACCEPTED, person)
    roles, until = frozenset(invitation.roles), invitation.membership_until
    standing = {m.organisation.id: m for m in selectors.memberships_of(person.pk)}.get(
        invitation.organisation_id
    )
    if standing is not None:
        roles |= frozenset(standing.roles)
        until = (
            None
            if None in {until, standing.valid_until}
            else max(filter(None, (until, standing.valid_until)))
        )
    checked_roles(invitation.organisation.kind, roles)
    membership = put(invitation.organisation, person.pk, roles, until)
    _record(actor, invitation, "invitation.accepted")
    telling.administrators(
        invitation.organisation_id,
        title=_("An invitation is accepted"),
        text=wording.said(
            _("%(person)s acts for %(name)s from now on."),
            person=person.name,
            name=wording.name_of(invitation.organisation),
        ),
        path=telling.page_of(invitation.organisation, "members/"),
        action=_("See the members"),
        dedupe_key=f"invitation-accepted-{invitation.pk}",
        category="outcome",
    )
    return selectors.membership_view(membership)


@transaction.atomic
def decline_invitation(*, actor: Actor, invitation_id: UUID) -> InvitationView:
    """Say no; the administrators are told. Doing so again changes nothing."""
    person, invitation = _ones_own(actor, invitation_id)
    if invitation.state == InvitationState.DECLINED:
        return invitation_view(invitation)
    _answer(invitation, InvitationState.DECLINED)
    _record(actor, invitation, "invitation.declined")
    telling.administrators(
        invitation.organisation_id,
        title=_("An invitation is declined"),
        text=wording.said(_("%(email)s does not accept the invitation."), email=person.email),
        path=telling.page_of(invitation.organisation, "members/"),
        action=_("See the members"),
        dedupe_key=f"invitation-declined-{invitation.pk}",
        category="outcome",
    )
    return invitation_view(invitation)


def _managed(actor: Actor, organisation_id: UUID) -> Organisation:
    if not rules.may_see_organisation(actor, organisation_id):
        raise NotFound(code="organisation_not_found")
    if not rules.may_manage_members(actor, organisation_id):
        raise Forbidden
    row = locked(organisation_id)
    if not row.active:
        raise NotFound(code="organisation_not_found")
    return row


def _locked_invitation(invitation_id: UUID) -> Invitation | None:
    """The invitation, its organisation locked before it, as every change to members does."""
    found = Invitation.objects.filter(pk=invitation_id).values_list("organisation_id", flat=True).first()
    if found is None:
        return None
    locked(found)
    return (
        Invitation.objects.select_related("organisation")
        .select_for_update(of=("self",))
        .get(pk=invitation_id)
    )


def _of_ones_organisation(actor: Actor, invitation_id: UUID) -> Invitation:
    invitation = _locked_invitation(invitation_id)
    if invitation is None or not rules.may_see_organisation(actor, invitation.organisation_id):
        raise NotFound(code="invitation_not_found")
    if not rules.may_manage_members(actor, invitation.organisation_id) or not rules.may_grant_roles(
        actor, frozenset(invitation.roles)
    ):
        raise Forbidden
    return invitation


def _ones_own(actor: Actor, invitation_id: UUID) -> tuple[Person, Invitation]:
    invitation = _locked_invitation(invitation_id)
    person_id = actor.person_id
    if actor.is_system and invitation is not None:
        invited = selectors.person_by_email(invitation.email)
        person_id = invited.id if invited else None
    person = verified_person(person_id)
    if (
        invitation is None
        or person is None
        or person.email.lower() != invitation.email
        or not invitation.organisation.active
    ):
        raise NotFound(code="invitation_not_found")
    return person, invitation


def _address(email: str) -> str:
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise Invalid(
            "email_invalid",
            _("“%(email)s” is not an e-mail address.") % {"email": email},
            field="email",
            remedy=_("Write it like name@example.kr."),
        ) from None
    return address


def _dates(membership_until: datetime | None) -> None:
    if membership_until is not None and membership_until <= clock.now():
        raise Invalid("expiry_in_the_past", _("The end date lies in the past."), field="membership_until")


def _still_valid(invitation: Invitation) -> None:
    _may_become(invitation, InvitationState.ACCEPTED)
    now = clock.now()
    if invitation.expires_at <= now or (
        invitation.membership_until is not None and invitation.membership_until <= now
    ):
        raise Conflict(
            "invitation_expired",
            _("This invitation is no longer valid."),
            remedy=_("Ask the administrator to send it again."),
        )


def _may_become(invitation: Invitation, state: str) -> None:
    if not workflow.may_become(workflow.INVITATION, invitation.state, state):
        raise Conflict(
            "invitation_answered",
            _("This invitation has been answered or revoked already."),
            remedy=_("Ask the administrator for a new one if you need it."),
        )


def _answer(invitation: Invitation, state: str, person: Person | None = None) -> None:
    _may_become(invitation, state)
    invitation.state, invitation.answered_at, invitation.accepted_by = state, clock.now(), person
    invitation.save()


def _send(invitation: Invitation) -> None:
    """To a registered person as a notice, too; to others as mail that says how to register."""
    path = f"/invitations/{invitation_token(invitation)}/"
    organisation, key = invitation.organisation, f"invitation-{invitation.pk}-{invitation.nonce[:12]}"
    title = wording.said(_("%(name)s invites you"), name=wording.name_of(organisation))
    roles = wording.listed([Role(role).label for role in invitation.roles])
    text = wording.joined(
        wording.said(
            _("%(inviter)s invites you to act for %(name)s as %(roles)s."),
            inviter=invitation.invited_by_name,
            name=wording.name_of(organisation),
            roles=roles,
        ),
        wording.said(
            _("The invitation is valid until %(day)s."),
            day=wording.day(invitation.expires_at.astimezone(clock.SEOUL).date()),
        ),
    )
    known = selectors.person_by_email(invitation.email)
    if known is not None and known.active:
        telling.people(
            [known], title=title, text=text, path=path, action=_("Answer the invitation"), dedupe_key=key
        )
        return
    with translation.override(invitation.language):
        outbox.send_mail_later(
            to=invitation.email,
            subject=str(title),
            body="\n\n".join(
                [
                    str(text),
                    f"{_('Answer the invitation')}:\n{settings.DURE_PORTAL_URL}{path}",
                    str(_("If you are not registered yet, register with this address first.")),
                    str(_("If you do not know the organisation, ignore this mail.")),
                ]
            ),
            language=invitation.language,
            dedupe_key=key,
        )


def _record(actor: Actor, invitation: Invitation, action: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject_kind="organisation",
        subject_id=invitation.organisation_id,
        after={
            "invitation": invitation.pk,
            "roles": invitation.roles,
            "membership_until": invitation.membership_until,
            "expires_at": invitation.expires_at,
        },
    )
