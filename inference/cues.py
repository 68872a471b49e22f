"""What a face does beside its expression: winks, closed eyes, an open mouth, a tilted head.

Every cue is a list of tests on measures of the face, freed from its size, place and turn (`inference.head`). A test
compares one measure with one threshold; how sure it is follows a logistic curve, 0.5 at the threshold. A cue is as sure
as its least sure test, and seen from 0.5 on. Where something cannot be told, a test fails and the cue says nothing: a
turned head does not wink, covered eyes are not closed. docs/cues.md explains each one, with sources and figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.eyes import openness
from inference.head import Head, Points, hold_still
from inference.reading import CUES

# Indices of MediaPipe's canonical face model, the person's right side first.
# An eye: outer corner, inner corner, three points of the upper lid and those of the lower lid below them.
_EYES = ((33, 133, (160, 159, 158), (144, 145, 153)), (263, 362, (387, 386, 385), (373, 374, 380)))
_IRISES = (468, 473)
_BROWS = ((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))
_INNER_BROWS = ((55, 107, 66, 65), (285, 336, 296, 295))
_MOUTH_CORNERS = (61, 291)
_OUTER_LIPS, _INNER_LIPS = (0, 17), (13, 14)
_UNDER_EYES = (145, 374)
_CHEEKS = (50, 280)
# Where the crop recipe has the lids, the skin under the eyes, and the cheeks: (rows, columns) of both sides.
_LENSES = ((slice(19, 31), slice(13, 26)), (slice(19, 31), slice(38, 51)))
_UNDER_EYE_SKIN = ((slice(28, 32), slice(15, 25)), (slice(28, 32), slice(39, 49)))
_CHEEK_SKIN = ((slice(36, 42), slice(12, 24)), (slice(36, 42), slice(40, 52)))


@dataclass(frozen=True, slots=True)
class _Neutral:
    """Mean and standard deviation of a measure on the 102 neutral faces of the London Set."""

    mean: float
    spread: float

    def deviation(self, value: float) -> float:
        return (value - self.mean) / self.spread


_WIDTH = _Neutral(0.789, 0.052)
_LIFT = _Neutral(-0.140, 0.037)
_REACH = _Neutral(1.169, 0.044)
_LIFT_DIFFERENCE = _Neutral(0, 0.017)
_REACH_DIFFERENCE = _Neutral(0, 0.029)
_INNER_BROW = _Neutral(0.348, 0.042)
_CHEEK_BELOW = _Neutral(0.475, 0.021)


@dataclass(frozen=True, slots=True)
class Measures:
    """What the cues look at. Lengths are in distances between the centres of the eyes, angles in degrees.

    Attributes:
        yaw: how far the head is turned to either side.
        pitch: how far it is raised or lowered.
        roll: how far it leans to either side.
        lids_right: eye aspect ratio of the person's right eye: height over width (Soukupová & Čech 2016).
        lids_left: of the left eye.
        looks_right: how open the right eye looks in the pixels, in log-odds (`inference.eyes`).
        looks_left: likewise.
        brows: height of the brows above the corners of the eyes, mean of both.
        brow_difference: between the two.
        inner_brows: height of their inner halves above the inner corners of the eyes.
        squeeze: how near brows and cheeks come to the eyes, in standard deviations from neutral faces.
        gap: between the lips.
        mouth_width: between the corners of the mouth.
        lips: thickness of both lips together.
        purse: the same as a share of the mouth's width.
        smile: how far the corners of the mouth go outwards and upwards, in standard deviations from neutral faces.
        smirk: how much more one corner does so than the other, likewise.
        gaze_up: height of the irises above the line between the corners of the eyes, as a share of its length.
        gaze_aside: how far the irises are from the middle of that line, likewise.
        shade: brightness of the eyes' surroundings as a share of the cheeks'.
        covered: log-odds that something hides the mouth, by the network (`inference.expression`).
    """

    yaw: float
    pitch: float
    roll: float
    lids_right: float
    lids_left: float
    looks_right: float
    looks_left: float
    brows: float
    brow_difference: float
    inner_brows: float
    squeeze: float
    gap: float
    mouth_width: float
    lips: float
    purse: float
    smile: float
    smirk: float
    gaze_up: float
    gaze_aside: float
    shade: float
    covered: float

    @property
    def lids_least(self) -> float:
        """Of the more closed eye."""
        return min(self.lids_right, self.lids_left)

    @property
    def lids_most(self) -> float:
        """Of the more open eye."""
        return max(self.lids_right, self.lids_left)

    @property
    def looks_most(self) -> float:
        """Of the eye that looks more open."""
        return max(self.looks_right, self.looks_left)

    @property
    def shut(self) -> float:
        """How closed the more open eye is by both witnesses, which weigh about alike."""
        return (0.2 - self.lids_most) / 0.04 - self.looks_most / 2

    @property
    def lids_ratio(self) -> float:
        """Of the more closed eye to the more open one."""
        return self.lids_least / max(self.lids_most, 0.01)

    @property
    def wink_right(self) -> float:
        """How much more closed the right eye is than the left by both witnesses, which weigh about alike.

        The more a head is turned, the less alike its eyes look anyway: that is taken off.
        """
        lids = math.log(max(self.lids_left, 0.01) / max(self.lids_right, 0.01))
        return lids / 0.5 + (self.looks_left - self.looks_right) / 5 - 0.02 * self.yaw

    @property
    def wink_left(self) -> float:
        """Likewise for the left eye."""
        return -self.wink_right - 0.04 * self.yaw


@dataclass(frozen=True, slots=True)
class Test:
    """One measure against one threshold.

    Attributes:
        measure: name of an attribute of `Measures`.
        at: the threshold, in the measure's unit.
        softness: how far beyond it the test is 73 % sure; below 0 where the measure has to stay below the threshold.
    """

    measure: str
    at: float
    softness: float

    def sureness(self, measures: Measures) -> float:
        """Return 0 to 1, 0.5 at the threshold (logistic)."""
        distance = (getattr(measures, self.measure) - self.at) / self.softness
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, distance))))


def _above(measure: str, at: float, softness: float) -> Test:
    return Test(measure, at, softness)


def _below(measure: str, at: float, softness: float) -> Test:
    return Test(measure, at, -softness)


_EYES_SEEN = _above("shade", 0.68, 0.04)
# Behind a mask or a hand the mesh invents a mouth.
_MOUTH_SEEN = _below("covered", 0.5, 0.5)


def _wink(closed: str, opened: str) -> tuple[Test, ...]:
    return (
        _above(f"wink_{closed}", 1.8, 0.4),
        _below("lids_ratio", 0.65, 0.04),
        _above("lids_most", 0.19, 0.015),
        _below(f"looks_{closed}", -0.2, 0.5),
        _above(f"looks_{opened}", -0.5, 0.5),
        _EYES_SEEN,
        _below("yaw", 32, 2),
        _below("pitch", 28, 3),
    )


# Beyond these turns the far half of the mesh is a guess.
_FACING = (_below("yaw", 28, 3), _below("pitch", 25, 3))
_FRONTAL = (_below("yaw", 18, 2), _below("pitch", 20, 3))
_EYES_CLOSED = (
    _above("shut", 1.7, 0.4),
    _below("lids_most", 0.22, 0.015),
    _below("looks_most", 0.3, 0.5),
    _EYES_SEEN,
    *_FACING,
)
_SMILE = (_above("smile", 1.45, 0.4), _MOUTH_SEEN, *_FACING)

RULES: Mapping[str, tuple[Test, ...]] = {
    "wink_left": _wink("left", "right"),
    "wink_right": _wink("right", "left"),
    "eyes_closed": _EYES_CLOSED,
    "eyes_squeezed": (_above("squeeze", 1, 0.3), *_EYES_CLOSED),
    "eyes_wide": (_above("lids_least", 0.4, 0.015), _above("looks_most", 0, 1), _EYES_SEEN, *_FACING),
    "mouth_open": (_above("gap", 0.12, 0.02), _MOUTH_SEEN, *_FACING),
    "mouth_wide_open": (_above("gap", 0.42, 0.04), _MOUTH_SEEN, *_FACING),
    "smile_closed": (_below("gap", 0.06, 0.015), *_SMILE),
    "smile_open": (_above("gap", 0.06, 0.015), *_SMILE),
    "smirk": (_above("smirk", 2.7, 0.4), _below("gap", 0.12, 0.02), _MOUTH_SEEN, *_FRONTAL),
    "pout": (
        _below("mouth_width", 0.64, 0.02),
        _above("purse", 0.43, 0.02),
        _below("gap", 0.07, 0.01),
        _MOUTH_SEEN,
        *_FRONTAL,
    ),
    "lips_pressed": (
        _below("lips", 0.197, 0.008),
        _below("gap", 0.02, 0.005),
        _below("smile", 1, 0.3),
        _MOUTH_SEEN,
        *_FRONTAL,
    ),
    "brows_raised": (_above("brows", 0.46, 0.015), _below("brow_difference", 0.09, 0.01), *_FACING),
    "brow_raised": (_above("brow_difference", 0.085, 0.01), *_FRONTAL),
    "brows_lowered": (_below("inner_brows", 0.23, 0.012), *_FRONTAL),
    "head_tilted": (_above("roll", 12, 2),),
    "head_turned": (_above("yaw", 28, 3),),
    "looking_up": (_above("gaze_up", 0.145, 0.015), _above("lids_least", 0.22, 0.02), _EYES_SEEN, *_FRONTAL),
    "looking_aside": (_above("gaze_aside", 0.14, 0.015), _above("lids_least", 0.18, 0.02), _EYES_SEEN, *_FRONTAL),
    "eyes_covered": (_below("shade", 0.63, 0.04), *_FACING),
    "mouth_covered": (_above("covered", 1, 0.5), *_FACING),
}
"""Every cue and its tests; left and right are the person's own."""


def read_cues(
    landmarks: NDArray[np.float32], pixels: NDArray[np.uint8], aligned: NDArray[np.uint8], covered: float = -math.inf
) -> dict[str, float]:
    """Return the cues that are seen with their confidence, 0.5 to 1, the strongest first.

    Args:
        landmarks: (478, 3) of `FoundFace.landmarks`.
        pixels: the photo they were found in, (rows, columns, 3) RGB or (rows, columns) grey, uint8.
        aligned: the face's crop by `inference.crops`.
        covered: log-odds that something hides the mouth; see `inference.expression`.

    Raises:
        ValueError: the landmarks fall together.
    """
    measures = measure(landmarks, pixels, aligned, covered)
    sure = {cue: min(test.sureness(measures) for test in tests) for cue, tests in RULES.items()}
    seen = sorted((cue for cue in CUES if sure[cue] >= 0.5), key=lambda cue: -sure[cue])
    return {cue: sure[cue] for cue in seen}


def measure(
    landmarks: NDArray[np.float32], pixels: NDArray[np.uint8], aligned: NDArray[np.uint8], covered: float = -math.inf
) -> Measures:
    """Measure one face; arguments and errors as `read_cues`."""
    head = hold_still(landmarks)
    lids_right, lids_left = eye_aspect_ratios(head.points)
    looks_right, looks_left = openness(pixels, landmarks)
    return _measures(head, (lids_right, lids_left), (looks_right, looks_left), _shade(aligned), covered)


def eye_aspect_ratios(points: Points) -> tuple[float, float]:
    """Return height over width of the person's right and left eye (Soukupová & Čech 2016; three pairs of points)."""
    right, left = (
        float(np.linalg.norm(points[list(upper)] - points[list(lower)], axis=1).mean())
        / max(_distance(points[outer], points[inner]), 1e-6)
        for outer, inner, upper, lower in _EYES
    )
    return right, left


def _measures(
    head: Head, lids: tuple[float, float], looks: tuple[float, float], shade: float, covered: float
) -> Measures:
    points = head.points
    brows = [_above_eye(points, eye[:2], brow) for eye, brow in zip(_EYES, _BROWS, strict=True)]
    inner_brows = sum(_above_eye(points, eye[1:2], brow) for eye, brow in zip(_EYES, _INNER_BROWS, strict=True)) / 2
    cheeks = _above_eye(points, _CHEEKS, _UNDER_EYES)
    gap, width = _distance(*points[list(_INNER_LIPS)]), _distance(*points[list(_MOUTH_CORNERS)])
    lips = float(np.linalg.norm(points[list(_OUTER_LIPS)] - points[list(_INNER_LIPS)], axis=1).sum())
    # Of each corner of the mouth: how far above the edge of the upper lip, how far from the outer corner of its eye.
    lifts = (points[_OUTER_LIPS[0], 1] - points[list(_MOUTH_CORNERS), 1]).tolist()
    reaches = [_distance(points[eye[0]], points[corner]) for eye, corner in zip(_EYES, _MOUTH_CORNERS, strict=True)]
    lift, reach = _LIFT.deviation(sum(lifts) / 2), _REACH.deviation(sum(reaches) / 2)
    # Both signs of one side have to agree, or it is a twist of the mesh.
    higher = _LIFT_DIFFERENCE.deviation(lifts[0] - lifts[1])
    nearer = _REACH_DIFFERENCE.deviation(reaches[1] - reaches[0])
    aside, up = _gaze(points)
    return Measures(
        yaw=abs(head.yaw),
        pitch=abs(head.pitch),
        roll=_lean(head.roll),
        lids_right=lids[0],
        lids_left=lids[1],
        looks_right=looks[0],
        looks_left=looks[1],
        brows=sum(brows) / 2,
        brow_difference=abs(brows[0] - brows[1]),
        inner_brows=inner_brows,
        squeeze=-(_INNER_BROW.deviation(inner_brows) + _CHEEK_BELOW.deviation(cheeks)) / 2,
        gap=gap,
        mouth_width=width,
        lips=lips,
        purse=lips / width,
        smile=(_WIDTH.deviation(width) + lift - reach) / 3,
        smirk=max(min(higher, nearer), min(-higher, -nearer)),
        gaze_up=up,
        gaze_aside=abs(aside),
        shade=shade,
        covered=covered,
    )


def _lean(roll: float) -> float:
    """Return how far a head leans; beyond 60 degrees it is the photo that lies, by the nearest quarter turn."""
    return abs(roll) if abs(roll) <= 60 else abs(abs(roll) - 90 * round(abs(roll) / 90))


def _distance(one: Points, other: Points) -> float:
    return float(np.linalg.norm(one - other))


def _above_eye(points: Points, lower: Sequence[int], upper: Sequence[int]) -> float:
    """Return how far one group of points lies above another."""
    return float(points[list(lower), 1].mean() - points[list(upper), 1].mean())


def _gaze(points: Points) -> tuple[float, float]:
    """Return how far the irises are to the picture's right and above the eyes' corners, in widths of an eye."""
    offsets = []
    for (outer, inner, _, _), iris in zip(_EYES, _IRISES, strict=True):
        middle, width = (points[outer] + points[inner]) / 2, _distance(points[outer], points[inner])
        offsets.append((points[iris] - middle) / width)
    aside, down, _ = np.mean(offsets, axis=0).tolist()
    return aside, -down


def _shade(aligned: NDArray[np.uint8]) -> float:
    """Return the brightness around the eyes as a share of the cheeks', of the side and of the place with the most.

    Dark glasses cover the lids and the skin under the eyes; a natural eye's surroundings are skin.
    """
    shares = []
    for lens, under, cheek in zip(_LENSES, _UNDER_EYE_SKIN, _CHEEK_SKIN, strict=True):
        reference = _quantile(aligned[cheek], 0.5)
        shares += [_quantile(aligned[lens], 0.75) / reference, _quantile(aligned[under], 0.5) / reference]
    return max(shares)


def _quantile(region: NDArray[np.uint8], share: float) -> float:
    """Return a quantile of the brightness; eight more, so that in the dark noise is no shade."""
    return float(np.sort(region, axis=None)[int(share * region.size)]) + 8
