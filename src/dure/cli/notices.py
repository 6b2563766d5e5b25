"""`dure notices`: what people are told."""

from typing import Any
from uuid import UUID

import click

from dure.cli import _context

_CATEGORIES = ("duty", "outcome", "reminder")


@click.group()
def notices() -> None:
    """What people are told in the portal and by mail."""


def _person(email: str) -> Any:
    from dure.control.identity import selectors

    person = selectors.person_by_email(email)
    if person is None:
        raise _context.Refusal(
            "person_not_found",
            f"Nobody is registered as {email}.",
            remedy="`dure people list` shows who is.",
        )
    return person


@notices.command("list")
@click.argument("email")
@click.option("--unread", is_flag=True, help="Only those not read yet.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="20 notices a page.")
@_context.control_plane
@_context.json_option
def list_notices(email: str, unread: bool, page: int, as_json: bool) -> None:
    """List what the person EMAIL was told, unread first."""
    from dure.control.foundation import notices as told

    found = told.notices(
        actor=_context.operator(), unread=unread, page=page, person_id=_person(email).id
    ).object_list
    if as_json:
        _context.print_json_lines(found)
        return
    _context.print_rows(
        [
            {
                "at": f"{one.created_at:%Y-%m-%d %H:%M}",
                "kind": one.category,
                "read": one.read_at is not None,
                "title": one.title,
                "path": one.path,
            }
            for one in found
        ],
        ["at", "kind", "read", "title", "path"],
        empty="Nothing. Notices appear when something waits for this person.",
    )


@notices.command()
@click.argument("email")
@click.option("--title", required=True)
@click.option("--text", required=True)
@click.option("--path", required=True, help="The portal's address of the next step, like /awards/.")
@click.option("--action", required=True, help="What the link does, like “See the awards”.")
@click.option("--category", type=click.Choice(_CATEGORIES), default="outcome", show_default=True)
@click.option("--key", help="The same key is told once; default: title and text.")
@_context.control_plane
def tell(email: str, title: str, text: str, path: str, action: str, category: Any, key: str | None) -> None:
    """Tell the person EMAIL something, in the portal and by mail."""
    from dure.control.foundation import notices as told

    told.announce(
        actor=_context.operator(),
        to=[_person(email)],
        title=title,
        text=text,
        path=path,
        action=action,
        dedupe_key=key or f"{title}|{text}",
        category=category,
    )
    click.echo(f"told {email}")


@notices.command()
@click.argument("email")
@click.option("--id", "notice_id", type=click.UUID, help="Only this one.")
@_context.control_plane
def read(email: str, notice_id: UUID | None) -> None:
    """Mark the notices of the person EMAIL as read."""
    from dure.control.foundation import notices as told

    person, actor = _person(email), _context.operator()
    if notice_id is None:
        click.echo(f"{told.mark_all_read(actor=actor, person_id=person.id)} marked as read")
    else:
        told.mark_read(actor=actor, notice_id=notice_id, person_id=person.id)
        click.echo("1 marked as read")


@notices.command()
@click.argument("email")
@click.option("--on", "wanted", multiple=True, type=click.Choice(_CATEGORIES), help="Send these by mail.")
@click.option(
    "--off", "unwanted", multiple=True, type=click.Choice(_CATEGORIES), help="Show these in the portal only."
)
@_context.control_plane
@_context.json_option
def mail(email: str, wanted: tuple[str, ...], unwanted: tuple[str, ...], as_json: bool) -> None:
    """Show or choose which notices the person EMAIL gets by mail; duties always come."""
    from dure.control.foundation import notices as told

    chosen = told.choose_mail(
        actor=_context.operator(),
        by_mail=dict.fromkeys(wanted, True) | dict.fromkeys(unwanted, False),
        person_id=_person(email).id,
    )
    _context.print_json(chosen) if as_json else _context.print_fields(chosen)


@notices.command()
@click.argument("email")
@click.option("--end", is_flag=True, help="End the address instead of making a new one.")
@_context.control_plane
def calendar(email: str, end: bool) -> None:
    """Make a new secret calendar address for the person EMAIL; the old one ends."""
    from django.conf import settings
    from django.urls import reverse

    from dure.control.foundation import calendars

    person, actor = _person(email), _context.operator()
    if end:
        calendars.end_feed(actor=actor, person_id=person.id)
        click.echo("no calendar address works any more")
        return
    token = calendars.make_feed(actor=actor, person_id=person.id)
    click.echo(settings.DURE_PORTAL_URL.rstrip("/") + reverse("portal:calendar", args=[token]))
