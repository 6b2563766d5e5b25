"""The parts of `dure organisations`: verification, documents, ownership, members, invitations, roles lent."""

from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from dure.cli import _types
from dure.cli._context import (
    Refusal,
    control_plane,
    json_option,
    operator,
    print_fields,
    print_json,
    print_rows,
)

DOCUMENT_KINDS = (
    *("business_registration", "sme_certificate", "startup_certificate", "venture_certificate"),
    *("tax_clearance", "social_insurance_clearance", "research_institute_certificate", "other"),
)
ROLES = ("administrator", "developer", "viewer", "provider_manager", "officer", "operator", "auditor")


class Day(click.ParamType[date]):
    """A day of the calendar, `2027-01-31`."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is not a day like 2027-01-31.", param, ctx)


class Percent(click.ParamType[int]):
    """A share in percent with two decimals at most; the value is basis points."""

    name = "percent"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        whole, _dot, fraction = str(value).strip().rstrip("%").partition(".")
        if not (whole.isascii() and whole.isdecimal() and len(whole) <= 3 and len(fraction) <= 2):
            self.fail(f"{value!r} is not a share like 51 or 33.34.", param, ctx)
        if fraction and not (fraction.isascii() and fraction.isdecimal()):
            self.fail(f"{value!r} is not a share like 51 or 33.34.", param, ctx)
        return int(whole) * 100 + int(fraction.ljust(2, "0"))


def organisation_id(slug: str) -> UUID:
    from dure.control.identity import selectors

    return selectors.organisation(slug).id


def person_id(email: str) -> UUID:
    from dure.control.identity import selectors

    found = selectors.person_by_email(email)
    if found is None:
        raise Refusal(
            "person_not_found",
            f"Nobody is registered as {email}.",
            remedy="`dure people list` shows who is.",
        )
    return found.id


def fields_of(view: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(view, name) for name in names}


def _show(view: Any, names: tuple[str, ...], as_json: bool) -> None:
    fields = fields_of(view, *names)
    print_json(fields) if as_json else print_fields(fields)


def _list(views: Any, names: tuple[str, ...], as_json: bool, *, empty: str) -> None:
    rows = [fields_of(view, *names) for view in views]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_rows([{k: _flat(v) for k, v in row.items()} for row in rows], names, empty=empty)


def _flat(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else value


# Documents

_DOCUMENT = (
    "id",
    "kind",
    "state",
    "name",
    "size",
    "issued_on",
    "valid_until",
    "uploaded_at",
    "reason",
    "file",
)


@click.group()
def documents() -> None:
    """Certificates that organisations show."""


@documents.command("list")
@click.argument("slug")
@json_option
@control_plane
def list_documents(slug: str, as_json: bool) -> None:
    """Documents of an organisation, latest first."""
    from dure.control.identity import selectors

    shown = _DOCUMENT if as_json else ("id", "kind", "state", "valid_until", "name")
    found = selectors.documents(organisation_id(slug))
    _list(found, shown, as_json, empty="No document. `dure organisations documents add` hands one in.")


@documents.command("add")
@click.argument("slug")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", required=True, type=click.Choice(DOCUMENT_KINDS))
@click.option("--issued", "issued_on", type=Day(), help="Date of issue.")
@click.option("--until", "valid_until", type=Day(), help="Last day of validity.")
@json_option
@control_plane
def add_document(
    slug: str, path: Path, kind: str, issued_on: date | None, valid_until: date | None, as_json: bool
) -> None:
    """Hand in PATH for the organisation SLUG; an officer accepts or refuses it."""
    from dure.control.identity import services

    with path.open("rb") as stream:
        view = services.add_document(
            actor=operator(),
            organisation_id=organisation_id(slug),
            kind=kind,
            stream=stream,
            name=path.name,
            issued_on=issued_on,
            valid_until=valid_until,
        )
    _show(view, _DOCUMENT, as_json)


@documents.command("accept")
@click.argument("document", type=click.UUID)
@json_option
@control_plane
def accept_document(document: UUID, as_json: bool) -> None:
    """Find that a document is what it says."""
    from dure.control.identity import services

    _show(services.accept_document(actor=operator(), document_id=document), _DOCUMENT, as_json)


@documents.command("refuse")
@click.argument("document", type=click.UUID)
@click.option("--reason", required=True, help="The administrators are told.")
@json_option
@control_plane
def refuse_document(document: UUID, reason: str, as_json: bool) -> None:
    """Find that it is not."""
    from dure.control.identity import services

    view = services.refuse_document(actor=operator(), document_id=document, reason=reason)
    _show(view, _DOCUMENT, as_json)


@documents.command("withdraw")
@click.argument("document", type=click.UUID)
@json_option
@control_plane
def withdraw_document(document: UUID, as_json: bool) -> None:
    """Take a document back that no officer has decided on."""
    from dure.control.identity import services

    _show(services.withdraw_document(actor=operator(), document_id=document), _DOCUMENT, as_json)


@documents.command("fetch")
@click.argument("slug")
@click.argument("document", type=click.UUID)
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@control_plane
def fetch_document(slug: str, document: UUID, path: Path) -> None:
    """Write a document's file to PATH, which must not exist."""
    from dure.control.foundation import files
    from dure.control.identity import selectors

    view = selectors.document(organisation_id(slug), document)
    with files.open(view.file) as stream, path.open("xb") as target:
        while block := stream.read(1 << 20):
            target.write(block)
    click.echo(f"{path}: {view.size:,} bytes, SHA-256 {view.file}")


# Ownership

_LINK = (
    *("id", "owner_name", "owner_number", "owned_name", "owned_number", "kind", "share_bp"),
    *("valid_from", "valid_until", "end_asked_on", "state", "reason"),
)


@click.group()
def links() -> None:
    """Who owns or controls whom."""


@links.command("list")
@click.argument("slug")
@json_option
@control_plane
def list_links(slug: str, as_json: bool) -> None:
    """Connections of an organisation, latest first."""
    from dure.control.identity import selectors

    shown = _LINK if as_json else ("id", "owner_name", "owned_name", "kind", "share", "state", "valid_until")
    _list(selectors.links_of(organisation_id(slug)), shown, as_json, empty="No connection is declared.")


@links.command("declare")
@click.argument("slug")
@click.option("--owner", "owner", help="Name of the other, if it owns SLUG.")
@click.option("--owned", "owned", help="Name of the other, if SLUG owns it.")
@click.option("--number", "other_number", help="The other's business registration number.")
@click.option("--share", "share_bp", type=Percent(), help="Share in percent; without it: control.")
@click.option("--from", "valid_from", type=Day(), help="First day. [default: today]")
@click.option("--until", "valid_until", type=Day(), help="Last day.")
@json_option
@control_plane
def declare_link(slug: str, owner: str | None, owned: str | None, as_json: bool, **given: Any) -> None:
    """Declare that another organisation owns SLUG (--owner NAME) or is owned by it (--owned NAME)."""
    from dure.control.identity import services

    if (owner is None) == (owned is None):
        raise click.UsageError("Give either --owner or --owned.")
    view = services.declare_link(
        actor=operator(),
        organisation_id=organisation_id(slug),
        other_is="owner" if owner is not None else "owned",
        other_name=owner or owned or "",
        kind="control" if given["share_bp"] is None else "share",
        **given,
    )
    _show(view, _LINK, as_json)


@links.command("confirm")
@click.argument("link", type=click.UUID)
@json_option
@control_plane
def confirm_link(link: UUID, as_json: bool) -> None:
    """Confirm a connection."""
    from dure.control.identity import services

    _show(services.confirm_link(actor=operator(), link_id=link), _LINK, as_json)


@links.command("refuse")
@click.argument("link", type=click.UUID)
@click.option("--reason", required=True, help="Both sides are told.")
@json_option
@control_plane
def refuse_link(link: UUID, reason: str, as_json: bool) -> None:
    """Refuse a connection."""
    from dure.control.identity import services

    _show(services.refuse_link(actor=operator(), link_id=link, reason=reason), _LINK, as_json)


@links.command("withdraw")
@click.argument("link", type=click.UUID)
@json_option
@control_plane
def withdraw_link(link: UUID, as_json: bool) -> None:
    """Take back what nobody has confirmed."""
    from dure.control.identity import services

    _show(services.withdraw_link(actor=operator(), link_id=link), _LINK, as_json)


@links.command("ask-end")
@click.argument("link", type=click.UUID)
@click.argument("last_day", type=Day())
@json_option
@control_plane
def ask_link_end(link: UUID, last_day: date, as_json: bool) -> None:
    """Report that a connection ends with LAST_DAY."""
    from dure.control.identity import services

    _show(services.ask_link_end(actor=operator(), link_id=link, last_day=last_day), _LINK, as_json)


@links.command("end")
@click.argument("link", type=click.UUID)
@click.argument("last_day", type=Day())
@click.option("--reason", default="")
@json_option
@control_plane
def end_link(link: UUID, last_day: date, reason: str, as_json: bool) -> None:
    """Set the last day of a connection."""
    from dure.control.identity import services

    view = services.end_link(actor=operator(), link_id=link, last_day=last_day, reason=reason)
    _show(view, _LINK, as_json)


# Members, invitations, roles lent


@click.group()
def members() -> None:
    """Who acts for an organisation. `dure people add` adds people at once; an invitation asks them."""


@members.command("list")
@click.argument("slug")
@json_option
@control_plane
def list_members(slug: str, as_json: bool) -> None:
    """Members with their roles."""
    from dure.control.identity import selectors

    rows = [
        {"email": m.person.email, "name": m.person.name, "roles": list(m.roles), "valid_until": m.valid_until}
        for m in selectors.members_of(organisation_id(slug))
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        flat = [{k: _flat(v) for k, v in row.items()} for row in rows]
        print_rows(flat, ["email", "name", "roles", "valid_until"], empty="Nobody acts for it.")


@members.command("set")
@click.argument("slug")
@click.argument("email")
@click.option(
    "--role", "roles", required=True, multiple=True, type=click.Choice(ROLES), help="May be repeated."
)
@click.option("--until", "valid_until", type=_types.Moment(), help="Last day.")
@control_plane
def set_member(slug: str, email: str, roles: tuple[str, ...], valid_until: datetime | None) -> None:
    """Set a member's roles."""
    from dure.control.identity import services

    view = services.add_membership(
        actor=operator(),
        person_id=person_id(email),
        organisation_id=organisation_id(slug),
        roles=list(roles),
        valid_until=valid_until,
    )
    click.echo(f"{view.person.email} acts for {view.organisation.slug} as {', '.join(view.roles)}")


@members.command("end")
@click.argument("slug")
@click.argument("email")
@click.option("--reason", default="", help="The person is told.")
@control_plane
def end_member(slug: str, email: str, reason: str) -> None:
    """End a membership. The last administrator stays."""
    from dure.control.identity import services

    services.end_membership(
        actor=operator(), person_id=person_id(email), organisation_id=organisation_id(slug), reason=reason
    )
    click.echo(f"{email} no longer acts for {slug}")


_INVITATION = ("id", "organisation_slug", "email", "roles", "state", "membership_until", "expires_at")


@click.group()
def invitations() -> None:
    """Asking people by e-mail to act for an organisation."""


@invitations.command("list")
@click.argument("slug")
@json_option
@control_plane
def list_invitations(slug: str, as_json: bool) -> None:
    """Invitations that wait, and those answered in the last sixty days."""
    from dure.control.identity import selectors

    shown = _INVITATION if as_json else ("id", "email", "roles", "shown_state", "expires_at")
    _list(selectors.invitations_of(organisation_id(slug)), shown, as_json, empty="Nobody is invited.")


@invitations.command("send")
@click.argument("slug")
@click.argument("email")
@click.option(
    "--role", "roles", required=True, multiple=True, type=click.Choice(ROLES), help="May be repeated."
)
@click.option("--until", "membership_until", type=_types.Moment(), help="Last day of the membership.")
@click.option("--language", type=click.Choice(["ko", "en"]), default="ko", show_default=True)
@json_option
@control_plane
def send_invitation(slug: str, email: str, roles: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Invite EMAIL; the link in the mail works for 14 days and once."""
    from dure.control.identity import services

    view = services.invite(
        actor=operator(), organisation_id=organisation_id(slug), email=email, roles=list(roles), **given
    )
    _show(view, _INVITATION, as_json)


@invitations.command("answer")
@click.argument("invitation", type=click.UUID)
@click.option("--accept/--decline", "accept", required=True, help="What the invited person says.")
@control_plane
def answer_invitation(invitation: UUID, accept: bool) -> None:
    """Answer for the invited person, who must be registered with the address."""
    from dure.control.identity import services

    if accept:
        view = services.accept_invitation(actor=operator(), invitation_id=invitation)
        click.echo(f"{view.person.email} acts for {view.organisation.slug} as {', '.join(view.roles)}")
    else:
        services.decline_invitation(actor=operator(), invitation_id=invitation)
        click.echo("declined")


@invitations.command("resend")
@click.argument("invitation", type=click.UUID)
@json_option
@control_plane
def resend_invitation(invitation: UUID, as_json: bool) -> None:
    """Send it again with a new link."""
    from dure.control.identity import services

    _show(services.resend_invitation(actor=operator(), invitation_id=invitation), _INVITATION, as_json)


@invitations.command("revoke")
@click.argument("invitation", type=click.UUID)
@json_option
@control_plane
def revoke_invitation(invitation: UUID, as_json: bool) -> None:
    """Take it back."""
    from dure.control.identity import services

    _show(services.revoke_invitation(actor=operator(), invitation_id=invitation), _INVITATION, as_json)


_DELEGATION = ("id", "giver_name", "delegate_name", "roles", "state", "valid_from", "valid_until", "reason")


@click.group()
def delegations() -> None:
    """Roles lent to another member, until a date."""


@delegations.command("list")
@click.argument("slug")
@json_option
@control_plane
def list_delegations(slug: str, as_json: bool) -> None:
    """Roles lent in an organisation."""
    from dure.control.identity import selectors

    _list(selectors.delegations_of(organisation_id(slug)), _DELEGATION, as_json, empty="No roles are lent.")


@delegations.command("lend")
@click.argument("slug")
@click.option("--from", "giver", required=True, metavar="EMAIL", help="Whose roles.")
@click.option("--to", "delegate", required=True, metavar="EMAIL", help="Who stands in.")
@click.option(
    "--role", "roles", required=True, multiple=True, type=click.Choice(ROLES), help="May be repeated."
)
@click.option("--until", "valid_until", type=_types.Moment(), required=True, help="Last day.")
@click.option("--reason", required=True)
@json_option
@control_plane
def lend(
    slug: str,
    giver: str,
    delegate: str,
    roles: tuple[str, ...],
    valid_until: datetime,
    reason: str,
    as_json: bool,
) -> None:
    """Lend one member's roles to another."""
    from dure.control.identity import services

    view = services.delegate(
        actor=operator(),
        organisation_id=organisation_id(slug),
        delegate_id=person_id(delegate),
        giver_id=person_id(giver),
        roles=list(roles),
        valid_until=valid_until,
        reason=reason,
    )
    _show(view, _DELEGATION, as_json)


@delegations.command("end")
@click.argument("delegation", type=click.UUID)
@json_option
@control_plane
def end_delegation(delegation: UUID, as_json: bool) -> None:
    """End it now."""
    from dure.control.identity import services

    _show(services.revoke_delegation(actor=operator(), delegation_id=delegation), _DELEGATION, as_json)


GROUPS = (documents, links, members, invitations, delegations)
