"""The network on a graphics card, by PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from inference.checkpoint import Checkpoint
from inference.crops import CROP_SIDE, LANDMARKS
from inference.expression import Outputs
from inference.network import Network, multiplies_bfloat16


class OnDevice:
    """What `inference.expression` asks for, from a device of PyTorch's, as ``"cuda"`` or ``"cuda:1"``.

    Whatever PyTorch raises of a device that does not work, it raises when it is made.
    """

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        self._device = torch.device(device)
        network = Network.of(checkpoint).folded().to(self._device)
        network = network.in_bfloat16() if multiplies_bfloat16(self._device) else network
        self._network = network.channels_last()
        # What does not work had better show now, and memory be taken.
        self(np.zeros((1, CROP_SIDE, CROP_SIDE), np.uint8), np.zeros((1, LANDMARKS, 3), np.float32))

    def __call__(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> Outputs:
        """Return what the network says of n faces, n >= 1; arguments as `ExpressionReader.read`."""
        with torch.inference_mode():
            given = (torch.from_numpy(values).to(self._device) for values in (crops, shapes))
            logits, covered = self._network.answer(*given)
            return Outputs(*(values.cpu().numpy() for values in (*logits, covered)))
