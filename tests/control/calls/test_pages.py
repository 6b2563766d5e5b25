"""The pages of calls: what everybody reads, and where officers put a call together without any script."""

import re
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dure.control.calls import comparing, selectors, services, shipped
from dure.control.calls.models import Call
from dure.control.foundation import clock
from dure.control.foundation.actors import Actor
from dure.control.identity.models import Person

from .conftest import FORM, RULES, STEPS, World, won


def browser(actor: Actor | None, language: str = "en") -> Client:
    client = Client(HTTP_ACCEPT_LANGUAGE=language)
    client.cookies["django_language"] = language
    if actor is not None:
        client.force_login(
            Person.objects.get(pk=actor.person_id), "allauth.account.auth_backends.AuthenticationBackend"
        )
    return client


def form_of(html: str, action: str = "") -> dict[str, Any]:
    """What a browser would send of the page's last form that posts (to `action`, if one is named)."""
    import html as escapes

    found = [
        body
        for tag, body in re.findall(r"(<form[^>]*>)(.*?)</form>", html, re.DOTALL)
        if 'method="post"' in tag and action in tag
    ]
    sent: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", found[-1]):
        values = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if values.get("type") in {"radio", "checkbox"} and " checked" not in tag:
            continue
        if "name" in values:
            sent.setdefault(values["name"], []).append(
                escapes.unescape(values.get("value", "on" if values.get("type") == "checkbox" else ""))
            )
    for name, text in re.findall(
        r'<textarea[^>]*name="([^"]*)"[^>]*>\n?(.*?)</textarea>', found[-1], re.DOTALL
    ):
        sent[name] = [escapes.unescape(text)]
    for name, inside in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', found[-1], re.DOTALL):
        chosen = re.findall(r'<option(?: value="([^"]*)")? ?selected>?([^<]*)', inside) or re.findall(
            r'<option(?: value="([^"]*)")?>?([^<]*)', inside
        )
        given = chosen[0][0] or ("" if 'value=""' in inside.split(">")[0] else chosen[0][1])
        sent.setdefault(name, []).append(escapes.unescape(given))
    return sent


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


BUILD_PAGES = ("build", "details", "files", "copy", "steps", "fields", "preview", "versions", "rules")


class TestReading:
    @pytest.mark.parametrize("language", ["ko", "en"])
    def test_the_list_the_page_and_the_form_are_public(self, world: World, language: str) -> None:
        world.published()
        client = browser(None, language)
        for name, args in (("calls", []), ("call", ["api-2026"]), ("form", ["api-2026"])):
            assert client.get(reverse(f"calls:{name}", args=args)).status_code == 200

    def test_a_draft_is_not_there_for_others(self, world: World) -> None:
        world.filled()
        for actor in (None, world.applicant, world.stranger):
            assert browser(actor).get("/calls/api-2026/").status_code == 404
        assert browser(world.officer).get("/calls/api-2026/").status_code == 200

    def test_an_organisation_is_told_what_it_meets_before_it_writes(self, world: World) -> None:
        world.published()
        page = text_of(browser(world.applicant).get("/calls/api-2026/"))
        assert "Some things about your organisation are not stated yet." in page
        assert "time since foundation is not stated; asked for: at most 7 years." in page
        assert "kind of organisation: start-up." in page
        narae = world.person(world.narae, "administrator")
        assert "This call does not fit your organisation as it is now." in text_of(
            browser(narae).get("/calls/api-2026/")
        )

    def test_the_list_is_searched_filtered_and_says_what_fits(self, world: World) -> None:
        world.published()
        world.published("pilot-2026", call={"kind": "pilot", "name_ko": "시범", "name_en": "Pilot"})
        client = browser(world.person(world.narae, "administrator"))
        assert text_of(client.get("/calls/")).count("does not fit") == 2
        found = text_of(client.get("/calls/?q=pilot"))
        assert ("Pilot" in found, "API Support" in found) == (True, False)
        assert "No call matches" in text_of(client.get("/calls/?kind=rnd"))
        assert client.get("/calls/?kind=nonsense&state=nonsense&order=nonsense&page=99999").status_code == 200

    def test_the_number_of_queries_does_not_depend_on_the_number_of_calls(
        self, world: World, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(12):
            world.published(f"call-{number}", budget_micro_won=won(50_000_000))
        client = browser(world.applicant)
        client.get("/calls/")
        with django_assert_max_num_queries(30):
            client.get("/calls/")
        with django_assert_max_num_queries(30):
            client.get("/calls/call-3/")

    def test_a_question_is_asked_and_answered_without_saying_who_asked(self, world: World) -> None:
        world.published()
        asker, officer = browser(world.applicant), browser(world.officer)
        assert asker.post("/calls/api-2026/ask/", {"text": "  "}).status_code == 422
        assert asker.post("/calls/api-2026/ask/", {"text": "May we share keys?"}).status_code == 302
        waiting = officer.get("/calls/questions/")
        assert "May we share keys?" in text_of(waiting)
        path = re.search(r"/calls/questions/[0-9a-f-]{36}/", waiting.content.decode())
        assert path is not None
        sent = {"text": "May we share keys?"}
        assert officer.post(path[0], {**sent, "answer_ko": ""}).status_code == 422
        assert (
            officer.post(path[0], {**sent, "answer_ko": "됩니다.", "answer_en": "You may."}).status_code
            == 302
        )
        page = text_of(browser(None).get("/calls/api-2026/"))
        assert "You may." in page
        assert "haneul" not in page

    def test_a_file_of_a_call_is_downloaded(self, world: World) -> None:
        world.published()
        officer = browser(world.officer)
        from django.core.files.uploadedfile import SimpleUploadedFile

        upload = SimpleUploadedFile("guide.txt", "안내".encode(), "text/plain")
        assert (
            officer.post(
                "/calls/api-2026/build/files/", {"file": upload, "title_ko": "안내", "reason": "Guide added"}
            ).status_code
            == 302
        )
        page = browser(None).get("/calls/api-2026/").content.decode()
        path = re.search(r"/calls/files/[0-9a-f-]{36}/", page)
        assert path is not None
        assert b"".join(browser(None).get(path[0])) == "안내".encode()

    def test_its_dates_go_into_a_calendar(self, world: World) -> None:
        one = world.published()
        made = browser(None).get("/calls/api-2026/calendar.ics")
        assert made.headers["Content-Type"].startswith("text/calendar")
        assert made.content.decode().count("BEGIN:VEVENT") == 2
        assert f"round-opens-{one.id}" in made.content.decode().replace("\r\n ", "")
        assert "BEGIN:VEVENT" in browser(None).get("/calendar/calls.ics").content.decode()


class TestBuilding:
    @pytest.mark.parametrize("language", ["ko", "en"])
    @pytest.mark.parametrize("template", [*shipped.NAMES, "empty"])
    def test_every_template_is_begun_and_each_of_its_pages_opens(
        self, world: World, template: str, language: str
    ) -> None:
        client = browser(world.officer, language)
        assert client.get("/calls/new/").status_code == 200
        path = f"/calls/new/{template}/"
        sent = form_of(client.get(path).content.decode()) | {"slug": ["mine"], "name_ko": ["새 공고"]}
        assert client.post(path, sent).status_code == 302
        for name in BUILD_PAGES:
            assert client.get(reverse(f"calls:{name}", args=["mine"])).status_code == 200, name
        call = selectors.call(actor=world.officer, slug="mine")
        for one in call.rounds:
            for name in ("round", "publish", "extend", "close"):
                assert client.get(reverse(f"calls:{name}", args=["mine", one.id])).status_code == 200, name
            for field in one.form.fields:
                assert client.get(reverse("calls:field", args=["mine", field.key])).status_code == 200
            for requirement in one.requirements:
                assert (
                    client.get(reverse("calls:requirement", args=["mine", requirement.key])).status_code
                    == 200
                )

    @pytest.mark.parametrize("template", shipped.NAMES)
    def test_saving_what_is_shown_changes_nothing(self, world: World, template: str) -> None:
        """Whatever a template has, the pages show it whole: sent back untouched, it is the same."""
        services.add_from_template(
            actor=world.officer, template_key=template, slug="mine", programme_slug="hyperscale"
        )
        client = browser(world.officer)
        before = selectors.draft(actor=world.officer, slug="mine")
        assert before.form is not None
        assert before.rules is not None
        for one in shipped.template(template).form.fields:
            path = reverse("calls:field", args=["mine", one.key])
            assert client.post(path, form_of(client.get(path).content.decode())).status_code == 302, one.key
        for one in shipped.template(template).requirements:
            path = reverse("calls:requirement", args=["mine", one.key])
            assert (
                client.post(path, form_of(client.get(path).content.decode()) | {"do": "save"}).status_code
                == 302
            )
        path = reverse("calls:steps", args=["mine"])
        assert (
            client.post(path, form_of(client.get(path).content.decode()) | {"do": "save"}).status_code == 302
        )
        after = selectors.draft(actor=world.officer, slug="mine")
        assert after.form is not None
        assert after.rules is not None
        from dure.control.calls import eligibility, forms, steps

        old, new = forms.parse(before.form.content), forms.parse(after.form.content)
        assert comparing.of_forms(old, new) == []
        assert new == old
        assert eligibility.parse(after.rules.content) == eligibility.parse(before.rules.content)
        assert steps.parse(after.steps) == steps.parse(before.steps)

    def test_a_call_is_built_from_nothing_to_publication(self, world: World) -> None:
        client = browser(world.officer)
        client.post(
            "/calls/new/empty/",
            {"slug": "mine", "name_ko": "공고", "programme": "hyperscale", "kind": "pilot"},
        )
        base = "/calls/mine/build/"
        client.post(f"{base}details/", {"name_ko": "공고", "summary_ko": "요약", "text_ko": "본문"})
        for kind in ("application", "decision", "award", "closing"):
            sent = form_of(client.get(f"{base}steps/").content.decode()) | {"do": "add", "add_kind": kind}
            assert client.post(f"{base}steps/", sent).status_code == 302
        sent = form_of(client.get(f"{base}steps/").content.decode())
        sent |= {
            "do": "save",
            "s-application-to-submitted": "decision",
            "s-decision-to-accepted": "award",
            "s-decision-to-refused": "closing",
            "s-award-to-awarded": "closing",
        }
        assert client.post(f"{base}steps/", sent).status_code == 302
        assert "Every step is reached, and every way ends." in text_of(client.get(f"{base}steps/"))
        sent = form_of(client.get(f"{base}form/").content.decode()) | {
            "do": "add_section",
            "title_ko": "내용",
        }
        assert client.post(f"{base}form/", sent).status_code == 302
        sent = form_of(client.get(f"{base}form/").content.decode()) | {
            "do": "add_field:section_1",
            "kind-section_1": "budget",
            "label-section_1_ko": "예산",
        }
        response = client.post(f"{base}form/", sent)
        assert response.headers["Location"] == f"{base}form/fields/budget/"
        sent = form_of(client.get(response.headers["Location"]).content.decode()) | {
            "required": "1",
            "lines-1-label_ko": "기타",
        }
        assert client.post(response.headers["Location"], sent).status_code == 302
        sent = form_of(client.get(f"{base}rules/").content.decode()) | {
            "do": "add",
            "title_ko": "공공기관",
            "common": "kind",
        }
        response = client.post(f"{base}rules/", sent)
        sent = form_of(client.get(response.headers["Location"]).content.decode()) | {
            "do": "save",
            "n-value": ["public_body"],
        }
        assert client.post(response.headers["Location"], sent).status_code == 302
        assert client.post(f"{base}rounds/").status_code == 302
        one = selectors.call(actor=world.officer, slug="mine").rounds[0]
        path = f"{base}rounds/{one.id}/"
        opens = clock.now().astimezone(clock.SEOUL) + timedelta(hours=1)
        sent = {
            "opens_at": f"{opens:%Y-%m-%dT%H:%M:%S}",
            "closes_at": f"{opens + timedelta(days=20):%Y-%m-%dT%H:%M:%S}",
            "budget_micro_won": "100,000,000",
            "most_micro_won": "10,000,000원",
        }
        assert client.post(path, sent).status_code == 302
        asked = text_of(client.get(f"{path}publish/"))
        assert "Publish this round?" in asked, asked
        assert client.post(f"{path}publish/").status_code == 302
        assert Call.objects.get(slug="mine").state == "published"
        (budget,) = selectors.call(actor=world.officer, slug="mine").rounds[0].form.fields
        assert ([line.label for line in budget.lines], budget.required) == (["Line 1", "기타"], True)

    def test_a_clash_is_named_on_the_page_and_while_typing(self, world: World) -> None:
        world.filled()
        large = {"attribute": "organisation.age_months", "comparison": "at_least", "value": 100}
        services.save_rules(
            actor=world.officer,
            call_slug="api-2026",
            content=[*RULES, {"key": "old", "title": "Old", "rule": large}],
        )
        client = browser(world.officer)
        page = text_of(client.get("/calls/api-2026/build/rules/"))
        assert "Nobody can meet these together: “At most seven years old”" in page
        path = "/calls/api-2026/build/rules/old/"
        sent = form_of(client.get(path).content.decode())
        assert "Nobody can meet these rules" in text_of(client.post(f"{path}check/", sent))
        checked = text_of(client.post(f"{path}check/", sent | {"n-value": "50"}))
        assert "These rules do not exclude each other" in checked
        assert "registered organisations meet them today" in checked
        assert selectors.draft(actor=world.officer, slug="api-2026").rules.content[2]["rule"] == large  # type: ignore[union-attr]

    def test_how_many_meet_the_rules_is_fetched_after_the_page(self, world: World) -> None:
        world.filled()
        client = browser(world.officer)
        page = client.get("/calls/api-2026/build/rules/").content.decode()
        assert 'hx-get="/calls/api-2026/build/matching/"' in page
        assert "registered organisations meet them today" not in page
        fetched = client.get(
            "/calls/api-2026/build/matching/", headers={"hx-request": "true"}
        ).content.decode()
        assert "registered organisations meet them today" in fetched
        assert "<html" not in fetched
        assert "registered organisations meet them today" in text_of(
            client.get("/calls/api-2026/build/matching/")
        )
        assert browser(world.applicant).get("/calls/api-2026/build/matching/").status_code == 403

    def test_a_tree_of_conditions_is_grown_without_script(self, world: World) -> None:
        world.filled()
        client = browser(world.officer)
        path = "/calls/api-2026/build/rules/young/"
        page = client.get(path).content.decode()
        for press in ("any:n", "condition:n", "group:n", "drop:n-1"):
            page = client.post(path, form_of(page) | {"do": press}).content.decode()
        assert client.post(path, form_of(page) | {"do": "save"}).status_code == 302
        rule = selectors.draft(actor=world.officer, slug="api-2026").rules.content[0]["rule"]  # type: ignore[union-attr]
        kind = {"attribute": "organisation.kind", "comparison": "in", "value": ["sme", "startup"]}
        assert rule == {"any": [RULES[0]["rule"], kind, {"any": [kind]}]} or rule == {
            "any": [RULES[0]["rule"], kind, kind]
        }

    def test_a_condition_is_chosen_from_the_other_questions_options(self, world: World) -> None:
        world.filled()
        content = deepcopy(FORM)
        labels = {"idea": ("아이디어", "Idea"), "product": ("제품", "Product"), "sold": ("판매", "Sold")}
        stage = {
            "key": "stage",
            "kind": "choice",
            "label": {"ko": "단계", "en": "Stage"},
            "options": [{"key": key, "label": {"ko": ko, "en": en}} for key, (ko, en) in labels.items()],
        }
        content["sections"][0]["fields"].append(stage)
        services.save_form(actor=world.officer, call_slug="api-2026", content=content)
        client = browser(world.officer)
        path = "/calls/api-2026/build/form/fields/title/"

        def saved() -> Any:
            draft = selectors.draft(actor=world.officer, slug="api-2026")
            assert draft.form is not None
            return draft.form.content["sections"][0]["fields"][0].get("when")

        page = client.get(path).content.decode()
        assert '<option value="stage=product">Product</option>' in page
        asked = {"when-0-field": ["stage"], "when-0-comparison": ["is"]}
        chosen = asked | {"when-0-answer": ["stage=product"]}
        assert client.post(path, form_of(page) | chosen).status_code == 302
        assert saved() == [{"field": "stage", "comparison": "is", "value": "product"}]
        page = client.get(path).content.decode()
        assert '<option value="stage=product" selected>Product</option>' in page
        # Two answers with “is” can only mean one of them.
        two = chosen | {"when-0-answer": ["stage=product", "stage=sold", ""]}
        assert client.post(path, form_of(page) | two).status_code == 302
        assert saved() == [{"field": "stage", "comparison": "in", "value": ["product", "sold"]}]
        # An option that is taken away is named, with the question that waits for it, and nothing is lost.
        path = "/calls/api-2026/build/form/fields/stage/"
        sent = form_of(client.get(path).content.decode()) | {
            "options-2-label_ko": "",
            "options-2-label_en": "",
        }
        refused = client.post(path, sent)
        assert refused.status_code == 422
        told = "“Title” waits for “sold” as the answer to “Stage”, which does not offer it. Its options: Idea, Product."
        assert told in text_of(refused)
        path = "/calls/api-2026/build/form/"
        sent = form_of(client.get(path).content.decode()) | {"do": "remove:stage"}
        told = "“Title” waits for the answer to “stage”, and there is no such field. Keep that field"
        assert told in text_of(client.post(path, sent))

    def test_what_stops_a_publication_leads_to_where_it_is_put_right(self, world: World) -> None:
        world.filled()
        made = world.round(budget_micro_won=0)
        page = browser(world.officer).get(f"/calls/api-2026/build/rounds/{made.id}/publish/").content.decode()
        assert f'href="/calls/api-2026/build/rounds/{made.id}/">Put right<' in page

    def test_a_copy_and_a_template_propose_a_short_name(self, world: World) -> None:
        world.filled()
        client = browser(world.officer)
        assert 'value="api-2027"' in client.get("/calls/api-2026/build/copy/").content.decode()
        year = clock.now().astimezone(clock.SEOUL).year + 1
        assert f'value="api-support-{year}"' in client.get("/calls/new/api_support/").content.decode()
        refused = text_of(client.post("/calls/new/api_support/", {"slug": "한글", "programme": "hyperscale"}))
        assert "“한글” cannot be a short name." in refused
        assert "This field is required." in refused

    def test_versions_are_shown_side_by_side(self, world: World) -> None:
        world.published()
        services.save_rules(actor=world.officer, call_slug="api-2026", content=RULES[:1])
        client = browser(world.officer)
        page = text_of(client.get("/calls/api-2026/build/versions/?part=rules"))
        assert "Version 1 → Version 2" in page
        assert "Small or medium removed" in page
        for query in ("", "?part=steps", "?part=nonsense&old=x&new=y", "?part=rules&old=99"):
            assert client.get(f"/calls/api-2026/build/versions/{query}").status_code == 200
        assert browser(world.stranger).get("/calls/api-2026/build/versions/").status_code == 404

    def test_the_least_days_of_a_step_and_their_law_are_kept_and_shown(self, world: World) -> None:
        world.published()
        client = browser(world.officer)
        path = "/calls/api-2026/build/steps/"
        sent = form_of(client.get(path).content.decode())
        wrong = client.post(path, sent | {"s-apply-least_days": "soon", "do": "save"})
        assert "Days at least: Expected a whole number here." in text_of(wrong)
        law = {"s-apply-least_days": "40", "s-apply-law": " Civil  Act, art. 157 ", "do": "save"}
        assert client.post(path, sent | law).status_code == 302
        first = selectors.draft(actor=world.officer, slug="api-2026").steps["steps"][0]
        assert (first["least_days"], first["law"]) == (40, "Civil Act, art. 157")
        made = world.round(budget_micro_won=won(20_000_000))
        assert world.problems(made.id) == ["shorter_than_law"]
        shown = text_of(client.get(f"/calls/api-2026/?round={made.number}"))
        assert "at least 40 days (Civil Act, art. 157)" in shown

    def test_what_cannot_be_saved_stays_as_it_was_typed(self, world: World) -> None:
        world.filled()
        client = browser(world.officer)
        path = "/calls/api-2026/build/steps/"
        response = client.post(
            path, form_of(client.get(path).content.decode()) | {"s-decide-days": "two weeks", "do": "save"}
        )
        assert response.status_code == 422
        assert 'value="two weeks"' in response.content.decode()
        path = "/calls/api-2026/build/form/fields/title/"
        response = client.post(path, form_of(client.get(path).content.decode()) | {"most_length": "many"})
        assert response.status_code == 422
        assert 'value="many"' in response.content.decode()
        assert selectors.draft(actor=world.officer, slug="api-2026").steps == STEPS

    def test_two_officers_do_not_overwrite_each_other(self, world: World) -> None:
        world.filled()
        client = browser(world.officer)
        path = "/calls/api-2026/build/form/fields/title/"
        sent = form_of(client.get(path).content.decode())
        services.save_form(
            actor=world.officer,
            call_slug="api-2026",
            content={"sections": [*FORM["sections"], {"key": "new", "title": "New", "fields": []}]},
        )
        response = client.post(path, sent | {"label_en": "Mine"})
        assert response.status_code == 422
        assert "Somebody else has saved this meanwhile" in text_of(response)
        assert 'value="Mine"' in response.content.decode()

    def test_steps_and_fields_are_moved_and_removed(self, world: World) -> None:
        world.filled()
        client = browser(world.officer)
        path = "/calls/api-2026/build/steps/"
        for press in ("down:award", "up:decide", "remove:end"):
            assert (
                client.post(path, form_of(client.get(path).content.decode()) | {"do": press}).status_code
                == 302
            )
        found = selectors.draft(actor=world.officer, slug="api-2026").steps
        assert [one["key"] for one in found["steps"]] == ["decide", "apply", "award"]
        assert found["start"] == "decide"
        assert [edge for one in found["steps"] for edge in one["edges"] if edge["to"] == "end"] == []
        path = "/calls/api-2026/build/form/"
        assert (
            client.post(path, form_of(client.get(path).content.decode()) | {"do": "up:sum"}).status_code
            == 302
        )
        assert (
            client.post(path, form_of(client.get(path).content.decode()) | {"do": "remove:title"}).status_code
            == 302
        )
        form = selectors.draft(actor=world.officer, slug="api-2026").form
        assert form is not None
        assert [one["key"] for one in form.content["sections"][0]["fields"]] == ["sum"]

    def test_extending_cancelling_and_closing_want_a_reason(self, world: World) -> None:
        one = world.published()
        client = browser(world.officer)
        base = f"/calls/api-2026/build/rounds/{one.id}/"
        assert one.closes_at is not None
        later = f"{(one.closes_at + timedelta(days=1)).astimezone(clock.SEOUL):%Y-%m-%dT%H:%M:%S}"
        assert client.post(f"{base}extend/", {"closes_at": later, "reason": ""}).status_code == 422
        assert client.post(f"{base}extend/", {"closes_at": "soon", "reason": "x"}).status_code == 422
        assert (
            client.post(
                f"{base}extend/", {"closes_at": later, "reason": "A failure on the last day"}
            ).status_code
            == 302
        )
        assert "A failure on the last day" in text_of(browser(None).get("/calls/api-2026/"))
        assert client.post(f"{base}close/", {"reason": "x"}).status_code == 422
        assert client.post("/calls/api-2026/build/cancel/", {"reason": " "}).status_code == 422
        assert client.post("/calls/api-2026/build/cancel/", {"reason": "No money"}).status_code == 302
        assert "No money" in text_of(browser(None).get("/calls/api-2026/"))

    def test_only_its_own_agencys_officers_build_a_call(self, world: World) -> None:
        one = world.published()
        for actor, status in ((world.applicant, 403), (world.stranger, 404)):
            client = browser(actor)
            for name in BUILD_PAGES:
                assert client.get(reverse(f"calls:{name}", args=["api-2026"])).status_code == status
                assert client.post(reverse(f"calls:{name}", args=["api-2026"])).status_code == status
            assert client.post(f"/calls/api-2026/build/rounds/{one.id}/extend/").status_code == status

    def test_a_round_of_another_call_is_not_there(self, world: World) -> None:
        world.filled()
        other = world.published("other")
        assert browser(world.officer).get(f"/calls/api-2026/build/rounds/{other.id}/").status_code == 404

    def test_a_copy_moves_its_years(self, world: World) -> None:
        world.published()
        client = browser(world.officer)
        sent = form_of(client.get("/calls/api-2026/build/copy/").content.decode()) | {"slug": "api-2027"}
        assert client.post("/calls/api-2026/build/copy/", sent).status_code == 302
        assert selectors.call(actor=world.officer, slug="api-2027").name_en == "API Support 2027"
        assert "nobody has looked through" in text_of(client.get("/calls/api-2027/build/"))

    def test_a_call_cannot_be_named_like_a_page(self, world: World) -> None:
        client = browser(world.officer)
        sent = {"name_ko": "공고", "programme": "hyperscale", "kind": "pilot"}
        for name in ("new", "questions", "files", "Not A Name"):
            assert client.post("/calls/new/empty/", {**sent, "slug": name}).status_code == 422

    def test_money_is_whole_won(self, world: World) -> None:
        world.filled()
        one = world.round()
        client = browser(world.officer)
        path = f"/calls/api-2026/build/rounds/{one.id}/"
        sent = form_of(client.get(path).content.decode())
        assert client.post(path, sent | {"budget_micro_won": "1.5"}).status_code == 422
        assert client.post(path, sent | {"budget_micro_won": "12,345,678"}).status_code == 302
        assert selectors.round_for(actor=world.officer, round_id=one.id).budget_micro_won == won(12_345_678)
