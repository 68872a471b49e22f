"""What a face does beside its expression: winks, closed eyes, an open mouth, a tilted head.

Here the face is measured, freed from its size, place and turn (`inference.head`); what each cue asks of the measures
is in `inference.measures`. A cue is as sure as its least sure test, and seen from 0.5 on. docs/cues.md explains each
one, with sources and figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import dist
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from inference.eyes import openness
from inference.head import Head, hold_still
from inference.measures import RULES, Measures, Test
from inference.reading import CUES

_Points = Sequence[Sequence[float]]
"""The 478 landmarks of `Head.points` as plain numbers."""

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
    sure = {cue: _least_sure(RULES[cue], measures) for cue in CUES}
    seen = sorted((cue for cue in CUES if sure[cue] >= 0.5), key=lambda cue: -sure[cue])
    return {cue: sure[cue] for cue in seen}


def _least_sure(tests: Sequence[Test], measures: Measures) -> float:
    """Return how sure the least sure test is; of a cue that is not seen, that of the first one that says so."""
    least = 1.0
    for test in tests:
        least = min(least, test.sureness(measures))
        if least < 0.5:
            break
    return least


def measure(
    landmarks: NDArray[np.float32], pixels: NDArray[np.uint8], aligned: NDArray[np.uint8], covered: float = -math.inf
) -> Measures:
    """Measure one face.

    Args:
        landmarks: (478, 3) of `FoundFace.landmarks`.
        pixels: the photo they were found in, (rows, columns, 3) RGB or (rows, columns) grey, uint8.
        aligned: the face's crop by `inference.crops`, (CROP_SIDE, CROP_SIDE) uint8.
        covered: log-odds that something hides the mouth; see `inference.expression`.

    Raises:
        ValueError: the landmarks, or the corners of an eye, fall together.
    """
    return _measures(hold_still(landmarks), openness(pixels, landmarks), _shade(aligned), covered)


def eye_aspect_ratios(points: _Points) -> tuple[float, float]:
    """Return height over width of the person's right and left eye (Soukupová & Čech 2016; three pairs of points).

    Args:
        points: the 478 landmarks, x, y and z each.
    """
    right, left = (
        sum(dist(points[above], points[below]) for above, below in zip(upper, lower, strict=True))
        / (len(upper) * max(dist(points[outer], points[inner]), 1e-6))
        for outer, inner, upper, lower in _EYES
    )
    return right, left


def _measures(head: Head, looks: tuple[float, float], shade: float, covered: float) -> Measures:
    points: _Points = head.points.tolist()  # each is asked for a few times only, where arrays are slow
    lids = eye_aspect_ratios(points)
    brows = [_above_eye(points, eye[:2], brow) for eye, brow in zip(_EYES, _BROWS, strict=True)]
    inner_brows = sum(_above_eye(points, eye[1:2], brow) for eye, brow in zip(_EYES, _INNER_BROWS, strict=True)) / 2
    cheeks = _above_eye(points, _CHEEKS, _UNDER_EYES)
    gap, width = (dist(points[one], points[other]) for one, other in (_INNER_LIPS, _MOUTH_CORNERS))
    lips = sum(dist(points[outer], points[inner]) for outer, inner in zip(_OUTER_LIPS, _INNER_LIPS, strict=True))
    # Of each corner of the mouth: how far above the edge of the upper lip, how far from the outer corner of its eye.
    lifts = [points[_OUTER_LIPS[0]][1] - points[corner][1] for corner in _MOUTH_CORNERS]
    reaches = [dist(points[eye[0]], points[corner]) for eye, corner in zip(_EYES, _MOUTH_CORNERS, strict=True)]
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


def _above_eye(points: _Points, lower: Sequence[int], upper: Sequence[int]) -> float:
    """Return how far one group of points lies above another."""
    return fmean(points[index][1] for index in lower) - fmean(points[index][1] for index in upper)


def _gaze(points: _Points) -> tuple[float, float]:
    """Return how far the irises are to the picture's right and above the eyes' corners, in widths of an eye."""
    aside = up = 0.0
    for (outer, inner, _, _), iris in zip(_EYES, _IRISES, strict=True):
        one, other, width = points[outer], points[inner], dist(points[outer], points[inner])
        aside += (points[iris][0] - (one[0] + other[0]) / 2) / width
        up -= (points[iris][1] - (one[1] + other[1]) / 2) / width
    return aside / 2, up / 2


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
