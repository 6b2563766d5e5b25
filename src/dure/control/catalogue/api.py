"""REST: models on offer, their prices and deployments; applying a document."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Router, Schema

from dure.control.catalogue import selectors, services
from dure.control.foundation.http import Request
from dure.control.foundation.rest import ERRORS, actor_of, audience

router = Router(tags=["catalogue"])


class ProviderOut(Schema):
    slug: str
    name_ko: str
    name_en: str
    demo: bool


class PriceOut(Schema):
    """`meters` are micro-won per million units; `state` is past, in_force, coming or withdrawn."""

    id: UUID
    effective_from: datetime
    meters: dict[str, int]
    state: str


class DeploymentOut(Schema):
    """Where a model is served; address and credential only for its provider and the platform."""

    id: UUID
    name: str
    provider: ProviderOut
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


class ModelOut(Schema):
    """`why_not` says why a model cannot be called now: retired, no_price or unreachable; empty if it can."""

    id: UUID
    name: str
    provider: ProviderOut
    title_ko: str
    title_en: str
    description_ko: str
    description_en: str
    modalities: list[str]
    endpoints: list[str]
    context_length: int
    max_output_tokens: int
    state: str
    callable: bool
    why_not: str
    price: PriceOut | None
    coming_prices: list[PriceOut]


class CatalogueChangeOut(Schema):
    """One line of the difference. `sign` is + (new), ~ (changed) or - (retired or withdrawn)."""

    sign: str
    kind: str
    name: str
    detail: str


class ApplyIn(Schema):
    """The catalogue document (docs/catalogue-format.md), as YAML text or as the same in JSON."""

    document: str | dict[str, Any]
    dry_run: bool = False


class ApplyOut(Schema):
    dry_run: bool
    changes: list[CatalogueChangeOut]


class DeploymentAddressIn(Schema):
    """An empty address marks the deployment unreachable."""

    base_url: str = Field(max_length=500)


class AddressOut(Schema):
    changed: bool


@router.get("/models", response={200: list[ModelOut], **ERRORS})
@audience("public")
def list_models(
    request: Request, search: str = "", endpoint: str = "", include_retired: bool = False
) -> object:
    """What is offered, by name."""
    return selectors.models(
        actor=actor_of(request), search=search, endpoint=endpoint, include_retired=include_retired
    )


@router.get("/models/{path:name}/prices", response={200: list[PriceOut], **ERRORS})
@audience("public")
def list_prices(request: Request, name: str) -> object:
    """A model's prices, latest first; those still ahead for the signed-in who may see them."""
    return list(selectors.model(actor=actor_of(request), name=name).price_history)


@router.get("/models/{path:name}/deployments", response={200: list[DeploymentOut], **ERRORS})
@audience("signed_in")
def list_deployments(request: Request, name: str) -> object:
    """Where a model is served."""
    return list(selectors.model(actor=actor_of(request), name=name).deployments)


@router.put("/models/{path:name}/deployments/{deployment}/address", response={200: AddressOut, **ERRORS})
@audience("operator", "provider_manager")
def set_address(request: Request, name: str, deployment: str, body: DeploymentAddressIn) -> object:
    """Point a deployment at an address, or mark it unreachable."""
    changed = services.set_deployment_address(
        actor=actor_of(request), model=name, deployment=deployment, base_url=body.base_url
    )
    return {"changed": changed}


@router.get("/models/{path:name}", response={200: ModelOut, **ERRORS})
@audience("public")
def show_model(request: Request, name: str) -> object:
    """One model."""
    return selectors.model(actor=actor_of(request), name=name)


@router.post("/catalogue", response={200: ApplyOut, **ERRORS})
@audience("operator", "provider_manager")
def apply(request: Request, body: ApplyIn) -> object:
    """Make the catalogue what the document says, or with `dry_run` only tell the difference."""
    diff = services.apply(actor=actor_of(request), document=body.document, dry_run=body.dry_run)
    return {"dry_run": diff.dry_run, "changes": list(diff.changes)}
