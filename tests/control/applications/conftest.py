"""A ministry with officers, a verified start-up of three people, a rival, and an open call with every kind of step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.applications import selectors, services
from dure.control.applications.selectors import ApplicationView
from dure.control.applications.services import rows
from dure.control.calls import services as calls
from dure.control.calls.models import Round
from dure.control.calls.selectors import RoundView
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity import facts
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services
from dure.control.identity.models import Organisation
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes import selectors as selectors_of_programmes
from dure.control.programmes import services as programmes

SYSTEM = Actor.system("test")
_numbers = count(220_810_000)


def two(korean: str, english: str) -> dict[str, str]:
    return {"ko": korean, "en": english}


def step(key: str, kind: str, title: dict[str, str], **ways: str) -> dict[str, Any]:
    edges = [{"outcome": outcome, "to": to} for outcome, to in ways.items()]
    return {"key": key, "kind": kind, "title": title, "edges": edges}


FORM: dict[str, Any] = {
    "sections": [
        {
            "key": "plan",
            "title": two("계획", "Plan"),
            "fields": [
                {"key": "title", "kind": "text", "label": two("과제명", "Title"), "required": True},
                {
                    "key": "story",
                    "kind": "long_text",
                    "label": two("내용", "Story"),
                    "required": True,
                    "most_length": 2_000,
                },
                {"key": "stage", "kind": "choice", "label": two("단계", "Stage"), "options": [
                    {"key": "idea", "label": two("구상", "Idea")},
                    {"key": "product", "label": two("제품", "Product")},
                ]},
                {"key": "papers", "kind": "file", "label": two("첨부", "Papers"), "types": ["pdf", "txt"], "most": 2},
            ],
        },
        {
            "key": "money",
            "title": two("예산", "Budget"),
            "fields": [
                {
                    "key": "budget",
                    "kind": "budget",
                    "label": two("예산", "Budget"),
                    "required": True,
                    "lines": [{"key": "api", "label": two("API 이용료", "API use")}],
                }
            ],
        },
    ]
}  # fmt: skip
RULES: list[dict[str, Any]] = [
    {
        "key": "enterprise",
        "title": two("중소기업 또는 스타트업", "A small firm or start-up"),
        "rule": {"attribute": "organisation.kind", "comparison": "in", "value": ["startup", "sme"]},
    },
    {
        "key": "young",
        "title": two("업력 7년 이내", "At most seven years old"),
        "rule": {"attribute": "organisation.age_months", "comparison": "at_most", "value": 84},
    },
]
STEPS: dict[str, Any] = {
    "start": "apply",
    "steps": [
        step("apply", "application", two("신청", "Application"), submitted="eligible"),
        step("eligible", "eligibility", two("자격 확인", "Eligibility"), met="whole", not_met="end"),
        step("whole", "completeness", two("서류 확인", "Completeness"), complete="review", incomplete="end"),
        step("review", "review", two("평가", "Review"), passed="decide", failed="end"),
        step("decide", "decision", two("선정", "Decision"), accepted="award", refused="object"),
        {
            **step(
                "object",
                "objection",
                two("이의신청", "Objection"),
                none="end",
                upheld="decide",
                rejected="end",
            ),
            "days": 10,
        },
        step("award", "award", two("협약", "Award"), awarded="end"),
        step("end", "closing", two("종료", "Closing")),
    ],
}
SMALL_STEPS: dict[str, Any] = {
    "start": "apply",
    "steps": [
        step("apply", "application", two("신청", "Application"), submitted="decide"),
        step("decide", "decision", two("선정", "Decision"), accepted="award", refused="end"),
        step("award", "award", two("지급", "Award"), awarded="end"),
        step("end", "closing", two("종료", "Closing")),
    ],
}


def won(krw: int) -> int:
    return krw * MICRO_WON_PER_WON


def answers(krw: int = 3_000_000, **more: Any) -> dict[str, Any]:
    """Everything that the form asks for."""
    whole = {
        "title": "상담 요약",
        "story": "상담 기록을 요약합니다.",
        "budget": [{"line": "api", "won": krw, "text": "호출 비용"}],
    }
    return whole | more


@dataclass
class World:
    ministry: OrganisationView
    haneul: OrganisationView
    rival: OrganisationView
    people: dict[str, Actor] = field(default_factory=dict)

    def person(self, organisation: OrganisationView, *roles: str, name: str = "") -> Actor:
        """Somebody who acts for the organisation; the same one when asked again."""
        email = f"{name or '-'.join(roles)}@{organisation.slug}.example"
        if email not in self.people:
            person = identity_services.add_person(
                actor=SYSTEM, email=email, name=name or f"{organisation.slug} {roles[0]}"
            )
            identity_services.add_membership(
                actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=list(roles)
            )
            self.people[email] = identity.actor_for(person_id=person.id, organisation_id=organisation.id)
        return self.people[email]

    def programme_officer(self, *programme_slugs: str) -> Actor:
        """A viewer of the ministry who is an officer of these programmes alone."""
        viewer = self.person(self.ministry, "viewer", name="alone")
        assert viewer.person_id is not None
        for slug in programme_slugs:
            found = selectors_of_programmes.programme(actor=SYSTEM, slug=slug)
            identity_services.give_programme_role(
                actor=SYSTEM, person_id=viewer.person_id, programme_id=found.id, role="officer"
            )
        return identity.actor_for(person_id=viewer.person_id, organisation_id=self.ministry.id)

    def budget_lines(self, *keys: str) -> None:
        """Lines of the programme, each with a name like its key."""
        for key in keys:
            programmes.set_budget_line(
                actor=SYSTEM,
                programme_slug="hyperscale",
                key=key,
                name_ko=key,
                name_en=key,
                ceiling=won(40_000_000),
            )

    def other_programme(self) -> None:
        """A second one of the same ministry, `other`."""
        programmes.add_programme(
            actor=SYSTEM,
            slug="other",
            name_ko="다른 사업",
            krw_micro_won=won(1_000_000_000),
            agency_slug=self.ministry.slug,
        )

    @property
    def officer(self) -> Actor:
        return self.person(self.ministry, "officer")

    @property
    def boss(self) -> Actor:
        return self.person(self.haneul, "administrator")

    @property
    def writer(self) -> Actor:
        return self.person(self.haneul, "developer", name="writer")

    @property
    def colleague(self) -> Actor:
        return self.person(self.haneul, "developer", name="colleague")

    @property
    def onlooker(self) -> Actor:
        return self.person(self.haneul, "viewer", name="onlooker")

    @property
    def stranger(self) -> Actor:
        return self.person(self.rival, "administrator")

    def round(
        self, slug: str = "api-2026", *, steps: Any = STEPS, form: Any = FORM, rules: Any = RULES, **more: Any
    ) -> RoundView:
        """A published round that is open."""
        calls.add_call(
            actor=self.officer,
            slug=slug,
            programme_slug="hyperscale",
            kind="api_support",
            name_ko="API 이용 지원",
            name_en="API support",
            summary_ko="이용료를 지원합니다.",
            summary_en="Pays for calls.",
            text_ko="누가 무엇을 받는지 적습니다.",
            text_en="Says who receives what.",
        )
        calls.save_form(actor=self.officer, call_slug=slug, content=form)
        calls.save_rules(actor=self.officer, call_slug=slug, content=rules)
        calls.save_steps(actor=self.officer, call_slug=slug, content=steps)
        now = clock.now()
        values = {
            "opens_at": now - timedelta(minutes=1),
            "closes_at": now + timedelta(days=30),
            "budget_micro_won": won(50_000_000),
            "least_micro_won": won(1_000_000),
            "most_micro_won": won(10_000_000),
        } | more
        made = calls.add_round(actor=self.officer, call_slug=slug, **values)
        return calls.publish_round(actor=self.officer, round_id=made.id)

    def small_round(self, slug: str = "small-2026", **more: Any) -> RoundView:
        automatic = {"most_micro_won": won(2_000_000), "valid_days": 90, "most_per_group": 1}
        values = {"automatic": automatic, "least_micro_won": won(10_000), "most_micro_won": won(5_000_000)}
        return self.round(slug, steps=SMALL_STEPS, **(values | more))

    def started(self, round_: RoundView | None = None, actor: Actor | None = None) -> ApplicationView:
        return services.start(actor=actor or self.writer, round_id=(round_ or self.round()).id)

    def fill(self, view: ApplicationView, actor: Actor | None = None, **values: Any) -> None:
        """Answer fields as their present versions stand."""
        versions = {one.field: one.version for one in self.see(view, actor).answers}
        services.save_answers(
            actor=actor or self.writer,
            application_id=view.id,
            answers={name: (value, versions.get(name, 0)) for name, value in (values or answers()).items()},
        )

    def submitted(self, round_: RoundView | None = None, krw: int = 3_000_000) -> ApplicationView:
        view = self.started(round_)
        self.fill(view, **answers(krw))
        services.submit(actor=self.writer, application_id=view.id)
        return self.see(view)

    def see(self, view: ApplicationView, actor: Actor | None = None) -> ApplicationView:
        return selectors.application(actor=actor or self.writer, application_id=view.id)

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """It is then, by the clock that deadlines are held against."""
        with patch.object(rows, "database_moment", lambda: moment):
            yield

    def close(self, round_id: UUID) -> None:
        """The round's deadline passes, and what the clock does then is done."""
        closes_at = Round.objects.get(pk=round_id).closes_at
        assert closes_at is not None
        with self.at(closes_at + timedelta(seconds=2)):
            services.close_due()

    def at_decision(self, krw: int = 3_000_000) -> ApplicationView:
        """Submitted, and carried by an officer to the decision."""
        view = self.submitted(krw=krw)
        self.close(view.round.id)
        for outcome in ("complete", "passed"):
            services.advance(actor=self.officer, application_id=view.id, outcome=outcome)
        return self.see(view)


def make_world() -> World:
    def add(slug: str, kind: str, name: str) -> OrganisationView:
        made = identity_services.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=name)
        nine = str(next(_numbers))
        Organisation.objects.filter(pk=made.id).update(
            registration_number=f"{nine}{facts.check_digit(nine)}",
            founded_on=date(2023, 3, 2),
            size_class="small",
        )
        return made

    world = World(
        add("ministry", "ministry", "부처"),
        add("haneul", "startup", "하늘랩"),
        add("rival", "startup", "다른회사"),
    )
    programmes.add_programme(
        actor=SYSTEM,
        slug="hyperscale",
        name_ko="초거대",
        name_en="Hyperscale",
        krw_micro_won=won(1_000_000_000),
        agency_slug="ministry",
    )
    return world


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def mails() -> Callable[[], list[str]]:
    """Subjects of what was mailed, oldest first."""
    from dure.control.foundation.models import OutboxMail

    return lambda: list(OutboxMail.objects.order_by("created_at", "pk").values_list("subject", flat=True))


def seoul(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=clock.SEOUL)
