"""How open an eye looks in the pixels: a second witness beside the landmarks.

The mesh under-reports closed lids, and shadows or glasses lead it astray. So each eye is levelled, described by
histograms of oriented gradients (Dalal & Triggs 2005) and judged by a linear rule. The rule learned from FER2013's
training pictures without anybody's labels: pairs of eyes that the landmarks call clearly open or clearly closed, both
alike, taught it (`python -m training eyes`). It is asked about one eye at a time, where the two differ.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.crops import warp

WEIGHTS = Path(__file__).parent / "weights" / "eyes.npy"
# A patch of 24 x 16 pixels, the corners of the eye 16 apart in its middle.
WIDTH, HEIGHT, EYE = 24, 16, 16
CELL, DIRECTIONS = 4, 8
BINS = HEIGHT // CELL * (WIDTH // CELL) * DIRECTIONS
# (corner on the picture's left, corner on its right) of the person's right eye, then of the left.
CORNERS = ((33, 133), (362, 263))

Patch = NDArray[np.uint8]

# Of every pixel: where the bins of its cell begin.
_ROWS, _COLUMNS = np.mgrid[:HEIGHT, :WIDTH] // CELL
_FIRST_BIN = (_ROWS * (WIDTH // CELL) + _COLUMNS) * DIRECTIONS


def openness(pixels: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> tuple[float, float]:
    """Return how open the person's right and left eye look: log-odds, above 0 open, below 0 closed.

    Args:
        pixels: the photo, (rows, columns, 3) RGB or (rows, columns) grey, uint8.
        landmarks: (478, 3) in its pixels.

    Raises:
        ValueError: the corners of an eye fall together.
    """
    right, left = (describe(patch) for patch in patches(pixels, landmarks))
    weights, bias = _rule()
    return float(right @ weights + bias), float(left @ weights + bias)


def patches(pixels: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> tuple[Patch, Patch]:
    """Return both eyes, level, grey, (HEIGHT, WIDTH); the left one mirrored, so that noses are on the right.

    Raises:
        ValueError: the corners of an eye fall together.
    """
    right, left = (_patch(pixels, landmarks[list(corners), :2].astype(np.float64)) for corners in CORNERS)
    return right, np.ascontiguousarray(left[:, ::-1])


def _patch(pixels: NDArray[np.uint8], corners: NDArray[np.float64]) -> Patch:
    along = corners[1] - corners[0]
    length = float(np.hypot(*along))
    if length < 1e-3:
        raise ValueError("the corners of an eye fall together")
    x, y = along / length * (EYE / length)
    linear = np.array([[x, y], [-y, x]])
    offset = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]) - linear @ corners.mean(axis=0)
    return warp(pixels, np.hstack([linear, offset[:, None]]), WIDTH, HEIGHT)


def describe(patch: Patch) -> NDArray[np.float32]:
    """Return the histograms of one patch: 4 x 6 cells of 8 directions, square roots, float32 (192,)."""
    grey = cv2.GaussianBlur(patch, (0, 0), 0.6).astype(np.float32)
    grey = (grey - grey.mean()) / (grey.std() + 4)
    down = np.diff(grey, axis=0, append=grey[-1:])
    across = np.diff(grey, axis=1, append=grey[:, -1:])
    strength = np.hypot(across, down)
    direction = (np.arctan2(down, across) / (2 * np.pi) % 1.0) * DIRECTIONS
    lower = np.floor(direction).astype(np.intp)
    share = direction - lower
    places = np.concatenate([_FIRST_BIN + lower % DIRECTIONS, _FIRST_BIN + (lower + 1) % DIRECTIONS])
    weight = np.concatenate([strength * (1 - share), strength * share])
    histogram = np.bincount(places.ravel(), weight.ravel(), BINS) / CELL**2
    return np.asarray(np.sqrt(histogram), np.float32)


@cache
def _rule() -> tuple[NDArray[np.float32], float]:
    stored = np.load(WEIGHTS, allow_pickle=False)
    return stored[:-1], float(stored[-1])
