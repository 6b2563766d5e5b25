"""`gateway_api.allot`: limits of awards and keys over all gateway processes, in PostgreSQL itself."""

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple
from uuid import UUID

import pytest
from django.db import connection
from django.db.utils import ProgrammingError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.control.settlement import services

from .conftest import call, start

pytestmark = pytest.mark.django_db


class Answer(NamedTuple):
    granted: int
    left_over: int
    elsewhere: int
    minute: int
    ends_in_ms: int
    processes: int


class Process:
    """A gateway process, as far as one limit goes."""

    def __init__(self, subject: UUID, kind: str) -> None:
        self.id = start()
        silence(self.id, -3_600)  # a heartbeat that outlasts the test's transaction
        self.subject = subject
        self.kind = kind
        self.revision = 0
        self.minute = -1 if kind != "slots" else 0
        self.holding = 0

    def allot(self, limit: int, needed: int, wanted: int = 0, *, lost: bool = False) -> Answer:
        self.revision += 1
        answer = Answer(
            *call(
                gateway_api.ALLOT, self.id, self.subject, self.kind, self.revision, self.minute, self.holding,
                limit, needed, wanted,
            )
        )  # fmt: skip
        if not lost:
            self.holding = (self.holding if answer.minute == self.minute else 0) + answer.granted
            self.minute = answer.minute
        return answer


def within_a_minute(test: Callable[[UUID], None]) -> Callable[[], None]:
    """Run a test that counts on one minute of the database's clock again, where the next began meanwhile."""

    @wraps(test)
    def again() -> None:
        while True:
            minute = this_minute()
            try:
                test(uuid7())
                return
            except AssertionError:
                if this_minute() == minute:
                    raise

    del again.__wrapped__  # type: ignore[attr-defined]  # pytest reads the signature through it
    return again


def this_minute() -> int:
    return int(call("SELECT floor(extract(epoch FROM clock_timestamp()) / 60)"))


def silence(process: UUID, seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE settlement_gatewayprocess SET last_seen_at = now() - make_interval(secs => %s) WHERE id = %s",
            [seconds, process],
        )


@within_a_minute
def test_slices_shrink_with_what_is_left_and_with_the_number_of_processes(subject: UUID) -> None:
    one = Process(subject, "requests")
    assert one.allot(6_400, 1).granted == 200
    other = Process(subject, "requests")
    answer = other.allot(6_400, 1)
    assert (answer.granted, answer.left_over, answer.elsewhere, answer.processes) == (
        6_200 // 64,
        6_104,
        200,
        2,
    )
    assert 0 <= answer.ends_in_ms < 60_000


@within_a_minute
def test_never_more_than_the_limit_and_at_least_what_is_needed(subject: UUID) -> None:
    one, other = Process(subject, "tokens"), Process(subject, "tokens")
    assert one.allot(100, 60).granted == 60
    assert other.allot(100, 41).granted == 0
    assert other.allot(100, 30, 90).granted == 40
    assert one.allot(100, 1).granted == 0
    assert one.allot(200, 1, 100).granted == 100, "the limit was raised"
    assert other.allot(50, 1)[:2] == (0, 0), "and lowered"


@within_a_minute
def test_what_is_stated_no_more_is_given_back(subject: UUID) -> None:
    one, other = Process(subject, "tokens"), Process(subject, "tokens")
    one.allot(100, 100)
    one.holding = 30
    assert one.allot(100, 0).granted == 0
    assert other.allot(100, 1, 100).granted == 70


@within_a_minute
def test_a_lost_answer_is_put_right_by_the_next_statement(subject: UUID) -> None:
    one, other = Process(subject, "requests"), Process(subject, "requests")
    assert one.allot(10, 4, lost=True).granted == 4
    assert other.allot(10, 7).granted == 0
    assert one.allot(10, 2).granted == 2
    assert other.allot(10, 8).granted == 8


@within_a_minute
def test_a_statement_that_comes_behind_a_later_one_changes_nothing(subject: UUID) -> None:
    one, other = Process(subject, "slots"), Process(subject, "slots")
    one.allot(5, 3)
    one.revision -= 2
    assert one.allot(5, 1)[:3] == (0, 0, 0)
    assert other.allot(5, 2).granted == 2
    assert other.allot(5, 1).granted == 0


@within_a_minute
def test_another_minute_counts_for_nothing(subject: UUID) -> None:
    one, other = Process(subject, "requests"), Process(subject, "requests")
    one.allot(10, 10)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE settlement_allotment SET minute = minute - 1")
    assert other.allot(10, 10).granted == 10
    one.minute -= 1
    assert one.allot(10, 1).granted == 0
    assert one.holding == 0


@within_a_minute
def test_slots_of_the_finished_and_the_silent_come_back(subject: UUID) -> None:
    finished, silent, here = (Process(subject, "slots") for _ in range(3))
    finished.allot(3, 1)
    silent.allot(3, 2)
    assert here.allot(3, 1).granted == 0
    call(gateway_api.FINISH_PROCESS, finished.id)
    assert here.allot(3, 1).granted == 1
    assert here.allot(3, 1)[:3] == (0, 0, 2)
    silence(silent.id, 14)
    assert here.allot(3, 1).granted == 0
    silence(silent.id, 16)
    assert here.allot(3, 1, 2).granted == 2
    assert here.allot(3, 0).processes == 1


@within_a_minute
def test_a_finished_or_unknown_process_is_refused(subject: UUID) -> None:
    one = Process(subject, "requests")
    call(gateway_api.FINISH_PROCESS, one.id)
    with pytest.raises(ProgrammingError, match="unknown or finished"):
        one.allot(10, 1)


@within_a_minute
def test_what_nobody_needs_any_more_is_swept(subject: UUID) -> None:
    old, running, holding = (
        Process(subject, "requests"),
        Process(subject, "requests"),
        Process(subject, "slots"),
    )
    for one in (old, running, holding):
        one.allot(10, 1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE settlement_allotment SET minute = minute - 100 WHERE process = %s", [old.id])
    assert services.sweep_allotments() == 1
    assert services.sweep_allotments() == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["requests", "tokens", "slots"]),
    limit=st.integers(1, 200),
    steps=st.lists(
        st.tuples(
            st.integers(0, 2), st.integers(0, 60), st.integers(0, 60), st.booleans(), st.integers(0, 60)
        ),
        max_size=25,
    ),
)
def test_together_they_never_hold_more_than_the_limit(
    kind: str, limit: int, steps: list[tuple[int, int, int, bool, int]]
) -> None:
    subject = uuid7()
    processes = [Process(subject, kind) for _ in range(3)]
    for which, needed, wanted, lost, returned in steps:
        process = processes[which]
        process.holding -= min(process.holding, returned)
        answer = process.allot(limit, needed, wanted, lost=lost)
        assert answer.granted == 0 or needed <= answer.granted
        if len({one.minute for one in processes if one.holding}) <= 1:
            assert sum(one.holding for one in processes) <= limit
