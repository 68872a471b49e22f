"""What a checkpoint's network says of prepared faces as the bot has it work: in ONNX Runtime, in 8 bits if it can."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from inference.checkpoint import Checkpoint
from inference.expression import OnProcessor, Outputs
from inference.network import Logits
from training.data import Faces

BATCH = 64

Predict = Callable[[Faces], Logits]
"""What a network says of n faces, (n, 8) and (n, 7) float32 on the CPU."""


def shipped(checkpoint: Checkpoint) -> Predict:
    """Return what works through a checkpoint as it ships, so that figures are those of what people get.

    Raises:
        CheckpointError: the weights are not those of the architecture.
    """
    network = OnProcessor(checkpoint)

    def predict(faces: Faces) -> Logits:
        parts: list[Outputs] = []
        for start in range(0, len(faces), BATCH):
            end = start + BATCH
            parts.append(network(faces.crops[start:end], faces.shapes[start:end].astype(np.float32)))
        votes, labels, _ = (np.concatenate(head) for head in zip(*parts, strict=True))
        return Logits(torch.from_numpy(votes), torch.from_numpy(labels))

    return predict
