"""What providers send: an answer that ends where it says, or none."""

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
