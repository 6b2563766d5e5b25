"""`dure duties`: what waits for somebody."""

import click

from dure.cli import _context


@click.command()
@click.argument("email")
@click.option("--organisation", metavar="SLUG", help="As which of their organisations; default: their first.")
@_context.control_plane
@_context.json_option
def duties(email: str, organisation: str | None, as_json: bool) -> None:
    """List what waits for the person EMAIL: what has a deadline first, then what has waited longest."""
    from django.utils import translation

    from dure.control.identity import selectors
    from dure.control.portal.tasks import tasks_of

    person = selectors.person_by_email(email)
    if person is None:
        raise _context.Refusal(
            "person_not_found",
            f"Nobody is registered as {email}.",
            remedy="`dure people list` shows who is.",
        )
    chosen = selectors.organisation(organisation) if organisation else None
    actor = selectors.actor_for(person_id=person.id, organisation_id=chosen.id if chosen else None)
    if chosen and actor.organisation_id != chosen.id:
        raise _context.Refusal("not_a_member", f"{email} is no member of {chosen.slug}.")
    with translation.override("en"):
        found = tasks_of(actor)
    if as_json:
        _context.print_json_lines(found)
        return
    _context.print_rows(
        [
            {
                "due": f"{one.due_at:%Y-%m-%d %H:%M}" if one.due_at else "",
                "since": f"{one.since:%Y-%m-%d %H:%M}" if one.since else "",
                "subject": one.subject,
                "why": one.why,
                "path": one.path,
            }
            for one in found
        ],
        ["due", "since", "subject", "why", "path"],
        empty="Nothing waits for this person.",
    )
