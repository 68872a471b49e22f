"""What tests of the page look at, whatever mode it is in."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

SMILES = tuple("😀😃😄😁😆😂😊🙂")


def assert_accessible(page: Page) -> None:
    """axe-core finds nothing serious."""
    found = Axe().run(page).response
    assert found["passes"]
    assert [
        (rule["id"], [node["html"] for node in rule["nodes"]])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ] == []


def place(inner: Locator, outer: Locator) -> tuple[float, float, float]:
    """Centre x, centre y and height of `inner`, as shares of `outer`."""
    a, b = inner.bounding_box(), outer.bounding_box()
    assert a
    assert b
    return (
        (a["x"] + a["width"] / 2 - b["x"]) / b["width"],
        (a["y"] + a["height"] / 2 - b["y"]) / b["height"],
        a["height"] / b["height"],
    )


def assert_smiling(page: Page) -> None:
    """The emoji, the words and the seven bars all say happy."""
    expect(page.locator("#headline")).to_have_text("happy")
    emoji = page.locator("#emoji").get_attribute("alt")
    assert emoji
    assert emoji.startswith(SMILES)
    expect(page.locator(".rider img").first).to_have_attribute("alt", emoji)
    expect(page.locator("#rule")).to_contain_text("happy look")
    expect(page.locator("#cues")).to_contain_text("open smile")
    expect(page.locator(".bar")).to_have_count(7)
    expect(page.locator(".bar.top .bar-name")).to_have_text("happy")
    shares = [int(text.removesuffix("%")) for text in page.locator(".bar-value").all_inner_texts()]
    assert 96 <= sum(shares) <= 104
    page.wait_for_timeout(400)  # the bars grow
    widths = [box["width"] for bar in page.locator(".bar-fill").all() if (box := bar.bounding_box())]
    assert widths.index(max(widths)) == shares.index(max(shares))


def assert_boxed(page: Page, picture: str, centre: tuple[float, float], tallest: float) -> None:
    """One face button lies on the face: `centre` and `tallest` are shares of the picture."""
    expect(page.locator(".face")).to_have_count(1)
    x, y, height = place(page.locator(".face"), page.locator(picture))
    assert abs(x - centre[0]) < 0.08
    assert abs(y - centre[1]) < 0.08
    assert tallest / 3 < height < tallest


def yellow(pixel: object) -> bool:
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    return bool(min(red, green) > 180 and blue < 120)
