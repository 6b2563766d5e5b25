"""An officer of one programme alone runs its calls, and knows nothing of the drafts of the agency's other programmes."""

from typing import Any

import pytest
from tests.control.calls.conftest import World

from dure.control.calls import selectors, services
from dure.control.foundation.errors import DureError
from dure.control.foundation.models import Notice


def refusal(verb: Any, **given: Any) -> str:
    with pytest.raises(DureError) as caught:
        verb(**given)
    return caught.value.code


@pytest.fixture
def two(world: World) -> World:
    """A draft call in each of two programmes of one ministry."""
    world.other_programme()
    world.filled("own")
    world.filled("theirs", programme_slug="other")
    return world


def test_calls_of_the_programme_are_theirs_and_the_others_are_not_there(two: World) -> None:
    alone = two.programme_officer("hyperscale")
    assert [one.ref.slug for one in selectors.calls(actor=alone, state="draft").items] == ["own"]
    assert [one.ref.slug for one in selectors.calls(actor=alone, mine=True).items] == ["own"]
    assert selectors.draft(actor=alone, slug="own").call.may_manage
    services.change_call(actor=alone, slug="own", name_ko="새 이름")
    assert refusal(selectors.call, actor=alone, slug="theirs") == "call_not_found"
    assert refusal(services.change_call, actor=alone, slug="theirs", name_ko="-") == "call_not_found"
    assert not selectors.may_manage(actor=alone, slug="theirs")


def test_a_call_is_not_moved_or_copied_into_a_programme_that_is_another_s(two: World) -> None:
    alone = two.programme_officer("hyperscale")
    moved = {"slug": "own", "programme_slug": "other"}
    assert refusal(services.change_call, actor=alone, **moved) == "forbidden"
    copied = {"slug": "own", "new_slug": "again", "programme_slug": "other"}
    assert refusal(services.copy_call, actor=alone, **copied) == "forbidden"
    begun = {"template_key": "pilot", "slug": "pilot", "programme_slug": "other"}
    assert refusal(services.add_from_template, actor=alone, **begun) == "forbidden"
    assert services.copy_call(actor=alone, slug="own", new_slug="again").copied_from == "own"


def test_from_which_draft_a_call_was_copied_is_told_to_those_who_know_that_draft(two: World) -> None:
    services.copy_call(actor=two.officer, slug="theirs", new_slug="copy", programme_slug="hyperscale")
    alone = two.programme_officer("hyperscale")
    assert selectors.call(actor=two.officer, slug="copy").copied_from == "theirs"
    assert selectors.call(actor=alone, slug="copy").copied_from is None


def test_questions_of_the_programme_come_to_its_officer(two: World) -> None:
    alone = two.programme_officer("hyperscale")
    two.published("asked")
    two.published("asked-too", call={"programme_slug": "other"})
    asked = services.ask_question(actor=two.applicant, call_slug="asked", text="?")
    theirs = services.ask_question(actor=two.applicant, call_slug="asked-too", text="?")
    assert [one.id for one in selectors.questions_to_answer(actor=alone).items] == [asked.id]
    paths = list(Notice.objects.filter(person_id=alone.person_id).values_list("path", flat=True))
    assert len(paths) == 1
    assert str(asked.id) in paths[0]
    assert services.answer_question(actor=alone, question_id=asked.id, answer_ko="네.").state == "answered"
    refused = refusal(services.answer_question, actor=alone, question_id=theirs.id, answer_ko="네.")
    assert refused == "question_not_found"
