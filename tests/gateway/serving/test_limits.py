"""Limits of keys and awards at the door: what is admitted, what is refused, and what the answer tells."""

import asyncio
import re

import openai
import pytest

from dure.gateway.app.allotments import Heard, SlotLink
from dure.gateway.io.database import DatabaseAway, Lease

from .world import CHAT, KEY, Bank, FakeLink, ProviderRequest, answer_plainly, completion, run, world

FRESH = 1_800_000_000.0  # the first second of a minute


def limited(here, **changes) -> None:
    here.publish("award", here.award_entry(**changes))


def limited_key(here, **changes) -> None:
    here.publish("key", here.key_entry(**changes))


def standing_clock() -> Bank:
    """A database whose minute does not end while a test runs."""
    bank = Bank()
    bank.clock = lambda: FRESH
    return bank


async def all_of(here, count: int, body=CHAT, **options):
    return await asyncio.gather(*(here.call(body, **options) for _ in range(count)))


def counted(answers) -> dict[int, int]:
    statuses = [answer.status for answer in answers]
    return {status: statuses.count(status) for status in set(statuses)}


def test_requests_per_minute(tmp_path):
    async def scenario():
        async with world(tmp_path, bank=standing_clock()) as here:
            limited(here, requests_per_minute=20)
            answers = await all_of(here, 30)
            assert counted(answers) == {200: 20, 429: 10}
            refused = next(answer for answer in answers if answer.status == 429)
            assert (refused.error["type"], refused.error["code"]) == ("requests", "rate_limit_exceeded")
            assert "20 requests per minute of your award leaves 0 in this minute" in refused.error["message"]
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert refused.headers["x-ratelimit-limit-requests"] == "20"
            assert refused.headers["x-ratelimit-remaining-requests"] == "0"
            assert re.fullmatch(r"\d+s|1m0s", refused.headers["x-ratelimit-reset-requests"])
            assert len(here.provider.requests) == 20
            asked = len(here.link.allotments)
            await all_of(here, 20)
            assert len(here.link.allotments) <= asked + 20, "a flood is refused without asking each time"
            here.bank.clock = lambda: FRESH + 60
            # What this process knows of the minute's end is its own clock's: it has to be over there, too.
            here.limits._rates[here.award, "requests"].ends_at = 0.0
            answer = await here.call(CHAT)
            assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (200, "19")

    run(scenario)


def test_headers_count_down_and_streams_have_them_too(tmp_path):
    async def scenario():
        async with world(tmp_path, bank=standing_clock()) as here:
            limited(here, requests_per_minute=20, tokens_per_minute=100_000)
            limited_key(here, requests_per_minute=5)
            first = await here.call(CHAT)
            assert (
                first.headers["x-ratelimit-limit-requests"],
                first.headers["x-ratelimit-remaining-requests"],
            ) == (
                "5",
                "4",
            )
            assert first.headers["x-ratelimit-limit-tokens"] == "100000"
            stream = await here.call({**CHAT, "stream": True})
            assert stream.headers["x-ratelimit-remaining-requests"] == "3"
            unknown = await here.call({**CHAT, "model": "none"})
            assert (unknown.status, unknown.headers["x-ratelimit-remaining-requests"]) == (404, "3")
            limited(here)
            limited_key(here)
            free = await here.call(CHAT)
            assert not [name for name in free.headers if name.startswith("x-ratelimit")]

    run(scenario)


def test_tokens_count_by_what_was_admitted_and_unused_ones_come_back(tmp_path):
    async def scenario():
        async with world(tmp_path, bank=standing_clock()) as here:
            limited(here, tokens_per_minute=1_000)
            body = {**CHAT, "max_tokens": 400}
            waiting = asyncio.Event()

            async def hold_on(request: ProviderRequest) -> None:
                await waiting.wait()
                request.answer(completion())

            here.provider.script = hold_on
            running = [asyncio.ensure_future(here.call(body)) for _ in range(2)]
            while len(here.provider.requests) < 2:
                await asyncio.sleep(0.005)
            refused = await here.call(body)
            assert (refused.status, refused.error["type"]) == (429, "tokens")
            waiting.set()
            assert counted(await asyncio.gather(*running)) == {200: 2}
            after = await here.call(body)
            assert after.status == 200
            assert after.headers["x-ratelimit-remaining-tokens"] == str(1_000 - 3 * 15)

            too_large = await here.call({**CHAT, "n": 3, "max_tokens": 400})
            assert (too_large.status, too_large.headers["x-should-retry"]) == (429, "false")
            assert "can never be admitted" in too_large.error["message"]
            assert "retry-after" not in too_large.headers

    run(scenario)


def test_a_refused_request_counts_for_nothing(tmp_path):
    async def scenario():
        async with world(tmp_path, bank=standing_clock(), micro_won=100_000, escrow_wait=0.2) as here:
            limited(here, requests_per_minute=3, tokens_per_minute=5_000, concurrency=1)
            for _ in range(4):
                assert (await here.call(CHAT)).error["code"] == "insufficient_quota"
            answer = await here.call({**CHAT, "max_tokens": 1})
            assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (200, "2")
            # What was admitted, though the provider reports more: the limit is on what is admitted.
            assert answer.headers["x-ratelimit-remaining-tokens"] == str(5_000 - 10)

    run(scenario)


def test_no_more_run_at_one_time_than_may_and_the_others_wait_in_line(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            limited(here, concurrency=3)
            most = now = 0

            async def slowly(request: ProviderRequest) -> None:
                nonlocal most, now
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.02)
                now -= 1
                await answer_plainly(request)

            here.provider.script = slowly
            answers = await all_of(here, 30)
            assert (counted(answers), most) == ({200: 30}, 3)

    run(scenario)


def test_who_waits_too_long_for_a_slot_is_told(tmp_path):
    async def scenario():
        async with world(tmp_path, escrow_wait=0.1) as here:
            limited_key(here, concurrency=1)

            async def never(request: ProviderRequest) -> None:
                await asyncio.sleep(60)

            here.provider.script = never
            running = asyncio.ensure_future(here.call(CHAT))
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["type"], refused.headers["retry-after"]) == (
                429,
                "requests",
                "1",
            )
            assert "1 requests of this API key are running" in refused.error["message"]
            running.cancel()
            here.provider.script = answer_plainly

    run(scenario)


def test_slots_move_between_processes(tmp_path):
    async def scenario():
        bank = Bank()
        async with (
            world(tmp_path / "a", bank=bank, name="a") as here,
            world(tmp_path / "b", bank=bank, name="b") as there,
        ):
            there.award, there.key = here.award, here.key
            limited(here, concurrency=2)
            there.publish("award", there.award_entry(concurrency=2))
            there.publish("key", there.key_entry())
            most = now = 0

            async def slowly(request: ProviderRequest) -> None:
                nonlocal most, now
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1
                await answer_plainly(request)

            here.provider.script = there.provider.script = slowly
            assert counted(await all_of(here, 6)) == {200: 6}
            assert counted(await all_of(there, 6)) == {200: 6}
            answers = await asyncio.gather(*(one.call(CHAT) for one in (here, there) * 6))
            assert (counted(answers), most) == ({200: 12}, 2)
            held = bank.allotted[here.award, "slots"]
            assert sum(amount for _, amount in held.values()) <= 2

    run(scenario)


def test_slots_of_which_the_granting_was_never_heard_are_told_back():
    async def scenario():
        bank = Bank()
        slots = SlotLink(FakeLink(bank), Heard(), {"award": 3})
        bank.unheard = True
        with pytest.raises(DatabaseAway):
            await slots.lease("award", 2)
        assert bank.allotted["award", "slots"] == {"here": (0, 2)}
        slots.retry()
        await asyncio.sleep(0.01)
        bank.unheard = False
        slots.retry()
        await asyncio.sleep(0.01)
        assert bank.allotted["award", "slots"] == {"here": (0, 0)}
        assert await slots.lease("award", 1) == Lease(1, 2, 0)

    run(scenario)


def test_a_client_that_leaves_while_it_waits_takes_nothing(tmp_path):
    async def scenario():
        async with world(tmp_path, bank=standing_clock()) as here:
            limited(here, concurrency=1, requests_per_minute=10)
            gone = asyncio.Event()

            async def until_gone(request: ProviderRequest) -> None:
                await gone.wait()
                await answer_plainly(request)

            here.provider.script = until_gone
            running = asyncio.ensure_future(here.call(CHAT))
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            leaving = asyncio.ensure_future(here.call(CHAT))
            slot = here.limits.slots.escrow(here.award)
            while not slot.waiters:
                await asyncio.sleep(0.005)
            leaving.cancel()
            while here.gateway.open_requests > 1:
                await asyncio.sleep(0.005)
            gone.set()
            assert (await running).status == 200
            answer = await here.call(CHAT)
            assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (200, "8")
            assert slot.held == 0

    run(scenario)


def test_while_the_database_is_away_each_process_admits_its_share(tmp_path):
    async def scenario():
        bank = standing_clock()
        bank.processes = 4
        async with world(tmp_path, bank=bank, escrow_wait=0.2) as here:
            limited(here, requests_per_minute=40, concurrency=8)
            assert (await here.call(CHAT)).status == 200
            bank.away = True
            answers = [await here.call(CHAT) for _ in range(15)]
            assert counted(answers) == {200: 9, 429: 6}
            assert "its share of 10" in answers[-1].error["message"]
            limited(here, concurrency=8)
            answers = await all_of(here, 2)
            assert counted(answers) == {200: 2}

    run(scenario)


def test_networks(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            limited(here, networks=("127.0.0.0/8",))
            assert (await here.call(CHAT)).status == 200
            limited_key(here, networks=("192.0.2.0/24",))
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (403, "network_not_allowed")
            assert "This API key may not be used from 127.0.0.1" in refused.error["message"]
            models = await here.call(None, "/v1/models", method="GET")
            assert models.error["code"] == "network_not_allowed"
            spoofed = await here.call(CHAT, headers="x-forwarded-for: 192.0.2.1\r\n")
            assert spoofed.status == 403

    run(scenario)


def test_behind_a_trusted_proxy_the_last_hop_counts(tmp_path):
    async def scenario():
        async with world(tmp_path, trusted_proxies=("127.0.0.0/8",)) as here:
            limited(here, networks=("192.0.2.0/24",))
            direct = await here.call(CHAT)
            assert direct.status == 403
            header = "x-forwarded-for: 198.51.100.1\r\nx-forwarded-for: 192.0.2.9\r\n"
            assert (await here.call(CHAT, headers=header)).status == 200
            header = "x-forwarded-for: 192.0.2.9, 198.51.100.1\r\n"
            assert (await here.call(CHAT, headers=header)).status == 403
            assert "x-forwarded-for" not in here.provider.requests[0].headers

    run(scenario)


def test_a_keys_models_and_first_day(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            limited_key(here, models=("other",))
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (404, "model_not_found")
            assert (await here.call(None, "/v1/models", method="GET")).json["data"] == []
            limited_key(here, models=("small",))
            assert (await here.call(CHAT)).status == 200
            limited_key(here, valid_from=4_000_000_000_000_000)
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (403, "key_not_started")
            assert "2096-10-02" in refused.error["message"]

    run(scenario)


def test_a_withdrawn_award_ends_the_wait(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            limited(here, concurrency=1)

            async def never(request: ProviderRequest) -> None:
                await asyncio.sleep(60)

            here.provider.script = never
            running = asyncio.ensure_future(here.call(CHAT))
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            waiting = asyncio.ensure_future(here.call(CHAT))
            while not here.limits.slots.escrow(here.award).waiters:
                await asyncio.sleep(0.005)
            here.withdraw("award", here.award)
            refused = await waiting
            assert (refused.status, refused.error["code"]) == (403, "award_ended")
            running.cancel()

    run(scenario)


def test_an_answer_is_fitted_to_what_is_left(tmp_path):
    async def scenario():
        async with world(tmp_path, micro_won=100_000, escrow_wait=0.2) as here:
            refused = await here.call(CHAT)
            assert refused.status == 429
            fits = int(re.search(r"Set max_tokens to (\d+)", refused.error["message"]).group(1))
            fitted = await here.call(CHAT, headers="x-dure-fit: true\r\n")
            assert (fitted.status, fitted.headers["x-dure-max-tokens"]) == (200, str(fits))
            assert here.provider.requests[0].body["max_tokens"] == fits
            plain = await here.call({**CHAT, "max_tokens": 1}, headers="x-dure-fit: true\r\n")
            assert (plain.status, "x-dure-max-tokens" in plain.headers) == (200, False)
        async with world(tmp_path / "poor", micro_won=1_000, escrow_wait=0.2) as here:
            refused = await here.call(CHAT, headers="x-dure-fit: true\r\n")
            assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")

    run(scenario)


def test_fitting_asks_other_processes_for_what_lies_idle(tmp_path):
    async def scenario():
        bank = Bank()
        async with (
            world(tmp_path / "a", bank=bank, name="a") as here,
            world(tmp_path / "b", bank=bank, name="b") as there,
        ):
            there.award, there.key = here.award, here.key
            there.publish("award", there.award_entry())
            bank.awards[here.award] = 100_000
            await there.keeper.leases.lease(there.keeper.escrow(here.award), 80_000, there.keeper.answered)
            fitted = await here.call(CHAT, headers="x-dure-fit: true\r\n")
            assert fitted.status == 200
            async with world(tmp_path / "c", micro_won=100_000, escrow_wait=0.2) as whole:
                alone = await whole.call(CHAT, headers="x-dure-fit: true\r\n")
            assert fitted.headers["x-dure-max-tokens"] == alone.headers["x-dure-max-tokens"]

    run(scenario)


def test_the_official_client_sees_a_rate_limit(tmp_path):
    async def scenario():
        async with world(tmp_path, bank=standing_clock()) as here:
            limited(here, requests_per_minute=1)
            async with openai.AsyncOpenAI(base_url=f"{here.url}/v1", api_key=KEY, max_retries=0) as client:
                await client.chat.completions.create(**CHAT)
                with pytest.raises(openai.RateLimitError) as caught:
                    await client.chat.completions.create(**CHAT)
            assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
            assert int(caught.value.response.headers["retry-after"]) >= 1

    run(scenario)


def test_anthropics_clients_are_told_in_their_shape(tmp_path):
    async def scenario():
        async with world(tmp_path, bank=standing_clock()) as here:
            here.publish("model", here.model_entry(endpoints=("messages",)))
            here.publish("deployment", here.deployment_entry(dialect="anthropic"))
            limited(here, tokens_per_minute=100)
            body = {"model": "small", "max_tokens": 200, "messages": [{"role": "user", "content": "Hi"}]}
            refused = await here.call(body, "/v1/messages")
            assert (refused.status, refused.headers["x-should-retry"]) == (429, "false")
            assert (refused.error["type"], refused.error["code"]) == (
                "rate_limit_error",
                "rate_limit_exceeded",
            )
            assert refused.headers["x-ratelimit-limit-tokens"] == "100"

    run(scenario)
