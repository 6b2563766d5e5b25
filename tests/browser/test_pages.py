"""Every page, in both languages and at both widths: nothing for axe to find, nothing wider than the screen,
nothing the browser refuses, and no more to fetch than the budget."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from browser.conftest import REPOSITORY, Portal, Visitors
from browser.sites import NAMES, pages

pytestmark = pytest.mark.xdist_group("browser")

AXE = Path(REPOSITORY / "node_modules" / "axe-core" / "axe.min.js")
BUDGET_BYTES = 150 * 1024
_RUN_AXE = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    (found) => `${found.id}: ${found.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(" | ")}`)"""


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("name", NAMES)
def test_page_is_accessible_and_fits(name: str, language: str, visit: Visitors, portal: Portal):
    role, path = next((role, path) for known, role, path in pages(portal.seed) if known == name)
    page = visit.page(role, language=language, bypass_csp=True)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path)
    sound(page)
    assert page.locator("html").get_attribute("lang") == language
    assert complaints == []


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("deed", ["|accept|", "|reject|", ""])
def test_what_is_asked_once_more_of_many_is_accessible_and_fits(
    deed: str, language: str, visit: Visitors, portal: Portal
):
    page = visit.page("officer", language=language, bypass_csp=True)
    page.goto(f"/desk/{portal.seed['judged_round']}/?view=list")
    for box in page.locator("input[name=ids]").all():
        box.check()
    if deed:
        chosen = page.locator(f"select[name=deed] option[value*='{deed}']").first
        page.locator("select[name=deed]").first.select_option(chosen.get_attribute("value"))
    page.locator("form:has(select[name=deed]) button[type=submit]").first.click()
    page.wait_for_url("**/bulk/")
    sound(page)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_decision_asked_about_once_more_is_accessible_and_fits(
    language: str, visit: Visitors, portal: Portal
):
    page = visit.page("officer", language=language, bypass_csp=True)
    page.goto(f"/desk/applications/{portal.seed['deciding']}/")
    page.locator("form[action*=decision] textarea").first.fill("예산 안에서 필요하다.")
    page.locator("form[action*=decision] button[type=submit]").first.click()
    page.wait_for_url("**/decision/")
    sound(page)


def sound(page: Page) -> None:
    page.add_script_tag(path=AXE)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider == 0, f"wider than a screen of {width} by {wider}"
        assert page.evaluate(_RUN_AXE) == []


@pytest.mark.parametrize("name", ["home-public", "award", "earnings", "book", "sign-in"])
def test_first_visit_is_light_and_nothing_is_refused(name: str, visit: Visitors, portal: Portal):
    role, path = next((role, path) for known, role, path in pages(portal.seed) if known == name)
    page = visit.page(role)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    answers = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(path, wait_until="networkidle" if name == "sign-in" else "load")
    weighed = [answer for answer in answers if answer.request.resource_type in {"stylesheet", "script"}]
    assert {answer.url.startswith(portal.url) for answer in answers} == {True}, (
        "something comes from elsewhere"
    )
    assert sum(answer.request.sizes()["responseBodySize"] for answer in weighed) <= BUDGET_BYTES
    assert refused == []


@pytest.mark.parametrize("name", ["home-public", "award", "book", "operations"])
def test_high_contrast_is_accessible(name: str, visit: Visitors, portal: Portal):
    role, path = next((role, path) for known, role, path in pages(portal.seed) if known == name)
    page = visit.page(role, bypass_csp=True)
    page.context.add_cookies([{"name": "dure_display", "value": "high-contrast", "url": portal.url}])
    page.goto(path)
    page.add_script_tag(path=AXE)
    assert page.locator("html").get_attribute("data-krds-mode") == "high-contrast"
    assert page.evaluate(_RUN_AXE) == []
