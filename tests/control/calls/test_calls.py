"""Calls as drafts, in public, corrected, copied, cancelled; and the lists that show them."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.control.calls.conftest import FORM, RULES, SYSTEM, TEXTS, World, seoul, steps_with, won

from dure.contracts.ids import uuid7
from dure.control.calls import selectors, services
from dure.control.calls.models import Call, CallChange, FormVersion
from dure.control.foundation import clock, files
from dure.control.foundation.actors import Actor
from dure.control.foundation.errors import Conflict, DureError, Forbidden, Invalid, NotFound

ANYBODY = Actor.anonymous()


def code_of(deed: Callable[[], object]) -> str:
    with pytest.raises(DureError) as refused:
        deed()
    return refused.value.code


def test_only_officers_of_the_agency_begin_a_call(world: World) -> None:
    for actor in (world.stranger, world.applicant, ANYBODY):
        with pytest.raises(Forbidden):
            services.add_call(
                actor=actor, slug="x", programme_slug="hyperscale", kind="api_support", name_ko="공고"
            )
    assert Call.objects.count() == 0


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"slug": "Not A Slug"}, "slug_invalid", "slug"),
        ({"slug": "a" * 64}, "slug_invalid", "slug"),
        ({"kind": "party"}, "call_kind_unknown", "kind"),
        ({"name_ko": "", "name_en": ""}, "text_missing", "name_ko"),
        ({"name_ko": "가" * 201}, "text_invalid", "name_ko"),
        ({"name_ko": "가\u202e나"}, "text_invalid", "name_ko"),
        ({"text_ko": "가\x00나"}, "text_invalid", "text_ko"),
        ({"text_ko": "가" * 50_001}, "text_invalid", "text_ko"),
        ({"programme_slug": "nothing"}, "programme_not_found", "programme"),
        ({"programme_slug": "\x00"}, "programme_not_found", "programme"),
    ],
)
def test_bad_input_is_refused_by_its_field(world: World, more: dict[str, Any], code: str, field: str) -> None:
    asked = {"slug": "x", "programme_slug": "hyperscale", "kind": "api_support", "name_ko": "공고"} | more
    with pytest.raises(DureError) as refused:
        services.add_call(actor=world.officer, **asked)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert Call.objects.count() == 0


def test_the_same_short_name_is_refused_and_the_same_request_is_not(world: World) -> None:
    chosen = uuid7()
    first = world.call(request_id=chosen)
    assert world.call(request_id=chosen).id == first.id == chosen
    assert code_of(lambda: world.call()) == "call_exists"
    assert code_of(lambda: world.call("other", request_id=chosen)) == "exists_with_different_content"


def test_a_draft_is_its_agencys_officers_alone(world: World) -> None:
    world.filled()
    round_ = world.round()
    for actor in (ANYBODY, world.applicant, world.stranger):
        for deed in (
            lambda actor=actor: selectors.call(actor=actor, slug="api-2026"),
            lambda actor=actor: selectors.draft(actor=actor, slug="api-2026"),
            lambda actor=actor: selectors.timeline(actor=actor, slug="api-2026"),
            lambda actor=actor: selectors.round_for(actor=actor, round_id=round_.id),
            lambda actor=actor: selectors.questions(actor=actor, call_slug="api-2026"),
            lambda actor=actor: services.change_call(actor=actor, slug="api-2026", name_ko="내 것"),
            lambda actor=actor: services.save_form(actor=actor, call_slug="api-2026", content=FORM),
            lambda actor=actor: services.add_round(actor=actor, call_slug="api-2026"),
            lambda actor=actor: services.discard_call(actor=actor, slug="api-2026"),
        ):
            with pytest.raises(NotFound):
                deed()
        assert selectors.calls(actor=actor).items == []
    assert [one.slug for one in selectors.calls(actor=world.officer).items] == ["api-2026"]
    assert selectors.draft(actor=world.officer, slug="api-2026").form.content == FORM


def test_a_draft_round_of_a_published_call_is_not_public(world: World) -> None:
    world.published()
    second = world.round(budget_micro_won=won(1_000_000), least_micro_won=None, most_micro_won=won(1))
    assert len(selectors.call(actor=ANYBODY, slug="api-2026").rounds) == 1
    assert len(selectors.call(actor=world.officer, slug="api-2026").rounds) == 2
    with pytest.raises(NotFound):
        selectors.round_for(actor=ANYBODY, round_id=second.id)


def test_corrections_of_a_published_call_are_public_with_their_reason(world: World) -> None:
    world.published()
    with pytest.raises(Invalid) as refused:
        services.change_call(actor=world.officer, slug="api-2026", text_ko="고친 글")
    assert (refused.value.code, refused.value.field) == ("reason_missing", "reason")
    services.change_call(actor=world.officer, slug="api-2026", text_ko="고친 글", reason="오기 정정")
    seen = selectors.call(actor=ANYBODY, slug="api-2026")
    (change,) = seen.changes
    assert (change.reason, change.before, change.after) == (
        "오기 정정",
        {"text_ko": TEXTS["text_ko"]},
        {"text_ko": "고친 글"},
    )
    assert change.created_by_name == ""
    assert (
        selectors.call(actor=world.officer, slug="api-2026").changes[0].created_by_name == world.officer.name
    )
    for more in ({"kind": "rnd"}, {"new_slug": "other"}):
        assert (
            code_of(
                lambda more=more: services.change_call(
                    actor=world.officer, slug="api-2026", reason="x", **more
                )
            )
            == "call_is_published"
        )


def test_a_correction_that_changes_nothing_needs_no_reason_and_leaves_no_trace(world: World) -> None:
    world.published()
    services.change_call(actor=world.officer, slug="api-2026", text_ko=TEXTS["text_ko"])
    assert CallChange.objects.count() == 0


def test_two_officers_do_not_lose_each_others_form(world: World) -> None:
    world.call()
    first = services.save_form(actor=world.officer, call_slug="api-2026", content=FORM, base="")
    services.save_form(actor=SYSTEM, call_slug="api-2026", content={"sections": []}, base=first.digest)
    with pytest.raises(Conflict) as refused:
        services.save_form(actor=world.officer, call_slug="api-2026", content=FORM, base=first.digest)
    assert refused.value.code == "changed_meanwhile"
    assert FormVersion.objects.get().content == {"sections": []}


@pytest.mark.parametrize(
    "content", [None, 1, "x", [], {"sections": 1}, {"sections": [{"key": "A b"}]}, {"other": []}]
)
def test_what_cannot_be_read_is_not_saved(world: World, content: Any) -> None:
    world.call()
    empty = {
        services.save_form: (None, {"sections": []}),
        services.save_rules: (None, []),
        services.save_steps: (None, {"steps": []}),
    }
    for save, accepted in empty.items():
        if content in accepted:
            save(actor=world.officer, call_slug="api-2026", content=content)
        else:
            code = code_of(lambda save=save: save(actor=world.officer, call_slug="api-2026", content=content))
            assert code in {"form_malformed", "rules_malformed", "steps_malformed"}


def test_a_form_larger_than_anyone_writes_is_refused(world: World) -> None:
    world.call()
    big = {"sections": [{"key": "a", "title": "가" * 300_000}]}
    assert (
        code_of(lambda: services.save_form(actor=world.officer, call_slug="api-2026", content=big))
        == "content_too_large"
    )


def test_a_copy_moves_every_date_and_the_years_in_names(world: World) -> None:
    world.filled()
    services.save_steps(
        actor=world.officer,
        call_slug="api-2026",
        content=steps_with(decide={"closes_at": "2028-02-29T18:00:00+09:00"}),
    )
    world.round(
        opens_at=seoul("2028-01-10T09:00"),
        closes_at=seoul("2028-02-29T18:00"),
        questions_until=seoul("2028-02-01T18:00"),
        name_ko="2028년 1차",
    )
    copied = services.copy_call(actor=world.officer, slug="api-2026", new_slug="api-2027")
    assert (copied.name_ko, copied.name_en) == ("2027년 API 이용 지원", "API Support 2027")
    assert (copied.state, copied.needs_review, copied.copied_from) == ("draft", True, "api-2026")
    (round_,) = copied.rounds
    assert (round_.opens_at, round_.closes_at, round_.questions_until, round_.name_ko) == (
        seoul("2029-01-10T09:00"),
        seoul("2029-02-28T18:00"),
        seoul("2029-02-01T18:00"),
        "2029년 1차",
    )
    assert round_.graph.step("decide").closes_at == seoul("2029-02-28T18:00")
    assert round_.form == selectors.call(actor=world.officer, slug="api-2026").rounds[0].form
    assert [one.key for one in round_.requirements] == [one["key"] for one in RULES]


def test_a_cancelled_call_stays_readable_and_takes_nothing(world: World) -> None:
    round_ = world.published()
    assert (
        code_of(lambda: services.cancel_call(actor=world.officer, slug="api-2026", reason=" "))
        == "reason_missing"
    )
    cancelled = services.cancel_call(actor=world.officer, slug="api-2026", reason="예산 삭감")
    assert (cancelled.state, cancelled.rounds[0].state, cancelled.end_reason) == (
        "cancelled",
        "cancelled",
        "예산 삭감",
    )
    seen = selectors.round_for(actor=ANYBODY, round_id=round_.id)
    assert (seen.phase, seen.accepts, seen.form.field("title").key) == ("cancelled", False, "title")
    for deed in (
        lambda: services.add_round(actor=world.officer, call_slug="api-2026"),
        lambda: services.change_call(actor=world.officer, slug="api-2026", name_ko="다시", reason="x"),
        lambda: services.cancel_call(actor=world.officer, slug="api-2026", reason="again"),
    ):
        assert code_of(deed) == "call_ended"


def test_a_discarded_draft_is_gone_and_a_published_call_cannot_be(world: World) -> None:
    world.filled()
    world.round()
    services.discard_call(actor=world.officer, slug="api-2026")
    assert Call.objects.count() == 0
    world.published()
    assert code_of(lambda: services.discard_call(actor=world.officer, slug="api-2026")) == "call_is_published"


def test_attachments_are_kept_and_their_changes_are_public(world: World) -> None:
    world.filled()
    one = services.add_attachment(
        actor=world.officer,
        call_slug="api-2026",
        stream=BytesIO(b"name,sum\na,1\n"),
        name="table.csv",
        title_ko="표",
    )
    with pytest.raises(NotFound):
        selectors.attachment(actor=ANYBODY, attachment_id=one.id)
    services.publish_round(actor=world.officer, round_id=world.round().id)
    assert selectors.attachment(actor=ANYBODY, attachment_id=one.id).name == "table.csv"
    with files.open(one.sha256) as stored:
        assert stored.read() == b"name,sum\na,1\n"
    assert (
        code_of(lambda: services.remove_attachment(actor=world.officer, attachment_id=one.id))
        == "reason_missing"
    )
    services.remove_attachment(actor=world.officer, attachment_id=one.id, reason="잘못 올림")
    with pytest.raises(NotFound):
        selectors.attachment(actor=ANYBODY, attachment_id=one.id)
    seen = selectors.call(actor=ANYBODY, slug="api-2026")
    assert [(change.reason, change.before, change.after) for change in seen.changes] == [
        ("잘못 올림", {"attachment": "표"}, {})
    ]
    assert files.exists(one.sha256)


# Lists


@pytest.fixture
def many(world: World) -> World:
    now = clock.now()
    world.published("soon", closes_at=now + timedelta(days=8), budget_micro_won=won(10_000_000))
    world.published("late", {"name_ko": "나중 마감", "kind": "pilot"}, budget_micro_won=won(10_000_000))
    world.published(
        "next",
        {"name_en": "Next Year"},
        opens_at=now + timedelta(days=5),
        closes_at=now + timedelta(days=50),
        budget_micro_won=won(10_000_000),
    )
    world.published("gone", budget_micro_won=won(10_000_000))
    services.cancel_call(actor=world.officer, slug="gone", reason="x")
    world.call("draft")
    return world


def slugs(**asked: Any) -> list[str]:
    return [one.slug for one in selectors.calls(actor=asked.pop("actor", ANYBODY), **asked).items]


def test_the_list_begins_with_what_closes_first(many: World) -> None:
    assert slugs() == ["soon", "late", "next", "gone"]
    assert slugs(actor=many.officer) == ["draft", "soon", "late", "next", "gone"]
    assert slugs(actor=many.stranger, mine=True) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"search": "나중"}, ["late"]),
        ({"search": "next year"}, ["next"]),
        ({"search": "api 2026 support"}, ["soon", "late", "gone"]),
        ({"search": "\x00"}, ["soon", "late", "next", "gone"]),
        ({"search": "%"}, []),
        ({"kind": "pilot"}, ["late"]),
        ({"kind": "nothing"}, []),
        ({"state": "open"}, ["soon", "late"]),
        ({"state": "upcoming"}, ["next"]),
        ({"state": "cancelled"}, ["gone"]),
        ({"state": "draft"}, []),
        ({"programme": "hyperscale"}, ["soon", "late", "next", "gone"]),
        ({"programme": "other"}, []),
        ({"closing_within_days": 10}, ["soon"]),
        ({"closing_within_days": 10**12}, ["soon", "late"]),
        ({"page": 2, "page_size": 3}, ["gone"]),
        ({"page": 10**18}, ["soon", "late", "next", "gone"]),
        ({"order": "newest"}, ["gone", "next", "late", "soon"]),
    ],
)
def test_search_filters_and_pages(many: World, asked: dict[str, Any], found: list[str]) -> None:
    assert slugs(**asked) == found


def test_the_list_costs_as_many_queries_for_one_call_as_for_many(world: World) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            page = selectors.calls(actor=world.officer)
            assert all(one.phase and one.name for one in page.items)
        return len(counted)

    world.published("first", budget_micro_won=won(10_000_000))
    one = queries()
    for number in range(12):
        world.published(f"more-{number}", budget_micro_won=won(10_000_000))
    assert (queries(), one <= 5) == (one, True)
