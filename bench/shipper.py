"""How fast one shipper brings a journal into PostgreSQL.

    .venv/bin/python bench/shipper.py [--records 400000] [--awards 1000] [--folders 1] [--batch 25000]
    .venv/bin/python bench/shipper.py --doors json,columns --rounds 3 [--history 5000000]

Starts a PostgreSQL of its own, grants the awards, writes journals as a gateway process would (opened and
closed for each call), and times one shipper process from its start to the last record posted. Decoding
alone is timed too. With several doors it takes turns and says the ratio; with a history the table of records
is that long before the first. Everything is checked: as many records as were written, and the money adds up.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from dure.contracts import gateway_api
from dure.contracts.ids import uuid7
from dure.contracts.usage import UsageRecord
from dure.gateway.app import shipper as shipper_module
from dure.gateway.app.shipper import Shipper, ShipperConfig
from dure.gateway.io.journal import segment_path
from dure.gateway.io.journal_tail import JournalTail
from dure.gateway.io.usage_poster import Batch
from dure.gateway.protocol import journal
from gateway.database import Ledger, Postgres, postgres

COST = 10_320
METERS = {"input": 120_000_000, "output": 480_000_000}
MODELS = ["smollm2-135m-instruct", "hyperscale-32b", "embedding-small"]


def write_journal(root: Path, process: UUID, awards: list[UUID], records: int, seed: int) -> int:
    """A closed journal of `records` calls spread over the awards at random; its size in bytes."""
    folder = root / str(process)
    folder.mkdir()
    chance = random.Random(seed)
    key, deployment, provider, price = (uuid7() for _ in range(4))
    now = time.time_ns() // 1000
    segment, size, total = 1, 0, 0
    file = segment_path(folder, segment).open("wb", buffering=1 << 20)
    file.write(journal.encode_header(process, segment, created_at=now))
    for sequence in range(1, records + 1):
        call = {
            "request_id": uuid7(), "award": chance.choice(awards), "key": key, "model": chance.choice(MODELS),
            "deployment": deployment, "provider": provider, "price": price, "endpoint": "chat.completions",
            "streamed": True, "opened_at": now + sequence,
        }  # fmt: skip
        opened = journal.Opened(**call, estimated_input_tokens=40, meters=METERS, hold_micro_won=90_000)
        closed = UsageRecord(
            **call, sequence=sequence, status="completed", http_status=200, estimated=False, input_tokens=38,
            output_tokens=12, cached_tokens=0, cost_micro_won=COST, closed_at=now + sequence + 250_000,
            first_byte_at=now + sequence + 90_000,
        )  # fmt: skip
        size += file.write(journal.encode_opened(opened)) + file.write(journal.encode_closed(closed))
        if size > 64 << 20:
            file.close()
            total, size, segment = total + size, 0, segment + 1
            file = segment_path(folder, segment).open("wb", buffering=1 << 20)
            file.write(journal.encode_header(process, segment, created_at=now))
    file.close()
    return total + size


def decode_only(folder: Path) -> float:
    """Seconds to read the whole journal into batches."""
    tail = JournalTail(folder, after=0)
    tail.ended = True
    began = time.perf_counter()
    while tail.read(max_records=10_000, max_bytes=8 << 20):
        pass
    return time.perf_counter() - began


async def ship(config: ShipperConfig) -> None:
    shipper = Shipper(replace(config, stop_grace_seconds=600))
    shipper.stop()  # all processes are dead: post everything and end
    await shipper.run()


def database_cpu_seconds(server: Postgres) -> float:
    """Of all its processes, those that have ended too: steadier than the clock on a busy machine."""
    ticks = 0
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in [str(server.pid), *children]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15] if pid == str(server.pid) else fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


class JsonBatch(Batch):
    """As gateways of earlier releases post."""

    def __init__(self) -> None:
        super().__init__()
        self._writer = None


DOORS = {"columns": Batch, "json": JsonBatch}

#: Calls of the last thirty days, in the order of their ids, over the awards at random.
HISTORY = """
INSERT INTO settlement_usagerecord (request_id, closed_at, opened_at, process_id, sequence, award_id, key_id, model,
    deployment_id, provider_id, price_id, endpoint, status, http_status, streamed, estimated, input_tokens, output_tokens,
    cached_tokens, cost_micro_won, uncovered_micro_won, attempts, error_code)
SELECT uuidv7(at - now()), at, at, %(process)s, n, (%(awards)s::uuid[])[1 + (random() * (cardinality(%(awards)s::uuid[]) - 1))::int],
    %(process)s, 'hyperscale-32b', %(process)s, %(process)s, %(process)s, 'chat.completions', 'completed', 200, true, false,
    38, 12, 0, 0, 0, 1, ''
FROM (SELECT n, now() - interval '30 days' * (1 - n / %(count)s::float8) AS at FROM generate_series(1, %(count)s) n) past
"""


def run(
    server: Postgres, root: Path, options: argparse.Namespace, door: str = "columns"
) -> dict[str, object]:
    shipper_module.Batch = DOORS[door]  # type: ignore[misc]
    ledger = Ledger(server.dsn)
    per_folder = options.records // options.folders
    awards = [ledger.grant(options.records * COST * 2) for _ in range(options.awards)]
    if options.history:
        ledger.connection.execute(HISTORY, {"process": uuid7(), "awards": awards, "count": options.history})
        ledger.connection.execute("VACUUM ANALYZE settlement_usagerecord")
        options.history = 0
    processes = [uuid7() for _ in range(options.folders)]
    journal_bytes = 0
    for number, process in enumerate(processes):
        ledger.connection.execute(gateway_api.START_PROCESS, (process, "bench", os.getpid(), "bench"))
        for award in awards:
            needed = per_folder * COST // 64
            ledger.connection.execute(
                gateway_api.LEASE, (process, award, uuid7(), max(needed, per_folder * COST // 100))
            )
        journal_bytes += write_journal(root, process, awards, per_folder, number)
    decode_seconds = decode_only(root / str(processes[0]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    database_used = database_cpu_seconds(server)
    began = time.perf_counter()
    asyncio.run(
        ship(
            ShipperConfig(
                root, server.gateway_dsn, batch_records=options.batch, batch_bytes=options.batch * 1000
            )
        )
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    database_used = database_cpu_seconds(server) - database_used
    posted = sum(len(ledger.usage(process)) for process in processes)
    assert posted == per_folder * options.folders, posted
    assert all(ledger.finished(process) for process in processes)
    left = sum(ledger.balance(award, "award") for award in awards)
    assert left == options.awards * options.records * COST * 2 - posted * COST
    ledger.close()
    return {
        "door": door,
        "records": posted,
        "awards": options.awards,
        "folders": options.folders,
        "batch_records": options.batch,
        "journal_bytes_per_record": round(journal_bytes / posted),
        "records_per_s": round(posted / seconds),
        "seconds": round(seconds, 2),
        "shipper_cpu_us_per_record": round(
            (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) / posted * 1e6, 2
        ),
        "database_cpu_us_per_record": round(database_used / posted * 1e6, 2),
        "decode_only_records_per_s": round(per_folder / decode_seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--awards", type=int, default=1000)
    parser.add_argument("--folders", type=int, default=1)
    parser.add_argument("--batch", type=int, default=25_000)
    parser.add_argument("--doors", default="columns", help="of columns and json, which take turns")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--history", type=int, default=0, help="records in the table before the first is posted"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs: list[dict[str, object]] = []
    with postgres() as server:
        for _ in range(options.rounds):
            for door in options.doors.split(","):
                with tempfile.TemporaryDirectory() as root:
                    runs.append(run(server, Path(root), options, door))
                print(json.dumps(runs[-1]), file=sys.stderr)
    rates = {
        door: [float(str(figures["records_per_s"])) for figures in runs if figures["door"] == door]
        for door in options.doors.split(",")
    }
    if options.json:
        print(json.dumps(runs))
        return
    for name in runs[-1]:
        print(f"{name:28}" + "".join(f" {figures[name]!s:>12}" for figures in runs))
    first, *others = rates
    for door in others:
        ratios = [after / before for before, after in zip(rates[first], rates[door], strict=True)]
        print(
            f"{door} to {first}: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
