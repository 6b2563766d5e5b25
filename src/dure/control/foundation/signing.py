"""Signatures of this installation, so that a receipt can be held against it anywhere (Ed25519, RFC 8032).

The private key is `DURE_SIGNING_KEY` (64 hexadecimal digits), else a file in the data folder that is made once,
readable by its owner only. What earlier keys signed stays verifiable: each public key that was ever used lies beside
it. A key's id is the first half of its public key's SHA-256.
"""

import contextlib
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_KEY_FILE = "signing_key"
_KEYS_USED = "signing_keys_used"
_SECRET = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Signature:
    """`value_hex`: 128 hexadecimal digits."""

    key_id: str
    value_hex: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`value_hex`: the 32 bytes of RFC 8032, 64 hexadecimal digits."""

    key_id: str
    value_hex: str
    current: bool


def sign(content: bytes) -> Signature:
    """Sign with the present key."""
    private, public = _present(os.environ.get("DURE_SIGNING_KEY", ""), _folder())
    return Signature(key_id_of(public), private.sign(content).hex())


def verify(content: bytes, key_id: str, value_hex: str) -> bool:
    """Whether one of this installation's keys signed exactly this content."""
    known = {one.key_id: one.value_hex for one in public_keys()}
    if key_id not in known:
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(known[key_id]))
        key.verify(bytes.fromhex(value_hex), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_keys() -> list[PublicKey]:
    """Every key that this installation has signed with, the present one first."""
    _private, present = _present(os.environ.get("DURE_SIGNING_KEY", ""), _folder())
    used = _folder() / _KEYS_USED
    lines = used.read_text().split() if used.is_file() else []
    values = dict.fromkeys([present.hex(), *lines])
    return [PublicKey(key_id_of(bytes.fromhex(value)), value, value == present.hex()) for value in values]


def key_id_of(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:32]


def _folder() -> Path:
    return Path(settings.DURE_DATA_DIR or settings.REPOSITORY / "build")


@lru_cache(maxsize=8)
def _present(from_environment: str, folder: Path) -> tuple[Ed25519PrivateKey, bytes]:
    secret = from_environment.strip().lower() or _from_file(folder / _KEY_FILE)
    if not _SECRET.fullmatch(secret):
        raise ImproperlyConfigured("The signing key is not 64 hexadecimal digits")
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    public = private.public_key().public_bytes_raw()
    _remember(folder / _KEYS_USED, public.hex())
    return private, public


def _from_file(path: Path) -> str:
    """The key in the file, made if there is none: written whole under another name first, and only one is ever linked."""
    if not path.is_file():
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text().strip()


def _remember(path: Path, public_hex: str) -> None:
    """One line a key, added in one write."""
    if path.is_file() and public_hex in path.read_text().split():
        return
    with contextlib.suppress(PermissionError), path.open("a") as file:
        file.write(public_hex + "\n")
