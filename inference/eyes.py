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

Patches = NDArray[np.uint8]
"""(n, HEIGHT, WIDTH)."""

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
    weights, bias = _rule()
    right, left = (describe(patches(pixels, landmarks)) @ weights + bias).tolist()
    return right, left


def patches(pixels: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Patches:
    """Return the right and the left eye, level and grey, (2, HEIGHT, WIDTH); the left one mirrored: the nose is right.

    Args:
        pixels: the photo, (rows, columns, 3) RGB or (rows, columns) grey, uint8.
        landmarks: (478, 3) in its pixels.

    Raises:
        ValueError: the corners of an eye fall together.
    """
    right, left = (_patch(pixels, landmarks[list(corners), :2].astype(np.float64)) for corners in CORNERS)
    return np.stack([right, left[:, ::-1]])


def _patch(pixels: NDArray[np.uint8], corners: NDArray[np.float64]) -> NDArray[np.uint8]:
    along = corners[1] - corners[0]
    length = float(np.hypot(*along))
    if length < 1e-3:
        raise ValueError("the corners of an eye fall together")
    x, y = along / length * (EYE / length)
    linear = np.array([[x, y], [-y, x]])
    offset = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]) - linear @ corners.mean(axis=0)
    return warp(pixels, np.hstack([linear, offset[:, None]]), WIDTH, HEIGHT)


def describe(patches: Patches) -> NDArray[np.float32]:
    """Return the histograms of each patch: 4 x 6 cells of 8 directions, square roots, float32 (n, 192)."""
    count = len(patches)
    grey = np.stack([cv2.GaussianBlur(patch, (0, 0), 0.6) for patch in patches]).astype(np.float32)
    mean, deviation = grey.mean(axis=(1, 2), keepdims=True), grey.std(axis=(1, 2), keepdims=True)
    grey = (grey - mean) / (deviation + 4)
    # To the neighbour below and on the right; beyond the edge all is as at the edge.
    down, across = np.zeros_like(grey), np.zeros_like(grey)
    np.subtract(grey[:, 1:], grey[:, :-1], out=down[:, :-1])
    np.subtract(grey[:, :, 1:], grey[:, :, :-1], out=across[:, :, :-1])
    strength = np.hypot(across, down)
    direction = (np.arctan2(down, across) / (2 * np.pi) % 1.0) * DIRECTIONS
    lower = direction.astype(np.intp)
    share = direction - lower
    first = _FIRST_BIN + np.arange(0, count * BINS, BINS)[:, None, None]
    places = np.concatenate([first + lower % DIRECTIONS, first + (lower + 1) % DIRECTIONS])
    weight = np.concatenate([strength * (1 - share), strength * share])
    histogram = np.bincount(places.ravel(), weight.ravel(), count * BINS) / CELL**2
    return np.asarray(np.sqrt(histogram.reshape(count, BINS)), np.float32)


@cache
def _rule() -> tuple[NDArray[np.float32], float]:
    stored = np.load(WEIGHTS, allow_pickle=False)
    return stored[:-1], float(stored[-1])
