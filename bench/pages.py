"""Every page of the portal with a nation in the database: how many queries, and how long the server takes.

    .venv/bin/python bench/pages.py                               # 5,000 organisations, 20,000 applications
    .venv/bin/python bench/pages.py --applications 2000 --rounds 5 --only desk

Its own PostgreSQL in a folder of its own. In it is what the browser's tests look at (`tests/browser/seed.py`), with
fifteen of everything around it (`tests/browser/crowd.py`) and a nation beside it (`bench/population.py`), asked through
Django's test client: what is timed is the server's work for a page, without the network. The pages are those of
`tests/browser/routes.py`, and lists as they are asked for where they are long.

Fails where a page asks more than thirty queries, takes more than 150 ms in nineteen of twenty times or is not there, and where
an address of the portal has no row. Prints a table, and writes `bench/results/pages.json`.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests"))
MOST_QUERIES, GOAL_MS = 30, 150.0


#: As the rows of `tests/browser/sites.py` want them: what leads on, and what says that there is nothing.
EXPECTED = {
    "sign-up-old-link": 404, "not-found": 404, "forbidden": 403, "account-app": 302, "account-passkey": 302,
    "application-viewer": 302,
}  # fmt: skip


def more_pages(seed: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, who reads it, address): lists where they are long, and what programs ask for."""
    application, round_ = seed["application"], seed["nation_round"]
    return [
        ("nation: calls, searched", "applicant", "/calls/?q=지원"),
        ("nation: call", "applicant", "/calls/api-support-nation/"),
        ("nation: call builder", "officer", "/calls/api-support-nation/build/"),
        ("nation: home", "applicant", "/"),
        ("nation: tasks", "applicant", "/tasks/"),
        ("nation: applications", "applicant", "/applications/"),
        ("nation: applications, page 300", "officer", "/applications/?page=300"),
        ("nation: applications, searched", "officer", "/applications/?q=늘달"),
        ("nation: applications, one state", "officer", "/applications/?state=submitted"),
        ("nation: application", "applicant", f"/applications/{application}/"),
        ("nation: desk, a round", "officer", f"/desk/{round_}/"),
        ("nation: desk, a round as a list", "officer", f"/desk/{round_}/?view=list"),
        ("nation: organisations, searched", "officer", "/organisations/?q=소프트"),
        ("nation: organisations, page 100", "officer", "/organisations/?page=100"),
        ("nation: awards, searched", "officer", "/awards/?q=서비스"),
        ("nation: call rules", "officer", "/calls/api-support-nation/build/rules/"),
        ("REST: calls", "", "/api/v1/calls"),
        ("REST: applications", "officer", "/api/v1/applications?page_size=200"),
        ("REST: duties", "officer", "/api/v1/duties"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--organisations", type=int, default=5_000)
    parser.add_argument("--applications", type=int, default=20_000)
    parser.add_argument("--awards", type=int, default=300)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument(
        "--around", type=int, default=15, help="of everything around the rows that pages show"
    )
    parser.add_argument("--rounds", type=int, default=20, help="times that each page is asked for")
    parser.add_argument("--only", default="", help="pages whose name matches")
    parser.add_argument("--slow", action="store_true", help="print the slowest queries of each page")
    given = parser.parse_args()
    from dure.local.postgres import FORGETFUL, Postgres

    with tempfile.TemporaryDirectory(prefix="dure-pages-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Postgres(folder / "postgresql", log=folder / "postgresql.log", settings=FORGETFUL)
        server.start()
        try:
            return measure(server.url(database="postgres"), folder, given)
        finally:
            server.stop()


def measure(url: str, folder: Path, given: argparse.Namespace) -> int:
    os.environ |= {
        "DURE_DATABASE_URL": url,
        "DURE_SECRET_KEY": "only-for-benchmarks",
        "DURE_DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "dure.control.config.settings",
    }
    subprocess.run(
        [sys.executable, "-m", "dure.control.config.manage", "migrate", "--verbosity=0"], check=True
    )
    import django
    from django.conf import settings

    django.setup()
    settings.ALLOWED_HOSTS = ["*"]
    from browser import routes

    seed = fill(given)
    clients = readers(seed)
    rows = [*routes.pages(seed), *more_pages(seed)]
    forgotten = routes.forgotten(rows, clients)
    for one in forgotten:
        print(f"no row: {one}")
    results, failed = [], len(forgotten)
    for name, who, path in rows:
        if given.only and not re.search(given.only, name):
            continue
        found = ask(clients[who], path, given.rounds, slow=given.slow)
        wrong = (
            found["queries"] > MOST_QUERIES
            or found["p95_ms"] > GOAL_MS
            or found["status"] != EXPECTED.get(name, 200)
        )
        results.append({"page": name, "reader": who or "anybody", **found, "wrong": wrong})
        failed += wrong
    print(
        f"{'page':<34} {'reader':<10} {'status':>6} {'queries':>8} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8} {'SQL ms':>8} {'KiB':>6}"
    )
    for one in results:
        mark = " !" if one["wrong"] else ""
        print(
            f"{one['page']:<34} {one['reader']:<10} {one['status']:>6} {one['queries']:>8} {one['p50_ms']:>8.1f}"
            f" {one['p95_ms']:>8.1f} {one['cpu_ms']:>8.1f} {one['sql_ms']:>8.1f} {one['kib']:>6.0f}{mark}"
        )
    out = ROOT / "bench" / "results" / "pages.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(
        json.dumps({"arguments": vars(given), "pages": results}, indent=1, ensure_ascii=False) + "\n"
    )
    return 1 if failed else 0


def fill(given: argparse.Namespace) -> dict[str, Any]:
    """What pages are looked at with, much around it, and a nation beside it."""
    import contextlib
    import io

    import population

    from browser import crowd
    from browser import seed as seeds

    text, begun = io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(text):
        seeds.main()
    seed: dict[str, Any] = json.loads(text.getvalue())
    crowd.grow(seed, by=given.around, start=0, calls=2_000)
    print(f"{time.monotonic() - begun:6.1f} s  {given.around} of everything that pages show", file=sys.stderr)
    nation = population.fill(
        organisations=given.organisations, applications=given.applications, awards=given.awards, calls=given.calls,
        seed=1,
    )  # fmt: skip
    return {**seed, "nation_round": nation["round"], "application": nation["application"]}


def readers(seed: dict[str, Any]) -> dict[str, Any]:
    from django.test import Client

    from dure.control.applications.models import ApplicationMember
    from dure.control.identity.models import Person

    backend = "allauth.account.auth_backends.AuthenticationBackend"
    lead = ApplicationMember.objects.get(application_id=seed["application"]).person_id
    made: dict[str, Any] = {"": Client(raise_request_exception=False)}
    people = {role: Person.objects.get(email=email) for role, email in seed["people"].items()}
    for role, person in {**people, "applicant": Person.objects.get(pk=lead)}.items():
        made[role] = Client()
        made[role].force_login(person, backend)
    return made


def ask(client: Any, path: str, rounds: int, *, slow: bool) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    queries = [
        one for one in captured.captured_queries if not one["sql"].startswith(("SAVEPOINT", "RELEASE"))
    ]
    if slow:
        for one in sorted(queries, key=lambda one: -float(one["time"]))[:3]:
            print(f"    {path} {float(one['time']) * 1_000:.0f} ms {one['sql'][:400]}", file=sys.stderr)
    times, processor = [], []
    for _turn in range(rounds):
        begun, used = time.perf_counter(), time.process_time()
        client.get(path)
        times.append((time.perf_counter() - begun) * 1_000)
        processor.append((time.process_time() - used) * 1_000)
    return {
        "status": answer.status_code,
        "queries": len(queries),
        "p50_ms": statistics.median(times),
        "cpu_ms": statistics.median(processor),
        "p95_ms": sorted(times)[max(0, int(len(times) * 0.95) - 1)],
        "sql_ms": sum(float(one["time"]) for one in queries) * 1_000,
        "kib": len(answer.content) / 1_024 if not answer.streaming else 0,
    }


if __name__ == "__main__":
    sys.exit(main())
