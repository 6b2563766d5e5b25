"""My tasks: each reader's own, from every room, what has a deadline first."""

import json
import re
from datetime import timedelta
from io import BytesIO
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from tests.control.applications.conftest import SYSTEM, World, make_world, won
from tests.control.foundation.samples import pdf

from dure.cli import _context
from dure.cli.main import dure
from dure.control.applications import services
from dure.control.calls import services as calls
from dure.control.foundation import clock, files
from dure.control.foundation.actors import Actor
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services
from dure.control.identity.models import Organisation, OrganisationDocument, Person
from dure.control.identity.organisation_selectors import today
from dure.control.portal.tasks import tasks_of
from dure.control.programmes import selectors as selectors_of_programmes
from dure.control.programmes import services as programmes
from dure.control.programmes.own_share import OwnShareRule


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
    tasks = tasks_of(world.officer)
    assert {task.path.split("/")[1] for task in tasks} == {"desk", "calls", "organisations"}
    assert all(task.since is not None for task in tasks)


def test_questions_beyond_those_shown_are_one_task_that_counts_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dure.control.portal.tasks._QUESTIONS_SHOWN", 2)
    world.started()
    for number in range(5):
        calls.ask_question(actor=world.stranger, call_slug="api-2026", text=f"질문 {number}은 어떻게 되나요?")
    found = [(task.kind, task.count, task.path) for task in tasks_of(world.officer)]
    assert [kind for kind, _, _ in found] == ["question", "question", "questions"]
    assert found[-1][1:] == (3, "/calls/questions/")


def test_an_applicant_sees_the_own_and_nobody_elses(world: World) -> None:
    view = world.started()
    (task,) = tasks_of(world.writer)
    assert (task.path, task.due_at) == (f"/applications/{view.id}/", view.deadline)
    assert [one.kind for one in tasks_of(world.stranger)] == ["verification"]
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


def grant(world: World, *, due: str = "after", programme: str = "hyperscale", ended: bool = False) -> UUID:
    rules = {"small": OwnShareRule(share_bp=1_000)}
    programmes.set_own_contribution(actor=SYSTEM, programme_slug=programme, rules=rules, due=due)
    award = programmes.grant_award(
        actor=SYSTEM, programme_slug=programme, organisation_slug="haneul", micro_won=won(900), name="챗봇"
    ).award
    if ended:
        programmes.confirm_own_contribution(actor=SYSTEM, award_id=award.id)
        programmes.end_award(actor=SYSTEM, award_id=award.id, reason="끝")
    return award.id


def kinds(actor: Actor) -> list[str]:
    return [one.kind for one in tasks_of(actor)]


def test_an_own_contribution_is_paid_by_the_organisation_and_confirmed_by_the_officer(world: World) -> None:
    award_id = grant(world)
    (paying,), (confirming,) = tasks_of(world.writer), tasks_of(world.officer)
    assert (paying.kind, paying.path) == ("own_contribution_pay", f"/awards/{award_id}/#sources")
    assert paying.why == "자부담금을 납부해 주십시오: 100원"
    assert (confirming.kind, confirming.detail) == ("own_contribution_confirm", "하늘랩")
    assert confirming.path == f"/awards/{award_id}/own-contribution/"
    assert kinds(world.onlooker) == []
    programmes.confirm_own_contribution(actor=world.officer, award_id=award_id, micro_won=won(40))
    assert tasks_of(world.writer)[0].why == "자부담금을 납부해 주십시오: 60원"
    programmes.confirm_own_contribution(actor=world.officer, award_id=award_id)
    assert (kinds(world.writer), kinds(world.officer)) == ([], [])


def test_each_task_of_an_own_contribution_leads_to_a_page(world: World) -> None:
    grant(world)
    grant(world, ended=True)
    for actor in (world.writer, world.officer):
        for task in tasks_of(actor):
            assert browser(actor).get(task.path).status_code == 200


def test_the_rest_of_an_own_contribution_waits_for_the_officer_until_it_is_paid_back(world: World) -> None:
    award_id = grant(world, ended=True)
    (task,) = tasks_of(world.officer)
    assert (task.kind, task.why) == ("own_contribution_repay", "남은 자부담금을 돌려주어야 합니다: 100원")
    assert kinds(world.writer) == []
    programmes.confirm_own_contribution_repaid(actor=world.officer, award_id=award_id)
    assert kinds(world.officer) == []


def test_an_officer_of_one_programme_sees_its_duties_alone(world: World) -> None:
    world.other_programme()
    grant(world, programme="other")
    award_id = grant(world, due="before")
    (task,) = tasks_of(world.programme_officer("hyperscale"))
    assert (task.path, task.detail) == (
        f"/awards/{award_id}/own-contribution/",
        "그때까지 호출이 거절됩니다",
    )
    assert kinds(world.officer) == ["own_contribution_confirm"] * 2


def test_another_agency_s_officer_sees_nothing_of_it(world: World) -> None:
    grant(world)
    other = identity_services.add_organisation(
        actor=SYSTEM, slug="agency", kind="agency", name_ko="다른 기관"
    )
    assert kinds(world.person(other, "officer", name="elsewhere")) == []


def test_administrators_see_what_stands_between_the_organisation_and_its_verification(world: World) -> None:
    assert kinds(world.boss) == ["verification"]
    Organisation.objects.filter(pk=world.haneul.id).update(verification_state="asked")
    assert kinds(world.boss) == []
    Organisation.objects.filter(pk=world.haneul.id).update(
        verification_state="refused", verification_reason="번호가 다릅니다"
    )
    (task,) = tasks_of(world.boss)
    assert (task.detail, task.path) == ("번호가 다릅니다", "/organisations/haneul/")
    Organisation.objects.filter(pk=world.haneul.id).update(verification_state="verified")
    assert kinds(world.boss) == []


def document(world: World, state: str, *, ends_in: int | None = None) -> OrganisationDocument:
    stored = files.store(stream=BytesIO(pdf()), name="a.pdf")
    return OrganisationDocument.objects.create(
        organisation_id=world.haneul.id,
        kind="tax_clearance",
        state=state,
        sha256=stored.sha256,
        name=stored.name,
        size=stored.size,
        media_type=stored.media_type,
        valid_until=None if ends_in is None else today() + timedelta(days=ends_in),
        uploaded_by_id=world.boss.person_id,
        decided_at=clock.now(),
        reason="흐립니다" if state == "refused" else "",
    )


def test_a_document_that_was_refused_or_expires_waits_until_a_newer_one_is_there(world: World) -> None:
    Organisation.objects.filter(pk=world.haneul.id).update(verification_state="verified")
    document(world, "refused")
    assert [(one.kind, one.detail) for one in tasks_of(world.boss)] == [("document", "흐립니다")]
    document(world, "accepted", ends_in=5)
    (task,) = tasks_of(world.boss)
    assert task.due_at is not None
    document(world, "accepted", ends_in=300)
    assert kinds(world.boss) == kinds(world.writer) == []


@pytest.mark.parametrize("role", ["auditor", "operator", "viewer"])
def test_who_has_no_duties_reads_that_nothing_waits(world: World, role: str) -> None:
    grant(world)
    world.started()
    assert kinds(world.person(world.ministry, role)) == []


def test_a_reviewer_of_a_programme_and_a_provider_have_none_of_others(world: World) -> None:
    grant(world)
    reviewer = world.person(world.ministry, "viewer", name="reviewer")
    assert reviewer.person_id is not None
    programme = selectors_of_programmes.programme(actor=SYSTEM, slug="hyperscale")
    identity_services.give_programme_role(
        actor=SYSTEM, person_id=reviewer.person_id, programme_id=programme.id, role="reviewer"
    )
    assert kinds(identity.actor_for(person_id=reviewer.person_id, organisation_id=world.ministry.id)) == []
    provider = identity_services.add_organisation(
        actor=SYSTEM, slug="maker", kind="provider", name_ko="공급사"
    )
    assert kinds(world.person(provider, "provider_manager")) == []


def test_the_page_rest_and_the_command_name_the_same(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    view = world.submitted()
    world.close(view.round.id)
    calls.ask_question(actor=world.stranger, call_slug="api-2026", text="언제 결과가 나오나요?")
    grant(world)
    world.started(world.round("second"))
    expected = {world.officer: 3, world.writer: 2, world.boss: 3, world.stranger: 1, world.onlooker: 0}
    emails = {one: email for email, one in world.people.items()}
    for actor, number in expected.items():
        client = browser(actor)
        shown = re.findall(r'<h3 class="minor"><a href="([^"]+)">', client.get("/tasks/").content.decode())
        rest = [one["path"] for one in client.get("/api/v1/duties").json()]
        with translation.override("en"):
            assert _context.run(dure, ["duties", emails[actor], "--json"]) == 0
        command = [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()]
        assert shown == rest == command
        assert len(shown) == number
        counted = client.get("/tasks/count/").content.decode()
        assert re.findall(r">(\d+)</span>", counted) == ([str(number)] if number else [])


def test_the_command_shows_them_as_a_table_and_refuses_whom_it_does_not_know(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    grant(world)
    writer = world.writer
    email = next(email for email, one in world.people.items() if one == writer)
    assert _context.run(dure, ["duties", email]) == 0
    assert "Pay the own contribution: ₩100" in capsys.readouterr().out
    assert _context.run(dure, ["duties", "nobody@example.kr"]) == 1
    assert _context.run(dure, ["duties", email, "--organisation", "rival"]) == 1
    assert "no member of rival" in capsys.readouterr().err


def test_every_page_asks_for_the_number_by_itself(world: World) -> None:
    page = browser(world.writer).get("/tasks/").content.decode()
    assert page.count(f'hx-get="/tasks/count/?for={world.haneul.id}"') == 2
    answer = browser(world.writer).get("/tasks/count/")
    assert answer["Cache-Control"] == "private, max-age=20"
    assert Client().get("/tasks/count/").status_code == 302
