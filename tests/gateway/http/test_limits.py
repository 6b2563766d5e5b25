"""How much and how slowly a client may send. The clock is set by hand."""

import pytest

from dure.gateway.io.clients import ClientConnection
from dure.gateway.io.server_limits import ServerLimits

from .wire import Client, Transport

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
LIMITS = ServerLimits(
    head_timeout=10,
    body_idle_timeout=20,
    keep_alive_timeout=60,
    connections=3,
    waiting_bytes=5000,
    drain_idle=1,
)


def after(client: Client, seconds: float) -> list[str]:
    client.clock.now += seconds
    client.server.sweep()
    return client.outcome


def another(client: Client) -> Transport:
    """One more connection to the same server."""
    transport = Transport()
    ClientConnection(client.server).connection_made(transport)  # type: ignore[arg-type]
    return transport


@pytest.mark.parametrize(
    ("sent", "seconds", "outcome"),
    [
        (b"", 60, []),
        (b"", 61, ["closes"]),
        (GET, 60, ["serves GET /a"]),
        (GET, 61, ["serves GET /a", "closes"]),
        (b"GET /a", 10, []),
        (b"GET /a", 11, ["refused 408 request_timeout"]),
        (b"\r\n", 60, []),
        (b"\r", 11, ["refused 408 request_timeout"]),
        (GET + b"GE", 11, ["serves GET /a", "refused 408 request_timeout"]),
        (POST, 20, []),
        (POST, 21, ["refused 408 request_timeout"]),
    ],
)
def test_what_does_not_go_on(sent, seconds, outcome):
    client = Client(limits=LIMITS).send(sent)
    assert after(client, seconds) == outcome


def test_a_head_that_comes_a_byte_now_and_then():
    client = Client(limits=LIMITS).send(b"GET /")
    for _ in range(4):
        assert after(client, 5) == []
        client.send(b"a")
    assert after(client, 5) == ["refused 408 request_timeout"]


def test_a_body_that_comes_a_byte_now_and_then():
    client = Client(limits=LIMITS).send(POST)
    for _ in range(8):
        assert after(client, 5) == []
        client.send(b"a")
    assert after(client, 5) == ["refused 408 request_timeout"]


def test_empty_lines_keep_no_connection_open():
    client = Client(limits=LIMITS).send(b"\r\n")
    assert client.outcome == []
    assert client.send(b"\r\n").outcome == ["refused 400 bad_http"]


def test_no_more_connections_than_there_is_room_for_unless_one_lies_idle():
    client = Client(limits=LIMITS).send(POST)
    busy = [another(client), another(client)]
    for connection in client.server.connections:
        connection.data_received(b"x" if connection is client.connection else POST)
    turned_away = another(client)
    assert turned_away.sent == b'[503, "too_many_connections"]'
    assert turned_away.closed
    assert not client.transport.closed
    assert not any(transport.closed for transport in busy)


def test_an_idle_connection_makes_room():
    client = Client(limits=LIMITS).send(GET)
    later = [another(client) for _ in range(3)]
    assert [client.transport.aborted, *(transport.aborted for transport in later)].count(True) == 1
    assert not later[-1].closed
    assert later[-1].sent == b""


def test_no_more_bytes_wait_than_there_is_room_for():
    client = Client(limits=LIMITS).send(POST, b"x" * 3000)
    assert client.server.waiting_bytes == 3000
    other = ClientConnection(client.server)
    transport = Transport()
    other.connection_made(transport)  # type: ignore[arg-type]
    other.data_received(POST)
    other.data_received(b"x" * 3000)
    assert transport.sent == b'[503, "overloaded"]'
    assert client.server.waiting_bytes == 3000
    assert not client.transport.closed
    client.connection.connection_lost(None)
    assert client.server.waiting_bytes == 0


def test_a_body_weighs_until_it_is_answered():
    limits = ServerLimits(waiting_bytes=200_000)
    client = Client(limits=limits, late=True)
    client.connection.data_received(POST)
    client.connection.data_received(b"x" * 60_000)
    client.connection.data_received(b"x" * 40_000)
    assert len(client.service.got) == 1
    assert client.server.waiting_bytes == 60_000
    client.service.answer_all()
    assert client.server.waiting_bytes == 0


@pytest.mark.parametrize("sent", [b"", GET])
def test_while_draining_an_idle_connection_may_send_one_more_request(sent):
    client = Client(limits=LIMITS).send(sent)
    client.connection.drain(client.clock.now)
    assert not client.transport.closed
    assert client.send(GET).outcome[-2:] == ["serves GET /a", "closes"]


def test_while_draining_an_idle_connection_is_closed_soon():
    client = Client(limits=LIMITS).send(GET)
    client.clock.now += 30
    client.connection.drain(client.clock.now)
    assert after(client, 1) == ["serves GET /a"]
    assert after(client, 0.1) == ["serves GET /a", "closes"]
