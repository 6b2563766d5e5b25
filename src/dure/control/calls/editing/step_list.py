"""The steps of a call as a list that is typed into."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from dure.control.calls import steps
from dure.control.calls.editing import free_key, moved, number, set_or_drop, words
from dure.control.foundation import clock


def typed(content: Any, sent: Mapping[str, str]) -> dict[str, Any]:
    """The content with what was typed into its steps, and with what the pressed button does (`do`)."""
    made = {"steps": [_step(one, sent) for one in deepcopy(content.get("steps", []))]}
    action, _colon, key = sent.get("do", "").partition(":")
    place = next((at for at, one in enumerate(made["steps"]) if one["key"] == key), -1)
    if action in {"up", "down"} and place >= 0:
        moved(made["steps"], place, -1 if action == "up" else 1)
    elif action == "remove" and place >= 0:
        del made["steps"][place]
        for one in made["steps"]:
            one["edges"] = [edge for edge in one["edges"] if edge["to"] != key]
    elif action == "add":
        _add(made["steps"], sent.get("add_kind", ""))
    if made["steps"]:
        made["start"] = made["steps"][0]["key"]
    return made


def _step(one: dict[str, Any], sent: Mapping[str, str]) -> dict[str, Any]:
    name = f"s-{one['key']}"
    if f"{name}-there" not in sent:
        return one
    set_or_drop(one, "title", words(sent, f"{name}-title"))
    for days in ("days", "least_days"):
        set_or_drop(one, days, number(sent.get(f"{name}-{days}", "")))
    set_or_drop(one, "law", " ".join(sent.get(f"{name}-law", "").split()))
    for moment in ("opens_at", "closes_at"):
        set_or_drop(one, moment, _moment(sent.get(f"{name}-{moment}", "")))
    if sent.get(f"{name}-on_expiry") == "advance":
        one["on_expiry"] = "advance"
        set_or_drop(one, "expiry_outcome", sent.get(f"{name}-expiry_outcome", ""))
    else:
        one.pop("on_expiry", None)
        one.pop("expiry_outcome", None)
    one["edges"] = [
        {"outcome": outcome, "to": to}
        for outcome in steps.outcomes_of(one["kind"])
        if (to := sent.get(f"{name}-to-{outcome}", ""))
    ]
    return one


def _moment(text: str) -> str:
    """What the browser sends is Seoul's time without saying so."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return text.strip()
    return (found if found.tzinfo else found.replace(tzinfo=clock.SEOUL)).isoformat()


def _add(listed: list[dict[str, Any]], kind: str) -> None:
    """Before the closing, leading to it until it is said otherwise."""
    if kind not in steps.KINDS:
        return
    key = free_key(kind, [one["key"] for one in listed])
    closing = next((at for at, one in enumerate(listed) if one["kind"] == "closing"), None)
    onward = listed[closing]["key"] if closing is not None else ""
    edges = [{"outcome": outcome, "to": onward} for outcome in steps.OUTCOMES[kind] if onward]
    listed.insert(
        len(listed) if closing is None or kind == "closing" else closing,
        {"key": key, "kind": kind, "edges": edges},
    )


def local(text: Any) -> str:
    """A moment as the browser's input wants it, in Seoul's time."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return str(text or "")
    return (found.astimezone(clock.SEOUL) if found.tzinfo else found).strftime("%Y-%m-%dT%H:%M:%S")
