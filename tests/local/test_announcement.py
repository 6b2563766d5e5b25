"""What a start says at its end."""

import pytest

from dure.local.announcement import instructions

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
    said = instructions(
        {"portal_url": "http://p", "gateway_url": "http://g", "demo_users": users, "demo_api_key": key}
    )
    assert words in said
