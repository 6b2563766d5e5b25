"""Eligibility rules: requirements one below the other, each a tree of conditions.

Inputs of a tree are named by the way to a node: `n` is the root, `n-0` its first member, `n-0-2` that one's third.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls.editing import free_key, moved, number, words
from dure.control.calls.eligibility import ATTRIBUTES, COMPARISONS, Attribute

NEW: Mapping[str, Any] = {"attribute": "organisation.kind", "comparison": "in", "value": []}
_LISTS = {"in", "not_in"}
MOST_MEMBERS = 40


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the page shows it. `values` are the texts of its inputs: one, or two for `between`."""

    name: str
    word: str
    members: tuple["Node", ...] = ()
    attribute: Attribute | None = None
    comparison: str = ""
    comparisons: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    chosen: frozenset[str] = frozenset()

    @property
    def takes_list(self) -> bool:
        return self.comparison in _LISTS


def arranged(content: Any, sent: Mapping[str, str]) -> tuple[list[Any], str]:
    """The requirements after the pressed button of the overview, and the key of one that it added."""
    made = deepcopy(list(content))
    action, _colon, key = sent.get("do", "").partition(":")
    place = next((at for at, one in enumerate(made) if one["key"] == key), -1)
    if action == "add":
        title = words(sent, "title")
        added = free_key(f"rule_{len(made) + 1}", [one["key"] for one in made])
        rule = dict(COMMON.get(sent.get("common", ""), NEW))
        made.append({"key": added, "title": title, "rule": rule})
        return made, added
    if action in {"up", "down"} and place >= 0:
        moved(made, place, -1 if action == "up" else 1)
    elif action == "remove" and place >= 0:
        del made[place]
    return made, ""


#: What a requirement may begin with.
COMMON: Mapping[str, Mapping[str, Any]] = {
    "kind": {"attribute": "organisation.kind", "comparison": "in", "value": ["sme", "startup"]},
    "size": {
        "attribute": "organisation.size_class",
        "comparison": "in",
        "value": ["micro", "small", "medium"],
    },
    "age": {"attribute": "organisation.age_months", "comparison": "at_most", "value": 84},
    "verified": {"attribute": "organisation.verified", "comparison": "is", "value": True},
    "document": {"attribute": "document.tax_clearance", "comparison": "present"},
    "support": {
        "attribute": "group.support_micro_won",
        "comparison": "at_most",
        "value": 100_000_000 * MICRO_WON_PER_WON,
    },
}


def typed(content: Any, key: str, sent: QueryDict) -> list[Any]:
    """The requirements with one as it was typed, and with what the pressed button does to its tree (`do`)."""
    made = deepcopy(list(content))
    for one in made:
        if one["key"] == key:
            one["title"] = words(sent, "title")
            one["rule"] = _read("n", sent) or {**NEW}
            action, _colon, name = sent.get("do", "").partition(":")
            one["rule"] = _pressed(one["rule"], action, name)
    return made


def _read(name: str, sent: QueryDict, depth: int = 0) -> dict[str, Any] | None:
    word = sent.get(f"{name}-word", "")
    if word in {"all", "any"} and depth < 6:
        count = number(sent.get(f"{name}-members", ""))
        members = [
            _read(f"{name}-{n}", sent, depth + 1)
            for n in range(min(count, MOST_MEMBERS) if isinstance(count, int) else 0)
        ]
        return {word: [one for one in members if one is not None]}
    attribute = ATTRIBUTES.get(sent.get(f"{name}-attribute", ""))
    if attribute is None:
        return None
    comparison = sent.get(f"{name}-comparison", "")
    if comparison not in COMPARISONS[attribute.kind]:
        # The attribute was changed: what suits the new one.
        comparison = COMPARISONS[attribute.kind][0]
    found: dict[str, Any] = {"attribute": attribute.key, "comparison": comparison}
    value = _value(attribute, comparison, name, sent)
    if comparison != "present":
        found["value"] = value
    return found


def _value(attribute: Attribute, comparison: str, name: str, sent: QueryDict) -> Any:
    if attribute.kind == "choice":
        chosen = [one for one in sent.getlist(f"{name}-value") if one in attribute.options]
        return chosen if comparison in _LISTS else (chosen[0] if chosen else next(iter(attribute.options)))
    if attribute.kind == "yes_no":
        return sent.get(f"{name}-value") != "no"
    texts = [sent.get(f"{name}-value", ""), sent.get(f"{name}-value2", "")]
    if attribute.kind == "date":
        return [text.strip() for text in texts] if comparison == "between" else texts[0].strip()
    if comparison in _LISTS:
        return [number(text) for text in texts[0].split(",") if text.strip()]
    numbers = [_counted(attribute, text) for text in texts]
    return numbers if comparison == "between" else numbers[0]


def _counted(attribute: Attribute, text: str) -> Any:
    found = number(text)
    if attribute.kind == "won" and isinstance(found, int):
        return found * MICRO_WON_PER_WON
    return 0 if found is None else found


def _pressed(rule: Any, action: str, name: str) -> Any:
    """Add a condition or a group to a group, wrap a condition into a group, take a node away."""
    made = deepcopy(rule)
    node, holder, place = made, None, 0
    for step in name.split("-")[1:]:
        members = node.get("all") or node.get("any") or []
        if not step.isdigit() or int(step) >= len(members):
            return made
        holder, place, node = members, int(step), members[int(step)]
    members = node["all"] if "all" in node else node.get("any")
    if action == "condition" and members is not None:
        members.append({**COMMON["kind"]})
    elif action == "group" and members is not None:
        members.append({"any": [{**COMMON["kind"]}]})
    elif action in {"all", "any"}:
        wrapped = {action: [node, {**COMMON["kind"]}]}
        if holder is None:
            return wrapped
        holder[place] = wrapped
    elif action == "drop" and holder is not None:
        del holder[place]
        return _tidy(made)
    return made


def _tidy(rule: Any) -> Any:
    """Groups that were emptied go; a group of one is its member."""
    for word in ("all", "any"):
        if word in rule:
            members = [_tidy(one) for one in rule[word]]
            members = [one for one in members if one is not None]
            if not members:
                return None
            return members[0] if len(members) == 1 else {word: members}
    return rule


def tree(rule: Any, name: str = "n") -> Node:
    """A rule as the page shows it."""
    for word in ("all", "any"):
        if word in rule:
            members = tuple(tree(one, f"{name}-{n}") for n, one in enumerate(rule[word]))
            return Node(name, word, members)
    attribute = ATTRIBUTES.get(rule.get("attribute", ""))
    if attribute is None:
        return tree({**NEW}, name)
    comparison = rule.get("comparison", "")
    texts = tuple(_texts(attribute, rule.get("value")))
    if attribute.kind not in {"choice", "yes_no"} and comparison in _LISTS:
        texts = (", ".join(texts),)
    many = rule.get("value") if isinstance(rule.get("value"), list) else [rule.get("value")]
    return Node(
        name,
        "",
        attribute=attribute,
        comparison=comparison,
        comparisons=COMPARISONS[attribute.kind],
        values=texts,
        chosen=frozenset(one for one in many if isinstance(one, str))
        | ({"no"} if rule.get("value") is False else set()),
    )


def _texts(attribute: Attribute, value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if one is None:
            continue
        if attribute.kind == "won" and isinstance(one, int):
            yield f"{one // MICRO_WON_PER_WON:,}"
        else:
            yield str(one)
