"""`dure receipts`: whether a receipt is genuine, and the keys that receipts are signed with."""

from typing import BinaryIO

import click

from dure.cli import _context


@click.group()
def receipts() -> None:
    """Signed receipts, and the keys they are signed with."""


@receipts.command()
@click.argument("file", type=click.File("rb"))
@_context.control_plane
@_context.json_option
def verify(file: BinaryIO, as_json: bool) -> None:
    """Say whether the receipt in FILE (or - for standard input) is genuine; the exit status is 1 if not."""
    from dure.control.foundation import receipts as service

    found = service.verify(file.read(service.LARGEST + 1))
    if as_json:
        _context.print_json(found)
    else:
        _context.print_fields(
            {
                "receipt": "genuine" if found.genuine else "NOT genuine",
                "key": f"{found.key_id} ({found.key})",
                **{name: _context.one_line(str(value)) for name, value in found.content.items()},
            }
        )
    if not found.genuine:
        raise SystemExit(1)


@receipts.command()
@_context.control_plane
@_context.json_option
def keys(as_json: bool) -> None:
    """List the public keys (Ed25519), the present one first."""
    from dure.control.foundation import signing

    found = signing.public_keys()
    if as_json:
        _context.print_json_lines(found)
        return
    _context.print_rows(
        [{"key_id": one.key_id, "public_key": one.value_hex, "current": one.current} for one in found],
        ["key_id", "public_key", "current"],
    )
