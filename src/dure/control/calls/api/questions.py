"""Questions about calls: asked for an organisation, answered in public."""

from typing import Literal
from uuid import UUID

from ninja import Status

from dure.control.calls import selectors, services
from dure.control.calls.api.common import router
from dure.control.calls.api.schemas import (
    CallReasonIn,
    QuestionAnswerIn,
    QuestionIn,
    QuestionOut,
    QuestionPageOut,
)
from dure.control.calls.selectors import Page, QuestionView
from dure.control.foundation.actors import OFFICERS
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience


@router.get("/calls/{slug}/questions", response={200: QuestionPageOut, **ERRORS})
@audience("public")
def list_questions(
    request: Request,
    slug: str,
    search: str = "",
    state: Literal["", "open", "answered", "withheld"] = "",
    page: int = 1,
    page_size: int = selectors.PAGE_SIZE,
) -> object:
    """The answered questions of a call, and one's organisation's own; all of them for its officers."""
    return _page(
        selectors.questions(
            actor=actor_of(request),
            call_slug=slug,
            search=search,
            state=state,
            page=page,
            page_size=page_size,
        )
    )


@router.post("/calls/{slug}/questions", response={201: QuestionOut, **ERRORS})
@audience("signed_in")
def ask_question(request: Request, slug: str, body: QuestionIn) -> object:
    """Ask for the organisation one acts for."""
    asked = services.ask_question(
        actor=actor_of(request),
        call_slug=slug,
        text=body.text,
        round_id=body.round_id,
        request_id=body.id,
    )
    return Status(201, asked)


@router.get("/questions", response={200: QuestionPageOut, **ERRORS})
@audience(*OFFICERS)
def list_waiting(request: Request, page: int = 1, page_size: int = selectors.PAGE_SIZE) -> object:
    """What waits for an officer's answer, oldest first."""
    return _page(selectors.questions_to_answer(actor=actor_of(request), page=page, page_size=page_size))


@router.get("/questions/{question_id}", response={200: QuestionOut, **ERRORS})
@audience("public")
def show_question(request: Request, question_id: UUID) -> object:
    """One question."""
    return selectors.question(actor=actor_of(request), question_id=question_id)


@router.post("/questions/{question_id}/answer", response={200: QuestionOut, **ERRORS})
@audience(*OFFICERS)
def answer_question(request: Request, question_id: UUID, body: QuestionAnswerIn) -> object:
    """Answer in public, or put an answer right."""
    return services.answer_question(
        actor=actor_of(request),
        question_id=question_id,
        answer_ko=body.answer_ko,
        answer_en=body.answer_en,
        text=body.text,
    )


@router.post("/questions/{question_id}/withhold", response={200: QuestionOut, **ERRORS})
@audience(*OFFICERS)
def withhold_question(request: Request, question_id: UUID, body: CallReasonIn) -> object:
    """Do not answer in public; who asked reads why."""
    return services.withhold_question(actor=actor_of(request), question_id=question_id, reason=body.reason)


def _page(found: Page[QuestionView]) -> dict[str, object]:
    return {
        "items": found.items,
        "total": found.total,
        "page": found.page,
        "page_size": found.page_size,
    }
