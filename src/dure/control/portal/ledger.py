"""The ledger's pages: books with their state of verification, transfers with both their sides.

Totals, heads and the outcome of recounts are everybody's. Single transfers name awards and providers, whose
business they are, so they open to those who serve the whole platform.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext, pgettext
from django.utils.translation import gettext_lazy as _

from dure.control.foundation import exports
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.foundation.exports import Column
from dure.control.foundation.http import Request, whole_number
from dure.control.identity import selectors as identity
from dure.control.identity.guards import public, requires
from dure.control.ledger import selectors
from dure.control.portal.templatetags import portal_ui
from dure.control.portal.templatetags.portal_ui import in_my_language
from dure.control.programmes import selectors as programmes

TRANSFERS_SHOWN = 30
TRANSFER_KINDS = (
    *("appropriation", "passed_on", "award", "lease", "give_back", "usage", "late_usage", "award_return"),
    *("own_contribution_paid", "own_contribution", "own_contribution_return", "own_contribution_repaid"),
    "correction",
)
_READERS = ("auditor", "officer", "operator")


@dataclass(frozen=True, slots=True)
class BookLine:
    id: UUID
    title: str
    head_sequence: int
    head_hash: str
    treasury: int
    awarded: int
    payable: int


@dataclass(frozen=True, slots=True)
class KindLine:
    kind: str
    balance: int


@dataclass(frozen=True, slots=True)
class Row:
    """A transfer with the names of its sides."""

    transfer: selectors.TransferView
    debit_name: str
    credit_name: str


def _titles() -> dict[UUID, str]:
    return {view.id: in_my_language(view) for view in programmes.programmes(actor=Actor.anonymous())}


def _names(accounts: Collection[selectors.AccountView]) -> dict[int, str]:
    """Whose each account is, in words: an award's name, an organisation's, or the book's own."""
    owners = {account.owner_id for account in accounts}
    korean = (get_language() or "ko").startswith("ko")
    awards = {
        award_id: names[0] if korean else names[1]
        for award_id, names in programmes.award_names(award_ids=owners).items()
    }
    organisations = {owner: in_my_language(view) for owner, view in identity.names_of(owners).items()}
    titles = _titles()
    known = {**titles, **organisations, **awards}
    return {account.id: known.get(account.owner_id, str(account.owner_id)) for account in accounts}


def _kinds(book_id: UUID) -> list[KindLine]:
    held = selectors.balances_by_book(book_ids=[book_id]).get(book_id, {})
    order = (
        "treasury",
        "deposits",
        "appropriation",
        "award",
        "escrow",
        "payable",
        "own_contribution",
        "returned",
        "disputed",
    )
    return [KindLine(kind, held[kind]) for kind in order if kind in held]


def _book(book_id: UUID) -> tuple[selectors.BookView, str]:
    found = selectors.book(book_id=book_id)
    if found is None:
        raise NotFound
    return found, _titles().get(book_id, found.name)


@public
def books(request: Request) -> HttpResponse:
    titles, held = _titles(), selectors.balances_by_book()
    lines = [
        BookLine(
            id=view.id,
            title=titles.get(view.id, view.name),
            head_sequence=view.head_sequence,
            head_hash=view.head_hash,
            treasury=held.get(view.id, {}).get("treasury", 0),
            awarded=held.get(view.id, {}).get("award", 0) + held.get(view.id, {}).get("escrow", 0),
            payable=held.get(view.id, {}).get("payable", 0),
        )
        for view in selectors.books()
    ]
    return render(
        request, "ledger/books.html", {"books": lines, "verification": selectors.verification_state()}
    )


def _positive(text: str) -> int | None:
    return whole_number(text) or None


@public
def book(request: Request, book_id: UUID) -> HttpResponse:
    found, title = _book(book_id)
    verification = selectors.verification_state()
    context: dict[str, Any] = {
        "book": found,
        "title": title,
        "kinds": _kinds(book_id),
        "verification": verification,
        "head": verification.heads.get(str(book_id), "") if verification else "",
        "heads": selectors.day_heads(book_id=book_id),
        "full": request.actor.has(*_READERS),
    }
    if context["full"]:
        context |= _transfers(request, book_id)
    return render(request, "ledger/book.html", context)


def _transfers(request: Request, book_id: UUID) -> dict[str, Any]:
    kind = request.GET.get("kind", "")
    filters: dict[str, Any] = {
        "kind": kind if kind in TRANSFER_KINDS else "",
        "account": _positive(request.GET.get("account", "")),
        "before": _positive(request.GET.get("before", "")),
    }
    found = selectors.transfers(
        book_id=book_id,
        kind=filters["kind"] or None,
        account_id=filters["account"],
        before_sequence=filters["before"],
        limit=TRANSFERS_SHOWN + 1,
    )
    shown = found[:TRANSFERS_SHOWN]
    names = _names([side for one in shown for side in (one.debit, one.credit)])
    return {
        "rows": [Row(one, names[one.debit.id], names[one.credit.id]) for one in shown],
        "older": shown[-1].sequence if len(found) > TRANSFERS_SHOWN else None,
        "filters": filters,
        "transfer_kinds": TRANSFER_KINDS,
    }


@requires(*_READERS)
def transfer(request: Request, book_id: UUID, sequence: int) -> HttpResponse:
    found, title = _book(book_id)
    rows = selectors.transfers(book_id=book_id, before_sequence=min(sequence + 1, 2**63 - 1), limit=1)
    if not rows or rows[0].sequence != sequence:
        raise NotFound
    view = rows[0]
    names = _names([view.debit, view.credit])
    context = {
        "book": found,
        "title": title,
        "transfer": view,
        "sides": [
            {"heading": pgettext("transfer", "From"), "account": view.debit, "name": names[view.debit.id]},
            {"heading": pgettext("transfer", "To"), "account": view.credit, "name": names[view.credit.id]},
        ],
        "cause": _cause(view),
        "corrects": selectors.transfer(transfer_id=view.corrects_id) if view.corrects_id else None,
        "corrected_by": [selectors.transfer(transfer_id=one) for one in view.corrected_by],
    }
    return render(request, "ledger/transfer.html", context)


def _cause(view: selectors.TransferView) -> str:
    causes = {
        "appropriation": gettext("A public source put money into the programme."),
        "passed_on": gettext("What a source had given this programme was passed on to another one."),
        "own_contribution_paid": gettext(
            "An officer confirmed that an organisation's own contribution arrived."
        ),
        "own_contribution": gettext("The own contribution joined the award."),
        "own_contribution_return": gettext("An ended award gave back what was left of the own contribution."),
        "own_contribution_repaid": gettext("What was left of the own contribution was paid back."),
        "award": gettext("An officer granted an award."),
        "lease": gettext(
            "A gateway set a slice of the award aside, so that calls need not ask the database."
        ),
        "give_back": gettext("A gateway gave back what it did not need."),
        "usage": gettext("Calls were charged and are owed to the model's provider."),
        "late_usage": gettext(
            "Calls turned up of a gateway that had been declared lost; the award was charged as far as it had the"
            " money."
        ),
        "award_return": gettext("An ended award gave its rest back to the programme."),
        "correction": gettext("An earlier transfer was put right by a new one."),
    }
    return causes.get(view.kind, view.kind)


@requires(*_READERS)
def book_csv(request: Request, book_id: UUID) -> HttpResponse:
    """The whole book, latest first, with what is needed to compute every hash again."""
    _book(book_id)
    return exports.table(
        kind=exports.asked(request) or "csv",
        name=f"ledger-{book_id}",
        columns=_COLUMNS,
        rows=_every_transfer(book_id),
    )


def _every_transfer(book_id: UUID) -> Iterator[selectors.TransferView]:
    before: int | None = None
    while page := selectors.transfers(book_id=book_id, before_sequence=before, limit=1_000):
        yield from page
        before = page[-1].sequence


_COLUMNS = (
    Column("sequence", "№", "number"),
    Column("id", _("Id")),
    Column("created_at", _("Time"), "moment"),
    Column("kind", _("Kind"), words=portal_ui.TRANSFER_KINDS),
    Column("unit", _("Unit"), value=lambda one: one.debit.unit),
    Column("debit_account", _("From: account"), "number", value=lambda one: one.debit.id),
    Column("debit_kind", _("From: kind"), value=lambda one: one.debit.kind, words=portal_ui.ACCOUNT_KINDS),
    Column("debit_owner", _("From: owner"), value=lambda one: one.debit.owner_id),
    Column("credit_account", _("To: account"), "number", value=lambda one: one.credit.id),
    Column("credit_kind", _("To: kind"), value=lambda one: one.credit.kind, words=portal_ui.ACCOUNT_KINDS),
    Column("credit_owner", _("To: owner"), value=lambda one: one.credit.owner_id),
    Column("amount", _("Amount"), "micro_won"),
    Column("memo", _("Memo")),
    Column("corrects", _("Corrects"), value=lambda one: one.corrects_id),
    Column("previous_hash", _("Hash before")),
    Column("hash", _("Hash")),
)
