"""The journal's disk is full while calls run: none begins, each that runs ends and is recorded."""

import asyncio

from gateway.journal.test_writer import Disk

from .world import CHAT, ProviderRequest, completion, piece, run, usage, world

STREAM = {**CHAT, "stream": True}


def test_new_calls_are_refused_before_anything_is_sent_and_running_ones_end(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)

    async def scenario():
        gate = asyncio.Event()

        async def waits(request: ProviderRequest) -> None:
            if not request.body.get("stream"):
                await gate.wait()
                request.answer(completion())
                return
            request.begin_stream()
            request.event(piece("Hel"))
            await request.writer.drain()
            await gate.wait()
            request.event(piece("lo"))
            request.event({"choices": [], "usage": usage(12, 2)})
            request.event("[DONE]")
            request.end_stream()

        async with world(tmp_path) as here:
            here.provider.script = waits
            running = [asyncio.ensure_future(here.call(body)) for body in (CHAT, STREAM)]
            while len(here.provider.requests) < 2:
                await asyncio.sleep(0.005)
            disk.room = 0
            first = await here.call(CHAT)
            assert (first.status, first.error["code"]) == (503, "journal_unavailable")
            assert first.headers["retry-after"] == "5"
            assert not here.journal.healthy
            second = await here.call(STREAM)
            assert (second.status, second.error["code"]) == (503, "journal_unavailable")
            assert (await here.call(None, "/readyz", method="GET")).status == 503
            assert len(here.provider.requests) == 2

            gate.set()
            plain, stream = await asyncio.gather(*running)
            assert plain.status == 200
            assert stream.body.endswith(b"data: [DONE]\n\n")
            assert here.records() == []

            disk.room = None
            while not here.journal.healthy:
                await asyncio.sleep(0.01)
            assert (await here.call(CHAT)).status == 200
            records = here.records()
            assert [record.sequence for record in records] == [1, 2, 3, 4]
            assert [record.status for record in records].count("completed") == 3
            assert sum(record.cost_micro_won for record in records if record.status == "failed") == 0
            assert here.keeper.escrow(here.award).held == 0

    run(scenario)
