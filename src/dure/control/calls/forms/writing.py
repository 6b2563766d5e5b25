"""A form back as the JSON that it was read from; what is not set is left out."""

from collections.abc import Sequence
from typing import Any

from dure.control.calls.forms.fields import BudgetLine, Column, Condition, Field, Form, Option


def as_data(form: Form) -> dict[str, Any]:
    """The JSON that `parse` reads back to the same values."""
    sections = []
    for section in form.sections:
        data: dict[str, Any] = {"key": section.key, "title": {"ko": section.title_ko, "en": section.title_en}}
        if section.text_ko or section.text_en:
            data["text"] = {"ko": section.text_ko, "en": section.text_en}
        data["fields"] = [field_as_data(one) for one in section.fields]
        sections.append(data)
    return {"sections": sections}


def field_as_data(one: Field) -> dict[str, Any]:
    data: dict[str, Any] = {"key": one.key, "kind": one.kind, "label": _words(one, "label")}
    for name in ("help", "statement", "placeholder", "unit"):
        if words := _words(one, name):
            data[name] = words
    if one.required:
        data["required"] = True
    if one.when:
        data["when"] = [_condition(condition) for condition in one.when]
    for name in ("least", "most", "least_length", "most_length", "most_bytes"):
        if getattr(one, name) is not None:
            data[name] = getattr(one, name)
    for name in ("first", "last"):
        if getattr(one, name) is not None:
            data[name] = getattr(one, name).isoformat()
    lists = {
        "types": list(one.types),
        "roles" if one.kind == "people" else "options": _options(one.options),
        "lines": [_line(line) for line in one.lines],
        "columns": [_column(column) for column in one.columns],
    }
    return data | {name: items for name, items in lists.items() if items}


def _line(line: BudgetLine) -> dict[str, Any]:
    data: dict[str, Any] = {"key": line.key, "label": _words(line, "label")}
    if line.most_won is not None:
        data["most_won"] = line.most_won
    if line.most_percent is not None:
        data["most_percent"] = line.most_percent
    return data


def _column(column: Column) -> dict[str, Any]:
    data: dict[str, Any] = {"key": column.key, "kind": column.kind, "label": _words(column, "label")}
    if column.required:
        data["required"] = True
    if column.options:
        data["options"] = _options(column.options)
    return data


def _words(holder: Any, name: str) -> dict[str, str]:
    korean, english = getattr(holder, f"{name}_ko"), getattr(holder, f"{name}_en")
    return {"ko": korean, "en": english} if korean or english else {}


def _options(options: Sequence[Option]) -> list[dict[str, Any]]:
    return [{"key": option.key, "label": _words(option, "label")} for option in options]


def _condition(condition: Condition) -> dict[str, Any]:
    data: dict[str, Any] = {"field": condition.field, "comparison": condition.comparison}
    if condition.comparison != "answered":
        value = condition.value
        data["value"] = list(value) if isinstance(value, tuple) else value
    return data
