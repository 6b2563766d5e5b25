"""Grants from many connections at one moment: real threads, real transactions."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from tests.control.programmes.conftest import SYSTEM, make_world, won

from dure.contracts.ids import uuid7
from dure.control.access import services as keys
from dure.control.foundation import audit
from dure.control.foundation.errors import DureError
from dure.control.ledger import services as ledger
from dure.control.programmes import selectors, services
from dure.control.programmes.own_share import OwnShareRule
from dure.control.settlement import services as settlement

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(deeds: list[Callable[[], object]]) -> list[str]:
    """Run the deeds on as many connections, released together; each answers its result or its refusal's code."""
    barrier = threading.Barrier(len(deeds))

    def run(deed: Callable[[], object]) -> str:
        try:
            barrier.wait(10)
            return str(deed())
        except DureError as error:
            return error.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return sorted(pool.map(run, deeds))


def grant(krw: int, **more: object) -> str:
    return services.grant_award(
        actor=SYSTEM,
        programme_slug="hyperscale",
        organisation_slug="haneul",
        micro_won=won(krw),
        **more,  # type: ignore[arg-type]
    ).result


def test_two_grants_that_together_exceed_it_make_one_award() -> None:
    make_world()
    assert at_once([lambda: grant(600_000)] * 2) == ["appropriation_exceeded", "created"]
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    assert (programme.awards, programme.left_to_grant_micro_won) == (1, won(400_000))
    assert ledger.verify().ok


def test_twelve_grants_from_an_appropriation_for_ten_make_ten() -> None:
    make_world()
    assert at_once([lambda: grant(100_000)] * 12) == ["appropriation_exceeded"] * 2 + ["created"] * 10
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").left_to_grant_micro_won == 0
    assert ledger.verify().ok
    assert audit.first_difference() is None


def test_the_last_won_of_a_line_is_granted_once() -> None:
    make_world()
    services.set_budget_line(
        actor=SYSTEM, programme_slug="hyperscale", key="api", name_ko="API", ceiling=won(100)
    )
    assert at_once([lambda: grant(60)] * 4) == ["created"] + ["line_exceeded"] * 3
    assert selectors.awards(actor=SYSTEM).total == 1
    assert settlement.verify_everything().ok


def test_the_last_won_of_a_source_is_granted_once() -> None:
    make_world()
    services.add_source(actor=SYSTEM, slug="fund", name_ko="기금", kind="fund")
    services.appropriate(actor=SYSTEM, programme_slug="hyperscale", micro_won=won(100), source_slug="fund")
    assert at_once([lambda: grant(100, sources=["fund"])] * 4) == ["created"] + ["source_exceeded"] * 3
    assert settlement.verify_everything().ok


def test_an_own_contribution_confirmed_from_four_desks_arrives_once() -> None:
    world = make_world()
    services.set_own_contribution(
        actor=SYSTEM, programme_slug="hyperscale", rules={"small": OwnShareRule(5_000)}
    )
    award = world.grant(1_000, size_class="small")

    def confirm() -> str:
        return services.confirm_own_contribution(actor=SYSTEM, award_id=award.id).result

    assert at_once([confirm] * 4) == ["created"] + ["no_own_contribution_due"] * 3
    assert selectors.award(actor=SYSTEM, award_id=award.id).remaining_micro_won == won(2_000)
    assert settlement.verify_everything().ok


def test_passing_on_both_ways_while_granting_waits_in_no_circle() -> None:
    make_world()
    services.add_programme(actor=SYSTEM, slug="pilots", name_ko="실증", krw_micro_won=won(1_000))

    def pass_on(one: str, other: str) -> str:
        return services.pass_on(
            actor=SYSTEM, from_slug=one, to_slug=other, source_slug="ministry", amount=won(100)
        ).result

    deeds = [
        lambda: pass_on("hyperscale", "pilots"),
        lambda: pass_on("pilots", "hyperscale"),
        lambda: grant(10),
    ]
    assert at_once(deeds * 3) == ["created"] * 9
    assert settlement.verify_everything().ok


def test_the_same_grant_from_six_connections_happens_once() -> None:
    make_world()
    request_id = uuid7()
    assert at_once([lambda: grant(1, request_id=request_id)] * 6) == ["created"] + ["exists"] * 5
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").granted_micro_won == won(1)


def test_granting_ending_and_keys_at_one_moment_wait_for_each_other_in_no_circle() -> None:
    world = make_world()
    awards = [world.grant(1_000) for _ in range(3)]
    issued = [keys.issue_key(actor=SYSTEM, award_id=award.id).key for award in awards]
    deeds: list[Callable[[], object]] = []
    for award, key in zip(awards, issued, strict=True):
        deeds += [
            lambda award=award: services.end_award(actor=SYSTEM, award_id=award.id, reason="x")[1],
            lambda key=key: bool(keys.rotate_key(actor=SYSTEM, key_id=key.id)),
            lambda key=key: keys.revoke_key(actor=SYSTEM, key_id=key.id)[0].state,
            lambda award=award: bool(keys.issue_key(actor=SYSTEM, award_id=award.id)),
            lambda: grant(10),
        ]
    answers = at_once(deeds)
    assert set(answers) <= {"True", "revoked", "created", "award_ended", "key_not_active"}
    assert answers.count("created") == 3
    assert {selectors.award(actor=SYSTEM, award_id=award.id).state for award in awards} == {"closed"}
    assert ledger.verify().ok
    assert audit.first_difference() is None
