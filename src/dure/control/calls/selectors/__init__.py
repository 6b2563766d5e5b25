"""Questions about calls, their rounds, and whom they fit. Values cross; models do not."""

from dure.control.calls.facts import facts_of
from dure.control.calls.moments import database_now
from dure.control.calls.selectors.calls import (
    MAX_PAGE_SIZE,
    PAGE_SIZE,
    PHASES,
    Draft,
    attachment,
    call,
    call_refs,
    calls,
    draft,
    managed_rounds,
    may_manage,
    timeline,
)
from dure.control.calls.selectors.fitting import (
    Fit,
    Matching,
    findings_for,
    findings_under,
    fitting,
    matching_organisations,
)
from dure.control.calls.selectors.questions import question, questions, questions_to_answer
from dure.control.calls.selectors.rounds import (
    round_for,
    round_lock_for_submission,
    rounds_by_id,
    timed_steps,
    timed_steps_of,
)
from dure.control.calls.selectors.values import (
    AttachmentView,
    CallLine,
    CallRef,
    CallView,
    ChangeView,
    ExtensionView,
    Page,
    QuestionView,
    RoundView,
    StepView,
    VersionView,
)
from dure.control.calls.selectors.versions import form_of, requirements_of
from dure.control.calls.steps import following

__all__ = [
    "MAX_PAGE_SIZE",
    "PAGE_SIZE",
    "PHASES",
    "AttachmentView",
    "CallLine",
    "CallRef",
    "CallView",
    "ChangeView",
    "Draft",
    "ExtensionView",
    "Fit",
    "Matching",
    "Page",
    "QuestionView",
    "RoundView",
    "StepView",
    "VersionView",
    "attachment",
    "call",
    "call_refs",
    "calls",
    "database_now",
    "draft",
    "facts_of",
    "findings_for",
    "findings_under",
    "fitting",
    "following",
    "form_of",
    "managed_rounds",
    "matching_organisations",
    "may_manage",
    "question",
    "questions",
    "questions_to_answer",
    "requirements_of",
    "round_for",
    "round_lock_for_submission",
    "rounds_by_id",
    "timed_steps",
    "timed_steps_of",
    "timeline",
]
