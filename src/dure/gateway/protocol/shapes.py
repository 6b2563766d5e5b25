"""What is read of requests and answers in OpenAI's dialect, and of every dialect's `usage`: the fields that matter here.

Apart from what is done with them, since what msgspec makes of classes is not compiled. `dialects` says what the figures of a
`usage` mean.
"""

from typing import Any

import msgspec

# Requests


class ReadMessage(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class ReadPart(msgspec.Struct):
    type: str = ""


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


# Usage


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(msgspec.Struct):
    """The `usage` member of an answer of OpenAI's dialect."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    prompt_audio_seconds: Any = None
    num_search_queries: int | None = None


class Timings(msgspec.Struct):
    """llama.cpp's own figures, beside the usage."""

    cache_n: int | None = None


class ResponseUsage(msgspec.Struct):
    """The `usage` of OpenAI's newer endpoints (responses, images, transcriptions by token): the same by other names."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: PromptDetails | None = None
    output_tokens_details: CompletionDetails | None = None


class CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class ServerToolUse(msgspec.Struct):
    web_search_requests: int | None = None


class MessageOutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class MessageUsage(msgspec.Struct):
    """The `usage` of Anthropic's Messages. In a stream it comes in parts, each with the standing totals."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None
    output_tokens_details: MessageOutputDetails | None = None

    def updated(self, later: "MessageUsage") -> "MessageUsage":
        """The totals after `later`: what it does not mention stands."""
        news = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **news)


class WrittenMessage(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    message: WrittenMessage | None = None
    text: str | None = None


class Answer(msgspec.Struct):
    usage: Usage | None = None
    timings: Timings | None = None


class Choices(msgspec.Struct):
    choices: list[Choice] = []


class ErrorAnswer(msgspec.Struct):
    error: dict[str, Any]


class Groq(msgspec.Struct):
    usage: Usage | None = None


class Chunk(msgspec.Struct):
    usage: Usage | None = None
    timings: Timings | None = None
    choices: list[msgspec.Raw] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")
    x_groq: Groq | None = None


class PlainUsage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class PlainChunk(msgspec.Struct):
    """An answer or chunk read for its totals alone, where a detail is not what it should be."""

    usage: PlainUsage | None = None
    choices: list[msgspec.Raw] | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


decode_messages = msgspec.json.Decoder(list[ReadMessage]).decode
decode_parts = msgspec.json.Decoder(list[ReadPart]).decode
decode_stream_options = msgspec.json.Decoder(StreamOptions | None).decode
decode_answer = msgspec.json.Decoder(Answer).decode
decode_choices = msgspec.json.Decoder(Choices).decode
decode_error = msgspec.json.Decoder(ErrorAnswer).decode
decode_chunk = msgspec.json.Decoder(Chunk).decode
decode_plain = msgspec.json.Decoder(PlainChunk).decode
