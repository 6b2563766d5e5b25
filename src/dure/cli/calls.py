"""`dure calls`: everything an officer does with calls; what they are made of is kept in files."""

from typing import TYPE_CHECKING, Any, BinaryIO

import click

from dure.cli import _context, _documents, _types
from dure.cli._call_questions import answer, questions, withhold
from dure.cli._call_rounds import close, extend, problems, publish, round_, settle

if TYPE_CHECKING:
    from dure.control.calls.selectors import CallView

KINDS = ("api_support", "compute", "pilot", "rnd", "follow_up", "small_request")
STATES = ("open", "upcoming", "judging", "closed", "cancelled", "draft")


@click.group()
def calls() -> None:
    """Calls, their rounds, and the questions that are asked about them.

    A call is written as a draft, checked as a whole when one of its rounds is published, and from then on what
    applicants rely on stays as it is. `dure calls export` and `import` keep a call as one file.
    """


for _command in (round_, problems, publish, extend, close, settle, questions, answer, withhold):
    calls.add_command(_command)


@calls.command("list")
@click.option("--search", default="", metavar="TEXT", help="Only calls in whose texts TEXT is.")
@click.option("--kind", type=click.Choice(KINDS), default=None)
@click.option("--state", type=click.Choice(STATES), default=None)
@click.option("--programme", default="", metavar="SLUG")
@click.option(
    "--closing-within", "days", type=click.IntRange(0, 36_500), help="Open, and closing in so many days."
)
@click.option("--page", type=click.IntRange(1), default=1)
@_context.control_plane
@_context.json_option
def list_calls(
    search: str,
    kind: str | None,
    state: str | None,
    programme: str,
    days: int | None,
    page: int,
    as_json: bool,
) -> None:
    """List calls; what closes first comes first."""
    from dure.control.calls import selectors

    found = selectors.calls(
        actor=_context.operator(),
        search=search,
        kind=kind or "",
        state=state or "",
        programme=programme,
        closing_within_days=days,
        page=page,
        page_size=100,
    )
    if as_json:
        _context.print_json_lines(one.as_dict() for one in found.items)
        return
    _context.print_rows(
        [
            {
                "slug": one.slug,
                "name": one.ref.name_ko,
                "kind": one.kind,
                "phase": one.phase,
                "opens": _types.show_moment(one.round.opens_at if one.round else None),
                "closes": _types.show_moment(one.round.closes_at if one.round else None, seconds=True),
            }
            for one in found.items
        ],
        ["slug", "name", "kind", "phase", "opens", "closes"],
        empty="No calls. Begin one with: dure calls template api_support SLUG --programme SLUG",
    )
    if found.pages > found.page:
        click.echo(f"page {found.page} of {found.pages}; the next with --page {found.page + 1}", err=True)


@calls.command()
@click.argument("slug")
@_context.control_plane
@_context.json_option
def show(slug: str, as_json: bool) -> None:
    """Show the call SLUG with its rounds."""
    from dure.control.calls import selectors

    _show(selectors.call(actor=_context.operator(), slug=slug), as_json)


@calls.command()
@click.argument("slug")
@click.option("--programme", required=True, metavar="SLUG", help="Whose money it is about.")
@click.option("--kind", type=click.Choice(KINDS), required=True)
@click.option("--name", required=True, help="Its Korean name.")
@click.option("--name-en", default="", help="Its English name.")
@click.option("--id", "request_id", type=click.UUID, help="Choose the id; the same call again adds nothing.")
@_context.control_plane
@_context.json_option
def add(
    slug: str, programme: str, kind: str, name: str, name_en: str, request_id: Any, as_json: bool
) -> None:
    """Begin the call SLUG as a draft."""
    from dure.control.calls import services

    added = services.add_call(
        actor=_context.operator(),
        slug=slug,
        programme_slug=programme,
        kind=kind,
        name_ko=name,
        name_en=name_en,
        request_id=request_id,
    )
    _done(added, as_json, "added")


@calls.command()
@click.argument("template", type=click.Choice(KINDS))
@click.argument("slug")
@click.option("--programme", required=True, metavar="SLUG")
@click.option("--name", default="", help="Its Korean name; default: the template's.")
@click.option("--name-en", default="")
@_context.control_plane
@_context.json_option
def template(template: str, slug: str, programme: str, name: str, name_en: str, as_json: bool) -> None:
    """Begin the call SLUG from a TEMPLATE that ships with Dure, with form, rules, steps and a draft round."""
    from dure.control.calls import services

    added = services.add_from_template(
        actor=_context.operator(),
        template_key=template,
        slug=slug,
        programme_slug=programme,
        name_ko=name,
        name_en=name_en,
    )
    _done(added, as_json, "added")


@calls.command()
@click.argument("slug")
@click.argument("new_slug")
@click.option("--programme", metavar="SLUG", help="Another programme than the call's.")
@click.option("--name")
@click.option("--name-en")
@click.option(
    "--years", type=click.IntRange(0, 20), default=1, show_default=True, help="How far dates are moved."
)
@_context.control_plane
@_context.json_option
def copy(
    slug: str,
    new_slug: str,
    programme: str | None,
    name: str | None,
    name_en: str | None,
    years: int,
    as_json: bool,
) -> None:
    """Copy the call SLUG to NEW_SLUG as a draft that must be looked through (`change --reviewed`)."""
    from dure.control.calls import services

    copied = services.copy_call(
        actor=_context.operator(),
        slug=slug,
        new_slug=new_slug,
        programme_slug=programme,
        name_ko=name,
        name_en=name_en,
        years=years,
    )
    _done(copied, as_json, "copied")


@calls.command()
@click.argument("slug")
@click.option("--new-slug")
@click.option("--programme", metavar="SLUG")
@click.option("--kind", type=click.Choice(KINDS))
@click.option("--name")
@click.option("--name-en")
@click.option("--summary")
@click.option("--summary-en")
@click.option("--text", type=click.File("r", encoding="utf-8"), help="A file with its Korean text.")
@click.option("--text-en", type=click.File("r", encoding="utf-8"))
@click.option("--reviewed", is_flag=True, default=None, help="Say that a copy was looked through.")
@click.option("--reason", default="", help="Why; a published call's corrections are public.")
@_context.control_plane
@_context.json_option
def change(slug: str, reason: str, as_json: bool, **given: Any) -> None:
    """Change the draft SLUG, or correct the texts of a published call with a reason."""
    from dure.control.calls import services

    changed = services.change_call(
        actor=_context.operator(),
        slug=slug,
        reason=reason,
        new_slug=given["new_slug"],
        programme_slug=given["programme"],
        kind=given["kind"],
        reviewed=given["reviewed"] or None,
        name_ko=given["name"],
        name_en=given["name_en"],
        summary_ko=given["summary"],
        summary_en=given["summary_en"],
        text_ko=given["text"].read() if given["text"] else None,
        text_en=given["text_en"].read() if given["text_en"] else None,
    )
    _done(changed, as_json, "changed")


def _content(part: str) -> click.Command:
    @calls.command(
        part,
        help=f"Print the {part} of the call SLUG as YAML, or keep those of FILE (YAML or JSON; - reads).",
    )
    @click.argument("slug")
    @click.argument("file", type=click.File("rb"), required=False)
    @_context.control_plane
    def keep(slug: str, file: BinaryIO | None) -> None:
        from dure.control.calls import selectors, services
        from dure.control.foundation.errors import DureError

        actor = _context.operator()
        if file is None:
            draft = selectors.draft(actor=actor, slug=slug)
            found = {"form": draft.form and draft.form.content, "rules": draft.rules and draft.rules.content}
            _documents.show(draft.steps if part == "steps" else found[part])
            return
        content = services.json_of(_documents.read(file))
        if content is None:
            raise _context.Refusal(
                "file_empty",
                f"{_documents.name_of(file)} is empty; the {part} are as they were.",
                remedy=f"Print what there is with “dure calls {part} {slug}”, and change that.",
            )
        try:
            if part == "steps":
                digest = services.save_steps(actor=actor, call_slug=slug, content=content)
                click.echo(f"saved: {digest[:12]}")
                return
            save: Any = services.save_form if part == "form" else services.save_rules
            version = save(actor=actor, call_slug=slug, content=content)
        except DureError as error:
            _documents.explain(error, file)
            raise
        click.echo(f"saved: version {version.number}, {version.digest[:12]}")

    return keep


form, rules, steps = map(_content, ("form", "rules", "steps"))


@calls.command()
@click.argument("slug")
@click.argument("part", type=click.Choice(["form", "rules", "steps"]))
@click.option("--old", default="", help="A version by name; default: the one before NEW.")
@click.option("--new", default="", help="A version by name; default: the newest.")
@_context.control_plane
@_context.json_option
def compare(slug: str, part: Any, old: str, new: str, as_json: bool) -> None:
    """Say what was added, removed and changed in the form, rules or steps of the call SLUG.

    Versions are numbers of the form and the rules, "draft" or "round-2" of the steps, and "source" for the call that it
    was copied from.
    """
    from dataclasses import asdict

    from dure.control.calls import comparing, selectors

    found = selectors.comparison(actor=_context.operator(), slug=slug, part=part, old=old, new=new)
    if as_json:
        _context.print_json(asdict(found))
        return
    if found.old is None or found.new is None:
        click.echo("nothing to compare yet")
        return
    click.echo(f"{found.old.title} -> {found.new.title}")
    for one in found.differences:
        click.echo(f"{comparing.CHANGE_NAMES[one.change]}: {_context.one_line(one.title)}")
        for each in one.parts:
            before, after = _context.one_line(each.before) or "-", _context.one_line(each.after) or "-"
            click.echo(f"  {each.title}: {before} -> {after}")
    if not found.differences:
        click.echo("nothing differs")


@calls.command()
@click.argument("slug")
@_context.control_plane
@_context.json_option
def export(slug: str, as_json: bool) -> None:
    """Print the call SLUG as one document (YAML), to keep in version control."""
    from dure.control.calls import services

    document = services.export_call(actor=_context.operator(), slug=slug)
    if as_json:
        _context.print_json(document)
    else:
        _documents.show(document)


@calls.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--reason", default="", help="Why a published call's texts are corrected.")
@_context.control_plane
@_context.json_option
def import_(file: BinaryIO, reason: str, as_json: bool) -> None:
    """Make the call of FILE, or bring the one that is there to what it says ("-" reads standard input).

    \b
    dure calls export api-2026 > api-2026.yaml
    dure calls import api-2026.yaml
    """
    from dure.control.calls import services
    from dure.control.foundation.errors import DureError

    document = _documents.read(file)
    try:
        made = services.import_call(actor=_context.operator(), document=document, reason=reason)
    except DureError as error:
        _documents.explain(error, file)
        raise
    _done(made, as_json, "imported")


@calls.command()
@click.argument("slug")
@click.argument("file", type=click.File("rb"))
@click.option("--name", help="What it is called when it is downloaded; default: FILE's name.")
@click.option("--title", default="", help="Its Korean title.")
@click.option("--title-en", default="")
@click.option("--reason", default="", help="Why, where the call is published.")
@_context.control_plane
@_context.json_option
def attach(
    slug: str, file: BinaryIO, name: str | None, title: str, title_en: str, reason: str, as_json: bool
) -> None:
    """Publish FILE with the call SLUG."""
    from pathlib import PurePath

    from dure.control.calls import services

    added = services.add_attachment(
        actor=_context.operator(),
        call_slug=slug,
        stream=file,
        name=name or PurePath(_documents.name_of(file)).name,
        title_ko=title,
        title_en=title_en,
        reason=reason,
    )
    if as_json:
        _context.print_json(added)
    else:
        click.echo(added.id)


@calls.command()
@click.argument("attachment_id", type=click.UUID)
@click.option("--reason", default="", help="Why, where the call is published.")
@_context.control_plane
def detach(attachment_id: Any, reason: str) -> None:
    """Take a file away from its call."""
    from dure.control.calls import services

    services.remove_attachment(actor=_context.operator(), attachment_id=attachment_id, reason=reason)
    click.echo("removed")


@calls.command()
@click.argument("slug")
@_context.control_plane
def discard(slug: str) -> None:
    """Throw the draft SLUG away. What was ever published stays."""
    from dure.control.calls import services

    services.discard_call(actor=_context.operator(), slug=slug)
    click.echo(f"discarded: {slug}")


@calls.command()
@click.argument("slug")
@click.option("--reason", required=True, help="Why; everybody can read it.")
@_context.control_plane
@_context.json_option
def cancel(slug: str, reason: str, as_json: bool) -> None:
    """Call the published call SLUG off, with all of its rounds."""
    from dure.control.calls import services

    _done(services.cancel_call(actor=_context.operator(), slug=slug, reason=reason), as_json, "cancelled")


@calls.command()
@click.argument("round_id", type=click.UUID)
@click.argument("organisation")
@_context.control_plane
@_context.json_option
def fit(round_id: Any, organisation: str, as_json: bool) -> None:
    """Show every requirement of a round with whether ORGANISATION meets it."""
    from dure.control.calls import eligibility, selectors
    from dure.control.identity import selectors as identity

    actor = _context.operator()
    found = identity.organisation_for(actor=actor, slug_or_id=organisation)
    selectors.round_for(actor=actor, round_id=round_id)
    findings = selectors.findings_for(round_id, found.id)
    if as_json:
        _context.print_json({"summary": eligibility.summary(findings), "findings": findings})
        return
    _context.print_rows(
        [{"requirement": one.title, "state": one.state, "reason": one.reason} for one in findings],
        ["requirement", "state", "reason"],
        empty="Everybody may apply.",
    )
    click.echo(eligibility.summary(findings))


def _show(view: "CallView", as_json: bool) -> None:
    if as_json:
        _context.print_json(view.as_dict())
        return
    _context.print_fields(
        {
            "slug": view.slug,
            "id": view.id,
            "name": f"{view.name_ko} / {view.name_en or '–'}",
            "programme": view.programme.slug,
            "kind": view.kind,
            "state": view.state + (" (to be looked through)" if view.needs_review else ""),
            "files": len(view.attachments),
            "corrections": len(view.changes),
        }
    )
    click.echo()
    _context.print_rows(
        [
            {
                "round": one.number,
                "id": str(one.id),
                "phase": one.phase,
                "opens": _types.show_moment(one.opens_at),
                "closes": _types.show_moment(one.closes_at, seconds=True),
                "budget": _types.show_won(one.budget_micro_won),
            }
            for one in view.rounds
        ],
        ["round", "id", "phase", "opens", "closes", "budget"],
        empty="No rounds yet. Add one with: dure calls round add SLUG --opens … --closes … --budget …",
    )


def _done(view: "CallView", as_json: bool, what: str) -> None:
    if as_json:
        _context.print_json(view.as_dict())
    else:
        click.echo(view.slug)
        click.echo(f"{what}: {view.name_ko} ({view.state})", err=True)
