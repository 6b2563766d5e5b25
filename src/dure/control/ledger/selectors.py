"""Questions to the ledger. Values cross; models do not."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db.models import Case, F, Q, QuerySet, Sum, When

from dure.control.ledger.models import Account, AccountKind, Book, DayHead, Transfer, Verification

__all__ = [
    "AccountView",
    "BookView",
    "DayHeadView",
    "EscrowHolding",
    "TransferView",
    "VerificationView",
    "account",
    "account_view",
    "accounts",
    "balances",
    "balances_by_book",
    "balances_by_kind",
    "balances_of",
    "book",
    "books",
    "day_heads",
    "escrow_by_counterpart",
    "escrow_holdings",
    "received",
    "transfer",
    "transfers",
    "verification_state",
]


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account and its balance (micro-won where the unit is KRW)."""

    id: int
    book_id: UUID
    kind: str
    unit: str
    owner_id: UUID
    counterpart_id: UUID | None
    debits: int
    credits: int

    @property
    def balance(self) -> int:
        """What the account holds; for the treasury, what it has paid out."""
        return self.debits - self.credits if self.kind == AccountKind.TREASURY else self.credits - self.debits


@dataclass(frozen=True, slots=True)
class BookView:
    id: UUID
    name: str
    created_at: datetime
    head_sequence: int
    head_hash: str


@dataclass(frozen=True, slots=True)
class TransferView:
    """A transfer with both its sides, and the transfers that correct it."""

    id: UUID
    book_id: UUID
    sequence: int
    debit: AccountView
    credit: AccountView
    amount: int
    kind: str
    memo: str
    corrects_id: UUID | None
    corrected_by: tuple[UUID, ...]
    created_at: datetime
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class EscrowHolding:
    """What one counterpart (gateway process) holds of one owner (award), in the account's unit."""

    counterpart_id: UUID
    owner_id: UUID
    book_id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class DayHeadView:
    day: date
    sequence: int
    hash: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class VerificationView:
    """The last recount: when, how much, and the first difference (empty when everything agreed)."""

    finished_at: datetime
    transfers: int
    usage_records: int
    difference: str
    heads: dict[str, str]

    @property
    def ok(self) -> bool:
        return not self.difference


def account_view(row: Account) -> AccountView:
    return AccountView(
        id=row.pk,
        book_id=row.book_id,
        kind=row.kind,
        unit=row.unit,
        owner_id=row.owner_id,
        counterpart_id=row.counterpart_id,
        debits=row.debits_posted,
        credits=row.credits_posted,
    )


def account(*, account_id: int) -> AccountView | None:
    row = Account.objects.filter(pk=account_id).first()
    return account_view(row) if row else None


def accounts(*, book_id: UUID, kind: str | None = None) -> list[AccountView]:
    """The accounts of a book, the fund kinds first to last in the order money flows."""
    rows = Account.objects.filter(book_id=book_id)
    if kind:
        rows = rows.filter(kind=kind)
    order = {value: index for index, value in enumerate(AccountKind.values)}
    return sorted((account_view(row) for row in rows), key=lambda view: (order[view.kind], view.id))


def balances(*, owner_ids: Collection[UUID], kind: str, unit: str = "KRW") -> dict[UUID, int]:
    """What each owner's accounts of one kind hold together; owners without one are absent."""
    rows = (
        Account.objects.filter(owner_id__in=owner_ids, kind=kind, unit=unit)
        .values("owner_id")
        .annotate(held=Sum(F("credits_posted") - F("debits_posted")))
    )
    sign = -1 if kind == AccountKind.TREASURY else 1
    return {row["owner_id"]: sign * row["held"] for row in rows}


def balances_by_kind(
    *, owner_ids: Collection[UUID], kinds: Collection[str], unit: str = "KRW"
) -> dict[UUID, dict[str, int]]:
    """As `balances`, several kinds at one moment: money moving between them is counted exactly once."""
    rows = (
        Account.objects.filter(owner_id__in=owner_ids, kind__in=kinds, unit=unit)
        .values("owner_id", "kind")
        .annotate(held=Sum(F("credits_posted") - F("debits_posted")))
    )
    held: dict[UUID, dict[str, int]] = {}
    for row in rows:
        sign = -1 if row["kind"] == AccountKind.TREASURY else 1
        held.setdefault(row["owner_id"], {})[row["kind"]] = sign * row["held"]
    return held


def balances_by_book(
    *, book_ids: Collection[UUID] | None = None, unit: str = "KRW"
) -> dict[UUID, dict[str, int]]:
    """What all accounts of each kind hold together, by book (all books if none are named), at one moment.

    `treasury` is the book's own (its owner has the book's id); what came in through treasuries of other owners,
    such as own contributions, is `deposits`, and absent where there are none.
    """
    rows = Account.objects.filter(unit=unit).annotate(
        others=Case(When(Q(kind=AccountKind.TREASURY) & ~Q(owner_id=F("book_id")), then=True), default=False)
    )
    if book_ids is not None:
        rows = rows.filter(book_id__in=book_ids)
    held: dict[UUID, dict[str, int]] = {}
    sums = rows.values("book_id", "kind", "others").annotate(
        held=Sum(F("credits_posted") - F("debits_posted"))
    )
    for row in sums:
        sign = -1 if row["kind"] == AccountKind.TREASURY else 1
        name = "deposits" if row["others"] else row["kind"]
        held.setdefault(row["book_id"], {})[name] = sign * row["held"]
    return held


def balances_of(*, account_ids: Collection[int]) -> dict[int, int]:
    """What single accounts hold, by id."""
    return {row.pk: account_view(row).balance for row in Account.objects.filter(pk__in=account_ids)}


def escrow_by_counterpart(*, counterpart_ids: Collection[UUID], unit: str = "KRW") -> dict[UUID, int]:
    """What each counterpart (gateway process) holds in escrow, over all owners."""
    rows = (
        Account.objects.filter(counterpart_id__in=counterpart_ids, kind=AccountKind.ESCROW, unit=unit)
        .values("counterpart_id")
        .annotate(held=Sum(F("credits_posted") - F("debits_posted")))
    )
    return {row["counterpart_id"]: row["held"] for row in rows if row["counterpart_id"] is not None}


def escrow_holdings(
    *, counterpart_ids: Collection[UUID], owner_ids: Collection[UUID] | None = None, unit: str = "KRW"
) -> list[EscrowHolding]:
    """What these counterparts hold of whom (of all owners if none are named), the largest first."""
    rows = Account.objects.filter(
        counterpart_id__in=counterpart_ids,
        kind=AccountKind.ESCROW,
        unit=unit,
        credits_posted__gt=F("debits_posted"),
    ).annotate(held=F("credits_posted") - F("debits_posted"))
    if owner_ids is not None:
        rows = rows.filter(owner_id__in=owner_ids)
    return [
        EscrowHolding(row.counterpart_id, row.owner_id, row.book_id, row.held)
        for row in rows.order_by("-held", "pk")
        if row.counterpart_id is not None
    ]


def received(*, owner_ids: Collection[UUID], kind: str, unit: str = "KRW") -> dict[UUID, int]:
    """What each owner's accounts of one kind ever received (credits)."""
    rows = (
        Account.objects.filter(owner_id__in=owner_ids, kind=kind, unit=unit)
        .values("owner_id")
        .annotate(total=Sum("credits_posted"))
    )
    return {row["owner_id"]: row["total"] for row in rows}


def book(*, book_id: UUID) -> BookView | None:
    row = Book.objects.filter(pk=book_id).first()
    return _book_view(row) if row else None


def books() -> list[BookView]:
    return [_book_view(row) for row in Book.objects.order_by("created_at", "id")]


def transfer(*, transfer_id: UUID) -> TransferView | None:
    rows = Transfer.objects.filter(pk=transfer_id)
    views = _transfer_views(rows)
    return views[0] if views else None


def transfers(
    *,
    book_id: UUID,
    kind: str | None = None,
    account_id: int | None = None,
    before_sequence: int | None = None,
    limit: int = 50,
) -> list[TransferView]:
    """Transfers of a book, latest first; `before_sequence` continues a page."""
    rows = Transfer.objects.filter(book_id=book_id)
    if kind:
        rows = rows.filter(kind=kind)
    if account_id:
        rows = rows.filter(Q(debit_account_id=account_id) | Q(credit_account_id=account_id))
    if before_sequence is not None:
        rows = rows.filter(sequence__lt=before_sequence)
    return _transfer_views(rows.order_by("-sequence")[:limit])


def day_heads(*, book_id: UUID, limit: int = 60) -> list[DayHeadView]:
    rows = DayHead.objects.filter(book_id=book_id).order_by("-day")[:limit]
    return [
        DayHeadView(
            day=row.day, sequence=row.sequence, hash=bytes(row.hash).hex(), published_at=row.published_at
        )
        for row in rows
    ]


def verification_state() -> VerificationView | None:
    """The outcome of the last recount of everything, if there was one."""
    row = Verification.objects.order_by("-finished_at").first()
    if row is None:
        return None
    return VerificationView(
        finished_at=row.finished_at,
        transfers=row.transfers,
        usage_records=row.usage_records,
        difference=row.difference,
        heads=row.heads,
    )


def _book_view(row: Book) -> BookView:
    return BookView(
        id=row.pk,
        name=row.name,
        created_at=row.created_at,
        head_sequence=row.head_sequence,
        head_hash=bytes(row.head_hash).hex(),
    )


def _transfer_views(rows: QuerySet[Transfer]) -> list[TransferView]:
    found = list(rows.select_related("debit_account", "credit_account"))
    corrected: dict[UUID, list[UUID]] = {}
    for correction_id, corrects_id in Transfer.objects.filter(
        corrects_id__in=[row.pk for row in found]
    ).values_list("id", "corrects_id"):
        if corrects_id is not None:
            corrected.setdefault(corrects_id, []).append(correction_id)
    return [
        TransferView(
            id=row.pk,
            book_id=row.book_id,
            sequence=row.sequence,
            debit=account_view(row.debit_account),
            credit=account_view(row.credit_account),
            amount=row.amount,
            kind=row.kind,
            memo=row.memo,
            corrects_id=row.corrects_id,
            corrected_by=tuple(corrected.get(row.pk, ())),
            created_at=row.created_at,
            previous_hash=bytes(row.previous_hash).hex(),
            hash=bytes(row.hash).hex(),
        )
        for row in found
    ]
