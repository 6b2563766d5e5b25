"""Whose money it is, and whose was spent: exact to the last micro-won, for awards, single calls, programmes and sources."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, F, QuerySet, Sum

from dure.control.foundation.errors import NotFound
from dure.control.foundation.reading import once_a_page
from dure.control.ledger import selectors as ledger
from dure.control.programmes.models import Appropriation, Award, AwardShare, Funding, OwnPayment, Source
from dure.control.programmes.parts import Parts, steps_of
from dure.control.programmes.selectors.values import (
    CallParts,
    OwnPaymentView,
    SourceMoney,
    SourceView,
    SpentOfSource,
    ref,
    source_view,
)
from dure.control.programmes.sharing import cumulative
from dure.control.settlement import selectors as settlement


def source(*, slug: str) -> SourceView:
    row = Source.objects.filter(slug=slug).first()
    if row is None:
        raise NotFound(code="source_not_found")
    return source_view(row)


def sources(*, search: str = "") -> list[SourceView]:
    """All public sources, by their short names."""
    rows = Source.objects.order_by("slug")
    if search:
        rows = rows.filter(name_ko__icontains=search) | rows.filter(name_en__icontains=search)
    return [source_view(row) for row in rows]


def spent_by_source(award_id: UUID, *, spent_micro_won: int | None = None) -> list[SpentOfSource]:
    """What an award was given by each of its sources, and what of it was spent and returned.

    The last line (`source` None) is the own contribution, where one has been paid. Their sums are the award's, to
    the micro-won, at every moment. The caller has decided that the award may be seen. `spent_micro_won`: what is known
    to be spent, where what is shown beside it was read before.
    """
    row, parts = _with_parts(award_id)
    total = _spent_of([row])[row.pk] if spent_micro_won is None else spent_micro_won
    put_in, spent = parts.put_in, parts.spent(total)
    lines = [
        SpentOfSource(source_view(share.funding.source), put_in[at], spent[at], share.returned_micro_won)
        for at, share in enumerate(parts.shares)
    ]
    if row.own_paid_micro_won:
        lines.append(SpentOfSource(None, put_in[-1], spent[-1], row.own_returned_micro_won))
    return lines


def calls_by_source(*, award_id: UUID, request_ids: Collection[UUID]) -> dict[UUID, CallParts]:
    """Whose money each of these calls of an award spent; calls that cost nothing are absent.

    A call's parts are the difference between what was whose after it and before it, in the order in which calls were
    posted (`settlement.order_of_spending`). So the parts of all calls together are the award's.
    """
    _row, parts = _with_parts(award_id)
    whose: Sequence[SourceView | None] = [
        *(source_view(share.funding.source) for share in parts.shares),
        None,
    ]
    found = {}
    for request_id, call in settlement.order_of_spending(award_id=award_id, request_ids=request_ids).items():
        before, after = call.before_micro_won, call.before_micro_won + call.cost_micro_won
        found[request_id] = CallParts(
            request_id,
            before,
            call.cost_micro_won,
            tuple(
                (source, part)
                for source, part in zip(whose, parts.spent_between(before, after), strict=True)
                if part
            ),
        )
    return found


def has_several_parts(award_id: UUID) -> bool:
    """Whether an award is anybody's money but one source's."""
    row, parts = _with_parts(award_id)
    return len(parts.shares) + (row.own_paid_micro_won > 0) > 1


@once_a_page
def _with_parts(award_id: UUID) -> tuple[Award, Parts]:
    row = Award.objects.filter(pk=award_id).first()
    if row is None:
        raise NotFound
    return row, Parts.of(row)


def own_payments(award_id: UUID) -> list[OwnPaymentView]:
    """The own contributions that have arrived, first to last."""
    return [
        OwnPaymentView(row.pk, row.amount_micro_won, row.memo, row.created_at, row.created_by_name)
        for row in OwnPayment.objects.filter(award_id=award_id).order_by("created_at", "pk")
    ]


def own_waiting(award_id: UUID) -> int:
    """Micro-won of an award's own contribution that wait to be paid back to its organisation."""
    return ledger.balances(owner_ids=[award_id], kind="own_contribution").get(award_id, 0)


def money_of_programme(*, programme_id: UUID) -> list[SourceMoney]:
    """What each source gives a programme, in the order in which they joined it."""
    return _money(Funding.objects.filter(programme_id=programme_id).order_by("created_at", "pk"))


def money_of_source(*, source_id: UUID) -> list[SourceMoney]:
    """What a source gives each programme, in the order in which it did."""
    return _money(Funding.objects.filter(source_id=source_id).order_by("created_at", "pk"))


def _money(rows: QuerySet[Funding]) -> list[SourceMoney]:
    fundings = list(rows.select_related("source", "programme"))
    ids = [row.pk for row in fundings]
    given = {
        row["funding_id"]: row["total"]
        for row in Appropriation.objects.filter(funding_id__in=ids)
        .values("funding_id")
        .annotate(total=Sum("amount"))
    }
    passed_on = {
        (row["through_id"], row["funding__source_id"], row["funding__unit"]): row["total"]
        for row in Appropriation.objects.filter(through__in=[row.programme_id for row in fundings])
        .values("through_id", "funding__source_id", "funding__unit")
        .annotate(total=Sum("amount"))
    }
    left = ledger.balances_of(account_ids=[row.account_id for row in fundings])
    spent = _spent_by_funding(ids)
    lines = []
    for row in fundings:
        net = given.get(row.pk, 0) - passed_on.get((row.programme_id, row.source_id, row.unit), 0)
        lines.append(
            SourceMoney(
                source=source_view(row.source),
                programme=ref(row.programme),
                unit=row.unit,
                given=net,
                left=left.get(row.account_id, 0),
                granted=net - left.get(row.account_id, 0),
                spent=spent.get(row.pk, 0),
            )
        )
    return lines


def _spent_by_funding(ids: Collection[UUID]) -> dict[UUID, int]:
    """What was spent of each: awards of one part alone are summed by the database, the others divided one by one."""
    touched = AwardShare.objects.filter(funding_id__in=ids)
    mixed = (
        Award.objects.filter(pk__in=touched.values("award_id"))
        .annotate(parts=Count("shares"))
        .exclude(parts=1, own_paid_micro_won=0)
    )
    alone = touched.exclude(award_id__in=mixed.values("pk"))
    spent: dict[UUID, int] = {}
    granted = alone.values("funding_id").annotate(kept=Sum(F("granted_micro_won") - F("returned_micro_won")))
    for row in granted:
        spent[row["funding_id"]] = row["kept"]
    held = ledger.balances_by_kind(owner_ids=alone.values("award_id"), kinds=("award", "escrow"))  # type: ignore[arg-type]
    for award_id, funding_id in alone.values_list("award_id", "funding_id"):
        spent[funding_id] -= sum(held.get(award_id, {}).values())
    for funding_id, part in _spent_of_mixed(mixed):
        spent[funding_id] = spent.get(funding_id, 0) + part
    return spent


def _spent_of_mixed(mixed: QuerySet[Award]) -> Iterator[tuple[UUID, int]]:
    """What was spent of each source by awards of several parts: plain values, for there may be thousands."""
    ids: Any = mixed.values("pk")
    held = ledger.balances_by_kind(owner_ids=ids, kinds=("award", "escrow"))
    shares: dict[UUID, list[tuple[UUID, int]]] = {}
    rows = AwardShare.objects.filter(award_id__in=ids).order_by("award_id", "position")
    for award_id, funding_id, granted in rows.values_list("award_id", "funding_id", "granted_micro_won"):
        shares.setdefault(award_id, []).append((funding_id, granted))
    paid: dict[UUID, list[tuple[int, int]]] = {}
    payments = OwnPayment.objects.filter(award_id__in=ids).order_by(
        "spent_before_micro_won", "created_at", "pk"
    )
    for award_id, before, amount in payments.values_list(
        "award_id", "spent_before_micro_won", "amount_micro_won"
    ):
        paid.setdefault(award_id, []).append((before, amount))
    kept = (
        F("granted_micro_won")
        + F("own_paid_micro_won")
        - F("returned_micro_won")
        - F("own_returned_micro_won")
    )
    for award_id, funded in mixed.annotate(kept=kept).values_list("pk", "kept"):
        total = funded - sum(held.get(award_id, {}).values())
        if total:
            mine = shares[award_id]
            parts = cumulative(total, steps_of([granted for _, granted in mine], paid.get(award_id, ())))
            yield from zip((funding_id for funding_id, _ in mine), parts, strict=False)


def _spent_of(rows: Sequence[Award]) -> dict[UUID, int]:
    held = ledger.balances_by_kind(owner_ids=[row.pk for row in rows], kinds=("award", "escrow"))
    return {
        row.pk: row.granted_micro_won
        + row.own_paid_micro_won
        - row.returned_micro_won
        - row.own_returned_micro_won
        - sum(held.get(row.pk, {}).values())
        for row in rows
    }
