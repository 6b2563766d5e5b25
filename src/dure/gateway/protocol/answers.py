"""Whole (not streamed) answers of a provider: their usage, and errors in a shape that clients read."""

import msgspec

from dure.gateway.protocol.errors import Refusal, upstream_credential, upstream_error
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
    error: dict[str, msgspec.Raw]


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_choices = msgspec.json.Decoder(_Choices).decode
_decode_error = msgspec.json.Decoder(_ErrorAnswer).decode

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


def upstream_refusal(model: str, status: int, body: bytes) -> tuple[int, bytes]:
    """Status and body for the client when the provider answered with an error.

    An error of OpenAI's shape goes through as it is; anything else is put into that shape. A refused
    credential is the platform's, and must not look as if the caller's key were wrong.
    """
    if status in {401, 403, 407}:
        refusal: Refusal = upstream_credential(model)
        return refusal.status, refusal.body()
    if 400 <= status <= 599:
        try:
            if "message" in _decode_error(body).error:
                return status, body
        except _UNREADABLE:
            pass
    refusal = upstream_error(model, status)
    return refusal.status, refusal.body()
