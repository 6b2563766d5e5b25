"""The commands as a person types them: what they print where, and what wrong input is told."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from django.utils import translation

from dure.cli import _context
from dure.cli.main import dure
from dure.control.foundation.actors import Actor
from dure.control.identity import services as identity

SYSTEM = Actor.system("test")
CATALOGUE = """\
version: 1
models:
  - name: nuri-7b
    provider: nuri
    context_length: 8192
    max_output_tokens: 2048
    prices: [{effective_from: 2026-01-01, input: 120, output: 480}]
    deployments: [{name: seoul, base_url: https://models.nuri.example}]
"""

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(db: None, capsys: pytest.CaptureFixture[str]) -> Run:
    for slug, kind in (("ministry", "ministry"), ("haneul", "startup"), ("nuri", "provider")):
        identity.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=slug)

    def run(*arguments: object) -> tuple[int, str, str]:
        with translation.override("en"):
            status = _context.run(dure, [str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


@pytest.fixture
def award(run: Run) -> UUID:
    assert run("programmes", "add", "hyperscale", "--name", "초거대", "--krw", "1,000,000")[0] == 0
    status, out, err = run(
        "awards", "grant", "--programme", "hyperscale", "--organisation", "haneul", "--krw", "600000"
    )
    assert (status, err) == (0, "created: ₩600,000 to haneul\n")
    return UUID(out.strip())


def test_an_award_is_shown_with_its_four_sums(run: Run, award: UUID) -> None:
    status, out, _ = run("awards", "show", award, "--json")
    shown = json.loads(out)
    assert status == 0
    assert {name: value for name, value in shown.items() if name.endswith("micro_won")} == {
        "granted_micro_won": 600_000_000_000,
        "spent_micro_won": 0,
        "escrow_micro_won": 0,
        "remaining_micro_won": 600_000_000_000,
        "returned_micro_won": 0,
        "own_share_micro_won": 0,
        "own_paid_micro_won": 0,
        "own_returned_micro_won": 0,
    }
    assert (shown["id"], shown["programme"], shown["organisation"]) == (str(award), "hyperscale", "haneul")


def test_a_key_is_alone_on_standard_output(run: Run, award: UUID) -> None:
    status, out, err = run("keys", "issue", "--award", award, "--name", "laptop", "--expires", "2030-01-31")
    assert status == 0
    assert out.startswith("dure-")
    assert len(out.split()) == 1
    assert "expires 2030-02-01 00:00" in err
    status, out, err = run("keys", "issue", "--award", award, "--quiet")
    assert (status, err) == (0, "")
    status, out, _ = run("keys", "issue", "--award", award, "--json")
    assert json.loads(out)["secret"].startswith(json.loads(out)["prefix"])


def test_keys_are_listed_rotated_and_revoked(run: Run, award: UUID) -> None:
    key = json.loads(run("keys", "issue", "--award", award, "--json")[1])
    new = json.loads(run("keys", "rotate", key["id"], "--overlap", "2h", "--json")[1])
    listed = [json.loads(line) for line in run("keys", "list", "--award", award, "--json")[1].splitlines()]
    assert [(one["id"], one["state"]) for one in listed] == [(new["id"], "active"), (key["id"], "replaced")]
    assert "secret" not in listed[0]
    assert run("keys", "revoke", new["id"])[1] == f"revoked: {new['prefix']}\n"
    status, out, _ = run("keys", "revoke", new["id"])
    assert status == 0
    assert out.startswith("revoked already on ")


def test_the_same_grant_with_an_id_grants_once(run: Run, award: UUID) -> None:
    again = ["awards", "grant", "--programme", "hyperscale", "--organisation", "haneul", "--krw", "5"]
    chosen = "01a20a54-c09f-7b9e-a3cf-4063db88d4a5"
    assert run(*again, "--id", chosen)[1:] == (f"{chosen}\n", "created: ₩5 to haneul\n")
    assert run(*again, "--id", chosen)[1:] == (f"{chosen}\n", "exists: ₩5 to haneul\n")
    assert len(run("awards", "list", "--json")[1].splitlines()) == 2


def test_an_award_is_ended(run: Run, award: UUID) -> None:
    assert run("awards", "end", award, "--reason", "중복")[:2] == (
        0,
        "ended: ₩600,000 returned to hyperscale\n",
    )
    status, out, _ = run("awards", "end", award, "--reason", "중복")
    assert status == 0
    assert out.startswith("ended already on ")
    assert "₩1,000,000" in run("programmes", "show", "hyperscale")[1]


def test_the_catalogue_is_applied_and_shown(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text(CATALOGUE)
    lines = [
        "+ model nuri-7b (nuri, chat.completions)",
        "+ price nuri-7b input 120, output 480 from 2026-01-01",
        "+ deployment nuri-7b/seoul https://models.nuri.example",
    ]
    assert run("catalogue", "apply", file, "--dry-run")[:2] == (0, "\n".join([*lines, ""]))
    assert run("catalogue", "list")[1] == ""
    assert run("catalogue", "apply", file)[:2] == (0, "\n".join([*lines, ""]))
    assert run("catalogue", "apply", file)[:2] == (0, "nothing to change\n")
    assert json.loads(run("catalogue", "list", "--json")[1])["callable"] is True
    assert "input 120, output 480" in run("catalogue", "show", "nuri-7b")[1]


def test_a_wrong_catalogue_names_file_line_and_remedy(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text(CATALOGUE.replace("input: 120", "input: -3").replace("8192", "8k"))
    status, out, err = run("catalogue", "apply", file)
    assert (status, out) == (1, "")
    assert err == (
        f"{file}:5:21: models[0].context_length: Expected a whole number, got 8k.\n"
        f"{file}:7:50: models[0].prices[0].input: -3 is less than zero. Write 0 if it is free.\n"
        "error: The document has 2 problems; nothing was changed. (catalogue_invalid)\n"
        "  Correct it and apply again.\n"
    )
    assert run("catalogue", "list", "--json")[1] == ""


def test_a_catalogue_can_come_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CATALOGUE.encode())))
    status, out, _ = run("catalogue", "apply", "-", "--json")
    assert status == 0
    assert [change["sign"] for change in json.loads(out)["changes"]] == ["+", "+", "+"]


WRONG = {
    "a sum that is none": (
        ["programmes", "add", "x", "--name", "y", "--krw", "1.5"],
        2,
        "Invalid value for '--krw': '1.5' is not a sum in whole won, like 1000000 or 1,000,000.",
    ),
    "a sum of nothing": (
        ["programmes", "add", "x", "--name", "y", "--krw", "0"],
        2,
        "Invalid value for '--krw': the sum must be more than zero.",
    ),
    "a debt": (
        ["awards", "grant", "--programme", "p", "--organisation", "o", "--krw", "-5"],
        2,
        "Invalid value for '--krw': '-5' is not a sum in whole won, like 1000000 or 1,000,000.",
    ),
    "a sum beyond counting": (
        ["programmes", "add", "x", "--name", "y", "--krw", "9" * 30],
        2,
        "Invalid value for '--krw': the largest sum is 9,000,000,000,000 won.",
    ),
    "no sum": (["programmes", "add", "x", "--name", "y"], 2, "Missing option '--krw'."),
    "a name that is no slug": (
        ["programmes", "add", "Big One", "--name", "y", "--krw", "1"],
        1,
        "error: “Big One” cannot be a short name. (slug_invalid)",
    ),
    "a programme that is not there": (
        ["programmes", "show", "nothing"],
        1,
        "error: There is no programme 'nothing'. (programme_not_found)",
    ),
    "an award that is not there": (
        ["awards", "show", "01a20a54-c09f-7b9e-a3cf-4063db88d4a5"],
        1,
        "error: There is no award 01a20a54-c09f-7b9e-a3cf-4063db88d4a5. (award_not_found)",
    ),
    "an award's id that is none": (
        ["awards", "show", "7"],
        2,
        "Invalid value for 'ID': '7' is not a valid UUID.",
    ),
    "a key for no award": (
        ["keys", "issue", "--award", "01a20a54-c09f-7b9e-a3cf-4063db88d4a5"],
        1,
        "error: There is no award with this id. (award_not_found)",
    ),
    "a date that is none": (
        ["keys", "issue", "--award", "01a20a54-c09f-7b9e-a3cf-4063db88d4a5", "--expires", "2027-02-30"],
        2,
        "Invalid value for '--expires': '2027-02-30' is not a date like 2027-01-31 or 2027-01-31T18:00:00+09:00.",
    ),
    "the end of time": (
        ["keys", "issue", "--award", "01a20a54-c09f-7b9e-a3cf-4063db88d4a5", "--expires", "9999-12-31"],
        2,
        "Invalid value for '--expires': '9999-12-31' is not a date like 2027-01-31 or 2027-01-31T18:00:00+09:00.",
    ),
    "an overlap that is none": (
        ["keys", "rotate", "01a20a54-c09f-7b9e-a3cf-4063db88d4a5", "--overlap", "soon"],
        2,
        "Invalid value for '--overlap': 'soon' is not a duration like 30m, 24h, 7d or 0.",
    ),
    "an overlap too long to count": (
        ["keys", "rotate", "01a20a54-c09f-7b9e-a3cf-4063db88d4a5", "--overlap", "999999d"],
        1,
        "error: The old key can work on for 0 to 30 days. (overlap_out_of_range)",
    ),
    "a file that is not there": (
        ["catalogue", "apply", "/nowhere.yaml"],
        2,
        "Invalid value for 'FILE': '/nowhere.yaml': No such file or directory",
    ),
    "a folder for a file": (["catalogue", "apply", "/"], 2, "Invalid value for 'FILE': '/': Is a directory"),
    "a model that is not there": (
        ["catalogue", "show", "nothing"],
        1,
        "error: There is no model 'nothing'. (model_not_found)",
    ),
    "an organisation that is not there": (
        ["awards", "list", "--organisation", "nobody"],
        1,
        "(organisation_not_found)",
    ),
}


@pytest.mark.parametrize(("arguments", "status", "told"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_told_and_changes_nothing(
    run: Run, arguments: list[str], status: int, told: str
) -> None:
    got, out, err = run(*arguments)
    assert (got, out) == (status, "")
    assert told in err
    assert run("programmes", "list", "--json")[1] == ""


@pytest.mark.parametrize(
    "command",
    ["catalogue apply", "programmes add", "awards grant", "awards end", "keys issue", "keys rotate"],
)
def test_help_is_worth_reading(run: Run, command: str) -> None:
    status, out, _ = run(*command.split(), "--help")
    assert status == 0
    assert len(out.splitlines()) > 8


def test_limits_of_an_award_are_changed_and_shown(run: Run, award: UUID) -> None:
    status, out, err = run(
        "awards", "limits", award, "--requests-per-minute", "600", "--networks", "10.0.0.0/8,192.0.2.1",
        "--max-tokens", "500", "--json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    shown = json.loads(out)
    assert (
        shown["requests_per_minute"],
        shown["networks"],
        shown["max_tokens_ceiling"],
        shown["changed"],
    ) == (
        600,
        ["10.0.0.0/8", "192.0.2.1/32"],
        500,
        True,
    )
    status, out, err = run("awards", "limits", award, "--requests-per-minute", "none", "--networks", "none")
    assert (status, err) == (0, "changed\n")
    status, again, _ = run("awards", "limits", award)
    assert (status, again) == (0, out)
    assert [" ".join(line.split()) for line in again.splitlines()] == [
        "requests per minute none",
        "tokens per minute none",
        "concurrency none",
        "max tokens 500",
        "models all",
        "endpoints all",
        "networks all",
    ]
    assert (
        run("awards", "limits", award, "--endpoint", "embeddings", "--endpoint", "chat.completions")[0] == 0
    )
    shown = json.loads(run("awards", "limits", award, "--json")[1])
    assert shown["endpoints"] == ["chat.completions", "embeddings"]
    assert "endpoint_unknown" in run("awards", "limits", award, "--endpoint", "telepathy", "--json")[2]
    assert run("awards", "limits", award, "--concurrency", "0")[0] == 2
    assert "host bits set" in run("awards", "limits", award, "--networks", "10.0.0.1/8")[2]
    assert "model_not_found" in run("awards", "limits", award, "--model", "nobody", "--json")[2]
    assert "no award" in run("awards", "limits", UUID(int=7))[2]


def test_limits_of_a_key(run: Run, award: UUID) -> None:
    status, out, _ = run(
        "keys", "issue", "--award", award, "--requests-per-minute", "5", "--from", "2027-01-31", "--json"
    )
    key = json.loads(out)
    assert (status, key["requests_per_minute"], key["valid_from"][:10]) == (0, 5, "2027-01-31")
    status, out, err = run("keys", "limits", key["id"], "--requests-per-minute", "none", "--concurrency", "3")
    assert (status, err) == (0, "changed\n")
    assert ["concurrency", "3"] in [line.split() for line in out.splitlines()]
    assert (
        run("keys", "limits", key["id"], "--concurrency", "3")[2]
        == "nothing to change: it stood so already\n"
    )
    assert run("keys", "limits", UUID(int=7))[0] == 1
