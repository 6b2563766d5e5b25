"""What a start says at its end."""

from typing import Any

import pytest

from dure.local.announcement import CommandLine, instructions


def summary(users: list[dict[str, str]], key: str | None) -> dict[str, Any]:
    return {"portal_url": "http://p", "gateway_url": "http://g", "demo_users": users, "demo_api_key": key}


USER = {"role": "officer", "email": "o@demo.example", "password": "x"}


@pytest.mark.parametrize(
    ("users", "key", "words"),
    [
        ([USER], "dure-secret", "API key   dure-secret"),
        ([USER], None, "key was revoked. Issue another: dure keys issue"),
        ([], None, "There is no demonstration here."),
    ],
)
def test_the_key_or_why_there_is_none(users: list[dict[str, str]], key: str | None, words: str) -> None:
    assert words in instructions(summary(users, key), model_url="http://m", has_demo=bool(users))


def test_without_a_model_the_calls_shown_are_not_promised_to_work() -> None:
    said = instructions(summary([USER], "dure-secret"), model_url="", has_demo=True)
    assert "refused with model_unavailable" in said
    assert "model_unavailable" not in instructions(
        summary([USER], "dure-secret"), model_url="http://m", has_demo=True
    )


def test_a_model_that_nobody_offers_yet_is_said() -> None:
    assert "Model     http://m" in instructions(summary([], None), model_url="http://m", has_demo=False)


def test_a_demonstration_that_an_earlier_start_built_is_not_denied() -> None:
    said = instructions(summary([], None), model_url="", has_demo=True)
    assert "still in this data" in said
    assert "no demonstration here" not in said


def test_the_sign_in_page_is_named() -> None:
    assert "http://p/account/login/" in instructions(summary([USER], None), model_url="", has_demo=True)


def test_what_to_look_at_next_is_said_as_it_is_typed_here() -> None:
    shown = summary([USER], "dure-secret") | {"demo_award": "4d67"}
    said = instructions(
        shown, model_url="http://m", has_demo=True, dure=CommandLine(".venv/bin/dure", "--data '/a folder'")
    )
    assert "http://p/awards/4d67/" in said
    assert ".venv/bin/dure usage list --award 4d67 --data '/a folder'\n" in said
    assert ".venv/bin/dure ledger verify --data '/a folder'" in said
