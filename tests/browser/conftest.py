"""A portal with people and money in it, and a browser to look at it: one of each for the whole run."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from psycopg import sql

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DATABASE = f"dure_browser_{os.getpid()}"


@dataclass
class Portal:
    """Where the portal answers, who may sign in, and the ids that addresses need."""

    url: str
    environment: dict[str, str]
    seed: dict = field(default_factory=dict)

    def award(self, name: str = "busy") -> str:
        return f"/awards/{self.seed[name]}/"

    def post_call(self, status: str = "completed") -> None:
        """One more call on the busy award, posted as a gateway posts it."""
        program = (
            "import sys, django; django.setup()\n"
            "from browser.seed import use\n"
            "from uuid import UUID\n"
            "use(*map(UUID, sys.argv[1:4]), days=0, calls=1, status=sys.argv[4])"
        )
        ids = [self.seed[name] for name in ("busy", "key", "hanbit")]
        subprocess.run([sys.executable, "-c", program, *ids, status], env=self.environment, check=True)


def _database(name: str) -> str:
    return urlunsplit(urlsplit(os.environ["DURE_TEST_SERVER"])._replace(path=f"/{name}"))


def _administer(*statements: str) -> None:
    with psycopg.connect(_database("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(sql.Identifier(DATABASE)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    folder = tmp_path_factory.mktemp("portal")
    port = _free_port()
    environment = {
        **os.environ,
        "DURE_DATABASE_URL": _database(DATABASE),
        "DURE_SECRET_KEY": "only-for-tests-" + "x" * 40,
        "DURE_DATA_DIR": str(folder),
        "DURE_STATIC_ROOT": str(folder / "static"),
        "DURE_PORTAL_URL": f"http://127.0.0.1:{port}",
        "DURE_DEMO": "1",
        "DJANGO_SETTINGS_MODULE": "dure.control.config.settings",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")]),
    }
    _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {}")
    for module, *arguments in (
        ("dure.control.config.build_assets",),
        ("dure.control.config.compile_messages",),
        ("dure.control.config.manage", "migrate", "--verbosity=0"),
    ):
        subprocess.run(
            [sys.executable, "-m", module, *arguments], env=environment, check=True, capture_output=True
        )
    seeded = subprocess.run(
        [sys.executable, "-m", "browser.seed"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert seeded.returncode == 0, f"The seed failed:\n{seeded.stderr[-4000:]}"
    found = Portal(environment["DURE_PORTAL_URL"], environment, json.loads(seeded.stdout))
    log = (folder / "portal.log").open("wb")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"),
            *("--port", str(port), "--workers", "1", "--blocking-threads", "4", "--no-ws"),
            "dure.control.config.wsgi:application",
        ],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        _await(found.url, server)
        yield found
    finally:
        server.terminate()
        server.wait(timeout=20)
        log.close()
        _administer("DROP DATABASE IF EXISTS {} WITH (FORCE)")


def _await(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (URLError, TimeoutError):
            assert server.poll() is None, "the portal ended while starting"
            assert time.monotonic() < deadline, "the portal did not start"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright keeps an event loop running, which tests of other modules in this process cannot have."""
    if not CHROMIUM.exists():
        pytest.skip("Debian's Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitors:
    """Pages of people who are signed in; each signs in once a module."""

    def __init__(self, browser: Browser, portal: Portal) -> None:
        self.browser, self.portal = browser, portal
        self._states: dict[str, dict] = {}
        self.open: list[BrowserContext] = []

    def page(self, role: str = "", *, language: str = "ko", width: int = 1440, **options) -> Page:
        if role and role not in self._states:
            self._states[role] = self._sign_in(role)
        context = self.browser.new_context(
            base_url=self.portal.url,
            viewport={"width": width, "height": 900},
            storage_state=self._states.get(role),
            reduced_motion="reduce",
            **options,
        )
        context.add_cookies([{"name": "dure_language", "value": language, "url": self.portal.url}])
        self.open.append(context)
        return context.new_page()

    def _sign_in(self, role: str) -> dict:
        context = self.browser.new_context(base_url=self.portal.url)
        page = context.new_page()
        page.goto("/account/login/")
        page.fill("input[name=login]", self.portal.seed["people"][role])
        page.fill("input[name=password]", self.portal.seed["password"])
        page.press("input[name=password]", "Enter")
        page.wait_for_url(lambda url: "/login" not in url)
        state = context.storage_state()
        context.close()
        return state


@pytest.fixture(scope="module")
def _visitors(browser: Browser, portal: Portal) -> Visitors:
    return Visitors(browser, portal)


@pytest.fixture
def visit(_visitors: Visitors) -> Iterator[Visitors]:
    yield _visitors
    while _visitors.open:
        _visitors.open.pop().close()
