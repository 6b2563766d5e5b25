"""What `dure up` does: everything on one machine, in the right order, until it is told to stop.

One thread, no loop: signals are blocked and waited for, so nothing here is ever interrupted in the middle. The
model and the loading of Django begin while PostgreSQL is still being made. The children are told by the
kernel to end when this process dies, however it dies; the next start waits for those that are still ending.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dure.local import announcement
from dure.local.errors import LocalError
from dure.local.folder import DataFolder, read_json, write_json
from dure.local.parts import Part, answers, how_it_ended
from dure.local.ports import HOST, Reservation, reserve
from dure.local.postgres import Postgres, check_database
from dure.local.processes import end_all, identity

SIGNALS = {signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
START_SECONDS = 120.0
STARTS_TRIED = 3
DRAIN_SECONDS = 10.0
STOP_SECONDS = 15.0
WATCH_SECONDS = 1.0
STEP_SECONDS = 0.02
ROTATE_EVERY_SECONDS = 30.0


class StopAsked(Exception):
    """Ctrl-C or SIGTERM came."""


@dataclass(frozen=True)
class Wish:
    """What `dure up` was asked for. An external database is given by its URLs."""

    data: Path
    portal_port: int = 8000
    gateway_port: int = 8080
    gateway_workers: int = 1
    demo: bool = True
    model: bool = True
    timings: bool = False
    database_url: str = ""
    gateway_database_url: str = ""
    dure: announcement.CommandLine = announcement.PLAIN


class Supervisor:
    def __init__(self, wish: Wish, *, progress: announcement.Progress) -> None:
        self._wish = wish
        self._progress = progress
        self._folder = DataFolder(wish.data)
        self._reservations: dict[str, Reservation] = {}
        self._postgres: Postgres | None = None
        self._postgres_start_at: float | None = None
        self._parts: list[Part] = []
        self._demo: dict[str, Any] = {}
        self._signals = SIGNALS
        self._prepared = False
        self._stops_asked = 0
        self._is_ready = False
        self._rotate_at = time.monotonic() + ROTATE_EVERY_SECONDS

    def run(self) -> None:
        """Until Ctrl-C or SIGTERM. A start that fails stops what had started and raises LocalError."""
        # Under nohup a closed terminal is to be ignored; blocked, it would arrive all the same.
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            self._signals = SIGNALS - {signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        self._folder.take()
        try:
            self._start()
            self._watch()
        except StopAsked:
            pass
        finally:
            self._stop()
            self._folder.release()

    # Starting

    def _start(self) -> None:
        self._end_leftovers()
        self._reserve_ports()
        if self._wish.database_url:
            check_database(self._wish.database_url)
        self._postgres = self._embedded_database()
        self._write_instance()
        preparation = self._begin_preparation()
        # These two need no tables to begin with, and take longest to load.
        for part in ([self._model()] if self._wish.model else []) + [self._portal()]:
            self._begin(part)
        try:
            self._start_database()
            self._await_preparation(preparation)
        finally:
            if preparation.poll() is None:
                preparation.kill()
                preparation.wait()
        self._prepared = True
        for part in (self._gateway(), self._worker()):
            self._begin(part)
        self._await_ready()
        self._is_ready = True
        self._write_state()
        self._progress.ready(
            self._summary(),
            model_url=self._model_url,
            has_demo=self._has_demo,
            dure=self._wish.dure,
            timings=self._wish.timings,
        )

    def _end_leftovers(self) -> None:
        """Parts of a supervisor that was killed are on their way out; their ports are free once they are gone."""
        found = read_json(self._folder.parts)
        left = [
            (one[0], one[1])
            for one in found.values()
            if isinstance(one, list) and len(one) == 2 and identity(one[0]) == (one[0], one[1])
        ]
        if left:
            self._progress.say(
                f"The last run did not stop in order; waiting for {len(left)} of its processes."
            )
            end_all(left, patience_seconds=DRAIN_SECONDS)
        self._folder.parts.unlink(missing_ok=True)

    def _reserve_ports(self) -> None:
        wish = self._wish
        if wish.portal_port and wish.portal_port == wish.gateway_port:
            raise LocalError(
                "ports_equal",
                f"The portal and the gateway cannot both listen on port {wish.portal_port}.",
                remedy="Choose another with --portal-port or --gateway-port; 0 picks a free one.",
            )
        self._reservations["portal"] = reserve(wish.portal_port, part="portal", option="--portal-port")
        self._reservations["gateway"] = reserve(wish.gateway_port, part="gateway", option="--gateway-port")
        # The model keeps its port over restarts: the catalogue names it.
        former = read_json(self._folder.instance).get("model_port")
        try:
            self._reservations["model"] = reserve(
                former if isinstance(former, int) else 0, part="model", option=""
            )
        except LocalError:
            self._reservations["model"] = reserve(0, part="model", option="")

    def _port(self, part: str) -> int:
        return self._reservations[part].port

    def _embedded_database(self) -> Postgres | None:
        if self._wish.database_url:
            return None
        return Postgres(
            self._folder.postgresql,
            log=self._folder.log("database"),
            say=self._progress.say,
            pause=self._pause,
        )

    @property
    def _database_url(self) -> str:
        return self._postgres.owner_url if self._postgres is not None else self._wish.database_url

    @property
    def _gateway_database_url(self) -> str:
        if self._postgres is not None:
            return self._postgres.gateway_url
        return self._wish.gateway_database_url or self._wish.database_url

    @property
    def _portal_url(self) -> str:
        return f"http://{HOST}:{self._port('portal')}"

    @property
    def _gateway_url(self) -> str:
        return f"http://{HOST}:{self._port('gateway')}"

    @property
    def _model_url(self) -> str:
        return f"http://{HOST}:{self._port('model')}" if self._wish.model else ""

    @property
    def _has_demo(self) -> bool:
        """What an earlier start built stays, and has to be marked as a demonstration still."""
        return self._wish.demo or self._folder.demo.exists()

    def _write_instance(self) -> None:
        write_json(
            self._folder.instance,
            {
                "database_url": self._database_url,
                "gateway_database_url": self._gateway_database_url,
                "portal_url": self._portal_url,
                "gateway_url": self._gateway_url,
                "demo": self._has_demo,
                "model_port": self._port("model"),
            },
        )

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DURE_DATA_DIR": str(self._folder.path),
            "DURE_DATABASE_URL": self._database_url,
            "DURE_GATEWAY_DATABASE_URL": self._gateway_database_url,
            "DURE_PORTAL_URL": self._portal_url,
            "DURE_GATEWAY_URL": self._gateway_url,
            "DURE_DEMO": "1" if self._has_demo else "",
            "DURE_SUPERVISED": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _begin_preparation(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dure.cli._prepare", "--data", str(self._folder.path)]
        command += ["--model-url", self._model_url, *(["--demo"] if self._wish.demo else [])]
        part = self._part("prepare", lambda _: command, lambda: False)
        part.log.unlink(missing_ok=True)
        part.start()
        assert part.process is not None
        return part.process

    def _start_database(self) -> None:
        with self._progress.phase("database") as phase:
            if self._postgres is not None:
                self._postgres.start()
                self._postgres.ensure_database()
                phase.detail = "PostgreSQL 18"
            else:
                phase.detail = "as DURE_DATABASE_URL says"
        self._note_parts()

    def _await_preparation(self, preparation: subprocess.Popen[bytes]) -> None:
        with self._progress.phase("schema") as phase:
            deadline = time.monotonic() + START_SECONDS
            while preparation.poll() is None:
                self._tend()
                self._pause(STEP_SECONDS)
                self._progress.waiting(["schema", *self._unready()])
                if time.monotonic() > deadline:
                    raise LocalError("not_prepared", "Preparing the database took too long; it was stopped.")
            lines = self._folder.log("prepare").read_text(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "no word"
            if preparation.returncode != 0:
                raise LocalError(
                    "not_prepared",
                    f"The database could not be prepared: {last.removeprefix('error: ')}",
                    remedy=f"The whole account is in {self._folder.log('prepare')}.",
                )
            # It holds passwords; they are in demo.json, for the owner only.
            self._folder.log("prepare").unlink()
            self._demo = json.loads(last)
            phase.detail = "with the demonstration world" if self._wish.demo else "up to date"

    def _begin(self, part: Part) -> None:
        self._parts.append(part)
        self._progress.began(part.name)
        part.start()
        self._note_parts()

    def _unready(self) -> list[str]:
        return [part.name for part in self._parts if not part.ready]

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._unready():
            self._tend()
            for part in self._parts:
                if part.failures >= STARTS_TRIED:
                    raise self._not_started(part, "ended each time it was started")
                if time.monotonic() > deadline and not part.ready:
                    raise self._not_started(part, "did not become ready in time")
            self._progress.waiting(self._unready())
            self._pause(STEP_SECONDS)

    def _not_started(self, part: Part, what: str) -> LocalError:
        words = part.last_words()
        return LocalError(
            "part_not_started",
            f"The {part.name} {what}{': ' + words if words else ''}",
            remedy=f"Its log is {part.log}.",
        )

    # The parts

    def _part(self, name: str, command: Callable[[bool], list[str]], is_ready: Callable[[], bool]) -> Part:
        return Part(name, command, self._environment(), self._folder.log(name), is_ready)

    def _dure(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "dure.cli.main", *arguments]

    def _model(self) -> Part:
        port = self._port("model")
        command = [sys.executable, "-m", "dure.local.model", "--host", HOST, "--port", str(port)]
        return self._part("model", lambda _: command, lambda: answers(port, "/health"))

    def _gateway(self) -> Part:
        ready_file = self._folder.gateway_ready
        command = self._dure(
            "gateway", "--host", HOST, "--port", str(self._port("gateway")),
            "--workers", str(self._wish.gateway_workers), "--journal", str(self._folder.journal),
            "--ready-file", str(ready_file), "--drain-seconds", str(DRAIN_SECONDS),
        )  # fmt: skip
        # Workers of a node that was killed finish what they have beside the new ones.
        part = self._part(
            "gateway", lambda again: [*command, *(["--overlap"] if again else [])], ready_file.exists
        )
        part.kills_group = False
        part.before_start = lambda: ready_file.unlink(missing_ok=True)
        return part

    def _portal(self) -> Part:
        port = self._port("portal")
        command = self._dure("portal", "--host", HOST, "--port", str(port))
        return self._part("portal", lambda _: command, lambda: self._prepared and answers(port, "/"))

    def _worker(self) -> Part:
        ready_file = self._folder.path / "worker.ready"
        command = self._dure(
            "worker", "--ready-file", str(ready_file), "--drain-seconds", str(DRAIN_SECONDS / 2)
        )
        part = self._part("worker", lambda _: command, ready_file.exists)
        part.before_start = lambda: ready_file.unlink(missing_ok=True)
        return part

    # Watching

    def _watch(self) -> None:
        while True:
            changed = self._tend()
            if changed:
                self._write_state()
            if time.monotonic() > self._rotate_at:
                self._folder.rotate_logs()
                self._rotate_at = time.monotonic() + ROTATE_EVERY_SECONDS
            busy = self._unready() or self._postgres_start_at is not None
            self._pause(STEP_SECONDS if busy else WATCH_SECONDS)

    def _tend(self) -> bool:
        """Notice deaths, start again, notice readiness; true when a process id has changed."""
        changed = self._tend_database()
        for part in self._parts:
            status = part.has_ended()
            if status is not None:
                wait = part.bury()
                changed = True  # nobody should be shown the id of a process that is no more
                self._progress.say(
                    f"{part.name} ended ({how_it_ended(status)}); starting it again in {wait:.1f} s."
                )
            elif part.process is None and time.monotonic() >= part.start_at:
                part.start()
                changed = True
            elif part.check_ready():
                self._progress.part_ready(part.name, pid=part.pid, again=self._is_ready)
        if changed:
            self._note_parts()
        return changed

    def _tend_database(self) -> bool:
        postgres = self._postgres
        if postgres is None:
            return False
        status = postgres.has_ended()
        if status is None:
            return False
        now = time.monotonic()
        if self._postgres_start_at is None:
            self._progress.say(f"database ended ({how_it_ended(status)}); starting it again.")
            self._postgres_start_at = now
        if now < self._postgres_start_at:
            return False
        try:
            postgres.start()
        except LocalError as error:
            self._progress.say(f"{error.message} Trying again in 5 s.")
            self._postgres_start_at = now + 5
            return False
        self._postgres_start_at = None
        self._progress.part_ready("database", pid=postgres.pid, again=True)
        return True

    def _pids(self) -> dict[str, int]:
        pids = {part.name: part.pid for part in self._parts}
        if self._postgres is not None:
            pids["database"] = self._postgres.pid
        return {name: pid for name, pid in pids.items() if pid is not None}

    def _note_parts(self) -> None:
        """For the next start, should this one be killed. PostgreSQL keeps a note of its own."""
        noted = {name: identity(pid) for name, pid in self._pids().items() if name != "database"}
        write_json(self._folder.parts, noted)

    def _write_state(self) -> None:
        write_json(self._folder.ready, self._summary())

    def _summary(self) -> dict[str, Any]:
        return {
            "portal_url": self._portal_url,
            "gateway_url": self._gateway_url,
            "demo_api_key": self._demo.get("demo_api_key"),
            "demo_users": self._demo.get("demo_users", []),
            "demo_award": self._demo.get("demo_award"),
            "pids": self._pids(),
        }

    # Stopping

    def _pause(self, seconds: float) -> None:
        """Sleep until something happens; raise when that is a wish to stop."""
        received = signal.sigtimedwait(self._signals, seconds)
        if received is not None and received.si_signo != signal.SIGCHLD:
            self._stops_asked += 1
            if self._stops_asked == 1:
                raise StopAsked

    def _stop(self) -> None:
        """Those who use the database first, the database last."""
        self._folder.ready.unlink(missing_ok=True)
        if self._parts or (self._postgres is not None and self._postgres.pid is not None):
            self._progress.stopping()
        self._end_parts([part for part in self._parts if part.name != "model"])
        self._end_parts([part for part in self._parts if part.name == "model"])
        if self._postgres is not None:
            self._postgres.stop()
        self._folder.parts.unlink(missing_ok=True)
        for reservation in self._reservations.values():
            reservation.close()
        self._progress.stopped()

    def _end_parts(self, parts: list[Part]) -> None:
        for part in parts:
            if part.ready:
                part.ask_to_end()
            else:
                part.kill()  # it serves nobody yet, and while it loads it may not listen
        deadline = time.monotonic() + STOP_SECONDS
        asked = self._stops_asked
        while running := [part for part in parts if part.process is not None and part.has_ended() is None]:
            impatient = self._stops_asked > max(asked, 1)
            if impatient or time.monotonic() > deadline:
                for part in running:
                    part.kill()
                return
            try:
                self._pause(STEP_SECONDS)
            except StopAsked:
                pass
