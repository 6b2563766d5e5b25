"""Standing in for somebody: roles lent to another member of the same organisation, until a date."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import rules, selectors, telling
from dure.control.identity.membership_selectors import DelegationView, delegation_view
from dure.control.identity.models import Delegation
from dure.control.identity.services.guarding import given_reason, locked

LONGEST = timedelta(days=180)


@transaction.atomic
def delegate(
    *,
    actor: Actor,
    organisation_id: UUID,
    delegate_id: UUID,
    roles: list[str],
    valid_until: datetime,
    reason: str,
    valid_from: datetime | None = None,
    giver_id: UUID | None = None,
) -> DelegationView:
    """Lend roles one holds oneself (not lent ones) to another member; they end by themselves.

    An operator lends on behalf of `giver_id`.
    """
    giver = _giver(actor, giver_id)
    if not rules.may_see_organisation(actor, organisation_id):
        raise NotFound(code="organisation_not_found")
    row = locked(organisation_id)
    held = {m.person.id: m for m in selectors.members_of(row.pk)}
    own, other = held.get(giver), held.get(delegate_id)
    if own is None:
        raise NotFound(code="organisation_not_found")
    if other is None or not other.person.active or delegate_id == giver:
        raise Invalid(
            "delegate_not_a_member",
            _("Roles are lent to another member of the organisation."),
            field="delegate",
            remedy=_("Invite the person first."),
        )
    wanted = frozenset(roles)
    _lendable(wanted, frozenset(own.roles), frozenset(other.roles))
    begins = valid_from or clock.now()
    _dates(begins, valid_until)
    delegation = Delegation.objects.create(
        organisation=row,
        giver_id=giver,
        delegate_id=delegate_id,
        roles=sorted(wanted),
        reason=given_reason(reason),
        valid_from=begins,
        valid_until=valid_until,
    )
    _record(actor, delegation, "delegation.given")
    telling.people(
        [other.person],
        title=_("You stand in for somebody"),
        text=wording.joined(
            wording.said(
                _("%(giver)s lends you roles at %(name)s, until %(day)s."),
                giver=own.person.name,
                name=wording.name_of(row),
                day=wording.day(valid_until.astimezone(clock.SEOUL).date()),
            ),
            wording.said(_("Reason: %(reason)s"), reason=delegation.reason),
        ),
        path=telling.page_of(row, "members/"),
        action=_("See the roles"),
        dedupe_key=f"delegation-{delegation.pk}",
        category="outcome",
    )
    return delegation_view(delegation)


@transaction.atomic
def revoke_delegation(*, actor: Actor, delegation_id: UUID) -> DelegationView:
    """End it now: by who lent, by who was lent to, or by an administrator. Doing so again changes nothing."""
    delegation = (
        Delegation.objects.select_related("organisation", "giver", "delegate")
        .select_for_update(of=("self",))
        .filter(pk=delegation_id)
        .first()
    )
    concerned = delegation is not None and (
        (actor.person_id is not None and actor.person_id in {delegation.giver_id, delegation.delegate_id})
        or rules.may_see_organisation(actor, delegation.organisation_id)
    )
    if delegation is None or not concerned:
        raise NotFound(code="delegation_not_found")
    if actor.person_id not in {delegation.giver_id, delegation.delegate_id} and not rules.may_manage_members(
        actor, delegation.organisation_id
    ):
        raise Forbidden
    if delegation.revoked_at is None and delegation.valid_until > clock.now():
        delegation.revoked_at = clock.now()
        delegation.save(update_fields=["revoked_at"])
        _record(actor, delegation, "delegation.revoked")
    return delegation_view(delegation)


def _giver(actor: Actor, giver_id: UUID | None) -> UUID:
    if giver_id is not None and giver_id != actor.person_id and not actor.has("operator"):
        raise Forbidden
    giver = giver_id or actor.person_id
    if giver is None:
        raise Forbidden
    return giver


def _lendable(wanted: frozenset[str], own: frozenset[str], others: frozenset[str]) -> None:
    if not wanted or not wanted <= own:
        raise Invalid(
            "role_not_held",
            _("Only roles that one holds oneself are lent."),
            field="roles",
            remedy=_("Yours are: %(roles)s.") % {"roles": ", ".join(sorted(own))},
        )
    if bound := wanted & rules.BOUND_ROLES:
        raise Invalid(
            "role_not_lendable",
            _("The role “%(role)s” cannot be lent.") % {"role": ", ".join(sorted(bound))},
            field="roles",
            remedy=_("The platform's operators can give it to the other person."),
        )
    if wanted <= others:
        raise Conflict(
            "roles_held_already",
            _("The other person holds these roles already."),
            field="roles",
            remedy=_("Nothing needs to be lent."),
        )


def _dates(begins: datetime, ends: datetime) -> None:
    now = clock.now()
    if ends <= now or ends <= begins:
        raise Invalid("expiry_in_the_past", _("The end date lies in the past."), field="valid_until")
    if ends > max(begins, now) + LONGEST or begins > now + LONGEST:
        raise Invalid(
            "delegation_too_long",
            _("Roles are lent for %(n)d days at most.") % {"n": LONGEST.days},
            field="valid_until",
            remedy=_("Choose an earlier end date."),
        )


def _record(actor: Actor, delegation: Delegation, action: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject_kind="organisation",
        subject_id=delegation.organisation_id,
        after={
            "delegation": delegation.pk,
            "giver": delegation.giver_id,
            "delegate": delegation.delegate_id,
            "roles": delegation.roles,
            "valid_until": delegation.valid_until,
            "reason": delegation.reason,
        },
    )
