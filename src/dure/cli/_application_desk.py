"""What officers do with applications, from the command line."""

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from dure.cli import _context, _types
from dure.cli._application_parts import as_filters, found, id_of, print_application, with_filters


@click.command()
@click.argument("application")
@click.option(
    "--outcome", required=True, help="An outcome of the present step, such as met, complete or passed."
)
@click.option("--reason", default="", help="Needed where it is against the applicant, who reads it.")
@_context.control_plane
@_context.json_option
def advance(application: str, outcome: str, reason: str, as_json: bool) -> None:
    """Leave the present step with an outcome."""
    from dure.control.applications import services

    view = services.advance(
        actor=_context.operator(), application_id=found(application).id, outcome=outcome, reason=reason
    )
    _told(view, as_json)


def _told(view: Any, as_json: bool) -> None:
    if as_json:
        print_application(view, as_json=True)
    else:
        click.echo(f"{view.number}: {view.state}, at {view.step}")


@click.command()
@click.argument("application")
@click.option("--field", "fields", multiple=True, help="Only this field opens again; may be repeated.")
@click.option("--due", required=True, type=_types.Moment(), help="Until when.")
@click.option("--reason", required=True, help="What is missing; the applicant reads it.")
@_context.control_plane
@_context.json_option
def complete(application: str, fields: tuple[str, ...], due: datetime, reason: str, as_json: bool) -> None:
    """Ask the applicant to complete it, with a clock of its own."""
    from dure.control.applications import services

    view = services.ask_for_completion(
        actor=_context.operator(),
        application_id=found(application).id,
        fields=list(fields),
        reason=reason,
        due_at=due,
    )
    _told(view, as_json)


@click.command()
@click.argument("application")
@click.argument("outcome", type=click.Choice(["accepted", "rejected"]))
@click.option("--reason", default="", help="Needed for a rejection; the applicant reads it.")
@click.option("--krw", "micro_won", type=_types.Krw(), help="What is granted; default: what was asked for.")
@_context.control_plane
@_context.json_option
def decide(application: str, outcome: Any, reason: str, micro_won: int | None, as_json: bool) -> None:
    """Accept for a sum, or reject with a reason."""
    from dure.control.applications import services

    view = services.decide(
        actor=_context.operator(),
        application_id=found(application).id,
        outcome=outcome,
        reason=reason,
        granted_micro_won=micro_won,
    )
    _told(view, as_json)


@click.command()
@click.argument("application")
@click.option("--until", type=_types.Moment(), help="The award's last day; default: no end.")
@click.option(
    "--line", default="", help="The programme's budget line that pays, where the application names several."
)
@_context.control_plane
@_context.json_option
def award(application: str, until: datetime | None, line: str, as_json: bool) -> None:
    """Grant what was decided, on the ledger; twice grants once."""
    from dure.control.applications import services

    view = services.award(
        actor=_context.operator(), application_id=found(application).id, valid_until=until, line=line
    )
    if as_json:
        print_application(view, as_json=True)
    else:
        click.echo(view.award_id)


@click.command()
@click.argument("application")
@click.option("--until", required=True, type=_types.Moment(), help="The new deadline.")
@click.option("--reason", required=True, help="Why; it is on record, and the applicant reads it.")
@_context.control_plane
def extend(application: str, until: datetime, reason: str) -> None:
    """Give one applicant more time; a draft that lapsed comes back."""
    from dure.control.applications import services

    line = services.extend(
        actor=_context.operator(), application_id=id_of(application), until=until, reason=reason
    )
    click.echo(f"{line.number}: {line.state}, until {_types.show_moment(line.deadline, seconds=True)}")


@click.command()
@click.argument("verb", type=click.Choice(["advance", "accept", "reject", "award"]))
@click.argument("applications", nargs=-1, required=True)
@click.option("--outcome", default="", help="For advance.")
@click.option("--reason", default="", help="One reason for all of them.")
@_context.control_plane
@_context.json_option
def bulk(verb: Any, applications: tuple[str, ...], outcome: str, reason: str, as_json: bool) -> None:
    """The same for several; what is refused for one does not hold up another. Ends with 1 if any was refused."""
    from dure.control.applications import services

    names: dict[UUID, str] = {id_of(one): one for one in applications}
    results = services.in_bulk(
        actor=_context.operator(), application_ids=list(names), verb=verb, outcome=outcome, reason=reason
    )
    for one in results:
        name = names[one.application_id]
        if as_json:
            _context.print_json(
                {"application": name, "done": one.done, "error": one.error.as_dict() if one.error else None}
            )
        else:
            click.echo(f"{name}: done" if one.error is None else _context.one_line(f"{name}: {one.error}"))
    if not all(one.done for one in results):
        raise SystemExit(1)


@click.command()
@with_filters
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .xlsx file."
)
@_context.control_plane
def export(out: Path, **filters: Any) -> None:
    """Write the list as a file, for programs (.csv) or for people (.xlsx)."""
    from dure.control.applications import selectors
    from dure.control.applications.pages.lists import COLUMNS
    from dure.control.foundation import exports

    kind = out.suffix.lower().removeprefix(".")
    if kind not in {"csv", "xlsx"}:
        raise click.UsageError("--out ends in .csv or .xlsx.")
    lines = selectors.every_application(actor=_context.operator(), **as_filters(filters))
    response: Any = exports.table(kind=kind, name="applications", columns=COLUMNS, rows=lines)  # type: ignore[arg-type]
    with out.open("wb") as file:
        file.writelines(response.streaming_content)
    # Not `response.close()`, which ends a request and its database connection with it.
    if workbook := getattr(response, "file_to_stream", None):
        workbook.close()
    click.echo(f"{len(lines):,} applications: {out}")


@click.command("desk")
@_context.control_plane
@_context.json_option
def desk_(as_json: bool) -> None:
    """The rounds in numbers: how many are where, and the money. Where something waits longest comes first."""
    from dure.control.applications import desk
    from dure.control.applications.api import DeskRoundOut

    lines = desk.round_lines(actor=_context.operator())
    if as_json:
        _context.print_json_lines(DeskRoundOut.of(one).model_dump(mode="json") for one in lines)
        return
    _context.print_rows(
        [
            {
                "call": one.round.call.slug,
                "round": one.round.number,
                "phase": one.round.phase,
                "drafts": one.drafts,
                "submitted": one.submitted,
                "waiting": one.waiting,
                "awarded": one.awarded,
                "granted": _types.show_won(one.granted_micro_won),
                "left": _types.show_won(one.left_micro_won),
                "oldest": _types.show_moment(one.oldest_at) if one.oldest_at else "–",
            }
            for one in lines
        ],
        ["call", "round", "phase", "drafts", "submitted", "waiting", "awarded", "granted", "left", "oldest"],
        empty="No round yet. Publish one with: dure calls publish",
    )
