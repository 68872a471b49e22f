"""What the cues look at, and what each cue asks of it.

Every cue is a list of tests. A test compares one measure with one threshold; how sure it is follows a logistic curve,
0.5 at the threshold. Where something cannot be told, a test fails and the cue says nothing: a turned head does not
wink, covered eyes are not closed. So some cues exclude one another, which the emoji map asks here: that is why this
file needs no library, and the measuring is done in `inference.cues`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache


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
    "mouth_covered": (_above("covered", 1, 1.5), *_FACING),
}
"""Every cue and its tests; left and right are the person's own."""

# Follows from `Measures`: left <= right; of `_OPPOSITES`, at most one is positive.
_NEVER_ABOVE = {"lids_least": "lids_most", "looks_right": "looks_most", "looks_left": "looks_most"}
_OPPOSITES = {"wink_right": "wink_left", "wink_left": "wink_right"}


@cache
def exclusive(one: str, other: str) -> bool:
    """Return True if the tests let no face show both cues: one measure would be above and below the same threshold."""
    tests = [test for cue in (one, other) for stated in RULES[cue] for test in _with_implied(stated)]
    return any(
        above.softness > 0 > below.softness and above.measure == below.measure and above.at >= below.at
        for above in tests
        for below in tests
    )


def _with_implied(test: Test) -> Iterator[Test]:
    yield test
    if test.softness > 0 and test.measure in _NEVER_ABOVE:
        yield Test(_NEVER_ABOVE[test.measure], test.at, test.softness)
    if test.softness > 0 and test.measure in _OPPOSITES:
        yield Test(_OPPOSITES[test.measure], -test.at, -test.softness)
