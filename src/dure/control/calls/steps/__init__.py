"""The steps of a call as a graph: what follows what on which outcome, when, and how it is drawn."""

from dure.control.calls.steps.checking import Problem, problems
from dure.control.calls.steps.drawing import Layout, layout, outline
from dure.control.calls.steps.graph import (
    KINDS,
    OPTIONAL_OUTCOMES,
    OUTCOMES,
    Edge,
    Graph,
    Step,
    as_data,
    deadline,
    following,
    kind_name,
    outcome_name,
    outcomes_of,
    parse,
)

__all__ = [
    "KINDS",
    "OPTIONAL_OUTCOMES",
    "OUTCOMES",
    "Edge",
    "Graph",
    "Layout",
    "Problem",
    "Step",
    "as_data",
    "deadline",
    "following",
    "kind_name",
    "layout",
    "outcome_name",
    "outcomes_of",
    "outline",
    "parse",
    "problems",
]
