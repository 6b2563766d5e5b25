"""`dure organisations`: those that give, offer and use."""

from typing import Any

import click

from dure.cli import _organisation_parts as parts
from dure.cli._context import control_plane, json_option, operator, print_fields, print_json, print_rows

_KINDS = ("ministry", "agency", "provider", "sme", "startup", "public_body", "university", "institute")


@click.group()
def organisations() -> None:
    """Organisations that give, offer and use: ministries, providers, start-ups, universities …"""


for _group in parts.GROUPS:
    organisations.add_command(_group)


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

    _show(selectors.profile(selectors.organisation(slug).id), as_json)


_SIZES = ("micro", "small", "medium", "mid_sized", "large", "none")


def _profile_options[F: Any](function: F) -> F:
    """What an organisation says about itself besides its name, number and kind."""
    for option in (
        click.option("--website"),
        click.option("--employees", type=click.IntRange(min=0)),
        click.option("--region", metavar="KR-XX", help="ISO 3166-2:KR, such as KR-11 for Seoul."),
        click.option("--founded", "founded_on", type=parts.Day(), help="Date of foundation."),
        click.option("--size", "size_class", type=click.Choice(_SIZES)),
        click.option("--name-en", help="Its name in English."),
    ):
        function = option(function)
    return function


@organisations.command("found")
@click.argument("number")
@click.option("--name", "name_ko", required=True, help="Its name, in Korean.")
@click.option("--kind", required=True, type=click.Choice(_KINDS))
@click.option("--administrator", required=True, metavar="EMAIL", help="Its first administrator.")
@click.option("--slug", help="Its short name. [default: made of the name]")
@_profile_options
@json_option
@control_plane
def found(number: str, administrator: str, as_json: bool, **given: Any) -> None:
    """Found the organisation with the business registration NUMBER, for somebody who is registered.

    \b
    dure organisations found 120-81-47521 --name 하늘랩 --kind startup --administrator kim@example.kr
    """
    from dure.control.identity import services

    view = services.found_organisation(
        actor=operator(),
        registration_number=number,
        administrator_id=parts.person_id(administrator),
        **{**given, "website": given["website"] or ""},
    )
    _show(view, as_json)


@organisations.command("edit")
@click.argument("slug")
@click.option("--number", "registration_number", help="Business registration number.")
@click.option("--name", "name_ko", help="Its name, in Korean.")
@click.option("--kind", type=click.Choice(_KINDS))
@_profile_options
@json_option
@control_plane
def edit(slug: str, as_json: bool, **given: Any) -> None:
    """Change what an organisation says about itself. A verified fact that changes is verified anew."""
    from dure.control.identity import services

    changes = {name: value for name, value in given.items() if value is not None}
    view = services.change_profile(actor=operator(), organisation_id=parts.organisation_id(slug), **changes)
    _show(view, as_json)


@organisations.command("ask")
@click.argument("slug")
@json_option
@control_plane
def ask(slug: str, as_json: bool) -> None:
    """Ask the officers to verify an organisation."""
    from dure.control.identity import services

    _show(services.ask_verification(actor=operator(), organisation_id=parts.organisation_id(slug)), as_json)


@organisations.command("verify")
@click.argument("slug")
@click.option("--reason", default="")
@json_option
@control_plane
def verify(slug: str, reason: str, as_json: bool) -> None:
    """Find that an organisation is what it says it is."""
    from dure.control.identity import services

    view = services.verify_organisation(
        actor=operator(), organisation_id=parts.organisation_id(slug), reason=reason
    )
    _show(view, as_json)


@organisations.command("refuse")
@click.argument("slug")
@click.option("--reason", required=True, help="The administrators are told.")
@json_option
@control_plane
def refuse(slug: str, reason: str, as_json: bool) -> None:
    """Find that it is not."""
    from dure.control.identity import services

    view = services.refuse_verification(
        actor=operator(), organisation_id=parts.organisation_id(slug), reason=reason
    )
    _show(view, as_json)


@organisations.command("waiting")
@json_option
@control_plane
def waiting(as_json: bool) -> None:
    """Organisations that wait to be verified, who has waited longest first."""
    from dure.control.identity import selectors

    page = selectors.verification_queue()
    rows = [
        parts.fields_of(view, "slug", "kind", "name_ko", "number", "verification_asked_at")
        for number in page.paginator.page_range
        for view in selectors.verification_queue(page=number).object_list
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(
            rows, ["slug", "kind", "name_ko", "number", "verification_asked_at"], empty="Nobody waits."
        )


@organisations.command("group")
@click.argument("slug")
@json_option
@control_plane
def group(slug: str, as_json: bool) -> None:
    """All organisations that are one group with SLUG today."""
    from dure.control.identity import selectors

    found = selectors.profiles(selectors.ownership_group(parts.organisation_id(slug)))
    rows = [_fields(view) for view in sorted(found.values(), key=lambda view: view.slug)]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows(rows, ["slug", "kind", "name_ko", "id"])


_PROFILE = (
    *("registration_number", "size_class", "founded_on", "region", "employees", "website"),
    *("verification_state", "verification_asked_at", "verification_reason", "verified_at"),
)


def _show(view: Any, as_json: bool) -> None:
    fields = {**_fields(view), **parts.fields_of(view, *_PROFILE)}
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
