"""What the commands share: finding the running instance, printing, and refusing politely.

`dure up` writes DIR/instance.json; a command that works on the control plane finds it by `--data DIR`,
`DURE_DATA_DIR` or `.dure` in the current folder, and sets Django up only when its body runs, so that
`dure --help` and `dure gateway` load nothing heavy. A deployment of its own sets `DURE_DATABASE_URL`
instead and needs no folder.

    @organisations.command("show")
    @click.argument("slug")
    @control_plane          # --data, Django
    @json_option            # --json, passed as as_json
    def show(slug: str, as_json: bool) -> None: ...
"""

import errno
import functools
import io
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dure.control.foundation.actors import Actor

DEFAULT_FOLDER = ".dure"
_MOST_SHOWN = 800
#: What DIR/instance.json says, and the environment variable that carries it.
INSTANCE_VARIABLES = {
    "database_url": "DURE_DATABASE_URL",
    "gateway_database_url": "DURE_GATEWAY_DATABASE_URL",
    "portal_url": "DURE_PORTAL_URL",
    "gateway_url": "DURE_GATEWAY_URL",
    "demo": "DURE_DEMO",
}


class Refusal(click.ClickException):
    """A command cannot do what it was asked: one sentence with a stable code, then what to do about it."""

    exit_code: int = 1  # type: ignore[misc]  # click's is a class variable; ours is each refusal's own

    def __init__(self, code: str, message: str, *, remedy: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy
        self.exit_code = exit_code

    def show(self, file: Any = None) -> None:
        print_error(self.code, self.message, self.remedy)


def print_error(code: str, message: str, remedy: str = "") -> None:
    click.echo(f"error: {one_line(message)} ({code})", err=True)
    if remedy:
        click.echo(f"  {one_line(remedy)}", err=True)


def one_line(text: str) -> str:
    """What a person or a file gave, fit for a terminal: no control characters, and no more than a few lines."""
    line = "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))
    return line if len(line) <= _MOST_SHOWN else f"{line[: _MOST_SHOWN // 2]} … {line[-_MOST_SHOWN // 2 :]}"


# Finding the instance


def _remember_folder(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_root().meta["dure.data"] = value


def data_option[F: Callable[..., Any]](function: F) -> F:
    """Add `--data DIR`."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        expose_value=False,
        is_eager=True,
        callback=_remember_folder,
        help="The folder of the running instance (or DURE_DATA_DIR; default .dure).",
    )(function)


def json_option[F: Callable[..., Any]](function: F) -> F:
    """Add `--json`, passed as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(function)


def named_folder() -> Path | None:
    """The folder given by --data, if it was."""
    context = click.get_current_context(silent=True)
    return context.find_root().meta.get("dure.data") if context is not None else None


def data_folder() -> Path:
    """--data, else DURE_DATA_DIR, else .dure here."""
    folder = named_folder() or Path(os.environ.get("DURE_DATA_DIR") or DEFAULT_FOLDER)
    try:
        return folder.absolute()
    except FileNotFoundError:
        raise Refusal(
            "no_current_folder",
            "The current folder has been removed.",
            remedy="Change to another, or name the data folder in full with --data.",
        ) from None


def enter_instance() -> None:
    """Set the environment of the instance that was asked for. What the environment already says stays, unless
    --data names a folder."""
    folder = data_folder()
    named = named_folder() is not None
    if os.environ.get("DURE_DATABASE_URL") and not named:
        return
    for name, value in _instance(folder).items():
        if named or name not in os.environ:
            os.environ[name] = value
    os.environ["DURE_DATA_DIR"] = str(folder)


def _instance(folder: Path) -> dict[str, str]:
    path = folder / "instance.json"
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, dict) or not found.get("database_url"):
            raise ValueError
        if any("\0" in str(value) or _is_no_text(str(value)) for value in found.values()):
            raise ValueError
    except FileNotFoundError:
        raise Refusal(
            "no_instance",
            f"There is no Dure in {folder}.",
            remedy="Start one with `dure up`, or name its folder with --data or DURE_DATA_DIR.",
        ) from None
    except PermissionError:
        raise Refusal(
            "instance_not_yours", f"You may not read {path}.", remedy="Run this as the user who started Dure."
        ) from None
    except (OSError, ValueError, RecursionError):
        raise Refusal(
            "instance_damaged", f"{path} cannot be read.", remedy="Start Dure again; it writes the file anew."
        ) from None
    return {
        variable: ("1" if found[name] is True else str(found[name]))
        for name, variable in INSTANCE_VARIABLES.items()
        if found.get(name)
    }


def set_up_django() -> None:
    """Enter the instance and load the control plane. Texts are in English, as all of the command line is."""
    enter_instance()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dure.control.config.settings")
    import django
    from django.apps import apps
    from django.core.exceptions import ImproperlyConfigured
    from django.utils import translation

    if not apps.ready:
        try:
            django.setup()
        except ImproperlyConfigured as error:
            raise Refusal("not_configured", str(error)) from None
    translation.activate("en")


def control_plane[F: Callable[..., Any]](function: F) -> F:
    """Add `--data DIR`, and set Django up before the command's body runs."""

    @functools.wraps(function)
    def prepared(*args: Any, **kwargs: Any) -> Any:
        set_up_django()
        return function(*args, **kwargs)

    return data_option(prepared)  # type: ignore[return-value]


def operator() -> "Actor":
    """Whoever may run commands on this machine acts for the platform; the audit trail names the account."""
    import getpass

    from dure.control.foundation.actors import Actor

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return Actor.system(f"command line ({name})")


# Printing


def print_json(value: Any) -> None:
    """One JSON value on one line; dataclasses, UUIDs, times, decimals and translated texts included.

    JSON is UTF-8 wherever it goes, so it passes the terminal's encoding by.
    """
    import msgspec

    click.echo(msgspec.json.encode(value, enc_hook=str))


def print_json_lines(values: Iterable[Any]) -> None:
    for value in values:
        print_json(value)


def print_rows(
    rows: Iterable[Mapping[str, Any] | Sequence[Any]], columns: Sequence[str], *, empty: str = ""
) -> None:
    """A table aligned by display width (a Hangul syllable takes two cells); numbers to the right."""
    cells = [
        [row.get(column) for column in columns] if isinstance(row, Mapping) else list(row) for row in rows
    ]
    if not cells:
        if empty:
            click.echo(empty, err=True)
        return
    numeric = [
        all(isinstance(row[i], int | float) or row[i] is None for row in cells) for i in range(len(columns))
    ]
    texts = [[_cell(value) for value in row] for row in cells]
    headings = [column.replace("_", " ").upper() for column in columns]
    widths = [max(map(display_width, column)) for column in zip(headings, *texts, strict=True)]
    for row in [headings, *texts]:
        line = (_pad(text, width, right) for text, width, right in zip(row, widths, numeric, strict=True))
        click.echo("  ".join(line).rstrip())


def print_fields(fields: Mapping[str, Any]) -> None:
    """One thing, a line for each of its facts."""
    width = max(map(display_width, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{_pad(name.replace('_', ' '), width, False)}  {_cell(value)}")


def display_width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _pad(text: str, width: int, right: bool) -> str:
    gap = " " * (width - display_width(text))
    return gap + text if right else text + gap


# Refusing


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run the command; every way it can end becomes an exit status and at most two lines, never a traceback."""
    _open_closed_streams()
    try:
        command.main(args=arguments, prog_name="dure", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except BrokenPipeError:
        # The reader has seen enough; the interpreter must not complain about it at its end either.
        _drop_output()
        return 1
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1
    except Exception as error:  # noqa: BLE001
        return _explain(error)
    return 0


def _open_closed_streams() -> None:
    """A stream that was closed by whoever started us is empty. Its number must not go to a database connection."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open as long as the process lives
    # What the terminal's encoding has no sign for is shown by its number, not answered with a failure.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: Exception) -> int:
    if os.environ.get("DURE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if _from_outside(error):
        return 1
    if _is_a(error, "django.db.utils", "DataError"):
        print_error(
            "input_invalid",
            f"A value cannot be stored: {_first_line(error)}. Nothing was changed.",
            "Give a smaller number or a nearer date.",
        )
    elif _is_a(error, "dure.control.foundation.errors", "DureError"):
        print_error(error.code, str(error.message), str(error.remedy))  # type: ignore[attr-defined]
    elif _is_a(error, "dure.local.errors", "LocalError"):
        print_error(error.code, error.message, error.remedy)  # type: ignore[attr-defined]
    elif any(
        _is_a(error, module, name)
        for module, name in (
            ("psycopg", "OperationalError"),
            ("django.db.utils", "OperationalError"),
            ("procrastinate.exceptions", "ConnectorException"),
        )
    ):
        print_error(
            "database_away",
            f"The database does not answer: {_first_line(error)}",
            "Is Dure running? `dure up` starts it; --data names another folder.",
        )
    elif _is_a(error, "django.db.utils", "ProgrammingError") or _is_a(error, "psycopg", "ProgrammingError"):
        print_error(
            "database_unprepared",
            f"The database is not in the state this version expects: {_first_line(error)}",
            "Run `python -m dure.control.config.manage migrate`, or `dure up`, which does.",
        )
    else:
        print_error(
            "internal_error",
            f"This should not have happened: {type(error).__name__}: {_first_line(error)}",
            "Set DURE_DEBUG=1 to see where, and report it.",
        )
    return 1


def _from_outside(error: Exception) -> bool:
    """Say so, and answer True, if what failed is what the command was given: arguments, settings, files."""
    if isinstance(error, UnicodeEncodeError) and any(map(_is_no_text, sys.argv)):
        print_error(
            "argument_not_text",
            f"The argument {next(filter(_is_no_text, sys.argv))!r} is not UTF-8 text.",
            "Write it again in a terminal that is set to UTF-8.",
        )
    elif any(text in str(error) for text in ("connection info string", "bad value for connect")) and _is_a(
        error, "psycopg", "ProgrammingError", cause=True
    ):
        print_error(
            "database_url_invalid",
            "The database's address is not a PostgreSQL address.",
            "DURE_DATABASE_URL is like postgresql://user@host:5432/name; `dure up` writes its own into --data.",
        )
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        _drop_output()
        print_error(
            "output_lost",
            "The output could not be written: no space is left. What was asked for may have been done.",
            "Make room and look with one of the list commands.",
        )
    elif isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        print_error(
            "file_unusable",
            f"{os.fsdecode(error.filename)}: {error.strerror}.",
            "Name another file or folder, or look to whom it belongs.",
        )
    else:
        return False
    return True


def _is_a(error: BaseException, module: str, name: str, *, cause: bool = False) -> bool:
    """Whether it, or what caused it, is of that class, without loading the module for it."""
    loaded = sys.modules.get(module)
    if loaded is None:
        return False
    return isinstance(error, getattr(loaded, name)) or (
        cause and error.__cause__ is not None and _is_a(error.__cause__, module, name)
    )


def _is_no_text(argument: str) -> bool:
    """Whether it holds bytes that are not UTF-8; Python carries them as lone surrogates."""
    return any("\ud800" <= sign <= "\udfff" for sign in argument)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
