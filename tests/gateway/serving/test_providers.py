"""What providers do: answer, fail, break off, stall. And what is then charged."""

import asyncio
import json
import socket
import ssl
import subprocess
import threading

import pytest

from dure.contracts.money import cost_micro_won

from .world import (
    CHAT,
    INPUT,
    OUTPUT,
    Client,
    ProviderRequest,
    completion,
    piece,
    run,
    usage,
    world,
)

STREAM = {**CHAT, "stream": True}


def test_opened_is_written_before_the_call_leaves_and_closed_before_the_last_byte_comes(tmp_path):
    async def scenario():
        seen = []

        async def look(request: ProviderRequest) -> None:
            seen.append(here.journalled())
            request.answer(completion())

        async with world(tmp_path) as here:
            here.provider.script = look
            answer = await here.call(CHAT)
            closed = here.records()
            ((opened,), none_closed, _) = seen[0]
            assert none_closed == []
            assert opened.request_id == answer.request_id == closed[0].request_id
            assert opened.hold_micro_won > closed[0].cost_micro_won
            assert opened.meters["output"] == OUTPUT

    run(scenario)


def test_the_record_of_a_stream_is_written_before_its_done_event_comes(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            client.send(STREAM)
            await client.head()
            async for data in client.chunks():
                if b"[DONE]" in data:
                    assert [record.status for record in here.records()] == ["completed"]
            client.close()

    run(scenario)


def test_connections_to_the_provider_are_used_again(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            for body in (CHAT, STREAM, CHAT):
                assert (await here.call(body)).status == 200
            assert len({id(request.writer) for request in here.provider.requests}) == 1

    run(scenario)


def test_an_idle_connection_that_the_provider_closed_is_replaced(tmp_path):
    async def closing(request: ProviderRequest) -> None:
        if len(here_requests := request_log) == 1:
            request.writer.transport.abort()
            here_requests.append("aborted")
            return
        request_log.append("served")
        request.answer(completion())

    request_log: list[str] = []

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = closing
            assert (await here.call(CHAT)).status == 200
            assert (await here.call(CHAT)).status == 200
            assert request_log == ["served", "aborted", "served"]
            record = here.records()[-1]
            assert (record.attempts, [attempt.outcome for attempt in record.tries]) == (
                2,
                ["closed", "answered"],
            )
            assert here.gateway.state_of(here.deployment).failures(here.gateway.now()) == 0

    run(scenario)


async def unavailable(request: ProviderRequest) -> None:
    request.answer(b"busy", status="503 Service Unavailable", content_type="text/plain")


def failed(tmp_path, script, *, status, code, body=CHAT, **deployment):
    """A call that comes to nothing: an error of our shape, a record, no charge."""

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = script
            here.publish("deployment", here.deployment_entry(**deployment))
            answer = await here.call(body)
            assert (answer.status, answer.error["code"]) == (status, code)
            record = await here.record()
            assert (record.status, record.cost_micro_won, record.http_status) == ("failed", 0, status)
            assert record.request_id == answer.request_id
            escrow = here.keeper.escrow(here.award)
            assert (escrow.held, escrow.spent) == (0, 0)
            assert here.gateway.state_of(here.deployment).outstanding == 0
            return answer

    return run(scenario)


def test_a_provider_that_cannot_be_reached(tmp_path):
    failed(tmp_path, None, status=502, code="upstream_unreachable", base_url="http://127.0.0.1:9")


def test_a_provider_that_does_not_answer_in_time(tmp_path):
    async def silent(request: ProviderRequest) -> None:
        await asyncio.sleep(5)

    failed(tmp_path, silent, status=504, code="upstream_timeout", first_byte_timeout_ms=50)


def test_a_provider_that_closes_without_a_word(tmp_path):
    async def closes(request: ProviderRequest) -> None:
        request.cut()

    failed(tmp_path, closes, status=502, code="upstream_broke")


@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_a_plain_answer_that_breaks_off(tmp_path, body):
    async def breaks(request: ProviderRequest) -> None:
        request.writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"
        )
        await request.writer.drain()
        request.writer.close()

    failed(tmp_path, breaks, body=body, status=502, code="upstream_broke")


def test_an_answer_that_is_not_http(tmp_path):
    async def babbles(request: ProviderRequest) -> None:
        request.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    failed(tmp_path, babbles, status=502, code="upstream_broke")


def test_an_error_of_openais_shape_goes_through(tmp_path):
    async def refuses(request: ProviderRequest) -> None:
        body = {
            "error": {
                "message": "too long",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        }
        request.answer(json.dumps(body).encode(), status="400 Bad Request")

    answer = failed(tmp_path, refuses, status=400, code="context_length_exceeded")
    assert answer.error["message"] == "too long"


def test_other_errors_are_put_into_that_shape(tmp_path):
    failed(tmp_path, unavailable, status=503, code="upstream_error")


@pytest.mark.parametrize(
    "message",
    ["Failed to parse tools: x", "Failed to parse messages: x", "image input is not supported - hint: x"],
)
def test_what_llama_cpp_cannot_read_is_not_its_failure(tmp_path, message):
    async def refuses(request: ProviderRequest) -> None:
        body = {"error": {"code": 500, "message": message, "type": "server_error"}}
        request.answer(json.dumps(body).encode(), status="500 Internal Server Error")

    answer = failed(tmp_path / "a", refuses, status=400, code="upstream_error", dialect="llama.cpp")
    assert answer.error == {
        "message": message, "type": "invalid_request_error", "param": None, "code": "upstream_error",
    }  # fmt: skip
    failed(tmp_path / "b", refuses, status=500, code="upstream_error", dialect="openai")


def test_an_error_that_is_almost_of_that_shape_is_made_so_and_keeps_what_it_says(tmp_path):
    async def refuses(request: ProviderRequest) -> None:
        body = {
            "error": {"code": 400, "message": "too long", "type": "exceed_context_size_error", "n_ctx": 8}
        }
        request.answer(json.dumps(body).encode(), status="400 Bad Request")

    answer = failed(tmp_path, refuses, status=400, code="upstream_error")
    assert answer.error == {
        "message": "too long", "type": "exceed_context_size_error", "param": None, "code": "upstream_error",
        "n_ctx": 8,
    }  # fmt: skip


@pytest.mark.parametrize("error", ['{"message": 3}', '{"message": ""}', '"gone"', "{}"])
def test_an_error_that_says_nothing_readable(tmp_path, error):
    async def refuses(request: ProviderRequest) -> None:
        request.answer(b'{"error": %b}' % error.encode(), status="400 Bad Request")

    answer = failed(tmp_path, refuses, status=400, code="upstream_error")
    assert "no readable error" in answer.error["message"]


def test_a_refused_credential_is_not_the_callers_fault(tmp_path):
    async def refuses(request: ProviderRequest) -> None:
        request.answer(
            b'{"error":{"message":"bad key sk-123","code":"invalid_api_key"}}', status="401 Unauthorized"
        )

    answer = failed(tmp_path, refuses, status=502, code="upstream_credential_refused")
    assert "sk-123" not in answer.error["message"]


def test_retry_after_of_the_provider_is_passed_on(tmp_path):
    async def limits(request: ProviderRequest) -> None:
        request.answer(
            b'{"error":{"message":"slow down","code":"rate_limited"}}',
            status="429 Too Many",
            extra="retry-after: 7\r\n",
        )

    assert failed(tmp_path, limits, status=429, code="rate_limited").headers["retry-after"] == "7"


def test_the_providers_credential_is_sent_and_the_callers_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("DURE_TEST_CREDENTIAL", "upstream-secret")

    async def scenario():
        async with world(tmp_path) as here:
            here.publish("deployment", here.deployment_entry(credential="env:DURE_TEST_CREDENTIAL"))
            await here.call(
                CHAT, headers="cookie: a=b\r\ntraceparent: 00-1-2-01\r\nx-forwarded-for: 10.0.0.1\r\n"
            )
            headers = here.provider.requests[0].headers
            assert headers["authorization"] == "Bearer upstream-secret"
            assert headers["traceparent"] == "00-1-2-01"
            assert {"cookie", "x-forwarded-for"} & headers.keys() == set()

    run(scenario)


def test_only_known_headers_come_back(tmp_path):
    async def chatty(request: ProviderRequest) -> None:
        request.answer(
            completion(),
            extra="set-cookie: a=b\r\nserver: secret/1\r\nkeep-alive: timeout=5\r\nopenai-version: 2020-10-01\r\n",
        )

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = chatty
            answer = await here.call(CHAT)
            assert set(answer.headers) == {
                "date", "content-type", "content-length", "openai-version", "openai-processing-ms", "x-request-id",
                "x-dure-cost-micro-won", "x-dure-award-left-micro-won",
            }  # fmt: skip

    run(scenario)


def test_usage_that_is_missing_is_estimated(tmp_path):
    async def silent_about_usage(request: ProviderRequest) -> None:
        if request.body.get("stream"):
            request.begin_stream()
            for text in ("a", "b", "c"):
                request.event(piece(text))
            request.event("[DONE]")
            request.end_stream()
        else:
            request.answer(b'{"choices":[{"message":{"content":"twelve bytes"}}]}')

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = silent_about_usage
            await here.call(CHAT)
            await here.call(STREAM)
            plain, stream = here.records()
            assert [(r.status, r.estimated, r.output_tokens) for r in (plain, stream)] == [
                ("completed", True, 3)
            ] * 2
            assert plain.input_tokens > 0

    run(scenario)


@pytest.mark.parametrize("ending", ["aborts", "ends early", "sends an error"])
def test_a_stream_that_breaks_ends_with_an_error_event_and_charges_what_was_relayed(tmp_path, ending):
    async def breaks(request: ProviderRequest) -> None:
        if ending == "ends early":
            request.writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )
            for text in ("Hel", "lo"):
                request.writer.write(f"data: {json.dumps(piece(text))}\n\n".encode())
            await request.writer.drain()
            request.writer.close()
            return
        request.begin_stream()
        for text in ("Hel", "lo"):
            request.event(piece(text))
        await request.writer.drain()
        await asyncio.sleep(0.05)
        if ending == "sends an error":
            request.event({"error": {"message": "out of memory", "type": "server_error", "code": "oom"}})
            request.end_stream()
        else:
            request.raw(b'data: {"half')
            await request.writer.drain()
            await asyncio.sleep(0.05)
            request.cut()

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = breaks
            answer = await here.call(STREAM)
            last = json.loads(answer.body.decode().rstrip("\n").split("\n\n")[-1].removeprefix("data: "))
            assert last["error"]["code"] == ("oom" if ending == "sends an error" else "upstream_broke")
            record = await here.record()
            assert (record.status, record.estimated, record.output_tokens) == ("truncated", True, 2)
            assert record.cost_micro_won == cost_micro_won(((record.input_tokens, INPUT), (2, OUTPUT)))
            assert here.gateway.open_streams == 0

    run(scenario)


@pytest.mark.parametrize("texts", [("Hel", "lo"), ()])
def test_a_break_that_comes_in_one_piece_with_what_went_before_charges_that(tmp_path, texts):
    async def all_at_once(request: ProviderRequest) -> None:
        request.begin_stream()
        await request.writer.drain()
        await asyncio.sleep(0.02)
        events = [*map(piece, texts), {"error": {"message": "out of memory", "code": "oom"}}]
        request.raw(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events))
        request.end_stream()

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = all_at_once
            answer = await here.call(STREAM)
            assert answer.body.count(b'"content"') == len(texts)
            record = await here.record()
            assert (record.status, record.output_tokens) == ("truncated", len(texts))
            assert (record.cost_micro_won > 0) is bool(texts)

    run(scenario)


def test_a_stream_that_stalls_is_cut(tmp_path):
    async def stalls(request: ProviderRequest) -> None:
        request.begin_stream()
        request.event(piece("Hel"))
        await request.writer.drain()
        await asyncio.sleep(5)

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = stalls
            here.publish("deployment", here.deployment_entry(idle_timeout_ms=60))
            answer = await here.call(STREAM)
            assert b'"code":"upstream_broke"' in answer.body
            assert (await here.record()).status == "truncated"

    run(scenario)


def test_a_client_that_hangs_up_stops_the_provider_and_pays_for_what_it_got(tmp_path):
    async def endless(request: ProviderRequest) -> None:
        request.begin_stream()
        while True:
            request.event(piece("word "))
            await request.writer.drain()
            await asyncio.sleep(0.01)

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = endless
            client = await Client.connect(here.port)
            client.send(STREAM)
            await client.head()
            got = 0
            async for data in client.chunks():
                got += data.count(b"data:")
                if got >= 5:
                    break
            client.close()
            record = await here.record()
            assert (record.status, record.estimated, record.http_status) == ("cancelled", True, 499)
            assert 5 <= record.output_tokens <= 8
            while not here.provider.cut:
                await asyncio.sleep(0.005)
            assert here.gateway.open_requests == 0

    run(scenario)


def test_a_client_that_hangs_up_before_anything_came_pays_nothing(tmp_path):
    async def slow(request: ProviderRequest) -> None:
        await asyncio.sleep(0.3)
        request.answer(completion())

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = slow
            client = await Client.connect(here.port)
            client.send(CHAT)
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            client.close()
            record = await here.record()
            assert (record.status, record.cost_micro_won, record.output_tokens) == ("cancelled", 0, 0)

    run(scenario)


def test_progress_of_a_long_stream_is_journalled(tmp_path):
    async def long(request: ProviderRequest) -> None:
        request.begin_stream()
        for _ in range(200):
            request.event(piece("w"))
            await request.writer.drain()
            await asyncio.sleep(0)
        request.event({"choices": [], "usage": usage(12, 200)})
        request.event("[DONE]")
        request.end_stream()

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = long
            await here.call(STREAM)
            _, _, progress = here.journalled()
            assert 1 <= len(progress) <= 3
            assert progress[-1].output_tokens >= 64

    run(scenario)


def test_a_slow_reader_holds_the_provider_back(tmp_path):
    sent = 0

    async def fast(request: ProviderRequest) -> None:
        nonlocal sent
        request.begin_stream()
        for _ in range(400):
            request.event(piece("x" * 50_000))
            await request.writer.drain()
            sent += 1
        request.event("[DONE]")
        request.end_stream()

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = fast
            client = await Client.connect(here.port)
            client.send(STREAM)
            await asyncio.sleep(0.3)
            assert sent < 350
            answer = await client.answer()
            assert answer.body.count(b"x" * 50_000) == 400
            client.close()

    run(scenario)


def test_a_provider_that_ends_its_message_late_is_not_waited_for(tmp_path):
    async def lingers(request: ProviderRequest) -> None:
        request.begin_stream()
        request.event(piece("Hi"))
        request.event("[DONE]")
        await request.writer.drain()
        await asyncio.sleep(0.2)
        request.end_stream()

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = lingers
            started = asyncio.get_running_loop().time()
            assert (await here.call(STREAM)).body.endswith(b"data: [DONE]\n\n")
            assert asyncio.get_running_loop().time() - started < 0.15
            await asyncio.sleep(0.25)
            await here.call(STREAM)
            assert len({id(request.writer) for request in here.provider.requests}) == 1

    run(scenario)


def test_embeddings_and_completions(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            embedded = await here.call({"model": "small", "input": ["a", "b"]}, "/v1/embeddings")
            assert embedded.status == 200
            assert here.provider.requests[0].body == {"model": "upstream-name", "input": ["a", "b"]}
            record = await here.record()
            assert (record.endpoint, record.input_tokens, record.output_tokens) == ("embeddings", 5, 0)
            await here.call({"model": "small", "prompt": "Once"}, "/v1/completions")
            assert here.provider.requests[1].body["max_tokens"] == 16

    run(scenario)


def test_tls_to_the_provider(tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        body = completion()
        for _ in range(2):
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                    connection.sendall(head % len(body) + body)
                    connection.recv(1)
            except OSError:
                plain.close()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    url = f"https://localhost:{listener.getsockname()[1]}"

    async def scenario():
        async with world(tmp_path / "j", upstream_ca_file=str(certificate)) as here:
            here.publish("deployment", here.deployment_entry(base_url=url))
            answer = await here.call(CHAT)
            assert answer.status == 200, answer.error
        async with world(tmp_path / "k") as here:
            here.publish("deployment", here.deployment_entry(base_url=url))
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (502, "upstream_unreachable")

    run(scenario)
    server.join(5)
    listener.close()


def test_draining_lets_a_stream_finish(tmp_path):
    async def slow(request: ProviderRequest) -> None:
        request.begin_stream()
        for _ in range(10):
            request.event(piece("w"))
            await request.writer.drain()
            await asyncio.sleep(0.02)
        request.event("[DONE]")
        request.end_stream()

    async def scenario():
        async with world(tmp_path) as here:
            here.provider.script = slow
            running = asyncio.ensure_future(here.call(STREAM))
            idle = await Client.connect(here.port)
            while not here.provider.requests:
                await asyncio.sleep(0.005)
            drain = asyncio.ensure_future(here.server.drain(5))
            assert await idle.reader.read() == b""
            assert (await running).body.endswith(b"data: [DONE]\n\n")
            await drain
            idle.close()
            with pytest.raises(OSError):
                await Client.connect(here.port)

    run(scenario)
