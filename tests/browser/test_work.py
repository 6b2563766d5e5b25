"""People at work: by keyboard, with a key to issue and revoke, with calls arriving, and without script."""

import time

import pytest
from playwright.sync_api import expect

from browser.conftest import Portal, Visitors

pytestmark = pytest.mark.xdist_group("browser")


def test_first_stop_of_the_keyboard_is_the_content(visit: Visitors):
    page = visit.page("startup", language="en")
    page.goto("/")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_person_menu_opens_and_closes_by_keyboard_and_focus_returns(visit: Visitors):
    page = visit.page("startup", language="en")
    page.goto("/")
    summary = page.locator("details.menu-drop summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out").first).not_to_be_visible()
    expect(summary).to_be_focused()


def test_every_stop_of_the_keyboard_shows_where_it_is(visit: Visitors, portal: Portal):
    page = visit.page("startup")
    page.goto(portal.award())
    unseen = []
    for _stop in range(25):
        page.keyboard.press("Tab")
        style = page.evaluate(
            "(({outlineStyle, boxShadow}) => [outlineStyle, boxShadow])(getComputedStyle(document.activeElement))"
        )
        if style[0] == "none" and style[1] == "none":
            unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    assert unseen == []


def test_language_is_chosen_once_and_kept(visit: Visitors):
    page = visit.page(language="ko")
    page.goto("/models/")
    page.get_by_role("button", name="English").first.click()
    page.wait_for_url("**/models/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")
    page.goto("/ledger/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ledger")


def test_key_is_issued_shown_once_copied_and_revoked(visit: Visitors, portal: Portal):
    page = visit.page("startup", language="en", permissions=["clipboard-read", "clipboard-write"])
    page.goto(portal.award())
    page.get_by_role("link", name="Issue a key").first.click()
    page.get_by_role("button", name="Issue the key").click()
    expect(page.get_by_role("alert")).to_contain_text("Give the key a name.")
    page.get_by_label("Name").fill("night batch")
    page.get_by_role("button", name="Issue the key").click()
    secret = page.locator("#secret").inner_text()
    assert secret.startswith("dure-")
    page.get_by_role("button", name="Copy the key").click()
    expect(page.locator(".toast")).to_have_text("Key copied.")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert secret in page.locator("#snippet-curl").inner_text()

    page.get_by_role("link", name="I have kept it").click()
    row = page.locator("#keys tr", has_text="night batch")
    expect(row).to_contain_text("active")
    assert secret not in page.content()
    row.get_by_role("link", name="Revoke").click()
    dialog = page.get_by_role("dialog", name="Revoke the key “night batch”?")
    expect(dialog).to_contain_text("It was never used.")
    dialog.get_by_role("button", name="Keep it").click()
    expect(row).to_contain_text("active")
    row.get_by_role("link", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("status").filter(has_text="is revoked")).to_be_visible()
    expect(page.locator("#keys tr", has_text="night batch")).to_contain_text("revoked")


def test_newcomer_has_a_key_and_a_working_text_after_one_press(visit: Visitors):
    page = visit.page("newcomer", language="en")
    page.goto("/")
    page.get_by_role("button", name="Issue a key now").click()
    secret = page.locator("#secret").inner_text()
    assert f'api_key="{secret}"' in page.locator("#snippet-python").inner_text()
    assert "smollm2-135m-instruct" in page.locator("#snippet-curl").inner_text()


def test_replacing_a_key_keeps_the_old_one_for_a_while(visit: Visitors, portal: Portal):
    page = visit.page("startup", language="en")
    page.goto(f"{portal.award()}keys/{portal.seed['key']}/replace/")
    page.get_by_label("The old key works for another").select_option("1")
    page.get_by_role("button", name="Replace it").click()
    assert page.locator("#secret").inner_text().startswith("dure-")
    expect(page.locator("main")).to_contain_text("keeps working")


def test_new_call_appears_within_two_seconds(visit: Visitors, portal: Portal):
    page = visit.page("startup", language="en")
    page.goto(portal.award())
    newest = page.locator("#call-list tbody tr").first
    before = newest.inner_text()
    left = page.locator("#funds .figure-main").inner_text()
    portal.post_call()
    posted = time.monotonic()
    expect(newest).not_to_have_text(before, timeout=2_000)
    assert time.monotonic() - posted < 2
    expect(page.locator("#funds .figure-main")).not_to_have_text(left, timeout=3_000)


def test_hidden_page_asks_nothing(visit: Visitors, portal: Portal):
    page = visit.page("startup")
    page.goto(portal.award())
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    page.wait_for_timeout(300)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2_500)
    assert asked == []


def test_pages_read_without_script(visit: Visitors, portal: Portal):
    page = visit.page("startup", language="en", java_script_enabled=False)
    page.goto(portal.award())
    expect(page.locator("#funds")).to_contain_text("granted")
    expect(page.locator(".chart .series").first).to_be_visible()
    assert page.locator("#call-list tbody tr").count() == 20
    page.locator("#keys").get_by_role("link", name="Revoke").first.click()
    expect(page.get_by_role("button", name="Revoke it")).to_be_visible()


def test_viewer_sees_calls_and_no_buttons(visit: Visitors, portal: Portal):
    page = visit.page("onlooker", language="en")
    page.goto(portal.award())
    expect(page.locator("#call-list tbody tr").first).to_be_visible()
    assert page.get_by_role("link", name="Issue a key").count() == 0
    assert page.get_by_role("link", name="Revoke").count() == 0


def test_stranger_finds_nothing(visit: Visitors, portal: Portal):
    page = visit.page("newcomer", language="en")
    assert page.goto(portal.award()).status == 404
    assert page.goto(f"{portal.award()}live/calls/").status == 404
    assert page.goto(f"{portal.award()}calls.csv").status == 404


def test_provider_never_reads_a_customer(visit: Visitors):
    page = visit.page("provider")
    for path in ("/", "/earnings/"):
        page.goto(path)
        text = page.locator("body").inner_text()
        assert "새벽소프트" not in text
        assert "고객 상담" not in text
    export = page.context.request.get("/earnings.csv").text()
    assert "cost_micro_won" in export
    assert "새벽소프트" not in export
