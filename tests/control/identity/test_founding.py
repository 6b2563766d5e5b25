"""Founding an organisation, what it says about itself, and its verification by an officer."""

from datetime import date, timedelta
from typing import Any

import pytest
from tests.control.identity.organisations import (
    SYSTEM,
    acting,
    administrator,
    document,
    found,
    founder,
    member,
    new_number,
    officer,
    person,
    refusal,
    roles_of,
    verify,
)

from dure.control.foundation import audit, clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.models import OutboxMail
from dure.control.identity import selectors, services
from dure.control.identity.models import Organisation

pytestmark = pytest.mark.django_db


def test_whoever_founds_an_organisation_administers_it() -> None:
    someone = founder()
    view = found(someone, registration_number="120-81-47521", name_en="Haneul Labs", website="haneul.kr")
    assert (view.registration_number, view.number) == ("1208147521", "120-81-47521")
    assert (view.slug, view.website, view.verification_state) == (
        "haneul-labs",
        "https://haneul.kr",
        "unverified",
    )
    assert roles_of(acting(someone, view.id)) == ["administrator", "developer"]
    assert [event.action for event in audit.events_for("organisation", view.id)] == ["organisation.founded"]


def test_short_names_are_proposed_until_one_is_free() -> None:
    slugs = [found(founder(f"p{n}@example.kr")).slug for n in range(3)]
    assert slugs == ["haneullaep", "haneullaep-2", "haneullaep-3"]
    assert found(founder("p9@example.kr"), name_ko="파운드", name_en="Found").slug == "found-2"


def test_a_second_founder_is_led_to_ask_for_an_invitation_and_learns_no_name() -> None:
    number = new_number()
    found(founder("first@example.kr", "아무도몰라"), registration_number=number, name_ko="비밀랩")
    with pytest.raises(Exception) as raised:
        found(founder("second@example.kr"), registration_number=number)
    error: Any = raised.value
    assert (error.code, error.status, error.field) == (
        "registration_number_taken",
        409,
        "registration_number",
    )
    assert "초대" in str(error.remedy)
    assert not {"비밀랩", "아무도몰라", "first@example.kr"} & set(str(error).split())


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"registration_number": "120-81-47520"}, "registration_number_check_digit"),
        ({"registration_number": ""}, "registration_number_form"),
        ({"kind": "ministry"}, "kind_not_foundable"),
        ({"kind": "club"}, "organisation_kind_unknown"),
        ({"name_ko": " "}, "name_invalid"),
        ({"size_class": "huge"}, "size_class_unknown"),
        ({"region": "KR-99"}, "region_unknown"),
        ({"founded_on": date(2999, 1, 1)}, "founded_on_invalid"),
        ({"founded_on": date(1, 1, 1)}, "founded_on_invalid"),
        ({"employees": -1}, "employees_invalid"),
        ({"employees": 10**9}, "employees_invalid"),
        ({"website": "javascript:alert(1)"}, "website_invalid"),
        ({"website": "https://a b.kr"}, "website_invalid"),
        ({"website": "http://[::1"}, "website_invalid"),
        ({"slug": "found"}, "slug_invalid"),
        ({"slug": "A B"}, "slug_invalid"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_nothing_is_written(given: dict[str, Any], code: str) -> None:
    values = {"registration_number": new_number(), "name_ko": "하늘", "kind": "startup", **given}
    assert refusal(services.found_organisation, actor=founder(), **values) == code
    assert Organisation.objects.count() == 0


def test_nobody_in_particular_founds_nothing() -> None:
    values = {"registration_number": new_number(), "name_ko": "하늘", "kind": "startup"}
    assert refusal(services.found_organisation, actor=Actor.anonymous(), **values) == "forbidden"
    assert refusal(services.found_organisation, **values) == "administrator_missing"
    assert (
        refusal(services.found_organisation, actor=founder(), administrator_id=person(), **values)
        == "forbidden"
    )


def test_an_operator_founds_for_somebody() -> None:
    view = found(SYSTEM, administrator_id=person("lee@example.kr"), kind="provider")
    assert roles_of(acting(founder("lee@example.kr"), view.id)) == ["administrator", "provider_manager"]


def test_a_person_administers_five_unverified_organisations_at_most() -> None:
    someone = founder()
    first, *_others = [found(someone) for _ in range(5)]
    values = {"registration_number": new_number(), "name_ko": "여섯", "kind": "startup"}
    assert refusal(services.found_organisation, actor=someone, **values) == "too_many_unverified"
    verify(acting(someone, first.id))
    assert found(someone).slug


def test_a_profile_is_changed_by_its_administrators_alone() -> None:
    boss = administrator()
    assert boss.organisation_id is not None
    developer = member(boss.organisation_id, "developer", email="dev@example.kr")
    stranger = administrator("stranger@example.kr")
    change = services.change_profile
    assert change(actor=boss, organisation_id=boss.organisation_id, employees=7).employees == 7
    assert refusal(change, actor=developer, organisation_id=boss.organisation_id, employees=8) == "forbidden"
    assert (
        refusal(change, actor=stranger, organisation_id=boss.organisation_id, employees=9)
        == "organisation_not_found"
    )
    assert selectors.profile(boss.organisation_id).employees == 7


def test_a_changed_fact_is_verified_anew_and_another_change_is_not() -> None:
    boss = administrator()
    assert boss.organisation_id is not None
    verify(boss)
    assert services.change_profile(actor=boss, organisation_id=boss.organisation_id, employees=9).verified
    changed = services.change_profile(actor=boss, organisation_id=boss.organisation_id, size_class="medium")
    assert (changed.verification_state, changed.verified_at) == ("asked", None)
    latest = audit.events_for("organisation", boss.organisation_id)[0]
    assert latest.before == {"size_class": "small"}
    assert latest.after == {"size_class": "medium", "verification_state": "asked"}


def test_the_same_values_again_change_nothing() -> None:
    boss = administrator()
    assert boss.organisation_id is not None
    verify(boss)
    again = services.change_profile(actor=boss, organisation_id=boss.organisation_id, size_class="small")
    assert again.verified


def test_a_number_is_not_taken_over_by_a_change() -> None:
    boss, other = administrator(), administrator("other@example.kr")
    assert boss.organisation_id
    assert other.organisation_id
    number = selectors.profile(other.organisation_id).registration_number
    code = refusal(
        services.change_profile, actor=boss, organisation_id=boss.organisation_id, registration_number=number
    )
    assert code == "registration_number_taken"


def test_a_kind_changes_only_where_the_members_roles_still_fit() -> None:
    boss = administrator(kind="provider")
    change = services.change_profile
    assert boss.organisation_id is not None
    assert (
        refusal(change, actor=boss, organisation_id=boss.organisation_id, kind="startup")
        == "kind_needs_other_roles"
    )
    assert (
        refusal(change, actor=boss, organisation_id=boss.organisation_id, kind="agency")
        == "kind_not_foundable"
    )
    assert refusal(change, actor=boss, organisation_id=boss.organisation_id, colour="red") == "field_unknown"


def test_an_officer_is_not_asked_in_vain() -> None:
    boss = administrator(region=None)
    ask = services.ask_verification
    assert boss.organisation_id is not None
    assert refusal(ask, actor=boss, organisation_id=boss.organisation_id) == "profile_incomplete"
    services.change_profile(actor=boss, organisation_id=boss.organisation_id, region="KR-26")
    assert refusal(ask, actor=boss, organisation_id=boss.organisation_id) == "business_registration_missing"
    yesterday = clock.now().astimezone(clock.SEOUL).date() - timedelta(days=2)
    document(boss.organisation_id, valid_until=yesterday)
    assert refusal(ask, actor=boss, organisation_id=boss.organisation_id) == "business_registration_missing"
    document(boss.organisation_id)
    assert ask(actor=boss, organisation_id=boss.organisation_id).verification_state == "asked"
    assert ask(actor=boss, organisation_id=boss.organisation_id).verification_state == "asked"


def test_verifying_accepts_the_certificate_tells_the_administrators_and_is_on_record() -> None:
    boss = administrator()
    assert boss.organisation_id is not None
    verify(boss)
    profile = selectors.profile(boss.organisation_id)
    assert (profile.verification_state, profile.verified) == ("verified", True)
    assert selectors.valid_document_kinds(boss.organisation_id) == {"business_registration"}
    (mail,) = OutboxMail.objects.filter(to="kim@example.kr", subject="기관이 확인되었습니다")
    assert f"/organisations/{profile.slug}/" in mail.body
    actions = [event.action for event in audit.events_for("organisation", boss.organisation_id)]
    assert actions == ["organisation.verified", "organisation.verification_asked", "organisation.founded"]


def test_a_refusal_says_why_and_may_be_put_right() -> None:
    boss, clerk = administrator(), officer()
    organisation_id = boss.organisation_id
    assert organisation_id is not None
    document(organisation_id)
    services.ask_verification(actor=boss, organisation_id=organisation_id)
    refuse = services.refuse_verification
    assert refusal(refuse, actor=clerk, organisation_id=organisation_id, reason=" ") == "reason_missing"
    refused = refuse(actor=clerk, organisation_id=organisation_id, reason="상호가 다릅니다.")
    assert (refused.verification_state, refused.verification_reason) == ("refused", "상호가 다릅니다.")
    assert "상호가 다릅니다." in OutboxMail.objects.get(to="kim@example.kr", subject__contains="못했").body
    assert (
        refusal(services.verify_organisation, actor=clerk, organisation_id=organisation_id)
        == "verification_not_asked"
    )
    asked = services.ask_verification(actor=boss, organisation_id=organisation_id)
    assert asked.verification_state == "asked"


def test_only_officers_verify_and_strangers_see_nothing() -> None:
    boss, stranger = administrator(), administrator("stranger@example.kr")
    organisation_id = boss.organisation_id
    decide = services.verify_organisation
    assert refusal(decide, actor=boss, organisation_id=organisation_id) == "forbidden"
    assert refusal(decide, actor=stranger, organisation_id=organisation_id) == "organisation_not_found"
    assert refusal(decide, actor=officer(), organisation_id=organisation_id) == "verification_not_asked"
