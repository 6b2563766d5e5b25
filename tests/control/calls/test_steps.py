"""The steps of a call: read, checked before anybody walks them, and drawn."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.control.calls import steps
from dure.control.calls.reading import Malformed
from dure.control.calls.steps.drawing import MARGIN, NODE_WIDTH, rows
from dure.control.foundation.clock import SEOUL


@pytest.fixture(autouse=True)
def in_english() -> Any:
    with translation.override("en"):
        yield


def step(key: str, *ways: str, kind: str | None = None, **more: Any) -> dict[str, Any]:
    """`ways` are written “outcome:to”."""
    edges = [dict(zip(("outcome", "to"), way.split(":"), strict=True)) for way in ways]
    edges = [{name: value for name, value in edge.items() if value} for edge in edges]
    return {"key": key, "kind": kind or key, "edges": edges, **more}


def graph(*given_steps: dict[str, Any], start: str | None = None) -> steps.Graph:
    return steps.parse({"steps": list(given_steps), **({"start": start} if start else {})})


def codes(found: steps.Graph, **kwargs: Any) -> list[tuple[str, str]]:
    return [(problem.step, problem.code) for problem in steps.problems(found, **kwargs)]


APPLICATION = step("application", "submitted:decision")
DECISION = step("decision", "accepted:award", "refused:closing")
AWARD = step("award", "awarded:closing")
CLOSING = step("closing")
PLAIN = (APPLICATION, DECISION, AWARD, CLOSING)


class TestReading:
    @pytest.mark.parametrize(
        ("data", "path"),
        [
            ([], ""),
            ({}, "steps"),
            ({"steps": [step("a", kind="applications")]}, "steps[0].kind"),
            ({"steps": [step("closing"), step("closing")]}, "steps[1].key"),
            ({"steps": [step("application", "submitted:nowhere")]}, "steps[0].edges[0].to"),
            ({"steps": [step("application", "accepted:application")]}, "steps[0].edges[0].outcome"),
            ({"steps": [CLOSING], "start": "notice"}, "start"),
            ({"steps": [step("closing", opens_at="soon")]}, "steps[0].opens_at"),
            ({"steps": [step("closing", days=-1)]}, "steps[0].days"),
            ({"steps": [step("closing", on_expiry="vanish")]}, "steps[0].on_expiry"),
            ({"steps": [CLOSING] * 41}, "steps"),
        ],
    )
    def test_a_mistake_is_named_by_its_path(self, data: Any, path: str) -> None:
        with pytest.raises(Malformed) as refused:
            steps.parse(data)
        assert (refused.value.code, refused.value.field) == ("steps_malformed", path)

    def test_the_first_step_begins_unless_another_is_named(self) -> None:
        assert graph(*PLAIN).start == "application"
        assert graph(CLOSING, AWARD, DECISION, APPLICATION, start="application").start == "application"

    def test_a_time_without_an_offset_is_seouls(self) -> None:
        (one,) = graph(step("closing", closes_at="2027-01-31T18:00:00")).steps
        assert one.closes_at == datetime(2027, 1, 31, 18, tzinfo=SEOUL)

    def test_a_step_without_a_title_is_called_by_its_kind(self) -> None:
        assert graph(CLOSING).steps[0].title == "closing"
        with translation.override("ko"):
            assert graph(CLOSING).steps[0].title == "종료"

    def test_it_reads_back_to_the_same_values(self) -> None:
        full = graph(
            step("application", "submitted:closing", title={"ko": "가", "en": "a"}, opens_at="2027-01-01T10:00:00+09:00",
                 least_days=30, law="law", on_expiry="advance", expiry_outcome="submitted"),
            step("closing", days=3),
        )  # fmt: skip
        assert steps.parse(steps.as_data(full)) == full


class TestWhatFollows:
    def test_it_follows_the_outcome(self) -> None:
        plain = graph(*PLAIN)
        assert steps.following(plain, "decision", "accepted") == "award"
        assert steps.following(plain, "decision", "refused") == "closing"
        assert steps.following(plain, "decision", "reserve") is None
        assert steps.following(plain, "closing", "done") is None
        assert steps.following(plain, "nowhere", "done") is None

    def test_days_end_with_their_last_day_in_seoul(self) -> None:
        (one,) = graph(step("closing", days=7)).steps
        # Half past midnight in Seoul, still the day before in UTC.
        reached = datetime(2027, 1, 10, 0, 30, tzinfo=SEOUL)
        assert steps.deadline(one, reached) == datetime(2027, 1, 18, tzinfo=SEOUL)
        assert steps.deadline(graph(CLOSING).steps[0], reached) is None

    def test_a_date_is_exact(self) -> None:
        (one,) = graph(step("closing", closes_at="2027-01-31T17:59:59+09:00")).steps
        assert steps.deadline(one, datetime(2020, 1, 1, tzinfo=SEOUL)) == datetime(
            2027, 1, 31, 17, 59, 59, tzinfo=SEOUL
        )


class TestProblems:
    def test_a_plain_call_has_none(self) -> None:
        assert steps.problems(graph(*PLAIN)) == []

    @pytest.mark.parametrize(
        ("given_steps", "found"),
        [
            ((), [("", "no_steps")]),
            ((CLOSING,), [("", "no_application")]),
            ((step("application", "submitted:application"),), [("", "no_closing"), ("application", "cycle_without_exit")]),
            ((*PLAIN, step("panel", "passed:decision", "failed:closing")), [("panel", "unreachable")]),
            ((step("application"), CLOSING), [("application", "outcome_without_way"), ("application", "dead_end"), ("closing", "unreachable")]),
            ((step("application", "submitted:decision"), step("decision", "accepted:closing"), CLOSING), [("decision", "outcome_without_way")]),
            ((step("application", "submitted:decision"), step("decision", "accepted:closing", "refused:closing", "refused:application"), CLOSING), [("decision", "outcome_twice")]),
            ((step("application", "submitted:closing", ":closing"), CLOSING), [("application", "condition_missing")]),
            ((step("application", "submitted:closing"), step("closing", kind="closing", title="x")), []),
            ((APPLICATION, step("decision", "accepted:award", "refused:panel"), AWARD, step("panel", "passed:panel", "failed:panel"), CLOSING), [("panel", "cycle_without_exit")]),
            ((step("decision", "accepted:application", "refused:closing"), step("application", "submitted:closing"), CLOSING), [("decision", "before_application"), ("closing", "before_application")]),
            ((step("application", "submitted:award"), AWARD, step("decision", "accepted:award", "refused:closing"), CLOSING), [("award", "before_decision"), ("decision", "unreachable")]),
            ((step("application", "submitted:again"), step("again", "submitted:closing", kind="application"), CLOSING), [("", "two_applications")]),
        ],
    )  # fmt: skip
    def test_each_is_found_by_name(self, given_steps: tuple[Any, ...], found: list[Any]) -> None:
        assert codes(graph(*given_steps)) == found

    def test_a_way_out_of_the_closing(self) -> None:
        broken = steps.Graph(
            "application",
            (
                steps.Step("application", "application", "", "", (steps.Edge("submitted", "closing"),)),
                steps.Step("closing", "closing", "", "", (steps.Edge("", "application"),)),
            ),
        )
        assert codes(broken) == [("closing", "way_from_closing")]

    def test_going_back_for_a_correction_is_no_problem(self) -> None:
        assert (
            codes(
                graph(
                    APPLICATION,
                    step("decision", "accepted:report", "refused:closing"),
                    step("report", "accepted:closing", "refused:report"),
                    CLOSING,
                )
            )
            == []
        )

    def test_moving_on_by_itself_needs_an_end_and_an_outcome(self) -> None:
        objection = step(
            "objection", "none:closing", "upheld:decision", "rejected:closing", on_expiry="advance"
        )
        decision = step("decision", "accepted:closing", "refused:objection")
        assert codes(graph(APPLICATION, decision, objection, CLOSING)) == [
            ("objection", "expiry_without_way"),
            ("objection", "expiry_without_date"),
        ]
        good = {**objection, "expiry_outcome": "none", "days": 10}
        assert codes(graph(APPLICATION, decision, good, CLOSING)) == []

    def test_dates_follow_each_other(self) -> None:
        early = step("decision", "accepted:closing", "refused:closing", opens_at="2027-02-01T00:00:00")
        application = step(
            "application",
            "submitted:decision",
            opens_at="2027-01-01T10:00:00",
            closes_at="2027-02-01T00:00:01",
        )
        assert codes(graph(application, early, CLOSING)) == [("decision", "dates_out_of_order")]
        reversed_dates = step(
            "application",
            "submitted:closing",
            opens_at="2027-01-01T10:00:00",
            closes_at="2027-01-01T10:00:00",
        )
        assert codes(graph(reversed_dates, CLOSING)) == [("application", "dates_reversed")]
        two_ends = step("application", "submitted:closing", closes_at="2027-01-01T10:00:00", days=3)
        assert codes(graph(two_ends, CLOSING)) == [("application", "two_ends")]

    def test_questions_may_go_on_while_people_apply(self) -> None:
        questions = step("questions", "done:application", closes_at="2027-01-20T18:00:00")
        application = step(
            "application",
            "submitted:closing",
            opens_at="2027-01-01T10:00:00",
            closes_at="2027-02-01T18:00:00",
        )
        assert codes(graph(questions, application, CLOSING)) == []

    def test_dates_are_held_against_the_rounds_own(self) -> None:
        opens, closes = datetime(2027, 1, 4, 10, tzinfo=SEOUL), datetime(2027, 2, 3, 18, tzinfo=SEOUL)
        early = step("decision", "accepted:closing", "refused:closing", closes_at="2027-02-03T18:00:00")
        assert codes(graph(APPLICATION, early, CLOSING)) == []
        assert codes(graph(APPLICATION, early, CLOSING), opens_at=opens, closes_at=closes) == [
            ("decision", "dates_out_of_order")
        ]

    def test_the_least_that_the_law_allows(self) -> None:
        application = step("application", "submitted:closing", least_days=30, law="R&D Innovation Act")
        opens = datetime(2027, 1, 4, 10, tzinfo=SEOUL)
        day = timedelta(days=1)
        assert codes(graph(application, CLOSING), opens_at=opens, closes_at=opens + 30 * day) == []
        (short,) = steps.problems(
            graph(application, CLOSING), opens_at=opens, closes_at=opens + 30 * day - timedelta(seconds=1)
        )
        assert (short.code, short.message) == (
            "shorter_than_law",
            "“application” lasts 29 days; the least is 30 (R&D Innovation Act).",
        )


# -- random graphs ------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> steps.Graph:
    kinds = draw(st.lists(st.sampled_from(sorted(steps.KINDS)), min_size=1, max_size=9))
    keys = [f"s{n}" for n in range(len(kinds))]
    made = []
    for key, kind in zip(keys, kinds, strict=True):
        outcomes = draw(st.lists(st.sampled_from(steps.outcomes_of(kind) or ("",)), max_size=4))
        edges = tuple(steps.Edge(outcome, draw(st.sampled_from(keys))) for outcome in outcomes)
        made.append(steps.Step(key, kind, "", "", edges))
    return steps.Graph(keys[0], tuple(made))


class TestAnyGraph:
    @settings(max_examples=300, deadline=None)
    @given(graphs(), st.data())
    def test_in_a_graph_without_problems_every_walk_ends_after_an_application(
        self, found: steps.Graph, data: st.DataObject
    ) -> None:
        """Walk it as the worst possible luck would: as long as a step offers a way on, some way leads to the end."""
        if steps.problems(found):
            return
        here, walked = found.start, []
        for _ in range(30):
            one = found.step(here)
            assert one is not None
            walked.append(one.kind)
            if one.kind == "closing":
                break
            outcome = data.draw(st.sampled_from(steps.OUTCOMES[one.kind]))
            onward = steps.following(found, here, outcome)
            assert onward is not None
            here = onward
        if walked[-1] == "closing":
            assert "application" in walked
            if "award" in walked:
                assert "decision" in walked[: walked.index("award")]

    @settings(max_examples=300, deadline=None)
    @given(graphs())
    def test_reach_and_end_are_what_a_plain_search_finds(self, found: steps.Graph) -> None:
        def reaches(start: str) -> set[str]:
            seen, waiting = {start}, [start]
            while waiting:
                one = found.step(waiting.pop())
                assert one is not None
                onward = {edge.to for edge in one.edges} - seen
                seen |= onward
                waiting += onward
            return seen

        everything = reaches(found.start)
        closings = {one.key for one in found.steps if one.kind == "closing"}
        problems = codes(found)
        for one in found.steps:
            assert ((one.key, "unreachable") in problems) == (one.key not in everything)
            stuck = one.key in everything and not reaches(one.key) & closings
            named = {code for key, code in problems if key == one.key} & {
                "dead_end",
                "never_ends",
                "cycle_without_exit",
            }
            assert bool(named) == stuck

    @settings(max_examples=300, deadline=None)
    @given(graphs())
    def test_it_is_drawn_with_every_step_once_and_every_way(self, found: steps.Graph) -> None:
        drawn = steps.layout(found)
        assert sorted(node.key for node in drawn.nodes) == sorted(one.key for one in found.steps)
        assert len({node.y for node in drawn.nodes}) == len(found.steps)
        ways = {(one.key, edge.to) for one in found.steps for edge in one.edges}
        assert {(line.start, line.end) for line in drawn.lines} == ways
        for line in drawn.lines:
            assert all(0 <= x <= drawn.width and 0 <= y <= drawn.height for x, y in line.points)
        assert drawn == steps.layout(found)

    @settings(max_examples=300, deadline=None)
    @given(graphs())
    def test_two_ways_beside_each_other_never_share_a_lane(self, found: steps.Graph) -> None:
        lanes = [line.points for line in steps.layout(found).lines if len(line.points) == 4]
        spans = [(points[1][0], *sorted((points[1][1], points[2][1]))) for points in lanes]
        for index, (lane, low, high) in enumerate(spans):
            assert lane > MARGIN + NODE_WIDTH
            for other, begin, end in spans[index + 1 :]:
                assert lane != other or high < begin or end < low

    @settings(max_examples=300, deadline=None)
    @given(graphs())
    def test_without_going_round_every_way_leads_downwards(self, found: steps.Graph) -> None:
        order = [one.key for one in rows(found)]
        assert order[0] == found.start
        acyclic = all(
            one.key not in reachable
            for one in found.steps
            for reachable in [{key for edge in one.edges for key in _reach(found, edge.to)}]
        )
        if acyclic:
            reached = _reach(found, found.start)
            assert all(
                order.index(one.key) < order.index(edge.to)
                for one in found.steps
                if one.key in reached
                for edge in one.edges
            )

    @settings(max_examples=100, deadline=None)
    @given(graphs())
    def test_the_text_says_what_the_picture_shows(self, found: steps.Graph) -> None:
        lines = steps.outline(found)
        assert len(lines) == len(found.steps)
        assert sum(line.count("→") for line in lines) == sum(len(one.edges) for one in found.steps)


def _reach(found: steps.Graph, start: str) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        one = found.step(waiting.pop())
        assert one is not None
        onward = {edge.to for edge in one.edges} - seen
        seen |= onward
        waiting += onward
    return seen


def test_the_outline_reads() -> None:
    assert steps.outline(graph(*PLAIN)) == [
        "1. application: submitted → 2. decision",
        "2. decision: accepted → 3. award; not accepted → 4. closing",
        "3. award: awarded → 4. closing",
        "4. closing",
    ]
