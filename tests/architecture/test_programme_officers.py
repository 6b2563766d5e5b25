"""An officer of one programme alone against every route: there as the agency's officers are, elsewhere a stranger.

Two programmes of one ministry have a row of each kind. Whatever the method, the programme's officer gets what the
ministry's officer gets with the rows of the one, and nothing with those of the other.
"""

from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.test import Client
from tests.architecture.test_permissions import NEUTRAL, ROUTES, SYSTEM, Route, _call

from dure.control.access import services as access
from dure.control.applications import services as applications
from dure.control.calls import services as calls
from dure.control.foundation import clock
from dure.control.foundation.actors import PROGRAMME_OFFICER, Actor
from dure.control.identity import selectors as identity_selectors
from dure.control.identity import services as identity
from dure.control.identity.models import Person
from dure.control.programmes import services as programmes

#: What belongs to a programme.
OWNED = {"application_id", "attachment_id", "award_id", "file_id", "key_id", "question_id", "round_id"}
#: Routes whose `slug` is a programme's or a call's: both have the same one here.
SLUGGED = ("programmes", "calls")
#: Serving the whole platform: what an officer sees by that is not the programme's to give.
PLATFORM_ONLY = {"officer", "operator", "auditor"}


class Scene:
    def __init__(self) -> None:
        self.ministry = identity.add_organisation(
            actor=SYSTEM, slug="ministry", kind="ministry", name_ko="부처"
        ).id
        firm = identity.add_organisation(actor=SYSTEM, slug="firm", kind="startup", name_ko="하늘")
        self.owner = self._actor(self._member("owner", firm.id, "administrator"), firm.id)
        self.officer = self._client(self._member("officer", self.ministry, "officer"))
        alone = self._member("alone", self.ministry, "viewer")
        self.rows = {slug: self._programme(slug) for slug in ("own", "other")}
        self.role = identity.give_programme_role(
            actor=SYSTEM, person_id=alone, programme_id=self.rows["own"]["programme_id"], role="officer"
        )
        self.alone = self._client(alone)

    def _member(self, name: str, organisation_id: UUID, role: str) -> UUID:
        person = identity.add_person(actor=SYSTEM, email=f"{name}@example.kr", name=name).id
        identity.add_membership(actor=SYSTEM, person_id=person, organisation_id=organisation_id, roles=[role])
        return person

    def _actor(self, person_id: UUID, organisation_id: UUID) -> Actor:
        return identity_selectors.actor_for(person_id=person_id, organisation_id=organisation_id)

    def _client(self, person_id: UUID) -> Client:
        client = Client()
        client.force_login(
            Person.objects.get(pk=person_id), "allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    def _programme(self, slug: str) -> dict[str, Any]:
        """A programme, a draft call of its name with a file, an open one with a question and a submitted request, and an
        award with a key."""
        programme = programmes.add_programme(
            actor=SYSTEM, slug=slug, name_ko=slug, krw_micro_won=10**16, agency_slug="ministry"
        ).programme
        award = programmes.grant_award(
            actor=SYSTEM, programme_slug=slug, organisation_slug="firm", micro_won=10**9
        ).award
        key = access.issue_key(actor=self.owner, award_id=award.id, name="key").key
        draft = calls.add_from_template(actor=SYSTEM, template_key="pilot", slug=slug, programme_slug=slug)
        file = calls.add_attachment(
            actor=SYSTEM, call_slug=slug, stream=BytesIO(b"name,sum\na,1\n"), name="draft.csv"
        )
        application, attachment = self._application(slug)
        question = calls.ask_question(actor=self.owner, call_slug=f"{slug}-open", text="?")
        return {
            "programme_id": programme.id,
            "slug": slug,
            "award_id": award.id,
            "key_id": key.id,
            "round_id": draft.rounds[0].id,
            "file_id": file.id,
            "application_id": application,
            "attachment_id": attachment,
            "question_id": question.id,
        }

    def _application(self, programme: str) -> tuple[UUID, UUID]:
        slug, now = f"{programme}-open", clock.now()
        calls.add_call(
            actor=SYSTEM, slug=slug, programme_slug=programme, kind="api_support", name_ko="공고", summary_ko="공고",
            text_ko="공고",
        )  # fmt: skip
        two = {"ko": "가", "en": "a"}
        papers = {"key": "papers", "kind": "file", "label": two}
        title = {"key": "title", "kind": "text", "label": two, "required": True}
        line = {"key": "api", "label": two}
        budget = {"key": "sum", "kind": "budget", "label": two, "required": True, "lines": [line]}
        form = {"sections": [{"key": "all", "title": two, "fields": [title, papers, budget]}]}
        ways = {
            ("apply", "application"): {"submitted": "decide"},
            ("decide", "decision"): {"accepted": "award", "refused": "end"},
            ("award", "award"): {"awarded": "end"},
            ("end", "closing"): {},
        }
        steps = [
            {
                "key": key,
                "kind": kind,
                "title": two,
                "edges": [{"outcome": outcome, "to": to} for outcome, to in out.items()],
            }
            for (key, kind), out in ways.items()
        ]
        calls.save_form(actor=SYSTEM, call_slug=slug, content=form)
        calls.save_rules(actor=SYSTEM, call_slug=slug, content=[])
        calls.save_steps(actor=SYSTEM, call_slug=slug, content={"start": "apply", "steps": steps})
        round_ = calls.add_round(
            actor=SYSTEM, call_slug=slug, opens_at=now - timedelta(minutes=1), closes_at=now + timedelta(days=30),
            budget_micro_won=10**10, most_micro_won=10**10,
        )  # fmt: skip
        calls.publish_round(actor=SYSTEM, round_id=round_.id)
        view = applications.start(actor=self.owner, round_id=round_.id)
        attachment = applications.attach(
            actor=self.owner, application_id=view.id, field="papers", stream=BytesIO(b"text"), name="a.txt"
        )
        wanted = [{"line": "api", "won": 1_000, "text": "-"}]
        applications.save_answers(
            actor=self.owner, application_id=view.id, answers={"title": ("과제", 0), "sum": (wanted, 0)}
        )
        applications.submit(actor=self.owner, application_id=view.id)
        return view.id, attachment.id

    def answer(self, client: Client, route: Route, method: str, which: str) -> int:
        """The status, whatever the call did undone."""
        values = {**NEUTRAL, **self.rows[which]}
        with transaction.atomic():
            response = _call(client, route, method, {name: values[name] for name in route.parameters})
            transaction.set_rollback(True)
        return response.status_code  # type: ignore[no-any-return]


@pytest.fixture
def scene(db: None) -> Scene:
    return Scene()


def _of_a_programme(route: Route) -> bool:
    """Whether the route is about something of a programme, and open to its officers."""
    known = route.parameters <= OWNED | {"slug"} | set(NEUTRAL)
    slugged = "slug" in route.parameters and route.path({"slug": "X"}).replace("/api/v1", "").startswith(
        tuple(f"/{word}/" for word in SLUGGED)
    )
    audience = not route.roles or PROGRAMME_OFFICER in route.roles
    return known and audience and route.audience != "public" and (bool(route.parameters & OWNED) or slugged)


CASES = [(route, method) for route in ROUTES if _of_a_programme(route) for method in route.methods]


def test_in_the_programme_everything_is_as_for_the_agencys_officers(scene: Scene) -> None:
    assert len(CASES) > 100
    differing = [
        f"{method} {route.name}: {alone}, and {officer} for officers"
        for route, method in CASES
        for alone, officer in [
            (
                scene.answer(scene.alone, route, method, "own"),
                scene.answer(scene.officer, route, method, "own"),
            )
        ]
        if alone != officer
    ]
    assert "\n".join(differing) == ""


def test_in_other_programmes_of_the_agency_nothing_is_open(scene: Scene) -> None:
    opened = []
    for route, method in CASES:
        status = scene.answer(scene.alone, route, method, "other")
        if status not in {403, 404, 405, 422}:
            opened.append(f"{method} {route.name}: {status}")
    assert "\n".join(opened) == ""


def test_it_ends_at_once(scene: Scene) -> None:
    path = f"/awards/{scene.rows['own']['award_id']}/"
    assert scene.alone.get(path).status_code == 200
    identity.take_programme_role(actor=SYSTEM, programme_role_id=scene.role.id)
    assert scene.alone.get(path).status_code == 404
    assert scene.alone.get("/programmes/own/grant/").status_code == 403


def test_the_platform_does_not_open(scene: Scene) -> None:
    opened = [
        route.name
        for route in ROUTES
        if route.roles
        and route.roles <= PLATFORM_ONLY
        and "GET" in route.methods
        and not route.parameters
        and scene.answer(scene.alone, route, "GET", "own") != 403
    ]
    assert opened == []


def test_lists_have_the_programmes_rows_alone(scene: Scene) -> None:
    def ids(path: str) -> set[str]:
        answer = scene.alone.get(f"/api/v1/{path}").json()
        return {one["id"] for one in (answer["items"] if isinstance(answer, dict) else answer)}

    assert ids("awards") == {str(scene.rows["own"]["award_id"])}
    assert ids("applications") == {str(scene.rows["own"]["application_id"])}
