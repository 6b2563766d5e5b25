"""How far one gateway process goes: open streams, a large directory, a second process, the time until it is ready.

    .venv/bin/python bench/scale.py                          # all of it, about three minutes
    .venv/bin/python bench/scale.py --only streams --streams 9000
    .venv/bin/python bench/scale.py --only directory,ready,workers

`streams` opens many streams that get a chunk each second, and prints what each weighs and the gaps between its chunks.
`directory` compares one award and one key with 1,000 awards and 100,000 keys, in interleaved rounds, calls spread
over 100 of the awards. `ready` times a start with the large directory. `workers` compares a node of two
workers with a node of one. Where no two cores are free beside what makes and answers the calls, each worker is held to a
part of a core (`--share 0.2`, by control groups), so that what is compared is what two workers do with twice the processor.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison.dure import Dure
from comparison.load import Target, plain, streams
from comparison.processes import (
    Share,
    allow_many_descriptors,
    cpu_seconds,
    end,
    free_port,
    python,
    resident_bytes,
    wait_for,
)

AWARDS, KEYS = 1_000, 100_000


class World:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self._made = 0

    def provider(self, **options: object) -> int:
        port = free_port()
        flags = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        process = python("-m", "comparison.provider", port, *flags)
        self.stack.callback(end, process)
        wait_for(port, process)
        return port

    def dure(self) -> Dure:
        self._made += 1
        folder = self.folder / f"dure-{self._made}"
        folder.mkdir()
        return Dure(folder, self.stack)


def open_streams(world: World, options) -> dict:
    """Every stream open at once; each gets `chunks` chunks, one a second."""
    chunks = 12
    ours = world.dure()
    (secret,) = ours.populate(world.provider(chunks=chunks, interval_ms=1000))
    process, port, _ = ours.worker()
    target = ours.target(process, port, secret)
    streams(target, count=50, chunks=chunks)  # what the first streams bring along is not theirs
    before, most = resident_bytes(process.pid), 0
    driver_ended = False

    def watch() -> None:
        nonlocal most
        while not driver_ended:
            most = max(most, resident_bytes(process.pid))
            time.sleep(0.25)

    import threading

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        seen = streams(target, count=options.streams, chunks=chunks)
    finally:
        driver_ended = True
        watcher.join()
    return {
        "streams": options.streams,
        "kib_per_stream": (most - before) / options.streams / 1024,
        "gap_p50_ms": seen["gap_p50_ms"],
        "gap_p99_ms": seen["gap_p99_ms"],
        "gap_max_ms": seen["gap_max_ms"],
    }


def directory(world: World, options) -> dict:
    """The large directory beside the smallest, the same calls."""
    provider = world.provider()
    sides: dict[str, list[Target]] = {}
    figures: dict[str, object] = {}
    for name, awards, keys in (("small", 1, 1), ("large", AWARDS, KEYS)):
        ours = world.dure()
        secrets = ours.populate(provider, awards=awards, keys=keys)
        process, port, ready = ours.worker()
        sides[name] = [ours.target(process, port, secret) for secret in secrets[:100]]
        figures[f"{name}_ready_s"] = ready
        figures[f"{name}_mib"] = resident_bytes(process.pid) / (1 << 20)
    rates: dict[str, list[float]] = {name: [] for name in sides}
    costs: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.rounds):
        for name, targets in sides.items():
            target = targets[number % len(targets)]
            told = plain(target, world.folder, connections=32, seconds=options.seconds)
            rates[name].append(told["requests_per_s"])
            costs[name].append(told["cpu_us_per_request"])
    of_rates = [large / small for large, small in zip(rates["large"], rates["small"], strict=True)]
    of_costs = [large / small for large, small in zip(costs["large"], costs["small"], strict=True)]
    return figures | {
        "awards": AWARDS,
        "keys": KEYS,
        "requests_ratio": statistics.median(of_rates),
        "requests_ratio_range": [min(of_rates), max(of_rates)],
        "cpu_ratio": statistics.median(of_costs),
    }


def ready(world: World, options) -> dict:
    """From starting the process to its first 200 on /readyz, with the large directory."""
    ours = world.dure()
    ours.populate(world.provider(), awards=AWARDS, keys=KEYS)
    times = []
    for _ in range(options.rounds):
        process, _, seconds = ours.worker()
        times.append(seconds)
        end(process)
    return {"keys": KEYS, "median_s": statistics.median(times), "most_s": max(times)}


def workers(world: World, options) -> dict:
    """One worker and two, each with its shipper at work."""
    provider = world.provider()
    rates: dict[int, list[float]] = {1: [], 2: []}
    costs: dict[int, list[float]] = {1: [], 2: []}
    nodes = {}
    shares: list[Share] = []
    # When all has ended: a control group that holds a process is not to be removed.
    world.stack.callback(lambda: [share.remove() for share in shares])
    for count in rates:
        ours = world.dure()
        (secret,) = ours.populate(provider)
        process, port, pids = ours.node(count)
        nodes[count] = ours.target(process, port, secret)
        for pid in pids if options.share < 1 else ():
            shares.append(Share(f"dure-bench-{pid}", options.share))
            shares[-1].hold(pid)
    for _ in range(options.rounds):
        for count, target in nodes.items():
            before = cpu_seconds(target.pid)
            told = plain(target, world.folder, connections=64, seconds=options.seconds)
            rates[count].append(told["requests_per_s"])
            costs[count].append(told["cpu_us_per_request"])
            assert cpu_seconds(target.pid) > before
    ratios = [two / one for two, one in zip(rates[2], rates[1], strict=True)]
    return {
        "cores": os.cpu_count(),
        "of_a_core_each": options.share,
        "requests_per_s": {n: statistics.median(values) for n, values in rates.items()},
        "requests_ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "cpu_us_per_request_with_shipper": {n: statistics.median(values) for n, values in costs.items()},
    }


PARTS = {"streams": open_streams, "directory": directory, "ready": ready, "workers": workers}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--streams", type=int, default=9000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--share", type=float, default=1.0, help="part of a core for each of the workers compared"
    )
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("bench/results/scale.json"))
    options = parser.parse_args()
    allow_many_descriptors()
    results = {}
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory(prefix="dure-bench-") as folder, ExitStack() as stack:
            Path(folder).chmod(0o755)
            results[name] = PARTS[name](World(Path(folder), stack), options)
        print(f"{name}: {json.dumps(results[name], indent=1)}", flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
