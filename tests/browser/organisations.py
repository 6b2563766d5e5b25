"""Organisations with everything that their pages show: verified, waiting, refused; documents, group, people."""

from datetime import date, timedelta
from io import BytesIO
from typing import Any

_PDF = b"%PDF-1.7\n\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"


def add_organisations(people: dict[str, Any], password: str) -> dict[str, str]:
    """Fill saebyeok's pages and add three organisations beside it; ids and names that addresses need."""
    from dure.control.foundation import clock
    from dure.control.foundation.actors import Actor
    from dure.control.identity import membership_selectors, selectors, services
    from dure.control.identity.models import Invitation

    system = Actor.system("seed")
    for name, korean in [("founder", "강온누리"), ("unattached", "류아직"), ("partner", "남마루")]:
        people[name] = services.add_person(
            actor=system, email=f"{name}@example.kr", name=korean, password=password, language="ko"
        )
    officer = selectors.actor_for(person_id=people["officer"].id)
    boss = selectors.actor_for(
        person_id=people["startup"].id, organisation_id=selectors.organisation("saebyeok").id
    )
    saebyeok = boss.organisation_id
    assert saebyeok is not None
    services.change_profile(
        actor=boss, organisation_id=saebyeok, registration_number="120-81-47521", size_class="small",
        founded_on=date(2021, 3, 2), region="KR-11", employees=34, website="https://saebyeok.example.kr",
    )  # fmt: skip
    today = clock.now().astimezone(clock.SEOUL).date()

    def hand_in(actor: Any, kind: str, name: str, until: date | None = None, text: bytes = b"") -> Any:
        return services.add_document(
            actor=actor, organisation_id=actor.organisation_id, kind=kind, name=name,
            stream=BytesIO(_PDF + text + kind.encode()), issued_on=today - timedelta(days=20), valid_until=until,
        )  # fmt: skip

    hand_in(boss, "business_registration", "사업자등록증.pdf")
    services.ask_verification(actor=boss, organisation_id=saebyeok)
    services.verify_organisation(actor=officer, organisation_id=saebyeok)
    tax = hand_in(boss, "tax_clearance", "납세증명서.pdf", today + timedelta(days=21))
    services.accept_document(actor=officer, document_id=tax.id)
    blurred = hand_in(boss, "sme_certificate", "중소기업확인서.pdf", today + timedelta(days=300))
    services.refuse_document(
        actor=officer,
        document_id=blurred.id,
        reason="글자가 흐려 유효 기간을 읽을 수 없습니다. 다시 스캔해 주세요.",
    )
    hand_in(boss, "venture_certificate", "벤처기업확인서.pdf", today + timedelta(days=700))
    onnuri = _found(people["founder"], "온누리로보틱스", "Onnuri Robotics", "124-81-00998")
    hand_in(onnuri, "business_registration", "온누리 사업자등록증.pdf")
    services.ask_verification(actor=onnuri, organisation_id=onnuri.organisation_id)
    maru = _found(people["partner"], "마루데이터", "Maru Data", "220-81-62517")
    hand_in(maru, "business_registration", "마루데이터 등록증.pdf")
    services.ask_verification(actor=maru, organisation_id=maru.organisation_id)
    services.refuse_verification(
        actor=officer, organisation_id=maru.organisation_id, reason="등록증의 상호와 기관 이름이 다릅니다."
    )
    holding = services.declare_link(
        actor=boss, organisation_id=saebyeok, other_is="owner", other_name="새벽홀딩스", share_bp=6_250,
        valid_from=date(2022, 1, 1),
    )  # fmt: skip
    services.confirm_link(actor=officer, link_id=holding.id)
    waiting = services.declare_link(
        actor=onnuri, organisation_id=onnuri.organisation_id, other_is="owner", other_name="새벽소프트",
        other_number="120-81-47521", share_bp=3_000, valid_from=date(2025, 6, 1),
    )  # fmt: skip
    for email in ("unattached@example.kr", "new.colleague@example.kr"):
        services.invite(actor=boss, organisation_id=saebyeok, email=email, roles=["developer", "viewer"])
    services.delegate(
        actor=boss, organisation_id=saebyeok, delegate_id=people["viewer"].id, roles=["administrator"],
        valid_until=clock.now() + timedelta(days=10), reason="해외 출장으로 자리를 비웁니다.",
    )  # fmt: skip
    invitation = Invitation.objects.get(email="unattached@example.kr")
    return {
        "link": str(waiting.id),
        "invitation": str(invitation.pk),
        "invitation_token": membership_selectors.invitation_token(invitation),
        "member": str(people["viewer"].id),
        "document": str(blurred.id),
    }


def _found(person: Any, name_ko: str, name_en: str, number: str) -> Any:
    from dure.control.identity import selectors, services

    view = services.found_organisation(
        actor=selectors.actor_for(person_id=person.id), registration_number=number, name_ko=name_ko,
        name_en=name_en, kind="startup", size_class="micro", founded_on=date(2025, 4, 1), region="KR-30",
    )  # fmt: skip
    return selectors.actor_for(person_id=person.id, organisation_id=view.id)
