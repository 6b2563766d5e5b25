"""Operators, officers and awards' own people: what each sees of a gateway that fell silent, and what they can do."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from tests.control.programmes.conftest import SYSTEM, World, make_world, won

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.control.catalogue import services as catalogue
from dure.control.catalogue.models import Deployment
from dure.control.foundation import clock, directory
from dure.control.identity import selectors as identity_selectors
from dure.control.identity import services as identity
from dure.control.identity.models import Person
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes.selectors import AwardView
from dure.control.settlement import selectors
from dure.control.settlement.models import GatewayProcess
from dure.control.settlement.operations import operations
from dure.control.settlement.services import verify_everything

pytestmark = pytest.mark.django_db

CATALOGUE = """\
version: 1
models:
  - name: nuri-7b
    provider: nuri
    context_length: 8192
    max_output_tokens: 2048
    prices: [{effective_from: 2026-01-01, input: 120, output: 480}]
    deployments: [{name: seoul, base_url: https://models.nuri.example}]
"""


def start(node: str, figures: dict[str, Any] | None = None) -> UUID:
    process = uuid7()
    with connection.cursor() as cursor:
        cursor.execute(gateway_api.START_PROCESS, [process, node, 1, "1.0"])
        cursor.execute(gateway_api.HEARTBEAT, [process, json.dumps(figures or {})])
    return process


def lease(process: UUID, award: AwardView, micro_won: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(gateway_api.LEASE, [process, award.id, uuid7(), micro_won])
        return int(cursor.fetchone()[0])


def silence(process: UUID) -> None:
    GatewayProcess.objects.filter(pk=process).update(last_seen_at=clock.now() - timedelta(minutes=3))


class Place:
    """A ministry with two officers and an operator, a start-up with an award, and a gateway that fell silent."""

    def __init__(self) -> None:
        self.world: World = make_world()
        catalogue.apply(actor=SYSTEM, document=CATALOGUE)
        self.award = self.world.grant(1_000)
        self.silent = start("busan-gw-1")
        self.held = lease(self.silent, self.award, won(10))
        silence(self.silent)
        self.running = start("seoul-gw-1", {"journal_healthy": True})
        ministry = self.world.ministry
        self.first, self.first_token = self._person(ministry, "first", "officer")
        self.second, self.second_token = self._person(ministry, "second", "officer")
        self.operator, self.operator_token = self._person(ministry, "operator", "operator")
        self.owner, self.owner_token = self._person(self.world.haneul, "owner", "developer")
        self.other, self.other_token = self._person(self.world.garam, "other", "developer")
        verify_everything()

    @staticmethod
    def _person(organisation: OrganisationView, name: str, role: str) -> tuple[Client, str]:
        person = identity.add_person(actor=SYSTEM, email=f"{name}@example.kr", name=name)
        identity.add_membership(
            actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=[role]
        )
        _, token = identity.issue_token(actor=identity_selectors.actor_for(person_id=person.id), name="test")
        client = Client()
        client.force_login(
            Person.objects.get(pk=person.id), backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        client.cookies["dure_language"] = "en"
        return client, token

    @property
    def page(self) -> str:
        return f"/operations/gateways/{self.silent}/"

    def rest(self, token: str, path: str, body: object = None) -> tuple[int, Any]:
        client = Client(headers={"Authorization": f"Bearer {token}"})
        if body is None:
            answer = client.get(f"/api/v1{path}")
        else:
            answer = client.post(f"/api/v1{path}", json.dumps(body), content_type="application/json")
        return answer.status_code, answer.json()


@pytest.fixture
def place(db: None) -> Place:
    return Place()


def codes(place: Place) -> list[str]:
    return [trouble.code for trouble in operations(actor=SYSTEM).troubles]


# What is seen


def test_what_waits_is_on_every_page_it_concerns(place: Place) -> None:
    sum_of_it = f"₩{place.held // 10**6:,}"
    for client, path in (
        (place.operator, "/operations/"),
        (place.operator, "/operations/live/"),
        (place.operator, place.page),
        (place.first, "/"),
        (place.first, place.page),
        (place.first, f"/awards/{place.award.id}/"),
        (place.owner, f"/awards/{place.award.id}/"),
        (place.owner, f"/awards/{place.award.id}/live/summary/"),
    ):
        text = client.get(path).text
        assert "busan-gw-1" in text, path
        assert sum_of_it in text, path
    korean = place.owner
    korean.cookies["dure_language"] = "ko"
    assert "게이트웨이 busan-gw-1의 응답을 기다립니다" in korean.get(f"/awards/{place.award.id}/").text


def test_nobody_elses_business(place: Place) -> None:
    assert place.owner.get(place.page).status_code == 403
    assert place.other.get(f"/awards/{place.award.id}/").status_code == 404
    assert place.rest(place.other_token, f"/awards/{place.award.id}/waiting")[0] == 404
    assert place.rest(place.owner_token, "/gateways")[0] == 403


def test_rest_tells_the_same(place: Place) -> None:
    status, own = place.rest(place.owner_token, f"/awards/{place.award.id}/waiting")
    assert status == 200
    assert [(one["node"], one["micro_won"], one["loss"]) for one in own] == [("busan-gw-1", place.held, None)]
    assert place.rest(place.first_token, "/gateways/waiting") == (200, own)
    _, gateways = place.rest(place.operator_token, "/gateways")
    assert {one["node"]: one["state"] for one in gateways} == {
        "busan-gw-1": "silent",
        "seoul-gw-1": "running",
    }
    _, one = place.rest(place.operator_token, f"/gateways/{place.silent}")
    assert one["escrow_micro_won"] == place.held
    status, report = place.rest(place.operator_token, "/operations")
    assert (status, [trouble["code"] for trouble in report["troubles"]]) == (200, ["escrow_waiting"])
    assert report["database"]["connections"] >= 1
    assert [route["model"] for route in report["routes"]] == ["nuri-7b"]


# What is wrong


def test_one_line_says_that_nothing_is_wrong(place: Place) -> None:
    GatewayProcess.objects.filter(pk=place.silent).update(last_seen_at=clock.now())
    assert codes(place) == []
    assert "Nothing is lost, late or overloaded." in place.operator.get("/operations/").text


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ({"journal_healthy": False}, "journal_unhealthy"),
        ({"journal_sequence": 9, "journal_unposted_seconds": 60}, "posting_late"),
        ({"directory_age_seconds": 60}, "directory_old"),
        ({"directory_unreadable": 2}, "directory_unreadable"),
        ({"loop_delay_ms": 900}, "gateway_overloaded"),
        ({"deployments": {"HERE": {"state": "open", "requests": 1, "errors": 1}}}, "route_failing"),
        ({"deployments": {"HERE": {"requests": 20, "errors": 15}}}, "route_failing"),
        ({"deployments": {"HERE": {"state": "unusable"}}}, "route_unusable"),
    ],
)
def test_each_trouble_is_told_with_what_to_do(place: Place, figures: dict[str, Any], code: str) -> None:
    GatewayProcess.objects.filter(pk=place.silent).update(last_seen_at=clock.now())
    deployment = str(Deployment.objects.get().pk)
    start("seoul-gw-2", json.loads(json.dumps(figures).replace("HERE", deployment)))
    assert codes(place) == [code]
    (trouble,) = operations(actor=SYSTEM).troubles
    assert trouble.text
    assert trouble.remedy
    for language in ("ko", "en"):
        place.operator.cookies["dure_language"] = language
        assert "seoul" in place.operator.get("/operations/").text


def test_without_a_gateway_that_is_said_first(place: Place) -> None:
    silence(place.running)
    assert codes(place) == ["no_gateway", "escrow_waiting", "gateway_silent"]


@pytest.mark.parametrize(
    "figures",
    [
        {"deployments": []},
        {
            "deployments": {
                "x": 3,
                "HERE": {"requests": "many", "first_byte_ms": [1, "two", 3], "total_ms": 5},
            }
        },
        {"journal_sequence": "9", "directory_version": None, "open_requests": {}, "first_byte_ms": "soon"},
        {"loop_delay_ms": "late", "directory_age_seconds": [], "journal_unposted_bytes": None},
    ],
)
def test_figures_of_another_release_break_nothing(place: Place, figures: dict[str, Any]) -> None:
    deployment = str(Deployment.objects.get().pk)
    process = start("seoul-gw-2", json.loads(json.dumps(figures).replace("HERE", deployment)))
    assert place.operator.get("/operations/").status_code == 200
    assert place.operator.get(f"/operations/gateways/{process}/").status_code == 200
    assert place.rest(place.operator_token, "/operations")[0] == 200


def test_routes_add_up_over_processes_and_show_the_slowest(place: Place) -> None:
    deployment = str(Deployment.objects.get().pk)
    for first_byte, state in (([10, 20, 30], "closed"), ([5, 50, 90], "half_open")):
        told = {"state": state, "requests": 7, "errors": 1, "outstanding": 2, "first_byte_ms": first_byte}
        start("seoul-gw-2", {"deployments": {deployment: told}})
    (route,) = operations(actor=SYSTEM).routes
    assert (route.state, route.requests, route.errors, route.outstanding) == ("half_open", 14, 2, 4)
    assert (route.first_byte_ms, route.total_ms) == ((10.0, 50.0, 90.0), ())


def test_a_directory_that_moves_on_is_told(place: Place) -> None:
    assert operations(actor=SYSTEM).directory_version == directory.version() > 0


# What is done


def test_two_officers_on_the_page(place: Place) -> None:
    refused = place.first.post(f"{place.page}loss/request/", {"reason": "  "})
    assert refused.status_code == 422
    assert "without a reason" in refused.text
    assert place.first.post(f"{place.page}loss/request/", {"reason": "burnt down"}).status_code == 302
    own = place.first.get(place.page).text
    assert "another officer has to confirm it" in own
    assert "Confirm and return the money" not in own
    assert place.first.post(f"{place.page}loss/confirm/").status_code == 409
    assert "first asks a second officer" in place.second.get("/").text
    assert "Confirm and return the money" in place.second.get(place.page).text
    done = place.second.post(f"{place.page}loss/confirm/", follow=True)
    assert f"₩{place.held // 10**6:,} is back in the awards (1 process)." in done.text
    assert "Declared lost; its money is back in the awards." in done.text
    award = place.owner.get(f"/awards/{place.award.id}/").text
    assert "Money returned from a lost gateway" in award
    assert "waits for the gateway" not in award
    assert codes(place) == []
    assert verify_everything().ok


def test_a_whole_node_is_decided_at_once(place: Place) -> None:
    other = start("busan-gw-1")
    lease(other, place.award, won(1))
    silence(other)
    alive = start("busan-gw-1")
    assert "All 2 silent processes of this node" in place.first.get(place.page).text
    asked = {"reason": "burnt down", "whole_node": "1"}
    assert place.first.post(f"{place.page}loss/request/", asked).status_code == 302
    assert place.second.post(f"{place.page}loss/confirm/", {"whole_node": "1"}).status_code == 302
    states = {one.id: one.state for one in selectors.gateway_processes(named="busan-gw-1")}
    assert states == {place.silent: "lost", other: "lost", alive: "running"}


def test_withdrawing_on_the_page(place: Place) -> None:
    place.first.post(f"{place.page}loss/request/", {"reason": "burnt down"})
    done = place.second.post(f"{place.page}loss/withdraw/", follow=True)
    assert "Nothing has moved." in done.text
    assert place.second.post(f"{place.page}loss/nonsense/").status_code == 404
    assert place.operator.post(f"{place.page}loss/request/", {"reason": "x"}).status_code == 403


def test_two_officers_over_rest(place: Place) -> None:
    path = f"/gateways/{place.silent}/loss"
    assert place.rest(place.operator_token, path, {"reason": "burnt down"})[0] == 403
    assert place.rest(place.first_token, f"{path}/confirm", {})[1]["error"]["code"] == "declaration_missing"
    status, asked = place.rest(place.first_token, path, {"reason": "burnt down"})
    assert (status, asked["state"], asked["waiting_micro_won"]) == (200, "requested", place.held)
    status, refused = place.rest(place.first_token, f"{path}/confirm", {})
    assert (status, refused["error"]["code"]) == (409, "second_officer_needed")
    assert place.rest(place.second_token, f"{path}/withdraw", {})[1]["state"] == "withdrawn"
    place.rest(place.second_token, path, {"reason": "burnt down indeed"})
    status, done = place.rest(place.first_token, f"{path}/confirm", {})
    assert (status, done["state"], done["returned_micro_won"]) == (200, "confirmed", place.held)
    _, one = place.rest(place.operator_token, f"/gateways/{place.silent}")
    assert (one["state"], one["loss"]["decided_by_name"]) == ("lost", "first")


# Unknown usage


def test_who_bears_what_is_unknown_is_told_in_both_languages(place: Place) -> None:
    page = f"/awards/{place.award.id}/"
    rules = {
        "en": (
            "The model is stopped; what had been delivered is charged and marked as estimated.",
            "The provider fails before answering",
            "We count, and mark it as estimated.",
            "a correction is added; nothing is rewritten.",
            "The provider counts more than was held",
            "Our gateway is lost",
        ),
        "ko": (
            "전달된 만큼만 추정으로 표시해 정산합니다",
            "답하기 전에 제공기업이 실패하면",
            "추정으로 표시합니다",
            "정정",
            "제공기업이 예약액보다 많이 세면",
            "게이트웨이를 잃으면",
        ),
    }
    for language, sentences in rules.items():
        place.owner.cookies["dure_language"] = language
        text = place.owner.get(page).text
        missing = [sentence for sentence in sentences if sentence not in text]
        assert missing == []
