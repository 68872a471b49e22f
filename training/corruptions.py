"""What spoils a photo of a face: light, lens, sensor, compression, framing, and what people wear.

Each one takes a clean photo with the landmarks of its face and gives the spoilt photo; the whole pipeline reads that.
Lengths are measured on the face, so that a strength means the same in a large photo and in a small one.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.drawn_faces import OVAL

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[float, float, float]

STRENGTHS = ("mild", "middle", "strong")

# Face Mesh indices (MediaPipe's canonical face model); left and right are the picture's.
_JAW = OVAL[8:29]  # from the right ear over the chin to the left one
_LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
_RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
_INNER_MOUTH = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
_CHEEKS = (50, 280, 205, 425)
_LEFT_TEMPLE, _RIGHT_TEMPLE, _FOREHEAD, _CHIN = 127, 356, 10, 152
# How high a mask is worn: where its edge meets the left cheek, the nose and the right cheek.
_MASK_EDGES = ((132, 205, 2, 425, 361), (93, 50, 195, 280, 323), (234, 117, 6, 346, 454))


@dataclass(frozen=True, slots=True)
class Scene:
    """A clean photo and its main face.

    Attributes:
        pixels: (rows, columns, 3) uint8 RGB, upright.
        marks: (LANDMARKS, 2) landmarks in pixels.
    """

    pixels: Picture
    marks: Points

    @property
    def width(self) -> float:
        """Of the face, in pixels."""
        return float(np.ptp(self.marks[:, 0]))


Spoil = Callable[[Scene, float, np.random.Generator], Picture]


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way to spoil a photo, at three strengths.

    Attributes:
        name: what people call it.
        amounts: what `STRENGTHS` mean.
        meaning: of the amounts, with their unit.
    """

    name: str
    amounts: tuple[float, float, float]
    meaning: str
    spoil: Spoil

    def __call__(self, scene: Scene, strength: int, seed: int) -> Picture:
        """Return the spoilt photo, a new array; one seed takes the same chances at every strength.

        Args:
            scene: the clean photo; it is left as it is.
            strength: index into `STRENGTHS`.
            seed: 0 or more.
        """
        chance = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        return np.ascontiguousarray(self.spoil(scene, self.amounts[strength], chance))


def _rotate(scene: Scene, degrees: float, chance: np.random.Generator) -> Picture:
    """Turn the whole photo, either way; the frame grows, and its corners repeat the photo's edge."""
    rows, columns = scene.pixels.shape[:2]
    turn = np.asarray(cv2.getRotationMatrix2D((columns / 2, rows / 2), degrees * _either(chance), 1.0), np.float64)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    width, height = math.ceil(columns * cosine + rows * sine), math.ceil(columns * sine + rows * cosine)
    turn[:, 2] += ((width - columns) / 2, (height - rows) / 2)
    return _u8(cv2.warpAffine(scene.pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE))


def _darken(scene: Scene, stops: float, chance: np.random.Generator) -> Picture:
    """Less light, and the noise of a sensor that is short of it: 2 grey levels a stop."""
    return _add_noise(_expose(scene.pixels, -stops), 2 * stops, scene.width, chance)


def _over_expose(scene: Scene, stops: float, _: np.random.Generator) -> Picture:
    return _expose(scene.pixels, stops)


def _one_sided(scene: Scene, stops: float, chance: np.random.Generator) -> Picture:
    """Light from the left or the right: the other side of the face falls off smoothly."""
    columns = np.arange(scene.pixels.shape[1])
    middle = (scene.marks[:, 0].min() + scene.marks[:, 0].max()) / 2
    shade = np.clip(0.5 + _either(chance) * (columns - middle) / scene.width, 0, 1)
    shade = shade * shade * (3 - 2 * shade)
    return _u8(scene.pixels * (2.0 ** (-stops * shade / _GAMMA))[None, :, None])


def _blur(scene: Scene, share: float, _: np.random.Generator) -> Picture:
    return _u8(cv2.GaussianBlur(scene.pixels, (0, 0), max(0.3, share * scene.width)))


def _noise(scene: Scene, deviation: float, chance: np.random.Generator) -> Picture:
    return _add_noise(scene.pixels, deviation, scene.width, chance)


def _compress(scene: Scene, quality: float, _: np.random.Generator) -> Picture:
    written, data = cv2.imencode(".jpg", scene.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if written else None
    if picture is None:
        raise ValueError(f"no JPEG can be made of {scene.pixels.shape} pixels")
    return _u8(picture[..., ::-1])


def _shrink(scene: Scene, width: float, _: np.random.Generator) -> Picture:
    """Reduce the photo until the face is so wide; a smaller one is left as it is."""
    scale = min(1.0, width / scene.width)
    rows, columns = (max(1, round(side * scale)) for side in scene.pixels.shape[:2])
    return _u8(cv2.resize(scene.pixels, (columns, rows), interpolation=cv2.INTER_AREA))


def _shift(scene: Scene, share: float, chance: np.random.Generator) -> Picture:
    """Frame the photo so that one edge, any of the four, cuts so much off the face."""
    rows, columns = scene.pixels.shape[:2]
    (left, top), (right, bottom) = scene.marks.min(axis=0), scene.marks.max(axis=0)
    across, down = share * (right - left), share * (bottom - top)
    frames = (
        (left + across, 0, columns, rows),
        (0, top + down, columns, rows),
        (0, 0, right - across, rows),
        (0, 0, columns, bottom - down),
    )
    x0, y0, x1, y1 = frames[chance.integers(4)]
    x0, y0 = max(0, round(x0)), max(0, round(y0))
    return scene.pixels[y0 : max(y0 + 1, min(rows, round(y1))), x0 : max(x0 + 1, min(columns, round(x1)))]


def _drain(scene: Scene, share: float, _: np.random.Generator) -> Picture:
    """Take the colour out; beyond 1, as film blind to red saw."""
    grey = scene.pixels @ np.array((0.299, 0.587, 0.114))
    blue = scene.pixels @ np.array((0.0, 0.3, 0.7))
    to = grey if share <= 1 else grey + (blue - grey) * (share - 1)
    return _u8(scene.pixels + (to[..., None] - scene.pixels) * min(share, 1))


def _cast(*stops: float) -> Spoil:
    """Return the light of a lamp that is so many stops brighter or darker in red, green and blue."""

    def spoil(scene: Scene, strength: float, _: np.random.Generator) -> Picture:
        return np.stack(
            [_expose(scene.pixels[..., channel], by * strength) for channel, by in enumerate(stops)], axis=-1
        )

    return spoil


def _recolour_skin(scene: Scene, gamma: float, _: np.random.Generator) -> Picture:
    """Bend the tone curve of the skin alone: the face without eyes and open mouth, and what has its colour near it."""
    table = _curve(lambda light: light**gamma if gamma > 1 else 1 - (1 - light) ** (1 / gamma))
    changed = cv2.LUT(scene.pixels, table)
    skin = _filled(scene, OVAL)
    (left, top), (right, bottom) = scene.marks.min(axis=0), scene.marks.max(axis=0)
    chroma = cv2.cvtColor(scene.pixels, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32)
    usual = np.median(chroma[skin > 0.5], axis=0) if (skin > 0.5).any() else np.full(2, 128.0)
    if np.abs(usual - 128).max() > 6:  # in a grey photo everything has the skin's colour
        rows, columns = np.indices(skin.shape)
        away = np.hypot((columns - (left + right) / 2) / scene.width, (rows - (top + bottom) / 2) / (bottom - top))
        like = np.exp(-np.square((chroma - usual) / 7).sum(axis=2)) * np.clip(3 - 2 * away, 0, 1)
        skin = np.maximum(skin, like)
    for part in (_LEFT_EYE, _RIGHT_EYE, _INNER_MOUTH):
        skin = skin * (1 - _filled(scene, part))
    share = cv2.GaussianBlur(skin.astype(np.float32), (0, 0), max(0.5, 0.01 * scene.width))[..., None]
    return _u8(scene.pixels + (changed - scene.pixels.astype(np.float32)) * share)


def _glasses(scene: Scene, thickness: float, chance: np.random.Generator) -> Picture:
    """Clear glasses with a rim so thick, in eye distances, and a reflection that grows with it."""
    canvas, frame = scene.pixels.copy(), _Frame.of(scene.marks)
    rim: Colour = ((25, 22, 22), (70, 45, 30), (110, 110, 115))[chance.integers(3)]
    for lens, centre in frame.lenses(scene.marks, 0.40, 0.31):
        _fill(canvas, lens, (235, 240, 245), 0.05 + thickness)
        band = centre + (lens - centre) @ np.array(((0.35, 0.0), (0.0, 0.85))) + frame.across * 0.08 * frame.eyes
        _fill(canvas, band, (255, 255, 255), 2.5 * thickness, soft=0.05 * frame.eyes)
    frame.draw_rims(canvas, scene.marks, 0.40, 0.31, rim, thickness)
    return _as_grey_as(scene, canvas)


def _sunglasses(scene: Scene, opacity: float, chance: np.random.Generator) -> Picture:
    canvas, frame = scene.pixels.copy(), _Frame.of(scene.marks)
    tint: Colour = ((14, 14, 18), (40, 28, 16), (20, 30, 24))[chance.integers(3)]
    for lens, centre in frame.lenses(scene.marks, 0.45, 0.37):
        _fill(canvas, lens, tint, opacity)
        upper = centre + (lens - centre) * 0.6 - frame.down * 0.14 * frame.eyes
        _fill(canvas, upper, (150, 160, 175), 0.12 * opacity, soft=0.1 * frame.eyes)
    frame.draw_rims(canvas, scene.marks, 0.45, 0.37, (20, 18, 18), 0.05)
    return _as_grey_as(scene, canvas)


def _mask(scene: Scene, height: float, chance: np.random.Generator) -> Picture:
    """Put on a medical mask: below the nose (1), over its tip (2) or high under the eyes (3)."""
    canvas, marks, frame = scene.pixels.copy(), scene.marks, _Frame.of(scene.marks)
    cloth: Colour = ((176, 208, 222), (236, 236, 232), (38, 40, 46))[chance.integers(3)]
    top = marks[list(_MASK_EDGES[int(height) - 1])]
    middle = marks.mean(axis=0)
    jaw = marks[list(_JAW)]
    depth = (marks[_CHIN] - middle) @ frame.down
    jaw = jaw[((jaw - middle) @ frame.down > 0.3 * depth)]
    jaw = jaw + (jaw - middle) * 0.06
    edge = _smooth(top, closed=False)
    for ear, corner in ((_LEFT_TEMPLE, top[0]), (_RIGHT_TEMPLE, top[-1])):
        for start in (corner, jaw[-1] if ear == _LEFT_TEMPLE else jaw[0]):
            _stroke(canvas, np.stack([start, marks[ear]]), _times(cloth, 0.85), 0.025 * frame.eyes, 0.9)
    outline = np.concatenate([edge, jaw])
    _fill(canvas, outline, cloth, 1.0, soft=0.008 * scene.width)
    for share in (0.3, 0.5, 0.7):  # pleats
        low = np.stack([jaw[-1], marks[_CHIN], jaw[0]])
        high = np.stack([top[0], top[2], top[-1]])
        pleat = _smooth(high + (low - high) * share, closed=False)
        pleat = pleat + (marks[_CHIN] - pleat) * 0.12
        _stroke(canvas, pleat, _times(cloth, 0.82), 0.03 * frame.eyes, 0.7)
    shade = np.concatenate([edge + frame.down * 0.3 * depth, jaw])
    _fill(canvas, shade, (0, 0, 0), 0.14, soft=0.08 * scene.width)
    _stroke(canvas, edge, _times(cloth, 0.8), 0.035 * frame.eyes, 0.9)
    return _as_grey_as(scene, canvas)


def _hand(scene: Scene, height: float, chance: np.random.Generator) -> Picture:
    """Four fingers laid across the lower face from one side; their middle is so many face heights above the chin."""
    canvas, marks, frame = scene.pixels.copy(), scene.marks, _Frame.of(scene.marks)
    tall = float(np.linalg.norm(marks[_FOREHEAD] - marks[_CHIN]))
    side = frame.across * _either(chance) * tall
    down = frame.down * tall
    skin = _times(_colour_at(scene, _CHEEKS), 0.96)
    middle = marks[_CHIN] - down * height
    radius = 0.058 * tall
    # Back of the hand, wrist and arm, out of the picture below.
    back = [(0.30, -0.21), (0.52, -0.17), (0.74, 0.06), (0.98, 1.4), (0.62, 1.5), (0.48, 0.30), (0.30, 0.23)]
    arm = _smooth(np.stack([middle + side * x + down * y for x, y in back]), closed=True)
    _fill(canvas, arm, _times(skin, 0.62), 0.5, soft=0.04 * tall)  # its shadow
    _fill(canvas, arm, _times(skin, 0.9), 1.0, soft=0.006 * tall)
    for finger, (tip, spread) in enumerate(((-0.15, 0.02), (-0.19, 0.0), (-0.16, -0.01), (-0.08, -0.03))):
        y = (finger - 1.5) * 0.112
        start = middle + side * 0.40 + down * (0.92 * y)
        end = middle + side * tip + down * (y - spread)
        bent = (start + end) / 2 - down * 0.012
        line = _smooth(np.stack([start, bent, end]), closed=False)
        _stroke(canvas, line + down * 0.015, _times(skin, 0.5), 2 * radius, 0.6, soft=0.012 * tall)
        _stroke(canvas, line, _times(skin, 0.78), 2 * radius, 1.0)
        _stroke(canvas, line - down * 0.006, skin, 1.62 * radius, 1.0, soft=0.25 * radius)
        _stroke(canvas, line - down * 0.018, _times(skin, 1.07), 0.7 * radius, 0.7, soft=0.4 * radius)
        nail = end + _ellipse(0.75 * radius, 0.55 * radius) @ np.stack([frame.across, frame.down])
        _fill(canvas, nail, _mix(skin, (235, 200, 195), 0.5), 0.8, soft=0.1 * radius)
    return _as_grey_as(scene, canvas)


CORRUPTIONS = (
    Corruption("rotation", (15, 30, 45), "degrees, to either side", _rotate),
    Corruption("lying", (60, 90, 180), "degrees, to either side: as on a pillow, on the side, upside down", _rotate),
    Corruption("low light", (1.5, 3, 4.5), "stops less light, with noise of 2 grey levels a stop", _darken),
    Corruption("over-exposure", (0.5, 0.9, 1.4), "stops more light, clipped at white", _over_expose),
    Corruption("one-sided light", (1.5, 3, 4.5), "stops less on one side of the face than on the other", _one_sided),
    Corruption("blur", (0.02, 0.04, 0.06), "deviation of a Gaussian, in face widths", _blur),
    Corruption("noise", (6, 12, 25), "deviation in grey levels of 255; grain of a hundredth of the face", _noise),
    Corruption("JPEG", (30, 15, 8), "quality of libjpeg", _compress),
    Corruption("small face", (48, 32, 24), "pixels that the face is wide, averaged", _shrink),
    Corruption("glasses", (0.035, 0.06, 0.1), "thickness of the rim in eye distances", _glasses),
    Corruption("sunglasses", (0.6, 0.85, 1.0), "opacity of the lenses", _sunglasses),
    Corruption("mask", (1, 2, 3), "1 below the nose, 2 over its tip, 3 under the eyes", _mask),
    Corruption("hand", (-0.12, 0.03, 0.18), "middle of the fingers, in face heights above the chin", _hand),
    Corruption("crop shift", (0, 0.12, 0.25), "share of the face that an edge of the photo cuts off", _shift),
    Corruption("grey", (0.5, 1, 2), "share of the colour taken out; 2: as film blind to red saw", _drain),
    Corruption("warm light", (0.6, 1, 1.6), "times a lamp of +0.3, -0.2 and -1.2 stops in red, green, blue",
               _cast(0.3, -0.2, -1.2)),
    Corruption("cold light", (0.6, 1, 1.6), "times a lamp of -0.9, -0.1 and +0.4 stops", _cast(-0.9, -0.1, 0.4)),
    Corruption("green light", (0.6, 1, 1.6), "times a lamp of -0.6, +0.3 and -0.6 stops", _cast(-0.6, 0.3, -0.6)),
    Corruption("darker skin", (1.4, 1.9, 2.5), "exponent of the skin's tone curve in linear light", _recolour_skin),
    Corruption("lighter skin", (0.75, 0.55, 0.4), "the same curve, upside down", _recolour_skin),
)  # fmt: skip
"""All of them, in the order of tables."""

_GAMMA = 2.2


def _u8(values: NDArray[np.generic]) -> Picture:
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8)
    return np.clip(np.rint(np.asarray(values, np.float64)), 0, 255).astype(np.uint8)


def _either(chance: np.random.Generator) -> float:
    """Return -1 or 1."""
    return float(2 * chance.integers(2) - 1)


def _curve(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Picture:
    """Return the table, (256,) uint8, that applies a change of linear light."""
    light = (np.arange(256) / 255) ** _GAMMA
    return _u8(255 * np.clip(change(light), 0, 1) ** (1 / _GAMMA))


def _expose(pixels: Picture, stops: float) -> Picture:
    return _u8(cv2.LUT(pixels, _curve(lambda light: light * 2.0**stops)))


def _add_noise(pixels: Picture, deviation: float, width: float, chance: np.random.Generator) -> Picture:
    """Add grain of a hundredth of the face's width, at least a pixel; the channels share most of it."""
    rows, columns = pixels.shape[:2]
    grain = max(1, round(width / 100))
    size = (-(-rows // grain), -(-columns // grain))
    field = (chance.standard_normal((*size, 1)) + 0.5 * chance.standard_normal((*size, 3))).astype(np.float32)
    if grain > 1:
        field = np.asarray(cv2.resize(field, (columns, rows), interpolation=cv2.INTER_CUBIC), np.float32)
        field /= max(1e-6, float(field.std())) / math.sqrt(1.25)
    return _u8(pixels + deviation * field)


def _as_grey_as(scene: Scene, drawn: Picture) -> Picture:
    """Return what was drawn, without colour where the photo has none."""
    if int(np.ptp(scene.pixels, axis=2).max()) > 8:
        return drawn
    return _u8(np.repeat(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2))


def _filled(scene: Scene, part: tuple[int, ...]) -> NDArray[np.float32]:
    """Return 1 inside these landmarks and 0 outside, (rows, columns)."""
    mask = np.zeros(scene.pixels.shape[:2], np.uint8)
    cv2.fillPoly(mask, [_fixed(scene.marks[list(part)])], (255,), cv2.LINE_AA, _SHIFT)
    return mask.astype(np.float32) / 255


def _colour_at(scene: Scene, part: tuple[int, ...]) -> Colour:
    """Return the mean colour around these landmarks."""
    rows, columns = scene.pixels.shape[:2]
    around = cv2.blur(scene.pixels, (5, 5))
    places = np.clip(np.rint(scene.marks[list(part)]).astype(int), 0, (columns - 1, rows - 1))
    red, green, blue = around[places[:, 1], places[:, 0]].mean(axis=0).tolist()
    return red, green, blue


@dataclass(frozen=True, slots=True)
class _Frame:
    """The face's own directions: unit vectors across and down, the distance of the eyes, and the middle of both."""

    across: Points
    down: Points
    eyes: float
    middle: Points

    @classmethod
    def of(cls, marks: Points) -> _Frame:
        left, right = marks[list(_LEFT_EYE)].mean(axis=0), marks[list(_RIGHT_EYE)].mean(axis=0)
        eyes = max(1.0, float(np.linalg.norm(right - left)))
        across = (right - left) / eyes
        return cls(across, np.array((-across[1], across[0])), eyes, (left + right) / 2)

    def lenses(self, marks: Points, width: float, height: float) -> list[tuple[Points, Points]]:
        """Return outline and centre of both lenses; half width and half height are in eye distances.

        The lens that is turned away is as much narrower as its eye.
        """
        parts = (_LEFT_EYE, _RIGHT_EYE)
        open_ = [float(np.linalg.norm(marks[part[0]] - marks[part[8]])) for part in parts]
        found = []
        for part, own, out in zip(parts, open_, (-1, 1), strict=True):
            narrow = np.clip(2 * own / max(1e-6, sum(open_)), 0.7, 1.2)
            centre = marks[list(part)].mean(axis=0) + (0.05 * self.down + out * 0.02 * self.across) * self.eyes
            outline = _ellipse(width * narrow * self.eyes, height * self.eyes, power=2.8)
            found.append((centre + outline @ np.stack([self.across, self.down]), centre))
        return found

    def draw_rims(
        self, canvas: Picture, marks: Points, width: float, height: float, colour: Colour, thickness: float
    ) -> None:
        """Draw rims, bridge and temples."""
        thick = thickness * self.eyes
        (left, left_centre), (right, right_centre) = self.lenses(marks, width, height)
        for lens, centre, temple, out in (
            (left, left_centre, _LEFT_TEMPLE, -1),
            (right, right_centre, _RIGHT_TEMPLE, 1),
        ):
            hinge = centre + out * np.ptp((lens - centre) @ self.across) / 2 * self.across - 0.1 * self.eyes * self.down
            _stroke(canvas, np.stack([hinge, marks[temple]]), colour, thick, 1.0)
            _stroke(canvas, np.concatenate([lens, lens[:1]]), colour, thick, 1.0)
        inner = [
            left_centre + np.ptp((left - left_centre) @ self.across) / 2 * self.across,
            right_centre - np.ptp((right - right_centre) @ self.across) / 2 * self.across,
        ]
        over = (inner[0] + inner[1]) / 2 - 0.09 * self.eyes * self.down
        _stroke(canvas, _smooth(np.stack([inner[0], over, inner[1]]), closed=False), colour, 1.3 * thick, 1.0)


def _ellipse(width: float, height: float, power: float = 2.0) -> Points:
    """Return the outline of a superellipse around (0, 0), (48, 2)."""
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    round_ = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(np.sign(round_) * np.abs(round_) ** (2 / power) * (width, height), np.float64)


def _smooth(points: Points, *, closed: bool) -> Points:
    """Cut every corner four times (Chaikin 1974); an open line keeps its ends."""
    for _ in range(4):
        following = np.roll(points, -1, axis=0) if closed else points[1:]
        before = points if closed else points[:-1]
        cut = np.stack([0.75 * before + 0.25 * following, 0.25 * before + 0.75 * following], axis=1).reshape(-1, 2)
        points = cut if closed else np.concatenate([points[:1], cut, points[-1:]])
    return points


_SHIFT = 4


def _fixed(points: Points) -> NDArray[np.int32]:
    """Return points with four binary places, as OpenCV draws between pixels."""
    return np.asarray(np.rint(points * 2**_SHIFT), np.int32)


def _fill(canvas: Picture, outline: Points, colour: Colour, opacity: float, soft: float = 0.0) -> None:
    """Fill an outline on the canvas itself; `soft` is the deviation of its edge in pixels."""

    def draw(mask: Picture, points: Points) -> None:
        cv2.fillPoly(mask, [_fixed(points)], (255,), cv2.LINE_AA, _SHIFT)

    _lay(canvas, outline, draw, colour, opacity, soft, 0)


def _stroke(canvas: Picture, line: Points, colour: Colour, thick: float, opacity: float, soft: float = 0.0) -> None:
    """Draw a line with round ends, `thick` pixels wide; one thinner than a pixel is paler instead."""

    def draw(mask: Picture, points: Points) -> None:
        cv2.polylines(mask, [_fixed(points)], False, (255,), max(1, round(thick)), cv2.LINE_AA, _SHIFT)

    _lay(canvas, line, draw, colour, opacity * min(1.0, thick), soft, thick)


def _lay(
    canvas: Picture,
    points: Points,
    draw: Callable[[Picture, Points], None],
    colour: Colour,
    opacity: float,
    soft: float,
    thick: float,
) -> None:
    """Lay a colour over the part of the canvas that `draw` marks."""
    margin = 3 * soft + thick + 2
    limits = np.array((canvas.shape[1], canvas.shape[0]))
    x0, y0 = np.clip(np.floor(points.min(axis=0) - margin).astype(int), 0, limits).tolist()
    x1, y1 = np.clip(np.ceil(points.max(axis=0) + margin).astype(int), 0, limits).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    draw(mask, points - (x0, y0))
    if soft > 0.2:
        mask = _u8(cv2.GaussianBlur(mask, (0, 0), soft))
    part = canvas[y0:y1, x0:x1]
    share = mask[..., None] * np.float32(min(opacity, 1.0) / 255)
    part[...] = _u8(part + (np.array(colour, np.float32) - part) * share)


def _times(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255.0, factor * value) for value in colour)
    return red, green, blue


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(one, other, strict=True))
    return red, green, blue
