"""An application as a document: what officers put on file and applicants keep."""

from typing import Any

from django.utils.translation import gettext as _

from dure.control.applications.selectors import ApplicationView
from dure.control.calls import forms
from dure.control.calls.forms import Field
from dure.control.foundation.money import format_won
from dure.control.foundation.templatetags.dure_format import seoul_datetime_text

MICRO = 1_000_000


def data(view: ApplicationView) -> dict[str, Any]:
    """What the document says; labels in the active language."""
    submission = view.last_submission
    meta = [
        [_("Application"), view.number],
        [_("Call"), view.round.call.name],
        [_("Organisation"), view.organisation.name],
        [_("Sum asked for"), format_won(view.asked_micro_won) if view.asked_micro_won else "–"],
        [_("Deadline"), seoul_datetime_text(view.deadline)],
    ]
    if submission is not None:
        meta += [
            [_("Submitted"), seoul_datetime_text(submission.at)],
            [_("SHA-256 of the content"), submission.sha256],
        ]
    values = view.values
    shown = forms.visible(view.form, values)
    return {
        "title": view.title or view.round.call.name,
        "subtitle": view.round.call.name if submission else _("Draft – not submitted"),
        "meta": meta,
        "sections": [
            {
                "title": section.title,
                "fields": [
                    {"label": one.label, **said(one, values.get(one.key))}
                    for one in section.fields
                    if one.key in shown
                ],
            }
            for section in view.form.sections
        ],
        "footer": f"{view.number} · {view.organisation.name}",
    }


def said(field: Field, value: Any) -> dict[str, Any]:
    """An answer as text, list or table, in the reader's language."""
    if value in (None, "", [], {}):
        return {"text": "–"}
    if field.kind in _TABLES:
        return {"table": _TABLES[field.kind](field, value)}
    if field.kind in {"choices", "file"}:
        return {"list": [_label(field, one) if field.kind == "choices" else _file(one) for one in value]}
    return {"text": _text(field, value)}


def _text(field: Field, value: Any) -> str:
    match field.kind:
        case "yes_no" | "consent":
            return _("Yes") if value else _("No")
        case "won":
            return format_won(int(value) * MICRO)
        case "percentage":
            return f"{value} %"
        case "choice":
            return _label(field, value)
    return str(value)


def _file(one: dict[str, Any]) -> str:
    return f"{one['name']} ({one['size']:,} B, SHA-256 {one['sha256'][:16]}…)"


def _label(field: Field, key: Any) -> str:
    return next((one.label for one in field.options if one.key == key), str(key))


def _budget(field: Field, value: Any) -> list[list[str]]:
    names = {line.key: line.label for line in field.lines}
    rows = value if isinstance(value, list) else []
    lines = [
        [
            names.get(str(row.get("line")), str(row.get("line"))),
            str(row.get("text") or ""),
            format_won(int(row.get("won") or 0) * MICRO),
        ]
        for row in rows
    ]
    total = sum(int(row.get("won") or 0) for row in rows)
    return [
        [_("Budget line"), _("For"), _("Sum")],
        *lines,
        [_("Together"), "", format_won(total * MICRO)],
    ]


def _table(field: Field, value: Any) -> list[list[str]]:
    return [
        [column.label for column in field.columns],
        *[[_cell(column, row.get(column.key)) for column in field.columns] for row in value],
    ]


def _cell(column: Any, value: Any) -> str:
    if value in (None, ""):
        return ""
    if column.kind == "won":
        return format_won(int(value) * MICRO)
    if column.kind == "choice":
        return next((one.label for one in column.options if one.key == value), str(value))
    if column.kind == "yes_no":
        return _("Yes") if value else _("No")
    return str(value)


def _people(field: Field, value: Any) -> list[list[str]]:
    return [
        [_("Name"), _("Role"), _("Share of time")],
        *[
            [str(row.get("name", "")), _label(field, row.get("role")), f"{row.get('share', '')} %"]
            for row in value
        ],
    ]


_TABLES = {"budget": _budget, "table": _table, "people": _people}
