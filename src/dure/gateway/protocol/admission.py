"""Admission by worst case: the most that a request can cost, known before it is sent.

A token of a byte-level tokenizer covers at least one byte of text, and JSON never writes a text in fewer
bytes than UTF-8, so the length of the JSON bounds the prompt's tokens; what chat templates add on top is
allowed for. The model's context length bounds both input and output whatever the body holds. The
output limit that is assumed here is also written into the upstream request, so that it holds.
"""

from typing import NamedTuple

from dure.contracts.directory import AwardEntry, ModelEntry
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.metering import (
    BYTES_PER_TOKEN,
    NOTHING,
    Quantities,
    Tariff,
    worst_cost_micro_won,
)

#: Tokens that a chat template may add: once for each prompt (a default system prompt, the opening of the answer),
#: for each message, and to explain how tools are called.
TEMPLATE_TOKENS = 128
TEMPLATE_TOKENS_PER_MESSAGE = 16
TEMPLATE_TOKENS_FOR_TOOLS = 1_024


class Bounds(NamedTuple):
    """Upper bounds over the whole request, in tokens and in `units` of other meters. `output_each` is the limit
    on one answer. `estimated_input` and `estimated_units` are what is charged for having been answered at all
    where the provider does not say."""

    input: int
    output_each: int
    answers: int
    extra_output: int
    estimated_input: int
    units: dict[str, int] = NOTHING
    estimated_units: dict[str, int] = NOTHING

    @property
    def output(self) -> int:
        return self.output_each * self.answers + self.extra_output

    def estimate(self, output_tokens: int, said: Quantities | None = None) -> Quantities:
        """Our own count, never above what was held. `said` is what the provider has told before it broke off."""
        if said is None:
            return Quantities(self.estimated_input, min(output_tokens, self.output), 0, self.estimated_units)
        output_tokens = max(said.output, min(output_tokens, self.output))
        return said._replace(output=output_tokens)


def bounds_of(call: Call, model: ModelEntry, award: AwardEntry) -> Bounds:
    """For an endpoint that reads and writes tokens."""
    input_tokens, estimated_input = _input(call, model)
    limit = min(model.max_output_tokens, model.context_length)
    if award.max_tokens_ceiling is not None and award.max_tokens_ceiling < limit:
        limit = award.max_tokens_ceiling
    if call.output_tokens is not None and call.output_tokens < limit:
        limit = call.output_tokens
    return Bounds(
        input_tokens,
        limit,
        call.copies * call.prompts,
        call.extra_output_tokens,
        estimated_input,
        call.units,
    )


def input_bounds(call: Call, model: ModelEntry) -> Bounds:
    """For an endpoint that reads tokens and writes none."""
    input_tokens, estimated_input = _input(call, model)
    return Bounds(input_tokens, 0, call.prompts, 0, estimated_input, call.units)


def _input(call: Call, model: ModelEntry) -> tuple[int, int]:
    """The most input tokens, and about how many."""
    most = model.context_length * call.prompts
    if call.only_text:
        text = call.text_bytes + TEMPLATE_TOKENS * call.prompts + call.template_tokens
        most = min(most, text)
    about = -(-call.text_bytes // BYTES_PER_TOKEN) or 1
    return most, min(most, about)


def hold_micro_won(bounds: Bounds, tariff: Tariff) -> int:
    output_tokens = bounds.output_each * bounds.answers + bounds.extra_output
    return worst_cost_micro_won(bounds.input, output_tokens, tariff, bounds.units)


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
