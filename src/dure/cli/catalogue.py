"""`dure catalogue`: what is offered, and making it what a file says."""

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from dure.cli import _context, _types

if TYPE_CHECKING:
    from dure.control.catalogue.selectors import ModelView
    from dure.control.foundation.errors import DureError


@click.group()
def catalogue() -> None:
    """Models on offer, their prices and where they are served.

    The catalogue is described in a YAML file (docs/catalogue-format.md) and applied as a whole: what the
    file says of a model becomes so, and what is so already is left alone.
    """


@catalogue.command()
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@_context.control_plane
@_context.json_option
def apply(file: BinaryIO, dry_run: bool, as_json: bool) -> None:
    """Make the catalogue what FILE says ("-" reads standard input).

    Prints the difference: + for what is new, ~ for what changes, - for what is retired or withdrawn.
    All of it happens or, if anything is wrong, none of it; every mistake is named with line and column.

    \b
    dure catalogue apply catalogue.yaml --dry-run
    """
    from dure.control.catalogue import services
    from dure.control.catalogue.yaml_reader import MAX_BYTES
    from dure.control.foundation.errors import DureError

    try:
        content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _context.Refusal("file_unreadable", f"{file.name}: {error.strerror}") from None
    try:
        diff = services.apply(actor=_context.operator(), document=content, dry_run=dry_run)
    except DureError as error:
        _explain(error, file.name)
        raise
    if as_json:
        _context.print_json({"dry_run": dry_run, "changes": diff.changes})
    else:
        click.echo("\n".join(diff.lines() or ["nothing to change"]))


def _explain(error: "DureError", name: str) -> None:
    for problem in error.data.get("problems", ()):
        where = f"{name}:{problem['line']}:{problem['column']}" if problem["line"] else name
        field = f"{problem['field']}: " if problem["field"] else ""
        remedy = f" {problem['remedy']}" if problem["remedy"] else ""
        click.echo(_context.one_line(f"{where}: {field}{problem['message']}{remedy}"), err=True)


@catalogue.command("list")
@click.option("--search", default="", metavar="TEXT", help="Only models whose name or description has TEXT.")
@click.option("--retired", is_flag=True, help="Retired models, too.")
@_context.control_plane
@_context.json_option
def list_models(search: str, retired: bool, as_json: bool) -> None:
    """List models with the price in force (won per million units)."""
    from dure.control.catalogue import selectors

    found = selectors.models(actor=_context.operator(), search=search, include_retired=retired)
    if as_json:
        _context.print_json_lines(_as_json(view) for view in found)
        return
    _context.print_rows(
        [
            {
                "name": view.name,
                "provider": view.provider.slug,
                "callable": view.why_not or "yes",
                "input": _price(view, "input"),
                "output": _price(view, "output"),
                "endpoints": ", ".join(view.endpoints),
            }
            for view in found
        ],
        ["name", "provider", "callable", "input", "output", "endpoints"],
        empty="No model matches."
        if search
        else "No models yet. Describe some in a file and run: dure catalogue apply FILE.yaml",
    )


@catalogue.command()
@click.argument("name")
@_context.control_plane
@_context.json_option
def show(name: str, as_json: bool) -> None:
    """Show one model with its prices, past and coming, and its deployments."""
    from dure.control.catalogue import selectors
    from dure.control.catalogue.plan import show_meters
    from dure.control.foundation.errors import NotFound

    try:
        view = selectors.model(actor=_context.operator(), name=name)
    except NotFound:
        raise _context.Refusal(
            "model_not_found", f"There is no model {name!r}.", remedy="See them with: dure catalogue list"
        ) from None
    if as_json:
        _context.print_json(_as_json(view))
        return
    _context.print_fields(
        {
            "name": view.name,
            "title": f"{view.title_ko} / {view.title_en}",
            "provider": view.provider.slug,
            "state": view.state,
            "callable": view.why_not or "yes",
            "endpoints": ", ".join(view.endpoints),
            "context_length": view.context_length,
            "max_output_tokens": view.max_output_tokens,
        }
    )
    click.echo("\nPrices, won per million units")
    _context.print_rows(
        [
            {
                "from": _types.show_moment(price.effective_from),
                "state": price.state,
                "prices": show_meters(price.meters),
            }
            for price in view.price_history
        ],
        ["from", "state", "prices"],
    )
    click.echo("\nDeployments")
    _context.print_rows(
        [
            {"name": one.name, "state": one.state, "base_url": one.base_url, "dialect": one.dialect}
            for one in view.deployments
        ],
        ["name", "state", "base_url", "dialect"],
    )


def _price(view: "ModelView", meter: str) -> str:
    from dure.control.catalogue.plan import show_won

    return show_won(view.price.meters[meter]) if view.price and meter in view.price.meters else "–"


def _as_json(view: "ModelView") -> dict[str, Any]:
    fields = {name: getattr(view, name) for name in view.__dataclass_fields__}
    return fields | {"provider": view.provider.slug, "callable": view.callable}
