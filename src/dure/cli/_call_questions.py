"""`dure calls questions`, `answer`, `withhold`."""

from uuid import UUID

import click

from dure.cli import _context, _types


@click.command()
@click.argument("slug", required=False)
@click.option("--state", type=click.Choice(("open", "answered", "withheld")))
@click.option("--page", type=click.IntRange(1), default=1)
@_context.control_plane
@_context.json_option
def questions(slug: str | None, state: str | None, page: int, as_json: bool) -> None:
    """List the questions about the call SLUG, or all that wait for an answer."""
    from dure.control.calls import selectors

    actor = _context.operator()
    if slug:
        found = selectors.questions(
            actor=actor, call_slug=slug, state=state or "", page=page, page_size=selectors.MAX_PAGE_SIZE
        )
    else:
        found = selectors.questions_to_answer(actor=actor, page=page, page_size=selectors.MAX_PAGE_SIZE)
    if as_json:
        _context.print_json_lines(one.as_dict() for one in found.items)
        return
    _context.print_rows(
        [
            {
                "id": str(one.id),
                "call": one.call_slug,
                "number": one.number,
                "state": one.state,
                "asked": _types.show_moment(one.asked_at),
                "by": one.organisation_name,
                "text": _context.one_line(one.text)[:60],
            }
            for one in found.items
        ],
        ["id", "call", "number", "state", "asked", "by", "text"],
        empty="No questions.",
    )


@click.command()
@click.argument("question_id", type=click.UUID)
@click.option("--text", "answer_ko", required=True, help="The answer in Korean.")
@click.option("--text-en", "answer_en", default="", help="In English.")
@click.option("--question", help="What the question shall say, where its words would tell who asked.")
@_context.control_plane
def answer(question_id: UUID, answer_ko: str, answer_en: str, question: str | None) -> None:
    """Answer a question in public, or put its answer right."""
    from dure.control.calls import services

    done = services.answer_question(
        actor=_context.operator(),
        question_id=question_id,
        answer_ko=answer_ko,
        answer_en=answer_en,
        text=question,
    )
    click.echo(f"{done.call_slug} {done.number}: {done.state}")


@click.command()
@click.argument("question_id", type=click.UUID)
@click.option("--reason", required=True, help="Why; who asked reads it.")
@_context.control_plane
def withhold(question_id: UUID, reason: str) -> None:
    """Do not answer a question in public."""
    from dure.control.calls import services

    done = services.withhold_question(actor=_context.operator(), question_id=question_id, reason=reason)
    click.echo(f"{done.call_slug} {done.number}: {done.state}")
