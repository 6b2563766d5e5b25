"""Reading YAML so that every mistake is named by line, column, field and remedy, all at once.

`yaml.safe_load` forgets where a value stood, lets the later of two equal keys win and turns `no` into
false. Here the nodes themselves are read: each value is asked for by the type it must have, and what
does not fit is noted as a `Problem` while reading goes on. Anchors and aliases are refused, which
makes a document a tree and its size a bound on the work.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from io import StringIO
from typing import Any

import yaml
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dure.control.foundation import clock

MAX_BYTES = 1_048_576
MAX_DEPTH = 20
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"^[+-]?\d[\d_]*$")
_DECIMAL = re.compile(r"^[+-]?\d[\d_]*(\.\d+)?$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its path, and line and column (from 1) where there is a text."""

    path: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    place: Place
    message: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "line": self.place.line,
            "column": self.place.column,
            "field": self.place.path,
            "message": self.message,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        where = f"{self.place.line}:{self.place.column}: " if self.place.line else ""
        field_name = f"{self.place.path}: " if self.place.path else ""
        return f"{where}{field_name}{self.message}" + (f" {self.remedy}" if self.remedy else "")


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@dataclass(slots=True)
class Reader:
    """Collects problems while a document is read."""

    problems: list[Problem] = field(default_factory=list)

    def note(self, place: Place, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(place, message, remedy))

    def root(self, document: str | bytes | Mapping[str, Any]) -> Node | None:
        """The document's root node, or None when there is no reading it at all."""
        if isinstance(document, Mapping):
            return self._from_values(document)
        text = self._decoded(document)
        if text is None or not self._is_plain_tree(text):
            return None
        try:
            node = yaml.compose(text, Loader=_Loader)
        except yaml.YAMLError as error:
            self._syntax(error)
            return None
        if node is None:
            self.note(Place("", 1, 1), _("The document is empty."))
        return node

    def mapping(self, node: Node, path: str, known: Collection[str]) -> "Fields | None":
        """The fields of a mapping; unknown and repeated ones are noted and left out."""
        if not isinstance(node, MappingNode):
            self.note(place_of(node, path), _("Expected fields, got %(kind)s.") % {"kind": kind_of(node)})
            return None
        fields: dict[str, Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else "?"
            inside = f"{path}.{name}" if path else name
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                remedy = (
                    _("Did you mean “%(name)s”?") % {"name": close[0]}
                    if close
                    else _("Known fields: %(names)s.") % {"names": ", ".join(known)}
                )
                self.note(place_of(key, inside), _("There is no such field."), remedy)
            elif name in fields:
                self.note(place_of(key, inside), _("This field is given twice."), _("Keep one of them."))
            else:
                fields[name] = value
        return Fields(self, node, path, fields)

    def sequence(self, node: Node, path: str) -> list[tuple[Node, str]]:
        """The items of a list with their paths."""
        if not isinstance(node, SequenceNode):
            self.note(
                place_of(node, path),
                _("Expected a list, got %(kind)s.") % {"kind": kind_of(node)},
                _("Start each item on a line of its own with “- ”."),
            )
            return []
        return [(item, f"{path}[{index}]") for index, item in enumerate(node.value)]

    def _from_values(self, values: Mapping[str, Any]) -> Node | None:
        try:
            node: Node = _Plain(StringIO()).represent_data(dict(values))
        except (yaml.YAMLError, RecursionError):
            self.note(
                Place(""), _("The document holds values that are neither text, number, list nor fields.")
            )
            return None
        return node

    def _decoded(self, document: str | bytes) -> str | None:
        try:
            size = len(document.encode()) if isinstance(document, str) else len(document)
        except UnicodeEncodeError:
            self.note(Place("", 1, 1), _("This is not UTF-8 text."), _("Save the file as UTF-8."))
            return None
        if size > MAX_BYTES:
            self.note(
                Place("", 1, 1),
                _("The document has %(size)s bytes; the most is %(most)s.")
                % {"size": f"{size:,}", "most": f"{MAX_BYTES:,}"},
                _("Split it into several files."),
            )
            return None
        if isinstance(document, str):
            return document
        try:
            return document.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = document.count(b"\n", 0, error.start) + 1
            self.note(Place("", line, 1), _("This is not UTF-8 text."), _("Save the file as UTF-8."))
            return None

    def _is_plain_tree(self, text: str) -> bool:
        depth = 0
        try:
            for event in yaml.parse(text, Loader=_Loader):
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                    self.note(
                        _marked(event.start_mark, ""),
                        _("Anchors (&) and aliases (*) are not accepted."),
                        _("Write the value out where it is needed, and quote text that starts with & or *."),
                    )
                    return False
                if getattr(event, "tag", None):
                    self.note(
                        _marked(event.start_mark, ""),
                        _("Tags (!) are not accepted."),
                        _("Leave the tag away, and quote text that starts with !."),
                    )
                    return False
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                elif isinstance(event, yaml.CollectionEndEvent):
                    depth -= 1
                if depth > MAX_DEPTH:
                    self.note(_marked(event.start_mark, ""), _("The document is nested too deeply."))
                    return False
        except yaml.YAMLError as error:
            self._syntax(error)
            return False
        return True

    def _syntax(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None)
        problem = " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", error)).split())
        place = _marked(mark, "") if mark else Place("", 1, 1)
        self.note(
            place,
            _("This is not valid YAML: %(problem)s.") % {"problem": problem},
            _("Check the indentation and the quotes around this line."),
        )


def _marked(mark: Any, path: str) -> Place:
    return Place(path, mark.line + 1, mark.column + 1)


def place_of(node: Node, path: str) -> Place:
    return _marked(node.start_mark, path) if node.start_mark else Place(path)


def kind_of(node: Node) -> str:
    """What a node is, in words a writer of YAML knows."""
    if isinstance(node, MappingNode):
        return pgettext("kind of value", "fields")
    if isinstance(node, SequenceNode):
        return pgettext("kind of value", "a list")
    return {
        "str": pgettext("kind of value", "text"),
        "int": pgettext("kind of value", "a number"),
        "float": pgettext("kind of value", "a number"),
        "bool": pgettext("kind of value", "yes or no"),
        "null": pgettext("kind of value", "nothing"),
        "timestamp": pgettext("kind of value", "a date"),
    }.get(node.tag.removeprefix(_TAG), pgettext("kind of value", "something else"))


def _tag(node: Node) -> str:
    return node.tag.removeprefix(_TAG) if isinstance(node, ScalarNode) else ""


@dataclass(slots=True)
class Fields:
    """The fields of one mapping. A method answers a value of its type, or notes why and the default."""

    reader: Reader
    node: Node
    path: str
    fields: dict[str, Node]

    @property
    def place(self) -> Place:
        return place_of(self.node, self.path)

    def place_at(self, name: str) -> Place:
        """Where a field stands; where it should stand when it is not there."""
        inside = f"{self.path}.{name}" if self.path else name
        return place_of(self.fields.get(name, self.node), inside)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def note(self, name: str, message: str, remedy: str = "") -> None:
        self.reader.note(self.place_at(name), message, remedy)

    def require(self, name: str, example: str = "") -> bool:
        if name in self.fields:
            return True
        self.note(
            name,
            _("This field is missing."),
            _("Write it like “%(name)s: %(example)s”.") % {"name": name, "example": example}
            if example
            else "",
        )
        return False

    def text(
        self,
        name: str,
        *,
        default: str = "",
        required: bool = False,
        most: int = 200,
        pattern: re.Pattern[str] | None = None,
        shape: str = "",
        example: str = "",
    ) -> str:
        node = self._field(name, required, example)
        if node is None:
            return default
        if _tag(node) != "str":
            self.note(
                name,
                _("Expected text, got %(kind)s.") % {"kind": kind_of(node)},
                _("Put it in quotes.") if isinstance(node, ScalarNode) and node.value else "",
            )
            return default
        value: str = node.value.strip()
        if required and not value:
            self.note(name, _("This field is empty."))
        elif len(value) > most:
            self.note(name, _("At most %(most)s characters, please.") % {"most": most})
        elif any(ord(character) < 32 and character not in "\n\t" for character in value):
            self.note(name, _("Control characters are not accepted."))
        elif pattern and value and not pattern.fullmatch(value):
            self.note(name, _("“%(value)s” does not fit.") % {"value": value}, shape)
        else:
            return value
        return default

    def integer(
        self, name: str, *, default: int = 0, required: bool = False, least: int, most: int, example: str = ""
    ) -> int:
        node = self._field(name, required, example)
        if node is None:
            return default
        digits = node.value if isinstance(node, ScalarNode) else ""
        if _tag(node) != "int" or not _WHOLE.match(digits):
            self.note(name, _("Expected a whole number, got %(got)s.") % {"got": digits or kind_of(node)})
            return default
        value = int(digits.replace("_", "")) if len(digits) < 40 else most + 1
        if not least <= value <= most:
            self.note(
                name,
                _("%(value)s is out of range.") % {"value": digits[:40]},
                _("Write a whole number from %(least)s to %(most)s.")
                % {"least": f"{least:,}", "most": f"{most:,}"},
            )
            return default
        return value

    def decimal(self, name: str, *, places: int, most: int) -> Decimal | None:
        """A decimal number, exactly as written, from zero to `most` with at most `places` decimals."""
        node = self.fields[name]
        digits = node.value.strip() if isinstance(node, ScalarNode) else ""
        if _tag(node) not in {"int", "float", "str"} or not _DECIMAL.match(digits) or len(digits) > 60:
            got = digits[:60] or kind_of(node)
            self.note(
                name,
                _("Expected a number, got %(got)s.") % {"got": got},
                _("Write it with digits and a point, like 120 or 0.25."),
            )
            return None
        value = Decimal(digits.replace("_", ""))
        if value < 0:
            self.note(
                name, _("%(value)s is less than zero.") % {"value": digits}, _("Write 0 if it is free.")
            )
        elif value > most:
            self.note(name, _("%(value)s is more than %(most)s.") % {"value": digits, "most": f"{most:,}"})
        elif -int(value.normalize().as_tuple().exponent) > places:
            self.note(
                name,
                _("%(value)s has more than %(places)s decimals.") % {"value": digits, "places": places},
                _("A price is at finest a millionth of a won."),
            )
        else:
            return value
        return None

    def choice[T: str](self, name: str, options: Sequence[T], *, default: T) -> T:
        node = self.fields.get(name)
        if node is None:
            return default
        return self._one_of(node, self.place_at(name), options) or default

    def choices[T: str](self, name: str, options: Sequence[T], *, default: tuple[T, ...]) -> tuple[T, ...]:
        node = self.fields.get(name)
        if node is None:
            return default
        chosen: list[T] = []
        for item, path in self.reader.sequence(node, self.place_at(name).path):
            option = self._one_of(item, place_of(item, path), options)
            if option in chosen:
                self.reader.note(place_of(item, path), _("This is given twice."), _("Keep one of them."))
            elif option:
                chosen.append(option)
        if isinstance(node, SequenceNode) and not node.value:
            self.note(name, _("Name at least one of: %(options)s.") % {"options": ", ".join(options)})
        return tuple(chosen) or default

    def moment(self, name: str) -> datetime | None:
        """A date or a time; without an offset it is Seoul's, and a date is its midnight."""
        node = self.fields[name]
        text = node.value.strip() if isinstance(node, ScalarNode) else ""
        try:
            if len(text) == 10:
                return datetime.combine(date.fromisoformat(text), time(), clock.SEOUL)
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=clock.SEOUL)
        except ValueError:
            self.note(
                name,
                _("Expected a date, got %(got)s.") % {"got": text[:60] or kind_of(node)},
                _("Write it like 2027-01-01 (midnight in Seoul) or 2027-01-01T09:00:00+09:00."),
            )
            return None

    def inner(self, name: str, known: Collection[str]) -> "Fields | None":
        node = self.fields.get(name)
        return None if node is None else self.reader.mapping(node, self.place_at(name).path, known)

    def items[T](self, name: str, read: Callable[[Node, str], T | None]) -> tuple[T, ...] | None:
        """What `read` makes of each item of a list; None when the field is not there."""
        node = self.fields.get(name)
        if node is None:
            return None
        found = (read(item, path) for item, path in self.reader.sequence(node, self.place_at(name).path))
        return tuple(value for value in found if value is not None)

    def _field(self, name: str, required: bool, example: str) -> Node | None:
        if required and not self.require(name, example):
            return None
        return self.fields.get(name)

    def _one_of[T: str](self, node: Node, place: Place, options: Sequence[T]) -> T | None:
        value = node.value if isinstance(node, ScalarNode) else kind_of(node)
        for option in options:
            if value == option and _tag(node) == "str":
                return option
        close = difflib.get_close_matches(value, options, n=1)
        self.reader.note(
            place,
            _("“%(value)s” is not known here.") % {"value": value[:60]},
            _("Did you mean “%(name)s”?") % {"name": close[0]}
            if close
            else _("Known: %(options)s.") % {"options": ", ".join(options)},
        )
        return None
