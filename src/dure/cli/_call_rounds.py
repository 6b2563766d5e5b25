"""`dure calls round …` and what is done with rounds: publish, extend, close."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from dure.cli import _context, _types

if TYPE_CHECKING:
    from dure.control.calls.selectors import RoundView


@click.group("round")
def round_() -> None:
    """Draft rounds of a call: add, change, discard. `dure calls publish` publishes one."""


def _values[F: Callable[..., Any]](function: F) -> F:
    """The options that say what a round is."""
    for option in reversed(
        (
            click.option("--name", "name_ko", help="A Korean name, where the number says too little."),
            click.option("--name-en"),
            click.option("--opens", "opens_at", type=_types.Moment(end_of_day=False), help="When it begins."),
            click.option(
                "--closes", "closes_at", type=_types.Deadline(), help="The last second that is in time."
            ),
            click.option("--questions-until", type=_types.Deadline()),
            click.option("--budget", "budget_micro_won", type=_types.Krw(), help="In whole won."),
            click.option("--least", "least_micro_won", type=_types.Krw(), help="The least to ask for."),
            click.option("--most", "most_micro_won", type=_types.Krw(), help="The most to ask for."),
            click.option("--automatic-most", type=_types.Krw(), help="Approve by rule up to this sum."),
            click.option("--automatic-days", type=click.IntRange(1), default=90, show_default=True),
            click.option("--automatic-per-group", type=click.IntRange(1), default=1, show_default=True),
        )
    ):
        function = option(function)
    return function


def _given(values: dict[str, Any]) -> dict[str, Any]:
    most, days, group = (values.pop(f"automatic_{name}") for name in ("most", "days", "per_group"))
    given = {name: value for name, value in values.items() if value is not None}
    if most is not None:
        given["automatic"] = {"most_micro_won": most, "valid_days": days, "most_per_group": group}
    return given


@round_.command()
@click.argument("slug")
@_values
@_context.control_plane
@_context.json_option
def add(slug: str, as_json: bool, **values: Any) -> None:
    """Add a draft round to the call SLUG.

    \b
    dure calls round add api-2026 --opens "2027-01-05 09:00" --closes "2027-02-05 18:00" \\
        --budget 500,000,000 --most 30,000,000
    """
    from dure.control.calls import services

    _show(services.add_round(actor=_context.operator(), call_slug=slug, **_given(values)), as_json)


@round_.command()
@click.argument("round_id", type=click.UUID)
@_values
@_context.control_plane
@_context.json_option
def change(round_id: UUID, as_json: bool, **values: Any) -> None:
    """Change what is named of a draft round; a published one takes a name and more money."""
    from dure.control.calls import services

    _show(services.change_round(actor=_context.operator(), round_id=round_id, **_given(values)), as_json)


@round_.command()
@click.argument("round_id", type=click.UUID)
@_context.control_plane
def discard(round_id: UUID) -> None:
    """Throw a draft round away."""
    from dure.control.calls import services

    services.discard_round(actor=_context.operator(), round_id=round_id)
    click.echo("discarded")


@click.command()
@click.argument("round_id", type=click.UUID)
@_context.control_plane
@_context.json_option
def problems(round_id: UUID, as_json: bool) -> None:
    """Say what stands in the way of publishing a round; status 1 if anything does."""
    from dure.control.calls import services

    found = services.publication_problems(actor=_context.operator(), round_id=round_id)
    if as_json:
        _context.print_json_lines(found)
    else:
        _print_problems([asdict(one) for one in found])
    if any(one.severity == "problem" for one in found):
        raise SystemExit(1)


@click.command()
@click.argument("round_id", type=click.UUID)
@_context.control_plane
@_context.json_option
def publish(round_id: UUID, as_json: bool) -> None:
    """Publish a round, and its call with the first of them. Every problem is named, and then nothing is published."""
    from dure.control.calls import services
    from dure.control.foundation.errors import DureError

    try:
        view = services.publish_round(actor=_context.operator(), round_id=round_id)
    except DureError as error:
        _print_problems(error.data.get("problems", []), err=True)
        raise
    _show(view, as_json)


@click.command()
@click.argument("round_id", type=click.UUID)
@click.option(
    "--until", "closes_at", type=_types.Deadline(), required=True, help="The new closing, a later one."
)
@click.option("--reason", required=True, help="Why; everybody can read it.")
@click.option("--move-steps", is_flag=True, help="Move the dates of the steps after it by as much.")
@_context.control_plane
@_context.json_option
def extend(round_id: UUID, closes_at: datetime, reason: str, move_steps: bool, as_json: bool) -> None:
    """Move a round's closing to a later moment, for everybody."""
    from dure.control.calls import services

    view = services.extend_round(
        actor=_context.operator(),
        round_id=round_id,
        closes_at=closes_at,
        reason=reason,
        move_steps=move_steps,
    )
    _show(view, as_json)


@click.command()
@click.argument("round_id", type=click.UUID)
@click.option("--reason", default="", help="Why, where it ends before its closing.")
@_context.control_plane
@_context.json_option
def close(round_id: UUID, reason: str, as_json: bool) -> None:
    """Say that everything in a round was decided."""
    from dure.control.calls import services

    _show(services.close_round(actor=_context.operator(), round_id=round_id, reason=reason), as_json)


@click.command()
@click.argument("round_id", type=click.UUID)
@click.argument("step")
@click.option("--reason", required=True, help="What was done about it.")
@_context.control_plane
def settle(round_id: UUID, step: str, reason: str) -> None:
    """Say what was done about a STEP whose time is over, so that it waits for nobody any more."""
    from dure.control.calls import services

    done = services.settle_step(actor=_context.operator(), round_id=round_id, step_key=step, reason=reason)
    click.echo(f"{done.key}: {done.state}")


def _print_problems(found: list[dict[str, Any]], *, err: bool = False) -> None:
    for one in found:
        where = f"{one['area']}: {one['where']}" if one["where"] else one["area"]
        line = f"{one['severity']} {one['code']} ({where}): {one['message']} {one['remedy']}"
        click.echo(_context.one_line(line.rstrip()), err=err)
    if not found and not err:
        click.echo("nothing stands in the way")


def _show(view: "RoundView", as_json: bool) -> None:
    if as_json:
        _context.print_json(view.as_dict())
        return
    click.echo(view.id)
    until = _types.show_moment(view.closes_at, seconds=True)
    click.echo(f"round {view.number} of {view.call.slug}: {view.phase}, closes {until}", err=True)
