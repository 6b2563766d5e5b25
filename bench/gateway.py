"""The gateway's speed beside nginx as a plain proxy: one process each, the same mock provider, interleaved rounds.

    python bench/gateway.py [--rounds 3] [--seconds 4] [--connections 32] [--json FILE]

Ours runs with everything on that a request meets: key check, worst-case hold, journal (written and synced),
metrics. The ledger's side is in memory, since it is not in a request's path. nginx is measured where it is
installed. `wrk` drives both. CPU time of the proxy process is steadier than the clock on a shared machine.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

ANSWER_TEXT = "x" * 380
STREAM_CHUNKS = 50
CHUNK_INTERVAL_SECONDS = 0.02


# The mock provider: as cheap as a Python server can be, so that the proxy is what is measured.


class Upstream(asyncio.Protocol):
    PLAIN = b""
    EVENT = b""
    LAST = b""

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            length = int(re.search(rb"content-length: *(\d+)", head).group(1))
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            if b'"stream":true' in body.replace(b" ", b""):
                self.transport.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                self.step(0)
            else:
                self.transport.write(self.PLAIN)

    def step(self, count):
        if self.transport.is_closing():
            return
        if count < STREAM_CHUNKS:
            self.transport.write(self.EVENT)
            asyncio.get_running_loop().call_later(CHUNK_INTERVAL_SECONDS, self.step, count + 1)
        else:
            self.transport.write(self.LAST)


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def prepare_answers() -> None:
    base = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    body = json.dumps(
        {
            **base,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": ANSWER_TEXT},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 24, "completion_tokens": 95, "total_tokens": 119},
        }
    ).encode()
    Upstream.PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    piece = {
        **base,
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
    }
    Upstream.EVENT = chunked(b"data: %b\n\n" % json.dumps(piece).encode())
    last = {
        **base,
        "choices": [],
        "usage": {"prompt_tokens": 24, "completion_tokens": STREAM_CHUNKS, "total_tokens": 74},
    }
    Upstream.LAST = (
        chunked(b"data: %b\n\n" % json.dumps(last).encode()) + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    )


def serve_upstream(port: int) -> None:
    import uvloop

    prepare_answers()

    async def main():
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=16384)
        await server.serve_forever()

    uvloop.run(main())


def serve_gateway(port: int, upstream_port: int, folder: str) -> None:
    import signal

    import uvloop
    from tests.gateway.serving.world import Bank, WorkerConfig, World

    async def main():
        config = WorkerConfig(database_url="", journal_dir=folder)
        world = World(Path(folder), config, Bank(), "bench")
        world.port = await world.server.listen("127.0.0.1", port)
        world.provider.port = upstream_port
        world.populate(micro_won=10**17)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        while not stop.is_set():
            world.keeper.sweep()
            world.pools.sweep()
            world.gateway.tick()
            try:
                await asyncio.wait_for(stop.wait(), 0.1)
            except TimeoutError:
                pass

    if profile := os.environ.get("BENCH_PROFILE"):
        import cProfile

        profiler = cProfile.Profile()
        profiler.runcall(uvloop.run, main())
        profiler.dump_stats(profile)
    else:
        uvloop.run(main())


NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 20000; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 100000000;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{
    proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }} }}
}}
"""


def free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def nginx_worker(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


WRK_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
wrk.body = '{body}'
"""


def measure_plain(port: int, pid: int, options, folder: Path, key: str) -> dict:
    body = json.dumps(
        {
            "model": "small",
            "messages": [{"role": "user", "content": "Tell me a story " * 4}],
            "max_tokens": 100,
        }
    )
    script = folder / "plain.lua"
    script.write_text(WRK_SCRIPT.format(key=key, body=body))
    before = cpu_seconds(pid)
    out = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{options.connections}",
            f"-d{options.seconds}s",
            "--latency",
            "-s",
            script,
            f"http://127.0.0.1:{port}/v1/chat/completions",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    used = cpu_seconds(pid) - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    if "Non-2xx" in out:
        raise SystemExit(out)
    return {
        "requests_per_s": float(re.search(r"Requests/sec: *([\d.]+)", out).group(1)),
        "cpu_us_per_request": used / requests * 1e6,
        "p50": re.search(r"50% +(\S+)", out).group(1),
        "p99": re.search(r"99% +(\S+)", out).group(1),
    }


def measure_streams(port: int, pid: int, options, key: str) -> dict:
    before = cpu_seconds(pid)
    out = subprocess.run(
        [sys.executable, __file__, "streams", str(port), str(options.streams), key],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    chunks = int(out)
    return {"chunks": chunks, "cpu_us_per_chunk": (cpu_seconds(pid) - before) / chunks * 1e6}


def drive_streams(port: int, count: int, key: str) -> None:
    """Open `count` streams at once and read them to the end; prints the number of chunks seen."""
    import uvloop

    body = json.dumps(
        {"model": "small", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    ).encode()
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    seen = 0

    class Reader(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            self.ended = asyncio.get_running_loop().create_future()
            transport.write(request)

        def data_received(self, data):
            nonlocal seen
            seen += data.count(b"data: {")
            if data.endswith(b"0\r\n\r\n") and not self.ended.done():
                self.ended.set_result(None)
                self.transport.close()

    async def main():
        loop = asyncio.get_running_loop()
        readers = [(await loop.create_connection(Reader, "127.0.0.1", port))[1] for _ in range(count)]
        await asyncio.gather(*(reader.ended for reader in readers))

    uvloop.run(main())
    print(seen)


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "upstream":
        return serve_upstream(int(sys.argv[2]))
    if len(sys.argv) > 1 and sys.argv[1] == "gateway":
        return serve_gateway(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    if len(sys.argv) > 1 and sys.argv[1] == "streams":
        return drive_streams(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--json", type=Path)
    compare(parser.parse_args())
    return None


def compare(options) -> None:
    from tests.gateway.serving.world import KEY

    parts = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        upstream, ours, nginx = free_port(), free_port(), free_port()
        try:
            parts.append(subprocess.Popen([sys.executable, __file__, "upstream", str(upstream)]))
            wait_for(upstream)
            gateway = subprocess.Popen([sys.executable, __file__, "gateway", str(ours), str(upstream), name])
            parts.append(gateway)
            wait_for(ours)
            contenders = {"direct": (upstream, parts[0].pid), "dure": (ours, gateway.pid)}
            if shutil.which("nginx"):
                (folder / "nginx.conf").write_text(NGINX.format(folder=name, upstream=upstream, port=nginx))
                proxy = subprocess.Popen(["nginx", "-c", f"{name}/nginx.conf"])
                parts.append(proxy)
                wait_for(nginx)
                contenders["nginx"] = (nginx, nginx_worker(proxy.pid))
            results: dict = {label: {"plain": [], "streams": []} for label in contenders}
            for _ in range(options.rounds):
                for label, (port, pid) in contenders.items():
                    results[label]["plain"].append(measure_plain(port, pid, options, folder, KEY))
                    results[label]["streams"].append(measure_streams(port, pid, options, KEY))
        finally:
            for part in reversed(parts):
                part.terminate()
                part.wait()
    print(
        f"{'':8}{'requests/s':>12}{'CPU µs/request':>16}{'p50':>10}{'p99':>10}{'CPU µs/chunk':>14}   (medians)"
    )
    for label, rounds in results.items():
        plain, streams = rounds["plain"], rounds["streams"]
        middle = sorted(plain, key=lambda figures: figures["requests_per_s"])[len(plain) // 2]
        print(
            f"{label:8}{statistics.median(f['requests_per_s'] for f in plain):12,.0f}"
            f"{statistics.median(f['cpu_us_per_request'] for f in plain):16.1f}{middle['p50']:>10}{middle['p99']:>10}"
            f"{statistics.median(f['cpu_us_per_chunk'] for f in streams):14.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
