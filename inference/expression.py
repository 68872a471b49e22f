"""Crops -> calibrated probabilities over the seven expressions, one batch a photo."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from inference.checkpoint import Checkpoint
from inference.network import multiplies_bfloat16


class ExpressionReader:
    """Reads expressions: the network, then its calibration."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        network = checkpoint.network.folded()
        self._network = (network.in_bfloat16() if multiplies_bfloat16() else network).channels_last()
        self._calibration = checkpoint.calibration

    def read(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities, (n, 7) in the order of `EXPRESSIONS`, each row summing to 1.

        Args:
            crops: (n, CROP_SIDE, CROP_SIDE) uint8, n >= 1.
            shapes: (n, LANDMARKS, 3) float32 of `inference.crops.shape`.
        """
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(crops), torch.from_numpy(shapes))
            return np.asarray(self._calibration.probabilities(logits).numpy(), np.float32)
