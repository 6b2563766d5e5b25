"""Files that people keep in version control: YAML or JSON in, YAML out."""

from typing import Any, BinaryIO

import click

from dure.cli import _context

MAX_BYTES = 1024 * 1024


def name_of(file: BinaryIO) -> str:
    """As click names it; what stands in for a terminal may have no name."""
    return str(getattr(file, "name", "-"))


def read(file: BinaryIO) -> Any:
    """What the file says, as JSON values. JSON is YAML, too."""
    import yaml

    try:
        content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _context.Refusal("file_unreadable", f"{name_of(file)}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise _context.Refusal("file_too_large", f"{name_of(file)} is larger than {MAX_BYTES // 1024} KiB.")
    try:
        text = content.decode("utf-8-sig")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise _context.Refusal(
                "file_has_aliases",
                f"{name_of(file)} uses YAML aliases (*name).",
                remedy="Write what they stand for.",
            )
        return yaml.safe_load(text)
    except UnicodeDecodeError:
        raise _context.Refusal(
            "file_not_text", f"{name_of(file)} is not UTF-8 text.", remedy="Give a YAML or JSON file."
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name_of(file)}:{mark.line + 1}:{mark.column + 1}" if mark else name_of(file)
        said = getattr(error, "problem", None) or "it cannot be read"
        raise _context.Refusal(
            "file_malformed", f"{where}: {said}.", remedy="Give a YAML or JSON file."
        ) from None


def show(value: Any) -> None:
    """YAML, in the order in which it was written, Korean as Korean."""
    import yaml

    text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=110)
    click.echo(text.rstrip("\n").encode())


def explain(error: Any, file: BinaryIO) -> None:
    """Every mistake of a refused document, a line each."""
    name = name_of(file)
    for mistake in error.data.get("mistakes", ()):
        where = f"{name}: {mistake['path']}" if mistake["path"] else name
        remedy = f" {mistake['remedy']}" if mistake["remedy"] else ""
        click.echo(_context.one_line(f"{where}: {mistake['message']}{remedy}"), err=True)
