"""Who may come in, and what everybody else is told."""

import asyncio

import pytest

from dure.contracts.ids import uuid7
from dure.gateway.io.server_limits import ServerLimits

from .world import CHAT, KEY, Client, run, world


def error_of(
    tmp_path,
    *,
    status,
    code,
    body=CHAT,
    path="/v1/chat/completions",
    key=KEY,
    method="POST",
    headers="",
    **config,
):
    async def scenario():
        async with world(tmp_path, **config) as here:
            answer = await here.call(body, path, key, method=method, headers=headers)
            assert (answer.status, answer.error["code"]) == (status, code)
            assert here.provider.requests == []
            assert here.journalled() == ([], [], [])
            assert here.keeper.escrow(here.award).held == 0
            return answer

    return run(scenario)


def test_no_key(tmp_path):
    answer = error_of(tmp_path, key=None, status=401, code="invalid_api_key")
    assert answer.error["type"] == "invalid_request_error"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_unknown_key_is_not_repeated_in_the_message(tmp_path):
    answer = error_of(tmp_path, key="sk-very-secret-thing", status=401, code="invalid_api_key")
    assert "secret" not in answer.error["message"]


@pytest.mark.parametrize("header", ["api-key", "x-api-key", "X-Api-Key"])
def test_a_key_in_another_header(tmp_path, header):
    async def scenario():
        async with world(tmp_path) as here:
            answer = await here.call(CHAT, key=None, headers=f"{header}: {KEY}\r\n")
            assert answer.status == 200
            assert KEY not in str(here.provider.requests[0].headers)

    run(scenario)


def test_a_revoked_key_and_a_withdrawn_award_are_refused_at_once(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            assert (await client.call(CHAT)).status == 200
            here.withdraw("award", here.award)
            ended = await client.call(CHAT)
            assert (ended.status, ended.error["code"]) == (403, "award_ended")
            here.withdraw("key", here.key)
            revoked = await client.call(CHAT)
            assert (revoked.status, revoked.error["code"]) == (401, "invalid_api_key")
            client.close()

    run(scenario)


@pytest.mark.parametrize(
    ("kind", "changes", "status", "code"),
    [
        ("key", {"expires_at": 1}, 401, "invalid_api_key"),
        ("award", {"valid_until": 1}, 403, "award_ended"),
        ("award", {"valid_from": 4_000_000_000_000_000}, 403, "award_not_started"),
        ("award", {"held": True}, 403, "own_contribution_due"),
        ("award", {"endpoints": ("embeddings", "rerank")}, 403, "endpoint_not_allowed"),
        ("award", {"models": ("another",)}, 404, "model_not_found"),
        ("model", {"endpoints": ("embeddings",)}, 400, "endpoint_not_supported"),
        ("model", {"prices": ()}, 404, "model_not_found"),
        ("deployment", {"model": str(uuid7())}, 503, "model_unavailable"),
        ("deployment", {"credential": "env:DURE_TEST_NOT_SET"}, 503, "model_unavailable"),
        ("deployment", {"base_url": "nonsense"}, 503, "model_unavailable"),
    ],
)
def test_what_the_directory_says(tmp_path, kind, changes, status, code):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish(kind, getattr(here, f"{kind}_entry")(**changes))
            answer = await here.call(CHAT)
            assert (answer.status, answer.error["code"]) == (status, code)
            assert here.journalled() == ([], [], [])

    run(scenario)


def test_an_award_for_some_endpoints_hears_which_and_sees_only_those(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("award", here.award_entry(endpoints=("chat.completions",)))
            assert (await here.call(CHAT)).status == 200
            (shown,) = (await here.call(None, "/v1/models", method="GET")).json["data"]
            assert shown["endpoints"] == ["/v1/chat/completions"]
            here.publish("award", here.award_entry(endpoints=("rerank",)))
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["type"]) == (403, "permission_error")
            assert refused.error["message"] == (
                "Your award does not pay for calls of /v1/chat/completions. It pays for: /v1/rerank. "
                "Ask your programme officer if your work needs another."
            )
            assert (await here.call(None, "/v1/models", method="GET")).json["data"] == []

    run(scenario)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"model": "small", "messages": [}', "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"model": "small", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
        ({"messages": []}, "missing_required_parameter"),
        ({"model": 7}, "invalid_type"),
        ({"model": "small"}, "missing_required_parameter"),
        ({"model": "small", "messages": []}, "missing_required_parameter"),
        ({"model": "small", "messages": "Hi"}, "invalid_type"),
        ({"model": "small", "messages": ["Hi"]}, "invalid_type"),
        ({"model": "small", "messages": [{"role": 5, "content": "Hi"}]}, "invalid_type"),
        ({**CHAT, "tools": "x"}, "invalid_type"),
        ({**CHAT, "max_tokens": 0}, "invalid_value"),
        ({**CHAT, "max_tokens": "9"}, "invalid_type"),
        ({**CHAT, "n": 0}, "invalid_value"),
        ({**CHAT, "n": 1000}, "invalid_value"),
        ({**CHAT, "stream": "yes"}, "invalid_type"),
        ({**CHAT, "max_tokens": 1, "Max_Tokens": 9000}, "invalid_value"),
        ({**CHAT, "Model": "dear"}, "invalid_value"),
        ({**CHAT, "Stream": True}, "invalid_value"),
        ({**CHAT, "me\u017f\u017fages": []}, "invalid_value"),
        ({**CHAT, "stream_options": {"include_usage": True}}, "invalid_value"),
    ],
)
def test_bodies_that_make_no_sense(tmp_path, body, code):
    error_of(tmp_path, body=body, status=400, code=code)


def test_malformed_json_is_pointed_at(tmp_path):
    answer = error_of(tmp_path, body=b'{"model": "small", oops}', status=400, code="invalid_json")
    assert "byte 19" in answer.error["message"]


def test_a_model_that_is_not_there(tmp_path):
    error_of(tmp_path, body={**CHAT, "model": "gpt-9"}, status=404, code="model_not_found")


def test_a_name_without_end_is_not_sent_back(tmp_path):
    answer = error_of(tmp_path, body={**CHAT, "model": "m" * 100_000}, status=404, code="model_not_found")
    assert len(answer.error["message"]) < 500


def test_an_unknown_path(tmp_path):
    error_of(tmp_path, path="/v2/chat", status=404, code="unknown_url")


def test_a_wrong_method(tmp_path):
    answer = error_of(tmp_path, method="GET", body=None, status=405, code="method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_a_compressed_body(tmp_path):
    error_of(tmp_path, headers="content-encoding: gzip\r\n", status=415, code="unsupported_content_encoding")


def test_a_body_that_is_too_large(tmp_path):
    error_of(
        tmp_path,
        body={**CHAT, "padding": "x" * 2000},
        status=413,
        code="request_too_large",
        limits=ServerLimits(body_bytes=1000),
    )


def test_headers_that_are_too_many(tmp_path):
    error_of(tmp_path, headers="x-a: b\r\n" * 200, status=431, code="headers_too_large")


RAW_REFUSED = {
    "both lengths": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    "bare line feeds": b"POST /v1/chat/completions HTTP/1.1\nhost: x\ncontent-length: 3\n\nabc",
    "folded header": b"GET /healthz HTTP/1.1\r\nhost: x\r\n folded: 1\r\n\r\n",
    "space before colon": b"GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
    "signed length": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc",
    "bad chunk size": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "identity coding": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: identity\r\n\r\nabc",
    "coded twice": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW_REFUSED)
def test_ambiguous_framing_is_refused_and_the_connection_closed(tmp_path, name):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            client.writer.write(RAW_REFUSED[name])
            answer = await client.answer()
            assert (answer.status, answer.error["code"]) == (400, "bad_http")
            assert await client.reader.read() == b""
            client.close()

    run(scenario)


def test_trailers_do_not_go_on_for_ever(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            client.writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                b"2\r\n{}\r\n0\r\nx: "
            )
            for _ in range(200):
                client.writer.write(b"a" * 1024)
                await asyncio.sleep(0)
            answer = await client.answer()
            assert (answer.status, answer.error["code"]) == (400, "bad_http")
            client.close()

    run(scenario)


def test_a_body_in_many_small_chunks_is_no_matter(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            body = b'{"model":"small","messages":[{"role":"user","content":"%b"}]}' % (b"Hi " * 20_000)
            client.writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: bearer %b\r\n"
                b"transfer-encoding: chunked\r\n\r\n" % KEY.encode()
            )
            for at in range(0, len(body), 2):
                client.writer.write(b"2\r\n%b\r\n" % body[at : at + 2].ljust(2))
            client.writer.write(b"0\r\n\r\n")
            assert (await client.answer()).status == 200
            client.close()

    run(scenario)


def test_who_does_not_read_is_not_answered_without_end(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            client.writer.transport.pause_reading()
            (connection,) = here.server.connections
            for _ in range(3000):
                client.writer.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 4)
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
            assert connection.transport.get_write_buffer_size() < 1 << 20
            client.writer.transport.abort()

    run(scenario)


REQUEST = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


def test_a_request_may_come_byte_by_byte(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            for at in range(len(REQUEST)):
                client.writer.write(REQUEST[at : at + 1])
                await asyncio.sleep(0)
            assert (await client.answer()).json == {"status": "alive"}
            client.close()

    run(scenario)


def test_requests_sent_ahead_are_answered_in_order(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            client.send(CHAT)
            client.send(None, "/healthz", method="GET")
            client.send({**CHAT, "model": "gpt-9"})
            client.send({**CHAT, "stream": True})
            client.send(None, "/nowhere", method="GET")
            assert [(await client.answer()).status for _ in range(5)] == [200, 200, 404, 200, 404]
            client.close()

    run(scenario)


def test_a_chunked_request(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            body = b'{"model":"small","messages":[{"role":"user","content":"Hi"}]}'
            client.writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: bearer %b\r\n"
                b"transfer-encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
                % (KEY.encode(), body[:5], len(body) - 5, body[5:])
            )
            assert (await client.answer()).status == 200
            client.close()

    run(scenario)


def test_http_1_0_gets_its_stream_until_the_connection_ends(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            body = b'{"model":"small","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
            client.writer.write(
                b"POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
                % (KEY.encode(), len(body), body)
            )
            answer = await client.answer()
            assert "transfer-encoding" not in answer.headers
            assert answer.body.endswith(b"data: [DONE]\n\n")
            client.close()

    run(scenario)


def test_an_offer_of_http2_is_declined_and_the_request_served(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            answer = await client.call(
                CHAT, headers="connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
            )
            assert answer.status == 200
            assert (await client.call(CHAT)).status == 200
            client.close()

    run(scenario)


def test_expect_100_continue(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            client = await Client.connect(here.port)
            client.writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
            )
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.writer.write(b"{}")
            assert (await client.answer()).status == 401
            client.close()

    run(scenario)


def test_a_head_and_a_connection_that_stall(tmp_path):
    async def scenario():
        limits = ServerLimits(head_timeout=0.1, keep_alive_timeout=0.1)
        async with world(tmp_path, limits=limits) as here:
            slow = await Client.connect(here.port)
            slow.writer.write(b"GET /healthz HTT")
            assert (await slow.answer()).status == 408
            idle = await Client.connect(here.port)
            assert await idle.reader.read() == b""
            slow.close()
            idle.close()

    run(scenario)


def test_models(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.publish("model", here.model_entry(id=str(uuid7()), name="unserved"))
            listed = (await here.call(None, "/v1/models", method="GET")).json
            assert listed["object"] == "list"
            assert [model["id"] for model in listed["data"]] == ["small"]
            one = (await here.call(None, "/v1/models/small", method="GET")).json
            assert one == listed["data"][0]
            assert (one["object"], one["created"], one["owned_by"]) == ("model", 1_700_000_000, "provider")
            assert (await here.call(None, "/v1/models/unserved", method="GET")).status == 404
            assert (await here.call(None, "/v1/models", key=None, method="GET")).status == 401
            here.publish("award", here.award_entry(models=("other",)))
            assert (await here.call(None, "/v1/models", method="GET")).json["data"] == []

    run(scenario)


def test_health_readiness_and_metrics(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            assert (await here.call(None, "/healthz", method="GET")).status == 200
            ready = await here.call(None, "/readyz", method="GET")
            assert (ready.status, ready.json["reasons"]) == (200, [])
            await here.call(CHAT)
            metrics = (await here.call(None, "/metrics", method="GET")).body.decode()
            assert 'dure_gateway_requests_total{endpoint="chat.completions",status="200"} 1' in metrics
            assert 'dure_gateway_tokens_total{kind="input"} 12' in metrics
            assert 'dure_gateway_request_seconds_count{endpoint="chat.completions"} 1' in metrics
            here.journal.healthy = False
            here.gateway.loaded = False
            unready = await here.call(None, "/readyz", method="GET")
            assert (unready.status, len(unready.json["reasons"])) == (503, 2)
            head = await Client.connect(here.port)
            head.send(None, "/healthz", method="HEAD")
            assert (await head.head())[0] == 200
            head.close()

    run(scenario)


def test_nothing_is_served_before_the_directory_is_there_or_while_the_journal_is_not(tmp_path):
    async def scenario():
        async with world(tmp_path) as here:
            here.journal.healthy = False
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (503, "journal_unavailable")
            here.journal.healthy = True
            here.gateway.loaded = False
            refused = await here.call(CHAT)
            assert (refused.status, refused.error["code"]) == (503, "not_ready")
            assert refused.headers["retry-after"] == "1"
            assert here.provider.requests == []

    run(scenario)
