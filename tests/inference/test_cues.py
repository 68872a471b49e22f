"""Cues on a mean face moved by hand and drawn, and on a real portrait."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference import load_reader
from inference.crops import anchors_of, crop
from inference.cues import read_cues
from inference.faces import FaceFinder
from inference.head import Points, hold_still, mean_face
from inference.measures import RULES
from inference.photo import decode
from inference.reading import CUES
from training.drawn_faces import (
    BROWS,
    CORNERS,
    IRISES,
    LIDS,
    LOWER_LIP,
    MOUTH,
    OVAL,
    UPPER_LIP,
    opened,
    showing,
    turned,
)

Pixels = NDArray[np.uint8]
Mesh = NDArray[np.float32]
Colour = tuple[int, int, int]
# OpenCV takes coordinates in 16ths of a pixel.
SHIFT = 4
SKIN, DARK, WHITE, LIP, IRIS = (205, 165, 140), (60, 40, 30), (240, 238, 235), (170, 90, 90), (70, 50, 40)


# What the network says of a free mouth, and of a masked one.
FREE, MASKED = -6.0, 5.0


def seen_in(mesh: Mesh, pixels: Pixels, covered: float = FREE) -> dict[str, float]:
    return read_cues(mesh, pixels, crop(pixels, anchors_of(mesh)), covered)


class Photo:
    """A face put into a photo and drawn."""

    def __init__(self, face: Points, scale: float = 90, at: tuple[float, float] = (256, 256)) -> None:
        self.mesh: Mesh = (face * scale + (*at, 0)).astype(np.float32)
        self.scale = scale
        self.covered = FREE
        self.pixels = np.full((640, 640, 3), 120, np.uint8)
        self._fill(OVAL, SKIN)
        for side in (0, 1):
            self._eye(side)
            self._fill(BROWS[side], DARK)
        right, left, inner_right, inner_left = MOUTH
        for outer, inner in (UPPER_LIP, LOWER_LIP):
            self._fill((right, *outer, left, inner_left, *inner[::-1], inner_right), LIP)
        self.pixels = np.asarray(cv2.GaussianBlur(self.pixels, (0, 0), 1), np.uint8)

    @property
    def cues(self) -> dict[str, float]:
        return seen_in(self.mesh, self.pixels, self.covered)

    def wear_dark_glasses(self) -> Photo:
        for side in (0, 1):
            x, y = self.mesh[list(CORNERS[side]), :2].mean(axis=0).round().astype(int).tolist()
            axes = round(0.4 * self.scale), round(0.3 * self.scale)
            cv2.ellipse(self.pixels, (x, y), axes, 0, 0, 360, DARK, -1, cv2.LINE_AA)
        return self

    def _fill(self, points: Sequence[int], colour: Colour) -> None:
        cv2.fillPoly(self.pixels, [self._fine(points)], colour, cv2.LINE_AA, SHIFT)

    def _fine(self, points: Sequence[int]) -> NDArray[np.int32]:
        return np.asarray((self.mesh[list(points), :2] * 2**SHIFT).round(), np.int32)

    def _eye(self, side: int) -> None:
        """Draw the white, of the iris what the lids leave, and the lashes."""
        (upper, lower), (outer, inner), (centre, *rim) = LIDS[side], CORNERS[side], IRISES[side]
        contour = (outer, *upper, inner, *lower[::-1])
        self._fill(contour, WHITE)
        inside = np.zeros(self.pixels.shape[:2], np.uint8)
        cv2.fillPoly(inside, [self._fine(contour)], (255,), cv2.LINE_8, SHIFT)
        looking = self.pixels.copy()
        radius = float(np.linalg.norm(self.mesh[rim[0], :2] - self.mesh[rim[2], :2])) / 2
        cv2.circle(looking, self.mesh[centre, :2].round().astype(int).tolist(), round(radius), IRIS, -1, cv2.LINE_AA)
        self.pixels[inside > 0] = looking[inside > 0]
        lashes = self._fine((outer, *upper, inner))
        cv2.polylines(self.pixels, [lashes], False, DARK, max(2, round(self.scale / 30)), cv2.LINE_AA, SHIFT)


def photo_of(cue: str | None) -> Photo:
    photo = Photo(showing(cue))
    if cue == "mouth_covered":
        photo.covered = MASKED
    return photo.wear_dark_glasses() if cue == "eyes_covered" else photo


# What comes with a cue: a smile with parted lips also opens the mouth.
ALONG = {
    "eyes_squeezed": {"eyes_closed"},
    "mouth_wide_open": {"mouth_open"},
    "smile_open": {"mouth_open"},
    "smirk": {"smile_closed"},
}


def test_every_cue_has_its_tests() -> None:
    assert tuple(RULES) == CUES


@pytest.mark.parametrize("cue", CUES)
def test_each_cue_is_seen_where_it_is_shown_and_nothing_else(cue: str) -> None:
    seen = photo_of(cue).cues
    assert seen[cue] > 0.6
    assert set(seen) - {cue} <= ALONG.get(cue, set())


def test_a_neutral_face_shows_nothing() -> None:
    assert photo_of(None).cues == {}


def test_the_strongest_cue_comes_first_and_none_is_doubtful() -> None:
    seen = list(photo_of("smile_open").cues.values())
    assert seen == sorted(seen, reverse=True)
    assert all(0.5 <= sure <= 1 for sure in seen)


@pytest.mark.parametrize(
    "cue", ["wink_left", "eyes_closed", "mouth_open", "smile_closed", "brow_raised", "looking_aside"]
)
@pytest.mark.parametrize(("scale", "at"), [(45, (150, 400)), (140, (320, 250))])
def test_size_and_place_do_not_matter(cue: str, scale: float, at: tuple[float, float]) -> None:
    seen = Photo(showing(cue), scale, at).cues
    assert set(seen) == {cue}
    assert seen[cue] == pytest.approx(photo_of(cue).cues[cue], abs=0.3)


@pytest.mark.parametrize("cue", ["wink_right", "eyes_closed", "smile_closed", "brows_lowered", "looking_up"])
@pytest.mark.parametrize("roll", [-40, 25])
def test_a_leaning_head_shows_the_same_and_that_it_leans(cue: str, roll: float) -> None:
    seen = Photo(turned(showing(cue), roll=roll)).cues
    assert set(seen) == {cue, "head_tilted"}


@pytest.mark.parametrize("yaw", [-15, 15])
def test_a_slightly_turned_head_still_winks(yaw: float) -> None:
    assert set(Photo(turned(showing("wink_left"), yaw=yaw)).cues) == {"wink_left"}


@pytest.mark.parametrize("yaw", [-50, 50])
@pytest.mark.parametrize("cue", [cue for cue in CUES if cue != "head_turned"])
def test_of_a_head_turned_away_only_that_is_said(cue: str, yaw: float) -> None:
    assert set(Photo(turned(showing(cue), yaw=yaw)).cues) - {"head_tilted"} == {"head_turned"}


@pytest.mark.parametrize("cue", ["wink_left", "eyes_closed", "eyes_wide", "looking_up", "looking_aside"])
def test_behind_dark_glasses_eyes_do_nothing(cue: str) -> None:
    assert set(Photo(showing(cue)).wear_dark_glasses().cues) == {"eyes_covered"}


@pytest.mark.parametrize("cue", ["mouth_wide_open", "smile_closed", "smile_open", "smirk", "pout", "lips_pressed"])
def test_of_a_covered_mouth_nothing_else_is_said(cue: str) -> None:
    photo = photo_of(cue)
    assert cue in photo.cues
    photo.covered = MASKED
    assert set(photo.cues) == {"mouth_covered"}


def test_weights_that_cannot_tell_cover_no_mouth() -> None:
    photo = photo_of("smile_open")
    photo.covered = -np.inf
    assert set(photo.cues) == {"smile_open", "mouth_open"}


def test_the_landmarks_alone_make_no_wink_nor_closed_eyes() -> None:
    """The mesh may say so where the pixels show an open eye: under hair, in a shadow."""
    open_eyes = photo_of(None).pixels
    assert seen_in(photo_of("wink_left").mesh, open_eyes) == {}
    assert seen_in(photo_of("eyes_closed").mesh, open_eyes) == {}


def test_a_squint_is_no_wink() -> None:
    for left in (0.6, 0.75, 1):
        squint = opened(opened(showing(None), 0, 0.6), 1, left)
        assert not {"wink_left", "wink_right", "eyes_closed"} & set(Photo(squint).cues)


def test_both_eyes_closed_unevenly_are_no_wink() -> None:
    uneven = opened(opened(showing(None), 0, 0.1), 1, 0.3)
    assert set(Photo(uneven).cues) == {"eyes_closed"}


def test_grey_photos_are_read_too() -> None:
    photo = photo_of("wink_left")
    grey = np.asarray(cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    assert seen_in(photo.mesh, grey) == pytest.approx(photo.cues, abs=0.02)


def test_landmarks_that_fall_together_are_refused() -> None:
    with pytest.raises(ValueError, match="fall together"):
        read_cues(np.zeros((478, 3), np.float32), np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8))


@pytest.mark.parametrize("roll", [88, -92, 178, -175])
def test_a_photo_that_lies_shows_the_same_and_no_leaning_head(roll: float) -> None:
    upright, lying = Photo(showing("smile_open")), Photo(turned(showing("smile_open"), roll=roll))
    assert set(lying.cues) == set(upright.cues)
    assert "head_tilted" in Photo(turned(showing("smile_open"), roll=roll + 20)).cues


@pytest.mark.parametrize(("yaw", "roll"), [(0, 0), (25, 0), (-30, 0), (0, 35), (20, -15)])
def test_the_turn_of_the_head_is_measured(yaw: float, roll: float) -> None:
    head = hold_still(Photo(turned(showing(None), yaw, roll)).mesh)
    assert (head.yaw, head.roll) == pytest.approx((yaw, roll), abs=0.01)
    assert head.points == pytest.approx(mean_face(), abs=1e-3)


def test_a_real_smile(portrait: bytes) -> None:
    reader = load_reader()
    (face,) = reader.read(portrait).faces
    reader.close()
    assert list(face.cues) == ["smile_open", "mouth_open"]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_real_eye_painted_shut_winks(portrait: bytes, mirrored: bool) -> None:
    """The portrait's own lids are drawn over one eye: skin, and the line of the lashes."""
    pixels = decode(portrait).pixels
    finder = FaceFinder()
    mesh = finder.find(pixels)[0].landmarks
    assert mesh is not None
    shut = paint_shut(pixels, mesh, side=1)
    if mirrored:
        shut = np.ascontiguousarray(shut[:, ::-1])
    (face,) = finder.find(shut)
    finder.close()
    assert face.landmarks is not None
    seen = seen_in(face.landmarks, shut)
    assert ("wink_right" if mirrored else "wink_left") in seen
    assert ("wink_left" if mirrored else "wink_right") not in seen


def paint_shut(pixels: Pixels, mesh: Mesh, side: int) -> Pixels:
    (upper, lower), (outer, inner) = LIDS[side], CORNERS[side]
    shut = pixels.copy()
    contour = mesh[[outer, *upper, inner, *lower[::-1]], :2]
    middle = contour.mean(axis=0)
    x, y = mesh[lower[3], :2].round().astype(int).tolist()
    skin = pixels[y + 3, x].tolist()
    cv2.fillPoly(shut, [(middle + (contour - middle) * 1.3).round().astype(np.int32)], skin, cv2.LINE_AA)
    lashes = mesh[[outer, *lower, inner], :2].round().astype(np.int32)
    cv2.polylines(shut, [lashes], False, (60, 40, 30), 1, cv2.LINE_AA)
    return np.asarray(shut, np.uint8)
