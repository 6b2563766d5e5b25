"""Is the gateway exact whatever dies? Cycles of traffic and trouble, each checked to the token and the micro-won.

    .venv/bin/python bench/chaos.py [--cycles 100] [--seed 1] [--json]          or: make chaos

Everything is real: a PostgreSQL with the migrations, `dure gateway` with workers and shipper on a small disk,
clients over sockets. A provider in a process of its own, never killed, keeps its own meter. A cycle is a few
seconds of traffic while a plan drawn from the seed kills, pauses, fills and steps things; then all is left to
settle, and the three accounts are compared. docs/chaos.md says what is checked. Exit status 1 on any difference.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import psycopg

from chaos import checks
from chaos.clients import Client, Drawer, Seen
from chaos.clock import Clock
from chaos.limits import ALLOTTED, DATABASE_TROUBLES, SLOTS_HELD, Watch
from chaos.line import Line
from chaos.site import Disk, Money, Node, Provider, Server, alive, copy_evidence
from chaos.trouble import WEIGHTS, Trouble, draw_plan
from dure.gateway.io.recovery import scan

#: After the last cycle, and this often before it, the node is stopped in order: nothing may be in escrow then.
REST_EVERY = 4
SETTLE_SECONDS = 60.0
BALANCE_SECONDS = 12.0
#: Troubles that stand in the way of an answer, however quickly it is decided.
FROZEN = {"pause_worker", "freeze_postgres"}


class Chaos:
    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.provider = Provider()
        database = folder / "database"
        database.mkdir()
        folder.chmod(0o755)
        self.server = Server(database)
        self.server.start()
        self.server.migrate()
        self.money = Money(self.server.dsn, self.provider.port)
        self.disk = Disk(folder / "journal")
        self.clock = Clock(folder)
        self.line = Line(database)
        self.node = Node(
            f"host=127.0.0.1 port={self.line.port} user=dure_gateway dbname=postgres", self.disk.folder, folder,
            workers=options.workers, environment=self.clock.environment,
        )  # fmt: skip
        self.marks: dict[UUID, int] = {}
        self.calls = 0
        self.statuses: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        self.relayed_beyond = 0
        self.slowest_refusal = 0.0
        self.differences: list[str] = []
        self.log_read = 0
        self.watch = Watch(self.money.limits)
        _set_up_django(database)

    def close(self) -> None:
        self.node.kill_everything()
        self.money.close()
        self.server.thaw()
        self.server.stop()
        self.provider.stop()
        self.disk.close()

    def keep_log(self) -> Path:
        return Path(shutil.copy(self.node.log, tempfile.mkdtemp(prefix="dure-chaos-broken-")))

    # A cycle

    async def cycle(self, number: int) -> list[str]:
        options = self.options
        name = f"{options.seed}/{number}"
        if not self.node.running:
            await asyncio.to_thread(self.node.start_again)
        await asyncio.to_thread(self.money.refill)
        plan = draw_plan(name, options.seconds, options.only)
        trouble = Trouble(
            seed=name,
            server=self.server,
            node=self.node,
            disk=self.disk,
            money=self.money,
            line=self.line,
            clock=self.clock.step,
        )
        seen: list[Seen] = []
        began = time.time()
        ends_at = time.monotonic() + options.seconds
        clients = [
            Client(
                self.node.port,
                Drawer(f"{name}/{client}", self.money.keys, self.money.revoked, self.money.models),
                seen,
            )
            for client in range(options.clients)
        ]
        over_allotted: set[str] = set()
        away = bool(DATABASE_TROUBLES & {name for _, name in plan})
        looking = asyncio.create_task(self._look_at_allotments(over_allotted, away=away))
        await asyncio.gather(
            trouble.carry_out(plan, lambda: False),
            *(client.run(lambda: time.monotonic() >= ends_at) for client in clients),
        )
        looking.cancel()
        await asyncio.wait((looking,))
        found = sorted(over_allotted) + await asyncio.to_thread(self._settle)
        ended = time.time()
        if number % REST_EVERY == 0:
            found += await asyncio.to_thread(self._slots_back)
        rest = not found and (number % REST_EVERY == 0 or number == options.first + options.cycles - 1)
        if rest:
            found += await asyncio.to_thread(self._come_to_rest)
        records = self._new_records()
        entries = await asyncio.to_thread(self.provider.new_entries)
        found += checks.compare(seen, entries, records, self._circumstances(trouble))
        found += self.watch.cycle(seen, entries, records, began=began, ended=ended, troubles=trouble.done)
        found += checks.ledger(self.money.rows, self.money.granted, at_rest=rest)
        found += await asyncio.to_thread(_verify)
        found += self._complaints()
        self._count(seen, records, trouble)
        statuses = Counter(record.status for record in records)
        print(
            f"seed {options.seed} cycle {number:3}: {len(seen):4} calls, {statuses['completed']:4} completed,"
            f" {statuses['cancelled'] + statuses['truncated']:3} cut, {statuses['interrupted']:3} interrupted,"
            f" {statuses['failed']:3} failed; {', '.join(trouble.done) or 'no trouble'}"
            f"{' (at rest)' if rest else ''}: {len(found)} differences",
            file=sys.stderr if options.json else sys.stdout, flush=True,
        )  # fmt: skip
        return found

    def _circumstances(self, trouble: Trouble) -> checks.Circumstances:
        return checks.Circumstances(
            killed=frozenset(self.node.killed),
            told_to_end=frozenset(self.node.told_to_end),
            prices=self.money.prices,
            big=frozenset(key.award for key in self.money.keys if key.size in {"big", "limited"}),
            withdrawn="withdraw_award" in trouble.done,
        )

    def _count(self, seen: list[Seen], records: list[checks.Record], trouble: Trouble) -> None:
        self.calls += len(seen)
        self.statuses.update(record.status for record in records)
        self.refused.update(view.code for view in seen if view.status >= 400)
        self.troubles.update(trouble.done)
        self.relayed_beyond = max(self.relayed_beyond, checks.relayed_beyond(seen, records))
        if not FROZEN & set(trouble.done):
            waits = [view.seconds for view in seen if view.code in checks.NOT_ADMITTED and not view.ask.twice]
            self.slowest_refusal = max([self.slowest_refusal, *waits])

    def _new_records(self) -> list[checks.Record]:
        rows = self.money.rows(checks.RECORDS, list(self.marks), list(self.marks.values()))
        records = [checks.Record(*row) for row in rows]
        for record in records:
            self.marks[record.process_id] = max(self.marks.get(record.process_id, 0), record.sequence)
        return records

    # Waiting until all is posted

    def _settle(self) -> list[str]:
        """Everything healed, the clients gone: within a minute all must be posted and all money in its place."""
        try:
            self.node.start_again()
        except TimeoutError as error:
            return [str(error)]
        deadline = time.monotonic() + SETTLE_SECONDS
        while left := self._unsettled():
            if time.monotonic() > deadline:
                return [f"not settled within {SETTLE_SECONDS:g} s: {left}"]
            time.sleep(0.05)
        deadline = time.monotonic() + BALANCE_SECONDS
        while astray := self._money_astray():
            if time.monotonic() > deadline:
                return astray
            time.sleep(0.1)
        return []

    def _unsettled(self) -> str:
        """What is still to be posted, in words."""
        orphans = self.node.orphans_alive() & {row[1] for row in self.money.rows(checks.ESCROWS)}
        if self.provider.open():
            return "the provider is still answering"
        waiting = []
        for process, os_pid, finished, mark, _ in self.money.rows(checks.ESCROWS):
            folder = self.disk.folder / str(process)
            if finished:
                if folder.exists():
                    waiting.append(f"process {process} is finished and has a journal")
            elif not alive(os_pid) or os_pid in orphans:
                waiting.append(f"process {process} (pid {os_pid}) has ended and is not finished")
            else:
                try:
                    journal = scan(folder)
                except OSError:
                    return f"process {process}: its journal is changing"
                if journal.open or journal.last_sequence > mark:
                    waiting.append(
                        f"process {process}: {len(journal.open)} open, {journal.last_sequence} closed, {mark} posted"
                    )
        return "; ".join(waiting)

    def _money_astray(self) -> list[str]:
        """Where a living process and the ledger disagree about its escrow."""
        figures = self.node.figures()
        found = []
        for process, _, finished, _, escrow in self.money.rows(checks.ESCROWS):
            if finished:
                continue
            own = figures.get(process)
            if own is None:
                found.append(f"process {process}: does not answer")
                continue
            free, held = int(own["escrow_free_micro_won"]), int(own["escrow_held_micro_won"])
            if free != escrow or held or own["open_requests"] or own["open_streams"]:
                found.append(
                    f"process {process}: the ledger has {escrow} micro-won of escrow, the process {free} free and"
                    f" {held} held, {own['open_requests']:g} requests and {own['open_streams']:g} streams open"
                )
        return found

    async def _look_at_allotments(self, over: set[str], *, away: bool) -> None:
        """Ten times a second, over a connection of its own."""
        connection: psycopg.AsyncConnection | None = None
        try:
            while True:
                try:
                    if connection is None or connection.closed:
                        connection = await psycopg.AsyncConnection.connect(self.server.dsn, autocommit=True)
                        await connection.execute("SET search_path = public")
                    rows = await (await connection.execute(ALLOTTED)).fetchall()
                except psycopg.Error:
                    await asyncio.sleep(0.1)
                    continue
                over.update(self.watch.allotted(rows, away=away))
                await asyncio.sleep(0.1)
        finally:
            if connection is not None:
                await connection.close()

    def _slots_back(self) -> list[str]:
        """Nobody calls: what processes keep for the next call goes back, and the dead hold nothing."""
        deadline = time.monotonic() + BALANCE_SECONDS
        while held := self.money.rows(SLOTS_HELD):
            if time.monotonic() > deadline:
                return [f"{subject}: {amount} slots are held, and nothing runs" for subject, amount in held]
            time.sleep(0.1)
        return []

    def _come_to_rest(self) -> list[str]:
        """An orderly stop: everything posted, all escrow back, no journal left."""
        status = self.node.stop()
        found = [] if status == 0 else [f"the node's stop ended with {status}"]
        deadline = time.monotonic() + 30
        while (left := self._folders()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found + [f"journal {name} is left after an orderly stop" for name in left]

    def _folders(self) -> list[str]:
        return [path.name for path in self.disk.folder.iterdir() if path.is_dir() and len(path.name) == 36]

    def _complaints(self) -> list[str]:
        """What the node's log and the journal directory say that must not be said."""
        with self.node.log.open("rb") as log:
            log.seek(self.log_read)
            text = log.read().decode(errors="replace")
        self.log_read += len(text.encode())
        found = []
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if "Traceback" in line:
                tail = [later for later in lines[number : number + 40] if later and not later.startswith(" ")]
                found.append(f"the node's log: {line} … {' | '.join(tail[1:3])[:300]}")
            elif "were refused" in line or "was refused (" in line or "could not be kept" in line:
                found.append(f"the node's log: {line}")
        for name in ("refused", "damaged"):
            folder = self.disk.folder / name
            if folder.exists():
                found += [f"journal/{name}: {path.name}" for path in folder.iterdir()]
        return found


def _set_up_django(socket_folder: Path) -> None:
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres",
                               "HOST": str(socket_folder), "PORT": ""}},
        INSTALLED_APPS=["pgtrigger", "dure.control.foundation", "dure.control.ledger", "dure.control.settlement"],
        USE_TZ=True, SECRET_KEY="chaos", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )  # fmt: skip
    django.setup()


def _verify() -> list[str]:
    """`dure ledger verify`."""
    from django.db import connection

    from dure.control.settlement.verification import verify_everything

    try:
        report = verify_everything()
    finally:
        connection.close()
    return [] if report.ok else [f"verification: {report.difference}"]


async def run(chaos: Chaos) -> dict[str, object]:
    options = chaos.options
    began = time.monotonic()
    out = sys.stderr if options.json else sys.stdout
    cycles = 0
    await chaos.line.start()
    for number in range(options.first, options.first + options.cycles):
        found = await chaos.cycle(number)
        cycles += 1
        for difference in found:
            print(f"  DIFFERENCE {difference}", file=out, flush=True)
        if found:
            chaos.differences += [f"cycle {number}: {difference}" for difference in found]
            kept = Path(tempfile.mkdtemp(prefix=f"dure-chaos-{options.seed}-{number}-"))
            copy_evidence(chaos.disk.folder, kept / "journal")
            shutil.copy(chaos.node.log, kept)
            print(f"  journals and log are kept in {kept}", file=out, flush=True)
            if options.stop or any("not settled" in difference for difference in found):
                break
        if options.limit and time.monotonic() - began > options.limit:
            break
    return {
        "seed": options.seed,
        "cycles": cycles,
        "calls": chaos.calls,
        "records": dict(chaos.statuses),
        "refusals": dict(chaos.refused),
        "slowest_refusal_s": round(chaos.slowest_refusal, 2),
        "most_of_limits": {kind: round(part, 2) for kind, part in chaos.watch.most.items()},
        "interrupted_short_tokens": chaos.relayed_beyond,
        "troubles": dict(chaos.troubles),
        "skipped": _impossible(chaos),
        "seconds": round(time.monotonic() - began, 1),
        "differences": chaos.differences,
    }


def _impossible(chaos: Chaos) -> list[str]:
    reasons = {"full_disk": chaos.disk.mounted, "step_clock": chaos.clock.works}
    return [name for name in WEIGHTS if not reasons.get(name, True)]


def _troubles(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - WEIGHTS.keys():
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument(
        "--first", type=int, default=1, help="the first cycle's number, to repeat one of a run"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--seconds", type=float, default=2.5, help="of traffic in each cycle")
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=0, help="begin no further cycle after so many seconds")
    parser.add_argument("--only", type=_troubles, default=[], help=f"of {', '.join(WEIGHTS)}")
    parser.add_argument("--stop", action="store_true", help="stop after the first cycle with a difference")
    parser.add_argument(
        "--json", action="store_true", help="the summary as JSON on standard output, lines beside it"
    )
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    out = sys.stderr if options.json else sys.stdout
    folder = Path(tempfile.mkdtemp(prefix="dure-chaos-"))
    chaos = Chaos(options, folder)
    for name in _impossible(chaos):
        print(f"{name}: skipped, it cannot be done on this machine", file=out)
    try:
        summary = asyncio.run(run(chaos))
    except BaseException:
        print(f"broken off; the node's log: {chaos.keep_log()}", file=out)
        raise
    finally:
        chaos.close()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        for name, value in summary.items():
            if name != "differences":
                print(f"{name:24} {value}")
        print(f"{len(chaos.differences)} differences")
    return 1 if chaos.differences else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
