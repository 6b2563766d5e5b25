"""Error pages say what happened, that nothing was changed, and what to do; never more."""

import logging

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from django.utils import translation

from dure.control.config.logs import OneLine
from dure.control.portal import errors


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"), [("ko", "찾으시는 내용이 없습니다"), ("en", "There is nothing here")]
)
def test_missing_page(language, words):
    client = Client(headers={"cookie": f"dure_language={language}"})
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert words in answer.text


@pytest.mark.django_db
def test_form_without_its_token_is_refused_and_says_what_to_do():
    client = Client(enforce_csrf_checks=True, headers={"cookie": "dure_language=en"})
    answer = client.post("/language/", {"language": "ko"})
    assert answer.status_code == 403
    assert "This form has expired" in answer.text
    assert "Nothing was changed" in answer.text


@pytest.mark.parametrize(("language", "words"), [("ko", "바뀐 것은 없습니다"), ("en", "nothing was changed")])
def test_broken_server_needs_nothing_to_say_so(language, words, settings):
    # No database mark: the page must not ask for one; and no static files either.
    settings.STORAGES = {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    }
    with translation.override(language):
        answer = errors.server_error(RequestFactory().get("/"))
    assert answer.status_code == 500
    assert words in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.django_db
def test_partial_update_gets_a_sentence_not_a_page():
    answer = Client(headers={"hx-request": "true", "cookie": "dure_language=en"}).get(
        "/ledger/" + "0" * 8 + "-0000-7000-8000-" + "0" * 12 + "/"
    )
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"]
)
def test_switches_never_lead_elsewhere(target):
    answer = Client().post("/language/", {"language": "en", "next": target})
    assert answer.headers["Location"] == "/"
    assert answer.cookies["dure_language"].value == "en"


@pytest.mark.django_db
def test_pages_declare_a_strict_content_policy():
    policy = Client().get("/models/").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy


def test_a_strange_host_takes_one_short_line_in_the_log():
    answer = Client(headers={"host": "evil.example", "cookie": "dure_language=en"}).get("/about/")
    assert answer.status_code == 400
    handlers = settings.LOGGING["loggers"]["django.security"]["handlers"]
    assert all("one_line" in settings.LOGGING["handlers"][name]["filters"] for name in handlers)
    record = logging.makeLogRecord(
        {"msg": "Invalid host: %s\n", "args": ("x" * 5_000,), "levelname": "ERROR"}
    )
    record.exc_info = (ValueError, ValueError("x"), None)
    assert OneLine().filter(record)
    line = logging.Formatter("%(levelname)s %(message)s").format(record)
    assert line.startswith("WARNING Invalid host: xxx")
    assert len(line) < 350
    assert "\n" not in line
