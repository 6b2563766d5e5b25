"""Several at the same moment: nothing twice, nothing lost, nothing half."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections

from dure.control.applications import selectors, services
from dure.control.applications.models import Application, Submission
from dure.control.calls import services as calls
from dure.control.foundation.errors import DureError
from dure.control.programmes.models import Award

from .conftest import World, answers, make_world, won


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


def at_once(*verbs: Callable[[], Any]) -> list[Any]:
    """Run them in threads that start together; a refusal is answered as its code."""
    gate = Barrier(len(verbs))

    def run(verb: Callable[[], Any]) -> Any:
        gate.wait(timeout=30)
        try:
            return verb()
        except DureError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(verbs)) as pool:
        return list(pool.map(run, verbs))


def test_two_colleagues_who_begin_at_once_begin_one_application(world: World) -> None:
    round_ = world.round()
    actors = [world.writer, world.colleague, world.boss]
    made = at_once(
        *[lambda actor=actor: services.start(actor=actor, round_id=round_.id).id for actor in actors]
    )
    assert len(set(made)) == 1
    assert Application.objects.count() == 1


def test_submitting_at_once_is_one_submission(world: World) -> None:
    view = world.started()
    world.fill(view)
    done = at_once(
        *[
            lambda actor=actor: services.submit(actor=actor, application_id=view.id).result
            for actor in [world.writer, world.boss, world.writer, world.boss]
        ]
    )
    assert sorted(done) == ["created", "exists", "exists", "exists"]
    assert Submission.objects.count() == 1


def test_words_written_at_once_are_all_kept(world: World) -> None:
    view = world.started()
    base = "\n\n".join(f"{number}째 문단" for number in range(6))
    first = services.save_answer(actor=world.boss, application_id=view.id, field="story", value=base)

    def change(number: int) -> Any:
        text = base.replace(f"{number}째 문단", f"{number}째 문단에 덧붙임")
        return services.save_answer(
            actor=world.boss, application_id=view.id, field="story", value=text, base_version=first.version
        )

    at_once(*[lambda number=number: change(number) for number in range(6)])
    text = selectors.answers_of(view.id)["story"]
    assert text == "\n\n".join(f"{number}째 문단에 덧붙임" for number in range(6))


def test_a_field_that_several_begin_at_once_stands_once(world: World) -> None:
    view, boss = world.started(), world.boss
    saved = at_once(
        *[
            lambda: services.save_answer(actor=boss, application_id=view.id, field="stage", value="idea")
            for _turn in range(4)
        ]
    )
    assert [getattr(one, "version", one) for one in saved] == [1] * 4


def test_a_small_request_is_granted_once_however_many_look_at_it(world: World) -> None:
    view = world.submitted(world.small_round(), krw=1_000_000)
    done = at_once(*[lambda: services.decide_automatically(view.id) for _turn in range(4)])
    assert sorted(done) == [False, False, False, True]
    assert Award.objects.filter(organisation_id=world.haneul.id).count() == 1


def test_money_for_one_is_granted_to_one(world: World) -> None:
    round_ = world.small_round(
        budget_micro_won=won(1_500_000),
        most_micro_won=won(1_000_000),
        automatic={"most_micro_won": won(1_000_000), "valid_days": 90, "most_per_group": 1},
    )
    mine = world.submitted(round_, krw=1_000_000)
    theirs = services.start(actor=world.stranger, round_id=round_.id)
    world.fill(theirs, world.stranger, **answers(1_000_000))
    services.submit(actor=world.stranger, application_id=theirs.id)
    done = at_once(
        lambda: services.decide_automatically(mine.id), lambda: services.decide_automatically(theirs.id)
    )
    assert sorted(done) == [False, True]
    assert selectors.granted_in_round(round_id=round_.id) == won(1_000_000)


def test_an_extension_and_a_submission_take_turns(world: World) -> None:
    view = world.started()
    world.fill(view)
    until = view.deadline + timedelta(days=1)
    done = at_once(
        lambda: services.submit(actor=world.boss, application_id=view.id).result,
        lambda: (
            calls.extend_round(
                actor=world.officer, round_id=view.round.id, closes_at=until, reason="접수 장애"
            ).closes_at
        ),
    )
    assert done == ["created", until]


def test_withdrawing_and_deciding_at_once_end_in_one_of_both(world: World) -> None:
    view = world.at_decision()
    done = at_once(
        lambda: services.withdraw(actor=world.boss, application_id=view.id).state,
        lambda: (
            services.decide(actor=world.officer, application_id=view.id, outcome="rejected", reason="x").state
        ),
    )
    assert done in (
        ["withdrawn", "application_not_found"],
        ["withdrawn", "not_at_a_decision"],
        ["application_state", "rejected"],
    )
