"""Verbs of calls: write, publish, extend, answer, end.

Order of locks: a programme's turn (`promises`), the call, its round, the ledger's books (never taken here), the audit
trail. Submissions hold their round side by side (`selectors.round_lock_for_submission`).
"""

from dure.control.calls.services.attachments import add_attachment, remove_attachment
from dure.control.calls.services.calls import add_call, cancel_call, change_call, discard_call
from dure.control.calls.services.contents import save_form, save_rules, save_steps
from dure.control.calls.services.copying import add_from_template, copy_call, json_of
from dure.control.calls.services.documents import export_call, import_call
from dure.control.calls.services.publication import problems_by_round, publication_problems, publish_round
from dure.control.calls.services.questions import answer_question, ask_question, withhold_question
from dure.control.calls.services.rounds import (
    add_round,
    change_round,
    close_round,
    discard_round,
    extend_round,
)
from dure.control.calls.services.timing import expire_steps, settle_step

__all__ = [
    "add_attachment",
    "add_call",
    "add_from_template",
    "add_round",
    "answer_question",
    "ask_question",
    "cancel_call",
    "change_call",
    "change_round",
    "close_round",
    "copy_call",
    "discard_call",
    "discard_round",
    "expire_steps",
    "export_call",
    "extend_round",
    "import_call",
    "json_of",
    "problems_by_round",
    "publication_problems",
    "publish_round",
    "remove_attachment",
    "save_form",
    "save_rules",
    "save_steps",
    "settle_step",
    "withhold_question",
]
