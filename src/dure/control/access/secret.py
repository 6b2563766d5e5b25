"""The form of an API key: `dure-` + eight public characters + `-` + 32 random bytes in base64url.

The public part is what people see in lists and logs; the whole is hashed by SHA-256. A slow hash would
protect a guessable secret; 256 random bits are not guessable, and the gateway hashes at every call.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # no l, o, 0, 1: prefixes are read aloud
FORM = re.compile(r"dure-[a-z0-9]{8}-[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A key fresh from the generator; `text` is shown to its owner once and kept nowhere."""

    text: str
    prefix: str
    digest: str

    def __repr__(self) -> str:
        return f"NewSecret(prefix={self.prefix!r})"


def generate() -> NewSecret:
    prefix = "dure-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
    text = f"{prefix}-{secrets.token_urlsafe(32)}"
    return NewSecret(text=text, prefix=prefix, digest=digest(text))


def digest(text: str) -> str:
    """SHA-256 of the whole key, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
