"""Every page asks the database the same number of questions whatever there is to show, and never more than thirty."""

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from browser import crowd, routes, seed
from dure.control.identity.models import Person

MOST = 30
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
#: Statements of Django's own, not questions of a page.
_APART = ("SAVEPOINT", "RELEASE")


@pytest.fixture
def seeded(db: None) -> dict[str, Any]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        seed.main()
    found: dict[str, Any] = json.loads(text.getvalue())
    return found


@pytest.fixture
def clients(seeded: dict[str, Any]) -> Iterator[dict[str, Client]]:
    made = {"": Client()}
    for role, email in seeded["people"].items():
        made[role] = Client()
        made[role].force_login(Person.objects.get(email=email), BACKEND)
    return made


def counted(rows: list[tuple[str, str, str]], clients: dict[str, Client]) -> tuple[dict[str, int], list[str]]:
    """Queries by page, once what is remembered between requests is warm; and who did not get a page."""
    found, refused = {}, []
    for name, role, path in rows:
        clients[role].get(path)
        with CaptureQueriesContext(connection) as captured:
            answer = clients[role].get(path)
        if answer.status_code >= 300:
            refused.append(f"{name} {answer.status_code}")
        found[name] = sum(not one["sql"].startswith(_APART) for one in captured.captured_queries)
    return found, refused


#: Those that lead on, or tell what there is not: as the rows of `sites.py` want them.
REFUSED = {
    "sign-up-old-link 404", "not-found 404", "forbidden 403", "account-app 302", "account-passkey 302",
    "application-viewer 302",
}  # fmt: skip


def test_no_page_is_forgotten(seeded: dict[str, Any], clients: dict[str, Client]) -> None:
    assert "\n".join(routes.forgotten(routes.pages(seeded), clients)) == "", (
        "give it a row in sites.py or routes.py"
    )


def test_no_page_asks_more_where_there_is_more(seeded: dict[str, Any], clients: dict[str, Client]) -> None:
    rows = routes.pages(seeded)
    crowd.grow(seeded, by=1, start=0)
    few, refused = counted(rows, clients)
    assert set(refused) == REFUSED
    crowd.grow(seeded, by=2, start=1)
    many, _refused = counted(rows, clients)
    assert {name: n for name, n in few.items() if n > MOST} == {}
    # Figures that are kept for a moment may have run out just then: who asked for more is asked again at once.
    again = [row for row in rows if many[row[0]] > few[row[0]]]
    counted(again, clients)
    many |= counted(again, clients)[0]
    assert {name: (n, many[name]) for name, n in few.items() if many[name] > n} == {}
