"""Whose money it is: sources of a programme, the shares of an award, and what of each was spent, to the last micro-won."""

from collections.abc import Callable

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from tests.control.programmes.conftest import SYSTEM, Gateway, World, acting_for, won

from dure.contracts.ids import uuid7
from dure.control.foundation.errors import DureError, Forbidden
from dure.control.ledger import selectors as ledger_selectors
from dure.control.ledger import services as ledger
from dure.control.programmes import selectors, services
from dure.control.programmes.models import AwardShare
from dure.control.programmes.parts import Parts, steps_of
from dure.control.settlement import services as settlement


def code_of(deed: Callable[[], object]) -> str:
    with pytest.raises(DureError) as caught:
        deed()
    return caught.value.code


@pytest.fixture
def fund(world: World) -> World:
    """Beside the ministry's ₩1,000,000, a fund that gives ₩500,000."""
    services.add_source(actor=SYSTEM, slug="ai-fund", name_ko="인공지능 기금", name_en="AI Fund", kind="fund")
    services.appropriate(
        actor=SYSTEM, programme_slug="hyperscale", micro_won=won(500_000), source_slug="ai-fund"
    )
    return world


def money() -> dict[str, tuple[int, int, int]]:
    """Left, granted and spent of each source, in won."""
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    lines = selectors.money_of_programme(programme_id=programme.id)
    return {
        line.source.slug: (line.left // won(1), line.granted // won(1), line.spent // won(1))
        for line in lines
    }


def test_a_new_programme_spends_its_agencys_money(world: World) -> None:
    assert money() == {"ministry": (1_000_000, 0, 0)}
    (first,) = selectors.appropriations(actor=SYSTEM, slug="hyperscale")
    assert (first.source.slug, first.unit, first.amount) == ("ministry", "KRW", won(1_000_000))


def test_an_award_takes_of_each_source_in_proportion_to_what_it_has_left(fund: World) -> None:
    award = fund.grant(3_000)
    assert money() == {"ministry": (998_000, 2_000, 0), "ai-fund": (499_000, 1_000, 0)}
    assert [
        (line.source and line.source.slug, line.put_in_micro_won)
        for line in selectors.spent_by_source(award.id)
    ] == [("ministry", won(2_000)), ("ai-fund", won(1_000))]
    assert settlement.verify_everything().ok


def test_sources_can_be_chosen_by_name_or_by_sum(fund: World) -> None:
    fund.grant(1_000, sources=["ai-fund"])
    fund.grant(1_000, sources={"ministry": won(1), "ai-fund": won(999)})
    assert money() == {"ministry": (999_999, 1, 0), "ai-fund": (498_001, 1_999, 0)}
    assert code_of(lambda: fund.grant(10, sources={"ai-fund": won(9)})) == "sources_do_not_add_up"
    assert (
        code_of(lambda: fund.grant(10, sources={"ai-fund": won(11), "ministry": -won(1)}))
        == "sources_do_not_add_up"
    )
    assert code_of(lambda: fund.grant(10, sources=["nobody"])) == "source_not_found"


def test_no_source_gives_more_than_it_has_though_others_have_it(fund: World) -> None:
    with pytest.raises(DureError) as caught:
        fund.grant(500_001, sources=["ai-fund"])
    assert caught.value.code == "source_exceeded"
    assert caught.value.data["left"] == won(500_000)
    assert code_of(lambda: fund.grant(500_001, sources={"ai-fund": won(500_001)})) == "source_exceeded"
    assert code_of(lambda: fund.grant(1_500_001)) == "appropriation_exceeded"
    fund.grant(1_500_000)
    assert money() == {"ministry": (0, 1_000_000, 0), "ai-fund": (0, 500_000, 0)}


def test_an_uneven_sum_is_still_granted_exactly(fund: World) -> None:
    award = services.grant_award(
        actor=SYSTEM, programme_slug="hyperscale", organisation_slug="haneul", micro_won=won(1_000) + 1
    ).award
    parts = selectors.spent_by_source(award.id)
    assert sum(part.put_in_micro_won for part in parts) == won(1_000) + 1


def test_what_is_spent_is_whose_it_was_and_what_is_left_goes_back_to_whom_it_came_from(
    fund: World, gateway: Gateway
) -> None:
    award = fund.grant(3_000)
    gateway.lease(award, 900)
    gateway.spend(award, 300)
    assert money() == {"ministry": (998_000, 2_000, 200), "ai-fund": (499_000, 1_000, 100)}
    services.end_award(actor=SYSTEM, award_id=award.id, reason="끝")
    gateway.spend(award, 30)
    gateway.give_back(award, 570)
    services.return_closed_awards()
    lines = selectors.spent_by_source(award.id)
    assert [(one.spent_micro_won, one.returned_micro_won, one.remaining_micro_won) for one in lines] == [
        (won(220), won(1_780), 0),
        (won(110), won(890), 0),
    ]
    assert money() == {"ministry": (999_780, 220, 220), "ai-fund": (499_890, 110, 110)}
    assert ledger.verify().ok
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").spent_micro_won == won(330)


def test_programmes_of_many_kinds_of_awards_add_up(fund: World, gateway: Gateway) -> None:
    alone, mixed = fund.grant(1_000, sources=["ministry"]), fund.grant(700)
    for award, spent in ((alone, 123), (mixed, 77)):
        gateway.lease(award, 400)
        gateway.spend(award, spent)
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    lines = selectors.money_of_programme(programme_id=programme.id)
    assert sum(line.spent for line in lines) == programme.spent_micro_won == won(200)
    assert sum(line.granted for line in lines) == programme.granted_micro_won
    assert all(line.given == line.left + line.granted for line in lines)


def test_a_source_passed_on_to_another_programme_stays_the_source(fund: World, gateway: Gateway) -> None:
    services.add_programme(actor=SYSTEM, slug="pilots", name_ko="실증", krw_micro_won=won(10))
    services.pass_on(
        actor=fund.officer,
        from_slug="hyperscale",
        to_slug="pilots",
        source_slug="ai-fund",
        amount=won(200_000),
    )
    assert money()["ai-fund"] == (300_000, 0, 0)
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").appropriated_micro_won == won(1_300_000)
    award = fund.grant(100, programme_slug="pilots", sources=["ai-fund"])
    gateway.lease(award, 50)
    gateway.spend(award, 40)
    source = selectors.source(slug="ai-fund")
    assert [
        (line.programme.slug, line.given, line.granted, line.spent)
        for line in selectors.money_of_source(source_id=source.id)
    ] == [("hyperscale", won(300_000), 0, 0), ("pilots", won(200_000), won(100), won(40))]
    latest = selectors.appropriations(actor=SYSTEM, slug="pilots")[0]
    assert latest.through is not None
    assert (latest.through.slug, latest.source.slug) == ("hyperscale", "ai-fund")
    assert ledger.verify().ok


def test_no_more_is_passed_on_than_is_left_of_that_source(fund: World) -> None:
    services.add_programme(actor=SYSTEM, slug="pilots", name_ko="실증", krw_micro_won=won(10))

    def pass_on(krw: int, **more: object) -> str:
        asked = {"from_slug": "hyperscale", "to_slug": "pilots", "source_slug": "ai-fund"} | more
        return services.pass_on(actor=SYSTEM, amount=won(krw), **asked).result  # type: ignore[arg-type]

    assert code_of(lambda: pass_on(500_001)) == "source_exceeded"
    assert code_of(lambda: pass_on(1, from_slug="pilots", to_slug="hyperscale")) == "source_exceeded"
    assert code_of(lambda: pass_on(1, to_slug="hyperscale")) == "programmes_must_differ"
    once = uuid7()
    assert [pass_on(5, request_id=once), pass_on(5, request_id=once)] == ["created", "exists"]
    assert code_of(lambda: pass_on(6, request_id=once)) == "exists_with_different_content"
    assert money()["ai-fund"] == (499_995, 0, 0)


def test_units_are_never_mixed(world: World) -> None:
    services.add_source(actor=SYSTEM, slug="gpu-pool", name_ko="연산 자원", kind="other")
    services.appropriate(
        actor=SYSTEM, programme_slug="hyperscale", amount=3_600_000, unit="GPU_SECOND", source_slug="gpu-pool"
    )
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    assert programme.appropriated_micro_won == won(1_000_000)
    lines = selectors.money_of_programme(programme_id=programme.id)
    assert [(line.source.slug, line.unit, line.left) for line in lines] == [
        ("ministry", "KRW", won(1_000_000)),
        ("gpu-pool", "GPU_SECOND", 3_600_000),
    ]
    assert {account.unit for account in ledger_selectors.accounts(book_id=programme.id)} == {
        "KRW",
        "GPU_SECOND",
    }
    assert code_of(lambda: world.grant(1, sources=["gpu-pool"])) == "units_differ"
    with pytest.raises(DureError) as caught, translation.override("en"):
        world.grant(1, sources=["gpu-pool"])
    assert "awards are granted in won only" in str(caught.value.message)
    assert caught.value.remedy
    world.grant(1_000_000)
    assert code_of(lambda: world.grant(1)) == "appropriation_exceeded"
    assert ledger.verify().ok


def test_a_source_must_be_named_where_there_are_several(fund: World) -> None:
    def more(**asked: object) -> str:
        return services.appropriate(
            actor=SYSTEM,
            programme_slug="hyperscale",
            micro_won=won(1),
            **asked,  # type: ignore[arg-type]
        ).result

    assert code_of(more) == "source_missing"
    assert code_of(lambda: more(source_slug="nobody")) == "source_not_found"
    assert code_of(lambda: more(source_slug="ai-fund", unit="ACRE")) == "unit_unknown"
    assert more(source_slug="ai-fund") == "created"


def test_who_may_name_a_source(world: World) -> None:
    for actor in (acting_for(world.haneul, "administrator"), acting_for(world.ministry, "auditor")):
        with pytest.raises(Forbidden):
            services.add_source(actor=actor, slug="mine", name_ko="내 돈")
    made = services.add_source(actor=world.officer, slug="budget-2027", name_ko="2027년 예산")
    assert made.organisation_id == world.ministry.id
    again = code_of(lambda: services.add_source(actor=world.officer, slug="budget-2027", name_ko="또"))
    assert again == "source_exists"
    assert code_of(lambda: services.add_source(actor=SYSTEM, slug="x", name_ko="x", kind="gift")) == (
        "source_kind_unknown"
    )


def test_a_share_that_differs_from_the_ledger_is_found(fund: World) -> None:
    award = fund.grant(3_000)
    assert settlement.verify_everything().ok
    AwardShare.objects.filter(award_id=award.id, position=0).update(granted_micro_won=won(1_999))
    report = settlement.verify_everything()
    assert not report.ok
    assert f"of award {award.id}: it and its transfer do not agree" in report.difference


@given(
    st.lists(st.integers(1, 10**13), min_size=1, max_size=3),
    st.fractions(0, 1),
    st.fractions(0, 1),
    st.integers(0, 10**12),
)
def test_what_goes_back_is_what_was_put_in_less_what_was_spent(
    public: list[int], first: object, second: object, own: int
) -> None:
    """However it is spent, however late the own contribution comes, and in however many parts it goes back."""
    spent_before = int(sum(public) * first)  # type: ignore[operator]
    funded = sum(public) + own
    spent = spent_before + int((funded - spent_before) * second)  # type: ignore[operator]
    steps = steps_of(public, [(spent_before, own)] if own else [])
    back = [0] * (len(public) + 1)
    for amount in ((funded - spent) // 3, funded - spent - (funded - spent) // 3):
        parts = Parts((), steps, sum(back))
        back = [was + now for was, now in zip(back, parts.returned_next(amount), strict=True)]
    put_in = [*public, own]
    assert [a - b for a, b in zip(put_in, Parts((), steps, 0).spent(spent), strict=True)] == back
