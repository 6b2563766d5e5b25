"""`dure people`: who may sign in, and whom they act for."""

import sys
from typing import Any

import click

from dure.cli import _organisation_parts, _types
from dure.cli._context import Refusal, control_plane, json_option, operator, print_json, print_rows
from dure.cli._people_accounts import COMMANDS

_ROLES = ("administrator", "developer", "viewer", "provider_manager", "officer", "operator", "auditor")
_LONGEST_PASSWORD = 1_000


@click.group()
def people() -> None:
    """People who may sign in, the organisations they act for, and their roles."""


for _command in COMMANDS:
    people.add_command(_command)


@people.command("add")
@click.argument("email")
@click.option("--name", required=True, help="As people know them.")
@click.option("--organisation", "slug", required=True, metavar="SLUG", help="Whom they act for.")
@click.option(
    "--role", "roles", required=True, multiple=True, type=click.Choice(_ROLES), help="May be repeated."
)
@click.option("--language", type=click.Choice(["ko", "en"]), default="ko", show_default=True)
@click.option(
    "--password-stdin", is_flag=True, help="Read a password from standard input; without it they set one."
)
@json_option
@control_plane
def add(
    email: str,
    name: str,
    slug: str,
    roles: tuple[str, ...],
    language: str,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Add a person to an organisation; someone who is registered gets the new roles.

    Without a password they receive an e-mail with a link to set one.
    """
    from django.db import transaction

    from dure.control.identity import selectors, services

    actor = operator()
    password = _read_password() if password_stdin else None
    with transaction.atomic():
        organisation = selectors.organisation(slug)
        known = selectors.person_by_email(email)
        if known and password:
            raise Refusal(
                "person_exists",
                f"Someone is registered as {known.email} already.",
                remedy="Leave --password-stdin out to add roles; `dure people password` sets a new password.",
            )
        if known and _roles_in(known.id, organisation.id) == set(roles):
            raise Refusal(
                "membership_exists",
                f"{known.email} acts for {organisation.slug} as {', '.join(sorted(roles))} already.",
            )
        person = known or services.add_person(
            actor=actor, email=email, name=name, password=password, language=language
        )
        membership = services.add_membership(
            actor=actor, person_id=person.id, organisation_id=organisation.id, roles=list(roles)
        )
    fields = {
        "id": str(person.id),
        "email": person.email,
        "organisation": organisation.slug,
        "roles": list(membership.roles),
    }
    print_json(fields) if as_json else click.echo(
        f"{person.email} acts for {organisation.slug} as {', '.join(membership.roles)}"
    )


@people.command("password")
@click.argument("email")
@control_plane
def password(email: str) -> None:
    """Set a person's password, read from standard input. Their open sessions end."""
    from dure.control.identity import selectors, services

    person = selectors.person_by_email(email)
    if person is None:
        raise Refusal(
            "person_not_found",
            f"Nobody is registered as {email}.",
            remedy="`dure people list` shows who is.",
        )
    services.set_password(actor=operator(), person_id=person.id, password=_read_password())
    click.echo(f"{person.email} has a new password")


@people.command("list")
@click.option("--search", help="Only those whose name or address has this in it.")
@json_option
@control_plane
def list_people(search: str | None, as_json: bool) -> None:
    """List people and whom they act for."""
    from dure.control.identity import selectors

    rows: list[dict[str, Any]] = []
    for person in selectors.people(search=search, limit=100_000):
        acts_for = [
            f"{m.organisation.slug} ({', '.join(m.roles)})" for m in selectors.memberships_of(person.id)
        ]
        rows.append(
            {
                "id": str(person.id),
                "email": person.email,
                "name": person.name,
                "acts_for": "; ".join(acts_for),
            }
        )
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(
            rows, ["email", "name", "acts_for"], empty="Nobody is registered. `dure people add` adds people."
        )


@people.group("programme-roles")
def programme_roles() -> None:
    """What people are in one programme alone: officers, reviewers."""


_SHOWN = ("id", "person_email", "role", "valid_from", "valid_until", "given_by_name", "reason")


@programme_roles.command("list")
@click.argument("programme")
@json_option
@control_plane
def list_programme_roles(programme: str, as_json: bool) -> None:
    """Who has a role in PROGRAMME alone."""
    from dure.control.identity import selectors
    from dure.control.programmes import selectors as programmes

    found = selectors.people_with_programme_role(programmes.programme(actor=operator(), slug=programme).id)
    rows = [{name: getattr(view, name) for name in _SHOWN} for view in found]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(rows, _SHOWN, empty="Nobody has.")


@programme_roles.command("give")
@click.argument("programme")
@click.argument("email")
@click.argument("role", type=click.Choice(["officer", "reviewer"]))
@click.option("--from", "valid_from", type=_types.Moment(end_of_day=False), help="First day. [default: now]")
@click.option("--until", "valid_until", type=_types.Moment(), help="Last day.")
@click.option("--reason", default="")
@json_option
@control_plane
def give_programme_role(programme: str, email: str, role: str, as_json: bool, **given: Any) -> None:
    """Make EMAIL officer or reviewer of PROGRAMME."""
    from dure.control.identity import services
    from dure.control.programmes import selectors as programmes

    view = services.give_programme_role(
        actor=operator(),
        person_id=_organisation_parts.person_id(email),
        programme_id=programmes.programme(actor=operator(), slug=programme).id,
        role=role,
        **given,
    )
    fields = {name: getattr(view, name) for name in _SHOWN}
    print_json(fields) if as_json else click.echo(
        f"{view.person_email} is {view.role} of {programme}: {view.id}"
    )


@programme_roles.command("take")
@click.argument("identity", metavar="ID", type=click.UUID)
@click.option("--reason", default="")
@control_plane
def take_programme_role(identity: Any, reason: str) -> None:
    """End a role now."""
    from dure.control.identity import services

    view = services.take_programme_role(actor=operator(), programme_role_id=identity, reason=reason)
    click.echo(f"{view.person_email} is no longer {view.role}")


def _read_password() -> str:
    """One line of standard input; asked for without echo where a person types."""
    if sys.stdin.isatty():
        text = click.prompt("Password", hide_input=True, err=True)
    else:
        text = sys.stdin.readline(_LONGEST_PASSWORD + 2).rstrip("\r\n")
    if not text:
        raise Refusal("password_missing", "Standard input held no password.")
    if len(text) > _LONGEST_PASSWORD or not text.isprintable():
        raise Refusal(
            "password_unusable",
            f"A password is one line of UTF-8 text without control characters, {_LONGEST_PASSWORD} signs at most.",
        )
    return str(text)


def _roles_in(person_id: Any, organisation_id: Any) -> set[str]:
    from dure.control.identity import selectors

    return {
        role
        for membership in selectors.memberships_of(person_id)
        if membership.organisation.id == organisation_id
        for role in membership.roles
    }
