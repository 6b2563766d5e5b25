"""Phases and deadlines hold for any moments; no table leads back from an end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.control.calls import workflow

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=400))


@given(moments, spans, moments)
def test_a_published_round_is_in_exactly_one_of_three_phases(
    opens: datetime, lasts: timedelta, at: datetime
) -> None:
    closes = opens + lasts
    found = workflow.phase("published", opens, closes, at)
    if at < opens:
        assert found == "upcoming"
    elif at.replace(microsecond=0) <= closes:
        assert found == "open"
    else:
        assert found == "judging"


@given(moments.map(lambda at: at.replace(microsecond=0)), st.integers(0, 999_999))
def test_a_deadline_is_in_time_to_its_last_microsecond(due: datetime, microseconds: int) -> None:
    assert workflow.in_time(due + timedelta(microseconds=microseconds), due)
    assert not workflow.in_time(due + timedelta(seconds=1, microseconds=microseconds), due)


@given(moments, spans, moments, st.sampled_from(["draft", "closed", "cancelled"]))
def test_an_ended_round_is_never_open(opens: datetime, lasts: timedelta, at: datetime, state: str) -> None:
    assert workflow.phase(state, opens, opens + lasts, at) == state


@pytest.mark.parametrize("thing", ["call", "round"])
def test_ends_are_final_and_drafts_are_published_first(thing: str) -> None:
    states = workflow.CALL_STATES
    allowed = {
        (one, other)
        for one in states
        for other in states
        if workflow.may_become(thing, one, other)  # type: ignore[arg-type]
    }
    assert allowed == {("draft", "published"), ("published", "closed"), ("published", "cancelled")}


def test_an_answered_question_is_never_withdrawn() -> None:
    assert not workflow.may_become("question", "answered", "withheld")
    assert not workflow.may_become("question", "answered", "open")
    assert workflow.may_become("question", "withheld", "answered")


def test_unknown_states_become_nothing() -> None:
    assert not workflow.may_become("round", "gone", "published")
