"""The crop recipe: alignment by value, the same crop at any size and angle."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.crops import ANCHORS, CROP_SIDE, LANDMARKS, crop, roll, shape, transform


def drawn_face(side: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A face drawn with soft strokes, and its eyes and mouth."""
    yy, xx = np.mgrid[:side, :side].astype(np.float32) / side
    picture = np.full((side, side), 200, np.float32)
    anchors = np.array([(0.4, 0.45), (0.6, 0.45), (0.5, 0.65)], np.float32)
    for x, y in anchors:
        picture -= 150 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * 0.02**2))
    return picture.astype(np.uint8), anchors * side


def test_anchors_land_on_their_places() -> None:
    anchors = np.array([(100, 80), (180, 100), (130, 170)], np.float32)
    turned = transform(anchors)
    landed = anchors @ turned[:, :2].T + turned[:, 2]
    # A similarity cannot fit three points exactly; their mean it must.
    assert landed.mean(axis=0) == pytest.approx(ANCHORS.mean(axis=0) * CROP_SIDE, abs=1e-3)
    ideal = ANCHORS * 200 + 7
    exact = transform(ideal.astype(np.float32))
    assert ideal @ exact[:, :2].T + exact[:, 2] == pytest.approx(ANCHORS * CROP_SIDE, abs=1e-3)


@pytest.mark.parametrize("side", [128, 200, 512, 1600])
def test_dark_eyes_and_mouth_are_where_the_recipe_says(side: int) -> None:
    face, anchors = drawn_face(side)
    # The drawing's proportions are the recipe's, so every anchor lands within a pixel.
    anchors = (ANCHORS - ANCHORS.mean(axis=0)) * side / 2 + side / 2
    face = np.full((side, side), 200, np.uint8)
    for x, y in anchors:
        cv2.circle(face, (round(float(x)), round(float(y))), max(2, side // 40), (0,), -1)
    small = crop(face, anchors.astype(np.float32))
    for x, y in ANCHORS * CROP_SIDE:
        window = 255.0 - small[int(y) - 5 : int(y) + 6, int(x) - 5 : int(x) + 6] - 55
        rows, columns = np.mgrid[-5:6, -5:6]
        centre = (window * columns).sum() / window.sum() + int(x), (window * rows).sum() / window.sum() + int(y)
        assert np.hypot(centre[0] - x, centre[1] - y) < 1.0


def test_a_face_twice_the_size_gives_the_same_crop() -> None:
    small, anchors = drawn_face(256)
    large, large_anchors = drawn_face(1024)
    assert np.abs(crop(small, anchors).astype(int) - crop(large, large_anchors)).mean() < 1.0


def test_a_turned_face_gives_the_same_crop() -> None:
    face, anchors = drawn_face(256)
    turn = cv2.getRotationMatrix2D((127.5, 127.5), 25, 1.0)
    turned = np.asarray(cv2.warpAffine(face, turn, (256, 256), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    turned_anchors = (anchors @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    assert np.abs(crop(face, anchors).astype(int) - crop(turned, turned_anchors)).mean() < 2.0


def test_colour_and_grey_agree() -> None:
    face, anchors = drawn_face(256)
    assert np.array_equal(crop(face, anchors), crop(np.repeat(face[:, :, None], 3, axis=2), anchors))


def test_a_face_beyond_the_edge_is_filled_from_the_edge() -> None:
    face = np.full((40, 40), 90, np.uint8)
    small = crop(face, np.array([(-5, 5), (20, 5), (8, 35)], np.float32))
    assert small.shape == (CROP_SIDE, CROP_SIDE)
    assert (small == 90).all()


@pytest.mark.parametrize("anchors", [[(4, 4)] * 3, [(-2, 1), (2, 1), (0, -2)], [(np.nan, 1), (2, 1), (0, 2)]])
def test_what_no_face_can_be_is_refused(anchors: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="fall together, or"):
        crop(np.zeros((10, 10), np.uint8), np.array(anchors, np.float32))


def test_the_shape_lies_where_the_crop_has_the_face() -> None:
    # The first three landmarks are the anchors themselves, laid on their places whatever the photo's size and angle.
    anchors = np.array([(30, 40), (70, 40), (50, 79)], np.float32)
    landmarks = np.zeros((LANDMARKS, 3), np.float32)
    landmarks[:3, :2] = anchors
    landmarks[3] = (50, 40, -10)
    small = shape(landmarks, anchors)
    assert small[:3, :2] == pytest.approx(ANCHORS, abs=0.02)
    assert small[3, 2] == pytest.approx(-10 * (ANCHORS[1, 0] - ANCHORS[0, 0]) / 40, abs=0.005)
    turn = np.array([(0.6, -0.8), (0.8, 0.6)]) * 3
    turned = landmarks.copy()
    turned[:, :2] = landmarks[:, :2] @ turn.T + (200, 10)
    turned[:, 2] *= 3
    assert shape(turned, turned[:3, :2]) == pytest.approx(small, abs=1e-4)


def test_without_a_mesh_there_is_no_shape() -> None:
    assert np.isnan(shape(None, np.array([(30, 40), (70, 40), (50, 79)], np.float32))).all()


coordinates = st.floats(-5000, 5000, width=32)
points = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=3)


@given(points, st.integers(1, 300), st.integers(1, 300), st.booleans(), st.integers(0, 255), st.integers(0, 255))
def test_any_three_points_give_a_crop_or_fall_together(
    three: list[tuple[float, float]], rows: int, columns: int, coloured: bool, one: int, other: int
) -> None:
    anchors = np.array(three, np.float32)
    pixels = np.full((rows, columns, 3) if coloured else (rows, columns), one, np.uint8)
    pixels[rows // 2 :] = other
    try:
        small = crop(pixels, anchors)
    except ValueError:
        assert np.ptp(anchors, axis=0).max() < 0.01
        return
    assert small.shape == (CROP_SIDE, CROP_SIDE)
    assert min(one, other) - 1 <= small.min() <= small.max() <= max(one, other) + 1  # nothing is made up
    assert -180 <= roll(anchors) <= 180


@given(points, st.floats(-3, 3), st.floats(0.5, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_a_shape_does_not_depend_on_where_how_large_and_how_turned_a_face_is(
    three: list[tuple[float, float]], turn: float, scale: float, x: float, y: float
) -> None:
    anchors = ANCHORS * 100 + np.array(three, np.float32) / 500
    landmarks = np.tile(np.append(anchors, np.ones((3, 1), np.float32), axis=1), (LANDMARKS // 3 + 1, 1))[:LANDMARKS]
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = np.hstack([landmarks[:, :2] @ turned.T + (x, y), scale * landmarks[:, 2:]]).astype(np.float32)
    moved_anchors = (anchors @ turned.T + (x, y)).astype(np.float32)
    assert shape(moved, moved_anchors) == pytest.approx(shape(landmarks, anchors), abs=2e-3)
