"""Tokens and money: what a provider reports, and what that costs at the price of the moment.

OpenAI's dialect, which llama.cpp and vLLM share: `prompt_tokens` includes `cached_tokens`, and
`completion_tokens` includes reasoning tokens. Both are subsets and are never added on top.
"""

from typing import NamedTuple

import msgspec

from dure.contracts.directory import Meter
from dure.contracts.money import cost_micro_won

#: Bytes of text that make about one token, for the few cases in which nobody counted them.
BYTES_PER_TOKEN = 4


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    """The `usage` member of an answer, as providers of OpenAI's dialect send it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None


class Tokens(NamedTuple):
    """`cached` is the part of `input` that came from the provider's cache."""

    input: int = 0
    output: int = 0
    cached: int = 0


class Tariff(NamedTuple):
    """Micro-won per million units. A price without `cached_input` charges cached tokens as input."""

    input: int
    cached_input: int
    output: int
    request: int

    @classmethod
    def of(cls, meters: dict[Meter, int]) -> "Tariff":
        input_price = meters.get("input", 0)
        return cls(
            input_price,
            meters.get("cached_input", input_price),
            meters.get("output", 0),
            meters.get("request", 0),
        )


def tokens_of(usage: Usage) -> Tokens | None:
    """What the provider counted; None when its figures make no sense and cannot be charged by."""
    input_tokens = usage.prompt_tokens
    output_tokens = usage.completion_tokens or 0
    if input_tokens is None or input_tokens < 0 or output_tokens < 0:
        return None
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details is not None and details.cached_tokens else 0
    return Tokens(input_tokens, output_tokens, min(max(cached, 0), input_tokens))


def actual_cost_micro_won(tokens: Tokens, tariff: Tariff) -> int:
    return cost_micro_won(
        (
            (tokens.input - tokens.cached, tariff.input),
            (tokens.cached, tariff.cached_input),
            (tokens.output, tariff.output),
            (1, tariff.request),
        )
    )


def worst_cost_micro_won(input_tokens: int, output_tokens: int, tariff: Tariff) -> int:
    """No split between cached and fresh input costs more than this."""
    return cost_micro_won(
        (
            (input_tokens, max(tariff.input, tariff.cached_input)),
            (output_tokens, tariff.output),
            (1, tariff.request),
        )
    )


def estimated_tokens(text_bytes: int) -> int:
    return -(-text_bytes // BYTES_PER_TOKEN)
