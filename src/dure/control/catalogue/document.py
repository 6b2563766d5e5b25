"""The catalogue document (docs/catalogue-format.md): from YAML to values, with every mistake named.

What needs the tables to be judged (does the provider exist, would this change the past) is judged in
`plan`; each value keeps its place for that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from yaml.nodes import Node

from dure.contracts.directory import Dialect, Endpoint, Meter
from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.catalogue.workflow import DEPLOYMENT_STATES, MODEL_STATES, DeploymentState, ModelState
from dure.control.catalogue.yaml_reader import Fields, Place, Problem, Reader

METERS: tuple[str, ...] = get_args(Meter)
ENDPOINTS: tuple[str, ...] = get_args(Endpoint)
DIALECTS: tuple[str, ...] = get_args(Dialect)
MODALITIES = ("text", "image", "audio", "video")
_TOKENS = (("input", "output"),)
#: What a call is charged by: the meters of one of these ways must all have a price, or it could not be charged at all.
REQUIRED_METERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "chat.completions": _TOKENS,
    "completions": _TOKENS,
    "responses": _TOKENS,
    "messages": _TOKENS,
    "embeddings": (("input",),),
    "moderations": (("input",), ("request",)),
    "rerank": (("search",), ("input",), ("request",)),
    "audio.transcriptions": (("second",), *_TOKENS),
    "audio.translations": (("second",), *_TOKENS),
    "audio.speech": (("character",), *_TOKENS),
    "images.generations": (("image",), *_TOKENS),
}
#: Dialects that do not serve every endpoint, with those that they serve.
ENDPOINTS_OF_DIALECT: dict[str, frozenset[str]] = {
    "anthropic": frozenset({"messages"}),
    "openai": frozenset(ENDPOINTS) - {"messages"},
    "llama.cpp": frozenset(ENDPOINTS)
    - {"moderations", "audio.translations", "audio.speech", "images.generations"},
}

MAX_WON_PER_MILLION = 1_000_000_000
MAX_TOKENS = 100_000_000
MAX_QUEUE = 100_000
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_CREDENTIAL = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/\S+")
_PATH = re.compile(r"/(?!/)[!-\"$-~]*")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")

_MODEL_FIELDS = (
    "name", "provider", "title", "description", "modalities", "endpoints", "context_length",
    "max_output_tokens", "state", "prices", "deployments",
)  # fmt: skip
_DEPLOYMENT_FIELDS = (
    "name", "provider", "base_url", "upstream_model", "dialect", "credential", "weight", "priority",
    "max_concurrency", "connect_timeout_ms", "first_byte_timeout_ms", "idle_timeout_ms",
    "queue_limit", "queue_timeout_ms", "health_path", "state",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PriceSpec:
    """A price as written; `effective_from` None means now. Meters are micro-won per million units."""

    place: Place
    effective_from: datetime | None
    meters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    place: Place
    name: str
    provider: str
    provider_place: Place
    base_url: str
    upstream_model: str
    dialect: str
    credential: str
    weight: int
    priority: int
    max_concurrency: int | None
    connect_timeout_ms: int
    first_byte_timeout_ms: int
    idle_timeout_ms: int
    queue_limit: int
    queue_timeout_ms: int
    health_path: str
    state: DeploymentState


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as written. `prices` or `deployments` None: not spoken of, so left as they are."""

    place: Place
    name: str
    provider: str
    provider_place: Place
    title_ko: str
    title_en: str
    description_ko: str
    description_en: str
    modalities: tuple[str, ...]
    endpoints: tuple[str, ...]
    context_length: int
    max_output_tokens: int
    state: ModelState
    prices: tuple[PriceSpec, ...] | None
    deployments: tuple[DeploymentSpec, ...] | None


@dataclass(frozen=True, slots=True)
class Document:
    models: tuple[ModelSpec, ...]


def read(document: str | bytes | Mapping[str, Any]) -> tuple[Document, list[Problem]]:
    """The document's values and everything that is wrong with it; use the values only if nothing is."""
    reader = Reader()
    root = reader.root(document)
    models: tuple[ModelSpec, ...] = ()
    fields = reader.mapping(root, "", ("version", "models")) if root is not None else None
    if fields is not None:
        if fields.require("version", "1"):
            fields.integer("version", least=1, most=1)
        fields.require("models")
        models = fields.items("models", lambda node, path: _model(reader, node, path)) or ()
        _refuse_repeated(reader, [(model.name, model.place) for model in models if model.name], "name")
    return Document(models), sorted(reader.problems, key=_position)


def _position(problem: Problem) -> tuple[int, int]:
    return problem.place.line or 0, problem.place.column or 0


def _refuse_repeated(reader: Reader, named: list[tuple[Any, Place]], field: str) -> None:
    seen: dict[Any, Place] = {}
    for name, place in named:
        if name not in seen:
            seen[name] = place
            continue
        first = seen[name].line
        reader.note(
            Place(f"{place.path}.{field}", place.line, place.column),
            _("“%(name)s” is given twice.") % {"name": name},
            _("It stands in line %(line)s already.") % {"line": first} if first else "",
        )


def _model(reader: Reader, node: Node, path: str) -> ModelSpec | None:
    fields = reader.mapping(node, path, _MODEL_FIELDS)
    if fields is None:
        return None
    name = fields.text(
        "name",
        required=True,
        most=120,
        pattern=_MODEL_NAME,
        shape=_("Use letters, digits and . _ : / - only."),
        example="my-model-7b",
    )
    provider = _provider(fields, required=True)
    title_ko, title_en = _both_languages(fields, "title", default=name, most=200)
    description_ko, description_en = _both_languages(fields, "description", default="", most=4_000)
    context_length = fields.integer(
        "context_length", required=True, least=1, most=MAX_TOKENS, default=MAX_TOKENS, example="8192"
    )
    max_output_tokens = fields.integer(
        "max_output_tokens", required=True, least=1, most=MAX_TOKENS, default=1, example="4096"
    )
    if max_output_tokens > context_length:
        fields.note(
            "max_output_tokens",
            _("%(most)s is more than context_length %(context)s.")
            % {"most": max_output_tokens, "context": context_length},
        )
    endpoints = fields.choices("endpoints", ENDPOINTS, default=("chat.completions",))
    prices = fields.items("prices", lambda item, inside: _price(reader, item, inside, endpoints))
    if prices:
        _refuse_repeated(reader, [(_shown(price), price.place) for price in prices], "effective_from")
    deployments = fields.items(
        "deployments", lambda item, inside: _deployment(reader, item, inside, provider, name)
    )
    if deployments:
        _refuse_repeated(reader, [(one.name, one.place) for one in deployments if one.name], "name")
        _require_dialects(fields, endpoints, deployments)
    return ModelSpec(
        place=fields.place,
        name=name,
        provider=provider,
        provider_place=fields.place_at("provider"),
        title_ko=title_ko,
        title_en=title_en,
        description_ko=description_ko,
        description_en=description_en,
        modalities=fields.choices("modalities", MODALITIES, default=("text",)),
        endpoints=endpoints,
        context_length=context_length,
        max_output_tokens=max_output_tokens,
        state=fields.choice("state", MODEL_STATES, default="active"),
        prices=prices,
        deployments=deployments,
    )


def _shown(price: PriceSpec) -> str:
    return price.effective_from.isoformat() if price.effective_from else "now"


def _provider(fields: Fields, *, required: bool, default: str = "") -> str:
    return fields.text(
        "provider",
        required=required,
        default=default,
        most=63,
        pattern=_SLUG,
        shape=_("Write the slug of an organisation: small letters, digits and - only."),
        example="my-company",
    )


def _both_languages(fields: Fields, name: str, *, default: str, most: int) -> tuple[str, str]:
    """`name: text` for both languages, or `name: {ko: …, en: …}`; a missing one borrows the other."""
    if name not in fields:
        return default, default
    if isinstance(fields.fields[name].value, str):
        text = fields.text(name, required=True, default=default, most=most)
        return text, text
    both = fields.inner(name, ("ko", "en"))
    if both is None:
        return default, default
    korean, english = both.text("ko", most=most), both.text("en", most=most)
    return korean or english or default, english or korean or default


def _price(reader: Reader, node: Node, path: str, endpoints: tuple[str, ...]) -> PriceSpec | None:
    fields = reader.mapping(node, path, ("effective_from", *METERS))
    if fields is None:
        return None
    problems_before = len(reader.problems)
    effective_from = fields.moment("effective_from") if "effective_from" in fields else None
    meters: dict[str, int] = {}
    for meter in METERS:
        if meter not in fields:
            continue
        won = fields.decimal(meter, places=6, most=MAX_WON_PER_MILLION)
        if won is not None:
            meters[meter] = int(won * Decimal(MICRO_WON_PER_WON))
    _require_meters(fields, endpoints)
    if len(reader.problems) > problems_before:
        return None
    return PriceSpec(place=fields.place, effective_from=effective_from, meters=meters)


def _require_meters(fields: Fields, endpoints: tuple[str, ...]) -> None:
    missing: dict[str, list[str]] = {}
    for endpoint in endpoints:
        ways = REQUIRED_METERS[endpoint]
        if any(all(meter in fields for meter in way) for way in ways):
            continue
        if len(ways) == 1:
            for meter in ways[0]:
                if meter not in fields:
                    missing.setdefault(meter, []).append(endpoint)
        else:
            shown = " | ".join(" + ".join(way) for way in ways)
            fields.note(
                ways[0][0],
                _("No price is given that %(endpoint)s could be charged by.") % {"endpoint": endpoint},
                _("Give one of these, in won per million: %(ways)s; 0 if it is free.") % {"ways": shown},
            )
    for meter, charged in sorted(missing.items()):
        fields.note(
            meter,
            _("This price is missing; %(endpoints)s is charged by it.") % {"endpoints": ", ".join(charged)},
            _("Write won per million, like “%(meter)s: 120”, or 0 if it is free.") % {"meter": meter},
        )


def _require_dialects(
    fields: Fields, endpoints: tuple[str, ...], deployments: tuple[DeploymentSpec, ...]
) -> None:
    """Every endpoint is served by some deployment, where any is named."""
    spoken = {one.dialect for one in deployments if one.state != "retired"}
    for endpoint in endpoints:
        speakers = [d for d in DIALECTS if endpoint in ENDPOINTS_OF_DIALECT.get(d, ENDPOINTS)]
        if spoken and not spoken & set(speakers):
            fields.note(
                "endpoints",
                _("No deployment of this model serves %(endpoint)s.") % {"endpoint": endpoint},
                _("It is served by deployments of these dialects: %(dialects)s.")
                % {"dialects": ", ".join(speakers)},
            )


def _deployment(
    reader: Reader, node: Node, path: str, model_provider: str, model_name: str
) -> DeploymentSpec | None:
    fields = reader.mapping(node, path, _DEPLOYMENT_FIELDS)
    if fields is None:
        return None
    state = fields.choice("state", DEPLOYMENT_STATES, default="active")
    base_url = _base_url(fields)
    if state == "active" and "base_url" not in fields:
        fields.note(
            "base_url",
            _("An active deployment needs an address."),
            _("Write “base_url: https://…”, or “state: unreachable” until there is one."),
        )
    return DeploymentSpec(
        place=fields.place,
        name=fields.text(
            "name",
            required=True,
            most=63,
            pattern=_SLUG,
            shape=_("Use small letters, digits and - only."),
            example="seoul-1",
        ),
        provider=_provider(fields, required=False, default=model_provider),
        provider_place=fields.place_at("provider"),
        base_url=base_url,
        upstream_model=fields.text("upstream_model", default=model_name),
        dialect=fields.choice("dialect", DIALECTS, default="openai"),
        credential=_credential(fields),
        weight=fields.integer("weight", default=1, least=1, most=1_000),
        priority=fields.integer("priority", default=0, least=0, most=1_000),
        max_concurrency=fields.integer("max_concurrency", least=1, most=1_000_000)
        if "max_concurrency" in fields
        else None,
        connect_timeout_ms=fields.integer("connect_timeout_ms", default=5_000, least=10, most=600_000),
        first_byte_timeout_ms=fields.integer(
            "first_byte_timeout_ms", default=120_000, least=10, most=3_600_000
        ),
        idle_timeout_ms=fields.integer("idle_timeout_ms", default=60_000, least=10, most=3_600_000),
        queue_limit=fields.integer("queue_limit", default=256, least=0, most=MAX_QUEUE),
        queue_timeout_ms=fields.integer("queue_timeout_ms", default=10_000, least=10, most=600_000),
        health_path=_health_path(fields),
        state=state,
    )


def _credential(fields: Fields) -> str:
    """Where the provider's key is found. Another form may be the key itself, so it is never repeated."""
    value = fields.text("credential", most=500)
    if value and not _CREDENTIAL.fullmatch(value):
        fields.note(
            "credential",
            _("This must say where the gateway finds the provider's key, never the key itself."),
            _("Write “env:NAME” (a variable of the gateway's environment) or “file:/path”."),
        )
        return ""
    return value


def _health_path(fields: Fields) -> str:
    value = fields.text("health_path", most=500)
    if value and not _PATH.fullmatch(value):
        fields.note(
            "health_path",
            _("This is not a path."),
            _("Write what follows base_url, starting with /, like “health_path: /health”."),
        )
        return ""
    return value


def _base_url(fields: Fields) -> str:
    value = fields.text("base_url", most=500)
    if not value:
        if "base_url" in fields:
            fields.note("base_url", _("This field is empty."))
        return ""
    problem = base_url_problem(value)
    if problem:
        fields.note("base_url", *problem)
        return ""
    return value.rstrip("/")


def base_url_problem(value: str) -> tuple[str, str] | None:
    """What is wrong with a provider's address, and what to do; None if nothing is."""
    example = _("Write it like https://models.example.kr.")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return _("This is not an address."), example
    if parts.scheme not in {"http", "https"}:
        return _("The address must start with http:// or https://."), example
    if parts.username is not None or parts.password is not None:
        return (
            _("The address must not hold a user name or a password."),
            _("Name the provider's key under “credential”."),
        )
    if not parts.hostname or not _HOST.fullmatch(parts.netloc) or port == 0:
        return _("The address has no valid host."), example
    if parts.query or parts.fragment or "?" in value or "#" in value:
        return _("The address must end before ? and #."), example
    if re.search(r"[\s\x00-\x1f\x7f]", value) or not value.isascii():
        return _("The address may hold only printable ASCII characters."), example
    if re.search(r"/v1(/|$)", parts.path):
        return _("The address ends before /v1, which the gateway adds."), _(
            "Leave /v1 and what follows away."
        )
    return None
