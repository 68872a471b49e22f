"""The page in a real Chromium, with the real model behind it: what do people see?"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from tests.e2e.conftest import Complaints
from tests.e2e.looks import SMILES, assert_accessible, assert_boxed, assert_smiling, place, yellow
from tests.e2e.served import ASTRONAUT, FACE_CENTRE, running_bot

MEBIBYTE = 2**20


def smile(size: tuple[int, int] = (512, 512), corner: tuple[int, int] = (0, 0)) -> Image.Image:
    """The astronaut on a ground of another size."""
    picture = Image.new("RGB", size, (90, 90, 90))
    picture.paste(Image.open(ASTRONAUT), corner)
    return picture


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def upload(page: Page, data: bytes, name: str = "photo.jpg") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})


def test_an_upload_is_boxed_and_answered(page: Page, tmp_path: Path) -> None:
    page.set_input_files("#file", ASTRONAUT)
    assert_smiling(page)
    assert_boxed(page, "#photo", (FACE_CENTRE[0] / 512, FACE_CENTRE[1] / 512), 0.5)
    expect(page.locator("#announcer")).to_contain_text("happy")
    expect(page.locator("#invitation")).to_be_hidden()
    # It is drawn, not only there: the box's upper edge is yellow on the screen.
    box = page.locator(".face").bounding_box()
    assert box
    page.screenshot(path=tmp_path / "upload.png")
    screen = Image.open(tmp_path / "upload.png").convert("RGB")
    red, green, blue = screen.getpixel((int(box["x"] + box["width"] / 2), int(box["y"] + 1)))  # type: ignore[misc]
    assert min(red, green) - blue > 80


def test_a_photo_turned_by_exif_stands_upright_with_its_box(page: Page) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = smile((512, 900), (0, 200))
    upload(page, encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=92))
    assert_smiling(page)
    assert_boxed(page, "#photo", (FACE_CENTRE[0] / 512, (FACE_CENTRE[1] + 200) / 900), 0.3)
    shown = page.locator("#photo").bounding_box()
    assert shown
    assert shown["width"] / shown["height"] == pytest.approx(512 / 900, rel=0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_webp_that_the_browser_does_not_turn_has_no_box_in_the_wrong_place(page: Page, orientation: int) -> None:
    ways = Image.Transpose
    lie = {
        2: ways.FLIP_LEFT_RIGHT,
        3: ways.ROTATE_180,
        4: ways.FLIP_TOP_BOTTOM,
        5: ways.TRANSPOSE,
        6: ways.ROTATE_90,
        7: ways.TRANSVERSE,
        8: ways.ROTATE_270,
    }
    upright = smile((512, 512), (60, 100))  # a square: its size does not tell
    lying = upright.transpose(lie[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    exif.endian = ">" if orientation % 2 else "<"
    upload(page, encoded(lying, "WEBP", exif=exif, quality=92), "turned.webp")
    assert_smiling(page)
    shown = page.locator("#photo" if orientation == 1 else "#placeholder")
    expect(shown).to_be_visible()
    face = ((FACE_CENTRE[0] + 60) / 512, (FACE_CENTRE[1] + 100) / 512)
    assert_boxed(page, "#frame", face, 0.5)
    expect(page.locator(".thumbnail")).to_be_visible(visible=orientation == 1)
    for download in page.get_by_role("button", name="Download").all():
        expect(download).to_be_enabled(enabled=orientation == 1)


@pytest.mark.parametrize("kind", ["HEIF", "TIFF"])
def test_a_photo_the_browser_cannot_draw_is_downloaded_with_covered_faces(
    page: Page, tmp_path: Path, kind: str
) -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    upload(page, encoded(smile(), kind), f"one.{kind}")
    assert_smiling(page)
    advice = "Your browser cannot put emoji on this photo. Cover its faces to download it."
    expect(page.locator("#note")).to_have_text(advice)
    expect(page.locator("#announcer")).to_contain_text(advice)
    downloads = page.get_by_role("button", name="Download").all()
    assert len(downloads) == 2
    for download in downloads:
        expect(download).to_be_disabled()
    page.get_by_role("button", name="Cover faces").click()
    expect(page.locator("#photo")).to_be_visible()
    expect(page.locator(".thumbnail")).to_be_visible()
    expect(page.locator("#note")).not_to_contain_text(advice)
    for download in downloads:
        with page.expect_download() as saved:
            download.click()
        saved.value.save_as(tmp_path / "saved.jpg")
        assert yellow(Image.open(tmp_path / "saved.jpg").getpixel((228, 90)))  # the forehead
    page.get_by_role("button", name="Cover faces").click()
    expect(page.locator("#note")).to_have_text(advice)
    expect(page.locator("#placeholder")).to_be_visible()
    expect(page.locator(".thumbnail")).to_be_hidden()
    assert_accessible(page)


def test_a_photo_too_large_for_the_browsers_canvas_says_so(page: Page) -> None:
    upload(page, encoded(Image.new("L", (70_000, 40)), "PNG"), "long.png")
    expect(page.locator("#headline")).to_have_text("No face found")
    upload(page, ASTRONAUT.read_bytes())
    assert_smiling(page)
    page.get_by_role("button", name="Download long.png").click()
    expect(page.locator("#note")).to_contain_text("Your browser cannot put emoji on this photo.")
    expect(page.locator("#announcer")).to_contain_text("long.png: No face found. Your browser cannot")


def test_a_photo_the_browser_cannot_show_is_answered_all_the_same(page: Page) -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    upload(page, encoded(smile((800, 600), (100, 50)), "HEIF", quality=90), "IMG_0001.HEIC")
    assert_smiling(page)
    expect(page.locator("#placeholder")).to_be_visible()
    assert_boxed(page, "#frame", ((FACE_CENTRE[0] + 100) / 800, (FACE_CENTRE[1] + 50) / 600), 0.4)


def test_paste_from_the_real_clipboard(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (bytes) => {
            const png = new Blob([new Uint8Array(bytes)], {type: "image/png"});
            await navigator.clipboard.write([new ClipboardItem({"image/png": png})]);
        }""",
        list(encoded(smile().resize((256, 256)), "PNG")),
    )
    page.keyboard.press("Control+V")
    assert_smiling(page)


def test_pasted_words_are_no_photo(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('a smile')")
    page.keyboard.press("Control+V")
    expect(page.locator("#detail")).to_contain_text("That was no photo.")
    expect(page.locator("#announcer")).to_contain_text("That was no photo.")


def test_drop(page: Page) -> None:
    transfer = page.evaluate_handle(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "photo.jpg"));
            return transfer;
        }""",
        list(ASTRONAUT.read_bytes()),
    )
    page.dispatch_event(".viewport", "dragover", {"dataTransfer": transfer})
    expect(page.locator("body")).to_have_class("dragging")
    page.dispatch_event(".viewport", "drop", {"dataTransfer": transfer})
    assert_smiling(page)
    expect(page.locator("body")).not_to_have_class("dragging")


def test_everything_works_from_the_keyboard(page: Page) -> None:
    page.on(
        "filechooser", lambda chooser: None
    )  # Playwright begins to catch choosers late: before the reload is in time
    page.reload()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    two = smile((1024, 512))
    two.paste(Image.open(ASTRONAUT), (512, 0))
    chooser.value.set_files({"name": "two.png", "mimeType": "image/png", "buffer": encoded(two, "PNG")})
    faces = page.locator(".face")
    expect(faces).to_have_count(2)
    expect(page.locator("#detail")).to_contain_text("of 2")
    expect(page.locator(".card-faces img")).to_have_count(2)
    left, right = (place(face, page.locator("#photo"))[0] for face in faces.all())
    assert left < 0.5 < right
    page.locator("#choose").focus()
    for index in (1, 0):
        page.keyboard.press("Shift+Tab")
        expect(faces.nth(index)).to_be_focused()
        outline = faces.nth(index).evaluate("face => getComputedStyle(face).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        expect(faces.nth(index)).to_have_attribute("aria-pressed", "true")
        expect(faces.nth(1 - index)).to_have_attribute("aria-pressed", "false")
        expect(page.locator("#detail")).to_contain_text(f"face {index + 1} of 2")
    assert_smiling(page)


def test_faces_are_covered_and_the_picture_is_saved_from_the_keyboard(page: Page, tmp_path: Path) -> None:
    cover = page.get_by_role("button", name="Cover faces")
    download = page.get_by_role("button", name="Download the photo with its emoji")
    expect(cover).to_be_disabled()
    expect(download).to_be_disabled()
    page.set_input_files("#file", ASTRONAUT)
    assert_smiling(page)
    below = page.locator("#pictures")
    before = [box.bounding_box() for box in (page.locator(".controls"), page.locator("#photo"))]
    end = below.bounding_box()
    cover.focus()
    page.keyboard.press("Enter")
    expect(cover).to_have_attribute("aria-pressed", "true")
    expect(cover).to_be_focused()
    warning = "Every face that was found is covered. Look closely before you share the photo."
    expect(page.locator("#announcer")).to_have_text(warning)
    expect(page.locator("#note")).to_have_text(warning)
    expect(page.locator("#note")).to_be_visible()
    expect(page.locator(".rider")).to_be_hidden()
    assert [box.bounding_box() for box in (page.locator(".controls"), page.locator("#photo"))] == before
    assert below.bounding_box() == pytest.approx(end, abs=0.5)
    page.keyboard.press("Tab")
    expect(download).to_be_focused()
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename == "astronaut.covered.jpg"
    saved.value.save_as(tmp_path / "saved.jpg")
    red, green, blue = Image.open(tmp_path / "saved.jpg").getpixel((228, 90))  # type: ignore[misc]  # three bands
    assert (red, green, blue) == pytest.approx((252, 234, 43), abs=25)  # the forehead
    cover.click()
    expect(cover).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".rider")).to_be_visible()
    expect(page.locator("#note")).to_be_empty()
    with page.expect_download() as saved:
        download.click()
    saved.value.save_as(tmp_path / "riding.jpg")
    riding = Image.open(tmp_path / "riding.jpg").convert("RGB")
    assert yellow(riding.getpixel((228, 48)))  # the emoji rides on the hair ...
    assert not yellow(riding.getpixel((228, 125)))  # ... and the face is free


def test_a_photo_whose_faces_cannot_be_covered_says_why(page: Page, complaints: Complaints) -> None:
    complaints.expected = ("Failed to load resource: the server responded with a status of 503",)
    body = '{"error": {"code": "busy", "message": "Many photos are being read."}}'
    page.route("**/api/mask*", lambda route: route.fulfill(status=503, body=body, content_type="application/json"))
    page.set_input_files("#file", ASTRONAUT)
    assert_smiling(page)
    page.get_by_role("button", name="Cover faces").click()
    expect(page.locator("#note")).to_have_text("The faces are not covered. Many photos are being read.")
    expect(page.locator("#announcer")).to_have_text("The faces are not covered. Many photos are being read.")
    expect(page.locator("#detail")).to_contain_text("% sure")  # the reading stands
    expect(page.get_by_role("button", name="Cover faces")).to_have_attribute("aria-pressed", "false")
    page.unroute("**/api/mask*")
    page.get_by_role("button", name="Cover faces").click()
    expect(page.locator("#note")).to_contain_text("Every face that was found is covered.")


def test_where_no_face_is_none_is_said_to_be_covered(page: Page) -> None:
    upload(page, encoded(Image.new("RGB", (300, 200), (120, 140, 90)), "PNG"))
    expect(page.locator("#headline")).to_have_text("No face found")
    page.get_by_role("button", name="Cover faces").click()
    expect(page.locator("#note")).to_have_text("No face was found, so nothing is covered.")
    expect(page.locator("#announcer")).to_have_text("No face was found, so nothing is covered.")
    expect(page.get_by_role("button", name="Cover faces")).to_have_attribute("aria-pressed", "false")
    assert_accessible(page)


def test_a_download_waits_until_the_faces_are_covered(page: Page, tmp_path: Path) -> None:
    def slowly(route: Route) -> None:
        time.sleep(0.5)
        route.continue_()

    page.route("**/api/mask*", slowly)
    page.set_input_files("#file", ASTRONAUT)
    assert_smiling(page)
    with page.expect_download() as saved:
        page.evaluate("for (const name of ['cover', 'download']) document.getElementById(name).click()")
    saved.value.save_as(tmp_path / "saved.jpg")
    red, green, blue = Image.open(tmp_path / "saved.jpg").getpixel((228, 90))  # type: ignore[misc]  # three bands
    assert (red, green, blue) == pytest.approx((252, 234, 43), abs=25)  # the forehead


def test_clearing_leaves_the_keyboard_where_it_can_go_on(page: Page) -> None:
    page.set_input_files("#file", ASTRONAUT)
    assert_smiling(page)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#choose")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("The photos are gone.")


def test_no_face_is_an_answer(page: Page) -> None:
    upload(page, encoded(Image.new("RGB", (300, 200), (120, 140, 90)), "PNG"))
    expect(page.locator("#headline")).to_have_text("No face found")
    expect(page.locator("#announcer")).to_contain_text("No face found")
    expect(page.locator("#photo")).to_be_visible()
    expect(page.locator(".face")).to_have_count(0)
    assert_accessible(page)


def test_what_is_no_photo_gets_the_servers_sentence(page: Page, complaints: Complaints) -> None:
    complaints.expected = ("Failed to load resource: the server responded with a status of 415",)
    upload(page, ASTRONAUT.read_bytes())
    assert_smiling(page)
    expect(page.locator("#seen")).to_be_visible()
    upload(page, b"These are words, not pixels. " * 100)
    expect(page.locator("#headline")).to_have_text("That did not work")
    assert len(page.locator("#detail").inner_text()) > 20
    expect(page.locator("#invitation")).to_be_visible()
    # Nothing of the face before is left.
    expect(page.locator("#seen")).to_be_hidden()
    expect(page.locator("#copy")).to_have_accessible_name("🙈")
    page.locator(".card button").first.click()
    assert_smiling(page)


def test_a_photo_over_the_limit_gets_its_sentence_too(page: Page, complaints: Complaints, tmp_path: Path) -> None:
    complaints.expected = ("Failed to load resource: the server responded with a status of 413",)
    large = tmp_path / "large.jpg"
    large.write_bytes(ASTRONAUT.read_bytes() + bytes(21 * MEBIBYTE))
    page.set_input_files("#file", large)
    expect(page.locator("#detail")).to_contain_text("larger than 20 MB")


def test_a_busy_server_is_asked_again(page: Page, complaints: Complaints) -> None:
    complaints.expected = ("Failed to load resource: the server responded with a status of 503",)
    refusals = iter([True])

    def busy_once(route: Route) -> None:
        if next(refusals, False):
            body = '{"error": {"code": "busy", "message": "Many photos are being read."}}'
            route.fulfill(status=503, body=body, headers={"retry-after": "1", "content-type": "application/json"})
        else:
            route.continue_()

    page.route("**/api/read*", busy_once)
    upload(page, ASTRONAUT.read_bytes())
    expect(page.locator("#detail")).to_have_text("Many photos are being read.")
    assert_smiling(page)


def test_the_server_answers_at_once_while_it_reads_large_photos(address: str) -> None:
    large = encoded(smile().resize((4000, 4000)), "JPEG")
    with ThreadPoolExecutor(4) as pool:
        photos = [pool.submit(httpx.post, f"{address}/api/read", content=large, timeout=60) for _ in range(8)]
        waits = []
        while not all(photo.done() for photo in photos):
            started = time.monotonic()
            assert httpx.get(f"{address}/healthz").text == "ok"
            waits.append(time.monotonic() - started)
    assert {photo.result().json()["emoji"] for photo in photos} <= set(SMILES)
    assert len(waits) > 3
    assert sorted(waits)[len(waits) // 2] < 0.5


def test_a_server_that_is_gone_is_told_with_the_pages_own_emoji(browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        with running_bot() as address:
            page.goto(address)
            page.wait_for_load_state("networkidle")
        for data in (ASTRONAUT.read_bytes(), b""):
            upload(page, data)
        expect(page.locator("#detail")).to_contain_text("The file is empty")
        expect(page.locator(".card").first).to_contain_text("The server does not answer")
        page.locator(".card button").first.click()
        drawn = "[...document.querySelectorAll('#emoji, .card-emoji')].every(image => image.naturalWidth > 0)"
        page.wait_for_function(drawn)


def test_offline_is_said_in_words_and_tried_again(page: Page, complaints: Complaints) -> None:
    complaints.expected = ("Failed to load resource: net::ERR_INTERNET_DISCONNECTED",)
    page.context.set_offline(True)
    upload(page, ASTRONAUT.read_bytes())
    expect(page.locator("#detail")).to_contain_text("offline")
    expect(page.locator("#headline")).to_have_text("That did not work")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again photo.jpg").click()
    assert_smiling(page)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_an_empty_file_is_said_in_words(page: Page) -> None:
    upload(page, b"")
    expect(page.locator("#detail")).to_contain_text("The file is empty")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_crowd_has_a_short_card(page: Page) -> None:
    crowd = Image.new("RGB", (1800, 900), (90, 90, 90))
    head = Image.open(ASTRONAUT).crop((128, 20, 328, 220))
    for number in range(32):
        crowd.paste(head, (200 * (number % 8) + 50, 210 * (number // 8) + 30))
    upload(page, encoded(crowd, "PNG"))
    expect(page.locator(".card-words")).to_contain_text("32 faces: ")
    expect(page.locator(".card-words")).to_contain_text(" × grinning")
    assert page.locator(".card-faces img").count() < 12


def test_several_pictures_have_a_card_each_in_order(page: Page, complaints: Complaints, tmp_path: Path) -> None:
    complaints.expected = ("Failed to load resource: the server responded with a status of 415",)
    two = smile((1024, 512))
    two.paste(Image.open(ASTRONAUT), (512, 0))
    green = Image.new("RGB", (300, 200), (120, 140, 90))
    files: list[FilePayload] = [
        {"name": "one.jpg", "mimeType": "", "buffer": ASTRONAUT.read_bytes()},
        {"name": "words.txt", "mimeType": "", "buffer": b"These are words, not pixels. " * 100},
        {"name": "two.png", "mimeType": "", "buffer": encoded(two, "PNG")},
        {"name": "green.png", "mimeType": "", "buffer": encoded(green, "PNG")},
    ]
    page.set_input_files("#file", files)
    cards = page.locator(".card")
    expect(cards.nth(3)).to_contain_text("No face found")
    expect(cards.nth(2)).to_contain_text("2 faces")
    expect(cards.locator(".card-name")).to_have_text(["one.jpg", "words.txt", "two.png", "green.png"])
    assert_smiling(page)  # the first is on show
    expect(cards.nth(0).locator("button").first).to_have_attribute("aria-current", "true")
    expect(cards.get_by_role("button", name="Download")).to_have_count(3)  # of what failed there is nothing to save
    cards.nth(1).locator("button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#headline")).to_have_text("That did not work")
    expect(page.locator("#detail")).to_contain_text("not a photo")
    cards.nth(2).locator("button").first.click()
    expect(page.locator(".face")).to_have_count(2)
    expect(cards.nth(2).locator(".card-faces img")).to_have_count(2)
    assert_accessible(page)
    with page.expect_download() as saved:
        cards.nth(2).get_by_role("button", name="Download two.png").click()
    saved.value.save_as(tmp_path / "two.jpg")
    assert Image.open(BytesIO((tmp_path / "two.jpg").read_bytes())).size == (1024, 512)
    page.get_by_role("button", name="Clear").click()
    expect(cards).to_have_count(0)
    expect(page.locator("#invitation")).to_be_visible()


def test_who_chooses_a_photo_or_a_face_hears_which_answer_is_whose(page: Page) -> None:
    two = smile((1024, 512))
    two.paste(Image.open(ASTRONAUT), (512, 0))
    data = encoded(two, "PNG")
    files: list[FilePayload] = [{"name": name, "mimeType": "", "buffer": data} for name in ("a.png", "b.png", "b.png")]
    page.set_input_files("#file", files)
    cards = page.locator(".card")
    for card in cards.all():
        expect(card).to_contain_text("2 faces")
    announcer = page.locator("#announcer")
    expect(announcer).to_have_text(re.compile(r"^a\.png: grinning face: happy, \d\d% sure, face \d of 2$"))
    for number in (0, 1):
        page.locator(".face").nth(number).click()
        expect(announcer).to_contain_text(f"face {number + 1} of 2")
    page.evaluate(
        """() => {
            const announcer = document.getElementById("announcer");
            window.spoken = [];
            new MutationObserver(() => window.spoken.push(announcer.textContent)).observe(announcer, {childList: true});
        }"""
    )
    for card in (cards.nth(1), cards.nth(2)):  # the same name, and the same answer
        card.locator("button").first.click()
        expect(card.locator("button").first).to_have_attribute("aria-current", "true")
    page.wait_for_function("window.spoken.length === 2")
    assert all(words.startswith("b.png: grinning face: happy") for words in page.evaluate("window.spoken"))


def test_the_emoji_is_copied_and_explained(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.set_input_files("#file", ASTRONAUT)
    assert_smiling(page)
    copy = page.get_by_role("button", name="Copy grinning face")
    copy.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#copy-hint")).to_have_text("Copied")
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#emoji").get_attribute("alt")
    page.locator("summary").click()
    expect(page.locator("#passed li").first).to_contain_text("not seen: eyes covered")
    expect(page.locator("#passed .chosen")).to_contain_text("a happy look with an open smile: chosen")
    # Drawings, not glyphs of a font that may not be there.
    assert page.locator("img:visible").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    assert_accessible(page)


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen_light_and_dark(page: Page, tmp_path: Path, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 780})
    page.set_input_files("#file", ASTRONAUT)
    assert_smiling(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width in (360, 1280):
        assert_accessible(page)
    page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
    corner = Image.open(tmp_path / f"{scheme}-{width}.png").convert("L").getpixel((2, 2))
    assert isinstance(corner, int)
    assert corner < 60 if scheme == "dark" else corner > 200
