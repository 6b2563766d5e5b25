"""The bell, the list behind it, and the choice of mail, as a reader meets them; the same by REST and command."""

import json

import pytest
from click.testing import CliRunner
from django.db import transaction
from django.test import Client

from dure.cli.main import dure
from dure.control.foundation import notices, wording
from dure.control.identity import selectors

from .conftest import client_of

EMAIL = "startup-developer@example.kr"


@pytest.fixture
def reader(world) -> Client:
    return client_of("startup", "developer")


def tell(key: str = "Decided", **options) -> notices.NoticeView:
    person = selectors.person_by_email(EMAIL)
    assert person is not None
    with transaction.atomic():
        notices.tell(
            **{
                "to": [person],
                "title": wording.verbatim(key),
                "text": wording.verbatim("<b>Not bold</b>"),
                "path": "/awards/",
                "action": wording.verbatim("See it"),
                "dedupe_key": key,
                **options,
            }
        )
    actor = selectors.actor_for(person_id=person.id)
    return next(one for one in notices.notices(actor=actor).object_list if one.title == key)


def test_the_bell_counts_what_is_unread(reader: Client) -> None:
    assert "bell-count" not in reader.get("/models/").text
    tell()
    assert '<span class="bell-count" aria-hidden="true">1</span>' in reader.get("/models/").text
    assert "bell" not in Client().get("/models/").text


def test_opening_a_notice_reads_it_and_goes_on(reader: Client) -> None:
    told = tell()
    listed = reader.get("/notices/").text
    assert "&lt;b&gt;Not bold&lt;/b&gt;" in listed
    answer = reader.get(f"/notices/{told.id}/")
    assert (answer.status_code, answer["Location"]) == (302, "/awards/")
    assert "All are read." in reader.get("/notices/").text


def test_one_or_all_are_marked_as_read(reader: Client) -> None:
    first, _second = tell("one"), tell("two")
    reader.post(f"/notices/{first.id}/read/")
    assert "1 unread" in reader.get("/notices/").text
    assert "1 notice is marked as read." in reader.post("/notices/read/", follow=True).text
    assert "Nothing is unread" in reader.get("/notices/?unread=1").text


def test_the_list_has_pages_and_few_queries(reader: Client, django_assert_max_num_queries) -> None:
    for number in range(25):
        tell(f"notice {number}")
    with django_assert_max_num_queries(12):
        shown = reader.get("/notices/?page=2").text
    assert [f">notice {number}</a>" in shown for number in (5, 4, 0)] == [False, True, True]
    assert reader.get("/notices/?page=999999999999999999999").status_code == 200


def test_mail_is_chosen_and_duties_stay(reader: Client) -> None:
    reader.post("/notices/settings/", {"mail": ["reminder"]})
    person = selectors.person_by_email(EMAIL)
    assert notices.mail_preferences(actor=selectors.actor_for(person_id=person.id)) == {
        "duty": True,
        "outcome": False,
        "reminder": True,
    }
    assert 'value="outcome">' in reader.get("/notices/settings/").text


def test_rest_does_the_same(reader: Client) -> None:
    told = tell()
    listed = reader.get("/api/v1/notices?unread=true").json()
    assert [one["id"] for one in listed["items"]] == [str(told.id)]
    assert (listed["page"], listed["pages"], listed["total"]) == (1, 1, 1)
    assert reader.get(f"/api/v1/notices/{told.id}").json()["read_at"] is None
    assert reader.post(f"/api/v1/notices/{told.id}/read").json()["read_at"] is not None
    assert reader.post("/api/v1/notices/read").json() == {"marked": 0}
    change = {"content_type": "application/json"}
    assert reader.patch("/api/v1/notices/mail", {"outcome": False}, **change).json() == {
        "duty": True,
        "outcome": False,
        "reminder": True,
    }
    refused = reader.patch("/api/v1/notices/mail", {"duty": False}, **change)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "duties_always_come")


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(dure, ["notices", *arguments])
    return done.exit_code, done.output


def test_the_command_line_does_the_same(reader: Client) -> None:
    text = ("--title", "Maintenance", "--text", "Tonight", "--path", "/models/", "--action", "See")
    assert run("tell", EMAIL, *text) == (0, f"told {EMAIL}\n")
    assert run("tell", EMAIL, *text)[0] == 0
    code, output = run("list", EMAIL, "--json")
    assert (code, json.loads(output)["title"]) == (0, "Maintenance")
    assert run("read", EMAIL) == (0, "1 marked as read\n")
    assert json.loads(run("mail", EMAIL, "--off", "outcome", "--json")[1])["outcome"] is False
    assert run("list", "nobody@example.kr")[0] == 1
