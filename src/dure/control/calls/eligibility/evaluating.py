"""One organisation against the requirements: met, not met, a document is needed, or not stated yet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext

from dure.control.calls.eligibility.attributes import ATTRIBUTES, DOCUMENT_STATES, Attribute
from dure.control.calls.eligibility.domains import admitted, number
from dure.control.calls.eligibility.rules import AllOf, Comparison, Requirement, Rule
from dure.control.calls.eligibility.wording import condition, describe, shown
from dure.control.calls.reading import as_day, in_language

type State = Literal["met", "not_met", "needs_document", "unknown"]
STATES: tuple[State, ...] = ("met", "not_met", "needs_document", "unknown")

#: Which state of its members an `all` and an `any` take: the first of these that one of them has.
_WORST: tuple[State, ...] = ("not_met", "unknown", "needs_document", "met")
_BEST: tuple[State, ...] = ("met", "needs_document", "unknown", "not_met")


@dataclass(frozen=True, slots=True)
class Finding:
    """`reason` and `remedy` are in the language that was active; `attributes` are those that decided."""

    key: str
    title_ko: str
    title_en: str
    state: State
    reason: str
    remedy: str
    condition: str
    attributes: tuple[str, ...]

    @property
    def title(self) -> str:
        return in_language(self.title_ko, self.title_en)


@dataclass(frozen=True, slots=True)
class _Outcome:
    state: State
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]
    attributes: tuple[str, ...]


def evaluate(requirements: Sequence[Requirement], facts: Mapping[str, object]) -> list[Finding]:
    """A finding for each requirement, in their order. A fact that is missing or None is not stated."""
    findings = []
    for one in requirements:
        outcome = _evaluate(one.rule, facts)
        findings.append(
            Finding(
                key=one.key,
                title_ko=one.title_ko,
                title_en=one.title_en,
                state=outcome.state,
                reason=" ".join(dict.fromkeys(outcome.reasons)),
                remedy=" ".join(dict.fromkeys(outcome.remedies)),
                condition=describe(one.rule),
                attributes=tuple(dict.fromkeys(outcome.attributes)),
            )
        )
    return findings


def summary(findings: Iterable[Finding]) -> State:
    """The state of all together: `met` also when nothing is required."""
    states = {finding.state for finding in findings}
    return next((state for state in _WORST if state in states), "met")


def _evaluate(rule: Rule, facts: Mapping[str, object]) -> _Outcome:
    if isinstance(rule, Comparison):
        return _compare(rule, facts.get(rule.attribute))
    outcomes = [_evaluate(one, facts) for one in rule.rules]
    order = _WORST if isinstance(rule, AllOf) else _BEST
    state = next(one for one in order if any(outcome.state == one for outcome in outcomes))
    # An `any` that is not met yet is told by every way that is still open, one that is met by the first that met it.
    deciding = [outcome for outcome in outcomes if outcome.state == state]
    if not isinstance(rule, AllOf):
        deciding = deciding[:1] if state == "met" else deciding
    return _Outcome(
        state,
        tuple(reason for outcome in deciding for reason in outcome.reasons),
        tuple(remedy for outcome in deciding for remedy in outcome.remedies),
        tuple(attribute for outcome in deciding for attribute in outcome.attributes),
    )


def _compare(comparison: Comparison, fact: object) -> _Outcome:
    attribute = ATTRIBUTES[comparison.attribute]
    concerned = (comparison.attribute,)
    if attribute.kind == "document":
        return _document(attribute, fact)
    words = {"name": attribute.name, "condition": condition(comparison)}
    counted = _counted(attribute, fact)
    if counted is None:
        reason = gettext("%(name)s is not stated; asked for: %(condition)s.") % words
        return _Outcome("unknown", (reason,), (str(attribute.remedy),) if attribute.remedy else (), concerned)
    text = {**words, "value": shown(attribute, _typed(attribute, fact))}
    if any(low <= counted <= high for low, high in admitted(comparison)):
        return _Outcome("met", (gettext("%(name)s: %(value)s.") % text,), (), concerned)
    reason = gettext("%(name)s: %(value)s; asked for: %(condition)s.") % text
    remedies = (str(attribute.remedy),) if attribute.kind == "yes_no" and not fact else ()
    return _Outcome("not_met", (reason,), remedies, concerned)


def _document(attribute: Attribute, fact: object) -> _Outcome:
    name = {"name": attribute.name}
    if fact == "valid":
        return _Outcome("met", (gettext("%(name)s: accepted and in date.") % name,), (), (attribute.key,))
    if fact == "asked":
        reason = gettext("%(name)s: handed in, being looked at.") % name
        remedy = gettext("You need not do anything; you can write your application meanwhile.")
        return _Outcome("needs_document", (reason,), (remedy,), (attribute.key,))
    reason = gettext("%(name)s: not handed in, or out of date.") % name
    return _Outcome("needs_document", (reason,), (str(attribute.remedy),), (attribute.key,))


def _typed(attribute: Attribute, fact: object) -> Any:
    return as_day(fact) if attribute.kind == "date" else fact


def _counted(attribute: Attribute, fact: object) -> int | None:
    """The fact as a number of its domain; None when it is not stated or is no value of the attribute."""
    match attribute.kind:
        case "choice":
            return number(attribute, fact) if isinstance(fact, str) and fact in attribute.options else None
        case "document":
            return DOCUMENT_STATES.index(fact) if fact in DOCUMENT_STATES else None
        case "yes_no":
            return int(fact) if isinstance(fact, bool) else None
        case "date":
            day = as_day(fact)
            return day.toordinal() if day else None
    if not isinstance(fact, int) or isinstance(fact, bool):
        return None
    return max(attribute.least, min(fact, attribute.most))
