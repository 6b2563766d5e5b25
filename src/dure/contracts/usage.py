"""One usage record per admitted request: what the journal closes with and what settlement keeps.

Statuses, and who bears what is unknown:

completed    the whole answer was relayed; charged by the provider's usage (counted by us, `estimated`,
             where the provider omits it)
cancelled    the client hung up; upstream was cancelled, relayed tokens are charged, `estimated`
truncated    the provider broke off after the first byte; relayed tokens are charged, `estimated`
failed       nothing usable came: an error or a break before the first byte; nothing is charged
interrupted  the gateway process died; charged by what its journal shows was relayed, `estimated`
"""

from typing import Literal
from uuid import UUID

import msgspec

UsageStatus = Literal["completed", "cancelled", "truncated", "failed", "interrupted"]


class Attempt(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One try at a deployment, in the order they were made.

    `outcome` is `answered`, or why there was no usable answer (`unreachable`, `closed`, `timeout`, `status_503`,
    …). `ms` is how long it took, from taking the deployment to its first byte or its failure.
    """

    deployment: UUID
    outcome: str
    ms: int = 0


class UsageRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A request's outcome. Times are microseconds since 1970 UTC; money is micro-won.

    `cached_tokens` is the part of `input_tokens` that the provider served from its cache (a subset,
    as in OpenAI's dialect). `units` counts everything else that was metered, by its name: further parts of the
    tokens (`cache_write`, `audio_input`, `audio_output`, `reasoning`: all of them subsets), and what is no
    token (`request`, `character`, `second`, `image`, `search`); a meter that counted nothing is left out.
    `cost_micro_won` is what the award is charged; `uncovered_micro_won` is
    what the provider's usage came to beyond the hold and could not be charged (zero unless a
    provider reports more than the worst case; it is then settled between officer and provider).
    `tries` names each attempt where there was more than one, or none that answered.
    """

    request_id: UUID
    sequence: int
    award: UUID
    key: UUID
    model: str
    deployment: UUID
    provider: UUID
    price: UUID
    endpoint: str
    status: UsageStatus
    http_status: int
    streamed: bool
    estimated: bool
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_micro_won: int
    opened_at: int
    closed_at: int
    first_byte_at: int | None = None
    uncovered_micro_won: int = 0
    error_code: str = ""
    attempts: int = 1
    units: dict[str, int] = {}
    tries: list[Attempt] = []
