"""Rules and values in the reader's language."""

from datetime import date
from typing import Any

from django.utils.translation import get_language, gettext, ngettext, pgettext

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls.eligibility.attributes import ATTRIBUTES, Attribute
from dure.control.calls.eligibility.rules import AllOf, Comparison, Rule


def describe(rule: Rule) -> str:
    """One sentence part, such as “size class is small enterprise or medium enterprise”."""
    if isinstance(rule, Comparison):
        name = str(ATTRIBUTES[rule.attribute].name)
        return gettext("%(name)s: %(condition)s") % {"name": name, "condition": condition(rule)}
    word = (
        pgettext("joins conditions", " and ")
        if isinstance(rule, AllOf)
        else pgettext("joins conditions", " or ")
    )
    parts = [describe(one) if isinstance(one, Comparison) else f"({describe(one)})" for one in rule.rules]
    return word.join(parts)


def condition(comparison: Comparison) -> str:
    """What is asked of the value, without the attribute's name."""
    attribute = ATTRIBUTES[comparison.attribute]
    value = comparison.value
    if comparison.comparison == "present":
        if attribute.kind == "document":
            return gettext("accepted and in date")
        return gettext("stated")
    if isinstance(value, tuple):
        return _of_several(comparison.comparison, [shown(attribute, one) for one in value])
    if attribute.kind == "yes_no":
        return shown(attribute, bool(value) == (comparison.comparison == "is"))
    return _of_one(comparison.comparison, shown(attribute, value))


def _of_several(comparison: str, values: list[str]) -> str:
    if comparison == "between":
        return gettext("from %(least)s to %(most)s") % {"least": values[0], "most": values[1]}
    listed = pgettext("joins values", ", ").join(values)
    if comparison == "in":
        return gettext("one of %(values)s") % {"values": listed} if len(values) > 1 else listed
    return gettext("none of %(values)s") % {"values": listed}


def _of_one(comparison: str, value: str) -> str:
    text = {"value": value}
    match comparison:
        case "is_not":
            return gettext("not %(value)s") % text
        case "at_least":
            return gettext("at least %(value)s") % text
        case "at_most":
            return gettext("at most %(value)s") % text
        case "before":
            return gettext("before %(value)s") % text
        case "after":
            return gettext("after %(value)s") % text
    return value


def shown(attribute: Attribute, value: Any) -> str:
    """A value as a person reads it."""
    match attribute.kind:
        case "choice":
            return str(attribute.options.get(value, value))
        case "yes_no":
            return pgettext("answer", "yes") if value else pgettext("answer", "no")
        case "won":
            return shown_won(value)
        case "months":
            return _months(value)
        case "date":
            return shown_day(value)
        case "document":
            return str(
                {
                    "valid": gettext("accepted and in date"),
                    "asked": gettext("being looked at"),
                    "missing": gettext("missing"),
                }.get(value, value)
            )
    return f"{value:,}"


def shown_won(micro_won: int) -> str:
    won = micro_won // MICRO_WON_PER_WON
    return f"{won:,}원" if (get_language() or "ko").startswith("ko") else f"₩{won:,}"


def _months(months: int) -> str:
    years, rest = divmod(months, 12)
    parts = []
    if years:
        parts.append(ngettext("%(n)s year", "%(n)s years", years) % {"n": f"{years:,}"})
    if rest or not years:
        parts.append(ngettext("%(n)s month", "%(n)s months", rest) % {"n": rest})
    return " ".join(parts)


def shown_day(day: date) -> str:
    if (get_language() or "ko").startswith("ko"):
        return f"{day.year}년 {day.month}월 {day.day}일"
    return f"{day.day} {day:%b} {day.year}"
