"""`/v1/messages`: Anthropic's Messages, for deployments that speak it (llama.cpp does too), plain and as a stream of events.

As on `/v1/responses`, what runs at the provider is refused, and so is what changes what a token costs there or spends
tokens that the usage leaves out. Errors have Anthropic's shape, so that its SDKs raise what they should.
"""

import re
from typing import Any, NoReturn

import msgspec

from dure.contracts.directory import AwardEntry, Dialect, ModelEntry
from dure.gateway.protocol import http1, openai
from dure.gateway.protocol.admission import (
    TEMPLATE_TOKENS_FOR_TOOLS,
    TEMPLATE_TOKENS_PER_MESSAGE,
    Bounds,
    bounds_of,
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
from dure.gateway.protocol.dialects import message_quantities
from dure.gateway.protocol.endpoints.base import Headers, ModelEndpoint
from dure.gateway.protocol.endpoints.chat import ChatCompletions
from dure.gateway.protocol.endpoints.generating import COPIES
from dure.gateway.protocol.errors import Refusal, runs_at_the_provider
from dure.gateway.protocol.metering import Quantities, estimated_tokens
from dure.gateway.protocol.shapes import MessageUsage
from dure.gateway.protocol.sse import EventScanner, Scanner, payload

DEFAULT_VERSION = b"2023-06-01"
#: The beta that opens a context of a million tokens, and how long that is.
LONG_CONTEXT_BETA = b"context-1m"
LONG_CONTEXT_TOKENS = 1_000_000
#: Tools that Anthropic has defined and the caller runs explain themselves in this many tokens each.
TEMPLATE_TOKENS_FOR_A_DEFINED_TOOL = 1_024

#: The others are not of this endpoint, but may count where a provider makes a chat completion of it.
_LIMITS = ChatCompletions.limit_names
_STEERING = frozenset(
    {
        *COPIES,
        *_LIMITS,
        "max_tokens",
        "metadata",
        "model",
        "service_tier",
        "stop_sequences",
        "stream",
        "temperature",
        "thinking",
        "top_k",
        "top_p",
    }
)
#: What may not be asked for, and why.
_REFUSED = {
    "mcp_servers": "Tools of an MCP server are called by the provider, any number of times",
    "container": "A container runs at the provider",
    "compaction": "Compaction at the provider uses tokens beyond max_tokens",
    "fallbacks": "Another model would answer, at another price",
    "fallback_credit_token": "Another model would answer, at another price",
    "thread": "A thread lies with the provider, where nobody here has seen it",
    "inference_geo": "Where the model runs changes its price",
}
_GUARDED = _STEERING.union(_REFUSED, ("context_management", "messages", "speed", "system", "tools"))
_NAMES = FieldNames(_GUARDED, _STEERING)
_CALLERS_TOOLS = ("bash_", "computer_", "memory_", "text_editor_")
_TEXT_BLOCKS = frozenset({"text", "thinking", "tool_use"})

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Block(msgspec.Struct):
    type: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Tool(msgspec.Struct):
    type: str | None = None


class _Written(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None


class _Answer(msgspec.Struct):
    usage: MessageUsage | None = None
    content: list[_Written] | None = None


class _Delta(msgspec.Struct):
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Answer | None = None
    delta: _Delta | None = None
    usage: MessageUsage | None = None


class _ErrorAnswer(msgspec.Struct):
    type: str
    error: dict[str, msgspec.Raw]


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_blocks = msgspec.json.Decoder(list[_Block]).decode
_decode_tools = msgspec.json.Decoder(list[_Tool] | None).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_error = msgspec.json.Decoder(_ErrorAnswer).decode


class Messages(ModelEndpoint):
    name = "messages"
    path = "/v1/messages"
    dialects = frozenset({"anthropic", "llama.cpp"})
    forwarded_headers = http1.FORWARDED_MESSAGES_HEADERS

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = _NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes)
        _refuse_unbounded(fields)
        if "stream" in fields:
            call.stream = bool(typed(fields, "stream", decode_bool, "true or false"))
        read_limits(call, _LIMITS, 1)
        refuse_copies(fields, COPIES)
        if "max_tokens" not in fields or call.output_tokens is None:
            raise missing(
                "max_tokens", "'max_tokens' is missing. Set it to the most tokens the answer may have."
            )
        _read_messages(call)
        _read_tools(call)
        call.kept = LONG_CONTEXT_BETA in headers.get(b"anthropic-beta", b"")
        return call

    def bounds(self, call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
        if call.kept and model.context_length < LONG_CONTEXT_TOKENS:
            raise Refusal(
                400,
                "context_not_offered",
                f"The model '{model.name}' is offered with a context of {model.context_length} tokens. "
                "Leave the beta 'context-1m' out of the header 'anthropic-beta'.",
            )
        return bounds_of(call, model, award)

    def upstream_body(
        self, call: Call, *, upstream_model: str, dialect: Dialect, output_limit: int | None
    ) -> bytes:
        fields: dict[str, Any] = dict(call.fields)
        fields["model"] = upstream_model
        if output_limit is not None:
            set_limit(fields, _LIMITS, "max_tokens", output_limit)
        return encode_fields(fields)

    def upstream_headers(self, headers: Headers) -> bytes:
        lines = http1.forwarded(self.forwarded_headers, headers)
        if b"anthropic-version" not in headers:
            lines += b"anthropic-version: %b\r\n" % DEFAULT_VERSION
        return lines

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        answer = _answer_in(body)
        return message_quantities(answer.usage) if answer is not None and answer.usage is not None else None

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        answer = _answer_in(body)
        blocks = (answer.content if answer is not None else None) or []
        texts = (text for block in blocks for text in (block.text, block.thinking) if text)
        return bounds.estimate(sum(estimated_tokens(len(text.encode("utf-8", "replace"))) for text in texts))

    def scanner(self, call: Call, content_type: bytes) -> Scanner | None:
        if call.stream and content_type.startswith(b"text/event-stream"):
            return MessageScanner()
        return None

    def answer_headers(self, request_id: bytes, elapsed_ms: int) -> bytes:
        return b"x-request-id: %b\r\nrequest-id: %b\r\n" % (request_id, request_id)

    def error_body(self, status: int, body: bytes) -> bytes | None:
        try:
            answer = _decode_error(body)
        except UNREADABLE:
            return None
        return body if answer.type == "error" and {"type", "message"} <= answer.error.keys() else None

    def upstream_refusal(
        self, model: str, dialect: Dialect, status: int, body: bytes, request_id: bytes
    ) -> tuple[int, bytes]:
        message = openai.error_message(body)
        shown = openai.blamed_status(dialect, status, body)
        if (
            message
            and 400 <= shown <= 599
            and status not in http1.CREDENTIAL_STATUSES
            and self.error_body(shown, body) is None
        ):
            # A provider that speaks both dialects may tell its errors in the other one.
            refusal = Refusal(shown, "upstream_error", message)
            return shown, self.refusal_body(refusal, request_id)
        return super().upstream_refusal(model, dialect, status, body, request_id)

    def refusal_body(self, refusal: Refusal, request_id: bytes | None = None) -> bytes:
        return encode_fields(_error(refusal, request_id))

    def break_event(self, refusal: Refusal, scanner: Scanner) -> bytes | None:
        lead = b"\n\n" if scanner.mid_event else b""
        return b"%bevent: error\ndata: %b\n\n" % (lead, encode_fields(_error(refusal, None)))


def _error(refusal: Refusal, request_id: bytes | None) -> dict[str, Any]:
    """Anthropic's shape, with our stable code beside its type."""
    kind = _ERROR_TYPES.get(refusal.status) or (
        "api_error" if refusal.status >= 500 else "invalid_request_error"
    )
    error = {"type": kind, "message": refusal.message, "code": refusal.code}
    if refusal.param is not None:
        error["param"] = refusal.param
    return {"type": "error", "error": error, "request_id": request_id.decode() if request_id else None}


def _refuse_unbounded(fields: Fields) -> None:
    for name, reason in _REFUSED.items():
        if name in fields and bytes(fields[name]) not in {b"null", b"[]"}:
            raise runs_at_the_provider(
                name, f"{reason}, so what it costs cannot be bounded or metered here. Leave '{name}' out."
            )
    if "speed" in fields and bytes(fields["speed"]) not in {b"null", b'"standard"'}:
        raise runs_at_the_provider(
            "speed",
            "Another speed has another price than the one this model is offered at. Leave 'speed' out.",
        )
    if "context_management" in fields and b"compact" in bytes(fields["context_management"]):
        raise runs_at_the_provider(
            "context_management",
            "Compaction at the provider uses tokens beyond max_tokens, so what it costs cannot be bounded here. "
            "Leave it out and shorten the messages yourself.",
        )


def _read_messages(call: Call) -> None:
    fields = call.fields
    messages = typed(
        fields, "messages", _decode_messages, "an array of message objects, each with a role in text"
    )
    if not messages:
        raise missing("messages", "'messages' must be an array with at least one message.")
    call.template_tokens = TEMPLATE_TOKENS_PER_MESSAGE * len(messages)
    call.only_text = all(_is_text(message.content) for message in messages) and (
        "system" not in fields or _is_text(fields["system"])
    )


def _is_text(content: msgspec.Raw) -> bool:
    first = first_byte(content)
    if first != b"[":
        return first in {b'"', b"n"}
    try:
        blocks = _decode_blocks(content)
    except UNREADABLE:
        return False
    return all(
        block.type in _TEXT_BLOCKS or (block.type == "tool_result" and _is_text(block.content))
        for block in blocks
    )


def _read_tools(call: Call) -> None:
    if "tools" not in call.fields:
        return
    tools = typed(call.fields, "tools", _decode_tools, "an array of tools")
    if not tools:
        return
    call.template_tokens += TEMPLATE_TOKENS_FOR_TOOLS
    for tool in tools:
        if tool.type in {None, "custom"}:
            continue
        if not tool.type.startswith(_CALLERS_TOOLS):
            _refuse_tool(tool.type)
        call.template_tokens += TEMPLATE_TOKENS_FOR_A_DEFINED_TOOL


def _refuse_tool(kind: str) -> NoReturn:
    raise runs_at_the_provider(
        "tools",
        f"The tool '{kind}' runs at the provider, which may call it and the model again any number of times, "
        "so its cost has no bound. Offer a tool with an input_schema and run it yourself.",
    )


def _answer_in(body: bytes) -> _Answer | None:
    try:
        return _decode_answer(body)
    except UNREADABLE:
        return None


class MessageScanner(EventScanner):
    """The events of a message. `message_start` says what was read, `message_delta` the totals so far, and `message_stop` ends it."""

    __slots__ = ("_usage",)

    #: Of text, thinking, and a tool's input.
    content = re.compile(rb'"(?:text|thinking|partial_json)":\s*"[^"]')

    def __init__(self) -> None:
        super().__init__()
        self._usage: MessageUsage | None = None

    def special(self, data: bytes) -> bool:
        return b'"message_' in data or b'"error"' in data

    def look(self, event: bytes) -> bool:
        try:
            told = _decode_event(payload(event))
        except UNREADABLE:
            return True
        if told.type == "message_start" and told.message is not None and told.message.usage is not None:
            self._usage = told.message.usage
            self.said = message_quantities(self._usage)
        elif told.type == "message_delta" and told.usage is not None:
            self._usage = self._usage.updated(told.usage) if self._usage is not None else told.usage
            self.said = message_quantities(self._usage)
            if told.delta is not None and told.delta.stop_reason is not None:
                self.counted = self.said
        elif told.type == "message_stop":
            self.done = True
        elif told.type == "error":
            self.failed = True
        return True
