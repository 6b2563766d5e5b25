"""The demonstration has calls that fit a young start-up and one that does not, and dates in everybody's calendar."""

from pathlib import Path

import pytest
from tests.control.calls.conftest import SYSTEM
from tests.control.calls.test_calls import ANYBODY

from dure.control.calls import selectors, services
from dure.control.calls.demo.building import wanted
from dure.control.foundation import calendars
from dure.control.foundation.models import AuditEvent
from dure.control.identity import selectors as identity
from dure.control.programmes import selectors as programmes
from dure.control.programmes.demo.building import build

pytestmark = pytest.mark.django_db


def test_calls_that_fit_and_one_that_does_not(tmp_path: Path) -> None:
    assert build(data=tmp_path, model_url="").changed
    open_now = selectors.calls(actor=ANYBODY, state="open").items
    assert {one.slug for one in open_now} == {one["slug"] for one in wanted()["calls"]}
    dallae = identity.organisation("dallae-demo")
    rounds = {one.slug: one.round.id for one in open_now if one.round}
    fits = selectors.fitting(organisation_id=dallae.id, round_ids=rounds.values())
    assert {slug: fits[pk].summary for slug, pk in rounds.items()} == {
        "api-support-demo": "met",
        "small-requests-demo": "met",
        "rnd-demo": "not_met",
    }
    haneul = selectors.findings_for(rounds["small-requests-demo"], identity.organisation("haneul-demo").id)
    assert [one.key for one in haneul if one.state == "not_met"] == ["nothing_running"]


def test_officers_are_warned_of_nothing_that_is_not_so(tmp_path: Path) -> None:
    build(data=tmp_path, model_url="")
    for one in wanted()["calls"]:
        call = selectors.call(actor=SYSTEM, slug=one["slug"])
        copied = services.copy_call(
            actor=SYSTEM, slug=one["slug"], new_slug=f"{one['slug']}-2", name_ko="다음", name_en="Next"
        )
        keys = {line.key for line in programmes.budget_lines(programme_id=call.programme.id)}
        for call_view in (call, copied):
            fields = call_view.rounds[0].form.fields
            used = {line.key for field in fields if field.kind == "budget" for line in field.lines}
            assert used == keys == {"api_usage"}
        problems = services.publication_problems(actor=SYSTEM, round_id=copied.rounds[0].id)
        assert "budget_line_unknown" not in {problem.code for problem in problems}


def test_everything_in_it_says_that_it_is_a_demonstration() -> None:
    for one in wanted()["calls"]:
        assert (one["name_ko"][-4:], one["name_en"][-6:]) == ("(시연)", "(demo)")


def test_a_second_start_changes_nothing_and_leaves_what_was_changed(tmp_path: Path) -> None:
    build(data=tmp_path, model_url="")
    services.cancel_call(actor=SYSTEM, slug="rnd-demo", reason="시험")
    before = AuditEvent.objects.count()
    assert not build(data=tmp_path, model_url="").changed
    assert AuditEvent.objects.count() == before
    assert selectors.call(actor=ANYBODY, slug="rnd-demo").state == "cancelled"


def test_openings_closings_and_last_questions_are_in_everybodys_calendar(tmp_path: Path) -> None:
    build(data=tmp_path, model_url="")
    events = [one for one in calendars.public_events() if one.uid.startswith("round-")]
    assert len(events) == 9
    small = selectors.call(actor=ANYBODY, slug="small-requests-demo").rounds[0]
    (closing,) = [one for one in events if one.uid == f"round-{small.id}"]
    assert (closing.at, closing.url, closing.updated_at) == (
        small.closes_at,
        "/calls/small-requests-demo/",
        small.published_at,
    )
    assert calendars.feed(name="Dure", events=events).startswith(b"BEGIN:VCALENDAR")
