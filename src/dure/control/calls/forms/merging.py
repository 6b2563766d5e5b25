"""Two people wrote at the same time: both texts become one, and what anybody added is never lost.

A three-way merge (diff3): edits of both sides to what they both started from are joined where they do not
touch, first by lines, then by words. Where they do touch, both versions stay, each between ⟦ and ⟧, and the
merge says so. The saved version comes first, so that the same three texts always merge to the same one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from dure.control.calls.forms.fields import Field

OPEN, CLOSE = "⟦", "⟧"
#: Pairs of pieces that are compared at most; beyond it a changed stretch counts as rewritten as a whole.
MAX_PAIRS = 1_000_000

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_WORDS = re.compile(r"\n|[^\S\n]+|\S+")


@dataclass(frozen=True, slots=True)
class Conflict:
    """Both changed the same stretch; empty text: that side removed it."""

    base: str
    mine: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Merged:
    text: str
    conflicts: tuple[Conflict, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.conflicts


@dataclass(frozen=True, slots=True)
class MergedAnswer:
    """`clean` is False where a person has to look: text holds marks, a list has both rows, or `value` is mine
    and `theirs` the saved one that it would replace."""

    value: Any
    clean: bool = True
    theirs: Any = None


@dataclass(slots=True)
class _Output:
    pieces: list[str] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)


def merge_text(base: str, mine: str, theirs: str) -> Merged:
    """`base` is what both started from, `theirs` what is saved now, `mine` what is to be saved."""
    base, mine, theirs = (text.replace("\r\n", "\n") for text in (base, mine, theirs))
    if theirs in (mine, base):
        return Merged(mine)
    if mine == base:
        return Merged(theirs)
    output = _Output()
    _merge(_split(_LINES, base), _split(_LINES, mine), _split(_LINES, theirs), output, _by_words)
    return Merged("".join(output.pieces), tuple(output.conflicts))


def _split(pattern: re.Pattern[str], text: str) -> list[str]:
    return pattern.findall(text)


type _Edit = tuple[int, int, list[Any]]
type _Settle = Callable[[list[str], list[str], list[str], _Output], None]


def _edits(base: Sequence[Any], other: Sequence[Any]) -> list[_Edit]:
    """(from, to, what stands there now) for each stretch of `base` that `other` changed."""
    head = 0
    while head < min(len(base), len(other)) and base[head] == other[head]:
        head += 1
    tail = 0
    while tail < min(len(base), len(other)) - head and base[-1 - tail] == other[-1 - tail]:
        tail += 1
    old, new = base[head : len(base) - tail], other[head : len(other) - tail]
    if not old and not new:
        return []
    if len(old) * len(new) > MAX_PAIRS:
        return [(head, head + len(old), list(new))]
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [
        (head + low, head + high, list(new[start:end]))
        for tag, low, high, start, end in codes
        if tag != "equal"
    ]


def _groups(mine: list[_Edit], theirs: list[_Edit]) -> list[tuple[int, int, list[_Edit], list[_Edit]]]:
    """Edits that touch the same stretch, together: (from, to, mine, theirs), in order."""
    waiting = sorted([(*edit[:2], 0, edit) for edit in theirs] + [(*edit[:2], 1, edit) for edit in mine])
    groups: list[tuple[int, int, list[_Edit], list[_Edit]]] = []
    for low, high, side, edit in waiting:
        if groups:
            begin, end, mine_here, theirs_here = groups[-1]
            same_place = low == high == begin == end
            if low < end or same_place:
                (mine_here if side else theirs_here).append(edit)
                groups[-1] = (begin, max(end, high), mine_here, theirs_here)
                continue
        groups.append((low, high, [edit] if side else [], [] if side else [edit]))
    return groups


def _applied(base: Sequence[Any], low: int, high: int, edits: list[_Edit]) -> list[Any]:
    pieces: list[Any] = []
    for begin, end, new in edits:
        pieces += [*base[low:begin], *new]
        low = end
    return [*pieces, *base[low:high]]


def _merge(base: list[str], mine: list[str], theirs: list[str], output: _Output, settle: _Settle) -> None:
    reached = 0
    for low, high, mine_here, theirs_here in _groups(_edits(base, mine), _edits(base, theirs)):
        output.pieces += base[reached:low]
        reached = high
        left, right = _applied(base, low, high, mine_here), _applied(base, low, high, theirs_here)
        if not theirs_here or left == right:
            output.pieces += left
        elif not mine_here:
            output.pieces += right
        else:
            settle(base[low:high], left, right, output)
    output.pieces += base[reached:]


def _by_words(base: list[str], mine: list[str], theirs: list[str], output: _Output) -> None:
    if not base:
        _settle("", "".join(mine), "".join(theirs), output)
        return
    texts = ("".join(base), "".join(mine), "".join(theirs))
    _merge(*(_split(_WORDS, text) for text in texts), output, _by_nothing_smaller)  # type: ignore[call-arg, arg-type]


def _by_nothing_smaller(base: list[str], mine: list[str], theirs: list[str], output: _Output) -> None:
    _settle("".join(base), "".join(mine), "".join(theirs), output)


def _settle(base: str, mine: str, theirs: str, output: _Output) -> None:
    """Both changed this stretch. Only lines that both added in one place can stand there without marks."""
    if not base and mine.startswith(theirs):
        output.pieces.append(mine)
    elif not base and theirs.startswith(mine):
        output.pieces.append(theirs)
    elif not base and _are_lines(mine) and _are_lines(theirs):
        output.pieces += [theirs, mine]
    else:
        output.pieces += [f"{OPEN}{text}{CLOSE}" for text in (theirs, mine) if text]
        output.conflicts.append(Conflict(base, mine, theirs))


def _are_lines(text: str) -> bool:
    return text.startswith("\n") or text.endswith("\n")


def merge_answer(one: Field, base: Any, mine: Any, theirs: Any) -> MergedAnswer:
    """The same for any answer: text is merged as text, lists by their rows; of two single values mine is taken."""
    if theirs in (mine, base):
        return MergedAnswer(mine)
    if mine == base:
        return MergedAnswer(theirs)
    if one.kind in {"text", "long_text"} and all(
        isinstance(text, str | None) for text in (base, mine, theirs)
    ):
        merged = merge_text(base or "", mine or "", theirs or "")
        return MergedAnswer(merged.text, merged.clean)
    rows: list[list[Any]] = []
    for value in (base, mine, theirs):
        if value is not None and not isinstance(value, list):
            return MergedAnswer(mine, clean=False, theirs=theirs)
        rows.append(value or [])
    old, left, right = rows
    if one.kind in {"choices", "file"}:
        return MergedAnswer(_as_set(old, left, right))
    return _merge_rows(old, left, right)


def _as_set(base: list[Any], mine: list[Any], theirs: list[Any]) -> list[Any]:
    """What is saved, less what I took away, and what I added; nothing here can conflict."""
    kept = [item for item in theirs if item in mine or item not in base]
    return kept + [item for item in mine if item not in kept and item not in base]


def _merge_rows(base: list[Any], mine: list[Any], theirs: list[Any]) -> MergedAnswer:
    found: list[Any] = []
    clean, reached = True, 0
    old, left, right = ([_comparable(row) for row in rows] for rows in (base, mine, theirs))
    values = {_comparable(row): row for row in (*base, *mine, *theirs)}
    for low, high, mine_here, theirs_here in _groups(_edits(old, left), _edits(old, right)):
        found += old[reached:low]
        reached = high
        ours, others = _applied(old, low, high, mine_here), _applied(old, low, high, theirs_here)
        if not theirs_here or ours == others:
            found += ours
        elif not mine_here:
            found += others
        else:
            clean = clean and low == high
            found += others + [row for row in ours if row not in others]
    found += old[reached:]
    return MergedAnswer([values[row] for row in found], clean)


def _comparable(row: Any) -> str:
    return repr(sorted(row.items(), key=repr)) if isinstance(row, dict) else repr(row)
