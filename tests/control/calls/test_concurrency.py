"""Several connections at one moment: publishing, promising, extending while submissions are judged."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from tests.control.calls.conftest import make_world, won

from dure.control.calls import selectors, services
from dure.control.calls.models import Extension, Question, RoundStep
from dure.control.foundation import audit
from dure.control.foundation.errors import DureError

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(deeds: list[Callable[[], object]]) -> list[str]:
    """Run the deeds on as many connections, released together; each answers its result or its refusal's code."""
    barrier = threading.Barrier(len(deeds))

    def run(deed: Callable[[], object]) -> str:
        try:
            barrier.wait(10)
            return str(deed())
        except DureError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return sorted(pool.map(run, deeds))


def test_a_round_published_from_six_connections_is_published_once() -> None:
    world = make_world()
    officer = world.officer
    world.filled()
    round_ = world.round()
    done = at_once([lambda: services.publish_round(actor=officer, round_id=round_.id).state] * 6)
    assert done == ["published"] * 6
    events = [one.action for one in audit.events_for("call", round_.call.id)]
    assert events.count("round.published") == 1
    assert RoundStep.objects.count() == 1


def test_two_rounds_are_not_promised_the_same_money() -> None:
    world = make_world()
    officer = world.officer
    for slug in ("one", "two"):
        world.filled(slug)
    ids = [world.round(slug, budget_micro_won=won(600_000_000)).id for slug in ("one", "two")]
    done = at_once(
        [lambda one=one: services.publish_round(actor=officer, round_id=one).state for one in ids]  # type: ignore[misc]
    )
    assert done == ["published", "round_not_ready"]


def test_of_several_extensions_each_is_later_than_the_one_before() -> None:
    world = make_world()
    officer = world.officer
    round_ = world.published()
    assert round_.closes_at is not None
    moments = [round_.closes_at + timedelta(days=days) for days in (1, 2, 3, 4)]

    def extend(moment: object) -> str:
        services.extend_round(actor=officer, round_id=round_.id, closes_at=moment, reason="x")  # type: ignore[arg-type]
        return "extended"

    done = at_once([lambda moment=moment: extend(moment) for moment in moments])  # type: ignore[misc]
    assert set(done) <= {"extended", "extension_not_later"}
    rows = list(Extension.objects.order_by("created_at", "pk"))
    assert len(rows) == done.count("extended")
    assert [row.old_closes_at for row in rows[1:]] == [row.new_closes_at for row in rows[:-1]]
    assert selectors.round_for(actor=officer, round_id=round_.id).closes_at == moments[-1]


def test_submissions_hold_a_round_side_by_side_and_an_extension_waits_for_them() -> None:
    """Two submissions are under way at once; the extension comes after both, and the one after it sees it."""
    world = make_world()
    officer = world.officer
    round_ = world.published()
    assert round_.closes_at is not None
    later = round_.closes_at + timedelta(days=1)
    both_hold, order = threading.Barrier(2), []

    def submit() -> None:
        with transaction.atomic():
            held = selectors.round_lock_for_submission(round_.id)
            both_hold.wait(10)
            time.sleep(0.4)
            assert held.closes_at == round_.closes_at
            order.append("submitted")

    def extend() -> None:
        time.sleep(0.2)
        services.extend_round(actor=officer, round_id=round_.id, closes_at=later, reason="x")
        order.append("extended")

    at_once([submit, submit, extend])
    assert order == ["submitted", "submitted", "extended"]
    with transaction.atomic():
        assert selectors.round_lock_for_submission(round_.id).closes_at == later


def test_a_submission_that_waited_for_a_cancellation_sees_it() -> None:
    world = make_world()
    officer = world.officer
    round_ = world.published()
    cancelling, seen = threading.Event(), []

    def cancel() -> None:
        with transaction.atomic():
            services.cancel_call(actor=officer, slug="api-2026", reason="x")
            cancelling.set()
            time.sleep(0.3)

    def submit() -> None:
        cancelling.wait(10)
        with transaction.atomic():
            held = selectors.round_lock_for_submission(round_.id)
            seen.append((held.state, held.accepts))

    at_once([cancel, submit])
    assert seen == [("cancelled", False)]


def test_questions_asked_at_once_have_numbers_of_their_own() -> None:
    world = make_world()
    applicant = world.applicant
    world.published()
    at_once([lambda: services.ask_question(actor=applicant, call_slug="api-2026", text="?")] * 6)
    assert sorted(Question.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]


def test_an_expired_step_is_marked_by_one_worker() -> None:
    world = make_world()
    officer = world.officer
    round_ = world.published()
    assert round_.closes_at is not None
    after = round_.closes_at + timedelta(seconds=2)
    assert at_once([lambda: services.expire_steps(at=after)] * 4) == ["0", "0", "0", "1"]
    assert [one.state for one in selectors.timed_steps(actor=officer, round_id=round_.id)] == ["expired"]
