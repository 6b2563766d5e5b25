"""A ministry with a programme of a billion won, a start-up and a provider, and browsers of their people."""

import pytest
from django.test import Client

from dure.control.foundation.actors import Actor
from dure.control.identity import selectors
from dure.control.identity import services as identity
from dure.control.identity.models import Person
from dure.control.programmes import services as programmes

SYSTEM = Actor.system("test")
WON = 10**6


@pytest.fixture
def world(db):
    for slug, kind in (("ministry", "ministry"), ("startup", "startup"), ("company", "provider")):
        identity.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=slug, name_en=slug)
    return programmes.add_programme(
        actor=SYSTEM,
        slug="use",
        name_ko="활용 지원",
        name_en="Use",
        krw_micro_won=10**9 * WON,
        agency_slug="ministry",
    ).programme


def client_of(slug: str, *roles: str) -> Client:
    """A signed-in person with these roles, reading English."""
    person = identity.add_person(actor=SYSTEM, email=f"{slug}-{roles[0]}@example.kr", name="김두레")
    organisation = selectors.organisation(slug)
    identity.add_membership(
        actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=list(roles)
    )
    client = Client()
    client.force_login(
        Person.objects.get(pk=person.id), backend="allauth.account.auth_backends.AuthenticationBackend"
    )
    client.cookies["dure_language"] = "en"
    return client
