"""The calls on an award's page."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from django.template.loader import get_template
from django.test import RequestFactory
from django.utils import translation

from dure.contracts.ids import uuid7

MOMENT = datetime(2026, 6, 1, tzinfo=UTC)


def shown(language: str, tries: list[dict[str, object]]) -> str:
    call = SimpleNamespace(
        request_id=uuid7(), closed_at=MOMENT, model="nuri-7b", endpoint="chat.completions", streamed=False,
        status="completed", error_code="", input_tokens=1, cached_tokens=0, output_tokens=1, duration_ms=10,
        cost_micro_won=1, estimated=False, tries=tries, units={},
    )  # fmt: skip
    context = {
        "calls": [call], "award": SimpleNamespace(id=uuid7()), "used": True, "older": None,
        "filters": SimpleNamespace(before=None, model="", status=""),
    }  # fmt: skip
    with translation.override(language):
        page = get_template("programmes/award.html#calls").render(context, RequestFactory().get("/"))
    return " ".join(page.split())


@pytest.mark.parametrize(("language", "words"), [("en", "2 attempts:"), ("ko", "시도 2회:")])
def test_a_call_that_was_tried_more_than_once_says_what_came_of_each(
    db: None, language: str, words: str
) -> None:
    deployment = str(uuid7())
    page = shown(
        language,
        [
            {"deployment": deployment, "outcome": "unreachable"},
            {"deployment": deployment, "outcome": "answered", "ms": 420},
        ],
    )
    assert words in page
    assert "unreachable (0.00" in page
    assert "answered (0.42" in page


def test_an_ordinary_call_says_nothing_of_attempts(db: None) -> None:
    assert "attempt" not in shown("en", [])
