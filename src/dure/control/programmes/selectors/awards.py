"""Questions about awards: what was granted, and what the ledger says became of it."""

from collections.abc import Collection, Sequence
from typing import Any, Literal
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from dure.control.access import selectors as access
from dure.control.foundation import audit
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.models import AuditEvent
from dure.control.foundation.reading import once_a_page
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger
from dure.control.programmes import rules
from dure.control.programmes.models import Award
from dure.control.programmes.selectors.values import (
    AwardPage,
    AwardSums,
    AwardView,
    KeyUse,
    Pipeline,
    Stage,
    line_view,
    ref,
)
from dure.control.settlement import selectors as settlement

PAGE_SIZES = (20, 50, 100)
_ORDERS = {
    "created": ("created_at", "pk"),
    "granted": ("granted_micro_won", "pk"),
    "name": ("name_ko", "pk"),
    "until": ("valid_until", "pk"),
}


@once_a_page
def award(*, actor: Actor, award_id: UUID) -> AwardView:
    row = Award.objects.select_related("programme", "line").filter(pk=award_id).first()
    if row is None or not rules.may_see_award(
        actor, row.organisation_id, row.programme.agency_id, row.programme_id
    ):
        raise NotFound
    return award_views([row])[0]


def awards(
    *,
    actor: Actor,
    programme_slug: str = "",
    organisation_id: UUID | None = None,
    state: str = "",
    search: str = "",
    order: Literal["created", "granted", "name", "until"] = "created",
    descending: bool = True,
    page: int = 1,
    page_size: int = 20,
) -> AwardPage:
    """The awards this actor may see: the platform all of them, an organisation its own, an officer of one
    programme that programme's, nobody else any."""
    rows = _visible(actor)
    if programme_slug:
        rows = rows.filter(programme__slug=programme_slug)
    if organisation_id is not None:
        rows = rows.filter(organisation_id=organisation_id)
    if state:
        rows = rows.filter(state=state)
    if search:
        rows = rows.filter(
            Q(name_ko__icontains=search)
            | Q(name_en__icontains=search)
            | Q(organisation__name_ko__icontains=search)
            | Q(organisation__name_en__icontains=search)
            | Q(organisation__slug__icontains=search)
        )
    total, page_size = rows.count(), min(max(page_size, 1), max(PAGE_SIZES))
    page = min(max(page, 1), max(1, -(-total // page_size)))
    names = _ORDERS.get(order, _ORDERS["created"])
    ordered = rows.order_by(*(f"-{name}" if descending else name for name in names))
    start = (page - 1) * page_size
    return AwardPage(
        items=award_views(list(ordered.select_related("programme", "line")[start : start + page_size])),
        total=total,
        page=page,
        page_size=page_size,
        sums=_sums(rows),
    )


def first_awards(*, actor: Actor, limit: int) -> list[AwardView]:
    """The newest of the awards that this actor may see: what a first page shows, without counting."""
    rows = _visible(actor).select_related("programme", "line")
    return award_views(list(rows.order_by("-created_at", "-pk")[:limit]))


def pipeline(*, actor: Actor, shown: int = 20) -> Pipeline:
    """All awards that this actor may see, by how far they have come; and the open ones without a call that wait longest."""
    rows = _visible(actor)
    # Subqueries, not lists: the database joins, however many rows there are.
    owners: Any = rows.values("pk")
    held = ledger.balances_by_kind(owner_ids=owners, kinds=("award", "escrow"))
    used = settlement.used_awards(award_ids=owners)
    stages: dict[str, list[int]] = {"unused": [], "running": [], "spent": [], "ended": []}
    waiting: list[UUID] = []
    columns = ("pk", "state", "granted_micro_won", "returned_micro_won")
    for award_id, state, granted, returned in rows.order_by("created_at", "pk").values_list(*columns):
        remaining = sum(held.get(award_id, {}).values())
        if state != "open":
            stages["ended"].append(returned)
        elif award_id not in used:
            stages["unused"].append(remaining)
            waiting.append(award_id)
        elif remaining > 0:
            stages["running"].append(remaining)
        else:
            stages["spent"].append(granted)
    found = Award.objects.select_related("programme", "line").filter(pk__in=waiting[:shown])
    never_used = list(found.order_by("created_at", "pk"))
    organisations = identity.names_of({row.organisation_id for row in never_used})
    return Pipeline(
        **{name: Stage(len(sums), sum(sums)) for name, sums in stages.items()},
        never_used=[
            _award_view(row, held.get(row.pk, {}), organisations[row.organisation_id]) for row in never_used
        ],
    )


def award_names(*, award_ids: Collection[UUID]) -> dict[UUID, tuple[str, str]]:
    """Korean and English name by id, for rows the caller may already see."""
    rows = Award.objects.filter(pk__in=award_ids).values_list("pk", "name_ko", "name_en")
    return {award_id: (korean, english) for award_id, korean, english in rows}


def award_timeline(*, actor: Actor, award_id: UUID, limit: int = 50) -> list[AuditEvent]:
    """What happened to an award and its keys, latest first."""
    award(actor=actor, award_id=award_id)
    return audit.events_for("award", award_id, limit=limit)


def keys_with_use(*, actor: Actor, award_id: UUID) -> list[KeyUse]:
    """An award's keys, newest first, with their latest call and what they have spent."""
    found = access.keys(actor=actor, award_id=award_id)
    used = settlement.use_of_keys(key_ids=[key.id for key in found])
    never = (0, 0, None)
    return [
        KeyUse(key=key, last_used_at=last, calls=calls, cost_micro_won=cost)
        for key in found
        for calls, cost, last in [used.get(key.id, never)]
    ]


def award_views(rows: Sequence[Award]) -> list[AwardView]:
    """Values for rows that were already judged visible (this room's services use it, too)."""
    ids = [row.pk for row in rows]
    held = ledger.balances_by_kind(owner_ids=ids, kinds=("award", "escrow"))
    ending = [row.pk for row in rows if row.state == "returning"]
    if ending:
        # Rows were read before the balances: what was returned in between would look spent.
        fresh = Award.objects.in_bulk(ending)
        for row in rows:
            if row.pk in fresh and _returned(fresh[row.pk]) != _returned(row):
                row.refresh_from_db(
                    fields=["returned_micro_won", "own_returned_micro_won", "state", "closed_at"]
                )
                held |= ledger.balances_by_kind(owner_ids=[row.pk], kinds=("award", "escrow"))
    organisations = identity.names_of({row.organisation_id for row in rows})
    return [_award_view(row, held.get(row.pk, {}), organisations[row.organisation_id]) for row in rows]


def _returned(row: Award) -> int:
    return row.returned_micro_won + row.own_returned_micro_won


def _visible(actor: Actor) -> QuerySet[Award]:
    if actor.is_platform:
        return Award.objects.all()
    if actor.organisation_id is None:
        return Award.objects.none()
    seen = Q(organisation_id=actor.organisation_id)
    if actor.officer_programmes:
        seen |= Q(programme__in=actor.officer_programmes, programme__agency_id=actor.organisation_id)
    return Award.objects.filter(seen)


def _sums(rows: QuerySet[Award]) -> AwardSums:
    names = ("granted_micro_won", "returned_micro_won", "own_paid_micro_won", "own_returned_micro_won")
    decided = rows.aggregate(**{f"{name}_sum": Sum(name) for name in names})
    granted, returned, paid, given_back = (int(decided[f"{name}_sum"] or 0) for name in names)
    # A subquery, not a list: the database joins, however many rows there are.
    owners: Any = rows.values("pk")
    held = ledger.balances_by_kind(owner_ids=owners, kinds=("award", "escrow"))
    escrow = sum(kinds.get("escrow", 0) for kinds in held.values())
    remaining = escrow + sum(kinds.get("award", 0) for kinds in held.values())
    return AwardSums(
        granted_micro_won=granted,
        own_paid_micro_won=paid,
        spent_micro_won=granted + paid - returned - given_back - remaining,
        escrow_micro_won=escrow,
        remaining_micro_won=remaining,
        returned_micro_won=returned,
    )


def _award_view(row: Award, held: dict[str, int], organisation: OrganisationView) -> AwardView:
    escrow = held.get("escrow", 0)
    remaining = held.get("award", 0) + escrow
    return AwardView(
        id=row.pk,
        programme=ref(row.programme),
        organisation=organisation,
        name_ko=row.name_ko,
        name_en=row.name_en,
        state=row.state,
        granted_micro_won=row.granted_micro_won,
        spent_micro_won=row.granted_micro_won + row.own_paid_micro_won - _returned(row) - remaining,
        escrow_micro_won=escrow,
        remaining_micro_won=remaining,
        returned_micro_won=row.returned_micro_won,
        own_share_bp=row.own_share_bp,
        own_share_micro_won=row.own_share_micro_won,
        own_paid_micro_won=row.own_paid_micro_won,
        own_returned_micro_won=row.own_returned_micro_won,
        own_contribution_due=row.own_contribution_due,
        line=line_view(row.line) if row.line else None,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        created_at=row.created_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        closed_at=row.closed_at,
    )
