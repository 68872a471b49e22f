"""The network on a graphics card, by PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from inference.checkpoint import Checkpoint
from inference.crops import CROP_SIDE, LANDMARKS
from inference.expression import Answers, unable
from inference.network import Network, multiplies_bfloat16


class OnDevice:
    """Answers as `inference.expression` asks for it.

    Args:
        checkpoint: the weights.
        device: of PyTorch's, as ``"cuda"`` or ``"cuda:1"``.

    Raises:
        CheckpointError: the weights are not those of the architecture.
        DeviceError: this machine has no such device, or its PyTorch cannot use it.
    """

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        try:
            self._device = torch.device(device)
            network = Network.of(checkpoint).folded().to(self._device)
            network = network.in_bfloat16() if multiplies_bfloat16(self._device) else network
            self._network = network.channels_last()
            # What does not work had better show now, and memory be taken.
            self(np.zeros((1, CROP_SIDE, CROP_SIDE), np.uint8), np.zeros((1, LANDMARKS, 3), np.float32))
        except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
            raise unable(device, str(error).strip() or type(error).__name__) from error

    def __call__(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> Answers:
        """Return what the network says of n faces, n >= 1; arguments as `ExpressionReader.read`."""
        with torch.inference_mode():
            given = (torch.from_numpy(values).to(self._device) for values in (crops, shapes))
            logits, covered = self._network.answer(*given)
            return Answers(*(values.cpu().numpy() for values in (*logits, covered)))
