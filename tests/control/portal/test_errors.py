"""Error pages say what happened, that nothing was changed, and what to do; never more."""

import logging

import pytest
from django.conf import settings
from django.db import OperationalError
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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("GET", "/api/v1/models/%0a", 404, "not_found"),
        ("POST", "/api/v1/models", 405, "method_not_allowed"),
        ("OPTIONS", "/api/v1/models", 405, "method_not_allowed"),
        ("NONSENSE", "/api/v1/models", 405, "method_not_allowed"),
    ],
)
def test_rest_says_in_its_own_shape_what_never_reached_an_operation(method, path, status, code):
    answer = Client(headers={"cookie": "dure_language=en"}).generic(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (status, code, None)
    assert set(error) == {"code", "message", "field", "remedy"}
    if status == 405:
        assert answer.headers["Allow"] == "GET"
        assert error["remedy"] == "Possible is: GET."


def test_a_strange_host_is_refused_in_json_below_the_api():
    answer = Client(headers={"host": "evil.example"}).get("/api/v1/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "request_invalid")
    assert (
        errors.server_error(RequestFactory().get("/api/v1/me")).headers["Content-Type"] == "application/json"
    )


@pytest.mark.django_db
def test_a_method_that_a_page_does_not_take_gets_words():
    answer = Client(headers={"cookie": "dure_language=en"}).get("/language/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "GET is not possible here." in answer.text


@pytest.mark.django_db
def test_a_database_that_is_away_is_not_a_failure_of_the_page(monkeypatch, caplog):
    def away(**_):
        raise OperationalError("connection timeout expired\nmore")

    monkeypatch.setattr("dure.control.catalogue.selectors.models", away)
    answer = Client(headers={"cookie": "dure_language=en"}).get("/models/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Traceback" not in caplog.text
    assert "the database is away: connection timeout expired" in caplog.text
