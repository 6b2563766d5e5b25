"""A small country for looking at pages: made through the rooms' own services, and used through the gateway's SQL doors.

Run as a program inside a process whose environment names the database: `python -m browser.seed`. It prints
one JSON object: sign-ins by role, and the ids that addresses need.
"""

import json
import random
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import django
import msgspec

from browser import applications
from browser.organisations import add_organisations
from browser.seed_calls import make_calls

PASSWORD = "look-at-the-pages-1"
CATALOGUE = """
version: 1
models:
  - name: smollm2-135m-instruct
    provider: hanbit-ai
    title: {ko: 한빛 스몰 135M, en: Hanbit Small 135M}
    description:
      ko: 짧은 글을 빠르게 쓰고 고치는 작은 언어 모델. 고객 문의 분류와 요약에 알맞습니다.
      en: A small language model that writes and edits short texts quickly; good for sorting and summarising enquiries.
    endpoints: [chat.completions, completions]
    context_length: 8192
    max_output_tokens: 4096
    prices:
      - {effective_from: 2026-01-01T00:00:00+09:00, input: 150, output: 600, cached_input: 40}
      - {effective_from: 2026-07-01T00:00:00+09:00, input: 120, output: 480, cached_input: 30}
      - {effective_from: 2036-01-01T00:00:00+09:00, input: 100, output: 400, cached_input: 25}
    deployments:
      - {name: seoul-1, base_url: "http://127.0.0.1:9", weight: 3}
  - name: nuri-hyper-82b
    provider: nuri-cloud
    title: {ko: 누리 하이퍼 82B, en: Nuri Hyper 82B}
    description:
      ko: 한국어 법령과 공공 문서로 미세조정한 초거대 언어 모델. 긴 문서의 질의응답과 번역을 맡깁니다.
      en: A hyperscale language model tuned on Korean law and public documents, for long-document questions and translation.
    context_length: 131072
    max_output_tokens: 16384
    prices:
      - {effective_from: 2026-03-01T00:00:00+09:00, input: 2500, output: 10000, cached_input: 600}
    deployments:
      - {name: pangyo-1, state: unreachable}
"""


def main() -> None:
    django.setup()
    from dure.control.access import services as access
    from dure.control.catalogue import services as catalogue
    from dure.control.foundation import clock
    from dure.control.foundation.actors import Actor
    from dure.control.identity import selectors as identity_selectors
    from dure.control.identity import services as identity
    from dure.control.programmes import services as programmes
    from dure.control.programmes.own_share import OwnShareRule
    from dure.control.settlement import services as settlement

    system = Actor.system("seed")
    organisations = {}
    for slug, kind, korean, english in [
        ("msit", "ministry", "과학기술정보통신부", "Ministry of Science and ICT"),
        ("hanbit-ai", "provider", "한빛인공지능", "Hanbit AI"),
        ("nuri-cloud", "provider", "누리클라우드", "Nuri Cloud"),
        ("saebyeok", "startup", "새벽소프트", "Saebyeok Soft"),
        ("dallae", "startup", "달래랩", "Dallae Lab"),
        ("haneul-city", "public_body", "하늘시청", "Haneul City Hall"),
        ("garam-university", "university", "가람대학교", "Garam University"),
    ]:
        organisations[slug] = identity.add_organisation(
            actor=system, slug=slug, kind=kind, name_ko=korean, name_en=english, demo=True
        )
    people = {}
    for name, korean, slug, roles in [
        ("officer", "김사업", "msit", ["officer"]),
        ("second_officer", "윤담당", "msit", ["officer"]),
        ("operator", "이운영", "msit", ["operator"]),
        ("auditor", "박감사", "msit", ["auditor"]),
        ("provider", "최모델", "hanbit-ai", ["provider_manager", "administrator"]),
        ("startup", "정새벽", "saebyeok", ["administrator", "developer"]),
        ("newcomer", "한달래", "dallae", ["administrator", "developer"]),
        ("viewer", "오열람", "saebyeok", ["viewer"]),
        # Whom nothing is lent to, and whose ways to sign in a test may change.
        ("onlooker", "문구경", "saebyeok", ["viewer"]),
        ("traveller", "지여행", "saebyeok", ["viewer"]),
        ("colleague", "배동료", "saebyeok", ["developer"]),
    ]:
        person = identity.add_person(
            actor=system, email=f"{name}@example.kr", name=korean, password=PASSWORD, language="ko"
        )
        people[name] = person
        identity.add_membership(
            actor=system, person_id=person.id, organisation_id=organisations[slug].id, roles=roles
        )
    identity.add_membership(
        actor=system,
        person_id=people["startup"].id,
        organisation_id=organisations["haneul-city"].id,
        roles=["developer"],
    )
    own = identity_selectors.actor_for(
        person_id=people["startup"].id, organisation_id=organisations["saebyeok"].id
    )
    identity.issue_token(actor=own, name="월말 보고서", scopes=["read"])
    identity.issue_token(actor=own, name="배포 자동화")
    identity.remember_failure(
        person_id=people["startup"].id, address="203.0.113.7", agent="Firefox/140.0 Linux"
    )
    people["leaving"] = identity.add_person(
        actor=system, email="leaving@example.kr", name="나떠남", password=PASSWORD
    )
    identity.ask_erasure(actor=identity_selectors.actor_for(person_id=people["leaving"].id))
    catalogue.apply(actor=system, document=CATALOGUE)
    programme = programmes.add_programme(
        actor=system,
        slug="hyperscale-2026",
        name_ko="2026년 초거대 인공지능 활용 지원",
        name_en="Hyperscale AI Use Support 2026",
        krw_micro_won=1_100_000_000 * 10**6,
        agency_slug="msit",
    ).programme
    programmes.add_source(
        actor=system, slug="ai-fund", name_ko="인공지능 진흥기금", name_en="AI Promotion Fund", kind="fund",
        organisation_slug="msit",
    )  # fmt: skip
    awards = {}
    for slug, korean, english, won, days in [
        ("saebyeok", "고객 상담 요약 서비스 실증", "Customer Call Summaries", 30_000, 90),
        ("saebyeok", "판례 검색 도우미", "Case Law Search Assistant", 20_000_000, 200),
        ("dallae", "시각장애인 쇼핑 도우미", "Shopping Assistant for the Blind", 15_000_000, 300),
        ("haneul-city", "민원 답변 초안 작성", "Drafting Replies to Citizens", 80_000_000, 400),
        ("garam-university", "한국어 대화 말뭉치 정제", "Cleaning a Korean Dialogue Corpus", 40_000_000, 365),
    ]:
        awards[korean] = programmes.grant_award(
            actor=system,
            programme_slug=programme.slug,
            organisation_slug=slug,
            micro_won=won * 10**6,
            name=korean,
            name_en=english,
            valid_from=clock.now() - timedelta(days=40),
            valid_until=clock.now() + timedelta(days=days),
        ).award
    programmes.appropriate(
        actor=system, programme_slug=programme.slug, micro_won=300_000_000 * 10**6, source_slug="ai-fund",
        memo="2차 추경",
    )  # fmt: skip
    programmes.set_budget_line(
        actor=system, programme_slug=programme.slug, key="api_use", name_ko="API 사용료", name_en="API use",
        ceiling=500_000_000 * 10**6,
    )  # fmt: skip
    programmes.set_own_contribution(
        actor=system, programme_slug=programme.slug,
        rules={"small": OwnShareRule(1_000), "medium": OwnShareRule(2_000), "large": OwnShareRule(5_000, 10**12)},
    )  # fmt: skip
    programmes.set_eligible_use(
        actor=system, programme_slug=programme.slug, models=["smollm2-135m-instruct"],
        endpoints=["chat.completions", "completions"], valid_until=clock.now() + timedelta(days=500),
    )  # fmt: skip
    shared = programmes.grant_award(
        actor=system, programme_slug=programme.slug, organisation_slug="dallae", micro_won=9_000_000 * 10**6,
        name="점자 문서 변환", name_en="Documents in Braille", size_class="small",
    ).award  # fmt: skip
    programmes.confirm_own_contribution(actor=system, award_id=shared.id, micro_won=600_000 * 10**6)
    busy, quiet, unused = (awards[name] for name in list(awards)[:3])
    keys = {
        name: access.issue_key(actor=system, award_id=award.id, name=name)
        for name, award in [("운영 서버", busy), ("개발용 노트북", busy), ("시험", quiet)]
    }
    old = access.issue_key(actor=system, award_id=busy.id, name="지난 인턴")
    access.revoke_key(actor=system, key_id=old.key.id)
    use(busy.id, keys["운영 서버"].key.id, organisations["hanbit-ai"].id, days=21, calls=60)
    braille = access.issue_key(actor=system, award_id=shared.id, name="변환 서버")
    use(shared.id, braille.key.id, organisations["hanbit-ai"].id, days=1, calls=12)
    use(quiet.id, keys["시험"].key.id, organisations["hanbit-ai"].id, days=2, calls=3)
    gateways = run_gateways(busy.id, awards["민원 답변 초안 작성"].id, quiet.id)
    settlement.declare_lost(
        actor=identity_selectors.actor_for(person_id=people["second_officer"].id),
        process_ids=[UUID(gateways["asked"])],
        reason="전산실 화재로 서버와 디스크를 잃음",
    )
    tell(people["startup"], f"/awards/{busy.id}/")
    more = add_organisations(people, PASSWORD)
    identity.give_programme_role(
        actor=system,
        person_id=people["partner"].id,
        programme_id=programme.id,
        role="reviewer",
        valid_until=clock.now() + timedelta(days=60),
        reason="외부 평가위원 위촉",
    )
    calls = make_calls(
        identity_selectors.actor_for(person_id=people["officer"].id),
        identity_selectors.actor_for(person_id=people["startup"].id),
        programme.slug,
    )
    made = applications.make(system, people, organisations, programme.slug)
    settlement.publish_day_heads()
    settlement.verify_everything()
    json.dump(
        {
            "people": {name: person.email for name, person in people.items()},
            "password": PASSWORD,
            "programme": str(programme.id),
            "busy": str(busy.id),
            "unused": str(unused.id),
            "shared": str(shared.id),
            "key": str(keys["운영 서버"].key.id),
            "startup": str(organisations["saebyeok"].id),
            "hanbit": str(organisations["hanbit-ai"].id),
            **gateways,
            **more,
            **calls,
            **made,
        },
        sys.stdout,
    )


def tell(person: Any, path: str) -> None:
    """Notices of each kind; the last of them is read."""
    from django.db import transaction

    from dure.control.foundation import notices, wording
    from dure.control.foundation.actors import Actor

    told: list[tuple[Any, str, str, str]] = [
        (
            "outcome",
            "지원금이 확정되었습니다",
            "고객 상담 요약 서비스 실증에 30,000원이 지원됩니다.",
            "지원금 보기",
        ),
        (
            "reminder",
            "지원 기간이 90일 남았습니다",
            "남은 금액은 기간이 끝나면 사업으로 돌아갑니다.",
            "지원금 보기",
        ),
        (
            "duty",
            "보완 서류를 제출해 주십시오",
            "담당자: 납세증명서의 유효기간이 지났습니다.\n새 증명서를 12월 3일 18시까지 올려 주십시오.",
            "서류 올리기",
        ),
    ]
    with transaction.atomic():
        for category, title, text, action in told:
            notices.tell(
                to=[person],
                title=wording.verbatim(title),
                text=wording.verbatim(text),
                path=path,
                action=wording.verbatim(action),
                dedupe_key=title,
                category=category,
            )
    actor = Actor(kind="person", name=person.name, person_id=person.id)
    (*_unread, first) = notices.notices(actor=actor).object_list
    notices.mark_read(actor=actor, notice_id=first.id)


def use(award: UUID, key: UUID, provider: UUID, *, days: int, calls: int, status: str = "") -> UUID:
    """Calls over the last days, posted as a gateway process posts them; the process goes on living."""
    from django.db import connection

    from dure.contracts import gateway_api
    from dure.contracts.ids import uuid7
    from dure.contracts.usage import UsageRecord
    from dure.control.catalogue.models import Deployment, Price
    from dure.control.foundation import clock

    chance = random.Random(f"{award}{calls}")
    deployment = Deployment.objects.get(name="seoul-1")
    price = Price.objects.filter(model=deployment.model).earliest("effective_from")
    process = uuid7()
    now = clock.to_unix_us(clock.now())
    records: list[Any] = []
    for number in range(calls):
        at = now - int((calls - 1 - number) / max(calls - 1, 1) * days * 86_400_000_000)
        outcome = (
            status or chance.choices(["completed", "cancelled", "failed", "truncated"], [90, 5, 4, 1], k=1)[0]
        )
        failed = outcome == "failed"
        prompt, answer = chance.randint(200, 6_000), 0 if failed else chance.randint(100, 900) * 1_000
        records.append(
            UsageRecord(
                request_id=_id_of(at, number),
                sequence=number + 1,
                award=award,
                key=key,
                model=deployment.model.name,
                deployment=deployment.pk,
                provider=provider,
                price=price.pk,
                endpoint="chat.completions",
                status=outcome,
                http_status=502 if failed else 200,
                streamed=chance.random() < 0.5,
                estimated=outcome in {"cancelled", "truncated"},
                input_tokens=prompt,
                output_tokens=answer,
                cached_tokens=prompt // 3 if chance.random() < 0.3 else 0,
                cost_micro_won=0 if failed else prompt * 120 + answer * 480,
                opened_at=at - chance.randint(300_000, 9_000_000),
                closed_at=at,
                error_code="upstream_unreachable" if failed else "",
            )
        )
    cost = sum(record.cost_micro_won for record in records)
    with connection.cursor() as cursor:
        cursor.execute(gateway_api.START_PROCESS, [process, "seoul-gw-1", 4711, "0.1.0"])
        cursor.execute(gateway_api.LEASE, [process, award, uuid7(), cost])
        posted = msgspec.json.encode(records).decode()
        cursor.execute(gateway_api.POST_USAGE, [process, 0, calls, posted])
    return process


def run_gateways(busy: UUID, city: UUID, quiet: UUID) -> dict[str, str]:
    """Three gateway processes beside those that posted the calls: one that tells its figures, one that fell silent
    with money, and one that an officer will ask to declare lost."""
    from django.db import connection

    from dure.contracts import gateway_api
    from dure.contracts.ids import uuid7
    from dure.control.catalogue.models import Deployment
    from dure.control.foundation import directory

    deployment = str(Deployment.objects.get(name="seoul-1").pk)
    figures = {
        "requests": 48_211,
        "open_requests": 37,
        "open_streams": 31,
        "journal_sequence": 12,
        "journal_unposted_records": 12,
        "journal_unposted_seconds": 0.4,
        "journal_unposted_bytes": 9_413,
        "journal_healthy": True,
        "directory_version": directory.version(),
        "directory_age_seconds": 0.2,
        "loop_delay_ms": 4.1,
        "first_byte_ms": [212.0, 640.0, 1_280.0],
        "total_ms": [1_790.0, 5_110.0, 9_200.0],
        "deployments": {
            deployment: {
                "state": "closed", "outstanding": 37, "queued": 2, "requests": 5_120, "errors": 14,
                "first_byte_ms": [212.0, 640.0, 1_280.0], "total_ms": [1_790.0, 5_110.0, 9_200.0],
            }
        },
    }  # fmt: skip
    made = {"running": uuid7(), "silent": uuid7(), "asked": uuid7()}
    with connection.cursor() as cursor:
        for name, node in (("running", "pangyo-gw-1"), ("silent", "busan-gw-2"), ("asked", "sejong-gw-1")):
            cursor.execute(gateway_api.START_PROCESS, [made[name], node, 5_120, "0.1.0"])
        cursor.execute(gateway_api.HEARTBEAT, [made["running"], msgspec.json.encode(figures).decode()])
        for name, award, micro_won in (
            ("silent", busy, 40_000_000),
            ("silent", city, 90_000_000_000),
            ("asked", quiet, 700_000_000),
        ):
            cursor.execute(gateway_api.LEASE, [made[name], award, uuid7(), micro_won])
        # Those that posted the calls go on living, and for as long as somebody looks at the pages.
        cursor.execute("UPDATE settlement_gatewayprocess SET last_seen_at = now() + interval '1 day'")
        cursor.execute(
            "UPDATE settlement_gatewayprocess SET last_seen_at = now() - interval '50 minutes',"
            " started_at = now() - interval '3 days' WHERE id = ANY(%s)",
            [[made["silent"], made["asked"]]],
        )
    return {name: str(process) for name, process in made.items()}


def _id_of(at: int, number: int) -> UUID:
    """A UUIDv7 of that moment, so that lists by id are lists by time."""
    random_bits = random.Random(f"{at}{number}").getrandbits(62)
    return UUID(int=(at // 1_000 << 80) | (7 << 76) | (number << 64) | (0b10 << 62) | random_bits)


if __name__ == "__main__":
    main()
