"""What waits for a person stands in their calendar with its deadline, and an application can be put on file."""

import io

from django.utils import translation
from pypdf import PdfReader

from dure.control.applications import printing
from dure.control.applications.dates import deadlines_of
from dure.control.foundation import documents

from .conftest import World


def test_a_draft_is_a_date_of_its_writers_and_of_nobody_else(world: World) -> None:
    view = world.started()
    (event,) = deadlines_of(world.writer.person_id)
    assert (event.at, event.url) == (view.deadline, f"/applications/{view.id}/")
    assert list(deadlines_of(world.stranger.person_id)) == []
    assert list(deadlines_of(world.colleague.person_id)) == []


def test_what_is_handed_in_is_a_date_no_more(world: World) -> None:
    world.submitted()
    assert list(deadlines_of(world.writer.person_id)) == []


def test_what_was_handed_in_is_a_document(world: World) -> None:
    view = world.submitted()
    with translation.override("ko"):
        made = documents.pdf("document", printing.data(view))
        assert documents.pdf("document", printing.data(view)) == made
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(made)).pages)
    for said in (view.number, "상담 기록을 요약합니다.", "3,000,000원"):
        assert said in text
