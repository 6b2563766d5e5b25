"""`dure up`: everything on this machine."""

import os
import shlex
import sys
from pathlib import Path

import click

from dure.cli import _context

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--portal-port", envvar="DURE_PORTAL_PORT", type=_PORT, default=8000, show_default=True,
              help="Where the portal listens; 0 picks a free port.")  # fmt: skip
@click.option("--gateway-port", envvar="DURE_GATEWAY_PORT", type=_PORT, default=8080, show_default=True,
              help="Where the gateway listens; 0 picks a free port.")  # fmt: skip
@click.option("--gateway-workers", envvar="DURE_GATEWAY_WORKERS", type=click.IntRange(1, 256), default=1,
              show_default=True, help="Gateway processes; one per core is a good number.")  # fmt: skip
@click.option("--no-demo", envvar="DURE_NO_DEMO", is_flag=True, help="Without the demonstration world.")
@click.option("--no-model", envvar="DURE_NO_MODEL", is_flag=True, help="Without the embedded model provider.")
@click.option("--timings", is_flag=True, help="Show what the start spent its time on.")
@_context.data_option
def up(
    portal_port: int, gateway_port: int, gateway_workers: int, no_demo: bool, no_model: bool, timings: bool
) -> None:
    """Start database, model, gateway, portal and worker here, and keep them running until Ctrl-C.

    \b
    Everything is kept in the data folder (--data, DURE_DATA_DIR, default .dure) and is there again at the
    next start. When all is ready DIR/ready.json is written (addresses, sign-ins, process ids); logs are in
    DIR/logs. With DURE_DATABASE_URL that PostgreSQL is used instead of the embedded one.
    """
    from dure.local.announcement import CommandLine, Progress
    from dure.local.supervisor import Supervisor, Wish

    data: Path = _context.data_folder()
    wish = Wish(
        data=data,
        portal_port=portal_port,
        gateway_port=gateway_port,
        gateway_workers=gateway_workers,
        demo=not no_demo,
        model=not no_model,
        timings=timings,
        database_url=os.environ.get("DURE_DATABASE_URL", ""),
        gateway_database_url=os.environ.get("DURE_GATEWAY_DATABASE_URL", ""),
        dure=CommandLine(
            program=sys.argv[0] if Path(sys.argv[0]).name == "dure" else "dure",
            data_option=shlex.join(["--data", str(data)]) if _context.named_folder() else "",
        ),
    )
    progress = Progress()
    progress.hello(data)
    Supervisor(wish, progress=progress).run()
