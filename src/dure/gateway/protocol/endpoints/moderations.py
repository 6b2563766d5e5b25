"""`/v1/moderations`: a judgement of texts and images. OpenAI's answers name no usage, so `request` is its usual meter."""

import msgspec

from dure.contracts.directory import AwardEntry, ModelEntry
from dure.gateway.protocol.admission import Bounds, input_bounds
from dure.gateway.protocol.calls import (
    UNREADABLE,
    Call,
    FieldNames,
    first_byte,
    model_name,
    number_of_prompts,
)
from dure.gateway.protocol.endpoints.base import Headers
from dure.gateway.protocol.endpoints.renaming import Renaming, charged_by_tokens
from dure.gateway.protocol.metering import NO_QUANTITIES, Quantities
from dure.gateway.protocol.openai import quantities_in

_GUARDED = frozenset({"input", "model"})
_STEERING = frozenset({"model"})
_NAMES = FieldNames(_GUARDED, _STEERING)


class _Part(msgspec.Struct):
    type: str = ""


_decode_parts = msgspec.json.Decoder(list[_Part]).decode


class Moderations(Renaming):
    name = "moderations"
    path = "/v1/moderations"
    dialects = frozenset({"openai"})

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = _NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes)
        call.prompts = number_of_prompts(fields, "input")
        call.only_text = _is_text(fields["input"])
        return call

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        return input_bounds(call, model)

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        counted = quantities_in(body)
        if counted is None and not charged_by_tokens(call):
            return NO_QUANTITIES
        return counted


def _is_text(given: msgspec.Raw) -> bool:
    if first_byte(given) != b"[":
        return True
    try:
        return all(part.type == "text" for part in _decode_parts(given))
    except UNREADABLE:
        return True  # texts or tokens, not parts
