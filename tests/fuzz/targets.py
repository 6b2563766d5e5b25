"""What is fuzzed, and what must hold for any bytes: properties, not only "no crash".

A target takes bytes and raises where a property does not hold. The first two bytes say how the rest is cut, so that
an input says everything about a run. `seeds` are where a search begins; the replay in the tests runs
them, whole and spoiled in simple ways.
"""

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

import httptools
from tests.gateway.http.cases import cases
from tests.gateway.http.wire import Client, Provider

from dure.gateway.protocol import journal
from dure.gateway.protocol.calls import Call
from dure.gateway.protocol.endpoints import ENDPOINTS
from dure.gateway.protocol.errors import Refusal
from dure.gateway.protocol.multipart import boundary_of, read_form
from dure.gateway.protocol.sse import Scanner

TESTS = Path(__file__).parent.parent
Target = Callable[[bytes], None]


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """The input proper, and the same in pieces, as its first two bytes say."""
    chance, rest = random.Random(data[:2]), data[2:]
    pieces, at = [], 0
    longest = chance.choice((1, 3, 30, 1000))
    while at < len(rest):
        size = chance.randint(1, longest)
        pieces.append(rest[at : at + size])
        at += size
    return rest, pieces


# HTTP


def requests(data: bytes) -> None:
    """How bytes are cut, and when answers are ready, changes nothing; llhttp reads the same requests."""
    rest, pieces = cut(data)
    whole = Client().send(rest).outcome
    assert Client().send(*pieces).outcome == whole
    assert Client(late=True).send(rest).outcome == whole
    served = [line for line in whole if line.startswith("serves")]
    theirs = llhttp_requests(rest)
    assert all(ours == other for ours, other in zip(served, theirs, strict=False))


def llhttp_requests(data: bytes) -> list[str]:
    """The requests that llhttp reads, in the corpus' words."""
    other = _Other()
    parser = other.parser = httptools.HttpRequestParser(other)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        other.requests.pop()  # it takes the body for another protocol's
    except httptools.HttpParserError:
        pass
    return other.requests


class _Other:
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
        path = self.url.partition(b"?")[0]
        if path[:1] not in {b"/", b"*"}:
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        words = [b"serves", self.parser.get_method(), path, self.body]
        self.requests.append(b" ".join(words).decode("latin-1").rstrip(" "))


def answers(data: bytes) -> None:
    """How bytes are cut changes nothing; a connection is used again only where nothing was left over."""
    rest, pieces = cut(data)
    whole, cut_up = Provider().send(rest), Provider().send(*pieces)
    assert cut_up.outcome == whole.outcome
    if whole.caller.end == "complete":
        assert cut_up.caller.headers == whole.caller.headers
    if whole.outcome.startswith("gives") and not whole.transport.closed:
        assert not Provider().send(rest + b"x").reusable
        assert Provider().send(*pieces[:-1]).outcome == "waits"
    whole.hang_up()
    cut_up.hang_up()
    assert cut_up.outcome == whole.outcome


# Streams

_CALLS = {
    "chat.completions": b'{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}',
    "completions": b'{"model":"m","stream":true,"prompt":"a"}',
    "responses": b'{"model":"m","stream":true,"input":"a"}',
    "messages": b'{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"a"}]}',
    "audio.speech": b'{"model":"m","input":"a","voice":"v","stream_format":"sse"}',
    "images.generations": b'{"model":"m","prompt":"a","stream":true}',
}


def scanners() -> list[Callable[[], Scanner]]:
    """How to make each kind of scanner of events."""
    found: list[Callable[[], Scanner]] = []
    for name, body in _CALLS.items():
        endpoint = ENDPOINTS[name]  # type: ignore[index]
        call = endpoint.read(body, {b"content-type": b"application/json"})

        def make(endpoint=endpoint, call=call) -> Scanner:
            scanner = endpoint.scanner(call, b"text/event-stream")
            assert scanner is not None
            return scanner

        found.append(make)
    return found


def streams(data: bytes) -> None:
    """How bytes are cut changes neither what is relayed nor what is counted; nothing is invented."""
    kinds = scanners()
    make = kinds[data[0] % len(kinds) if data else 0]
    rest, pieces = cut(data[1:])
    whole, relayed = followed(make(), [rest])
    for read in (followed, followed_by_chunk):
        cut_up, relayed_in_pieces = read(make(), pieces)
        assert relayed_in_pieces == relayed
        for fact in ("counted", "said", "relayed_tokens", "done", "failed"):
            assert getattr(cut_up, fact) == getattr(whole, fact), fact
    assert is_subsequence(relayed, rest)


def followed(scanner: Scanner, pieces: Iterable[bytes]) -> tuple[Scanner, bytes]:
    relayed = b"".join(scanner.feed(piece) for piece in pieces)
    return scanner, relayed + scanner.finish()


def followed_by_chunk(scanner: Scanner, pieces: Iterable[bytes]) -> tuple[Scanner, bytes]:
    """As a relay does it: what may pass as it came passes."""
    relayed = []
    for piece in pieces:
        passes = len(piece) > 4 and scanner.passes(b"%x\r\n%b\r\n" % (len(piece), piece))
        relayed.append(piece if passes else scanner.feed(piece))
    return scanner, b"".join(relayed) + scanner.finish()


def is_subsequence(part: bytes, whole: bytes) -> bool:
    left = iter(whole)
    return all(byte in left for byte in part)


# The journal


def journals(data: bytes) -> None:
    """How bytes are cut changes nothing; frames and damage lie in order, and frames read back as they were."""
    rest, pieces = cut(data)
    whole = decoded([rest])
    assert decoded(pieces) == whole
    if isinstance(whole, str):
        return
    found, sound, torn = whole
    assert sound + torn == len(rest)
    at = 0
    for one in found:
        if isinstance(one, journal.Frame):
            assert one.offset >= at
            encoded = journal.encode_frame(one.kind, one.payload)
            assert rest[one.offset : one.offset + len(encoded)] == encoded
            at = one.offset + len(encoded)
        else:
            # A file that begins with a frame lacks its header, and no byte of it is damaged.
            assert at <= one.offset < one.end or one.offset == one.end == 0
            at = one.end


def decoded(pieces: list[bytes]) -> tuple[list[journal.Frame | journal.Damage], int, int] | str:
    decoder = journal.Decoder()
    found: list[journal.Frame | journal.Damage] = []
    try:
        for piece in pieces:
            found += decoder.feed(piece)
        found += decoder.finish()
    except journal.JournalError as error:
        return str(error)
    return found, decoder.sound_bytes, decoder.torn_bytes


# Bodies


def bodies(data: bytes) -> None:
    """A body is refused with a 4xx, or the provider is sent what was admitted, and reads it as we did."""
    names = list(ENDPOINTS)
    endpoint = ENDPOINTS[names[data[0] % len(names) if data else 0]]
    headers = {
        b"content-type": b"application/json" if data[:1] < b"\x80" else b"multipart/form-data; boundary=b"
    }
    call = read(endpoint, data[1:], headers)
    if call is None:
        return
    limit = min(call.output_tokens or 9, 9)
    sent = endpoint.upstream_body(
        call, upstream_model="theirs", dialect=max(endpoint.dialects), output_limit=limit
    )
    again = read(endpoint, sent, {**headers, b"content-type": call.content_type})
    assert again is not None, sent
    assert again.model == "theirs"
    assert (again.stream, again.copies, again.prompts) == (call.stream, call.copies, call.prompts)
    assert again.output_tokens is None or again.output_tokens <= max(limit, call.output_tokens or 0)


def read(endpoint, body: bytes, headers: dict[bytes, bytes]) -> Call | None:
    try:
        return endpoint.read(body, headers)
    except Refusal as told:
        refusal = told
    assert 400 <= refusal.status < 500
    json.loads(refusal.body())
    return None


def forms(data: bytes) -> None:
    """Parts lie in their order, apart from each other, and hold no line of the boundary."""
    try:
        form = read_form(data, boundary_of(b"multipart/form-data; boundary=b"))
    except Refusal:
        return
    at = 0
    for part in form.parts:
        assert at < part.start <= part.end
        assert b"\r\n--b" not in data[part.start : part.end]
        at = part.end
    assert at < len(data)


TARGETS: dict[str, Target] = {
    "requests": requests,
    "answers": answers,
    "streams": streams,
    "journals": journals,
    "bodies": bodies,
    "forms": forms,
}


# Where a search begins

_ID = UUID("0198f000-0000-7000-8000-000000000000")


def seeds(target: str) -> list[bytes]:
    """Inputs of a target, without the bytes that say how they are cut."""
    if target in {"requests", "answers"}:
        return [case.data for case in cases(target) if len(case.data) < 2000]
    if target == "streams":
        return [bytes([kind]) + stream for kind, stream in _streams()]
    if target == "journals":
        return [_journal()]
    if target == "bodies":
        return [bytes([number]) + body for number, body in enumerate(_bodies())]
    return [_FORM]


def _streams() -> list[tuple[int, bytes]]:
    def events(*texts: str, named: bool = False, end: str = "\n\n") -> bytes:
        return "".join(
            (f"event: {json.loads(text)['type']}\n" if named else "") + f"data: {text}{end}" for text in texts
        ).encode()

    chunk = '{"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":null}'
    last = '{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}'
    failed = '{"error":{"message":"out of memory","code":"oom"}}'
    message = (
        '{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}',
        '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}',
        '{"type":"message_stop"}',
    )
    response = (
        '{"type":"response.output_text.delta","delta":"Hi"}',
        '{"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":9,"output_tokens":3}}}',
    )
    speech = (
        '{"type":"speech.audio.delta","audio":"AAAA"}',
        '{"type":"speech.audio.done","usage":{"input_tokens":9,"output_tokens":3}}',
    )
    return [
        (0, events(chunk, chunk, last, "[DONE]")),
        (0, events(chunk, chunk, last, "[DONE]", end="\r\n\r\n")),
        (0, events(chunk, failed)),
        (1, events('{"choices":[{"index":0,"text":"Hi"}]}', last, "[DONE]")),
        (2, events(*response, named=True)),
        (3, events(*message, named=True)),
        (4, events(*speech)),
        (5, events('{"type":"image_generation.completed","b64_json":"AAAA","usage":{"input_tokens":1,"output_tokens":2}}')),
    ]  # fmt: skip


def _journal() -> bytes:
    return b"".join(
        (
            journal.encode_header(_ID, 1, created_at=1),
            journal.encode_frame(journal.Kind.OPENED, _ID.bytes + b"{}"),
            journal.encode_progress(_ID.bytes, 64, 1000),
            journal.encode_frame(journal.Kind.CLOSED, bytes(8) + _ID.bytes + b"{}"),
        )
    )


_FORM = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'


def _bodies() -> list[bytes]:
    """One for each endpoint, in their order."""
    wanted: dict[str, bytes] = {
        **_CALLS,
        "embeddings": b'{"model":"m","input":["a","b"]}',
        "moderations": b'{"model":"m","input":"a"}',
        "rerank": b'{"model":"m","query":"a","documents":["b","c"]}',
    }
    return [wanted.get(name, _FORM) for name in ENDPOINTS]
