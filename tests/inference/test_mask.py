"""Covered faces: nothing of them is left, and the cover sits as the head does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from inference import FaceReader, load_emoji_map, load_reader
from inference.mask import LARGEST_DRAWING, NEUTRAL, jpeg, mask
from inference.photo import Photo
from inference.reading import Box, Emoji, FaceReading, Reading, UnreadFace

Pixels = NDArray[np.uint8]
YELLOW = (252, 234, 43)
MAP = load_emoji_map()
EMOJI = sorted({rule.emoji for rule in MAP.rules}, key=lambda emoji: emoji.character)
CUSTOM = Emoji(":tada_cat:", "tada_cat", "tada_cat", "😐")


@pytest.fixture(scope="module")
def reader() -> Iterator[FaceReader]:
    reader = load_reader()
    yield reader
    reader.close()


def face(box: Box, emoji: Emoji = NEUTRAL, roll: float = 0) -> FaceReading:
    return FaceReading(box, "happy", 0.9, {"happy": 0.9}, {}, emoji, "", roll)


def noise(seed: int, side: int = 300) -> Photo:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return Photo(pixels, side, side)


def hidden(reading: Reading, side: int = 300) -> NDArray[np.bool_]:
    """Where two photos that share no pixel give the same picture: nothing shows through there."""
    one, other = np.zeros((side, side, 3), np.uint8), np.full((side, side, 3), 255, np.uint8)
    covered = [np.asarray(mask(Photo(pixels, side, side), reading), int) for pixels in (one, other)]
    return np.asarray((covered[0] == covered[1]).all(axis=2))


def oval(box: Box, roll: float, side: int = 300) -> NDArray[np.bool_]:
    """A head in its box, hairline included: a third higher than a face of these 4:5 is, and turned with it."""
    rows, columns = np.mgrid[:side, :side]
    turn = np.radians(roll)
    x, y = columns + 0.5 - (box.left + box.right) / 2, rows + 0.5 - (box.top + box.bottom) / 2
    across, down = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    half = 50
    up = np.where(down < 0, 1.2 * half, half)
    return np.asarray((across / (0.8 * half)) ** 2 + (down / up) ** 2 <= 1)


def turned_box(roll: float) -> Box:
    """The box of an oval face of 80 x 100 pixels around (150, 150), tilted."""
    turn = np.radians(roll)
    wide = np.hypot(40 * np.cos(turn), 50 * np.sin(turn))
    high = np.hypot(40 * np.sin(turn), 50 * np.cos(turn))
    return Box(*(round(150 + value) for value in (-wide, -high, wide, high)))


@settings(max_examples=30)
@given(roll=st.floats(-180, 180), emoji=st.sampled_from([*EMOJI, CUSTOM]))
def test_no_pixel_of_a_covered_face_shows_through(roll: float, emoji: Emoji) -> None:
    box = turned_box(roll)
    for reading in (
        Reading(300, 300, (face(box, emoji, roll),), emoji),
        Reading(300, 300, (), None, (UnreadFace(box, roll),)),
    ):
        assert hidden(reading)[oval(box, roll)].all()


@pytest.mark.parametrize("box", [Box(-40, -50, 40, 50), Box(260, 250, 340, 350), Box(140, 140, 142, 143)])
def test_faces_at_the_edge_and_tiny_ones_are_covered(box: Box) -> None:
    covered = hidden(Reading(300, 300, (face(box, MAP.no_face),), None))
    assert covered[max(0, box.top) : box.bottom, max(0, box.left) : box.right].all()
    assert not covered[150, 20]


def test_a_face_outside_the_photo_is_nothing_to_cover() -> None:
    assert not hidden(Reading(300, 300, (face(Box(900, 900, 950, 960)),), None)).any()


def test_a_face_larger_than_any_drawing_is_covered_in_full() -> None:
    side = 2 * LARGEST_DRAWING
    box = Box(200, 100, side - 200, side - 100)
    covered = hidden(Reading(side, side, (face(box, EMOJI[0], 33),), None), side)
    assert covered[box.top : box.bottom, box.left : box.right].all()


def test_what_is_not_covered_stays_as_it_was() -> None:
    photo = noise(3)
    untouched = np.asarray(mask(photo, Reading(300, 300, (), None)))
    assert (untouched == photo.pixels).all()
    covered = np.asarray(mask(photo, Reading(300, 300, (face(Box(100, 100, 140, 150)),), None)))
    assert (covered[:, 200:] == photo.pixels[:, 200:]).all()
    assert (covered[200:] == photo.pixels[200:]).all()


def test_boxes_are_in_pixels_of_the_photo_before_it_was_reduced() -> None:
    photo = Photo(noise(4).pixels, 900, 900)
    covered = np.asarray(mask(photo, Reading(900, 900, (face(Box(600, 600, 720, 750)),), None)))
    assert tuple(covered[215, 220]) == YELLOW
    assert (covered[:150, :150] == photo.pixels[:150, :150]).all()


def test_the_emoji_is_turned_clockwise_with_the_head() -> None:
    """The mouth of a tilted 😐 leaves the upright middle line to the side where a tilted chin is."""
    emoji = next(emoji for emoji in EMOJI if emoji.character == "😐")

    def mouth(roll: float) -> tuple[float, float]:
        picture = np.asarray(mask(noise(5), Reading(300, 300, (face(Box(110, 100, 190, 200), emoji, roll),), None)))
        rows, columns = np.mgrid[:300, :300]
        turn = np.radians(roll)
        x, y = columns - 150, rows - 150
        below = -x * np.sin(turn) + y * np.cos(turn) > 5
        dark = (picture.max(axis=2) < 40) & (np.hypot(x, y) < 50) & below
        return float(x[dark].mean()), float(y[dark].mean())

    assert mouth(0)[0] == pytest.approx(0, abs=2)
    right_tilt, left_tilt, upside_down = mouth(30), mouth(-30), mouth(180)
    assert right_tilt[0] < -4 < 0 < right_tilt[1]
    assert left_tilt[0] > 4
    assert upside_down[1] < -4


@pytest.mark.parametrize("degrees", [-60, -25, 0, 25, 60])
def test_a_head_that_is_turned_in_the_picture_is_read_so(reader: FaceReader, portrait: bytes, degrees: int) -> None:
    image = Image.open(io.BytesIO(portrait)).convert("RGB")
    # Pillow turns counter-clockwise.
    tilted = image.rotate(-degrees, center=(228, 125), resample=Image.Resampling.BICUBIC, fillcolor=(110, 110, 110))
    file = io.BytesIO()
    tilted.save(file, "PNG")
    (found,) = reader.read(file.getvalue()).faces
    assert found.roll == pytest.approx(degrees, abs=8)
    assert found.to_json()["roll"] == round(found.roll, 1)


def test_the_reader_masks_bytes(reader: FaceReader, portrait: bytes) -> None:
    masked = reader.mask(portrait)
    assert len(masked.reading.faces) == 1
    again = reader.read(masked.jpeg)
    assert (again.width, again.height) == (512, 512)
    party = reader.mask(portrait, emoji_map=MAP.changed({"happy": "🤡"}))
    assert party.reading.emoji is not None
    assert party.reading.emoji.character == "🤡"
    assert party.jpeg != masked.jpeg


def test_the_bytes_hold_a_picture_and_nothing_else(pictures: Path) -> None:
    image = Image.open(pictures / "astronaut.jpg").convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = "the garden"
    image.info["exif"] = exif.tobytes()
    image.info["comment"] = b"at home"
    data = jpeg(mask(Photo(np.asarray(image), 512, 512), Reading(512, 512, (), None)))
    assert b"garden" not in data
    assert b"at home" not in data
