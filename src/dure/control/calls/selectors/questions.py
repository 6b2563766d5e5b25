"""Questions that were asked about calls. Answered ones are public; who asked is not."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from dure.control.calls import rules
from dure.control.calls.models import Call, Question
from dure.control.calls.selectors.calls import MAX_PAGE_SIZE, PAGE_SIZE, call_row, managed
from dure.control.calls.selectors.values import Page, QuestionView, question_view
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.identity import selectors as identity


def questions(
    *,
    actor: Actor,
    call_slug: str,
    state: str = "",
    search: str = "",
    page: int = 1,
    page_size: int = PAGE_SIZE,
) -> Page[QuestionView]:
    """A call's questions, in the order in which they were asked: the answered ones, and one's organisation's own;
    all of them for its officers."""
    row = call_row(actor, call_slug)
    rows = _visible(row.questions.all(), actor, row)
    return _page(rows.order_by("number"), actor, state, search, page, page_size)


def questions_to_answer(*, actor: Actor, page: int = 1, page_size: int = PAGE_SIZE) -> Page[QuestionView]:
    """What waits for an officer's answer, oldest first."""
    return _page(_to_answer(actor), actor, "", "", page, page_size)


def oldest_questions_to_answer(*, actor: Actor, limit: int) -> list[QuestionView]:
    """The first of them, without counting the others."""
    return question_views(list(_to_answer(actor).select_related("call__programme")[:limit]), actor)


def count_of_questions_to_answer(*, actor: Actor) -> int:
    return _to_answer(actor).count()


def _to_answer(actor: Actor) -> QuerySet[Question]:
    rows = Question.objects.filter(state="open")
    if not actor.is_system:
        rows = rows.filter(call__in=Call.objects.filter(managed(actor)))
    return rows.order_by("asked_at", "pk")


def question(*, actor: Actor, question_id: UUID) -> QuestionView:
    row = Question.objects.select_related("call__programme").filter(pk=question_id).first()
    if (
        row is None
        or not rules.may_see_call(actor, row.call.programme.agency_id, row.call.programme_id, row.call.state)
        or not rules.may_see_question(
            actor,
            row.call.programme.agency_id,
            row.call.programme_id,
            state=row.state,
            organisation_id=row.organisation_id,
        )
    ):
        raise question_not_found()
    return question_views([row], actor)[0]


def question_views(rows: Sequence[Question], actor: Actor) -> list[QuestionView]:
    """Wants `call__programme` read along."""
    known = {
        row.pk
        for row in rows
        if rules.may_know_asker(
            actor, row.call.programme.agency_id, row.call.programme_id, organisation_id=row.organisation_id
        )
    }
    names = identity.names_of({row.organisation_id for row in rows if row.pk in known}) if known else {}
    return [
        question_view(
            row,
            asker=names[row.organisation_id].name if row.pk in known else "",
            known=row.pk in known,
            mine=actor.organisation_id == row.organisation_id,
            officer=rules.may_manage(actor, row.call.programme.agency_id, row.call.programme_id),
        )
        for row in rows
    ]


def question_not_found() -> NotFound:
    return NotFound(_("There is no such question."), code="question_not_found")


def _visible(rows: QuerySet[Question], actor: Actor, call: Call) -> QuerySet[Question]:
    if rules.may_manage(actor, call.programme.agency_id, call.programme_id):
        return rows
    return rows.filter(Q(state="answered") | Q(organisation_id=actor.organisation_id))


def _page(
    rows: QuerySet[Question], actor: Actor, state: str, search: str, page: int, page_size: int
) -> Page[QuestionView]:
    if state:
        rows = rows.filter(state=state) if state.isprintable() else rows.none()
    if words := "".join(sign for sign in search if sign.isprintable()).strip():
        rows = rows.filter(
            Q(text__icontains=words) | Q(answer_ko__icontains=words) | Q(answer_en__icontains=words)
        )
    total = rows.count()
    page_size = min(max(page_size, 1), MAX_PAGE_SIZE)
    page = min(max(page, 1), max(1, -(-total // page_size)))
    start = (page - 1) * page_size
    found = list(rows.select_related("call__programme")[start : start + page_size])
    return Page(question_views(found, actor), total, page, page_size)
