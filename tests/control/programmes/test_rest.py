"""The rooms over REST: who is let in, what goes in and out, and that others' rows are not there."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from tests.control.programmes.conftest import SYSTEM, World, won

from dure.contracts.ids import uuid7
from dure.control.catalogue import services as catalogue_services
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services
from dure.control.identity.selectors import OrganisationView

DOCUMENT = """\
version: 1
models:
  - name: nuri-7b
    provider: nuri
    context_length: 8192
    max_output_tokens: 2048
    prices: [{effective_from: 2026-01-01, input: 120, output: 480}]
    deployments: [{name: seoul, base_url: https://models.nuri.example, credential: env:NURI}]
"""

type Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call(world: World) -> Callable[..., Call]:
    """A REST client for a person of an organisation with some roles; without one, for nobody."""

    def caller(organisation: OrganisationView | None = None, *roles: str) -> Call:
        headers = {}
        if organisation:
            email = f"{'-'.join(roles)}@{organisation.slug}.example"
            person = identity_services.add_person(actor=SYSTEM, email=email, name="누구")
            identity_services.add_membership(
                actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=list(roles)
            )
            actor = identity.actor_for(person_id=person.id)
            _, token = identity_services.issue_token(actor=actor, name="test")
            headers["Authorization"] = f"Bearer {token}"

        def send(method: str, path: str, body: object = None) -> tuple[int, Any]:
            response = Client(headers=headers).generic(
                method, f"/api/v1{path}", json.dumps(body) if body is not None else "", "application/json"
            )
            return response.status_code, response.json()

        return send

    return caller


def test_from_a_programme_to_a_key_and_back(world: World, call: Callable[..., Call]) -> None:
    officer, developer = call(world.ministry, "officer"), call(world.haneul, "developer")
    chosen = str(uuid7())
    asked = {"slug": "second", "name_ko": "둘째 사업", "krw": 1_000_000, "id": chosen}
    assert [officer("POST", "/programmes", asked)[0] for _ in range(2)] == [201, 200]

    grant = {"programme": "second", "organisation": "haneul", "krw": 600_000, "id": str(uuid7())}
    status, award = officer("POST", "/awards", grant)
    assert (status, award["remaining_micro_won"]) == (201, won(600_000))
    assert officer("POST", "/awards", grant)[0] == 200
    status, refusal = officer("POST", "/awards", grant | {"id": str(uuid7())})
    assert (status, refusal["error"]["code"], refusal["error"]["field"]) == (
        409,
        "appropriation_exceeded",
        "krw",
    )

    status, key = developer("POST", f"/awards/{award['id']}/keys", {"name": "서버"})
    assert status == 201
    status, successor = developer("POST", f"/keys/{key['id']}/rotate", {"overlap_seconds": 3600})
    assert (status, successor["replaces_id"]) == (201, key["id"])
    assert [one["state"] for one in developer("GET", f"/awards/{award['id']}/keys")[1]] == [
        "active",
        "replaced",
    ]
    assert officer("POST", f"/keys/{successor['id']}/revoke", {"reason": "유출"})[1]["state"] == "revoked"

    assert officer("POST", f"/awards/{award['id']}/end", {"reason": "끝"})[1]["state"] == "closed"
    status, programme = call()("GET", "/programmes/second")
    assert (status, programme["left_to_grant_micro_won"]) == (200, won(1_000_000))


def test_the_catalogue_over_rest(world: World, call: Callable[..., Call]) -> None:
    manager, public = call(world.nuri, "provider_manager"), call()
    status, told = manager("POST", "/catalogue", {"document": DOCUMENT})
    assert (status, told["error"]["data"]["problems"][0]["line"]) == (422, 8)
    without = DOCUMENT.replace(", credential: env:NURI", "")
    status, told = manager("POST", "/catalogue", {"document": without, "dry_run": True})
    assert (status, len(told["changes"]), public("GET", "/models")[1]) == (200, 3, [])
    catalogue_services.apply(actor=SYSTEM, document=DOCUMENT)
    assert manager("POST", "/catalogue", {"document": DOCUMENT})[0] == 200, "what stands may stay"
    (model,) = public("GET", "/models")[1]
    assert (model["name"], model["callable"], model["price"]["meters"]["input"]) == (
        "nuri-7b",
        True,
        120_000_000,
    )
    assert public("GET", "/models/nuri-7b/deployments")[0] == 401
    assert call(world.haneul, "developer")("GET", "/models/nuri-7b/deployments")[1][0]["credential"] == ""
    status, told = manager("POST", "/catalogue", {"document": DOCUMENT.replace("8192", "x")})
    assert status == 422
    assert told["error"]["data"]["problems"][0]["field"] == "models[0].context_length"
    assert told["error"]["data"]["problems"][0]["line"] == 5
    assert manager("POST", "/catalogue", {"document": {"version": 1, "models": [{"name": 7}]}})[0] == 422
    status, told = manager(
        "PUT", "/models/nuri-7b/deployments/seoul/address", {"base_url": "http://127.0.0.1:9"}
    )
    assert (status, told) == (200, {"changed": True})


def test_who_is_let_in(world: World, call: Callable[..., Call]) -> None:
    award = world.grant()
    nobody, stranger, provider, viewer = (
        call(),
        call(world.garam, "administrator"),
        call(world.nuri, "provider_manager"),
        call(world.haneul, "viewer"),
    )
    for path in ("/awards", f"/awards/{award.id}", f"/awards/{award.id}/keys"):
        assert nobody("GET", path)[0] == 401
    for caller in (stranger, provider):
        assert caller("GET", f"/awards/{award.id}")[0] == 404
        assert caller("GET", f"/awards/{award.id}/keys")[0] == 404
        assert caller("GET", "/awards")[1]["items"] == []
        assert (
            caller("POST", "/awards", {"programme": "hyperscale", "organisation": "garam", "krw": 1})[0]
            == 403
        )
    assert stranger("POST", f"/awards/{award.id}/keys", {})[0] == 404
    assert viewer("GET", f"/awards/{award.id}")[0] == 200
    assert viewer("POST", f"/awards/{award.id}/keys", {})[0] == 403
    assert nobody("POST", "/catalogue", {"document": DOCUMENT})[0] == 401
    assert viewer("POST", "/catalogue", {"document": DOCUMENT})[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/awards", {"programme": "hyperscale", "organisation": "haneul", "krw": "many"}, 422),
        ("POST", "/awards", {"programme": "hyperscale", "organisation": "haneul", "krw": 10**40}, 422),
        ("POST", "/awards", {"programme": "hyperscale", "organisation": "haneul", "krw": -1}, 422),
        ("POST", "/awards", {"programme": "x\x00", "organisation": "haneul", "krw": 1}, 422),
        ("POST", "/awards", {"programme": "hyperscale", "organisation": "\ud800", "krw": 1}, 400),
        ("POST", "/awards", [], 422),
        ("POST", "/programmes", {"slug": "A B", "name_ko": "x", "krw": 1}, 422),
        ("POST", "/programmes", {"slug": "x", "name_ko": "a\x00", "krw": 1}, 422),
        ("POST", "/awards/nothing/end", {"reason": "x"}, 422),
        ("GET", "/awards?order=colour", None, 422),
        ("GET", "/awards?page=-5&page_size=0", None, 200),
        ("GET", "/awards?page=99999999999999999999", None, 200),
        ("GET", "/programmes/nothing", None, 404),
        ("GET", "/models/nothing", None, 404),
    ],
)
def test_wrong_input_is_an_error_by_name(
    world: World, call: Callable[..., Call], method: str, path: str, body: object, status: int
) -> None:
    got, told = call(world.ministry, "officer")(method, path, body)
    assert got == status
    assert status == 200 or told["error"]["code"]


def test_limits_are_read_and_changed(world: World, call: Callable[..., Call]) -> None:
    officer, developer = call(world.ministry, "officer"), call(world.haneul, "developer")
    award = world.grant()
    status, limits = officer(
        "PATCH", f"/awards/{award.id}/limits", {"requests_per_minute": 60, "networks": ["10.0.0.0/8"]}
    )
    assert (status, limits["requests_per_minute"], limits["networks"]) == (200, 60, ["10.0.0.0/8"])
    officer("PATCH", f"/awards/{award.id}/limits", {"requests_per_minute": None})
    status, limits = developer("GET", f"/awards/{award.id}/limits")
    assert (status, limits["requests_per_minute"], limits["networks"]) == (200, None, ["10.0.0.0/8"])
    assert developer("PATCH", f"/awards/{award.id}/limits", {"concurrency": 1})[0] == 403
    assert officer("PATCH", f"/awards/{award.id}/limits", {"concurrency": 0})[0] == 422

    asked = {"name": "batch", "valid_from": "2026-01-01T00:00:00", "limits": {"concurrency": 2}}
    status, key = developer("POST", f"/awards/{award.id}/keys", asked)
    assert (status, key["concurrency"], key["valid_from"]) == (201, 2, "2026-01-01T00:00:00+09:00")
    status, key = developer("PATCH", f"/keys/{key['id']}/limits", {"tokens_per_minute": 1_000})
    assert (status, key["concurrency"], key["tokens_per_minute"]) == (200, 2, 1_000)
    assert call(world.garam, "developer")("PATCH", f"/keys/{key['id']}/limits", {})[0] == 404


def test_sources_terms_and_own_contributions(world: World, call: Callable[..., Call]) -> None:
    officer, developer, public = call(world.ministry, "officer"), call(world.haneul, "developer"), call()
    assert officer("POST", "/sources", {"slug": "fund", "name_ko": "기금", "kind": "fund"})[0] == 201
    assert (
        officer("POST", "/sources", {"slug": "fund", "name_ko": "기금"})[1]["error"]["code"]
        == "source_exists"
    )
    more = {"krw": 500_000, "source": "fund"}
    assert officer("POST", "/programmes/hyperscale/appropriations", more)[0] == 201
    gpu = {"amount": 3_600, "unit": "GPU_SECOND", "source": "fund"}
    assert officer("POST", "/programmes/hyperscale/appropriations", gpu)[0] == 201
    mixed = officer("POST", "/programmes/hyperscale/appropriations", gpu | {"krw": 1})
    assert (mixed[0], mixed[1]["error"]["code"]) == (422, "amount_ambiguous")
    lines = public("GET", "/programmes/hyperscale/sources")[1]
    assert [(one["source"], one["unit"], one["left"]) for one in lines] == [
        ("ministry", "KRW", won(1_000_000)),
        ("fund", "KRW", won(500_000)),
        ("fund", "GPU_SECOND", 3_600),
    ]
    assert public("GET", "/programmes/hyperscale/appropriations")[1][0]["source"] == "fund"
    line = {"name_ko": "API 사용료", "krw": 700_000}
    assert officer("PUT", "/programmes/hyperscale/lines/api_use", line)[1]["left"] == won(700_000)
    own = {"due": "after", "rules": [{"size_class": "small", "share_bp": 1_000, "least_krw": 50}]}
    assert officer("PUT", "/programmes/hyperscale/own-contribution", own)[0] == 200
    assert public("GET", "/programmes/hyperscale/own-contribution")[1]["rules"][0]["share_bp"] == 1_000
    use = {"endpoints": ["embeddings"]}
    assert officer("PUT", "/programmes/hyperscale/eligible-use", use)[0] == 200
    assert public("GET", "/programmes/hyperscale/eligible-use")[1]["endpoints"] == ["embeddings"]

    granted = officer(
        "POST",
        "/awards",
        {
            "programme": "hyperscale", "organisation": "haneul", "krw": 900, "size_class": "small",
            "sources": {"fund": 300, "ministry": 600}, "line": "api_use",
        },
    )  # fmt: skip
    assert granted[0] == 201
    award = granted[1]
    assert (award["own_share_micro_won"], award["line"]) == (won(100), "api_use")
    confirmed = officer("POST", f"/awards/{award['id']}/own-contribution", {"krw": 100, "memo": "입금"})
    assert (confirmed[0], confirmed[1]["own_paid_micro_won"]) == (201, won(100))
    seen = developer("GET", f"/awards/{award['id']}/sources")[1]
    assert [(one["source"], one["put_in_micro_won"]) for one in seen] == [
        ("ministry", won(600)),
        ("fund", won(300)),
        (None, won(100)),
    ]
    assert developer("GET", f"/awards/{award['id']}/calls-by-source") == (200, [])
    assert developer("POST", f"/awards/{award['id']}/own-contribution", {})[0] == 403
    stranger = call(world.garam, "developer")
    for path in ("sources", "calls-by-source"):
        assert stranger("GET", f"/awards/{award['id']}/{path}")[0] == 404
    assert officer("POST", f"/awards/{award['id']}/end", {"reason": "끝"})[1][
        "own_returned_micro_won"
    ] == won(100)
    repaid = officer("POST", f"/awards/{award['id']}/own-contribution/repaid", {})
    assert repaid[0] == 200
    money = public("GET", "/sources/fund")[1]["programmes"]
    assert [(one["programme"], one["left"]) for one in money] == [
        ("hyperscale", won(500_000)),
        ("hyperscale", 3_600),
    ]


def test_money_is_passed_on_over_rest(world: World, call: Callable[..., Call]) -> None:
    officer = call(world.ministry, "officer")
    assert officer("POST", "/programmes", {"slug": "pilots", "name_ko": "실증", "krw": 1})[0] == 201
    asked = {"to": "pilots", "source": "ministry", "krw": 1_000, "id": str(uuid7())}
    assert officer("POST", "/programmes/hyperscale/pass-on", asked)[0] == 201
    again = officer("POST", "/programmes/hyperscale/pass-on", asked)
    assert (again[0], again[1]["appropriated_micro_won"]) == (200, won(1_001))
    assert officer("GET", "/programmes/pilots/appropriations")[1][0]["through"] == "hyperscale"
