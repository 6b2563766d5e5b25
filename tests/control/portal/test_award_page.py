"""The award's page: its term, who did what, the texts to paste, and the parts that come anew by themselves."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils.translation import override
from tests.control.portal.conftest import SYSTEM, WON, client_of

from dure.control.access import services as access
from dure.control.foundation import clock
from dure.control.foundation.templatetags.dure_format import last_day, seoul_date
from dure.control.portal.templatetags.portal_ui import who_did
from dure.control.programmes import services as programmes

NOON = datetime(2027, 3, 1, 12, tzinfo=clock.SEOUL)


@pytest.fixture
def award(world):
    return programmes.grant_award(
        actor=SYSTEM,
        programme_slug="use",
        organisation_slug="startup",
        micro_won=1_000 * WON,
        name="챗봇",
        name_en="Chatbot",
        valid_from=NOON,
    ).award


def page(client: Client, award, part: str = "") -> str:
    answer = client.get(f"/awards/{award.id}/{part}")
    assert answer.status_code == 200
    return answer.text


def test_what_ends_at_midnight_ends_with_the_day_before():
    midnight = NOON.replace(hour=0)
    with override("en"):
        assert (last_day(midnight), last_day(NOON), last_day(None)) == ("28 Feb 2027", "1 Mar 2027", "–")
        assert seoul_date(NOON.date()) == "1 Mar 2027"
    with override("ko"):
        assert seoul_date(NOON.date()) == seoul_date(NOON) == "2027년 3월 1일 (월)"


def test_a_term_without_end_is_said_in_words(award):
    client = client_of("startup", "developer")
    assert "<span>from 1 Mar 2027</span><span>no end date</span>" in page(client, award)
    client.cookies["dure_language"] = "ko"
    assert "<span>2027년 3월 1일 (월)부터</span><span>기한 없음</span>" in page(client, award)


def test_a_term_is_shown_with_its_last_day_not_the_day_after(world):
    award = programmes.grant_award(
        actor=SYSTEM,
        programme_slug="use",
        organisation_slug="startup",
        micro_won=1_000 * WON,
        name="챗봇",
        valid_from=NOON - timedelta(days=5),
        valid_until=NOON.replace(hour=0),
    ).award
    client = client_of("startup", "developer")
    assert "24 Feb 2027 – 28 Feb 2027" in page(client, award)
    assert "28 Feb 2027" in client.get("/awards/").text


def test_the_software_is_named_in_the_reader_s_language_and_a_person_as_they_are():
    with override("ko"):
        assert str(who_did("demonstration")) == "시연"
        assert who_did("command line (root)") == "명령줄(root)"
        assert who_did("김사업") == "김사업"
    with override("en"):
        assert who_did("command line (root)") == "command line (root)"


def test_parts_come_anew_and_there_are_no_others(award):
    client = client_of("startup", "developer")
    assert page(client, award, "live/summary/").lstrip().startswith('<section class="card" id="funds"')
    assert page(client, award, "live/models/").lstrip().startswith('<div class="card col-4"')
    assert "No key yet" in page(client, award, "live/keys/")
    access.issue_key(actor=SYSTEM, award_id=award.id, name="laptop")
    assert "laptop" in page(client, award, "live/keys/")
    assert "No call yet" in page(client, award, "live/calls/")
    assert client.get(f"/awards/{award.id}/live/nonsense/").status_code == 404


def test_the_texts_to_paste_read_the_key_from_where_the_reader_is_told_to_put_it(award):
    text = page(client_of("startup", "developer"), award)
    assert "<code>export DURE_API_KEY=</code>" in text
    assert "Bearer $DURE_API_KEY" in text
