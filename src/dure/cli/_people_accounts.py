"""`dure people …`: what an operator does with somebody's account, on that person's word."""

import json
from datetime import timedelta
from typing import Any

import click

from dure.cli._context import (
    Refusal,
    control_plane,
    json_option,
    operator,
    print_fields,
    print_json,
    print_rows,
)

_YES = click.option("--yes", is_flag=True, help="Do it; without it only what would happen is said.")


def known(email: str) -> Any:
    """The person with this address; refuses where there is none."""
    from dure.control.identity import selectors

    person = selectors.person_by_email(email)
    if person is None:
        raise Refusal(
            "person_not_found", f"Nobody is registered as {email}.", remedy="`dure people list` shows who is."
        )
    return person


@click.command("show")
@click.argument("email")
@json_option
@control_plane
def show(email: str, as_json: bool) -> None:
    """Show an account: whom it acts for, its tokens, its sessions, and a wish to be erased."""
    from dure.control.identity import account_selectors, selectors

    person = known(email)
    erasure = account_selectors.erasure_of(person.id)
    ways = account_selectors.ways_to_sign_in(person.id)
    fields = {
        "id": str(person.id),
        "email": person.email,
        "name": person.name,
        "active": person.active,
        "email_verified_at": person.email_verified_at,
        "acts_for": [
            f"{m.organisation.slug} ({', '.join(m.roles)})" for m in selectors.memberships_of(person.id)
        ],
        "second_factor": ways.second_factor,
        "active_tokens": sum(token.active for token in selectors.tokens_of(person.id)),
        "sessions": len(account_selectors.sessions_of(person.id)),
        "erased_on": erasure.due_at if erasure else None,
    }
    if as_json:
        print_json(fields)
    else:
        print_fields({name: ", ".join(v) if isinstance(v, list) else v for name, v in fields.items()})


@click.command("tokens")
@click.argument("email")
@json_option
@control_plane
def tokens(email: str, as_json: bool) -> None:
    """List a person's access tokens."""
    from dure.control.identity import selectors

    rows = [
        {
            "starts_with": token.prefix,
            "name": token.name,
            "organisation": token.organisation.slug if token.organisation else "–",
            "scopes": ",".join(token.scopes),
            "expires_at": token.expires_at,
            "active": token.active,
        }
        for token in selectors.tokens_of(known(email).id)
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(rows, list(rows[0]) if rows else [], empty="There is no token.")


@click.command("issue-token")
@click.argument("email")
@click.option("--name", required=True, help="What it is for.")
@click.option(
    "--organisation", "slug", metavar="SLUG", help="Whom it acts for; without it the person's first."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "write"]),
    default=["read"],
    show_default=True,
)
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True)
@json_option
@control_plane
def issue_token(
    email: str, name: str, slug: str | None, scopes: tuple[str, ...], days: int, as_json: bool
) -> None:
    """Issue an access token in a person's name, and print it this once."""
    from dure.control.foundation import clock
    from dure.control.identity import selectors, services

    person = known(email)
    organisation_id = selectors.organisation(slug).id if slug else None
    actor = selectors.actor_for(person_id=person.id, organisation_id=organisation_id)
    if organisation_id not in {None, actor.organisation_id}:
        raise Refusal("membership_not_found", f"{person.email} does not act for {slug}.")
    token, secret = services.issue_token(
        actor=actor, name=name, expires_at=clock.now() + timedelta(days=days), scopes=scopes
    )
    print_json({"id": str(token.id), "secret": secret}) if as_json else click.echo(secret)


@click.command("revoke-tokens")
@click.argument("email")
@click.option("--starts-with", "prefix", help="Only this one; without it all that work.")
@control_plane
def revoke_tokens(email: str, prefix: str | None) -> None:
    """Revoke a person's access tokens."""
    from dure.control.identity import selectors, services

    person = known(email)
    chosen = [t for t in selectors.tokens_of(person.id) if t.active and prefix in {None, t.prefix}]
    if prefix is not None and not chosen:
        raise Refusal("token_not_found", f"No active token of {person.email} starts with {prefix}.")
    for token in chosen:
        services.revoke_token(actor=operator(), token_id=token.id)
    click.echo(f"{len(chosen)} revoked")


@click.command("sign-out")
@click.argument("email")
@control_plane
def sign_out(email: str) -> None:
    """End all of a person's sessions in the portal."""
    from dure.control.identity import services

    ended = services.end_other_sessions(actor=operator(), person_id=known(email).id)
    click.echo(f"{ended} ended")


@click.command("sign-ins")
@click.argument("email")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True)
@json_option
@control_plane
def sign_ins(email: str, limit: int, as_json: bool) -> None:
    """List a person's sign-ins and failed attempts, newest first."""
    from dure.control.identity import account_selectors

    rows = [
        {"at": one.at, "outcome": one.outcome, "address": one.address or "–", "device": one.device}
        for one in account_selectors.sign_ins_of(known(email).id, limit=limit)
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(rows, ["at", "outcome", "address", "device"], empty="There is none.")


@click.command("reset-second-factor")
@click.argument("email")
@control_plane
def reset_second_factor(email: str) -> None:
    """Remove a person's second factors and passkeys, when all of them are lost. Their sessions end."""
    from dure.control.identity import services

    removed = services.reset_second_factors(actor=operator(), person_id=known(email).id)
    click.echo(f"{removed} removed")


@click.command("resend")
@click.argument("email")
@control_plane
def resend(email: str) -> None:
    """Mail the link that confirms a registration once more."""
    from dure.control.identity import services

    person = known(email)
    if person.email_verified_at is not None:
        raise Refusal("email_verified", f"{person.email} is confirmed already.")
    services.send_confirmation(email=person.email)
    click.echo(f"the link is on its way to {person.email}")


@click.command("export")
@click.argument("email")
@control_plane
def export(email: str) -> None:
    """Print everything that is kept about a person, as JSON."""
    from django.core.serializers.json import DjangoJSONEncoder

    from dure.control.identity import personal_data

    click.echo(
        json.dumps(personal_data.export(known(email).id), cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
    )


@click.command("erase")
@click.argument("email")
@_YES
@control_plane
def erase(email: str, yes: bool) -> None:
    """Erase a person at once, as they asked. It cannot be undone."""
    from dure.control.identity import services

    person = known(email)
    if not yes:
        raise Refusal(
            "confirmation_missing",
            f"{person.name} ({person.email}) would be erased for good; what they did stays without their name.",
            remedy="Say it again with --yes.",
        )
    services.erase_person(actor=operator(), person_id=person.id)
    click.echo("erased")


@click.command("keep")
@click.argument("email")
@control_plane
def keep(email: str) -> None:
    """Take back a person's wish to be erased, on their word."""
    from dure.control.identity import services

    services.withdraw_erasure(actor=operator(), person_id=known(email).id)
    click.echo(f"{email} is not erased")


COMMANDS = (
    show,
    tokens,
    issue_token,
    revoke_tokens,
    sign_out,
    sign_ins,
    reset_second_factor,
    resend,
    export,
    erase,
    keep,
)
