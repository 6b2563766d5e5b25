"""Applications as lists show them, for any number of rows at once."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from dure.control.applications.models import Application, CompletenessRequest
from dure.control.applications.selectors.values import ApplicationLine
from dure.control.calls import selectors as calls
from dure.control.calls.selectors import RoundView
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView


def lines_from(rows: list[Application], due: Mapping[UUID, datetime] | None = None) -> list[ApplicationLine]:
    organisations = identity.names_of({row.organisation_id for row in rows})
    rounds = calls.rounds_by_id({row.round_id for row in rows})
    due = due_of(rows) if due is None else due
    return [ApplicationLine(**line_values(row, organisations, rounds, due)) for row in rows]


def due_of(rows: Collection[Application]) -> dict[UUID, datetime]:
    """Until when those that are to be completed wait."""
    incomplete = [row.pk for row in rows if row.state == "incomplete"]
    if not incomplete:
        return {}
    requests = CompletenessRequest.objects.filter(
        application__in=incomplete, answered_at=None, expired_at=None
    )
    return dict(requests.values_list("application_id", "due_at"))


def line_values(
    row: Application,
    organisations: Mapping[UUID, OrganisationView],
    rounds: Mapping[UUID, RoundView],
    due: Mapping[UUID, datetime],
) -> dict[str, Any]:
    round_ = rounds[row.round_id]
    return {
        "id": row.pk,
        "number": row.number,
        "title": row.title,
        "state": row.state,
        "step": row.step,
        "organisation": organisations[row.organisation_id],
        "round": round_,
        "asked_micro_won": row.asked_micro_won,
        "changed": row.changed,
        "created_at": row.created_at,
        "submitted_at": row.submitted_at,
        "step_entered_at": row.step_entered_at,
        "ended_at": row.ended_at,
        "award_id": row.award_id,
        "deadline": due.get(row.pk) or max(filter(None, (round_.closes_at, row.extended_until))),
    }


def writing_step(round_: RoundView) -> str:
    return next((step.key for step in round_.graph.steps if step.kind == "application"), "")


def kind_of_step(row: Application, round_: RoundView) -> str:
    found = round_.graph.step(row.step)
    return found.kind if found else ""
