"""From what the catalogue holds and what a document says to what must change. Nothing is read or written.

A model that the document lists is described by it wholly: a deployment it leaves out is retired, and a
price that lies ahead and is left out is withdrawn. What the document does not speak of (other models, or
a model's `prices` or `deployments` when the field is absent) stays as it is. The past never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.utils.translation import gettext as _

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.catalogue.document import DeploymentSpec, Document, ModelSpec, PriceSpec
from dure.control.catalogue.yaml_reader import Problem
from dure.control.foundation import clock

MODEL_FIELDS = (
    "title_ko", "title_en", "description_ko", "description_en", "modalities", "endpoints",
    "context_length", "max_output_tokens", "state",
)  # fmt: skip
DEPLOYMENT_FIELDS = (
    "base_url", "upstream_model", "dialect", "credential", "weight", "priority", "max_concurrency",
    "connect_timeout_ms", "first_byte_timeout_ms", "idle_timeout_ms", "queue_limit", "queue_timeout_ms",
    "health_path", "state",
)  # fmt: skip
#: Fields whose change is worth a line, and whose values are too long to be in it.
_LONG_FIELDS = frozenset({"description_ko", "description_en"})


@dataclass(frozen=True, slots=True)
class CurrentPrice:
    id: UUID
    effective_from: datetime
    meters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CurrentDeployment:
    id: UUID
    name: str
    provider: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CurrentModel:
    """A model as it stands; prices (not withdrawn) in the order they take effect."""

    id: UUID
    name: str
    provider: str
    values: Mapping[str, Any]
    prices: tuple[CurrentPrice, ...]
    deployments: tuple[CurrentDeployment, ...]


@dataclass(frozen=True, slots=True)
class Provider:
    """An organisation named in the document, and whether the actor may speak for it.

    `may_name_credentials`: whether the actor may say which of the gateway's secrets is sent to an address.
    """

    id: UUID
    is_provider: bool
    allowed: bool
    may_name_credentials: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the difference: `+ model …`, `~ price …`, `- deployment …`."""

    sign: Literal["+", "~", "-"]
    kind: Literal["model", "price", "deployment"]
    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.sign} {self.kind} {self.name} {self.detail}".rstrip()


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    current: CurrentDeployment | None
    name: str
    provider: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class ModelPlan:
    """What to do about one model. `values` are the fields to write (all of them for a new model)."""

    spec: ModelSpec
    current: CurrentModel | None
    values: dict[str, Any] = field(default_factory=dict)
    withdraw_prices: list[CurrentPrice] = field(default_factory=list)
    add_prices: list[PriceSpec] = field(default_factory=list)
    deployments: list[DeploymentPlan] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def plan(
    document: Document,
    *,
    current: Mapping[str, CurrentModel],
    providers: Mapping[str, Provider],
    now: datetime,
) -> list[ModelPlan]:
    """One plan for each model of the document; any with `problems` forbids them all."""
    plans = []
    for spec in document.models:
        made = ModelPlan(spec, current.get(spec.name))
        _judge_providers(made, providers)
        _judge_credentials(made, providers)
        if not made.problems and (made.current is not None or spec.state != "retired"):
            _plan_model(made)
            _plan_prices(made, now)
            _plan_deployments(made)
        plans.append(made)
    return plans


def _judge_providers(made: ModelPlan, providers: Mapping[str, Provider]) -> None:
    spec, current = made.spec, made.current
    places = {spec.provider: spec.provider_place}
    for deployment in spec.deployments or ():
        places.setdefault(deployment.provider, deployment.provider_place)
    for slug, place in places.items():
        provider = providers.get(slug)
        if provider is None:
            made.problems.append(
                Problem(
                    place,
                    _("There is no organisation “%(slug)s”.") % {"slug": slug},
                    _("Add it with: dure organisations add %(slug)s --kind provider --name NAME")
                    % {"slug": slug},
                )
            )
        elif not provider.is_provider:
            made.problems.append(
                Problem(
                    place,
                    _("The organisation “%(slug)s” is not a provider.") % {"slug": slug},
                    _("Name an organisation of the kind provider."),
                )
            )
        elif not provider.allowed:
            made.problems.append(
                Problem(
                    place,
                    _("“%(slug)s” is not your organisation.") % {"slug": slug},
                    _("You may describe the models and deployments of your own organisation only."),
                )
            )
    if current is not None and current.provider != spec.provider:
        # Whose model it is would otherwise be told to whoever guesses its name.
        made.problems.append(
            Problem(
                spec.provider_place,
                _("The name “%(name)s” belongs to another provider's model.") % {"name": spec.name},
                _("Choose another name: a model never changes hands, as its calls are paid to one provider."),
            )
        )


def _judge_credentials(made: ModelPlan, providers: Mapping[str, Provider]) -> None:
    """A reference names one of the gateway's own secrets, and what it names is sent to the deployment's address.

    A provider who could write any reference could have rivals' keys and the gateway's own sent to itself.
    """
    standing = (
        {one.name: one.values["credential"] for one in made.current.deployments} if made.current else {}
    )
    for deployment in made.spec.deployments or ():
        provider = providers.get(deployment.provider)
        if provider is None or provider.may_name_credentials or not deployment.credential:
            continue
        if deployment.credential != standing.get(deployment.name):
            made.problems.append(
                Problem(
                    deployment.provider_place,
                    _("Only the platform's operators say where the gateway finds a provider's key."),
                    _("Leave “credential” out, and ask an operator to add it once the key is in place."),
                )
            )


def _plan_model(made: ModelPlan) -> None:
    spec = made.spec
    wanted = {name: _plain(getattr(spec, name)) for name in MODEL_FIELDS}
    if made.current is None:
        made.values = wanted
        made.changes.append(
            Change("+", "model", spec.name, f"({spec.provider}, {', '.join(spec.endpoints)})")
        )
        return
    made.values = {name: value for name, value in wanted.items() if made.current.values[name] != value}
    if made.values.get("state") == "retired":
        made.changes.append(Change("-", "model", spec.name, ""))
    for name, value in made.values.items():
        if name != "state" or value != "retired":
            detail = _step(name, made.current.values[name], value)
            made.changes.append(Change("~", "model", spec.name, detail))


def _plan_prices(made: ModelPlan, now: datetime) -> None:
    spec = made.spec
    if spec.prices is None:
        return
    standing = {price.effective_from: price for price in (made.current.prices if made.current else ())}
    in_force = _in_force(standing.values(), now)
    kept: set[datetime] = set()
    for price in spec.prices:
        if price.effective_from is None:
            if in_force is None or in_force.meters != price.meters:
                made.add_prices.append(replace(price, effective_from=now))
            continue
        same = standing.get(price.effective_from)
        if same is not None and same.meters == price.meters:
            kept.add(price.effective_from)
        elif in_force is not None and price.effective_from <= now:
            made.problems.append(_history_problem(price, same))
        else:
            made.add_prices.append(price)
    made.withdraw_prices = [
        price for moment, price in standing.items() if moment > now and moment not in kept
    ]
    _describe_prices(made, standing, now)


def _in_force(prices: Any, now: datetime) -> CurrentPrice | None:
    past = [price for price in prices if price.effective_from <= now]
    return max(past, key=lambda price: price.effective_from, default=None)


def _history_problem(price: PriceSpec, standing: CurrentPrice | None) -> Problem:
    moment = show_moment(price.effective_from)
    if standing is not None:
        message = _("The price from %(moment)s was %(standing)s; prices in force or past never change.")
        shown = {"moment": moment, "standing": show_meters(standing.meters)}
    else:
        message = _("A price cannot start in the past (%(moment)s): calls were charged by the one in force.")
        shown = {"moment": moment}
    place = replace(price.place, path=f"{price.place.path}.effective_from")
    return Problem(
        place,
        message % shown,
        _("Add a price with a moment still ahead, or leave effective_from away for now."),
    )


def _describe_prices(made: ModelPlan, standing: Mapping[datetime, CurrentPrice], now: datetime) -> None:
    gone = {price.effective_from for price in made.withdraw_prices}
    timeline = {moment: price.meters for moment, price in standing.items() if moment not in gone}
    additions = {price.effective_from: price for price in made.add_prices if price.effective_from}
    for moment, price in sorted(additions.items()):
        replaced = standing[moment].meters if moment in gone else None
        earlier = [before for before in timeline if before < moment]
        before = replaced or (timeline[max(earlier)] if earlier else None)
        start = "now" if moment == now else show_moment(moment)
        made.changes.append(
            Change(
                "~" if before else "+",
                "price",
                made.spec.name,
                f"{_meter_steps(before, price.meters)} from {start}",
            )
        )
        timeline[moment] = price.meters
    for gone_price in made.withdraw_prices:
        if gone_price.effective_from not in additions:
            detail = f"{show_meters(gone_price.meters)} from {show_moment(gone_price.effective_from)}"
            made.changes.append(Change("-", "price", made.spec.name, detail))


def _plan_deployments(made: ModelPlan) -> None:
    spec = made.spec
    if spec.deployments is None:
        return
    standing = {one.name: one for one in (made.current.deployments if made.current else ())}
    for wanted in spec.deployments:
        current = standing.pop(wanted.name, None)
        if current is None:
            _plan_new_deployment(made, wanted)
        elif current.provider != wanted.provider:
            made.problems.append(_deployment_provider_problem(wanted))
        else:
            _plan_deployment(made, current, wanted)
    for name, left_out in standing.items():
        if left_out.values["state"] != "retired":
            made.deployments.append(DeploymentPlan(left_out, name, left_out.provider, {"state": "retired"}))
            made.changes.append(Change("-", "deployment", f"{spec.name}/{name}", ""))


def _plan_new_deployment(made: ModelPlan, wanted: DeploymentSpec) -> None:
    if wanted.state == "retired":
        return
    values = {name: getattr(wanted, name) for name in DEPLOYMENT_FIELDS}
    made.deployments.append(DeploymentPlan(None, wanted.name, wanted.provider, values))
    label = f"{made.spec.name}/{wanted.name}"
    made.changes.append(Change("+", "deployment", label, wanted.base_url or f"({wanted.state})"))


def _plan_deployment(made: ModelPlan, current: CurrentDeployment, wanted: DeploymentSpec) -> None:
    label = f"{made.spec.name}/{wanted.name}"
    values = {name: getattr(wanted, name) for name in DEPLOYMENT_FIELDS}
    changed = {name: value for name, value in values.items() if current.values[name] != value}
    if not changed:
        return
    made.deployments.append(DeploymentPlan(current, wanted.name, wanted.provider, changed))
    if changed.get("state") == "retired":
        made.changes.append(Change("-", "deployment", label, ""))
        return
    for name, value in changed.items():
        made.changes.append(Change("~", "deployment", label, _step(name, current.values[name], value)))


def _deployment_provider_problem(wanted: DeploymentSpec) -> Problem:
    return Problem(
        wanted.provider_place,
        _("The deployment “%(name)s” belongs to another provider.") % {"name": wanted.name},
        _("Add a deployment with a new name and let this one retire: its calls are paid to its provider."),
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _step(name: str, before: Any, after: Any) -> str:
    if name in _LONG_FIELDS:
        return name
    return f"{name} {_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return "–" if value is None or value == "" else str(value)


def show_won(micro_won: int) -> str:
    """Won per million units without trailing zeros: `120`, `0.25`."""
    whole, fraction = divmod(micro_won, MICRO_WON_PER_WON)
    return f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")


def show_meters(meters: Mapping[str, int]) -> str:
    return ", ".join(f"{meter} {show_won(price)}" for meter, price in meters.items())


def _meter_steps(before: Mapping[str, int] | None, after: Mapping[str, int]) -> str:
    if before is None:
        return show_meters(after)
    parts = []
    for meter in [*after, *(meter for meter in before if meter not in after)]:
        old, new = before.get(meter), after.get(meter)
        if old != new:
            parts.append(
                f"{meter} {'–' if old is None else show_won(old)} → {'–' if new is None else show_won(new)}"
            )
    return ", ".join(parts) or show_meters(after)


def show_moment(moment: datetime | None) -> str:
    """Seoul's date, with the time unless it is midnight."""
    if moment is None:
        return ""
    local = moment.astimezone(clock.SEOUL)
    midnight = (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    return f"{local:%Y-%m-%d}" if midnight else local.isoformat(timespec="seconds")
