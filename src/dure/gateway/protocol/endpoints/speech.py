"""`/v1/audio/speech`: a text, spoken. The answer is the sound itself, or events that carry it.

Models are priced by the character of `input` (Unicode code points, known before the call and so exact), or by
tokens (`input`, and `output` with its part `audio_output`). Only the events say how many tokens there were. The sound
itself does not: then the tokens are estimated, and what is estimated is due as soon as a first piece was relayed,
for a provider makes the whole whether it is heard to the end or not.
"""

import re
from typing import ClassVar, NamedTuple

import msgspec

from dure.contracts.directory import AwardEntry, ModelEntry
from dure.gateway.protocol.admission import TEMPLATE_TOKENS, Bounds
from dure.gateway.protocol.calls import Call, FieldNames, decode_str, missing, model_name, typed
from dure.gateway.protocol.endpoints.base import Headers
from dure.gateway.protocol.endpoints.renaming import Renaming, charged_by_tokens
from dure.gateway.protocol.endpoints.typed_events import TypedEvent, TypedEventScanner
from dure.gateway.protocol.errors import Refusal, error_event
from dure.gateway.protocol.metering import Quantities, estimated_tokens, units_of
from dure.gateway.protocol.sse import Scanner

_GUARDED = frozenset({"input", "instructions", "model", "stream_format"})
_STEERING = frozenset({"model", "response_format", "speed", "stream_format", "voice"})
_NAMES = FieldNames(_GUARDED, _STEERING)


class _Text(NamedTuple):
    """`input` in characters and in bytes of UTF-8."""

    characters: int
    bytes: int


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Event(TypedEvent):
    usage: _Usage | None = None


class Speech(Renaming):
    name = "audio.speech"
    path = "/v1/audio/speech"
    dialects = frozenset({"openai"})

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = _NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes, stream=True)
        text = typed(fields, "input", decode_str, "a string")
        if not text:
            raise missing("input", "'input' is missing: set it to the text to be spoken.")
        call.kept = _Text(len(text), len(text.encode()))
        return call

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        text: _Text = call.kept
        units = units_of(character=text.characters)
        if not charged_by_tokens(call):
            return Bounds(0, 0, 1, 0, 0, units, units)
        input_tokens = min(model.context_length, call.text_bytes + TEMPLATE_TOKENS)
        spoken = min(_due(call), model.max_output_tokens)
        return Bounds(
            input_tokens,
            0,
            1,
            model.max_output_tokens,
            min(input_tokens, estimated_tokens(text.bytes)),
            units,
            {**units, "audio_output": spoken},
        )

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        """Of an answer that is neither sound nor events; some providers wrap the sound in JSON."""
        return counted(call, None)

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        return bounds.estimate(bounds.estimated_units.get("audio_output", 0))

    def scanner(self, call: Call, content_type: bytes) -> Scanner | None:
        if content_type.startswith(b"application/json"):
            return None
        if content_type.startswith(b"text/event-stream"):
            return SpeechScanner(call)
        return SoundScanner(call, content_type)

    def break_event(self, refusal: Refusal, scanner: Scanner) -> bytes | None:
        if isinstance(scanner, SoundScanner):
            return None  # words would be heard as noise
        return error_event(refusal.message, refusal.kind, refusal.code, mid_event=scanner.mid_event)


def counted(call: Call, usage: _Usage | None) -> Quantities | None:
    """The provider's count, with the characters, which need no provider; None where tokens are missing."""
    text: _Text = call.kept
    read = usage.input_tokens if usage is not None else None
    written = (usage.output_tokens if usage is not None else 0) or 0
    if (read is None or min(read, written) < 0) and charged_by_tokens(call):
        return None
    written = max(written, 0)
    return Quantities(
        max(read or 0, 0), written, 0, units_of(character=text.characters, audio_output=written)
    )


class SoundScanner:
    """Sound as it comes. Its last byte is held back until the record is written: only the end shows which it is."""

    __slots__ = (
        "_call",
        "_last",
        "content_type",
        "counted",
        "done",
        "failed",
        "relayed_tokens",
        "said",
    )

    mid_event: bool = True
    ends_itself: ClassVar[bool] = False

    def __init__(self, call: Call, content_type: bytes) -> None:
        self.counted: Quantities | None = None
        self.said: Quantities | None = None
        self.relayed_tokens = 0
        self.done = False
        self.failed = False
        self.content_type = content_type or b"application/octet-stream"
        self._call = call
        self._last = b""

    def passes(self, chunk: bytes) -> bool:
        return False

    def feed(self, data: bytes) -> bytes:
        if not data:
            return b""
        relay = self._last + data[:-1]
        self._last = data[-1:]
        if relay:
            self.relayed_tokens = _due(self._call)
        return relay

    def finish(self) -> bytes:
        last, self._last = self._last, b""
        self.counted = counted(self._call, None)
        return last


class SpeechScanner(TypedEventScanner):
    """`speech.audio.delta`, and `speech.audio.done` with the usage."""

    __slots__ = ("_call",)

    content = re.compile(rb'"audio":\s*"[^"]')
    decode = msgspec.json.Decoder(_Event).decode
    #: Each event holds a piece of sound in base64.
    held_bytes = 8 << 20

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def passes(self, chunk: bytes) -> bool:
        passes = super().passes(chunk)
        if self.relayed_tokens:
            self.relayed_tokens = _due(self._call)
        return passes

    def feed(self, data: bytes) -> bytes:
        relay = super().feed(data)
        if self.relayed_tokens:
            self.relayed_tokens = _due(self._call)
        return relay

    def told(self, event: _Event) -> None:
        if event.type == "speech.audio.done" or event.usage is not None:
            self.counted = counted(self._call, event.usage)
            self.done = event.type == "speech.audio.done"


def _due(call: Call) -> int:
    """The tokens of sound that are due once a first piece was relayed (never more than was held): one for each
    byte of the text.

    OpenAI has twenty a second. English is spoken at some fifteen characters a second, Korean at some six
    syllables of three bytes each, so both come to a little more than one a byte.
    """
    text: _Text = call.kept
    return text.bytes
