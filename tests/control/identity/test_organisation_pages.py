"""Pages of organisations: from founding to a colleague's first visit, what each reader is offered, and how long lists ask."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.control.foundation import samples
from tests.control.identity.organisations import (
    acting,
    administrator,
    document,
    founder,
    member,
    new_number,
    officer,
    verify,
)

from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.models import OutboxMail
from dure.control.identity import selectors, services
from dure.control.identity.models import Invitation, Organisation, OrganisationDocument, Person

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def browser(actor: Actor) -> Client:
    client = Client(headers={"Accept-Language": "en"})
    client.cookies["dure_language"] = "en"
    client.force_login(Person.objects.get(pk=actor.person_id), BACKEND)
    return client


def slug_of(actor: Actor) -> str:
    assert actor.organisation_id is not None
    return selectors.organisation(actor.organisation_id).slug


def form(**given: Any) -> dict[str, Any]:
    return {
        "registration_number": new_number(), "name_ko": "하늘랩", "name_en": "Haneul Labs", "kind": "startup",
        "size_class": "small", "founded_on": "2024-03-02", "region": "KR-11", **given,
    }  # fmt: skip


def test_two_people_found_and_verify_an_organisation_and_act_for_it() -> None:
    kim, clerk = founder("kim@example.kr", "김하늘"), browser(officer())
    visitor = browser(kim)
    home = visitor.get("/").content.decode()
    assert "Register an organisation" in home
    assert visitor.get("/organisations/own/").headers["Location"] == "/organisations/found/"
    answer = visitor.post("/organisations/found/", form())
    assert answer.headers["Location"] == "/organisations/haneul-labs/"
    page = visitor.get("/organisations/haneul-labs/").content.decode()
    assert "Hand in the business registration certificate" in page
    assert "Business registration number" in page

    upload = SimpleUploadedFile("certificate.pdf", samples.pdf())
    answer = visitor.post(
        "/organisations/haneul-labs/documents/add/", {"kind": "business_registration", "file": upload}
    )
    assert answer.headers["Location"] == "/organisations/haneul-labs/"
    assert "Ask to be verified" in visitor.get("/organisations/haneul-labs/").content.decode()
    visitor.post("/organisations/haneul-labs/verification/ask/")
    assert "haneul-labs" in clerk.get("/organisations/verifications/").content.decode()
    certificate = OrganisationDocument.objects.get()
    download = clerk.get(f"/organisations/haneul-labs/documents/{certificate.pk}/")
    assert b"".join(download.streaming_content) == samples.pdf()  # type: ignore[arg-type]
    for close in download._resource_closers:
        close()
    clerk.post("/organisations/haneul-labs/verification/accept/", {"reason": ""})
    assert Organisation.objects.get(slug="haneul-labs").verification_state == "verified"

    visitor.post("/organisations/haneul-labs/members/invite/", {
        "email": "lee@example.kr", "roles": ["developer"], "language": "en",
    })  # fmt: skip
    (mail,) = OutboxMail.objects.filter(to="lee@example.kr")
    link = re.search(r"(/invitations/\S+/)", mail.body)
    assert link is not None
    stranger = Client().get(link[1])
    assert (stranger.status_code, stranger.headers["Referrer-Policy"]) == (200, "strict-origin")
    assert "lee@example.kr" not in stranger.content.decode()
    lee = browser(founder("lee@example.kr", "이나래"))
    assert "Haneul Labs invites you" in lee.get("/").content.decode()
    assert "Accept" in lee.get(link[1]).content.decode()
    invitation = Invitation.objects.get()
    lee.post(f"/invitations/{invitation.pk}/answer/", {"answer": "accept"})
    assert "이나래" in visitor.get("/organisations/haneul-labs/members/").content.decode()
    assert lee.get("/organisations/own/").headers["Location"] == "/organisations/haneul-labs/"


def test_what_was_typed_stays_and_nothing_is_written() -> None:
    visitor = browser(founder())
    answer = visitor.post("/organisations/found/", form(registration_number="123-45-67890"))
    page = answer.content.decode()
    assert (answer.status_code, Organisation.objects.count()) == (422, 0)
    assert 'value="123-45-67890"' in page
    assert 'value="Haneul Labs"' in page
    assert "its last digit does not follow from the others" in page


@pytest.mark.parametrize("tail", ["", "members/", "documents/", "group/"])
def test_each_reader_is_offered_what_they_may_do(tail: str) -> None:
    boss = administrator()
    assert boss.organisation_id is not None
    verify(boss)
    viewer = member(boss.organisation_id, "viewer", email="viewer@example.kr")
    path = f"/organisations/{slug_of(boss)}/{tail}"
    verb = {"": "edit/", "members/": "invite/", "documents/": "add/", "group/": "declare/"}[tail]
    assert f'href="{path}{verb}"' in browser(boss).get(path).content.decode()
    assert f'href="{path}{verb}"' not in browser(viewer).get(path).content.decode()
    assert f'href="{path}{verb}"' not in browser(officer()).get(path).content.decode()
    assert browser(viewer).get(f"{path}{verb}").status_code == 404
    assert browser(administrator("stranger@example.kr")).get(path).status_code == 404


def test_members_and_lent_roles_are_changed_on_their_page() -> None:
    boss = administrator()
    assert boss.organisation_id is not None
    lee = member(boss.organisation_id, "viewer", email="lee@example.kr")
    visitor, here = browser(boss), f"/organisations/{slug_of(boss)}/members"
    until = (clock.now() + timedelta(days=3)).date().isoformat()
    visitor.post(f"{here}/{lee.person_id}/", {"roles": ["developer", "viewer"], "valid_until": until})
    (changed,) = [m for m in selectors.members_of(boss.organisation_id) if m.person.id == lee.person_id]
    assert changed.roles == ("developer", "viewer")
    assert f'value="{until}"' in visitor.get(f"{here}/{lee.person_id}/").content.decode()
    visitor.post(f"{here}/lend/", {
        "delegate": str(lee.person_id), "roles": ["administrator"], "valid_until": until, "reason": "leave",
    })  # fmt: skip
    assert acting(lee, boss.organisation_id).has("administrator")
    answer = visitor.post(f"{here}/{boss.person_id}/end/", {"reason": ""})
    assert (answer.status_code, "last administrator" in answer.content.decode()) == (409, True)
    visitor.post(f"{here}/{lee.person_id}/end/", {"reason": ""})
    assert not acting(lee, boss.organisation_id).has("administrator")


def test_connections_are_declared_confirmed_and_ended_on_their_page() -> None:
    boss, clerk = administrator(), browser(officer())
    assert boss.organisation_id is not None
    visitor, here = browser(boss), f"/organisations/{slug_of(boss)}/group"
    visitor.post(f"{here}/declare/", {
        "other_is": "owner", "other_name": "Holding", "kind": "share", "share": "66.67",
        "valid_from": "2024-01-01",
    })  # fmt: skip
    (link,) = selectors.links_of(boss.organisation_id)
    assert (link.share_bp, link.state) == (6_667, "declared")
    assert visitor.post(f"{here}/{link.id}/confirm/").status_code == 403
    clerk.post(f"{here}/{link.id}/confirm/")
    visitor.post(f"{here}/{link.id}/ask-end/", {"last_day": "2026-01-01"})
    assert "reported to end" in clerk.get("/organisations/verifications/").content.decode()
    clerk.post(f"{here}/{link.id}/end/", {"last_day": "2026-01-01", "reason": "sold"})
    (link,) = selectors.links_of(boss.organisation_id)
    assert (link.shown_state, link.valid_until) == ("ended", date(2026, 1, 1))


def test_the_officers_list_is_searched_filtered_and_taken_along() -> None:
    administrator(name_ko="하늘랩", region="KR-11")
    other = administrator("other@example.kr", name_ko="=1+1 바다", region="KR-26", kind="sme")
    clerk = browser(officer())
    number = selectors.profile(other.organisation_id).registration_number  # type: ignore[arg-type]
    for query in ("region=KR-26", "q=바다", f"q={number}", "kind=sme"):
        page = clerk.get(f"/organisations/?{query}").content.decode()
        assert ("바다" in page, "하늘랩" in page) == (True, False)
    assert "No organisation matches" in clerk.get("/organisations/?q=없음").content.decode()
    answer = clerk.get("/organisations/?kind=sme&export=csv")
    table = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[arg-type]
    assert table[0].startswith("slug,name_ko,name_en,registration_number,kind")
    assert (len(table), "'=1+1" in table[1]) == (2, True)


@pytest.mark.parametrize("count", [1, 30])
def test_long_lists_ask_as_little_as_short_ones(count: int) -> None:
    boss = administrator()
    assert boss.organisation_id is not None
    for number in range(count):
        row = Organisation.objects.create(
            slug=f"o{number}", kind="startup", name_ko=str(number), name_en=str(number),
            verification_state="asked", verification_asked_at=clock.now(),
        )  # fmt: skip
        document(row.pk, "other")
        document(boss.organisation_id, "other", state="accepted")
        services.invite(
            actor=boss, organisation_id=boss.organisation_id, email=f"p{number}@example.kr", roles=["viewer"]
        )
    clerk, visitor, slug = browser(officer()), browser(boss), slug_of(boss)
    for client, path in (
        *((clerk, "/organisations/"), (clerk, "/organisations/verifications/")),
        *((visitor, f"/organisations/{slug}/{tail}") for tail in ("", "members/", "documents/", "group/")),
    ):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        assert len(queries) <= 30, path
