"""`dure sources`: the public sources of money, and what became of it in each programme."""

import click

from dure.cli import _context, _types


@click.group()
def sources() -> None:
    """Public sources of money: ministries' budget lines and funds."""


@sources.command()
@click.argument("slug")
@click.option("--name", required=True, help="Its name (Korean, where it has one).")
@click.option("--name-en", help="Its English name; default: the same.")
@click.option("--kind", type=click.Choice(["budget", "fund", "other"]), default="budget", show_default=True)
@click.option("--organisation", metavar="SLUG", help="Whose it is.")
@_context.control_plane
@_context.json_option
def add(
    slug: str, name: str, name_en: str | None, kind: str, organisation: str | None, as_json: bool
) -> None:
    """Name the source SLUG, so that money can be appropriated from it.

    \b
    dure sources add ai-fund --name "인공지능 기금" --kind fund
    dure programmes appropriate hyperscale-ai-2027 --source ai-fund --krw 500,000,000
    """
    from dure.control.programmes import services

    made = services.add_source(
        actor=_context.operator(),
        slug=slug,
        name_ko=name,
        name_en=name_en,
        kind=kind,
        organisation_slug=organisation,
    )
    if as_json:
        _context.print_json({"id": made.id, "slug": made.slug, "name": made.name_ko, "kind": made.kind})
    else:
        click.echo(made.slug)


@sources.command("list")
@_context.control_plane
@_context.json_option
def list_sources(as_json: bool) -> None:
    """List the sources."""
    from dure.control.programmes import selectors

    rows = [
        {"slug": one.slug, "name": one.name_ko, "name_en": one.name_en, "kind": one.kind}
        for one in selectors.sources()
    ]
    if as_json:
        _context.print_json_lines(rows)
        return
    _context.print_rows(
        rows,
        ["slug", "name", "kind"],
        empty="No sources yet. Add one with: dure sources add SLUG --name NAME",
    )


@sources.command()
@click.argument("slug")
@_context.control_plane
@_context.json_option
def show(slug: str, as_json: bool) -> None:
    """Show what became of the money of the source SLUG: given = left + granted; granted = spent + remaining."""
    from dure.control.foundation.errors import NotFound
    from dure.control.programmes import selectors

    try:
        found = selectors.source(slug=slug)
    except NotFound:
        raise _context.Refusal(
            "source_not_found", f"There is no source {slug!r}.", remedy="See them with: dure sources list"
        ) from None
    print_money(selectors.money_of_source(source_id=found.id), "programme", as_json=as_json)


def print_money(lines: object, first: str, *, as_json: bool) -> None:
    """Money by source or by programme."""
    rows = [line.as_dict() for line in lines]  # type: ignore[attr-defined]
    if as_json:
        _context.print_json_lines(rows)
        return
    names = ("given", "left", "granted", "spent", "remaining")
    shown = [
        {first: row[first], **{name: _types.show_amount(row[name], row["unit"]) for name in names}}
        for row in rows
    ]
    _context.print_rows(shown, [first, *names], empty="No money has been appropriated.")
