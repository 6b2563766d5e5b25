"""`/v1/images/generations`: pictures from a text, as links, in base64, or as events with previews.

Models are priced by the picture (`image`), or by tokens (`input`, `output`). Pictures are held for by `n` and
charged by how many came. Nothing in the body limits the tokens of a picture, so each is held for at the model's
`max_output_tokens`, and each preview at a hundred more.
"""

import re

import msgspec

from dure.contracts.directory import AwardEntry, ModelEntry
from dure.gateway.protocol.admission import Bounds, input_bounds
from dure.gateway.protocol.calls import (
    UNREADABLE,
    Call,
    FieldNames,
    decode_bool,
    decode_str,
    missing,
    model_name,
    typed,
    whole,
)
from dure.gateway.protocol.dialects import response_quantities
from dure.gateway.protocol.endpoints.base import Headers
from dure.gateway.protocol.endpoints.renaming import Renaming, charged_by_tokens
from dure.gateway.protocol.endpoints.typed_events import TypedEvent, TypedEventScanner
from dure.gateway.protocol.metering import NO_QUANTITIES, Quantities, units_of
from dure.gateway.protocol.shapes import ResponseUsage
from dure.gateway.protocol.sse import Scanner

MAX_IMAGES = 128
MAX_PREVIEWS = 16
#: OpenAI's, for each preview of a picture that is being made.
TOKENS_PER_PREVIEW = 100

_GUARDED = frozenset({"model", "n", "partial_images", "prompt", "quality", "size", "stream"})
_STEERING = frozenset({"model", "n", "partial_images", "response_format", "size", "stream", "user"})
_NAMES = FieldNames(_GUARDED, _STEERING)


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw] | None = None
    usage: ResponseUsage | None = None


class _Event(TypedEvent):
    usage: ResponseUsage | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


class Images(Renaming):
    name = "images.generations"
    path = "/v1/images/generations"
    dialects = frozenset({"openai"})

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = _NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes)
        if not typed(fields, "prompt", decode_str, "a string"):
            raise missing("prompt", "'prompt' is missing: describe the picture.")
        call.copies = whole(fields, "n", least=1, most=MAX_IMAGES) or 1
        call.stream = bool(typed(fields, "stream", decode_bool, "true or false"))
        previews = whole(fields, "partial_images", least=0, most=MAX_PREVIEWS) or 0
        call.extra_output_tokens = previews * TOKENS_PER_PREVIEW * call.copies
        return call

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        images = units_of(image=call.copies)
        if not charged_by_tokens(call):
            return Bounds(0, 0, 1, 0, 0, images, images)
        output = model.max_output_tokens * call.copies + call.extra_output_tokens
        return input_bounds(call, model)._replace(extra_output=output, units=images, estimated_units=images)

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        try:
            answer = _decode_answer(body)
        except UNREADABLE:
            return None
        if answer.data is None:
            return None
        return _counted(call, answer.usage, len(answer.data))

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        """The pictures that came, each at the most tokens it may have."""
        try:
            pictures = len(_decode_answer(body).data or ())
        except UNREADABLE:
            pictures = call.copies
        pictures = min(pictures, call.copies)
        ours = bounds.estimate(bounds.output // call.copies * pictures)
        return ours._replace(units=units_of(image=pictures))

    def scanner(self, call: Call, content_type: bytes) -> Scanner | None:
        return PictureScanner(call) if content_type.startswith(b"text/event-stream") else None


class PictureScanner(TypedEventScanner):
    """`image_generation.partial_image`, and `….completed` with the usage, once for each picture."""

    __slots__ = ("_call", "_completed", "_sum")

    ends_itself = True
    #: No event counts by itself; what an event is worth is said in `told`.
    content = re.compile(rb"(?!)")
    decode = msgspec.json.Decoder(_Event).decode
    #: The usage stands behind the picture, in one event of several megabytes.
    held_bytes = 32 << 20

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call
        self._completed = 0
        self._sum: Quantities | None = NO_QUANTITIES

    def special(self, data: bytes) -> bool:
        return True

    def told(self, event: _Event) -> None:
        if event.type is None:
            return
        if event.type.endswith(".partial_image"):
            self.relayed_tokens += TOKENS_PER_PREVIEW
        elif event.type.endswith(".completed"):
            self._complete(event)

    def _complete(self, event: _Event) -> None:
        call = self._call
        self._completed += 1
        one = _counted(call, event.usage, 1)
        self._sum = None if one is None or self._sum is None else _added(self._sum, one)
        if self._completed >= call.copies:
            self.done = True
            self.counted = self._sum
        elif self._sum is not None:
            # Whoever hangs up now leaves the provider with the other pictures, which it has begun.
            self.said = self._sum._replace(units={**self._sum.units, "image": call.copies})

    def finish(self) -> bytes:
        rest = super().finish()
        if self._completed:
            self.counted = self._sum
        return rest


def _counted(call: Call, usage: ResponseUsage | None, pictures: int) -> Quantities | None:
    tokens = response_quantities(usage) if usage is not None else None
    if tokens is None:
        return None if charged_by_tokens(call) else Quantities(0, 0, 0, units_of(image=pictures))
    return tokens._replace(units={**tokens.units, **units_of(image=pictures)})


def _added(one: Quantities, other: Quantities) -> Quantities:
    meters = one.units.keys() | other.units.keys()
    return Quantities(
        one.input + other.input,
        one.output + other.output,
        one.cached + other.cached,
        units_of(**{meter: one.units.get(meter, 0) + other.units.get(meter, 0) for meter in meters}),
    )
