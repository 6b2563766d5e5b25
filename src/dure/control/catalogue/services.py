"""Verbs of the catalogue: apply a document, give a deployment its address.

Locks are taken in one order in every room, so that no two changes wait for each other in a circle:
business rows, then ledger books, then the audit trail, then the directory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dure.contracts.directory import DeploymentEntry, Dialect, ModelEntry
from dure.contracts.directory import Price as PriceEntry
from dure.control.catalogue import rules
from dure.control.catalogue.document import Document, base_url_problem, read
from dure.control.catalogue.models import Deployment, Model, Price
from dure.control.catalogue.plan import (
    DEPLOYMENT_FIELDS,
    MODEL_FIELDS,
    Change,
    CurrentDeployment,
    CurrentModel,
    CurrentPrice,
    ModelPlan,
    Provider,
    plan,
)
from dure.control.catalogue.yaml_reader import Problem
from dure.control.foundation import audit, clock, directory
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from dure.control.identity import selectors as identity

__all__ = ["Change", "Diff", "apply", "set_deployment_address"]

#: Applications take turns, so that each is planned against what the one before it left.
_CATALOGUE_LOCK = 0x6475_7265_0010


@dataclass(frozen=True, slots=True)
class Diff:
    """What a document changes (or, on a dry run, would change), line by line."""

    changes: tuple[Change, ...]
    dry_run: bool

    def __bool__(self) -> bool:
        return bool(self.changes)

    def lines(self) -> list[str]:
        return [str(change) for change in self.changes]


def apply(
    *,
    actor: Actor,
    document: str | bytes | Mapping[str, Any],
    dry_run: bool = False,
    at: datetime | None = None,
) -> Diff:
    """Make the catalogue what the document says. All of it or nothing; the same again changes nothing.

    Raises `catalogue_invalid`, whose data lists every problem with line, column, field and remedy.
    """
    if not rules.may_apply(actor):
        raise Forbidden
    parsed, problems = read(document)
    if problems:
        raise _invalid(problems)
    now = at or clock.now()
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CATALOGUE_LOCK])
            providers = _providers(actor, parsed)
            plans = plan(parsed, current=_current(parsed), providers=providers, now=now)
            if problems := [problem for made in plans for problem in made.problems]:
                raise _invalid(problems)
            changed = [made for made in plans if made.changes]
            if not dry_run:
                models = [_write(made, providers, now) for made in changed]
                for model, made in zip(models, changed, strict=True):
                    audit.record(
                        actor=actor,
                        action="catalogue.applied",
                        subject_kind="model",
                        subject_id=model.pk,
                        after={"changes": [str(change) for change in made.changes]},
                    )
                for model in models:
                    _publish(model, now)
    except IntegrityError as error:
        raise Conflict(
            "catalogue_moved",
            gettext_lazy("A price took effect while it was being changed; nothing was changed."),
            remedy=gettext_lazy("Look at the difference again and apply once more."),
        ) from error
    return Diff(tuple(change for made in changed for change in made.changes), dry_run)


def set_deployment_address(
    *, actor: Actor, model: str, deployment: str, base_url: str, at: datetime | None = None
) -> bool:
    """Point a deployment at an address; an empty one marks it unreachable. False if it stood so already."""
    row = (
        Deployment.objects.select_related("model")
        .filter(model__name=model, name=deployment)
        .exclude(state="retired")
        .first()
    )
    if row is None or not rules.may_see_inside(actor, row.provider_id):
        raise NotFound
    if not rules.may_apply_for(actor, row.provider_id):
        raise Forbidden
    address = base_url.strip().rstrip("/")
    if address and (problem := base_url_problem(address)):
        raise Invalid("base_url_invalid", problem[0], field="base_url", remedy=problem[1])
    state = "active" if address else "unreachable"
    with transaction.atomic():
        row = Deployment.objects.select_for_update().select_related("model").get(pk=row.pk)
        before = {"base_url": row.base_url, "state": row.state}
        after = {"base_url": address, "state": state}
        if before == after:
            return False
        row.base_url, row.state, row.updated_at = address, state, at or clock.now()
        row.save(update_fields=["base_url", "state", "updated_at"])
        audit.record(
            actor=actor,
            action="catalogue.deployment_moved",
            subject_kind="model",
            subject_id=row.model_id,
            before=before,
            after=after,
        )
        _publish(row.model, at or clock.now())
    return True


def _invalid(problems: list[Problem]) -> Invalid:
    count = len(problems)
    return Invalid(
        "catalogue_invalid",
        ngettext(
            "The document has %(count)s problem; nothing was changed.",
            "The document has %(count)s problems; nothing was changed.",
            count,
        )
        % {"count": count},
        field=problems[0].place.path,
        remedy=_("Correct it and apply again."),
        data={"problems": [problem.as_dict() for problem in problems]},
    )


def _slugs(document: Document) -> set[str]:
    slugs = {model.provider for model in document.models}
    return slugs | {one.provider for model in document.models for one in model.deployments or ()}


def _providers(actor: Actor, document: Document) -> dict[str, Provider]:
    providers = {}
    for slug in _slugs(document):
        try:
            found = identity.organisation(slug)
        except NotFound:
            continue
        providers[slug] = Provider(
            id=found.id,
            is_provider=found.kind == "provider" and found.active,
            allowed=rules.may_apply_for(actor, found.id),
            may_name_credentials=actor.has("operator"),
        )
    return providers


def _current(document: Document) -> dict[str, CurrentModel]:
    rows = Model.objects.filter(name__in=[spec.name for spec in document.models]).select_related("provider")
    prices: dict[Any, list[CurrentPrice]] = {}
    for price in Price.objects.filter(model__in=rows, withdrawn_at=None).order_by("effective_from"):
        prices.setdefault(price.model_id, []).append(
            CurrentPrice(id=price.pk, effective_from=price.effective_from, meters=price.meters)
        )
    deployments: dict[Any, list[CurrentDeployment]] = {}
    for row in Deployment.objects.filter(model__in=rows).select_related("provider").order_by("name"):
        deployments.setdefault(row.model_id, []).append(
            CurrentDeployment(
                id=row.pk,
                name=row.name,
                provider=row.provider.slug,
                values={name: getattr(row, name) for name in DEPLOYMENT_FIELDS},
            )
        )
    return {
        row.name: CurrentModel(
            id=row.pk,
            name=row.name,
            provider=row.provider.slug,
            values={name: getattr(row, name) for name in MODEL_FIELDS},
            prices=tuple(prices.get(row.pk, ())),
            deployments=tuple(deployments.get(row.pk, ())),
        )
        for row in rows
    }


def _write(made: ModelPlan, providers: Mapping[str, Provider], now: datetime) -> Model:
    if made.current is None:
        model = Model.objects.create(
            name=made.spec.name,
            provider_id=providers[made.spec.provider].id,
            created_at=now,
            updated_at=now,
            **made.values,
        )
    else:
        model = Model.objects.get(pk=made.current.id)
        for name, value in made.values.items():
            setattr(model, name, value)
        model.updated_at = now
        model.save(update_fields=[*made.values, "updated_at"])
    withdrawn = [price.id for price in made.withdraw_prices]
    if withdrawn:
        Price.objects.filter(pk__in=withdrawn).update(withdrawn_at=now)
    Price.objects.bulk_create(
        Price(model=model, effective_from=price.effective_from or now, meters=price.meters, created_at=now)
        for price in made.add_prices
    )
    for wanted in made.deployments:
        if wanted.current is None:
            Deployment.objects.create(
                model=model,
                name=wanted.name,
                provider_id=providers[wanted.provider].id,
                created_at=now,
                updated_at=now,
                **wanted.values,
            )
        else:
            Deployment.objects.filter(pk=wanted.current.id).update(**wanted.values, updated_at=now)
    return model


def _publish(model: Model, now: datetime) -> None:
    """Tell the gateways what stands: the price in force and those ahead, and what takes calls."""
    offered = model.state == "active"
    prices = list(Price.objects.filter(model=model, withdrawn_at=None).order_by("effective_from"))
    started = [price for price in prices if price.effective_from <= now]
    listed = started[-1:] + prices[len(started) :]
    if offered and listed:
        directory.publish("model", _model_entry(model, listed))
    else:
        directory.withdraw("model", model.pk)
    for row in Deployment.objects.filter(model=model).order_by("name"):
        if offered and row.state == "active":
            directory.publish("deployment", _deployment_entry(row))
        else:
            directory.withdraw("deployment", row.pk)


def _model_entry(model: Model, prices: list[Price]) -> ModelEntry:
    return ModelEntry(
        id=str(model.pk),
        name=model.name,
        provider=str(model.provider_id),
        endpoints=tuple(model.endpoints),
        context_length=model.context_length,
        max_output_tokens=model.max_output_tokens,
        prices=tuple(
            PriceEntry(
                id=str(price.pk),
                effective_from=clock.to_unix_us(price.effective_from),
                meters=price.meters,
            )
            for price in prices
        ),
        created_at=clock.to_unix_us(model.created_at),
        owned_by=model.provider.slug,
    )


def _deployment_entry(row: Deployment) -> DeploymentEntry:
    return DeploymentEntry(
        id=str(row.pk),
        model=str(row.model_id),
        provider=str(row.provider_id),
        base_url=row.base_url,
        upstream_model=row.upstream_model,
        dialect=cast("Dialect", row.dialect),
        credential=row.credential,
        weight=row.weight,
        priority=row.priority,
        max_concurrency=row.max_concurrency,
        connect_timeout_ms=row.connect_timeout_ms,
        first_byte_timeout_ms=row.first_byte_timeout_ms,
        idle_timeout_ms=row.idle_timeout_ms,
        queue_limit=row.queue_limit,
        queue_timeout_ms=row.queue_timeout_ms,
        health_path=row.health_path,
    )
