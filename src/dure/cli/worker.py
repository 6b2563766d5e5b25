"""`dure worker`: background tasks and schedules, by procrastinate."""

from pathlib import Path

import click

from dure.cli import _context


@click.command()
@click.option("--concurrency", envvar="DURE_WORKER_CONCURRENCY", type=click.IntRange(1, 64), default=2,
              show_default=True, help="Tasks at once.")  # fmt: skip
@click.option("--drain-seconds", type=click.FloatRange(0, 3600), default=10.0, show_default=True,
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
    import os

    from django.db import connection
    from procrastinate.contrib.django import app

    connection.ensure_connection()  # a database that is away is a sentence, not a retry
    connection.close()

    async def serve() -> None:
        with app.replace_connector(app.connector.get_worker_connector()) as running:  # type: ignore[attr-defined]
            async with running.open_async():
                if ready_file is not None:
                    ready_file.write_text(f"{os.getpid()}\n")
                await running.run_worker_async(
                    concurrency=concurrency, shutdown_graceful_timeout=drain_seconds
                )

    try:
        asyncio.run(serve())
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
