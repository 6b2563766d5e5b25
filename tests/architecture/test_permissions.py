"""Every role against every route: pages and REST operations alike, found by asking Django for them.

A route declares its audience (`identity.guards` for pages, `foundation.rest.audience` for operations); one
that declares nothing fails. Then every role calls every route, with rows of its own organisation and with
rows of somebody else's:

    anonymous       public routes answer; pages lead to sign-in, operations answer 401
    wrong role      403
    right role      is let in
    others' rows    404, whatever the method, for everybody who does not serve the platform; for an officer of one
                    programme, those of the agency's other programmes are others' (own: test_programme_officers.py)
    anybody         never a server error, whatever the question
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from tests.control.foundation import samples

from dure.control.access import services as access
from dure.control.applications import services as applications
from dure.control.calls import services as calls
from dure.control.config.api import api
from dure.control.foundation import clock, notices, wording
from dure.control.foundation.actors import PROGRAMME_OFFICER, Actor
from dure.control.foundation.models import Notice
from dure.control.identity import account_selectors
from dure.control.identity import selectors as identity_selectors
from dure.control.identity import services as identity
from dure.control.identity.models import Person
from dure.control.programmes import services as programmes

SYSTEM = Actor.system("test")
#: role → (kind of its organisation, roles held)
PEOPLE = {
    "officer": ("ministry", ["officer"]),
    "operator": ("ministry", ["operator"]),
    "auditor": ("ministry", ["auditor"]),
    "provider_manager": ("provider", ["provider_manager"]),
    "administrator": ("startup", ["administrator"]),
    "developer": ("startup", ["developer"]),
    "viewer": ("startup", ["viewer"]),
    "researcher": ("university", ["administrator", "developer"]),
    "public_body": ("public_body", ["administrator", "developer"]),
    PROGRAMME_OFFICER: ("ministry", ["viewer"]),
}
PLATFORM = {"officer", "operator", "auditor"}
#: Names of route parameters that say whose row it is.
OWNED = {
    "application_id",
    "attachment_id",
    "award_id",
    "file_id",
    "key_id",
    "notice_id",
    "question_id",
    "round_id",
    "session_id",
    "token_id",
    *("organisation", "document_id", "link_id", "invitation_id", "delegation_id", "person_id"),
}
#: Django's and allauth's own views, which guard themselves.
FRAMEWORK = {"set_language"}


@dataclass(frozen=True)
class Route:
    name: str
    methods: tuple[str, ...]
    path: Callable[[dict[str, Any]], str]
    parameters: frozenset[str]
    audience: str
    roles: frozenset[str]
    is_api: bool
    organisation_kind: str | None

    def is_for(self, role: str) -> bool:
        kind, roles = PEOPLE[role]
        return (not self.roles or bool(self.roles & {role, *roles})) and self.organisation_kind in {
            None,
            kind,
        }

    @property
    def owned(self) -> bool:
        return bool(self.parameters & OWNED)


@dataclass
class World:
    clients: dict[str, Client] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)


def _pages(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "api":
                yield from _pages(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern


def _fill(template: str) -> Callable[[dict[str, Any]], str]:
    def path(values: dict[str, Any]) -> str:
        filled = template
        for name, value in values.items():
            for converter in ("uuid:", "str:", "path:", "slug:", "int:", ""):
                filled = filled.replace(f"<{converter}{name}>", str(value)).replace(
                    f"{{{converter}{name}}}", str(value)
                )
        return "/" + filled.lstrip("/")

    return path


def page_routes() -> list[Route]:
    routes = []
    for template, pattern in _pages(get_resolver().url_patterns):
        if pattern.name in FRAMEWORK or "(?P" in template:
            continue
        view = pattern.callback
        routes.append(
            Route(
                name=f"page {template}",
                methods=("GET", "POST"),
                path=_fill(template),
                parameters=frozenset(pattern.pattern.converters),
                audience=getattr(view, "dure_audience", "undeclared"),
                roles=getattr(view, "dure_roles", frozenset()),
                is_api=False,
                organisation_kind=getattr(view, "dure_organisation_kind", None),
            )
        )
    return routes


def api_routes() -> list[Route]:
    routes = []
    for prefix, router in api._routers:
        for template, path_view in router.path_operations.items():
            for operation in path_view.operations:
                full = f"/api/v1{prefix}/{template.lstrip('/')}".replace("//", "/")
                routes.append(
                    Route(
                        name=f"{operation.methods[0]} {full}",
                        methods=tuple(operation.methods),
                        path=_fill(full),
                        parameters=frozenset(
                            part.split(":")[-1].rstrip("}")
                            for part in full.split("{")[1:]
                            for part in [part.split("}")[0]]
                        ),
                        audience=getattr(operation.view_func, "dure_audience", "undeclared"),
                        roles=getattr(operation.view_func, "dure_roles", frozenset()),
                        is_api=True,
                        organisation_kind=getattr(operation.view_func, "dure_organisation_kind", None),
                    )
                )
    return routes


ROUTES = [*page_routes(), *api_routes()]


def _person(world: World, role: str, kind: str, roles: list[str]) -> None:
    organisation = (
        identity_selectors.organisation("org-officer")
        if role == PROGRAMME_OFFICER
        else identity.add_organisation(
            actor=SYSTEM, slug=f"org-{role.replace('_', '-')}", kind=kind, name_ko=role
        )
    )
    person = identity.add_person(
        actor=SYSTEM, email=f"{role}@example.kr", name=role, password="role-by-role-12"
    )
    identity.add_membership(actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=roles)
    client = Client(raise_request_exception=True)
    client.force_login(
        Person.objects.get(pk=person.id), "allauth.account.auth_backends.AuthenticationBackend"
    )
    world.clients[role] = client


@pytest.fixture
def world(db: None) -> World:
    made = World()
    made.clients["anonymous"] = Client()
    for role, (kind, roles) in PEOPLE.items():
        _person(made, role, kind, roles)
    make_programme_officer()
    other = identity.add_organisation(actor=SYSTEM, slug="somebody-else", kind="startup", name_ko="다른 곳")
    programmes.add_programme(
        actor=SYSTEM, slug="programme", name_ko="사업", krw_micro_won=10**16, agency_slug="org-officer"
    )
    award = programmes.grant_award(
        actor=SYSTEM, programme_slug="programme", organisation_slug="somebody-else", micro_won=10**9
    ).award
    person = identity.add_person(actor=SYSTEM, email="else@example.kr", name="else")
    identity.add_membership(
        actor=SYSTEM, person_id=person.id, organisation_id=other.id, roles=["administrator"]
    )
    owner = identity_selectors.actor_for(person_id=person.id)
    key = access.issue_key(actor=owner, award_id=award.id, name="secret")
    notices.tell(
        to=[person], title=wording.verbatim("Their notice"), text=wording.verbatim("-"), path="/awards/",
        action=wording.verbatim("Open"), dedupe_key="theirs",
    )  # fmt: skip
    Client().force_login(
        Person.objects.get(pk=person.id), "allauth.account.auth_backends.AuthenticationBackend"
    )
    token, _secret = identity.issue_token(actor=owner, name="secret")
    made.others = {
        **_others_organisation(owner, other.id),
        "award_id": award.id,
        "key_id": _key_id(key),
        "notice_id": Notice.objects.get(person_id=person.id).pk,
        "session_id": account_selectors.sessions_of(person.id)[0].id,
        "token_id": token.id,
        **_others_application(owner),
        **_calls(owner),
    }
    return made


def make_programme_officer() -> None:
    """Of the officer's ministry: its viewer is an officer of the programme `own` alone, and not of the others."""
    person = Person.objects.get(name=PROGRAMME_OFFICER)
    own = programmes.add_programme(
        actor=SYSTEM, slug="own", name_ko="사업", krw_micro_won=10**16, agency_slug="org-officer"
    ).programme
    identity.give_programme_role(actor=SYSTEM, person_id=person.pk, programme_id=own.id, role="officer")


def _others_application(owner: Actor) -> dict[str, UUID]:
    """A draft of somebody else, with a file."""
    two = {"ko": "가", "en": "a"}
    calls.add_call(
        actor=SYSTEM, slug="call", programme_slug="programme", kind="api_support", name_ko="공고", summary_ko="공고",
        text_ko="공고",
    )  # fmt: skip
    fields = [
        {"key": "title", "kind": "text", "label": two, "required": True},
        {"key": "papers", "kind": "file", "label": two},
        {
            "key": "sum",
            "kind": "budget",
            "label": two,
            "required": True,
            "lines": [{"key": "api", "label": two}],
        },
    ]
    calls.save_form(
        actor=SYSTEM, call_slug="call", content={"sections": [{"key": "all", "title": two, "fields": fields}]}
    )
    ways = {
        "apply": {"submitted": "decide"},
        "decide": {"accepted": "award", "refused": "end"},
        "award": {"awarded": "end"},
        "end": {},
    }
    kinds = {"apply": "application", "decide": "decision", "award": "award", "end": "closing"}
    steps = [
        {
            "key": key,
            "kind": kinds[key],
            "title": two,
            "edges": [{"outcome": o, "to": to} for o, to in out.items()],
        }
        for key, out in ways.items()
    ]
    calls.save_rules(actor=SYSTEM, call_slug="call", content=[])
    calls.save_steps(actor=SYSTEM, call_slug="call", content={"start": "apply", "steps": steps})
    now = clock.now()
    round_ = calls.add_round(
        actor=SYSTEM, call_slug="call", opens_at=now - timedelta(minutes=1), closes_at=now + timedelta(days=30),
        budget_micro_won=10**10, most_micro_won=10**10,
    )  # fmt: skip
    calls.publish_round(actor=SYSTEM, round_id=round_.id)
    application = applications.start(actor=owner, round_id=round_.id)
    attachment = applications.attach(
        actor=owner, application_id=application.id, field="papers", stream=BytesIO(b"secret"), name="a.txt"
    )
    return {"application_id": application.id, "attachment_id": attachment.id}


def _calls(owner: Actor) -> dict[str, UUID]:
    """A draft round and a draft's file, which are the agency's officers' alone, and a question that waits."""
    now = clock.now()
    begun = calls.add_from_template(
        actor=SYSTEM, template_key="pilot", slug="open-call", programme_slug="programme"
    )
    open_round = calls.change_round(
        actor=SYSTEM,
        round_id=begun.rounds[0].id,
        opens_at=now,
        closes_at=now + timedelta(days=90),
    )
    calls.publish_round(actor=SYSTEM, round_id=open_round.id)
    asked = calls.ask_question(actor=owner, call_slug="open-call", text="?")
    draft = calls.add_from_template(
        actor=SYSTEM, template_key="pilot", slug="draft-call", programme_slug="programme"
    )
    file = calls.add_attachment(
        actor=SYSTEM, call_slug="draft-call", stream=BytesIO(b"name,sum\na,1\n"), name="draft.csv"
    )
    return {"round_id": draft.rounds[0].id, "question_id": asked.id, "file_id": file.id}


def _others_organisation(owner: Actor, organisation_id: UUID) -> dict[str, Any]:
    """What somebody else's organisation has: a document, a connection, an invitation, roles lent, a member."""
    delegate = identity.add_person(actor=SYSTEM, email="delegate@example.kr", name="delegate")
    identity.add_membership(
        actor=SYSTEM, person_id=delegate.id, organisation_id=organisation_id, roles=["viewer"]
    )
    whose = {"actor": owner, "organisation_id": organisation_id}
    document = identity.add_document(**whose, kind="other", stream=BytesIO(samples.pdf()), name="their.pdf")
    link = identity.declare_link(**whose, other_is="owner", other_name="Holding", share_bp=5_000)
    invitation = identity.invite(**whose, email="invited@example.kr", roles=["viewer"])
    delegation = identity.delegate(
        **whose,
        delegate_id=delegate.id,
        roles=["administrator"],
        valid_until=clock.now() + timedelta(days=1),
        reason="-",
    )
    return {
        "organisation": "somebody-else",
        "document_id": document.id,
        "link_id": link.id,
        "invitation_id": invitation.id,
        "delegation_id": delegation.id,
        "person_id": delegate.id,
    }


def _key_id(issued: Any) -> UUID:
    view = issued[0] if isinstance(issued, tuple) else issued.key
    return view.id


def _call(client: Client, route: Route, method: str, values: dict[str, Any]) -> Any:
    path = route.path(values)
    if method == "GET":
        response = client.get(path)
    elif route.is_api:
        response = client.generic(method, path, "{}", content_type="application/json")
    else:
        response = client.post(path)
    return _closed(response)


def _closed(response: Any) -> Any:
    """A download's file is closed here; closing the answer would close the database's connection with it."""
    for close in response._resource_closers if response.streaming else ():
        close()
    return response


#: What stands in for parameters that name no one's row.
NEUTRAL = {
    "pk": 7,  # a passkey, which is asked for only after proof of who asks: tests/control/identity/test_second_factors.py
    "provider_id": "no-such-service",
    "part": "balance",
    "name": "no-such-model",
    "slug": "no-such-thing",
    "key": "no_such_line",
    "book_id": UUID(int=7),
    "transfer_id": UUID(int=7),
    "request_id": UUID(int=7),
    "account_id": 7,
    "deployment": "no-such-thing",
    "sequence": 1,
    "process_id": UUID(int=7),
    "step": "confirm",
    "field": "title",
    "step_key": "no-such-step",
    "decision": "accept",
    "deed": "advance",
    "token": "no-such-invitation",
    "programme_role_id": UUID(int=7),
    "calendar_token": "no-such-secret",
    "template": "empty",
}


def test_every_route_declares_its_audience() -> None:
    undeclared = [route.name for route in ROUTES if route.audience == "undeclared"]
    assert undeclared == []


def test_every_parameter_is_known_to_this_test() -> None:
    unknown = {name for route in ROUTES for name in route.parameters} - OWNED - set(NEUTRAL)
    assert unknown == set(), "say in OWNED or NEUTRAL what these stand for"


@pytest.mark.parametrize("role", ["anonymous", *PEOPLE])
def test_roles_across_routes(world: World, role: str) -> None:
    client, failures = world.clients[role], []
    for route in ROUTES:
        if "logout" in route.name:
            continue
        for method in route.methods:
            values = {**NEUTRAL, **world.others}
            response = _call(client, route, method, {name: values[name] for name in route.parameters})
            complaint = _complaint(route, role, response)
            if complaint:
                failures.append(f"{method} {route.name}: {complaint}")
    assert "\n".join(failures) == ""


def _complaint(route: Route, role: str, response: Any) -> str:
    status = response.status_code
    if status >= 500:
        return f"server error {status}"
    if route.audience == "public":
        return f"public, but {status}" if status in {401, 403} else ""
    if role == "anonymous":
        to_sign_in = status == 302 and "/account/login/" in response.headers.get("Location", "")
        return "" if status in {401, 405} or to_sign_in else f"open to anybody ({status})"
    if not route.is_for(role):
        return "" if status in {403, 405} else f"open to {role} ({status})"
    if not route.owned and status in {401, 403}:
        return f"declared open to {role}, and yet {status}"
    if route.owned and role not in PLATFORM:
        return "" if status in {403, 404, 405, 422} else f"others' rows answer {status}"
    return ""


def test_others_rows_are_not_there(world: World) -> None:
    """Reading somebody else's award or key is 404 and not 403: that it exists is nobody's business."""
    for role in PEOPLE.keys() - PLATFORM:
        for route in ROUTES:
            if not route.owned or "GET" not in route.methods or route.roles:
                continue
            values = {**NEUTRAL, **world.others}
            response = _call(world.clients[role], route, "GET", {n: values[n] for n in route.parameters})
            assert response.status_code in {404, 405}, f"{role}: {route.name} answers {response.status_code}"


#: What pages and operations are asked by, words apart from numbers and dates; unknown names change nothing.
QUESTIONS = (
    "q search kind status model sort by book award next",
    "page size limit offset before after since until days",
    "export",
)


@pytest.mark.parametrize("value", ["\x00", "9" * 30, "-1", "%", "', '", "0001-01-01", "가\ud7ff"])
def test_strange_questions_get_an_answer(world: World, value: str) -> None:
    client, failures = world.clients["operator"], []
    client.raise_request_exception = False
    for route in ROUTES:
        if "GET" not in route.methods:
            continue
        path = route.path({name: {**NEUTRAL, **world.others}[name] for name in route.parameters})
        for names in QUESTIONS:
            with transaction.atomic():
                status = _closed(client.get(path, dict.fromkeys(names.split(), value))).status_code
                transaction.set_rollback(True)
            if status >= 500:
                failures.append(f"{route.name}: {status}")
    assert failures == []
