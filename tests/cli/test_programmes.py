"""Sources, lines, own shares and eligible uses, as a person types them."""

import json
from uuid import UUID

import pytest
from tests.cli.test_awards_and_keys import CATALOGUE, Run, award, run

__all__ = ["award", "run"]


@pytest.fixture
def fund(run: Run, award: UUID) -> UUID:
    assert run("sources", "add", "ai-fund", "--name", "기금", "--kind", "fund")[1] == "ai-fund\n"
    status, out, _ = run("programmes", "appropriate", "hyperscale", "--krw", "400,000", "--source", "ai-fund")
    assert (status, out) == (0, "created: ₩800,000 left to grant\n")
    return award


def test_whose_money_a_programme_and_an_award_are(run: Run, fund: UUID) -> None:
    granted = run(
        *("awards", "grant", "--programme", "hyperscale", "--organisation", "haneul", "--krw", "1000"),
        *("--source", "ai-fund=600", "--source", "ministry=400"),
    )
    award_id = granted[1].strip()
    parts = [json.loads(line) for line in run("awards", "sources", award_id, "--json")[1].splitlines()]
    assert [(part["source"], part["put_in_micro_won"]) for part in parts] == [
        ("ministry", 400_000_000),
        ("ai-fund", 600_000_000),
    ]
    shown = run("programmes", "money", "hyperscale")[1].splitlines()
    assert shown[0].lower().split() == ["source", "given", "left", "granted", "spent", "remaining"]
    assert shown[1].split() == ["ministry", "₩1,000,000", "₩399,600", "₩600,400", "₩0", "₩600,400"]
    assert "ai-fund" in run("sources", "list")[1]
    assert "hyperscale" in run("sources", "show", "ai-fund")[1]
    assert "source_not_found" in run("sources", "show", "nobody", "--json")[2]


@pytest.mark.parametrize("sources", [["ai-fund=5", "ministry"], ["ai-fund=five"]])
def test_sources_are_given_with_sums_or_without(run: Run, fund: UUID, sources: list[str]) -> None:
    options = [part for one in sources for part in ("--source", one)]
    grant = ("awards", "grant", "--programme", "hyperscale", "--organisation", "haneul", "--krw", "5")
    assert run(*grant, *options)[0] == 2


def test_money_is_passed_on(run: Run, fund: UUID) -> None:
    assert run("programmes", "add", "pilots", "--name", "실증", "--krw", "1", "--source", "ai-fund")[0] == 0
    status, out, _ = run(
        "programmes", "pass-on", "hyperscale", "--to", "pilots", "--source", "ai-fund", "--krw", "100,000"
    )
    assert (status, out) == (0, "created: ₩100,000 of ai-fund to pilots\n")
    assert (
        "source_exceeded"
        in run(
            *("programmes", "pass-on", "hyperscale", "--to", "pilots", "--source", "ai-fund"),
            *("--krw", "300,001", "--json"),
        )[2]
    )


def test_other_units_are_counted_beside(run: Run, fund: UUID) -> None:
    status, out, err = run(
        *("programmes", "appropriate", "hyperscale", "--amount", "3600", "--unit", "GPU_SECOND"),
        *("--source", "ai-fund"),
    )
    assert (status, out) == (0, "created: 3,600 GPU_SECOND more\n")
    assert err == "GPU_SECOND is kept on record; awards are granted in won only.\n"
    assert "3,600 GPU_SECOND" in run("programmes", "money", "hyperscale")[1]
    assert run("programmes", "appropriate", "hyperscale")[0] == 2


def test_lines_are_set_and_shown(run: Run, fund: UUID) -> None:
    assert "No budget lines" in "".join(run("programmes", "lines", "hyperscale")[1:])
    set_line = ("programmes", "lines", "hyperscale", "--set", "api_use", "--name", "API 사용료")
    status, out, _ = run(*set_line, "--krw", "700")
    assert status == 0
    assert out.splitlines()[1].split() == ["api_use", "API", "사용료", "₩700", "₩0", "₩700"]
    grant = ("awards", "grant", "--programme", "hyperscale", "--organisation", "haneul")
    assert "line_exceeded" in run(*grant, "--krw", "701", "--json")[2]
    assert run(*grant, "--krw", "700", "--line", "api_use")[0] == 0


def test_own_shares_are_asked_confirmed_and_paid_back(run: Run, fund: UUID) -> None:
    rules = ("programmes", "own-contribution", "hyperscale")
    status, out, _ = run(
        *rules, "--size", "small=10%", "--size", "large=12.5%:1,000:5,000", "--due", "before"
    )
    assert status == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["small", "10%", "₩0", "–", "before", "the", "first", "call"],
        ["large", "12.5%", "₩1,000", "₩5,000", "before", "the", "first", "call"],
    ]
    assert run(*rules, "--size", "small=ten")[0] == 2
    status, out, err = run(
        *("awards", "grant", "--programme", "hyperscale", "--organisation", "haneul", "--krw", "1000"),
        *("--size", "small", "--of-total"),
    )
    assert (status, err) == (0, "created: ₩900 to haneul, own contribution ₩100\n")
    award_id = out.strip()
    shown = json.loads(run("awards", "limits", award_id, "--json")[1])
    assert shown["endpoints"] == []
    confirm = ("awards", "confirm-own-contribution", award_id)
    assert run(*confirm, "--krw", "40")[1] == "created: ₩40 arrived, ₩60 outstanding\n"
    assert run(*confirm)[1] == "created: ₩60 arrived, ₩0 outstanding\n"
    assert "own share" in run("awards", "show", award_id)[1]
    assert run("awards", "end", award_id, "--reason", "끝")[0] == 0
    assert run("awards", "repaid-own-contribution", award_id)[1] == "paid back: ₩100\n"
    assert run(*rules, "--none")[0] == 0
    assert "No own contribution" in "".join(run(*rules)[1:])


def test_what_the_money_may_be_used_for(run: Run, fund: UUID, tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "catalogue.yaml"
    path.write_text(CATALOGUE)
    assert run("catalogue", "apply", path)[0] == 0
    use = ("programmes", "use", "hyperscale")
    status, out, _ = run(
        *use, "--model", "nuri-7b", "--endpoint", "chat.completions", "--until", "2030-01-31"
    )
    assert status == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "models nuri-7b",
        "endpoints chat.completions",
        "from –",
        "until 2030-02-01 00:00",
    ]
    granted = json.loads(
        run(
            *(
                "awards",
                "grant",
                "--programme",
                "hyperscale",
                "--organisation",
                "haneul",
                "--krw",
                "5",
                "--json",
            )
        )[1]
    )
    assert json.loads(run("awards", "limits", granted["id"], "--json")[1])["models"] == ["nuri-7b"]
    assert "all" in run(*use, "--model", "none")[1]
    assert "programme_not_found" in run("programmes", "use", "nothing", "--json")[2]
