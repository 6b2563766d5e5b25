"""`dure applications`: write, hand in and follow applications, and everything an officer does with them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID

import click

from dure.cli import _context, _documents, _types
from dure.cli._application_desk import advance, award, bulk, complete, decide, desk_, export, extend
from dure.cli._application_parts import as_filters, found, print_application, with_filters

if TYPE_CHECKING:
    from dure.control.calls.forms import Field


@click.group()
def applications() -> None:
    """Applications in rounds of calls. APPLICATION is a number such as 2026-000017, or an id."""


for _command in (advance, award, bulk, complete, decide, desk_, export, extend):
    applications.add_command(_command)


@applications.command("list")
@with_filters
@click.option("--page", type=click.IntRange(1), default=1)
@_context.control_plane
@_context.json_option
def list_applications(page: int, as_json: bool, **filters: Any) -> None:
    """List applications, drafts included; what was begun last comes first."""
    from dure.control.applications import selectors
    from dure.control.applications.api import ApplicationLineOut

    actor = _context.operator()
    page_found = selectors.applications(actor=actor, page=page, page_size=100, **as_filters(filters))
    if as_json:
        _context.print_json_lines(
            ApplicationLineOut.from_orm(one).model_dump(mode="json") for one in page_found.items
        )
        return
    _context.print_rows(
        [
            {
                "number": one.number,
                "organisation": one.organisation.slug,
                "call": one.round.call.slug,
                "state": one.state,
                "step": one.step,
                "asked": _types.show_won(one.asked_micro_won) if one.asked_micro_won else "–",
                "deadline": _types.show_moment(one.deadline, seconds=True),
                "title": one.title,
            }
            for one in page_found.items
        ],
        ["number", "organisation", "call", "state", "step", "asked", "deadline", "title"],
        empty="No applications. Begin one with: dure applications start --organisation SLUG --round ID --lead EMAIL",
    )


@applications.command()
@click.argument("application")
@_context.control_plane
@_context.json_option
def show(application: str, as_json: bool) -> None:
    """Show one application: its state, its answers, and what is still to do."""
    print_application(found(application), as_json=as_json)


@applications.command()
@click.option("--organisation", required=True, metavar="SLUG", help="Who applies.")
@click.option(
    "--round", "round_id", required=True, type=click.UUID, help="The round, from `dure calls show`."
)
@click.option("--lead", required=True, metavar="EMAIL", help="Who leads it; a member of the organisation.")
@_context.control_plane
@_context.json_option
def start(organisation: str, round_id: UUID, lead: str, as_json: bool) -> None:
    """Begin an application, or name the one that is there."""
    from dure.control.applications import services
    from dure.control.identity import selectors as identity

    person = identity.person_by_email(lead)
    if person is None:
        raise _context.Refusal(
            "person_not_found", f"Nobody is known as {lead!r}.", remedy="See: dure people list"
        )
    view = services.start(
        actor=_context.operator(),
        round_id=round_id,
        organisation_id=identity.organisation(organisation).id,
        lead_id=person.id,
    )
    if as_json:
        print_application(view, as_json=True)
    else:
        click.echo(view.number)


@applications.command()
@click.argument("application")
@click.argument("answers", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option(
    "--file", "file", type=click.File("rb"), help="JSON or YAML: field to value, as REST takes them."
)
@_context.control_plane
@_context.json_option
def answer(application: str, answers: tuple[str, ...], file: BinaryIO | None, as_json: bool) -> None:
    """Answer fields; what stands there is replaced, and stays in each field's history.

    \b
    dure applications answer 2026-000017 service_name="상담 요약" personal_data=no
    """
    from dure.control.applications import services

    view = found(application)
    values = _values(view.form, answers, file)
    versions = {one.field: one.version for one in view.answers}
    saved = services.save_answers(
        actor=_context.operator(),
        application_id=view.id,
        answers={name: (value, versions.get(name, 0)) for name, value in values.items()},
    )
    if as_json:
        _context.print_json_lines({"field": one.field, "version": one.version} for one in saved)
        return
    for one in saved:
        click.echo(f"{one.field}: version {one.version}")
        for problem in one.problems:
            click.echo(_context.one_line(f"  {problem.message} {problem.remedy}"), err=True)


def _values(form: Any, answers: tuple[str, ...], file: BinaryIO | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if file is not None:
        content = _documents.read(file)
        if not isinstance(content, dict):
            raise _context.Refusal("file_malformed", "The file has no mapping of fields to values.")
        values |= content
    for text in answers:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{text!r} is not FIELD=VALUE.")
        field = form.field(name)
        values[name] = _typed(field, value) if field else value
    if not values:
        raise click.UsageError("Name at least one field, or a --file.")
    return values


def _typed(field: "Field", text: str) -> Any:
    """What was typed as the kind of answer that the field takes."""
    if not text:
        return None
    match field.kind:
        case "whole_number" | "won":
            digits = text.replace(",", "")
            return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else text
        case "yes_no" | "consent":
            return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), text)
        case "choices":
            return [part for part in text.split(",") if part]
        case "budget" | "table" | "people":
            try:
                return json.loads(text)
            except ValueError:
                raise click.UsageError(f"{field.key} takes a list as JSON.") from None
    return text


@applications.command()
@click.argument("application")
@click.argument("field")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_context.control_plane
@_context.json_option
def attach(application: str, field: str, path: Path, as_json: bool) -> None:
    """Put the file PATH into a FIELD of files."""
    from dure.control.applications import services
    from dure.control.applications.api import ApplicationAttachmentOut

    view = found(application)
    with path.open("rb") as stream:
        added = services.attach(
            actor=_context.operator(), application_id=view.id, field=field, stream=stream, name=path.name
        )
    if as_json:
        _context.print_json(ApplicationAttachmentOut.from_orm(added).model_dump(mode="json"))
    else:
        click.echo(f"{added.name}: {added.size:,} bytes, SHA-256 {added.sha256}")


@applications.command()
@click.argument("application")
@_context.control_plane
@_context.json_option
def submit(application: str, as_json: bool) -> None:
    """Hand it in, and print the signed receipt. A small request is decided on at once."""
    from dure.control.applications import services
    from dure.control.foundation.errors import DureError

    view = found(application)
    try:
        done = services.submit(actor=_context.operator(), application_id=view.id)
    except DureError as error:
        for problem in error.data.get("problems", ()):
            click.echo(
                _context.one_line(f"{problem['field']}: {problem['message']} {problem['remedy']}"), err=True
            )
        raise
    if done.by_rule:
        services.decide_at_once(view.id)
    if as_json:
        _context.print_json(done.submission.envelope())
        return
    state = found(str(view.id)).state
    click.echo(f"{done.result}: {view.number}, submission {done.submission.number}, now {state}")
    click.echo(f"at {_types.show_moment(done.submission.at, seconds=True)}, SHA-256 {done.submission.sha256}")


@applications.command()
@click.argument("application")
@click.option("--reason", default="", help="Why; for the record.")
@_context.control_plane
def withdraw(application: str, reason: str) -> None:
    """Take an application back for good; a draft is discarded."""
    from dure.control.applications import services

    view = services.withdraw(actor=_context.operator(), application_id=found(application).id, reason=reason)
    click.echo(f"{view.number}: {view.state}")


@applications.command("object")
@click.argument("application")
@click.option("--reason", required=True, help="What was overlooked or wrong.")
@_context.control_plane
def object_(application: str, reason: str) -> None:
    """Object to a rejection."""
    from dure.control.applications import services

    view = services.object_to_decision(
        actor=_context.operator(), application_id=found(application).id, reason=reason
    )
    click.echo(f"{view.number}: {view.state}")


@applications.command()
@click.argument("application")
@click.option("--number", type=click.IntRange(1, 1_000_000), help="Which submission; default: the last.")
@click.option("--content", is_flag=True, help="What was handed in, to the byte, instead of the receipt.")
@_context.control_plane
def receipt(application: str, number: int | None, content: bool) -> None:
    """Print the signed receipt as JSON; `dure receipts verify` checks it."""
    from dure.control.applications import selectors

    made = selectors.receipt(actor=_context.operator(), application_id=found(application).id, number=number)
    if content:
        click.echo(made.content.encode(), nl=False)
    else:
        _context.print_json(made.envelope())


@applications.command()
@click.argument("application")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file; default: NUMBER.pdf.")
@click.option("--language", type=click.Choice(["ko", "en"]), default="ko", show_default=True)
@_context.control_plane
def pdf(application: str, out: Path | None, language: str) -> None:
    """Write the application as a PDF."""
    from django.utils import translation

    from dure.control.applications import printing
    from dure.control.foundation import documents

    view = found(application)
    with translation.override(language):
        made = documents.pdf("document", printing.data(view))
    path = out or Path(f"{view.number}.pdf")
    path.write_bytes(made)
    click.echo(path)


@applications.command()
@click.argument("application")
@click.option("--add", metavar="EMAIL", help="Let a colleague write, too.")
@click.option("--remove", metavar="EMAIL", help="Take a co-writer off.")
@click.option("--lead", metavar="EMAIL", help="Hand the lead to another writer.")
@_context.control_plane
def writers(application: str, add: str | None, remove: str | None, lead: str | None) -> None:
    """Who writes it; add, remove, hand over the lead."""
    from dure.control.applications import services

    view, actor = found(application), _context.operator()
    if add:
        view = services.invite_writer(actor=actor, application_id=view.id, email=add)
    people = {one.person.email: one.person.id for one in view.writers}
    for email, verb in ((lead, services.name_lead), (remove, services.remove_writer)):
        if email and email not in people:
            raise _context.Refusal("writer_not_found", f"{email!r} does not write this application.")
        if email:
            view = verb(actor=actor, application_id=view.id, person_id=people[email])
    _context.print_rows(
        [
            {"email": one.person.email, "name": one.person.name, "role": "lead" if one.lead else "co-writer"}
            for one in view.writers
        ],
        ["email", "name", "role"],
    )
