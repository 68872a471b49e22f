"""The one crop recipe: a face in a photo -> a small, upright, grey picture and the shape of the face in it.

Training uses it too.

A similarity transform (Umeyama 1991) lays the centres of both eyes and of the mouth as near as possible on fixed
places. Those are about where FER2013's own faces have them, so its 48-pixel pictures keep their framing and a user's
photo gets it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

CROP_SIDE = 64
"""Side of a crop in pixels."""

LANDMARKS = 478
"""Points of MediaPipe's face mesh, irises included."""

# (x, y) of the left eye, the right eye and the mouth, as shares of the crop's side.
ANCHORS = np.array([(0.305, 0.375), (0.695, 0.375), (0.5, 0.765)], np.float32)

# Face Mesh indices (MediaPipe's canonical face model) around the left eye, the right eye and the mouth, whose two
# corners count twice; left and right are the picture's, not the person's.
_AROUND = np.array([(33, 133, 159, 145), (362, 263, 386, 374), (61, 291, 61, 291)])

_PLACES = [CROP_SIDE * complex(x, y) for x, y in ANCHORS.tolist()]
_TARGET_MEAN = sum(_PLACES) / len(_PLACES)
_TARGET = [place - _TARGET_MEAN for place in _PLACES]

SPEC = {"side": CROP_SIDE, "channels": "grey", "anchors": ANCHORS.round(4).tolist(), "border": "replicate"}
"""What a checkpoint records, so that weights never meet crops of another recipe."""


def anchors_of(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the centres of the eye on the left, the eye on the right and the mouth, (3, 2), of a (478, 3) mesh."""
    return np.asarray(landmarks[_AROUND, :2].mean(axis=1), np.float32)


def transform(anchors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (2, 3) similarity that takes photo pixels to crop pixels.

    Args:
        anchors: (3, 2) photo pixels of the left eye, the right eye and the mouth.

    Raises:
        ValueError: the three points fall together.
    """
    # In the plane a similarity is one complex number: least squares has a closed form without reflections.
    source = [complex(x, y) for x, y in anchors.tolist()]
    mean = sum(source) / len(source)
    spread = sum(abs(point - mean) ** 2 for point in source)
    along = sum((point - mean).conjugate() * target for point, target in zip(source, _TARGET, strict=True))
    if not (spread >= 1e-6 and along):
        raise ValueError("the eyes and the mouth fall together, or lie as no face's do")
    turn = along / spread
    shift = _TARGET_MEAN - turn * mean
    return np.array([(turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag)])


def roll(anchors: NDArray[np.float32]) -> float:
    """Return how far a head is tilted in the picture, degrees clockwise, -180 to 180: what the crop turns back.

    Eyes and mouth together, because the eyes alone fall together in a profile.

    Raises:
        ValueError: the three points fall together.
    """
    matrix = transform(anchors)
    return math.degrees(math.atan2(-matrix[1, 0], matrix[0, 0]))


def crop(pixels: NDArray[np.uint8], anchors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the aligned grey crop, (CROP_SIDE, CROP_SIDE) uint8.

    Args:
        pixels: (rows, columns, 3) RGB or (rows, columns) grey, uint8.
        anchors: (3, 2) photo pixels of the left eye, the right eye and the mouth.

    Raises:
        ValueError: the three points fall together.
    """
    return warp(pixels, transform(anchors), CROP_SIDE, CROP_SIDE)


def warp(pixels: NDArray[np.uint8], matrix: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """Return the grey view of a photo that a similarity gives, (height, width) uint8, averaging when it shrinks.

    Args:
        pixels: (rows, columns, 3) RGB or (rows, columns) grey, uint8.
        matrix: (2, 3), takes photo pixels to the view's.
        width: of the view in pixels.
        height: likewise.
    """
    matrix = matrix.copy()
    (across, _, x), (down, _, y) = matrix.tolist()
    turn, shift = complex(across, down), complex(x, y)
    scale = abs(turn)
    # Only the surroundings of the view are converted and reduced, not the photo.
    reach = [(complex(u, v) - shift) / turn for u in (-4, width + 4) for v in (-4, height + 4)]
    rows, columns = pixels.shape[:2]
    left, right = _within([point.real for point in reach], columns)
    top, bottom = _within([point.imag for point in reach], rows)
    part = pixels[top:bottom, left:right]
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.ndim == 3 else part
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    if scale < 1:
        # Averaging first keeps fine texture from turning into noise (aliasing) in the small crop.
        small = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        shrink = np.array([grey.shape[1], grey.shape[0]]) / small
        grey = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
        # Pixel centres: x_full = (x_small + 0.5) * shrink - 0.5.
        matrix[:, 2] += matrix[:, :2] @ (shrink / 2 - 0.5)
        matrix[:, :2] *= shrink
    return np.asarray(
        cv2.warpAffine(grey, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _within(places: list[float], length: int) -> tuple[int, int]:
    """Return the pixels from the first to the last place along a side of the photo: one at least, and none outside."""
    first = min(max(math.floor(min(places)), 0), length - 1)
    return first, min(max(math.ceil(max(places)), first + 1), length)


def shape(landmarks: NDArray[np.float32] | None, anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the landmarks where the crop has them, (LANDMARKS, 3) float32 in shares of the crop's side.

    x and y are about 0 to 1, z grows away from the camera; all NaN when there is no mesh.

    Args:
        landmarks: (LANDMARKS, 3) in photo pixels, or None.
        anchors: (3, 2) photo pixels of the left eye, the right eye and the mouth.

    Raises:
        ValueError: the three anchors fall together.
    """
    if landmarks is None:
        return np.full((LANDMARKS, 3), np.nan, np.float32)
    matrix = transform(anchors)
    flat = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    depth = landmarks[:, 2:] * np.hypot(matrix[0, 0], matrix[1, 0])
    return np.asarray(np.hstack([flat, depth]) / CROP_SIDE, np.float32)
