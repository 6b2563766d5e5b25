"""Every page of the portal with a nation in the database: how many queries, and how long the server takes.

    .venv/bin/python bench/pages.py                               # 5,000 organisations, 20,000 applications
    .venv/bin/python bench/pages.py --applications 2000 --rounds 5 --only desk

Its own PostgreSQL in a folder of its own, filled by `bench/population.py`, asked through Django's test client: what
is timed is the server's work for a page, without the network. Fails where a page asks more than thirty queries.
Prints a table, and writes `bench/results/pages.json`.
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
MOST_QUERIES, GOAL_MS = 30, 150.0


def pages(seed: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, who reads it, address). Addresses without a view yet are left out by `main`."""
    application, round_ = seed["application"], seed["round"]
    return [
        ("calls", "", "/calls/"),
        ("calls, searched", "applicant", "/calls/?q=지원"),
        ("call", "applicant", "/calls/api-support-2026/"),
        ("call, anybody", "", "/calls/api-support-2026/"),
        ("call builder", "officer", "/calls/api-support-2026/build/"),
        ("home", "applicant", "/"),
        ("home, officer", "officer", "/"),
        ("tasks", "applicant", "/tasks/"),
        ("tasks, officer", "officer", "/tasks/"),
        ("applications", "applicant", "/applications/"),
        ("applications, officer", "officer", "/applications/"),
        ("applications, page 300", "officer", "/applications/?page=300"),
        ("applications, searched", "officer", "/applications/?q=늘달"),
        ("applications, one state", "officer", "/applications/?state=submitted"),
        ("application", "applicant", f"/applications/{application}/"),
        ("desk", "officer", "/desk/"),
        ("desk, a round", "officer", f"/desk/{round_}/"),
        ("organisations", "officer", "/organisations/"),
        ("organisations, searched", "officer", "/organisations/?q=소프트"),
        ("organisations to verify", "officer", "/organisations/verification/"),
        ("organisation", "applicant", "/organisation/"),
        ("programmes", "", "/programmes/"),
        ("programme", "", "/programmes/hyperscale/"),
        ("awards", "officer", "/awards/"),
        ("notices", "applicant", "/notices/"),
        ("account", "applicant", "/account/"),
        ("public home", "", "/about/"),
        ("ledger", "auditor", "/ledger/"),
        ("calls, REST", "", "/api/v1/calls"),
        ("applications, REST", "officer", "/api/v1/applications?page_size=200"),
        ("duties, REST", "officer", "/api/v1/duties"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--organisations", type=int, default=5_000)
    parser.add_argument("--applications", type=int, default=20_000)
    parser.add_argument("--awards", type=int, default=300)
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
    import population

    seed = population.fill(
        organisations=given.organisations, applications=given.applications, awards=given.awards, seed=1
    )
    clients = readers(seed)
    results, failed = [], 0
    for name, who, path in pages(seed):
        if given.only and not re.search(given.only, name):
            continue
        found = ask(clients[who], path, given.rounds, slow=given.slow)
        if found["status"] == 404:
            continue
        results.append({"page": name, "reader": who or "anybody", **found})
        failed += found["queries"] > MOST_QUERIES or found["status"] != 200
    print(
        f"{'page':<28} {'reader':<10} {'status':>6} {'queries':>8} {'p50 ms':>8} {'p95 ms':>8} {'SQL ms':>8} {'KiB':>6}"
    )
    for one in results:
        mark = (
            " !" if one["queries"] > MOST_QUERIES or one["p95_ms"] > GOAL_MS or one["status"] != 200 else ""
        )
        print(
            f"{one['page']:<28} {one['reader']:<10} {one['status']:>6} {one['queries']:>8} {one['p50_ms']:>8.1f}"
            f" {one['p95_ms']:>8.1f} {one['sql_ms']:>8.1f} {one['kib']:>6.0f}{mark}"
        )
    out = ROOT / "bench" / "results" / "pages.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(
        json.dumps({"arguments": vars(given), "pages": results}, indent=1, ensure_ascii=False) + "\n"
    )
    return 1 if failed else 0


def readers(seed: dict[str, Any]) -> dict[str, Any]:
    from django.test import Client

    from dure.control.applications.models import ApplicationMember
    from dure.control.identity.models import Person

    backend = "allauth.account.auth_backends.AuthenticationBackend"
    lead = ApplicationMember.objects.get(application_id=seed["application"]).person_id
    made: dict[str, Any] = {"": Client()}
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
    times = []
    for _turn in range(rounds):
        begun = time.perf_counter()
        client.get(path)
        times.append((time.perf_counter() - begun) * 1_000)
    return {
        "status": answer.status_code,
        "queries": len(queries),
        "p50_ms": statistics.median(times),
        "p95_ms": sorted(times)[max(0, int(len(times) * 0.95) - 1)],
        "sql_ms": sum(float(one["time"]) for one in queries) * 1_000,
        "kib": len(answer.content) / 1_024 if not answer.streaming else 0,
    }


if __name__ == "__main__":
    sys.exit(main())
