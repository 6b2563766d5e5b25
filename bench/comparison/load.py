"""The loads: as many plain calls as go (`wrk`), one call after another, and many streams at once."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from .processes import ENVIRONMENT, cpu_seconds

PROMPT = "Tell me a story " * 4
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}
_WRK = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
{headers}
"""


class Target(NamedTuple):
    """Where a contender listens and what it has to be told. `pid` is whose CPU time counts."""

    port: int
    pid: int
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = {}
    model: str = "small"


def body(target: Target, *, stream: bool) -> str:
    message = {"role": "user", "content": PROMPT}
    call: dict = {"model": target.model, "messages": [message], "max_tokens": 100}
    if stream:
        call |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(call)


def plain(target: Target, folder: Path, *, connections: int, seconds: int) -> dict[str, float]:
    """Requests per second, CPU time per request of the target, and latencies, by wrk on `connections`."""
    headers = {"content-type": "application/json", **target.headers}
    lines = "\n".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items())
    script = folder / f"plain-{target.port}.lua"
    script.write_text(_WRK.format(body=body(target, stream=False), headers=lines))
    before = cpu_seconds(target.pid)
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", script,
        f"http://127.0.0.1:{target.port}{target.path}",
    ]  # fmt: skip
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(target.pid) - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    if "Non-2xx" in out or not requests:
        raise SystemExit(out)
    return {
        "requests_per_s": float(re.search(r"Requests/sec: *([\d.]+)", out).group(1)),
        "cpu_us_per_request": used / requests * 1e6,
        "p50_us": _micros(re.search(r"50% +([\d.]+)(\w+)", out)),
        "p99_us": _micros(re.search(r"99% +([\d.]+)(\w+)", out)),
    }


def _micros(found: re.Match) -> float:
    return float(found.group(1)) * _UNITS[found.group(2)]


def streams(target: Target, *, count: int, chunks: int) -> dict[str, float]:
    """`count` streams at once: CPU time per chunk of the target, and the gaps between chunks as clients see them."""
    before = cpu_seconds(target.pid)
    command = [sys.executable, "-m", "comparison.load", json.dumps({**target._asdict(), "count": count})]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout
    used = cpu_seconds(target.pid) - before
    seen = json.loads(out)
    if seen["chunks"] < count * chunks:
        raise SystemExit(f"only {seen['chunks']} of {count * chunks} chunks arrived: {seen}")
    return {"cpu_us_per_chunk": used / seen["chunks"] * 1e6, **seen}


class _Reader(asyncio.Protocol):
    """Counts chunks and notes when each piece came."""

    def __init__(self, request: bytes, gaps: list[float]) -> None:
        self.request = request
        self.gaps = gaps
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self.chunks = 0
        self.last_at = 0.0
        self.tail = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        now = self.loop.time()
        if self.chunks:
            self.gaps.append(now - self.last_at)
        self.last_at = now
        self.chunks += data.count(b"data: {") + data.count(b"data:{")
        self.tail = (self.tail + data)[-64:]
        if self.tail.endswith(b"0\r\n\r\n"):
            self.end()

    def end(self):
        if not self.ended.done():
            self.ended.set_result(None)
        self.transport.close()

    def connection_lost(self, exc):
        if not self.ended.done():
            self.ended.set_result(None)


async def _drive(target: Target, count: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    text = body(target, stream=True).encode()
    headers = {"host": "127.0.0.1", "content-type": "application/json", **target.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST {target.path} HTTP/1.1\r\n{head}content-length: {len(text)}\r\n\r\n".encode() + text
    gaps: list[float] = []
    readers = []
    for _ in range(count):
        _, reader = await loop.create_connection(lambda: _Reader(request, gaps), "127.0.0.1", target.port)
        readers.append(reader)
    await asyncio.gather(*(reader.ended for reader in readers))
    gaps.sort()
    return {
        "chunks": sum(reader.chunks for reader in readers),
        "gap_p50_ms": gaps[len(gaps) // 2] * 1e3,
        "gap_p99_ms": gaps[len(gaps) * 99 // 100] * 1e3,
        "gap_max_ms": gaps[-1] * 1e3,
    }


def main() -> None:
    import uvloop

    from .processes import allow_many_descriptors

    allow_many_descriptors()
    wish = json.loads(sys.argv[1])
    count = wish.pop("count")
    print(json.dumps(uvloop.run(_drive(Target(**wish), count))))


if __name__ == "__main__":
    main()
