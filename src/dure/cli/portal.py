"""`dure portal`: the web portal and the REST API, served by granian."""

import os

import click

from dure.cli import _context

#: Requests that may wait inside for one of the few turns, so that it is known when they came.
_WAITING_ROOM = 1_024


@click.command()
@click.option(
    "--host", envvar="DURE_PORTAL_HOST", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option("--port", envvar="DURE_PORTAL_PORT", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="Port to listen on; 0 picks a free one.")  # fmt: skip
@click.option("--workers", envvar="DURE_PORTAL_WORKERS", type=click.IntRange(1, 256), default=1, show_default=True,
              help="Processes that share the port.")  # fmt: skip
@click.option("--threads", envvar="DURE_PORTAL_THREADS", type=click.IntRange(1, 256), default=4, show_default=True,
              help="Requests a process answers at once; each may hold a database connection.")  # fmt: skip
@_context.data_option
def portal(host: str, port: int, workers: int, threads: int) -> None:
    """Serve the web portal and the REST API until SIGTERM or Ctrl-C.

    \b
    Reads DURE_DATABASE_URL, DURE_SECRET_KEY (or DURE_DATA_DIR/secret_key), DURE_PORTAL_URL (the address
    people use), DURE_GATEWAY_URL. TLS belongs to the balancer in front; set DURE_BEHIND_PROXY=1 then.
    """
    from dure.cli._serving import check_port, check_settings, free_port, require_settings

    _context.enter_instance()
    require_settings()
    if port:
        check_port(host, port)
    else:
        port = free_port(host)
    os.environ.setdefault("DURE_PORTAL_URL", f"http://{host}:{port}")
    os.environ["DURE_PORTAL_TURNS"] = str(threads)
    check_settings()

    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    click.echo(f"portal on http://{host}:{port} with {workers} worker{'s' if workers > 1 else ''}", err=True)
    Server(
        "dure.cli._portal_application:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=max(_WAITING_ROOM, threads),
        backpressure=max(_WAITING_ROOM, threads),
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=5,
        log_level=LogLevels.warning,
        process_name=None,
    ).serve()
