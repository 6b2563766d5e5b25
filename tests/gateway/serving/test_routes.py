"""Several deployments of a model: fail-over, breakers, health checks, retry budgets, time-outs; each attempt on record."""

import asyncio
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from dure.contracts.directory import DeploymentEntry
from dure.contracts.ids import uuid7
from dure.gateway.app.lag import JournalLag
from dure.gateway.app.seen import add_gauges, deployments
from dure.gateway.protocol import routing

from .world import CHAT, Client, MockProvider, ProviderRequest, World, answer_plainly, piece, run, world

STREAM = {**CHAT, "stream": True}


async def unavailable(request: ProviderRequest) -> None:
    request.answer(b"busy", status="503 Service Unavailable", content_type="text/plain")


async def closes(request: ProviderRequest) -> None:
    request.cut()


async def silent(request: ProviderRequest) -> None:
    await request.reader.read(1)  # until the gateway gives up


async def until(condition) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def outcomes(record) -> list[tuple[str, str]]:
    return [(str(attempt.deployment), attempt.outcome) for attempt in record.tries]


def breaker(here: World, deployment: str | None = None) -> str:
    return here.gateway.state_of(deployment or here.deployment).breaker(here.gateway.now())


@asynccontextmanager
async def spare(here: World, **fields):
    """A second deployment, with a provider of its own."""
    provider = MockProvider()
    await provider.start()
    entry = here.deployment_entry(
        id=str(uuid7()), **{"base_url": f"http://127.0.0.1:{provider.port}/api", "priority": 1} | fields
    )
    here.publish("deployment", entry)
    try:
        yield provider, entry
    finally:
        await provider.stop()


def opened_by_failures(here: World) -> DeploymentEntry:
    """The breaker of the first deployment, opened as it would be by calls."""
    now = here.gateway.now()
    route = here.gateway.route(here.deployment)
    for _ in range(routing.FAILURES_IN_A_ROW):
        here.gateway.failed(route, now)
    assert breaker(here) == "open"
    return route.deployment


# Fail-over


@pytest.mark.parametrize(
    ("failure", "reason"), [("unreachable", "unreachable"), ("refuses", "status_503"), ("closes", "closed")]
)
def test_another_deployment_takes_over_before_the_first_byte(tmp_path, failure, reason):
    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, entry):
            if failure == "unreachable":
                await here.provider.stop()
            here.provider.script = unavailable if failure == "refuses" else closes
            assert (await here.call(CHAT)).status == 200
            assert second.requests[0].path == "/api/v1/chat/completions"
            record = here.records()[-1]
            assert (record.status, record.attempts) == ("completed", 2)
            assert str(record.deployment) == entry.id
            assert outcomes(record) == [(here.deployment, reason), (entry.id, "answered")]
            assert all(0 <= attempt.ms < 20_000 for attempt in record.tries)

    run(scenario)


def test_a_call_that_goes_elsewhere_is_journalled_as_going_there_first(tmp_path):
    async def scenario():
        async with world(tmp_path) as here, spare(here, provider=str(uuid7())) as (second, entry):
            seen = []

            async def look(request: ProviderRequest) -> None:
                seen.extend(here.journalled()[0])
                await answer_plainly(request)

            here.provider.script, second.script = unavailable, look
            answer = await here.call(CHAT)
            assert [opened.request_id for opened in seen] == [answer.request_id] * 2
            assert [str(opened.deployment) for opened in seen] == [here.deployment, entry.id]
            assert (seen[-1].provider, here.records()[-1].provider) == (UUID(entry.provider),) * 2

    run(scenario)


def test_an_ordinary_call_names_no_attempts(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            await here.call(CHAT)
            await here.call(STREAM)
            assert [(record.attempts, record.tries) for record in here.records()] == [(1, [])] * 2

    run(scenario)


def test_when_none_answers_every_attempt_is_on_record(tmp_path):
    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, entry):
            here.provider.script, second.script = closes, unavailable
            answer = await here.call(CHAT)
            assert answer.status == 503
            record = here.records()[-1]
            assert (record.status, record.attempts, record.cost_micro_won) == ("failed", 2, 0)
            assert outcomes(record) == [(here.deployment, "closed"), (entry.id, "status_503")]

    run(scenario)


def test_a_caller_that_hangs_up_before_anything_came_leaves_its_attempt_on_record(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = silent
            client = await Client.connect(here.port)
            client.send(CHAT)
            await until(lambda: here.provider.requests)
            client.close()
            record = await here.record()
            assert (record.status, outcomes(record)) == ("cancelled", [(here.deployment, "cancelled")])

    run(scenario)


def test_three_attempts_at_most(tmp_path):
    async def scenario():
        async with world(tmp_path) as here, spare(here), spare(here), spare(here):
            for entry in list(here.directory.deployments.values()):
                here.publish(
                    "deployment",
                    here.deployment_entry(id=entry.id, base_url="http://127.0.0.1:1", priority=0),
                )
            assert (await here.call(CHAT)).status == 502
            record = here.records()[-1]
            assert (record.attempts, len({attempt.deployment for attempt in record.tries})) == (3, 3)

    run(scenario)


def test_calls_go_where_the_fewest_are_under_way(tmp_path):
    async def scenario():
        gate = asyncio.Event()

        async def slow(request: ProviderRequest) -> None:
            await gate.wait()
            await answer_plainly(request)

        async with world(tmp_path) as here, spare(here, priority=0, weight=3) as (second, _):
            here.provider.script = second.script = slow
            running = [asyncio.ensure_future(here.call(CHAT)) for _ in range(12)]
            await until(lambda: len(here.provider.requests) + len(second.requests) == 12)
            assert (len(here.provider.requests), len(second.requests)) == (3, 9)
            gate.set()
            await asyncio.gather(*running)

    run(scenario)


# The breaker


def test_a_deployment_that_fails_rests_and_is_tried_by_one_call_afterwards(tmp_path):
    async def scenario():
        async with world(tmp_path) as here, spare(here) as (_, _):
            here.provider.script = closes
            for _ in range(routing.FAILURES_IN_A_ROW + 2):
                assert (await here.call(CHAT)).status == 200
            assert len(here.provider.requests) == routing.FAILURES_IN_A_ROW
            assert here.gateway.metrics.breaker_openings.values == {(here.deployment,): 1}
            here.provider.script = answer_plainly
            await until(lambda: breaker(here) == "half_open")
            answers = await asyncio.gather(*(here.call(CHAT) for _ in range(8)))
            assert {answer.status for answer in answers} == {200}
            await until(lambda: breaker(here) == "closed")
            await here.call(CHAT)
            assert len(here.provider.requests) > routing.FAILURES_IN_A_ROW

    run(scenario)


def test_while_half_open_no_herd_follows_the_first_call(tmp_path, monkeypatch):
    monkeypatch.setattr(routing, "PROBE_SECONDS", 60.0)

    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, _):
            gate = asyncio.Event()

            async def held(request: ProviderRequest) -> None:
                await gate.wait()
                await answer_plainly(request)

            here.provider.script = held
            opened_by_failures(here)
            await until(lambda: breaker(here) == "half_open")
            running = [asyncio.ensure_future(here.call(CHAT)) for _ in range(6)]
            await until(lambda: len(second.requests) == 5)
            assert len(here.provider.requests) == 1
            gate.set()
            await asyncio.gather(*running)
            assert breaker(here) == "closed"

    run(scenario)


def test_while_all_rest_for_long_callers_are_told_when_to_come_back(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.gateway.state_of(here.deployment).openings = 4
            opened_by_failures(here)  # for 8 s
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"]) == (503, "model_unavailable")
            assert 1 < int(answer.headers["retry-after"]) <= 8
            assert (here.provider.requests, here.journalled()) == ([], ([], [], []))

    run(scenario)


def test_a_short_rest_is_waited_out(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            opened_by_failures(here)  # for half a second
            assert (await here.call(CHAT)).status == 200
            assert breaker(here) == "closed"
            assert here.gateway.waiting.lines == {}

    run(scenario)


def test_those_who_wait_out_a_rest_are_sent_away_when_it_gets_longer(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = unavailable
            here.gateway.state_of(here.deployment).openings = 1
            opened_by_failures(here)  # for one second; then two
            answers = await asyncio.gather(*(here.call(CHAT) for _ in range(4)))
            assert sorted(answer.error["code"] for answer in answers) == [
                "model_unavailable",
                "model_unavailable",
                "model_unavailable",
                "upstream_error",
            ]
            assert len(here.provider.requests) == 1

    run(scenario)


def test_the_callers_own_mistakes_rest_nobody(tmp_path):
    async def picky(request: ProviderRequest) -> None:
        request.answer(b'{"error":{"message":"too long"}}', status="400 Bad Request")

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = picky
            for _ in range(3 * routing.FAILURES_IN_A_ROW):
                assert (await here.call(CHAT)).status == 400
            assert breaker(here) == "closed"
            assert here.records()[-1].tries == []

    run(scenario)


def test_a_provider_that_says_when_to_come_back_is_left_alone_until_then(tmp_path):
    async def limited(request: ProviderRequest) -> None:
        request.answer(b"{}", status="429 Too Many Requests", extra="retry-after: 20\r\n")

    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, _):
            here.provider.script = limited
            for _ in range(4):
                assert (await here.call(CHAT)).status == 200
            assert (len(here.provider.requests), len(second.requests)) == (1, 4)
            here.withdraw("deployment", next(d for d in here.directory.deployments if d != here.deployment))
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"]) == (503, "model_unavailable")
            assert 1 < int(answer.headers["retry-after"]) <= 20

    run(scenario)


def test_a_deployment_with_a_new_address_starts_afresh(tmp_path):
    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, entry):
            here.withdraw("deployment", entry.id)
            opened_by_failures(here)
            here.publish("deployment", here.deployment_entry(base_url=entry.base_url))
            assert breaker(here) == "closed"
            assert (await here.call(CHAT)).status == 200
            assert len(second.requests) == 1

    run(scenario)


# Health checks


def test_a_health_check_closes_the_breaker_without_a_callers_request(tmp_path, monkeypatch):
    monkeypatch.setenv("DURE_TEST_CREDENTIAL", "upstream-secret")

    async def scenario():
        async with world(tmp_path, health_interval=0.02) as here:
            well = False

            async def checked(request: ProviderRequest) -> None:
                assert request.method == "GET"
                request.answer(b"{}", status="200 OK" if well else "503 Service Unavailable")

            here.provider.script = checked
            here.publish(
                "deployment",
                here.deployment_entry(health_path="/health", credential="env:DURE_TEST_CREDENTIAL"),
            )
            here.gateway.state_of(here.deployment).openings = 6
            opened_by_failures(here)  # for 30 s
            await until(lambda: len(here.provider.requests) >= 2)
            assert breaker(here) == "open"
            well = True
            await until(lambda: breaker(here) == "closed")
            first = here.provider.requests[0]
            assert (first.path, first.headers["authorization"]) == ("/health", "Bearer upstream-secret")
            here.provider.script = answer_plainly
            assert (await here.call(CHAT)).status == 200

    run(scenario)


def test_health_is_not_asked_during_a_rest_that_the_provider_asked_for(tmp_path):
    async def scenario():
        async with world(tmp_path, health_interval=0.01) as here:
            here.publish("deployment", here.deployment_entry(health_path="/health"))
            route = here.gateway.route(here.deployment)
            here.gateway.failed(route, here.gateway.now(), asked_rest_seconds=0.3)
            while breaker(here) == "open":
                assert here.provider.requests == []
                await asyncio.sleep(0.01)
            await until(lambda: breaker(here) == "closed")
            assert [request.path for request in here.provider.requests] == ["/health"]

    run(scenario)


def test_a_health_check_ends_with_its_deployment(tmp_path):
    async def scenario():
        async with world(tmp_path, health_interval=0.01) as here:
            here.publish("deployment", here.deployment_entry(health_path="/health"))
            here.provider.script = silent
            opened_by_failures(here)
            assert here.health._tasks
            here.withdraw("deployment", here.deployment)
            here.provider.script = unavailable
            await here.provider.stop()
            await until(lambda: not here.health._tasks)

    run(scenario)


# The retry budget


def test_an_outage_does_not_multiply_the_load(tmp_path, monkeypatch):
    monkeypatch.setattr(routing, "RETRIES_PER_SECOND", 0.0)

    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, entry):
            here.provider.script = second.script = unavailable
            metrics = here.gateway.metrics
            for _ in range(60):
                for deployment in (here.deployment, entry.id):
                    here.gateway.state_of(
                        deployment
                    ).close()  # as if none ever rested: the budget is on its own
                assert (await here.call(CHAT)).status == 503
            retries = metrics.retries.values[("small",)]
            assert len(here.provider.requests) + len(second.requests) == 60 + retries
            assert retries == routing.RETRIES_AT_ONCE + 60 * routing.RETRY_SHARE - 1
            assert retries + metrics.retry_budget_exhausted.values[("small",)] == 60

    run(scenario)


def test_without_budget_the_failure_is_the_callers_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(routing, "RETRIES_PER_SECOND", 0.0)

    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, _):
            route = here.gateway.route(here.deployment)
            while route.budget.take(0.0):
                pass
            here.provider.script = closes
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"], second.requests) == (502, "upstream_broke", [])
            assert here.gateway.metrics.retry_budget_exhausted.values == {("small",): 1}
            assert outcomes(here.records()[-1]) == [(here.deployment, "closed")]

    run(scenario)


# Time-outs


def test_a_first_token_that_does_not_come_is_asked_for_once_elsewhere(tmp_path):
    async def scenario():
        async with world(tmp_path) as here, spare(here) as (_, entry):
            here.publish("deployment", here.deployment_entry(first_byte_timeout_ms=60))
            here.provider.script = silent
            assert (await here.call(STREAM)).status == 200
            record = here.records()[-1]
            assert outcomes(record) == [(here.deployment, "timeout"), (entry.id, "answered")]
            assert record.tries[0].ms >= 55  # the loop and the wall do not tick together

    run(scenario)


def test_a_second_time_out_is_the_answer(tmp_path):
    async def scenario():
        async with (
            world(tmp_path) as here,
            spare(here, first_byte_timeout_ms=60) as (second, _),
            spare(here, first_byte_timeout_ms=60) as (third, _),
        ):
            here.publish("deployment", here.deployment_entry(first_byte_timeout_ms=60))
            here.provider.script = second.script = third.script = silent
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
            assert [attempt.outcome for attempt in here.records()[-1].tries] == ["timeout", "timeout"]

    run(scenario)


def test_after_headers_have_come_nothing_is_tried_again_and_the_first_token_has_its_own_time(tmp_path):
    async def headers_only(request: ProviderRequest) -> None:
        request.begin_stream()
        await request.writer.drain()
        await request.reader.read(1)

    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, _):
            # The time between two pieces of a stream is shorter, and does not count before the first.
            here.publish("deployment", here.deployment_entry(first_byte_timeout_ms=400, idle_timeout_ms=20))
            here.provider.script = headers_only
            began = here.gateway.now()
            answer = await here.call(STREAM)
            assert here.gateway.now() - began >= 0.4
            assert (answer.status, answer.error["code"], second.requests) == (504, "upstream_timeout", [])
            assert outcomes(here.records()[-1]) == [(here.deployment, "timeout")]

    run(scenario)


def test_a_connection_that_is_not_made_in_time_is_tried_elsewhere(tmp_path):
    async def scenario():
        async with world(tmp_path) as here, spare(here) as (_, entry):
            # A listener whose backlog is full accepts nobody; TLS that is never answered is the same for us.
            here.publish(
                "deployment",
                here.deployment_entry(
                    base_url=f"https://127.0.0.1:{here.provider.port}", connect_timeout_ms=60
                ),
            )
            here.provider.script = silent
            assert (await here.call(CHAT)).status == 200
            assert outcomes(here.records()[-1]) == [(here.deployment, "unreachable"), (entry.id, "answered")]

    run(scenario)


def test_a_stream_that_breaks_after_its_first_byte_is_not_tried_again(tmp_path):
    async def breaks(request: ProviderRequest) -> None:
        request.begin_stream()
        request.event(piece("Hel"))
        await request.writer.drain()
        await asyncio.sleep(0.02)
        request.cut()

    async def scenario():
        async with world(tmp_path) as here, spare(here) as (second, _):
            here.provider.script = breaks
            assert b"upstream_broke" in (await here.call(STREAM)).body
            record = await here.record()
            assert (record.status, second.requests) == ("truncated", [])
            assert outcomes(record) == [(here.deployment, "broken_answer")]

    run(scenario)


# What operators see


def test_metrics_and_figures_tell_how_routes_do(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            add_gauges(here.gateway, here.server, here.journal, JournalLag())
            await here.call(CHAT)
            seen = deployments(here.gateway)[here.deployment]
            assert (seen["model"], seen["state"], seen["outstanding"], seen["queued"]) == (
                "small",
                "closed",
                0,
                0,
            )
            assert (seen["requests"], seen["errors"], seen["limit"]) == (1, 0, None)
            assert len(seen["first_byte_ms"]) == 3
            opened_by_failures(here)
            text = (await here.call(None, "/metrics", method="GET")).body.decode()
            assert f'dure_gateway_breaker_state{{deployment="{here.deployment}"}} 2\n' in text
            assert f'dure_gateway_breaker_openings_total{{deployment="{here.deployment}"}} 1\n' in text
            assert deployments(here.gateway)[here.deployment]["state"] == "open"

    run(scenario)
