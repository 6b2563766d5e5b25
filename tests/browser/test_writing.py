"""Two people write one application at the same time, in two browsers; the network goes and comes back."""

import re

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import Portal, Visitors

pytestmark = pytest.mark.xdist_group("browser")

PAUSE = 12_000


@pytest.fixture
def draft(portal: Portal) -> str:
    return f"/applications/{portal.seed['draft']}/write/?section=service"


def both(visit: Visitors, draft: str) -> tuple[Page, Page]:
    pages = visit.page("startup", language="en"), visit.page("colleague", language="en")
    for page in pages:
        page.goto(draft)
    return pages


def saved(page: Page) -> None:
    expect(page.locator("[data-save-state]")).to_have_text(
        re.compile(r"^Saved at \d\d:\d\d:\d\d$"), timeout=PAUSE
    )


def test_both_write_the_same_text_and_no_word_is_lost(visit: Visitors, draft: str) -> None:
    mine, theirs = both(visit, draft)
    text = mine.locator("#f-plan")
    before = text.input_value()
    text.press("Control+Home")
    text.press_sequentially("From the first writer.\n\n")
    other = theirs.locator("#f-plan")
    other.press("Control+End")
    other.press_sequentially("\n\nFrom the second writer.")
    # While neither has left the field, each sees the other's words beside their own.
    whole = f"From the first writer.\n\n{before}\n\nFrom the second writer."
    for page in (mine, theirs):
        expect(page.locator("#f-plan")).to_have_value(whole, timeout=PAUSE)
    text.press_sequentially("And on. ")
    expect(other).to_have_value(re.compile("And on\\."), timeout=PAUSE)
    theirs.reload()
    assert theirs.locator("#f-plan").input_value() == text.input_value()


def test_different_fields_come_in_and_say_whose_they_are(visit: Visitors, draft: str) -> None:
    mine, theirs = both(visit, draft)
    mine.fill("#f-service_url", "https://one.example")
    theirs.fill("#f-service_name", "Two names")
    for page in (mine, theirs):
        expect(page.locator("#f-service_url")).to_have_value("https://one.example", timeout=PAUSE)
        expect(page.locator("#f-service_name")).to_have_value("Two names", timeout=PAUSE)
    expect(mine.locator("[data-slot=service_name] [data-slot-state]")).to_have_text(
        re.compile("배동료 changed this at")
    )


def test_of_two_choices_the_second_writer_chooses(visit: Visitors, draft: str) -> None:
    mine, theirs = both(visit, draft)
    theirs.route("**/pulse/", lambda route: route.abort())
    mine.check("input[name=f-service_state][value=prototype]", force=True)
    saved(mine)
    theirs.check("input[name=f-service_state][value=idea]", force=True)
    note = theirs.locator("[data-slot=service_state] [data-theirs]")
    expect(note).to_contain_text("A prototype", timeout=PAUSE)
    note.get_by_role("button", name="Keep what I wrote").click()
    saved(theirs)
    expect(mine.locator("input[name=f-service_state][value=idea]")).to_be_checked(timeout=PAUSE)
    # What depends on it goes from both pages.
    expect(mine.locator("#f-service_url-line")).to_be_hidden()


def test_without_connection_the_text_stays_and_is_sent_when_it_is_back(visit: Visitors, draft: str) -> None:
    page = visit.page("startup", language="en")
    page.goto(draft)
    page.context.set_offline(True)
    page.locator("#f-plan").press("Control+End")
    page.locator("#f-plan").press_sequentially(" Written on a train.")
    expect(page.locator("[data-save-state]")).to_contain_text("no connection", timeout=PAUSE)
    page.context.set_offline(False)
    saved(page)
    page.reload()
    expect(page.locator("#f-plan")).to_have_value(re.compile("Written on a train\\.$"))


def test_a_row_more_and_the_sum_follows(visit: Visitors, portal: Portal) -> None:
    page = visit.page("startup", language="en")
    page.goto(f"/applications/{portal.seed['draft']}/write/?section=money")
    page.get_by_role("button", name="Add a row").click()
    row = page.locator("table.rows tbody tr").last
    row.locator("select").select_option("api_usage")
    row.locator("[name$='-won']").fill("1,000,000")
    expect(page.locator(".budget-total strong")).to_contain_text("10,600,000")
    page.locator("h1").click()
    saved(page)
    expect(page.locator("[data-total]")).to_contain_text("10,600,000")
    page.locator("tbody tr").last.get_by_role("button").click()
    expect(page.locator("[data-total]")).to_contain_text("9,600,000", timeout=PAUSE)


def test_a_file_goes_up_and_a_refusal_is_read_beside_its_field(visit: Visitors, portal: Portal) -> None:
    page = visit.page("startup", language="en")
    page.goto(f"/applications/{portal.seed['draft']}/write/?section=money")
    page.set_input_files(
        "input[type=file]", {"name": "bad.pdf", "mimeType": "application/pdf", "buffer": b"no pdf at all"}
    )
    expect(page.locator("[data-slot=quote] .problem")).to_contain_text("bad.pdf", timeout=PAUSE)
    expect(page.locator("[data-slot=quote] .files li")).to_have_count(1)


@pytest.mark.parametrize("width", [1440, 390])
def test_what_has_the_focus_is_not_under_the_bar(visit: Visitors, draft: str, width: int) -> None:
    """WCAG 2.2, 2.4.11: somebody who goes through the questions with the keyboard sees where they are."""
    page = visit.page("startup", language="en", width=width)
    page.set_viewport_size({"width": width, "height": 600})
    page.goto(draft)
    page.locator("#f-service_name").focus()
    below = """() => {
        const [on, bar] = [document.activeElement, document.querySelector(".save-bar")];
        if (bar.contains(on)) return null;
        return (on.labels?.[0] ?? on).getBoundingClientRect().top - bar.getBoundingClientRect().top; }"""
    seen = 0
    while (distance := page.evaluate(below)) is not None:
        assert distance < 0, page.evaluate("document.activeElement.outerHTML")
        seen += 1
        page.keyboard.press("Tab")
    assert seen >= 5
