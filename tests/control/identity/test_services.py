"""Organisations, people, memberships and tokens: what is allowed, what is refused, and how it says so."""

from datetime import timedelta
from uuid import UUID

import pytest

from dure.contracts.ids import uuid7
from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError
from dure.control.identity import selectors, services
from dure.control.identity.models import Membership, Organisation

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


def organisation(slug: str = "haneul", kind: str = "startup") -> UUID:
    return services.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko="하늘랩").id


def person(email: str = "kim@example.kr") -> UUID:
    return services.add_person(actor=SYSTEM, email=email, name="김하늘").id


def member(
    roles: list[str], slug: str = "haneul", kind: str = "startup", email: str = "kim@example.kr"
) -> Actor:
    person_id = person(email)
    services.add_membership(
        actor=SYSTEM, person_id=person_id, organisation_id=organisation(slug, kind), roles=roles
    )
    return selectors.actor_for(person_id=person_id)


def refusal(call: object, **arguments: object) -> str:
    with pytest.raises(DureError) as raised:
        call(actor=arguments.pop("actor", SYSTEM), **arguments)  # type: ignore[operator]
    return raised.value.code


def test_an_organisation_is_found_by_its_short_name_and_its_id() -> None:
    added = organisation()
    assert selectors.organisation("haneul").id == added
    assert selectors.organisation(str(added)).slug == "haneul"
    assert selectors.organisation(added).name_en == "하늘랩"


@pytest.mark.parametrize("slug", ["", "Haneul", "-a", "a-", "a b", "가", "a" * 64, "a/b", "a\n"])
def test_a_short_name_has_one_form(slug: str) -> None:
    code = refusal(services.add_organisation, slug=slug, kind="startup", name_ko="이름")
    assert code == "slug_invalid"
    assert Organisation.objects.count() == 0


def test_organisations_are_refused_by_name() -> None:
    organisation()
    add = services.add_organisation
    assert refusal(add, slug="haneul", kind="sme", name_ko="또") == "organisation_exists"
    assert refusal(add, slug="other", kind="club", name_ko="모임") == "organisation_kind_unknown"
    assert refusal(add, slug="other", kind="sme", name_ko="  ") == "name_invalid"
    assert refusal(add, slug="other", kind="sme", name_ko="a\x00b") == "name_invalid"
    assert refusal(add, slug="other", kind="sme", name_ko="가" * 201) == "name_invalid"


def test_people_are_refused_by_name() -> None:
    person()
    add = services.add_person
    assert refusal(add, email="KIM@example.kr", name="또") == "person_exists"
    assert refusal(add, email="kim", name="김") == "email_invalid"
    assert refusal(add, email="a@example.kr", name="김", password="1234") == "password_weak"
    assert refusal(add, email="a@example.kr", name="김", language="jp") == "language_unknown"


def test_only_those_who_may_add_do() -> None:
    developer = member(["developer"])
    add = services.add_organisation
    assert refusal(add, actor=developer, slug="x", kind="sme", name_ko="엑스") == "forbidden"
    assert refusal(services.add_person, actor=developer, email="a@b.kr", name="김") == "forbidden"
    assert refusal(add, actor=Actor.anonymous(), slug="x", kind="sme", name_ko="엑스") == "forbidden"


def test_an_administrator_manages_members_of_their_own_organisation_alone() -> None:
    administrator = member(["administrator"])
    other = organisation("other")
    colleague = person("lee@example.kr")
    set_roles = services.add_membership
    assert administrator.organisation_id is not None
    services.add_membership(
        actor=administrator,
        person_id=colleague,
        organisation_id=administrator.organisation_id,
        roles=["developer"],
    )
    assert (
        refusal(set_roles, actor=administrator, person_id=colleague, organisation_id=other, roles=["viewer"])
        == "forbidden"
    )


def test_nobody_gives_themselves_a_platform_role() -> None:
    administrator = member(["administrator"], slug="ministry", kind="ministry")
    assert administrator.organisation_id is not None
    code = refusal(
        services.add_membership,
        actor=administrator,
        person_id=administrator.person_id,
        organisation_id=administrator.organisation_id,
        roles=["officer"],
    )
    assert code == "forbidden"


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("startup", "officer"),
        ("startup", "provider_manager"),
        ("provider", "auditor"),
        ("ministry", "provider_manager"),
    ],
)
def test_a_role_fits_the_kind_of_organisation(kind: str, role: str) -> None:
    code = refusal(
        services.add_membership, person_id=person(), organisation_id=organisation(kind=kind), roles=[role]
    )
    assert code == "role_not_allowed"
    assert Membership.objects.count() == 0


def test_a_person_acts_for_the_organisation_they_choose_and_for_no_other() -> None:
    actor = member(["developer"], slug="first")
    second = organisation("second")
    assert actor.person_id is not None
    services.add_membership(actor=SYSTEM, person_id=actor.person_id, organisation_id=second, roles=["viewer"])
    chosen = selectors.actor_for(person_id=actor.person_id, organisation_id=second)
    assert (chosen.organisation_id, chosen.roles) == (second, frozenset({"viewer"}))
    stranger = selectors.actor_for(person_id=actor.person_id, organisation_id=organisation("third"))
    assert stranger.organisation_id in {actor.organisation_id, second}


def test_a_membership_that_has_ended_gives_nothing() -> None:
    person_id = person()
    membership = Membership.objects.create(
        person_id=person_id,
        organisation_id=organisation("gone"),
        roles=["developer"],
        valid_until=clock.now() - timedelta(seconds=1),
    )
    actor = selectors.actor_for(person_id=person_id)
    assert actor.organisation_id != membership.organisation_id
    assert actor.roles == frozenset()


def test_a_token_speaks_for_its_person_until_it_is_revoked() -> None:
    actor = member(["developer"])
    token, secret = services.issue_token(actor=actor, name="report")
    assert secret.startswith(f"dure-pat-{token.prefix}-")
    spoken = selectors.actor_for_token(secret)
    assert spoken is not None
    assert spoken.person_id == actor.person_id
    for _ in range(2):
        services.revoke_token(actor=actor, token_id=token.id)
    assert selectors.actor_for_token(secret) is None


def test_a_token_ends_with_the_membership_it_was_made_for() -> None:
    actor = member(["developer"])
    assert actor.person_id is not None
    services.add_membership(
        actor=SYSTEM,
        person_id=actor.person_id,
        organisation_id=organisation("other"),
        roles=["administrator"],
    )
    first = selectors.actor_for(person_id=actor.person_id, organisation_id=actor.organisation_id)
    _token, secret = services.issue_token(actor=first, name="report")
    Membership.objects.filter(organisation_id=actor.organisation_id).update(valid_until=clock.now())
    assert selectors.actor_for_token(secret) is None


def test_nobody_but_an_operator_takes_a_platform_role_away() -> None:
    administrator = member(["administrator"], slug="ministry", kind="ministry")
    officer = person("officer@example.kr")
    ministry = administrator.organisation_id
    assert ministry is not None
    services.add_membership(actor=SYSTEM, person_id=officer, organisation_id=ministry, roles=["officer"])
    code = refusal(
        services.add_membership,
        actor=administrator,
        person_id=officer,
        organisation_id=ministry,
        roles=["viewer"],
    )
    assert code == "forbidden"
    assert selectors.actor_for(person_id=officer).roles == frozenset({"officer"})


def test_a_token_that_has_expired_or_never_was_speaks_for_nobody() -> None:
    actor = member(["developer"])
    _token, secret = services.issue_token(
        actor=actor, name="short", expires_at=clock.now() + timedelta(hours=1)
    )
    assert selectors.actor_for_token(secret + "x") is None
    assert (
        refusal(services.issue_token, actor=actor, name="old", expires_at=clock.now()) == "expiry_in_the_past"
    )


def test_others_tokens_are_not_there() -> None:
    actor = member(["developer"])
    other = member(["developer"], slug="other", email="lee@example.kr")
    token, _secret = services.issue_token(actor=actor, name="mine")
    assert refusal(services.revoke_token, actor=other, token_id=token.id) == "token_not_found"
    assert refusal(services.revoke_token, actor=other, token_id=uuid7()) == "token_not_found"


def test_every_change_is_in_the_audit_trail_and_no_secret_is() -> None:
    actor = member(["developer"])
    _token, secret = services.issue_token(actor=actor, name="report")
    events = audit.events_for("person", actor.person_id)
    assert [event.action for event in events] == ["token.issued", "person.added"]
    assert secret not in str([(event.before, event.after) for event in events])
    assert audit.first_difference() is None
