"""What organisations bring themselves: asked by size, confirmed by an officer, spent beside public money, returned."""

import json
from collections.abc import Callable

import pytest
from tests.control.programmes.conftest import SYSTEM, Gateway, World, acting_for, won

from dure.contracts.ids import uuid7
from dure.control.access import selectors as access
from dure.control.foundation.errors import DureError, Forbidden, NotFound
from dure.control.foundation.models import DirectoryEntry
from dure.control.ledger import selectors as ledger_selectors
from dure.control.ledger import services as ledger
from dure.control.programmes import selectors, services
from dure.control.programmes.own_share import OwnShareRule
from dure.control.programmes.selectors import AwardView
from dure.control.programmes.verification import first_difference
from dure.control.settlement import services as settlement


def code_of(deed: Callable[[], object]) -> str:
    with pytest.raises(DureError) as caught:
        deed()
    return caught.value.code


def ask(due: str = "after", **rules: OwnShareRule) -> None:
    services.set_own_contribution(actor=SYSTEM, programme_slug="hyperscale", rules=rules, due=due)


def confirm(award: AwardView, krw: int | None = None, **more: object) -> AwardView:
    return services.confirm_own_contribution(
        actor=SYSTEM,
        award_id=award.id,
        micro_won=None if krw is None else won(krw),
        **more,  # type: ignore[arg-type]
    ).award


def shown(award: AwardView) -> tuple[int, int, int, int, int, int]:
    """Granted, own paid, spent, remaining, returned, own returned, in won."""
    now = selectors.award(actor=SYSTEM, award_id=award.id)
    return (
        now.granted_micro_won // won(1),
        now.own_paid_micro_won // won(1),
        now.spent_micro_won // won(1),
        now.remaining_micro_won // won(1),
        now.returned_micro_won // won(1),
        now.own_returned_micro_won // won(1),
    )


def test_without_rules_nothing_is_asked(world: World) -> None:
    award = world.grant(900)
    assert (award.own_share_micro_won, award.own_outstanding_micro_won) == (0, 0)
    assert code_of(lambda: confirm(award)) == "no_own_contribution_due"


def test_the_own_share_comes_on_top_of_the_public_money_or_out_of_the_whole(world: World) -> None:
    ask(small=OwnShareRule(1_000), large=OwnShareRule(5_000))
    top = world.grant(900, size_class="small")
    assert (top.granted_micro_won, top.own_share_micro_won) == (won(900), won(100))
    whole = world.grant(1_001, size_class="small", of_total=True)
    assert (whole.granted_micro_won, whole.own_share_micro_won) == (won(900), won(101))
    half = world.grant(100, size_class="large", of_total=True)
    assert (half.granted_micro_won, half.own_share_micro_won) == (won(50), won(50))
    free = world.grant(100, size_class="none")
    assert free.own_share_micro_won == 0


def test_what_it_would_come_to_can_be_asked_before(world: World) -> None:
    ask(small=OwnShareRule(1_000), large=OwnShareRule(5_000, most_micro_won=won(20)))
    programme_id = selectors.programme(actor=SYSTEM, slug="hyperscale").id

    def split(size: str | None, krw: int, **more: bool) -> tuple[int, int]:
        found = selectors.own_split(programme_id=programme_id, size_class=size, micro_won=won(krw), **more)
        return found.public_micro_won // won(1), found.own_micro_won // won(1)

    assert split("small", 1_001) == (900, 101)
    assert split("small", 900, of_total=False) == (900, 100)
    assert split("none", 900) == (900, 0)
    assert split(None, 100) == (80, 20)


def test_an_enterprise_of_unknown_size_cannot_be_reckoned(world: World) -> None:
    ask(small=OwnShareRule(1_000))
    assert code_of(lambda: world.grant(900)) == "size_class_not_stated"
    ministry = world.grant(900, organisation_slug="ministry")
    assert ministry.own_share_micro_won == 0


def test_nothing_would_be_left_to_grant(world: World) -> None:
    ask(small=OwnShareRule(1_000, least_micro_won=won(500)))
    assert code_of(lambda: world.grant(500, size_class="small", of_total=True)) == "own_share_is_everything"


@pytest.mark.parametrize(
    ("size", "rule", "code"),
    [
        ("tiny", OwnShareRule(1), "size_class_unknown"),
        ("small", OwnShareRule(10_000), "share_out_of_range"),
        ("small", OwnShareRule(-1), "share_out_of_range"),
        ("small", OwnShareRule(1, won(2), won(1)), "bounds_clash"),
    ],
)
def test_rules_that_cannot_hold(world: World, size: str, rule: OwnShareRule, code: str) -> None:
    assert code_of(lambda: ask(**{size: rule})) == code
    assert code_of(lambda: ask("some day", small=OwnShareRule(1))) == "own_contribution_due_unknown"


def test_rules_are_replaced_as_a_whole_and_granted_awards_keep_theirs(world: World) -> None:
    ask(small=OwnShareRule(1_000), large=OwnShareRule(5_000))
    award = world.grant(900, size_class="small")
    ask(large=OwnShareRule(6_000))
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    rules = selectors.own_contribution(programme_id=programme.id).rules
    assert [(rule.size_class, rule.share_bp) for rule in rules] == [("large", 6_000)]
    assert selectors.award(actor=SYSTEM, award_id=award.id).own_share_micro_won == won(100)


def test_it_joins_the_award_when_an_officer_confirms_it(world: World) -> None:
    ask(small=OwnShareRule(1_000))
    award = world.grant(900, size_class="small")
    assert shown(award) == (900, 0, 0, 900, 0, 0)
    confirmed = confirm(award, 40)
    assert (confirmed.own_paid_micro_won, confirmed.own_outstanding_micro_won) == (won(40), won(60))
    assert confirm(award).own_outstanding_micro_won == 0
    assert shown(award) == (900, 100, 0, 1_000, 0, 0)
    assert code_of(lambda: confirm(award)) == "no_own_contribution_due"
    programme = selectors.programme(actor=SYSTEM, slug="hyperscale")
    assert programme.appropriated_micro_won == won(1_000_000)
    assert (programme.granted_micro_won, programme.own_contribution_micro_won) == (won(900), won(100))
    assert (programme.remaining_micro_won, programme.spent_micro_won) == (won(1_000), 0)
    assert settlement.verify_everything().ok


@pytest.mark.parametrize("micro_won", [0, -1, won(101), won(1) + 1])
def test_what_was_not_agreed_is_not_confirmed(world: World, micro_won: int) -> None:
    ask(small=OwnShareRule(1_000))
    award = world.grant(900, size_class="small")
    asked = {"actor": SYSTEM, "award_id": award.id, "micro_won": micro_won}
    assert code_of(lambda: services.confirm_own_contribution(**asked)) == "own_contribution_out_of_range"
    assert shown(award) == (900, 0, 0, 900, 0, 0)


def test_the_same_confirmation_again_moves_nothing(world: World) -> None:
    ask(small=OwnShareRule(1_000))
    award, once = world.grant(900, size_class="small"), uuid7()
    for _ in range(2):
        confirm(award, 30, request_id=once)
    assert shown(award)[1] == 30
    assert code_of(lambda: confirm(award, 31, request_id=once)) == "exists_with_different_content"


def test_who_may_confirm(world: World) -> None:
    ask(small=OwnShareRule(1_000))
    award = world.grant(900, size_class="small")
    for actor, refusal in (
        (acting_for(world.haneul, "administrator"), Forbidden),
        (acting_for(world.garam, "administrator"), NotFound),
        (acting_for(world.ministry, "auditor"), Forbidden),
    ):
        with pytest.raises(refusal):
            services.confirm_own_contribution(actor=actor, award_id=award.id)
        with pytest.raises(refusal):
            services.confirm_own_contribution_repaid(actor=actor, award_id=award.id)
    services.confirm_own_contribution(actor=world.officer, award_id=award.id)


def test_where_it_is_due_before_no_call_is_made_until_all_of_it_is_there(world: World) -> None:
    ask("before", small=OwnShareRule(1_000))
    award = world.grant(900, size_class="small")

    def held() -> bool:
        return bool(json.loads(DirectoryEntry.objects.get(entry_id=str(award.id)).payload or "").get("held"))

    assert held()
    assert selectors.award(actor=SYSTEM, award_id=award.id).waits_for_own_contribution
    confirm(award, 99)
    assert held()
    confirm(award, 1)
    assert not held()
    assert not access.entitlement(actor=SYSTEM, award_id=award.id).held
    free = world.grant(1, size_class="none")
    assert not access.entitlement(actor=SYSTEM, award_id=free.id).held


def test_calls_spend_both_in_proportion_from_the_moment_it_is_there(world: World, gateway: Gateway) -> None:
    ask(small=OwnShareRule(5_000))
    award = world.grant(1_000, size_class="small")
    gateway.lease(award, 500)
    gateway.spend(award, 200)
    confirm(award)
    gateway.spend(award, 180)
    public, own = selectors.spent_by_source(award.id)
    # After ₩200 of public money alone, ₩800 and ₩1,000 are left: of the next ₩180 they are ₩80 and ₩100.
    assert (public.spent_micro_won, own.spent_micro_won) == (won(280), won(100))
    assert own.source is None
    services.end_award(actor=SYSTEM, award_id=award.id, reason="끝")
    gateway.give_back(award, 120)
    services.return_closed_awards()
    assert shown(award) == (1_000, 1_000, 380, 0, 720, 900)
    assert selectors.own_waiting(award.id) == won(900)
    assert ledger.verify().ok
    assert first_difference() == ""


def test_what_is_left_of_it_is_paid_back_once(world: World) -> None:
    ask(small=OwnShareRule(5_000))
    award = world.grant(1_000, size_class="small")
    confirm(award, 400)
    services.end_award(actor=SYSTEM, award_id=award.id, reason="끝")
    assert shown(award) == (1_000, 400, 0, 0, 1_000, 400)
    assert code_of(lambda: confirm(award)) == "award_ended"
    repaid = services.confirm_own_contribution_repaid(actor=world.officer, award_id=award.id)
    assert repaid.micro_won == won(400)
    again = code_of(lambda: services.confirm_own_contribution_repaid(actor=SYSTEM, award_id=award.id))
    assert again == "nothing_to_repay"
    book = ledger_selectors.balances_by_book(book_ids=[award.programme.id])[award.programme.id]
    assert (book["deposits"], book["own_contribution"]) == (0, 0)
    assert selectors.programme(actor=SYSTEM, slug="hyperscale").own_contribution_micro_won == 0
    assert selectors.support_received(organisation_ids=[world.haneul.id]) == 0
    assert settlement.verify_everything().ok


def test_the_lists_sums_know_of_it(world: World, gateway: Gateway) -> None:
    ask(small=OwnShareRule(5_000))
    award = world.grant(1_000, size_class="small")
    confirm(award)
    gateway.lease(award, 500)
    gateway.spend(award, 100)
    sums = selectors.awards(actor=SYSTEM).sums
    assert (sums.granted_micro_won, sums.own_paid_micro_won) == (won(1_000), won(1_000))
    assert (sums.spent_micro_won, sums.remaining_micro_won) == (won(100), won(1_900))
