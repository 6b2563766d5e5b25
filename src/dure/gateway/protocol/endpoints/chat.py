"""`/v1/chat/completions`."""

import msgspec

from dure.contracts.directory import Dialect
from dure.gateway.protocol.admission import TEMPLATE_TOKENS_FOR_TOOLS, TEMPLATE_TOKENS_PER_MESSAGE
from dure.gateway.protocol.calls import (
    MISSING_OR_UNREADABLE,
    UNREADABLE,
    Call,
    decode_list,
    first_byte,
    missing,
    model_name,
    typed,
)
from dure.gateway.protocol.endpoints.base import Headers
from dure.gateway.protocol.endpoints.generating import NAMES, Generating
from dure.gateway.protocol.shapes import ReadMessage, decode_messages, decode_parts

_QUOTE = ord('"')
_TEXT_PARTS = frozenset({"text", "refusal"})
#: Fields by which a prompt may come to hold more than the body says, up to the whole context.
_EXPANDING = frozenset({"chat_template", "chat_template_kwargs", "web_search_options"})


class ChatCompletions(Generating):
    name = "chat.completions"
    path = "/v1/chat/completions"
    limit_names = ("max_tokens", "max_completion_tokens", "n_predict")
    least_limit = 1

    def read(self, body: bytes, headers: Headers) -> Call:
        fields, text_bytes = NAMES.read(body)
        call = Call(self.name, model_name(fields), fields, text_bytes)
        if "stream" in fields or "stream_options" in fields:
            self.read_stream(call)
        _read_messages(call)
        self.read_output(call)
        return call

    def default_limit(self, dialect: Dialect) -> str:
        return "max_completion_tokens" if dialect == "openai" else "max_tokens"


def _read_messages(call: Call) -> None:
    fields = call.fields
    messages: list[ReadMessage] | None
    try:
        messages = decode_messages(fields["messages"])
    except MISSING_OR_UNREADABLE:
        expected = "an array of message objects, each with a role in text"
        messages = typed(fields, "messages", decode_messages, expected)
    if not messages:
        raise missing("messages", "'messages' must be an array with at least one message.")
    call.template_tokens = TEMPLATE_TOKENS_PER_MESSAGE * len(messages)
    call.only_text = _EXPANDING.isdisjoint(fields)
    for message in messages:
        if memoryview(message.content)[0] != _QUOTE and not _is_text(message.content):
            call.only_text = False
            break
    has_tools = False
    for name in ("tools", "functions"):
        if name in fields:
            # What some providers answer with a failure of their own would be taken for one.
            typed(fields, name, decode_list, "an array")
            has_tools = True
    if has_tools:
        call.template_tokens += TEMPLATE_TOKENS_FOR_TOOLS


def _is_text(content: msgspec.Raw) -> bool:
    """Whether what is no string holds nothing but text."""
    if first_byte(content) != b"[":
        return first_byte(content) == b"n"
    try:
        return all(part.type in _TEXT_PARTS for part in decode_parts(content))
    except UNREADABLE:
        return False
