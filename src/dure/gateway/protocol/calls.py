"""A caller's JSON body, read as far as admission needs and no further.

The body is decoded once, top level only: values stay the bytes they were, so unknown fields pass
through untouched. It is written out again from the same mapping, which also settles what a repeated
key means: the provider sees the one value that was admitted.
"""

from typing import Any

import msgspec

from dure.contracts.directory import Dialect, Endpoint
from dure.gateway.protocol.errors import Refusal, invalid

Fields = dict[str, msgspec.Raw]

#: OpenAI's documented default of `max_tokens` on /v1/completions.
COMPLETIONS_DEFAULT_MAX_TOKENS = 16
MAX_COPIES = 128

_STEERING = frozenset(
    {
        "best_of",
        "frequency_penalty",
        "max_completion_tokens",
        "max_tokens",
        "model",
        "n",
        "n_cmpl",
        "n_predict",
        "presence_penalty",
        "seed",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "user",
    }
)
#: What a request costs depends on these, so they must be read here as the provider reads them.
_GUARDED = _STEERING | {
    "chat_template",
    "chat_template_kwargs",
    "functions",
    "input",
    "messages",
    "prompt",
    "tools",
    "web_search_options",
}
_TEXT_PARTS = frozenset({"text", "refusal"})
#: Fields by which a prompt may come to hold more than the body says, up to the whole context.
_EXPANDING = frozenset({"chat_template", "chat_template_kwargs", "web_search_options"})
#: The names of an answer's limit. `n_predict` is llama.cpp's, and there it overrules the others.
_CHAT_LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")
_COMPLETION_LIMITS = ("max_tokens", "n_predict")
#: The names of the number of answers; `n_cmpl` is llama.cpp's.
_COPIES = ("n", "n_cmpl")


class Call(msgspec.Struct):
    """What one request asks for.

    `output_tokens` is what the caller allows for each answer (None: not said), in as many fields as
    `limits` says; `output_field` is the tightest. `copies` answers are
    generated for each of `prompts` prompts. `text_bytes` is an upper bound of the prompt's bytes of
    text; `only_text` is false where the prompt holds something else too (an image, audio, a file).
    """

    endpoint: Endpoint
    model: str
    fields: Fields
    text_bytes: int
    only_text: bool = True
    stream: bool = False
    wants_usage: bool = False
    output_tokens: int | None = None
    output_field: str = "max_tokens"
    limits: int = 0
    copies: int = 1
    prompts: int = 1
    messages: int = 0
    has_tools: bool = False
    extra_output_tokens: int = 0


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Part(msgspec.Struct):
    type: str = ""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_bool = msgspec.json.Decoder(bool | None).decode
_decode_int = msgspec.json.Decoder(int | None).decode
_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_parts = msgspec.json.Decoder(list[_Part]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_stream_options = msgspec.json.Decoder(_StreamOptions | None).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read_call(endpoint: Endpoint, body: bytes) -> Call:
    """The call in `body`. Raises `Refusal` (400) that names the field at fault."""
    fields = _top_level(body)
    call = Call(endpoint, _model(fields), fields, _text_bytes(fields))
    if endpoint == "embeddings":
        call.prompts = _prompts(fields, "input")
        return call
    _read_stream(call)
    if endpoint == "chat.completions":
        _read_messages(call)
    else:
        call.prompts = _prompts(fields, "prompt", required=False)
    _read_output(call)
    return call


def _top_level(body: bytes) -> Fields:
    try:
        fields = _decode_fields(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _malformed(body) from None
    for name in fields:
        # Some providers read names without regard to case, and the last one wins there: `Max_Tokens` would
        # pass by us as unknown and overrule there what was held for.
        folded = name.casefold()
        if folded != name and folded in _GUARDED:
            invalid(f"'{name}' must be written '{folded}'.", param=name)
    return fields


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


def _text_bytes(fields: Fields) -> int:
    """Bytes of everything that may end up in the prompt. What only steers the answer is left out, so that
    a caller who lowers `max_tokens` by our advice does not ask for more than before."""
    total = 0
    for name, raw in fields.items():
        if name not in _STEERING:
            total += len(raw)
    return total


def _typed(fields: Fields, name: str, decode: Any, expected: str) -> Any:
    try:
        return decode(fields[name])
    except KeyError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        invalid(f"'{name}' must be {expected}.", param=name, code="invalid_type")


def _model(fields: Fields) -> str:
    model = _typed(fields, "model", _decode_str, "a string")
    if not model:
        invalid(
            "You must provide a model: set 'model' to one that GET /v1/models lists.",
            param="model",
            code="missing_required_parameter",
        )
    return str(model)


def _read_stream(call: Call) -> None:
    fields = call.fields
    if "stream" in fields:
        call.stream = bool(_typed(fields, "stream", _decode_bool, "true or false"))
    if "stream_options" in fields:
        options = _typed(fields, "stream_options", _decode_stream_options, "an object")
        call.wants_usage = bool(options is not None and options.include_usage)
        if options is not None and not call.stream:
            invalid("'stream_options' is only allowed when 'stream' is true.", param="stream_options")


def _read_messages(call: Call) -> None:
    fields = call.fields
    messages = _typed(
        fields, "messages", _decode_messages, "an array of message objects, each with a role in text"
    )
    if not messages:
        invalid(
            "'messages' must be an array with at least one message.",
            param="messages",
            code="missing_required_parameter",
        )
    call.messages = len(messages)
    call.only_text = all(_is_text(message.content) for message in messages) and not (
        _EXPANDING & fields.keys()
    )
    for name in ("tools", "functions"):
        if name in fields:
            # What some providers answer with a failure of their own would be taken for one.
            _typed(fields, name, _decode_list, "an array")
            call.has_tools = True


def _first_byte(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


def _is_text(content: msgspec.Raw) -> bool:
    first = _first_byte(content)
    if first != b"[":
        return first in {b'"', b"n"}
    try:
        return all(part.type in _TEXT_PARTS for part in _decode_parts(content))
    except (msgspec.DecodeError, RecursionError):
        return False


def _prompts(fields: Fields, name: str, *, required: bool = True) -> int:
    """How many prompts a `prompt` or `input` holds: a string or a list of tokens is one."""
    raw = fields.get(name)
    if raw is None:
        if required:
            invalid(f"'{name}' is missing.", param=name, code="missing_required_parameter")
        return 1
    first = _first_byte(raw)
    if first in {b'"', b"n"}:
        if first == b"n" and required:
            invalid(f"'{name}' must not be null.", param=name, code="missing_required_parameter")
        return 1
    items = _typed(fields, name, _decode_raws, "a string, an array of strings, or an array of tokens")
    if not items:
        invalid(f"'{name}' must not be an empty array.", param=name)
    return 1 if _first_byte(items[0]) not in {b'"', b"["} else len(items)


def _read_output(call: Call) -> None:
    fields = call.fields
    chat = call.endpoint == "chat.completions"
    for name in _CHAT_LIMITS if chat else _COMPLETION_LIMITS:
        if name in fields:
            call.limits += 1
            tokens = _whole(fields, name, least=1 if chat else 0)
            if tokens is not None and (call.output_tokens is None or tokens < call.output_tokens):
                call.output_field, call.output_tokens = name, tokens
    if call.output_tokens is None and not chat:
        call.output_tokens = COMPLETIONS_DEFAULT_MAX_TOKENS
    for name in _COPIES:
        if name in fields:
            call.copies = max(call.copies, _whole(fields, name, least=1, most=MAX_COPIES) or 1)
    if not chat and "best_of" in fields:
        best_of = _whole(fields, "best_of", least=1, most=MAX_COPIES)
        if best_of is not None and best_of < call.copies:
            invalid("'best_of' must be at least 'n'.", param="best_of")
        call.copies = best_of or call.copies
    if "prediction" in fields:
        # Rejected tokens of a predicted output are billed as output beyond the limit.
        call.extra_output_tokens = len(fields["prediction"])


def _whole(fields: Fields, name: str, *, least: int, most: int | None = None) -> int | None:
    value: int | None = _typed(fields, name, _decode_int, "a whole number")
    if value is None:
        return None
    if value < least or (most is not None and value > most):
        upper = f" and at most {most}" if most is not None else ""
        invalid(f"'{name}' must be at least {least}{upper}, not {value}.", param=name)
    return value


def upstream_body(call: Call, *, upstream_model: str, dialect: Dialect, output_limit: int | None) -> bytes:
    """The body for the provider: its own name for the model, the admitted limit, usage asked for.

    `output_limit` is the limit on each answer's tokens that was admitted; None where there is none to set.
    """
    fields: dict[str, Any] = dict(call.fields)
    fields["model"] = upstream_model
    if output_limit is not None and not (call.limits == 1 and call.output_tokens == output_limit):
        _set_output_limit(fields, call, dialect, output_limit)
    if call.stream and not call.wants_usage:
        options = _decode_any(fields["stream_options"]) if "stream_options" in fields else None
        fields["stream_options"] = {**(options or {}), "include_usage": True}
    return _encode(fields)


def _set_output_limit(fields: dict[str, Any], call: Call, dialect: Dialect, output_limit: int) -> None:
    chat = call.endpoint == "chat.completions"
    named = [name for name in (_CHAT_LIMITS if chat else _COMPLETION_LIMITS) if name in fields]
    if not named:
        named.append("max_completion_tokens" if chat and dialect == "openai" else "max_tokens")
    for name in named:
        fields[name] = output_limit
