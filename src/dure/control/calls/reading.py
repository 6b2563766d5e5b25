"""Reading the JSON of a call (docs/call-format.md): values out, every mistake named by its path.

A path is how a program would reach the value: `sections[0].fields[2].label.ko`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from django.utils.translation import get_language, gettext

from dure.control.foundation.clock import SEOUL
from dure.control.foundation.errors import Invalid

KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
MAX_DEPTH = 12
MAX_INTEGER = 2**63 - 1


def in_language(korean: str, english: str) -> str:
    """The text in the reader's language; one that is missing borrows the other."""
    return (korean or english) if (get_language() or "ko").startswith("ko") else (english or korean)


@dataclass(frozen=True, slots=True)
class Mistake:
    path: str
    message: str
    remedy: str = ""


class Malformed(Invalid):
    """The JSON cannot be read. `field` is the path of the first mistake, `data["mistakes"]` has them all."""

    def __init__(self, code: str, mistakes: Sequence[Mistake]) -> None:
        first = mistakes[0]
        message = f"{first.path}: {first.message}" if first.path else first.message
        every = [{"path": one.path, "message": one.message, "remedy": one.remedy} for one in mistakes]
        super().__init__(code, message, field=first.path, remedy=first.remedy, data={"mistakes": every})
        self.mistakes = tuple(mistakes)


@dataclass(slots=True)
class Reader:
    mistakes: list[Mistake] = field(default_factory=list)

    def note(self, path: str, message: str, remedy: str = "") -> None:
        self.mistakes.append(Mistake(path, message, remedy))

    def finish(self, code: str) -> None:
        if self.mistakes:
            raise Malformed(code, self.mistakes)

    def mapping(self, value: Any, path: str, known: Collection[str]) -> "Fields | None":
        if not isinstance(value, Mapping):
            self.note(path, gettext("Expected fields with names here."))
            return None
        for name in value:
            if name not in known:
                close = get_close_matches(str(name), list(known), n=1)
                self.note(
                    join(path, str(name)[:60]),
                    gettext("This field is not known."),
                    gettext("Did you mean “%(name)s”?") % {"name": close[0]}
                    if close
                    else gettext("Known: %(options)s.") % {"options": ", ".join(sorted(known))},
                )
        return Fields(self, {str(name): inside for name, inside in value.items()}, path)

    def sequence(self, value: Any, path: str, *, most: int) -> Iterator[tuple[Any, str]]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            self.note(path, gettext("Expected a list here."))
            return
        if len(value) > most:
            self.note(path, gettext("At most %(most)s, please.") % {"most": most})
            return
        for index, item in enumerate(value):
            yield item, f"{path}[{index}]"

    def no_repeats(self, named: Sequence[tuple[str, str]]) -> None:
        """`named` holds (key, path of its holder)."""
        seen: set[str] = set()
        for key, path in named:
            if key in seen:
                self.note(f"{path}.key", gettext("“%(name)s” is given twice.") % {"name": key})
            seen.add(key)


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@dataclass(slots=True)
class Fields:
    """The fields of one mapping. A method answers a value of its type, or notes the mistake and answers a default."""

    reader: Reader
    values: Mapping[str, Any]
    path: str

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def at(self, name: str) -> str:
        return join(self.path, name)

    def note(self, name: str, message: str, remedy: str = "") -> None:
        self.reader.note(self.at(name), message, remedy)

    def require(self, name: str) -> bool:
        if name in self:
            return True
        self.note(name, gettext("This field is missing."))
        return False

    def key(self, name: str = "key") -> str:
        value = self.text(name, required=True, most=63)
        if value and not KEY.fullmatch(value):
            self.note(
                name,
                gettext("“%(value)s” cannot be a key.") % {"value": value},
                gettext("Use small letters, digits and _, beginning with a letter."),
            )
        return value

    def text(self, name: str, *, required: bool = False, most: int = 200, default: str = "") -> str:
        if (required and not self.require(name)) or name not in self:
            return default
        value = self.values[name]
        if not isinstance(value, str):
            self.note(name, gettext("Expected text here."))
        elif len(value) > most:
            self.note(name, gettext("At most %(most)s characters, please.") % {"most": most})
        elif any(ord(character) < 32 and character not in "\n\t" for character in value):
            self.note(name, gettext("Control characters are not accepted."))
        elif required and not value.strip():
            self.note(name, gettext("This field is empty."))
        else:
            return value.strip()
        return default

    def words(self, name: str, *, required: bool = False, most: int = 200) -> tuple[str, str]:
        """(Korean, English); plain text stands for both."""
        if (required and not self.require(name)) or name not in self:
            return "", ""
        if isinstance(self.values[name], str):
            text = self.text(name, required=required, most=most)
            return text, text
        both = self.reader.mapping(self.values[name], self.at(name), ("ko", "en"))
        if both is None:
            return "", ""
        before = len(self.reader.mistakes)
        korean, english = both.text("ko", most=most), both.text("en", most=most)
        if required and not (korean or english) and len(self.reader.mistakes) == before:
            self.note(name, gettext("This field is empty."))
        return korean or english, english or korean

    def integer(
        self,
        name: str,
        *,
        least: int = 0,
        most: int = MAX_INTEGER,
        required: bool = False,
        default: int | None = None,
    ) -> int | None:
        if (required and not self.require(name)) or name not in self:
            return default
        value = self.values[name]
        if isinstance(value, bool) or not isinstance(value, int):
            self.note(name, gettext("Expected a whole number here."))
        elif not least <= value <= most:
            self.note(
                name,
                gettext("Write a whole number from %(least)s to %(most)s.")
                % {"least": f"{least:,}", "most": f"{most:,}"},
            )
        else:
            return value
        return default

    def flag(self, name: str, *, default: bool = False) -> bool:
        if name not in self:
            return default
        if not isinstance(self.values[name], bool):
            self.note(name, gettext("Expected yes or no (true or false) here."))
            return default
        return bool(self.values[name])

    def choice(self, name: str, options: Collection[str], *, required: bool = True, default: str = "") -> str:
        if (required and not self.require(name)) or name not in self:
            return default
        value = self.values[name]
        if isinstance(value, str) and value in options:
            return value
        close = get_close_matches(str(value), list(options), n=1)
        self.note(
            name,
            gettext("“%(value)s” is not known here.") % {"value": str(value)[:60]},
            gettext("Did you mean “%(name)s”?") % {"name": close[0]}
            if close
            else gettext("Known: %(options)s.") % {"options": ", ".join(options)},
        )
        return default

    def day(self, name: str) -> date | None:
        if name not in self:
            return None
        found = as_day(self.values[name])
        if found is None:
            self.note(name, gettext("Expected a date like 2027-01-31 here."))
        return found

    def moment(self, name: str) -> datetime | None:
        """An aware time; one without an offset is Seoul's."""
        if name not in self:
            return None
        value = self.values[name]
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except (TypeError, ValueError):
            self.note(name, gettext("Expected a time like 2027-01-31T18:00:00+09:00 here."))
            return None
        return found if found.tzinfo else found.replace(tzinfo=SEOUL)

    def items[T](self, name: str, read: Callable[[Any, str], T | None], *, most: int = 200) -> tuple[T, ...]:
        if name not in self:
            return ()
        found = (
            read(item, path)
            for item, path in self.reader.sequence(self.values[name], self.at(name), most=most)
        )
        return tuple(value for value in found if value is not None)


def as_day(value: Any) -> date | None:
    """The day of the calendar that was written; None if it is none."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        return None
