"""A provider, its rival, and a document to vary."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dure.control.foundation.actors import Actor
from dure.control.identity import services as identity
from dure.control.identity.selectors import OrganisationView

SYSTEM = Actor.system("test")
NOW = datetime(2026, 6, 1, tzinfo=UTC)

DOCUMENT = """\
version: 1
models:
  - name: nuri-7b
    provider: nuri
    title: {ko: 누리 7B, en: Nuri 7B}
    context_length: 8192
    max_output_tokens: 2048
    prices:
      - effective_from: 2026-01-01
        input: 120
        output: 480
    deployments:
      - name: seoul
        base_url: https://models.nuri.example
"""


def acting_for(organisation: OrganisationView | None, *roles: str) -> Actor:
    return Actor(
        kind="person",
        name="somebody",
        organisation_id=organisation.id if organisation else None,
        organisation_kind=organisation.kind if organisation else None,
        roles=frozenset(roles),
    )


def add_organisation(slug: str, kind: str, **names: Any) -> OrganisationView:
    return identity.add_organisation(actor=SYSTEM, slug=slug, kind=kind, **({"name_ko": slug} | names))


@pytest.fixture
def nuri(db: None) -> OrganisationView:
    return add_organisation("nuri", "provider")


@pytest.fixture
def rival(db: None) -> OrganisationView:
    return add_organisation("rival", "provider")
