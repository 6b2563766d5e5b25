"""Invitations, members' roles, roles lent, and roles in one programme."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.control.identity.organisations import (
    SYSTEM,
    acting,
    administrator,
    found,
    founder,
    member,
    new_number,
    officer,
    person,
    refusal,
    roles_of,
)

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import DureError
from dure.control.foundation.models import Notice, OutboxMail
from dure.control.identity import membership_selectors, selectors, services
from dure.control.identity.models import Delegation, Invitation, Membership, Organisation, Person
from dure.control.programmes import services as programmes

pytestmark = pytest.mark.django_db


def of(actor: Actor) -> UUID:
    assert actor.organisation_id is not None
    return actor.organisation_id


def who(actor: Actor) -> UUID:
    assert actor.person_id is not None
    return actor.person_id


def invited(boss: Actor, email: str = "lee@example.kr", *roles: str, **given: Any) -> Any:
    return services.invite(
        actor=boss, organisation_id=of(boss), email=email, roles=list(roles or ("developer",)), **given
    )


# Invitations


def test_an_invited_person_accepts_and_acts_for_the_organisation() -> None:
    boss, lee = administrator(), founder("lee@example.kr", "이나래")
    invitation = invited(boss, " LEE@example.kr ", "developer", "viewer")
    assert [view.id for view in selectors.invitations_for(who(lee))] == [invitation.id]
    membership = services.accept_invitation(actor=lee, invitation_id=invitation.id)
    assert (membership.organisation.id, membership.roles) == (of(boss), ("developer", "viewer"))
    assert selectors.invitations_for(who(lee)) == []
    assert Notice.objects.filter(person_id=who(boss), title="초대를 수락했습니다").count() == 1
    actions = [event.action for event in audit.events_for("organisation", of(boss))]
    assert actions[:2] == ["invitation.accepted", "invitation.sent"]


def test_the_link_is_mailed_and_leads_to_the_invitation() -> None:
    boss = administrator()
    invitation = invited(boss, "new@example.kr", language="en")
    mail = OutboxMail.objects.get(to="new@example.kr")
    assert mail.language == "en"
    token = next(word for word in mail.body.split() if "/invitations/" in word).rstrip("/").rsplit("/", 1)[1]
    assert membership_selectors.invitation_by_token(token) == invitation
    with pytest.raises(DureError) as raised:
        membership_selectors.invitation_by_token(token[:-1] + ("a" if token[-1] != "a" else "b"))
    assert raised.value.code == "invitation_not_found"


def test_somebody_who_registers_later_finds_the_invitation_waiting() -> None:
    boss = administrator()
    invitation = invited(boss, "late@example.kr")
    late = founder("late@example.kr")
    assert [view.id for view in selectors.invitations_for(who(late))] == [invitation.id]


def test_an_invitation_is_for_its_address_alone() -> None:
    boss, stranger = administrator(), founder("stranger@example.kr")
    invitation = invited(boss)
    for verb in (services.accept_invitation, services.decline_invitation):
        assert refusal(verb, actor=stranger, invitation_id=invitation.id) == "invitation_not_found"
        assert refusal(verb, actor=Actor.anonymous(), invitation_id=invitation.id) == "invitation_not_found"
    assert refusal(services.revoke_invitation, actor=stranger, invitation_id=invitation.id) == (
        "invitation_not_found"
    )


def test_an_invitation_is_answered_once() -> None:
    boss, lee = administrator(), founder("lee@example.kr")
    invitation = invited(boss)
    services.decline_invitation(actor=lee, invitation_id=invitation.id)
    assert services.decline_invitation(actor=lee, invitation_id=invitation.id).state == "declined"
    assert (
        refusal(services.accept_invitation, actor=lee, invitation_id=invitation.id) == "invitation_answered"
    )
    again = invited(boss)
    services.accept_invitation(actor=lee, invitation_id=again.id)
    assert refusal(services.accept_invitation, actor=lee, invitation_id=again.id) == "invitation_answered"
    assert refusal(services.revoke_invitation, actor=boss, invitation_id=again.id) == "invitation_answered"


def test_an_old_invitation_is_not_accepted_and_may_be_sent_again() -> None:
    boss, lee = administrator(), founder("lee@example.kr")
    invitation = invited(boss)
    old = membership_selectors.invitation_token(Invitation.objects.get())
    assert (
        refusal(services.resend_invitation, actor=boss, invitation_id=invitation.id) == "invitation_just_sent"
    )
    Invitation.objects.update(
        invited_at=clock.now() - timedelta(days=15), expires_at=clock.now() - timedelta(days=1)
    )
    assert selectors.invitations_for(who(lee)) == []
    assert selectors.invitations_of(of(boss))[0].shown_state == "expired"
    assert refusal(services.accept_invitation, actor=lee, invitation_id=invitation.id) == "invitation_expired"
    services.resend_invitation(actor=boss, invitation_id=invitation.id)
    with pytest.raises(DureError):
        membership_selectors.invitation_by_token(old)
    assert services.accept_invitation(actor=lee, invitation_id=invitation.id).roles == ("developer",)


def test_inviting_is_refused_by_name() -> None:
    boss = administrator()
    member(of(boss), "developer", email="dev@example.kr")
    invited(boss)
    invite = services.invite

    def code(email: str = "x@example.kr", roles: tuple[str, ...] = ("viewer",), **given: Any) -> str:
        arguments = {"actor": boss, "organisation_id": of(boss), **given}
        return refusal(invite, email=email, roles=list(roles), **arguments)

    assert code("lee@example.kr") == "invitation_exists"
    assert code("dev@example.kr") == "already_member"
    assert code("nobody") == "email_invalid"
    assert code(roles=()) == code(roles=("officer",)) == "role_not_allowed"
    assert code(membership_until=clock.now() - timedelta(days=1)) == "expiry_in_the_past"
    assert code(language="jp") == "language_unknown"
    assert code(actor=acting(founder("dev@example.kr"), of(boss))) == "forbidden"
    assert code(actor=administrator("other@example.kr")) == "organisation_not_found"
    assert Invitation.objects.count() == 1


def test_an_administrator_of_a_ministry_invites_nobody_as_an_officer() -> None:
    clerk = officer()
    boss = member(of(clerk), "administrator", email="head@example.kr")
    code = refusal(
        services.invite, actor=boss, organisation_id=of(boss), email="x@example.kr", roles=["officer"]
    )
    assert code == "forbidden"


def test_who_has_become_a_member_meanwhile_keeps_their_roles() -> None:
    boss, lee = administrator(), founder("lee@example.kr")
    invitation = invited(boss, "lee@example.kr", "viewer", membership_until=clock.now() + timedelta(days=3))
    member(of(boss), "administrator", email="lee@example.kr")
    membership = services.accept_invitation(actor=lee, invitation_id=invitation.id)
    assert (membership.roles, membership.valid_until) == (("administrator", "viewer"), None)


# Members


def test_the_last_administrator_stays() -> None:
    boss = administrator()
    change, end = services.add_membership, services.end_membership
    whom = {"actor": boss, "organisation_id": of(boss), "person_id": who(boss)}
    assert refusal(change, **whom, roles=["developer"]) == "last_administrator"
    assert refusal(change, **whom, roles=["administrator"], valid_until=clock.now() + timedelta(days=1)) == (
        "last_administrator"
    )
    assert refusal(end, **whom) == "last_administrator"
    assert refusal(end, **{**whom, "actor": SYSTEM}) == "last_administrator"
    assert roles_of(boss) == ["administrator", "developer"]
    member(of(boss), "administrator", email="second@example.kr")
    end(**whom)
    assert selectors.memberships_of(who(boss)) == []


def test_whose_membership_ends_acts_no_longer_and_may_come_back() -> None:
    boss = administrator()
    lee = member(of(boss), "developer", email="lee@example.kr")
    _view, secret = services.issue_token(actor=lee, name="script")
    services.end_membership(actor=boss, organisation_id=of(boss), person_id=who(lee), reason="퇴사")
    assert selectors.actor_for_token(secret) is None
    assert selectors.actor_for(person_id=who(lee)).organisation_id is None
    assert Notice.objects.filter(person_id=who(lee)).count() == 1
    invitation = invited(boss)
    services.accept_invitation(actor=founder("lee@example.kr"), invitation_id=invitation.id)
    assert [m.roles for m in selectors.memberships_of(who(lee))] == [("developer",)]


def test_members_are_their_administrators_business_alone() -> None:
    boss, stranger = administrator(), administrator("stranger@example.kr")
    lee = member(of(boss), "developer", email="lee@example.kr")
    end = services.end_membership
    whom = {"organisation_id": of(boss), "person_id": who(boss)}
    assert refusal(end, actor=lee, **whom) == "forbidden"
    assert refusal(end, actor=stranger, **whom) == "organisation_not_found"
    assert (
        refusal(end, actor=boss, organisation_id=of(boss), person_id=who(stranger)) == "membership_not_found"
    )
    end(actor=lee, organisation_id=of(boss), person_id=who(lee))
    assert selectors.memberships_of(who(lee)) == []


# Roles lent


def lend(giver: Actor, delegate: Actor, *roles: str, days: int = 7, **given: Any) -> Any:
    return services.delegate(
        actor=giver,
        organisation_id=of(giver),
        delegate_id=who(delegate),
        roles=list(roles or ("administrator",)),
        **{"valid_until": clock.now() + timedelta(days=days), "reason": "휴가", **given},
    )


def test_a_delegate_has_the_roles_while_they_last_and_the_trail_says_for_whom() -> None:
    boss = administrator()
    lee = member(of(boss), "viewer", email="lee@example.kr")
    lent = lend(boss, lee)
    standing_in = acting(lee, of(boss))
    assert standing_in.roles == {"viewer", "administrator"}
    assert standing_in.on_behalf_of == ((who(boss), "kim"),)
    services.change_profile(actor=standing_in, organisation_id=of(boss), employees=5)
    event = audit.events_for("organisation", of(boss))[0]
    assert (event.actor_name, event.person_id) == ("lee on behalf of kim", who(lee))
    assert event.after["on_behalf_of"] == [str(who(boss))]
    assert audit.first_difference() is None
    assert who(lee) in {view.id for view in selectors.people_to_notify(of(boss), roles=["administrator"])}
    services.revoke_delegation(actor=boss, delegation_id=lent.id)
    assert services.revoke_delegation(actor=boss, delegation_id=lent.id).state == "revoked"
    assert acting(lee, of(boss)).roles == {"viewer"}


def test_who_stands_in_for_somebody_is_told_as_they_are_wherever_it_is() -> None:
    boss = administrator()
    lee = member(of(boss), "viewer", email="lee@example.kr")
    both = member(of(boss), "administrator", email="both@example.kr")

    def told(role: str) -> list[str]:
        return sorted(one.email for one in selectors.people_with_role(role))

    before = told("administrator")
    assert "lee@example.kr" not in before
    lent = lend(boss, lee)
    lend(boss, both, "developer")
    assert told("administrator") == sorted([*before, "lee@example.kr"])
    assert told("viewer") == ["lee@example.kr"]
    Person.objects.filter(pk=who(boss)).update(is_active=False)
    assert "lee@example.kr" not in told("administrator")
    Person.objects.filter(pk=who(boss)).update(is_active=True)
    services.revoke_delegation(actor=boss, delegation_id=lent.id)
    assert told("administrator") == before


def test_a_delegation_ends_by_itself_and_with_the_givers_own_role() -> None:
    boss = administrator()
    second = member(of(boss), "administrator", email="second@example.kr")
    lee = member(of(boss), "viewer", email="lee@example.kr")
    lend(second, lee)
    assert "administrator" in acting(lee, of(boss)).roles
    member(of(boss), "viewer", email="second@example.kr")
    assert "administrator" not in acting(lee, of(boss)).roles
    member(of(boss), "administrator", email="second@example.kr")
    Delegation.objects.update(valid_from=clock.now() - timedelta(days=9), valid_until=clock.now())
    assert "administrator" not in acting(lee, of(boss)).roles
    lend(second, lee, valid_from=clock.now() + timedelta(days=1))
    assert "administrator" not in acting(lee, of(boss)).roles


def test_what_is_lent_is_not_lent_on_nor_made_ones_own() -> None:
    boss = administrator()
    lee = member(of(boss), "viewer", email="lee@example.kr")
    other = member(of(boss), "viewer", email="other@example.kr")
    lend(boss, lee)
    standing_in = acting(lee, of(boss))
    assert refusal(lambda actor: lend(actor, other), actor=standing_in) == "role_not_held"
    code = refusal(
        services.add_membership,
        actor=standing_in,
        organisation_id=of(boss),
        person_id=who(lee),
        roles=["administrator"],
    )
    assert code == "roles_are_lent"


def test_lending_is_refused_by_name() -> None:
    boss, stranger = administrator(), administrator("stranger@example.kr")
    lee = member(of(boss), "developer", email="lee@example.kr")

    def code(delegate: Actor = lee, *roles: str, actor: Actor = boss, **given: Any) -> str:
        return refusal(lambda actor: lend(actor, delegate, *roles, **given), actor=actor)

    assert code(stranger) == code(boss) == "delegate_not_a_member"
    assert code(lee, "viewer") == "role_not_held"
    assert code(lee, "developer") == "roles_held_already"
    assert code(lee, days=-1) == "expiry_in_the_past"
    assert code(lee, days=400) == "delegation_too_long"
    assert code(lee, reason="") == "reason_missing"
    assert code(lee, giver_id=who(stranger)) == "forbidden"
    assert refusal(
        services.delegate,
        actor=stranger,
        organisation_id=of(boss),
        delegate_id=who(lee),
        roles=["administrator"],
        valid_until=clock.now() + timedelta(days=1),
        reason="x",
    ) == ("organisation_not_found")
    lent = lend(boss, lee)
    assert (
        refusal(services.revoke_delegation, actor=stranger, delegation_id=lent.id) == "delegation_not_found"
    )
    assert Delegation.objects.count() == 1


def test_operators_roles_are_bound_and_officers_may_be_stood_in_for() -> None:
    clerk = officer()
    operator = member(of(clerk), "operator", email="op@example.kr")
    lee = member(of(clerk), "viewer", email="lee@example.kr")
    assert refusal(lambda actor: lend(actor, lee, "operator"), actor=operator) == "role_not_lendable"
    lend(clerk, lee, "officer")
    assert acting(lee, of(clerk)).has("officer")


def test_asking_who_acts_takes_few_questions() -> None:
    boss = administrator()
    with CaptureQueriesContext(connection) as queries:
        selectors.actor_for(person_id=who(boss), organisation_id=of(boss))
    assert len(queries) == 2


# Roles in one programme


def programme_of(clerk: Actor, slug: str = "ai-2027") -> UUID:
    return programmes.add_programme(actor=clerk, slug=slug, name_ko="사업", krw_micro_won=10**9).programme.id


def officer_elsewhere() -> Actor:
    agency = services.add_organisation(actor=SYSTEM, slug="agency", kind="agency", name_ko="전담기관").id
    return member(agency, "officer", email="officer@agency.example")


def test_a_person_is_officer_of_one_programme_alone() -> None:
    clerk, lee = officer(), person("lee@example.kr")
    programme = programme_of(clerk)
    given = services.give_programme_role(
        actor=clerk, person_id=lee, programme_id=programme, role="officer", reason="파견"
    )
    assert [view.role for view in selectors.programme_roles(lee)] == ["officer"]
    assert selectors.has_programme_role(person_id=lee, programme_id=programme, role="officer")
    assert not selectors.has_programme_role(person_id=lee, programme_id=uuid4(), role="officer")
    assert not selectors.has_programme_role(person_id=lee, programme_id=programme, role="reviewer")
    assert [view.person_id for view in selectors.people_with_programme_role(programme)] == [lee]
    services.take_programme_role(actor=clerk, programme_role_id=given.id)
    services.take_programme_role(actor=clerk, programme_role_id=given.id)
    assert selectors.programme_roles(lee) == []
    actions = [event.action for event in audit.events_for("programme", programme)]
    assert actions[:2] == ["programme_role.taken", "programme_role.given"]


def test_a_programme_role_counts_for_members_of_its_agency_until_its_end() -> None:
    clerk = officer()
    programme, other = programme_of(clerk), programme_of(clerk, "ai-2028")
    lee = member(of(clerk), "viewer", email="lee@example.kr")
    firm = acting(lee, found(founder("kim@example.kr")).id)
    services.give_programme_role(
        actor=clerk, person_id=who(lee), programme_id=programme, role="officer",
        valid_until=clock.now() + timedelta(days=1),
    )  # fmt: skip
    services.give_programme_role(actor=clerk, person_id=who(lee), programme_id=other, role="reviewer")
    lee = acting(lee, of(clerk))
    assert lee.programme_roles == {(programme, "officer"), (other, "reviewer")}
    assert lee.officer_for(of(clerk), programme)
    assert not lee.officer_for(of(clerk), other)
    assert not lee.officer_for(None, programme)
    assert not lee.officer_for(of(officer_elsewhere()), programme)
    assert (lee.has("officer"), lee.has("programme_officer"), lee.is_platform) == (False, True, False)
    with patch.object(clock, "now", lambda: datetime.now(UTC) + timedelta(days=2)):
        ended = acting(lee, of(clerk))
    assert (ended.has("programme_officer"), ended.officer_for(of(clerk), programme)) == (False, False)
    assert not firm.officer_for(of(clerk), programme)


def test_a_programme_role_is_nothing_where_one_acts_for_a_firm() -> None:
    clerk = officer()
    programme = programme_of(clerk)
    boss = administrator()
    services.give_programme_role(actor=clerk, person_id=who(boss), programme_id=programme, role="officer")
    boss = acting(boss, of(boss))
    assert (boss.programme_roles, boss.has("programme_officer")) == (frozenset(), False)
    assert selectors.officers_to_notify(agency_id=of(clerk), programme_id=programme) == (
        selectors.people_to_notify(of(clerk), roles=["officer"])
    )


def test_notices_about_a_programme_go_to_its_officers_too_once_each() -> None:
    clerk, lee = officer(), member(of(officer()), "viewer", email="lee@example.kr")
    programme = programme_of(clerk)
    for someone in (lee, clerk):
        services.give_programme_role(
            actor=clerk, person_id=who(someone), programme_id=programme, role="officer"
        )
    told = selectors.officers_to_notify(agency_id=of(clerk), programme_id=programme)
    assert sorted(view.id for view in told) == sorted([who(clerk), who(lee)])
    others = selectors.officers_to_notify(agency_id=of(clerk), programme_id=programme_of(clerk, "ai-2028"))
    assert [view.id for view in others] == [who(clerk)]


def test_roles_are_given_and_taken_by_the_programmes_own_agency() -> None:
    clerk, stranger, lee = officer(), officer_elsewhere(), person("lee@example.kr")
    programme = programme_of(clerk)
    values = {"person_id": lee, "programme_id": programme, "role": "officer"}
    give, take = services.give_programme_role, services.take_programme_role
    assert refusal(give, actor=stranger, **values) == "forbidden"
    assert refusal(give, actor=clerk, **{**values, "programme_id": uuid4()}) == "programme_not_found"
    given = give(actor=clerk, **values)
    assert refusal(take, actor=stranger, programme_role_id=given.id) == "forbidden"
    # Nor do those who have the role pass it on.
    helper = member(of(clerk), "viewer", email="lee@example.kr")
    assert helper.has("programme_officer")
    assert refusal(give, actor=helper, **{**values, "role": "reviewer"}) == "forbidden"
    assert take(actor=SYSTEM, programme_role_id=given.id).valid_until is not None


def test_programme_roles_are_refused_by_name() -> None:
    clerk, boss, lee = officer(), administrator(), person("lee@example.kr")
    programme = programme_of(clerk)
    values = {"actor": clerk, "person_id": lee, "programme_id": programme, "role": "reviewer"}
    give = services.give_programme_role
    assert refusal(give, **{**values, "actor": boss}) == "forbidden"
    assert refusal(give, **{**values, "role": "king"}) == "programme_role_unknown"
    assert refusal(give, **{**values, "person_id": uuid4()}) == "person_not_found"
    assert refusal(give, **values, valid_until=clock.now() - timedelta(days=1)) == "expiry_in_the_past"
    give(**values, valid_until=clock.now() + timedelta(days=5))
    assert refusal(give, **values) == "programme_role_exists"
    give(**values, valid_from=clock.now() + timedelta(days=6))
    assert refusal(services.take_programme_role, actor=clerk, programme_role_id=uuid4()) == (
        "programme_role_not_found"
    )


# At once


def _at_once(*calls: Callable[[], object]) -> list[str]:
    """Run them side by side, each with its own connection; the codes of what went wrong, sorted."""
    gate, outcomes = threading.Barrier(len(calls)), []

    def work(call: Callable[[], object]) -> None:
        gate.wait()
        try:
            call()
            outcomes.append("done")
        except DureError as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return sorted(outcomes)


@pytest.mark.django_db(transaction=True)
def test_two_who_found_with_one_number_at_once() -> None:
    number, founders = new_number(), [founder("a@example.kr"), founder("b@example.kr")]
    outcomes = _at_once(
        *(lambda someone=someone: found(someone, registration_number=number) for someone in founders)
    )
    assert outcomes == ["done", "registration_number_taken"]
    assert (Organisation.objects.count(), Membership.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_two_answers_to_one_invitation_at_once() -> None:
    boss, lee = administrator(), founder("lee@example.kr")
    invitation = invited(boss)
    outcomes = _at_once(
        *[lambda: services.accept_invitation(actor=lee, invitation_id=invitation.id)] * 2,
    )
    assert outcomes == ["done", "invitation_answered"]
    assert Membership.objects.filter(person_id=who(lee)).count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_last_two_administrators_removed_at_once() -> None:
    boss = administrator()
    second = member(of(boss), "administrator", email="second@example.kr")

    def end(actor: Actor, whom: Actor) -> None:
        services.end_membership(actor=actor, organisation_id=of(boss), person_id=who(whom))

    outcomes = _at_once(lambda: end(boss, second), lambda: end(second, boss))
    assert outcomes == ["done", "last_administrator"]
    assert len(selectors.members_of(of(boss))) == 1


@pytest.mark.django_db(transaction=True)
def test_one_address_invited_twice_at_once() -> None:
    boss = administrator()
    assert _at_once(*[lambda: invited(boss)] * 2) == ["done", "invitation_exists"]


def test_who_is_not_verified_is_invited_in_vain() -> None:
    boss, lee = administrator(), founder("lee@example.kr")
    invitation = invited(boss)
    if hasattr(Person, "email_verified_at"):
        Person.objects.filter(pk=who(lee)).update(email_verified_at=None)
        assert selectors.invitations_for(who(lee)) == []
        assert refusal(services.accept_invitation, actor=lee, invitation_id=invitation.id) == (
            "invitation_not_found"
        )
