"""Reading a stream of server-sent events while it passes by.

The provider's bytes go on to the client as they came. On the way the scanner looks for three things: the
usage, the end (`[DONE]`), and how many tokens have passed so far, at least one for each event that
carries content. Nearly every piece that a provider writes is a few whole events without usage; those are
recognised by three substring searches and never split.

Where the gateway itself asked for usage, the chunk that carries nothing else is held back, so bytes of
an event that is not whole yet wait for its end; an unfinished event says nothing to a client anyway. An
event longer than `HELD_BYTES` cannot be that chunk and is let through as it comes.

Events end with an empty line, of LF or CRLF. Lines that end in CR alone, which the standard allows and
nobody sends, are relayed but not understood.
"""

import re

import msgspec

from dure.gateway.protocol.metering import Tokens, Usage, tokens_of

HELD_BYTES = 1 << 20

_EVENT_END = re.compile(rb"\r?\n\r?\n")
_NO_USAGE = re.compile(rb'"usage":\s*null')
#: What opens a non-empty piece of an answer: text, reasoning, a tool call's arguments or name.
_CONTENT = re.compile(rb'"(?:content|text|reasoning_content|reasoning|arguments|refusal|name)":\s*"[^"]')


class _Chunk(msgspec.Struct):
    usage: Usage | None = None
    choices: list[msgspec.Raw] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class EventScanner:
    """Feed it the stream's bytes; it answers with the bytes to relay.

    `tokens` is the provider's count once it came, `relayed_tokens` ours so far, `done` whether `[DONE]`
    has been seen, `failed` whether the provider sent an error event, `mid_event` whether the bytes
    relayed so far end within an event.
    """

    __slots__ = ("_flowing", "_held", "_hide_usage", "done", "failed", "relayed_tokens", "tokens")

    def __init__(self, *, hide_usage: bool) -> None:
        self.tokens: Tokens | None = None
        self.relayed_tokens = 0
        self.done = False
        self.failed = False
        self._hide_usage = hide_usage
        self._held = b""
        self._flowing = False

    @property
    def mid_event(self) -> bool:
        return self._flowing

    def feed(self, data: bytes) -> bytes:
        whole_events = not self._held and not self._flowing and data.endswith((b"\n\n", b"\r\n\r\n"))
        if whole_events and not _is_special(data):
            self.relayed_tokens += len(_CONTENT.findall(data))
            return data
        return self._split(data)

    def finish(self) -> bytes:
        """The stream has ended: what was held back of an event that never ended."""
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
        if self._flowing or len(rest) > HELD_BYTES:
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
        """Look into one whole event; b"" where it is to be hidden."""
        if _mentions_usage(event) or b'"error"' in event:
            chunk = _chunk_in(event)
            if chunk is not None and bytes(chunk.error) != b"null":
                self.failed = True
            if chunk is not None and chunk.usage is not None:
                self.tokens = tokens_of(chunk.usage) or self.tokens
                if self._hide_usage and chunk.choices == []:
                    return b""
        if b"[DONE]" in event and _payload(event).strip() == b"[DONE]":
            self.done = True
        self.relayed_tokens += len(_CONTENT.findall(event))
        return event


def _is_special(data: bytes) -> bool:
    return b"[DONE]" in data or b'"error"' in data or _mentions_usage(data)


def _mentions_usage(data: bytes) -> bool:
    return b'"usage"' in data and data.count(b'"usage"') != len(_NO_USAGE.findall(data))


def _end_prefix_length(data: bytes) -> int:
    """How many last bytes of `data` may belong to an event's end that is not whole yet."""
    for ending in (b"\r\n\r", b"\n\r", b"\r\n", b"\n", b"\r"):
        if data.endswith(ending):
            return len(ending)
    return 0


def _payload(event: bytes) -> bytes:
    """An event's data: the values of its `data` lines, joined by line feeds."""
    values = []
    for line in event.splitlines():
        name, _, value = line.partition(b":")
        if name == b"data":
            values.append(value.removeprefix(b" "))
    return b"\n".join(values)


def _chunk_in(event: bytes) -> _Chunk | None:
    try:
        return _decode_chunk(_payload(event))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
