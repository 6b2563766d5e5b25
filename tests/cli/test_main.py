"""The `dure` command itself: what it loads, what it says, how it ends."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from dure.cli._context import print_error
from dure.cli._types import Moment, show_moment
from dure.cli.main import COMMANDS

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("DURE_", "DJANGO_"))}


def dure(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dure.cli.main", *arguments],
        env=CLEAN | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def instance(folder: Path, **facts: object) -> Path:
    (folder / "instance.json").write_text(json.dumps(facts))
    (folder / "secret_key").write_text("x" * 60)
    return folder


def test_help_names_every_command() -> None:
    shown = dure("--help")
    assert shown.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_without_loading_django(name: str) -> None:
    program = (
        "import sys\n"
        "from dure.cli import _context, main\n"
        f"status = _context.run(main.dure, [{name!r}, '--help'])\n"
        "assert 'django' not in sys.modules, 'Django was loaded'\n"
        "sys.exit(status)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], env=CLEAN, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert f"Usage: dure {name}" in shown.stdout
    assert len(shown.stdout.splitlines()) > 5


def test_version() -> None:
    assert dure("version").stdout.startswith("dure ")
    assert set(json.loads(dure("version", "--json").stdout)) == {"dure", "python"}


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["version", "--nonsense"], ["up", "--portal-port", "99999"], ["up", "--gateway-workers", "0"],
     ["portal", "--port", "x"], ["worker", "--concurrency", "0"], ["organisations", "add"]],
)  # fmt: skip
def test_a_wrong_use_is_exit_2_with_a_hint(arguments: list[str]) -> None:
    refused = dure(*arguments)
    assert refused.returncode == 2
    assert "Error: " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


def test_without_an_instance_the_remedy_is_named(tmp_path: Path) -> None:
    refused = dure("organisations", "list", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"error: There is no Dure in {tmp_path / '.dure'}. (no_instance)\n"
        "  Start one with `dure up`, or name its folder with --data or DURE_DATA_DIR.\n"
    )


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_the_folder_may_be_named_in_three_ways(tmp_path: Path, place: str) -> None:
    folder = str(tmp_path / "elsewhere")
    refused = {
        "before": lambda: dure("--data", folder, "organisations", "list"),
        "after": lambda: dure("organisations", "list", "--data", folder),
        "environment": lambda: dure("organisations", "list", DURE_DATA_DIR=folder),
    }[place]()
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: There is no Dure in {folder}. (no_instance)\n")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"database_url": ""}',
        '{"database_url": "a\\u0000"}',
        '{"database_url": "\\ud800"}',
    ],
)
def test_a_damaged_instance_file_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "instance.json").write_text(content)
    refused = dure("organisations", "list", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "(instance_damaged)" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_that_is_away_is_two_lines(tmp_path: Path) -> None:
    folder = instance(tmp_path, database_url="postgresql://dure@/dure?host=%2Fnowhere")
    refused = dure("organisations", "list", "--data", str(folder))
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 2
    assert refused.stderr.startswith("error: The database does not answer: ")
    assert "(database_away)" in refused.stderr


@pytest.mark.parametrize("command", ["portal", "worker"])
def test_serving_without_settings_names_what_is_missing(command: str, tmp_path: Path) -> None:
    refused = dure(command, cwd=tmp_path, DURE_DATABASE_URL="postgresql:///x", DURE_PORTAL_PORT="0")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "error: No secret key is set; sessions could not be signed. (not_configured)\n"
    )


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    refused = dure("up", "--portal-port", "0", "--gateway-port", "0", DURE_DATA_DIR=str(file))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {file} is not a folder. (data_not_a_folder)\n")
    assert file.read_text() == "kept"


def test_a_reader_that_has_seen_enough_hears_nothing() -> None:
    program = f"{sys.executable} -m dure.cli.main --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], env=CLEAN, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "1"}  # it may have been quicker than `true`


@pytest.mark.parametrize("text", ["5", "x", "mysql://x"])
def test_an_address_that_is_none(tmp_path: Path, text: str) -> None:
    asked = dure("organisations", "list", "--data", str(instance(tmp_path, database_url=text)))
    assert (asked.returncode, "(database_url_invalid)" in asked.stderr) == (1, True), asked.stderr
    served = dure("gateway", "--port", "0", "--journal", str(tmp_path / "journal"), "--database-url", text)
    assert (served.returncode, "(database_url_invalid)" in served.stderr) == (1, True), served.stderr
    assert not (tmp_path / "journal").exists()


def test_a_damaged_instance_file_however_damaged(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_text("[" * 100_000)
    assert "(instance_damaged)" in dure("awards", "list", "--data", str(tmp_path)).stderr


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2027-01-31", "2027-01-31T15:00:00+00:00"),
        ("20270131", "2027-01-31T15:00:00+00:00"),
        ("2027-01-31T18:00", "2027-01-31T09:00:00+00:00"),
        ("2027-01-31 18:00+00:00", "2027-01-31T18:00:00+00:00"),
        ("9999-12-31T23:59:59-23:59", None),
        ("9999-12-31", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("tomorrow", None),
    ],
)
def test_a_last_day_ends_at_midnight_in_seoul(text: str, utc: str | None) -> None:
    if utc is None:
        with pytest.raises(click.BadParameter, match="is not a date"):
            Moment().convert(text, None, None)
    else:
        assert Moment().convert(text, None, None) == datetime.fromisoformat(utc)


def test_times_in_tables_are_those_of_seoul() -> None:
    moment = datetime(2026, 11, 24, 23, 27, 57, tzinfo=UTC)
    assert show_moment(moment) == "2026-11-25 08:27"
    assert show_moment(moment, seconds=True) == "2026-11-25 08:27:57"
    assert show_moment(None, seconds=True) == "–"


@pytest.mark.parametrize(
    ("redirection", "status", "words"),
    [("<&-", 1, "(password_missing)"), (">&-", 0, ""), (">/dev/full", 1, "(output_lost)")],
)
def test_streams_that_are_closed_or_full(redirection: str, status: int, words: str) -> None:
    program = (
        "import sys, click\n"
        "from dure.cli import _context, people\n"
        "command = click.Command('x', callback=lambda: click.echo(people._read_password()))\n"
        "sys.exit(_context.run(command, []))\n"
    )
    ended = subprocess.run(
        ["/bin/sh", "-c", f'echo secret | {{ "$0" -c "$1" {redirection}; }}', sys.executable, program],
        env=CLEAN,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, words in ended.stderr) == (status, True), ended.stderr
    assert "internal_error" not in ended.stderr


def test_an_argument_that_is_no_text() -> None:
    program = (
        "import sys, click\n"
        "from dure.cli import _context\n"
        "command = click.Command('x', callback=lambda text: text.encode(), params=[click.Argument(['text'])])\n"
        "sys.exit(_context.run(command))\n"
    )
    ended = subprocess.run(
        [sys.executable.encode(), b"-c", program.encode(), b"\xed\xa0\x80x"],
        env=CLEAN,
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, b"(argument_not_text)" in ended.stderr) == (1, True), ended.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DURE_LOG_LEVEL", "LOUD"),
        ("DURE_SMTP_PORT", "abc"),
        ("DURE_PORTAL_URL", "http://[x"),
        ("DURE_PORTAL_URL", "portal"),
        ("DURE_SECRET_KEY", ""),
    ],
)
@pytest.mark.parametrize("command", [["awards", "list"], ["portal", "--port", "0"]])
def test_a_setting_that_makes_no_sense_is_named(
    tmp_path: Path, command: list[str], name: str, value: str
) -> None:
    (tmp_path / "secret_key").write_bytes(b"\xff" * 40)
    settings = {
        "DURE_DATABASE_URL": "postgresql:///x", "DURE_SECRET_KEY": "x" * 60, "DURE_SMTP_HOST": "mail",
        "DURE_DATA_DIR": str(tmp_path), name: value,
    }  # fmt: skip
    refused = dure(*command, **settings)
    assert refused.returncode == 1
    assert "(not_configured)" in refused.stderr
    assert (name if value else "secret_key") in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_that_was_removed_under_the_caller(tmp_path: Path) -> None:
    program = f'mkdir gone && cd gone && rmdir ../gone && "{sys.executable}" -m dure.cli.main awards list'
    refused = subprocess.run(
        ["/bin/sh", "-c", program], env=CLEAN, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "(no_current_folder)" in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize("name", ["가" * 70, "h" * 300])
def test_a_host_with_an_impossible_name(tmp_path: Path, name: str) -> None:
    settings = {"DURE_DATABASE_URL": "postgresql:///x", "DURE_SECRET_KEY": "x" * 60}
    refused = dure("portal", "--port", "0", "--host", name, cwd=tmp_path, **settings)
    assert (refused.returncode, "(cannot_listen)" in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize("command", ["worker", "gateway"])
def test_seconds_that_are_no_number(command: str) -> None:
    refused = dure(command, "--drain-seconds", "nan")
    assert (refused.returncode, "not a number of seconds" in refused.stderr) == (2, True)


@pytest.mark.parametrize("given", [b"\xff\xfe" * 10, b"a" * 5_000, b"long\x00enough-as-such"])
def test_a_password_that_could_not_be_typed(given: bytes) -> None:
    program = (
        "import sys, click\n"
        "from dure.cli import _context, people\n"
        "sys.exit(_context.run(click.Command('x', callback=people._read_password), []))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], input=given, env=CLEAN, capture_output=True, check=False
    )
    assert (ended.returncode, b"(password_unusable)" in ended.stderr) == (1, True), ended.stderr


def test_a_terminal_without_hangul_gets_numbers_and_json_stays_json() -> None:
    program = (
        "import sys, click\n"
        "from dure.cli import _context\n"
        "def say():\n"
        "    click.echo('두레'); _context.print_json({'name': '두레 é'})\n"
        "sys.exit(_context.run(click.Command('x', callback=say), []))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], env=CLEAN | {"PYTHONIOENCODING": "latin-1"}, capture_output=True,
        check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    text, line = said.stdout.splitlines()
    assert text == rb"\ub450\ub808"
    assert json.loads(line) == {"name": "두레 é"}


def test_what_is_shown_of_input_is_bounded_and_printable(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("code", "begin \x1b[31m \u202e" + "x" * 100_000 + " end")
    shown = capsys.readouterr().err
    assert shown.startswith("error: begin \ufffd[31m \ufffdxxx")
    assert shown.endswith("xxx end (code)\n")
    assert len(shown) < 1_000


def test_a_gateway_whose_certificate_cannot_be_used_does_not_start(tmp_path: Path) -> None:
    url = "--database-url=postgresql://nobody@127.0.0.1:1/none"
    missing = dure("gateway", url, "--tls-certificate", str(tmp_path / "none.pem"))
    assert missing.returncode != 0
    assert "none.pem cannot be read: No such file or directory" in missing.stderr
    assert "Traceback" not in missing.stderr
    alone = dure("gateway", url, "--tls-key", str(tmp_path / "key.pem"))
    assert alone.returncode != 0
    assert "--tls-key was given without --tls-certificate" in alone.stderr
