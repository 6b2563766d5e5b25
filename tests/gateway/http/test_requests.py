"""What clients send to make two readers see different requests: refused, or plain to everybody."""

import re

import httptools
import pytest

from dure.gateway.io.server_limits import ServerLimits
from dure.gateway.protocol import http_request

from .cases import Case, cases, unescaped
from .wire import Client, bytewise

CASES = cases("requests")
ORDINARY = b"POST /v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\naccept: */*\r\n\r\nab"
NEXT = b"GET /trailing HTTP/1.1\r\nhost: x\r\n\r\n"


def expected(case: Case) -> list[str]:
    return [unescaped(line).decode("latin-1").rstrip(" ") for line in case.then]


def ends(outcome: list[str]) -> bool:
    return outcome[-1].startswith(("refused", "closes"))


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request) -> Case:
    return request.param


def test_whole(case):
    client = Client().send(case.data)
    assert client.outcome == expected(case)
    assert client.transport.closed is ends(client.outcome)


def test_byte_by_byte(case):
    assert Client().send(*bytewise(case.data)).outcome == expected(case)


def test_in_two_pieces(case):
    for at in range(1, min(len(case.data), 400 if len(case.data) < 2000 else 60)):
        assert Client().send(case.data[:at], case.data[at:]).outcome == expected(case), at


def test_answered_late(case):
    assert Client(late=True).send(case.data).outcome == expected(case)
    assert Client(late=True).send(*bytewise(case.data)).outcome == expected(case)


def test_with_more_behind_it(case):
    """What follows a refusal is never a request; what follows a request is exactly the next."""
    then = expected(case)
    if not ends(then):
        then += ["serves GET /trailing"]
    assert Client().send(case.data + NEXT).outcome == then
    assert Client().send(case.data, NEXT).outcome == then
    assert Client().send(*bytewise(case.data + NEXT)).outcome == then


def test_behind_a_request_that_begins_like_it(case):
    """What a head meant is remembered on its connection; that changes nothing about what comes next."""
    then = expected(case)
    for first in (ORDINARY, like(case.data)):
        alone = Client().send(first)
        before = alone.outcome
        if len(before) == 1 and alone.connection.idle:
            assert Client().send(first, case.data).outcome == before + then
            assert Client(late=True).send(first, case.data).outcome == before + then
            assert Client().send(first, *bytewise(case.data)).outcome == before + then
            assert Client().send(first, first, case.data).outcome == before * 2 + then


def like(data: bytes) -> bytes:
    """A request with the head that `data` begins with, and a body as long as it says."""
    head = data.partition(b"\r\n\r\n")[0]
    return re.sub(rb"(?i)(content-length: *)[^\r\n]*", rb"\g<1>3", head, count=1) + b"\r\n\r\nabc"


@pytest.mark.parametrize(
    "length", [b"", b"0", b"03", b"+3", b"-3", b"3 ", b" 3", b"3,3", b"0x3", b"3_0", b"\xb2", b"4", b"2", b"9" * 15, b"9" * 16, b"9" * 40]
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"xyz", b"0123456789"])
def test_the_length_alone_is_read_again(length, body):
    data = ORDINARY.replace(b": 2\r", b": " + length + b"\r")[:-2] + body
    before = Client().send(ORDINARY).outcome
    assert Client().send(ORDINARY, data).outcome == before + Client().send(data).outcome


def test_another_line_end_is_another_head():
    for old, new in [
        (b"\r\n", b"\n"),
        (b": 2\r\n", b": 2\n"),
        (b"\r\n\r\n", b"\r\n\n"),
        (b": 2\r\n", b": 2\r\r\n"),
    ]:
        data = ORDINARY.replace(old, new)
        assert (
            Client().send(ORDINARY, data).outcome
            == Client().send(ORDINARY).outcome + Client().send(data).outcome
        )


def test_what_was_remembered_keeps_to_the_limits():
    limits = ServerLimits(body_bytes=3)
    assert Client(limits=limits).send(ORDINARY, ORDINARY.replace(b": 2", b": 4") + b"cd").outcome[1:] == [
        "refused 413 request_too_large"
    ]


def test_what_is_taken_means_the_same_to_another_reader(case):
    """llhttp, which reads more, must find the very requests that ours found."""
    served = [line for line in expected(case) if line.startswith("serves")]
    other = Other()
    parser = httptools.HttpRequestParser(other)
    other.parser = parser
    try:
        parser.feed_data(case.data)
    except httptools.HttpParserUpgrade:
        served = []  # it stops there, where ours goes on
    except httptools.HttpParserError:
        pass
    assert other.requests[: len(served)] == served


class Other:
    """The requests that llhttp reads, in the corpus' words."""

    parser: httptools.HttpRequestParser

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.on_message_begin()

    def on_message_begin(self) -> None:
        self.url, self.body = b"", b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        path = httptools.parse_url(self.url).path or b"/" if self.url != b"*" else self.url
        words = [b"serves", self.parser.get_method(), path, self.body]
        self.requests.append(b" ".join(words).decode("latin-1").rstrip(" "))


def test_the_corpus_names_every_family():
    families = {case.name.partition("-")[0] for case in CASES}
    assert {"cl", "te", "chunk", "trailer", "header", "host", "line", "h2", "pipeline", "blank"} <= families
    assert len(CASES) == 186


def test_too_many_bytes_ahead_are_not_read():
    client = Client(late=True, limits=ServerLimits(ahead_bytes=1000))
    client.connection.data_received(NEXT)
    assert not client.transport.paused
    client.connection.data_received(NEXT * 100)
    assert client.transport.paused
    client.service.answer_all()
    assert len(client.service.got) == 101
    assert not client.transport.paused


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "api-key", "Cookie", "proxy-authorization"])
def test_a_line_with_a_secret_is_not_remembered_beyond_its_connection(name):
    head = f"GET / HTTP/1.1\r\nhost: x\r\nx-remembered-{name}: plain\r\n{name}: dure_hunter2_{name}\r\n\r\n"
    assert Client().send(head.encode()).outcome[0].startswith("serves")
    kept = repr(vars(http_request))
    assert f"x-remembered-{name}: plain" in kept
    assert f"hunter2_{name}" not in kept
