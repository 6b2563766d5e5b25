"""Questions to the catalogue: what is offered, at which price, from when, and served where."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils.translation import get_language

from dure.control.catalogue import rules
from dure.control.catalogue.models import Deployment, Model, Price
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import NotFound
from dure.control.identity import selectors as identity
from dure.control.identity.selectors import OrganisationView

__all__ = [
    "DeploymentView",
    "ModelView",
    "PriceView",
    "callable_model_names",
    "model",
    "models",
    "offered_count",
    "titles_of",
]


@dataclass(frozen=True, slots=True)
class PriceView:
    """A price: micro-won per million units of each meter. `state` is past, in_force, coming or withdrawn."""

    id: UUID
    effective_from: datetime
    meters: dict[str, int]
    state: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """Where a model is served. Address and credential are empty for those who may not see them."""

    id: UUID
    name: str
    provider: OrganisationView
    state: str
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


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model as the asker may see it.

    `callable` says whether a call would be taken now; if not, `why_not` is `retired`, `no_price` (none
    in force yet) or `unreachable` (no deployment has an address).
    """

    id: UUID
    name: str
    provider: OrganisationView
    title_ko: str
    title_en: str
    description_ko: str
    description_en: str
    modalities: tuple[str, ...]
    endpoints: tuple[str, ...]
    context_length: int
    max_output_tokens: int
    state: str
    created_at: datetime
    price: PriceView | None
    coming_prices: tuple[PriceView, ...]
    price_history: tuple[PriceView, ...]
    deployments: tuple[DeploymentView, ...]
    why_not: str

    @property
    def callable(self) -> bool:
        return not self.why_not

    @property
    def title(self) -> str:
        """The title in the reader's language."""
        return self.title_ko if _reads_korean() else self.title_en

    @property
    def description(self) -> str:
        return self.description_ko if _reads_korean() else self.description_en


def _reads_korean() -> bool:
    return (get_language() or "ko").startswith("ko")


def models(
    *,
    actor: Actor,
    provider_id: UUID | None = None,
    search: str = "",
    endpoint: str = "",
    include_retired: bool = False,
    at: datetime | None = None,
) -> list[ModelView]:
    """What is offered, by name. Retired models are shown, if asked, to their provider and the platform."""
    rows = Model.objects.all()
    if provider_id is not None:
        rows = rows.filter(provider_id=provider_id)
    if search:
        rows = rows.filter(
            Q(name__icontains=search)
            | Q(title_ko__icontains=search)
            | Q(title_en__icontains=search)
            | Q(description_ko__icontains=search)
            | Q(description_en__icontains=search)
        )
    if endpoint:
        rows = rows.filter(endpoints__contains=[endpoint])
    found = [
        row
        for row in _with_parts(rows.order_by("name"))
        if row.state == "active" or (include_retired and rules.may_see_inside(actor, row.provider_id))
    ]
    return _views(actor, found, at or clock.now())


def model(*, actor: Actor, name: str, at: datetime | None = None) -> ModelView:
    """One model with its price history. Its past prices stay readable, as calls were charged by them."""
    row = _with_parts(Model.objects.filter(name=name)).first()
    if row is None or (row.state == "retired" and actor.kind == "anonymous"):
        raise NotFound
    return _views(actor, [row], at or clock.now())[0]


def offered_count() -> int:
    return Model.objects.filter(state="active").count()


def callable_model_names(*, at: datetime | None = None) -> list[str]:
    """Models a call would be taken for now, by name."""
    priced = Price.objects.filter(
        model=OuterRef("pk"), withdrawn_at=None, effective_from__lte=at or clock.now()
    )
    reached = Deployment.objects.filter(model=OuterRef("pk"), state="active")
    rows = Model.objects.filter(Exists(priced), Exists(reached), state="active")
    return sorted(rows.values_list("name", flat=True))


def titles_of(names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Korean and English title by model name; unknown names are absent."""
    rows = Model.objects.filter(name__in=names).values_list("name", "title_ko", "title_en")
    return {name: (korean, english) for name, korean, english in rows}


def _with_parts(rows: QuerySet[Model]) -> QuerySet[Model]:
    return rows.prefetch_related(
        Prefetch("prices", Price.objects.order_by("effective_from", "created_at")),
        Prefetch("deployments", Deployment.objects.order_by("priority", "name")),
    )


def _views(actor: Actor, rows: Iterable[Model], now: datetime) -> list[ModelView]:
    rows = list(rows)
    ids = {row.provider_id for row in rows}
    ids |= {one.provider_id for row in rows for one in row.deployments.all()}
    providers = identity.names_of(ids)
    return [_view(actor, row, providers, now) for row in rows]


def _view(actor: Actor, row: Model, providers: dict[UUID, OrganisationView], now: datetime) -> ModelView:
    prices = _price_views(row, now)
    inside = rules.may_see_inside(actor, row.provider_id)
    if not inside:
        prices = [price for price in prices if price.state != "withdrawn"]
    if not rules.may_see_coming_prices(actor, row.provider_id):
        prices = [price for price in prices if price.state != "coming"]
    in_force = next((price for price in prices if price.state == "in_force"), None)
    deployments = list(row.deployments.all())
    return ModelView(
        id=row.pk,
        name=row.name,
        provider=providers[row.provider_id],
        title_ko=row.title_ko,
        title_en=row.title_en,
        description_ko=row.description_ko,
        description_en=row.description_en,
        modalities=tuple(row.modalities),
        endpoints=tuple(row.endpoints),
        context_length=row.context_length,
        max_output_tokens=row.max_output_tokens,
        state=row.state,
        created_at=row.created_at,
        price=in_force,
        coming_prices=tuple(price for price in prices if price.state == "coming"),
        price_history=tuple(reversed(prices)),
        deployments=tuple(
            _deployment_view(one, providers, inside=rules.may_see_inside(actor, one.provider_id))
            for one in deployments
            if one.state != "retired" or inside
        ),
        why_not=_why_not(row, in_force, deployments),
    )


def _why_not(row: Model, in_force: PriceView | None, deployments: list[Deployment]) -> str:
    if row.state == "retired":
        return "retired"
    if in_force is None:
        return "no_price"
    return "" if any(one.state == "active" for one in deployments) else "unreachable"


def _price_views(row: Model, now: datetime) -> list[PriceView]:
    standing = [price for price in row.prices.all() if price.withdrawn_at is None]
    current = next((price for price in reversed(standing) if price.effective_from <= now), None)

    def state(price: Price) -> str:
        if price.withdrawn_at is not None:
            return "withdrawn"
        if price.effective_from > now:
            return "coming"
        return "in_force" if price is current else "past"

    return [
        PriceView(
            id=price.pk,
            effective_from=price.effective_from,
            meters=dict(price.meters),
            state=state(price),
            created_at=price.created_at,
        )
        for price in row.prices.all()
    ]


def _deployment_view(
    row: Deployment, providers: dict[UUID, OrganisationView], *, inside: bool
) -> DeploymentView:
    return DeploymentView(
        id=row.pk,
        name=row.name,
        provider=providers[row.provider_id],
        state=row.state,
        base_url=row.base_url if inside else "",
        upstream_model=row.upstream_model if inside else "",
        dialect=row.dialect,
        credential=row.credential if inside else "",
        weight=row.weight,
        priority=row.priority,
        max_concurrency=row.max_concurrency,
        connect_timeout_ms=row.connect_timeout_ms,
        first_byte_timeout_ms=row.first_byte_timeout_ms,
        idle_timeout_ms=row.idle_timeout_ms,
        queue_limit=row.queue_limit,
        queue_timeout_ms=row.queue_timeout_ms,
        health_path=row.health_path if inside else "",
    )
