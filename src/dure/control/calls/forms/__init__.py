"""The form of a call: sections of typed fields, read from JSON, checked, counted and merged."""

from dure.control.calls.forms.checking import (
    Progress,
    SectionProgress,
    check,
    progress,
    submitted,
    total,
    visible,
)
from dure.control.calls.forms.fields import (
    COLUMN_KINDS,
    KINDS,
    BudgetLine,
    Column,
    Condition,
    Field,
    Form,
    Option,
    Section,
    kind_name,
    parse,
)
from dure.control.calls.forms.merging import Conflict, Merged, merge_answer, merge_text
from dure.control.calls.forms.problems import Problem
from dure.control.calls.forms.writing import as_data

__all__ = [
    "COLUMN_KINDS",
    "KINDS",
    "BudgetLine",
    "Column",
    "Condition",
    "Conflict",
    "Field",
    "Form",
    "Merged",
    "Option",
    "Problem",
    "Progress",
    "Section",
    "SectionProgress",
    "as_data",
    "check",
    "kind_name",
    "merge_answer",
    "merge_text",
    "parse",
    "progress",
    "submitted",
    "total",
    "visible",
]
