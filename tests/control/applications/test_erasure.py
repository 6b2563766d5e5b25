"""Whoever is erased is named nowhere among applications, and what they handed in stays to the byte."""

from dataclasses import replace

import pytest
from django.db import Error, connection, transaction

from dure.control.applications import selectors, services
from dure.control.applications.models import AnswerRevision, Passage, Submission
from dure.control.foundation import signing
from dure.control.identity import services as identity
from dure.control.identity.models import Person

from .conftest import SYSTEM, World

NAME = "노미나리라"


@pytest.fixture
def view(world: World) -> selectors.ApplicationView:
    """Written and handed in by somebody whose name nobody else has, and gone on."""
    Person.objects.filter(pk=world.writer.person_id).update(name=NAME)
    email = next(email for email, one in world.people.items() if one == world.writer)
    world.people[email] = replace(world.writer, name=NAME)
    made = world.submitted()
    world.close(made.round.id)
    services.advance(actor=world.officer, application_id=made.id, outcome="complete")
    return world.see(made)


def everything() -> str:
    """Every table of applications, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("applications_"):
                cursor.execute(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{table}\" t")
                found.append(cursor.fetchone()[0])
    return "\n".join(found)


def test_the_name_is_gone_and_what_was_handed_in_is_not(
    world: World, view: selectors.ApplicationView
) -> None:
    assert everything().count(NAME) >= 4  # revisions, answers, members, the submission
    before = Submission.objects.values_list("content", "sha256", "receipt", "signature", "findings").get()
    identity.erase_person(actor=SYSTEM, person_id=world.writer.person_id)
    assert NAME not in everything()
    made = Submission.objects.get()
    assert (made.content, made.sha256, made.receipt, made.signature, made.findings) == before
    assert signing.verify(made.receipt.encode(), made.key_id, made.signature)
    shown = selectors.application(actor=world.officer, application_id=view.id)
    assert NAME not in repr(shown)


@pytest.mark.parametrize("model", [AnswerRevision, Submission, Passage])
def test_only_an_erasure_overwrites_a_name_and_it_nothing_else(
    view: selectors.ApplicationView, model: type
) -> None:
    with pytest.raises(Error, match="append-only"), transaction.atomic():
        model.objects.update(by_name="somebody")
    other = "at" if model is not Submission else "sha256"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('dure.erasing', 'on', true)")
        model.objects.update(by_name="erased")
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            model.objects.update(**{other: view.deadline if other == "at" else "0" * 64})
        with pytest.raises(Error, match="append-only"), transaction.atomic():
            model.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('dure.erasing', 'off', true)")
    assert set(model.objects.values_list("by_name", flat=True)) == {"erased"}
