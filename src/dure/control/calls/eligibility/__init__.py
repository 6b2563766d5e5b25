"""Who may apply, as data: attributes of an organisation, comparisons, all/any.

A rule set is checked before it is published (`clashes`: can anyone meet it, and if not, which parts are
in each other's way), and evaluated for one organisation before it writes a line (`evaluate`). Nothing
here reads a table or a clock; facts are handed in.
"""

from dure.control.calls.eligibility.attributes import ATTRIBUTES, COMPARISONS, Attribute
from dure.control.calls.eligibility.clashing import (
    Clash,
    Part,
    Redundancy,
    TooEntangled,
    clashes,
    example,
    redundancies,
)
from dure.control.calls.eligibility.evaluating import STATES, Finding, State, evaluate, summary
from dure.control.calls.eligibility.rules import (
    AllOf,
    AnyOf,
    Comparison,
    Requirement,
    Rule,
    as_data,
    parse,
)
from dure.control.calls.eligibility.wording import condition, describe, shown

__all__ = [
    "ATTRIBUTES",
    "COMPARISONS",
    "STATES",
    "AllOf",
    "AnyOf",
    "Attribute",
    "Clash",
    "Comparison",
    "Finding",
    "Part",
    "Redundancy",
    "Requirement",
    "Rule",
    "State",
    "TooEntangled",
    "as_data",
    "clashes",
    "condition",
    "describe",
    "evaluate",
    "example",
    "parse",
    "redundancies",
    "shown",
    "summary",
]
