"""The README's picture of the page, taken from the real thing: ``python -m tests.e2e.picture [docs/page.png]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tests.e2e.chromium import install
from tests.e2e.served import ASTRONAUT, ROOT, launch, running_bot, write_film


def take(path: Path) -> None:
    """Go live before a camera that films the astronaut, and save what a visitor sees in at most 200 KB."""
    chromium = install()
    if chromium is None:
        sys.exit("No Chromium can be had here.")
    with tempfile.TemporaryDirectory() as folder, running_bot() as address, sync_playwright() as playwright:
        video = Path(folder) / "astronaut.y4m"
        frame = Image.open(ASTRONAUT).crop((0, 0, 512, 384)).resize((1280, 960), Image.Resampling.LANCZOS)
        write_film(video, [frame, frame], rate=20)
        flags = ("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={video}")
        with launch(playwright, chromium, *flags) as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
            page.goto(address)
            page.get_by_role("button", name="Go live").click()
            expect(page.locator("#strip img")).to_have_count(1, timeout=60_000)
            page.wait_for_timeout(2000)  # the emoji arrives
            page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(path, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "page.png")
