"""The directory: what the gateway must know to admit, price and route a request.

The control plane publishes one row per entry, `(kind, id, version, payload)`, in the
transaction that changes the thing itself; `payload` is the JSON of one struct below and
null when the entry is gone. Versions rise in commit order, so "every row above the
version I have" is a complete update, and replaying all of them equals a fresh load.

Times are integers, microseconds since 1970 UTC, so that comparing needs no parsing.
"""

from typing import Literal

import msgspec

#: What can have a price. The parts of the input (`cached_input`, `cache_write`, `audio_input`) and of the output
#: (`audio_output`) cost what the whole does where they have no price of their own.
Meter = Literal[
    "input",
    "output",
    "cached_input",
    "cache_write",
    "audio_input",
    "audio_output",
    "request",
    "character",
    "second",
    "image",
    "search",
]
Endpoint = Literal[
    "chat.completions",
    "completions",
    "responses",
    "messages",
    "embeddings",
    "moderations",
    "rerank",
    "audio.transcriptions",
    "audio.translations",
    "audio.speech",
    "images.generations",
]
Dialect = Literal["openai", "llama.cpp", "anthropic"]
#: The most that a limit of an award or a key can be set to; more is no limit.
HIGHEST_LIMIT = 2_000_000_000


class KeyEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An API key. `digest` is the SHA-256 of the whole key, in hex; the key itself is kept nowhere.

    A key's limits are its own, beside those of its award: both hold. `models` empty means whatever the award
    allows; a limit of None is no limit; `networks` (CIDR) empty means from anywhere.
    """

    id: str
    digest: str
    award: str
    prefix: str
    expires_at: int | None = None
    name: str = ""
    valid_from: int | None = None
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


class AwardEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an award allows. It is open when `valid_from <= now < valid_until`; closing it removes the entry.

    `models` empty means every model on offer, `endpoints` empty every endpoint; a limit of None means no limit;
    `networks` (CIDR) empty means from anywhere. An award that is `held` waits for its organisation's own contribution.
    """

    id: str
    organisation: str
    programme: str
    valid_from: int
    valid_until: int | None = None
    models: tuple[str, ...] = ()
    max_tokens_ceiling: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    networks: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    held: bool = False


class Price(msgspec.Struct, frozen=True):
    """Micro-won per million units for each meter, from `effective_from` until the next price starts."""

    id: str
    effective_from: int
    meters: dict[Meter, int]


class ModelEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model on offer. `context_length` and `max_output_tokens` are its ceilings, in tokens.

    `prices` are sorted by `effective_from`; a model whose first price lies ahead is not yet callable.
    """

    id: str
    name: str
    provider: str
    endpoints: tuple[Endpoint, ...]
    context_length: int
    max_output_tokens: int
    prices: tuple[Price, ...]
    created_at: int = 0
    owned_by: str = ""


class DeploymentEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place that serves a model: `base_url` ends before `/v1/…`, `upstream_model` is its name there.

    `credential` says where the gateway finds the provider's key (`env:NAME` or `file:/path`),
    never the key. Time-outs are in milliseconds. When `max_concurrency` calls are under way, up to `queue_limit`
    more wait for at most `queue_timeout_ms`, awards taking turns. `health_path`, where given, is asked with GET now
    and then while the deployment rests, and must answer 2xx.
    """

    id: str
    model: str
    provider: str
    base_url: str
    upstream_model: str
    dialect: Dialect = "openai"
    credential: str = ""
    weight: int = 1
    priority: int = 0
    max_concurrency: int | None = None
    connect_timeout_ms: int = 5_000
    first_byte_timeout_ms: int = 120_000
    idle_timeout_ms: int = 60_000
    queue_limit: int = 256
    queue_timeout_ms: int = 10_000
    health_path: str = ""


DirectoryEntry = KeyEntry | AwardEntry | ModelEntry | DeploymentEntry
DirectoryKind = Literal["key", "award", "model", "deployment"]

ENTRY_TYPES: dict[DirectoryKind, type[DirectoryEntry]] = {
    "key": KeyEntry,
    "award": AwardEntry,
    "model": ModelEntry,
    "deployment": DeploymentEntry,
}

DECODERS: dict[DirectoryKind, msgspec.json.Decoder[DirectoryEntry]] = {
    kind: msgspec.json.Decoder(entry_type) for kind, entry_type in ENTRY_TYPES.items()
}

NOTIFY_CHANNEL = "dure_directory"
