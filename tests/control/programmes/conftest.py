"""A ministry with a programme of ₩1,000,000, two start-ups, a provider, and people of every role."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

from dure.contracts.ids import uuid7
from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.foundation.actors import Actor
from dure.control.identity import services as identity
from dure.control.identity.selectors import OrganisationView
from dure.control.ledger import selectors as ledger_selectors
from dure.control.ledger import services as ledger
from dure.control.programmes import services
from dure.control.programmes.selectors import AwardView

SYSTEM = Actor.system("test")


def won(krw: int) -> int:
    return krw * MICRO_WON_PER_WON


def acting_for(organisation: OrganisationView, *roles: str) -> Actor:
    return Actor(
        kind="person",
        name=f"{'/'.join(roles)} of {organisation.slug}",
        person_id=uuid7(),
        organisation_id=organisation.id,
        organisation_kind=organisation.kind,
        roles=frozenset(roles),
    )


def officer_of(ministry: OrganisationView, *programme_ids: UUID) -> Actor:
    """A viewer of the ministry who is an officer of these programmes alone."""
    return replace(
        acting_for(ministry, "viewer"), programme_roles=frozenset((one, "officer") for one in programme_ids)
    )


@dataclass(frozen=True)
class World:
    ministry: OrganisationView
    haneul: OrganisationView
    garam: OrganisationView
    nuri: OrganisationView

    def grant(self, krw: int = 1_000, **more: object) -> AwardView:
        asked = {"programme_slug": "hyperscale", "organisation_slug": "haneul", "name": "챗봇"} | more
        return services.grant_award(actor=SYSTEM, micro_won=won(krw), **asked).award  # type: ignore[arg-type]

    @property
    def officer(self) -> Actor:
        return acting_for(self.ministry, "officer")


def make_world() -> World:
    def add(slug: str, kind: str) -> OrganisationView:
        return identity.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=slug)

    world = World(
        add("ministry", "ministry"),
        add("haneul", "startup"),
        add("garam", "startup"),
        add("nuri", "provider"),
    )
    services.add_programme(
        actor=SYSTEM, slug="hyperscale", name_ko="초거대", name_en="Hyperscale", krw_micro_won=won(1_000_000)
    )
    return world


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@dataclass
class Gateway:
    """Plays a gateway's part on the ledger: leases, spends, gives back."""

    process: UUID
    provider: UUID

    def lease(self, award: AwardView, krw: int) -> None:
        self._move(award, "award", "escrow", krw, "lease")

    def spend(self, award: AwardView, krw: int) -> None:
        self._move(award, "escrow", "payable", krw, "usage")

    def give_back(self, award: AwardView, krw: int) -> None:
        self._move(award, "escrow", "award", krw, "give_back")

    def _move(self, award: AwardView, debit: str, credit: str, krw: int, kind: str) -> None:
        owners = {
            "award": (award.id, None),
            "escrow": (award.id, self.process),
            "payable": (self.provider, None),
        }
        book = award.programme.id

        def account(which: str) -> int:
            owner, counterpart = owners[which]
            opened = ledger.open_account(book_id=book, kind=which, owner_id=owner, counterpart_id=counterpart)
            return opened.id

        ledger.transfer(
            transfer_id=uuid7(),
            debit_account_id=account(debit),
            credit_account_id=account(credit),
            amount=won(krw),
            kind=kind,
        )


@pytest.fixture
def gateway(world: World) -> Gateway:
    return Gateway(uuid7(), world.nuri.id)


@pytest.fixture
def left_to_grant(world: World) -> Callable[[], int]:
    def left() -> int:
        (programme,) = ledger_selectors.books()
        balances = ledger_selectors.balances(owner_ids=[programme.id], kind="appropriation")
        return balances[programme.id] // MICRO_WON_PER_WON

    return left
