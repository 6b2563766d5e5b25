"""What the tests of organisations share: people, numbers and organisations at a word."""

from datetime import date
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError
from dure.control.identity import facts, selectors, services
from dure.control.identity.models import Membership, Organisation, OrganisationDocument, Person

SYSTEM = Actor.system("test")
_numbers = count(101_810_000)


def new_number() -> str:
    """A registration number that no other test has."""
    nine = str(next(_numbers))
    return f"{nine}{facts.check_digit(nine)}"


def person(email: str = "kim@example.kr", name: str = "김하늘") -> UUID:
    found = Person.objects.filter(email=email).first()
    return found.pk if found else services.add_person(actor=SYSTEM, email=email, name=name).id


def founder(email: str = "kim@example.kr", name: str = "김하늘") -> Actor:
    """A person of no organisation, who may found one."""
    return selectors.actor_for(person_id=person(email, name))


def found(actor: Actor | None = None, **given: Any) -> selectors.OrganisationProfile:
    values = {
        "registration_number": new_number(),
        "name_ko": "하늘랩",
        "kind": "startup",
        "size_class": "small",
        "founded_on": date(2024, 3, 2),
        "region": "KR-11",
        **given,
    }
    return services.found_organisation(actor=actor or founder(), **values)


def acting(actor: Actor, organisation_id: UUID) -> Actor:
    """The same person, for this organisation."""
    assert actor.person_id is not None
    return selectors.actor_for(person_id=actor.person_id, organisation_id=organisation_id)


def administrator(email: str = "kim@example.kr", **given: Any) -> Actor:
    """Someone who has founded an organisation, acting for it."""
    someone = founder(email, email.split("@", maxsplit=1)[0])
    return acting(someone, found(someone, **given).id)


def member(organisation_id: UUID, *roles: str, email: str) -> Actor:
    someone = person(email, email.split("@", maxsplit=1)[0])
    services.add_membership(
        actor=SYSTEM, person_id=someone, organisation_id=organisation_id, roles=list(roles)
    )
    return selectors.actor_for(person_id=someone, organisation_id=organisation_id)


def officer(email: str = "officer@example.kr") -> Actor:
    ministry = Organisation.objects.filter(slug="ministry").first()
    identity = (
        ministry.pk
        if ministry
        else services.add_organisation(actor=SYSTEM, slug="ministry", kind="ministry", name_ko="부처").id
    )
    return member(identity, "officer", email=email)


def document(
    organisation_id: UUID, kind: str = "business_registration", **given: Any
) -> OrganisationDocument:
    values = {
        "state": "asked",
        "sha256": "0" * 64,
        "name": "사업자등록증.pdf",
        "size": 1,
        "media_type": "application/pdf",
        **given,
    }
    return OrganisationDocument.objects.create(organisation_id=organisation_id, kind=kind, **values)


def verify(actor: Actor) -> None:
    """Have the actor's organisation verified, as it goes."""
    assert actor.organisation_id is not None
    document(actor.organisation_id)
    services.ask_verification(actor=actor, organisation_id=actor.organisation_id)
    services.verify_organisation(actor=officer(), organisation_id=actor.organisation_id)


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(DureError) as raised:
        call(**{"actor": SYSTEM, **arguments})
    return raised.value.code


def roles_of(actor: Actor) -> list[str]:
    row = Membership.objects.get(person_id=actor.person_id, organisation_id=actor.organisation_id)
    return sorted(row.roles)
