"""Crops -> calibrated probabilities over the seven expressions, one batch a photo."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from inference.checkpoint import Checkpoint
from inference.reading import EXPRESSIONS


class ExpressionReader:
    """Reads expressions with the head that learned from ten people's votes.

    That head also knows contempt, which is no answer here: its share goes to the other seven in proportion.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._network = checkpoint.network.channels_last()
        self._temperature = checkpoint.temperature

    def read(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities, (n, 7) in the order of `EXPRESSIONS`, each row summing to 1.

        Args:
            crops: (n, CROP_SIDE, CROP_SIDE) uint8, n >= 1.
            shapes: (n, LANDMARKS, 3) float32 of `inference.crops.shape`.
        """
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(crops), torch.from_numpy(shapes)).votes[:, : len(EXPRESSIONS)]
            return np.asarray(torch.softmax(logits / self._temperature, dim=1).numpy(), np.float32)
