"""`/v1/audio/transcriptions` and `/v1/audio/translations`: a recording as a form, text as the answer.

Models are priced by the second of the recording (`second`), or by tokens (`input` with its part `audio_input`,
`output`). Seconds are held for by the recording's own length and charged by the provider's count: `usage` of the
type `duration`, or `duration` of `verbose_json`. Where it counted neither (plain text, subtitles) the measured
length is charged, `estimated`. Forms rarely limit the tokens, so they are held for up to the model's.
"""

import re
from typing import Any, NamedTuple

import msgspec

from dure.contracts.directory import AwardEntry, Dialect, ModelEntry
from dure.gateway.protocol import audio
from dure.gateway.protocol.admission import Bounds
from dure.gateway.protocol.calls import UNREADABLE, Call, missing
from dure.gateway.protocol.endpoints.base import Headers, ModelEndpoint
from dure.gateway.protocol.endpoints.renaming import charged_by_tokens
from dure.gateway.protocol.endpoints.typed_events import TypedEvent, TypedEventScanner
from dure.gateway.protocol.errors import audio_unreadable, invalid
from dure.gateway.protocol.metering import Quantities, estimated_tokens, units_of
from dure.gateway.protocol.multipart import Form, Part, boundary_of, content_type_with, read_form
from dure.gateway.protocol.sse import Scanner

#: OpenAI's: a token of input audio for each tenth of a second.
AUDIO_TOKENS_PER_SECOND = 10
#: A second of a recording that is not read here, at 64 kbit/s.
_BYTES_PER_SECOND = 8_000

#: Unknown to OpenAI here, but providers that make a chat of the recording may heed them.
_LIMITS = ("max_tokens", "max_completion_tokens")
_MULTIPLYING = ("n", "n_cmpl", "n_predict", "best_of")
_GUARDED = frozenset({"file", "model", "stream", *_LIMITS, *_MULTIPLYING})
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}


class _Upload(NamedTuple):
    form: Form
    model: Part
    file: Part


class _InputDetails(msgspec.Struct):
    audio_tokens: int | None = None
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    """Of OpenAI's two types, `tokens` and `duration`, told apart by what they hold."""

    seconds: Any = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_token_details: _InputDetails | None = None
    input_tokens_details: _InputDetails | None = None  # llama.cpp's spelling


class _Answer(msgspec.Struct):
    usage: _Usage | None = None
    duration: Any = None
    text: str | None = None


class _Event(TypedEvent):
    usage: _Usage | None = None
    duration: Any = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


class _Recordings(ModelEndpoint):
    def read(self, body: bytes, headers: Headers) -> Call:
        boundary = boundary_of(headers.get(b"content-type"))
        form = read_form(body, boundary)
        form.refuse_other_spellings(_GUARDED)
        name, model = form.text("model"), form.part("model")
        if not name or model is None:
            raise missing("model", "You must provide a model: set 'model' to one that GET /v1/models lists.")
        file = form.part("file")
        if file is None or not file.is_file:
            raise missing(
                "file", "You must provide a recording: send it as the part 'file', with a file name."
            )
        call = Call(self.name, name, {}, len(form.text("prompt") or ""), only_text=False)
        call.stream = _flag(form, "stream")
        _read_limits(call, form)
        call.content_type = content_type_with(boundary)
        call.kept = _Upload(form, model, file)
        return call

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        """By the second: the recording's length and a little more, since decoders differ by a frame or two."""
        upload: _Upload = call.kept
        file = upload.file
        milliseconds = audio.length_ms(upload.form.body, file.start, file.end)
        if milliseconds is None:
            if "second" in call.meters:
                raise audio_unreadable()
            milliseconds = (file.end - file.start) * 1000 // _BYTES_PER_SECOND
        seconds = -(-milliseconds // 1000)
        most = {"second": seconds + 1 + seconds // 100}
        if not charged_by_tokens(call):
            return Bounds(0, 0, 1, 0, 0, most, units_of(second=seconds))
        if call.output_tokens is not None and call.output_tokens > model.max_output_tokens:
            invalid(
                f"'{call.output_field}' must be at most {model.max_output_tokens} for '{model.name}'.",
                param=call.output_field,
            )
        heard = min(model.context_length, seconds * AUDIO_TOKENS_PER_SECOND)
        estimated_input = min(model.context_length, heard + estimated_tokens(call.text_bytes))
        return Bounds(
            model.context_length,
            0,
            1,
            model.max_output_tokens if call.output_tokens is None else call.output_tokens,
            estimated_input,
            most,
            units_of(second=seconds, audio_input=heard),
        )

    def upstream_body(
        self, call: Call, *, upstream_model: str, dialect: Dialect, output_limit: int | None
    ) -> bytes:
        upload: _Upload = call.kept
        return b"".join(upload.form.replaced(upload.model, upstream_model.encode()))

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        try:
            answer = _decode_answer(body)
        except UNREADABLE:
            return None  # text and subtitles say nothing of it
        return _counted(call, answer)

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        try:
            text = (_decode_answer(body).text or "").encode("utf-8", "replace")
        except UNREADABLE:
            text = body
        return bounds.estimate(estimated_tokens(len(text)))

    def scanner(self, call: Call, content_type: bytes) -> Scanner | None:
        return TranscriptScanner(call) if content_type.startswith(b"text/event-stream") else None


class Transcriptions(_Recordings):
    name = "audio.transcriptions"
    path = "/v1/audio/transcriptions"


class Translations(_Recordings):
    name = "audio.translations"
    path = "/v1/audio/translations"
    dialects = frozenset({"openai"})


class TranscriptScanner(TypedEventScanner):
    """OpenAI's events (`transcript.text.delta`, `….done`), and the chunks that vLLM sends instead."""

    __slots__ = ("_call",)

    content = re.compile(rb'"(?:delta|content)":\s*"[^"]')
    decode = msgspec.json.Decoder(_Event).decode

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def told(self, event: _Event) -> None:
        if event.usage is not None:
            self.counted = _counted(self._call, event) or self.counted
        if event.type == "transcript.text.done":
            self.done = True


def _read_limits(call: Call, form: Form) -> None:
    for name in _MULTIPLYING:
        if form.part(name) is not None:
            invalid(f"'{name}' is not taken here: a recording has one transcript.", param=name)
    for name in _LIMITS:
        value = form.text(name)
        if value is None:
            continue
        if not value.isascii() or not value.isdigit() or len(value) > 9:
            invalid(f"'{name}' must be a whole number.", param=name, code="invalid_type")
        if call.output_tokens is None or int(value) > call.output_tokens:
            call.output_field, call.output_tokens = name, int(value)


def _flag(form: Form, name: str) -> bool:
    value = _FLAGS.get((form.text(name) or "").lower())
    if value is None:
        invalid(f"'{name}' must be true or false.", param=name, code="invalid_type")
    return value


def _counted(call: Call, answer: _Answer | _Event) -> Quantities | None:
    """The provider's count; None where it lacks what the call is charged by."""
    usage = answer.usage or _Usage()
    seconds = _seconds(usage.seconds)
    if seconds is None:
        seconds = _seconds(answer.duration)
    read = usage.prompt_tokens if usage.input_tokens is None else usage.input_tokens
    written = (usage.completion_tokens if usage.output_tokens is None else usage.output_tokens) or 0
    if read is not None and min(read, written) < 0:
        return None
    if (read is None and charged_by_tokens(call)) or (seconds is None and "second" in call.meters):
        return None
    details = usage.input_token_details or usage.input_tokens_details or _InputDetails()
    tokens = read or 0
    heard = min(max(details.audio_tokens or 0, 0), tokens)
    cached = min(max(details.cached_tokens or 0, 0), tokens)
    return Quantities(
        tokens, written if read is not None else 0, cached, units_of(second=seconds or 0, audio_input=heard)
    )


def _seconds(said: Any) -> int | None:
    """Seconds as providers write them (some as text), up to the next whole one."""
    if isinstance(said, str):
        try:
            said = float(said)
        except ValueError:
            return None
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said * 1000 <= audio.MOST_MS:
        return None
    return int(-(-said // 1))
