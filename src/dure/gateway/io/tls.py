"""TLS: the certificate that clients see, read again without a restart, and what providers are shown.

A context is chosen anew for each handshake, so a renewed certificate serves the next connection and
disturbs none that is open. A pair that cannot be used is refused in a sentence, and the last good one stays.
"""

import ssl
from pathlib import Path

PROTOCOLS = ["http/1.1"]


class TlsUnusable(Exception):
    """A certificate, a key or a list of authorities that cannot be used; says which and why."""


class ServerTls:
    """`context` is for listening; `reload` reads the files again, for handshakes from then on."""

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate = certificate
        self._key = key
        self.context = self._current = self._read()
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """`TlsUnusable` leaves everything as it was."""
        self._current = self._read()

    def _choose(
        self, handshake: ssl.SSLObject | ssl.SSLSocket, name: str | None, first: ssl.SSLContext
    ) -> None:
        handshake.context = self._current

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(PROTOCOLS)
        load_pair(context, self._certificate, self._key)
        return context


def client_context(
    *, ca_file: str | None = None, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """For connections to providers: verified, by the system's authorities or those in `ca_file`."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise TlsUnusable(f"the authorities in {ca_file} cannot be used: {_reason(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(PROTOCOLS)
    if certificate is not None:
        load_pair(context, certificate, key or certificate)
    return context


def load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    for what, path in (("certificate", certificate), ("key", key)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise TlsUnusable(f"the {what} {path} cannot be read: {_reason(error)}") from None
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsUnusable(f"the key {key} does not belong to the certificate {certificate}") from None
        raise TlsUnusable(
            f"the certificate {certificate} and the key {key} cannot be used: {_reason(error)}"
        ) from None
    except ValueError as error:
        raise TlsUnusable(f"the key {key} cannot be used: {error}") from None


def _no_password() -> str:
    raise ValueError("it is protected by a password")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is not in PEM format").replace("_", " ").lower()
    return error.strerror or type(error).__name__
