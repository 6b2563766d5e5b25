"""The mock provider of the measurements: as cheap as a Python server can be, so that the proxy is what is measured.

    python -m comparison.provider PORT [--chunks 50] [--interval-ms 20]

Answers every POST with one chat completion of about 700 bytes, or with a stream of `--chunks` events, one each
`--interval-ms`, then usage and `[DONE]`.
"""

import argparse
import asyncio
import json
import re
import sys

ANSWER_TEXT = "x" * 380
_LENGTH = re.compile(rb"content-length: *(\d+)")


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Answers:
    """What is sent, made once."""

    def __init__(self, chunks: int) -> None:
        base = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
        message = {"role": "assistant", "content": ANSWER_TEXT}
        usage = {"prompt_tokens": 24, "completion_tokens": 95, "total_tokens": 119}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps({**base, "choices": [choice], "usage": usage}).encode()
        self.plain = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        self.stream_head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        base["object"] = "chat.completion.chunk"
        piece = {
            **base,
            "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
            "usage": None,
        }
        self.event = _chunked(b"data: %b\n\n" % json.dumps(piece).encode())
        usage = {"prompt_tokens": 24, "completion_tokens": chunks, "total_tokens": 24 + chunks}
        last = {**base, "choices": [], "usage": usage}
        self.last = (
            _chunked(b"data: %b\n\n" % json.dumps(last).encode())
            + _chunked(b"data: [DONE]\n\n")
            + b"0\r\n\r\n"
        )


class Connection(asyncio.Protocol):
    answers: Answers
    chunks = 50
    interval = 0.02

    def connection_made(self, transport):
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            told = _LENGTH.search(self.buffer[:end].lower())
            if told is not None:
                whole = end + 4 + int(told.group(1))
            else:  # chunked; nobody here sends a second request before the answer
                whole = len(self.buffer) if self.buffer.endswith(b"\r\n0\r\n\r\n") else sys.maxsize
            if len(self.buffer) < whole:
                return
            body = self.buffer[end + 4 : whole]
            self.buffer = self.buffer[whole:]
            if b'"stream":true' in body.replace(b" ", b""):
                self.transport.write(self.answers.stream_head)
                self.due = self.loop.time()
                self.step(0)
            else:
                self.transport.write(self.answers.plain)

    def step(self, count):
        if self.transport.is_closing():
            return
        if count < self.chunks:
            self.transport.write(self.answers.event)
            self.due += self.interval
            self.loop.call_at(self.due, self.step, count + 1)
        else:
            self.transport.write(self.answers.last)


def main() -> None:
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--chunks", type=int, default=50)
    parser.add_argument("--interval-ms", type=float, default=20)
    options = parser.parse_args()
    Connection.answers = Answers(options.chunks)
    Connection.chunks, Connection.interval = options.chunks, options.interval_ms / 1000

    async def serve():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Connection, "127.0.0.1", options.port, backlog=16384)
        await server.serve_forever()

    uvloop.run(serve())


if __name__ == "__main__":
    main()
