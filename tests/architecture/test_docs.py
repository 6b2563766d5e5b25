"""The documents name what exists: rooms, decisions, terms, commands, links."""

import re
from itertools import chain
from pathlib import Path

import click
import pytest

from dure.cli.main import dure

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src" / "dure"
DOCUMENTS = sorted(chain(REPOSITORY.glob("*.md"), (REPOSITORY / "docs").rglob("*.md")))
DEPLOYMENT = REPOSITORY / "docs" / "deployment.md"
READMES = (REPOSITORY / "README.md", REPOSITORY / "README.ko.md")
#: Read by the settings, but only while testing.
NOT_FOR_DEPLOYMENTS = {"DURE_TEST_DATABASE"}

_CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


def rooms() -> list[str]:
    """Every package that is a room: the top ones, and those inside the two planes."""
    folders = [SOURCE, SOURCE / "control", SOURCE / "gateway"]
    return sorted(
        path.relative_to(SOURCE).as_posix()
        for folder in folders
        for path in folder.iterdir()
        if (path / "__init__.py").is_file()
    )


def prose(path: Path) -> str:
    """A document without its blocks of code, in which a # or a ` means something else."""
    return _CODE_BLOCK.sub("", path.read_text())


def headings(path: Path, marks: str = "##") -> list[str]:
    return re.findall(rf"^{marks} (.+)$", prose(path), re.MULTILINE)


def glossary() -> list[list[str]]:
    """Rows of the glossary: Korean, English, names in the code, meaning."""
    lines = (REPOSITORY / "docs" / "glossary.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return rows[2:]  # below the head and its rule


def anchor(heading: str) -> str:
    """The fragment that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("room", rooms())
def test_every_room_is_on_the_map(room: str) -> None:
    written = _CODE.findall(prose(REPOSITORY / "ARCHITECTURE.md"))
    assert room in {text.rstrip("/") for text in written}


@pytest.mark.parametrize(
    "decision", sorted(p.name for p in (REPOSITORY / "docs/decisions").glob("[0-9]*.md"))
)
def test_every_decision_is_listed(decision: str) -> None:
    text = (REPOSITORY / "docs" / "decisions" / "README.md").read_text()
    assert f"]({decision})" in text


def test_every_term_of_the_glossary_is_in_the_code() -> None:
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".sql"}]
    words = {word for path in files for word in re.findall(r"\w+", path.read_text())}
    names = {name for row in glossary() for name in _CODE.findall(row[2])}
    assert names - words == set()


def test_every_table_has_a_term() -> None:
    files = (SOURCE / "control").glob("*/*models.py")
    tables = {
        name
        for path in files
        for name in re.findall(
            r"^class (\w+)\((?:models\.Model|AbstractBaseUser)\)", path.read_text(), re.MULTILINE
        )
    }
    terms = {name for row in glossary() for name in _CODE.findall(row[2])}
    assert tables - terms == set()
    assert {"Person", "Transfer", "UsageRecord"} <= tables


def test_every_term_has_four_columns_and_stands_once() -> None:
    rows = glossary()
    assert [row for row in rows if len(row) != 4 or not all(row) or not _CODE.findall(row[2])] == []
    korean = [row[0] for row in rows]
    assert sorted(korean) == sorted(set(korean))


def test_readmes_have_the_same_sections_and_name_the_two_commands() -> None:
    sections = {path.name: len(headings(path)) for path in READMES}
    assert len(set(sections.values())) == 1, sections
    for path in READMES:
        assert {"make run", "make test"} <= set(re.findall(r"make \w+", path.read_text()))


def test_the_deployment_page_lists_the_environment() -> None:
    variable = re.compile(r"\bDURE_[A-Z_]+\b")
    listed = set(re.findall(r"^\| `(DURE_[A-Z_]+)`", prose(DEPLOYMENT), re.MULTILINE))
    known = {name for path in SOURCE.rglob("*.py") for name in variable.findall(path.read_text())}
    assert set(variable.findall(DEPLOYMENT.read_text())) - known == set()
    settings = (SOURCE / "control" / "config" / "settings.py").read_text()
    read = set(re.findall(r"(?:environ\.get\(|environ\[|_flag\()\"(DURE_[A-Z_]+)", settings))
    options = {
        name
        for path in (SOURCE / "cli").glob("*.py")
        for name in re.findall(r"envvar=\"(DURE_[A-Z_]+)\"", path.read_text())
    }
    assert (read | options) - listed == NOT_FOR_DEPLOYMENTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_commands_exist(path: Path) -> None:
    lines = "\n".join(_CODE_BLOCK.findall(path.read_text())).splitlines() + _CODE.findall(prose(path))
    unknown = []
    for line in lines:
        if not (found := re.match(r"(?:\.venv/bin/)?dure ([a-z].*)", line)):
            continue
        command: click.Command | None = dure
        for word in found[1].split():
            if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z]+", word):
                break
            command = command.get_command(click.Context(command), word)
        if command is None:
            unknown.append(line)
    assert unknown == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_relative_links_resolve(path: Path) -> None:
    broken = []
    for target in _LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        linked = path.parent / name if name else path
        found = linked.exists()
        if found and fragment:
            found = fragment in {anchor(heading) for heading in headings(linked, "#+")}
        if not found:
            broken.append(target)
    assert broken == []


def test_whoever_stores_a_file_says_whose_it_is() -> None:
    """A file that no row keeps is swept away a day later; a room that forgets loses what people handed in."""
    storing, keeping = set(), set()
    for path in (SOURCE / "control").rglob("*.py"):
        room, text = path.relative_to(SOURCE / "control").parts[0], path.read_text()
        storing |= {room} if "files.store(" in text else set()
        keeping |= {room} if "files.keep(" in text else set()
    assert storing - keeping == set()
