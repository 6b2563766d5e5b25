"""Reading requests: bytes of HTTP/1.1 in (RFC 9112), whole requests or one refusal out.

Two readers that disagree on where a request ends can be made to see different requests, which is called
smuggling. So this one takes the grammar's narrow core and nothing beside it: no obsolete form, no
repair, no second way to say how long a body is. What other readers are known to treat differently is
refused, although the standard might allow it (chunk extensions, trailers, a target's authority that is
not the Host). Whether a request is taken never depends on how its bytes were cut.

Nearly every request is one piece whose head one expression matches. Only where it does not match is the head
looked at line by line, for the first octet that is wrong. And most clients begin each request of a connection with the
very bytes of the last, but for the body's length: what these mean is remembered as a `Head` and not read again.
"""

import re

from dure.gateway.protocol import errors
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.http1 import FORWARDED_MESSAGES_HEADERS, FORWARDED_REQUEST_HEADERS
from dure.gateway.protocol.http_reading import (
    NEVER_REMEMBERED,
    NO_FIELD,
    Chunks,
    HeadLines,
    Malformed,
    TooLarge,
    check_coding,
    match_field,
)

#: The headers that are looked at; all others are read past.
KEPT_HEADERS = (
    FORWARDED_REQUEST_HEADERS
    | FORWARDED_MESSAGES_HEADERS
    | {
        b"api-key",
        b"authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"x-api-key",
        b"x-dure-fit",
        b"x-forwarded-for",
    }
)
#: Those of them whose lines add up to a list (RFC 9110 §5.3). Any other may come once.
_LISTS = frozenset({b"anthropic-beta", b"connection", b"openai-beta", b"tracestate", b"x-forwarded-for"})
#: Names that a proxy or a framework may take for those that say how long a body is.
_DECEPTIVE = frozenset({b"content_length", b"transfer_encoding"})
_LOOKED_AT = KEPT_HEADERS | _DECEPTIVE

_match_line = re.compile(rb"([A-Z]{1,32}) ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])").fullmatch
_match_host = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=-]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5})?").fullmatch
_match_url = re.compile(rb"https?://([^/]*)(/.*)?", re.IGNORECASE).fullmatch
_LENGTH_DIGITS = 15
_find_length = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE).search
_FIRST_LINE = "its first line is not METHOD TARGET HTTP/1.1"
#: Clients send the same lines again and again, so those that are read past, or say where to, are remembered by
#: their bytes with what they mean. Never a line with a secret in it.
_known: dict[bytes, tuple[bytes, bytes]] = {}
_known_first: dict[bytes, tuple[bytes, bytes, bool]] = {}
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 256
_REMEMBERED = frozenset({b"connection", b"content-type", b"host"})
_SECRETS = frozenset({b"api-key", b"authorization", b"x-api-key"})


_HEAD, _LENGTH, _CHUNKED, _WHOLE = range(4)


class Head:
    """What the head of a request means; one object for all requests of a connection that begin with the same bytes.

    `path` is without the query; names of `headers` are lower case, values trimmed. The body's length is not among them.
    `digest` and `forwarded` are for those who serve: by which they know the key again, and what of the headers goes on
    to a provider, as lines.
    """

    __slots__ = ("digest", "forwarded", "headers", "http11", "keep_alive", "method", "path")

    def __init__(self, method: bytes, path: bytes, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.http11 = True
        self.keep_alive = True
        self.digest: str | None = None
        self.forwarded: bytes | None = None


class Request:
    """One request, complete."""

    __slots__ = ("body", "client_address", "head", "headers", "received_at")

    def __init__(self, head: Head, body: bytes = b"", received_at: float = 0.0, address: str = "") -> None:
        self.head = head
        self.headers = head.headers
        self.body = body
        self.received_at = received_at
        self.client_address = address

    @property
    def method(self) -> bytes:
        return self.head.method

    @property
    def path(self) -> bytes:
        return self.head.path


class _Likeness:
    """A head that was read, as bytes: what comes before the digits of the body's length, and what behind them."""

    __slots__ = ("after", "before", "head")

    def __init__(self, head: Head, before: bytes, after: bytes) -> None:
        self.head = head
        self.before = before
        self.after = after


class RequestReader:
    """Feed it bytes, take requests off it one at a time with `next`.

    Once `refusal` is set nothing that follows can be trusted to begin a request, and `next` answers None
    for ever. `body_bytes` is what has come of a body that is not whole; what was fed beyond the request
    that was taken last waits, unread, and counts in `ahead_bytes`.
    """

    __slots__ = (
        "_at",
        "_blank",
        "_body",
        "_chunks",
        "_data",
        "_expects",
        "_left",
        "_like",
        "_lines",
        "_max_body",
        "_max_head",
        "_max_headers",
        "_request",
        "_secret",
        "_secret_line",
        "_state",
        "refusal",
    )

    def __init__(self, *, head_bytes: int, headers: int, body_bytes: int) -> None:
        self._max_head = head_bytes
        self._max_headers = headers
        self._max_body = body_bytes
        self._data = b""
        self._at = 0
        self._state = _HEAD
        self._request: Request | None = None
        self._lines: HeadLines | None = None
        self._chunks: Chunks | None = None
        self._body = bytearray()
        self._left = 0
        self._expects = False
        self._blank = False
        # The line with the key, which stays the same on a connection, and what it means.
        self._secret_line = b""
        self._secret = (b"", b"")
        self._like: _Likeness | None = None
        self.refusal: Refusal | None = None

    # What the connection asks

    @property
    def begun(self) -> bool:
        """Whether a part of a request is here."""
        return self._state != _HEAD or self._at < len(self._data)

    @property
    def in_body(self) -> bool:
        return self._state != _HEAD

    @property
    def body_bytes(self) -> int:
        return len(self._body)

    @property
    def ahead_bytes(self) -> int:
        return len(self._data) - self._at

    def take_expectation(self) -> bool:
        """Whether the client waits to be told that its body is wanted; true once for each request."""
        expects, self._expects = self._expects, False
        return expects

    def feed(self, data: bytes) -> None:
        if self._at < len(self._data):
            self._data = self._data[self._at :] + data
        else:
            self._data = data
        self._at = 0

    def whole(self, data: bytes) -> tuple[Head, bytes] | None:
        """Head and body of the request that `data` is, neither more nor less, if it begins like the last.

        None for all else, and then nothing has happened: `feed` takes the same bytes. A head with another number for
        the body's length means the same in all else, so nothing is taken here that `next` would not.
        """
        like = self._like
        if like is None or self._state or self._blank or self._at < len(self._data):
            return None
        before, after = like.before, like.after
        if not data.startswith(before):
            return None
        at = len(before)
        end = data.find(b"\r", at, at + _LENGTH_DIGITS + 1)
        if end <= at or not data.startswith(after, end):
            return None
        length, begins = data[at:end], end + len(after)
        if not length.isdigit() or length[0] == 48 or int(length) != len(data) - begins:
            return None
        return None if len(data) - begins > self._max_body else (like.head, data[begins:])

    def next(self) -> Request | None:
        """The next request that is whole; None where more has to come, or nothing more can."""
        if self.refusal is not None:
            return None
        try:
            if self._state == _HEAD and not (self._skip_blank() and self._read_head()):
                return None
            if self._state == _LENGTH and not self._read_length():
                return None
            if self._state == _CHUNKED and not self._read_chunks():
                return None
        except Malformed as malformed:
            self._give_up(errors.bad_framing(str(malformed)))
            return None
        except TooLarge:
            self._give_up(
                errors.headers_too_large(self._max_head)
                if self._state == _HEAD
                else errors.body_too_large(self._max_body)
            )
            return None
        self._state = _HEAD
        if self._at == len(self._data):
            self._data, self._at = b"", 0  # not kept for as long as the answer takes
        request, self._request = self._request, None
        self._expects = False
        return request

    def _give_up(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self._like = None
        self._data, self._at = b"", 0
        self._body = bytearray()

    # The head

    def _skip_blank(self) -> bool:
        """Step over one empty line before a request (RFC 9112 §2.2); false where nothing is left."""
        if not self._blank and self._data.startswith(b"\r\n", self._at):
            self._blank = True
            self._at += 2
        return self._at < len(self._data)

    def _read_head(self) -> bool:
        data, at = self._data, self._at
        begun = self._lines
        end = data.find(b"\r\n\r\n", at if begun is None else at + begun.unsought)
        if end < 0:
            return self._look_at_lines()
        lines = data[at:end].split(b"\r\n")
        line = lines[0]
        first = _known_first.get(line) or _first(line)
        if first is None or end + 4 - at > self._max_head or len(lines) - 1 > self._max_headers:
            return self._look_at_lines()
        headers: dict[bytes, bytes] = {}
        known = _known.get
        del lines[0]
        try:
            for line in lines:
                field = known(line)
                if field is None:
                    if line == self._secret_line:
                        field = self._secret
                    else:
                        field = _field(line)
                        if field[0] in _SECRETS:
                            self._secret_line, self._secret = line, field
                name, value = field
                if name:
                    if name in headers:
                        value = _joined(name, headers[name], value)
                    headers[name] = value
        except Malformed:
            self._look_at_lines()  # a line that is none goes before one that means something wrong
            raise
        self._at = end + 4
        self._lines = None
        self._blank = False
        head = self._understand(first, headers)
        self._remember(head, at, end + 4)
        return True

    def _remember(self, head: Head, at: int, end: int) -> None:
        """Expect the like of this head, if a body of a length follows it."""
        if self._state != _LENGTH or self._expects:
            return
        read = self._data[at:end]
        # There is one line with the length, or the head would have been refused.
        length = _find_length(read)
        if length is not None and len(read) + _LENGTH_DIGITS <= self._max_head:
            self._like = _Likeness(head, read[: length.start(1)], read[length.end(1) :])

    def _look_at_lines(self) -> bool:
        """Refuse a head for the first thing that is wrong with it; if that may still come, False."""
        if self._lines is None:
            self._lines = HeadLines(
                _match_line, _FIRST_LINE, max_bytes=self._max_head, max_fields=self._max_headers
            )
        self._lines.look(self._data, self._at)
        return False

    def _understand(self, first: tuple[bytes, bytes, bool], headers: dict[bytes, bytes]) -> Head:
        """Which request it is."""
        method, target, http11 = first
        host = headers.get(b"host")
        if host is None:
            if http11:
                raise Malformed("the Host header is missing")
        elif not host:
            raise Malformed("the Host header is not one host")
        path = target if target[:1] == b"/" else _path_of(method, target, host)
        head = Head(method, path, headers)
        self._request = Request(head)
        connection = headers.get(b"connection")
        if connection is not None or not http11:
            head.http11 = http11
            options = [option.strip(b" \t") for option in (connection or b"").lower().split(b",")]
            head.keep_alive = b"close" not in options and (http11 or b"keep-alive" in options)
        self._frame(headers, http11=http11)
        return head

    def _frame(self, headers: dict[bytes, bytes], *, http11: bool) -> None:
        """Where the body ends."""
        length = headers.pop(b"content-length", None)
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            check_coding(coding, with_length=length is not None, http11=http11)
            self._state = _CHUNKED
            self._chunks = Chunks(max_bytes=self._max_body)
        elif length is None or length == b"0":
            self._state = _WHOLE
        else:
            # Octets of other alphabets are no digits here; a leading nought means octal to some.
            if not length.isdigit() or length[0] == 48:
                raise Malformed("Content-Length is not a number")
            if len(length) > _LENGTH_DIGITS or int(length) > self._max_body:
                self._state = _LENGTH
                raise TooLarge
            self._left = int(length)
            self._state = _LENGTH
        self._expects = http11 and b"expect" in headers and self._state != _WHOLE

    # The body

    def _read_length(self) -> bool:
        data, at, left = self._data, self._at, self._left
        here = len(data) - at
        body = self._body
        if here < left:
            if here:
                self._expects = False
                body += memoryview(data)[at:] if at else data
                self._data, self._at = b"", 0
                self._left = left - here
            return False
        end = at + left
        assert self._request is not None
        if body:
            body += memoryview(data)[at:end]
            self._request.body = bytes(body)
            self._body = bytearray()
        else:
            self._request.body = data[at:end]
        self._at = end
        self._state = _WHOLE
        return True

    def _read_chunks(self) -> bool:
        data, at, chunks, request = self._data, self._at, self._chunks, self._request
        assert chunks is not None
        assert request is not None
        if at < len(data):
            self._expects = False
        self._at = chunks.read(data, at, self._body.extend)
        if not chunks.done:
            return False
        request.body = bytes(self._body)
        self._body = bytearray()
        self._chunks = None
        return True


def _first(line: bytes) -> tuple[bytes, bytes, bool] | None:
    """Method, target without its query, and whether it is HTTP/1.1; None where the line is none."""
    match = _match_line(line)
    if match is None:
        return None
    method, target, minor = match.groups()
    path, asked, _ = target.partition(b"?")
    first = (method, path, minor == b"1")
    if not asked and len(line) <= _LONGEST_KNOWN:
        if len(_known_first) >= _MOST_KNOWN:
            _known_first.clear()
        _known_first[line] = first
    return first


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Name and value of a header line, both empty where it is read past."""
    name, _, value = line.partition(b":")
    name = name.lower()
    value = value.strip(b" ")
    if name == b"content-length" and value.isdigit():
        return name, value
    if match_field(line) is None:
        raise Malformed(NO_FIELD)
    remembered = name in _REMEMBERED
    if name not in _LOOKED_AT:
        remembered = name not in NEVER_REMEMBERED
        name = value = b""
    else:
        if name in _DECEPTIVE:
            raise Malformed(f"a header named {name.decode()}")
        if not value.isascii():
            raise Malformed("a header that is looked at is not ASCII")
        if name == b"host" and _match_host(value) is None:
            value = b""
    if remembered and len(line) <= _LONGEST_KNOWN:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[line] = (name, value)
    return name, value


def _joined(name: bytes, value: bytes, more: bytes) -> bytes:
    if name not in _LISTS:
        raise Malformed(f"more than one {name.decode()} header")
    return value + b", " + more


def _path_of(method: bytes, target: bytes, host: bytes | None) -> bytes:
    """The path of a target that does not begin with a slash: a URL of the same host, or `*`."""
    if target == b"*" and method == b"OPTIONS":
        return target
    url = _match_url(target)
    if url is None or method == b"CONNECT":
        raise Malformed("its target is neither a path nor an http URL")
    authority, path = url.groups()
    if host is None or authority.lower() != host.lower():
        raise Malformed("its target names another host than the Host header")
    return path or b"/"
