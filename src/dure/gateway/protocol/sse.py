"""Reading a stream of server-sent events while it passes by.

The provider's bytes go on to the client as they came. On the way a scanner looks for three things: the
usage, the end, and how many tokens have passed so far, at least one for each event that
carries content. Nearly every piece that a provider writes is a few whole events of plain content; those are
recognised by a few substring searches and never split.

An event may have to be held back (the gateway asked for it, the client did not), and the last one waits for
the journal, so bytes of an event that is not whole yet wait for its end; an unfinished event says nothing to
a client anyway. An event longer than `held_bytes` is let through as it comes.

Events end with an empty line, of LF or CRLF. Lines that end in CR alone, which the standard allows and
nobody sends, are relayed but not understood.
"""

import re
from typing import ClassVar, Protocol

from mypy_extensions import mypyc_attr

from dure.gateway.protocol.metering import Quantities

HELD_BYTES = 1 << 20
CONTENT_TYPE = b"text/event-stream; charset=utf-8"

#: How a chunk of whole events ends.
CHUNK_ENDS = (b"\n\n\r\n", b"\r\n\r\n\r\n")
_EVENT_END = re.compile(rb"\r?\n\r?\n")


class Scanner(Protocol):
    """What a relay needs to know of an answer that is passed on as it comes, events or not.

    `counted` is the provider's count once it came; `said` what it has told of it so far; `relayed_tokens` our own
    count; `done` whether the answer's own end has been seen; `failed` whether the provider sent an error in it;
    `mid_event` whether the bytes relayed so far end within an event; `content_type` what the client is told. Where
    an answer always `ends_itself`, one that just stops is not whole.
    """

    counted: Quantities | None
    said: Quantities | None
    relayed_tokens: int
    done: bool
    failed: bool
    content_type: bytes
    ends_itself: ClassVar[bool]

    @property
    def mid_event(self) -> bool: ...

    def passes(self, chunk: bytes) -> bool:
        """Whether an HTTP chunk, with its framing, may be relayed just as it came; it is counted then."""

    def feed(self, data: bytes) -> bytes:
        """The stream's next bytes; those to relay now."""

    def finish(self) -> bytes:
        """The stream has ended: what was held back of it."""


@mypyc_attr(allow_interpreted_subclasses=True)
class EventScanner:
    """A `Scanner` of events. A dialect says which events are special, and looks into those."""

    __slots__ = (
        "_flowing",
        "_held",
        "content_type",
        "counted",
        "done",
        "failed",
        "relayed_tokens",
        "said",
    )

    #: What opens a non-empty piece of an answer.
    content: ClassVar[re.Pattern[bytes]]
    held_bytes: ClassVar[int] = HELD_BYTES
    ends_itself: ClassVar[bool] = True

    def __init__(self) -> None:
        self.counted: Quantities | None = None
        self.said: Quantities | None = None
        self.relayed_tokens = 0
        self.done = False
        self.failed = False
        self.content_type = CONTENT_TYPE
        self._held = b""
        self._flowing = False

    # A dialect's part

    def special(self, data: bytes) -> bool:
        """Whether some event in `data` may be more than content. Cheap; erring towards True costs time only."""
        raise NotImplementedError

    def look(self, event: bytes) -> bool:
        """Look into one whole event that may be special; False where it is to be hidden."""
        raise NotImplementedError

    def pieces(self, data: bytes) -> int:
        """How many non-empty pieces of an answer are in `data`."""
        return len(self.content.findall(data))

    # Every dialect's

    @property
    def mid_event(self) -> bool:
        return self._flowing

    def passes(self, chunk: bytes) -> bool:
        """Whole events of nothing but content, that is; the framing before and behind them looks like none of it."""
        if self._held or self._flowing or not chunk.endswith(CHUNK_ENDS) or self.special(chunk):
            return False
        self.relayed_tokens += self.pieces(chunk)
        return True

    def feed(self, data: bytes) -> bytes:
        whole_events = not self._held and not self._flowing and data.endswith((b"\n\n", b"\r\n\r\n"))
        if whole_events and not self.special(data):
            self.relayed_tokens += self.pieces(data)
            return data
        return self._split(data)

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        if not held:
            return b""
        return self._event(held)

    def _split(self, data: bytes) -> bytes:
        if self._held:
            # An end may lie across the seam, so the search starts a little before it.
            start = max(0, len(self._held) - 3)
            data = self._held + data
        else:
            start = 0
        relay: list[bytes] = []
        position = 0
        while (end := _EVENT_END.search(data, start)) is not None:
            start = end.end()
            event = data[position:start]
            position = start
            if self._flowing:
                self._flowing = False
                relay.append(event)
            else:
                relay.append(self._event(event))
        rest = data[position:]
        if self._flowing or len(rest) > self.held_bytes:
            if not self._flowing:
                self.relayed_tokens += 1
            # The seam of an event's end needs its last bytes again.
            keep = _end_prefix_length(rest)
            relay.append(rest[: len(rest) - keep])
            rest = rest[len(rest) - keep :]
            self._flowing = True
        self._held = rest
        return b"".join(relay)

    def _event(self, event: bytes) -> bytes:
        if self.special(event) and not self.look(event):
            return b""
        self.relayed_tokens += self.pieces(event)
        return event


def _end_prefix_length(data: bytes) -> int:
    """How many last bytes of `data` may belong to an event's end that is not whole yet."""
    for ending in (b"\r\n\r", b"\n\r", b"\r\n", b"\n", b"\r"):
        if data.endswith(ending):
            return len(ending)
    return 0


def payload(event: bytes) -> bytes:
    """An event's data: the values of its `data` lines, joined by line feeds."""
    values = []
    for line in event.splitlines():
        name, _, value = line.partition(b":")
        if name == b"data":
            values.append(value.removeprefix(b" "))
    return b"\n".join(values)
