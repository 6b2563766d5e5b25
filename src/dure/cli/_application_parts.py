"""What the commands about applications share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from dure.cli import _context, _types

if TYPE_CHECKING:
    from dure.control.applications.selectors import ApplicationView

STATES = ("draft", "submitted", "incomplete", "accepted", "rejected", "awarded", "withdrawn", "lapsed")


def with_filters[F: Callable[..., Any]](function: F) -> F:
    """Add the options that narrow a list down."""
    for option in (
        click.option("--search", default="", metavar="TEXT", help="In title, number or organisation."),
        click.option("--state", type=click.Choice(STATES), default=None),
        click.option("--call", "call_slug", default="", metavar="SLUG"),
        click.option("--round", "round_id", type=click.UUID, default=None),
        click.option("--step", default="", metavar="KEY", help="At this step of its call."),
    ):
        function = option(function)
    return function


def as_filters(given: dict[str, Any]) -> dict[str, Any]:
    """The options as selectors take them."""
    return given | {"state": given["state"] or ""}


def id_of(application: str) -> UUID:
    """The id of an application by its number or id."""
    from dure.control.applications import selectors

    try:
        return UUID(application)
    except ValueError:
        return selectors.id_of(application)


def found(application: str) -> "ApplicationView":
    from dure.control.applications import selectors

    return selectors.application(actor=_context.operator(), application_id=id_of(application))


def print_application(view: "ApplicationView", *, as_json: bool) -> None:
    if as_json:
        from dure.control.applications.api import ApplicationOut

        _context.print_json(ApplicationOut.from_orm(view).model_dump(mode="json"))
        return
    progress = view.progress
    decision = view.decision
    _context.print_fields(
        {
            "number": view.number,
            "id": view.id,
            "title": view.title or "–",
            "organisation": view.organisation.slug,
            "call": f"{view.round.call.slug}, round {view.round.number}",
            "state": view.state,
            "step": view.step,
            "asked": _types.show_won(view.asked_micro_won) if view.asked_micro_won else "–",
            "deadline": _types.show_moment(view.deadline, seconds=True),
            "answered": f"{progress.answered} of {progress.asked} required",
            "writers": ", ".join(
                f"{one.person.email}{' (lead)' if one.lead else ''}" for one in view.writers
            ),
            "submissions": len(view.submissions),
            "submitted": _types.show_moment(view.submitted_at, seconds=True),
            "decision": f"{decision.outcome}: {decision.reason}" if decision else "–",
            "award": view.award_id,
        }
    )
    for field, value in view.values.items():
        click.echo(_context.one_line(f"  {field} = {value}"))
