"""A ministry and an agency with officers, a start-up and a university, a programme of ₩1,000,000,000, and a call of it."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dure.contracts.money import MICRO_WON_PER_WON
from dure.control.calls import services
from dure.control.calls.selectors import CallView, RoundView
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity import selectors as identity
from dure.control.identity import services as identity_services
from dure.control.identity.selectors import OrganisationView
from dure.control.programmes import selectors as selectors_of_programmes
from dure.control.programmes import services as programmes

SYSTEM = Actor.system("test")

FORM: dict[str, Any] = {
    "sections": [
        {
            "key": "plan",
            "title": {"ko": "계획", "en": "Plan"},
            "fields": [
                {"key": "title", "kind": "text", "label": {"ko": "제목", "en": "Title"}, "required": True},
                {
                    "key": "sum",
                    "kind": "budget",
                    "label": {"ko": "예산", "en": "Budget"},
                    "required": True,
                    "lines": [{"key": "api", "label": {"ko": "API 이용료", "en": "API use"}}],
                },
            ],
        }
    ]
}
RULES: list[dict[str, Any]] = [
    {
        "key": "young",
        "title": {"ko": "업력 7년 이내", "en": "At most seven years old"},
        "rule": {"attribute": "organisation.age_months", "comparison": "at_most", "value": 84},
    },
    {
        "key": "enterprise",
        "title": {"ko": "중소기업", "en": "Small or medium"},
        "rule": {"attribute": "organisation.kind", "comparison": "in", "value": ["startup", "sme"]},
    },
]
STEPS: dict[str, Any] = {
    "start": "apply",
    "steps": [
        {
            "key": "apply",
            "kind": "application",
            "title": {"ko": "신청", "en": "Application"},
            "edges": [{"outcome": "submitted", "to": "decide"}],
        },
        {
            "key": "decide",
            "kind": "decision",
            "title": {"ko": "선정", "en": "Decision"},
            "edges": [{"outcome": "accepted", "to": "award"}, {"outcome": "refused", "to": "end"}],
        },
        {
            "key": "award",
            "kind": "award",
            "title": {"ko": "협약", "en": "Award"},
            "edges": [{"outcome": "awarded", "to": "end"}],
        },
        {"key": "end", "kind": "closing", "title": {"ko": "종료", "en": "End"}, "edges": []},
    ],
}
TEXTS = {
    "name_ko": "2026년 API 이용 지원",
    "name_en": "API Support 2026",
    "summary_ko": "초거대 AI API 이용료를 지원합니다.",
    "summary_en": "Pays for the use of hyperscale AI.",
    "text_ko": "누가 무엇을 받는지 적습니다.",
    "text_en": "Says who receives what.",
}


def won(krw: int) -> int:
    return krw * MICRO_WON_PER_WON


def steps_with(**dates: dict[str, Any]) -> dict[str, Any]:
    """The steps, with more said of some of them, by key."""
    made = deepcopy(STEPS)
    for one in made["steps"]:
        one.update(dates.get(one["key"], {}))
    return made


@dataclass
class World:
    ministry: OrganisationView
    agency: OrganisationView
    haneul: OrganisationView
    narae: OrganisationView
    people: dict[str, Actor] = field(default_factory=dict)

    def person(self, organisation: OrganisationView, *roles: str) -> Actor:
        """Somebody who acts for the organisation; the same one when asked again."""
        email = f"{'-'.join(roles)}@{organisation.slug}.example"
        if email not in self.people:
            person = identity_services.add_person(
                actor=SYSTEM, email=email, name=f"{organisation.slug} {roles[0]}"
            )
            identity_services.add_membership(
                actor=SYSTEM, person_id=person.id, organisation_id=organisation.id, roles=list(roles)
            )
            self.people[email] = identity.actor_for(person_id=person.id)
        return self.people[email]

    def programme_officer(self, *programme_slugs: str) -> Actor:
        """A viewer of the ministry who is an officer of these programmes alone."""
        viewer = self.person(self.ministry, "viewer")
        assert viewer.person_id is not None
        for slug in programme_slugs:
            found = selectors_of_programmes.programme(actor=SYSTEM, slug=slug)
            identity_services.give_programme_role(
                actor=SYSTEM, person_id=viewer.person_id, programme_id=found.id, role="officer"
            )
        return identity.actor_for(person_id=viewer.person_id, organisation_id=self.ministry.id)

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
    def stranger(self) -> Actor:
        """An officer of another agency."""
        return self.person(self.agency, "officer")

    @property
    def applicant(self) -> Actor:
        return self.person(self.haneul, "administrator")

    def call(self, slug: str = "api-2026", **more: Any) -> CallView:
        asked = {"programme_slug": "hyperscale", "kind": "api_support", **TEXTS} | more
        return services.add_call(actor=self.officer, slug=slug, **asked)

    def filled(self, slug: str = "api-2026", **more: Any) -> CallView:
        """A draft with everything but a round."""
        call = self.call(slug, **more)
        services.save_form(actor=self.officer, call_slug=slug, content=FORM)
        services.save_rules(actor=self.officer, call_slug=slug, content=RULES)
        services.save_steps(actor=self.officer, call_slug=slug, content=STEPS)
        return call

    def round(self, slug: str = "api-2026", **more: Any) -> RoundView:
        now = clock.now()
        values = {
            "opens_at": now - timedelta(minutes=1),
            "closes_at": now + timedelta(days=30),
            "budget_micro_won": won(100_000_000),
            "least_micro_won": won(1_000_000),
            "most_micro_won": won(10_000_000),
        } | more
        return services.add_round(actor=self.officer, call_slug=slug, **values)

    def published(self, slug: str = "api-2026", call: dict[str, Any] | None = None, **more: Any) -> RoundView:
        """A call with a published round that is open."""
        self.filled(slug, **(call or {}))
        return services.publish_round(actor=self.officer, round_id=self.round(slug, **more).id)

    def problems(self, round_id: UUID) -> list[str]:
        """Codes of what stands in the way of publishing."""
        found = services.publication_problems(actor=self.officer, round_id=round_id)
        return [one.code for one in found if one.severity == "problem"]


def make_world() -> World:
    def add(slug: str, kind: str) -> OrganisationView:
        return identity_services.add_organisation(actor=SYSTEM, slug=slug, kind=kind, name_ko=slug)

    world = World(
        add("ministry", "ministry"),
        add("agency", "agency"),
        add("haneul", "startup"),
        add("narae", "university"),
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


def seoul(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=clock.SEOUL)
