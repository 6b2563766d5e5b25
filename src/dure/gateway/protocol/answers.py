"""Whole (not streamed) answers of a provider: their usage, and errors in a shape that clients read."""

from typing import Any

import msgspec

from dure.contracts.directory import Dialect
from dure.gateway.protocol.errors import (
    INVALID_REQUEST,
    SERVER,
    Refusal,
    upstream_credential,
    upstream_error,
)
from dure.gateway.protocol.metering import Tokens, Usage, estimated_tokens, tokens_of


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    text: str | None = None


class _Answer(msgspec.Struct):
    usage: Usage | None = None


class _Choices(msgspec.Struct):
    choices: list[_Choice] = []


class _ErrorAnswer(msgspec.Struct):
    error: dict[str, Any]


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_choices = msgspec.json.Decoder(_Choices).decode
_decode_error = msgspec.json.Decoder(_ErrorAnswer).decode
_encode = msgspec.json.Encoder().encode

#: How llama.cpp begins what it says, with status 500, of a request that it cannot read.
_FAULTS_OF_THE_CALLER = (
    "Failed to parse messages",
    "Failed to parse tools",
    "image input is not supported",
    "audio input is not supported",
    "Unknown reasoning format",
)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def tokens_in(body: bytes) -> Tokens | None:
    """The provider's count in a JSON answer; None where it is missing or makes no sense."""
    try:
        usage = _decode_answer(body).usage
    except _UNREADABLE:
        return None
    return tokens_of(usage) if usage is not None else None


def estimated_output_tokens(body: bytes) -> int:
    """Our count of the answers' text, for a provider that sent no usage."""
    try:
        choices = _decode_choices(body).choices
    except _UNREADABLE:
        return 0
    texts = (
        (choice.message.content if choice.message is not None else choice.text) or "" for choice in choices
    )
    return sum(estimated_tokens(len(text.encode("utf-8", "replace"))) for text in texts)


def upstream_refusal(model: str, dialect: Dialect, status: int, body: bytes) -> tuple[int, bytes]:
    """Status and body for the client when the provider answered with an error.

    An error of OpenAI's shape goes through as it is; anything else is put into that shape. A refused
    credential is the platform's, and must not look as if the caller's key were wrong; a request that no
    deployment could read must not look as if this one had failed.
    """
    if status in {401, 403, 407}:
        refusal: Refusal = upstream_credential(model)
        return refusal.status, refusal.body()
    error = _error_in(body) if 400 <= status <= 599 else None
    if error is None:
        refusal = upstream_error(model, status)
        return refusal.status, refusal.body()
    shown = status
    if dialect == "llama.cpp" and status == 500 and error["message"].startswith(_FAULTS_OF_THE_CALLER):
        shown, error["type"] = 400, INVALID_REQUEST
    code = error.get("code", 0)
    shaped = {
        **error,
        "type": _text(error.get("type")) or (SERVER if shown >= 500 else INVALID_REQUEST),
        "param": _text(error.get("param")),
        # llama.cpp writes the status here, as a number, where clients expect a word.
        "code": code if code is None or isinstance(code, str) else "upstream_error",
    }
    return shown, body if (shown, shaped) == (status, error) else _encode({"error": shaped})


def _error_in(body: bytes) -> dict[str, Any] | None:
    """The error in a JSON answer, if it says something."""
    try:
        error = _decode_error(body).error
    except _UNREADABLE:
        return None
    return error if _text(error.get("message")) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
