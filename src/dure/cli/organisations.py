"""`dure organisations`: those that give, offer and use."""

from typing import Any

import click

from dure.cli._context import control_plane, json_option, operator, print_fields, print_json, print_rows

_KINDS = ("ministry", "agency", "provider", "sme", "startup", "public_body", "university", "institute")


@click.group()
def organisations() -> None:
    """Organisations that give, offer and use: ministries, providers, start-ups, universities …"""


@organisations.command("add")
@click.argument("slug")
@click.option("--kind", required=True, type=click.Choice(_KINDS), help="What kind of organisation it is.")
@click.option("--name", required=True, help="Its name, in Korean.")
@click.option("--name-en", help="Its name in English. [default: the same]")
@json_option
@control_plane
def add(slug: str, kind: str, name: str, name_en: str | None, as_json: bool) -> None:
    """Add an organisation. SLUG is its short name everywhere: small letters, digits, hyphens."""
    from dure.control.identity import services

    view = services.add_organisation(actor=operator(), slug=slug, kind=kind, name_ko=name, name_en=name_en)
    print_json(_fields(view)) if as_json else click.echo(f"Added {view.slug} ({view.kind}): {view.id}")


@organisations.command("list")
@click.option("--kind", type=click.Choice(_KINDS), help="Only this kind.")
@click.option("--search", help="Only those whose name has this in it.")
@json_option
@control_plane
def list_organisations(kind: str | None, search: str | None, as_json: bool) -> None:
    """List organisations by short name."""
    from dure.control.identity import selectors

    rows = [_fields(view) for view in selectors.organisations(kind=kind, search=search, limit=100_000)]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        empty = "None found. `dure organisations add` adds one."
        print_rows(rows, ["slug", "kind", "name_ko", "name_en", "id"], empty=empty)


@organisations.command("show")
@click.argument("slug")
@json_option
@control_plane
def show(slug: str, as_json: bool) -> None:
    """Show one organisation, by short name or id."""
    from dure.control.identity import selectors

    fields = _fields(selectors.organisation(slug))
    print_json(fields) if as_json else print_fields(fields)


def _fields(view: Any) -> dict[str, Any]:
    return {
        "id": str(view.id),
        "slug": view.slug,
        "kind": view.kind,
        "name_ko": view.name_ko,
        "name_en": view.name_en,
        "demo": view.demo,
        "active": view.active,
    }
