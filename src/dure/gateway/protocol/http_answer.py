"""Reading answers: bytes of HTTP/1.1 from a provider in (RFC 9112), a status, a few headers and a body out.

A provider is trusted no more than a client: what it sends may have been bent on its way, and whatever one
answer leaves behind would be taken for the beginning of the next. So the grammar is as narrow as for requests, and a
connection is used again only after an answer that ended exactly where it said.
"""

import re

from dure.gateway.protocol.http1 import FORWARDED_RESPONSE_HEADERS
from dure.gateway.protocol.http_reading import (
    BETWEEN,
    NEVER_REMEMBERED,
    Chunks,
    HeadLines,
    Malformed,
    TooLarge,
    check_coding,
    match_chunk_head,
    match_field,
)

#: The headers that are looked at, beside `connection`; all others are read past.
_KEPT_HEADERS = FORWARDED_RESPONSE_HEADERS | {
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"transfer-encoding",
}
#: All heads of one answer, the interim ones (1xx) too.
MAX_HEAD_BYTES = 64 << 10
MAX_TRAILER_BYTES = 4 << 10
MAX_FIELDS = 200

_match_line = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*+)?").fullmatch
_FIRST_LINE = "its first line is not HTTP/1.1 STATUS"
_LENGTH_DIGITS = 15
#: Statuses whose answers have no body, whatever their headers say.
_BODILESS = frozenset({204, 304})

_find_length = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE).search
#: Providers send the same lines again and again: remembered by their bytes, with what they mean.
_known: dict[bytes, tuple[bytes, bytes | None]] = {}
_known_first: dict[bytes, tuple[int, bool]] = {}
_known_sizes: dict[bytes, int] = {}
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 256

_HEAD, _LENGTH, _CHUNKED, _TO_THE_END = range(4)


class Likeness:
    """The head of an answer that was read: as bytes, what comes before the digits of its length and what behind them;
    and what it means."""

    __slots__ = ("after", "before", "headers", "status")

    def __init__(self, status: int, headers: dict[bytes, bytes], before: bytes, after: bytes) -> None:
        self.status = status
        self.headers = headers
        self.before = before
        self.after = after


class AnswerReader:
    """Reads one answer; `feed` gives the body's bytes as they come.

    `broken`: what is wrong with what came; it stays so. `head_done`: status and headers of the final answer are
    here. `complete`: so is its last byte. `reusable`: the connection may then carry another request.
    `framed`: the answer's end can be told from the connection's.
    """

    __slots__ = (
        "_chunks",
        "_data",
        "_head_bytes",
        "_left",
        "_lines",
        "_pieces",
        "_state",
        "broken",
        "complete",
        "head_done",
        "headers",
        "like",
        "reusable",
        "status",
    )

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.like: Likeness | None = None
        self.restart()

    def restart(self) -> None:
        """For the next answer."""
        self._state = _HEAD
        self._data = b""
        self._head_bytes = 0
        self._lines: HeadLines | None = None
        self._chunks: Chunks | None = None
        self._left = 0
        self.broken = ""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.head_done = False
        self.complete = False
        self.reusable = False

    @property
    def framed(self) -> bool:
        return self._state != _TO_THE_END

    def whole(self, data: bytes) -> bytes | None:
        """The body of the answer that `data` is, neither more nor less, if it begins like the last one: `like` then
        says what its head means, and the reader is as fresh as before. None for all else: `feed` takes the same bytes.
        """
        like = self.like
        if like is None or self.head_done or self._data:
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
        return data[begins:]

    def one_chunk(self, data: bytes) -> int:
        """Where the body's bytes begin in `data`, if that is one whole chunk and nothing else; 0 if it is not, or
        hardly worth the name: `feed` takes the same bytes. Nearly every piece of a stream is one."""
        chunks = self._chunks
        if chunks is None or chunks.state != BETWEEN or self._data:
            return 0
        at = data.find(b"\r\n", 0, 10) + 2
        size = _known_sizes.get(data[:at]) or _size(data)
        return at if size > 4 and at + size + 2 == len(data) and data.endswith(b"\r\n") else 0

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body in `data`. What comes behind the answer's last byte is dropped."""
        if self.broken:
            return b""
        try:
            return self._feed(data)
        except Malformed as malformed:
            self.broken = str(malformed)
            return self._joined_pieces()

    def _feed(self, data: bytes) -> bytes:
        if self._state == _HEAD:
            data = self._read_heads(self._data + data if self._data else data)
            self._data = b"" if self.head_done else data
            if not self.head_done:
                return b""
        if self._state == _CHUNKED:
            return self._read_chunks(data)
        if self._state == _TO_THE_END:
            return data
        return self._read_length(data)

    def end(self) -> bool:
        """The connection has ended in good order: whether the answer is whole."""
        if self.head_done and self._state == _TO_THE_END:
            self.complete = True
        return self.complete

    # The head

    def _read_heads(self, data: bytes) -> bytes:
        """Read heads up to that of the final answer; what is left of `data`."""
        while not self.head_done:
            begun = self._lines
            end = data.find(b"\r\n\r\n", 0 if begun is None else begun.unsought)
            most = MAX_HEAD_BYTES - self._head_bytes
            fields = data[:end].split(b"\r\n") if 0 <= end <= most - 4 else []
            if not fields or len(fields) - 1 > MAX_FIELDS or not self._read_head(fields):
                self._look_at_lines(data, most)
                return data
            if not self._head_bytes and self._left and self.reusable:
                self._remember(data[: end + 4])
            self._head_bytes += end + 4
            self._lines = None
            data = data[end + 4 :]
        return data

    def _remember(self, read: bytes) -> None:
        """The head of an answer with a length, after which the connection may be used again."""
        length = _find_length(read)
        if length is not None and len(read) + _LENGTH_DIGITS <= MAX_HEAD_BYTES:
            self.like = Likeness(self.status, self.headers, read[: length.start(1)], read[length.end(1) :])

    def _read_head(self, lines: list[bytes]) -> bool:
        """Understand a whole head; false where it is none."""
        line = lines[0]
        first = _known_first.get(line) or _first(line)
        if first is None:
            return False
        headers: dict[bytes, bytes] = {}
        wrong = b""
        del lines[0]
        for line in lines:
            field = _known.get(line) or _field(line)
            if field is None:
                return False
            name, value = field
            if name:
                if name in headers or value is None:
                    value = _joined(name, headers.get(name), value)
                    if value is None:
                        wrong = name
                        continue
                headers[name] = value
        if wrong:
            raise Malformed(f"its {wrong.decode()} header is not one plain value")
        status, http11 = first
        if status == 101:
            raise Malformed("it changes to another protocol")
        if status >= 200:
            self._begin_body(status, headers, http11=http11)
        return True

    def _look_at_lines(self, data: bytes, most: int) -> None:
        if self._lines is None:
            self._lines = HeadLines(_match_line, _FIRST_LINE, max_bytes=most, max_fields=MAX_FIELDS)
        try:
            self._lines.look(data, 0)
        except TooLarge:
            raise Malformed("its headers are too large") from None

    def _begin_body(self, status: int, headers: dict[bytes, bytes], *, http11: bool) -> None:
        self.status = status
        self.headers = headers
        self.head_done = True
        self.reusable = _stays(headers.get(b"connection"), http11=http11)
        length = headers.pop(b"content-length", None)
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            check_coding(coding, with_length=length is not None, http11=http11)
        if length is not None and (
            not length.isdigit()
            or len(length) > _LENGTH_DIGITS
            or (length.startswith(b"0") and length != b"0")
        ):
            raise Malformed("Content-Length is not a number")
        if status in _BODILESS:
            self._state = _LENGTH
        elif coding is not None:
            self._state = _CHUNKED
            self._chunks = Chunks(trailer_bytes=MAX_TRAILER_BYTES)
        elif length is not None:
            self._state = _LENGTH
            self._left = int(length)
        else:
            self._state = _TO_THE_END
            self.reusable = False

    # The body

    def _read_length(self, data: bytes) -> bytes:
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            return data
        self._left = 0
        self._finish(more=len(data) > left)
        return data[:left]

    def _read_chunks(self, data: bytes) -> bytes:
        chunks = self._chunks
        assert chunks is not None
        if self._data:
            data = self._data + data
        at = chunks.read(data, 0, self._pieces.append)
        self._data = data[at:]
        if chunks.done:
            self._data = b""
            self._finish(more=at < len(data))
        return self._joined_pieces()

    def _joined_pieces(self) -> bytes:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def _finish(self, *, more: bool) -> None:
        if self.complete:
            return
        self.complete = True
        # Bytes that nobody asked for: whatever they are, this connection is not to be trusted again.
        if more:
            self.reusable = False


def _first(line: bytes) -> tuple[int, bool] | None:
    """The status and whether it is HTTP/1.1; None where the line is no first line."""
    match = _match_line(line)
    if match is None:
        return None
    first = (int(match[2]), match[1] == b"1")
    if len(line) <= _LONGEST_KNOWN:
        if len(_known_first) >= _MOST_KNOWN:
            _known_first.clear()
        _known_first[line] = first
    return first


def _field(line: bytes) -> tuple[bytes, bytes | None] | None:
    """Name and value of a header line: an empty name where it is read past, no value where that is not plain
    ASCII. None where the line is no header line.
    """
    name, _, said = line.partition(b":")
    name = name.lower()
    plain = said.strip(b" ")
    if name == b"content-length" and plain.isdigit():
        return name, plain
    if match_field(line) is None:
        return None
    remembered = name not in NEVER_REMEMBERED and len(line) <= _LONGEST_KNOWN
    if name not in _KEPT_HEADERS:
        name = b""
    value = plain if said.isascii() and b"\t" not in said else None
    if remembered:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[line] = (name, value)
    return name, value


def _size(data: bytes) -> int:
    """The size of a chunk that begins here, and is remembered; 0 where it has to be looked at closely."""
    head = match_chunk_head(data)
    if head is None:
        return 0
    if len(_known_sizes) >= _MOST_KNOWN:
        _known_sizes.clear()
    size = _known_sizes[head[0]] = int(head[1], 16)
    return size


def _stays(connection: bytes | None, *, http11: bool) -> bool:
    """Whether the connection may carry another request."""
    if connection is None:
        return http11
    if connection == b"keep-alive":
        return True
    options = [option.strip(b" ") for option in connection.lower().split(b",")]
    return b"close" not in options and (http11 or b"keep-alive" in options)


def _joined(name: bytes, value: bytes | None, more: bytes | None) -> bytes | None:
    """Two lines of one header as one value; None where they make none."""
    if name != b"connection" or value is None or more is None:
        return None
    return value + b"," + more
