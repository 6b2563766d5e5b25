"""First pages: each role its own, and as many questions to the database for thirty awards as for one."""

import pytest
from django.test import Client
from tests.control.portal.conftest import SYSTEM, WON, client_of

from dure.control.identity import services as identity
from dure.control.identity.models import Person
from dure.control.programmes import selectors
from dure.control.programmes import services as programmes

pytestmark = pytest.mark.django_db


def _grant(count: int) -> None:
    for number in range(count):
        programmes.grant_award(
            actor=SYSTEM,
            programme_slug="use",
            organisation_slug="startup",
            micro_won=1_000 * WON,
            name=f"Award {number}",
        )


@pytest.mark.parametrize(
    ("slug", "role", "words"),
    [
        ("ministry", "officer", "Where the money is"),
        ("company", "provider_manager", "Earned this month"),
        ("startup", "developer", "What is left on your awards"),
    ],
)
def test_each_role_finds_its_own_first_page(world, slug, role, words):
    assert words in client_of(slug, role).get("/").text


@pytest.mark.parametrize(("role", "path"), [("operator", "/operations/"), ("auditor", "/ledger/")])
def test_operator_and_auditor_are_led_to_their_work(world, role, path):
    assert client_of("ministry", role).get("/").headers["Location"] == path


def test_anonymous_reader_is_told_what_this_is(world):
    answer = Client(headers={"cookie": "dure_language=en"}).get("/")
    assert "Every token is on one ledger." in answer.text
    assert "₩1B" not in answer.text  # appropriated, not granted: nothing was granted yet


@pytest.mark.parametrize("path", ["/", "/home/live/", "/awards/"])
def test_thirty_awards_cost_as_many_queries_as_one(world, path, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = client_of("startup", "developer")
    _grant(1)
    client.get(path)
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    _grant(29)
    with django_assert_num_queries(len(few)):
        client.get(path)


def test_person_acts_for_another_organisation_only_as_its_member(world):
    from dure.control.identity import selectors

    client = client_of("startup", "developer")
    stranger = selectors.organisation("company").id
    assert client.post("/act-for/", {"organisation": stranger}).status_code == 404
    assert client.post("/act-for/", {"organisation": "nonsense"}).status_code == 404
    own = selectors.organisation("startup").id
    assert client.post("/act-for/", {"organisation": own}).headers["Location"] == "/"


def test_a_page_that_is_not_for_one_s_role_says_so_once_and_what_to_do(world):
    answer = client_of("startup", "developer").get("/operations/")
    assert answer.status_code == 403
    assert answer.text.count("Your role does not allow this") == 2  # the title and the heading
    assert "act for the right one" in answer.text


def test_no_calls_have_no_share_of_failed_ones(world):
    client = client_of("company", "provider_manager")
    for path in ("/", "/earnings/"):
        assert "of calls" not in client.get(path).text


def test_choice_of_language_reaches_the_person(world):
    from dure.control.identity.models import Person

    client = client_of("startup", "developer")
    client.post("/language/", {"language": "en", "next": "/models/"})
    assert Person.objects.get().language == "en"


#: No number, or none that Python would read, though `str.isdigit` says so of the first three.
NO_NUMBERS = ("²", "①", "9" * 5_000, "9" * 30, "-1", "1.5", "\0")


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_an_address_with_a_number_that_is_none(world, text):
    assert client_of("startup", "developer").get("/awards/", {"page": text}).status_code == 200
    assert client_of("company", "viewer").get("/earnings/", {"days": text}).status_code == 200
    book = client_of("ministry", "auditor")
    for name in ("before", "account"):
        assert book.get(f"/ledger/{world.id}/", {name: text}).status_code == 200


def test_an_officer_of_one_programme_finds_that_programme_alone(world):
    for slug in ("own-alone", "somebody-elses"):
        programmes.add_programme(
            actor=SYSTEM, slug=slug, name_ko=slug, krw_micro_won=1_000 * WON, agency_slug="ministry"
        )
    own = selectors.programme(actor=SYSTEM, slug="own-alone")
    client = client_of("ministry", "viewer")
    person = Person.objects.get(email="ministry-viewer@example.kr")
    assert "own-alone" not in client.get("/").text
    identity.give_programme_role(actor=SYSTEM, person_id=person.pk, programme_id=own.id, role="officer")
    for path in ("/", "/home/live/"):
        page = client.get(path).text
        assert "own-alone" in page
        assert "somebody-elses" not in page
