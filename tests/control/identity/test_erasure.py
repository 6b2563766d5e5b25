"""Being forgotten: what tells who somebody is goes everywhere, and the books and the audit trail still add up."""

import json
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.db import connection
from django.test import Client

from dure.control.access import services as access
from dure.control.foundation import audit, clock, notices, outbox, wording
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, DureError, Forbidden, NotFound
from dure.control.foundation.models import AuditEvent, Notice, OutboxMail
from dure.control.identity import account_selectors, personal_data, privacy, selectors, services
from dure.control.identity.models import (
    Consent,
    ErasureRequest,
    Invitation,
    Membership,
    OpenSession,
    Person,
    PersonalAccessToken,
    SignIn,
)
from dure.control.programmes import services as programmes

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
EMAIL, NAME, PASSWORD = "kim@example.kr", "김유일무이", "거북이-열두-마리-간다"


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


def person(email: str = EMAIL, name: str = NAME) -> Any:
    return services.add_person(actor=SYSTEM, email=email, name=name, password=PASSWORD)


def organisation(slug: str = "haneul", kind: str = "startup") -> Any:
    return services.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=slug)


def join(who: Any, where: Any, *roles: str) -> Actor:
    services.add_membership(actor=SYSTEM, person_id=who.id, organisation_id=where.id, roles=list(roles))
    return selectors.actor_for(person_id=who.id, organisation_id=where.id)


def busy_person() -> tuple[Any, Actor]:
    """Somebody who has left traces in every table that keeps any."""
    kim, haneul = person(), organisation()
    ministry = organisation("msit", "ministry")
    actor = join(kim, haneul, "administrator", "developer")
    programmes.add_programme(
        actor=SYSTEM, slug="programme", name_ko="사업", krw_micro_won=10**12, agency_slug=ministry.slug
    )
    award = programmes.grant_award(
        actor=SYSTEM, programme_slug="programme", organisation_slug="haneul", micro_won=10**9
    ).award
    access.issue_key(actor=actor, award_id=award.id, name="운영 서버")
    services.issue_token(actor=actor, name="script")
    services.remember_consent(person_id=kim.id, language="ko")
    services.update_profile(actor=actor, name=NAME, language="en")
    texts = {"title": "Told", "text": f"To {NAME}", "action": "Open"}
    notices.tell(
        to=[kim],
        path="/awards/",
        dedupe_key="told",
        **{name: wording.verbatim(t) for name, t in texts.items()},
    )
    client = Client(headers={"User-Agent": "Firefox/140.0"})
    client.post("/account/login/", {"login": EMAIL, "password": "wrong-password-1"})
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    client.post("/account/", {"name": NAME, "language": "ko"})
    return kim, actor


def whole_database() -> str:
    """Every row of every table of ours, as text."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        names = [name for (name,) in cursor.fetchall()]
        rows = []
        for name in names:
            cursor.execute(f'SELECT t::text FROM "{name}" t')
            rows += [row for (row,) in cursor.fetchall()]
    return "\n".join(rows)


def test_nothing_in_the_database_tells_who_an_erased_person_was() -> None:
    kim, _actor = busy_person()
    assert NAME in whole_database()
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    outbox.deliver()
    services.forget_mail()
    left = whole_database()
    assert [secret for secret in (NAME, EMAIL, "127.0.0.1", "Firefox") if secret in left] == []


def test_the_books_and_the_trail_still_add_up() -> None:
    kim, _actor = busy_person()
    before = AuditEvent.objects.filter(person_id=kim.id).count()
    assert before > 2
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    assert audit.first_difference() is None
    assert AuditEvent.objects.filter(person_id=kim.id).count() == before
    assert Person.objects.get().name == audit.pseudonym(kim.id)


def test_who_did_something_is_shown_by_the_name_they_have_then() -> None:
    kim, actor = busy_person()
    told = audit.events_for("person", kim.id)[-1]
    assert told.actor_name == "test"
    assert {event.actor_name for event in audit.events_for("person", kim.id) if event.person_id} == {NAME}
    assert set(AuditEvent.objects.filter(person_id=kim.id).values_list("actor_name", flat=True)) == {""}
    services.update_profile(actor=actor, name="김새이름", language="ko")
    assert audit.events_for("person", kim.id)[0].actor_name == "김새이름"
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    shown = {event.actor_name for event in audit.events_for("person", kim.id) if event.person_id}
    assert shown == {audit.pseudonym(kim.id)}


def test_everything_that_opens_a_door_is_gone() -> None:
    kim, _actor = busy_person()
    client = Client()
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    assert client.get("/account/").status_code == 302
    assert Client().post("/account/login/", {"login": EMAIL, "password": PASSWORD}).status_code == 200
    gone = (PersonalAccessToken, OpenSession, SignIn, Consent, EmailAddress, Notice)
    assert [model.objects.count() for model in gone] == [0] * len(gone)
    row = Person.objects.get()
    assert (row.is_active, row.has_usable_password(), row.email_verified_at) == (False, False, None)
    assert selectors.memberships_of(kim.id) == []
    assert Membership.objects.count() == 1


def test_the_address_can_be_registered_anew() -> None:
    kim = person()
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    assert person().id != kim.id


def test_somebody_with_the_same_name_keeps_it() -> None:
    kim, _actor = busy_person()
    namesake = person("other@example.kr")
    actor = join(namesake, selectors.organisation("haneul"), "developer")
    award = programmes_award()
    theirs = access.issue_key(actor=actor, award_id=award, name="theirs").key.id
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    from dure.control.access.models import ApiKey

    names = dict(ApiKey.objects.values_list("pk", "created_by_name"))
    assert names.pop(theirs) == NAME
    assert set(names.values()) == {audit.pseudonym(kim.id)}
    assert selectors.person(namesake.id).name == NAME


def programmes_award() -> Any:
    from dure.control.programmes.models import Award

    return Award.objects.get().pk


def test_an_invitation_to_the_address_is_forgotten_too() -> None:
    boss, haneul = person("boss@example.kr", "사장"), organisation()
    actor = join(boss, haneul, "administrator")
    services.invite(actor=actor, organisation_id=haneul.id, email=EMAIL, roles=["viewer"])
    kim = person()
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    assert [(row.state, "erased.invalid" in row.email) for row in Invitation.objects.all()] == [
        ("revoked", True)
    ]


def test_a_wish_waits_and_can_be_taken_back() -> None:
    kim, actor = busy_person()
    asked = services.ask_erasure(actor=actor)
    assert asked.due_at - asked.asked_at == privacy.ERASURE_GRACE
    assert services.ask_erasure(actor=actor) == asked
    assert services.erase_due() == 0
    services.withdraw_erasure(actor=actor)
    with pytest.raises(NotFound):
        services.withdraw_erasure(actor=actor)
    assert account_selectors.erasure_of(kim.id) is None
    ErasureRequest.objects.update(due_at=clock.now() - timedelta(days=1))
    assert services.erase_due() == 0
    assert selectors.person(kim.id).name == NAME


def test_when_the_days_are_over_it_is_done_once() -> None:
    kim, actor = busy_person()
    services.ask_erasure(actor=actor)
    ErasureRequest.objects.update(due_at=clock.now())
    assert (services.erase_due(), services.erase_due()) == (1, 0)
    assert ErasureRequest.objects.get().state == "done"
    with pytest.raises(NotFound):
        services.erase_person(actor=SYSTEM, person_id=kim.id)
    farewell = OutboxMail.objects.get()
    assert (farewell.to, farewell.subject) == (EMAIL, "두레 계정을 삭제했습니다")


def test_the_grace_is_within_what_the_law_allows() -> None:
    assert timedelta(0) < privacy.ERASURE_GRACE <= timedelta(days=10)


def test_the_only_administrator_of_others_names_another_first() -> None:
    kim, haneul = person(), organisation()
    actor = join(kim, haneul, "administrator")
    lee = person("lee@example.kr", "이")
    join(lee, haneul, "developer")
    with pytest.raises(Conflict) as refused:
        services.ask_erasure(actor=actor)
    assert (refused.value.code, refused.value.data) == ("last_administrator", {"organisations": ["haneul"]})
    join(lee, haneul, "administrator")
    services.ask_erasure(actor=actor)


def test_a_sole_founder_is_erased_and_the_organisation_stays() -> None:
    kim, haneul = person(), organisation()
    services.ask_erasure(actor=join(kim, haneul, "administrator"))
    services.erase_person(actor=SYSTEM, person_id=kim.id)
    assert selectors.organisation("haneul").active


def test_operators_hear_of_an_organisation_that_nobody_administers_any_more() -> None:
    kim, haneul = person(), organisation()
    actor = join(kim, haneul, "administrator")
    services.ask_erasure(actor=actor)
    join(person("lee@example.kr", "이"), haneul, "developer")
    operator = person("operator@example.kr", "운영자")
    join(operator, organisation("msit", "ministry"), "operator")
    ErasureRequest.objects.update(due_at=clock.now())
    services.erase_due()
    assert (
        Notice.objects.filter(person_id=operator.id, dedupe_key__startswith="no-administrator").count() == 1
    )


def test_nobody_erases_anybody_else() -> None:
    kim, lee = person(), person("lee@example.kr", "이")
    boss = join(lee, organisation(), "administrator")
    join(kim, selectors.organisation("haneul"), "developer")
    with pytest.raises(Forbidden):
        services.erase_person(actor=boss, person_id=kim.id)
    with pytest.raises(Forbidden):
        services.withdraw_erasure(actor=boss, person_id=kim.id)
    with pytest.raises(Forbidden):
        services.ask_erasure(actor=Actor.anonymous())


def test_names_that_cannot_be_overwritten_are_those_of_officers_in_office() -> None:
    """A new table that is append-only and holds a name keeps it for good: say in docs/privacy.md why it may."""
    kept = {column.label for column in personal_data.name_columns() if column.kept}
    assert kept == {
        "applications.Decision.by_name",
        "applications.Extension.by_name",
        "calls.CallChange.created_by_name",
        "calls.Extension.created_by_name",
        "programmes.Appropriation.created_by_name",
        "programmes.OwnPayment.created_by_name",
    }


def test_what_is_kept_can_be_read_and_taken_along() -> None:
    kim, _actor = busy_person()
    found = json.loads(json.dumps(personal_data.export(kim.id), default=str))
    assert (found["person"]["email"], found["person"]["name"]) == (EMAIL, NAME)
    assert [one["outcome"] for one in found["sign_ins"]] == ["signed_in", "wrong_password"]
    assert found["where_your_id_stands"]["access.ApiKey.created_by_id"] == 1
    assert [one["title"] for one in found["notices"]] == ["Told"]
    assert "digest" not in json.dumps(found)


def signed_in() -> Client:
    client = Client()
    client.post("/account/login/", {"login": EMAIL, "password": PASSWORD})
    return client


def test_in_the_portal_one_asks_sees_it_and_takes_it_back() -> None:
    person()
    client = signed_in()
    assert client.get("/account/data/").status_code == 200
    assert client.post("/account/data/erase/").headers["Location"] == "/account/data/"
    assert client.get("/account/").context["erasure"] is not None
    assert client.post("/account/data/keep/").status_code == 302
    assert client.get("/account/").context["erasure"] is None
    assert client.post("/account/data/keep/").status_code == 404


def test_what_cannot_be_undone_asks_for_the_password_again_and_then_goes_on() -> None:
    person()
    client = signed_in()
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3_600
    session.save()
    asked = client.post("/account/data/erase/")
    assert asked.headers["Location"].startswith("/account/reauthenticate/")
    assert ErasureRequest.objects.count() == 0
    done = client.post(asked.headers["Location"], {"password": PASSWORD})
    assert done.headers["Location"] == "/account/data/"
    assert ErasureRequest.objects.count() == 1


def test_leaving_an_organisation_in_the_portal() -> None:
    kim, haneul = person(), organisation()
    join(kim, haneul, "administrator")
    lee = person("lee@example.kr", "이")
    join(lee, haneul, "developer")
    client = signed_in()
    assert client.post("/account/leave/haneul/").status_code == 409
    join(lee, haneul, "administrator")
    assert client.get("/account/leave/haneul/").status_code == 200
    assert client.post("/account/leave/haneul/").status_code == 302
    assert selectors.memberships_of(kim.id) == []
    assert client.post("/account/leave/haneul/").status_code == 404


def test_the_same_by_rest() -> None:
    kim, haneul = person(), organisation()
    join(kim, haneul, "developer")
    _token, secret = services.issue_token(actor=selectors.actor_for(person_id=kim.id), name="script")
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def ask(**body: str) -> tuple[int, Any]:
        answer = client.post("/api/v1/me/erasure", body, content_type="application/json")
        return answer.status_code, answer.json()

    assert client.get("/api/v1/me/erasure").status_code == 404
    assert ask(password="guess")[1]["error"]["code"] == "password_wrong"
    status, asked = ask(password=PASSWORD)
    assert status == 202
    assert client.get("/api/v1/me/erasure").json() == asked
    assert client.delete("/api/v1/me/erasure").json() == {"ended": 1}
    assert client.get("/api/v1/me/data").json()["person"]["email"] == EMAIL
    assert client.delete("/api/v1/me/memberships/elsewhere").status_code == 404
    assert client.delete("/api/v1/me/memberships/haneul").json() == {"ended": 1}
    assert client.get("/api/v1/me").status_code == 401


def test_errors_say_what_to_do() -> None:
    with pytest.raises(DureError) as refused:
        services.withdraw_erasure(actor=selectors.actor_for(person_id=person().id))
    assert refused.value.code == "erasure_not_found"
