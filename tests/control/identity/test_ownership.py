"""Links of ownership: who declares, who confirms, and what a group is."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.control.identity.organisations import (
    SYSTEM,
    administrator,
    found,
    founder,
    member,
    new_number,
    officer,
    refusal,
)

from dure.contracts.ids import uuid7
from dure.control.foundation.actors import Actor
from dure.control.identity import selectors, services
from dure.control.identity.models import Organisation, OwnershipLink
from dure.control.identity.organisation_selectors import today

pytestmark = pytest.mark.django_db


def number_of(actor: Actor) -> str:
    assert actor.organisation_id is not None
    return str(selectors.profile(actor.organisation_id).registration_number)


def declare(actor: Actor, other_number: str | None, **given: Any) -> Any:
    values = {"other_is": "owner", "other_name": "모회사", "share_bp": 6_000, **given}
    return services.declare_link(
        actor=actor, organisation_id=actor.organisation_id, other_number=other_number, **values
    )


def group(actor: Actor) -> frozenset[UUID]:
    assert actor.organisation_id is not None
    return selectors.ownership_group(actor.organisation_id)


def test_an_organisation_alone_is_a_group_of_itself() -> None:
    boss = administrator()
    assert group(boss) == {boss.organisation_id}
    assert selectors.ownership_group(UUID(int=7)) == {UUID(int=7)}


def test_what_one_side_declares_counts_once_the_other_confirms() -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")
    link = declare(child, number_of(parent))
    assert group(child) == {child.organisation_id}
    assert services.confirm_link(actor=parent, link_id=link.id).state == "confirmed"
    assert services.confirm_link(actor=parent, link_id=link.id).state == "confirmed"
    assert group(child) == group(parent) == {child.organisation_id, parent.organisation_id}


def test_who_declared_does_not_confirm_and_strangers_see_nothing() -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")
    stranger = administrator("stranger@example.kr")
    assert parent.organisation_id is not None
    developer = member(parent.organisation_id, "developer", email="dev@example.kr")
    link = declare(child, number_of(parent))
    assert refusal(services.confirm_link, actor=child, link_id=link.id) == "forbidden"
    assert refusal(services.confirm_link, actor=developer, link_id=link.id) == "forbidden"
    assert refusal(services.confirm_link, actor=stranger, link_id=link.id) == "link_not_found"
    assert refusal(services.withdraw_link, actor=parent, link_id=link.id) == "forbidden"
    assert refusal(services.refuse_link, actor=stranger, link_id=link.id, reason="아님") == "link_not_found"


def test_what_was_refused_only_an_officer_confirms() -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")
    link = declare(child, number_of(parent))
    assert refusal(services.refuse_link, actor=parent, link_id=link.id, reason="") == "reason_missing"
    services.refuse_link(actor=parent, link_id=link.id, reason="지분을 팔았습니다.")
    assert refusal(services.confirm_link, actor=parent, link_id=link.id) == "forbidden"
    assert services.confirm_link(actor=officer(), link_id=link.id).state == "confirmed"


@pytest.mark.parametrize(("share", "bound"), [(4_999, False), (5_000, True), (10_000, True)])
def test_control_begins_at_half(share: int, bound: bool) -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")
    link = declare(child, number_of(parent), share_bp=share)
    services.confirm_link(actor=parent, link_id=link.id)
    assert (group(parent) == {child.organisation_id, parent.organisation_id}) is bound


def test_declared_control_needs_no_share() -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")
    link = declare(child, number_of(parent), kind="control", share_bp=None)
    services.confirm_link(actor=parent, link_id=link.id)
    assert len(group(child)) == 2


def test_two_daughters_of_an_owner_outside_are_one_group_and_it_is_one_more_once_registered() -> None:
    one, two = administrator("one@example.kr"), administrator("two@example.kr")
    outside = new_number()
    for daughter in (one, two):
        link = declare(daughter, outside, other_name="지주회사")
        assert refusal(services.confirm_link, actor=daughter, link_id=link.id) == "forbidden"
        services.confirm_link(actor=officer(), link_id=link.id)
    assert group(one) == {one.organisation_id, two.organisation_id}
    parent = found(founder("holding@example.kr"), registration_number=outside)
    assert group(one) == {one.organisation_id, two.organisation_id, parent.id}


def test_owners_that_have_no_number_are_not_taken_for_the_same() -> None:
    one, two = administrator("one@example.kr"), administrator("two@example.kr")
    for daughter in (one, two):
        link = declare(daughter, None, other_name="Holding GmbH")
        services.confirm_link(actor=officer(), link_id=link.id)
    assert group(one) == {one.organisation_id}


def test_links_count_on_their_days_alone() -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")
    days = {"valid_from": today() - timedelta(days=9), "valid_until": today()}
    link = declare(child, number_of(parent), **days)
    services.confirm_link(actor=parent, link_id=link.id)
    assert len(group(child)) == 2
    OwnershipLink.objects.update(valid_until=today() - timedelta(days=1))
    assert len(group(child)) == 1
    OwnershipLink.objects.update(valid_from=today() + timedelta(days=1), valid_until=None)
    assert len(group(child)) == 1


def test_a_side_asks_for_the_end_and_only_an_officer_sets_it() -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")
    link = declare(child, number_of(parent), valid_from=today() - timedelta(days=9))
    services.confirm_link(actor=parent, link_id=link.id)
    yesterday = today() - timedelta(days=1)
    assert refusal(services.end_link, actor=child, link_id=link.id, last_day=yesterday) == "forbidden"
    assert refusal(services.withdraw_link, actor=child, link_id=link.id) == "link_decided"
    asked = services.ask_link_end(actor=child, link_id=link.id, last_day=yesterday)
    assert (asked.end_asked_on, len(group(child))) == (yesterday, 2)
    ended = services.end_link(actor=officer(), link_id=link.id, last_day=yesterday, reason="주식 양도")
    assert (ended.shown_state, ended.end_asked_on, len(group(child))) == ("ended", None, 1)


def test_what_cannot_be_is_refused_by_name() -> None:
    child, parent = administrator("child@example.kr"), administrator("parent@example.kr")

    def code(other: str | None = None, **given: Any) -> str:
        arguments = {"other_is": "owner", "other_name": "모회사", "share_bp": 6_000, **given}
        return refusal(
            services.declare_link,
            actor=child,
            organisation_id=child.organisation_id,
            other_number=other or number_of(parent),
            **arguments,
        )

    assert code(number_of(child)) == "link_to_itself"
    assert code("123") == "registration_number_form"
    assert code(share_bp=0) == code(share_bp=10_001) == code(share_bp=None) == "share_invalid"
    assert code(other_is="friend") == "side_unknown"
    assert code(kind="love") == "link_kind_unknown"
    assert code(other_name="") == "name_invalid"
    assert code(valid_until=today() - timedelta(days=1)) == "dates_reversed"
    assert code(valid_from=today() + timedelta(days=999)) == "link_begins_too_late"
    assert OwnershipLink.objects.count() == 0
    declare(child, number_of(parent))
    assert code() == "link_exists"


def test_confirmed_shares_are_the_whole_at_most() -> None:
    child = administrator("child@example.kr")
    for email, share in [("a@example.kr", 6_000), ("b@example.kr", 4_000)]:
        owner = administrator(email)
        link = declare(child, number_of(owner), share_bp=share)
        services.confirm_link(actor=owner, link_id=link.id)
    late = administrator("c@example.kr")
    assert refusal(
        services.declare_link,
        actor=late,
        organisation_id=late.organisation_id,
        other_is="owned",
        other_name="자회사",
        other_number=number_of(child),
        share_bp=1,
    ) == ("shares_exceed_whole")


def test_a_declarer_learns_no_name_but_the_one_they_gave() -> None:
    child = administrator("child@example.kr")
    parent = administrator("parent@example.kr", name_ko="진짜이름")
    link = declare(child, number_of(parent), other_name="내가아는이름")
    assert (link.owner_name, link.owned_name) == ("내가아는이름", "하늘랩")


def _components(nodes: int, edges: list[tuple[int, int]]) -> list[set[int]]:
    groups = [{node} for node in range(nodes)]
    for a, b in edges:
        one, two = groups[a], groups[b]
        if one is not two:
            one |= two
            for node in two:
                groups[node] = one
    return groups


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_group_is_what_is_connected_however_and_in_circles_too(data: st.DataObject) -> None:
    nodes = data.draw(st.integers(2, 8))
    pairs = st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)).filter(lambda p: p[0] != p[1])
    edges = data.draw(st.lists(pairs, max_size=12))
    rows = [
        Organisation.objects.create(slug=f"n{uuid7()}", kind="sme", name_ko=str(n), name_en=str(n))
        for n in range(nodes)
    ]
    for owner, owned in edges:
        OwnershipLink.objects.create(
            owner=rows[owner], owned=rows[owned], owner_name="", owned_name="", kind="control",
            valid_from=today(), state="confirmed", declared_by_name="",
        )  # fmt: skip
    for node, component in enumerate(_components(nodes, edges)):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert selectors.ownership_group(rows[node].pk) == {rows[other].pk for other in component}
        assert len(queries) == 1


def test_operators_manage_for_others() -> None:
    child = administrator("child@example.kr")
    link = services.declare_link(
        actor=SYSTEM,
        organisation_id=child.organisation_id,  # type: ignore[arg-type]
        other_is="owner",
        other_name="모회사",
        share_bp=6_000,
    )
    assert link.state == "declared"
