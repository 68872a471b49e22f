"""Between which values a network's features lie, so that its convolutions can count in 8 bits.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (arXiv
1712.05877); here the network is trained in floating point, and only its ranges are looked for afterwards, from which
`inference.graph` takes scales and zero points (post-training static quantization).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inference.checkpoint import Checkpoint
from inference.expression import session
from inference.graph import build_watched
from training.data import SPLITS, Faces
from training.files import DataError

FACES = 2048
"""So many training faces are looked at; four times as many change as few answers as the 8 bits themselves do."""
BATCH = 64


def with_ranges(checkpoint: Checkpoint, faces: Faces) -> Checkpoint:
    """Return the checkpoint with the least and the most of its features over training faces.

    Args:
        checkpoint: of any network; its own ranges, if it has some, do not count.
        faces: prepared ones, the test splits among them left alone.

    Raises:
        DataError: none is a training face.
    """
    chance = np.random.default_rng(0)
    training = np.flatnonzero(faces.split == SPLITS["Training"])
    if not len(training):
        raise DataError("the data hold no training faces to see the network's ranges on")
    chosen = faces[np.sort(chance.permutation(training)[:FACES])]
    model, names = build_watched(checkpoint)
    watching = session(model)
    least, most = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for start in range(0, len(chosen), BATCH):
        end = start + BATCH
        inputs = {"crops": chosen.crops[start:end], "shapes": chosen.shapes[start:end].astype(np.float32)}
        features = watching.run(names, inputs)
        least = np.minimum(least, [each.min() for each in features])
        most = np.maximum(most, [each.max() for each in features])
    pairs = zip(least.tolist(), most.tolist(), strict=True)
    return replace(checkpoint, ranges=dict(zip(names, pairs, strict=True)))
