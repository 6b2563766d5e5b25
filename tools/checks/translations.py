"""Every text a person reads has a Korean translation: complete, not doubtful, and with the same placeholders.

    python tools/checks/translations.py [--missing]

Texts are found where Django finds them: in templates through its own `templatize`, in Python as the first
arguments of the gettext functions. `--missing` prints what is missing as entries to be filled in.
"""

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "src"))

from dure.control.config.compile_messages import Message, messages  # noqa: E402

CONTROL = REPOSITORY / "src" / "dure" / "control"
_SINGULAR = {"_", "gettext", "gettext_lazy", "gettext_noop"}
_PLURAL = {"ngettext", "ngettext_lazy"}
_CONTEXT = {"pgettext", "pgettext_lazy"}
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")

type Key = tuple[str | None, str, str | None]


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def in_python(source: str) -> Iterator[tuple[int, Key]]:
    """(line, (context, text, plural)) of each translatable text in Python source."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [_text(argument) for argument in node.args]
        if name in _SINGULAR and texts and texts[0] is not None:
            yield node.lineno, (None, texts[0], None)
        elif name in _PLURAL and len(texts) >= 2 and texts[0] is not None:
            yield node.lineno, (None, texts[0], texts[1])
        elif name in _CONTEXT and len(texts) >= 2 and texts[1] is not None:
            yield node.lineno, (texts[0], texts[1], None)


def in_template(source: str) -> Iterator[tuple[int, Key]]:
    """The same for a template: Django turns it into lines that read like Python calls."""
    from django.utils.translation.template import templatize

    for line, text in enumerate(templatize(source).splitlines(), start=1):
        for call in re.finditer(
            r"n?p?gettext\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")(?:,\s*u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))?|_\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)",
            text,
        ):
            first, second, bare = call.groups()
            if bare:
                yield line, (None, ast.literal_eval(bare), None)
            elif call.group().startswith("ngettext"):
                yield line, (None, ast.literal_eval(first), ast.literal_eval(second))
            elif call.group().startswith("pgettext"):
                yield line, (ast.literal_eval(first), ast.literal_eval(second), None)
            else:
                yield line, (None, ast.literal_eval(first), None)


def texts_in_use(control: Path = CONTROL) -> dict[Key, str]:
    """Each text and the first place that uses it."""
    found: dict[Key, str] = {}
    for path in sorted(
        [*control.rglob("*.py"), *control.rglob("*.html"), *control.rglob("templates/**/*.txt")]
    ):
        if "migrations" in path.parts:
            continue
        reader = in_python if path.suffix == ".py" else in_template
        for line, key in reader(path.read_text()):
            if key[1]:
                found.setdefault(key, f"{path.relative_to(control.parents[2])}:{line}")
    return found


def _placeholders(text: str) -> set[str]:
    return {first or second for first, second in _PLACEHOLDER.findall(text)}


def problems(control: Path = CONTROL) -> Iterator[tuple[str, Key | None]]:
    """(sentence, key if a text is missing), one for each thing that is wrong."""
    known: dict[tuple[str | None, str], Message] = {}
    for path in sorted(control.rglob("locale/ko/LC_MESSAGES/*.po")):
        for message in messages(path):
            if message.identifier:
                place = f"{path.relative_to(control.parents[2])}:{message.line}"
                yield from ((f"{place}: {fault}", None) for fault in _faults(message))
                known.setdefault((message.context, message.identifier), message)
    django_own = _django_own()
    for key, place in texts_in_use(control).items():
        context, text, plural = key
        entry = known.get((context, text))
        if entry is None and (context, text) not in django_own:
            yield f"{place}: no Korean for {text!r}", key
        elif entry is not None and plural is not None and entry.plural is None:
            yield f"{place}: {text!r} has a plural here, its Korean entry has none", None


def _faults(message: Message) -> Iterator[str]:
    assert message.identifier is not None
    if message.fuzzy:
        yield "marked fuzzy: decide on it"
    if not message.value.strip("\0"):
        yield f"no Korean for {message.identifier!r}"
    wanted = _placeholders(message.identifier) | _placeholders(message.plural or "")
    for text in filter(None, message.translations.values()):
        used = _placeholders(text)
        if not used <= wanted:
            yield f"the Korean has placeholders that the English lacks: {sorted(used - wanted)}"
        # “One thing” may be said without its number; nothing else may be left out.
        if lacking := wanted - used - {"n", "counter", "count"}:
            yield f"the Korean lacks {sorted(lacking)}"


def _django_own() -> set[tuple[str | None, str]]:
    """Texts that Django's own Korean catalogue translates, such as “Korean”."""
    import django

    catalogue = Path(django.__file__).parent / "conf" / "locale" / "ko" / "LC_MESSAGES" / "django.po"
    return {
        (one.context, one.identifier)
        for one in messages(catalogue)
        if one.identifier and one.value.strip("\0")
    }


def main() -> int:
    os.environ.setdefault("DURE_DATABASE_URL", "postgresql:///none")
    os.environ.setdefault("DURE_SECRET_KEY", "check")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dure.control.config.settings")
    count = 0
    for sentence, key in problems():
        count += 1
        if "--missing" in sys.argv and key is not None:
            context, text, plural = key
            if context is not None:
                print(f"msgctxt {_quoted(context)}")
            print(f"msgid {_quoted(text)}")
            print(f'msgid_plural {_quoted(plural)}\nmsgstr[0] ""\n' if plural is not None else 'msgstr ""\n')
        elif "--missing" not in sys.argv:
            print(sentence)
    return 1 if count else 0


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


if __name__ == "__main__":
    sys.exit(main())
