"""One real PostgreSQL for the whole run, and a database of its own for each process of it.

The process that pytest was started in starts the server and stops it; its xdist workers inherit the address.
The first process that needs tables migrates a template; every process works in a copy of it, which
takes a tenth of a second where migrating takes seconds. After tests that commit (`transactional_db`) the copy is
made afresh: emptying the tables, which is Django's way, is what our append-only tables refuse, and it
would also take what the migrations had put in.

`DURE_TEST_SERVER` (a libpq URL of a superuser) uses a running server instead.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from dure.local.postgres import FORGETFUL, Postgres

TEMPLATE = "dure_template"
COPY = f"dure_test_{os.getpid()}"
_server: Postgres | None = None
_folder: Path | None = None


def _start_server() -> str:
    global _server, _folder  # noqa: PLW0603
    _folder = Path(tempfile.mkdtemp(prefix="dure-test-"))
    _folder.chmod(0o755)
    settings = {**FORGETFUL, "max_connections": "300", "log_min_messages": "fatal"}
    _server = Postgres(_folder / "postgresql", log=_folder / "postgresql.log", settings=settings)
    _server.start()
    return _server.url(database="postgres")


def _of_database(name: str) -> str:
    return urlunsplit(urlsplit(os.environ["DURE_TEST_SERVER"])._replace(path=f"/{name}"))


if "DURE_TEST_SERVER" not in os.environ:
    os.environ["DURE_TEST_SERVER"] = _start_server()
if "DURE_TEST_FOLDER" not in os.environ:
    os.environ["DURE_TEST_FOLDER"] = str(_folder or tempfile.mkdtemp(prefix="dure-test-"))

os.environ["DURE_DATABASE_URL"] = _of_database(COPY)
os.environ["DURE_SECRET_KEY"] = "only-for-tests-" + "x" * 40
os.environ["DURE_DATA_DIR"] = os.environ["DURE_TEST_FOLDER"]
os.environ["DURE_DEMO"] = ""
os.environ.pop("DURE_GATEWAY_DATABASE_URL", None)
os.environ["DJANGO_SETTINGS_MODULE"] = "dure.control.config.settings"

import django  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402

# In xdist's workers the settings were read before this file, with the address they had inherited.
django_settings.DATABASES["default"]["NAME"] = COPY
django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Before pytest-django would: the rooms' own conftest files import models.
django.setup()


def pytest_unconfigure() -> None:
    if _server is not None:
        _server.stop()
    if _folder is not None:
        shutil.rmtree(_folder, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `xdist_group` keep tests together: xdist 3.8 writes the group where pytest 9.2 no longer reads it."""
    for item in items:
        named = item.__dict__.get("_nodeid")
        if named and named != item.nodeid and hasattr(item, "_id"):
            item._id = type(item._id).parse(named)


def _migrate_template() -> None:
    """Once a run, by whoever comes first; in a process of its own, for a template may have no sessions."""
    folder = Path(os.environ["DURE_TEST_FOLDER"])
    with (folder / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "template.done").exists():
            return
        with psycopg.connect(_of_database("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(TEMPLATE)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        done = subprocess.run(
            [sys.executable, "-m", "dure.control.config.manage", "migrate", "--verbosity=0"],
            env={**os.environ, "DURE_DATABASE_URL": _of_database(TEMPLATE)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"The migrations failed:\n{done.stderr[-4000:]}"
        (folder / "template.done").touch()


def _copy_template() -> None:
    name = sql.Identifier(COPY)
    with psycopg.connect(_of_database("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                name, sql.Identifier(TEMPLATE)
            )
        )


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """Instead of pytest-django's: the settings already name the copy."""
    from django.db import connections
    from django.test import TransactionTestCase

    _migrate_template()
    _copy_template()

    def begin_afresh(self: TransactionTestCase) -> None:
        connections.close_all()
        _copy_template()

    patch = pytest.MonkeyPatch()
    patch.setattr(TransactionTestCase, "_fixture_teardown", begin_afresh)
    yield
    patch.undo()
    with django_db_blocker.unblock():
        connections.close_all()


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The address of this test's database, for other connections and other processes."""
    return os.environ["DURE_DATABASE_URL"]


@pytest.fixture(autouse=True)
def _leave_no_language() -> Iterator[None]:
    """Django's test client leaves the page's language behind in the thread; the next test begins with the default."""
    from django.utils import translation

    yield
    translation.deactivate()
