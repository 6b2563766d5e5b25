"""`dure programmes`: programmes and the money put into them."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from dure.cli import _context, _types

_RULE = re.compile(r"([a-z_]+)=([0-9]{1,2})(?:\.([0-9]{1,2}))?%(?::([0-9,]+)?)?(?::([0-9,]+))?")


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
@click.option("--source", metavar="SLUG", help="Whose money it is; default: the agency's own.")
@click.option("--id", "request_id", type=click.UUID, help="Choose the id; the same call again adds nothing.")
@_context.control_plane
@_context.json_option
def add(
    slug: str,
    name: str,
    name_en: str | None,
    micro_won: int,
    agency: str | None,
    source: str | None,
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
        source_slug=source,
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
@click.option("--krw", "micro_won", type=_types.Krw(), help="How much more, in whole won.")
@click.option("--amount", type=click.IntRange(1), help="How much more of another unit.")
@click.option(
    "--unit", default="KRW", show_default=True, help="KRW or GPU_SECOND. Awards are granted in won only."
)
@click.option("--source", metavar="SLUG", help="Whose money it is; may be left out where there is one only.")
@click.option("--memo", default="", help="What it is, for the ledger.")
@click.option("--id", "request_id", type=click.UUID, help="Choose the id; the same call again adds nothing.")
@_context.control_plane
@_context.json_option
def appropriate(
    slug: str,
    micro_won: int | None,
    amount: int | None,
    unit: str,
    source: str | None,
    memo: str,
    request_id: UUID | None,
    as_json: bool,
) -> None:
    """Put more money into the programme SLUG."""
    from dure.control.programmes import services

    if bool(micro_won) == bool(amount) or (micro_won and unit != "KRW"):
        raise click.UsageError("Give either --krw, or --amount with its --unit.")
    added = services.appropriate(
        actor=_context.operator(),
        programme_slug=slug,
        amount=micro_won or amount or 0,
        unit=unit,
        source_slug=source,
        memo=memo,
        request_id=request_id,
    )
    if as_json:
        _context.print_json(added.programme.as_dict() | {"result": added.result})
    elif unit == "KRW":
        left = _types.show_won(added.programme.left_to_grant_micro_won)
        click.echo(f"{added.result}: {left} left to grant")
    else:
        click.echo(f"{added.result}: {_types.show_amount(amount or 0, unit)} more")
        click.echo(f"{unit} is kept on record; awards are granted in won only.", err=True)


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
    """Show the programme SLUG: appropriated = left to grant + granted; granted + own
    contributions = spent + remaining."""
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
    money = selectors.money_of_programme(programme_id=view.id)
    if as_json:
        appropriations = selectors.appropriations(actor=actor, slug=slug)
        sources = [one.as_dict() for one in money]
        _context.print_json(view.as_dict() | {"appropriations": appropriations, "sources": sources})
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
            "own_contributions": _types.show_won(view.own_contribution_micro_won),
            "awards": f"{view.awards} ({view.open_awards} open)",
            "sources": ", ".join(
                f"{one.source.slug} ({_types.show_amount(one.given, one.unit)})" for one in money
            ),
        }
    )


@programmes.command("pass-on")
@click.argument("slug")
@click.option("--to", "to_slug", required=True, metavar="SLUG", help="The programme that gets it.")
@click.option("--source", required=True, metavar="SLUG", help="Whose money it is, and stays.")
@click.option("--krw", "micro_won", type=_types.Krw(), help="How much, in whole won.")
@click.option("--amount", type=click.IntRange(1), help="How much of another unit.")
@click.option("--unit", default="KRW", show_default=True)
@click.option("--memo", default="", help="What it is, for the ledger.")
@click.option("--id", "request_id", type=click.UUID, help="Choose the id; the same call again adds nothing.")
@_context.control_plane
@_context.json_option
def pass_on(
    slug: str,
    to_slug: str,
    source: str,
    micro_won: int | None,
    amount: int | None,
    unit: str,
    memo: str,
    request_id: UUID | None,
    as_json: bool,
) -> None:
    """Give what a source gave the programme SLUG, and it has not granted, to another programme."""
    from dure.control.programmes import services

    added = services.pass_on(
        actor=_context.operator(),
        from_slug=slug,
        to_slug=to_slug,
        source_slug=source,
        amount=micro_won or amount or 0,
        unit=unit,
        memo=memo,
        request_id=request_id,
    )
    if as_json:
        _context.print_json(added.programme.as_dict() | {"result": added.result})
    else:
        click.echo(
            f"{added.result}: {_types.show_amount(micro_won or amount or 0, unit)} of {source} to {to_slug}"
        )


@programmes.command()
@click.argument("slug")
@_context.control_plane
@_context.json_option
def money(slug: str, as_json: bool) -> None:
    """Show whose money the programme SLUG is: given = left + granted; granted = spent + remaining."""
    from dure.cli.sources import print_money
    from dure.control.programmes import selectors

    print_money(selectors.money_of_programme(programme_id=_programme_id(slug)), "source", as_json=as_json)


@programmes.command()
@click.argument("slug")
@click.option("--set", "key", metavar="KEY", help="Add this line, or change it.")
@click.option("--name", help="Its name (Korean, where it has one).")
@click.option("--name-en", help="Its English name; default: the same.")
@click.option("--krw", "micro_won", type=_types.Krw(), help="Its ceiling, in whole won.")
@click.option("--ceiling", type=click.IntRange(1), help="Its ceiling in another unit.")
@click.option("--unit", default="KRW", show_default=True)
@_context.control_plane
@_context.json_option
def lines(
    slug: str,
    key: str | None,
    name: str | None,
    name_en: str | None,
    micro_won: int | None,
    ceiling: int | None,
    unit: str,
    as_json: bool,
) -> None:
    """Show the budget lines of the programme SLUG, or set one.

    \b
    dure programmes lines hyperscale-ai-2027 --set api_use --name "API 사용료" --krw 800,000,000
    """
    from dure.control.programmes import selectors, services

    if key:
        services.set_budget_line(
            actor=_context.operator(),
            programme_slug=slug,
            key=key,
            name_ko=name or key,
            name_en=name_en,
            ceiling=micro_won or ceiling or 0,
            unit=unit,
        )
    rows = [line.as_dict() for line in selectors.budget_lines(programme_id=_programme_id(slug))]
    if as_json:
        _context.print_json_lines(rows)
        return
    sums = ("ceiling", "committed", "left")
    shown = [
        {
            "key": row["key"],
            "name": row["name_ko"],
            **{n: _types.show_amount(row[n], row["unit"]) for n in sums},
        }
        for row in rows
    ]
    _context.print_rows(shown, ["key", "name", *sums], empty="No budget lines: money is granted without one.")


@programmes.command("own-contribution")
@click.argument("slug")
@click.option("--due", type=click.Choice(["before", "after"]), help="Before the first call, or after it.")
@click.option("--size", "rules", multiple=True, metavar="SIZE=SHARE%[:LEAST[:MOST]]",
              help="What organisations of this size bring; may be repeated. Sizes left out owe nothing.")  # fmt: skip
@click.option("--none", is_flag=True, help="Ask nothing of anyone.")
@_context.control_plane
@_context.json_option
def own_contribution(slug: str, due: str | None, rules: tuple[str, ...], none: bool, as_json: bool) -> None:
    """Show the own shares that the programme SLUG asks, or set them all at once.

    Shares are of the whole sum, public money and own share together; the own share is rounded up to whole won.

    \b
    dure programmes own-contribution hyperscale-ai-2027 --size small=10% --size large=50%:1,000,000
    """
    from dure.control.programmes import selectors, services

    programme_id = _programme_id(slug)
    if rules or none or due:
        standing = selectors.own_contribution(programme_id=programme_id)
        parsed = dict(_own_rule(text) for text in rules)
        if not rules and not none:
            parsed = {one.size_class: _kept(one) for one in standing.rules}
        services.set_own_contribution(
            actor=_context.operator(), programme_slug=slug, rules=parsed, due=due or standing.due
        )
    view = selectors.own_contribution(programme_id=programme_id)
    if as_json:
        _context.print_json(view.as_dict())
        return
    _context.print_rows(
        [
            {
                "size": rule.size_class,
                "share": f"{rule.share_bp / 100:g}%",
                "least": _types.show_won(rule.least_micro_won),
                "most": "–" if rule.most_micro_won is None else _types.show_won(rule.most_micro_won),
                "due": f"{view.due} the first call",
            }
            for rule in view.rules
        ],
        ["size", "share", "least", "most", "due"],
        empty="No own contribution is asked.",
    )


@programmes.command()
@click.argument("slug")
@click.option(
    "--model", "models", multiple=True, metavar="NAME|none", help="Only this model; may be repeated."
)
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME|none",
              help="Only this endpoint, like chat.completions; may be repeated.")  # fmt: skip
@click.option(
    "--from", "valid_from", type=_types.Moment(end_of_day=False), help="First day (Seoul), or a moment."
)
@click.option("--until", "valid_until", type=_types.Moment(), help="Last day (Seoul), or a moment.")
@_context.control_plane
@_context.json_option
def use(
    slug: str,
    models: tuple[str, ...],
    endpoints: tuple[str, ...],
    valid_from: datetime | None,
    valid_until: datetime | None,
    as_json: bool,
) -> None:
    """Show what the money of the programme SLUG may be used for, or set it; what is not given stays as it is.

    It holds for awards that are granted from now on.
    """
    from dure.control.programmes import selectors, services

    programme_id = _programme_id(slug)
    view = selectors.eligible_use(programme_id=programme_id)
    if models or endpoints or valid_from or valid_until:
        view = services.set_eligible_use(
            actor=_context.operator(),
            programme_slug=slug,
            models=_chosen(models, view.models),
            endpoints=_chosen(endpoints, view.endpoints),
            valid_from=valid_from or view.valid_from,
            valid_until=valid_until or view.valid_until,
        )
    if as_json:
        _context.print_json(view)
        return
    _context.print_fields(
        {
            "models": ", ".join(view.models) or "all",
            "endpoints": ", ".join(view.endpoints) or "all",
            "from": _types.show_moment(view.valid_from),
            "until": _types.show_moment(view.valid_until),
        }
    )


def _chosen(given: tuple[str, ...], standing: tuple[str, ...]) -> tuple[str, ...]:
    return () if given == ("none",) else given or standing


def _kept(rule: Any) -> Any:
    from dure.control.programmes.own_share import OwnShareRule

    return OwnShareRule(rule.share_bp, rule.least_micro_won, rule.most_micro_won)


def _own_rule(text: str) -> tuple[str, Any]:
    """`small=10%`, `small=10%:LEAST`, `small=12.5%:LEAST:MOST`; bounds are whole won."""
    from dure.control.foundation.money import parse_krw
    from dure.control.programmes.own_share import OwnShareRule

    match = _RULE.fullmatch(text.replace(" ", ""))
    if match is None:
        raise click.BadParameter(
            f"{text!r} is not like small=10% or small=10%:100,000:5,000,000.", param_hint="--size"
        )
    size, percent, part, least, most = match.groups()
    return size, OwnShareRule(
        int(percent) * 100 + int((part or "").ljust(2, "0") or 0),
        parse_krw(least) if least else 0,
        parse_krw(most) if most else None,
    )


def _programme_id(slug: str) -> UUID:
    from dure.control.foundation.errors import NotFound
    from dure.control.programmes import selectors

    try:
        return selectors.programme(actor=_context.operator(), slug=slug).id
    except NotFound:
        raise _context.Refusal(
            "programme_not_found",
            f"There is no programme {slug!r}.",
            remedy="See them with: dure programmes list",
        ) from None
