"""Ownership and control between organisations: declared by one side, confirmed by the other or by an officer.

Support is counted over a group, so to be out of one is worth money. A confirmed link therefore ends only by an
officer's word, on a date; a side can ask for it.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Sum
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import audit, clock, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import facts, rules, telling, workflow
from dure.control.identity.facts import LinkKind, LinkState
from dure.control.identity.models import Organisation, OwnershipLink
from dure.control.identity.organisation_selectors import LinkView, link_view, today
from dure.control.identity.services.guarding import given_reason, locked, managed, tidy_text
from dure.control.identity.services.names import tidy_name

WHOLE_BP = 10_000
Side = Literal["owner", "owned"]
_LIVE = (LinkState.DECLARED, LinkState.CONFIRMED)


@dataclass(frozen=True, slots=True)
class _Other:
    row: Organisation | None
    name: str
    number: str | None


@transaction.atomic
def declare_link(
    *,
    actor: Actor,
    organisation_id: UUID,
    other_is: Side,
    other_name: str,
    other_number: str | None = None,
    kind: str = LinkKind.SHARE,
    share_bp: int | None = None,
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> LinkView:
    """Say that another organisation owns this one (`other_is="owner"`) or is owned by it (`"owned"`).

    The other is named by its business registration number; without one (abroad) by its name alone. If it is registered
    here, its administrators are asked to confirm; else an officer is.
    """
    own = managed(actor, organisation_id)
    other = _other(other_name, other_number, own)
    _check(other_is, kind, share_bp, valid_from, valid_until)
    sides = {other_is: other, _opposite(other_is): _Other(own, own.name_ko, own.registration_number)}
    row = OwnershipLink(
        **{side: given.row for side, given in sides.items()},
        **{f"{side}_name": given.name for side, given in sides.items()},
        **{f"{side}_number": given.number for side, given in sides.items()},
        kind=kind,
        share_bp=share_bp if kind == LinkKind.SHARE else None,
        valid_from=valid_from or today(),
        valid_until=valid_until,
        declared_by=own,
        declared_by_name=actor.name,
    )
    _once(row)
    _within_the_whole(row)
    row.save(force_insert=True)
    _record(actor, row, "ownership.declared")
    if other.row is not None:
        telling.administrators(
            other.row.pk,
            title=_("Confirm how you are connected with another organisation"),
            text=wording.said(
                _(
                    "%(name)s says that your organisations are connected by ownership. Confirm it, or refuse it."
                ),
                name=wording.name_of(own),
            ),
            path=telling.page_of(other.row, "group/"),
            action=_("Look at it"),
            dedupe_key=f"ownership-declared-{row.pk}",
        )
    return link_view(row)


@transaction.atomic
def confirm_link(*, actor: Actor, link_id: UUID) -> LinkView:
    """The other side's administrator, or an officer, says that it is so; doing so again changes nothing.

    What was refused only an officer confirms.
    """
    row = _to_decide(actor, link_id)
    if row.state == LinkState.CONFIRMED:
        return link_view(row)
    if row.state == LinkState.REFUSED and not rules.may_verify(actor):
        raise Forbidden
    _may_become(row, LinkState.CONFIRMED)
    _within_the_whole(row)
    return _decided(actor, row, LinkState.CONFIRMED, "")


@transaction.atomic
def refuse_link(*, actor: Actor, link_id: UUID, reason: str) -> LinkView:
    """They say that it is not so, and why."""
    row = _to_decide(actor, link_id)
    reason = given_reason(reason)
    _may_become(row, LinkState.REFUSED)
    return _decided(actor, row, LinkState.REFUSED, reason)


@transaction.atomic
def withdraw_link(*, actor: Actor, link_id: UUID) -> LinkView:
    """Who declared it takes it back while it waits; doing so again changes nothing."""
    row = _link(actor, link_id)
    if row.declared_by_id is None or not rules.may_manage_organisation(actor, row.declared_by_id):
        raise Forbidden
    if row.state == LinkState.WITHDRAWN:
        return link_view(row)
    _may_become(row, LinkState.WITHDRAWN)
    row.state, row.decided_at, row.decided_by_name = LinkState.WITHDRAWN, clock.now(), actor.name
    row.save()
    _record(actor, row, "ownership.withdrawn")
    return link_view(row)


@transaction.atomic
def ask_link_end(*, actor: Actor, link_id: UUID, last_day: date) -> LinkView:
    """A side says that a confirmed link ends, or ended, with a day; officers see it and decide."""
    row = _link(actor, link_id)
    sides = [side for side in (row.owner_id, row.owned_id) if side is not None]
    if not any(rules.may_manage_organisation(actor, side) for side in sides):
        raise Forbidden
    _ends_on(row, last_day)
    row.end_asked_on = last_day
    row.save()
    _record(actor, row, "ownership.end_asked")
    return link_view(row)


@transaction.atomic
def end_link(*, actor: Actor, link_id: UUID, last_day: date, reason: str = "") -> LinkView:
    """An officer sets the day that a confirmed link still holds; both sides' administrators are told."""
    row = _link(actor, link_id)
    if not rules.may_verify(actor):
        raise Forbidden
    _ends_on(row, last_day)
    row.valid_until, row.end_asked_on = last_day, None
    row.reason = tidy_text(reason, field="reason")
    row.save()
    _record(actor, row, "ownership.ended")
    _tell_sides(
        row,
        title=_("A connection by ownership ends"),
        text=wording.said(
            _("The connection between %(owner)s and %(owned)s ends with %(day)s."),
            owner=row.owner_name,
            owned=row.owned_name,
            day=wording.day(last_day),
        ),
        key="ended",
    )
    return link_view(row)


def adopt(organisation: Organisation) -> None:
    """An organisation that others named by its number is that organisation from now on."""
    number = organisation.registration_number
    if number is None:
        return
    for side in ("owner", "owned"):
        other = _opposite(side)
        OwnershipLink.objects.filter(**{f"{side}_number": number, side: None}).exclude(
            **{other: organisation}
        ).update(**{side: organisation})


def _opposite(side: str) -> str:
    return "owned" if side == "owner" else "owner"


def _other(name: str, number: str | None, own: Organisation) -> _Other:
    try:
        name = tidy_name(name)
        digits = facts.registration_number(number) if number else None
    except Invalid as error:
        error.field = "other_name" if error.field == "name" else "other_number"
        raise
    if digits is None:
        return _Other(None, name, None)
    row = Organisation.objects.filter(registration_number=digits, active=True).first()
    if digits == own.registration_number or (row is not None and row.pk == own.pk):
        raise Invalid(
            "link_to_itself",
            _("An organisation does not own itself."),
            field="other_number",
            remedy=_("Give the number of the other organisation."),
        )
    return _Other(row, name, digits)


def _check(
    other_is: str, kind: str, share_bp: int | None, valid_from: date | None, valid_until: date | None
) -> None:
    if other_is not in {"owner", "owned"}:
        raise Invalid("side_unknown", _("The other is the owner or the owned."), field="other_is")
    if kind not in LinkKind.values:
        raise Invalid("link_kind_unknown", _("It is a share or control."), field="kind")
    if kind == LinkKind.SHARE and not (share_bp is not None and 1 <= share_bp <= WHOLE_BP):
        raise Invalid(
            "share_invalid",
            _("A share is above 0% and 100% at most."),
            field="share",
            remedy=_("Give it in percent, like 51 or 33.34."),
        )
    begins = valid_from or today()
    if begins > today() + timedelta(days=366):
        raise Invalid("link_begins_too_late", _("The first day lies too far ahead."), field="valid_from")
    if valid_until is not None and valid_until < begins:
        raise Invalid(
            "dates_reversed",
            _("The last day lies before the first."),
            field="valid_until",
            remedy=_("Leave it empty if there is no end."),
        )


def _during(row: OwnershipLink) -> Q:
    """Links whose days overlap with this one's."""
    overlaps = Q(valid_until=None) | Q(valid_until__gte=row.valid_from)
    return overlaps & Q(valid_from__lte=row.valid_until) if row.valid_until else overlaps


def _same(row: OwnershipLink, side: str) -> Q:
    identity, number = getattr(row, f"{side}_id"), getattr(row, f"{side}_number")
    if identity is not None:
        return Q(**{side: identity})
    if number is not None:
        return Q(**{f"{side}_number": number})
    return Q(**{side: None, f"{side}_number": None, f"{side}_name": getattr(row, f"{side}_name")})


def _once(row: OwnershipLink) -> None:
    same = OwnershipLink.objects.filter(
        _same(row, "owner"), _same(row, "owned"), _during(row), kind=row.kind, state__in=_LIVE
    )
    if same.exists():
        raise Conflict(
            "link_exists",
            _("This connection is declared already."),
            field="other_number",
            remedy=_("Ask an officer to end it before you declare it anew."),
        )


def _within_the_whole(row: OwnershipLink) -> None:
    """Confirmed shares in one organisation are not more than all of it."""
    if row.kind != LinkKind.SHARE:
        return
    if row.owned_id is not None:
        locked(row.owned_id)
    others = OwnershipLink.objects.filter(
        _same(row, "owned"), _during(row), kind=LinkKind.SHARE, state=LinkState.CONFIRMED
    ).exclude(pk=row.pk)
    held = others.aggregate(sum=Sum("share_bp"))["sum"] or 0
    if held + (row.share_bp or 0) > WHOLE_BP:
        raise Conflict(
            "shares_exceed_whole",
            _("With the shares that are confirmed already, this would be more than the whole."),
            field="share",
            remedy=_("At most %(share)s%% is left.") % {"share": f"{(WHOLE_BP - held) / 100:g}"},
        )


def _link(actor: Actor, link_id: UUID) -> OwnershipLink:
    """The link, locked, if the actor may see one of its sides."""
    row = OwnershipLink.objects.select_for_update().filter(pk=link_id).first()
    sides = [row.owner_id, row.owned_id] if row else []
    if row is None or not (
        actor.is_platform or any(side is not None and actor.acts_for(side) for side in sides)
    ):
        raise NotFound(code="link_not_found")
    return row


def _to_decide(actor: Actor, link_id: UUID) -> OwnershipLink:
    row = _link(actor, link_id)
    if not rules.may_verify(actor):
        other = row.owner_id if row.declared_by_id == row.owned_id else row.owned_id
        if other is None or not actor.acts_for(other) or not rules.may_manage_organisation(actor, other):
            raise Forbidden
    return row


def _may_become(row: OwnershipLink, state: str) -> None:
    if not workflow.may_become(workflow.LINK, row.state, state):
        raise Conflict(
            "link_decided",
            _("This connection has been decided on already."),
            remedy=_("Load the page again to see how it stands."),
        )


def _ends_on(row: OwnershipLink, last_day: date) -> None:
    if row.state != LinkState.CONFIRMED:
        raise Conflict(
            "link_not_confirmed",
            _("Only a confirmed connection is ended."),
            remedy=_("What still waits can be withdrawn by who declared it, or refused."),
        )
    if last_day < row.valid_from:
        raise Invalid(
            "dates_reversed",
            _("The last day lies before the first."),
            field="last_day",
            remedy=_("The first day is %(day)s.") % {"day": row.valid_from.isoformat()},
        )


def _decided(actor: Actor, row: OwnershipLink, state: str, reason: str) -> LinkView:
    row.state, row.reason = state, reason
    row.decided_at, row.decided_by_name = clock.now(), actor.name
    row.save()
    _record(actor, row, f"ownership.{state}")
    confirmed = state == LinkState.CONFIRMED
    _tell_sides(
        row,
        title=_("A connection by ownership is confirmed")
        if confirmed
        else _("A connection by ownership is refused"),
        text=wording.joined(
            wording.said(
                _("It is about %(owner)s as the owner of %(owned)s."),
                owner=row.owner_name,
                owned=row.owned_name,
            ),
            wording.said(_("Reason: %(reason)s"), reason=reason) if reason else "",
        ),
        key=state,
    )
    return link_view(row)


def _tell_sides(row: OwnershipLink, *, title: object, text: object, key: str) -> None:
    for side in filter(None, (row.owner, row.owned)):
        telling.administrators(
            side.pk,
            title=title,
            text=text,
            path=telling.page_of(side, "group/"),
            action=_("See the group"),
            dedupe_key=f"ownership-{key}-{row.pk}-{side.pk}-{today()}",
            category="outcome",
        )


def _record(actor: Actor, row: OwnershipLink, action: str) -> None:
    after = {
        "link": row.pk,
        "owner": row.owner_name,
        "owned": row.owned_name,
        "kind": row.kind,
        "share_bp": row.share_bp,
        "state": row.state,
        "valid_until": row.valid_until,
        **({"reason": row.reason} if row.reason else {}),
    }
    for side in sorted(filter(None, (row.owner_id, row.owned_id))):
        audit.record(actor=actor, action=action, subject_kind="organisation", subject_id=side, after=after)


__all__ = [
    "adopt",
    "ask_link_end",
    "confirm_link",
    "declare_link",
    "end_link",
    "refuse_link",
    "withdraw_link",
]
