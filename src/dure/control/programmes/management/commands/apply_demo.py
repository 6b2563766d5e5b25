"""`manage apply_demo`: what the supervisor runs at each start of a demonstration instance."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from dure.control.foundation.errors import DureError
from dure.control.programmes.demo.building import build


class Command(BaseCommand):
    help = "Build the demonstration ecosystem, or add what is missing of it. A second run changes nothing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, required=True, help="The folder that keeps demo.json.")
        parser.add_argument(
            "--model-url", default="", help="Where the embedded model is served; empty: it is not."
        )
        parser.add_argument("--json", action="store_true", help="Print the sign-ins and the key as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        data: Path = options["data"]
        if not data.is_dir():
            raise CommandError(f"{data} is not a folder")
        with translation.override("en"):
            try:
                demo = build(data=data, model_url=options["model_url"])
            except DureError as error:
                raise CommandError(f"{error} ({error.code})") from error
            except OSError as error:
                raise CommandError(f"{error.filename}: {error.strerror}") from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(demo), ensure_ascii=False))
        else:
            self.stdout.write(
                "The demonstration ecosystem is " + ("built." if demo.changed else "as it was.")
            )
