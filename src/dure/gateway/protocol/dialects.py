"""How providers say what they counted: their `usage`, in each dialect, as `Quantities`.

In OpenAI's dialect the details (`cached_tokens`, `audio_tokens`, `reasoning_tokens`, and the accepted and
rejected tokens of a prediction) are *parts* of the totals. In Anthropic's, `cache_read_input_tokens` and
`cache_creation_input_tokens` are *beside* `input_tokens`. Nothing is counted twice in either.

Those who speak OpenAI's dialect differ at its edges:

    DeepSeek          says `prompt_cache_hit_tokens`, a part of `prompt_tokens`, beside the same figure in the details
    Groq              repeats the usage of a stream in `x_groq.usage`, which alone is there if nobody asked for usage
    llama.cpp         says in `timings.cache_n` what came from its cache where it has no details yet
    Moonshot          says `cached_tokens` beside the totals, and means a part of them
    Gemini, xAI       leave what was thought out of `completion_tokens`; only `total_tokens` has it, and it is billed
    Mistral           counts audio in `prompt_audio_seconds`, whose tokens appear in `total_tokens` only
    Perplexity        says `num_search_queries`

Figures that make no sense are not charged by: the answer is then None and the gateway's own count is used.
"""

from typing import Any

from dure.gateway.protocol.metering import NOTHING, Quantities
from dure.gateway.protocol.shapes import CacheCreation, MessageUsage, ResponseUsage, Timings, Usage


def openai_quantities(usage: Usage, timings: Timings | None = None) -> Quantities | None:
    input_tokens = usage.prompt_tokens
    output_tokens = usage.completion_tokens or 0
    total = usage.total_tokens
    if input_tokens is None and total is not None:
        input_tokens = total - output_tokens
    if input_tokens is None or input_tokens < 0 or output_tokens < 0:
        return None
    unsaid = 0
    if total is not None and total > input_tokens + output_tokens and not usage.prompt_audio_seconds:
        unsaid = total - input_tokens - output_tokens
        output_tokens += unsaid
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details is not None else None
    if cached is None:
        if timings is not None and timings.cache_n is not None:
            cached = timings.cache_n
        else:
            cached = usage.prompt_cache_hit_tokens or usage.cached_tokens
    return Quantities(
        input_tokens,
        output_tokens,
        _part(cached, input_tokens) if cached else 0,
        _units(usage, input_tokens, output_tokens, unsaid),
    )


def _units(usage: Usage, input_tokens: int, output_tokens: int, unsaid: int) -> dict[str, int]:
    """What there is beside the totals: for most answers nothing, so that is found out first."""
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    units: dict[str, int] = {}
    if read is not None and (read.audio_tokens or read.cache_write_tokens):
        units["audio_input"] = _part(read.audio_tokens, input_tokens)
        units["cache_write"] = _part(read.cache_write_tokens, input_tokens)
    if written is not None and (written.reasoning_tokens or written.audio_tokens):
        units["reasoning"] = _part(written.reasoning_tokens, output_tokens)
        units["audio_output"] = _part(written.audio_tokens, output_tokens)
    if unsaid:
        units["reasoning"] = units.get("reasoning") or unsaid
    if usage.prompt_audio_seconds or usage.num_search_queries:
        units["second"] = _whole(usage.prompt_audio_seconds)
        units["search"] = max(0, usage.num_search_queries or 0)
    return _counted(units) if units else NOTHING


def response_quantities(usage: ResponseUsage) -> Quantities | None:
    if usage.input_tokens is None:
        return None
    return openai_quantities(
        Usage(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=usage.input_tokens_details,
            completion_tokens_details=usage.output_tokens_details,
        )
    )


def message_quantities(usage: MessageUsage) -> Quantities | None:
    fresh = usage.input_tokens
    output_tokens = usage.output_tokens or 0
    read = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens
    if written is None:
        parts = usage.cache_creation or CacheCreation()
        written = (parts.ephemeral_5m_input_tokens or 0) + (parts.ephemeral_1h_input_tokens or 0)
    if fresh is None or min(fresh, output_tokens, read, written) < 0:
        return None
    units = {"cache_write": written}
    if usage.server_tool_use is not None:
        units["search"] = max(0, usage.server_tool_use.web_search_requests or 0)
    if usage.output_tokens_details is not None:
        units["reasoning"] = _part(usage.output_tokens_details.thinking_tokens, output_tokens)
    return Quantities(fresh + read + written, output_tokens, read, _counted(units))


def _part(tokens: int | None, whole: int) -> int:
    return min(max(tokens, 0), whole) if tokens else 0


def _whole(seconds: Any) -> int:
    """Seconds as providers write them, up to the next whole one."""
    if isinstance(seconds, int | float) and seconds > 0:
        return int(-(-seconds // 1))
    return 0


def _counted(units: dict[str, int]) -> dict[str, int]:
    return {meter: quantity for meter, quantity in units.items() if quantity} or NOTHING
