"""`dure usage`: calls, their tokens and what they cost."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from dure.cli._context import control_plane, json_option, operator, print_fields, print_json, print_rows
from dure.cli._types import show_moment

_STATUSES = ("completed", "cancelled", "truncated", "failed", "interrupted")
_PAGE = 1_000


@click.group()
def usage() -> None:
    """Calls, their tokens and what they cost. Prompts and answers are kept nowhere."""


@usage.command("list")
@click.option("--award", "award_id", type=click.UUID, required=True, metavar="ID", help="Whose calls.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only calls that ended so.")
@click.option("--model", metavar="NAME", help="Only calls of this model.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most so many."
)
@json_option
@control_plane
def list_usage(award_id: UUID, status: str | None, model: str | None, limit: int, as_json: bool) -> None:
    """List an award's calls, latest first, with the time in Seoul.

    With --json, one object a line: `request_id` is the answer's x-request-id, money is micro-won
    (a millionth of a won), times are UTC.
    """
    from dure.control.access import selectors as access

    access.entitlement(actor=operator(), award_id=award_id)
    lines = _lines(award_id, status, model, limit)
    if as_json:
        for line in lines:
            print_json(line)
        return
    shown = [
        {
            "closed": show_moment(datetime.fromisoformat(line["closed_at"]), seconds=True),
            "request_id": line["request_id"],
            "model": line["model"],
            "input": line["input_tokens"],
            "cached": line["cached_tokens"],
            "output": line["output_tokens"],
            "cost_micro_won": line["cost_micro_won"],
            "status": line["status"] + (" (estimated)" if line["estimated"] else ""),
        }
        for line in lines
    ]
    print_rows(
        shown,
        ["closed", "request_id", "model", "input", "cached", "output", "cost_micro_won", "status"],
        empty="No calls yet. `dure keys issue --award ID` makes a key to call with.",
    )


@usage.command("show")
@click.argument("request_id", type=click.UUID)
@json_option
@control_plane
def show_usage(request_id: UUID, as_json: bool) -> None:
    """Show one call, by the id its answer carried in x-request-id."""
    from dure.control.foundation.errors import NotFound
    from dure.control.settlement import selectors

    view = selectors.usage_record(request_id=request_id)
    if view is None:
        raise NotFound(
            "There is no record of this call.",
            code="usage_not_found",
            remedy="Records appear within a second of the answer's end; refused calls leave none.",
        )
    line = _line(view)
    print_json(line) if as_json else print_fields(line)


@usage.command("spend")
@click.option("--award", "award_id", type=click.UUID, required=True, metavar="ID", help="Whose spending.")
@click.option("--by", type=click.Choice(["day", "model", "key"]), default="day", show_default=True)
@json_option
@control_plane
def spend(award_id: UUID, by: str, as_json: bool) -> None:
    """Sum an award's calls by day (Seoul), model or key."""
    from dure.control.access import selectors as access
    from dure.control.settlement import selectors

    access.entitlement(actor=operator(), award_id=award_id)
    group = {"day": selectors.spend_by_day, "model": selectors.spend_by_model, "key": selectors.spend_by_key}[
        by
    ]
    columns = ["calls", "failed_calls", "input_tokens", "cached_tokens", "output_tokens", "cost_micro_won"]
    rows = [
        {by: str(line.group), **{name: getattr(line, name) for name in columns}}
        for line in group(award_ids=[award_id])
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(rows, [by, *columns], empty="No calls yet.")


def _lines(award_id: UUID, status: str | None, model: str | None, limit: int) -> Iterator[dict[str, Any]]:
    from dure.control.settlement import selectors

    before: UUID | None = None
    while limit > 0:
        page = selectors.usage(
            award_id=award_id, status=status, model=model, before=before, limit=min(limit, _PAGE)
        )
        for view in page:
            yield _line(view)
        limit -= len(page)
        if len(page) < _PAGE:
            return
        before = page[-1].request_id


def _line(view: Any) -> dict[str, Any]:
    return {
        "request_id": str(view.request_id),
        "model": view.model,
        "endpoint": view.endpoint,
        "input_tokens": view.input_tokens,
        "output_tokens": view.output_tokens,
        "cached_tokens": view.cached_tokens,
        "cost_micro_won": view.cost_micro_won,
        "uncovered_micro_won": view.uncovered_micro_won,
        "status": view.status,
        "estimated": view.estimated,
        "streamed": view.streamed,
        "http_status": view.http_status,
        "attempts": view.attempts,
        "error_code": view.error_code,
        "units": view.units,
        "tries": view.tries,
        "opened_at": _moment(view.opened_at),
        "first_byte_at": _moment(view.first_byte_at),
        "closed_at": _moment(view.closed_at),
        "award_id": str(view.award_id),
        "key_id": str(view.key_id),
        "transfer_id": str(view.transfer_id) if view.transfer_id else None,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
