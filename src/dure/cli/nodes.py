"""`dure gateway nodes` and `dure gateway declare-lost`: which nodes live, and what becomes of one that does not come back.

Declaring a gateway lost takes two officers, and this command does not know who sits at the keyboard. So each proves
it with a personal access token of their own, from their account page in the portal.
"""

from typing import TYPE_CHECKING, Any, TextIO
from uuid import UUID

import click

from dure.cli import _context

if TYPE_CHECKING:
    from dure.control.foundation.actors import Actor
    from dure.control.settlement.selectors import GatewayProcessView, WaitingEscrow


@click.command()
@_context.control_plane
@_context.json_option
def nodes(as_json: bool) -> None:
    """List gateway processes, what they do, and whose money waits for those that fell silent."""
    from dure.cli._types import show_moment, show_won
    from dure.control.settlement import selectors

    processes = selectors.gateway_processes()
    waiting = selectors.waiting_escrow()
    if as_json:
        _context.print_json_lines(_as_dict(process, waiting) for process in processes)
        return
    _context.print_rows(
        [
            {
                "node": process.node,
                "process": process.id,
                "state": process.state,
                "up_since": show_moment(process.started_at),
                "last_word": show_moment(process.last_seen_at),
                "under_way": process.open_requests,
                "posted": process.posted_sequence,
                "not_posted": process.unposted_records,
                "directory": process.directory_version,
                "escrow": show_won(process.escrow_micro_won),
            }
            for process in processes
        ],
        ["node", "process", "state", "up_since", "last_word", "under_way", "posted", "not_posted", "directory",
         "escrow"],
        empty="No gateway runs, and none left anything to settle. Start one with: dure gateway",
    )  # fmt: skip
    if waiting:
        click.echo("\nMoney that waits for silent gateways:")
        _context.print_rows(
            [
                {
                    "node": one.node,
                    "process": one.process_id,
                    "award": one.award_id,
                    "waits": show_won(one.micro_won),
                    "since": show_moment(one.since),
                    "declared_lost": one.loss.state if one.loss else "no",
                }
                for one in waiting
            ],
            ["node", "process", "award", "waits", "since", "declared_lost"],
        )


def _as_dict(process: "GatewayProcessView", waiting: "list[WaitingEscrow]") -> dict[str, Any]:
    names = (
        *("id", "node", "os_pid", "version", "state", "started_at", "last_seen_at", "finished_at", "lost_at"),
        *("posted_sequence", "escrow_micro_won", "unposted_records", "unposted_seconds", "unposted_bytes"),
        *("open_requests", "open_streams", "requests", "directory_version", "directory_age_seconds"),
        *("first_byte_ms", "total_ms", "figures", "loss"),
    )
    own = [one for one in waiting if one.process_id == process.id]
    return {name: getattr(process, name) for name in names} | {
        "waiting": [{"award_id": one.award_id, "micro_won": one.micro_won} for one in own]
    }


@click.command("declare-lost")
@click.argument("name", metavar="NODE|PROCESS")
@click.option(
    "--reason", default="", help="What happened to the machine and its disk; for the first officer."
)
@click.option("--confirm", is_flag=True, help="Confirm what another officer asked for: the money returns.")
@click.option("--withdraw", is_flag=True, help="Take back what was asked for; nothing has moved.")
@click.option("--token-file", type=click.File("r"), help="Holds the officer's personal access token.")
@click.option("--token", envvar="DURE_TOKEN", help="The token itself. Better: DURE_TOKEN, or --token-file.")
@_context.control_plane
@_context.json_option
def declare_lost(
    name: str,
    reason: str,
    confirm: bool,
    withdraw: bool,
    token_file: TextIO | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Declare a silent gateway lost for good, so that the money it holds returns to the awards.

    Takes two officers: the first asks with --reason, another confirms with --confirm within seven days; either may
    --withdraw it before. Each proves who they are with a personal access token. A node's name means all of its
    silent processes.

    \b
    DURE_TOKEN=dure-pat-… dure gateway declare-lost seoul-gw-1 --reason "the machine burnt down with its disk"
    DURE_TOKEN=dure-pat-… dure gateway declare-lost seoul-gw-1 --confirm

    If its journal turns up after all, `dure gateway recover` settles it: its calls are charged as far as the
    awards have the money.
    """
    from dure.cli._types import show_won
    from dure.control.settlement import services

    if confirm and withdraw:
        raise click.UsageError("--confirm and --withdraw exclude each other.")
    officer = _officer(token_file.read().strip() if token_file else token)
    ids = _processes(name, asked=confirm or withdraw)
    if confirm:
        decided = services.confirm_lost(actor=officer, process_ids=ids)
    elif withdraw:
        decided = services.withdraw_lost(actor=officer, process_ids=ids)
    else:
        decided = services.declare_lost(actor=officer, process_ids=ids, reason=reason)
    for one in decided:
        if as_json:
            _context.print_json(one)
            continue
        said = {
            "requested": f"asked for; {show_won(one.waiting_micro_won)} waits. Another officer confirms it"
            f" with --confirm until {one.expires_at:%Y-%m-%d %H:%M} UTC",
            "confirmed": f"declared lost; {show_won(one.returned_micro_won)} is back in the awards",
            "withdrawn": "withdrawn; nothing has moved",
        }
        click.echo(f"{one.process_id}: {said[one.state]}")


def _officer(token: str | None) -> "Actor":
    from dure.control.identity.selectors import actor_for_token

    if not token:
        raise _context.Refusal(
            "token_missing",
            "This takes two officers, so it must know which of them you are.",
            remedy="Set DURE_TOKEN to a personal access token from your account page, or give --token-file.",
        )
    actor = actor_for_token(token)
    if actor is None:
        raise _context.Refusal(
            "invalid_token",
            "This token is unknown, expired or revoked.",
            remedy="Issue a new one on your account page.",
        )
    return actor


def _processes(name: str, *, asked: bool) -> list[UUID]:
    """The processes that a name means: that one, or a node's silent ones (those that were asked for, if any step
    follows the first)."""
    from dure.control.settlement import selectors

    found = selectors.gateway_processes(named=name)
    exact = [process.id for process in found if str(process.id) == name.lower()]
    silent = [
        process.id
        for process in found
        if process.state == "silent" and (process.loss is not None and process.loss.is_open) == asked
    ]
    ids = exact or silent
    if not ids:
        states = ", ".join(sorted({process.state for process in found}))
        about = f"what is there of it: {states}" if states else "nothing is known by that name"
        raise _context.Refusal(
            "process_not_found",
            f"No silent gateway process {'that was asked for ' if asked else ''}goes by {name!r}; {about}.",
            remedy="See them with: dure gateway nodes",
        )
    return ids
