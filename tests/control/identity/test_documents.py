"""Certificates: handed in, accepted or refused, out of date, and reminded of."""

from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from tests.control.foundation import samples
from tests.control.identity.organisations import (
    SYSTEM,
    administrator,
    document,
    member,
    officer,
    refusal,
    verify,
)

from dure.control.foundation import files
from dure.control.foundation.models import FileOwner, Notice
from dure.control.identity import selectors, services
from dure.control.identity.models import OrganisationDocument
from dure.control.identity.organisation_selectors import today

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss() -> Any:
    return administrator()


def hand_in(actor: Any, kind: str = "tax_clearance", text: bytes = b"a", **given: Any) -> Any:
    return services.add_document(
        actor=actor,
        organisation_id=actor.organisation_id,
        kind=kind,
        stream=BytesIO(samples.pdf(text)),
        name="납세증명서.pdf",
        **given,
    )


def test_a_document_counts_once_an_officer_has_accepted_it(boss: Any) -> None:
    view = hand_in(boss, valid_until=today() + timedelta(days=90))
    assert (view.state, view.media_type, view.name) == ("asked", "application/pdf", "납세증명서.pdf")
    assert selectors.valid_document_kinds(boss.organisation_id) == frozenset()
    clerk = officer()
    assert services.accept_document(actor=clerk, document_id=view.id).state == "accepted"
    assert services.accept_document(actor=clerk, document_id=view.id).state == "accepted"
    assert selectors.valid_document_kinds(boss.organisation_id) == {"tax_clearance"}
    assert Notice.objects.filter(person_id=boss.person_id, title="서류가 인정되었습니다").count() == 1
    with files.open(view.file) as stream:
        assert stream.read() == samples.pdf(b"a")


def test_a_refused_document_says_why_and_may_be_accepted_after_all(boss: Any) -> None:
    view, clerk = hand_in(boss), officer()
    assert refusal(services.refuse_document, actor=clerk, document_id=view.id, reason="") == "reason_missing"
    refused = services.refuse_document(actor=clerk, document_id=view.id, reason="다른 회사의 서류입니다.")
    assert (refused.state, refused.reason) == ("refused", "다른 회사의 서류입니다.")
    assert "다른 회사의 서류입니다." in Notice.objects.get(person_id=boss.person_id).text
    assert services.accept_document(actor=clerk, document_id=view.id).state == "accepted"


def test_a_withdrawn_document_is_gone_with_its_file(boss: Any) -> None:
    view = hand_in(boss)
    assert services.withdraw_document(actor=boss, document_id=view.id).state == "withdrawn"
    assert services.withdraw_document(actor=boss, document_id=view.id).state == "withdrawn"
    assert selectors.documents(boss.organisation_id) == []
    assert FileOwner.objects.count() == 0
    assert refusal(services.accept_document, actor=officer(), document_id=view.id) == "document_decided"


def test_documents_are_their_organisations_and_the_officers_business(boss: Any) -> None:
    view, stranger = hand_in(boss), administrator("stranger@example.kr")
    developer = member(boss.organisation_id, "developer", email="dev@example.kr")
    for verb in (services.withdraw_document, services.accept_document):
        assert refusal(verb, actor=stranger, document_id=view.id) == "document_not_found"
        assert refusal(verb, actor=developer, document_id=view.id) == "forbidden"
        assert refusal(verb, document_id=uuid4()) == "document_not_found"
    assert refusal(services.accept_document, actor=boss, document_id=view.id) == "forbidden"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"kind": "diploma"}, "document_kind_unknown"),
        ({"issued_on": today() + timedelta(days=2)}, "issued_in_the_future"),
        ({"valid_until": today() - timedelta(days=1)}, "document_expired"),
        ({"stream": BytesIO(b"")}, "file_empty"),
        ({"name": "virus.exe"}, "file_type_refused"),
        ({"name": "table.xlsx"}, "file_type_refused"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(boss: Any, given: dict[str, Any], code: str) -> None:
    values = {"kind": "other", "stream": BytesIO(samples.pdf(b"a")), "name": "a.pdf", **given}
    assert refusal(services.add_document, actor=boss, organisation_id=boss.organisation_id, **values) == code
    assert OrganisationDocument.objects.count() == 0


def test_the_same_file_waits_once_and_twenty_wait_at_most(boss: Any) -> None:
    hand_in(boss)
    assert refusal(lambda actor: hand_in(actor), actor=boss) == "document_exists"
    for number in range(19):
        document(boss.organisation_id, "other", name=f"{number}.pdf")
    assert refusal(lambda actor: hand_in(actor, text=b"b"), actor=boss) == "too_many_documents_wait"


def test_out_of_date_is_neither_valid_nor_accepted(boss: Any) -> None:
    ended = today() - timedelta(days=1)
    document(boss.organisation_id, "tax_clearance", state="accepted", valid_until=ended)
    document(boss.organisation_id, "venture_certificate", state="accepted", valid_until=today())
    document(boss.organisation_id, "sme_certificate", state="accepted")
    waiting = document(boss.organisation_id, "other", valid_until=ended)
    assert selectors.valid_document_kinds(boss.organisation_id) == {"venture_certificate", "sme_certificate"}
    assert refusal(services.accept_document, actor=officer(), document_id=waiting.pk) == "document_expired"
    assert {view.kind: view.shown_state for view in selectors.documents(boss.organisation_id)} == {
        "tax_clearance": "expired",
        "venture_certificate": "accepted",
        "sme_certificate": "accepted",
        "other": "asked",
    }


def test_who_loses_the_certificate_is_verified_anew(boss: Any) -> None:
    verify(boss)
    (certificate,) = selectors.documents(boss.organisation_id)
    services.refuse_document(actor=officer(), document_id=certificate.id, reason="위조로 확인됨")
    assert selectors.profile(boss.organisation_id).verification_state == "asked"


def test_administrators_are_reminded_a_month_and_a_week_before_the_end(boss: Any) -> None:
    ends = document(
        boss.organisation_id, "tax_clearance", state="accepted", valid_until=today() + timedelta(days=29)
    )
    document(boss.organisation_id, "other", state="accepted", valid_until=today() + timedelta(days=31))
    document(boss.organisation_id, "other", state="asked", valid_until=today() + timedelta(days=3))
    assert services.remind_of_expiry() == services.remind_of_expiry() == 1
    assert Notice.objects.count() == 1
    OrganisationDocument.objects.filter(pk=ends.pk).update(valid_until=today() + timedelta(days=7))
    services.remind_of_expiry()
    notices = Notice.objects.filter(person_id=boss.person_id)
    assert {notice.path for notice in notices} == {
        f"/organisations/{selectors.organisation(boss.organisation_id).slug}/documents/add/?kind=tax_clearance"
    }
    assert notices.count() == 2


def test_who_has_handed_in_the_next_one_is_left_in_peace(boss: Any) -> None:
    document(boss.organisation_id, "tax_clearance", state="accepted", valid_until=today() + timedelta(days=9))
    document(boss.organisation_id, "tax_clearance", state="asked", valid_until=today() + timedelta(days=99))
    assert services.remind_of_expiry() == 0
    assert SYSTEM.is_system
