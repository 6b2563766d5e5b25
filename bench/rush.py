"""The last minute of a call: 500 applicants submit within ten seconds, and the deadline falls among them.

    .venv/bin/python bench/rush.py                                   # 500 in 10 s, deadline after 8 s
    .venv/bin/python bench/rush.py --applicants 1000 --seconds 10 --deadline 10.5 --threads 4,64

The real portal (`dure portal`, as `dure up` starts it) on a real PostgreSQL, over HTTP, with 500 people's own access
tokens. Each request is sent at its moment whether or not earlier ones were answered. Afterwards it is held against
the database: what was sent before the deadline is in, what was sent after it is out, and whoever is in has exactly
one submission whose receipt verifies. Moments within the margin of the client's own clock (`--margin`, 50 ms) are counted
apart. Prints a table and writes `bench/results/rush.json`.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison.processes import free_port  # noqa: E402


def prepare(applicants: int, closes_at: datetime) -> list[tuple[str, str]]:
    """(application, token) of each applicant: a whole draft, ready to be submitted."""
    from django.db import transaction

    from dure.control.applications import services
    from dure.control.calls import services as calls
    from dure.control.foundation.actors import Actor
    from dure.control.identity import selectors as identity
    from dure.control.identity import services as people
    from dure.control.identity.models import Organisation
    from dure.control.programmes import services as programmes

    system = Actor.system("rush")
    two = {"ko": "가", "en": "a"}
    fields = [
        {"key": "title", "kind": "text", "label": two, "required": True},
        {"key": "plan", "kind": "long_text", "label": two, "required": True},
        {"key": "budget", "kind": "budget", "label": two, "required": True, "lines": [{"key": "api", "label": two}]},
    ]  # fmt: skip
    ways = {
        "apply": ("application", {"submitted": "decide"}),
        "decide": ("decision", {"accepted": "award", "refused": "end"}),
        "award": ("award", {"awarded": "end"}),
        "end": ("closing", {}),
    }
    steps = [
        {"key": key, "kind": kind, "title": two, "edges": [{"outcome": o, "to": to} for o, to in out.items()]}
        for key, (kind, out) in ways.items()
    ]
    rule = {"attribute": "organisation.kind", "comparison": "in", "value": ["startup"]}
    people.add_organisation(actor=system, slug="msit", kind="ministry", name_ko="부처")
    programmes.add_programme(
        actor=system, slug="hyperscale", name_ko="사업", krw_micro_won=10**17, agency_slug="msit"
    )
    calls.add_call(
        actor=system, slug="rush", programme_slug="hyperscale", kind="api_support", name_ko="공고", name_en="Call",
        summary_ko="요약", summary_en="s", text_ko="글", text_en="t",
    )  # fmt: skip
    form = {"sections": [{"key": "all", "title": two, "fields": fields}]}
    calls.save_form(actor=system, call_slug="rush", content=form)
    calls.save_rules(actor=system, call_slug="rush", content=[{"key": "kind", "title": two, "rule": rule}])
    calls.save_steps(actor=system, call_slug="rush", content={"start": "apply", "steps": steps})
    round_ = calls.add_round(
        actor=system, call_slug="rush", opens_at=closes_at - timedelta(days=50), closes_at=closes_at,
        budget_micro_won=10**16, most_micro_won=10**13,
    )  # fmt: skip
    calls.publish_round(actor=system, round_id=round_.id)
    made = []
    for number in range(applicants):
        with transaction.atomic():
            organisation = people.add_organisation(
                actor=system, slug=f"org-{number}", kind="startup", name_ko=f"기업 {number}"
            )
            person = people.add_person(
                actor=system, email=f"p@org-{number}.example", name=f"p{number}", password=None
            )
            people.add_membership(
                actor=system, person_id=person.id, organisation_id=organisation.id, roles=["administrator"]
            )
        actor = identity.actor_for(person_id=person.id)
        view = services.start(actor=actor, round_id=round_.id)
        values = {
            "title": f"과제 {number}",
            "plan": "가" * 1_500,
            "budget": [{"line": "api", "won": 3_000_000, "text": "호출"}],
        }
        services.save_answers(
            actor=actor, application_id=view.id, answers={name: (value, 0) for name, value in values.items()}
        )
        made.append((str(view.id), people.issue_token(actor=actor, name="rush")[1]))
    Organisation.objects.filter(kind="startup").update(size_class="small")
    return made


@contextlib.contextmanager
def portal(workers: int, threads: int, port: int) -> Any:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dure.cli.main", "portal", "--port", str(port)),
            *("--workers", str(workers), "--threads", str(threads)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _turn in range(200):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/api/v1/calls", timeout=5).status_code == 200:
                    break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


async def send(
    ready: list[tuple[str, str]], port: int, begin: float, seconds: float, chance: random.Random
) -> list[dict[str, Any]]:
    """Every applicant submits once, at a moment of their own; most of them late, as people do."""
    limits = httpx.Limits(max_connections=len(ready), max_keepalive_connections=len(ready))

    async def one(client: httpx.AsyncClient, application: str, token: str) -> dict[str, Any]:
        at = begin + seconds * chance.betavariate(3, 1.4)
        await asyncio.sleep(max(0.0, at - time.time()))
        sent = time.time()
        try:
            answer = await client.post(
                f"http://127.0.0.1:{port}/api/v1/applications/{application}/submit",
                headers={"Authorization": f"Bearer {token}"},
            )
            status, body = answer.status_code, answer.json()
            code = body.get("error", {}).get("code", "") if status != 200 else ""
        except (httpx.HTTPError, ValueError) as error:
            status, code = 0, type(error).__name__
        return {
            "application": application,
            "sent": sent,
            "took": time.time() - sent,
            "status": status,
            "code": code,
        }

    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        return await asyncio.gather(*[one(client, *who) for who in ready])


def judge(answers: list[dict[str, Any]], deadline: float, margin: float) -> dict[str, Any]:
    """Held against the database."""
    from dure.control.applications.models import Submission
    from dure.control.foundation import signing

    submissions: dict[str, list[Submission]] = {}
    for row in Submission.objects.all():
        submissions.setdefault(str(row.application_id), []).append(row)
    sure = [one for one in answers if abs(one["sent"] - deadline) > margin]
    took = sorted(one["took"] for one in answers)
    return {
        "sent": len(answers),
        "in": sum(one["status"] == 200 for one in answers),
        "refused_as_late": sum(one["code"] == "deadline_passed" for one in answers),
        "other_answers": sorted(
            {f"{one['status']} {one['code']}" for one in answers} - {"200 ", "409 deadline_passed"}
        ),
        "in_time_and_refused": sum(one["sent"] < deadline and one["status"] != 200 for one in sure),
        "late_and_accepted": sum(one["sent"] >= deadline and one["status"] == 200 for one in sure),
        "accepted_without_one_submission": sum(
            one["status"] == 200 and len(submissions.get(one["application"], [])) != 1 for one in answers
        ),
        "refused_with_a_submission": sum(one["status"] != 200 and one["application"] in submissions for one in answers),
        "receipts_that_do_not_verify": sum(
            not signing.verify(row.receipt.encode(), row.key_id, row.signature) for rows in submissions.values() for row in rows
        ),
        "within_margin": len(answers) - len(sure),
        "p50_ms": took[len(took) // 2] * 1_000,
        "p95_ms": took[int(len(took) * 0.95)] * 1_000,
        "max_ms": took[-1] * 1_000,
    }  # fmt: skip


def run(given: argparse.Namespace, workers: int, threads: int) -> dict[str, Any]:
    """One rush in a process of its own, for Django reads its settings once."""
    done = subprocess.run(
        [
            *(
                sys.executable,
                __file__,
                "--one",
                "--applicants",
                str(given.applicants),
                "--seed",
                str(given.seed),
            ),
            *("--seconds", str(given.seconds), "--deadline", str(given.deadline), "--threads", str(threads)),
            *("--margin", str(given.margin), "--workers", str(workers)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {"workers": workers, "threads": threads, **json.loads(done.stdout)}


def one_rush(given: argparse.Namespace) -> dict[str, Any]:
    from dure.local.postgres import FORGETFUL, Postgres

    with tempfile.TemporaryDirectory(prefix="dure-rush-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        settings = {name: value for name, value in FORGETFUL.items() if name != "synchronous_commit"}
        server = Postgres(
            folder / "postgresql",
            log=folder / "postgresql.log",
            settings={**settings, "max_connections": "200"},
        )
        server.start()
        try:
            os.environ |= {
                "DURE_DATABASE_URL": server.url(database="postgres"),
                "DURE_SECRET_KEY": "only-for-benchmarks",
                "DURE_DATA_DIR": str(folder),
                "DJANGO_SETTINGS_MODULE": "dure.control.config.settings",
            }
            manage = [sys.executable, "-m", "dure.control.config.manage", "migrate", "--verbosity=0"]
            subprocess.run(manage, check=True)
            import django

            django.setup()
            from dure.control.calls.models import Round
            from dure.control.calls.selectors import database_now

            ready = prepare(given.applicants, database_now() + timedelta(days=45))
            port, threads = free_port(), int(given.threads)
            with portal(int(given.workers), threads, port):
                begin = time.time() + 2
                # The second that a deadline names is in time, to its end.
                closes_at = int(begin + given.deadline)
                deadline = closes_at + 1.0
                _move_deadline(Round.objects.get().pk, datetime.fromtimestamp(closes_at).astimezone())
                answers = asyncio.run(send(ready, port, begin, given.seconds, random.Random(given.seed)))
            return judge(answers, deadline, given.margin)
        finally:
            server.stop()


def _move_deadline(round_id: UUID, closes_at: datetime) -> None:
    """A published deadline is never moved to an earlier moment: here alone, by switching its guard off."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE calls_round SET closes_at = %s WHERE id = %s", [closes_at, round_id])
        cursor.execute("SET session_replication_role = DEFAULT")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--applicants", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--deadline", type=float, default=8.0, help="seconds after the first, in whole seconds of the clock"
    )
    parser.add_argument(
        "--threads", default="", help="of the portal, one rush for each; default: the portal's own"
    )
    parser.add_argument("--workers", default="", help="the same for the portal's processes")
    parser.add_argument("--margin", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=20_261_125)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one_rush(given)))
        return 0
    from dure.cli.portal import portal as command

    default = {option.name: str(option.default) for option in command.params}
    results = [
        run(given, int(workers), int(threads))
        for workers in (given.workers or default["workers"]).split(",")
        for threads in (given.threads or default["threads"]).split(",")
    ]
    for result in results:
        print("\n".join(f"{name:<34} {value}" for name, value in result.items()), "\n")
    out = ROOT / "bench" / "results" / "rush.json"
    out.write_text(json.dumps({"arguments": vars(given), "rushes": results}, indent=1) + "\n")
    wrong = (
        *("in_time_and_refused", "late_and_accepted", "accepted_without_one_submission"),
        *("refused_with_a_submission", "receipts_that_do_not_verify"),
    )
    return int(any(result[name] for result in results for name in wrong))


if __name__ == "__main__":
    sys.exit(main())
