"""`dure ledger`: books, transfers, and the recount of everything."""

import sys
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from dure.cli._context import Refusal, control_plane, json_option, print_json, print_rows
from dure.cli._types import show_moment


@click.group()
def ledger() -> None:
    """Books, transfers, and the recount of everything. Amounts are micro-won, a millionth of a won."""


@ledger.command("verify")
@json_option
@control_plane
def verify(as_json: bool) -> None:
    """Recount everything and check every invariant and the chain.

    Reads each book from its first transfer: hashes, sequences, balances through the whole history, stored
    totals, usage records against what they moved, day totals, published heads, the audit trail.
    Exit status 1, and the first difference, if anything is off.
    """
    from dure.control.settlement.services import verify_everything

    report = verify_everything()
    if as_json:
        print_json(
            {
                "ok": report.ok,
                "books": report.books,
                "accounts": report.accounts,
                "transfers": report.transfers,
                "usage_records": report.usage_records,
                "difference": report.difference,
                "heads": report.heads,
            }
        )
    elif report.ok:
        click.echo(
            f"Everything agrees: {report.books} books, {report.accounts:,} accounts, "
            f"{report.transfers:,} transfers, {report.usage_records:,} usage records."
        )
        for book, head in report.heads.items():
            click.echo(f"  {book}  {head}")
    if not report.ok:
        click.echo(f"error: {report.difference} (ledger_difference)", err=True)
        sys.exit(1)


@ledger.command("books")
@json_option
@control_plane
def books(as_json: bool) -> None:
    """List the books: one a programme, with the head of its chain."""
    from dure.control.ledger import selectors

    rows: list[dict[str, Any]] = [
        {"id": str(b.id), "name": b.name, "head_sequence": b.head_sequence, "head_hash": b.head_hash}
        for b in selectors.books()
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(rows, ["id", "name", "head_sequence", "head_hash"], empty="No programme has a book yet.")


@ledger.command("accounts")
@click.option("--book", "book_id", type=click.UUID, required=True, metavar="ID")
@json_option
@control_plane
def accounts(book_id: UUID, as_json: bool) -> None:
    """List a book's accounts and what they hold."""
    from dure.control.ledger import selectors

    _check_book(book_id)
    rows: list[dict[str, Any]] = [
        {"id": a.id, "kind": a.kind, "unit": a.unit, "owner_id": str(a.owner_id),
         "counterpart_id": str(a.counterpart_id) if a.counterpart_id else None,
         "debits": a.debits, "credits": a.credits, "balance": a.balance}
        for a in selectors.accounts(book_id=book_id)
    ]  # fmt: skip
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(rows, ["id", "kind", "unit", "owner_id", "debits", "credits", "balance"])


@ledger.command("transfers")
@click.option("--book", "book_id", type=click.UUID, required=True, metavar="ID")
@click.option("--kind", help="Only transfers of this kind, like grant or usage.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@json_option
@control_plane
def transfers(book_id: UUID, kind: str | None, limit: int, as_json: bool) -> None:
    """List a book's transfers, latest first, with the time in Seoul; with --json in UTC."""
    from dure.control.ledger import selectors

    _check_book(book_id)
    rows: list[dict[str, Any]] = [
        {"sequence": t.sequence, "at": t.created_at.isoformat(), "kind": t.kind, "amount": t.amount,
         "debit": f"{t.debit.kind} {t.debit.id}", "credit": f"{t.credit.kind} {t.credit.id}",
         "id": str(t.id), "corrects": str(t.corrects_id) if t.corrects_id else None, "memo": t.memo, "hash": t.hash}
        for t in selectors.transfers(book_id=book_id, kind=kind, limit=limit)
    ]  # fmt: skip
    if as_json:
        for row in rows:
            print_json(row)
    else:
        for row in rows:
            row["at"] = show_moment(datetime.fromisoformat(row["at"]), seconds=True)
        print_rows(
            rows, ["sequence", "at", "kind", "amount", "debit", "credit", "id"], empty="No transfers yet."
        )


def _check_book(book_id: UUID) -> None:
    from dure.control.ledger import selectors

    if selectors.book(book_id=book_id) is None:
        raise Refusal("book_not_found", "There is no such book.", remedy="`dure ledger books` lists them.")
