"""What providers send: an answer that ends where it says, or none."""

import re

import pytest

from dure.gateway.protocol import http_answer

from .cases import Case, cases, unescaped
from .wire import Provider, bytewise

CASES = cases("answers")
NEXT = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nxyz"


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request) -> Case:
    return request.param


def expected(case: Case) -> str:
    return unescaped(case.then[0]).decode("latin-1")


def test_whole(case):
    provider = Provider().send(case.data)
    assert provider.outcome == expected(case)
    assert provider.reusable is (provider.outcome.startswith("gives") and not provider.transport.closed)


def test_byte_by_byte(case):
    assert Provider().send(*bytewise(case.data)).outcome == expected(case)


def test_in_two_pieces(case):
    for at in range(1, min(len(case.data), 400 if len(case.data) < 2000 else 60)):
        assert Provider().send(case.data[:at], case.data[at:]).outcome == expected(case), at


def test_what_comes_behind_it_is_never_part_of_it_nor_of_the_next(case):
    then = expected(case)
    if then == "waits":
        return
    together = Provider().send(case.data + NEXT)
    apart = Provider().send(case.data, NEXT)
    with_more = then if then.endswith(("broken", "closes")) else f"{then}, closes"
    assert (together.outcome, apart.outcome) == (with_more, with_more)
    assert not together.reusable
    assert not apart.reusable


def test_behind_an_answer_that_begins_like_it(case):
    """What a head meant is remembered on its connection; that changes nothing about what comes next."""
    for first in (NEXT, like(case.data)):
        if Provider().send(first).outcome != "gives 200 abc" and first is not NEXT:
            continue
        for pieces in ([case.data], bytewise(case.data)):
            provider = Provider().send(first).again().send(*pieces)
            alone = Provider().send(*pieces)
            assert provider.outcome == alone.outcome == expected(case)
            assert provider.caller.headers == alone.caller.headers
            assert provider.reusable is alone.reusable
            assert Provider().send(first).again().send(first).again().send(*pieces).outcome == expected(case)


def like(data: bytes) -> bytes:
    """An answer with the head that `data` begins with, and a body as long as it says."""
    head = data.partition(b"\r\n\r\n")[0]
    return re.sub(rb"(?i)(content-length: *)[^\r\n]*", rb"\g<1>3", head, count=1) + b"\r\n\r\nabc"


@pytest.mark.parametrize(
    "length", [b"", b"0", b"03", b"+3", b"-3", b"3 ", b" 3", b"3,3", b"0x3", b"3_0", b"\xb2", b"4", b"2", b"9" * 15, b"9" * 16, b"9" * 40]
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"xyz", b"0123456789"])
def test_the_length_alone_is_read_again(length, body):
    data = NEXT.replace(b": 3\r", b": " + length + b"\r")[:-3] + body
    assert Provider().send(NEXT).again().send(data).outcome == Provider().send(data).outcome


@pytest.mark.parametrize("pieces", [lambda data: [data], bytewise])
def test_the_connections_end(case, pieces):
    """Only an answer without any other end is whole because the connection ended."""
    provider = Provider().send(*pieces(case.data))
    if provider.outcome == "waits":
        provider.hang_up()
        assert provider.outcome == (
            "gives 200 abc, closes" if case.name == "plain-to-the-end" else expected_cut(case)
        )


def expected_cut(case: Case) -> str:
    return "gives 200 abc, broken" if case.name in {"length-lies", "chunk-cut"} else "broken"


def test_the_next_answer_on_the_same_connection_is_the_next_requests():
    provider = Provider().send(NEXT)
    assert provider.reusable
    provider.connection.send(provider.caller, b"another")
    provider.caller.end, provider.caller.body = "waits", b""
    assert provider.send(*bytewise(NEXT)).outcome == "gives 200 xyz"


def test_the_corpus_names_every_family():
    families = {case.name.partition("-")[0] for case in CASES}
    assert families == {
        "plain",
        "interim",
        "split",
        "length",
        "coding",
        "chunk",
        "trailers",
        "trailer",
        "head",
        "line",
    }
    assert len(CASES) == 91


def test_a_line_with_a_secret_is_not_remembered():
    head = b"HTTP/1.1 200 OK\r\nserver: known\r\nSet-Cookie: session=hunter2\r\ncontent-length: 0\r\n\r\n"
    assert Provider().send(head).outcome.startswith("gives")
    kept = repr(vars(http_answer))
    assert "server: known" in kept
    assert "hunter2" not in kept
