"""What OpenAI's endpoints and those who copied them have in common: answers, chunks, errors."""

import re
from typing import Any

from dure.contracts.directory import Dialect
from dure.gateway.protocol.calls import UNREADABLE, encode_fields
from dure.gateway.protocol.dialects import openai_quantities
from dure.gateway.protocol.errors import INVALID_REQUEST, SERVER
from dure.gateway.protocol.metering import Quantities, estimated_tokens
from dure.gateway.protocol.shapes import (
    Chunk,
    PlainChunk,
    Usage,
    decode_answer,
    decode_choices,
    decode_chunk,
    decode_error,
    decode_plain,
)
from dure.gateway.protocol.sse import CHUNK_ENDS, EventScanner, payload

#: How llama.cpp begins what it says, with status 500, of a request that it cannot read.
_FAULTS_OF_THE_CALLER = (
    "Failed to parse messages",
    "Failed to parse tools",
    "image input is not supported",
    "audio input is not supported",
    "Unknown reasoning format",
)
_NO_USAGE = re.compile(rb'"usage":\s*null')


def quantities_in(body: bytes) -> Quantities | None:
    """The provider's count in a whole JSON answer; None where it is missing or makes no sense."""
    try:
        answer = decode_answer(body)
    except UNREADABLE:
        plain = _plainly(body)
        return _plain_quantities(plain)
    usage = answer.usage
    return openai_quantities(usage, answer.timings) if usage is not None else None


def _plainly(body: bytes) -> PlainChunk | None:
    try:
        return decode_plain(body)
    except UNREADABLE:
        return None


def _plain_quantities(plain: PlainChunk | None) -> Quantities | None:
    if plain is None or plain.usage is None:
        return None
    usage = plain.usage
    return openai_quantities(
        Usage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
        )
    )


def written_tokens(body: bytes) -> int:
    """Our count of the answers' text, for a provider that sent no usage."""
    try:
        choices = decode_choices(body).choices
    except UNREADABLE:
        return 0
    texts = (
        (choice.message.content if choice.message is not None else choice.text) or "" for choice in choices
    )
    return sum(estimated_tokens(len(text.encode("utf-8", "replace"))) for text in texts)


def error_body(status: int, body: bytes) -> bytes | None:
    """An error of OpenAI's shape with all its members, what else it says kept; None for what is no such error."""
    error = _error_in(body)
    if error is None:
        return None
    code = error.get("code", 0)
    shaped = {
        **error,
        "type": _text(error.get("type")) or (SERVER if status >= 500 else INVALID_REQUEST),
        "param": _text(error.get("param")),
        # llama.cpp writes the status here, as a number, where clients expect a word.
        "code": code if code is None or isinstance(code, str) else "upstream_error",
    }
    if status < 500 and shaped["type"] == SERVER:
        shaped["type"] = INVALID_REQUEST
    return body if shaped == error else encode_fields({"error": shaped})


def error_message(body: bytes) -> str | None:
    """The message of an error in OpenAI's shape."""
    error = _error_in(body)
    return str(error["message"]) if error is not None else None


def blamed_status(dialect: Dialect, status: int, body: bytes) -> int:
    """The status of an error, where a provider says with 500 that it cannot read the request."""
    if dialect == "llama.cpp" and status == 500:
        message = error_message(body)
        if message is not None and message.startswith(_FAULTS_OF_THE_CALLER):
            return 400
    return status


def _error_in(body: bytes) -> dict[str, Any] | None:
    """The error in a JSON answer, if it says something."""
    try:
        error = decode_error(body).error
    except UNREADABLE:
        return None
    return error if _text(error.get("message")) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class ChunkScanner(EventScanner):
    """The chunks of chat and text completions, which end with `[DONE]`.

    Where the gateway itself asked for usage, the chunk that carries nothing else is hidden.
    """

    __slots__ = ("_hide_usage",)

    #: Not everyone who copied OpenAI sends `[DONE]`.
    ends_itself = False
    #: Text, reasoning, a tool call's arguments or name.
    content = re.compile(rb'"(?:content|text|reasoning_content|reasoning|arguments|refusal|name)":\s*"[^"]')

    def __init__(self, *, hide_usage: bool) -> None:
        super().__init__()
        self._hide_usage = hide_usage

    def passes(self, chunk: bytes) -> bool:
        # What `special` and `pieces` say, for how nearly every chunk is written: one event with one text and no usage.
        # `find` is asked rather than `in`, which first takes the bytes for a number and makes an error of that.
        usage = chunk.count(b'"usage"')
        if (
            (usage and usage != chunk.count(b'"usage":null') + chunk.count(b'"usage": null'))
            or self._held
            or self._flowing
            or not chunk.endswith(CHUNK_ENDS)
            or chunk.find(b'"error"') >= 0
        ):
            return False
        texts = chunk.count(b'"content":"') or chunk.count(b'"content": "')
        events = chunk.count(b"data:")
        if (texts != 1 or events != 1) and chunk.find(b"[DONE]") >= 0:
            return False
        if not texts or texts != events or chunk.find(b'""') >= 0:
            texts = self.pieces(chunk)
        self.relayed_tokens += texts
        return True

    def pieces(self, data: bytes) -> int:
        # One text for each event is what nearly every chunk is, and counting is far cheaper than matching.
        texts = data.count(b'"content":"')
        if texts and texts == data.count(b"data:") and b'"content":""' not in data:
            return texts
        return len(self.content.findall(data))

    def special(self, data: bytes) -> bool:
        return data.find(b"[DONE]") >= 0 or data.find(b'"error"') >= 0 or _mentions_usage(data)

    def look(self, event: bytes) -> bool:
        if _mentions_usage(event) or b'"error"' in event:
            chunk = _chunk_in(event)
            if chunk is not None and bytes(chunk.error) != b"null":
                self.failed = True
            counted = _counted(chunk)
            if counted is not None:
                self.counted = counted
            if chunk is not None and chunk.usage is not None and self._hide_usage and chunk.choices == []:
                return False
        if b"[DONE]" in event and payload(event).strip() == b"[DONE]":
            self.done = True
        return True


def _mentions_usage(data: bytes) -> bool:
    named = data.count(b'"usage"')
    if not named or named == data.count(b'"usage":null'):
        return False
    return named != len(_NO_USAGE.findall(data))


def _chunk_in(event: bytes) -> Chunk | PlainChunk | None:
    data = payload(event)
    try:
        return decode_chunk(data)
    except UNREADABLE:
        return _plainly(data)


def _counted(chunk: Any) -> Quantities | None:
    if isinstance(chunk, PlainChunk):
        return _plain_quantities(chunk)
    if chunk is None:
        return None
    usage = chunk.usage
    if usage is None and chunk.x_groq is not None:
        usage = chunk.x_groq.usage
    return openai_quantities(usage, chunk.timings) if usage is not None else None
