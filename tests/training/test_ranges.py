"""Which ranges a network's features have: those of training faces, and figures are those of what ships."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference import checkpoint
from inference.expression import ExpressionReader
from training.data import SPLITS, Faces
from training.ranges import with_ranges
from training.shipped import shipped


def test_ranges_are_those_of_training_faces_alone(faces: Faces) -> None:
    plain = replace(checkpoint.load(), ranges={})
    known = with_ranges(plain, faces).ranges
    assert known
    assert all(least < most for least, most in known.values())
    strange = replace(faces, crops=faces.crops.copy())
    strange.crops[strange.split != SPLITS["Training"]] = 0
    strange.crops[strange.split != SPLITS["Training"], :, ::2] = 255
    assert with_ranges(plain, strange).ranges == known
    assert with_ranges(replace(plain, ranges=dict.fromkeys(known, (0.0, 1.0))), faces).ranges == known


def test_figures_are_made_of_the_answers_that_people_get(faces: Faces) -> None:
    released = checkpoint.load()
    logits = shipped(released)(faces)
    scores = released.calibration.probabilities(*logits.arrays())
    few = np.arange(3)
    read = ExpressionReader(released).read(faces.crops[few], faces.shapes[few].astype(np.float32))
    assert scores[few] == pytest.approx(read.scores, abs=1e-6)
    assert len(scores) == len(faces)
