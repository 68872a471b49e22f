"""The README's picture of the page, taken from the real thing: ``python -m tests.e2e.picture [docs/page.png]``."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tests.e2e.chromium import install
from tests.e2e.served import ASTRONAUT, ROOT, launch, running_bot


def take(path: Path) -> None:
    """Upload the astronaut, wait for the answer, save what a visitor sees in at most 200 KB."""
    chromium = install()
    if chromium is None:
        sys.exit("No Chromium can be had here.")
    with running_bot() as address, sync_playwright() as playwright, launch(playwright, chromium) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(address)
        page.set_input_files("#file", ASTRONAUT)
        expect(page.locator(".face")).to_have_count(1)
        page.wait_for_timeout(500)  # the bars grow
        page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(path, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "page.png")
