"""Whose money was spent: a sum divided over those who fund it, exact at every moment.

Spending is divided in proportion to what each part put in. The rule is a function of the cumulative sum alone, so it
needs no state and can be asked for any moment of the past. It keeps three promises, for every sum from zero to all:

- the parts come to exactly the sum;
- no part ever shrinks while the sum grows, and none exceeds what it put in;
- each part is within one unit of its exact proportion while at most four parts fund (two units for more).

Neither rounding each part nor the largest remainder keeps the second promise (Balinski and Young, *Fair Representation*,
1982: the Alabama paradox). So the sum is divided in two, rounded half up, and each half again: where a sum grows by
one, exactly one of its halves does. Two levels of halving serve four parts; beyond that, the lightest are joined
first, so that heavy parts stay near the root and little rounding reaches them.

What funds an award may grow on its way (an own contribution that arrives after the start). From then on spending is
divided in proportion to what each part has left.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

_Tree = int | tuple["_Tree", "_Tree"]


@dataclass(frozen=True, slots=True)
class Step:
    """At the moment when `spent_before` had been spent, each part put in `added` more."""

    spent_before: int
    added: tuple[int, ...]


def apportion(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Divide `total`, from 0 to the sum of the weights; at the sum itself each part is its weight."""
    if not 0 <= total <= sum(weights):
        raise ValueError(f"{total} cannot be divided over parts that come to {sum(weights)}")
    parts = [0] * len(weights)
    if total:
        _divide(total, _tree(weights), weights, parts)
    return tuple(parts)


def cumulative(total: int, steps: Sequence[Step]) -> tuple[int, ...]:
    """What of the cumulative sum `total` fell to each part; steps in the order of `spent_before`."""
    count = len(steps[0].added)
    left, used, done = [0] * count, [0] * count, 0
    for number, step in enumerate(steps):
        left = [held + more for held, more in zip(left, step.added, strict=True)]
        until = steps[number + 1].spent_before if number + 1 < len(steps) else total
        parts = apportion(min(total, until) - done, left)
        used = [before + part for before, part in zip(used, parts, strict=True)]
        left = [held - part for held, part in zip(left, parts, strict=True)]
        done = min(total, until)
        if done == total:
            break
    return tuple(used)


def _tree(weights: Sequence[int]) -> _Tree:
    heap: list[tuple[int, int, _Tree]] = [
        (weight, index, index) for index, weight in enumerate(weights) if weight
    ]
    heapq.heapify(heap)
    fresh = len(weights)
    while len(heap) > 4:
        (first, _, light), (second, _, heavier) = heapq.heappop(heap), heapq.heappop(heap)
        heapq.heappush(heap, (first + second, fresh, (light, heavier)))
        fresh += 1
    nodes = [node for _, _, node in sorted(heap, key=lambda entry: entry[:2])]
    while len(nodes) > 1:
        nodes = [
            (nodes[at], nodes[at + 1]) if at + 1 < len(nodes) else nodes[at] for at in range(0, len(nodes), 2)
        ]
    return nodes[0]


def _divide(total: int, node: _Tree, weights: Sequence[int], parts: list[int]) -> None:
    if isinstance(node, int):
        parts[node] = total
        return
    left, right = node
    weight, whole = _weight(left, weights), _weight(node, weights)
    share = (2 * total * weight + whole) // (2 * whole)
    _divide(share, left, weights, parts)
    _divide(total - share, right, weights, parts)


def _weight(node: _Tree, weights: Sequence[int]) -> int:
    return weights[node] if isinstance(node, int) else sum(_weight(half, weights) for half in node)
