"""Calls and applications to look at: one half written by two, and one of each that went further."""

import io
from datetime import timedelta
from typing import Any
from unittest.mock import patch

PLAN = (
    "고객 상담 기록을 사람이 하루 300건씩 읽고 분류합니다.\n\n"
    "모델이 상담을 요약하고 다음 조치를 제안하면, 상담원은 확인만 하면 됩니다. 상담 한 건에 드는 시간이 7분에서 2분으로 줄어듭니다.\n\n"
    "짧은 요약에는 작은 모델을, 법령을 찾아야 하는 상담에는 초거대 모델을 씁니다. 개인정보는 보내기 전에 지웁니다. "
    "석 달 동안 상담원 스무 명이 함께 써 보고, 요약이 틀린 비율과 처리 시간을 매주 공개합니다."
)
RULES = [
    {
        "key": "enterprise",
        "title": {"ko": "중소기업 또는 스타트업", "en": "A small firm or start-up"},
        "rule": {"attribute": "organisation.kind", "comparison": "in", "value": ["sme", "startup"]},
    }
]


def answers(name: str, krw: int) -> dict[str, Any]:
    """Everything that the template `api_support` asks for."""
    return {
        "contact_name": "정새벽",
        "contact_role": "대표",
        "contact_phone": "02-1234-5678",
        "contact_email": "startup@example.kr",
        "service_name": name,
        "service_state": "running",
        "service_url": "https://saebyeok.example",
        "monthly_users": 4_200,
        "plan": PLAN,
        "personal_data": False,
        "team": [
            {"name": "정새벽", "role": "lead", "share": "40"},
            {"name": "오열람", "role": "developer", "share": "60"},
        ],
        "budget": [
            {"line": "api_usage", "text": "상담 요약 월 9만 건", "won": krw * 4 // 5},
            {"line": "tuning", "text": "말투 조정", "won": krw // 5},
        ],
        "consent_privacy": True,
        "consent_truth": True,
    }


def make(
    system: Any, people: dict[str, Any], organisations: dict[str, Any], programme: str
) -> dict[str, str]:
    from dure.control.applications import services
    from dure.control.applications.services import rows
    from dure.control.calls import services as calls
    from dure.control.foundation import clock, documents
    from dure.control.identity import selectors as identity

    now = clock.now()
    officer = identity.actor_for(person_id=people["officer"].id)

    def opened(template: str, slug: str, name: str, english: str, days: int) -> Any:
        call = calls.add_from_template(
            actor=system,
            template_key=template,
            slug=slug,
            programme_slug=programme,
            name_ko=name,
            name_en=english,
        )
        calls.save_rules(actor=system, call_slug=slug, content=RULES)
        round_ = calls.change_round(
            actor=system,
            round_id=call.rounds[0].id,
            opens_at=now - timedelta(days=9),
            closes_at=now + timedelta(days=days),
            budget_micro_won=60_000_000 * 10**6,
        )
        calls.publish_round(actor=system, round_id=round_.id)
        return round_

    def begun(round_: Any, slug: str, person: str) -> Any:
        return services.start(
            actor=system,
            round_id=round_.id,
            organisation_id=organisations[slug].id,
            lead_id=people[person].id,
        )

    def wrote(view: Any, person: str, slug: str, values: dict[str, Any]) -> None:
        actor = identity.actor_for(person_id=people[person].id, organisation_id=organisations[slug].id)
        services.save_answers(
            actor=actor, application_id=view.id, answers={key: (value, 0) for key, value in values.items()}
        )

    def handed_in(view: Any, person: str, slug: str) -> None:
        actor = identity.actor_for(person_id=people[person].id, organisation_id=organisations[slug].id)
        services.submit(actor=actor, application_id=view.id)
        services.decide_at_once(view.id)

    open_round = opened(
        "api_support", "api-support-2026", "초거대 AI API 활용지원 2차", "API Support, Second Round", 24
    )
    fresh_round = opened(
        "api_support", "api-support-fresh", "초거대 AI API 활용지원 3차", "API Support, Third Round", 40
    )
    small_round = opened("small_request", "small-2026", "소액 즉시지원", "Small Requests", 60)
    past_round = opened(
        "api_support", "api-support-first", "초거대 AI API 활용지원 1차", "API Support, First Round", 15
    )

    quote = documents.pdf("document", {"title": "산출 근거", "sections": []})
    draft = begun(open_round, "saebyeok", "startup")
    services.invite_writer(actor=system, application_id=draft.id, email=people["colleague"].email)
    half = answers("상담 요약 도우미", 12_000_000)
    wrote(
        draft,
        "startup",
        "saebyeok",
        {
            key: half[key]
            for key in ("contact_name", "contact_role", "contact_email", "service_name", "service_state")
        },
    )
    wrote(draft, "colleague", "saebyeok", {"plan": PLAN[:120], "budget": half["budget"][:1]})
    services.attach(
        actor=system,
        application_id=draft.id,
        field="quote",
        stream=io.BytesIO(quote),
        name="산출근거.pdf",
    )
    submitted = begun(open_round, "dallae", "newcomer")
    wrote(submitted, "newcomer", "dallae", answers("시각장애인 쇼핑 도우미", 8_000_000))
    handed_in(submitted, "newcomer", "dallae")
    granted = begun(small_round, "saebyeok", "startup")
    purpose = {
        "purpose": "민원 답변 초안을 써 보려고 합니다.",
        "budget": [{"line": "api_usage", "text": "한 달 시험", "won": 500_000}],
        "consent_truth": True,
    }
    wrote(granted, "startup", "saebyeok", purpose)
    handed_in(granted, "startup", "saebyeok")

    incomplete = begun(past_round, "saebyeok", "startup")
    wrote(incomplete, "startup", "saebyeok", answers("판례 검색 도우미", 20_000_000))
    handed_in(incomplete, "startup", "saebyeok")
    refused = begun(past_round, "dallae", "newcomer")
    wrote(refused, "newcomer", "dallae", answers("장보기 음성 안내", 9_000_000))
    handed_in(refused, "newcomer", "dallae")
    judged_round = opened(
        "api_support", "api-support-trial", "초거대 AI API 활용지원 시범", "API Support, Trial", 14
    )
    waiting = begun(judged_round, "saebyeok", "startup")
    wrote(waiting, "startup", "saebyeok", answers("회의록 정리 도우미", 15_000_000))
    handed_in(waiting, "startup", "saebyeok")
    deciding = begun(judged_round, "dallae", "newcomer")
    wrote(deciding, "newcomer", "dallae", answers("수어 안내 영상 자막", 7_000_000))
    handed_in(deciding, "newcomer", "dallae")
    # The clock by which deadlines pass goes ahead to the end of their round, and of no other.
    with patch.object(rows, "database_moment", lambda: now + timedelta(days=15, seconds=1)):
        services.close_due()
    services.ask_for_completion(
        actor=officer,
        application_id=incomplete.id,
        fields=["quote", "plan"],
        reason="산출 근거가 없습니다. 모델별 예상 호출량과 단가를 적은 파일을 올리고, 계획에 평가 방법을 더해 주십시오.",
        due_at=now + timedelta(days=6),
    )
    services.advance(actor=officer, application_id=refused.id, outcome="complete")
    services.advance(actor=officer, application_id=refused.id, outcome="passed")
    for outcome in ("complete", "passed"):
        services.advance(actor=officer, application_id=deciding.id, outcome=outcome)
    services.decide(
        actor=officer,
        application_id=refused.id,
        outcome="rejected",
        reason="계획은 충실하나, 같은 기능의 서비스가 이미 지원받고 있어 중복 지원 여부를 판단할 근거가 부족합니다.",
    )
    return {
        "round": str(fresh_round.id),
        "judged_round": str(judged_round.id),
        "waiting": str(waiting.id),
        "deciding": str(deciding.id),
        "draft": str(draft.id),
        "submitted": str(submitted.id),
        "granted": str(granted.id),
        "incomplete": str(incomplete.id),
        "refused": str(refused.id),
    }
