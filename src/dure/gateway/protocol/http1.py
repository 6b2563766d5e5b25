"""Heads of HTTP/1.1 messages (RFC 9112), written; they are read in `http_request.py` and `http_answer.py`.

Only headers on a short list cross the gateway in either direction. What a provider learns about a caller
is the request itself, and what a caller learns about the provider's infrastructure is next to nothing;
hop-by-hop headers and credentials cannot slip through a list they are not on.
"""

from http import HTTPStatus

from dure.contracts.directory import Dialect

#: Request headers that are passed to providers, lower case.
FORWARDED_REQUEST_HEADERS = frozenset({b"openai-beta", b"traceparent", b"tracestate"})
FORWARDED_MESSAGES_HEADERS = frozenset(
    {b"anthropic-beta", b"anthropic-version", b"traceparent", b"tracestate"}
)
#: Response headers that are passed to clients, lower case.
FORWARDED_RESPONSE_HEADERS = frozenset({b"openai-version", b"retry-after"})

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: Upstream statuses that concern the platform's own credential.
CREDENTIAL_STATUSES = frozenset({401, 403, 407})
LAST_CHUNK = b"0\r\n\r\n"
JSON = b"application/json"


def status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status


def plain_head(
    status: int, *, date: bytes, content_type: bytes, length: int, headers: bytes = b"", close: bool = False
) -> bytes:
    """A head whose body has a known length. `headers` are whole lines, each with its CRLF."""
    return b"%bdate: %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n" % (
        _STATUS_LINES.get(status) or status_line(status),
        date,
        content_type,
        length,
        headers,
        b"connection: close\r\n" if close else b"",
    )


def stream_head(
    status: int, *, date: bytes, content_type: bytes, headers: bytes, chunked: bool, close: bool
) -> bytes:
    """A head whose body ends with its last chunk or, for HTTP/1.0, with the connection."""
    return (
        b"%bdate: %b\r\ncontent-type: %b\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n%b%b%b\r\n"
        % (
            status_line(status),
            date,
            content_type,
            headers,
            b"transfer-encoding: chunked\r\n" if chunked else b"",
            b"connection: close\r\n" if close else b"",
        )
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunks(data: bytes) -> bytes:
    """`data` as the last chunk that carries any, and the end."""
    return chunk(data) + LAST_CHUNK if data else LAST_CHUNK


def forwarded(allowed: frozenset[bytes], headers: dict[bytes, bytes]) -> bytes:
    """Those of `headers` that may cross the gateway, as lines."""
    if allowed.isdisjoint(headers):
        return b""
    return b"".join([b"%b: %b\r\n" % (name, headers[name]) for name in allowed if name in headers])


def header_lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    return b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in headers)


def upstream_head_start(
    *, host: str, path: str, credential: str, dialect: Dialect, method: str = "POST"
) -> bytes:
    """The part of a request's head that is the same for every request to a deployment's path."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "user-agent: dure"]
    # Compressed answers could not be metered without unpacking them.
    lines.append("accept-encoding: identity")
    if credential:
        named = (
            f"x-api-key: {credential}" if dialect == "anthropic" else f"authorization: Bearer {credential}"
        )
        lines.append(named)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n"


def retry_after_seconds(value: bytes | None) -> float:
    """`Retry-After` as seconds (RFC 9110 §10.2.3); 0 for none, and for a date, which nobody sends here."""
    return float(value) if value is not None and value.isdigit() and len(value) < 10 else 0.0
