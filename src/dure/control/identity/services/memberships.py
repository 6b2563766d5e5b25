"""Who acts for an organisation with what roles, from the first administrator to the last."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import rules, selectors, telling
from dure.control.identity.models import Delegation, Membership, Organisation, Person
from dure.control.identity.selectors import MembershipView
from dure.control.identity.services.guarding import locked, tidy_text


@transaction.atomic
def add_membership(
    *,
    actor: Actor,
    person_id: UUID,
    organisation_id: UUID,
    roles: list[str],
    valid_until: datetime | None = None,
) -> MembershipView:
    """Let a person act for an organisation; naming them again replaces their roles.

    Raises `Conflict` `last_administrator` where nobody would be left to administer it.
    """
    organisation = selectors.organisation(organisation_id)
    wanted = frozenset(roles)
    row = locked(organisation_id)
    before = Membership.objects.filter(person_id=person_id, organisation_id=organisation_id).first()
    # Taking a platform role away is as much the operators' own as giving it.
    _may_set(actor, organisation_id, person_id, wanted | frozenset(before.roles if before else ()))
    checked_roles(organisation.kind, wanted)
    if not Person.objects.filter(pk=person_id).exists():
        raise NotFound(code="person_not_found")
    if valid_until is not None and valid_until <= clock.now():
        raise Invalid("expiry_in_the_past", _("The end date lies in the past."), field="valid_until")
    with an_administrator_stays(row):
        membership = put(row, person_id, wanted, valid_until)
    audit.record(
        actor=actor,
        action="membership.set",
        subject_kind="organisation",
        subject_id=organisation_id,
        before={"person": person_id, "roles": before.roles} if before else None,
        after={"person": person_id, "roles": sorted(wanted), "valid_until": valid_until},
    )
    return selectors.membership_view(membership)


@transaction.atomic
def end_membership(*, actor: Actor, person_id: UUID, organisation_id: UUID, reason: str = "") -> None:
    """From now on the person does not act for the organisation, and what they lent or were lent there ends.

    By its administrators, or by the person. Raises `Conflict` `last_administrator`.
    """
    own = actor.person_id == person_id
    if not own and not rules.may_see_organisation(actor, organisation_id):
        raise NotFound(code="organisation_not_found")
    reason = tidy_text(reason, field="reason")
    row = locked(organisation_id)
    membership = _current(row.pk).filter(person_id=person_id).first()
    if membership is None:
        raise NotFound(code="membership_not_found")
    if not own:
        _may_set(actor, organisation_id, person_id, frozenset(membership.roles))
    now = clock.now()
    with an_administrator_stays(row):
        membership.valid_until = now
        membership.save(update_fields=["valid_until"])
    Delegation.objects.filter(
        Q(giver_id=person_id) | Q(delegate_id=person_id),
        organisation=row,
        revoked_at=None,
        valid_until__gt=now,
    ).update(revoked_at=now)
    audit.record(
        actor=actor,
        action="membership.ended",
        subject_kind="organisation",
        subject_id=row.pk,
        before={"person": person_id, "roles": membership.roles},
        after={"person": person_id, **({"reason": reason} if reason else {})},
    )
    if not own:
        telling.people(
            [selectors.person_view(membership.person)],
            title=_("You no longer act for an organisation"),
            text=wording.joined(
                wording.said(_("Your membership of %(name)s has ended."), name=wording.name_of(row)),
                wording.said(_("Reason: %(reason)s"), reason=reason) if reason else "",
            ),
            path="/account/",
            action=_("See whom you act for"),
            dedupe_key=f"membership-ended-{membership.pk}-{now.isoformat()}",
            category="outcome",
        )


def put(
    organisation: Organisation, person_id: UUID, roles: frozenset[str], valid_until: datetime | None
) -> Membership:
    """Write the membership; one that had ended begins anew."""
    now = clock.now()
    row, made = Membership.objects.get_or_create(
        person_id=person_id,
        organisation=organisation,
        defaults={"roles": sorted(roles), "valid_until": valid_until},
    )
    if not made:
        if row.valid_until is not None and row.valid_until <= now:
            row.valid_from = now
        row.roles, row.valid_until = sorted(roles), valid_until
        row.save()
    return row


def checked_roles(kind: str, wanted: frozenset[str]) -> None:
    """Refuse roles that an organisation of this kind does not have."""
    allowed = rules.roles_allowed(kind)
    if not wanted or not wanted <= allowed:
        raise Invalid(
            "role_not_allowed",
            _("This organisation cannot give the role “%(roles)s”.")
            % {"roles": ", ".join(sorted(wanted - allowed)) or "–"},
            field="roles",
            remedy=_("Roles are: %(roles)s.") % {"roles": ", ".join(sorted(allowed))},
        )


@contextmanager
def an_administrator_stays(organisation: Organisation) -> Iterator[None]:
    """Around a change to an organisation's members, its row locked: who had an administrator has one afterwards."""
    before = _administrators(organisation.pk)
    yield
    after = _administrators(organisation.pk)
    if (before[0] and not after[0]) or (before[1] and not after[1]):
        raise Conflict(
            "last_administrator",
            _("This is the last administrator of the organisation."),
            remedy=_("Make someone else an administrator first."),
        )


def _administrators(organisation_id: UUID) -> tuple[int, int]:
    """How many administer it without an end, and how many as of now."""
    rows = _current(organisation_id).filter(roles__contains=["administrator"], person__is_active=True)
    return rows.filter(valid_until=None).count(), rows.count()


def _current(organisation_id: UUID):  # type: ignore[no-untyped-def]
    now = clock.now()
    return Membership.objects.select_related("person").filter(
        Q(valid_until=None) | Q(valid_until__gt=now), organisation_id=organisation_id, valid_from__lte=now
    )


def _may_set(actor: Actor, organisation_id: UUID, person_id: UUID, touched: frozenset[str]) -> None:
    if not rules.may_manage_members(actor, organisation_id) or not rules.may_grant_roles(actor, touched):
        raise Forbidden
    if actor.on_behalf_of and actor.person_id == person_id:
        raise Forbidden(
            _("Who stands in for an administrator does not change their own roles."), code="roles_are_lent"
        )
