"""Admission by worst case: the most that a request can cost, known before it is sent.

A token of a byte-level tokenizer covers at least one byte of text, and JSON never writes a text in fewer
bytes than UTF-8, so the length of the JSON bounds the prompt's tokens; what chat templates add on top is
allowed for below. The model's context length bounds both input and output whatever the body holds. The
output limit that is assumed here is also written into the upstream request, so that it holds.
"""

from typing import NamedTuple

from dure.contracts.directory import AwardEntry, ModelEntry
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.metering import Tariff, estimated_tokens, worst_cost_micro_won

#: Tokens that a chat template may add: once (a default system prompt, the opening of the answer), for
#: each message, and to explain how tools are called.
TEMPLATE_TOKENS = 128
TEMPLATE_TOKENS_PER_MESSAGE = 16
TEMPLATE_TOKENS_FOR_TOOLS = 1_024


class Bounds(NamedTuple):
    """Upper bounds in tokens over the whole request. `output_each` is the limit on one answer."""

    input: int
    output_each: int
    answers: int
    extra_output: int
    estimated_input: int

    @property
    def output(self) -> int:
        return self.output_each * self.answers + self.extra_output


def bounds_of(call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
    whole_context = model.context_length * call.prompts
    if not call.only_text:
        input_tokens = whole_context
    else:
        template = TEMPLATE_TOKENS + TEMPLATE_TOKENS_PER_MESSAGE * call.messages
        if call.has_tools:
            template += TEMPLATE_TOKENS_FOR_TOOLS
        input_tokens = min(whole_context, call.text_bytes + template * call.prompts)
    estimated_input = min(input_tokens, max(1, estimated_tokens(call.text_bytes)))
    if call.endpoint == "embeddings":
        return Bounds(input_tokens, 0, call.prompts, 0, estimated_input)
    limit = min(model.max_output_tokens, model.context_length)
    if award.max_tokens_ceiling is not None:
        limit = min(limit, award.max_tokens_ceiling)
    if call.output_tokens is not None:
        limit = min(limit, call.output_tokens)
    return Bounds(input_tokens, limit, call.copies * call.prompts, call.extra_output_tokens, estimated_input)


def hold_micro_won(bounds: Bounds, tariff: Tariff) -> int:
    return worst_cost_micro_won(bounds.input, bounds.output, tariff)


def largest_output_tokens(bounds: Bounds, tariff: Tariff, available_micro_won: int) -> int | None:
    """The largest limit on each answer whose hold fits; None where not even one token does."""
    if bounds.answers == 0 or bounds.output_each == 0:
        return None
    if hold_micro_won(bounds._replace(output_each=1), tariff) > available_micro_won:
        return None
    low, high = 1, bounds.output_each
    while low < high:
        middle = (low + high + 1) // 2
        if hold_micro_won(bounds._replace(output_each=middle), tariff) <= available_micro_won:
            low = middle
        else:
            high = middle - 1
    return low
