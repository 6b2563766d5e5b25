"""`python -m dure.cli._prepare`: what a start needs of the database: its schema, and the demonstration world.

One process for both, begun while the database is still being made, so that loading Django costs no time of
its own. Prints one JSON object, the demonstration's sign-ins and key, or {}.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 90.0


def _await_database() -> None:
    from django.db import OperationalError, connection

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection.ensure_connection()
            return
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _prepare(*, demo: bool, data: Path, model_url: str) -> dict[str, Any]:
    import io

    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    if not demo:
        return {}
    printed = io.StringIO()
    call_command("apply_demo", data=data, model_url=model_url, json=True, stdout=printed)
    result: dict[str, Any] = json.loads(printed.getvalue())
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dure.cli._prepare")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model-url", default="")
    parser.add_argument("--demo", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dure.control.config.settings")
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management.base import CommandError
    from django.db import DatabaseError

    try:
        django.setup()
        _await_database()
        result = _prepare(demo=arguments.demo, data=arguments.data, model_url=arguments.model_url)
    except (CommandError, DatabaseError, ImproperlyConfigured) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(json.dumps(result, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
