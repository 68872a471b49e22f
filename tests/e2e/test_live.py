"""Live in a real Chromium, whose camera films the astronaut."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, WebSocket, WebSocketRoute, expect

from tests.e2e.conftest import Complaints
from tests.e2e.looks import assert_accessible, assert_boxed, assert_smiling, place, yellow
from tests.e2e.served import ASTRONAUT, launch, running_bot, write_film

RUNNING = """() => {
    const camera = document.getElementById("video").srcObject;
    return camera !== null && camera.getTracks().some(track => track.readyState === "live");
}"""

CAMERAS = "--use-fake-device-for-media-stream=device-count"


class Wire:
    """What goes over the page's WebSockets: `log` has an s for each frame sent, an a for each answer."""

    def __init__(self, page: Page) -> None:
        self.connections = 0
        self.log = ""
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        self.connections += 1
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._answered)

    def _sent(self, frame: bytes | str) -> None:
        assert frame[:2] == b"\xff\xd8"  # a JPEG
        assert len(frame) < 200_000
        self.log += "s"

    def _answered(self, answer: bytes | str) -> None:
        self.log += "a"


def go_live(page: Page) -> None:
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#video")).to_be_visible()
    assert_smiling(page)


def hide(page: Page, hidden: bool) -> None:
    """As if another tab were looked at: a headless browser has no tabs that hide each other."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_live_from_start_to_stop(page: Page, face_in_video: tuple[float, float], tmp_path: Path) -> None:
    wire = Wire(page)
    go_live(page)
    # The video is mirrored, as people know themselves, and box and emoji with it.
    assert_boxed(page, "#video", (1 - face_in_video[0], face_in_video[1]), 0.5)
    x, y, _ = place(page.locator(".rider"), page.locator("#video"))
    assert abs(x - (1 - face_in_video[0])) < 0.08
    assert y < face_in_video[1] - 0.08  # it rides on the head
    expect(page.locator("#strip img")).to_have_count(1)
    expect(page.locator("#announcer")).to_contain_text("happy")
    assert_accessible(page)
    while wire.log.count("a") < 10:
        page.wait_for_timeout(100)
    assert "ss" not in wire.log  # one at a time

    # Two snapshots: the emoji on the head, and over the face.
    page.get_by_role("button", name="Snapshot", exact=True).click()
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_role("button", name="Cover faces").click()
    expect(page.locator(".covering .rider")).to_be_visible()
    page.get_by_role("button", name="Snapshot", exact=True).click()
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator("#announcer")).to_have_text("Snapshot 2 kept below.")
    centre = round(1280 * face_in_video[0]), round(960 * face_in_video[1])
    for number, covered in ((1, False), (2, True)):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Download Snapshot {number}").click()
        saved.value.save_as(tmp_path / "snapshot.jpg")
        snapshot = Image.open(tmp_path / "snapshot.jpg").convert("RGB")
        assert snapshot.size == (1280, 960)
        assert yellow(snapshot.getpixel((centre[0], centre[1] - 60))) == covered
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.get_by_role("button", name="Snapshot", exact=True)).to_be_focused()
    expect(page.locator(".covering .rider")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(1)
    assert wire.connections == 1  # all that without leaving live

    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#notice")).to_have_text("Paused")
    page.wait_for_timeout(500)
    before = wire.log
    page.wait_for_timeout(500)
    assert wire.log == before
    expect(page.locator(".rider")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#notice")).to_be_hidden()

    hide(page, True)
    assert not page.evaluate(RUNNING)
    hide(page, False)
    page.wait_for_function(RUNNING)
    expect(page.locator("#notice")).to_be_hidden()
    assert_smiling(page)

    page.get_by_role("button", name="Stop live").click()
    expect(page.locator("#invitation")).to_be_visible()
    assert not page.evaluate(RUNNING)
    page.locator(".card button").first.click()
    expect(page.locator("#photo")).to_be_visible()
    assert_smiling(page)


def test_a_snapshot_is_the_frame_that_was_answered(
    playwright: Playwright, chromium: str, address: str, tmp_path: Path
) -> None:
    sent: list[bytes] = []

    def answer_one_frame(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def forward(frame: bytes | str) -> None:
            assert isinstance(frame, bytes)
            sent.append(frame)
            if len(sent) == 1:
                server.send(frame)

        route.on_message(forward)

    portrait = Image.open(ASTRONAUT).resize((480, 480))
    film = [Image.new("RGB", (1280, 960), (90, 90, 90)) for _ in range(100)]
    for number, frame in enumerate(film):
        frame.paste(portrait, (8 * number, 4 * number))
    write_film(tmp_path / "walk.y4m", film, rate=20)
    camera = f"--use-file-for-fake-video-capture={tmp_path / 'walk.y4m'}"
    with launch(playwright, chromium, "--use-fake-ui-for-media-stream", camera) as browser:
        page = browser.new_page()
        page.route_web_socket("**/api/live", answer_one_frame)
        page.goto(address)
        go_live(page)
        page.wait_for_timeout(1000)  # the person walks on
        page.get_by_role("button", name="Snapshot", exact=True).click()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Download Snapshot 1").click()
        saved.value.save_as(tmp_path / "snapshot.jpg")
    snapshot = Image.open(tmp_path / "snapshot.jpg").convert("L")
    assert snapshot.size == (1280, 960)
    answered = np.asarray(Image.open(BytesIO(sent[0])).convert("L"), np.float32)
    changed = np.abs(np.asarray(snapshot.resize((640, 480)), np.float32) - answered) > 30
    assert changed.mean() < 0.1  # where the emoji rides; a second later it would be a quarter


def test_each_face_keeps_its_own_why(page: Page) -> None:
    def see_double(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def double(answer: bytes | str) -> None:
            reading = json.loads(answer)
            for face in reading["faces"][:1]:
                left, top, right, bottom = face["box"]
                twin = {**face, "box": [left + 200, top, right + 200, bottom]}
                if "explanation" in face:
                    twin["explanation"] = {
                        "speaks": {},
                        "passed": [["😎", "behind dark glasses", "the twin's objection"]],
                    }
                reading["faces"] = [face, twin]
            route.send(json.dumps(reading))

        server.on_message(double)

    page.route_web_socket("**/api/live", see_double)
    go_live(page)
    page.wait_for_timeout(500)  # explanations came with the first answer only
    page.get_by_role("button", name="Face 2 of 2").click()
    expect(page.locator("#passed")).to_contain_text("the twin's objection")
    page.get_by_role("button", name="Face 1 of 2").click()
    expect(page.locator("#passed")).not_to_contain_text("the twin's objection")
    expect(page.locator("#why")).to_be_visible()


def test_a_lost_connection_is_said_and_opened_anew(page: Page, complaints: Complaints) -> None:
    lost: list[WebSocketRoute] = []

    def lose_the_first(route: WebSocketRoute) -> None:
        lost.append(route)
        if len(lost) == 1:
            route.close()
        else:
            route.connect_to_server()

    page.route_web_socket("**/api/live", lose_the_first)
    page.evaluate(
        """() => {
            window.notices = [];
            new MutationObserver(() => window.notices.push(document.getElementById("notice").textContent))
                .observe(document.getElementById("notice"), {childList: true});
        }"""
    )
    go_live(page)
    assert len(lost) == 2
    assert "The connection was lost. Trying again …" in page.evaluate("window.notices")
    expect(page.locator("#notice")).to_be_hidden()


def test_when_all_places_are_taken_the_servers_words_show(page: Page) -> None:
    def full(route: WebSocketRoute) -> None:
        route.send('{"error": {"code": "live_full", "message": "Too many people are live.", "retry_after": 10}}')
        route.close(code=1013, reason="live_full")

    page.route_web_socket("**/api/live", full)
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#notice")).to_have_text("Too many people are live.")
    expect(page.locator("#video")).to_be_visible()
    assert_accessible(page)


def test_live_that_is_switched_off_is_said_once_and_the_camera_goes_off(browser: Browser) -> None:
    with running_bot(FACE2EMOJI_LIVE_LIMIT="0") as address, browser.new_context() as context:
        page = context.new_page()
        wire = Wire(page)
        page.goto(address)
        assert_refused(page, "Live is switched off here.")
        assert not page.evaluate(RUNNING)
        page.wait_for_timeout(1500)
        assert wire.connections == 1


def test_another_camera_can_be_chosen(playwright: Playwright, chromium: str, address: str) -> None:
    with launch(playwright, chromium, "--use-fake-ui-for-media-stream", f"{CAMERAS}=2") as browser:
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("button", name="Go live").click()
        cameras = page.get_by_label("Camera", exact=True)
        expect(cameras.locator("option")).to_have_count(2)
        other = cameras.locator("option:not(:checked)").get_attribute("value")
        assert other
        cameras.select_option(other)
        page.wait_for_function(
            "other => document.getElementById('video').srcObject?.getVideoTracks()[0].getSettings().deviceId === other",
            arg=other,
        )
        expect(cameras).to_have_value(other)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--use-fake-ui-for-media-stream=deny",), "The camera was refused"),
        (
            ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=device-count=0"),
            "No camera was found",
        ),
    ],
)
def test_no_camera_is_said_in_words(
    playwright: Playwright, chromium: str, address: str, flags: list[str], words: str
) -> None:
    with launch(playwright, chromium, *flags) as browser:
        page = browser.new_page()
        page.goto(address)
        assert_refused(page, words)
        assert_accessible(page)


def test_a_camera_that_is_busy_is_said_in_words(browser: Browser, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script(  # no fake camera can be busy
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotReadableError'); }"
        )
        page.goto(address)
        assert_refused(page, "Another program is using the camera")


def test_a_page_without_https_says_so(playwright: Playwright, chromium: str, address: str) -> None:
    with launch(playwright, chromium, "--host-resolver-rules=MAP facebot 127.0.0.1") as browser:
        page = browser.new_page()
        page.goto(address.replace("127.0.0.1", "facebot"))
        assert_refused(page, "only on https:// pages or on localhost")


def assert_refused(page: Page, words: str) -> None:
    page.get_by_role("button", name="Go live").click()
    expect(page.locator("#detail")).to_contain_text(words)
    expect(page.locator("#invitation")).to_be_visible()
    expect(page.get_by_role("button", name="Go live")).to_be_visible()
