"""How the steps are drawn: one column from the start to the closing, so that it reads on a telephone.

The way on to the next row is a straight line; every other way leaves at the right, runs in a lane of its
own and comes back in. The outcome of each way is text inside its row, so nothing depends on the lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext

from dure.control.calls.steps.graph import Graph, Step, outcome_name

ROW = 64
NODE_WIDTH = 232
NODE_HEIGHT = 40
LANE = 14
MARGIN = 8


@dataclass(frozen=True, slots=True)
class Node:
    """`x`, `y` are the upper left corner; `number` counts rows from 1."""

    key: str
    number: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Line:
    """`points` are the corners from the step `start` to the step `end`; `back` leads to an earlier row."""

    start: str
    end: str
    outcomes: tuple[str, ...]
    points: tuple[tuple[int, int], ...]
    back: bool

    @property
    def path(self) -> str:
        """For the `d` of an SVG path."""
        return "M" + " L".join(f"{x} {y}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Layout:
    """`width`, `height` make the view box; `lines_of_text` say the same without a picture."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    lines_of_text: tuple[str, ...]


def rows(graph: Graph) -> list[Step]:
    """The steps from the start on: each after all that lead to it, as far as there is no going round."""
    order: list[str] = []
    seen: set[str] = set()

    # Depth first and then reversed is a topological order; ways are taken from the last, so that the first outcome stays near.
    def visit(start: str) -> None:
        stack: list[tuple[str, Iterator[str]]] = []

        def enter(key: str) -> None:
            step = graph.step(key)
            assert step is not None
            seen.add(key)
            stack.append((key, iter([edge.to for edge in reversed(step.edges)])))

        enter(start)
        while stack:
            key, ways = stack[-1]
            for onward in ways:
                if onward not in seen and graph.step(onward) is not None:
                    enter(onward)
                    break
            else:
                order.append(key)
                stack.pop()

    if graph.step(graph.start) is not None:
        visit(graph.start)
    placed = list(reversed(order))
    placed += [step.key for step in graph.steps if step.key not in seen]
    return [step for key in placed if (step := graph.step(key)) is not None]


def layout(graph: Graph) -> Layout:
    """Every step in its row, every way as a line; the same graph is always drawn the same."""
    ordered = rows(graph)
    row_of = {step.key: index for index, step in enumerate(ordered)}
    nodes = tuple(
        Node(step.key, index + 1, MARGIN, MARGIN + index * ROW, NODE_WIDTH, NODE_HEIGHT)
        for index, step in enumerate(ordered)
    )
    ways: dict[tuple[str, str], list[str]] = {}
    for step in ordered:
        for edge in step.edges:
            if edge.to in row_of:
                ways.setdefault((step.key, edge.to), []).append(edge.outcome)
    lanes = _lanes([(row_of[start], row_of[end]) for start, end in ways if row_of[end] != row_of[start] + 1])
    lines = tuple(
        Line(
            start,
            end,
            tuple(outcomes),
            _points(row_of[start], row_of[end], lanes),
            row_of[end] <= row_of[start],
        )
        for (start, end), outcomes in ways.items()
    )
    most = max(lanes.values(), default=-1) + 1
    return Layout(
        width=MARGIN * 2 + NODE_WIDTH + (most * LANE + LANE if most else 0),
        height=max(MARGIN * 2 + (len(ordered) - 1) * ROW + NODE_HEIGHT, 0),
        nodes=nodes,
        lines=lines,
        lines_of_text=tuple(outline(graph)),
    )


def _lanes(ways: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each way, counted from the inside, so that two that overlap have different ones; short ones inside."""
    taken: list[list[tuple[int, int]]] = []
    lanes: dict[tuple[int, int], int] = {}
    for way in sorted(ways, key=lambda one: (abs(one[1] - one[0]), one)):
        low, high = min(way), max(way)
        free = (
            lane for lane, spans in enumerate(taken) if all(high < begin or end < low for begin, end in spans)
        )
        lane = next(free, len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        lanes[way] = lane
    return lanes


def _points(start: int, end: int, lanes: dict[tuple[int, int], int]) -> tuple[tuple[int, int], ...]:
    middle, right = MARGIN + NODE_WIDTH // 2, MARGIN + NODE_WIDTH
    if end == start + 1:
        return (
            (middle, MARGIN + start * ROW + NODE_HEIGHT),
            (middle, MARGIN + end * ROW),
        )
    lane = right + LANE * (lanes[(start, end)] + 1)
    leaves = MARGIN + start * ROW + NODE_HEIGHT * 2 // 3
    enters = MARGIN + end * ROW + NODE_HEIGHT // 3
    return ((right, leaves), (lane, leaves), (lane, enters), (right, enters))


def outline(graph: Graph) -> list[str]:
    """One line of text for each step: its number, its name, and where each outcome leads."""
    ordered = rows(graph)
    number = {step.key: index + 1 for index, step in enumerate(ordered)}
    lines = []
    for step in ordered:
        ways = [
            gettext("%(outcome)s → %(number)s. %(step)s")
            % {"outcome": outcome_name(edge.outcome), "number": number[edge.to], "step": after.title}
            for edge in step.edges
            if (after := graph.step(edge.to)) is not None
        ]
        text = f"{number[step.key]}. {step.title}"
        lines.append(f"{text}: {'; '.join(ways)}" if ways else text)
    return lines
