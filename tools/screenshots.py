"""Pictures of every page, in both languages and both widths, as each role, to be looked at.

    python tools/screenshots.py http://127.0.0.1:8000 seed.json OUT [--only award] [--language ko] [--width 390]

`seed.json` is what `python -m browser.seed` printed (tests/browser/seed.py).
"""

import argparse
import json
import re
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from browser.sites import pages

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
    " --disable-sync --no-first-run"
).split()


def sign_in(page: Page, base: str, seed: dict, role: str) -> None:
    page.goto(f"{base}/account/login/")
    page.fill("input[name=login]", seed["people"][role])
    page.fill("input[name=password]", seed["password"])
    page.click("main form button[type=submit] >> nth=0")
    page.wait_for_url(lambda url: "/login" not in url)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base")
    parser.add_argument("seed", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", help="a regular expression over page names")
    parser.add_argument("--language", default="ko,en")
    parser.add_argument("--width", default="1440,390")
    parser.add_argument("--contrast", action="store_true", help="in high contrast")
    options = parser.parse_args()
    seed = json.loads(options.seed.read_text())
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        wanted = [page for page in pages(seed) if re.search(options.only, page[0])]
        for role in dict.fromkeys(role for _name, role, _path in wanted):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            if role:
                sign_in(page, options.base, seed, role)
            for language in options.language.split(","):
                display = "high-contrast" if options.contrast else "standard"
                context.add_cookies(
                    [
                        {"name": "dure_language", "value": language, "url": options.base},
                        {"name": "dure_display", "value": display, "url": options.base},
                    ]
                )
                for width in map(int, options.width.split(",")):
                    page.set_viewport_size({"width": width, "height": 900 if width > 600 else 844})
                    for name, who, path in wanted:
                        if who != role:
                            continue
                        page.goto(options.base + path)
                        page.evaluate("document.fonts.ready")
                        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                        page.screenshot(path=options.out / f"{name}-{language}-{width}.png", full_page=True)
                        print(
                            f"{name} {language} {width}"
                            + (f"  wider than the screen by {overflow}" if overflow > 0 else "")
                        )
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
