"""`/v1/responses`: OpenAI's newer way to generate, plain and as a stream of typed events.

What a response may cost must be known before it is sent. So what runs at the provider is refused: its own tools
(web search, file search, code interpreter, …) call the model again as often as it likes, each time with an input that
nobody has seen, and have fees of their own; a response in the background is answered before it is counted. Tools that run at
the caller's are ordinary calls. What lies with the provider (an earlier response, a conversation) is input of unknown length, so
the whole context is held for it.
"""

import re
from typing import Any

import msgspec

from dure.contracts.directory import Dialect
from dure.gateway.protocol.admission import (
    TEMPLATE_TOKENS_FOR_TOOLS,
    TEMPLATE_TOKENS_PER_MESSAGE,
    Bounds,
)
from dure.gateway.protocol.calls import (
    UNREADABLE,
    Call,
    FieldNames,
    Fields,
    decode_bool,
    encode_fields,
    first_byte,
    missing,
    model_name,
    read_limits,
    refuse_copies,
    set_limit,
    typed,
)
from dure.gateway.protocol.dialects import response_quantities
from dure.gateway.protocol.endpoints.base import Headers, ModelEndpoint
from dure.gateway.protocol.endpoints.chat import ChatCompletions
from dure.gateway.protocol.endpoints.generating import COPIES
from dure.gateway.protocol.errors import Refusal, invalid, runs_at_the_provider
from dure.gateway.protocol.metering import NO_QUANTITIES, Quantities, estimated_tokens
from dure.gateway.protocol.shapes import ResponseUsage
from dure.gateway.protocol.sse import EventScanner, Scanner, payload

_STEERING = frozenset(
    {
        "background",
        *ChatCompletions.limit_names,
        *COPIES,
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "safety_identifier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
_GUARDED = _STEERING | {
    "context_management",
    "conversation",
    "input",
    "instructions",
    "previous_response_id",
    "prompt",
    "tools",
}
_NAMES = FieldNames(_GUARDED, _STEERING)
#: llama.cpp makes a chat completion of a response, and there each name of its limit overrules this one.
_LIMITS = ("max_output_tokens", *ChatCompletions.limit_names)
#: Input that lies with the provider.
_STORED = ("previous_response_id", "conversation")
#: Tools that the caller runs; every other kind runs at the provider, or may.
_CALLERS_TOOLS = frozenset(
    {"function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use_preview"}
)
_TEXT_ITEMS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
    }
)
_TEXT_PARTS = frozenset({"input_text", "output_text", "refusal", "text"})


class _Typed(msgspec.Struct):
    type: str = ""
    tools: msgspec.Raw = msgspec.Raw(b"null")


class _Item(msgspec.Struct):
    type: str = "message"
    content: msgspec.Raw = msgspec.Raw(b"null")
    output: msgspec.Raw = msgspec.Raw(b"null")
    tools: msgspec.Raw = msgspec.Raw(b"null")


class _Part(msgspec.Struct):
    text: str | None = None


class _Output(msgspec.Struct):
    content: list[_Part] | None = None


class _Response(msgspec.Struct):
    usage: ResponseUsage | None = None
    status: str | None = None
    output: msgspec.Raw = msgspec.Raw(b"[]")


class _Event(msgspec.Struct):
    type: str = ""
    response: _Response | None = None


_decode_items = msgspec.json.Decoder(list[_Item]).decode
_decode_typed = msgspec.json.Decoder(list[_Typed] | None).decode
_decode_output = msgspec.json.Decoder(list[_Output]).decode
_decode_response = msgspec.json.Decoder(_Response).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class Responses(ModelEndpoint):
    name = "responses"
    path = "/v1/responses"

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = _NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes)
        call.output_field = "max_output_tokens"
        _refuse_unbounded(fields)
        if "stream" in fields:
            call.stream = bool(typed(fields, "stream", decode_bool, "true or false"))
        read_limits(call, _LIMITS, 1)
        refuse_copies(fields, COPIES)
        _read_input(call)
        if any(_given(fields, name) for name in _STORED):
            call.only_text = False
        return call

    def upstream_body(
        self, call: Call, *, upstream_model: str, dialect: Dialect, output_limit: int | None
    ) -> bytes:
        fields: dict[str, Any] = dict(call.fields)
        fields["model"] = upstream_model
        if output_limit is not None:
            set_limit(fields, _LIMITS, "max_output_tokens", output_limit)
        return encode_fields(fields)

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        response = _response_in(body)
        if response is None:
            return None
        if response.usage is None and response.status == "failed":
            return NO_QUANTITIES
        return response_quantities(response.usage) if response.usage is not None else None

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        response = _response_in(body)
        try:
            items = _decode_output(response.output) if response is not None else []
        except UNREADABLE:
            items = []
        texts = (part.text or "" for item in items for part in item.content or ())
        return bounds.estimate(sum(estimated_tokens(len(text.encode("utf-8", "replace"))) for text in texts))

    def scanner(self, call: Call, content_type: bytes) -> Scanner | None:
        if call.stream and content_type.startswith(b"text/event-stream"):
            return ResponseScanner()
        return None

    def break_event(self, refusal: Refusal, scanner: Scanner) -> bytes | None:
        assert isinstance(scanner, ResponseScanner)
        # The published event has its fields at the top. What OpenAI sends, and its SDKs raise for, has them in
        # `error`. This has both.
        told = {"code": refusal.code, "message": refusal.message, "param": None}
        event = {
            "type": "error",
            "sequence_number": scanner.events,
            **told,
            "error": {"type": refusal.kind, **told},
        }
        lead = b"\n\n" if scanner.mid_event else b""
        return b"%bevent: error\ndata: %b\n\n" % (lead, encode_fields(event))


def _given(fields: Fields, name: str) -> bool:
    return name in fields and bytes(fields[name]) != b"null"


def _refuse_unbounded(fields: Fields) -> None:
    if "background" in fields and typed(fields, "background", decode_bool, "true or false"):
        raise runs_at_the_provider(
            "background",
            "A response in the background is answered before anyone has counted what it uses, so it cannot be metered here. "
            "Leave 'background' out and use \"stream\": true for long answers.",
        )
    if _given(fields, "prompt"):
        raise runs_at_the_provider(
            "prompt",
            "A prompt that is stored at the provider may bring text and tools that nobody here has seen, so its cost has no bound. "
            "Send the text in 'input' and 'instructions'.",
        )
    if _given(fields, "context_management"):
        raise runs_at_the_provider(
            "context_management",
            "Compaction at the provider calls the model beyond what max_output_tokens allows, so its cost has no bound. "
            "Shorten the input before you send it.",
        )
    _check_tools(fields.get("tools"))


def _check_tools(raw: msgspec.Raw | None) -> None:
    if raw is None:
        return
    try:
        tools = _decode_typed(raw) or []
    except UNREADABLE:
        invalid("'tools' must be an array of objects, each with a type.", param="tools", code="invalid_type")
    for tool in tools:
        if tool.type not in _CALLERS_TOOLS:
            raise runs_at_the_provider(
                "tools",
                f"The tool '{tool.type}' runs at the provider, which may call it and the model again any number of times, "
                "so its cost has no bound. Offer a tool of type 'function' and run it yourself.",
            )
        if tool.type == "namespace":
            _check_tools(tool.tools)


def _read_input(call: Call) -> None:
    fields = call.fields
    raw = fields.get("input")
    if raw is None or first_byte(raw) == b"n":
        if not any(_given(fields, name) for name in _STORED):
            raise missing("input", "'input' is missing. Send a text or an array of items.")
        return
    if first_byte(raw) != b'"':
        items = typed(fields, "input", _decode_items, "a text or an array of items")
        if not items:
            invalid("'input' must not be an empty array.", param="input")
        call.template_tokens = TEMPLATE_TOKENS_PER_MESSAGE * len(items)
        call.only_text = all(_is_text(item) for item in items)
        for item in items:
            _check_tools(item.tools)
    if _given(fields, "tools"):
        call.template_tokens += TEMPLATE_TOKENS_FOR_TOOLS


def _is_text(item: _Item) -> bool:
    return item.type in _TEXT_ITEMS and _are_text(item.content) and _are_text(item.output)


def _are_text(content: msgspec.Raw) -> bool:
    first = first_byte(content)
    if first != b"[":
        return first in {b'"', b"n"}
    try:
        return all(part.type in _TEXT_PARTS for part in _decode_typed(content) or ())
    except UNREADABLE:
        return False


def _response_in(body: bytes) -> _Response | None:
    try:
        return _decode_response(body)
    except UNREADABLE:
        return None


class ResponseScanner(EventScanner):
    """The events of a response. The last one is `response.completed`, `.incomplete` or `.failed`, with the usage.

    `events` counts those that were relayed, which is the next one's sequence number.
    """

    __slots__ = ("events",)

    #: Of text, reasoning, a summary, a refusal, a tool call's arguments.
    content = re.compile(rb'"delta":\s*"[^"]')
    #: The last event repeats the whole response.
    held_bytes = 32 << 20

    def __init__(self) -> None:
        super().__init__()
        self.events = 0

    def passes(self, chunk: bytes) -> bool:
        passes = super().passes(chunk)
        if passes:
            self.events += chunk.count(b"\n\n", chunk.index(b"\n") + 1)
        return passes

    def feed(self, data: bytes) -> bytes:
        relayed = super().feed(data)
        self.events += relayed.count(b"\n\n")
        return relayed

    def special(self, data: bytes) -> bool:
        return (
            b'"response.completed"' in data
            or b'"response.incomplete"' in data
            or b'"response.failed"' in data
            or b'"error"' in data
        )

    def look(self, event: bytes) -> bool:
        try:
            told = _decode_event(payload(event))
        except UNREADABLE:
            return True
        if told.type in {"response.completed", "response.incomplete", "response.failed"}:
            usage = told.response.usage if told.response is not None else None
            self.counted = response_quantities(usage) if usage is not None else None
            self.failed = told.type == "response.failed"
            self.done = True
        elif told.type == "error":
            self.failed = True
        return True
