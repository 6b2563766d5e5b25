"""Chat and text completions: what OpenAI's two endpoints that write text in chunks have in common."""

from typing import Any, ClassVar

from dure.contracts.directory import Dialect
from dure.gateway.protocol.admission import Bounds
from dure.gateway.protocol.calls import (
    Call,
    FieldNames,
    decode_any,
    decode_bool,
    encode_fields,
    read_limits,
    set_limit,
    typed,
    whole,
)
from dure.gateway.protocol.endpoints.base import ModelEndpoint
from dure.gateway.protocol.errors import invalid, one_answer_at_a_time
from dure.gateway.protocol.metering import Quantities
from dure.gateway.protocol.openai import ChunkScanner, quantities_in, written_tokens
from dure.gateway.protocol.shapes import decode_stream_options
from dure.gateway.protocol.sse import Scanner

MAX_COPIES = 128
#: What steers an answer and is never part of its prompt.
STEERING = frozenset(
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
#: What a request costs depends on these, so their names must be written exactly so.
GUARDED = STEERING | {
    "chat_template",
    "chat_template_kwargs",
    "functions",
    "input",
    "messages",
    "prompt",
    "tools",
    "web_search_options",
}
NAMES = FieldNames(GUARDED, STEERING)
#: The names of the number of answers; `n_cmpl` is llama.cpp's.
COPIES = ("n", "n_cmpl")


class Generating(ModelEndpoint):
    #: The names of an answer's limit. `n_predict` is llama.cpp's, and there it overrules the others.
    limit_names: ClassVar[tuple[str, ...]]
    least_limit: ClassVar[int]

    def refuse_dialect(self, call: Call, dialect: Dialect, model: str) -> None:
        if call.copies * call.prompts > 1 and dialect == "llama.cpp":
            # llama.cpp reports the usage of one of several answers; the others would go unmetered.
            raise one_answer_at_a_time(model, "n" if call.copies > 1 else "prompt")

    def upstream_body(
        self, call: Call, *, upstream_model: str, dialect: Dialect, output_limit: int | None
    ) -> bytes:
        fields: dict[str, Any] = dict(call.fields)
        fields["model"] = upstream_model
        if output_limit is not None and not (call.limits == 1 and call.output_tokens == output_limit):
            set_limit(fields, self.limit_names, self.default_limit(dialect), output_limit)
        if call.stream and not call.wants_usage:
            options = decode_any(fields["stream_options"]) if "stream_options" in fields else None
            fields["stream_options"] = {**(options or {}), "include_usage": True}
        return encode_fields(fields)

    def default_limit(self, dialect: Dialect) -> str:
        """The name under which a limit is set that the caller left out."""
        return "max_tokens"

    def meter(self, call: Call, body: bytes, content_type: bytes) -> Quantities | None:
        return quantities_in(body)

    def count(self, call: Call, bounds: Bounds, body: bytes) -> Quantities:
        return bounds.estimate(written_tokens(body))

    def scanner(self, call: Call, content_type: bytes) -> Scanner | None:
        if call.stream and content_type.startswith(b"text/event-stream"):
            return ChunkScanner(hide_usage=not call.wants_usage)
        return None

    def read_stream(self, call: Call) -> None:
        fields = call.fields
        if "stream" in fields:
            call.stream = bool(typed(fields, "stream", decode_bool, "true or false"))
        if "stream_options" in fields:
            options = typed(fields, "stream_options", decode_stream_options, "an object")
            call.wants_usage = bool(options is not None and options.include_usage)
            if options is not None and not call.stream:
                invalid("'stream_options' is only allowed when 'stream' is true.", param="stream_options")

    def read_output(self, call: Call) -> None:
        fields = call.fields
        read_limits(call, self.limit_names, self.least_limit)
        for name in COPIES:
            if name in fields:
                call.copies = max(call.copies, whole(fields, name, least=1, most=MAX_COPIES) or 1)
        if "prediction" in fields:
            # Rejected tokens of a predicted output are billed as output beyond the limit.
            call.extra_output_tokens = len(fields["prediction"])
