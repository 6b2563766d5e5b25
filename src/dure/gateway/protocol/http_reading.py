"""What reading requests and reading answers have in common (RFC 9112): lines of a head, and chunks.

The grammar's narrow core and nothing beside it: no obsolete form, no repair. Whether bytes are taken never
depends on how they were cut.
"""

import re
from collections.abc import Callable

#: Headers that may hold a secret, though nobody here looks at them: their lines are not kept either.
NEVER_REMEMBERED = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"})

#: A header line without its end: name and value.
match_field = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):([\t\x20-\x7e\x80-\xff]*+)").fullmatch
#: What no line of a head may hold; of its end, CR LF, only the two together are not one of these.
_find_bad_octet = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
#: No extension, no sign, no space, no more digits than a chunk needs.
match_chunk_head = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n").match
_match_begun_chunk_head = re.compile(rb"(?:[0-9A-Fa-f]{1,8}\r?)?").fullmatch
_LONGEST_CHUNK_HEAD = 10

BAD_OCTET = "an octet that no first line and no header may hold"
NO_FIELD = "a header line is not NAME: VALUE"


class Malformed(Exception):
    """Not HTTP/1.1 as it is taken here; the reason finishes the sentence "this is not well-formed"."""


class TooLarge(Exception):
    """Well-formed as far as it came, and more than is taken."""


def check_coding(coding: bytes, *, with_length: bool, http11: bool) -> None:
    """Raise for a Transfer-Encoding beside a length, before HTTP/1.1, or that is more than chunked (RFC 9112 §6.1)."""
    if with_length:
        raise Malformed("both Content-Length and Transfer-Encoding")
    if not http11 or coding.lower() != b"chunked":
        raise Malformed("a transfer coding other than chunked")


class HeadLines:
    """Looks at a head line by line, for the first thing that is wrong, and remembers how far it has looked."""

    __slots__ = ("_first_line", "_line_at", "_lines", "_match_first", "_max_bytes", "_max_fields", "_seen")

    def __init__(
        self, match_first: Callable[[bytes], object], first_line: str, *, max_bytes: int, max_fields: int
    ) -> None:
        self._match_first = match_first
        self._first_line = first_line
        self._max_bytes = max_bytes
        self._max_fields = max_fields
        self.restart()

    def restart(self) -> None:
        # Counted from the head's first byte.
        self._line_at = 0
        self._seen = 0
        self._lines = 0

    @property
    def unsought(self) -> int:
        """From which byte of the head on its end may be, so that a head in many pieces is not sought through again."""
        return max(0, self._seen - 3)

    def look(self, data: bytes, start: int) -> None:
        """`data` from `start` holds no whole, sound head: raise for what is wrong, if that is here yet."""
        limit = start + self._max_bytes
        while True:
            line_at = start + self._line_at
            seen = start + self._seen
            stop = data.find(b"\r\n", max(line_at, seen - 1))
            # A CR that came last may have its LF on the way.
            upto = stop if stop >= 0 else len(data) - data.endswith(b"\r")
            if _find_bad_octet(data, seen, min(upto, limit)) is not None:
                raise Malformed(BAD_OCTET)
            if (stop + 2 if stop >= 0 else len(data)) > limit:
                raise TooLarge
            if stop < 0:
                self._seen = max(self._seen, upto - start)
                return
            line = data[line_at:stop]
            if line_at == start:
                if self._match_first(line) is None:
                    raise Malformed(self._first_line)
            elif not line:
                return
            elif match_field(line) is None:
                raise Malformed(NO_FIELD)
            self._lines += 1
            if self._lines - 1 > self._max_fields:
                raise TooLarge
            self._line_at = self._seen = stop + 2 - start


#: The state in which the next byte begins a chunk.
BETWEEN = 0
_DATA, _LAST, _DONE = range(1, 4)


class Chunks:
    """Chunks (RFC 9112 §7.1) up to their end. `trailer_bytes` of trailers are read past; 0: none may come."""

    __slots__ = ("_left", "_max_bytes", "_total", "_trailer_bytes", "state")

    def __init__(self, *, max_bytes: int | None = None, trailer_bytes: int = 0) -> None:
        self._max_bytes = max_bytes
        self._trailer_bytes = trailer_bytes
        self.state = BETWEEN
        self._left = 0
        self._total = 0

    @property
    def done(self) -> bool:
        return self.state == _DONE

    def read(self, data: bytes, at: int, take: Callable[[bytes], object]) -> int:
        """Hand the body's pieces in `data` from `at` to `take`; where reading stopped.

        Unless `done`, what is left there has to come again with more behind it.
        """
        while self.state != _DONE:
            if self.state == BETWEEN:
                stop = self._read_size(data, at)
            elif self.state == _LAST:
                stop = self._read_last(data, at)
            else:
                piece = data[at : at + self._left]
                if piece:
                    take(piece)
                at += len(piece)
                self._left -= len(piece)
                stop = self._read_data_end(data, at)
            if stop is None:
                return at
            at = stop
        return at

    def _read_size(self, data: bytes, at: int) -> int | None:
        """Where a chunk's head ends; None where it is not whole."""
        head = match_chunk_head(data, at)
        if head is None:
            if _match_begun_chunk_head(data, at, at + _LONGEST_CHUNK_HEAD) is None:
                raise Malformed("a chunk's size is not a plain number")
            return None
        self._left = size = int(head[1], 16)
        self._total += size
        if self._max_bytes is not None and self._total > self._max_bytes:
            raise TooLarge
        self.state = _DATA if size else _LAST
        return head.end()

    def _read_data_end(self, data: bytes, at: int) -> int | None:
        """Where a chunk ends, with its line end; None where it is not whole."""
        ending = data[at : at + 2]
        if self._left or len(ending) < 2:
            if not b"\r\n".startswith(ending):
                raise Malformed("a chunk is not as long as it says")
            return None
        if ending != b"\r\n":
            raise Malformed("a chunk is not as long as it says")
        self.state = BETWEEN
        return at + 2

    def _read_last(self, data: bytes, at: int) -> int | None:
        """Where the line behind the last chunk ends, a trailer or the end; None where it is not whole."""
        if data.startswith(b"\r\n", at):
            self.state = _DONE
            return at + 2
        if not self._trailer_bytes:
            if not b"\r\n".startswith(data[at : at + 2]):
                raise Malformed("trailers are not accepted")
            return None
        stop = data.find(b"\r\n", at)
        upto = stop if stop >= 0 else len(data) - data.endswith(b"\r", at)
        if _find_bad_octet(data, at, min(upto, at + self._trailer_bytes)) is not None:
            raise Malformed(BAD_OCTET)
        if (stop + 2 if stop >= 0 else len(data)) - at > self._trailer_bytes:
            raise Malformed("its trailers are too large")
        if stop < 0:
            return None
        if match_field(data[at:stop]) is None:
            raise Malformed(NO_FIELD)
        self._trailer_bytes -= stop + 2 - at
        return stop + 2
