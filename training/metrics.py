"""The figures by which recipes are chosen and releases are judged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.calibration import Calibration
from inference.reading import EXPRESSIONS
from training.data import SPLITS, Faces, truth
from training.shipped import Predict

BINS = 15


def split_figures(predict: Predict, calibration: Calibration, faces: Faces) -> dict[str, Any]:
    """Return the figures of both test splits, on the whole split and without pixel-twins of training pictures.

    Accuracies are shares, 0 to 1. FER+ figures follow the majority protocol of Barsoum et al. 2016: over its eight
    expressions by the head that learned the votes, over our seven by the answers people see (labels stand in where
    nobody voted). FER2013 figures come from the head that learned FER2013's own labels.
    """
    result: dict[str, Any] = {}
    for split in ("PublicTest", "PrivateTest"):
        whole = faces[faces.split == SPLITS[split]]
        if not len(whole):
            continue
        for name, part in ((split, whole), (f"{split} without twins", whole[~whole.twin])):
            result[name] = _figures(predict, calibration, part)
    return result


def public_figures(predict: Predict, calibration: Calibration, faces: Faces) -> dict[str, Any]:
    """Return PublicTest's figures alone: what may be looked at as often as one likes."""
    return _figures(predict, calibration, faces[faces.split == SPLITS["PublicTest"]])


def _figures(predict: Predict, calibration: Calibration, faces: Faces) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not len(faces):  # each is the twin of a training picture
        return found
    logits = predict(faces)
    winners = truth(faces)
    voted = winners >= 0
    seven = voted & (winners < len(EXPRESSIONS))
    if seven.any():
        scores = calibration.probabilities(*logits.arrays())
        answers = scores.argmax(axis=1)
        found["fer_plus_8"] = float((logits.votes.argmax(dim=1).numpy() == winners)[voted].mean())
        found["fer_plus_7"] = float((answers == winners)[seven].mean())
        found["fer_plus_7_balanced"] = balanced_accuracy(winners[seven], answers[seven])
        found["fer_plus_7_ece"] = calibration_error(scores.max(axis=1)[seven], (answers == winners)[seven])
        found["recall"] = {
            EXPRESSIONS[label]: float((answers == label)[winners == label].mean())
            for label in np.unique(winners[seven]).tolist()
        }
        found["fer_plus_7_n"] = int(seven.sum())
    labelled = faces.labels >= 0
    if labelled.any():
        found["fer2013"] = float((logits.labels.argmax(dim=1).numpy() == faces.labels)[labelled].mean())
        found["fer2013_n"] = int(labelled.sum())
    return found


def balanced_accuracy(labels: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    """Return the mean recall over the classes that occur, 0 to 1.

    Args:
        labels: (n,) true classes, n at least 1.
        answers: (n,) predicted classes.
    """
    return float(np.mean([(answers[labels == label] == label).mean() for label in np.unique(labels)]))


def calibration_error(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over 15 equal bins (Naeini et al. 2015), 0 to 1.

    Args:
        confidence: (n,) of each answer, 0 to 1.
        right: (n,) whether it is right.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(
        sum(
            abs(confidence[bins == index].mean() - right[bins == index].mean()) * (bins == index).mean()
            for index in np.unique(bins)
        )
    )
