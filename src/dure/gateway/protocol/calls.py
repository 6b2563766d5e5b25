"""A caller's request, read as far as admission needs and no further.

A JSON body is decoded once, top level only: values stay the bytes they were, so unknown fields pass
through untouched. It is written out again from the same mapping, which also settles what a repeated
key means: the provider sees the one value that was admitted. What the fields of each endpoint mean is in
`endpoints/`; here is what they have in common.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from dure.contracts.directory import Endpoint
from dure.gateway.protocol.errors import Refusal, invalid
from dure.gateway.protocol.http1 import JSON
from dure.gateway.protocol.metering import NOTHING

Fields = dict[str, msgspec.Raw]


class Call:
    """What one request asks for, whatever its endpoint.

    `output_tokens` is what the caller allows for each answer (None: not said), in as many fields as
    `limits` says; `output_field` is the tightest. `copies` answers are
    generated for each of `prompts` prompts. `text_bytes` is an upper bound of the prompt's bytes of
    text; `only_text` is false where the prompt holds something else too (an image, audio, a file).
    `template_tokens` is what may be added to the text on its way to the model. `units` are upper bounds of
    meters that are not tokens. `meters` are the prices it is charged by, known once its model is.
    `content_type` is that of the body for the provider, and `kept` what its endpoint wants to keep of it
    beside the fields.
    """

    __slots__ = (
        "content_type",
        "copies",
        "endpoint",
        "extra_output_tokens",
        "fields",
        "kept",
        "limits",
        "meters",
        "model",
        "only_text",
        "output_field",
        "output_tokens",
        "prompts",
        "stream",
        "template_tokens",
        "text_bytes",
        "units",
        "wants_usage",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        fields: Fields,
        text_bytes: int,
        *,
        only_text: bool = True,
        stream: bool = False,
    ) -> None:
        self.endpoint: Endpoint = endpoint
        self.model = model
        self.fields = fields
        self.text_bytes = text_bytes
        self.only_text = only_text
        self.stream = stream
        self.wants_usage = False
        self.output_tokens: int | None = None
        self.output_field = "max_tokens"
        self.limits = 0
        self.copies = 1
        self.prompts = 1
        self.template_tokens = 0
        self.extra_output_tokens = 0
        self.units = NOTHING
        self.meters: Mapping[str, int] = NOTHING
        self.content_type = JSON
        self.kept: Any = None


_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_any = msgspec.json.Decoder().decode
decode_str = msgspec.json.Decoder(str).decode
decode_bool = msgspec.json.Decoder(bool | None).decode
decode_int = msgspec.json.Decoder(int | None).decode
decode_list = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
decode_any = _decode_any
encode_fields = msgspec.json.Encoder().encode

_MOST_KNOWN = 256
_MOST_NAMES = 40
_LONGEST_NAMES = 800

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
MISSING_OR_UNREADABLE = (KeyError, *UNREADABLE)


class FieldNames:
    """The names of a body's fields at one endpoint, as far as it matters which they are.

    What a request costs depends on those that are `guarded`, so they must be read here as the provider reads them.
    What only steers the answer is never part of the prompt, so that a caller who lowers `max_tokens` by our advice does
    not ask for more than before. Clients send the same names again and again: what was found of them is remembered.
    """

    __slots__ = ("_guarded", "_known", "_steering")

    def __init__(self, guarded: frozenset[str], steering: frozenset[str]) -> None:
        self._guarded = guarded
        self._steering = steering
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def read(self, body: bytes) -> tuple[Fields, int]:
        """The fields of a JSON body, and the bytes of everything in it that may end up in the prompt."""
        try:
            fields = _decode_fields(body)
        except UNREADABLE:
            raise _malformed(body) from None
        names = tuple(fields)
        prompt = self._known.get(names)
        if prompt is None:
            prompt = self._in_prompt(names)
        text_bytes = 0
        for name in prompt:
            text_bytes += len(fields[name])
        return fields, text_bytes

    def _in_prompt(self, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            # Some providers read names without regard to case, and the last one wins there: `Max_Tokens` would
            # pass by us as unknown and overrule there what was held for.
            if name not in self._guarded and name.casefold() in self._guarded:
                invalid(f"'{name}' must be written '{name.casefold()}'.", param=name)
        prompt = tuple(name for name in names if name not in self._steering)
        if len(names) <= _MOST_NAMES and sum(map(len, names)) <= _LONGEST_NAMES:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[names] = prompt
        return prompt


def _malformed(body: bytes) -> Refusal:
    """Say where the JSON breaks; a sound JSON value of another kind is told apart."""
    if not body.strip():
        message = "The request has no body. Send a JSON object with at least 'model'."
    else:
        try:
            _decode_any(body)
            message = 'The request\'s body must be a JSON object with string keys, such as {"model": …}.'
        except RecursionError:
            message = "The request's body is nested too deeply. Send it with fewer levels."
        except (msgspec.DecodeError, UnicodeDecodeError) as inner:
            message = f"The request's body is not valid JSON: {inner}. Correct it and send it again."
    return Refusal(400, "invalid_json", message)


def typed(fields: Fields, name: str, decode: Any, expected: str) -> Any:
    """A field's value, None where it is missing; refused where it is not what is `expected`."""
    try:
        return decode(fields[name])
    except KeyError:
        return None
    except UNREADABLE:
        invalid(f"'{name}' must be {expected}.", param=name, code="invalid_type")


def whole(fields: Fields, name: str, least: int, most: int | None = None) -> int | None:
    try:
        value: int | None = decode_int(fields[name])
    except MISSING_OR_UNREADABLE:
        value = typed(fields, name, decode_int, "a whole number")
    if value is None:
        return None
    if value < least or (most is not None and value > most):
        upper = f" and at most {most}" if most is not None else ""
        invalid(f"'{name}' must be at least {least}{upper}, not {value}.", param=name)
    return value


def read_limits(call: Call, names: tuple[str, ...], least: int) -> None:
    """The tightest of an answer's limits, which may stand under several `names`."""
    fields = call.fields
    for name in names:
        if name in fields:
            call.limits += 1
            tokens = whole(fields, name, least)
            if tokens is not None and (call.output_tokens is None or tokens < call.output_tokens):
                call.output_field, call.output_tokens = name, tokens


def set_limit(fields: dict[str, Any], names: tuple[str, ...], default: str, output_limit: int) -> None:
    """Set the limit that was admitted under each name that is there, since any of them may be the one that counts;
    under `default` where there is none."""
    for name in [name for name in names if name in fields] or [default]:
        fields[name] = output_limit


def refuse_copies(fields: Fields, names: tuple[str, ...]) -> None:
    """Where an endpoint gives one answer, a field by which another endpoint gives more may still do so at a provider."""
    for name in names:
        if name in fields:
            whole(fields, name, least=1, most=1)


def model_name(fields: Fields) -> str:
    model: str | None
    try:
        model = decode_str(fields["model"])
    except MISSING_OR_UNREADABLE:
        model = typed(fields, "model", decode_str, "a string")
    if not model:
        invalid(
            "You must provide a model: set 'model' to one that GET /v1/models lists.",
            param="model",
            code="missing_required_parameter",
        )
    return model


def missing(name: str, message: str) -> Refusal:
    return Refusal(400, "missing_required_parameter", message, param=name)


def first_byte(raw: msgspec.Raw) -> bytes:
    """Tells the kind of a JSON value."""
    return bytes(memoryview(raw)[:1])


def number_of_prompts(fields: Fields, name: str, *, required: bool = True) -> int:
    """How many prompts a `prompt` or `input` holds: a string or a list of tokens is one."""
    raw = fields.get(name)
    if raw is None:
        if required:
            raise missing(name, f"'{name}' is missing.")
        return 1
    first = first_byte(raw)
    if first in {b'"', b"n"}:
        if first == b"n" and required:
            raise missing(name, f"'{name}' must not be null.")
        return 1
    items = typed(fields, name, decode_list, "a string, an array of strings, or an array of tokens")
    if not items:
        invalid(f"'{name}' must not be an empty array.", param=name)
    return 1 if first_byte(items[0]) not in {b'"', b"["} else len(items)
