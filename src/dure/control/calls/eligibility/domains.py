"""Sets of values as ordered, disjoint ranges of whole numbers.

Every attribute is counted: a choice by its place among the options, a day by its ordinal, money in
micro-won. So one small algebra decides exactly which values a comparison admits, for all kinds.
"""

from datetime import date
from typing import Any

from dure.control.calls.eligibility.attributes import ATTRIBUTES, DOCUMENT_STATES, Attribute
from dure.control.calls.eligibility.rules import Comparison

type Span = tuple[int, int]
type Domain = tuple[Span, ...]


def normal(spans: list[Span]) -> Domain:
    """Ordered, without overlaps or touching neighbours, without empty ones."""
    merged: list[Span] = []
    for low, high in sorted(span for span in spans if span[0] <= span[1]):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def both(one: Domain, other: Domain) -> Domain:
    return normal([(max(a, c), min(b, d)) for a, b in one for c, d in other])


def either(one: Domain, other: Domain) -> Domain:
    return normal([*one, *other])


def without(universe: Domain, taken: Domain) -> Domain:
    left = list(universe)
    for low, high in taken:
        left = [piece for a, b in left for piece in ((a, min(b, low - 1)), (max(a, high + 1), b))]
        left = [(a, b) for a, b in left if a <= b]
    return normal(left)


def universe(attribute: Attribute) -> Domain:
    match attribute.kind:
        case "choice":
            return ((0, len(attribute.options) - 1),)
        case "document":
            return ((0, len(DOCUMENT_STATES) - 1),)
        case "yes_no":
            return ((0, 1),)
        case "date":
            return ((date.min.toordinal(), date.max.toordinal()),)
    return ((attribute.least, attribute.most),)


def number(attribute: Attribute, value: Any) -> int:
    match attribute.kind:
        case "choice":
            return list(attribute.options).index(value)
        case "document":
            return DOCUMENT_STATES.index(value)
        case "date":
            assert isinstance(value, date)
            return value.toordinal()
    return int(value)


def value(attribute: Attribute, counted: int) -> str | int | bool | date:
    """The value that `number` counted."""
    match attribute.kind:
        case "choice":
            return list(attribute.options)[counted]
        case "document":
            return DOCUMENT_STATES[counted]
        case "date":
            return date.fromordinal(counted)
        case "yes_no":
            return bool(counted)
    return counted


def admitted(comparison: Comparison) -> Domain:
    """Every value that meets the comparison. `present` on anything but a document: whatever is stated."""
    attribute = ATTRIBUTES[comparison.attribute]
    every = universe(attribute)
    if comparison.comparison == "present":
        return ((0, 0),) if attribute.kind == "document" else every
    many = comparison.value if isinstance(comparison.value, tuple) else (comparison.value,)
    numbers = [number(attribute, one) for one in many]
    match comparison.comparison:
        case "is" | "in":
            return both(every, normal([(one, one) for one in numbers]))
        case "is_not" | "not_in":
            return without(every, normal([(one, one) for one in numbers]))
        case "at_least":
            return both(every, ((numbers[0], every[-1][1]),))
        case "at_most":
            return both(every, normal([(every[0][0], numbers[0])]))
        case "before":
            return both(every, normal([(every[0][0], numbers[0] - 1)]))
        case "after":
            return both(every, normal([(numbers[0] + 1, every[-1][1])]))
    return both(every, normal([(numbers[0], numbers[1])]))
