"""Receipts are signed with a key that is made once, and stays verifiable after it was replaced."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dure.control.foundation import signing


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.DURE_DATA_DIR = tmp_path
    return tmp_path


def test_what_was_signed_is_verified_and_nothing_else(folder: Path) -> None:
    signature = signing.sign("접수증".encode())
    assert signing.verify("접수증".encode(), signature.key_id, signature.value_hex)
    assert not signing.verify("접수중".encode(), signature.key_id, signature.value_hex)
    assert not signing.verify("접수증".encode(), "0" * 32, signature.value_hex)
    assert not signing.verify("접수증".encode(), signature.key_id, "zz")
    assert not signing.verify("접수증".encode(), signature.key_id, "00" * 64)


def test_the_key_is_made_once_and_is_nobody_elses_to_read(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _n: signing.sign(b"x").key_id, range(16)))
    assert len(ids) == 1
    assert (folder / "signing_key").stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob(".signing_key*"))


def test_a_receipt_of_an_earlier_key_stays_verifiable(folder: Path, monkeypatch: Any) -> None:
    old = signing.sign(b"receipt")
    monkeypatch.setenv("DURE_SIGNING_KEY", "11" * 32)
    new = signing.sign(b"receipt")
    assert new.key_id != old.key_id
    assert signing.verify(b"receipt", old.key_id, old.value_hex)
    assert [(one.key_id, one.current) for one in signing.public_keys()] == [
        (new.key_id, True),
        (old.key_id, False),
    ]
