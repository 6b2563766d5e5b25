"""Calls over REST: everything from a template to a published round, and what others may not."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.control.calls.conftest import FORM, RULES, STEPS, World, won

from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity import services as identity_services

type Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call(world: World) -> Callable[..., Call]:
    """A REST client for an actor; without one, for nobody."""

    def caller(actor: Actor | None = None) -> Call:
        headers = {}
        if actor:
            _, token = identity_services.issue_token(actor=actor, name="test")
            headers["Authorization"] = f"Bearer {token}"

        def send(method: str, path: str, body: object = None) -> tuple[int, Any]:
            response = Client(headers=headers).generic(
                method, f"/api/v1{path}", json.dumps(body) if body is not None else "", "application/json"
            )
            return response.status_code, response.json() if response.content else None

        return send

    return caller


def moments() -> dict[str, str]:
    now = clock.now()
    return {
        "opens_at": (now - timedelta(minutes=5)).isoformat(),
        "closes_at": (now + timedelta(days=40)).isoformat(),
    }


def test_from_a_template_to_a_published_round(world: World, call: Callable[..., Call]) -> None:
    officer, anybody = call(world.officer), call()
    status, made = officer(
        "POST", "/calls", {"template": "api_support", "slug": "api-2027", "programme": "hyperscale"}
    )
    assert (status, made["state"], made["kind"]) == (201, "draft", "api_support")
    round_id = made["rounds"][0]["id"]
    assert anybody("GET", "/calls/api-2027")[0] == anybody("GET", f"/rounds/{round_id}")[0] == 404

    status, problems = officer("GET", f"/rounds/{round_id}/problems")
    assert {one["code"] for one in problems if one["severity"] == "problem"} == {
        "date_missing",
        "budget_exceeds_programme",
    }
    status, refusal = officer("POST", f"/rounds/{round_id}/publish")
    assert (status, refusal["error"]["code"]) == (422, "round_not_ready")
    assert len(refusal["error"]["data"]["problems"]) == len(problems)

    status, changed = officer("PATCH", f"/rounds/{round_id}", moments() | {"budget_krw": 900_000_000})
    assert (status, changed["budget_micro_won"]) == (200, won(900_000_000))
    status, published = officer("POST", f"/rounds/{round_id}/publish")
    assert (status, published["phase"]) == (200, "open")

    status, seen = anybody("GET", f"/rounds/{round_id}")
    assert (status, seen["requirements"][0]["key"], bool(seen["form"]["sections"])) == (200, "verified", True)
    status, page = anybody("GET", "/calls?state=open&search=API")
    assert (status, page["total"], page["items"][0]["slug"]) == (200, 1, "api-2027")
    status, whole = anybody("GET", "/calls/api-2027")
    assert (status, whole["rounds"][0]["id"], whole["takes_questions"]) == (200, round_id, True)


def test_whom_it_fits_is_told_before_anything_is_written(world: World, call: Callable[..., Call]) -> None:
    round_ = world.published()
    status, found = call(world.applicant)("GET", f"/rounds/{round_.id}/fit")
    assert (status, found["summary"]) == (200, "unknown")
    assert [(one["key"], one["state"]) for one in found["findings"]] == [
        ("young", "unknown"),
        ("enterprise", "met"),
    ]
    assert call()("GET", f"/rounds/{round_.id}/fit")[0] == 401
    status, counts = call(world.officer)("POST", "/eligibility/matching", {"requirements": RULES})
    assert (status, counts["organisations"]) == (200, 4)
    assert call(world.applicant)("POST", "/eligibility/matching", {"requirements": RULES})[0] == 403


def test_contents_are_saved_with_their_base(world: World, call: Callable[..., Call]) -> None:
    officer = call(world.officer)
    world.call()
    assert officer("GET", "/calls/api-2026/contents/form")[1]["digest"] == ""
    status, first = officer("PUT", "/calls/api-2026/contents/form", {"content": FORM, "base": ""})
    assert (status, first["number"]) == (200, 1)
    status, refusal = officer("PUT", "/calls/api-2026/contents/form", {"content": FORM, "base": "other"})
    assert (status, refusal["error"]["code"]) == (409, "changed_meanwhile")
    status, refusal = officer("PUT", "/calls/api-2026/contents/rules", {"content": [{"key": "a"}]})
    assert (status, refusal["error"]["code"]) == (422, "rules_malformed")
    assert {one["path"] for one in refusal["error"]["data"]["mistakes"]} == {"[0].title", "[0].rule"}
    status, saved = officer("PUT", "/calls/api-2026/contents/steps", {"content": STEPS})
    assert (status, officer("GET", "/calls/api-2026/contents/steps")[1]["digest"]) == (200, saved["digest"])


def test_a_call_goes_out_as_a_document_and_comes_in_again(world: World, call: Callable[..., Call]) -> None:
    officer = call(world.officer)
    world.filled()
    world.round()
    status, document = officer("GET", "/call-documents/api-2026")
    assert status == 200
    document["call"]["slug"] = "again"
    status, made = officer("POST", "/call-documents", {"document": document})
    assert (status, made["slug"], len(made["rounds"])) == (201, "again", 1)
    assert officer("GET", "/call-documents/again")[1] == document
    assert call(world.applicant)("GET", "/call-documents/again")[0] == 403
    status, refusal = officer("POST", "/call-documents", {"document": {"version": 2, "rounds": [{"x": 1}]}})
    assert (status, refusal["error"]["code"]) == (422, "document_malformed")


def test_extending_closing_and_cancelling(world: World, call: Callable[..., Call]) -> None:
    officer = call(world.officer)
    round_ = world.published()
    assert round_.closes_at is not None
    later = (round_.closes_at + timedelta(days=2)).isoformat()
    status, refusal = officer("POST", f"/rounds/{round_.id}/extend", {"closes_at": later, "reason": ""})
    assert (status, refusal["error"]["code"], refusal["error"]["field"]) == (422, "reason_missing", "reason")
    status, extended = officer("POST", f"/rounds/{round_.id}/extend", {"closes_at": later, "reason": "눈"})
    assert (status, extended["extensions"][0]["reason"]) == (200, "눈")
    assert officer("POST", f"/rounds/{round_.id}/close", {})[1]["error"]["code"] == "round_still_open"
    assert officer("DELETE", "/calls/api-2026")[1]["error"]["code"] == "call_is_published"
    status, cancelled = officer("POST", "/calls/api-2026/cancel", {"reason": "사정"})
    assert (status, cancelled["state"]) == (200, "cancelled")


def test_questions_are_answered_in_public(world: World, call: Callable[..., Call]) -> None:
    officer, applicant, anybody = call(world.officer), call(world.applicant), call()
    world.published()
    status, asked = applicant("POST", "/calls/api-2026/questions", {"text": "됩니까?"})
    assert (status, asked["mine"]) == (201, True)
    assert anybody("GET", "/calls/api-2026/questions")[1]["items"] == []
    assert anybody("GET", f"/questions/{asked['id']}")[0] == 404
    assert [one["id"] for one in officer("GET", "/questions")[1]["items"]] == [asked["id"]]
    assert applicant("POST", f"/questions/{asked['id']}/answer", {"answer_ko": "네"})[0] == 403
    assert officer("POST", f"/questions/{asked['id']}/answer", {"answer_ko": "네"})[0] == 200
    (seen,) = anybody("GET", "/calls/api-2026/questions")[1]["items"]
    assert (seen["answer_ko"], seen["organisation_id"], seen["organisation_name"]) == ("네", None, "")


def test_files_come_and_go(world: World, call: Callable[..., Call]) -> None:
    world.filled()
    _, token = identity_services.issue_token(actor=world.officer, name="test")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    sent = SimpleUploadedFile("표.csv", b"name,sum\na,1\n", "text/csv")
    answer = client.post("/api/v1/calls/api-2026/attachments", {"file": sent, "title_ko": "산출표"})
    assert (answer.status_code, answer.json()["title_ko"]) == (201, "산출표")
    path = f"/api/v1/call-attachments/{answer.json()['id']}"
    assert Client().get(path).status_code == 404
    got = client.get(path)
    assert (got.status_code, b"".join(got.streaming_content)) == (200, b"name,sum\na,1\n")  # type: ignore[attr-defined]
    assert client.delete(path, "{}", content_type="application/json").status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/calls?page=-1&page_size=0&closing_within_days=-5", None),
        ("GET", "/calls?page=9223372036854775807", None),
        ("GET", "/calls?closing_within_days=999999999999999999", None),
        ("GET", "/calls/%00", None),
        ("POST", "/calls", {"slug": "\x00", "programme": "\x00", "kind": "\x00", "name_ko": "\x00"}),
        ("POST", "/calls/api-2026/rounds", {"opens_at": "0001-01-01T00:00:00+14:00"}),
        ("POST", "/calls/api-2026/rounds", {"closes_at": "9999-12-31T23:59:59-12:00"}),
        ("POST", "/calls/api-2026/rounds", {"budget_krw": 10**30}),
        ("POST", "/calls/api-2026/rounds", {"budget_krw": None, "name_ko": None}),
        ("PUT", "/calls/api-2026/contents/steps", {"content": [[[[]]]]}),
        (
            "PUT",
            "/calls/api-2026/contents/form",
            {"content": {"sections": [{"key": "a", "title": "\u0000"}]}},
        ),
        ("PUT", "/calls/api-2026/contents/rules", {"content": "x" * 300_000}),
        ("POST", "/call-documents", {"document": {"version": 1, "call": {"slug": [], "name": 3}}}),
        ("POST", "/call-documents", {"document": {"version": 1, "call": None, "rounds": {}}}),
        ("POST", "/eligibility/matching", {"requirements": [None]}),
        ("POST", "/calls/api-2026/copy", {"slug": "later", "years": 20}),
    ],
)
def test_strange_input_is_answered(
    world: World, call: Callable[..., Call], method: str, path: str, body: object
) -> None:
    officer = call(world.officer)
    world.filled()
    assert officer(method, path, body)[0] < 500


def test_two_versions_are_compared(world: World, call: Callable[..., Call]) -> None:
    world.published()
    officer = call(world.officer)
    assert officer("PUT", "/calls/api-2026/contents/rules", {"content": RULES[:1]})[0] == 200
    status, found = officer("GET", "/calls/api-2026/comparisons/rules?old=1&new=2")
    assert (status, found["old"]["name"], found["new"]["name"]) == (200, "1", "2")
    assert [(one["key"], one["change"]) for one in found["differences"]] == [("enterprise", "removed")]
    status, refused = officer("GET", "/calls/api-2026/comparisons/rules?old=7")
    assert (status, refused["error"]["code"]) == (422, "version_unknown")
    assert call(world.stranger)("GET", "/calls/api-2026/comparisons/rules")[0] == 404
