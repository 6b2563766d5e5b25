"""Dure's gateway beside nginx, Envoy, TensorZero, Portkey and LiteLLM: one run, interleaved rounds, ratios with their spread.

    make bench                                   # everything, about ten minutes
    make bench ARGS="--rounds 3 --only dure,nginx,envoy"
    .venv/bin/python bench/compare.py --json bench/results/compare.json --other-python /usr/bin/python3.13

One process each, the same mock provider, loopback. `wrk` drives plain calls on 32 connections and on one; a client of
our own reads 400 streams of 50 chunks, one each 20 ms. Ours runs with everything on that a request meets (see
`comparison/dure.py`); the proxies pass bytes on and know nothing of models, keys or money. CPU time of the proxy's
process is reported beside the clock, since it is steadier on a shared machine. A ratio is formed within each
round, and the table gives its median and its range. *dure-other-python* is ours on the interpreter that `--other-python`
names, of the same version and with the same packages.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison.contenders import CONTENDERS, NotHere, Start, dure
from comparison.interpreter import build
from comparison.load import Target, body, plain, streams
from comparison.processes import allow_many_descriptors, end, free_port, python, wait_for

STREAM_CHUNKS = 50
OTHER = "dure-other-python"
#: The others are too slow for hundreds of streams at once, or do not pass them on as they come.
STREAMING = {"direct", "dure", "dure-unlimited", OTHER, "nginx", "envoy", "tensorzero"}
RATIOS = [
    ("plain requests/s", "plain", "requests_per_s", "dure", "envoy"),
    ("plain requests/s", "plain", "requests_per_s", "dure", "nginx"),
    ("plain requests/s", "plain", "requests_per_s", "dure-unlimited", "envoy"),
    ("plain requests/s", "plain", "requests_per_s", "dure", "tensorzero"),
    ("plain requests/s", "plain", "requests_per_s", "dure", "portkey"),
    ("plain requests/s", "plain", "requests_per_s", "dure", "litellm"),
    ("CPU per plain request", "plain", "cpu_us_per_request", "dure", "nginx"),
    ("CPU per plain request", "plain", "cpu_us_per_request", "dure", "envoy"),
    ("CPU per streamed chunk", "streams", "cpu_us_per_chunk", "dure", "nginx"),
    ("CPU per streamed chunk", "streams", "cpu_us_per_chunk", "dure", "envoy"),
    ("added latency p50, one connection", "single", "added_p50_us", "dure", "nginx"),
    ("added latency p99, one connection", "single", "added_p99_us", "dure", "nginx"),
]
RATIOS += [(what, load, figure, OTHER, other) for what, load, figure, one, other in RATIOS if one == "dure"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--only", default="", help="names of contenders, separated by commas")
    parser.add_argument("--other-python", default="", help="an interpreter on which ours runs besides")
    parser.add_argument("--json", type=Path, default=Path("bench/results/compare.json"))
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: `apt-get install wrk`")
    allow_many_descriptors()
    if options.other_python:
        CONTENDERS[OTHER] = partial(dure, interpreter=options.other_python)
    names = [name for name in CONTENDERS if not options.only or name in {OTHER, *options.only.split(",")}]
    with tempfile.TemporaryDirectory(prefix="dure-bench-") as name, ExitStack() as stack:
        results, versions = compare(names, options, stack, Path(name))
    report = {"machine": machine(options.other_python), "versions": versions, "options": {
        "rounds": options.rounds, "seconds": options.seconds, "connections": options.connections, "streams": options.streams,
    }, "rounds": results, "ratios": ratios(results)}  # fmt: skip
    show(report)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten to {options.json}")


def compare(names: list[str], options, stack: ExitStack, folder: Path) -> tuple[dict, dict]:
    provider_port = free_port()
    provider = python("-m", "comparison.provider", provider_port, "--chunks", STREAM_CHUNKS)
    stack.callback(end, provider)
    wait_for(provider_port, provider)
    targets = {"direct": Target(provider_port, provider.pid)}
    for name in names:
        own = folder / name
        own.mkdir()
        folder.chmod(0o755)
        try:
            targets[name] = CONTENDERS[name](Start(own, provider_port, stack))
            warm(targets[name])
        except NotHere as reason:
            print(f"{name}: left out: {reason}", file=sys.stderr)
    results: dict[str, dict[str, list]] = {
        name: {"plain": [], "single": [], "streams": []} for name in targets
    }
    for number in range(options.rounds):
        for name, target in targets.items():
            print(f"round {number + 1} of {options.rounds}: {name}   ", end="\r", file=sys.stderr, flush=True)
            measure(name, target, results, options, folder)
    print(" " * 60, end="\r", file=sys.stderr)
    return results, installed_versions(names)


def warm(target: Target) -> None:
    """The first answer; what loads its parts then may take seconds."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{target.port}{target.path}",
        data=body(target, stream=False).encode(),
        headers={"content-type": "application/json", **target.headers},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def measure(name: str, target: Target, results: dict, options, folder: Path) -> None:
    plain(target, folder, connections=options.connections, seconds=1)  # warm
    mine = results[name]
    mine["plain"].append(plain(target, folder, connections=options.connections, seconds=options.seconds))
    single = plain(target, folder, connections=1, seconds=max(1, options.seconds // 2))
    if name != "direct":
        direct = results["direct"]["single"][-1]
        for part in ("p50", "p99"):
            single[f"added_{part}_us"] = single[f"{part}_us"] - direct[f"{part}_us"]
    mine["single"].append(single)
    if name in STREAMING:
        mine["streams"].append(streams(target, count=options.streams, chunks=STREAM_CHUNKS))


def ratios(results: dict) -> list[dict]:
    found = []
    for what, load, figure, one, other in RATIOS:
        ours, theirs = (results.get(name, {}).get(load) or [] for name in (one, other))
        values = [a[figure] / b[figure] for a, b in zip(ours, theirs, strict=False) if b.get(figure, 0) > 0]
        if values:
            found.append({"what": what, "of": f"{one} / {other}", "median": statistics.median(values),
                          "least": min(values), "most": max(values)})  # fmt: skip
    return found


def machine(other_python: str) -> dict:
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "python_build": build(),
        **({"other_python_build": build_of(other_python)} if other_python else {}),
        "load_average": os.getloadavg()[0],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def build_of(interpreter: str) -> str:
    command = "import platform; from comparison.interpreter import build; print(platform.python_version(), build(), sep=', ')"
    told = python("-c", command, interpreter=interpreter, stdout=subprocess.PIPE, text=True)
    return told.communicate()[0].strip()


def installed_versions(names: list[str]) -> dict[str, str]:
    from comparison.contenders import PORTKEY, VERSIONS

    known = {**VERSIONS, "portkey": PORTKEY}
    if shutil.which("nginx"):
        told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr
        known["nginx"] = told.strip().removeprefix("nginx version: ")
    return {name: known[name] for name in names if name in known}


def middle(rounds: list[dict], figure: str) -> float | None:
    values = [one[figure] for one in rounds if figure in one]
    return statistics.median(values) if values else None


def show(report: dict) -> None:
    print(f"Python {report['machine']['python']}, {report['machine']['python_build']}")
    if "other_python_build" in report["machine"]:
        print(f"{OTHER}: {report['machine']['other_python_build']}")
    columns = [
        ("requests/s", "plain", "requests_per_s", ",.0f"),
        ("CPU µs/request", "plain", "cpu_us_per_request", ",.1f"),
        ("p50 µs, 1 conn.", "single", "p50_us", ",.0f"),
        ("p99 µs, 1 conn.", "single", "p99_us", ",.0f"),
        ("CPU µs/chunk", "streams", "cpu_us_per_chunk", ",.1f"),
        ("p99 gap ms", "streams", "gap_p99_ms", ",.1f"),
    ]
    print(f"{'median of rounds':18}" + "".join(f"{title:>17}" for title, *_ in columns))
    for name, rounds in report["rounds"].items():
        cells = [middle(rounds[load], figure) for _, load, figure, _ in columns]
        print(f"{name:18}" + "".join(
            f"{'' if cell is None else format(cell, form):>17}" for cell, (*_, form) in zip(cells, columns, strict=True)
        ))  # fmt: skip
    print()
    for one in report["ratios"]:
        print(
            f"{one['what']:36}{one['of']:34}{one['median']:8.2f}   ({one['least']:.2f} to {one['most']:.2f})"
        )


if __name__ == "__main__":
    main()
