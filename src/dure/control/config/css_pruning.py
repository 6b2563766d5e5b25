"""Takes from a large style sheet only the rules that our pages can match.

KRDS's style sheets are 640 KB; a page of ours uses a twentieth of them. A rule stays when every class and
id its selector asks for is written somewhere in our templates or scripts; a custom property stays when
something that stayed refers to it. No names are guessed: one that is put together at run time must be
written out whole where it is chosen.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_NAMES = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
_NOT = re.compile(r":not\([^()]*(?:\([^()]*\)[^()]*)*\)")
_VAR = re.compile(r"var\(\s*(--[\w-]+)")
_URL = re.compile(r"url\(\s*(['\"]?)(.*?)\1\s*\)")
_SPACE = re.compile(r"\s+")
# Colours that follow the system's dark mode are a third copy of everything; our pages offer light and
# high contrast, chosen by the reader.
_UNOFFERED = re.compile(r"\[data-krds-mode=\"?theme\"?\]")


@dataclass(slots=True)
class Rule:
    selectors: list[str]
    declarations: list[tuple[str, str]]


@dataclass(slots=True)
class Block:
    """An at-rule with rules inside (`@media`, `@supports`), or with its text kept as it is (`@keyframes`)."""

    prelude: str
    children: list["Node"] = field(default_factory=list)
    text: str = ""


type Node = Rule | Block


def _split(text: str, separator: str) -> Iterator[str]:
    depth, quote, start = 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == separator and depth == 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _closing_brace(text: str, opening: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, opening):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    raise ValueError(f"a block opened at character {opening} is never closed")


def _declarations(body: str) -> list[tuple[str, str]]:
    pairs = (part.partition(":") for part in _split(body, ";") if part.strip())
    return [(name.strip(), _SPACE.sub(" ", value.strip())) for name, _colon, value in pairs]


def parse(css: str) -> list[Node]:
    """The rules of a style sheet in order. `@charset` and `@import` are left out: we put files together."""
    return _parse(_COMMENT.sub("", css))


def _parse(text: str) -> list[Node]:
    nodes: list[Node] = []
    position = 0
    while (opening := text.find("{", position)) != -1:
        closing = _closing_brace(text, opening)
        prelude = _SPACE.sub(" ", text[position:opening].rpartition(";")[2].strip())
        body = text[opening + 1 : closing]
        position = closing + 1
        if prelude.startswith(("@media", "@supports", "@layer")):
            nodes.append(Block(prelude, children=_parse(body)))
        elif prelude.startswith("@"):
            nodes.append(Block(prelude, text=_SPACE.sub(" ", body.strip())))
        else:
            nodes.append(Rule([part.strip() for part in _split(prelude, ",")], _declarations(body)))
    return nodes


def _can_match(selector: str, names: frozenset[str]) -> bool:
    if _UNOFFERED.search(selector):
        return False
    return all(name in names for name in _NAMES.findall(_NOT.sub("", selector)))


def _matching(nodes: Iterable[Node], names: frozenset[str]) -> list[Node]:
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Rule):
            selectors = [selector for selector in node.selectors if _can_match(selector, names)]
            # Every browser we support reads the unprefixed mask; the copies double each icon.
            declarations = [pair for pair in node.declarations if not pair[0].startswith("-webkit-mask")]
            if selectors and declarations:
                kept.append(Rule(selectors, declarations))
        elif node.text:
            kept.append(node)
        elif children := _matching(node.children, names):
            kept.append(Block(node.prelude, children))
    return kept


def _rules(nodes: Iterable[Node]) -> Iterator[Rule]:
    for node in nodes:
        if isinstance(node, Rule):
            yield node
        else:
            yield from _rules(node.children)


def _referenced_properties(nodes: list[Node]) -> set[str]:
    definitions: dict[str, set[str]] = {}
    waiting: set[str] = set()
    for rule in _rules(nodes):
        for name, value in rule.declarations:
            names = set(_VAR.findall(value))
            if name.startswith("--"):
                definitions.setdefault(name, set()).update(names)
            else:
                waiting |= names
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting |= definitions.get(name, set()) - reached
    return reached


def _without_properties(nodes: list[Node], referenced: set[str]) -> list[Node]:
    kept: list[Node] = []
    for node in nodes:
        if isinstance(node, Rule):
            pairs = [pair for pair in node.declarations if pair[0] in referenced or pair[0][:2] != "--"]
            if pairs:
                kept.append(Rule(node.selectors, pairs))
        elif node.text:
            kept.append(node)
        elif children := _without_properties(node.children, referenced):
            kept.append(Block(node.prelude, children))
    return kept


def _used_keyframes(nodes: list[Node]) -> list[Node]:
    values = " ".join(
        value for rule in _rules(nodes) for name, value in rule.declarations if name.startswith("animation")
    )
    words = set(re.findall(r"[\w-]+", values))
    return [
        node
        for node in nodes
        if not (isinstance(node, Block) and "keyframes" in node.prelude) or node.prelude.split()[-1] in words
    ]


def prune(nodes: list[Node], names: frozenset[str]) -> list[Node]:
    """What can match a page whose classes and ids are `names`, and the custom properties that it needs."""
    matching = _matching(nodes, names)
    return _used_keyframes(_without_properties(matching, _referenced_properties(matching)))


def undefined_properties(nodes: list[Node]) -> set[str]:
    """Custom properties referred to and defined nowhere, without a fallback or with one."""
    defined = {name for rule in _rules(nodes) for name, _value in rule.declarations}
    return _referenced_properties(nodes) - defined


def serialise(nodes: Iterable[Node], url: Callable[[str], str] = lambda address: address) -> str:
    """The style sheet without white space; `url` says what each address becomes."""
    parts: list[str] = []
    for node in nodes:
        if isinstance(node, Rule):
            body = ";".join(f"{name}:{value}" for name, value in node.declarations)
            body = _URL.sub(lambda match: f'url("{url(match.group(2))}")', body)
            parts.append(f"{','.join(node.selectors)}{{{body}}}")
        elif node.text:
            parts.append(f"{node.prelude}{{{node.text}}}")
        else:
            parts.append(f"{node.prelude}{{{serialise(node.children, url)}}}")
    return "".join(parts)
