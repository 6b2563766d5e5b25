"""`dure programmes`: programmes and the money put into them."""

from uuid import UUID

import click

from dure.cli import _context, _types


@click.group()
def programmes() -> None:
    """Programmes that pay for the use of models, and their appropriations."""


@programmes.command()
@click.argument("slug")
@click.option("--name", required=True, help="Its name (Korean, where it has one).")
@click.option("--name-en", help="Its English name; default: the same.")
@click.option(
    "--krw", "micro_won", type=_types.Krw(), required=True, help="Its first appropriation, in whole won."
)
@click.option(
    "--agency", metavar="SLUG", help="The ministry or agency whose it is; default: the only one there is."
)
@click.option("--id", "request_id", type=click.UUID, help="Choose the id; the same call again adds nothing.")
@_context.control_plane
@_context.json_option
def add(
    slug: str,
    name: str,
    name_en: str | None,
    micro_won: int,
    agency: str | None,
    request_id: UUID | None,
    as_json: bool,
) -> None:
    """Found the programme SLUG with its first appropriation.

    \b
    dure programmes add hyperscale-ai-2027 --name "초거대 AI 활용지원 사업" --krw 2,000,000,000
    """
    from dure.control.programmes import services

    added = services.add_programme(
        actor=_context.operator(),
        slug=slug,
        name_ko=name,
        name_en=name_en,
        krw_micro_won=micro_won,
        agency_slug=agency,
        request_id=request_id,
    )
    if as_json:
        _context.print_json(added.programme.as_dict() | {"result": added.result})
    else:
        click.echo(added.programme.slug)
        sum_of_it = _types.show_won(added.programme.appropriated_micro_won)
        click.echo(f"{added.result}: {added.programme.name_ko}, {sum_of_it} to grant", err=True)


@programmes.command()
@click.argument("slug")
@click.option("--krw", "micro_won", type=_types.Krw(), required=True, help="How much more, in whole won.")
@click.option("--memo", default="", help="What it is, for the ledger.")
@click.option("--id", "request_id", type=click.UUID, help="Choose the id; the same call again adds nothing.")
@_context.control_plane
@_context.json_option
def appropriate(slug: str, micro_won: int, memo: str, request_id: UUID | None, as_json: bool) -> None:
    """Put more money into the programme SLUG."""
    from dure.control.programmes import services

    added = services.appropriate(
        actor=_context.operator(), programme_slug=slug, micro_won=micro_won, memo=memo, request_id=request_id
    )
    if as_json:
        _context.print_json(added.programme.as_dict() | {"result": added.result})
    else:
        left = _types.show_won(added.programme.left_to_grant_micro_won)
        click.echo(f"{added.result}: {left} left to grant")


@programmes.command("list")
@_context.control_plane
@_context.json_option
def list_programmes(as_json: bool) -> None:
    """List programmes and what became of their money."""
    from dure.control.programmes import selectors

    found = selectors.programmes(actor=_context.operator())
    if as_json:
        _context.print_json_lines(view.as_dict() for view in found)
        return
    _context.print_rows(
        [
            {
                "slug": view.slug,
                "name": view.name_ko,
                "state": view.state,
                "appropriated": _types.show_won(view.appropriated_micro_won),
                "granted": _types.show_won(view.granted_micro_won),
                "spent": _types.show_won(view.spent_micro_won),
                "awards": view.awards,
            }
            for view in found
        ],
        ["slug", "name", "state", "appropriated", "granted", "spent", "awards"],
        empty="No programmes yet. Add one with: dure programmes add SLUG --name NAME --krw WON",
    )


@programmes.command()
@click.argument("slug")
@_context.control_plane
@_context.json_option
def show(slug: str, as_json: bool) -> None:
    """Show the programme SLUG: appropriated = left to grant + granted; granted = spent + remaining."""
    from dure.control.foundation.errors import NotFound
    from dure.control.programmes import selectors

    actor = _context.operator()
    try:
        view = selectors.programme(actor=actor, slug=slug)
    except NotFound:
        raise _context.Refusal(
            "programme_not_found",
            f"There is no programme {slug!r}.",
            remedy="See them with: dure programmes list",
        ) from None
    appropriations = selectors.appropriations(actor=actor, slug=slug)
    if as_json:
        _context.print_json(view.as_dict() | {"appropriations": appropriations})
        return
    _context.print_fields(
        {
            "slug": view.slug,
            "id": view.id,
            "name": f"{view.name_ko} / {view.name_en}",
            "agency": view.agency.slug if view.agency else "–",
            "state": view.state,
            "appropriated": _types.show_won(view.appropriated_micro_won),
            "granted": _types.show_won(view.granted_micro_won),
            "left_to_grant": _types.show_won(view.left_to_grant_micro_won),
            "spent": _types.show_won(view.spent_micro_won),
            "remaining": f"{_types.show_won(view.remaining_micro_won)} in awards",
            "awards": f"{view.awards} ({view.open_awards} open)",
        }
    )
