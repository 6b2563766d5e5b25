"""Writing together: nobody's text is lost, and nobody else writes."""

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest

from dure.control.applications import selectors, services
from dure.control.applications.models import Application
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid, NotFound

from .conftest import World, answers, won


def refused(kind: type[DureError], code: str, verb: Any, **given: Any) -> DureError:
    with pytest.raises(kind) as caught:
        verb(**given)
    assert caught.value.code == code
    return caught.value


def test_an_organisation_has_one_application_in_a_round(world: World) -> None:
    first = world.started()
    again = services.start(actor=world.boss, round_id=first.round.id)
    assert again.id == first.id
    assert Application.objects.count() == 1
    assert first.number.endswith("-000001") or first.number[4] == "-"
    assert [writer.person.name for writer in first.writers] == ["writer"]


def test_a_viewer_an_officer_and_an_organisation_that_gives_money_do_not_apply(world: World) -> None:
    round_ = world.round()
    for actor in (world.onlooker, world.officer):
        with pytest.raises(Forbidden):
            services.start(actor=actor, round_id=round_.id)


def test_what_is_saved_is_there_with_its_title_and_sum(world: World) -> None:
    view = world.started()
    world.fill(view)
    seen = world.see(view)
    assert (seen.title, seen.asked_micro_won, seen.changed) == ("상담 요약", won(3_000_000), True)
    assert seen.values["story"] == "상담 기록을 요약합니다."


def test_two_writers_of_one_text_keep_both_their_words(world: World) -> None:
    view = world.started()
    assert world.colleague
    services.invite_writer(actor=world.writer, application_id=view.id, email="colleague@haneul.example")
    base = services.save_answer(
        actor=world.writer,
        application_id=view.id,
        field="story",
        value="첫 문단.\n\n둘째 문단.",
        base_version=0,
    )
    services.save_answer(
        actor=world.writer,
        application_id=view.id,
        field="story",
        value="첫 문단을 고쳤습니다.\n\n둘째 문단.",
        base_version=base.version,
    )
    merged = services.save_answer(
        actor=world.colleague,
        application_id=view.id,
        field="story",
        value="첫 문단.\n\n둘째 문단도 고쳤습니다.",
        base_version=base.version,
    )
    assert merged.value == "첫 문단을 고쳤습니다.\n\n둘째 문단도 고쳤습니다."
    assert (merged.merged, merged.conflict, merged.version) == (True, False, 3)


def test_two_writers_of_the_same_words_keep_both_and_are_told(world: World) -> None:
    view = world.started()
    base = services.save_answer(
        actor=world.writer, application_id=view.id, field="story", value="가격은 얼마"
    )
    services.save_answer(
        actor=world.writer,
        application_id=view.id,
        field="story",
        value="가격은 백 원",
        base_version=base.version,
    )
    both = services.save_answer(
        actor=world.boss,
        application_id=view.id,
        field="story",
        value="가격은 천 원",
        base_version=base.version,
    )
    assert both.conflict
    assert "백" in both.value
    assert "천" in both.value


def test_a_choice_is_not_merged_but_shown(world: World) -> None:
    view = world.started()
    first = services.save_answer(actor=world.writer, application_id=view.id, field="stage", value="idea")
    services.save_answer(
        actor=world.boss, application_id=view.id, field="stage", value="product", base_version=first.version
    )
    error = refused(
        Conflict,
        "answer_changed_meanwhile",
        services.save_answer,
        actor=world.writer,
        application_id=view.id,
        field="stage",
        value="",
        base_version=first.version,
    )
    assert error.data == {"value": "product", "version": 2, "by": "haneul administrator"}


def test_saving_the_same_again_makes_no_version(world: World) -> None:
    view = world.started()
    for _turn in range(3):
        saved = services.save_answer(actor=world.writer, application_id=view.id, field="title", value="하나")
    assert saved.version == 1
    assert len(selectors.revisions(actor=world.writer, application_id=view.id, field="title")) == 1


def test_every_state_of_a_field_is_kept(world: World) -> None:
    view = world.started()
    for turn, text in enumerate(["하나", "둘", "셋"]):
        services.save_answer(
            actor=world.writer, application_id=view.id, field="title", value=text, base_version=turn
        )
    revisions = selectors.revisions(actor=world.writer, application_id=view.id, field="title")
    assert [one.value for one in revisions] == ["셋", "둘", "하나"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("nothing", "x", "field_unknown"),
        ("papers", [], "field_unknown"),
        ("title", "a\x00b", "control_characters"),
        ("title", ["a", "list"], "answer_not_understood"),
        ("story", "가" * 500_000, "answer_too_long"),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_is_kept(
    world: World, field: str, value: Any, code: str
) -> None:
    view = world.started()
    refused(
        Invalid,
        code,
        services.save_answer,
        actor=world.writer,
        application_id=view.id,
        field=field,
        value=value,
    )
    assert world.see(view).answers == []


def test_several_fields_are_saved_all_or_none(world: World) -> None:
    view = world.started()
    refused(
        Invalid,
        "field_unknown",
        services.save_answers,
        actor=world.writer,
        application_id=view.id,
        answers={"title": ("하나", 0), "nothing": ("둘", 0)},
    )
    assert world.see(view).answers == []


def test_a_draft_may_be_wrong_and_says_so(world: World) -> None:
    view = world.started()
    saved = services.save_answer(
        actor=world.writer, application_id=view.id, field="story", value="가" * 2_001
    )
    assert [problem.code for problem in saved.problems] == ["too_long"]
    assert world.see(view).progress is not None


def test_only_its_writers_write_and_others_do_not_see_it(world: World) -> None:
    view = world.started()
    refused(
        Forbidden,
        "not_a_writer",
        services.save_answer,
        actor=world.colleague,
        application_id=view.id,
        field="title",
        value="x",
    )
    for actor in (world.stranger, world.officer):
        refused(NotFound, "application_not_found", selectors.application, actor=actor, application_id=view.id)
        refused(
            NotFound,
            "application_not_found",
            services.save_answer,
            actor=actor,
            application_id=view.id,
            field="title",
            value="x",
        )
    assert selectors.application(actor=world.onlooker, application_id=view.id).may == frozenset()


def test_a_co_writer_is_a_colleague_and_is_told(world: World, mails: Any) -> None:
    view = world.started()
    assert world.colleague
    refused(
        Invalid,
        "not_a_colleague",
        services.invite_writer,
        actor=world.writer,
        application_id=view.id,
        email="administrator@rival.example",
    )
    before = len(mails())
    for _turn in range(2):
        seen = services.invite_writer(
            actor=world.writer, application_id=view.id, email="colleague@haneul.example"
        )
    assert [(writer.person.name, writer.lead) for writer in seen.writers] == [
        ("writer", True),
        ("colleague", False),
    ]
    assert len(mails()) == before + 1


def test_the_lead_is_handed_over_before_it_leaves(world: World) -> None:
    view = world.started()
    me, other = world.writer.person_id, world.colleague.person_id
    services.invite_writer(actor=world.writer, application_id=view.id, email="colleague@haneul.example")
    refused(
        Conflict,
        "lead_stays",
        services.remove_writer,
        actor=world.writer,
        application_id=view.id,
        person_id=me,
    )
    services.name_lead(actor=world.writer, application_id=view.id, person_id=other)
    seen = services.remove_writer(actor=world.colleague, application_id=view.id, person_id=me)
    assert [(writer.person.name, writer.lead) for writer in seen.writers] == [("colleague", True)]


def test_files_are_kept_once_and_counted(world: World) -> None:
    view = world.started()
    add: dict[str, Any] = {"actor": world.writer, "application_id": view.id, "field": "papers"}
    first = services.attach(stream=BytesIO("하나".encode()), name="하나.txt", **add)
    same = services.attach(stream=BytesIO("하나".encode()), name="하나.txt", **add)
    assert same.id == first.id
    services.attach(stream=BytesIO("둘".encode()), name="둘.txt", **add)
    refused(Conflict, "too_many_files", services.attach, stream=BytesIO("셋".encode()), name="셋.txt", **add)
    refused(
        Invalid,
        "field_takes_no_file",
        services.attach,
        **{**add, "field": "title"},
        stream=BytesIO(b"x"),
        name="x.txt",
    )
    services.detach(actor=world.writer, application_id=view.id, attachment_id=first.id)
    assert [one["name"] for one in world.see(view).values["papers"]] == ["둘.txt"]


def test_after_the_deadline_nothing_is_written_any_more(world: World) -> None:
    view = world.started()
    world.fill(view, title="하나")
    world.close(view.round.id)
    refused(
        Conflict,
        "application_not_open",
        services.save_answer,
        actor=world.writer,
        application_id=view.id,
        field="title",
        value="둘",
        base_version=1,
    )
    assert world.see(view).state == "lapsed"
    assert world.see(view).values == {"title": "하나"}


def test_a_round_that_is_not_open_takes_no_application(world: World) -> None:
    from dure.control.foundation import clock

    round_ = world.round(opens_at=clock.now() + timedelta(days=1))
    refused(Conflict, "round_not_open", services.start, actor=world.writer, round_id=round_.id)


def test_answers_are_complete_in_the_fixture() -> None:
    assert set(answers()) == {"title", "story", "budget"}
