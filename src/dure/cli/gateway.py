"""`dure gateway`: the node that serves, and the repair of what a dead one left.

What officers decide about nodes that do not come back is in `nodes`.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dure.cli import _context, _types
from dure.cli._networks import Networks
from dure.cli.nodes import declare_lost, nodes

if TYPE_CHECKING:
    from dure.gateway.app.node import NodeConfig
    from dure.gateway.app.shipper import Settled


def _database_url(given: str | None) -> str:
    if given:
        return _parsed(given)
    if _context.named_folder() is not None or not _from_environment():
        _context.enter_instance()
    url = _from_environment()
    if not url:
        raise _context.Refusal(
            "no_database",
            "The gateway was not told which database is its own.",
            remedy="Give --database-url or set DURE_GATEWAY_DATABASE_URL, with the gateway's role.",
        )
    return _parsed(url)


def _parsed(url: str) -> str:
    """The address, unless it is none: waiting for a database that cannot exist would go on for ever."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        raise _context.Refusal(
            "database_url_invalid",
            "The gateway's database address is not a PostgreSQL address.",
            remedy="Give --database-url or DURE_GATEWAY_DATABASE_URL like postgresql://user@host:5432/name.",
        ) from None
    return url


def _from_environment() -> str | None:
    return os.environ.get("DURE_GATEWAY_DATABASE_URL") or os.environ.get("DURE_DATABASE_URL")


_database_url_option = click.option(
    "--database-url",
    metavar="URL",
    help="PostgreSQL, as the gateway's role. [default: DURE_GATEWAY_DATABASE_URL]",
)


@click.group(invoke_without_command=True)
@click.option(
    "--host", envvar="DURE_GATEWAY_HOST", default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option("--port", envvar="DURE_GATEWAY_PORT", type=click.IntRange(0, 65535), default=8080,
              show_default=True, help="Port to listen on; 0 picks a free one.")  # fmt: skip
@click.option("--workers", envvar="DURE_GATEWAY_WORKERS", type=click.IntRange(1, 256), default=1,
              show_default=True, help="Processes that share the port; one per core is good.")  # fmt: skip
@click.option("--journal", envvar="DURE_JOURNAL_DIR", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the journals. [default: DURE_DATA_DIR/journal]")  # fmt: skip
@_database_url_option
@click.option(
    "--node",
    envvar="DURE_NODE",
    metavar="NAME",
    default="",
    help="This node's name. [default: the host's name]",
)
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path),
              help="Written as JSON (host, port, pids) when ready, removed at the end.")  # fmt: skip
@click.option("--overlap", is_flag=True,
              help="Start beside a node that still listens on the port: restart without a gap.")  # fmt: skip
@click.option("--drain-seconds", type=_types.Seconds(), default=30.0, show_default=True,
              help="How long running requests may take to finish when stopping.")  # fmt: skip
@click.option("--tls-certificate", envvar="DURE_GATEWAY_TLS_CERTIFICATE", metavar="FILE",
              help="Serve HTTPS with this certificate chain (PEM); SIGHUP reads it again.")  # fmt: skip
@click.option("--tls-key", envvar="DURE_GATEWAY_TLS_KEY", metavar="FILE",
              help="Its private key. [default: in the certificate's file]")  # fmt: skip
@click.option("--upstream-ca", "upstream_ca_file", envvar="DURE_GATEWAY_UPSTREAM_CA", metavar="FILE",
              help="Authorities that providers' certificates are verified by. [default: the system's]")  # fmt: skip
@click.option("--upstream-certificate", envvar="DURE_GATEWAY_UPSTREAM_CERTIFICATE", metavar="FILE",
              help="A certificate to show to providers that ask for one.")  # fmt: skip
@click.option("--upstream-key", envvar="DURE_GATEWAY_UPSTREAM_KEY", metavar="FILE",
              help="Its private key. [default: in the certificate's file]")  # fmt: skip
@click.option("--trusted-proxies", envvar="DURE_TRUSTED_PROXIES", type=Networks(), default=(), metavar="CIDR,…",
              help="Proxies whose x-forwarded-for tells a client's address, for keys and awards that name networks.")  # fmt: skip
@click.pass_context
def gateway(
    context: click.Context, /, journal: Path | None, database_url: str | None, **options: Any
) -> None:
    """Serve the OpenAI-compatible API: workers on one port and a shipper that posts their journals.

    \b
    Ctrl-C or SIGTERM: running requests finish, usage is posted, then it ends. A second one cuts them.
    Any number of nodes may share one database; each needs a journal folder of its own.
    """
    if context.invoked_subcommand is not None:
        return
    from dure.gateway.app.node import NodeConfig, PortInUse, run_node

    config = NodeConfig(
        database_url=_database_url(database_url),
        journal=journal or _context.data_folder() / "journal",
        **options,
    )
    _check_tls(config)
    try:
        sys.exit(run_node(config))
    except PortInUse as busy:
        raise _context.Refusal(
            "port_in_use", str(busy), remedy="Choose another with --port; 0 picks a free one."
        ) from None
    except (OSError, UnicodeError) as error:  # an overlong name of a host is the latter
        raise _context.Refusal("gateway_cannot_start", f"The gateway cannot start: {error}") from None


def _check_tls(config: "NodeConfig") -> None:
    """Say now what is wrong with certificates; a worker could only fail again and again."""
    from dure.gateway.io.tls import ServerTls, TlsUnusable, client_context

    for option, certificate, key in (
        ("tls", config.tls_certificate, config.tls_key),
        ("upstream", config.upstream_certificate, config.upstream_key),
    ):
        if key is not None and certificate is None:
            raise _context.Refusal(
                "tls_unusable",
                f"--{option}-key was given without --{option}-certificate.",
                remedy="Give both, or one file with the certificate and its key.",
            )
    try:
        if config.tls_certificate is not None:
            ServerTls(config.tls_certificate, config.tls_key or config.tls_certificate)
        client_context(
            ca_file=config.upstream_ca_file, certificate=config.upstream_certificate, key=config.upstream_key
        )
    except TlsUnusable as error:
        raise _context.Refusal(
            "tls_unusable",
            f"TLS cannot be set up: {error}.",
            remedy="Files must be PEM, readable by this user, the key without a password and the certificate's own.",
        ) from None


@gateway.command()
@click.option("--journal", required=True, type=click.Path(exists=True, path_type=Path),
              help="A journal file, one process's folder, or a folder of them.")  # fmt: skip
@_database_url_option
@click.option("--accept-damage", is_flag=True,
              help="Settle a damaged journal with what can be read. The damaged files are kept.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each settled process.")
def recover(journal: Path, database_url: str | None, accept_damage: bool, as_json: bool) -> None:
    """Settle journals of dead gateway processes, here or copied from a lost node.

    Posts what is not posted yet, records open requests as interrupted, returns the escrow, removes the
    process's folder. Works on any machine that reaches the database. Safe to repeat. A node does the same by
    itself for its own journal folder. Bare files, copied out of their folder, are laid into one and left as they
    are. Of a process that was declared lost meanwhile, usage is charged as far as the awards have the money.
    """
    import asyncio

    import msgspec

    from dure.gateway.app.shipper import ShipperConfig, settle_folders
    from dure.gateway.io.connections import DatabaseAway, DatabaseRefused
    from dure.gateway.io.journal import JournalLocked
    from dure.gateway.io.journal_tail import JournalDamaged
    from dure.gateway.io.loose import FolderExists, folders_to_settle
    from dure.gateway.io.usage_poster import MarkMoved, ProcessStuck
    from dure.gateway.protocol.journal import JournalError

    journal = journal.resolve()
    try:
        folders = folders_to_settle(journal)
    except (JournalDamaged, JournalError, FolderExists, OSError) as error:
        raise _context.Refusal(
            "journal_unusable",
            f"The journal cannot be used: {error}.",
            remedy="See what a file says with: dure journal inspect FILE",
        ) from None
    if not folders:
        raise _context.Refusal(
            "no_journal", f"{journal} holds no journal of a gateway process: there is nothing to settle."
        )
    config = ShipperConfig(journal, _database_url(database_url))
    problem = None
    for folder in folders:
        try:
            (settled,) = asyncio.run(settle_folders(config, [folder], accept_damage=accept_damage))
        except JournalDamaged as damage:
            problem = (
                f"{damage}. Look at it with `dure journal inspect`; --accept-damage settles what can be read."
            )
        except (
            JournalLocked,
            DatabaseAway,
            DatabaseRefused,
            MarkMoved,
            ProcessStuck,
            JournalError,
            OSError,
        ) as error:
            problem = str(error)
        else:
            if as_json:
                click.echo(msgspec.json.encode(settled).decode())
            else:
                click.echo(_said(settled))
            continue
        click.echo(
            json.dumps({"folder": str(folder), "error": problem}) if as_json else f"{folder}: {problem}",
            err=not as_json,
        )
    if problem is not None:
        sys.exit(1)


def _said(settled: "Settled") -> str:
    """What settling one process came to, as a sentence."""
    show_won = _types.show_won
    did = (
        f"{settled.process_id}: {settled.posted} records posted, {settled.interrupted} of them interrupted,"
        f" {settled.lost} lost; "
    )
    if not settled.declared_lost:
        return did + f"{show_won(settled.returned_micro_won)} of escrow returned"
    return did + (
        f"declared lost before, so {show_won(settled.charged_micro_won)} charged to the awards and"
        f" {show_won(settled.uncovered_micro_won)} left uncovered"
    )


gateway.add_command(nodes)
gateway.add_command(declare_lost)
