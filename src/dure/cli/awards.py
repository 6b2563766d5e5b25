"""`dure awards`: grant, show, list, limit and end awards."""

from datetime import datetime
from typing import Any
from uuid import UUID

import click

from dure.cli import _context, _limits, _types

_SIZES = ("micro", "small", "medium", "mid_sized", "large", "none")


@click.group()
def awards() -> None:
    """Awards: money granted to an organisation to call models with."""


@awards.command()
@click.option("--programme", required=True, metavar="SLUG", help="The programme that pays.")
@click.option("--organisation", required=True, metavar="SLUG", help="The organisation that receives it.")
@click.option("--krw", "micro_won", type=_types.Krw(), required=True, help="The sum, in whole won.")
@click.option("--name", default="", help="The award's name; default: the programme's.")
@click.option("--name-en", help="Its English name; default: the same.")
@click.option("--until", type=_types.Moment(), help="Its last day (Seoul), or a moment; default: no end.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Only this model; may be repeated.")
@click.option(
    "--endpoint", "endpoints", multiple=True, metavar="NAME", help="Only this endpoint; may be repeated."
)
@click.option("--line", metavar="KEY", help="The budget line; may be left out where there is at most one.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SLUG[=WON]",
    help="Whose money; may be repeated. Default: of each source in proportion to what it has left.",
)
@click.option(
    "--size",
    "size_class",
    type=click.Choice(_SIZES),
    help="The organisation's size, for the own share; default: what it has stated.",
)
@click.option("--of-total", is_flag=True, help="The sum is public money and own share together.")
@click.option(
    "--id", "request_id", type=click.UUID, help="Choose the id; the same call again grants nothing more."
)
@_context.control_plane
@_context.json_option
def grant(
    *,
    programme: str,
    organisation: str,
    micro_won: int,
    name: str,
    name_en: str | None,
    until: datetime | None,
    models: tuple[str, ...],
    endpoints: tuple[str, ...],
    line: str | None,
    sources: tuple[str, ...],
    size_class: str | None,
    of_total: bool,
    request_id: UUID | None,
    as_json: bool,
) -> None:
    """Grant an award and print its id. A programme never grants more than it has left.

    \b
    AWARD=$(dure awards grant --programme hyperscale-ai-2027 --organisation haneul-labs --krw 1,000,000)
    """
    from dure.control.access.services import Limits
    from dure.control.programmes import services

    granted = services.grant_award(
        actor=_context.operator(),
        programme_slug=programme,
        organisation_slug=organisation,
        micro_won=micro_won,
        name=name,
        name_en=name_en,
        valid_until=until,
        limits=Limits(models=models, endpoints=endpoints),
        line=line,
        sources=_sources(sources),
        size_class=size_class,
        of_total=of_total,
        request_id=request_id,
    )
    if as_json:
        _context.print_json(granted.award.as_dict() | {"result": granted.result})
    else:
        click.echo(granted.award.id)
        sum_of_it = _types.show_won(granted.award.granted_micro_won)
        own = granted.award.own_share_micro_won
        beside = f", own contribution {_types.show_won(own)}" if own else ""
        click.echo(f"{granted.result}: {sum_of_it} to {granted.award.organisation.slug}{beside}", err=True)


@awards.command()
@click.argument("award_id", metavar="ID", type=click.UUID)
@_context.control_plane
@_context.json_option
def show(award_id: UUID, as_json: bool) -> None:
    """Show the award ID and what is left of it.

    granted + own paid = spent + remaining + returned (to both). What remains includes escrow: money that gateways hold for calls
    that run or may come, and give back when it lies idle.
    """
    from dure.control.foundation.errors import NotFound
    from dure.control.programmes import selectors
    from dure.control.settlement import selectors as settlement

    try:
        view = selectors.award(actor=_context.operator(), award_id=award_id)
    except NotFound:
        raise _context.Refusal(
            "award_not_found", f"There is no award {award_id}.", remedy="See them with: dure awards list"
        ) from None
    if as_json:
        _context.print_json(view.as_dict())
        return
    _context.print_fields(
        {
            "id": view.id,
            "name": f"{view.name_ko} / {view.name_en}",
            "programme": view.programme.slug,
            "organisation": view.organisation.slug,
            "state": "ended, being returned" if view.being_returned else view.state,
            "granted": _types.show_won(view.granted_micro_won),
            "spent": _types.show_won(view.spent_micro_won),
            "remaining": _types.show_won(view.remaining_micro_won),
            "of_it_in_escrow": _types.show_won(view.escrow_micro_won),
            "returned": _types.show_won(view.returned_micro_won),
            **(
                {
                    "own_share": f"{_types.show_won(view.own_share_micro_won)}, due {view.own_contribution_due} the first call",
                    "own_paid": _types.show_won(view.own_paid_micro_won),
                    "own_returned": _types.show_won(view.own_returned_micro_won),
                }
                if view.own_share_micro_won
                else {}
            ),
            **({"line": view.line.key} if view.line else {}),
            "valid_from": _types.show_moment(view.valid_from),
            "valid_until": _types.show_moment(view.valid_until),
            **{
                f"waits_for_{one.node}": f"{_types.show_won(one.micro_won)} since {_types.show_moment(one.since)}"
                for one in settlement.waiting_escrow(award_ids=[award_id])
            },
            **({"ended": f"{_types.show_moment(view.ended_at)}: {view.end_reason}"} if view.ended_at else {}),
        }
    )


@awards.command()
@click.argument("award_id", metavar="ID", type=click.UUID)
@_context.control_plane
@_context.json_option
def sources(award_id: UUID, as_json: bool) -> None:
    """Show whose money the award ID is, and what of each was spent: put in = spent + remaining + returned."""
    from dure.control.programmes import selectors

    selectors.award(actor=_context.operator(), award_id=award_id)
    rows = [part.as_dict() for part in selectors.spent_by_source(award_id)]
    if as_json:
        _context.print_json_lines(rows)
        return
    names = ("put_in", "spent", "remaining", "returned")
    shown = [
        {
            "source": row["source"] or "own contribution",
            **{name: _types.show_won(row[f"{name}_micro_won"]) for name in names},
        }
        for row in rows
    ]
    _context.print_rows(shown, ["source", *names])


@awards.command("confirm-own-contribution")
@click.argument("award_id", metavar="ID", type=click.UUID)
@click.option(
    "--krw", "micro_won", type=_types.Krw(), help="What has arrived; default: all that is outstanding."
)
@click.option("--memo", default="", help="What it was, for the record.")
@click.option(
    "--id", "request_id", type=click.UUID, help="Choose the id; the same call again confirms nothing."
)
@_context.control_plane
@_context.json_option
def confirm_own_contribution(
    award_id: UUID, micro_won: int | None, memo: str, request_id: UUID | None, as_json: bool
) -> None:
    """Confirm that the own contribution to the award ID has arrived; it joins the award at once."""
    from dure.control.programmes import services

    confirmed = services.confirm_own_contribution(
        actor=_context.operator(), award_id=award_id, micro_won=micro_won, memo=memo, request_id=request_id
    )
    view = confirmed.award
    if as_json:
        _context.print_json(view.as_dict() | {"result": confirmed.result})
    else:
        due = _types.show_won(view.own_outstanding_micro_won)
        click.echo(f"{confirmed.result}: {_types.show_won(confirmed.micro_won)} arrived, {due} outstanding")


@awards.command("repaid-own-contribution")
@click.argument("award_id", metavar="ID", type=click.UUID)
@click.option("--memo", default="", help="What it was, for the record.")
@_context.control_plane
@_context.json_option
def repaid_own_contribution(award_id: UUID, memo: str, as_json: bool) -> None:
    """Confirm that what the ended award ID left of the own contribution has been paid back."""
    from dure.control.programmes import services

    confirmed = services.confirm_own_contribution_repaid(
        actor=_context.operator(), award_id=award_id, memo=memo
    )
    if as_json:
        _context.print_json(confirmed.award.as_dict() | {"repaid_micro_won": confirmed.micro_won})
    else:
        click.echo(f"paid back: {_types.show_won(confirmed.micro_won)}")


def _sources(texts: tuple[str, ...]) -> Any:
    """`fund` takes of it what is needed, `fund=1,000` takes exactly that; the two are not mixed."""
    from dure.control.foundation.money import parse_krw

    named = [text.partition("=") for text in texts]
    if not any(mark for _, mark, _ in named):
        return [slug for slug, _, _ in named] or None
    if not all(mark for _, mark, _ in named):
        raise click.BadParameter("Give a sum for each source, or for none.", param_hint="--source")
    try:
        return {slug: parse_krw(krw) for slug, _, krw in named}
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--source") from None


@awards.command("list")
@click.option("--programme", default="", metavar="SLUG", help="Only this programme's.")
@click.option("--organisation", default="", metavar="SLUG", help="Only this organisation's.")
@click.option("--state", type=click.Choice(["open", "returning", "closed"]), default=None)
@_context.control_plane
@_context.json_option
def list_awards(programme: str, organisation: str, state: str | None, as_json: bool) -> None:
    """List awards, latest first."""
    from dure.control.identity import selectors as identity
    from dure.control.programmes import selectors

    organisation_id = identity.organisation(organisation).id if organisation else None
    found, page = [], 1
    while True:
        part = selectors.awards(
            actor=_context.operator(),
            programme_slug=programme,
            organisation_id=organisation_id,
            state=state or "",
            page=page,
            page_size=100,
        )
        found += part.items
        if page >= part.pages:
            break
        page += 1
    if as_json:
        _context.print_json_lines(view.as_dict() for view in found)
        return
    _context.print_rows(
        [
            {
                "id": view.id,
                "organisation": view.organisation.slug,
                "name": view.name_ko,
                "state": view.state,
                "granted": _types.show_won(view.granted_micro_won),
                "spent": _types.show_won(view.spent_micro_won),
                "remaining": _types.show_won(view.remaining_micro_won),
            }
            for view in found
        ],
        ["id", "organisation", "name", "state", "granted", "spent", "remaining"],
        empty="No awards. Grant one with: dure awards grant --programme SLUG --organisation SLUG --krw WON",
    )


@awards.command()
@click.argument("award_id", metavar="ID", type=click.UUID)
@_limits.limit_options
@click.option("--max-tokens", "max_tokens_ceiling", type=_limits.Count(), metavar="N|none",
              help="Longest answer, in tokens; a call that asks for more gets this.")  # fmt: skip
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME|none",
              help="Only this endpoint, like chat.completions; may be repeated.")  # fmt: skip
@_context.control_plane
@_context.json_option
def limits(award_id: UUID, as_json: bool, **options: Any) -> None:
    """Change the limits of the award ID, or show them. Gateways know within a second.

    They hold over all gateway processes together. What is not given stays as it is; "none" removes a limit.

    \b
    dure awards limits ID --requests-per-minute 600 --tokens-per-minute 200,000 --networks 203.0.113.0/24
    """
    from dure.control.access import selectors, services
    from dure.control.foundation.errors import NotFound

    changes = _limits.changes(options)
    changed = False
    try:
        if changes:
            view, changed = services.change_limits(
                actor=_context.operator(), award_id=award_id, changes=changes
            )
        else:
            view = selectors.entitlement(actor=_context.operator(), award_id=award_id)
    except NotFound:
        raise _context.Refusal(
            "award_not_found", f"There is no award {award_id}.", remedy="See them with: dure awards list"
        ) from None
    if as_json:
        names = ("models", "networks", "requests_per_minute", "tokens_per_minute", "concurrency")
        limits = {name: getattr(view, name) for name in (*names, "max_tokens_ceiling", "endpoints")}
        _context.print_json({"award_id": view.award_id, **limits, "changed": changed})
        return
    _context.print_fields(_limits.shown(view, ceiling=True))
    if changes:
        click.echo("changed" if changed else "nothing to change: it stood so already", err=True)


@awards.command()
@click.argument("award_id", metavar="ID", type=click.UUID)
@click.option("--reason", required=True, help="What the organisation should read.")
@_context.control_plane
@_context.json_option
def end(award_id: UUID, reason: str, as_json: bool) -> None:
    """End the award ID: its keys stop within a second, and what is unspent returns to the programme.

    What gateways hold in escrow follows when they give it back; until then the award is "returning".
    """
    from dure.control.programmes import services

    view, changed = services.end_award(actor=_context.operator(), award_id=award_id, reason=reason)
    if as_json:
        _context.print_json(view.as_dict() | {"changed": changed})
    elif not changed:
        click.echo(f"ended already on {_types.show_moment(view.ended_at)}: {view.end_reason}")
    else:
        returned = _types.show_won(view.returned_micro_won)
        waiting = (
            f"; {_types.show_won(view.remaining_micro_won)} still being returned"
            if view.being_returned
            else ""
        )
        click.echo(f"ended: {returned} returned to {view.programme.slug}{waiting}")
