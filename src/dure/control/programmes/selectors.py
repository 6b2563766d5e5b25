"""Questions about programmes and awards: what was decided, and what the ledger says is left."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum
from django.utils.translation import get_language

from dure.control.access import selectors as access
from dure.control.access.selectors import KeyView
from dure.control.catalogue import selectors as catalogue
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.models import AuditEvent
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger
from dure.control.programmes import rules
from dure.control.programmes.models import Appropriation, Award, Programme
from dure.control.settlement import selectors as settlement

__all__ = [
    "AppropriationView",
    "AwardPage",
    "AwardSums",
    "AwardView",
    "HomeTotals",
    "KeyUse",
    "ProgrammeRef",
    "ProgrammeView",
    "appropriations",
    "award",
    "award_names",
    "award_timeline",
    "awards",
    "home_totals",
    "keys_with_use",
    "may_grant",
    "programme",
    "programme_choices",
    "programmes",
]

PAGE_SIZES = (20, 50, 100)
_ORDERS = {
    "created": ("created_at", "pk"),
    "granted": ("granted_micro_won", "pk"),
    "name": ("name_ko", "pk"),
    "until": ("valid_until", "pk"),
}


@dataclass(frozen=True, slots=True)
class ProgrammeRef:
    """A programme's names, as other things mention it."""

    id: UUID
    slug: str
    name_ko: str
    name_en: str
    agency_id: UUID | None

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en


@dataclass(frozen=True, slots=True)
class ProgrammeView:
    """A programme and its money, in micro-won, all read at one moment.

    appropriated = left to grant + granted; granted = spent + remaining (in awards; escrow is a part of
    it). Money an ended award returned counts as left to grant again.
    """

    id: UUID
    slug: str
    name_ko: str
    name_en: str
    agency: OrganisationView | None
    state: str
    created_at: datetime
    appropriated_micro_won: int
    granted_micro_won: int
    left_to_grant_micro_won: int
    spent_micro_won: int
    escrow_micro_won: int
    remaining_micro_won: int
    awards: int
    open_awards: int
    organisations: int

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en

    def as_dict(self) -> dict[str, Any]:
        """Flat values for `--json` and REST."""
        flat = {name: getattr(self, name) for name in ProgrammeView.__dataclass_fields__}
        return flat | {"agency": self.agency.slug if self.agency else None}


@dataclass(frozen=True, slots=True)
class AppropriationView:
    """The transfer that paid it has the same id."""

    id: UUID
    amount_micro_won: int
    memo: str
    created_at: datetime
    created_by_name: str


@dataclass(frozen=True, slots=True)
class AwardView:
    """An award and its money, in micro-won, all read at one moment.

    granted = spent + remaining + returned. `remaining` includes `escrow`, which gateways hold for calls
    that run or may come; `spent` is what has been posted to providers.
    """

    id: UUID
    programme: ProgrammeRef
    organisation: OrganisationView
    name_ko: str
    name_en: str
    state: str
    granted_micro_won: int
    spent_micro_won: int
    escrow_micro_won: int
    remaining_micro_won: int
    returned_micro_won: int
    valid_from: datetime
    valid_until: datetime | None
    created_at: datetime
    ended_at: datetime | None
    end_reason: str
    closed_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def being_returned(self) -> bool:
        """Ended, and gateways still hold some of it."""
        return self.state == "returning"

    @property
    def name(self) -> str:
        """The name in the reader's language."""
        return self.name_ko if (get_language() or "ko").startswith("ko") else self.name_en

    def as_dict(self) -> dict[str, Any]:
        """Flat values for `--json` and REST."""
        return {
            "id": self.id,
            "programme": self.programme.slug,
            "organisation": self.organisation.slug,
            "name": self.name_ko,
            "name_en": self.name_en,
            "state": self.state,
            "granted_micro_won": self.granted_micro_won,
            "spent_micro_won": self.spent_micro_won,
            "escrow_micro_won": self.escrow_micro_won,
            "remaining_micro_won": self.remaining_micro_won,
            "returned_micro_won": self.returned_micro_won,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "created_at": self.created_at,
            "ended_at": self.ended_at,
            "end_reason": self.end_reason,
            "closed_at": self.closed_at,
        }


@dataclass(frozen=True, slots=True)
class AwardSums:
    granted_micro_won: int = 0
    spent_micro_won: int = 0
    escrow_micro_won: int = 0
    remaining_micro_won: int = 0
    returned_micro_won: int = 0


@dataclass(frozen=True, slots=True)
class AwardPage:
    """One page of awards; `sums` are over every row the filters let through, not over this page."""

    items: list[AwardView]
    total: int
    page: int
    page_size: int
    sums: AwardSums

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.page_size))


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key and what was called with it."""

    key: KeyView
    last_used_at: datetime | None
    calls: int
    cost_micro_won: int


@dataclass(frozen=True, slots=True)
class HomeTotals:
    """What the public home page tells: sums over all programmes, in micro-won, read at one moment."""

    at: datetime
    programmes: int
    appropriated_micro_won: int
    granted_micro_won: int
    left_to_grant_micro_won: int
    spent_micro_won: int
    remaining_micro_won: int
    open_awards: int
    organisations: int
    models: int
    calls: int
    input_tokens: int
    output_tokens: int


def programmes(*, actor: Actor, search: str = "", state: str = "") -> list[ProgrammeView]:
    """Programmes and their totals are public records; latest first."""
    rows = Programme.objects.order_by("-created_at", "slug")
    if search:
        rows = rows.filter(
            Q(slug__icontains=search) | Q(name_ko__icontains=search) | Q(name_en__icontains=search)
        )
    if state:
        rows = rows.filter(state=state)
    return _programme_views(list(rows))


def programme(*, actor: Actor, slug: str) -> ProgrammeView:
    """One programme; public, like all of them."""
    row = Programme.objects.filter(slug=slug).first()
    if row is None:
        raise NotFound(code="programme_not_found")
    return _programme_views([row])[0]


def programme_choices(*, actor: Actor) -> list[ProgrammeRef]:
    """Programmes this actor may grant from."""
    return [
        _ref(row)
        for row in Programme.objects.filter(state="open").order_by("slug")
        if rules.may_move_money(actor, row.agency_id)
    ]


def may_grant(*, actor: Actor, slug: str) -> bool:
    row = Programme.objects.filter(slug=slug).first()
    return row is not None and row.state == "open" and rules.may_move_money(actor, row.agency_id)


def appropriations(*, actor: Actor, slug: str) -> list[AppropriationView]:
    rows = Appropriation.objects.filter(programme__slug=slug).order_by("-created_at", "-pk")
    return [
        AppropriationView(
            id=row.pk,
            amount_micro_won=row.amount_micro_won,
            memo=row.memo,
            created_at=row.created_at,
            created_by_name=row.created_by_name if actor.is_platform else "",
        )
        for row in rows
    ]


def award(*, actor: Actor, award_id: UUID) -> AwardView:
    row = Award.objects.select_related("programme").filter(pk=award_id).first()
    if row is None or not rules.may_see_award(actor, row.organisation_id):
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
    """The awards this actor may see: the platform all of them, an organisation its own, nobody else any."""
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
        items=award_views(list(ordered.select_related("programme")[start : start + page_size])),
        total=total,
        page=page,
        page_size=page_size,
        sums=_sums(rows),
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
    used = settlement.last_used(key_ids=[key.id for key in found])
    spent = {line.group: line for line in settlement.spend_by_key(award_ids=[award_id])}
    return [
        KeyUse(
            key=key,
            last_used_at=used.get(key.id),
            calls=spent[key.id].calls if key.id in spent else 0,
            cost_micro_won=spent[key.id].cost_micro_won if key.id in spent else 0,
        )
        for key in found
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


def award_views(rows: Sequence[Award]) -> list[AwardView]:
    """Values for rows that were already judged visible (this room's services use it, too)."""
    ids = [row.pk for row in rows]
    held = ledger.balances_by_kind(owner_ids=ids, kinds=("award", "escrow"))
    ending = [row.pk for row in rows if row.state == "returning"]
    if ending:
        # Rows were read before the balances: what was returned in between would look spent.
        fresh = Award.objects.in_bulk(ending)
        for row in rows:
            if row.pk in fresh and fresh[row.pk].returned_micro_won != row.returned_micro_won:
                row.refresh_from_db(fields=["returned_micro_won", "state", "closed_at"])
                held |= ledger.balances_by_kind(owner_ids=[row.pk], kinds=("award", "escrow"))
    organisations = identity.names_of({row.organisation_id for row in rows})
    return [_award_view(row, held.get(row.pk, {}), organisations[row.organisation_id]) for row in rows]


@dataclass(frozen=True, slots=True)
class _Money:
    appropriated: int
    left: int
    escrow: int
    remaining: int

    @property
    def granted(self) -> int:
        return self.appropriated - self.left

    @property
    def spent(self) -> int:
        return self.granted - self.remaining


def _money(books: Sequence[dict[str, int]]) -> _Money:
    def total(kind: str) -> int:
        return sum(book.get(kind, 0) for book in books)

    escrow = total("escrow")
    return _Money(
        appropriated=total("treasury"),
        left=total("appropriation"),
        escrow=escrow,
        remaining=total("award") + escrow,
    )


def _visible(actor: Actor) -> QuerySet[Award]:
    if actor.is_platform:
        return Award.objects.all()
    if actor.organisation_id is None:
        return Award.objects.none()
    return Award.objects.filter(organisation_id=actor.organisation_id)


def _sums(rows: QuerySet[Award]) -> AwardSums:
    decided = rows.aggregate(granted=Sum("granted_micro_won"), returned=Sum("returned_micro_won"))
    granted, returned = int(decided["granted"] or 0), int(decided["returned"] or 0)
    # A subquery, not a list: the database joins, however many rows there are.
    owners: Any = rows.values("pk")
    held = ledger.balances_by_kind(owner_ids=owners, kinds=("award", "escrow"))
    escrow = sum(kinds.get("escrow", 0) for kinds in held.values())
    remaining = escrow + sum(kinds.get("award", 0) for kinds in held.values())
    return AwardSums(
        granted_micro_won=granted,
        spent_micro_won=granted - returned - remaining,
        escrow_micro_won=escrow,
        remaining_micro_won=remaining,
        returned_micro_won=returned,
    )


def _award_view(row: Award, held: dict[str, int], organisation: OrganisationView) -> AwardView:
    escrow = held.get("escrow", 0)
    remaining = held.get("award", 0) + escrow
    return AwardView(
        id=row.pk,
        programme=_ref(row.programme),
        organisation=organisation,
        name_ko=row.name_ko,
        name_en=row.name_en,
        state=row.state,
        granted_micro_won=row.granted_micro_won,
        spent_micro_won=row.granted_micro_won - row.returned_micro_won - remaining,
        escrow_micro_won=escrow,
        remaining_micro_won=remaining,
        returned_micro_won=row.returned_micro_won,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        created_at=row.created_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        closed_at=row.closed_at,
    )


def _ref(row: Programme) -> ProgrammeRef:
    return ProgrammeRef(
        id=row.pk, slug=row.slug, name_ko=row.name_ko, name_en=row.name_en, agency_id=row.agency_id
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
                spent_micro_won=money.spent,
                escrow_micro_won=money.escrow,
                remaining_micro_won=money.remaining,
                awards=count.get("awards", 0),
                open_awards=count.get("open_awards", 0),
                organisations=count.get("organisations", 0),
            )
        )
    return views
