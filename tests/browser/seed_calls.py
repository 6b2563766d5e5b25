"""Calls for looking at: one that is open and was extended, small requests, one to come, and a draft with something to repair."""

from datetime import timedelta
from io import BytesIO
from typing import Any

WON = 10**6
#: Those who look are let in by their organisation; these are what pages need besides.
CLASH = {
    "key": "old",
    "title": {"ko": "업력 8년 이상", "en": "At least eight years old"},
    "rule": {"attribute": "organisation.age_months", "comparison": "at_least", "value": 96},
}
YOUNG = {
    "key": "young",
    "title": {"ko": "업력 7년 이내", "en": "At most seven years old"},
    "rule": {"attribute": "organisation.age_months", "comparison": "at_most", "value": 84},
}


def make_calls(officer: Any, asker: Any, programme: str) -> dict[str, str]:
    """Ids that addresses need."""
    from dure.control.calls import selectors, services
    from dure.control.foundation import clock

    now = clock.now().replace(microsecond=0)

    def begin(template: str, slug: str, korean: str, english: str, **values: Any) -> Any:
        made = services.add_from_template(
            actor=officer,
            template_key=template,
            slug=slug,
            programme_slug=programme,
            name_ko=korean,
            name_en=english,
        )
        return services.change_round(actor=officer, round_id=made.rounds[0].id, **values)

    support = begin(
        "api_support",
        "api-support-2027",
        "2027년 초거대 AI API 활용지원 1차 공고",
        "Hyperscale-AI API Support 2027, First Call",
        opens_at=now - timedelta(days=3),
        closes_at=now + timedelta(days=27),
        budget_micro_won=300_000_000 * WON,
    )
    services.add_attachment(
        actor=officer,
        call_slug="api-support-2027",
        stream=BytesIO("안내".encode()),
        name="guide.txt",
        title_ko="신청 안내서",
        title_en="Guide for applicants",
    )
    services.publish_round(actor=officer, round_id=support.id)
    services.extend_round(
        actor=officer,
        round_id=support.id,
        closes_at=now + timedelta(days=30, hours=4),
        reason="접수 첫날 전산 장애로 하루 동안 신청할 수 없었습니다.",
    )
    small = begin(
        "small_request",
        "small-requests",
        "소액 즉시지원",
        "Small Requests",
        opens_at=now - timedelta(days=1),
        closes_at=now + timedelta(days=180),
        budget_micro_won=50_000_000 * WON,
    )
    services.publish_round(actor=officer, round_id=small.id)
    pilot = begin(
        "pilot",
        "public-pilot-2027",
        "2027년 공공 분야 AI 시범 적용",
        "Public AI Pilots 2027",
        opens_at=now + timedelta(days=6),
        closes_at=now + timedelta(days=40),
        budget_micro_won=200_000_000 * WON,
    )
    services.publish_round(actor=officer, round_id=pilot.id)
    first = services.ask_question(
        actor=asker, call_slug="api-support-2027", text="여러 서비스에 나누어 신청할 수 있습니까?"
    )
    services.answer_question(
        actor=officer,
        question_id=first.id,
        answer_ko="한 신청서에 서비스 하나만 적어 주십시오. 서비스별로 따로 신청하실 수 있습니다.",
        answer_en="One service to an application, please. You may apply for each service separately.",
    )
    waiting = services.ask_question(
        actor=asker,
        call_slug="api-support-2027",
        text="파인튜닝 비용도 지원 대상입니까? 우리 회사는 상담 요약 모델을 조정하려고 합니다.",
    )
    draft = begin(
        "rnd",
        "hyperscale-rnd-2027",
        "2027년 초거대 AI 연구개발 과제 공모",
        "Hyperscale-AI R&D 2027",
        budget_micro_won=0,
        opens_at=now + timedelta(days=10),
        closes_at=now + timedelta(days=30),
    )
    content = selectors.draft(actor=officer, slug="hyperscale-rnd-2027").rules.content
    services.save_rules(actor=officer, call_slug="hyperscale-rnd-2027", content=[*content, YOUNG, CLASH])
    return {"open_round": str(support.id), "draft_round": str(draft.id), "question": str(waiting.id)}
