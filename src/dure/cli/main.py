"""The `dure` command. A subcommand's module is loaded when it is called, so that help and the gateway start at once."""

import importlib
import sys
from collections.abc import Sequence

import click

from dure.cli import _context

#: name → (where it is, what it says of itself); the texts are here so that `dure --help` loads none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("dure.cli.up:up", "Start everything on this machine: database, model, gateway, portal, worker."),
    "portal": ("dure.cli.portal:portal", "Serve the web portal and the REST API."),
    "gateway": ("dure.cli.gateway:gateway", "Serve the OpenAI-compatible gateway."),
    "worker": ("dure.cli.worker:worker", "Run background tasks and schedules."),
    "journal": ("dure.cli.journal:journal", "Look into the gateway's journals."),
    "organisations": ("dure.cli.organisations:organisations", "Organisations that give, offer and use."),
    "people": ("dure.cli.people:people", "People, their memberships and roles."),
    "receipts": (
        "dure.cli.receipts:receipts",
        "Verify signed receipts, and show the keys they are signed with.",
    ),
    "notices": ("dure.cli.notices:notices", "What people are told, in the portal and by mail."),
    "duties": ("dure.cli.duties:duties", "What waits for a person, in every room."),
    "sources": ("dure.cli.sources:sources", "Public sources of money, and what became of it."),
    "programmes": ("dure.cli.programmes:programmes", "Programmes, their money and their terms."),
    "calls": ("dure.cli.calls:calls", "Calls, their rounds, and questions about them."),
    "applications": (
        "dure.cli.applications:applications",
        "Write, hand in, follow and decide on applications.",
    ),
    "awards": ("dure.cli.awards:awards", "Grant awards, see what is left of them, limit and end them."),
    "keys": ("dure.cli.keys:keys", "Issue, limit, rotate and revoke API keys."),
    "usage": ("dure.cli.usage:usage", "Calls, their tokens and what they cost."),
    "ledger": ("dure.cli.ledger:ledger", "Books, transfers, and the recount of everything."),
    "catalogue": ("dure.cli.catalogue:catalogue", "Providers, models, prices and deployments."),
    "version": ("dure.cli.version:version", "Print the version."),
}


class LazyGroup(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@_context.data_option
def dure() -> None:
    """Dure (두레) runs a nation's AI ecosystem: from a decision at the table to a token on the wire, one ledger.

    Start it here with `dure up`; the other commands work on the instance in --data DIR, DURE_DATA_DIR or .dure.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    sys.exit(_context.run(dure, arguments))


if __name__ == "__main__":
    main()
