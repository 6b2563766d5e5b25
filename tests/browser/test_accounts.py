"""People and their accounts in a real browser: registering by a mailed link, and a passkey in place of a password."""

import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from browser.conftest import Portal, Visitors

pytestmark = pytest.mark.xdist_group("browser")


def latest_mail(portal: Portal, to: str) -> str:
    program = (
        "import sys, django; django.setup()\n"
        "from dure.control.foundation.models import OutboxMail\n"
        "print(OutboxMail.objects.filter(to=sys.argv[1]).order_by('-id')[0].body)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, to],
        env=portal.environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_somebody_registers_and_is_at_home(visit: Visitors, portal: Portal):
    page = visit.page(language="en")
    page.goto("/account/login/")
    page.get_by_role("link", name="Register").click()
    page.get_by_label("Name").fill("Kim Saeromi")
    page.get_by_label("E-mail address").fill("saeromi@example.kr")
    page.get_by_label("Password").fill("short")
    page.get_by_text("I have read the privacy notice and agree to it.").click()
    page.get_by_role("button", name="Register").click()
    expect(page.locator("#error-summary")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Kim Saeromi")
    expect(page.get_by_label("I have read the privacy notice and agree to it.")).to_be_checked()
    page.get_by_label("Password").fill("twelve-turtles-go")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    link = re.search(r"http\S+/account/confirm-email/\S+", latest_mail(portal, "saeromi@example.kr"))
    assert link is not None
    page.goto(link[0])
    page.get_by_label("Password").fill("twelve-turtles-go")
    page.get_by_role("button", name="Confirm and sign in").click()
    page.wait_for_url("**/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome, Kim Saeromi")


def test_a_passkey_is_added_and_signs_in(visit: Visitors, portal: Portal):
    """Passkeys belong to a host name, so this one is at localhost; the authenticator is Chromium's own virtual one."""
    base = portal.url.replace("127.0.0.1", "localhost")
    page = visit.page(language="en")
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    page.goto(f"{base}/account/login/?next=/account/security/")
    page.fill("input[name=login]", portal.seed["people"]["traveller"])
    page.fill("input[name=password]", portal.seed["password"])
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/account/security/")
    page.goto(f"{base}/account/passkeys/add/")
    page.locator("[data-passkey]").click()
    page.wait_for_url("**/account/recovery-codes/")
    page.goto(f"{base}/account/security/")
    page.locator("details.menu-drop summary").click()
    page.locator("details.menu-drop").get_by_role("button").last.click()
    page.wait_for_url(f"{base}/")
    page.goto(f"{base}/account/login/")
    page.locator("[data-passkey]").click()
    page.wait_for_url(f"{base}/")
    page.goto(f"{base}/account/security/")
    expect(page.locator("main")).to_contain_text(portal.seed["people"]["traveller"])


def test_without_a_device_a_passkey_fails_in_words(visit: Visitors):
    page = visit.page(language="en")
    page.goto("/account/login/")
    page.locator("[data-passkey]").click()
    expect(page.locator("[data-passkey-failed]")).to_be_visible()
