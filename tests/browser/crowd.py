"""More of everything around the rows that pages are looked at with, to see what a page costs when there is much of it.

Through the rooms' services, like the seed; each call of `grow` adds `by` of everything that a page lists: people, documents,
ties, invitations, lent roles, notices, tokens and sessions of one organisation; keys and calls of its awards; sources, lines,
awards and people of the programme; files, questions, versions, rounds and changes of calls; writers, answers, files,
submissions and requests of applications, and whole applications of others; models; silent gateways.
"""

from datetime import date, timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from django.db import transaction

from browser import applications as sample
from browser import seed as seeds
from browser.organisations import _PDF

WON = 10**6
_FEW = 5
DAY = timedelta(days=1)
MODEL = """
version: 1
models:
  - name: crowd-{n}
    provider: hanbit-ai
    title: {{ko: 모델 {n}, en: Model {n}}}
    endpoints: [chat.completions]
    context_length: 8192
    max_output_tokens: 4096
    prices:
      - {{effective_from: 2026-01-01T00:00:00+09:00, input: 150, output: 600}}
    deployments:
      - {{name: crowd-{n}, base_url: "http://127.0.0.1:9"}}
"""


def grow(seed: dict[str, Any], *, by: int, start: int, calls: int | None = None) -> None:
    """`start` numbers them, so that several calls do not collide; `calls` (`by`) are those of each award."""
    from dure.control.foundation.actors import Actor
    from dure.control.identity import selectors as identity
    from dure.control.identity.models import Organisation, Person

    people = {name: Person.objects.get(email=email) for name, email in seed["people"].items()}
    organisations = {row.slug: row for row in Organisation.objects.all()}

    def acting(name: str, organisation: str = "") -> Actor:
        return identity.actor_for(
            person_id=people[name].pk,
            organisation_id=organisations[organisation].pk if organisation else None,
        )

    world = SimpleNamespace(
        seed=seed,
        system=Actor.system("crowd"),
        officer=acting("officer"),
        boss=acting("startup", "saebyeok"),
        newcomer=acting("newcomer", "dallae"),
        people=people,
        organisations=organisations,
        programme="hyperscale-2026",
    )
    _usage(world, by if calls is None else calls, start)
    for number in range(start, start + by):
        _account(world, number)
        _organisation(world, number)
        _programme(world, number)
        _call(world, number)
        _application(world, number)
        _others(world, number)
    _gateways(world, by)


def _account(world: Any, n: int) -> None:
    from dure.control.catalogue import services as catalogue
    from dure.control.foundation import notices, wording
    from dure.control.identity import services

    with transaction.atomic():
        for name in ("startup", "officer", "newcomer"):
            notices.tell(
                to=[world.people[name]], title=wording.verbatim(f"알림 {n}"),
                text=wording.verbatim("내용"), path="/awards/", action=wording.verbatim("보기"),
                dedupe_key=f"crowd-{n}",
            )  # fmt: skip
    services.issue_token(actor=world.boss, name=f"토큰 {n}") if n < services.MAX_TOKENS - 3 else None
    services.remember_use(
        person_id=world.boss.person_id, session_key=f"crowd{n:027}", earlier_key=None, address="203.0.113.9",
        agent="Firefox/140.0 Linux",
    )  # fmt: skip
    catalogue.apply(actor=world.system, document=MODEL.format(n=n))


def _organisation(world: Any, n: int) -> None:
    from dure.control.foundation import clock
    from dure.control.identity import services
    from dure.control.identity.models import Organisation

    own = {"actor": world.boss, "organisation_id": world.boss.organisation_id}
    member = services.add_person(actor=world.system, email=f"member{n}@example.kr", name=f"구성원 {n}")
    services.add_membership(
        actor=world.system,
        person_id=member.id,
        organisation_id=world.boss.organisation_id,
        roles=["developer"],
    )
    services.delegate(
        **own,
        delegate_id=member.id,
        roles=["administrator"],
        valid_until=clock.now() + 9 * DAY,
        reason="휴가",
    )
    services.invite(**own, email=f"invited{n}@example.kr", roles=["viewer"])
    # No more of them may wait to be looked at.
    for slug, actor in (("saebyeok", world.boss), ("dallae", world.newcomer)) if n < 12 else ():
        services.add_document(
            actor=actor, organisation_id=actor.organisation_id, kind="other", name=f"{slug} {n}.pdf",
            stream=BytesIO(_PDF + f"{slug} {n}".encode()),
        )  # fmt: skip
    services.declare_link(
        **own, other_is="owned", other_name=f"자회사 {n}", share_bp=6_000, valid_from=date(2025, 1, 1)
    )
    other = services.add_organisation(
        actor=world.system, slug=f"crowd-{n}", kind="startup", name_ko=f"무리 {n}", name_en=f"Crowd {n}"
    )
    # The person who looks at what they were invited to, and those whose organisation is to be verified.
    head = services.add_person(actor=world.system, email=f"head{n}@example.kr", name=f"대표 {n}")
    services.add_membership(
        actor=world.system, person_id=head.id, organisation_id=other.id, roles=["administrator"]
    )
    world.organisations[other.slug], world.people[other.slug] = other, head
    Organisation.objects.filter(pk=other.id).update(
        verification_state="asked", verification_asked_at=clock.now(), size_class="small"
    )


def _programme(world: Any, n: int) -> None:
    from dure.control.access import services as access
    from dure.control.identity import services as identity
    from dure.control.programmes import services

    act = {"actor": world.system, "programme_slug": world.programme}
    services.add_source(
        actor=world.system, slug=f"crowd-{n}", name_ko=f"재원 {n}", name_en=f"Source {n}", kind="fund"
    )
    services.appropriate(**act, micro_won=1_000_000 * WON, source_slug=f"crowd-{n}")
    services.appropriate(**act, micro_won=1_000_000_000 * WON, source_slug="ai-fund")
    services.set_budget_line(**act, key=f"line_{n}", name_ko=f"비목 {n}", ceiling=1_000_000 * WON)
    award = services.grant_award(
        **act,
        organisation_slug="saebyeok",
        micro_won=1_000 * WON,
        line="api_use",
        name=f"과제 {n}",
        name_en=f"Project {n}",
    ).award
    access.issue_key(actor=world.system, award_id=award.id, name=f"열쇠 {n}")
    for name in ("busy", "shared") if n < 10 else ():
        access.issue_key(actor=world.system, award_id=UUID(world.seed[name]), name=f"열쇠 {n}")
    services.confirm_own_contribution(actor=world.system, award_id=UUID(world.seed["shared"]), micro_won=WON)
    identity.give_programme_role(
        actor=world.system, person_id=world.people[f"crowd-{n}"].id, programme_id=UUID(world.seed["programme"]),
        role="reviewer",
    )  # fmt: skip
    services.add_programme(
        actor=world.system, slug=f"crowd-{n}", name_ko=f"사업 {n}", name_en=f"Programme {n}",
        krw_micro_won=10**13, agency_slug="msit",
    )  # fmt: skip


def _usage(world: Any, calls: int, start: int) -> None:
    from dure.control.access.models import ApiKey
    from dure.control.foundation import clock

    provider = world.organisations["hanbit-ai"].pk
    # The busy award has nearly come to its end: what is called there costs nothing.
    for name, status in (("busy", "failed"), ("shared", "")):
        key = (
            ApiKey.objects.filter(entitlement_id=world.seed[name], revoked_at=None).earliest("created_at").pk
        )
        # Another moment each time, for the numbers of calls are made of it.
        days = 1 + start + clock.now().second % 5
        seeds.use(UUID(world.seed[name]), key, provider, days=days, calls=calls, status=status)


def _call(world: Any, n: int) -> None:
    from dure.control.calls import services
    from dure.control.foundation import clock

    now = clock.now().replace(microsecond=0)
    officer, opened, draft = world.officer, "api-support-2027", "hyperscale-rnd-2027"
    asked = services.ask_question(actor=world.boss, call_slug=opened, text=f"질문 {n}?")
    services.answer_question(actor=officer, question_id=asked.id, answer_ko="답", answer_en="Answer")
    if n < 15:
        services.ask_question(actor=world.boss, call_slug=opened, text=f"기다리는 질문 {n}?")
    for slug, reason in ((opened, "보탬"), (draft, "")):
        services.add_attachment(
            actor=officer,
            call_slug=slug,
            stream=BytesIO(f"{slug} {n}".encode()),
            name=f"{n}.txt",
            reason=reason,
        )
    services.change_call(actor=officer, slug=opened, reason="고침", summary_ko=f"요약 {n}")
    round_ = UUID(world.seed["open_round"])
    services.extend_round(
        actor=officer,
        round_id=round_,
        closes_at=now + timedelta(days=31, minutes=n),
        reason="기간을 더 드립니다",
    )
    if n < _FEW:
        _versions_and_rounds(officer, opened, draft, n)
    made = services.add_from_template(
        actor=officer, template_key="api_support", slug=f"crowd-{n}", programme_slug=world.programme
    )
    services.change_round(
        actor=officer, round_id=made.rounds[0].id, opens_at=now - DAY, closes_at=now + 60 * DAY,
        budget_micro_won=10**14,
    )  # fmt: skip
    services.publish_round(actor=officer, round_id=made.rounds[0].id)


def _versions_and_rounds(officer: Any, opened: str, draft: str, n: int) -> None:
    """As many as a call may come to have in years."""
    from dure.control.calls import selectors, services
    from dure.control.foundation import clock

    now = clock.now().replace(microsecond=0)
    found = selectors.draft(actor=officer, slug=draft)
    assert found.form is not None
    assert found.rules is not None
    form, rules = found.form.content, found.rules.content
    form["sections"][0]["title"] = {"ko": f"묶음 {n}", "en": f"Section {n}"}
    services.save_form(actor=officer, call_slug=draft, content=form)
    rules = [*rules, {**rules[0], "key": f"crowd_{n}"}]
    services.save_rules(actor=officer, call_slug=draft, content=rules)
    for slug in (draft, opened):
        services.add_round(
            actor=officer, call_slug=slug, opens_at=now + 40 * DAY, closes_at=now + 80 * DAY,
            budget_micro_won=10**14, least_micro_won=10**12, most_micro_won=10**13,
        )  # fmt: skip
    # Published too, beside those that are drafts.
    more = services.add_round(
        actor=officer, call_slug=opened, opens_at=now + 90 * DAY, closes_at=now + 130 * DAY,
        budget_micro_won=10**14, least_micro_won=10**12, most_micro_won=10**13,
    )  # fmt: skip
    services.publish_round(actor=officer, round_id=more.id)


def _application(world: Any, n: int) -> None:
    """The own ones grow: writers, versions of an answer, files, submissions, requests for more."""
    from dure.control.applications import services
    from dure.control.applications.models import Answer

    draft, submitted = UUID(world.seed["draft"]), UUID(world.seed["submitted"])
    services.invite_writer(actor=world.boss, application_id=draft, email=f"member{n}@example.kr")

    def write(actor: Any, application: UUID, field: str, value: Any) -> None:
        version = Answer.objects.get(application_id=application, field=field).version
        services.save_answers(actor=actor, application_id=application, answers={field: (value, version)})

    write(world.boss, draft, "plan", f"{sample.PLAN} {n}")
    if n < 2:
        services.attach(
            actor=world.boss, application_id=draft, field="quote", stream=BytesIO(_PDF + f"q{n}".encode()),
            name=f"견적 {n}.pdf",
        )  # fmt: skip
    write(world.newcomer, submitted, "plan", f"{sample.PLAN} {n}")
    services.submit(actor=world.newcomer, application_id=submitted)


def _others(world: Any, n: int) -> None:
    """Applications of others, to the rounds that officers look at, and one more of the own to each new call."""
    from dure.control.applications import services
    from dure.control.calls.models import Round
    from dure.control.identity import selectors as identity

    slug = f"crowd-{n}"
    lead = world.people[slug]
    actor = identity.actor_for(person_id=lead.id)
    for round_id in (world.seed["judged_round"], world.seed["open_round"]):
        view = services.start(
            actor=world.system,
            round_id=UUID(round_id),
            organisation_id=world.organisations[slug].id,
            lead_id=lead.id,
        )
        values = sample.answers(f"서비스 {n}", 5_000_000)
        services.save_answers(
            actor=actor, application_id=view.id, answers={key: (value, 0) for key, value in values.items()}
        )
        if round_id == world.seed["judged_round"]:
            services.submit(actor=actor, application_id=view.id)
    services.start(actor=world.boss, round_id=Round.objects.get(call__slug=slug).pk)


def _gateways(world: Any, by: int) -> None:
    from django.db import connection

    from dure.contracts import gateway_api
    from dure.contracts.ids import uuid7

    with connection.cursor() as cursor:
        silent = [uuid7() for _ in range(by)]
        for process in silent:
            cursor.execute(gateway_api.START_PROCESS, [process, "busan-gw-9", 5_120, "0.1.0"])
            cursor.execute(gateway_api.LEASE, [process, UUID(world.seed["busy"]), uuid7(), 1_000])
        cursor.execute(
            "UPDATE settlement_gatewayprocess SET last_seen_at = now() - interval '50 minutes',"
            " started_at = now() - interval '3 days' WHERE id = ANY(%s)",
            [silent],
        )
