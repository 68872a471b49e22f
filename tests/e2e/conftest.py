"""The real bot with its real model, and real Chromiums looking at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.e2e.chromium import find
from tests.e2e.served import launch, running_bot, write_video
from tests.unavailable import skip_or_fail


@pytest.fixture(scope="module")
def chromium() -> str:
    path = find()
    if path is None:
        skip_or_fail("no Chromium here: run `python -m tests.e2e.chromium`, or name one in FACE2EMOJI_CHROMIUM")
    return path


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_bot() as url:
        yield url


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("camera") / "astronaut.y4m"


@pytest.fixture(scope="module")
def face_in_video(video: Path) -> tuple[float, float]:
    """Centre of the face, as shares of the picture."""
    return write_video(video)


@pytest.fixture(scope="module")
def browser(
    playwright: Playwright, chromium: str, video: Path, face_in_video: tuple[float, float]
) -> Iterator[Browser]:
    """A browser whose camera films the astronaut, and whose user allows it."""
    flags = ("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={video}")
    with launch(playwright, chromium, *flags) as browser:
        yield browser


class Complaints(list[str]):
    """What the page wrote to its console as errors; `expected` holds beginnings of those that a test provokes."""

    expected: tuple[str, ...] = ()

    def unexpected(self) -> list[str]:
        return [text for text in self if not text.startswith(self.expected or "\0")]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def page(browser: Browser, address: str, complaints: Complaints, tmp_path: Path) -> Iterator[Page]:
    """The open page; no test may leave an error in its console. A screenshot of its end lies in tmp_path."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        yield page
        page.screenshot(path=tmp_path / "page.png")
    assert not complaints.unexpected()
