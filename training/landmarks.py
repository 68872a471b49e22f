"""Where the two small references of the cues come from: the mean face, and the rule for open eyes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from inference import eyes
from inference.cues import eye_aspect_ratios
from inference.faces import FaceFinder
from inference.head import EYE_CORNERS, STABLE, Points, fit, hold_still
from training.data import SPLITS, read_fer2013, read_picture
from training.files import DataError
from training.labels import read_labels
from training.logistic import regress
from training.prepare import FINDING_SIDE, largest

# What the landmarks must say of both eyes before they teach: clearly closed, or clearly open and alike; and no turned
# head, whose far eye the mesh guesses.
CLOSED, OPEN, ALIKE, MOST_YAW = 0.12, 0.25, 0.8, 25.0
FOREHEAD, CHIN = 10, 152
L2 = 0.01


def mean_face(labels: Path, out: Path) -> int:
    """Average the neutral faces of labelled pictures, mirrored too; return how many, and store a float32 (478, 3).

    Raises:
        DataError: a picture cannot be read, or no face is labelled neutral.
    """
    finder = FaceFinder()
    shapes: list[Points] = []
    neutral: list[bool] = []
    for picture in tqdm(read_labels(labels), desc="finding", unit="photo"):
        face = largest(finder.find(read_picture(picture.path), main_only=True))
        if face is not None and face.landmarks is not None:
            shapes.append(face.landmarks.astype(np.float64))
            neutral.append(picture.label == "neutral")
    if not any(neutral):
        raise DataError(f"{labels}: no neutral face found")
    # Closed lips lie on one another; smiles part them, so every point finds its partner in the mean of all.
    partner = _partners(_average(shapes, shapes[0]))
    mean = _average([shape for shape, chosen in zip(shapes, neutral, strict=True) if chosen], shapes[0])
    mean = _average([mean, (mean * (-1, 1, 1))[partner]], mean)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.save(out, _upright(mean, partner).astype(np.float32))
    return sum(neutral)


def _average(shapes: list[Points], start: Points) -> Points:
    """Return the Procrustes mean over the stable points (Gower 1975)."""
    mean = start
    for _ in range(5):
        fits = [fit(shape[list(STABLE)], mean[list(STABLE)]) for shape in shapes]
        mean = np.mean(
            [scale * shape @ turn + offset for shape, (scale, turn, offset) in zip(shapes, fits, strict=True)], axis=0
        )
        mean = (mean - _eyes(mean).mean(axis=0)) / np.linalg.norm(_eyes(mean)[1] - _eyes(mean)[0])
    return np.asarray(mean, np.float64)


def _eyes(shape: Points) -> Points:
    """Return the centres of both eyes, (2, 3)."""
    return np.asarray(shape[list(EYE_CORNERS)].reshape(2, 2, 3).mean(axis=1), np.float64)


def _partners(shape: Points) -> NDArray[np.int64]:
    """Return for every point the index of its mirror image."""
    mirrored = shape * (-1, 1, 1)
    known = np.array([(33, 263), (133, 362), (61, 291), (234, 454), (127, 356), (168, 168), (4, 4), (10, 10)])
    here, there = known.T
    for _ in range(3):
        scale, turn, offset = fit(
            np.concatenate([mirrored[here], mirrored[there]]), np.concatenate([shape[there], shape[here]])
        )
        laid = scale * mirrored @ turn + offset
        nearest = ((laid[:, None] - shape[None]) ** 2).sum(axis=2).argmin(axis=1)
        here = np.flatnonzero(nearest[nearest] == np.arange(len(shape)))
        there = nearest[here]
    if len(here) != len(shape):
        raise DataError("the mean face is too crooked to be mirrored: too few pictures, or heads too turned")
    return np.asarray(nearest, np.int64)


def _upright(shape: Points, partner: NDArray[np.int64]) -> Points:
    """Turn the face to look straight at us: its sides along x, the line from forehead to chin along y."""
    x = (shape - shape[partner])[shape[:, 0] > shape[partner, 0]].sum(axis=0)
    x /= np.linalg.norm(x)
    y = shape[CHIN] - shape[FOREHEAD]
    y -= (y @ x) * x
    y /= np.linalg.norm(y)
    turned = shape @ np.stack([x, y, np.cross(x, y)], axis=1)
    return np.asarray(turned - _eyes(turned).mean(axis=0), np.float64)


def open_eyes(source: Path, out: Path) -> tuple[int, int]:
    """Learn the rule of `inference.eyes` from FER2013's training pictures; return the closed and open pairs it saw.

    Args:
        source: fer2013.csv(.gz).
        out: the .npy to write: float32, the weights and last the bias.

    Raises:
        DataError: the file is not FER2013, or shows too few closed eyes to learn from.
    """
    raw = read_fer2013(source, None)
    finder = FaceFinder()
    described: list[NDArray[np.float32]] = []
    is_open: list[bool] = []
    chosen = np.flatnonzero(raw.split == SPLITS["Training"])
    for index in tqdm(chosen, desc="finding eyes", unit="face"):
        picture = raw.pictures[index]
        large = cv2.resize(picture, (FINDING_SIDE, FINDING_SIDE), interpolation=cv2.INTER_CUBIC)
        pixels = np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)
        face = largest(finder.find(pixels, main_only=True))
        if face is None or face.landmarks is None or (answer := _clearly_open(face.landmarks)) is None:
            continue
        described += list(eyes.describe(eyes.patches(pixels, face.landmarks)))
        is_open += [answer, answer]
    truth = np.array(is_open, np.bool_)
    if min(truth.sum(), (~truth).sum()) < 20:
        raise DataError(f"{source}: too few faces with clearly open or clearly closed eyes")
    out.parent.mkdir(parents=True, exist_ok=True)
    np.save(out, _logistic(np.stack(described), truth))
    return int((~truth).sum()) // 2, int(truth.sum()) // 2


def _clearly_open(landmarks: NDArray[np.float32]) -> bool | None:
    """Return whether both eyes are open; None where the landmarks do not say it clearly."""
    head = hold_still(landmarks)
    low, high = sorted(eye_aspect_ratios(head.points.tolist()))
    if abs(head.yaw) > MOST_YAW:
        return None
    if high < CLOSED:
        return False
    return True if low > OPEN and low > ALIKE * high else None


def _logistic(described: NDArray[np.float32], is_open: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return weights and bias of a logistic regression, both classes weighing alike."""
    y = torch.from_numpy(is_open).double()
    importance = torch.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    weights, bias = regress(torch.from_numpy(described).double(), y, L2, importance, floor=1e-3)
    return torch.cat([weights, bias]).float().numpy()
