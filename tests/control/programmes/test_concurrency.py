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
