"""Can anyone meet all requirements at once, and if not, which parts are in each other's way?

Decided, not guessed: rules become sets of values (`domains`), alternatives are searched depth first,
narrowing one set per attribute. There is no negation to worry about, so a search that runs dry proves
that nobody can. What the law says about the values together is searched with the requirements, and
named when the clash depends on it. Only what a statute says of every organisation belongs there: that a
micro enterprise has few employees does not, for the law counts regular employees and we count all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from django.utils.translation import gettext, gettext_lazy, override, pgettext

from dure.control.calls.eligibility.attributes import ATTRIBUTES
from dure.control.calls.eligibility.domains import (
    Domain,
    admitted,
    both,
    either,
    universe,
    value,
    without,
)
from dure.control.calls.eligibility.rules import AllOf, AnyOf, Comparison, Requirement, Rule
from dure.control.calls.eligibility.wording import describe
from dure.control.calls.reading import in_language
from dure.control.foundation.errors import Invalid, Text

#: Steps of the search that one question may take, a second or two; no rule set that a person wrote comes near.
MAX_STEPS = 50_000

type Node = Leaf | Group


@dataclass(frozen=True, slots=True)
class Leaf:
    attribute: str
    domain: Domain


@dataclass(frozen=True, slots=True)
class Group:
    all: bool
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One condition of a requirement: its rule, or one member of its outermost `all`."""

    requirement: Requirement
    rule: Rule


@dataclass(frozen=True, slots=True)
class Clash:
    """Parts that nobody can meet together; leaving any one out, somebody could. One part: it alone is impossible."""

    parts: tuple[Part, ...]
    laws: tuple[str, ...]
    message_ko: str
    message_en: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The requirements concerned, each once, in their order."""
        return tuple(dict.fromkeys(part.requirement.key for part in self.parts))

    @property
    def message(self) -> str:
        return in_language(self.message_ko, self.message_en)


@dataclass(frozen=True, slots=True)
class Redundancy:
    """A requirement that asks for nothing: everybody meets it (`implied_by` None), or whoever meets another."""

    requirement: Requirement
    implied_by: Requirement | None
    message_ko: str
    message_en: str

    @property
    def message(self) -> str:
        return in_language(self.message_ko, self.message_en)


class TooEntangled(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "rules_too_entangled",
            gettext_lazy("These rules have too many alternatives inside each other to be checked."),
            remedy=gettext_lazy("Use fewer “any of” groups, or list the values in one condition."),
        )


# -- from rules to sets -------------------------------------------------------------------------------


def _node(rule: Rule) -> Node:
    if isinstance(rule, Comparison):
        return Leaf(rule.attribute, admitted(rule))
    return _group(isinstance(rule, AllOf), [_node(one) for one in rule.rules])


def _group(is_all: bool, nodes: Iterable[Node]) -> Node:
    """Flattened, and with one leaf for each attribute: most “any of” lists shrink to a single set."""
    leaves: dict[str, Domain] = {}
    rest: list[Node] = []
    for node in nodes:
        inside = node.nodes if isinstance(node, Group) and node.all == is_all else (node,)
        for one in inside:
            if isinstance(one, Group):
                rest.append(one)
            elif one.attribute in leaves:
                merge = both if is_all else either
                leaves[one.attribute] = merge(leaves[one.attribute], one.domain)
            else:
                leaves[one.attribute] = one.domain
    flat = [*(Leaf(attribute, domain) for attribute, domain in leaves.items()), *rest]
    return flat[0] if len(flat) == 1 else Group(is_all, tuple(flat))


def _opposite(node: Node) -> Node:
    if isinstance(node, Leaf):
        return Leaf(node.attribute, without(universe(ATTRIBUTES[node.attribute]), node.domain))
    return _group(not node.all, [_opposite(one) for one in node.nodes])


# -- what the law says of the values together ---------------------------------------------------------


def _law(*alternatives: tuple[str, str, Any]) -> Node:
    return _node(AnyOf(tuple(Comparison(*one) for one in alternatives)))


_SMALL = ("organisation.size_class", "in", ("micro", "small", "medium"))
#: (name in words, what holds for every organisation). Start-ups are given three years more than the law says, because a
#: clash stops a publication and some programmes reach further: what nobody can meet must be certain.
LAWS: tuple[tuple[Text, Node], ...] = (
    (
        gettext_lazy("a small or medium enterprise is of micro, small or medium size (SME Framework Act, art. 2)"),
        _law(("organisation.kind", "is_not", "sme"), _SMALL),
    ),
    (
        gettext_lazy("a start-up is a small or medium enterprise (SME Start-up Support Act, art. 2)"),
        _law(("organisation.kind", "is_not", "startup"), _SMALL),
    ),
    (
        gettext_lazy("nobody is taken for a start-up after ten years (the SME Start-up Support Act, art. 2, no. 3, says seven)"),
        _law(("organisation.kind", "is_not", "startup"), ("organisation.age_months", "at_most", 120)),
    ),
    *(
        (name, _group(False, [Leaf(f"document.{kind}", ((1, 2),)), _node(Comparison(*_SMALL))]))
        for kind, name in (
            (
                "sme_certificate",
                gettext_lazy("an SME certificate is given to small and medium enterprises only (SME Framework Act, art. 2)"),
            ),
            (
                "startup_certificate",
                gettext_lazy("a start-up certificate is given to small and medium enterprises only (SME Start-up Support Act, art. 2)"),
            ),
            (
                "venture_certificate",
                gettext_lazy("a venture certificate is given to small and medium enterprises only (Venture Businesses Act, art. 2-2)"),
            ),
        )
    ),
    (
        gettext_lazy("no start-up certificate is taken after ten years (the SME Start-up Support Act, art. 2, no. 3, says seven)"),
        _group(
            False,
            [
                Leaf("document.startup_certificate", ((1, 2),)),
                _node(Comparison("organisation.age_months", "at_most", 120)),
            ],
        ),
    ),
    (
        gettext_lazy("a ministry is no enterprise (SME Framework Act, art. 2)"),
        _law(("organisation.kind", "is_not", "ministry"), ("organisation.size_class", "is", "none")),
    ),
)  # fmt: skip
_TIED = frozenset(
    {"organisation.kind", "organisation.size_class", "organisation.age_months", "organisation.founded_on"}
    | {f"document.{kind}" for kind in ("sme_certificate", "startup_certificate", "venture_certificate")}
)


# -- the search ---------------------------------------------------------------------------------------


def months_between(founded: date, today: date) -> int:
    """Whole months from a foundation to a day, as `organisation.age_months` counts them; never below 0."""
    months = (today.year - founded.year) * 12 + today.month - founded.month
    return max(0, months - (today.day < founded.day))


class _Search:
    def __init__(self, today: date | None) -> None:
        self._today = today
        self._steps = 0

    def find(self, nodes: Sequence[Node]) -> dict[str, Domain] | None:
        """Sets from which any value of each attribute can be taken, or None: there is no way."""
        start: dict[str, Domain] = {}
        if self._today is not None:
            start["organisation.founded_on"] = ((date.min.toordinal(), self._today.toordinal()),)
        return self._descend(start, list(nodes))

    def _descend(self, known: dict[str, Domain], waiting: list[Node]) -> dict[str, Domain] | None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooEntangled
        known, choices = dict(known), []
        stack = list(waiting)
        while stack:
            node = stack.pop()
            if isinstance(node, Leaf):
                if not self._narrow(known, node):
                    return None
            elif node.all:
                stack.extend(node.nodes)
            else:
                choices.append(node)
        still_open = self._still_open(known, choices) if self._ages_agree(known) else None
        if still_open is None:
            return None
        if not still_open:
            return known
        first, *rest = sorted(still_open, key=lambda group: len(group.nodes))
        for alternative in first.nodes:
            found = self._descend(known, [alternative, *rest])
            if found is not None:
                return found
        return None

    def _still_open(self, known: Mapping[str, Domain], choices: list[Group]) -> list[Group] | None:
        """Choices that have to be made yet, with what is left of them; None if one has nothing left."""
        still_open = []
        for choice in choices:
            live = tuple(one for one in choice.nodes if self._can_hold(known, one))
            if not live:
                return None
            if not any(self._certain(known, one) for one in live):
                still_open.append(Group(False, live))
        return still_open

    @staticmethod
    def _narrow(known: dict[str, Domain], leaf: Leaf) -> bool:
        here = known.get(leaf.attribute)
        known[leaf.attribute] = (
            both(here, leaf.domain)
            if here is not None
            else both(universe(ATTRIBUTES[leaf.attribute]), leaf.domain)
        )
        return bool(known[leaf.attribute])

    @staticmethod
    def _can_hold(known: Mapping[str, Domain], node: Node) -> bool:
        if isinstance(node, Group):
            return True
        here = known.get(node.attribute)
        return bool(node.domain) if here is None else bool(both(here, node.domain))

    @staticmethod
    def _certain(known: Mapping[str, Domain], node: Node) -> bool:
        if isinstance(node, Group):
            return False
        here = known.get(node.attribute, universe(ATTRIBUTES[node.attribute]))
        return both(here, node.domain) == here

    def _ages_agree(self, known: dict[str, Domain]) -> bool:
        """The day of foundation and the age are one fact; narrow each by the other when today is given."""
        days, months = known.get("organisation.founded_on"), known.get("organisation.age_months")
        if self._today is None or days is None or months is None:
            return True
        today = self._today
        ages = tuple(
            (
                months_between(date.fromordinal(last), today),
                months_between(date.fromordinal(first), today),
            )
            for first, last in days
        )
        return any(max(a, c) <= min(b, d) for a, b in ages for c, d in months)

    def possible(self, nodes: Sequence[Node]) -> bool:
        return self.find(nodes) is not None


def _attributes(node: Node) -> frozenset[str]:
    """Those a node speaks of; what a law ties together counts as one."""
    if isinstance(node, Leaf):
        return frozenset({"by law" if node.attribute in _TIED else node.attribute})
    return frozenset().union(*(_attributes(one) for one in node.nodes))


# -- the doors ----------------------------------------------------------------------------------------


def clashes(requirements: Sequence[Requirement], *, today: date | None = None) -> list[Clash]:
    """What nobody can meet: impossible parts and clashing pairs, all of them; else one smallest larger set.

    Empty exactly when somebody can meet all requirements. With `today`, the day of foundation and the age
    are known to be one fact. Raises `TooEntangled` instead of running long.
    """
    parts = [part for requirement in requirements for part in _parts(requirement, requirement.rule)]
    nodes = {id(part): _node(part.rule) for part in parts}
    laws = [node for _, node in LAWS]
    search = _Search(today)

    def stands(chosen: Iterable[Part]) -> bool:
        return search.possible([*(nodes[id(part)] for part in chosen), *laws])

    if stands(parts):
        return []
    cores: list[tuple[Part, ...]] = [(part,) for part in parts if not stands([part])]
    rest = [part for part in parts if (part,) not in cores]
    spoken_of = {id(part): _attributes(nodes[id(part)]) for part in rest}
    cores += [
        pair
        for pair in combinations(rest, 2)
        if spoken_of[id(pair[0])] & spoken_of[id(pair[1])] and not stands(pair)
    ]
    if not cores:
        cores = [_smallest(rest, stands)]
    return [_clash(core, [nodes[id(part)] for part in core], search) for core in cores]


def redundancies(requirements: Sequence[Requirement], *, today: date | None = None) -> list[Redundancy]:
    """Requirements that change nothing. For a set without clashes; of two that say the same, the later is named."""
    laws = [node for _, node in LAWS]
    nodes = [_node(one.rule) for one in requirements]
    search = _Search(today)
    found: list[Redundancy] = []
    named: set[int] = set()
    for index, requirement in enumerate(requirements):
        if _asks_for_a_statement(requirement.rule):
            continue
        negated = _opposite(nodes[index])
        if not search.possible([negated, *laws]):
            named.add(index)
            found.append(_redundancy(requirement, None))
            continue
        for other, implying in enumerate(requirements):
            if other == index or other in named or _asks_for_a_statement(implying.rule):
                continue
            if not search.possible([nodes[other], negated, *laws]):
                named.add(index)
                found.append(_redundancy(requirement, implying))
                break
    return found


def example(requirements: Sequence[Requirement], *, today: date | None = None) -> dict[str, object] | None:
    """Facts of somebody who meets everything, or None. Attributes nobody asks about are left out."""
    found = _Search(today).find([*(_node(one.rule) for one in requirements), *(node for _, node in LAWS)])
    if found is None:
        return None
    facts: dict[str, object] = {}
    for key, domain in found.items():
        facts[key] = value(ATTRIBUTES[key], domain[0][0])
    days, months = found.get("organisation.founded_on"), found.get("organisation.age_months")
    if today is not None and days is not None and months is not None:
        for first, last in days:
            for low, high in months:
                youngest = months_between(date.fromordinal(last), today)
                oldest = months_between(date.fromordinal(first), today)
                if max(low, youngest) <= min(high, oldest):
                    age = max(low, youngest)
                    day = _day_of_age(age, first, last, today)
                    facts["organisation.founded_on"] = date.fromordinal(day)
                    facts["organisation.age_months"] = age
                    return facts
    return facts


def _day_of_age(age: int, first: int, last: int, today: date) -> int:
    """The latest day from `first` to `last` that is `age` months old; ages only grow towards the past."""
    while first < last:
        middle = (first + last + 1) // 2
        if months_between(date.fromordinal(middle), today) >= age:
            first = middle
        else:
            last = middle - 1
    return first


def _parts(requirement: Requirement, rule: Rule) -> Iterable[Part]:
    if isinstance(rule, AllOf):
        for one in rule.rules:
            yield from _parts(requirement, one)
    else:
        yield Part(requirement, rule)


def _smallest(parts: list[Part], stands: Any) -> tuple[Part, ...]:
    """Fewest parts that clash when few enough are to be tried, else parts none of which can be left out."""
    if len(parts) <= 20:
        for trio in combinations(parts, 3):
            if not stands(trio):
                return trio
    needed = list(parts)
    for part in parts:
        fewer = [one for one in needed if one is not part]
        if not stands(fewer):
            needed = fewer
    return tuple(needed)


def _asks_for_a_statement(rule: Rule) -> bool:
    """`present` is met by whoever states a value: its set is everything, yet it asks for something."""
    if isinstance(rule, Comparison):
        return rule.comparison == "present" and ATTRIBUTES[rule.attribute].kind != "document"
    return any(_asks_for_a_statement(one) for one in rule.rules)


# -- in words -----------------------------------------------------------------------------------------


def _clash(core: tuple[Part, ...], nodes: list[Node], search: _Search) -> Clash:
    needed = list(LAWS)
    for law in LAWS:
        fewer = [one for one in needed if one is not law]
        if not search.possible([*nodes, *(node for _, node in fewer)]):
            needed = fewer
    sentences = []
    for language in ("ko", "en"):
        with override(language):
            sentences.append(_sentence(core, [str(name) for name, _ in needed]))
    with override("en"):
        names = tuple(str(name) for name, _ in needed)
    return Clash(core, names, *sentences)


def _sentence(core: tuple[Part, ...], laws: list[str]) -> str:
    quoted = [
        gettext("“%(title)s” (%(condition)s)")
        % {"title": part.requirement.title, "condition": describe(part.rule)}
        for part in core
    ]
    if len(core) == 1:
        text = gettext("Nobody can meet %(part)s.") % {"part": quoted[0]}
    else:
        listed = pgettext("joins parts", " and ").join(quoted)
        text = gettext("Nobody can meet these together: %(parts)s.") % {"parts": listed}
    if laws:
        text += " " + gettext("For the law says: %(laws)s.") % {"laws": "; ".join(laws)}
    return text


def _redundancy(requirement: Requirement, other: Requirement | None) -> Redundancy:
    sentences = []
    for language in ("ko", "en"):
        with override(language):
            if other is None:
                text = gettext("“%(title)s” is always met; it can be left out.") % {
                    "title": requirement.title
                }
            else:
                text = gettext("Whoever meets “%(other)s” also meets “%(title)s”; it can be left out.") % {
                    "other": other.title,
                    "title": requirement.title,
                }
            sentences.append(text)
    return Redundancy(requirement, other, *sentences)
