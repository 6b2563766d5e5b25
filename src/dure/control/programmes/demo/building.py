"""Build the demonstration ecosystem, and add at each start what is missing of it.

Everything is found by a name of its own (slugs, e-mail addresses, award ids derived from their keys), so a
second run finds all of it and changes nothing; what a person has changed meanwhile is left as it is. The
only thing that follows each start is the embedded model's address, whose port may differ. Nothing
outside organisations marked as demonstration is touched.

Secrets are drawn for each installation and kept beside its data, in demo.json, readable by its owner only.
They are saved before they are used, so that a start that dies half-way leaves none that nobody knows.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import yaml
from django.db import transaction

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.access import selectors as access
from dure.control.access import services as keys
from dure.control.catalogue import selectors as catalogue
from dure.control.catalogue import services as catalogue_services
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, DureError, NotFound
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes import selectors, services
from dure.control.programmes.own_share import OwnShareRule

ACTOR = Actor.system("demonstration")
EMBEDDED_MODEL = "smollm2-135m-instruct"
EMBEDDED_DEPLOYMENT = "embedded"
_AWARDS = UUID("5f0d6f5e-0d75-7265-a000-64656d6f0000")
_WORDS = (
    "baram", "byeol", "dallae", "dure", "eunha", "gaon", "gaeul", "garam", "gureum", "haneul", "haru",
    "heurum", "ieum", "jandi", "kkumi", "maru", "mireu", "moran", "mulgyeol", "namu", "narae", "nuri",
    "onsaem", "pado", "podo", "pureum", "raon", "sarang", "saebyeok", "solip", "sorae", "yeoul",
)  # fmt: skip


@dataclass(slots=True)
class Demo:
    """What the installation's owner needs to try it."""

    demo_users: list[dict[str, str]] = field(default_factory=list)
    demo_api_key: str | None = None
    demo_award: str | None = None
    demo_model: str = EMBEDDED_MODEL
    changed: bool = False


def ecosystem() -> dict[str, Any]:
    """The file as values."""
    text = files(__package__).joinpath("ecosystem.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return found


#: What rooms above add to the ecosystem; each answers whether anything was missing.
_more: list[Callable[[], bool]] = []


def also_build(more: Callable[[], bool]) -> None:
    """Register what a room above adds, in its `AppConfig.ready`; it finds what it made before, and changes nothing then."""
    if more not in _more:
        _more.append(more)


def build(*, data: Path, model_url: str) -> Demo:
    """Add what is missing; `model_url` is where the embedded model is served ("" if it is not)."""
    wanted = ecosystem()
    kept = Secrets.of(data / "demo.json")
    demo = Demo()
    organisations = {one["slug"]: _organisation(one, demo) for one in wanted["organisations"]}
    _people(wanted["people"], organisations, kept, demo)
    _models(wanted["catalogue"], demo)
    demo.changed |= _embedded_address(model_url)
    for source in wanted["sources"]:
        _source(source, demo)
    for programme in wanted["programmes"]:
        _programme(programme, demo)
    for award in wanted["awards"]:
        _award(award, demo)
    _api_key(wanted["awards"], kept, demo)
    for more in _more:
        demo.changed |= more()
    return demo


@dataclass(slots=True)
class Secrets:
    """The installation's demonstration passwords by e-mail, and its key."""

    path: Path
    passwords: dict[str, str]
    api_key: str | None

    @classmethod
    def of(cls, path: Path) -> "Secrets":
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            passwords = {str(email): str(password) for email, password in found["passwords"].items()}
            return cls(path, passwords, found.get("api_key"))
        except FileNotFoundError:
            return cls(path, {}, None)
        except (ValueError, KeyError, AttributeError, TypeError):
            # A half-written or foreign file: the people keep their accounts and get new passwords.
            return cls(path, {}, None)

    def save(self) -> None:
        content = json.dumps(
            {"passwords": self.passwords, "api_key": self.api_key}, indent=1, ensure_ascii=False
        )
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


def award_id(key: str) -> UUID:
    """A demonstration award's id follows from its key in the file."""
    return uuid5(_AWARDS, key)


def _organisation(one: dict[str, Any], demo: Demo) -> OrganisationView:
    try:
        found = identity.organisation(one["slug"])
    except NotFound:
        demo.changed = True
        return identity_services.add_organisation(actor=ACTOR, demo=True, **one)
    if not found.demo:
        raise Conflict(
            "demo_name_taken",
            f"The organisation {one['slug']!r} is not a demonstration, but the demonstration needs its name.",
            remedy="Start without the demonstration (--no-demo).",
        )
    return found


def _people(
    wanted: list[dict[str, Any]], organisations: dict[str, OrganisationView], kept: Secrets, demo: Demo
) -> None:
    fresh = [person["email"] for person in wanted if person["email"] not in kept.passwords]
    if fresh:
        kept.passwords |= {email: _password() for email in fresh}
        kept.save()
    for person in wanted:
        email, organisation = person["email"], organisations[person["organisation"]]
        found = next((one for one in identity.people(search=email) if one.email == email), None)
        if found is None:
            demo.changed = True
            with transaction.atomic():
                found = identity_services.add_person(
                    actor=ACTOR, email=email, name=person["name"], password=kept.passwords[email]
                )
                identity_services.add_membership(
                    actor=ACTOR, person_id=found.id, organisation_id=organisation.id, roles=person["roles"]
                )
        elif email in fresh:
            demo.changed = True
            identity_services.set_password(actor=ACTOR, person_id=found.id, password=kept.passwords[email])
        demo.demo_users.append(
            {
                "role": person["role"],
                "email": email,
                "password": kept.passwords[email],
                "name": person["name"],
                "organisation": organisation.name_ko,
                "organisation_en": organisation.name_en,
            }
        )


def _password() -> str:
    """38 bits, in words that can be typed from a screen."""
    return "-".join(secrets.choice(_WORDS) for _ in range(5)) + f"-{secrets.randbelow(9_000) + 1_000}"


def _models(document: dict[str, Any], demo: Demo) -> None:
    known = catalogue.titles_of([model["name"] for model in document["models"]])
    missing = [model for model in document["models"] if model["name"] not in known]
    if missing:
        catalogue_services.apply(actor=ACTOR, document={"version": document["version"], "models": missing})
        demo.changed = True


def _embedded_address(model_url: str) -> bool:
    model = catalogue.model(actor=ACTOR, name=EMBEDDED_MODEL)
    standing = {one.name: one.state for one in model.deployments}
    if not model.provider.demo or standing.get(EMBEDDED_DEPLOYMENT, "retired") == "retired":
        return False
    return catalogue_services.set_deployment_address(
        actor=ACTOR, model=EMBEDDED_MODEL, deployment=EMBEDDED_DEPLOYMENT, base_url=model_url
    )


def _source(one: dict[str, Any], demo: Demo) -> None:
    try:
        selectors.source(slug=one["slug"])
    except NotFound:
        demo.changed = True
        services.add_source(
            actor=ACTOR,
            slug=one["slug"],
            name_ko=one["name_ko"],
            name_en=one["name_en"],
            kind=one["kind"],
            organisation_slug=one["organisation"],
        )


def _programme(one: dict[str, Any], demo: Demo) -> None:
    try:
        selectors.programme(actor=ACTOR, slug=one["slug"])
        return
    except NotFound:
        demo.changed = True
    # All or nothing: what a person has set for a programme that is there is left as it is.
    with transaction.atomic():
        services.add_programme(
            actor=ACTOR,
            slug=one["slug"],
            name_ko=one["name_ko"],
            name_en=one["name_en"],
            krw_micro_won=one["krw"] * MICRO_WON_PER_WON,
            agency_slug=one["agency"],
        )
        _terms(one)


def _terms(one: dict[str, Any]) -> None:
    for more in one.get("appropriations", ()):
        services.appropriate(
            actor=ACTOR,
            programme_slug=one["slug"],
            micro_won=more["krw"] * MICRO_WON_PER_WON,
            source_slug=more["source"],
        )
    for line in one.get("lines", ()):
        services.set_budget_line(
            actor=ACTOR,
            programme_slug=one["slug"],
            key=line["key"],
            name_ko=line["name_ko"],
            name_en=line["name_en"],
            ceiling=line["krw"] * MICRO_WON_PER_WON,
        )
    if own := one.get("own_contribution"):
        shares = {size: OwnShareRule(share) for size, share in own["shares"].items()}
        services.set_own_contribution(actor=ACTOR, programme_slug=one["slug"], rules=shares, due=own["due"])


def _award(one: dict[str, Any], demo: Demo) -> None:
    try:
        selectors.award(actor=ACTOR, award_id=award_id(one["key"]))
    except NotFound:
        demo.changed = True
        services.grant_award(
            actor=ACTOR,
            programme_slug=one["programme"],
            organisation_slug=one["organisation"],
            micro_won=one["krw"] * MICRO_WON_PER_WON,
            name=one["name_ko"],
            name_en=one["name_en"],
            request_id=award_id(one["key"]),
        )


def _api_key(wanted: list[dict[str, Any]], kept: Secrets, demo: Demo) -> None:
    """The kept key if it still works; else a new one, while its award is open."""
    chosen = award_id(next(one["key"] for one in wanted if one.get("api_key")))
    demo.demo_award = str(chosen)
    working = access.keys(actor=ACTOR, award_id=chosen, working_only=True)
    if kept.api_key:
        ours = access.key_ids_for_secrets(secrets=[kept.api_key]).get(kept.api_key)
        if ours in {key.id for key in working}:
            demo.demo_api_key = kept.api_key
            return
    if not selectors.award(actor=ACTOR, award_id=chosen).is_open:
        return
    demo.changed = True
    for lost in working:
        # One of ours whose secret is not known any more, as after a restored backup or a lost folder.
        if lost.created_by_name == ACTOR.name:
            keys.revoke_key(actor=ACTOR, key_id=lost.id, reason="its secret was lost")
    try:
        kept.api_key = keys.issue_key(actor=ACTOR, award_id=chosen, name="시연 (demo)").secret
    except DureError as error:
        if error.code not in {"too_many_keys", "award_ended"}:
            raise
        kept.api_key = None
    kept.save()
    demo.demo_api_key = kept.api_key
