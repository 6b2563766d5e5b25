"""A model provider that is never killed and keeps its own meter: what it really sent, per request id.

It knows nothing of the gateway. A caller's script travels in the body's `user` field, as JSON, and says how
the answer goes: how many tokens, in which pieces, with or without usage, and where it breaks. Every
token is four bytes of text, so that a count by bytes and a count by events agree.

    python -m chaos.provider        prints its port, then serves until its standard input ends

`GET /meter?after=N` answers `{"open": requests under way, "entries": [...]}` with the entries from the N-th on.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass

TOKEN = "tok "


@dataclass
class Entry:
    """One attempt at one request. `sent` counts content tokens; `reported` is the last usage that was sent
    (prompt, completion, cached); `finished` says that the answer's last byte went out."""

    request_id: str
    call: str
    kind: str
    status: int = 0
    sent: int = 0
    reported: tuple[int, int, int] | None = None
    usage: str = ""
    finished: bool = False
    broke: bool = False
    cut: bool = False
    over: bool = False
    began: float = 0.0  # heard of it, and had sent all of it: seconds since 1970
    ended: float = 0.0


class Cut(Exception):
    """The caller has closed the connection."""


@dataclass
class Script:
    """How one answer goes; see `clients.py` for the scripts that are drawn."""

    call: str = ""
    kind: str = "plain"
    tokens: int = 10
    prompt: int = 20
    cached: int = 0
    usage: str = "end"  # end | last | running | none
    excess: int = 0
    first_ms: int = 0
    gap_ms: int = 0
    burst: int = 1
    split: bool = False
    done: bool = True
    chunked: bool = False
    status: int = 200
    fail_times: int = 0
    fail_how: str = ""  # a status, or "close"
    break_after: int = -1
    break_how: str = ""  # close | reset | half | event
    reuse: bool = True


class Provider:
    def __init__(self) -> None:
        self.meter: list[Entry] = []
        self.open = 0
        self._attempts: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                _, path, _ = head[0].split(" ")
                headers = {
                    n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:]) if n
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if path.startswith("/meter"):
                    await self._tell(writer, int(path.rpartition("=")[2]))
                elif not await self._serve(path, headers, json.loads(body), reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, Cut):
            pass
        finally:
            writer.close()

    async def _tell(self, writer: asyncio.StreamWriter, after: int) -> None:
        report = {"open": self.open, "entries": [asdict(entry) for entry in self.meter[after:]]}
        writer.write(_whole(200, json.dumps(report).encode()))
        await writer.drain()

    async def _serve(
        self, path: str, headers: dict, body: dict, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection may be used again."""
        script = Script(**json.loads(body["user"]))
        request_id = headers["x-request-id"]
        entry = Entry(request_id, script.call, script.kind, usage=script.usage, over=script.excess > 0)
        entry.began = time.time()
        self.meter.append(entry)
        attempt = self._attempts[request_id] = self._attempts.get(request_id, 0) + 1
        answer = Answer(script, entry, body, path.rpartition("/v1/")[2], reader, writer)
        self.open += 1
        try:
            return await answer.give(failing=attempt <= script.fail_times)
        except (ConnectionError, Cut):
            entry.cut = True
            raise Cut from None
        finally:
            self.open -= 1


class Answer:
    """One answer as its script says."""

    def __init__(
        self,
        script: Script,
        entry: Entry,
        body: dict,
        endpoint: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.script = script
        self.entry = entry
        self.body = body
        self.endpoint = endpoint
        self.reader = reader
        self.writer = writer
        self.chance = random.Random(script.call)

    async def give(self, *, failing: bool) -> bool:
        script, entry = self.script, self.entry
        await self._pause(script.first_ms)
        if failing and script.fail_how == "close":
            entry.broke = True
            return False
        status = int(script.fail_how) if failing else script.status
        entry.status = status
        if status != 200:
            error = {"error": {"message": "as the script says", "type": "server_error", "code": "scripted"}}
            await self._write(_whole(status, json.dumps(error).encode(), "retry-after: 1\r\n"), last=True)
        elif self.endpoint == "embeddings":
            await self._embedding()
        elif self.body.get("stream"):
            await self._stream()
        else:
            await self._plain()
        return not entry.broke and script.reuse

    # Whole answers

    def _usage(self, completion: int) -> dict:
        script = self.script
        prompt = script.prompt + script.excess
        self.entry.reported = (prompt, completion, script.cached)
        usage: dict = {"prompt_tokens": prompt, "total_tokens": prompt + completion}
        if self.endpoint != "embeddings":
            usage["completion_tokens"] = completion
        if script.cached:
            usage["prompt_tokens_details"] = {"cached_tokens": script.cached}
        return usage

    async def _embedding(self) -> None:
        answer = {
            "object": "list",
            "data": [{"index": 0, "embedding": [0.25, -0.5]}],
            "usage": self._usage(0),
        }
        await self._whole_answer(json.dumps(answer).encode())

    async def _plain(self) -> None:
        script = self.script
        text = TOKEN * script.tokens
        choice = {"text": text} if self.endpoint == "completions" else {"message": {"content": text}}
        answer: dict = {"id": "x", "choices": [{"index": 0, **choice, "finish_reason": "stop"}]}
        if script.usage != "none":
            answer["usage"] = self._usage(script.tokens)
        await self._whole_answer(json.dumps(answer).encode())

    async def _whole_answer(self, body: bytes) -> None:
        script = self.script
        data = _chunked_whole(body) if script.chunked else _whole(200, body)
        if script.break_after >= 0:
            await self._write(data[: len(data) - 1 - self.chance.randrange(len(body))])
            await self._break("reset" if script.break_how == "reset" else "close")
            return
        self.entry.sent = script.tokens
        if script.split:
            at = self.chance.randrange(1, len(data))
            await self._write(data[:at])
            await self._pause(script.gap_ms or 2)
            data = data[at:]
        await self._write(data, last=True)

    # Streams

    def _event(self, number: int) -> bytes:
        piece = {"text": TOKEN} if self.endpoint == "completions" else {"delta": {"content": TOKEN}}
        chunk: dict = {"id": "x", "choices": [{"index": 0, **piece, "finish_reason": None}]}
        if self.script.usage == "running":
            chunk["usage"] = self._usage(number)
        elif self.script.usage == "end" and self.chance.random() < 0.5:
            chunk["usage"] = None
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    async def _stream(self) -> None:
        script, entry = self.script, self.entry
        await self._write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        sent = 0
        while sent < script.tokens:
            if 0 <= script.break_after <= sent:
                await self._break_stream(sent)
                return
            count = min(script.burst, script.tokens - sent)
            if script.break_after >= 0:
                count = min(count, script.break_after - sent)
            data = b"".join(self._event(sent + number + 1) for number in range(count))
            if script.split and len(data) > 2:
                at = self.chance.randrange(1, len(data) - 1)
                await self._chunk(data[:at])
                await self._pause(1)
                data = data[at:]
            sent += count
            entry.sent = sent  # counted as soon as it may have left
            await self._chunk(data)
            await self._pause(script.gap_ms)
        if script.break_after >= 0:
            await self._break_stream(sent)
            return
        await self._end_stream(sent)

    async def _end_stream(self, sent: int) -> None:
        script = self.script
        last: dict = {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        events = []
        if script.usage in {"last", "running"}:
            last["usage"] = self._usage(sent)
        events.append(last)
        if script.usage == "end":
            events.append({"id": "x", "choices": [], "usage": self._usage(sent)})
        data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
        if script.done:
            data += b"data: [DONE]\n\n"
        if script.split:
            at = self.chance.randrange(1, len(data) - 1)
            await self._chunk(data[:at])
            await self._pause(1)
            data = data[at:]
        if self.chance.random() < 0.5 and script.done:
            await self._write(b"%x\r\n%b\r\n" % (len(data), data), last=True)
            await self._write(b"0\r\n\r\n")
        else:
            await self._write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data), last=True)

    async def _break_stream(self, sent: int) -> None:
        how = self.script.break_how
        if how == "event":
            self.entry.broke = True
            await self._chunk(b'data: {"error": {"message": "out of memory", "code": "scripted"}}\n\n')
            await self._write(b"0\r\n\r\n")
            return
        if how == "half":
            await self._chunk(self._event(sent + 1)[:-9])
        await self._break("reset" if how == "reset" else "close")

    # Bytes

    async def _break(self, how: str) -> None:
        self.entry.broke = True
        if how == "reset":
            self.writer.transport.abort()
        else:
            self.writer.close()

    async def _chunk(self, data: bytes) -> None:
        await self._write(b"%x\r\n%b\r\n" % (len(data), data))

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        if self.reader.at_eof() or self.writer.transport.is_closing():
            raise Cut
        if last and not self.entry.finished:
            self.entry.ended = time.time()
        self.writer.write(data)
        self.entry.finished = self.entry.finished or last  # before waiting: it may have arrived already
        await self.writer.drain()

    async def _pause(self, milliseconds: float) -> None:
        if milliseconds:
            await asyncio.sleep(milliseconds / 1000)


def _whole(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _chunked_whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def main() -> None:
    provider = Provider()
    server = await asyncio.start_server(provider.connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
