"""`dure keys`: issue, list, limit, revoke and rotate the API keys of an award."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from dure.cli import _context, _limits, _types

if TYPE_CHECKING:
    from dure.control.access.services import IssuedKey

_EXPIRES = click.option(
    "--expires",
    type=_types.Moment(),
    metavar="DATE",
    help="Its last day (Seoul), like 2027-01-31, or a moment.",
)
_QUIET = click.option("--quiet", is_flag=True, help="Print the key and nothing else.")


@click.group()
def keys() -> None:
    """API keys. A key spends one award; its secret is shown once, when it is made."""


@keys.command()
@click.option(
    "--award", "award_id", type=click.UUID, required=True, metavar="ID", help="The award it spends."
)
@click.option("--name", default="", help="What it is for, as your lists will show it.")
@click.option("--from", "valid_from", type=_types.Moment(end_of_day=False), metavar="DATE",
              help="Its first day (Seoul), or a moment; default: now.")  # fmt: skip
@_EXPIRES
@_limits.limit_options
@_QUIET
@_context.control_plane
@_context.json_option
def issue(
    award_id: UUID,
    name: str,
    valid_from: datetime | None,
    expires: datetime | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Issue a key and print it. It cannot be shown again.

    The key is alone on standard output, remarks go to standard error:

    \b
    export OPENAI_API_KEY=$(dure keys issue --award ID --name laptop)

    A key's own limits hold beside its award's.
    """
    from dure.control.access import services

    issued = services.issue_key(
        actor=_context.operator(),
        award_id=award_id,
        name=name,
        valid_from=valid_from,
        expires_at=expires,
        limits=services.KeyLimits(**_limits.changes(options)),
    )
    _print(issued, quiet=quiet, as_json=as_json)


@keys.command("list")
@click.option("--award", "award_id", type=click.UUID, required=True, metavar="ID", help="Whose keys.")
@_context.control_plane
@_context.json_option
def list_keys(award_id: UUID, as_json: bool) -> None:
    """List an award's keys, newest first. Secrets are kept nowhere."""
    from dure.control.foundation.errors import NotFound
    from dure.control.programmes import selectors

    try:
        found = selectors.keys_with_use(actor=_context.operator(), award_id=award_id)
    except NotFound:
        raise _context.Refusal(
            "award_not_found", f"There is no award {award_id}.", remedy="See them with: dure awards list"
        ) from None
    if as_json:
        _context.print_json_lines(
            {name: getattr(use.key, name) for name in use.key.__dataclass_fields__}
            | {"last_used_at": use.last_used_at, "calls": use.calls, "cost_micro_won": use.cost_micro_won}
            for use in found
        )
        return
    _context.print_rows(
        [
            {
                "id": use.key.id,
                "prefix": use.key.prefix,
                "name": use.key.name,
                "state": use.key.state,
                "expires": _types.show_moment(use.key.expires_at),
                "last_used": _types.show_moment(use.last_used_at),
                "calls": use.calls,
            }
            for use in found
        ],
        ["id", "prefix", "name", "state", "expires", "last_used", "calls"],
        empty="No keys yet. Issue one with: dure keys issue --award ID",
    )


@keys.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
@_limits.limit_options
@_context.control_plane
@_context.json_option
def limits(key_id: UUID, as_json: bool, **options: Any) -> None:
    """Change the limits of the key ID, or show them. They hold beside its award's.

    What is not given stays as it is; "none" removes a limit. Gateways know within a second.
    """
    from dure.control.access import selectors, services
    from dure.control.foundation.errors import NotFound

    changes = _limits.changes(options)
    changed = False
    try:
        if changes:
            view, changed = services.change_key_limits(
                actor=_context.operator(), key_id=key_id, changes=changes
            )
        else:
            view = selectors.key(actor=_context.operator(), key_id=key_id)
    except NotFound:
        raise _context.Refusal(
            "key_not_found", f"There is no key {key_id}.", remedy="See them with: dure keys list --award ID"
        ) from None
    if as_json:
        _context.print_json(
            {name: getattr(view, name) for name in view.__dataclass_fields__} | {"changed": changed}
        )
        return
    _context.print_fields(_limits.shown(view))
    if changes:
        click.echo("changed" if changed else "nothing to change: it stood so already", err=True)


@keys.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
@click.option("--reason", default="", help="Why, for the award's timeline.")
@_context.control_plane
@_context.json_option
def revoke(key_id: UUID, reason: str, as_json: bool) -> None:
    """Revoke the key ID for good. Gateways refuse it within a second."""
    from dure.control.access import services

    view, changed = services.revoke_key(actor=_context.operator(), key_id=key_id, reason=reason)
    if as_json:
        _context.print_json(
            {name: getattr(view, name) for name in view.__dataclass_fields__} | {"changed": changed}
        )
    elif changed:
        click.echo(f"revoked: {view.prefix}")
    else:
        click.echo(f"revoked already on {_types.show_moment(view.revoked_at)}: {view.prefix}")


@keys.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
@click.option(
    "--overlap",
    type=_types.Duration(),
    default="24h",
    show_default=True,
    help="How long the old key works on: 30m, 24h, 7d, or 0.",
)
@_EXPIRES
@_QUIET
@_context.control_plane
@_context.json_option
def rotate(key_id: UUID, overlap: timedelta, expires: datetime | None, quiet: bool, as_json: bool) -> None:
    """Replace the key ID by a new one and print it; the old one works on for a while.

    The new key expires when the old one would have, unless --expires says otherwise.
    """
    from dure.control.access import services

    issued = services.rotate_key(
        actor=_context.operator(), key_id=key_id, overlap=overlap, expires_at=expires
    )
    _print(issued, quiet=quiet, as_json=as_json)


def _print(issued: "IssuedKey", *, quiet: bool, as_json: bool) -> None:
    key = issued.key
    if as_json:
        _context.print_json(
            {name: getattr(key, name) for name in key.__dataclass_fields__} | {"secret": issued.secret}
        )
        return
    click.echo(issued.secret)
    if not quiet:
        click.echo("Keep it now: it is shown this once.", err=True)
        click.echo(f"id {key.id}, expires {_types.show_moment(key.expires_at)}", err=True)
