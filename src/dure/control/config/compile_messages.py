"""`python -m dure.control.config.compile_messages`: every `.po` of ours becomes the `.mo` that Django reads.

In Python, so that set-up asks for no gettext tools. The format is the one of GNU gettext (info manual,
"The Format of GNU MO Files"): two sorted tables of lengths and offsets, then the strings.
"""

import ast
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
_MAGIC = 0x950412DE
_CONTEXT, _PLURAL = "\x04", "\x00"


class CatalogError(ValueError):
    """A .po file cannot be read; the message names the file and the line."""


@dataclass(slots=True)
class Message:
    """One entry. `translations` has one text, or one per plural form."""

    line: int = 0
    context: str | None = None
    identifier: str | None = None
    plural: str | None = None
    translations: dict[int, str] = field(default_factory=dict)
    fuzzy: bool = False

    @property
    def key(self) -> str:
        context = "" if self.context is None else self.context + _CONTEXT
        plural = "" if self.plural is None else _PLURAL + self.plural
        return f"{context}{self.identifier}{plural}"

    @property
    def value(self) -> str:
        return _PLURAL.join(text for _index, text in sorted(self.translations.items()))

    def append(self, target: str, text: str) -> None:
        if target == "msgctxt":
            self.context = (self.context or "") + text
        elif target == "msgid":
            self.identifier = (self.identifier or "") + text
        elif target == "msgid_plural":
            self.plural = (self.plural or "") + text
        else:
            index = int(target[7:-1]) if target.startswith("msgstr[") else 0
            self.translations[index] = self.translations.get(index, "") + text


def messages(path: Path) -> Iterator[Message]:
    """The entries of a .po file, the header (empty identifier) among them."""
    current, target = Message(), ""
    for number, raw in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], start=1):
        line = raw.strip()
        starts = line.startswith(("msgctxt ", "msgid ", "#"))
        if (not line or starts) and current.translations:
            yield current
            current, target = Message(), ""
        if line.startswith("#,") and "fuzzy" in line:
            current.fuzzy = True
        if not line or line.startswith("#"):
            continue
        if not line.startswith('"'):
            target, _space, line = line.partition(" ")
            current.line = current.line or number
        try:
            text = ast.literal_eval(line.strip())
            current.append(target, text)
        except (SyntaxError, ValueError, TypeError):
            raise CatalogError(f'{path}:{number}: expected msgid or msgstr and a text in "quotes"') from None


def compile_catalog(entries: dict[str, str]) -> bytes:
    """The bytes of a .mo file. Entries without a translation are left out, so the source text shows."""
    keys = sorted((key for key, value in entries.items() if value.strip(_PLURAL)), key=str.encode)
    pairs = [(key.encode(), entries[key].encode()) for key in keys]
    tables_at, count = 28, len(pairs)
    offset = tables_at + 16 * count
    tables, strings = [b"", b""], b""
    for column in (0, 1):
        for pair in pairs:
            tables[column] += struct.pack("<II", len(pair[column]), offset + len(strings))
            strings += pair[column] + b"\0"
    header = struct.pack("<7I", _MAGIC, 0, count, tables_at, tables_at + 8 * count, 0, 0)
    return header + tables[0] + tables[1] + strings


def compile_file(path: Path) -> Path:
    entries = {message.key: message.value for message in messages(path) if not message.fuzzy}
    target = path.with_suffix(".mo")
    content = compile_catalog(entries)
    if not target.is_file() or target.read_bytes() != content:
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(target)
    return target


def catalogs(package: Path = PACKAGE) -> list[Path]:
    return sorted(package.rglob("locale/*/LC_MESSAGES/*.po"))


def main() -> int:
    try:
        for path in catalogs():
            compile_file(path)
    except (CatalogError, OSError) as error:
        sys.stderr.write(f"messages not compiled: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
