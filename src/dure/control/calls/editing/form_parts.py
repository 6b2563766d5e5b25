"""The form of a call: its sections, and one field at a time."""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from django.http import QueryDict

from dure.control.calls.editing import free_key, moved, number, set_or_drop, words
from dure.control.calls.forms import KINDS

#: Which settings a kind of field has, besides label, help, required and condition.
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "text": ("least_length", "most_length", "placeholder"),
    "long_text": ("least_length", "most_length", "placeholder"),
    "whole_number": ("least", "most", "unit"),
    "won": ("least", "most"),
    "percentage": ("least", "most"),
    "date": ("first", "last"),
    "choice": ("options",),
    "choices": ("options", "least", "most"),
    "yes_no": (),
    "consent": ("statement",),
    "email": (),
    "url": (),
    "phone": (),
    "file": ("types", "most_megabytes", "least", "most"),
    "budget": ("lines", "least", "most"),
    "table": ("columns", "least", "most"),
    "people": ("roles", "least", "most"),
}
SPARE_ROWS = 3
MOST_ROWS = 120
MOST_CONDITIONS = 4
_OF_SEVERAL: Mapping[str, str] = {"is": "in", "is_not": "not_in"}
_BETWEEN_NUMBERS = re.compile(r"[;\s]+|,\s+")


def field_keys(content: Any) -> list[str]:
    return [one["key"] for section in content["sections"] for one in section["fields"]]


def find(content: Any, key: str) -> tuple[int, int] | None:
    """Where a field is: (section, place in it)."""
    for at, section in enumerate(content["sections"]):
        for place, one in enumerate(section["fields"]):
            if one["key"] == key:
                return at, place
    return None


def arranged(content: Any, sent: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The content after the pressed button of the overview, and the key of a field that it added."""
    made: dict[str, Any] = deepcopy(content)
    sections = made["sections"]
    action, _colon, key = sent.get("do", "").partition(":")
    at = next((n for n, one in enumerate(sections) if one["key"] == key), -1)
    found = find(made, key)
    if action == "add_section":
        title = words(sent, "title")
        keys = [one["key"] for one in sections]
        sections.append({"key": free_key(f"section_{len(sections) + 1}", keys), "title": title, "fields": []})
    elif action == "add_field" and at >= 0:
        added = new_field(made, sent.get(f"kind-{key}", ""), words(sent, f"label-{key}"))
        if added:
            sections[at]["fields"].append(added)
            return made, added["key"]
    elif action in {"section_up", "section_down"} and at >= 0:
        moved(sections, at, -1 if action == "section_up" else 1)
    elif action == "remove_section" and at >= 0 and not sections[at]["fields"]:
        del sections[at]
    elif action in {"up", "down"} and found:
        _move_field(sections, *found, -1 if action == "up" else 1)
    elif action == "remove" and found:
        del sections[found[0]]["fields"][found[1]]
    return made, ""


def _move_field(sections: list[dict[str, Any]], at: int, place: int, by: int) -> None:
    """Past the end of a section it goes into the next one."""
    fields = sections[at]["fields"]
    if 0 <= place + by < len(fields):
        moved(fields, place, by)
    elif 0 <= at + by < len(sections):
        into = sections[at + by]["fields"]
        into.insert(len(into) if by < 0 else 0, fields.pop(place))


def new_field(content: Any, kind: str, label: dict[str, str]) -> dict[str, Any] | None:
    if kind not in KINDS:
        return None
    one: dict[str, Any] = {"key": free_key(kind, field_keys(content)), "kind": kind, "label": label}
    if not (label["ko"] or label["en"]):
        one["label"] = {"ko": str(KINDS[kind]), "en": str(KINDS[kind])}
    if kind in {"choice", "choices"}:
        one["options"] = [{"key": "option_1", "label": {"ko": "1", "en": "1"}}]
    elif kind == "budget":
        one["lines"] = [{"key": "line_1", "label": {"ko": "비목 1", "en": "Line 1"}}]
    elif kind == "table":
        one["columns"] = [{"key": "column_1", "kind": "text", "label": {"ko": "1", "en": "1"}}]
    elif kind == "consent":
        one["statement"] = {"ko": "동의 내용", "en": "Statement"}
    return one


def section_typed(content: Any, key: str, sent: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = deepcopy(content)
    for section in made["sections"]:
        if section["key"] == key:
            section["title"] = words(sent, "title")
            set_or_drop(section, "text", words(sent, "text"))
    return made


def field_typed(content: Any, key: str, sent: QueryDict) -> dict[str, Any]:
    """The content with one field as it was typed, in the section that was chosen."""
    made: dict[str, Any] = deepcopy(content)
    found = find(made, key)
    if found is None:
        return made
    at, place = found
    one = made["sections"][at]["fields"][place]
    one["label"] = words(sent, "label")
    set_or_drop(one, "help", words(sent, "help"))
    set_or_drop(one, "required", bool(sent.get("required")) or None)
    for name in SETTINGS[one["kind"]]:
        _setting(one, name, sent)
    set_or_drop(one, "when", _conditions(made, sent))
    wanted = next(
        (n for n, section in enumerate(made["sections"]) if section["key"] == sent.get("section")), at
    )
    if wanted != at:
        made["sections"][at]["fields"].pop(place)
        made["sections"][wanted]["fields"].append(one)
    return made


def _setting(one: dict[str, Any], name: str, sent: QueryDict) -> None:
    if name in {"least", "most", "least_length", "most_length"}:
        set_or_drop(one, name, number(sent.get(name, "")))
    elif name == "most_megabytes":
        megabytes = number(sent.get(name, ""))
        set_or_drop(one, "most_bytes", megabytes * 1_048_576 if isinstance(megabytes, int) else megabytes)
    elif name in {"first", "last"}:
        set_or_drop(one, name, sent.get(name, "").strip())
    elif name in {"placeholder", "unit", "statement"}:
        set_or_drop(one, name, words(sent, name))
    elif name == "types":
        set_or_drop(one, name, sent.getlist(name))
    else:
        set_or_drop(one, name, _rows(name, sent))


def _rows(name: str, sent: QueryDict) -> list[dict[str, Any]]:
    """Options, roles, budget lines or columns; rows without a label are left out, a missing key is made."""
    count = number(sent.get(f"{name}-rows", ""))
    found: list[dict[str, Any]] = []
    for n in range(min(count, MOST_ROWS) if isinstance(count, int) else 0):
        label = words(sent, f"{name}-{n}-label")
        if not (label["ko"] or label["en"]):
            continue
        taken = [row["key"] for row in found]
        key = sent.get(f"{name}-{n}-key", "").strip() or free_key(f"{name[:-1]}_{n + 1}", taken)
        row: dict[str, Any] = {"key": key, "label": label}
        for limit in ("most_won", "most_percent"):
            if name == "lines":
                set_or_drop(row, limit, number(sent.get(f"{name}-{n}-{limit}", "")))
        if name == "columns":
            row["kind"] = sent.get(f"{name}-{n}-kind", "text")
            set_or_drop(row, "required", bool(sent.get(f"{name}-{n}-required")) or None)
            if row["kind"] == "choice":
                row["options"] = _listed_options(sent.get(f"{name}-{n}-options", ""))
        found.append(row)
    return found


def _listed_options(text: str) -> list[dict[str, Any]]:
    """Of a column: one to a line, “Korean = English”."""
    found = []
    for n, line in enumerate(filter(None, (one.strip() for one in text.splitlines())), start=1):
        korean, _equals, english = (part.strip() for part in line.partition("="))
        found.append({"key": f"option_{n}", "label": {"ko": korean, "en": english or korean}})
    return found


def _conditions(content: Any, sent: QueryDict) -> list[dict[str, Any]]:
    found = []
    kinds = {one["key"]: one["kind"] for section in content["sections"] for one in section["fields"]}
    for n in range(MOST_CONDITIONS):
        key, comparison = sent.get(f"when-{n}-field", ""), sent.get(f"when-{n}-comparison", "")
        if not key:
            continue
        condition: dict[str, Any] = {"field": key, "comparison": comparison}
        if comparison != "answered":
            values = _condition_values(key, kinds.get(key, ""), n, sent)
            if len(values) > 1:
                # Several answers with “is” can only mean “is one of”.
                comparison = condition["comparison"] = _OF_SEVERAL.get(comparison, comparison)
            several = comparison in _OF_SEVERAL.values() or len(values) > 1
            condition["value"] = values if several else (values[0] if values else "")
        found.append(condition)
    return found


def _condition_values(key: str, kind: str, n: int, sent: QueryDict) -> list[Any]:
    """What the answer is compared with: options that were chosen from the list, numbers that were typed."""
    if kind in {"choice", "choices", "yes_no", "consent"}:
        chosen = [one for one in sent.getlist(f"when-{n}-answer") if one]
        # An option of another question is kept as it was sent, for the reader to refuse by name.
        own = [one.removeprefix(f"{key}=") for one in chosen]
        words = {"yes": True, "no": False} if kind in {"yes_no", "consent"} else {}
        return list(dict.fromkeys(words.get(one, one) for one in own))
    return [number(part) for part in _BETWEEN_NUMBERS.split(sent.get(f"when-{n}-value", "").strip()) if part]


def answers_offered(content: Any, but: str) -> list[tuple[str, Any, list[tuple[str, Any]]]]:
    """Questions whose answers are chosen: (key, label, [(option's key, label)]), for conditions of the field `but`."""
    found: list[tuple[str, Any, list[tuple[str, Any]]]] = []
    for section in content["sections"]:
        for one in section["fields"]:
            if one["key"] == but:
                continue
            if one["kind"] in {"yes_no", "consent"}:
                found.append((one["key"], one["label"], [("yes", ""), ("no", "")]))
            elif one["kind"] in {"choice", "choices"}:
                options = [(row["key"], row["label"]) for row in one.get("options", [])]
                found.append((one["key"], one["label"], options))
    return found
