"""The squares of a photo that the models look at: geometry and pixels alone.

Boxes are left, top, right, bottom in photo pixels, float32 (4,); points are (x, y), float32 (n, 2); pictures are RGB,
uint8 (rows, columns, 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

DETECTOR_SIDE = 192
"""In a view of so many pixels a side the full-range detector sees faces from 5 % to 95 % of it, the short-range one
from 15 % up (measured on faces pasted at known sizes); on FER2013's tight 48-pixel faces they find 57 % and 99 %."""
PADDING = 0.2
"""The whole photo is padded by this share of its long side on every side: faces cut off by the frame are found too."""
TILE_OVERLAP = 0.3
"""Tiles overlap by the smallest face the whole view is sure to see, so no face is cut by every tile."""
FULL_RANGE_LEAST = 0.1
"""The full-range detector is sure to see faces from this share of its view on, and sees most from half of it."""
_GREY = 128
"""Of what lies outside the photo, or is painted over."""

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """A square of the photo, reduced to what a detector takes.

    Attributes:
        left, top, side: in photo pixels; it may reach over the photo's edges.
        is_tile: it shows a part of the photo only.
        pixels: (DETECTOR_SIDE, DETECTOR_SIDE, 3) RGB.
        quarters: quarter turns, counterclockwise, that `pixels` were given after they were cut out.
    """

    left: int
    top: int
    side: int
    is_tile: bool
    pixels: Pixels
    quarters: int = 0

    def turned(self, quarters: int) -> View:
        """Return the view turned counterclockwise by so many quarters."""
        return replace(self, pixels=np.rot90(self.pixels, quarters), quarters=self.quarters + quarters)

    def without(self, boxes: Sequence[Points]) -> View:
        """Return the view with these boxes painted over."""
        scale = self.pixels.shape[0] / self.side
        pixels = self.pixels.copy()
        for box in boxes:
            place = (box - np.array([self.left, self.top] * 2, np.float32)) * scale
            left, top, right, bottom = place.round().clip(0, pixels.shape[0]).astype(int).tolist()
            pixels[top:bottom, left:right] = _GREY
        return replace(self, pixels=pixels)

    def upright(self, points: Points) -> Points:
        """Return points, in shares of the view's side, where they were before it was turned."""
        return unturned(points - 0.5, self.quarters) + 0.5 if self.quarters else points

    def in_photo(self, points: Points) -> Points:
        """Return points, in shares of the side of the view before it was turned, in photo pixels."""
        return points * self.side + np.array([self.left, self.top], np.float32)


def square_view(pixels: Pixels, left: int, top: int, side: int) -> View:
    """Return the view of the square that starts at (left, top), in photo pixels."""
    reduced = cut_square(pixels, left, top, side, DETECTOR_SIDE)
    return View(left, top, side, side < max(pixels.shape[:2]), reduced)


def whole_view(pixels: Pixels, padding: float = PADDING) -> View:
    """Return the view of a whole photo, padded by this share of its long side on every side."""
    rows, columns = pixels.shape[:2]
    side = round(max(rows, columns) * (1 + 2 * padding))
    return square_view(pixels, (columns - side) // 2, (rows - side) // 2, side)


def tile_views(pixels: Pixels, smallest: float, share: float, least: int) -> list[View]:
    """Return the tiles that show faces from `smallest` on, a share of the photo's long side; see `tiles`."""
    rows, columns = pixels.shape[:2]
    wanted = min(max(share, smallest / FULL_RANGE_LEAST), 1.0)
    return [square_view(pixels, *tile) for tile in tiles(columns, rows, wanted, least)]


def tiles(width: int, height: int, share: float, least: int) -> list[tuple[int, int, int]]:
    """Return overlapping squares (left, top, side) over a photo, row by row; none where one would be the whole photo.

    Args:
        width: of the photo, in pixels.
        height: likewise.
        share: of the photo's long side that a tile's side takes.
        least: that side in pixels, at least.
    """
    tile = max(least, round(share * max(width, height)))
    if tile > max(width, height):
        return []
    return [(left, top, tile) for top, left in product(_starts(height, tile), _starts(width, tile))]


def _starts(length: int, tile: int) -> list[int]:
    """Return where tiles begin along one side so that neighbours overlap by at least TILE_OVERLAP of a tile."""
    if length <= tile:
        return [(length - tile) // 2]
    count = math.ceil((length - tile) / (tile * (1 - TILE_OVERLAP))) + 1
    return [round(start) for start in np.linspace(0, length - tile, count)]


def square_around(box: Points) -> tuple[int, int, int]:
    """Return the square (left, top, side) with the box in its middle and twice its size."""
    side = max(2, round(2 * float((box[2:] - box[:2]).max())))
    left, top = ((box[:2] + box[2:]) / 2 - side / 2).round().astype(int).tolist()
    return left, top, side


def cut_square(pixels: Pixels, left: int, top: int, side: int, size: int) -> Pixels:
    """Return a square of a photo as (size, size, 3), averaging when it shrinks; grey where it leaves the photo.

    Args:
        pixels: the photo.
        left: of the square, in photo pixels; it may lie outside, wholly too.
        top: likewise.
        side: likewise, 1 or more.
        size: of the result.
    """
    rows, columns = pixels.shape[:2]
    x0, x1 = np.clip((left, left + side), 0, columns)
    y0, y1 = np.clip((top, top + side), 0, rows)
    view = np.full((size, size, 3), _GREY, np.uint8)
    # Where the photo's part lies in the view; at least one pixel, so that a sliver of a photo still resizes.
    u0, u1 = ((x0 - left) * size // side, max((x0 - left) * size // side + 1, (x1 - left) * size // side))
    v0, v1 = ((y0 - top) * size // side, max((y0 - top) * size // side + 1, (y1 - top) * size // side))
    if x1 > x0 and y1 > y0:
        view[v0:v1, u0:u1] = _resized(pixels[y0:y1, x0:x1], u1 - u0, v1 - v0)
    return view


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return the picture halved as often as it goes, each pixel the mean of four, then resized bilinearly.

    So no pixel is passed over, in a fifth of the time that averaging by a broken factor takes. An odd last row or
    column is dropped, which moves nothing by more than a pixel of the result.
    """
    columns, rows = pixels.shape[1] // 2, pixels.shape[0] // 2
    while columns >= width and rows >= height:
        half = cv2.resize(pixels[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)
        pixels, columns, rows = np.asarray(half, np.uint8), columns // 2, rows // 2
    return np.asarray(cv2.resize(pixels, (width, height)), np.uint8)


def levelled(pixels: Pixels) -> Pixels:
    """Return the picture with its greys stretched over the whole range and, when it is dark, its middle raised."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    low, middle, high = np.percentile(grey, (1, 50, 99))
    reach = max(float(high - low), 8.0)
    typical = float(np.clip((middle - low) / reach, 0.02, 0.4))
    power = math.log(0.45) / math.log(typical) if typical < 0.4 else 1.0
    curve = np.clip((np.arange(256) - low) / reach, 0, 1) ** power * 255
    return np.asarray(cv2.LUT(pixels, curve.astype(np.uint8)), np.uint8)


def smoothed(pixels: Pixels, share: float) -> Pixels:
    """Return the picture blurred by a Gaussian whose deviation is a share of its long side."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), share * max(pixels.shape[:2])), np.uint8)


def without_dark_spots(pixels: Pixels, share: float) -> Pixels:
    """Return the picture with dark spots up to a share of its long side filled (morphological closing)."""
    across = round(share * max(pixels.shape[:2])) | 1
    spot = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))
    return np.asarray(cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, spot), np.uint8)


def box_of(landmarks: Points) -> Points:
    """Return the box around landmarks, (n, 2) or (n, 3)."""
    flat = landmarks[:, :2]
    return np.concatenate([flat.min(axis=0), flat.max(axis=0)])


def clipped(box: Points, pixels: Pixels) -> Points:
    """Return the part of a box that lies in the photo."""
    rows, columns = pixels.shape[:2]
    return np.asarray(np.clip(box, 0, (columns, rows, columns, rows)), np.float32)


def relative_size(box: Points, pixels: Pixels) -> float:
    """Return the longer side of a box as a share of the photo's."""
    return float((box[2:] - box[:2]).max() / max(pixels.shape[:2]))


def overlap(one: Points, other: Points) -> float:
    """Return the area that two boxes share, as a share of the smaller one's, 0 to 1."""
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    if width <= 0 or height <= 0:
        return 0.0
    return float(width * height / min(np.prod(one[2:] - one[:2]), np.prod(other[2:] - other[:2])))


def unturned(points: Points, quarters: int) -> Points:
    """Return (x, y) points, (n, 2), turned clockwise around the origin by so many quarters."""
    for _ in range(quarters):
        points = np.stack([-points[:, 1], points[:, 0]], axis=1)
    return points


def turned_back(points: Points, quarters: int, pixels: Pixels) -> Points:
    """Return points, (n, 2) or (n, 3), of a photo turned counterclockwise by 1 to 3 quarters, in that photo as it was.

    Args:
        points: (x, y) or (x, y, z) in pixels of the turned photo; z stays.
        quarters: 1, 2 or 3.
        pixels: the photo as it was.
    """
    rows, columns = pixels.shape[:2]
    size = np.array((columns, rows), np.float32)
    shift = {1: size * (1, 0), 2: size, 3: size * (0, 1)}[quarters]
    turned = points.copy()
    turned[:, :2] = unturned(points[:, :2], quarters) + shift
    return turned


def mesh_distance(one: Points, other: Points) -> float:
    """Return the root mean square distance of two meshes' landmarks, (n, 3), in widths of the wider one."""
    apart = np.square(one[:, :2] - other[:, :2]).sum(axis=1).mean()
    return float(np.sqrt(apart) / max(1e-6, np.ptp(one[:, 0]), np.ptp(other[:, 0])))
