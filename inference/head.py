"""The head's own frame: landmarks of a photo, freed from where the head is, how large, and how it is turned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MEAN_FACE = Path(__file__).parent / "weights" / "mean_face.npy"
# Eye corners, bridge and tip of the nose, its wings, forehead, temples and cheeks at the ears: what lids, brows and
# mouth move least.
STABLE = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 98, 327, 10, 151, 9, 234, 454, 127, 356, 93, 323, 132, 361)
EYE_CORNERS = (33, 133, 362, 263)

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Head:
    """A face as its mean face sees it, and how the head was held.

    Attributes:
        points: the 478 landmarks, float64 (478, 3): x to the picture's right, y down, z away from the viewer; the
            origin between the eyes; the unit is the distance between the centres of the eyes.
        yaw: degrees; above 0 the face is turned to the person's own right (the left of the picture).
        pitch: degrees; above 0 it is raised.
        roll: degrees; above 0 it leans clockwise in the picture, to the person's own left.
    """

    points: Points
    yaw: float
    pitch: float
    roll: float


@cache
def mean_face() -> Points:
    """Return the mean neutral face, float64 (478, 3), in the frame of `Head.points`; `training.landmarks` made it."""
    face: Points = np.load(MEAN_FACE, allow_pickle=False).astype(np.float64)
    face.setflags(write=False)
    return face


def hold_still(landmarks: NDArray[np.float32]) -> Head:
    """Undo size, place and turn of a head, by the least-squares fit of its stable points (Kabsch 1976, Umeyama 1991).

    Args:
        landmarks: (478, 3) of `FoundFace.landmarks`.

    Raises:
        ValueError: the landmarks fall together.
    """
    points = landmarks.astype(np.float64)
    stable, target = points[list(STABLE)], mean_face()[list(STABLE)]
    scale, turn, offset = fit(stable, target)
    (x, y, _), back = turn[:, 0].tolist(), turn[:, 2].tolist()
    roll = math.atan2(y, x)
    # The axis from the nose to the back of the head, once the head is level in the picture.
    aside = back[0] * math.cos(roll) + back[1] * math.sin(roll)
    down = back[1] * math.cos(roll) - back[0] * math.sin(roll)
    return Head(
        points=scale * points @ turn + offset,
        yaw=math.degrees(math.atan2(aside, back[2])),
        pitch=math.degrees(math.asin(max(-1.0, min(1.0, down)))),
        roll=math.degrees(roll),
    )


def fit(source: Points, target: Points) -> tuple[float, Points, Points]:
    """Return scale, rotation (3, 3) and offset (3,): ``scale * source @ rotation + offset`` fits `target` best.

    Args:
        source: (n, 3) points.
        target: (n, 3), what each is to fall on; least squares.

    Raises:
        ValueError: the source points fall together.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - source_mean
    spread = float((centred**2).sum())
    if not spread > 0:
        raise ValueError("the landmarks fall together")
    left, stretch, right = np.linalg.svd(centred.T @ (target - target_mean))
    # A mirrored fit would be no rotation.
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = left * sign @ right
    scale = float((stretch * sign).sum()) / spread
    return scale, turn, target_mean - scale * source_mean @ turn
