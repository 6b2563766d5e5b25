"""Options for the limits of awards and keys. One that is not given changes nothing; `none` removes the limit."""

from collections.abc import Callable
from typing import Any

import click

from dure.cli._networks import Networks
from dure.contracts.directory import HIGHEST_LIMIT

NONE = "none"


class Count(click.ParamType[int | str]):
    """A whole number from 1, or `none`."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value).strip().replace(",", "")
        if text == NONE:
            return NONE
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:12]) <= HIGHEST_LIMIT:
            self.fail(f"{value!r} is not a whole number from 1 to {HIGHEST_LIMIT}, or {NONE}.", param, ctx)
        return int(text)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The limits that awards and keys have in common, as options; `changes` reads them."""
    options = [
        click.option("--requests-per-minute", type=Count(), metavar="N|none", help="Calls that begin in a minute."),
        click.option("--tokens-per-minute", type=Count(), metavar="N|none",
                     help="Tokens in a minute: the input and the longest answer asked for."),
        click.option("--concurrency", type=Count(), metavar="N|none", help="Calls that run at one time."),
        click.option("--model", "models", multiple=True, metavar="NAME|none",
                     help="Only this model; may be repeated."),
        click.option("--networks", type=Networks(NONE), metavar="CIDR,…|none", help="Only from these networks."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def changes(options: dict[str, Any]) -> dict[str, Any]:
    """What the options given change, as services take it."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if name in {"models", "endpoints"}:
            if value:
                found[name] = () if value == (NONE,) else value
        elif value is not None:
            found[name] = None if value == NONE else value
    return found


def shown(view: object, *, ceiling: bool = False) -> dict[str, object]:
    """Limits as fields for people."""
    fields: dict[str, object] = {
        "requests_per_minute": _number(view, "requests_per_minute"),
        "tokens_per_minute": _number(view, "tokens_per_minute"),
        "concurrency": _number(view, "concurrency"),
    }
    if ceiling:
        fields["max_tokens"] = _number(view, "max_tokens_ceiling")
    fields["models"] = ", ".join(getattr(view, "models")) or "all"  # noqa: B009
    if ceiling:
        fields["endpoints"] = ", ".join(getattr(view, "endpoints")) or "all"  # noqa: B009
    fields["networks"] = ", ".join(getattr(view, "networks")) or "all"  # noqa: B009
    return fields


def _number(view: object, name: str) -> str:
    value = getattr(view, name)
    return NONE if value is None else f"{value:,}"
