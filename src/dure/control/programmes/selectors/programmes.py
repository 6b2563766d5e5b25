"""Questions about programmes: what was decided, and what the ledger says is left."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from dure.control.catalogue import selectors as catalogue
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page
from dure.control.identity import selectors as identity
from dure.control.ledger import selectors as ledger
from dure.control.programmes import rules
from dure.control.programmes.models import Appropriation, Award, Programme
from dure.control.programmes.selectors.values import (
    AppropriationView,
    HomeTotals,
    ProgrammePage,
    ProgrammeRef,
    ProgrammeView,
    ref,
    source_view,
)
from dure.control.settlement import selectors as settlement


def programmes(*, actor: Actor, search: str = "", state: str = "") -> list[ProgrammeView]:
    """Programmes and their totals are public records; latest first."""
    return _programme_views(list(_found(search, state)))


def programme_page(
    *, actor: Actor, search: str = "", state: str = "", page: int = 1, page_size: int = 20
) -> ProgrammePage:
    """As `programmes`, a page at a time."""
    rows = _found(search, state)
    total, page_size = rows.count(), min(max(page_size, 1), 100)
    page = min(max(page, 1), max(1, -(-total // page_size)))
    start = (page - 1) * page_size
    return ProgrammePage(_programme_views(list(rows[start : start + page_size])), total, page, page_size)


def _found(search: str, state: str) -> QuerySet[Programme]:
    rows = Programme.objects.order_by("-created_at", "slug")
    if search:
        rows = rows.filter(
            Q(slug__icontains=search) | Q(name_ko__icontains=search) | Q(name_en__icontains=search)
        )
    if state:
        rows = rows.filter(state=state)
    return rows


def programme(*, actor: Actor, slug: str) -> ProgrammeView:
    """One programme; public, like all of them."""
    row = Programme.objects.filter(slug=slug).first()
    if row is None:
        raise NotFound(code="programme_not_found")
    return _programme_views([row])[0]


def programme_names(ids: Collection[UUID]) -> dict[UUID, ProgrammeRef]:
    """Programmes by id, as other things mention them; public, like all of them."""
    return {row.pk: ref(row) for row in Programme.objects.filter(pk__in=set(ids))}


def agency_of(programme_id: UUID) -> UUID | None:
    """Whose programme it is; raises `NotFound`."""
    row = Programme.objects.filter(pk=programme_id).first()
    if row is None:
        raise NotFound(code="programme_not_found", field="programme_id")
    return row.agency_id


def programme_choices(*, actor: Actor) -> list[ProgrammeRef]:
    """Programmes this actor may grant from."""
    return [
        ref(row)
        for row in Programme.objects.filter(state="open").order_by("slug")
        if rules.may_move_money(actor, row.agency_id, row.pk)
    ]


@once_a_page
def may_grant(*, actor: Actor, slug: str) -> bool:
    row = Programme.objects.filter(slug=slug).first()
    return row is not None and row.state == "open" and rules.may_move_money(actor, row.agency_id, row.pk)


def appropriations(*, actor: Actor, slug: str) -> list[AppropriationView]:
    rows = (
        Appropriation.objects.filter(programme__slug=slug)
        .select_related("funding__source", "through", "programme")
        .order_by("-created_at", "-pk")
    )
    return [
        AppropriationView(
            id=row.pk,
            amount=row.amount,
            unit=row.funding.unit,
            source=source_view(row.funding.source),
            through=ref(row.through) if row.through else None,
            memo=row.memo,
            created_at=row.created_at,
            created_by_name=row.created_by_name
            if actor.is_platform or actor.officer_for(row.programme.agency_id, row.programme_id)
            else "",
        )
        for row in rows
    ]


def home_totals() -> HomeTotals:
    money = _money(list(ledger.balances_by_book().values()))
    counts = Award.objects.filter(state="open").aggregate(
        awards=Count("pk"), organisations=Count("organisation_id", distinct=True)
    )
    calls = settlement.totals()
    return HomeTotals(
        at=clock.now(),
        programmes=Programme.objects.count(),
        appropriated_micro_won=money.appropriated,
        granted_micro_won=money.granted,
        left_to_grant_micro_won=money.left,
        spent_micro_won=money.spent,
        remaining_micro_won=money.remaining,
        open_awards=counts["awards"],
        organisations=counts["organisations"],
        models=catalogue.offered_count(),
        calls=calls.calls,
        input_tokens=calls.input_tokens,
        output_tokens=calls.output_tokens,
    )


@dataclass(frozen=True, slots=True)
class _Money:
    appropriated: int
    left: int
    own: int
    escrow: int
    remaining: int

    @property
    def granted(self) -> int:
        return self.appropriated - self.left

    @property
    def spent(self) -> int:
        return self.granted + self.own - self.remaining


def _money(books: Sequence[dict[str, int]]) -> _Money:
    def total(kind: str) -> int:
        return sum(book.get(kind, 0) for book in books)

    escrow = total("escrow")
    return _Money(
        appropriated=total("treasury"),
        left=total("appropriation"),
        own=total("deposits") - total("own_contribution"),
        escrow=escrow,
        remaining=total("award") + escrow,
    )


def _programme_views(rows: list[Programme]) -> list[ProgrammeView]:
    ids = [row.pk for row in rows]
    books = ledger.balances_by_book(book_ids=ids)
    counts: dict[UUID, dict[str, Any]] = {
        line["programme_id"]: dict(line)
        for line in Award.objects.filter(programme_id__in=ids)
        .values("programme_id")
        .annotate(
            awards=Count("pk"),
            open_awards=Count("pk", filter=Q(state="open")),
            organisations=Count("organisation_id", distinct=True),
        )
    }
    agencies = identity.names_of({row.agency_id for row in rows if row.agency_id})
    views = []
    for row in rows:
        money = _money([books.get(row.pk, {})])
        count: Mapping[str, Any] = counts.get(row.pk, {})
        views.append(
            ProgrammeView(
                id=row.pk,
                slug=row.slug,
                name_ko=row.name_ko,
                name_en=row.name_en,
                agency=agencies[row.agency_id] if row.agency_id else None,
                state=row.state,
                created_at=row.created_at,
                appropriated_micro_won=money.appropriated,
                granted_micro_won=money.granted,
                left_to_grant_micro_won=money.left,
                own_contribution_micro_won=money.own,
                spent_micro_won=money.spent,
                escrow_micro_won=money.escrow,
                remaining_micro_won=money.remaining,
                awards=count.get("awards", 0),
                open_awards=count.get("open_awards", 0),
                organisations=count.get("organisations", 0),
            )
        )
    return views
