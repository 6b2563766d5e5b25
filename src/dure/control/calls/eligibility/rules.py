"""Requirements as values, read from JSON (docs/call-format.md) and written back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext

from dure.control.calls.eligibility.attributes import ATTRIBUTES, COMPARISONS, Attribute
from dure.control.calls.reading import MAX_DEPTH, Fields, Reader, as_day, in_language

MAX_REQUIREMENTS = 40
MAX_ALTERNATIVES = 40
MAX_COMPARISONS = 200

type Rule = Comparison | AllOf | AnyOf
type Value = str | int | bool | date | tuple[str, ...] | tuple[int, ...] | tuple[date, ...] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    attribute: str
    comparison: str
    value: Value = None


@dataclass(frozen=True, slots=True)
class AllOf:
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    title_ko: str
    title_en: str
    rule: Rule

    @property
    def title(self) -> str:
        return in_language(self.title_ko, self.title_en)


def parse(data: Any) -> tuple[Requirement, ...]:
    """The requirements of a call, all of which must be met. Raises `Malformed` (`rules_malformed`) with paths."""
    reader = Reader()
    found: list[tuple[Requirement, str]] = []
    for item, path in reader.sequence([] if data is None else data, "", most=MAX_REQUIREMENTS):
        fields = reader.mapping(item, path, ("key", "title", "rule"))
        if fields is None:
            continue
        key = fields.key()
        korean, english = fields.words("title", required=True)
        rule = _rule(reader, fields.values["rule"], fields.at("rule"), 0) if fields.require("rule") else None
        if rule is not None:
            found.append((Requirement(key, korean, english, rule), path))
    reader.no_repeats([(requirement.key, path) for requirement, path in found])
    if sum(_comparisons(requirement.rule) for requirement, _ in found) > MAX_COMPARISONS:
        reader.note("", gettext("At most %(most)s conditions, please.") % {"most": MAX_COMPARISONS})
    reader.finish("rules_malformed")
    return tuple(requirement for requirement, _ in found)


def _comparisons(rule: Rule) -> int:
    return 1 if isinstance(rule, Comparison) else sum(_comparisons(one) for one in rule.rules)


def _rule(reader: Reader, data: Any, path: str, depth: int) -> Rule | None:
    if depth > MAX_DEPTH:
        reader.note(path, gettext("This is nested too deeply."))
        return None
    fields = reader.mapping(data, path, ("attribute", "comparison", "value", "all", "any"))
    if fields is None:
        return None
    for word, made in (("all", AllOf), ("any", AnyOf)):
        if word in fields.values:
            if len(fields.values) > 1:
                fields.note(word, gettext("“%(word)s” stands alone.") % {"word": word})
            rules: tuple[Rule, ...] = fields.items(
                word, lambda item, inside: _rule(reader, item, inside, depth + 1), most=MAX_ALTERNATIVES
            )
            if not fields.values[word]:
                fields.note(word, gettext("Name at least one condition."))
            return made(rules)
    return _comparison(fields)


def _comparison(fields: Fields) -> Comparison | None:
    key = fields.choice("attribute", ATTRIBUTES)
    if not key:
        return None
    attribute = ATTRIBUTES[key]
    comparison = fields.choice("comparison", COMPARISONS[attribute.kind])
    if not comparison:
        return None
    if comparison == "present":
        if "value" in fields:
            fields.note("value", gettext("“present” takes no value."))
        return Comparison(key, comparison)
    if not fields.require("value"):
        return None
    value = fields.values["value"]
    if comparison not in {"in", "not_in", "between"}:
        single = _value(attribute, value)
        if single is None:
            fields.note("value", *_expected(attribute))
        return Comparison(key, comparison, single)
    many = _many(fields, attribute, value)
    if comparison == "between" and len(many) == 2 and many[0] > many[1]:
        fields.note("value", gettext("The first value is more than the second."))
    if comparison == "between" and len(many) != 2:
        fields.note("value", gettext("Write two values: the least and the most."))
    return Comparison(key, comparison, many)


def _many(fields: Fields, attribute: Attribute, value: Any) -> tuple[Any, ...]:
    found: list[Any] = []
    for item, path in fields.reader.sequence(value, fields.at("value"), most=100):
        single = _value(attribute, item)
        if single is None:
            fields.reader.note(path, *_expected(attribute))
        else:
            found.append(single)
    if isinstance(value, Sequence) and not value:
        fields.note("value", gettext("Name at least one value."))
    return tuple(found)


def _value(attribute: Attribute, value: Any) -> str | int | bool | date | None:
    match attribute.kind:
        case "choice":
            return value if isinstance(value, str) and value in attribute.options else None
        case "yes_no":
            return value if isinstance(value, bool) else None
        case "date":
            return as_day(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and attribute.least <= value <= attribute.most else None


def _expected(attribute: Attribute) -> tuple[str, str]:
    name = {"name": attribute.name}
    match attribute.kind:
        case "choice":
            return (
                gettext("This is no value of “%(name)s”.") % name,
                gettext("Known: %(options)s.") % {"options": ", ".join(attribute.options)},
            )
        case "yes_no":
            return gettext("“%(name)s” is yes or no (true or false).") % name, ""
        case "date":
            return gettext("“%(name)s” is a date like 2027-01-31.") % name, ""
    return (
        gettext("This is no value of “%(name)s”.") % name,
        gettext("Write a whole number from %(least)s to %(most)s.")
        % {"least": f"{attribute.least:,}", "most": f"{attribute.most:,}"},
    )


def as_data(requirements: Sequence[Requirement]) -> list[dict[str, Any]]:
    """The JSON that `parse` reads back to the same values."""
    return [
        {
            "key": one.key,
            "title": {"ko": one.title_ko, "en": one.title_en},
            "rule": rule_as_data(one.rule),
        }
        for one in requirements
    ]


def rule_as_data(rule: Rule) -> Mapping[str, Any]:
    if isinstance(rule, Comparison):
        data: dict[str, Any] = {"attribute": rule.attribute, "comparison": rule.comparison}
        if rule.value is not None:
            data["value"] = _plain(rule.value)
        return data
    return {"all" if isinstance(rule, AllOf) else "any": [rule_as_data(inside) for inside in rule.rules]}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
