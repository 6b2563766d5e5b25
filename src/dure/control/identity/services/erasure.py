"""Erasing a person (PIPA art. 36, 37): asked for, taken back, done. docs/decisions/0013 says what stays and why.

What tells who somebody is goes: name, address, password, second factors, connected services, tokens, sessions,
sign-ins, notices, mail, consents. Their row stays under a pseudonym, because the books refer to it.
"""

from datetime import timedelta
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, calendars, clock, outbox, wording
from dure.control.foundation import notices as portal_notices
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, NotFound
from dure.control.identity import (
    account_selectors,
    notices,
    personal_data,
    privacy,
    selectors,
    telling,
    workflow,
)
from dure.control.identity.account_selectors import ErasureView
from dure.control.identity.facts import InvitationState
from dure.control.identity.models import (
    Consent,
    Delegation,
    ErasureRequest,
    Invitation,
    Membership,
    OpenSession,
    Organisation,
    Person,
    PersonalAccessToken,
    ProgrammeRole,
    SignIn,
)
from dure.control.identity.person_models import ErasureState
from dure.control.identity.services.sessions import end_sessions

ACTOR = Actor.system("erasure")


@transaction.atomic
def ask_erasure(*, actor: Actor) -> ErasureView:
    """Ask to be erased in `privacy.ERASURE_GRACE`; asking again changes nothing.

    Raises `Conflict` `last_administrator` where others would be left in an organisation that nobody administers.
    """
    if actor.person_id is None:
        raise Forbidden
    person = Person.objects.select_for_update().get(pk=actor.person_id)
    standing = account_selectors.erasure_of(person.pk)
    if standing is not None:
        return standing
    if left := left_alone_by(person.pk):
        raise Conflict(
            "last_administrator",
            _("Others act for %(names)s, and you are the only administrator there.")
            % {"names": ", ".join(row.name_ko for row in left)},
            remedy=_("Make one of them an administrator first."),
            data={"organisations": [row.slug for row in left]},
        )
    now = clock.now()
    row = ErasureRequest.objects.create(person=person, asked_at=now, due_at=now + privacy.ERASURE_GRACE)
    audit.record(
        actor=actor,
        action="person.erasure_asked",
        subject_kind="person",
        subject_id=person.pk,
        after={"due_at": row.due_at},
    )
    notices.erasure_asked(person, due_at=row.due_at, key=str(row.pk))
    return ErasureView(id=row.pk, asked_at=row.asked_at, due_at=row.due_at)


@transaction.atomic
def withdraw_erasure(*, actor: Actor, person_id: UUID | None = None) -> None:
    """Take the wish back, while it waits: one's own, or an operator on the person's word."""
    row = _waiting(_whose(actor, person_id))
    _end(row, ErasureState.WITHDRAWN)
    audit.record(
        actor=actor, action="person.erasure_withdrawn", subject_kind="person", subject_id=row.person_id
    )


@transaction.atomic
def erase_person(*, actor: Actor, person_id: UUID) -> None:
    """Erase a person now: an operator, whom the person has asked; the schedule, when the days are over."""
    if not actor.has("operator"):
        raise Forbidden
    person = Person.objects.select_for_update().filter(pk=person_id).first()
    if person is None or ErasureRequest.objects.filter(person_id=person_id, state=ErasureState.DONE).exists():
        raise NotFound(code="person_not_found")
    alone = left_alone_by(person_id)
    row = ErasureRequest.objects.select_for_update().filter(person=person, state=ErasureState.WAITING).first()
    now = clock.now()
    row = row or ErasureRequest.objects.create(person=person, asked_at=now, due_at=now)
    farewell = selectors.person_view(person)
    kept = _erase(person)
    _end(row, ErasureState.DONE)
    audit.record(
        actor=actor,
        action="person.erased",
        subject_kind="person",
        subject_id=person_id,
        after={"names_kept_in": kept},
    )
    notices.erased(farewell)
    for organisation in alone:
        telling.people(
            selectors.people_with_role("operator"),
            title=_("An organisation has no administrator"),
            text=wording.said(
                _("The last administrator of %(name)s was erased. Make another member administrator."),
                name=wording.name_of(organisation),
            ),
            path=telling.page_of(organisation),
            action=_("Open the organisation"),
            dedupe_key=f"no-administrator-{organisation.pk}-{person_id}",
        )


def erase_due() -> int:
    """Erase those whose days are over; returns how many. One that fails does not hold up the others."""
    due = ErasureRequest.objects.filter(state=ErasureState.WAITING, due_at__lte=clock.now())
    ids = list(due.order_by("due_at").values_list("person_id", flat=True)[:1_000])
    for person_id in ids:
        erase_person(actor=ACTOR, person_id=person_id)
    return len(ids)


def forget_mail(*, older_than: timedelta = privacy.MAIL_KEPT) -> int:
    """Remove sent mail when its time is over; what told somebody that they are erased, once it is sent."""
    now = clock.now()
    gone = outbox.forget_sent(before=now - older_than)
    return gone + outbox.forget_sent(before=now, key_prefix=notices.FAREWELL)


def left_alone_by(person_id: UUID) -> list[Organisation]:
    """Organisations whose only administrator this person is, while others act for them too."""
    now = clock.now()
    current = Membership.objects.filter(
        Q(valid_until=None) | Q(valid_until__gt=now), valid_from__lte=now, person__is_active=True
    )
    own = current.filter(person_id=person_id, roles__contains=["administrator"], organisation__active=True)
    alone = []
    for membership in own.select_related("organisation").order_by("organisation__slug"):
        others = current.filter(organisation_id=membership.organisation_id).exclude(person_id=person_id)
        if others.exists() and not others.filter(roles__contains=["administrator"]).exists():
            alone.append(membership.organisation)
    return alone


def _erase(person: Person) -> list[str]:
    now, name, email = clock.now(), person.name, person.email
    pseudonym = audit.pseudonym(person.pk)
    gone = f"{pseudonym}@erased.invalid"  # RFC 2606: no mail ever goes there
    end_sessions(list(OpenSession.objects.filter(person=person)))
    for model in (EmailAddress, Authenticator, SocialAccount):
        model.objects.filter(user=person).delete()
    for owned in (SignIn, PersonalAccessToken, Consent):
        owned.objects.filter(person=person).delete()
    open_ended = Q(valid_until=None) | Q(valid_until__gt=now)
    Membership.objects.filter(open_ended, person=person, valid_from__lte=now).update(valid_until=now)
    ProgrammeRole.objects.filter(open_ended, person=person, valid_from__lte=now).update(valid_until=now)
    Delegation.objects.filter(Q(giver=person) | Q(delegate=person), revoked_at=None).update(revoked_at=now)
    invited = Invitation.objects.filter(email__iexact=email)
    invited.filter(state=InvitationState.OPEN).update(state=InvitationState.REVOKED, answered_at=now)
    invited.update(email=gone)
    kept = personal_data.overwrite_names(person_id=person.pk, name=name, pseudonym=pseudonym)
    portal_notices.forget(person_id=person.pk)
    calendars.forget(person_id=person.pk)
    outbox.forget(to=email)
    person.name, person.email, person.language = pseudonym, gone, "ko"
    person.is_active, person.email_verified_at, person.last_login = False, None, None
    person.set_unusable_password()
    person.save()
    return kept


def _whose(actor: Actor, person_id: UUID | None) -> UUID:
    if person_id not in {None, actor.person_id} and not actor.has("operator"):
        raise Forbidden
    whose = person_id or actor.person_id
    if whose is None:
        raise Forbidden
    return whose


def _waiting(person_id: UUID) -> ErasureRequest:
    row = (
        ErasureRequest.objects.select_for_update()
        .filter(person_id=person_id, state=ErasureState.WAITING)
        .first()
    )
    if row is None:
        raise NotFound(code="erasure_not_found")
    return row


def _end(row: ErasureRequest, state: ErasureState) -> None:
    if not workflow.may_become(workflow.ERASURE, row.state, state):
        raise NotFound(code="erasure_not_found")
    row.state, row.ended_at = state, clock.now()
    row.save(update_fields=["state", "ended_at"])
