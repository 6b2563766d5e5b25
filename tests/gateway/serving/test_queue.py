"""Waiting for a place at a deployment: caps that hold, awards that take turns, and nobody lost on the way."""

import asyncio

from dure.contracts.ids import uuid7

from .world import CHAT, KEY, Client, ProviderRequest, World, answer_plainly, run, world

OTHER_KEY = "dure-other-awd-0123456789abcdefghijklmnopqrstuv"


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.005)


class Gate:
    """A provider that answers when it is told to, one at a time, and notes how many it had at once."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.running = 0
        self.most = 0
        self.served: list[str] = []
        self._permits = asyncio.Semaphore(0)
        here.provider.script = self.answer

    async def answer(self, request: ProviderRequest) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await self._permits.acquire()
        self.running -= 1
        self.served.append(request.body["messages"][0]["content"])
        await answer_plainly(request)

    def let(self, count: int) -> None:
        for _ in range(count):
            self._permits.release()


def chat(name: str) -> dict:
    return {"model": "small", "messages": [{"role": "user", "content": name}]}


def second_award(here: World, micro_won: int = 10**12) -> str:
    award = str(uuid7())
    here.bank.awards[award] = micro_won
    here.publish("award", here.award_entry(id=award))
    here.publish("key", here.key_entry(OTHER_KEY, id=str(uuid7()), award=award))
    return award


def queued(here: World) -> int:
    return here.gateway.waiting.queued(here.model)


def held(here: World) -> int:
    return sum(escrow.held for escrow in here.keeper.escrows.values())


async def begin(here: World, name: str, key: str = KEY) -> asyncio.Task:
    """A call that is under way or in line when this returns."""
    before = queued(here) + len(here.provider.requests)
    task = asyncio.ensure_future(here.call(chat(name), key=key))
    await until(lambda: queued(here) + len(here.provider.requests) > before)
    return task


def test_calls_beyond_the_limit_wait_and_are_all_served(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=2))
            gate = Gate(here)
            running = [await begin(here, str(number)) for number in range(7)]
            assert (len(here.provider.requests), queued(here)) == (2, 5)
            gate.let(7)
            assert {answer.status for answer in await asyncio.gather(*running)} == {200}
            assert sorted(gate.served) == [str(number) for number in range(7)]
            assert (gate.most, queued(here), here.gateway.waiting.lines) == (2, 0, {})
            assert len(here.records()) == 7
            assert here.gateway.state_of(here.deployment).outstanding == 0

    run(scenario)


def test_one_awards_flood_does_not_make_another_wait(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            second_award(here)
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            flood = [await begin(here, f"flood {number}") for number in range(20)]
            for number in range(3):
                single = await begin(here, f"single {number}", OTHER_KEY)
                while not single.done():
                    before = len(gate.served)
                    gate.let(1)
                    await until(lambda: len(gate.served) > before and gate.running)  # noqa: B023
                    await asyncio.sleep(0.01)
            at = [gate.served.index(f"single {number}") for number in range(3)]
            # Each waits for the call that is being served and for one of the flood's, then it is its turn; another
            # of the flood may go before it while its answer travels, or its award's money is fetched.
            assert at[0] <= 4
            assert at[1] - at[0] <= 5
            assert at[2] - at[1] <= 5
            gate.let(20)
            assert {answer.status for answer in await asyncio.gather(*flood)} == {200}

    run(scenario)


def test_a_call_in_line_holds_no_money(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            first = await begin(here, "first")
            alone = held(here)
            rest = [await begin(here, str(number)) for number in range(4)]
            assert held(here) == alone > 0
            gate.let(5)
            await asyncio.gather(first, *rest)
            assert held(here) == 0

    run(scenario)


def test_a_call_that_cannot_pay_takes_nobodys_place(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            poor = second_award(here, micro_won=1)
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            first = await begin(here, "first")
            without = await begin(here, "poor", OTHER_KEY)
            last = await begin(here, "last")
            gate.let(2)
            refused = await without
            assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
            assert [(await task).status for task in (first, last)] == [200, 200]
            assert gate.served == ["first", "last"]
            assert here.keeper.escrow(poor).held == 0

    run(scenario)


def test_a_call_whose_money_came_late_goes_on_as_the_first_of_its_award(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            second_award(here)
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            first = await begin(here, "first")
            here.bank.delay = 0.05  # nothing of the second award is here yet
            late = await begin(here, "late", OTHER_KEY)
            later = await begin(here, "later", OTHER_KEY)
            mine = await begin(here, "mine")
            gate.let(1)
            await first
            await until(lambda: held(here) > 0 and gate.running == 1)
            gate.let(4)
            assert [(await task).status for task in (late, later, mine)] == [200] * 3
            assert gate.served.index("late") < gate.served.index("later")
            assert (held(here), gate.most) == (0, 1)

    run(scenario)


def test_a_client_that_hangs_up_leaves_the_line(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            first = await begin(here, "first")
            client = await Client.connect(here.port)
            client.send(chat("gone"))
            await until(lambda: queued(here) == 1)
            last = await begin(here, "last")
            client.close()
            await until(lambda: queued(here) == 1)
            gate.let(2)
            assert [(await task).status for task in (first, last)] == [200, 200]
            assert gate.served == ["first", "last"]
            assert (len(here.records()), held(here), here.gateway.open_requests) == (2, 0, 0)

    run(scenario)


def test_a_full_line_and_one_without_room_refuse_at_once(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=1, queue_limit=2))
            gate = Gate(here)
            here.gateway.state_of(here.deployment).held_for(4.0)
            running = [await begin(here, str(number)) for number in range(3)]
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"]) == (503, "model_busy")
            assert answer.headers["retry-after"] == "12"  # three calls of four seconds, one after the other
            here.publish("deployment", here.deployment_entry(max_concurrency=1, queue_limit=0))
            assert (await here.call(CHAT)).error["code"] == "model_busy"
            gate.let(3)
            assert {answer.status for answer in await asyncio.gather(*running)} == {200}
            assert len(here.records()) == 3

    run(scenario)


def test_waiting_has_an_end(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=1, queue_timeout_ms=50))
            gate = Gate(here)
            first = await begin(here, "first")
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"]) == (503, "model_busy")
            assert int(answer.headers["retry-after"]) >= 1
            gate.let(1)
            assert (await first).status == 200
            assert (held(here), here.gateway.waiting.lines, here.gateway.open_requests) == (0, {}, 0)
            assert here.gateway.metrics.queue_seconds.series["small"].counts[-1] == 0
            assert sum(here.gateway.metrics.queue_seconds.series["small"].counts) == 1

    run(scenario)


def test_any_deployment_that_frees_up_takes_the_next(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            here.publish("deployment", here.deployment_entry(id=str(uuid7()), max_concurrency=1, priority=1))
            gate = Gate(here)
            running = [await begin(here, str(number)) for number in range(4)]
            assert (gate.most, queued(here)) == (2, 2)
            gate.let(4)
            await asyncio.gather(*running)
            assert gate.most == 2
            assert len({record.deployment for record in here.records()}) == 2

    run(scenario)


def test_the_directory_makes_room_and_takes_it_away(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            running = [await begin(here, str(number)) for number in range(3)]
            here.publish("deployment", here.deployment_entry(max_concurrency=2))
            await until(lambda: queued(here) == 1)
            assert len(here.provider.requests) == 2
            here.withdraw("deployment", here.deployment)
            answer = await running[2]
            assert (answer.status, answer.error["code"]) == (503, "model_unavailable")
            # It comes back before its calls have ended: they still count.
            here.publish("deployment", here.deployment_entry(max_concurrency=2, queue_limit=0))
            assert (await here.call(CHAT)).error["code"] == "model_busy"
            gate.let(2)
            assert [(await task).status for task in running[:2]] == [200, 200]

    run(scenario)


def test_an_award_that_ends_leaves_the_line_when_its_turn_comes(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            award = second_award(here)
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            first = await begin(here, "first")
            ended = await begin(here, "ended", OTHER_KEY)
            here.withdraw("award", award)
            gate.let(1)
            answer = await ended
            assert (answer.status, answer.error["code"]) == (403, "award_ended")
            assert (await first).status == 200

    run(scenario)


def test_a_limit_is_kept_together_with_other_processes(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(max_concurrency=5))
            gate = Gate(here)
            here.gateway.take_share(2, 1)
            running = [await begin(here, str(number)) for number in range(4)]
            assert (gate.most, queued(here)) == (2, 2)
            here.gateway.take_share(2, 0)
            await until(lambda: gate.running == 3)
            here.gateway.take_share(1, 0)
            await until(lambda: gate.running == 4)
            gate.let(4)
            await asyncio.gather(*running)
            assert here.gateway.limits_concurrency()

    run(scenario)


def test_a_flood_of_hang_ups_and_calls_loses_nobody(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            second_award(here)
            here.publish("deployment", here.deployment_entry(max_concurrency=3))
            gate = Gate(here)
            staying, leaving = [], []
            for number in range(40):
                key = OTHER_KEY if number % 3 else KEY
                if number % 4 == 3:
                    client = await Client.connect(here.port)
                    before = queued(here)
                    client.send(chat("leaves"), key=key)
                    await until(lambda: queued(here) > before)  # noqa: B023 - awaited at once
                    leaving.append(client)
                else:
                    staying.append(await begin(here, f"stays {number}", key))
            for client in leaving:
                client.close()
            await until(lambda: queued(here) == len(staying) - 3)
            gate.let(len(staying))
            assert {answer.status for answer in await asyncio.gather(*staying)} == {200}
            assert (gate.most, "leaves" in gate.served, held(here)) == (3, False, 0)
            assert {record.status for record in here.records()} == {"completed"}

    run(scenario)


def test_the_escrow_of_an_award_whose_only_call_waits_may_be_swept_meanwhile(tmp_path):
    """Found by chaos: the call then leased into an escrow that nobody knew, and its money stayed there."""

    async def scenario():
        async with world(tmp_path) as here:
            other = second_award(here)
            here.publish("deployment", here.deployment_entry(max_concurrency=1))
            gate = Gate(here)
            first = await begin(here, "first")
            waiting = await begin(here, "waiting", OTHER_KEY)
            assert other in here.keeper.escrows
            here.keeper.sweep_idle()
            assert other not in here.keeper.escrows
            gate.let(2)
            assert {answer.status for answer in await asyncio.gather(first, waiting)} == {200}
            for award, escrow in here.keeper.escrows.items():
                leased = here.bank.escrow["here", award]
                assert (escrow.held, escrow.free + escrow.spent) == (0, leased)
            assert other in here.keeper.escrows

    run(scenario)
