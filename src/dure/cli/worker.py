"""`dure worker`: background tasks and schedules, by procrastinate."""

import os
import signal
import sys
from pathlib import Path

import click

from dure.cli import _context, _types

#: Beyond the tasks: telling the database that this worker is gone.
GOODBYE_SECONDS = 3.0


@click.command()
@click.option("--concurrency", envvar="DURE_WORKER_CONCURRENCY", type=click.IntRange(1, 64), default=2,
              show_default=True, help="Tasks at once.")  # fmt: skip
@click.option("--drain-seconds", type=_types.Seconds(), default=10.0, show_default=True,
              help="How long running tasks may take to finish when stopping.")  # fmt: skip
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path),
              help="Written when the worker has begun, removed at the end.")  # fmt: skip
@_context.data_option
def worker(concurrency: int, drain_seconds: float, ready_file: Path | None) -> None:
    """Run background tasks and schedules until SIGTERM or Ctrl-C.

    Any number of workers may share a database; each schedule still runs once.
    """
    from dure.cli._serving import require_settings

    _context.enter_instance()
    require_settings()
    _context.set_up_django()

    import asyncio

    from django.db import connection

    connection.ensure_connection()  # a database that is away is a sentence, not a retry
    connection.close()
    try:
        asyncio.run(_serve(concurrency, drain_seconds, ready_file))
    finally:
        _remove(ready_file)


def _remove(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)


async def _serve(concurrency: int, drain_seconds: float, ready_file: Path | None) -> None:
    """Work until asked to stop. When the database does not answer the goodbye, end without it."""
    import asyncio

    from procrastinate.contrib.django import app

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def work() -> None:
        with app.replace_connector(app.connector.get_worker_connector()) as running:  # type: ignore[attr-defined]
            async with running.open_async():
                if ready_file is not None:
                    ready_file.write_text(f"{os.getpid()}\n")
                await running.run_worker_async(
                    concurrency=concurrency,
                    shutdown_graceful_timeout=drain_seconds,
                    install_signal_handlers=False,
                )

    working, asked = asyncio.create_task(work()), asyncio.create_task(stop.wait())
    await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        await asyncio.wait({working}, timeout=drain_seconds + GOODBYE_SECONDS)
    if not working.done():
        click.echo("stopped without a word to the database, which did not answer", err=True)
        _remove(ready_file)
        sys.stderr.flush()
        os._exit(0)  # what still waits for the database would keep the process
    if not working.cancelled() and (error := working.exception()) is not None:
        raise error
