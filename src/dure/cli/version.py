"""`dure version`."""

import platform

import click

from dure import __version__
from dure.cli import _context


@click.command()
@_context.json_option
def version(as_json: bool) -> None:
    """Print the version of Dure and of the Python it runs on."""
    if as_json:
        _context.print_json({"dure": __version__, "python": platform.python_version()})
    else:
        click.echo(f"dure {__version__} (Python {platform.python_version()})")
