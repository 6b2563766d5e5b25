"""Every REST operation against its own document: schemathesis sends what the document allows and what it does not.

No answer may be a server error, and what is answered must have the status, the type and the shape that the document
says. `DURE_OPENAPI_EXAMPLES` (default 4 an operation and reader) makes the search longer; docs say how long it was.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dure.control.config.api import api
from dure.control.config.wsgi import application
from dure.control.foundation.actors import Actor
from dure.control.identity import selectors as identity_selectors
from dure.control.identity import services as identity
from dure.control.programmes import services as programmes

SYSTEM = Actor.system("test")
ROOMS_OF_CODE = Path(__file__).resolve().parents[3] / "src" / "dure" / "control"
EXAMPLES = int(os.environ.get("DURE_OPENAPI_EXAMPLES", "4"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(_schema := api.get_openapi_schema())
SCHEMA.app = application
OPERATIONS = {one.ok().label: one.ok() for one in SCHEMA.get_all_operations()}


def test_no_two_schemas_have_one_name() -> None:
    """The document keeps its schemas by name: of two with the same one, a reader is shown the wrong one."""
    kept: dict[str, set[str]] = {}
    for room in ROOMS_OF_CODE.glob("**/*.py"):
        for name in re.findall(r"^class (\w+)\((?:Schema|\w+(?:Out|In))\):", room.read_text(), re.MULTILINE):
            kept.setdefault(name, set()).add(str(room.relative_to(ROOMS_OF_CODE)))
    assert {name: places for name, places in kept.items() if len(places) > 1} == {}


def _reader(slug: str, kind: str, roles: list[str]) -> str:
    organisation = identity.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=slug)
    person = identity.add_person(actor=SYSTEM, email=f"{slug}@example.kr", name=slug)
    identity.add_membership(actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=roles)
    _view, secret = identity.issue_token(actor=identity_selectors.actor_for(person_id=person.id), name="test")
    return secret


@pytest.fixture
def tokens(db: None) -> Iterator[dict[str, str]]:
    """A person who serves the platform in every role, and an applicant; some money to move."""
    # The test's transaction is the request's, as with Django's own test client.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield {
        "platform": _reader("ministry", "ministry", ["officer", "operator", "auditor"]),
        "applicant": _reader("startup", "startup", ["administrator", "developer"]),
    }
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def _search(operation: Any, secret: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES == 4,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        with transaction.atomic():
            case.call_and_validate(headers={"Authorization": f"Bearer {secret}"}, checks=CHECKS)
            transaction.set_rollback(True)

    ask()


@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_no_answer_is_a_server_error_or_other_than_documented(tokens: dict[str, str], label: str) -> None:
    programmes.add_programme(
        actor=SYSTEM, slug="programme", name_ko="사업", krw_micro_won=10**12, agency_slug="ministry"
    )
    for secret in tokens.values():
        _search(OPERATIONS[label], secret)
