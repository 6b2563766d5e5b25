"""An application from the command line: begun, answered, handed in, decided on, and taken along."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import translation
from tests.control.applications.conftest import World, make_world

from dure.cli import _context
from dure.cli.main import dure
from dure.control.calls.selectors import RoundView

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        with translation.override("en"):
            words = [str(argument) for argument in arguments]
            status = _context.run(dure, words if words[0] == "receipts" else ["applications", *words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


@pytest.fixture
def number(world: World, run: Run) -> str:
    return begun(world, run, world.round())


def begun(world: World, run: Run, round_: RoundView) -> str:
    email = next(email for email, one in world.people.items() if one == world.writer) if world.writer else ""
    status, out, _ = run("start", "--organisation", "haneul", "--round", round_.id, "--lead", email)
    assert status == 0
    return out.strip()


def answer(run: Run, number: str, krw: int) -> None:
    budget = json.dumps([{"line": "api", "won": krw}])
    assert run("answer", number, "title=상담 요약", "story=요약합니다.", f"budget={budget}")[0] == 0


def test_it_is_begun_once_answered_and_handed_in(world: World, run: Run, number: str, tmp_path: Path) -> None:
    status, _, err = run("submit", number)
    assert (status, err.splitlines()[0].split(":")[0]) == (1, "title")
    answer(run, number, 3_000_000)
    (tmp_path / "more.yaml").write_text("stage: product\n")
    assert run("answer", number, "--file", tmp_path / "more.yaml")[1] == "stage: version 1\n"
    (tmp_path / "계획.txt").write_text("계획")
    assert run("attach", number, "papers", tmp_path / "계획.txt")[1].startswith("계획.txt: 6 bytes")
    status, out, _ = run("submit", number)
    assert (status, out.splitlines()[0]) == (0, f"created: {number}, submission 1, now submitted")
    assert run("submit", number)[1].startswith("exists: ")
    shown = json.loads(run("show", number, "--json")[1])
    assert (shown["state"], shown["asked_micro_won"]) == ("submitted", 3_000_000_000_000)
    (line,) = run("list", "--state", "submitted", "--json")[1].splitlines()
    assert json.loads(line)["number"] == number
    receipt = run("receipt", number)[1]
    assert json.loads(receipt)["content"]["application"] == number
    for name, text in (("genuine", receipt), ("forged", receipt.replace(number, "2026-999999"))):
        (tmp_path / name).write_text(text)
    assert run("receipts", "verify", tmp_path / "genuine")[0] == 0
    assert run("receipts", "verify", tmp_path / "forged")[0] == 1
    assert run("pdf", number, "--out", tmp_path / "a.pdf")[0] == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    assert run("export", "--out", tmp_path / "all.csv")[1].startswith("1 applications")
    assert number in (tmp_path / "all.csv").read_text("utf-8-sig")
    assert run("export", "--out", tmp_path / "all.xlsx")[0] == 0
    assert run("withdraw", number) == (0, f"{number}: withdrawn\n", "")


def test_an_officer_decides_and_each_refusal_is_named(world: World, run: Run, number: str) -> None:
    answer(run, number, 3_000_000)
    run("submit", number)
    view = world.see(world.started(world_round(number)))
    world.close(view.round.id)
    assert run("advance", number, "--outcome", "complete")[1] == f"{number}: submitted, at review\n"
    assert "outcome_unknown" in run("advance", number, "--outcome", "nothing")[2]
    assert run("bulk", "advance", number, "--outcome", "passed")[:2] == (0, f"{number}: done\n")
    assert run("bulk", "award", number)[0] == 1
    assert run("decide", number, "accepted", "--krw", "2,000,000")[1] == f"{number}: accepted, at award\n"
    assert len(run("award", number)[1].strip()) == 36


def world_round(number: str) -> RoundView:
    from dure.control.applications.models import Application
    from dure.control.calls import selectors as calls

    round_id = Application.objects.get(number=number).round_id
    return calls.rounds_by_id({round_id})[round_id]


@pytest.mark.parametrize(
    "arguments", [["show", "2026-999999"], ["receipt", "2026-999999"], ["submit", "nothing"]]
)
def test_what_is_not_there_is_said(run: Run, arguments: list[str]) -> None:
    status, _, err = run(*arguments)
    assert (status, "application_not_found" in err) == (1, True)


def test_a_small_request_is_granted_at_once(world: World, run: Run) -> None:
    number = begun(world, run, world.small_round())
    answer(run, number, 1_000_000)
    assert run("submit", number)[1].splitlines()[0] == f"created: {number}, submission 1, now awarded"
