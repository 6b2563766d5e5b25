"""`dure calls`, by what it prints and how it ends: from a template to a published, extended and exported call."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.utils import translation
from tests.control.calls.conftest import FORM, RULES, STEPS, SYSTEM, World

from dure.cli._context import run
from dure.cli.calls import calls
from dure.control.calls import selectors, services


@pytest.fixture(autouse=True)
def language_stays() -> Iterator[None]:
    with translation.override("en"):
        yield


class Command:
    """Runs `dure calls …` and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, status: int = 0) -> str:
        assert run(calls, [str(one) for one in arguments]) == status
        self.said = self.capsys.readouterr()
        return self.said.out


@pytest.fixture
def dure(world: World, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


DATES = ("--opens", "2026-01-05 09:00", "--closes", "2099-02-05")


def test_from_a_template_to_publication(dure: Command) -> None:
    assert dure("template", "api_support", "api-2027", "--programme", "hyperscale") == "api-2027\n"
    shown = json.loads(dure("show", "api-2027", "--json"))
    round_id = shown["rounds"][0]["id"]
    dure("problems", round_id, status=1)
    assert "problem date_missing (dates: opens_at): The opening is not set." in dure.said.out
    dure("publish", round_id, status=1)
    assert "error: This round cannot be published yet" in dure.said.err
    dure("round", "change", round_id, *DATES, "--budget", "500,000,000")
    assert dure("problems", round_id) == "nothing stands in the way\n"
    assert dure("publish", round_id) == f"{round_id}\n"
    assert dure.said.err == "round 1 of api-2027: open, closes 2099-02-05 23:59:59\n"
    assert "api-2027" in dure("list", "--state", "open")
    dure("extend", round_id, "--until", "2099-02-01", "--reason", "x", status=1)
    assert "extension_not_later" in dure.said.err
    dure("extend", round_id, "--until", "2099-03-01 18:00", "--reason", "눈")
    assert dure.said.err == "round 1 of api-2027: open, closes 2099-03-01 18:00:00\n"
    dure("close", round_id, status=1)
    assert "round_still_open" in dure.said.err
    dure("discard", "api-2027", status=1)
    assert dure("cancel", "api-2027", "--reason", "사정") == "api-2027\n"


def test_a_call_goes_out_to_a_file_and_comes_in_again(dure: Command, tmp_path: Path) -> None:
    """What is exported, read in under another name and exported again is the same but for that name."""
    dure("template", "rnd", "rnd-2027", "--programme", "hyperscale")
    round_id = json.loads(dure("show", "rnd-2027", "--json"))["rounds"][0]["id"]
    dure("round", "change", round_id, *DATES, "--questions-until", "2099-01-10")
    dure("round", "add", "rnd-2027", "--budget", "1,000,000", "--automatic-most", "500000")
    first = dure("export", "rnd-2027")
    path = tmp_path / "call.yaml"
    path.write_text(first.replace("slug: rnd-2027", "slug: rnd-again"))
    assert dure("import", path) == "rnd-again\n"
    assert dure("export", "rnd-again").replace("slug: rnd-again", "slug: rnd-2027") == first
    before = len(selectors.timeline(actor=SYSTEM, slug="rnd-again", limit=500))
    dure("import", path)
    assert len(selectors.timeline(actor=SYSTEM, slug="rnd-again", limit=500)) == before
    shorter = yaml.safe_load(path.read_text())
    del shorter["rounds"][1]
    path.write_text(json.dumps(shorter))
    dure("import", path)
    assert len(selectors.call(actor=SYSTEM, slug="rnd-again").rounds) == 1


def test_a_published_call_is_corrected_by_its_file_and_nothing_else_of_it(
    dure: Command, world: World, tmp_path: Path
) -> None:
    world.published()
    document = yaml.safe_load(dure("export", "api-2026"))
    path = tmp_path / "call.yaml"
    path.write_text(yaml.safe_dump(document))
    dure("import", path)
    path.write_text(
        yaml.safe_dump(document | {"call": document["call"] | {"text": {"ko": "새 글", "en": "new"}}})
    )
    dure("import", path, status=1)
    assert "reason_missing" in dure.said.err
    dure("import", path, "--reason", "정정")
    for change in ({"closes_at": "2099-01-01T00:00:00+09:00"}, {"most_won": 1}):
        path.write_text(yaml.safe_dump(document | {"rounds": [document["rounds"][0] | change]}))
        dure("import", path, "--reason", "x", status=1)
        assert "round_is_published" in dure.said.err
    path.write_text(yaml.safe_dump(document | {"rounds": []}))
    dure("import", path, "--reason", "x", status=1)
    assert "round_is_published" in dure.said.err


def test_contents_are_printed_and_kept(
    dure: Command, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.filled()
    for part in ("form", "rules", "steps"):
        content = dure(part, "api-2026")
        path = tmp_path / f"{part}.yaml"
        path.write_text(content)
        assert dure(part, "api-2026", path).startswith("saved: ")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[{key: A, title: x}]")))
    dure("rules", "api-2026", "-", status=1)
    assert "[0].key" in dure.said.err
    assert "[0].rule" in dure.said.err


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff\xfe", "file_not_text"),
        (b"a: [", "file_malformed"),
        (b"a: &x [1]\nb: *x", "file_has_aliases"),
        (b"!!python/object/apply:os.system [ls]", "file_malformed"),
        (b"x" * (1024 * 1024 + 1), "file_too_large"),
        (b"", "document_malformed"),
        (b"version: 1", "document_malformed"),
        (b"[1, 2]", "document_malformed"),
        (b"{version: 1, call: {slug: 2027-01-01, programme: x, kind: y}}", "programme_not_found"),
    ],
)
def test_files_that_are_no_calls_are_refused_by_name(
    dure: Command, tmp_path: Path, content: bytes, code: str
) -> None:
    path = tmp_path / "call.yaml"
    path.write_bytes(content)
    dure("import", path, status=1)
    assert f"({code})" in dure.said.err


def test_questions_are_listed_and_answered(dure: Command, world: World) -> None:
    world.published()
    asked = services.ask_question(actor=world.applicant, call_slug="api-2026", text="됩니까?\n정말?")
    other = services.ask_question(actor=world.applicant, call_slug="api-2026", text="비밀")
    (first, _) = [json.loads(line) for line in dure("questions", "--json").splitlines()]
    assert (first["id"], first["organisation_name"]) == (str(asked.id), "haneul")
    assert dure("answer", asked.id, "--text", "네.") == "api-2026 1: answered\n"
    assert dure("withhold", other.id, "--reason", "영업비밀") == "api-2026 2: withheld\n"
    assert len(dure("questions", "api-2026", "--state", "answered", "--json").splitlines()) == 1


def test_adding_changing_copying_and_discarding(dure: Command, tmp_path: Path) -> None:
    assert (
        dure("add", "c-2026", "--programme", "hyperscale", "--kind", "pilot", "--name", "2026 실증")
        == "c-2026\n"
    )
    text = tmp_path / "text.txt"
    text.write_text("본문입니다.\n")
    dure("change", "c-2026", "--summary", "요약", "--text", text)
    dure("copy", "c-2026", "c-2027")
    copied = json.loads(dure("show", "c-2027", "--json"))
    assert (copied["name_ko"], copied["text_ko"], copied["needs_review"]) == (
        "2027 실증",
        "본문입니다.",
        True,
    )
    assert "(to be looked through)" in dure("show", "c-2027")
    dure("change", "c-2027", "--reviewed")
    assert json.loads(dure("show", "c-2027", "--json"))["needs_review"] is False
    attached = dure("attach", "c-2027", text, "--title", "설명").strip()
    assert dure("detach", attached) == "removed\n"
    assert dure("discard", "c-2027") == "discarded: c-2027\n"
    dure("show", "c-2027", status=1)
    assert "(call_not_found)" in dure.said.err


def test_whom_a_round_fits_is_shown(dure: Command, world: World) -> None:
    round_ = world.published()
    assert dure("fit", round_.id, "haneul").splitlines()[-1] == "unknown"
    assert json.loads(dure("fit", round_.id, "narae", "--json"))["summary"] == "not_met"


def test_an_expired_step_is_settled(dure: Command, world: World) -> None:
    round_ = world.published()
    assert dure("settle", round_.id, "apply", "--reason", "done") == "apply: handled\n"
    dure("settle", round_.id, "apply", "--reason", "again", status=1)
    assert "(step_is_settled)" in dure.said.err


def test_an_empty_file_takes_nothing_away(dure: Command, world: World, tmp_path: Path) -> None:
    world.filled()
    (tmp_path / "empty.yaml").write_text("")
    for part, before in (("form", FORM), ("rules", RULES), ("steps", STEPS)):
        dure(part, "api-2026", tmp_path / "empty.yaml", status=1)
        assert f"empty.yaml is empty; the {part} are as they were." in dure.said.err
        assert yaml.safe_load(dure(part, "api-2026")) == before


@pytest.mark.parametrize("content", [b"\x00\xff\xfe", b"{unclosed: [1", b"%PDF-1.7", b"just words"])
def test_a_file_that_is_no_such_document_is_refused_and_changes_nothing(
    dure: Command, world: World, tmp_path: Path, content: bytes
) -> None:
    world.filled()
    (tmp_path / "rules.yaml").write_bytes(content)
    dure("rules", "api-2026", tmp_path / "rules.yaml", status=1)
    assert "rules.yaml" in dure.said.err
    assert yaml.safe_load(dure("rules", "api-2026")) == RULES


def test_what_changed_since_a_version_is_printed(dure: Command, world: World) -> None:
    world.published()
    services.save_rules(actor=world.officer, call_slug="api-2026", content=RULES[:1])
    assert dure("compare", "api-2026", "rules") == (
        "Version 1 -> Version 2\n"
        "removed: Small or medium\n"
        "  Name: Small or medium -> -\n"
        "  asked for: kind of organisation: one of start-up, small or medium enterprise -> -\n"
    )
    assert dure("compare", "api-2026", "steps").endswith("nothing differs\n")
    assert dure("compare", "api-2026", "form") == "nothing to compare yet\n"
    assert json.loads(dure("compare", "api-2026", "rules", "--json"))["differences"][0]["change"] == "removed"
    dure("compare", "api-2026", "rules", "--old", "9", status=1)
    assert "There is no version “9”." in dure.said.err
