"""The applicant's pages: the list, the way in, the writing with and without script, the receipt, and what follows."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from dure.control.applications import selectors, services
from dure.control.applications.models import Answer
from dure.control.applications.selectors import ApplicationView
from dure.control.foundation.actors import Actor
from dure.control.identity.middleware import SESSION_KEY
from dure.control.identity.models import Person

from .conftest import World, answers, won

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def browse() -> Callable[[Actor], Client]:
    """A browser in which this actor is signed in, in English."""

    def opened(actor: Actor) -> Client:
        client = Client()
        client.force_login(Person.objects.get(pk=actor.person_id), BACKEND)
        session = client.session
        session[SESSION_KEY] = str(actor.organisation_id)
        session.save()
        client.cookies["dure_language"] = "en"
        return client

    return opened


def path(view: ApplicationView, part: str = "") -> str:
    return f"/applications/{view.id}/{part}"


def typed(**values: Any) -> dict[str, Any]:
    """What a browser sends for fields of the first section, as the page had them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= {f"f-{name}-asked": "1", f"f-{name}": value, f"f-{name}-version": "0"}
    return found


def stands(view: ApplicationView) -> dict[str, Any]:
    return dict(Answer.objects.filter(application_id=view.id).values_list("field", "value"))


def test_an_application_begins_after_one_page_that_says_what_it_takes(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    round_ = world.round()
    client = browse(world.writer)
    page = client.get(f"/applications/start/{round_.id}/")
    assert page.status_code == 200
    assert [one.state for one in page.context["findings"]] == ["met", "met"]
    assert (page.context["questions"], page.context["required"]) == (5, 3)
    begun = client.post(f"/applications/start/{round_.id}/")
    (line,) = selectors.applications(actor=world.writer).items
    assert begun.headers["Location"] == f"/applications/{line.id}/write/"
    # A second press, or a colleague, comes to the same application.
    again = browse(world.colleague).get(f"/applications/start/{round_.id}/")
    assert again.headers["Location"] == f"/applications/{line.id}/"


def test_who_may_not_apply_reads_why_and_begins_nothing(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    round_ = world.round()
    client = browse(world.onlooker)
    assert client.get(f"/applications/start/{round_.id}/").context["may_start"] is False
    assert client.post(f"/applications/start/{round_.id}/").status_code == 403
    assert selectors.applications(actor=world.boss).total == 0


def test_without_script_a_section_is_saved_by_its_button(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    client = browse(world.writer)
    page = client.get(path(view, "write/"))
    assert [one.asked.field.key for one in page.context["slots"]] == ["title", "story", "stage", "papers"]
    done = client.post(
        path(view, "write/?section=plan"),
        typed(title="상담 요약", story="가\r\n나", stage="idea")
        | {"go": "next", "f-papers": SimpleUploadedFile("계획.txt", "계획".encode())},
    )
    assert done.headers["Location"] == path(view, "write/?section=money")
    assert stands(view) == {"title": "상담 요약", "story": "가\n나", "stage": "idea"}
    assert [one.name for one in world.see(view).attachments] == ["계획.txt"]
    money = {
        "f-budget-asked": "1", "f-budget-version": "0", "f-budget-rows": "2", "f-budget-0-line": "api",
        "f-budget-0-won": "3,000,000", "f-budget-1-line": "", "f-budget-1-won": "",
    }  # fmt: skip
    done = client.post(path(view, "write/?section=money"), money | {"go": "next"})
    assert done.headers["Location"] == path(view, "check/")
    assert world.see(view).asked_micro_won == won(3_000_000)


def test_what_cannot_be_saved_stays_as_it_was_typed_and_the_rest_is_saved(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    page = browse(world.writer).post(
        path(view, "write/?section=plan"),
        typed(title="제목", story="가" * 400_001)
        | {"go": "next", "f-papers": SimpleUploadedFile("a.exe", b"MZ" + bytes(100))},
    )
    assert page.status_code == 422
    assert {field.key: error.code for field, error in page.context["refusals"]} == {
        "story": "answer_too_long",
        "papers": "file_type_refused",
    }
    assert [one.asked.answer for one in page.context["slots"] if one.asked.field.key == "story"] == [
        "가" * 400_001
    ]
    assert stands(view)["title"] == "제목"


def test_two_people_who_write_the_same_text_without_script_lose_nothing(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    services.invite_writer(actor=world.writer, application_id=view.id, email=_email(world.colleague))
    world.fill(view, story="첫 문단.\n\n끝 문단.\n")
    for actor, text in (
        (world.writer, "첫 문단을 고쳤습니다.\n\n끝 문단.\n"),
        (world.colleague, "첫 문단.\n\n끝 문단도 고쳤습니다.\n"),
    ):
        sent = typed(story=text) | {"f-story-version": "1", "go": "stay"}
        assert browse(actor).post(path(view, "write/?section=plan"), sent).status_code == 302
    assert stands(view)["story"] == "첫 문단을 고쳤습니다.\n\n끝 문단도 고쳤습니다.\n"


def test_of_two_choices_the_writer_sees_both_and_chooses(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    world.fill(view, stage="idea")
    world.fill(view, stage="product")
    client = browse(world.writer)
    page = client.post(
        path(view, "write/?section=plan"), typed(stage="") | {"f-stage-version": "1", "go": "next"}
    )
    (slot,) = [one for one in page.context["slots"] if one.theirs]
    assert (page.status_code, slot.theirs.text, slot.version) == (422, "Product", 2)
    assert stands(view)["stage"] == "product"
    kept = typed(stage="") | {"f-stage-version": str(slot.version), "go": "stay"}
    assert client.post(path(view, "write/?section=plan"), kept).status_code == 302
    assert stands(view)["stage"] is None


def _email(actor: Actor) -> str:
    return Person.objects.get(pk=actor.person_id).email


def _save(client: Client, view: ApplicationView, field: str, value: str, **more: Any) -> Any:
    return client.post(path(view, "answers/"), {"field": field, f"f-{field}": value, "version": 0} | more)


def test_the_script_saves_one_question_and_hears_how_far_the_whole_is(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    client = browse(world.writer)
    done = _save(client, view, "title", "상담 요약").json()
    assert (done["saved"], done["version"], done["marks"], done["merged"]) == (True, 1, {"title": "1"}, False)
    assert done["shown"] == ["title", "story", "stage", "papers", "budget"]
    assert "1 of 2 required" in done["navigation"]
    assert "problem" in _save(client, view, "story", "가" * 2_001).json()["problems"]
    assert client.get(path(view, "pulse/")).json()["marks"] == {"title": "1", "story": "1"}


def test_who_types_on_while_the_text_is_joined_loses_nothing(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    world.fill(view, story="하나 둘 셋")
    client = browse(world.writer)
    world.fill(view, story="하나 둘 셋 넷")  # a colleague, meanwhile
    sent = "영 하나 둘 셋"
    first = _save(client, view, "story", sent, version=1, base="f-story=하나 둘 셋").json()
    assert (first["merged"], first["conflict"], stands(view)["story"]) == (True, False, "영 하나 둘 셋 넷")
    # The page still shows what was sent, and its writer went on from there.
    second = _save(
        client, view, "story", "영과 하나 둘 셋", version=first["version"], base=f"f-story={sent}"
    ).json()
    assert (second["merged"], second["conflict"], stands(view)["story"]) == (
        True,
        False,
        "영과 하나 둘 셋 넷",
    )


def test_the_script_is_shown_theirs_where_two_values_exclude_each_other(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    world.fill(view, stage="idea")
    client = browse(world.writer)
    world.fill(view, stage="product")
    refused = _save(client, view, "stage", "", version=1, base="f-stage=idea")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "answer_changed_meanwhile")
    assert "Product" in refused.json()["theirs"]
    kept = _save(client, view, "stage", "", version=2).json()
    assert (kept["version"], stands(view)["stage"]) == (3, None)


def test_a_file_comes_by_script_and_goes_again(world: World, browse: Callable[[Actor], Client]) -> None:
    view = world.started()
    client = browse(world.writer)
    refused = client.post(
        path(view, "files/"), {"field": "papers", "file": SimpleUploadedFile("a.exe", b"MZ" + bytes(100))}
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "file_type_refused")
    done = client.post(
        path(view, "files/"), {"field": "papers", "file": SimpleUploadedFile("a.txt", b"plain")}
    ).json()
    (attachment,) = world.see(view).attachments
    assert done["marks"] == {"papers": attachment.id.hex[-8:]}
    got = client.get(path(view, f"files/{attachment.id}/"))
    assert b"".join(got.streaming_content) == b"plain"
    detach = {"detach": f"papers:{attachment.sha256}"}
    assert client.post(path(view, "write/?section=plan"), detach).status_code == 302
    assert world.see(view).attachments == []


def test_a_field_has_a_history_and_a_way_back(world: World, browse: Callable[[Actor], Client]) -> None:
    view = world.started()
    world.fill(view, title="처음")
    world.fill(view, title="나중")
    client = browse(world.writer)
    page = client.get(path(view, "fields/title/"))
    assert [one.value for one, _asked in page.context["revisions"]] == ["나중", "처음"]
    client.post(path(view, "fields/title/"), {"version": 1})
    assert stands(view)["title"] == "처음"
    assert len(selectors.revisions(actor=world.writer, application_id=view.id, field="title")) == 3


def test_writers_are_added_handed_the_lead_and_removed(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    client = browse(world.writer)
    colleague = world.colleague
    assert (
        client.post(path(view, "writers/"), {"verb": "add", "email": "nobody@x.example"}).status_code == 422
    )
    client.post(path(view, "writers/"), {"verb": "add", "email": _email(colleague)})
    client.post(path(view, "writers/"), {"verb": "lead", "person": str(colleague.person_id)})
    assert [(one.person.id, one.lead) for one in world.see(view).writers] == [
        (colleague.person_id, True),
        (world.writer.person_id, False),
    ]
    # The lead is somebody else's now, and so is who may remove.
    removing = {"verb": "remove", "person": str(world.writer.person_id)}
    assert client.post(path(view, "writers/"), removing).status_code == 403
    browse(colleague).post(path(view, "writers/"), removing)
    assert [one.person.id for one in world.see(view).writers] == [colleague.person_id]
    assert client.get(path(view, "write/")).headers["Location"] == path(view)


def test_what_is_missing_is_named_before_submitting_with_the_way_to_it(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    world.fill(view, title="상담 요약")
    client = browse(world.writer)
    page = client.get(path(view, "check/"))
    assert [(field.key, url) for field, _one, url in page.context["problems"]] == [
        ("story", path(view, "write/?section=plan&check=1#f-story-line")),
        ("budget", path(view, "write/?section=money&check=1#f-budget-line")),
    ]
    assert client.post(path(view, "check/")).status_code == 422
    assert world.see(view).state == "draft"


def test_a_submission_ends_at_its_receipt(world: World, browse: Callable[[Actor], Client]) -> None:
    view = world.started()
    world.fill(view, **answers())
    client = browse(world.writer)
    assert client.post(path(view, "check/")).headers["Location"] == path(view, "receipt/")
    page = client.get(path(view, "receipt/"))
    assert page.context["valid"] is True
    receipt = client.get(path(view, "receipt.json"))
    assert json.loads(receipt.content) == page.context["submission"].envelope()
    content = client.get(path(view, "content.json")).content
    assert json.loads(content)["answers"]["title"] == "상담 요약"
    assert client.get(path(view)).context["from_submission"] is True
    document = client.get(path(view, "pdf/"))
    assert (document["Content-Type"], document.content[:5]) == ("application/pdf", b"%PDF-")


def test_a_small_request_ends_at_the_grant_and_the_way_to_its_key(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started(world.small_round())
    world.fill(view, **answers(1_500_000))
    client = browse(world.writer)
    client.post(path(view, "check/"))
    page = client.get(path(view, "receipt/"))
    assert page.context["granted"].granted_micro_won == won(1_500_000)
    award = page.context["application"].award_id
    assert f'href="/awards/{award}/"' in page.content.decode()


def test_a_small_request_that_the_rule_does_not_grant_says_why(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started(world.small_round())
    world.fill(view, **answers(3_000_000))
    client = browse(world.writer)
    client.post(path(view, "check/"))
    left = client.get(path(view, "receipt/")).context["left_to_person"]
    assert str(left) == "The sum is above what is granted without a person."


def test_money_that_is_not_there_breaks_no_submission(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    from dure.control.programmes import services as programmes

    from .conftest import SYSTEM

    view = world.started(world.small_round())
    world.fill(view, **answers(1_500_000))
    programmes.grant_award(
        actor=SYSTEM, programme_slug="hyperscale", organisation_slug="rival", micro_won=won(999_500_000)
    )
    client = browse(world.writer)
    assert client.post(path(view, "check/")).headers["Location"] == path(view, "receipt/")
    assert client.get(path(view, "receipt/")).context["waits_for_rule"] is True
    assert world.see(view).state == "submitted"


def test_what_was_submitted_counts_until_it_is_submitted_again(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.submitted()
    client = browse(world.writer)
    world.fill(view, title="다른 제목")
    assert client.get(path(view)).context["sections"][0].questions[0].answer == "상담 요약"
    assert client.get(path(view, "write/")).context["slots"][0].asked.answer == "다른 제목"
    assert client.get(path(view, "discard/")).status_code == 200
    client.post(path(view, "discard/"))
    assert (stands(view)["title"], world.see(view).changed) == ("상담 요약", False)


def test_withdrawing_asks_first_and_ends_it(world: World, browse: Callable[[Actor], Client]) -> None:
    view = world.submitted()
    client = browse(world.writer)
    assert client.get(path(view, "withdraw/")).status_code == 200
    assert world.see(view).state == "submitted"
    client.post(path(view, "withdraw/"))
    assert world.see(view).state == "withdrawn"
    assert client.get(path(view)).status_code == 200


def test_only_what_was_asked_for_opens_again(world: World, browse: Callable[[Actor], Client]) -> None:
    from datetime import timedelta

    from dure.control.foundation import clock

    view = world.submitted()
    world.close(view.round.id)
    services.ask_for_completion(
        actor=world.officer, application_id=view.id, fields=["story"], reason="자세히", due_at=clock.now() + timedelta(days=3)
    )  # fmt: skip
    client = browse(world.writer)
    page = client.get(path(view, "write/"))
    assert [(one.asked.field.key, one.open) for one in page.context["slots"]] == [
        ("title", False), ("story", True), ("stage", False), ("papers", False),
    ]  # fmt: skip
    sent = typed(title="몰래", story="자세한 내용") | {"f-title-version": "1", "f-story-version": "1"}
    client.post(path(view, "write/?section=plan"), sent)
    assert (stands(view)["title"], stands(view)["story"]) == ("상담 요약", "자세한 내용")
    client.post(path(view, "check/"))
    assert world.see(view).state == "submitted"


def test_an_objection_needs_its_reason_and_keeps_what_was_typed(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.at_decision()
    services.decide(actor=world.officer, application_id=view.id, outcome="rejected", reason="점수 미달")
    client = browse(world.writer)
    assert client.post(path(view, "objection/"), {"reason": "  "}).status_code == 422
    long = client.post(path(view, "objection/"), {"reason": "가" * 4_001})
    assert (long.status_code, long.context["typed"]) == (422, "가" * 4_001)
    client.post(path(view, "objection/"), {"reason": "점수가 잘못 더해졌습니다."})
    assert world.see(view).state == "submitted"


def test_strangers_find_nothing_and_officers_find_what_was_submitted(
    world: World, browse: Callable[[Actor], Client]
) -> None:
    view = world.started()
    parts = (
        "",
        "write/",
        "pulse/",
        "fields/",
        "fields/title/",
        "writers/",
        "check/",
        "receipt/",
        "pdf/",
        "withdraw/",
    )
    for actor in (world.stranger, world.officer):
        assert {browse(actor).get(path(view, part)).status_code for part in parts} == {404}
    world.fill(view, **answers())
    services.submit(actor=world.writer, application_id=view.id)
    officer = browse(world.officer)
    assert officer.get(path(view)).status_code == 200
    assert [
        officer.get(path(view, part)).status_code for part in ("pulse/", "fields/title/", "writers/")
    ] == [404] * 3
    assert officer.get(path(view, "write/")).status_code == 302
    assert officer.post(path(view, "write/")).status_code == 403


def test_the_list_is_searched_filtered_summed_and_taken_along(
    world: World, browse: Callable[[Actor], Client], django_assert_max_num_queries: Any
) -> None:
    view = world.submitted()
    client = browse(world.writer)
    assert [
        one.id for one in client.get("/applications/?q=상담&state=submitted").context["applications"]
    ] == [view.id]
    assert client.get("/applications/?state=draft").context["applications"] == []
    file = client.get("/applications/?export=csv")
    (line,) = b"".join(file.streaming_content).decode("utf-8-sig").splitlines()[1:]
    assert line.startswith(f"{view.number},상담 요약")
    with django_assert_max_num_queries(30):
        client.get("/applications/")
    with django_assert_max_num_queries(30):
        client.get(path(view))
    with django_assert_max_num_queries(30):
        client.get(path(view, "write/"))
    assert [one.id for one in browse(world.officer).get("/applications/").context["applications"]] == [
        view.id
    ]
    assert UUID(str(view.id))
