"""The life of an organisation over REST alone, by tokens."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.control.foundation import samples
from tests.control.identity.organisations import administrator, founder, new_number, officer, person

from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity import selectors, services
from dure.control.identity.models import Organisation
from dure.control.identity.organisation_selectors import today as seoul_today
from dure.control.programmes import services as programmes

pytestmark = pytest.mark.django_db


class Caller:
    """Somebody with a token for the organisation they act for."""

    def __init__(self, actor: Actor) -> None:
        secret = services.issue_token(actor=actor, name="test")[1]
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = self.client.generic(
            method,
            f"/api/v1/{path}",
            b"" if body is None else json.dumps(body, default=str),
            content_type="application/json",
        )
        return answer.status_code, answer.json() if answer.content else None

    def upload(self, path: str, **fields: Any) -> tuple[int, Any]:
        answer = self.client.post(f"/api/v1/{path}", fields)
        return answer.status_code, answer.json()


def test_from_founding_to_a_verified_organisation_with_two_people() -> None:
    someone, clerk = founder("kim@example.kr", "김하늘"), Caller(officer())
    number = new_number()
    body = {
        "registration_number": number, "name_ko": "하늘랩", "kind": "startup", "size_class": "small",
        "founded_on": "2024-03-02", "region": "KR-11",
    }  # fmt: skip
    status, founded = Caller(someone)("POST", "me/organisations", body)
    assert (status, founded["slug"], founded["verification_state"]) == (201, "haneullaep", "unverified")
    assert someone.person_id is not None
    kim = Caller(selectors.actor_for(person_id=someone.person_id))
    here = f"organisations/{founded['slug']}"
    status, refused = kim("POST", f"{here}/verification")
    assert (status, refused["error"]["code"]) == (409, "business_registration_missing")

    file = SimpleUploadedFile("사업자등록증.pdf", samples.pdf())
    status, document = kim.upload(f"{here}/documents", kind="business_registration", file=file)
    assert (status, document["state"], document["media_type"]) == (201, "asked", "application/pdf")
    assert kim("POST", f"{here}/verification")[1]["verification_state"] == "asked"
    assert clerk("GET", "verifications")[1]["items"][0]["slug"] == "haneullaep"
    assert clerk("GET", "verifications/waiting")[1] == {"organisations": 1, "documents": 0, "links": 0}
    status, verified = clerk("POST", f"{here}/verification/accept", {})
    assert (status, verified["verification_state"]) == (200, "verified")
    assert kim("GET", f"{here}/documents")[1][0]["state"] == "accepted"

    status, invitation = kim(
        "POST", f"{here}/invitations", {"email": "lee@example.kr", "roles": ["developer"]}
    )
    assert (status, invitation["state"]) == (201, "open")
    lee = Caller(founder("lee@example.kr", "이나래"))
    assert [one["id"] for one in lee("GET", "me/invitations")[1]] == [invitation["id"]]
    status, membership = lee("POST", f"me/invitations/{invitation['id']}/accept")
    assert (status, membership["roles"]) == (200, ["developer"])
    assert [one["person"]["name"] for one in kim("GET", f"{here}/members")[1]] == ["김하늘", "이나래"]


def test_a_profile_is_changed_in_parts_and_refusals_name_the_field() -> None:
    boss = Caller(administrator())
    slug = Organisation.objects.get(registration_number__isnull=False).slug
    assert boss("PATCH", f"organisations/{slug}/profile", {"employees": 7})[1]["employees"] == 7
    status, refused = boss("PATCH", f"organisations/{slug}/profile", {"registration_number": "123-45-67890"})
    assert (status, refused["error"]["code"], refused["error"]["field"]) == (
        422,
        "registration_number_check_digit",
        "registration_number",
    )
    assert boss("GET", f"organisations/{slug}/profile")[1]["employees"] == 7


def test_connections_members_and_roles_lent() -> None:
    actor = administrator()
    boss, clerk = Caller(actor), Caller(officer())
    slug = selectors.profile(actor.organisation_id).slug  # type: ignore[arg-type]
    here = f"organisations/{slug}"
    status, link = boss(
        "POST", f"{here}/ownership-links", {"other_is": "owner", "other_name": "지주", "share_bp": 6_000}
    )
    assert (status, link["state"]) == (201, "declared")
    assert boss("POST", f"ownership-links/{link['id']}/confirm")[0] == 403
    assert clerk("POST", f"ownership-links/{link['id']}/confirm")[1]["state"] == "confirmed"
    assert boss("GET", f"{here}/group")[1] == {"size": 1, "organisations": []}
    today = seoul_today().isoformat()
    assert clerk("POST", f"ownership-links/{link['id']}/end", {"last_day": today})[1]["valid_until"] == today

    lee = person("lee@example.kr", "이나래")
    services.add_membership(
        actor=Actor.system("test"),
        person_id=lee,
        organisation_id=actor.organisation_id,  # type: ignore[arg-type]
        roles=["viewer"],
    )
    assert boss("PUT", f"{here}/members/{lee}", {"roles": ["developer", "viewer"]})[1]["roles"] == [
        "developer",
        "viewer",
    ]
    until = (clock.now() + timedelta(days=3)).isoformat()
    body = {"delegate_id": str(lee), "roles": ["administrator"], "valid_until": until, "reason": "휴가"}
    status, lent = boss("POST", f"{here}/delegations", body)
    assert (status, lent["state"], lent["delegate_name"]) == (201, "in_force", "이나래")
    assert boss("DELETE", f"delegations/{lent['id']}")[1]["state"] == "revoked"
    assert boss("DELETE", f"{here}/members/{lee}")[0] == 204
    status, refused = boss("DELETE", f"{here}/members/{actor.person_id}")
    assert (status, refused["error"]["code"]) == (409, "last_administrator")


def test_lists_are_for_those_who_serve_the_platform() -> None:
    boss, clerk = Caller(administrator()), Caller(officer())
    assert boss("GET", "organisation-profiles")[0] == 403
    status, page = clerk("GET", "organisation-profiles?search=하늘&kind=startup&sort=newest")
    assert (status, page["total"], page["items"][0]["name_ko"]) == (200, 1, "하늘랩")
    assert clerk("GET", "organisation-profiles?search=없는이름")[1]["total"] == 0


def test_programme_roles_are_given_listed_and_taken() -> None:
    clerk, lee = Caller(officer()), founder("lee@example.kr")
    programme = programmes.add_programme(
        actor=officer(), slug="ai-2027", name_ko="사업", krw_micro_won=10**9
    ).programme.id
    body = {"person_id": str(lee.person_id), "programme_id": str(programme), "role": "reviewer"}
    status, given = clerk("POST", "programme-roles", body)
    assert (status, given["role"]) == (201, "reviewer")
    assert [one["id"] for one in Caller(lee)("GET", "me/programme-roles")[1]] == [given["id"]]
    assert Caller(lee)("GET", f"programme-roles?programme_id={programme}")[0] == 403
    assert clerk("POST", f"programme-roles/{given['id']}/take", {"reason": "끝"})[0] == 200
    assert clerk("GET", f"programme-roles?programme_id={programme}")[1] == []
