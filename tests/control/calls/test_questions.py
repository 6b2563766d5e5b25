"""Questions: who may ask and when, what of them is public, and that who asked is not."""

from datetime import timedelta

import pytest
from tests.control.calls.conftest import SYSTEM, World
from tests.control.calls.test_calls import ANYBODY, code_of

from dure.contracts.ids import uuid7
from dure.control.calls import selectors, services
from dure.control.calls.services import questions as verbs
from dure.control.foundation import audit, clock
from dure.control.foundation.errors import Forbidden, NotFound
from dure.control.foundation.models import Notice


def ask(world: World, text: str = "부가세가 포함됩니까?", **more: object) -> selectors.QuestionView:
    return services.ask_question(actor=world.applicant, call_slug="api-2026", text=text, **more)  # type: ignore[arg-type]


def test_an_open_question_is_the_askers_and_the_officers(world: World) -> None:
    world.published()
    asked = ask(world)
    rival = world.person(world.narae, "administrator")
    assert selectors.questions(actor=world.applicant, call_slug="api-2026").items == [asked]
    (seen,) = selectors.questions(actor=world.officer, call_slug="api-2026").items
    assert (seen.organisation_name, seen.mine) == ("haneul", False)
    for actor in (ANYBODY, rival, world.stranger):
        assert selectors.questions(actor=actor, call_slug="api-2026").items == []
        with pytest.raises(NotFound):
            selectors.question(actor=actor, question_id=asked.id)


def test_an_answer_is_public_and_who_asked_is_not(world: World) -> None:
    world.published()
    asked = ask(world, "하늘(haneul)이 신청해도 됩니까?")
    services.answer_question(
        actor=world.officer, question_id=asked.id, answer_ko="됩니다.", text="스타트업이 신청해도 됩니까?"
    )
    rival = world.person(world.narae, "administrator")
    for actor in (ANYBODY, rival, world.stranger):
        (seen,) = selectors.questions(actor=actor, call_slug="api-2026").items
        assert (seen.text, seen.answer, seen.organisation_id, seen.organisation_name, seen.mine) == (
            "스타트업이 신청해도 됩니까?",
            "됩니다.",
            None,
            "",
            False,
        )
        assert "haneul" not in str(seen)
    assert selectors.questions(actor=world.applicant, call_slug="api-2026").items[0].mine


def test_the_officers_and_then_the_asker_are_told(world: World) -> None:
    world.published()
    officer, applicant = world.officer, world.applicant
    asked = ask(world)
    services.answer_question(actor=officer, question_id=asked.id, answer_ko="네.")
    told = [(row.person_id, row.category) for row in Notice.objects.order_by("pk")]
    assert told == [(officer.person_id, "duty"), (applicant.person_id, "outcome")]


def test_a_withheld_question_tells_its_reason_to_the_asker_alone(world: World) -> None:
    world.published()
    asked = ask(world)
    services.withhold_question(
        actor=world.officer, question_id=asked.id, reason="귀사의 영업비밀이 드러납니다"
    )
    assert (
        selectors.question(actor=world.applicant, question_id=asked.id).withheld_reason
        == "귀사의 영업비밀이 드러납니다"
    )
    assert selectors.questions(actor=ANYBODY, call_slug="api-2026").items == []
    services.answer_question(actor=world.officer, question_id=asked.id, answer_ko="공개해도 됩니다.")
    assert selectors.questions(actor=ANYBODY, call_slug="api-2026").items[0].withheld_reason == ""
    assert (
        code_of(lambda: services.withhold_question(actor=world.officer, question_id=asked.id, reason="x"))
        == "question_was_answered"
    )


def test_an_answer_is_put_right_on_the_record(world: World) -> None:
    world.published()
    asked = ask(world)
    for answer in ("10%", "11%"):
        services.answer_question(actor=world.officer, question_id=asked.id, answer_ko=answer)
    event = audit.events_for("call", selectors.call(actor=SYSTEM, slug="api-2026").id)[0]
    assert (event.action, event.before["answer_ko"], event.after["answer_ko"]) == (
        "question.answer_changed",
        "10%",
        "11%",
    )


def test_questions_end_when_they_were_said_to(world: World) -> None:
    now = clock.now()
    world.filled()
    round_ = world.round(questions_until=now - timedelta(seconds=5))
    services.publish_round(actor=world.officer, round_id=round_.id)
    assert code_of(lambda: ask(world)) == "questions_closed"
    second = world.round(questions_until=now + timedelta(days=3))
    services.publish_round(actor=world.officer, round_id=second.id)
    assert ask(world).number == 1
    assert code_of(lambda: ask(world, round_id=round_.id)) == "questions_closed"
    assert ask(world, round_id=second.id).round_id == second.id
    assert code_of(lambda: ask(world, round_id=uuid7())) == "round_not_found"


def test_nobody_asks_for_nobody_and_nothing_is_asked_of_a_draft(world: World) -> None:
    world.filled()
    assert code_of(lambda: ask(world)) == "call_not_found"
    services.publish_round(actor=world.officer, round_id=world.round().id)
    for actor in (ANYBODY, SYSTEM):
        with pytest.raises(Forbidden):
            services.ask_question(actor=actor, call_slug="api-2026", text="?")
    for text, code in (("  \n ", "text_missing"), ("가" * 4_001, "text_invalid"), ("\x00", "text_invalid")):
        assert code_of(lambda text=text: ask(world, text)) == code


def test_only_officers_answer(world: World) -> None:
    world.published()
    asked = ask(world)
    with pytest.raises(NotFound):
        services.answer_question(actor=world.stranger, question_id=asked.id, answer_ko="x")
    with pytest.raises(Forbidden):
        services.answer_question(actor=world.applicant, question_id=asked.id, answer_ko="x")


def test_one_organisation_does_not_fill_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "MAX_WAITING", 2)
    world.published()
    ask(world), ask(world)
    assert code_of(lambda: ask(world)) == "too_many_questions"


def test_the_same_request_asks_once(world: World) -> None:
    world.published()
    chosen = uuid7()
    assert ask(world, request_id=chosen).number == ask(world, request_id=chosen).number == 1
    other = world.person(world.narae, "administrator")
    assert (
        code_of(lambda: services.ask_question(actor=other, call_slug="api-2026", text="?", request_id=chosen))
        == "exists_with_different_content"
    )
