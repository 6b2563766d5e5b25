"""What is wrong with a graph of steps, found before anybody walks it.

Every application must be able to end, and every step must be reachable; dates must follow each other;
and what the law asks of a step (how long a notice stands) is kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext, ngettext

from dure.control.calls.steps.graph import OUTCOMES, Graph, Step, outcome_name


@dataclass(frozen=True, slots=True)
class Problem:
    """`step` is the key concerned, empty for the whole graph. Codes are stable; texts are the reader's language."""

    step: str
    code: str
    message: str
    remedy: str = ""


#: Steps that may be spoken of only after the application was received.
_AFTER_APPLICATION = frozenset(
    {
        "eligibility",
        "completeness",
        "review",
        "panel",
        "interview",
        "decision",
        "objection",
        "award",
        "report",
    }
)
#: Steps that come after a decision alone; an objection may be to a review as well.
_AFTER_DECISION = frozenset({"award", "report"})


def problems(
    graph: Graph, *, opens_at: datetime | None = None, closes_at: datetime | None = None
) -> list[Problem]:
    """Everything wrong, in the order of the steps. `opens_at`, `closes_at`: of the round, for its application step."""
    if not graph.steps:
        return [
            Problem("", "no_steps", gettext("There are no steps yet."), gettext("Begin with an application."))
        ]
    dated = {step.key: _dated(step, opens_at, closes_at) for step in graph.steps}
    found = [*_whole(graph), *_order(graph)]
    for step in graph.steps:
        found += _ways(step)
    found += [*_reach(graph), *_dates(graph, dated)]
    place = {step.key: index for index, step in enumerate(graph.steps)}
    return sorted(found, key=lambda problem: place.get(problem.step, -1))


def _named(step: Step, message: str) -> str:
    return message % {"step": step.title}


def _whole(graph: Graph) -> Iterator[Problem]:
    kinds = Counter(step.kind for step in graph.steps)
    if not kinds["application"]:
        yield Problem("", "no_application", gettext("Nobody can apply: the application step is missing."))
    if kinds["application"] > 1:
        yield Problem(
            "", "two_applications", gettext("There is more than one application step."), gettext("Keep one.")
        )
    if not kinds["closing"]:
        yield Problem("", "no_closing", gettext("The call never ends: the closing step is missing."))


def _ways(step: Step) -> Iterator[Problem]:
    known = OUTCOMES[step.kind]
    if step.kind == "closing" and step.edges:
        yield Problem(
            step.key,
            "way_from_closing",
            _named(step, gettext("“%(step)s” ends the application; no way leads on.")),
        )
        return
    counted = Counter(edge.outcome for edge in step.edges)
    if counted[""]:
        yield Problem(
            step.key,
            "condition_missing",
            _named(step, gettext("A way from “%(step)s” does not say on which outcome.")),
            gettext("Choose the outcome."),
        )
    for outcome in known:
        if not counted[outcome]:
            yield Problem(
                step.key,
                "outcome_without_way",
                gettext("Nothing follows “%(step)s” on “%(outcome)s”.")
                % {"step": step.title, "outcome": outcome_name(outcome)},
                gettext("Say which step follows."),
            )
    for outcome, count in counted.items():
        if outcome and count > 1:
            yield Problem(
                step.key,
                "outcome_twice",
                gettext("More than one way leaves “%(step)s” on “%(outcome)s”.")
                % {"step": step.title, "outcome": outcome_name(outcome)},
                gettext("Keep one."),
            )
    if step.on_expiry == "advance":
        if not step.expiry_outcome or not counted[step.expiry_outcome]:
            yield Problem(
                step.key,
                "expiry_without_way",
                _named(
                    step, gettext("“%(step)s” moves on by itself, but it is not said with which outcome.")
                ),
                gettext("Choose an outcome that a way leaves on, or let it wait for a person."),
            )
        if step.closes_at is None and step.days is None and step.kind != "application":
            yield Problem(
                step.key,
                "expiry_without_date",
                _named(step, gettext("“%(step)s” moves on by itself, but has no end.")),
                gettext("Give a date or a number of days."),
            )


def reachable(graph: Graph, start: str, *, avoiding: Iterable[str] = ()) -> frozenset[str]:
    """Keys that can be reached from `start`, itself included, without entering any of `avoiding`."""
    ways: Mapping[str, list[str]] = {step.key: [edge.to for edge in step.edges] for step in graph.steps}
    closed = set(avoiding)
    if start in closed or start not in ways:
        return frozenset()
    found, waiting = {start}, [start]
    while waiting:
        for key in ways[waiting.pop()]:
            if key not in found and key not in closed and key in ways:
                found.add(key)
                waiting.append(key)
    return frozenset(found)


def _ending(graph: Graph) -> frozenset[str]:
    """Keys from which a closing can be reached."""
    found = {step.key for step in graph.steps if step.kind == "closing"}
    while True:
        more = {step.key for step in graph.steps if any(edge.to in found for edge in step.edges)} - found
        if not more:
            return frozenset(found)
        found |= more


def _reach(graph: Graph) -> Iterator[Problem]:
    reached = reachable(graph, graph.start)
    ending = _ending(graph)
    for step in graph.steps:
        if step.key not in reached:
            yield Problem(
                step.key,
                "unreachable",
                _named(step, gettext("No way leads to “%(step)s”.")),
                gettext("Lead a way to it, or remove it."),
            )
        elif step.key not in ending and not step.edges:
            yield Problem(
                step.key,
                "dead_end",
                _named(
                    step,
                    gettext("Applications are stuck in “%(step)s”: nothing follows, and it is no closing."),
                ),
                gettext("Say which step follows."),
            )
        elif step.key not in ending:
            going_round = step.key in {key for edge in step.edges for key in reachable(graph, edge.to)}
            yield Problem(
                step.key,
                "cycle_without_exit" if going_round else "never_ends",
                _named(
                    step,
                    gettext("From “%(step)s” applications go round for ever; no way leads to a closing.")
                    if going_round
                    else gettext("From “%(step)s” no way leads to a closing."),
                ),
                gettext("Lead one outcome to a step that ends."),
            )


def _order(graph: Graph) -> Iterator[Problem]:
    """What a path may not do before the application or the decision."""
    applications = [step.key for step in graph.steps if step.kind == "application"]
    decisions = [step.key for step in graph.steps if step.kind == "decision"]
    early = reachable(graph, graph.start, avoiding=applications)
    undecided = reachable(graph, graph.start, avoiding=decisions)
    for step in graph.steps:
        if applications and step.kind in _AFTER_APPLICATION and step.key in early:
            yield Problem(
                step.key,
                "before_application",
                _named(step, gettext("“%(step)s” can be reached before anybody has applied.")),
                gettext("Move it behind the application."),
            )
        elif step.kind in _AFTER_DECISION and step.key in undecided:
            yield Problem(
                step.key,
                "before_decision",
                _named(step, gettext("“%(step)s” can be reached without a decision.")),
                gettext("Put a decision before it."),
            )
        elif step.kind == "closing" and applications and step.key in early:
            yield Problem(
                step.key,
                "before_application",
                _named(step, gettext("“%(step)s” can be reached before anybody has applied.")),
                gettext("Move it behind the application."),
            )


type _Dates = tuple[datetime | None, datetime | None]


def _dated(step: Step, opens_at: datetime | None, closes_at: datetime | None) -> _Dates:
    if step.kind != "application":
        return step.opens_at, step.closes_at
    return step.opens_at or opens_at, step.closes_at or closes_at


def _dates(graph: Graph, dated: Mapping[str, _Dates]) -> Iterator[Problem]:
    for step in graph.steps:
        opens_at, closes_at = dated[step.key]
        if opens_at and closes_at and closes_at <= opens_at:
            yield Problem(
                step.key,
                "dates_reversed",
                _named(step, gettext("“%(step)s” ends before it begins.")),
                gettext("Correct the dates."),
            )
        if closes_at and step.days is not None:
            yield Problem(
                step.key,
                "two_ends",
                _named(step, gettext("“%(step)s” has both a date and a number of days as its end.")),
                gettext("Keep one."),
            )
        yield from _statutory(step, opens_at, closes_at)
        # Going back for corrections is no disorder: only ways that lead onwards are held to the calendar.
        for edge in step.edges:
            after = graph.step(edge.to)
            if after is None or step.key in reachable(graph, edge.to):
                continue
            begins = dated[after.key][0]
            ends = closes_at if step.kind != "questions" else None
            if ends and begins and begins < ends:
                yield Problem(
                    after.key,
                    "dates_out_of_order",
                    gettext("“%(after)s” begins before “%(step)s” has ended.")
                    % {"after": after.title, "step": step.title},
                    gettext("Correct the dates."),
                )
            ended = dated[after.key][1]
            if ended and (closes_at or opens_at) and ended <= (closes_at or opens_at):  # type: ignore[operator]
                yield Problem(
                    after.key,
                    "dates_out_of_order",
                    gettext("“%(after)s” ends before “%(step)s” has ended.")
                    % {"after": after.title, "step": step.title},
                    gettext("Correct the dates."),
                )


def _statutory(step: Step, opens_at: datetime | None, closes_at: datetime | None) -> Iterator[Problem]:
    if step.least_days is None:
        return
    lasts = step.days
    if opens_at and closes_at:
        # A day is counted when it is had whole (Civil Act, art. 157: the first day is not counted).
        lasts = (closes_at - opens_at) // timedelta(days=1)
    if lasts is not None and lasts < step.least_days:
        yield Problem(
            step.key,
            "shorter_than_law",
            ngettext(
                "“%(step)s” lasts %(days)s day; the least is %(least)s%(law)s.",
                "“%(step)s” lasts %(days)s days; the least is %(least)s%(law)s.",
                lasts,
            )
            % {
                "step": step.title,
                "days": lasts,
                "least": step.least_days,
                "law": f" ({step.law})" if step.law else "",
            },
            gettext("Give it more time."),
        )
