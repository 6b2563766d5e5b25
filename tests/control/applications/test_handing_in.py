"""Handing in: whole or not at all, in time or not, once; and what was handed in stays what it was."""

import json
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dure.control.applications import selectors, services
from dure.control.applications.models import Submission
from dure.control.foundation import signing
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid
from dure.control.identity.models import Organisation

from .conftest import World, answers, won


def refused(kind: type[DureError], code: str, verb: Any, **given: Any) -> DureError:
    with pytest.raises(kind) as caught:
        verb(**given)
    assert caught.value.code == code
    return caught.value


def test_what_is_submitted_has_a_receipt_that_anybody_can_check(world: World) -> None:
    view = world.started()
    world.fill(view)
    services.attach(
        actor=world.writer, application_id=view.id, field="papers", stream=BytesIO(b"plan"), name="plan.txt"
    )
    done = services.submit(actor=world.writer, application_id=view.id)
    made = done.submission
    assert done.result == "created"
    assert sha256(made.content.encode()).hexdigest() == made.sha256
    receipt = json.loads(made.receipt)
    assert receipt["content_sha256"] == made.sha256
    assert receipt["files_sha256"] == [sha256(b"plan").hexdigest()]
    assert receipt["application"] == view.number
    assert receipt["submitted_at"].endswith("+09:00")
    assert signing.verify(made.receipt.encode(), made.key_id, made.signature)
    content = json.loads(made.content)
    assert content["answers"] == answers()
    assert content["asked_micro_won"] == won(3_000_000)
    seen = world.see(view)
    assert (seen.state, seen.changed, seen.step) == ("submitted", False, "apply")


def test_what_a_submission_costs_is_known(world: World) -> None:
    """In the last minute of a round hundreds come at once: each question more is a few of them a second less."""
    view = world.started()
    world.fill(view)
    with CaptureQueriesContext(connection) as captured:
        services.submit(actor=world.writer, application_id=view.id)
    asked = [one["sql"] for one in captured if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(asked) <= 24, "\n".join(asked)


def test_submitting_twice_is_one_submission(world: World) -> None:
    view = world.submitted()
    again = services.submit(actor=world.boss, application_id=view.id)
    assert (again.result, again.submission.number) == ("exists", 1)
    assert Submission.objects.count() == 1


def test_what_is_missing_is_named_field_by_field_and_nothing_is_lost(world: World) -> None:
    view = world.started()
    world.fill(view, title="하나", story="가" * 2_001)
    error = refused(
        Invalid, "application_incomplete", services.submit, actor=world.writer, application_id=view.id
    )
    assert [(one["field"], one["code"]) for one in error.data["problems"]] == [
        ("story", "too_long"),
        ("budget", "missing"),
    ]
    assert world.see(view).values["title"] == "하나"
    assert world.see(view).state == "draft"


@pytest.mark.parametrize(("krw", "code"), [(999_999, "sum_below_least"), (10_000_001, "sum_above_most")])
def test_the_sum_stays_within_what_the_round_grants(world: World, krw: int, code: str) -> None:
    view = world.started()
    world.fill(view, **answers(krw))
    refused(Invalid, code, services.submit, actor=world.writer, application_id=view.id)


def test_rules_are_checked_again_and_named(world: World) -> None:
    view = world.started()
    world.fill(view)
    Organisation.objects.filter(pk=world.haneul.id).update(founded_on="2001-01-01")
    error = refused(Conflict, "not_eligible", services.submit, actor=world.writer, application_id=view.id)
    assert error.data == {"rules": ["young"]}


def test_what_is_not_stated_is_asked_for_before_it_is_judged(world: World) -> None:
    view = world.started()
    world.fill(view)
    Organisation.objects.filter(pk=world.haneul.id).update(founded_on=None)
    error = refused(Conflict, "not_eligible", services.submit, actor=world.writer, application_id=view.id)
    assert error.data == {"rules": ["young"]}


def test_only_the_lead_and_administrators_bind_the_organisation(world: World) -> None:
    view = world.started()
    world.fill(view)
    assert world.colleague
    services.invite_writer(actor=world.writer, application_id=view.id, email="colleague@haneul.example")
    refused(Forbidden, "not_the_lead", services.submit, actor=world.colleague, application_id=view.id)
    assert services.submit(actor=world.boss, application_id=view.id).result == "created"


def test_a_request_that_arrived_in_time_is_in_time_however_long_it_waited(world: World) -> None:
    view = world.started()
    world.fill(view)
    due = view.deadline
    given: dict[str, Any] = {"actor": world.writer, "application_id": view.id}
    with world.at(due + timedelta(seconds=10)):
        error = refused(Conflict, "deadline_passed", services.submit, **given, waited=timedelta(seconds=8))
        assert set(error.data) == {"deadline", "received_at"}
        done = services.submit(**given, waited=timedelta(seconds=11))
    assert done.submission.at == due - timedelta(seconds=1)


def test_the_second_that_the_deadline_names_is_the_last_in_time(world: World) -> None:
    view = world.started()
    world.fill(view)
    given: dict[str, Any] = {"actor": world.writer, "application_id": view.id}
    last = view.deadline.replace(microsecond=0) + timedelta(seconds=1)
    with world.at(last):
        refused(Conflict, "deadline_passed", services.submit, **given)
        services.close_due()
    with world.at(last - timedelta(microseconds=1)):
        assert services.close_due() == 0
    assert world.see(view).state == "lapsed"


def test_within_that_second_it_is_taken(world: World) -> None:
    view = world.started()
    world.fill(view)
    with world.at(view.deadline.replace(microsecond=999_999)):
        assert services.close_due() == 0
        assert services.submit(actor=world.writer, application_id=view.id).result == "created"


def test_replacing_before_the_deadline_keeps_what_was_submitted_until_it_is_submitted_anew(
    world: World,
) -> None:
    view = world.submitted()
    world.fill(view, title="둘째 판")
    seen = world.see(view)
    assert (seen.changed, json.loads(seen.submissions[-1].content)["answers"]["title"]) == (True, "상담 요약")
    assert world.see(view, world.officer).values["title"] == "상담 요약"
    assert services.submit(actor=world.writer, application_id=view.id).submission.number == 2
    assert world.see(view, world.officer).values["title"] == "둘째 판"


def test_changes_that_were_not_submitted_in_time_do_not_count(world: World) -> None:
    view = world.submitted()
    world.fill(view, title="둘째 판")
    world.close(view.round.id)
    seen = world.see(view, world.officer)
    assert (seen.state, seen.changed, seen.values["title"]) == ("submitted", False, "상담 요약")


def test_changes_can_be_taken_back(world: World) -> None:
    view = world.started()
    world.fill(view)
    add: dict[str, Any] = {"actor": world.writer, "application_id": view.id, "field": "papers"}
    kept = services.attach(stream=BytesIO(b"one"), name="one.txt", **add)
    services.submit(actor=world.writer, application_id=view.id)
    world.fill(view, title="둘째 판", stage="idea")
    services.detach(actor=world.writer, application_id=view.id, attachment_id=kept.id)
    services.attach(stream=BytesIO(b"two"), name="two.txt", **add)
    seen = services.discard_changes(actor=world.writer, application_id=view.id)
    assert seen.changed is False
    assert seen.values["title"] == "상담 요약"
    assert seen.values.get("stage") is None
    assert [one["name"] for one in seen.values["papers"]] == ["one.txt"]
    assert services.submit(actor=world.writer, application_id=view.id).result == "exists"


def test_withdrawing_is_for_good_and_leaves_the_way_free(world: World, mails: Any) -> None:
    view = world.submitted()
    seen = services.withdraw(actor=world.writer, application_id=view.id, reason="다른 지원을 받음")
    assert seen.state == "withdrawn"
    assert services.withdraw(actor=world.writer, application_id=view.id).state == "withdrawn"
    refused(Conflict, "application_not_open", services.submit, actor=world.writer, application_id=view.id)
    assert services.start(actor=world.writer, round_id=view.round.id).id != view.id
    assert selectors.receipt(actor=world.writer, application_id=view.id).number == 1


def test_a_submission_is_never_changed(world: World) -> None:
    from django.db import Error, transaction

    world.submitted()
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        Submission.objects.update(content="{}")


def test_those_concerned_are_told_with_the_next_step(world: World) -> None:
    from dure.control.foundation.models import Notice

    view = world.submitted()
    notice = Notice.objects.filter(person_id=world.writer.person_id).order_by("-created_at").first()
    assert notice is not None
    assert notice.path == f"/applications/{view.id}/receipt/"
