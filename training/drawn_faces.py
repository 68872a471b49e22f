"""The mean face moved by hand, one cue at a time: for the drawing in the documents, and for tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from inference.head import Points, mean_face

# Contours of MediaPipe's canonical face model, in drawing order; the person's right side first.
LIDS = (
    ((246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155)),
    ((466, 388, 387, 386, 385, 384, 398), (249, 390, 373, 374, 380, 381, 382)),
)
CORNERS = ((33, 133), (263, 362))
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
UPPER_LIP = (185, 40, 39, 37, 0, 267, 269, 270, 409), (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375), (95, 88, 178, 87, 14, 317, 402, 318, 324)
MOUTH = (61, 291, 78, 308)
CHEEKS = (50, 280)
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
NOSE = (168, 6, 197, 195, 5, 4), (98, 97, 2, 326, 327)

# Where a mask ends: over the nose, along the jaw.
MASK = (5, 280, 361, 397, 378, 152, 149, 172, 132, 50)

RIGHT, LEFT = 0, 1
Face = Points


def opened(face: Face, side: int, share: float) -> Face:
    """Set the height of an eye to a share of the mean face's."""
    upper, lower = (list(points) for points in LIDS[side])
    middle = (face[upper] + face[lower]) / 2
    half = (face[upper] - face[lower]) / 2 * share
    face[upper], face[lower] = middle + half, middle - half
    return face


def _moved(face: Face, points: Sequence[int], right: float = 0, down: float = 0) -> Face:
    face[list(points), :2] += (right, down)
    return face


def _widened(face: Face, out: float, up: float, sides: Sequence[int] = (RIGHT, LEFT)) -> Face:
    """Move the corners of the mouth outwards and upwards; what lies between follows by its distance from the middle."""
    points = np.array([*MOUTH, *UPPER_LIP[0], *UPPER_LIP[1], *LOWER_LIP[0], *LOWER_LIP[1]])
    share = face[points, 0] / abs(face[MOUTH[0], 0])
    chosen = (share < 0) == (sides[0] == RIGHT) if len(sides) == 1 else np.ones(len(points), bool)
    face[points, 0] += out * share * chosen
    face[points, 1] -= up * np.abs(share) ** 2 * chosen
    return face


def _parted(face: Face, gap: float) -> Face:
    """Part the lips; the corners stay."""
    points = np.array([*LOWER_LIP[0], *LOWER_LIP[1]])
    face[points, 1] += gap * (1 - (face[points, 0] / abs(face[MOUTH[0], 0])) ** 2)
    jaw = np.array(OVAL)
    face[jaw, 1] += gap * 0.6 * np.clip(face[jaw, 1] - 0.6, 0, 1) / 1.2
    return face


def _thick(face: Face, share: float) -> Face:
    for outer, inner in (UPPER_LIP, LOWER_LIP):
        face[list(outer)] = face[list(inner)] + share * (face[list(outer)] - face[list(inner)])
    return face


def _looking(face: Face, right: float, down: float) -> Face:
    for iris in IRISES:
        _moved(face, iris, right, down)
    return face


def _both(change: Callable[[Face, int], Face]) -> Callable[[Face], Face]:
    return lambda face: change(change(face, RIGHT), LEFT)


def turned(face: Face, yaw: float = 0, roll: float = 0) -> Face:
    """Turn the head; degrees, as `inference.head.Head` counts them."""
    y, r = math.radians(yaw), math.radians(roll)
    about_y = np.array([[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(r), math.sin(r), 0], [-math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return np.asarray(face @ about_y @ about_z, np.float64)


def _closed(face: Face) -> Face:
    return _both(lambda one, side: opened(one, side, 0.2))(face)


def _knit(face: Face, down: float) -> Face:
    return _moved(face, (*BROWS[RIGHT], *BROWS[LEFT]), down=down)


SHOWN: dict[str, Callable[[Face], Face]] = {
    "wink_left": lambda face: opened(face, LEFT, 0.25),
    "wink_right": lambda face: opened(face, RIGHT, 0.25),
    "eyes_closed": _closed,
    "eyes_squeezed": lambda face: _moved(_knit(_closed(face), 0.1), CHEEKS, down=-0.06),
    "eyes_wide": _both(lambda face, side: opened(face, side, 1.5)),
    "mouth_open": lambda face: _parted(face, 0.2),
    "mouth_wide_open": lambda face: _parted(face, 0.6),
    "smile_closed": lambda face: _widened(face, 0.08, 0.08),
    "smile_open": lambda face: _parted(_widened(face, 0.1, 0.1), 0.15),
    "smirk": lambda face: _widened(face, 0.06, 0.13, (LEFT,)),
    "pout": lambda face: _thick(_widened(face, -0.12, 0), 1.15),
    "lips_pressed": lambda face: _thick(face, 0.5),
    "brows_raised": lambda face: _knit(face, -0.15),
    "brow_raised": lambda face: _moved(face, BROWS[LEFT], down=-0.14),
    "brows_lowered": lambda face: _knit(face, 0.15),
    "head_tilted": lambda face: turned(face, roll=20),
    "head_turned": lambda face: turned(face, yaw=34),
    "looking_up": lambda face: _looking(face, 0, -0.055),
    "looking_aside": lambda face: _looking(face, 0.1, 0),
    "eyes_covered": lambda face: face,
    "mouth_covered": lambda face: face,
}
"""What to do to the mean face for each cue."""


def showing(cue: str | None = None) -> Face:
    """Return the mean face, float64 (478, 3) as `inference.head.Head.points`, moved until it shows a cue."""
    face = mean_face().copy()
    return SHOWN[cue](face) if cue else face


CELL, COLUMNS, UNIT = 150, 7, 40.0


def draw(out: Path) -> None:
    """Write one small SVG with a face for every cue and its name below it."""
    rows = math.ceil(len(SHOWN) / COLUMNS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * CELL} {rows * CELL}" '
        'font-family="sans-serif" font-size="12" text-anchor="middle" fill="none" stroke="#333" stroke-width="1.5" '
        'stroke-linejoin="round" stroke-linecap="round">',
        f'<rect width="{COLUMNS * CELL}" height="{rows * CELL}" fill="#fff" stroke="none"/>',
    ]
    for index, cue in enumerate(SHOWN):
        x, y = (index % COLUMNS + 0.5) * CELL, (index // COLUMNS + 0.37) * CELL
        lines.append(f'<g transform="translate({x:.0f} {y:.0f})">{_face(showing(cue), cue)}')
        lines.append(f'<text y="{CELL * 0.58:.0f}" fill="#333" stroke="none">{cue}</text></g>')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join([*lines, "</svg>"]) + "\n", "utf-8")


def _face(face: Face, cue: str) -> str:
    # The outline of what we see, from wherever we see it.
    outline = cv2.convexHull(face[:, :2].astype(np.float32), returnPoints=False)
    shapes = [_line(face, outline.ravel().tolist(), "#fde7c8")]
    shapes += [_line(face, brow, "#333") for brow in BROWS]
    for (upper, lower), (outer, inner), iris in zip(LIDS, CORNERS, IRISES, strict=True):
        eye = (outer, *upper, inner, *lower[::-1])
        if cue == "eyes_covered":
            shapes.append(_lens(face, eye))
            continue
        shapes.append(_line(face, eye, "#fff"))
        height = float(np.ptp(face[list(eye), 1]))
        if height > 0.08:
            x, y = face[iris[0], :2] * UNIT
            shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{min(0.1, height / 2) * UNIT:.1f}" fill="#333"/>')
    shapes += [_line(face, line, None) for line in NOSE]
    right, left, inner_right, inner_left = MOUTH
    shapes += [
        _line(face, (right, *outer, left, inner_left, *inner[::-1], inner_right), "#d88")
        for outer, inner in (UPPER_LIP, LOWER_LIP)
    ]
    if cue == "mouth_covered":
        shapes.append(_line(face, MASK, "#9cd"))
    return "".join(shapes)


def _lens(face: Face, eye: Sequence[int]) -> str:
    x, y = face[list(eye), :2].mean(axis=0) * UNIT
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{0.36 * UNIT:.1f}" ry="{0.26 * UNIT:.1f}" fill="#333"/>'


def _line(face: Face, points: Sequence[int], fill: str | None) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in face[list(points), :2] * UNIT)
    return f'<polygon points="{places}" fill="{fill}"/>' if fill else f'<polyline points="{places}"/>'
