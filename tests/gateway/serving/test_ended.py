"""What operators see of each request: a line, a span; never a prompt, an answer, or a key."""

import asyncio
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from dure.gateway.app import telemetry
from dure.gateway.app.access_log import AccessLog
from dure.gateway.app.ended import Observers

from .world import CHAT, KEY, Client, ProviderRequest, run, world

STREAM = {**CHAT, "stream": True}
SECRET = "the secret recipe"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def secretive(stream: bool = False) -> dict:
    return {"model": "small", "stream": stream, "messages": [{"role": "user", "content": SECRET}]}


async def lines(path: Path, count: int) -> list[dict]:
    while not path.exists() or len(path.read_bytes().splitlines()) < count:
        await asyncio.sleep(0.005)
    written = path.read_bytes()
    assert written.endswith(b"\n")
    return [json.loads(line) for line in written.splitlines()]


def test_a_line_for_each_request(tmp_path):
    log = tmp_path / "access.log"

    async def scenario():
        async with world(tmp_path / "j") as here:
            here.gateway.observer = AccessLog(str(log), asyncio.get_running_loop())
            plain = await here.call(secretive())
            await here.call(secretive(stream=True))
            await here.call({**CHAT, "model": "gpt-9"})
            await here.call(CHAT, key="dure-abcdefgh-wrong")
            await here.call(None, "/v1/models", method="GET")
            await here.call(None, "/healthz", method="GET")
            raw = await Client.connect(here.port)
            raw.writer.write(b"nonsense\r\n")
            await raw.answer()
            raw.close()
            written = await lines(log, 6)
            assert len(written) == 6
            first, streamed, unknown, wrong_key, models, unread = written
            record = here.records()[0]
            assert first.pop("time").endswith("+00:00")
            assert first.pop("total_ms") >= first.pop("first_byte_ms") >= 0
            assert first == {
                "request_id": str(plain.request_id),
                "endpoint": "chat.completions",
                "status": 200,
                "key": KEY[:13],
                "award": here.award,
                "model": "small",
                "outcome": "completed",
                "streamed": False,
                "estimated": False,
                "deployment": here.deployment,
                "attempts": 1,
                "input_tokens": 12,
                "output_tokens": 3,
                "cached_tokens": 0,
                "cost_micro_won": record.cost_micro_won,
            }
            assert (streamed["streamed"], streamed["output_tokens"]) == (True, 3)
            assert (unknown["status"], unknown["error"]) == (404, "model_not_found")
            assert (wrong_key["status"], wrong_key["error"]) == (401, "invalid_api_key")
            assert (models["endpoint"], models["status"]) == ("models", 200)
            assert (unread["endpoint"], unread["error"]) == ("unread", "bad_http")
            text = log.read_text()
            assert SECRET not in text
            assert "Hello" not in text
            assert KEY not in text
            assert "wrong" not in text
            assert "127.0.0.1" not in text

    run(scenario)


def test_addresses_are_written_where_they_are_asked_for(tmp_path):
    log = tmp_path / "access.log"

    async def scenario():
        async with world(tmp_path / "j") as here:
            here.gateway.observer = AccessLog(str(log), asyncio.get_running_loop())
            here.server.keeps_addresses = True
            await here.call(CHAT)
            assert (await lines(log, 1))[0]["client"] == "127.0.0.1"

    run(scenario)


def test_a_call_that_could_not_be_paid_and_one_that_was_given_up(tmp_path):
    log = tmp_path / "access.log"

    async def endless(request: ProviderRequest) -> None:
        request.begin_stream()
        await request.writer.drain()
        await asyncio.sleep(5)

    async def scenario():
        async with world(tmp_path / "j", escrow_wait=0.05) as here:
            here.provider.script = endless
            here.gateway.observer = AccessLog(str(log), asyncio.get_running_loop())
            client = await Client.connect(here.port)
            client.send(STREAM)
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            client.close()
            (given_up,) = await lines(log, 1)
            assert (given_up["status"], given_up["outcome"]) == (499, "cancelled")
            assert given_up["error"] == "client_closed"
        async with world(tmp_path / "k", micro_won=1_000, escrow_wait=0.05) as here:
            here.gateway.observer = AccessLog(str(log), asyncio.get_running_loop())
            assert (await here.call(CHAT)).status == 429
            refused = (await lines(log, 2))[-1]
            assert (refused["status"], refused["error"]) == (429, "insufficient_quota")
            assert "outcome" not in refused

    run(scenario)


def test_a_log_that_was_renamed_is_begun_anew(tmp_path):
    log = tmp_path / "access.log"

    async def scenario():
        async with world(tmp_path / "j") as here:
            here.gateway.observer = observer = AccessLog(str(log), asyncio.get_running_loop())
            await here.call(CHAT)
            await lines(log, 1)
            log.rename(tmp_path / "access.log.1")
            await here.call(CHAT)
            assert len(await lines(tmp_path / "access.log.1", 2)) == 2
            observer.reopen()
            await here.call(CHAT)
            assert len(await lines(log, 1)) == 1
            assert len(await lines(tmp_path / "access.log.1", 2)) == 2

    run(scenario)


def test_a_log_that_cannot_be_written_costs_no_request(tmp_path, caplog):
    async def scenario():
        async with world(tmp_path / "j") as here:
            here.gateway.observer = AccessLog("/dev/full", asyncio.get_running_loop())
            for _ in range(3):
                assert (await here.call(CHAT)).status == 200
            here.gateway.observer = AccessLog(str(tmp_path / "none" / "x"), asyncio.get_running_loop())
            assert (await here.call(CHAT)).status == 200

    run(scenario)
    assert [record.message for record in caplog.records if "access log" in record.message] == [
        "the access log cannot be written, lines are lost: No space left on device",
        f"the access log {tmp_path}/none/x cannot be opened: No such file or directory",
    ]


# Traces


def spans_of(calls) -> list:
    exporter = InMemorySpanExporter()
    traces = telemetry.Traces(exporter, "1")
    run(lambda: calls(traces))
    traces.close()
    return list(exporter.get_finished_spans())


def test_a_span_for_each_call_by_the_conventions(tmp_path):
    ids = []

    async def scenario(traces):
        async with world(tmp_path / "j") as here:
            here.gateway.observer = Observers([traces])
            ids.append(
                await here.call(secretive(stream=True), headers=f"traceparent: 00-{TRACE}-{PARENT}-01\r\n")
            )
            ids.append(here.provider.port)
            assert here.provider.requests[0].headers["traceparent"] == f"00-{TRACE}-{PARENT}-01"
            await here.call(None, "/v1/models", method="GET")

    (span,) = spans_of(scenario)
    answer, port = ids
    assert (span.name, span.kind) == ("chat small", SpanKind.CLIENT)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.end_time >= span.start_time
    assert span.status.status_code is StatusCode.UNSET
    attributes = dict(span.attributes)
    assert attributes.pop("dure.award")
    assert attributes.pop("dure.cost_micro_won") > 0
    assert attributes.pop("gen_ai.server.time_to_first_token") >= 0
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "provider",
        "gen_ai.request.model": "small",
        "gen_ai.response.id": str(answer.request_id),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "dure.attempts": 1,
        "dure.outcome": "completed",
    }
    assert SECRET not in span.to_json()
    assert KEY not in span.to_json()


def test_what_fails_says_why(tmp_path):
    async def unavailable(request: ProviderRequest) -> None:
        request.answer(b"busy", status="503 Service Unavailable", content_type="text/plain")

    async def scenario(traces):
        async with world(tmp_path / "j") as here:
            here.provider.script = unavailable
            here.gateway.observer = traces
            await here.call(CHAT, headers="traceparent: nonsense\r\n")

    (span,) = spans_of(scenario)
    assert span.parent is None
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "upstream_error"
    assert span.attributes["http.response.status_code"] == 503


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_spans_reach_a_collector(tmp_path, monkeypatch, variable):
    received = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = "" if variable == "OTEL_EXPORTER_OTLP_ENDPOINT" else "/v1/traces"
    monkeypatch.setenv(variable, f"http://127.0.0.1:{server.server_port}{path}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    traces = telemetry.make("1")
    assert traces is not None

    async def scenario():
        async with world(tmp_path / "j") as here:
            here.gateway.observer = traces
            await here.call(secretive())

    run(scenario)
    traces.close()
    server.shutdown()
    server.server_close()
    ((to, body),) = received
    assert to == "/v1/traces"
    assert b"chat small" in body
    assert SECRET.encode() not in body


def test_without_an_endpoint_nothing_is_imported():
    program = (
        "import sys\n"
        "import dure.gateway.app.worker\n"
        "from dure.gateway.app import telemetry\n"
        "assert telemetry.make('1') is None\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", program], check=True, env={**environment, "PYTHONPATH": "src"})
