"""The states of what is offered, and every allowed change.

A model is *active* (on offer) or *retired* (kept, because usage records and prices name it). A
deployment is *active* (calls go there), *unreachable* (known, but without an address that answers,
so nothing is sent there) or *retired*. Nothing is ever deleted, and anything retired may return.
"""

from typing import Final, Literal

ModelState = Literal["active", "retired"]
DeploymentState = Literal["active", "unreachable", "retired"]

MODEL_TRANSITIONS: Final[dict[ModelState, frozenset[ModelState]]] = {
    "active": frozenset({"retired"}),
    "retired": frozenset({"active"}),
}

DEPLOYMENT_TRANSITIONS: Final[dict[DeploymentState, frozenset[DeploymentState]]] = {
    "active": frozenset({"unreachable", "retired"}),
    "unreachable": frozenset({"active", "retired"}),
    "retired": frozenset({"active", "unreachable"}),
}

MODEL_STATES: Final = tuple(MODEL_TRANSITIONS)
DEPLOYMENT_STATES: Final = tuple(DEPLOYMENT_TRANSITIONS)
