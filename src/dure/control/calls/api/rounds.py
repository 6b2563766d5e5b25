"""Rounds: what applicants are asked, whether one fits, and what officers do with them."""

from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from ninja import Status

from dure.control.calls import eligibility, forms, selectors, services, steps
from dure.control.calls.api.common import router
from dure.control.calls.api.schemas import (
    CallReasonIn,
    ExtendIn,
    FitOut,
    MaybeReasonIn,
    ProblemOut,
    RoundIn,
    RoundOut,
    RoundWholeOut,
    StepOut,
    aware,
)
from dure.control.calls.selectors import RoundView
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.errors import Invalid
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience


@router.post("/calls/{slug}/rounds", response={201: RoundOut, **ERRORS})
@audience(*OFFICERS)
def add_round(request: Request, slug: str, body: RoundIn) -> object:
    """Begin a round as a draft; it follows the call's form, rules and steps until it is published."""
    added = services.add_round(actor=actor_of(request), call_slug=slug, **body.as_values())
    return Status(201, added.as_dict())


@router.get("/rounds/{round_id}", response={200: RoundWholeOut, **ERRORS})
@audience("public")
def show_round(request: Request, round_id: UUID) -> object:
    """One round with its form, requirements and steps; a draft is not there for others."""
    return _whole(selectors.round_for(actor=actor_of(request), round_id=round_id))


@router.patch("/rounds/{round_id}", response={200: RoundOut, **ERRORS})
@audience(*OFFICERS)
def change_round(request: Request, round_id: UUID, body: RoundIn) -> object:
    """Change a draft; a published round takes a name and more money, nothing else."""
    return services.change_round(actor=actor_of(request), round_id=round_id, **body.as_values()).as_dict()


@router.delete("/rounds/{round_id}", response={204: None, **ERRORS})
@audience(*OFFICERS)
def discard_round(request: Request, round_id: UUID) -> object:
    """Throw a draft round away."""
    services.discard_round(actor=actor_of(request), round_id=round_id)
    return Status(204, None)


@router.get("/rounds/{round_id}/problems", response={200: list[ProblemOut], **ERRORS})
@audience(*OFFICERS)
def list_problems(request: Request, round_id: UUID) -> object:
    """What stands in the way of publishing a draft, all at once, and what might better be looked at."""
    return services.publication_problems(actor=actor_of(request), round_id=round_id)


@router.post("/rounds/{round_id}/publish", response={200: RoundOut, **ERRORS})
@audience(*OFFICERS)
def publish_round(request: Request, round_id: UUID) -> object:
    """Publish a round, and its call with the first of them; `round_not_ready` lists every problem in `data.problems`."""
    return services.publish_round(actor=actor_of(request), round_id=round_id).as_dict()


@router.post("/rounds/{round_id}/extend", response={200: RoundOut, **ERRORS})
@audience(*OFFICERS)
def extend_round(request: Request, round_id: UUID, body: ExtendIn) -> object:
    """Move the closing to a later moment, for everybody, with a public reason."""
    closes_at = aware(body.closes_at) or body.closes_at
    return services.extend_round(
        actor=actor_of(request),
        round_id=round_id,
        closes_at=closes_at,
        reason=body.reason,
        move_steps=body.move_steps,
    ).as_dict()


@router.post("/rounds/{round_id}/close", response={200: RoundOut, **ERRORS})
@audience(*OFFICERS)
def close_round(request: Request, round_id: UUID, body: MaybeReasonIn) -> object:
    """Say that everything in a round was decided. Doing so again changes nothing."""
    return services.close_round(actor=actor_of(request), round_id=round_id, reason=body.reason).as_dict()


@router.get("/rounds/{round_id}/timed-steps", response={200: list[StepOut], **ERRORS})
@audience("public")
def list_timed_steps(request: Request, round_id: UUID) -> object:
    """The steps that have an end, and whether it has passed."""
    return selectors.timed_steps(actor=actor_of(request), round_id=round_id)


@router.post("/rounds/{round_id}/timed-steps/{step_key}/settle", response={200: StepOut, **ERRORS})
@audience(*OFFICERS)
def settle_step(request: Request, round_id: UUID, step_key: str, body: CallReasonIn) -> object:
    """Say what was done about a step whose time is over."""
    return services.settle_step(
        actor=actor_of(request), round_id=round_id, step_key=step_key, reason=body.reason
    )


@router.get("/rounds/{round_id}/fit", response={200: FitOut, **ERRORS})
@audience("signed_in")
def show_fit(request: Request, round_id: UUID) -> object:
    """Every requirement with whether the organisation one acts for meets it, before anything is written."""
    actor = actor_of(request)
    selectors.round_for(actor=actor, round_id=round_id)
    if actor.organisation_id is None:
        raise Invalid(
            "no_organisation",
            _("You act for no organisation."),
            field="organisation",
            remedy=_("Choose one, or found yours."),
        )
    findings = selectors.findings_for(round_id, actor.organisation_id)
    return {"summary": eligibility.summary(findings), "findings": findings}


def _whole(view: RoundView) -> dict[str, Any]:
    return view.as_dict() | {
        "form": forms.as_data(view.form),
        "requirements": eligibility.as_data(view.requirements),
        "steps": steps.as_data(view.graph),
    }
