"""Where the gateway finds a provider's key: `env:NAME`, or `file:/path` whose content is stripped."""

import os
from pathlib import Path


class CredentialMissing(Exception):
    """The reference leads nowhere. The message names the reference, never a secret."""


def resolve(reference: str) -> str:
    """The secret behind a reference; "" for no reference."""
    if not reference:
        return ""
    kind, _, where = reference.partition(":")
    if kind == "env" and where:
        secret = os.environ.get(where, "").strip()
        if not secret:
            raise CredentialMissing(f"the environment variable {where} is not set")
    elif kind == "file" and where:
        try:
            secret = Path(where).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialMissing(f"the file {where} cannot be read: {type(error).__name__}") from None
        if not secret:
            raise CredentialMissing(f"the file {where} is empty")
    else:
        raise CredentialMissing("a credential is given as env:NAME or file:/path")
    if not secret.isascii() or not secret.isprintable():
        raise CredentialMissing("the credential holds characters that cannot stand in a header")
    return secret
