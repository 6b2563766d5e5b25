"""Limits of awards and keys: who sets them, what they may be, and that gateways are told."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from tests.control.programmes.conftest import SYSTEM, World, acting_for, make_world, officer_of

from dure.contracts.directory import DECODERS, AwardEntry, KeyEntry
from dure.contracts.ids import uuid7
from dure.control.access import selectors, services
from dure.control.access.services import KeyLimits, Limits
from dure.control.catalogue import services as catalogue
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.models import AuditEvent, DirectoryEntry
from dure.control.identity import services as identity
from dure.control.identity.models import Person
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes import services as programmes
from dure.control.programmes.selectors import AwardView

DOCUMENT = """\
version: 1
models:
  - name: nuri-7b
    provider: nuri
    context_length: 8192
    max_output_tokens: 2048
    prices: [{effective_from: 2026-01-01, input: 120, output: 480}]
    deployments: [{name: seoul, base_url: https://models.nuri.example, credential: env:NURI}]
"""


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def award(world: World) -> AwardView:
    return world.grant()


@pytest.fixture
def developer(world: World) -> Actor:
    return acting_for(world.haneul, "developer")


def published(kind: str, entry_id: object) -> AwardEntry | KeyEntry:
    row = DirectoryEntry.objects.get(kind=kind, entry_id=str(entry_id))
    return DECODERS[kind].decode(row.payload)  # type: ignore[index,return-value]


def code_of(deed: Callable[[], object]) -> tuple[str, str | None]:
    with pytest.raises(DureError) as caught:
        deed()
    return caught.value.code, caught.value.field


def test_an_officer_changes_what_an_award_allows_and_gateways_are_told(
    world: World, award: AwardView
) -> None:
    changes = {"requests_per_minute": 60, "networks": ("203.0.113.0/24", "2001:db8::/32")}
    view, changed = services.change_limits(actor=world.officer, award_id=award.id, changes=changes)
    assert (changed, view.requests_per_minute, view.networks) == (True, 60, changes["networks"])
    entry = published("award", award.id)
    assert (entry.requests_per_minute, entry.networks) == (60, changes["networks"])
    event = AuditEvent.objects.order_by("-sequence").first()
    assert (event.action, event.before, event.after) == (
        "entitlement.limited",
        {"requests_per_minute": None, "networks": []},
        {"requests_per_minute": 60, "networks": list(changes["networks"])},
    )

    view, changed = services.change_limits(
        actor=world.officer, award_id=award.id, changes={"requests_per_minute": None, "concurrency": 4}
    )
    assert (view.requests_per_minute, view.concurrency, view.networks) == (None, 4, changes["networks"])
    events = AuditEvent.objects.count()
    _, changed = services.change_limits(actor=world.officer, award_id=award.id, changes={"concurrency": 4})
    assert (changed, AuditEvent.objects.count()) == (False, events)


def test_only_officers_of_the_agency_set_an_awards_limits(world: World, award: AwardView) -> None:
    def change(actor: Actor) -> object:
        return services.change_limits(actor=actor, award_id=award.id, changes={"concurrency": 1})

    other = identity.add_organisation(actor=SYSTEM, slug="other", kind="agency", name_ko="other")
    for actor in (
        acting_for(world.haneul, "administrator"),
        acting_for(world.ministry, "operator", "auditor"),
        acting_for(other, "officer"),
    ):
        with pytest.raises(Forbidden):
            change(actor)
    with pytest.raises(NotFound):
        change(acting_for(world.garam, "administrator"))
    programmes.end_award(actor=world.officer, award_id=award.id, reason="끝")
    assert code_of(lambda: change(world.officer))[0] == "award_ended"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"requests_per_minute": 0}, ("limit_out_of_range", "requests_per_minute")),
        ({"tokens_per_minute": 2_000_000_001}, ("limit_out_of_range", "tokens_per_minute")),
        ({"models": ("nobody",)}, ("model_not_found", "models")),
        ({"networks": ("203.0.113.7/24",)}, ("network_invalid", "networks")),
        ({"networks": ("everywhere",)}, ("network_invalid", "networks")),
        ({"networks": ("10.0.0.0/8",) * 51}, ("too_many_networks", "networks")),
    ],
)
def test_limits_that_make_no_sense(
    world: World, award: AwardView, developer: Actor, changes: dict[str, object], refusal: tuple[str, str]
) -> None:
    assert (
        code_of(lambda: services.change_limits(actor=SYSTEM, award_id=award.id, changes=changes)) == refusal
    )
    key = services.issue_key(actor=developer, award_id=award.id).key
    assert (
        code_of(lambda: services.change_key_limits(actor=developer, key_id=key.id, changes=changes))
        == refusal
    )
    limits = Limits(**changes)  # type: ignore[arg-type]
    assert code_of(lambda: world.grant(limits=limits)) == refusal


def test_a_keys_limits_are_set_when_it_is_issued_and_afterwards(
    world: World, award: AwardView, developer: Actor
) -> None:
    catalogue.apply(actor=SYSTEM, document=DOCUMENT)
    limits = KeyLimits(models=("nuri-7b",), networks=("192.0.2.0/24",), requests_per_minute=5)
    key = services.issue_key(actor=developer, award_id=award.id, limits=limits).key
    assert (key.models, key.requests_per_minute, key.is_limited) == (("nuri-7b",), 5, True)
    entry = published("key", key.id)
    assert (entry.models, entry.networks, entry.requests_per_minute) == (("nuri-7b",), ("192.0.2.0/24",), 5)

    view, changed = services.change_key_limits(
        actor=developer, key_id=key.id, changes={"models": (), "tokens_per_minute": 9_000}
    )
    assert (changed, view.models, view.tokens_per_minute, view.requests_per_minute) == (True, (), 9_000, 5)
    event = AuditEvent.objects.order_by("-sequence").first()
    assert (event.action, event.after["prefix"], event.before) == (
        "key.limited",
        key.prefix,
        {"model_names": ["nuri-7b"], "tokens_per_minute": None},
    )
    assert published("key", key.id).tokens_per_minute == 9_000

    successor = services.rotate_key(actor=developer, key_id=key.id).key
    assert (successor.tokens_per_minute, successor.networks) == (9_000, ("192.0.2.0/24",))
    assert published("key", successor.id).tokens_per_minute == 9_000


def test_only_those_who_could_issue_a_key_limit_it(world: World, award: AwardView, developer: Actor) -> None:
    key = services.issue_key(actor=developer, award_id=award.id).key

    def change(actor: Actor) -> object:
        return services.change_key_limits(actor=actor, key_id=key.id, changes={"concurrency": 1})

    for actor in (acting_for(world.haneul, "viewer"), world.officer, acting_for(world.ministry, "operator")):
        assert code_of(lambda actor=actor: change(actor))[0] == "not_yours_to_limit"  # type: ignore[misc]
    with pytest.raises(NotFound):
        change(acting_for(world.garam, "developer"))
    services.revoke_key(actor=developer, key_id=key.id)
    assert code_of(lambda: change(developer))[0] == "key_not_working"


def signed_in(organisation: OrganisationView, *roles: str) -> Client:
    email = f"{'-'.join(roles)}@{organisation.slug}.example"
    person = identity.add_person(actor=SYSTEM, email=email, name="누구")
    identity.add_membership(
        actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=list(roles)
    )
    client = Client(headers={"accept-language": "en"})
    client.force_login(
        Person.objects.get(pk=person.id), "allauth.account.auth_backends.AuthenticationBackend"
    )
    return client


def test_pages_show_and_change_limits(world: World, award: AwardView, developer: Actor) -> None:
    key = services.issue_key(actor=developer, award_id=award.id, name="server").key
    officer, owner = signed_in(world.ministry, "officer"), signed_in(world.haneul, "developer")
    page, of_key = reverse("programmes:award", args=[award.id]), [award.id, key.id]
    to_limits, to_key_limits = (
        reverse("programmes:award_limits", args=[award.id]),
        reverse("programmes:key_limits", args=of_key),
    )
    assert (to_limits in officer.get(page).text, to_key_limits in officer.get(page).text) == (True, False)
    assert (to_limits in owner.get(page).text, to_key_limits in owner.get(page).text) == (False, True)
    assert (owner.get(to_limits).status_code, officer.get(to_key_limits).status_code) == (403, 403)

    wrong = officer.post(to_limits, {"networks": "10.0.0.1/8", "concurrency": "2"})
    assert wrong.status_code == 422
    assert "10.0.0.1/8" in wrong.text
    right = officer.post(to_limits, {"networks": "10.0.0.0/8\n192.0.2.1", "max_tokens_ceiling": "500"})
    assert right.status_code == 302
    view = selectors.entitlement(actor=SYSTEM, award_id=award.id)
    assert (view.networks, view.max_tokens_ceiling) == (("10.0.0.0/8", "192.0.2.1/32"), 500)
    assert "10.0.0.0/8, 192.0.2.1/32" in officer.get(page).text

    assert owner.post(to_key_limits, {"requests_per_minute": "30"}).status_code == 302
    assert selectors.key(actor=SYSTEM, key_id=key.id).requests_per_minute == 30
    assert "30" in owner.get(to_key_limits).text

    issued = owner.post(
        reverse("programmes:issue_key", args=[award.id]),
        {"name": "batch", "validity": "30", "concurrency": "2"},
    )
    assert issued.status_code == 201
    assert selectors.keys(actor=SYSTEM, award_id=award.id)[0].concurrency == 2


def test_an_officer_of_the_programme_alone_limits_its_awards_and_stops_their_keys(
    world: World, award: AwardView, developer: Actor
) -> None:
    own, other = officer_of(world.ministry, award.programme.id), officer_of(world.ministry, uuid7())
    key = services.issue_key(actor=developer, award_id=award.id, name="k").key
    changes = {"requests_per_minute": 7}
    for verb in (
        lambda actor: services.change_limits(actor=actor, award_id=award.id, changes=changes),
        lambda actor: services.revoke_key(actor=actor, key_id=key.id),
        lambda actor: selectors.key(actor=actor, key_id=key.id),
    ):
        with pytest.raises(NotFound):
            verb(other)
        verb(own)
    assert selectors.key(actor=developer, key_id=key.id).state == "revoked"
    with pytest.raises(Forbidden):
        services.issue_key(actor=own, award_id=award.id, name="k")
