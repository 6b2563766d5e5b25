"""My tasks: each reader's own, from every room, what has a deadline first."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.control.applications.conftest import World, make_world

from dure.control.applications import services
from dure.control.calls import services as calls
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity.models import Organisation, Person
from dure.control.portal.tasks import tasks_of


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def browser(actor: Actor) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.cookies["dure_language"] = "en"
    client.force_login(
        Person.objects.get(pk=actor.person_id), "allauth.account.auth_backends.AuthenticationBackend"
    )
    return client


def test_an_officer_sees_what_waits_in_every_room(world: World) -> None:
    view = world.submitted()
    world.close(view.round.id)
    calls.ask_question(actor=world.stranger, call_slug="api-2026", text="언제 결과가 나오나요?")
    Organisation.objects.filter(pk=world.rival.id).update(
        verification_state="asked", verification_asked_at=clock.now()
    )
    kinds = {task.path.split("/")[1] for task in tasks_of(world.officer)}
    assert kinds == {"desk", "calls", "organisations"}


def test_an_applicant_sees_the_own_and_nobody_elses(world: World) -> None:
    view = world.started()
    (task,) = tasks_of(world.writer)
    assert (task.path, task.due_at) == (f"/applications/{view.id}/", view.deadline)
    assert tasks_of(world.stranger) == []
    assert tasks_of(world.onlooker) == []


def test_what_has_a_deadline_comes_first_and_the_nearest_before_the_later(world: World) -> None:
    late = world.started(world.round("late", closes_at=clock.now() + timedelta(days=60)))
    soon = world.started(world.round("soon", closes_at=clock.now() + timedelta(days=9)))
    assert [task.due_at for task in tasks_of(world.writer)] == [soon.deadline, late.deadline]


def test_the_page_says_so_when_nothing_waits(world: World) -> None:
    answer = browser(world.onlooker).get("/tasks/")
    assert "Nothing waits for you" in answer.content.decode()


def test_the_page_asks_no_more_for_many_tasks_than_for_one(world: World) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert browser(world.writer).get("/tasks/").status_code == 200
        return len(asked)

    world.started(world.round("first"))
    one = queries()
    for number in range(4):
        world.started(world.round(f"more-{number}"))
    assert queries() == one


def test_a_completion_is_a_task_until_it_is_answered(world: World) -> None:
    view = world.submitted()
    world.close(view.round.id)
    services.ask_for_completion(
        actor=world.officer,
        application_id=view.id,
        fields=["story"],
        reason="더 자세히",
        due_at=clock.now() + timedelta(days=5),
    )
    assert len(tasks_of(world.writer)) == 1
    world.fill(view, story="아주 자세히")
    services.submit(actor=world.writer, application_id=view.id)
    assert tasks_of(world.writer) == []
