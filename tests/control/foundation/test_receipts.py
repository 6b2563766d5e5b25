"""Receipts: genuine to the byte of their content, whatever the order and spaces of their file; nothing else is."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.control.foundation import receipts
from dure.control.foundation.errors import Invalid

CONTENT = {
    "kind": "dure-application-receipt",
    "organisation": "새벽소프트",
    "submission": 1,
    "files": ["a", "b"],
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    from django.test import override_settings

    with override_settings(DURE_DATA_DIR=tmp_path_factory.mktemp("keys")):
        yield


def test_a_receipt_is_genuine_however_it_is_written_down() -> None:
    made = receipts.sign(CONTENT)
    for text in (
        json.dumps(made),
        json.dumps(made, indent=2, ensure_ascii=False, sort_keys=True),
        "\ufeff \n" + json.dumps(dict(reversed(made.items()))) + "\n",
        json.dumps(made, ensure_ascii=False).encode("utf-8-sig"),
    ):
        found = receipts.verify(text)
        assert (found.genuine, found.key, found.content) == (True, "current", CONTENT)


@pytest.mark.parametrize(
    "change",
    [
        {"content": {**CONTENT, "submission": 2}},
        {"content": {**CONTENT, "more": None}},
        {"content": {}},
        {"signature": "00" * 64},
        {"signature": "0"},
    ],
)
def test_a_changed_receipt_is_not(change: dict) -> None:
    found = receipts.verify(json.dumps({**receipts.sign(CONTENT), **change}))
    assert (found.genuine, found.key) == (False, "current")


def test_a_key_that_was_never_used_here_is_said() -> None:
    found = receipts.verify(json.dumps({**receipts.sign(CONTENT), "key_id": "0" * 32}))
    assert (found.genuine, found.key) == (False, "unknown")


def test_an_earlier_key_still_proves(settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DURE_DATA_DIR = tmp_path
    made = json.dumps(receipts.sign(CONTENT))
    monkeypatch.setenv("DURE_SIGNING_KEY", "7" * 64)
    assert receipts.verify(json.dumps(receipts.sign(CONTENT))).key == "current"
    assert (receipts.verify(made).genuine, receipts.verify(made).key) == (True, "earlier")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "not json",
        '{"content": {}, "key_id": 7, "signature": "00"}',
        '{"content": [], "key_id": "00", "signature": "00"}',
        '{"content": {"a": 1.0}, "key_id": "00", "signature": "00"}',
        '{"content": {"a": NaN}, "key_id": "00", "signature": "00"}',
        '{"content": {"a": 1, "a": 2}, "key_id": "00", "signature": "00"}',
        '{"content": {"a": "\\ud800"}, "key_id": "00", "signature": "00"}',
        '{"content": {}, "key_id": "00", "signature": "００"}',
        "[" * 100_000,
        "9" * 5_000,
        " " * (receipts.LARGEST + 1),
        b"\xff\xfe",
    ],
)
def test_what_is_no_receipt_is_refused(text: str | bytes) -> None:
    with pytest.raises(Invalid) as refused:
        receipts.verify(text)
    assert refused.value.code == "receipt_unreadable"


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=4))
def test_any_content_is_signed_and_proven(content: dict) -> None:
    made = receipts.sign(content)
    assert receipts.verify(json.dumps(made)).genuine
