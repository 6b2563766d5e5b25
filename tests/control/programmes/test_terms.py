"""Budget lines with ceilings, and what a programme's money may be used for."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.control.programmes.conftest import SYSTEM, World, acting_for, won

from dure.control.access import selectors as access
from dure.control.access.services import Limits
from dure.control.catalogue import services as catalogue
from dure.control.foundation import clock
from dure.control.foundation.errors import DureError, Forbidden
from dure.control.foundation.models import DirectoryEntry
from dure.control.programmes import selectors, services
from dure.control.programmes.own_share import OwnShareRule
from dure.control.settlement import services as settlement

MODEL = {
    "title": {"ko": "모델", "en": "Model"},
    "provider": "nuri",
    "endpoints": ["chat.completions", "embeddings"],
    "context_length": 8192,
    "max_output_tokens": 2048,
    "prices": [{"input": 1, "output": 1}],
}


def code_of(deed: Callable[[], object]) -> str:
    with pytest.raises(DureError) as caught:
        deed()
    return caught.value.code


def line(key: str, krw: int) -> selectors.BudgetLineView:
    return services.set_budget_line(
        actor=SYSTEM, programme_slug="hyperscale", key=key, name_ko=key, ceiling=won(krw)
    )


def lines() -> dict[str, tuple[int, int]]:
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    return {
        one.key: (one.committed // won(1), one.left // won(1))
        for one in selectors.budget_lines(programme_id=programme.id)
    }


@pytest.fixture
def models(world: World) -> World:
    document = {"version": 1, "models": [{"name": name, **MODEL} for name in ("small", "large")]}
    catalogue.apply(actor=SYSTEM, document=document)
    return world


def test_awards_are_granted_against_a_line_up_to_its_ceiling(world: World) -> None:
    line("api", 1_000)
    award = world.grant(600)
    assert award.line is not None
    assert award.line.key == "api"
    with pytest.raises(DureError) as caught:
        world.grant(401)
    assert (caught.value.code, caught.value.data["left"]) == ("line_exceeded", won(400))
    assert lines() == {"api": (600, 400)}
    services.end_award(actor=SYSTEM, award_id=award.id, reason="끝")
    assert lines() == {"api": (0, 1_000)}
    assert settlement.verify_everything().ok


def test_where_there_are_several_lines_one_is_named(world: World) -> None:
    line("api", 1_000)
    line("gpu", 500)
    assert code_of(lambda: world.grant(1)) == "line_missing"
    assert code_of(lambda: world.grant(1, line="travel")) == "line_not_found"
    world.grant(100, line="gpu")
    assert lines() == {"api": (0, 1_000), "gpu": (100, 400)}


def test_a_ceiling_can_be_raised_and_lowered_but_not_below_what_is_granted(world: World) -> None:
    line("api", 1_000)
    world.grant(600)
    assert line("api", 600).left == 0
    assert code_of(lambda: line("api", 599)) == "ceiling_below_committed"
    assert line("api", 2_000).left == won(1_400)


@pytest.mark.parametrize("key", ["", "API", "a b", "비목", "x" * 41, "_x"])
def test_a_line_has_a_plain_key(world: World, key: str) -> None:
    assert code_of(lambda: line(key, 1)) == "line_key_invalid"
    assert lines() == {}


def test_a_line_of_another_unit_pays_no_won(world: World) -> None:
    services.set_budget_line(
        actor=SYSTEM, programme_slug="hyperscale", key="gpu", name_ko="연산", ceiling=100, unit="GPU_SECOND"
    )
    assert code_of(lambda: world.grant(1, line="gpu")) == "units_differ"
    assert code_of(lambda: line("gpu", 100)) == "units_differ"
    assert world.grant(1).line is None


def test_terms_are_set_by_the_agencys_officers_alone(world: World) -> None:
    for actor in (
        acting_for(world.haneul, "administrator"),
        acting_for(world.ministry, "auditor", "operator"),
    ):
        for deed in (
            lambda actor=actor: services.set_budget_line(
                actor=actor, programme_slug="hyperscale", key="a", name_ko="a", ceiling=won(1)
            ),
            lambda actor=actor: services.set_own_contribution(
                actor=actor, programme_slug="hyperscale", rules={"small": OwnShareRule(1_000)}
            ),
            lambda actor=actor: services.set_eligible_use(actor=actor, programme_slug="hyperscale"),
        ):
            with pytest.raises(Forbidden):
                deed()
    services.set_eligible_use(actor=world.officer, programme_slug="hyperscale")


def test_a_new_award_may_use_what_the_programme_may(models: World) -> None:
    before = models.grant(1)
    services.set_eligible_use(
        actor=SYSTEM, programme_slug="hyperscale", models=["small"], endpoints=["chat.completions"]
    )
    award = models.grant(1)
    entitlement = access.entitlement(actor=SYSTEM, award_id=award.id)
    assert (entitlement.models, entitlement.endpoints) == (("small",), ("chat.completions",))
    payload = json.loads(DirectoryEntry.objects.get(entry_id=str(award.id)).payload or "")
    assert payload["endpoints"] == ["chat.completions"]
    assert access.entitlement(actor=SYSTEM, award_id=before.id).endpoints == ()


def test_an_award_may_be_given_less_than_the_programme_allows_and_never_more(models: World) -> None:
    services.set_eligible_use(
        actor=SYSTEM,
        programme_slug="hyperscale",
        models=["small", "large"],
        endpoints=["embeddings", "chat.completions"],
    )
    award = models.grant(1, limits=Limits(models=("large",), endpoints=("embeddings",), concurrency=3))
    entitlement = access.entitlement(actor=SYSTEM, award_id=award.id)
    assert (entitlement.models, entitlement.endpoints, entitlement.concurrency) == (
        ("large",),
        ("embeddings",),
        3,
    )
    services.set_eligible_use(actor=SYSTEM, programme_slug="hyperscale", models=["small"])
    assert code_of(lambda: models.grant(1, limits=Limits(models=("small", "large")))) == "not_eligible"


def test_what_is_not_on_offer_cannot_be_eligible(models: World) -> None:
    def use(**asked: object) -> object:
        return services.set_eligible_use(actor=SYSTEM, programme_slug="hyperscale", **asked)  # type: ignore[arg-type]

    assert code_of(lambda: use(models=["nothing-7b"])) == "model_not_found"
    assert code_of(lambda: use(endpoints=["telepathy"])) == "endpoint_unknown"
    now = clock.now()
    assert code_of(lambda: use(valid_from=now, valid_until=now)) == "ends_before_start"


def test_an_awards_term_lies_within_the_programmes(world: World) -> None:
    now = clock.now()
    opens, closes = now + timedelta(days=10), now + timedelta(days=100)
    services.set_eligible_use(actor=SYSTEM, programme_slug="hyperscale", valid_from=opens, valid_until=closes)
    award = world.grant(1)
    assert (award.valid_from, award.valid_until) == (opens, closes)
    shorter = world.grant(1, valid_from=opens + timedelta(days=1), valid_until=closes - timedelta(days=1))
    assert (shorter.valid_from, shorter.valid_until) == (
        opens + timedelta(days=1),
        closes - timedelta(days=1),
    )
    for term in (
        {"valid_from": now},
        {"valid_until": closes + timedelta(seconds=1)},
        {"valid_until": opens},
        {"valid_from": closes},
    ):
        assert code_of(lambda term=term: world.grant(1, **term)) == "outside_eligible_dates"
