"""Signed receipts, of whatever kind: `{"content": {…}, "key_id": "…", "signature": "…"}`.

The signature is over the content's canonical text: sorted keys, no spaces, UTF-8 (RFC 8785 for what is put into one: no
fractions). Whoever has the file and a public key can verify it without us.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from django.utils.translation import gettext_lazy as _

from dure.control.foundation import signing
from dure.control.foundation.errors import Invalid

LARGEST = 256 * 1024
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Verification:
    """`genuine`: one of this installation's keys signed exactly this content. `key`: current, earlier or unknown."""

    genuine: bool
    key: str
    key_id: str
    content: dict[str, Any]


def canonical(content: Mapping[str, Any]) -> str:
    """One text for one content; ValueError for what has none (fractions, NaN)."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sign(content: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt of a content."""
    signature = signing.sign(canonical(content).encode())
    return {"content": dict(content), "key_id": signature.key_id, "signature": signature.value_hex}


def verify(text: str | bytes) -> Verification:
    """Whether a receipt is genuine; `Invalid` (`receipt_unreadable`) if it is none."""
    envelope = _read(text)
    content, key_id, value = (envelope.get(name) for name in ("content", "key_id", "signature"))
    if (
        not isinstance(content, dict)
        or not (isinstance(key_id, str) and _HEX.fullmatch(key_id))
        or not (isinstance(value, str) and _HEX.fullmatch(value))
    ):
        raise _unreadable()
    keys = {one.key_id: one for one in signing.public_keys()}
    known = keys.get(key_id)
    return Verification(
        genuine=signing.verify(canonical(content).encode(), key_id, value),
        key=("current" if known.current else "earlier") if known else "unknown",
        key_id=key_id,
        content=content,
    )


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        if len(text) > LARGEST:
            raise ValueError
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        found = json.loads(
            text.strip().removeprefix("\ufeff"),
            object_pairs_hook=_once,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise _unreadable() from None
    if not isinstance(found, dict):
        raise _unreadable()
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers might take a doubled name in two ways, so nothing with one is a receipt."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(_text: str) -> NoReturn:
    raise ValueError("a receipt has whole numbers only")


def _unreadable() -> Invalid:
    return Invalid(
        "receipt_unreadable",
        _("This is not a receipt."),
        field="receipt",
        remedy=_(
            "Choose the file as you received it, or paste its whole text, from the first { to the last }."
        ),
    )
