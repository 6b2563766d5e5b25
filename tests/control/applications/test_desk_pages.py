"""The officer's desk: rounds in numbers, the board, several at once, and one application with what can be done."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dure.cli import _context
from dure.cli.main import dure
from dure.control.applications import selectors, services
from dure.control.applications.models import Application
from dure.control.applications.selectors import ApplicationView
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.foundation.templatetags.dure_format import won as dure_won
from dure.control.identity.middleware import SESSION_KEY
from dure.control.identity.models import Person

from .conftest import SYSTEM, World, answers, won

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def browse() -> Callable[[Actor], Client]:
    def opened(actor: Actor) -> Client:
        client = Client()
        client.force_login(Person.objects.get(pk=actor.person_id), BACKEND)
        session = client.session
        session[SESSION_KEY] = str(actor.organisation_id)
        session.save()
        client.cookies["dure_language"] = "en"
        return client

    return opened


@pytest.fixture
def desk(world: World, browse: Callable[[Actor], Client]) -> Client:
    return browse(world.officer)


def page(view: ApplicationView, deed: str = "") -> str:
    return f"/desk/applications/{view.id}/{deed}"


def board(view: ApplicationView, part: str = "") -> str:
    return f"/desk/{view.round.id}/{part}"


def bulk(desk: Client, view: ApplicationView, deed: str, *views: ApplicationView, **more: Any) -> Any:
    data = {"deed": deed, "ids": [str(one.id) for one in views or (view,)], **more}
    return desk.post(board(view, "bulk/"), data)


def two_at_the_decision(world: World) -> tuple[ApplicationView, ApplicationView]:
    first = world.submitted()
    second = world.started(first.round, world.stranger)
    world.fill(second, world.stranger, **answers(4_000_000))
    services.submit(actor=world.stranger, application_id=second.id)
    world.close(first.round.id)
    for view in (first, second):
        for outcome in ("complete", "passed"):
            services.advance(actor=world.officer, application_id=view.id, outcome=outcome)
    return first, second


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_the_desk_counts_drafts_and_shows_what_waits(world: World, desk: Client) -> None:
    view = world.at_decision()
    world.started(view.round, world.stranger) if view.round.is_open(clock.now()) else None
    shown = desk.get("/desk/")
    assert shown.status_code == 200
    assert "API support" in text(shown)
    assert "1 waits past its submission" in text(shown)


def test_the_board_and_the_list_show_the_same(world: World, desk: Client) -> None:
    first, second = two_at_the_decision(world)
    for path in (board(first), board(first, "?view=list"), board(first, "?step=decide")):
        shown = desk.get(path)
        assert (path, shown.status_code) == (path, 200)
        assert str(first.id) in shown.content.decode()
        assert str(second.id) in shown.content.decode()
    assert str(first.id) not in desk.get(board(first, "?q=nothing-like-this")).content.decode()


def test_page_rest_and_command_line_have_the_same_figures(
    world: World, desk: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _second = two_at_the_decision(world)
    services.decide(
        actor=world.officer,
        application_id=first.id,
        outcome="accepted",
        reason="",
        granted_micro_won=won(2_000_000),
    )
    (line,) = desk.get("/api/v1/desk/rounds").json()
    assert desk.get(f"/api/v1/desk/rounds/{first.round.id}").json() == line
    assert {
        name: line[name] for name in ("drafts", "submitted", "accepted", "refused", "awarded", "waiting")
    } == {"drafts": 0, "submitted": 2, "accepted": 1, "refused": 0, "awarded": 0, "waiting": 2}
    assert [(one["step"], one["waiting"]) for one in line["steps"]] == [("decide", 1), ("award", 1)]
    assert line["granted_micro_won"] == won(2_000_000)
    assert line["left_micro_won"] == line["budget_micro_won"] - won(2_000_000)
    shown = text(desk.get("/desk/"))
    asked, granted, left = (dure_won(line[f"{name}_micro_won"]) for name in ("asked", "granted", "left"))
    assert f"Asked for {asked} · granted {granted} · left {left}" in shown
    assert "2 wait past their submission" in shown
    capsys.readouterr()
    assert _context.run(dure, ["applications", "desk", "--json"]) == 0
    same = json.loads(capsys.readouterr().out)
    moments = {"closes_at", "oldest_at"}
    assert {name: same[name] for name in line.keys() - moments} == {
        name: line[name] for name in line.keys() - moments
    }


def test_a_draft_is_counted_and_never_shown(world: World, desk: Client) -> None:
    draft = world.started()
    world.fill(draft, title="Ours alone")
    assert "Ours alone" not in desk.get(board(draft, "?view=list")).content.decode()
    assert desk.get(page(draft)).status_code == 404


def test_the_board_asks_as_much_of_the_database_however_many_steps_are_busy(
    world: World, desk: Client
) -> None:
    first, second = two_at_the_decision(world)
    desk.get(board(first))
    with CaptureQueriesContext(
        connection,
    ) as one_step:
        desk.get(board(first))
    Application.objects.filter(pk=second.id).update(step="review")
    with CaptureQueriesContext(connection) as two_steps:
        desk.get(board(first))
    assert len(two_steps) == len(one_step)
    assert len(one_step) <= 30


def test_duties_of_officers_are_a_fixed_number_of_queries(world: World) -> None:
    rounds = [world.round(f"call-{n}") for n in range(3)]
    for one in rounds:
        world.submitted(one)
        world.close(one.id)
    officer = world.officer
    with CaptureQueriesContext(connection) as asked:
        duties = selectors.duties(actor=officer)
    assert len(duties) == 3
    assert len(asked) <= 6


def test_a_deed_on_several_is_said_in_numbers_before_it_is_done(world: World, desk: Client) -> None:
    first, second = two_at_the_decision(world)
    asked = bulk(desk, first, "decide|reject|", first, second)
    assert asked.status_code == 200
    assert "2 applications are not accepted." in text(asked)
    assert "administrators of 2 organisations are told" in text(asked)
    assert [world.see(first).state, world.see(second, world.stranger).state] == ["submitted"] * 2
    without = bulk(desk, first, "decide|reject|", first, second, confirmed="1", reason=" ")
    assert without.status_code == 422
    done = bulk(desk, first, "decide|reject|", first, second, confirmed="1", reason="Not this year.")
    assert "Done for 2 applications." in text(done)
    assert [world.see(first).state, world.see(second, world.stranger).state] == ["rejected"] * 2
    assert world.see(first).decisions[-1].reason == "Not this year."


def test_what_stands_elsewhere_stays_as_it_is(world: World, desk: Client) -> None:
    first, second = two_at_the_decision(world)
    services.decide(actor=world.officer, application_id=second.id, outcome="rejected", reason="No.")
    asked = bulk(desk, first, "decide|accept|", first, second)
    assert "1 application is accepted for the sum it asks for." in text(asked)
    assert "1 of those ticked stands elsewhere" in text(asked)


def test_each_refusal_is_named_and_holds_up_no_other(world: World, desk: Client) -> None:
    first, second = two_at_the_decision(world)
    Application.objects.filter(pk=second.id).update(asked_micro_won=won(60_000_000))
    done = bulk(desk, first, "decide|accept|", first, second, confirmed="1")
    assert "Done for 1 application." in text(done)
    assert "1 was refused and stays as it is" in text(done)
    assert "This round has" in text(done)
    assert world.see(first).state == "accepted"
    assert world.see(second, world.stranger).state == "submitted"


def test_many_go_through_in_portions_that_lose_no_refusal(
    world: World, desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dure.control.applications.desk_views.BATCH", 1)
    first, second = two_at_the_decision(world)
    Application.objects.filter(pk=first.id).update(asked_micro_won=won(60_000_000))
    half = bulk(desk, first, "decide|accept|", first, second, confirmed="1")
    assert "1 of 2" in text(half)
    fields = re.findall(r'name="(refused|ids|done|deed|reason)" value="([^"]*)"', half.content.decode())
    data: dict[str, Any] = {"confirmed": "1"}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    whole = desk.post(board(first, "bulk/"), data)
    assert "Done for 1 application." in text(whole)
    assert first.number in text(whole)
    assert world.see(second, world.stranger).state == "accepted"


@pytest.mark.parametrize("data", [{}, {"deed": "decide|accept|"}, {"deed": "no|such|deed"}])
def test_nothing_chosen_changes_nothing(world: World, desk: Client, data: dict[str, str]) -> None:
    view = world.at_decision()
    assert desk.post(board(view, "bulk/"), data).status_code == 422
    assert world.see(view).state == "submitted"


@pytest.mark.parametrize("ticked", ["ids", "all"])
def test_more_than_may_be_done_at_once_is_refused_and_none_is_left_out_in_silence(
    world: World, desk: Client, monkeypatch: pytest.MonkeyPatch, ticked: str
) -> None:
    monkeypatch.setattr("dure.control.applications.desk_views.MAX_BULK", 1)
    first, second = two_at_the_decision(world)
    chosen = (first, second) if ticked == "ids" else ()
    refused = bulk(
        desk, first, "decide|accept|", *chosen, confirmed="1", **({"all": "1"} if ticked == "all" else {})
    )
    assert refused.status_code == 422
    assert "At most 1 applications at once." in text(refused)
    assert [world.see(first).state, world.see(second, world.stranger).state] == ["submitted"] * 2


def test_ids_of_another_round_are_left_out(world: World, desk: Client) -> None:
    view = world.at_decision()
    elsewhere = world.submitted(world.round("other-2026"))
    assert bulk(desk, view, "decide|reject|", elsewhere, confirmed="1", reason="x").status_code == 422
    assert world.see(elsewhere).state == "submitted"


def test_one_application_with_what_can_be_done(world: World, desk: Client) -> None:
    view = world.submitted()
    world.close(view.round.id)
    shown = text(desk.get(page(view)))
    assert view.last_submission is not None
    assert view.last_submission.sha256 in shown
    assert "Leave this step" in shown
    assert "Ask for a completion" in shown
    assert "Each rule at submission and now" in shown


def test_an_adverse_outcome_without_a_reason_keeps_what_was_typed(world: World, desk: Client) -> None:
    view = world.submitted()
    world.close(view.round.id)
    wrong = desk.post(page(view, "advance/"), {"advance-outcome": "incomplete", "advance-reason": ""})
    assert wrong.status_code == 422
    assert "Write what the applicant should read." in text(wrong)
    assert 'value="incomplete" selected' in wrong.content.decode()
    done = desk.post(
        page(view, "advance/"), {"advance-outcome": "complete", "advance-reason": "", "confirmed": "1"}
    )
    assert done.status_code == 302
    assert world.see(view).step == "review"


def test_from_the_decision_to_the_award(world: World, desk: Client) -> None:
    view = world.at_decision()
    too_much = desk.post(
        page(view, "decision/"),
        {"decision-outcome": "accepted", "decision-granted": "9,000,000", "confirmed": "1"},
    )
    assert too_much.status_code == 422
    assert "not more than was asked for" in text(too_much)
    done = desk.post(
        page(view, "decision/"),
        {"decision-outcome": "accepted", "decision-granted": "2,000,000", "confirmed": "1"},
    )
    assert done.status_code == 302
    assert world.see(view).decisions[-1].granted_micro_won == won(2_000_000)
    ends = (clock.now() + timedelta(days=90)).astimezone(clock.SEOUL).strftime("%Y-%m-%dT23:59:59")
    asked = desk.post(page(view, "award/"), {"award-valid_until": ends})
    assert "₩2,000,000 moves from the programme to the award of" in text(asked)
    assert world.see(view).state == "accepted"
    done = desk.post(page(view, "award/"), {"award-valid_until": ends, "confirmed": "1"})
    assert done.status_code == 302
    assert world.see(view).state == "awarded"
    assert desk.get(page(view)).status_code == 200


def test_what_is_for_good_is_said_before_it_is_done_and_can_be_changed(world: World, desk: Client) -> None:
    view = world.at_decision()
    typed = {
        "decision-outcome": "accepted",
        "decision-granted": "2,000,000",
        "decision-reason": "A <clear> plan.",
    }
    asked = desk.post(page(view, "decision/"), typed)
    assert asked.status_code == 200
    assert "is accepted for ₩2,000,000; it asked for" in text(asked)
    assert "The round then has" in text(asked)
    assert "A &lt;clear&gt; plan." in asked.content.decode()
    assert world.see(view).state == "submitted"
    hidden = dict(
        re.findall(r'type="hidden" name="(decision-[^"]+)" value="([^"]*)"', asked.content.decode())
    )
    assert hidden == {**typed, "decision-reason": "A &lt;clear&gt; plan."}
    back = desk.post(page(view, "decision/"), {**typed, "change": "1"})
    assert back.status_code == 200
    assert 'value="2,000,000"' in back.content.decode()
    assert "A &lt;clear&gt; plan." in back.content.decode()
    assert "needs your attention" not in text(back)
    assert world.see(view).state == "submitted"
    assert desk.post(page(view, "decision/"), {**typed, "confirmed": "1"}).status_code == 302
    assert world.see(view).state == "accepted"
    late = desk.post(page(view, "decision/"), typed)
    assert late.status_code in {409, 422}
    assert world.see(view).decisions[-1].granted_micro_won == won(2_000_000)


def test_the_officer_names_the_line_where_the_programme_has_several(world: World, desk: Client) -> None:
    view = world.at_decision()
    services.decide(actor=world.officer, application_id=view.id, outcome="accepted", reason="")
    assert "Budget line that pays" not in text(desk.get(page(view)))
    world.budget_lines("goods", "travel")
    assert "Budget line that pays" in text(desk.get(page(view)))
    assert "No budget line is chosen" in text(desk.post(page(view, "award/"), {"award-line": ""}))
    assert "The budget line “travel” pays." in text(desk.post(page(view, "award/"), {"award-line": "travel"}))
    open_ = desk.post(page(view, "award/"), {"confirmed": "1"})
    assert open_.status_code == 422
    assert "which one pays?" in text(open_)
    assert desk.post(page(view, "award/"), {"award-line": "travel", "confirmed": "1"}).status_code == 302
    assert world.see(view).state == "awarded"


def test_a_completion_opens_the_fields_that_were_chosen(world: World, desk: Client) -> None:
    view = world.submitted()
    world.close(view.round.id)
    due = (clock.now() + timedelta(days=5)).astimezone(clock.SEOUL).strftime("%Y-%m-%dT18:00:00")
    done = desk.post(
        page(view, "completion/"),
        {
            "completion-fields_asked": ["story"],
            "completion-reason": "Say more.",
            "completion-due_at": due,
        },
    )
    assert done.status_code == 302
    request = world.see(view).request
    assert request is not None
    assert (request.fields, request.reason) == (("story",), "Say more.")


def test_a_draft_is_given_more_time_by_its_number(world: World, desk: Client) -> None:
    draft = world.started()
    until = (draft.deadline + timedelta(days=3)).astimezone(clock.SEOUL).strftime("%Y-%m-%dT%H:%M:%S")
    values = {"number": draft.number, "until": until, "reason": "Flood."}
    assert desk.post(board(draft, "extend/"), {**values, "number": "A-0"}).status_code == 422
    done = desk.post(board(draft, "extend/"), values)
    assert done.status_code == 200
    assert world.see(draft).extended_until is not None


def test_another_agencys_officers_and_applicants_see_nothing(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    from dure.control.identity import services as identity

    view = world.at_decision()
    other = identity.add_organisation(
        actor=SYSTEM, slug="other-ministry", kind="ministry", name_ko="다른 부처"
    )
    client = browse(world.person(other, "officer"))
    assert client.get(board(view)).status_code == 404
    assert client.get(page(view)).status_code == 404
    assert client.get("/api/v1/desk/rounds").json() == []
    assert client.get(f"/api/v1/desk/rounds/{view.round.id}").status_code == 404
    assert bulk(client, view, "decide|reject|", view, confirmed="1", reason="x").status_code == 404
    assert text(client.get("/desk/")).count("API support") == 0
    assert browse(world.boss).get("/desk/").status_code == 403
    assert world.see(view).state == "submitted"
