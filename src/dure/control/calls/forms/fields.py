"""A form as values, read from JSON (docs/call-format.md) and written back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.utils.translation import gettext, pgettext_lazy

from dure.control.calls.forms.conditions import check_conditions
from dure.control.calls.reading import MAX_DEPTH, Fields, Reader, in_language
from dure.control.foundation.errors import Text

MAX_SECTIONS = 30
MAX_FIELDS = 150
MAX_LONG_TEXT = 50_000
MAX_WON = 10**12
MAX_FILES = 20
MAX_FILE_BYTES = 200 * 1024 * 1024
MAX_ROWS = 200

KINDS: Mapping[str, Text] = {
    "text": pgettext_lazy("kind of field", "short text"),
    "long_text": pgettext_lazy("kind of field", "long text"),
    "whole_number": pgettext_lazy("kind of field", "whole number"),
    "won": pgettext_lazy("kind of field", "amount in won"),
    "percentage": pgettext_lazy("kind of field", "percentage"),
    "date": pgettext_lazy("kind of field", "date"),
    "choice": pgettext_lazy("kind of field", "one of several"),
    "choices": pgettext_lazy("kind of field", "several of several"),
    "yes_no": pgettext_lazy("kind of field", "yes or no"),
    "consent": pgettext_lazy("kind of field", "consent"),
    "email": pgettext_lazy("kind of field", "e-mail address"),
    "url": pgettext_lazy("kind of field", "web address"),
    "phone": pgettext_lazy("kind of field", "telephone number"),
    "file": pgettext_lazy("kind of field", "files"),
    "budget": pgettext_lazy("kind of field", "budget by line"),
    "table": pgettext_lazy("kind of field", "table"),
    "people": pgettext_lazy("kind of field", "people taking part"),
}
COLUMN_KINDS = ("text", "whole_number", "won", "percentage", "date", "choice", "yes_no")
#: Which files may be asked for: what `foundation.files` finds by content.
FILE_TYPES = ("pdf", "docx", "xlsx", "pptx", "hwp", "hwpx", "odt", "ods", "png", "jpg", "txt", "csv", "zip")
CONDITIONS = ("is", "is_not", "in", "not_in", "at_least", "at_most", "answered")

#: What each kind may carry besides key, kind, label, help, required and when.
_LIMITS: Mapping[str, tuple[str, ...]] = {
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
    "file": ("types", "most_bytes", "least", "most"),
    "budget": ("lines", "least", "most"),
    "table": ("columns", "least", "most"),
    "people": ("roles", "least", "most"),
}


@dataclass(frozen=True, slots=True)
class Option:
    key: str
    label_ko: str
    label_en: str

    @property
    def label(self) -> str:
        return in_language(self.label_ko, self.label_en)


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """`key` is a budget line's of the programme where the call spends by line; limits in won and percent of the total."""

    key: str
    label_ko: str
    label_en: str
    most_won: int | None = None
    most_percent: int | None = None

    @property
    def label(self) -> str:
        return in_language(self.label_ko, self.label_en)


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    kind: str
    label_ko: str
    label_en: str
    required: bool = False
    options: tuple[Option, ...] = ()

    @property
    def label(self) -> str:
        return in_language(self.label_ko, self.label_en)


@dataclass(frozen=True, slots=True)
class Condition:
    """Shown only when the answer to `field` compares so."""

    field: str
    comparison: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Field:
    """One question. `least`, `most`: a value (number, won, percent), a total in won (budget), else how many there may be."""

    key: str
    kind: str
    label_ko: str
    label_en: str
    help_ko: str = ""
    help_en: str = ""
    required: bool = False
    when: tuple[Condition, ...] = ()
    least: int | None = None
    most: int | None = None
    least_length: int | None = None
    most_length: int | None = None
    first: date | None = None
    last: date | None = None
    options: tuple[Option, ...] = ()
    lines: tuple[BudgetLine, ...] = ()
    columns: tuple[Column, ...] = ()
    types: tuple[str, ...] = ()
    most_bytes: int | None = None
    statement_ko: str = ""
    statement_en: str = ""
    placeholder_ko: str = ""
    placeholder_en: str = ""
    unit_ko: str = ""
    unit_en: str = ""

    @property
    def label(self) -> str:
        return in_language(self.label_ko, self.label_en)

    @property
    def help(self) -> str:
        return in_language(self.help_ko, self.help_en)

    @property
    def statement(self) -> str:
        return in_language(self.statement_ko, self.statement_en)

    @property
    def placeholder(self) -> str:
        return in_language(self.placeholder_ko, self.placeholder_en)

    @property
    def unit(self) -> str:
        return in_language(self.unit_ko, self.unit_en)


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title_ko: str
    title_en: str
    text_ko: str = ""
    text_en: str = ""
    fields: tuple[Field, ...] = ()

    @property
    def title(self) -> str:
        return in_language(self.title_ko, self.title_en)

    @property
    def text(self) -> str:
        return in_language(self.text_ko, self.text_en)


@dataclass(frozen=True, slots=True)
class Form:
    sections: tuple[Section, ...]
    _index: dict[str, Field] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._index.update({one.key: one for section in self.sections for one in section.fields})

    @property
    def fields(self) -> Iterator[Field]:
        return (one for section in self.sections for one in section.fields)

    def field(self, key: str) -> Field | None:
        return self._index.get(key)

    def section(self, key: str) -> Section | None:
        return next((one for one in self.sections if one.key == key), None)


def kind_name(kind: str) -> str:
    return str(KINDS[kind])


def parse(data: Any) -> Form:
    """Raises `Malformed` (`form_malformed`) with paths. An empty form has no sections."""
    reader = Reader()
    root = reader.mapping({} if data is None else data, "", ("sections",))
    sections: tuple[Section, ...] = ()
    if root is not None:
        sections = root.items("sections", lambda item, path: _section(reader, item, path), most=MAX_SECTIONS)
        reader.no_repeats([(section.key, f"sections[{index}]") for index, section in enumerate(sections)])
        placed = [
            (one, f"sections[{index}].fields[{number}]")
            for index, section in enumerate(sections)
            for number, one in enumerate(section.fields)
        ]
        reader.no_repeats([(one.key, path) for one, path in placed])
        if len(placed) > MAX_FIELDS:
            reader.note("sections", gettext("At most %(most)s fields, please.") % {"most": MAX_FIELDS})
        check_conditions(reader, placed)
    reader.finish("form_malformed")
    return Form(sections)


def _section(reader: Reader, data: Any, path: str) -> Section | None:
    fields = reader.mapping(data, path, ("key", "title", "text", "fields"))
    if fields is None:
        return None
    key = fields.key()
    title_ko, title_en = fields.words("title", required=True)
    text_ko, text_en = fields.words("text", most=2_000)
    inside = fields.items("fields", lambda item, at: _field(reader, item, at), most=10 * MAX_FIELDS)
    return Section(key, title_ko, title_en, text_ko, text_en, inside)


_COMMON = ("key", "kind", "label", "help", "required", "when")


def _field(reader: Reader, data: Any, path: str) -> Field | None:
    kind = data.get("kind") if isinstance(data, Mapping) else None
    limits = _LIMITS.get(kind, ()) if isinstance(kind, str) else ()
    known = (
        (*_COMMON, *limits)
        if limits or kind in _LIMITS
        else (*_COMMON, *dict.fromkeys(sum(_LIMITS.values(), ())))
    )
    fields = reader.mapping(data, path, known)
    if fields is None:
        return None
    key = fields.key()
    kind = fields.choice("kind", KINDS)
    label_ko, label_en = fields.words("label", required=True, most=300)
    help_ko, help_en = fields.words("help", most=2_000)
    if not kind:
        return None
    statement, placeholder, unit = (
        fields.words("statement", required=kind == "consent", most=4_000)
        if "statement" in limits
        else ("", ""),
        fields.words("placeholder") if "placeholder" in limits else ("", ""),
        fields.words("unit", most=40) if "unit" in limits else ("", ""),
    )
    least, most = _bounds(fields, kind) if "most" in limits else (None, None)
    lengths = _lengths(fields, kind) if "most_length" in limits else (None, None)
    first, last = (fields.day("first"), fields.day("last")) if kind == "date" else (None, None)
    if first and last and first > last:
        fields.note("last", gettext("The least is more than the most."))
    return Field(
        key=key,
        kind=kind,
        label_ko=label_ko,
        label_en=label_en,
        help_ko=help_ko,
        help_en=help_en,
        required=fields.flag("required"),
        when=_conditions(fields),
        least=least,
        most=most,
        least_length=lengths[0],
        most_length=lengths[1],
        first=first,
        last=last,
        options=_options(fields, "roles" if kind == "people" else "options", required=kind in {"choice", "choices"})
        if {"options", "roles"} & set(limits)
        else (),
        lines=_lines(fields) if kind == "budget" else (),
        columns=_columns(fields) if kind == "table" else (),
        types=_types(fields) if kind == "file" else (),
        most_bytes=fields.integer("most_bytes", least=1, most=MAX_FILE_BYTES) if kind == "file" else None,
        statement_ko=statement[0],
        statement_en=statement[1],
        placeholder_ko=placeholder[0],
        placeholder_en=placeholder[1],
        unit_ko=unit[0],
        unit_en=unit[1],
    )  # fmt: skip


def _bounds(fields: Fields, kind: str) -> tuple[int | None, int | None]:
    lowest = -MAX_WON if kind == "whole_number" else 0
    highest = {
        "whole_number": MAX_WON,
        "won": MAX_WON,
        "budget": MAX_WON,
        "percentage": 100,
        "file": MAX_FILES,
    }.get(kind, MAX_ROWS)
    least = fields.integer("least", least=lowest, most=highest)
    most = fields.integer("most", least=lowest, most=highest)
    if least is not None and most is not None and least > most:
        fields.note("most", gettext("The least is more than the most."))
    return least, most


def _lengths(fields: Fields, kind: str) -> tuple[int | None, int | None]:
    highest = MAX_LONG_TEXT if kind == "long_text" else 500
    least = fields.integer("least_length", least=1, most=highest)
    most = fields.integer("most_length", least=1, most=highest)
    if least is not None and most is not None and least > most:
        fields.note("most_length", gettext("The least is more than the most."))
    return least, most


def _options(fields: Fields, name: str, *, required: bool) -> tuple[Option, ...]:
    if required:
        fields.require(name)

    def read(item: Any, path: str) -> Option | None:
        inside = fields.reader.mapping(item, path, ("key", "label"))
        return Option(inside.key(), *inside.words("label", required=True)) if inside else None

    found = fields.items(name, read, most=100)
    if required and name in fields and not found:
        fields.note(name, gettext("Name at least one value."))
    fields.reader.no_repeats([(one.key, f"{fields.at(name)}[{index}]") for index, one in enumerate(found)])
    return found


def _lines(fields: Fields) -> tuple[BudgetLine, ...]:
    fields.require("lines")

    def read(item: Any, path: str) -> BudgetLine | None:
        inside = fields.reader.mapping(item, path, ("key", "label", "most_won", "most_percent"))
        if inside is None:
            return None
        return BudgetLine(
            inside.key(),
            *inside.words("label", required=True),
            most_won=inside.integer("most_won", least=0, most=MAX_WON),
            most_percent=inside.integer("most_percent", least=0, most=100),
        )

    found = fields.items("lines", read, most=50)
    if "lines" in fields and not found:
        fields.note("lines", gettext("Name at least one value."))
    fields.reader.no_repeats([(one.key, f"{fields.at('lines')}[{index}]") for index, one in enumerate(found)])
    return found


def _columns(fields: Fields) -> tuple[Column, ...]:
    fields.require("columns")

    def read(item: Any, path: str) -> Column | None:
        inside = fields.reader.mapping(item, path, ("key", "kind", "label", "required", "options"))
        if inside is None:
            return None
        kind = inside.choice("kind", COLUMN_KINDS)
        key = inside.key()
        label_ko, label_en = inside.words("label", required=True)
        options = _options(inside, "options", required=True) if kind == "choice" else ()
        return Column(key, kind, label_ko, label_en, inside.flag("required"), options)

    found = fields.items("columns", read, most=12)
    if "columns" in fields and not found:
        fields.note("columns", gettext("Name at least one value."))
    fields.reader.no_repeats(
        [(one.key, f"{fields.at('columns')}[{index}]") for index, one in enumerate(found)]
    )
    return found


def _types(fields: Fields) -> tuple[str, ...]:
    def read(item: Any, path: str) -> str | None:
        if isinstance(item, str) and item in FILE_TYPES:
            return item
        fields.reader.note(
            path,
            gettext("“%(value)s” is not known here.") % {"value": str(item)[:60]},
            gettext("Known: %(options)s.") % {"options": ", ".join(FILE_TYPES)},
        )
        return None

    return fields.items("types", read, most=len(FILE_TYPES))


def _conditions(fields: Fields) -> tuple[Condition, ...]:
    """One condition, or a list of which all must hold."""
    if "when" not in fields:
        return ()
    data = fields.values["when"]
    if isinstance(data, Mapping):
        one = _condition(fields.reader, data, fields.at("when"))
        return (one,) if one else ()
    return fields.items("when", lambda item, path: _condition(fields.reader, item, path), most=MAX_DEPTH)


def _condition(reader: Reader, data: Any, path: str) -> Condition | None:
    fields = reader.mapping(data, path, ("field", "comparison", "value"))
    if fields is None:
        return None
    key = fields.key("field")
    comparison = fields.choice("comparison", CONDITIONS)
    if not comparison or (comparison != "answered" and "value" not in fields.values):
        if comparison:
            fields.require("value")
        return None
    value = fields.values.get("value")
    listed = comparison in {"in", "not_in"}
    if listed != isinstance(value, list | tuple):
        fields.note(
            "value", gettext("Expected a list here.") if listed else gettext("Expected one value here.")
        )
        return None
    return Condition(key, comparison, tuple(value) if isinstance(value, list | tuple) else value)
