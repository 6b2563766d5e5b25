"""Quantities and money: what a call counted, by meter, and what that costs at the price of the moment.

Three counts are those of nearly every call: input tokens, output tokens, and the part of the input that came
from a cache. Everything else a call may count is in `units`, by its meter's name, and for most calls that is
nothing. How a provider's own figures become these is in `dialects.py`.

    parts of the input    cached (a field of its own), `cache_write`, `audio_input`
    parts of the output   `audio_output`; `reasoning` is information and has no price of its own
    beside the tokens     `request`, `character`, `second`, `image`, `search`

A part is never added on top of the whole: it is charged at its own price instead of the whole's.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dure.contracts.money import cost_micro_won, rounded_up

#: Bytes of text that make about one token, for the few cases in which nobody counted them.
BYTES_PER_TOKEN = 4

#: Of no further meter anything. Shared, and never written to.
NOTHING: dict[str, int] = {}
_INPUT_PARTS = ("cached_input", "cache_write", "audio_input")
_OF_TOKENS = frozenset({"input", "output", "audio_output", "request", *_INPUT_PARTS})


class Quantities(NamedTuple):
    """What a call counted. `cached` is the part of `input` that came from the provider's cache.

    `units` are further meters by name, none of them zero. Its parts of the tokens may overlap where a provider
    says so little (cached audio): they are charged in the order cached, written, audio, and together never
    for more tokens than the whole has.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    units: dict[str, int] = NOTHING


NO_QUANTITIES = Quantities()


class Tariff(NamedTuple):
    """Micro-won per million units. A part without a price of its own costs what its whole does.

    `dearest_input` and `dearest_output` are the dearest of their family; `others` are the meters that are
    not tokens, without `request`.
    """

    input: int
    cached_input: int
    output: int
    request: int
    cache_write: int
    audio_input: int
    audio_output: int
    dearest_input: int
    dearest_output: int
    others: dict[str, int]

    @classmethod
    def of(cls, meters: Mapping[Any, int]) -> "Tariff":
        """The tariff of a price's `meters`. Without a price, a meter costs nothing."""
        whole_input, whole_output = meters.get("input", 0), meters.get("output", 0)
        cached_input, cache_write, audio_input = (meters.get(part, whole_input) for part in _INPUT_PARTS)
        audio_output = meters.get("audio_output", whole_output)
        return cls(
            input=whole_input,
            cached_input=cached_input,
            output=whole_output,
            request=meters.get("request", 0),
            cache_write=cache_write,
            audio_input=audio_input,
            audio_output=audio_output,
            dearest_input=max(whole_input, cached_input, cache_write, audio_input),
            dearest_output=max(whole_output, audio_output),
            others={meter: price for meter, price in meters.items() if meter not in _OF_TOKENS},
        )


def actual_cost_micro_won(counted: Quantities, tariff: Tariff) -> int:
    """The charge for what one call counted, in micro-won, rounded up once."""
    read, written, cached, units = counted
    fresh = read - cached
    if units or fresh < 0 or cached < 0 or written < 0:
        return cost_micro_won(_lines(counted, tariff))
    return rounded_up(
        fresh * tariff.input + cached * tariff.cached_input + written * tariff.output + tariff.request
    )


def _lines(counted: Quantities, tariff: Tariff) -> Iterator[tuple[int, int]]:
    units = counted.units
    fresh = counted.input - counted.cached
    written = min(units.get("cache_write", 0), fresh)
    heard = min(units.get("audio_input", 0), fresh - written)
    spoken = min(units.get("audio_output", 0), counted.output)
    yield fresh - written - heard, tariff.input
    yield counted.cached, tariff.cached_input
    yield written, tariff.cache_write
    yield heard, tariff.audio_input
    yield counted.output - spoken, tariff.output
    yield spoken, tariff.audio_output
    yield 1, tariff.request
    for meter, price in tariff.others.items():
        yield units.get(meter, 0), price


def worst_cost_micro_won(
    input_tokens: int, output_tokens: int, tariff: Tariff, units: dict[str, int] = NOTHING
) -> int:
    """No split of the tokens into their parts, and no smaller count of a meter, costs more than this."""
    if not units and input_tokens >= 0 and output_tokens >= 0:
        return rounded_up(
            input_tokens * tariff.dearest_input + output_tokens * tariff.dearest_output + tariff.request
        )
    lines = (
        (input_tokens, tariff.dearest_input),
        (output_tokens, tariff.dearest_output),
        (1, tariff.request),
    )
    others = ((units.get(meter, 0), price) for meter, price in tariff.others.items())
    return cost_micro_won((*lines, *others))


def recorded_units(counted: Quantities | None, tariff: Tariff) -> dict[str, int]:
    """The `units` of the record: a request counts as one where it has a price of its own."""
    if counted is None:
        return NOTHING
    return {**counted.units, "request": 1} if tariff.request else counted.units


def units_of(**quantities: int) -> dict[str, int]:
    """Units by meter, without those that counted nothing."""
    return {meter: quantity for meter, quantity in quantities.items() if quantity} or NOTHING


def estimated_tokens(text_bytes: int) -> int:
    return -(-text_bytes // BYTES_PER_TOKEN)
