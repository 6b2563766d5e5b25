"""Roles in one programme alone. Programmes are opaque ids here; their room says whose they are.

What an officer of one programme may do is `Actor.officer_for`: what its agency's officers may, for this programme only,
and while they act for that agency.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity.facts import ProgrammeRoleKind
from dure.control.identity.models import Person, ProgrammeRole
from dure.control.identity.organisation_selectors import ProgrammeRoleView, programme_role_view
from dure.control.identity.programme_agencies import may_give_programme_roles
from dure.control.identity.services.guarding import tidy_text


@transaction.atomic
def give_programme_role(
    *,
    actor: Actor,
    person_id: UUID,
    programme_id: UUID,
    role: str,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    reason: str = "",
) -> ProgrammeRoleView:
    """Make a person officer or reviewer of one programme, from now or a date on, until another.

    Raises `Conflict` `programme_role_exists` where they are that already in the same time.
    """
    if not may_give_programme_roles(actor=actor, programme_id=programme_id):
        raise Forbidden
    if role not in ProgrammeRoleKind.values:
        raise Invalid(
            "programme_role_unknown",
            _("“%(value)s” is not one of the choices.") % {"value": role},
            field="role",
            remedy=_("Choices are: %(choices)s.") % {"choices": ", ".join(ProgrammeRoleKind.values)},
        )
    begins = valid_from or clock.now()
    if valid_until is not None and (valid_until <= clock.now() or valid_until <= begins):
        raise Invalid("expiry_in_the_past", _("The end date lies in the past."), field="valid_until")
    # Locked, so that the same role given twice at once is given once.
    person = Person.objects.select_for_update().filter(pk=person_id, is_active=True).first()
    if person is None:
        raise NotFound(code="person_not_found")
    overlapping = ProgrammeRole.objects.filter(
        Q(valid_until=None) | Q(valid_until__gt=begins), person=person, programme_id=programme_id, role=role
    )
    if valid_until is not None:
        overlapping = overlapping.filter(valid_from__lt=valid_until)
    if overlapping.exists():
        raise Conflict(
            "programme_role_exists",
            _("The person has this role in the programme already."),
            field="role",
            remedy=_("Take it first to give it with other dates."),
        )
    row = ProgrammeRole.objects.create(
        person=person,
        programme_id=programme_id,
        role=role,
        valid_from=begins,
        valid_until=valid_until,
        given_by_name=actor.name,
        reason=tidy_text(reason, field="reason"),
    )
    _record(actor, row, "programme_role.given")
    return programme_role_view(row)


@transaction.atomic
def take_programme_role(*, actor: Actor, programme_role_id: UUID, reason: str = "") -> ProgrammeRoleView:
    """End it now; doing so again changes nothing."""
    row = (
        ProgrammeRole.objects.select_related("person")
        .select_for_update(of=("self",))
        .filter(pk=programme_role_id)
        .first()
    )
    if row is None:
        raise NotFound(code="programme_role_not_found")
    if not may_give_programme_roles(actor=actor, programme_id=row.programme_id):
        raise Forbidden
    now = clock.now()
    if row.valid_until is None or row.valid_until > now:
        row.valid_until = max(now, row.valid_from)
        row.reason = tidy_text(reason, field="reason") or row.reason
        row.save(update_fields=["valid_until", "reason"])
        _record(actor, row, "programme_role.taken")
    return programme_role_view(row)


def _record(actor: Actor, row: ProgrammeRole, action: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject_kind="programme",
        subject_id=row.programme_id,
        after={
            "person": row.person_id,
            "role": row.role,
            "valid_from": row.valid_from,
            "valid_until": row.valid_until,
            **({"reason": row.reason} if row.reason else {}),
        },
    )
