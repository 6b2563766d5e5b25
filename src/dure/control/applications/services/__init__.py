"""Verbs of applications: write, hand in, decide; and what the clock does."""

from dure.control.applications.services.clockwork import (
    close_due,
    decide_at_once,
    decide_automatically,
    decide_waiting,
    expire_requests,
    remind,
)
from dure.control.applications.services.deciding import (
    BulkResult,
    advance,
    ask_for_completion,
    award,
    decide,
    extend,
    in_bulk,
    object_to_decision,
)
from dure.control.applications.services.handing_in import Submitted, discard_changes, submit, withdraw
from dure.control.applications.services.writing import (
    Saved,
    attach,
    detach,
    invite_writer,
    name_lead,
    remove_writer,
    save_answer,
    save_answers,
    start,
)

__all__ = [
    "BulkResult",
    "Saved",
    "Submitted",
    "advance",
    "ask_for_completion",
    "attach",
    "award",
    "close_due",
    "decide",
    "decide_at_once",
    "decide_automatically",
    "decide_waiting",
    "detach",
    "discard_changes",
    "expire_requests",
    "extend",
    "in_bulk",
    "invite_writer",
    "name_lead",
    "object_to_decision",
    "remind",
    "remove_writer",
    "save_answer",
    "save_answers",
    "start",
    "submit",
    "withdraw",
]
