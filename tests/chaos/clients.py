"""Clients that draw what they ask for from a seed, count what they receive, and misbehave.

A client's own view of each call is a `Seen`; what the provider and the ledger say about it is compared
later. The `user` field carries the script for the provider and the call's name; the gateway passes it through.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from chaos.provider import TOKEN, Script

HANG_SECONDS = 40.0


@dataclass(frozen=True)
class Limited:
    """A key or an award, by its id, and what it may use in a minute and at one time."""

    subject: str
    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True)
class Key:
    secret: str
    award: str
    size: str  # big | medium | small | limited: how much money its award has; limited ones have plenty
    limits: tuple[Limited, ...] = ()  # its own and its award's


@dataclass
class Ask:
    """One call as it is drawn. `hang_up` is after how many tokens (or, at 0, milliseconds `hang_up_ms`)."""

    script: Script
    key: Key
    model: str
    path: str
    body: bytes
    estimated_input: int
    stream: bool = False
    wants_usage: bool = False
    hang_up: int = -1
    hang_up_ms: int = 0
    hang_up_softly: bool = False
    slow_reader: bool = False
    twice: bool = False
    expect: str = ""  # a refusal is expected: "bad" (4xx, nothing sent on) or "denied" (401)


@dataclass
class Seen:
    """What a client saw of one call. `whole`: the answer came to its end, without an error in it."""

    call: str
    ask: Ask
    request_id: str = ""
    status: int = 0
    code: str = ""
    tokens: int = 0
    whole: bool = False
    error_event: bool = False
    hung_up: bool = False
    hung: bool = False
    usage: tuple[int, int, int] | None = None
    cost: int | None = None
    seconds: float = 0.0
    asked: float = 0.0  # on the clock of the provider and the database


class Drawer:
    """Draws calls. `keys` may be called; `revoked` are keys that must be refused."""

    def __init__(self, seed: str, keys: list[Key], revoked: list[str], models: list[str]) -> None:
        self.chance = random.Random(seed)
        self._seed = seed
        self._keys = keys
        self._revoked = revoked
        self._models = models
        self._number = 0

    def draw(self) -> Ask:
        chance = self.chance
        self._number += 1
        script = Script(call=f"{self._seed}/{self._number}", prompt=chance.randint(1, 90))
        kind = chance.choices(list(_KINDS), [weight for weight, _ in _KINDS.values()])[0]
        script.kind = kind
        _KINDS[kind][1](script, chance)
        if chance.random() < 0.2:
            script.cached = chance.randint(0, script.prompt)
        if chance.random() < 0.25:
            script.split = True
        if chance.random() < 0.1:
            script.reuse = False
        if chance.random() < 0.3:
            script.first_ms = chance.randint(1, 60)
        ask = self._ask(script)
        self._misbehave(ask)
        return ask

    def _ask(self, script: Script) -> Ask:
        chance = self.chance
        stream = script.kind.startswith("stream")
        text = "word " * chance.randint(1, 40)
        key, model = chance.choice(self._keys), chance.choice(self._models)
        body: dict = {"model": model, "user": json.dumps(asdict(script))}
        if script.kind == "embedding":
            path, prompt = "/v1/embeddings", {"input": text}
        elif chance.random() < 0.15:
            path, prompt = "/v1/completions", {"prompt": text}
        else:
            path, prompt = "/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}
        body |= prompt
        if script.kind != "embedding" and (path == "/v1/completions" or chance.random() < 0.8):
            body["max_tokens"] = script.tokens + chance.randint(0, 40)
        if stream:
            body["stream"] = True
        wants_usage = stream and chance.random() < 0.3
        if wants_usage:
            body["stream_options"] = {"include_usage": True}
        prompt_bytes = len(json.dumps(*prompt.values()))
        estimate = max(1, -(-prompt_bytes // 4))
        return Ask(script, key, model, path, json.dumps(body).encode(), estimate, stream, wants_usage)

    def _misbehave(self, ask: Ask) -> None:
        chance = self.chance
        what = chance.random()
        if what < 0.14:
            if ask.stream and chance.random() < 0.8:
                ask.hang_up = chance.randint(0, max(1, ask.script.tokens))
            ask.hang_up_ms = chance.randint(0, 80)
            ask.hang_up = max(ask.hang_up, 0)
            ask.hang_up_softly = chance.random() < 0.4
        elif what < 0.17:
            ask.slow_reader = True
        elif what < 0.22:
            ask.twice = True
        elif what < 0.27:
            ask.expect = "bad"
            ask.body = chance.choice(_SPOILERS)(ask.body)
        elif what < 0.29:
            ask.expect = "denied"
            ask.key = Key(chance.choice(self._revoked), "", "none")


def _plain(script: Script, chance: random.Random) -> None:
    script.tokens = chance.randint(1, 60)
    script.gap_ms = chance.choice((0, 0, 5))
    script.chunked = chance.random() < 0.3


def _plain_uncounted(script: Script, chance: random.Random) -> None:
    _plain(script, chance)
    script.usage = "none"


def _plain_excess(script: Script, chance: random.Random) -> None:
    _plain(script, chance)
    script.excess = chance.choice((500, 20_000))


def _plain_broken(script: Script, chance: random.Random) -> None:
    _plain(script, chance)
    script.break_after, script.break_how = 0, chance.choice(("close", "reset"))


def _failing(script: Script, chance: random.Random) -> None:
    _plain(script, chance)
    script.status = chance.choice((400, 404, 422, 500, 503, 401))


def _retried(script: Script, chance: random.Random) -> None:
    _plain(script, chance)
    script.fail_times = chance.choice((1, 1, 2))
    script.fail_how = chance.choice(("500", "503", "429", "close", "close"))


def _stream(script: Script, chance: random.Random) -> None:
    script.tokens = chance.randint(1, 80)
    script.gap_ms = chance.choice((0, 1, 2, 5, 10))
    script.burst = chance.choice((1, 1, 2, 7))


def _stream_uncounted(script: Script, chance: random.Random) -> None:
    _stream(script, chance)
    script.usage = "none"
    script.done = chance.random() < 0.7


def _stream_running(script: Script, chance: random.Random) -> None:
    _stream(script, chance)
    script.usage = "running"


def _stream_last(script: Script, chance: random.Random) -> None:
    _stream(script, chance)
    script.usage = "last"


def _stream_long(script: Script, chance: random.Random) -> None:
    script.tokens = chance.randint(200, 1200)
    script.gap_ms = chance.choice((0, 1))
    script.burst = chance.choice((10, 25))
    script.usage = chance.choice(("end", "end", "none"))


def _stream_slow(script: Script, chance: random.Random) -> None:
    script.tokens = chance.randint(5, 60)
    script.gap_ms = chance.randint(15, 40)


def _stream_retried(script: Script, chance: random.Random) -> None:
    _stream(script, chance)
    script.fail_times, script.fail_how = 1, chance.choice(("500", "close"))


def _stream_broken(script: Script, chance: random.Random) -> None:
    _stream(script, chance)
    script.usage = chance.choice(("end", "none", "running"))
    script.break_after = chance.randint(0, script.tokens)
    script.break_how = chance.choice(("close", "reset", "half", "event"))


def _embedding(script: Script, chance: random.Random) -> None:
    script.tokens = 0


_KINDS: dict[str, tuple[int, Callable[[Script, random.Random], None]]] = {
    "plain": (22, _plain),
    "plain-uncounted": (5, _plain_uncounted),
    "plain-excess": (1, _plain_excess),
    "plain-broken": (2, _plain_broken),
    "plain-failing": (4, _failing),
    "plain-retried": (4, _retried),
    "embedding": (4, _embedding),
    "stream": (22, _stream),
    "stream-uncounted": (8, _stream_uncounted),
    "stream-running": (5, _stream_running),
    "stream-last": (4, _stream_last),
    "stream-long": (5, _stream_long),
    "stream-slow": (9, _stream_slow),
    "stream-retried": (2, _stream_retried),
    "stream-broken": (6, _stream_broken),
}


def _with(body: bytes, **changes: object) -> bytes:
    fields = json.loads(body)
    for name, value in changes.items():
        if value is ...:
            fields.pop(name, None)
        else:
            fields[name] = value
    return json.dumps(fields).encode()


_SPOILERS: list[Callable[[bytes], bytes]] = [
    lambda body: body[:-5],
    lambda body: b"",
    lambda body: b"[1, 2]",
    lambda body: b'"' + body,
    lambda body: b"\xff\xfe" + body,
    lambda body: _with(body, model=...),
    lambda body: _with(body, model="no-such-model"),
    lambda body: _with(body, model=7),
    lambda body: _with(body, messages=[], prompt=[], input=[]),
    lambda body: _with(body, stream_options={"include_usage": "perhaps"}, messages="hello", input=...),
]


class Client:
    """One caller with one connection at a time, until told to stop."""

    def __init__(self, port: int, drawer: Drawer, seen: list[Seen]) -> None:
        self._port = port
        self._drawer = drawer
        self._seen = seen
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, until: Callable[[], bool]) -> None:
        while not until():
            ask = self._drawer.draw()
            seen = Seen(ask.script.call, ask)
            self._seen.append(seen)
            began = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(HANG_SECONDS):
                    await self._call(ask, seen)
            except TimeoutError:
                seen.hung = True
                self._drop()
            except (ConnectionError, asyncio.IncompleteReadError, OSError):
                self._drop()
                await asyncio.sleep(0.02)
            seen.seconds = asyncio.get_running_loop().time() - began
            await asyncio.sleep(self._drawer.chance.random() * 0.03)
        self._drop()

    async def _call(self, ask: Ask, seen: Seen) -> None:
        if self._writer is None or self._drawer.chance.random() < 0.1:
            self._drop()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None
        assert self._writer is not None
        head = (
            f"POST {ask.path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {ask.key.secret}\r\n"
            f"content-type: application/json\r\nx-request-id: mine\r\ncontent-length: {len(ask.body)}\r\n\r\n"
        ).encode()
        seen.asked = time.time()
        self._writer.write(head + ask.body)
        again = None
        if ask.twice:
            again = Seen(seen.call, ask, asked=seen.asked)
            self._seen.append(again)
            self._writer.write(head + ask.body)
        hanging_up = None
        if ask.hang_up == 0:
            hanging_up = asyncio.get_running_loop().call_later(
                ask.hang_up_ms / 1000, self._hang_up, seen, again
            )
        try:
            await self._answer(ask, seen)
            if again is not None and self._writer is not None:
                await self._answer(ask, again)
        finally:
            if hanging_up is not None:
                hanging_up.cancel()

    async def _answer(self, ask: Ask, seen: Seen) -> None:
        reader = self._reader
        assert reader is not None
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:]) if n}
        seen.status = int(lines[0].split(" ")[1])
        seen.request_id = headers.get("x-request-id", "")
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
            self._read_whole(seen, headers, body)
        else:
            await self._read_stream(ask, seen, reader)
        if headers.get("connection") == "close" or not seen.status:
            self._drop()

    def _read_whole(self, seen: Seen, headers: dict[str, str], body: bytes) -> None:
        answer = json.loads(body)
        if seen.status != 200:
            seen.code = str((answer.get("error") or {}).get("code", ""))
            return
        seen.cost = int(headers["x-dure-cost-micro-won"])
        text = "".join(
            choice["text"] if "text" in choice else choice["message"]["content"]
            for choice in answer.get("choices", ())
        )
        seen.tokens = len(text) // len(TOKEN)
        seen.usage = _usage(answer.get("usage"))
        seen.whole = True

    async def _read_stream(self, ask: Ask, seen: Seen, reader: asyncio.StreamReader) -> None:
        rest = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            data = await reader.readexactly(size + 2)
            rest = self._events(seen, rest + data[:-2])
            if ask.slow_reader:
                await asyncio.sleep(0.01)
            if ask.hang_up > 0 and seen.tokens >= ask.hang_up:
                self._hang_up(seen, None)
                return
        await reader.readexactly(2)
        seen.whole = not seen.error_event and not rest

    def _events(self, seen: Seen, data: bytes) -> bytes:
        *events, rest = data.split(b"\n\n")
        for event in events:
            text = event.removeprefix(b"data: ")
            if text == b"[DONE]":
                continue
            try:
                chunk = json.loads(text)
            except ValueError:
                seen.error_event = True  # a half event that the break's message follows
                continue
            if "error" in chunk:
                seen.error_event = True
                continue
            seen.usage = _usage(chunk.get("usage")) or seen.usage
            for choice in chunk.get("choices", ()):
                if choice.get("text") or choice.get("delta", {}).get("content"):
                    seen.tokens += 1
        return rest

    def _hang_up(self, seen: Seen, again: Seen | None) -> None:
        if seen.whole or seen.status not in {0, 200}:
            return
        seen.hung_up = True
        if again is not None:
            again.hung_up = True
        if self._writer is not None:
            if seen.ask.hang_up_softly:
                self._writer.close()
            else:
                self._writer.transport.abort()
        self._reader = self._writer = None

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


def _usage(usage: dict | None) -> tuple[int, int, int] | None:
    if usage is None:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return usage["prompt_tokens"], usage.get("completion_tokens", 0), cached
