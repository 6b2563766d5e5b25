"""Verbs of questions: ask, answer, withhold. Answers are public; who asked is not."""

from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from dure.control.calls import checks, rules, tellings
from dure.control.calls.models import Call, Question, Round
from dure.control.calls.moments import database_now
from dure.control.calls.selectors import QuestionView
from dure.control.calls.selectors.calls import call_not_found
from dure.control.calls.selectors.questions import question_not_found, question_views
from dure.control.calls.selectors.rounds import round_not_found, round_views
from dure.control.calls.workflow import may_become
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid

MAX_QUESTION = 4_000
MAX_ANSWER = 20_000
#: Questions of one organisation that may wait for an answer at one time.
MAX_WAITING = 20


@transaction.atomic
def ask_question(
    *, actor: Actor, call_slug: str, text: str, round_id: UUID | None = None, request_id: UUID | None = None
) -> QuestionView:
    """Ask about a published call, while one of its rounds takes questions (or the named one does)."""
    call = (
        Call.objects.select_for_update(of=("self",), no_key=True)
        .select_related("programme")
        .filter(slug=call_slug)
        .first()
        if call_slug.isprintable()
        else None
    )
    if call is None or not rules.may_see_call(actor, call.programme.agency_id, call.programme_id, call.state):
        raise call_not_found()
    if not rules.may_ask(actor) or actor.person_id is None or actor.organisation_id is None:
        raise Forbidden(
            _("Questions are asked by a person for an organisation."),
            remedy=_("Choose for which of your organisations you act."),
        )
    if request_id and (found := Question.objects.filter(pk=request_id).first()):
        if found.call_id != call.pk or found.organisation_id != actor.organisation_id:
            raise Conflict(
                "exists_with_different_content",
                _("This id was used before for something else; nothing was changed."),
                field="id",
            )
        found.call = call
        return question_views([found], actor)[0]
    text = checks.prose(text, "text", most=MAX_QUESTION, required=True)
    _takes_questions(call, round_id)
    if Question.objects.filter(organisation_id=actor.organisation_id, state="open").count() >= MAX_WAITING:
        raise Conflict(
            "too_many_questions",
            _("Your organisation has %(most)s questions waiting for an answer.") % {"most": MAX_WAITING},
            remedy=_("Wait for answers before you ask more."),
        )
    last = Question.objects.filter(call=call).aggregate(last=Max("number"))["last"] or 0
    row = Question(
        call=call,
        round_id=round_id,
        number=last + 1,
        text=text,
        asked_by_id=actor.person_id,
        organisation_id=actor.organisation_id,
        asked_at=clock.now(),
    )
    if request_id:
        row.id = request_id
    row.save(force_insert=True)
    audit.record(
        actor=actor,
        action="question.asked",
        subject_kind="call",
        subject_id=call.pk,
        after={"question": row.number},
    )
    tellings.question_asked(row)
    return question_views([row], actor)[0]


@transaction.atomic
def answer_question(
    *, actor: Actor, question_id: UUID, answer_ko: str, answer_en: str = "", text: str | None = None
) -> QuestionView:
    """Answer in public, or put an answer right. `text` takes out of the question what would say who asked."""
    row = _to_answer(actor, question_id, "answered")
    before = {"state": row.state, "answer_ko": row.answer_ko, "answer_en": row.answer_en}
    row.answer_ko = checks.prose(answer_ko or answer_en, "answer_ko", most=MAX_ANSWER, required=True)
    row.answer_en = checks.prose(answer_en, "answer_en", most=MAX_ANSWER)
    if text is not None:
        row.text = checks.prose(text, "text", most=MAX_QUESTION, required=True)
    first = row.state != "answered"
    row.state, row.withheld_reason = "answered", ""
    _answered(actor, row)
    audit.record(
        actor=actor,
        action="question.answered" if first else "question.answer_changed",
        subject_kind="call",
        subject_id=row.call_id,
        before={"question": row.number, **before},
        after={"question": row.number, "answer_ko": row.answer_ko, "answer_en": row.answer_en},
    )
    tellings.question_answered(row)
    return question_views([row], actor)[0]


@transaction.atomic
def withhold_question(*, actor: Actor, question_id: UUID, reason: str) -> QuestionView:
    """Do not answer in public, and tell who asked why: it gives away a secret, or does not concern the call."""
    row = _to_answer(actor, question_id, "withheld")
    row.state, row.withheld_reason = "withheld", checks.reason(reason)
    _answered(actor, row)
    audit.record(
        actor=actor,
        action="question.withheld",
        subject_kind="call",
        subject_id=row.call_id,
        after={"question": row.number, "reason": row.withheld_reason},
    )
    tellings.question_answered(row)
    return question_views([row], actor)[0]


def _to_answer(actor: Actor, question_id: UUID, state: str) -> Question:
    row = (
        Question.objects.select_for_update(of=("self",), no_key=True)
        .select_related("call__programme")
        .filter(pk=question_id)
        .first()
    )
    if row is None or not rules.may_see_question(
        actor,
        row.call.programme.agency_id,
        row.call.programme_id,
        state=row.state,
        organisation_id=row.organisation_id,
    ):
        raise question_not_found()
    if not rules.may_manage(actor, row.call.programme.agency_id, row.call.programme_id):
        raise Forbidden
    if not may_become("question", row.state, state):
        raise Conflict(
            "question_was_answered",
            _("This question was answered in public already."),
            remedy=_("Put the answer right instead."),
        )
    return row


def _answered(actor: Actor, row: Question) -> None:
    row.answered_at, row.answered_by_name = clock.now(), actor.name[:200]
    row.save(
        update_fields=[
            *("text", "state", "answer_ko", "answer_en", "withheld_reason"),
            *("answered_at", "answered_by_name"),
        ]
    )


def _takes_questions(call: Call, round_id: UUID | None) -> None:
    rows = list(Round.objects.filter(call=call).exclude(state="draft"))
    for row in rows:
        row.call = call
    if round_id is not None:
        rows = [row for row in rows if row.pk == round_id]
        if not rows:
            raise round_not_found()
    now = database_now()
    views = round_views(rows, at=now)
    if not any(view.takes_questions(now) for view in views):
        raise Invalid(
            "questions_closed",
            _("This call takes no questions now."),
            field="text",
            remedy=_("Read the answers that were given, or write to the programme office."),
            data={"until": [one.questions_until.isoformat() for one in views if one.questions_until]},
        )
