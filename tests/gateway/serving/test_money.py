"""Holds, leases and refusals: nothing is spent that was not set aside first."""

import asyncio
import gzip
import re

import pytest

from dure.contracts.money import cost_micro_won

from .world import (
    CHAT,
    INPUT,
    OUTPUT,
    Bank,
    Client,
    FakeLink,
    ProviderRequest,
    answer_plainly,
    completion,
    run,
    world,
)

COST = cost_micro_won(((12, INPUT), (3, OUTPUT)))


def held_for(here, body=CHAT) -> int:
    """What one request of this kind sets aside."""
    return max(needed for _, needed, _ in here.link.leases)


def test_a_request_that_is_too_expensive_is_told_what_would_fit(tmp_path):
    async def scenario():
        async with world(tmp_path, micro_won=100_000) as here:
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["type"], refused.error["code"]) == (
                429,
                "insufficient_quota",
                "insufficient_quota",
            )
            assert refused.headers["x-should-retry"] == "false"
            assert refused.headers["x-dure-award-left-micro-won"] == "100000"
            fits = int(re.search(r"Set max_tokens to (\d+)", refused.error["message"]).group(1))
            assert (await here.call({**CHAT, "max_tokens": fits + 1})).status == 429
            assert (await here.call({**CHAT, "max_tokens": fits})).status == 200
            assert here.provider.requests[0].body["max_tokens"] == fits
            assert len(here.provider.requests) == 1

    run(scenario)


def test_an_input_that_alone_is_too_expensive(tmp_path):
    async def scenario():
        async with world(tmp_path, micro_won=1_000) as here:
            refused = await here.call({**CHAT, "max_tokens": 1})
            assert "send less at once" in refused.error["message"]

    run(scenario)


def test_fifty_clients_at_once_on_one_won_never_overspend(tmp_path):
    async def scenario():
        won = 1_000_000
        async with world(tmp_path, micro_won=won, escrow_wait=0.3) as here:
            body = {**CHAT, "max_tokens": 20}
            answers = await asyncio.gather(*(here.call(body) for _ in range(50)))
            statuses = {answer.status for answer in answers}
            assert statuses <= {200, 429}
            served = [answer for answer in answers if answer.status == 200]
            records = here.records()
            assert len(served) == len(records) == len(here.provider.requests)
            assert sum(record.cost_micro_won for record in records) == len(served) * COST <= won
            assert all(record.uncovered_micro_won == 0 for record in records)
            escrow = here.keeper.escrow(here.award)
            assert escrow.held == 0
            assert escrow.spent + escrow.free + here.bank.awards[here.award] == won

    run(scenario)


def test_requests_that_come_together_share_a_lease(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.bank.delay = 0.02
            answers = await asyncio.gather(*(here.call(CHAT) for _ in range(20)))
            assert {answer.status for answer in answers} == {200}
            assert len(here.link.leases) <= 3

    run(scenario)


def test_money_in_another_process_is_recalled(tmp_path):
    async def scenario():
        bank = Bank()
        async with (
            world(tmp_path / "a", bank=bank, name="a") as here,
            world(tmp_path / "b", bank=bank, name="b") as there,
        ):
            there.award = here.award
            there.key = here.key
            there.publish("award", there.award_entry())
            there.publish("key", there.key_entry())
            bank.awards[here.award] = 600_000
            await there.keeper.leases.lease(there.keeper.escrow(here.award), 500_000, there.keeper.answered)
            assert bank.awards[here.award] == 100_000
            answer = await here.call(CHAT)
            assert answer.status == 200
            assert here.link.recalls == 1
            assert there.keeper.escrow(here.award).free == 0

    run(scenario)


def test_a_hold_elsewhere_is_waited_for_and_then_refused(tmp_path):
    async def scenario():
        bank = Bank()
        async with world(tmp_path, bank=bank, micro_won=100_000, escrow_wait=0.3) as here:
            other = FakeLink(bank, "other")
            bank.escrow["other", here.award] = 10_000_000
            started = asyncio.get_running_loop().time()
            refused = await here.call(CHAT)
            assert refused.status == 429
            assert 0.25 < asyncio.get_running_loop().time() - started < 1.0
            assert here.link.recalls >= 1
            assert other.leases == []

    run(scenario)


def test_the_database_away_matters_only_when_escrow_runs_out(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            assert (await here.call(CHAT)).status == 200
            here.bank.away = True
            assert (await here.call(CHAT)).status == 200
            here.keeper.escrow(here.award).free = 0
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (503, "ledger_unavailable")
            assert refused.headers["retry-after"] == "2"
            here.bank.away = False
            assert (await here.call(CHAT)).status == 200

    run(scenario)


def test_idle_escrow_goes_back(tmp_path):
    async def scenario():
        async with world(tmp_path, escrow_idle=0.05) as here:
            await here.call(CHAT)
            while here.keeper.escrows:
                await asyncio.sleep(0.01)
            assert here.bank.escrow["here", here.award] == COST

    run(scenario)


def test_a_withdrawn_award_gives_its_escrow_back_and_running_requests_finish(tmp_path):
    async def scenario():
        gate = asyncio.Event()

        async def held_up(request: ProviderRequest) -> None:
            await gate.wait()
            request.answer(completion())

        async with world(tmp_path) as here:
            here.provider.script = held_up
            running = asyncio.ensure_future(here.call(CHAT))
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            here.withdraw("award", here.award)
            await asyncio.sleep(0.02)
            hold = here.keeper.escrow(here.award).held
            assert here.bank.escrow["here", here.award] == hold > 0
            gate.set()
            assert (await running).status == 200
            await asyncio.sleep(0.02)
            assert here.bank.escrow["here", here.award] == COST

    run(scenario)


def test_those_who_wait_are_refused_when_their_award_ends(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.bank.delay = 0.2
            waiting = asyncio.ensure_future(here.call(CHAT))
            await asyncio.sleep(0.05)
            here.withdraw("award", here.award)
            refused = await waiting
            assert (refused.status, refused.error["code"]) == (403, "award_ended")
            await asyncio.sleep(0.5)
            assert here.bank.escrow["here", here.award] == 0

    run(scenario)


def test_a_client_that_leaves_while_it_waits_costs_nothing(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.bank.delay = 0.1
            client = await Client.connect(here.port)
            client.send(CHAT)
            await asyncio.sleep(0.03)
            client.close()
            await asyncio.sleep(0.15)
            assert here.journalled() == ([], [], [])
            assert here.keeper.escrow(here.award).held == 0
            assert here.gateway.open_requests == 0

    run(scenario)


def test_usage_beyond_the_hold_is_taken_from_free_escrow_then_left_uncovered(tmp_path):
    async def greedy(request: ProviderRequest) -> None:
        request.answer(completion(prompt=12, output=10_000))

    async def scenario():
        async with world(tmp_path, micro_won=400_000) as here:
            here.provider.script = greedy
            answer = await here.call(CHAT)
            record = await here.record()
            leased = here.keeper.escrow(here.award).leased
            assert record.cost_micro_won == leased == int(answer.headers["x-dure-cost-micro-won"])
            assert record.uncovered_micro_won == cost_micro_won(((12, INPUT), (10_000, OUTPUT))) - leased

    run(scenario)


def test_copies_are_held_for(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            await here.call({**CHAT, "max_tokens": 10})
            one = here.link.leases[0][1]
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(dialect="openai"))
            await here.call({**CHAT, "max_tokens": 10, "n": 5})
            assert here.link.leases[0][1] - one == pytest.approx(
                4 * 10 * OUTPUT // 1_000_000, abs=10 * INPUT // 1_000_000
            )

    run(scenario)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**CHAT, "n": 2}),
        ("/v1/completions", {"model": "small", "prompt": ["a", "b"]}),
    ],
)
def test_several_answers_are_not_asked_of_a_provider_that_meters_one(tmp_path, path, body):
    async def scenario():
        async with world(tmp_path) as here:
            answer = await here.call(body, path=path)
            assert (answer.status, answer.error["code"]) == (400, "one_answer_at_a_time")
            assert here.provider.requests == []
            assert here.keeper.escrow(here.award).held == 0

    run(scenario)


def test_an_answer_encoded_in_a_way_nobody_asked_for_is_not_charged(tmp_path):
    async def scenario():
        async def script(request):
            request.answer(gzip.compress(completion()), extra="content-encoding: gzip\r\n")

        async with world(tmp_path) as here:
            here.provider.script = script
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"]) == (502, "upstream_broke")
            _opened, (record,), _progress = here.journalled()
            assert (record.status, record.cost_micro_won) == ("failed", 0)

    run(scenario)


def test_the_awards_ceiling_is_held_for_and_sent(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("award", here.award_entry(max_tokens_ceiling=7))
            for body in (CHAT, {**CHAT, "max_tokens": 100}, {**CHAT, "max_completion_tokens": 100}):
                await here.call(body)
            sent = [request.body for request in here.provider.requests]
            assert [body.get("max_tokens") for body in sent] == [7, 7, None]
            assert sent[2]["max_completion_tokens"] == 7

    run(scenario)


def test_draining_returns_the_escrow(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            await here.call(CHAT)
            assert here.bank.escrow["here", here.award] > COST
        assert here.bank.escrow["here", here.award] == COST
        assert answer_plainly is here.provider.script

    run(scenario)
