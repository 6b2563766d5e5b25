"""A nation's worth of rows, to look at pages with: 5,000 organisations, their people and groups, 20,000 applications.

    .venv/bin/python bench/population.py --database postgresql://…    # into a migrated, empty database
    .venv/bin/python bench/pages.py                                    # makes its own and measures every page

Seeded: the same arguments make the same nation. Calls and rounds are made by their services, from the templates that
ship with Dure; the mass of applications is written in bulk, in every state that there is, with answers, submissions,
passages, decisions, notices and the audit trail's events. Three hundred of them are awarded through the ledger, and used:
each has a key, and calls posted as a gateway posts them. Where a ministry `msit` is there already, it is its.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import time
from datetime import date, timedelta
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import UUID

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

SYLLABLES = "가 나 다 라 마 바 사 아 자 하 늘 새 벽 달 래 솔 빛 누리 한 온 도 담 지 율 산".split()
TAILS = ["소프트", "랩", "테크", "에이아이", "데이터", "로보틱스", "바이오", "미디어", "커머스", "시스템"]
KINDS = ["startup"] * 55 + ["sme"] * 30 + ["university"] * 6 + ["public_body"] * 5 + ["institute"] * 4
SIZES = {
    "startup": ["micro", "small"],
    "sme": ["small", "medium"],
    "university": ["none"],
    "public_body": ["none"],
    "institute": ["none"],
}
REGIONS = ["KR-11", "KR-26", "KR-27", "KR-28", "KR-29", "KR-30", "KR-31", "KR-41", "KR-42", "KR-47", "KR-49"]
STATES = {
    "draft": 14, "submitted": 40, "incomplete": 3, "accepted": 6, "rejected": 20, "withdrawn": 7, "lapsed": 10,
}  # fmt: skip
PASSWORD = "look-at-the-pages-1"


def fill(*, organisations: int, applications: int, awards: int, calls: int, seed: int) -> dict[str, Any]:
    """Into the database that Django is set up for; answers sign-ins and ids that addresses need."""
    chance = random.Random(seed)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", file=sys.stderr, flush=True)

    people = _officials()
    say("ministry and programme")
    orgs = _organisations(chance, organisations)
    say(f"{len(orgs)} organisations with people and groups")
    rounds = _rounds()
    say(f"{len(rounds)} rounds of {len(rounds) // 2} calls")
    made = _applications(chance, rounds, orgs, applications)
    say(f"{len(made)} applications")
    awarded = _awards(chance, made, awards)
    say(f"{len(awarded)} awards")
    _questions(chance, rounds, orgs, 100)
    _documents(chance, orgs)
    _notices_and_trail(made)
    say("questions, documents, notices and the audit trail")
    _usage(chance, awarded, calls)
    say(f"{calls} calls of models")
    _analyse()
    return {
        **people,
        "round": str(rounds[0].id),
        "application": str(next(one[0] for one in made if one[2] == "submitted")),
        "organisation": str(orgs[0][0]),
    }


def _officials() -> dict[str, Any]:
    from dure.control.foundation.actors import Actor
    from dure.control.identity import services as identity
    from dure.control.identity.models import Organisation
    from dure.control.programmes import services as programmes

    system = Actor.system("population")
    emails = {}
    known = Organisation.objects.filter(slug="msit").first()
    ministry = known or identity.add_organisation(
        actor=system,
        slug="msit",
        kind="ministry",
        name_ko="과학기술정보통신부",
        name_en="Ministry of Science and ICT",
    )
    for role in () if known else ("officer", "operator", "auditor"):
        email = f"{role}@msit.example"
        person = identity.add_person(actor=system, email=email, name=role, password=PASSWORD)
        identity.add_membership(actor=system, person_id=person.id, organisation_id=ministry.id, roles=[role])
        emails[role] = email
    programmes.add_programme(
        actor=system, slug="hyperscale", name_ko="초거대 인공지능 활용 지원", name_en="Hyperscale AI use",
        krw_micro_won=900_000_000_000 * 10**6, agency_slug="msit",
    )  # fmt: skip
    return {"people": emails, "password": PASSWORD}


def _organisations(chance: random.Random, many: int) -> list[tuple[UUID, UUID, str]]:
    """(organisation, its administrator, its kind); a tenth belong to a group."""
    from django.contrib.auth.hashers import make_password

    from dure.contracts.ids import uuid7
    from dure.control.foundation import clock
    from dure.control.identity import facts
    from dure.control.identity.models import Membership, Organisation, OwnershipLink, Person

    now, password = clock.now(), make_password(PASSWORD)
    made, people, memberships, found = [], [], [], []
    for number in range(many):
        kind = chance.choice(KINDS)
        name = "".join(chance.choices(SYLLABLES, k=chance.randint(2, 3))) + chance.choice(TAILS)
        nine = f"{220_100_000 + number}"
        organisation = Organisation(
            id=uuid7(), slug=f"org-{number}", kind=kind, name_ko=f"{name} {number}", name_en=f"Company {number}",
            registration_number=f"{nine}{facts.check_digit(nine)}", size_class=chance.choice(SIZES[kind]),
            founded_on=date(2027, 1, 1) - timedelta(days=chance.randint(400, 6_000)),
            region=chance.choice(REGIONS), employees=chance.randint(1, 300),
            verification_state="verified" if number % 7 else "asked", verified_at=now if number % 7 else None,
            verification_asked_at=now - timedelta(hours=number % 400),
        )  # fmt: skip
        found.append(organisation)
        for seat in range(2 if number % 3 == 0 else 1):
            person = Person(
                id=uuid7(), email=f"p{seat}@org-{number}.example", name=f"김{chance.choice(SYLLABLES)}{number}",
                password=password, email_verified_at=now,
            )  # fmt: skip
            people.append(person)
            memberships.append(
                Membership(
                    person=person,
                    organisation=organisation,
                    roles=["administrator", "developer"] if seat == 0 else ["developer"],
                    valid_from=now - timedelta(days=1),
                )
            )
            if seat == 0:
                made.append((organisation.pk, person.pk, kind))
    Organisation.objects.bulk_create(found, batch_size=1_000)
    Person.objects.bulk_create(people, batch_size=1_000)
    Membership.objects.bulk_create(memberships, batch_size=1_000)
    links = [
        OwnershipLink(
            owner_id=made[n][0], owner_name=found[n].name_ko, owned_id=made[n + 1][0], owned_name=found[n + 1].name_ko,
            kind="control", state="confirmed", valid_from=date(2025, 1, 1), declared_by_name="population",
        )
        for n in range(0, many - 1, 20)
    ]  # fmt: skip
    OwnershipLink.objects.bulk_create(links)
    return made


def _rounds() -> list[Any]:
    """Two rounds each of six calls: open ones and ones whose applications are being judged."""
    from dure.control.calls import services as calls
    from dure.control.calls import shipped
    from dure.control.foundation import clock
    from dure.control.foundation.actors import Actor

    system, now, made = Actor.system("population"), clock.now(), []
    for kind in shipped.NAMES:
        template = shipped.template(kind)
        calls.add_from_template(
            actor=system,
            slug=f"{kind.replace('_', '-')}-nation",
            programme_slug="hyperscale",
            template_key=kind,
        )
        for opened, closes in ((40, 35), (3, 60)):
            values: dict[str, Any] = {
                "opens_at": now - timedelta(days=opened),
                "closes_at": now + timedelta(days=closes),
                "budget_micro_won": template.budget_won * 10**6,
                "least_micro_won": template.least_won * 10**6,
                "most_micro_won": template.most_won * 10**6,
            }
            slug = f"{kind.replace('_', '-')}-nation"
            made.append((slug, values, template))
    rounds = []
    for slug, values, template in made:
        if template.automatic:
            rule = dict(template.automatic)
            values["automatic"] = {
                "most_micro_won": rule["most_won"] * 10**6,
                "valid_days": rule["valid_days"],
                "most_per_group": rule["most_per_group"],
            }
        row = calls.add_round(actor=system, call_slug=slug, **values)
        rounds.append(calls.publish_round(actor=system, round_id=row.id))
    return rounds


def _applications(
    chance: random.Random, rounds: list[Any], orgs: list[tuple[UUID, UUID, str]], many: int
) -> list[tuple[UUID, UUID, str, Any, int]]:
    from django.db import connection

    from dure.contracts.ids import uuid7
    from dure.control.applications.models import (
        Answer,
        AnswerRevision,
        Application,
        ApplicationMember,
        Decision,
        Passage,
        Submission,
    )
    from dure.control.foundation import clock
    from dure.control.identity import selectors as identity

    now = clock.now()
    ministry = identity.organisation("msit").id
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('applications_number')")
        begun = cursor.fetchone()[0]
    pairs = [(round_, org) for round_ in rounds for org in orgs]
    chosen = chance.sample(pairs, many)
    made = []
    for part in batched(enumerate(chosen), 2_000):
        rows: dict[type, list[Any]] = {
            one: []
            for one in (Application, ApplicationMember, Answer, AnswerRevision, Submission, Passage, Decision)
        }
        for number, (round_, (organisation, person, _kind)) in part:
            state = chance.choices(list(STATES), list(STATES.values()), k=1)[0]
            steps = [step for step in round_.graph.steps if step.kind not in {"notice", "questions"}]
            first = next(step for step in steps if step.kind == "application")
            later = [step for step in steps if step.kind in {"completeness", "review", "decision"}]
            step = first if state in {"draft", "lapsed", "withdrawn"} else chance.choice(later or [first])
            if state == "accepted":
                step = next((one for one in steps if one.kind == "award"), step)
            if state == "rejected":
                step = next((one for one in steps if one.kind in {"objection", "closing"}), step)
            at = now - timedelta(minutes=chance.randint(10, 30_000))
            asked = chance.randint(3, 200) * 100_000
            title = "".join(chance.choices(SYLLABLES, k=6)) + " 서비스"
            row = Application(
                id=uuid7(), number=f"2026-{begun + number + 1:06d}", round_id=round_.id, form_version_id=round_.form_version_id,
                organisation_id=organisation, agency_id=ministry, title=title, asked_micro_won=asked * 10**6,
                state=state, step=step.key, step_entered_at=at, changed=state == "draft", created_at=at,
                created_by_id=person, submitted_at=None if state in {"draft", "lapsed"} else at,
            )  # fmt: skip
            rows[Application].append(row)
            rows[ApplicationMember].append(
                ApplicationMember(application=row, person_id=person, lead=True, added_at=at)
            )
            values = {}
            for field in list(round_.form.fields)[:4]:
                budget = [{"line": line.key, "text": title, "won": asked} for line in field.lines[:1]]
                values[field.key] = {"won": asked, "whole_number": 3, "budget": budget}.get(field.kind, title)
                answer = Answer(
                    application=row,
                    field=field.key,
                    value=values[field.key],
                    updated_at=at,
                    updated_by_name="김",
                )
                rows[Answer].append(answer)
                rows[AnswerRevision].append(
                    AnswerRevision(answer=answer, version=1, value=answer.value, at=at, by_name="김")
                )
            if row.submitted_at:
                content = json.dumps({"answers": values, "files": []}, ensure_ascii=False)
                digest = hashlib.sha256(content.encode()).hexdigest()
                rows[Submission].append(
                    Submission(
                        application=row, number=1, at=at, person_id=person, by_name="김", content=content, sha256=digest,
                        receipt="{}", key_id="0" * 32, signature="0" * 128, findings=[],
                    )
                )  # fmt: skip
            if step is not first:
                rows[Passage].append(
                    Passage(application=row, step=first.key, outcome="submitted", to_step=step.key, at=at)
                )
            if state in {"accepted", "rejected"}:
                rows[Decision].append(
                    Decision(
                        application=row, outcome=state, reason="평가 결과에 따름", at=at, by_name="officer",
                        granted_micro_won=asked * 10**6 if state == "accepted" else None,
                    )
                )  # fmt: skip
            made.append((row.pk, person, state, round_, asked))
        for model, those in rows.items():
            model._default_manager.bulk_create(those, batch_size=1_000)
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('applications_number', %s)", [begun + many])
    return made


def _awards(chance: random.Random, made: list[tuple[UUID, UUID, str, Any, int]], many: int) -> list[UUID]:
    from dure.control.access import services as access
    from dure.control.applications import services
    from dure.control.foundation.actors import Actor
    from dure.control.foundation.errors import DureError

    system, awarded = Actor.system("population"), []
    for application, _person, state, _round, _asked in made:
        if len(awarded) < many and state == "accepted":
            try:
                view = services.award(actor=system, application_id=application)
            except DureError:
                continue
            assert view.award_id is not None
            access.issue_key(actor=system, award_id=view.award_id, name="운영 서버")
            awarded.append(view.award_id)
    return awarded


def _questions(
    chance: random.Random, rounds: list[Any], orgs: list[tuple[UUID, UUID, str]], many: int
) -> None:
    """To each call; most of them answered."""
    from dure.control.calls.models import Question
    from dure.control.foundation import clock

    now, rows = clock.now(), []
    for call_id in {one.call.id for one in rounds}:
        for number in range(1, many + 1):
            organisation, person, _kind = chance.choice(orgs)
            answered = number % 10 > 0
            rows.append(
                Question(
                    call_id=call_id, number=number, text=f"{number}번째 질문: 지원 대상에 포함됩니까?",
                    state="answered" if answered else "open", asked_by_id=person, organisation_id=organisation,
                    asked_at=now - timedelta(hours=number), answer_ko="공고문 3쪽을 보십시오." if answered else "",
                    answered_at=now if answered else None, answered_by_name="officer" if answered else "",
                )
            )  # fmt: skip
    Question.objects.bulk_create(rows)


def _documents(chance: random.Random, orgs: list[tuple[UUID, UUID, str]]) -> None:
    """Of half of the organisations one, a tenth of which wait to be looked at."""
    from dure.control.foundation import clock
    from dure.control.identity.organisation_models import OrganisationDocument

    now = clock.now()
    OrganisationDocument.objects.bulk_create(
        [
            OrganisationDocument(
                organisation_id=organisation, kind="business_registration", sha256=f"{number:064x}", size=1_000,
                name="사업자등록증.pdf", media_type="application/pdf", uploaded_by_id=person, uploaded_at=now,
                state="asked" if number % 10 == 0 else "accepted",
            )
            for number, (organisation, person, _kind) in enumerate(orgs[::2])
        ],
        batch_size=1_000,
    )  # fmt: skip


def _notices_and_trail(made: list[tuple[UUID, UUID, str, Any, int]]) -> None:
    from dure.contracts.ids import uuid7
    from dure.control.foundation import audit, clock
    from dure.control.foundation.models import AuditEvent, Notice

    now = clock.now()
    Notice.objects.bulk_create(
        [
            Notice(
                person_id=person, category="outcome", title="신청을 받았습니다", text="접수되었습니다.",
                path=f"/applications/{application}/", action="신청서 보기", dedupe_key=f"population-{application}",
                created_at=now,
            )
            for application, person, _state, _round, _asked in made
        ],
        batch_size=2_000,
    )  # fmt: skip
    last = AuditEvent.objects.order_by("-sequence").first()
    sequence, previous = (last.sequence, bytes(last.hash)) if last else (0, bytes(32))
    events = []
    for application, person, _state, _round, _asked in made:
        for action in ("application.started", "application.submitted"):
            sequence += 1
            event = AuditEvent(
                sequence=sequence, id=uuid7(), at=now, actor_kind="person", actor_name="", person_id=person,
                organisation_id=None, action=action, subject_kind="application", subject_id=str(application),
                before=None, after={}, previous_hash=previous,
            )  # fmt: skip
            event.hash = previous = audit._hash(event)
            events.append(event)
    AuditEvent.objects.bulk_create(events, batch_size=2_000)


def _usage(chance: random.Random, awarded: list[UUID], calls: int) -> None:
    """Over the last thirty days, by one process, where there is a model to call."""
    import msgspec
    from django.db import connection

    from dure.contracts import gateway_api
    from dure.contracts.ids import uuid7
    from dure.contracts.usage import UsageRecord
    from dure.control.access.models import ApiKey
    from dure.control.catalogue.models import Deployment, Price
    from dure.control.foundation import clock

    deployment = Deployment.objects.order_by("pk").first()
    if deployment is None or not awarded:
        return
    price = Price.objects.filter(model=deployment.model).earliest("effective_from")
    keys = dict(ApiKey.objects.filter(entitlement_id__in=awarded).values_list("entitlement_id", "pk"))
    process, now = uuid7(), clock.to_unix_us(clock.now())
    records = []
    for number in range(calls):
        at = now - (calls - number) * (30 * 86_400_000_000 // calls)
        award = chance.choice(awarded)
        tokens = chance.randint(200, 3_000)
        records.append(
            UsageRecord(
                request_id=UUID(int=(at // 1_000 << 80) | (7 << 76) | (2 << 62) | number), sequence=number + 1,
                award=award, key=keys[award], model=deployment.model.name, deployment=deployment.pk,
                provider=deployment.provider_id, price=price.pk, endpoint="chat.completions", status="completed",
                http_status=200, streamed=False, estimated=False, input_tokens=tokens, output_tokens=tokens,
                cached_tokens=0, cost_micro_won=tokens * 100, opened_at=at - 900_000, closed_at=at, error_code="",
            )
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(gateway_api.START_PROCESS, [process, "nation-gw-1", 4711, "0.1.0"])
        for award in awarded:
            cost = sum(one.cost_micro_won for one in records if one.award == award)
            if cost:
                cursor.execute(gateway_api.LEASE, [process, award, uuid7(), cost])
        for begun in range(0, calls, 2_000):
            part = records[begun : begun + 2_000]
            posted = msgspec.json.encode(part).decode()
            cursor.execute(gateway_api.POST_USAGE, [process, begun, begun + len(part), posted])


def _analyse() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", required=True)
    parser.add_argument("--organisations", type=int, default=5_000)
    parser.add_argument("--applications", type=int, default=20_000)
    parser.add_argument("--awards", type=int, default=300)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20_261_125)
    given = parser.parse_args()
    os.environ["DURE_DATABASE_URL"] = given.database
    os.environ.setdefault("DURE_SECRET_KEY", "only-for-benchmarks")
    os.environ.setdefault("DURE_DATA_DIR", str(ROOT / "build" / "bench" / "population"))
    Path(os.environ["DURE_DATA_DIR"]).mkdir(parents=True, exist_ok=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "dure.control.config.settings"
    import django

    django.setup()
    print(
        json.dumps(
            fill(
                organisations=given.organisations,
                applications=given.applications,
                awards=given.awards,
                calls=given.calls,
                seed=given.seed,
            )
        )
    )


if __name__ == "__main__":
    main()
