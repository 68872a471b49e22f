"""Crops -> calibrated probabilities over the seven expressions, and whether the mouth is covered; a batch a photo."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from inference.checkpoint import Checkpoint
from inference.crops import CROP_SIDE, LANDMARKS
from inference.errors import DeviceError
from inference.network import Logits, multiplies_bfloat16
from inference.packed import pack


class Expressions(NamedTuple):
    """What was read in n faces.

    Attributes:
        scores: (n, 7) float32, probabilities in the order of `EXPRESSIONS`, each row summing to 1.
        covered: (n,) float32, log-odds that something covers the mouth, -inf with weights that cannot tell.
    """

    scores: NDArray[np.float32]
    covered: NDArray[np.float32]


class ExpressionReader:
    """Reads expressions: the network, then its calibration.

    Args:
        checkpoint: the weights.
        device: where the network works: a device of PyTorch's, as ``"cpu"``, ``"cuda"`` or ``"cuda:1"``. The
            calibration, a few numbers a face, stays on the CPU.

    Raises:
        DeviceError: this machine has no such device, or its PyTorch cannot use it.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self._calibration = checkpoint.calibration
        try:
            self._device = torch.device(device)
            network = checkpoint.network.folded().to(self._device)
            network = (network.in_bfloat16() if multiplies_bfloat16(self._device) else network).channels_last()
            self._network = pack(network, CROP_SIDE) if self._device.type == "cpu" else network
            if self._device.type != "cpu":  # what does not work had better show now, and memory be taken
                self.read(np.zeros((1, CROP_SIDE, CROP_SIDE), np.uint8), np.zeros((1, LANDMARKS, 3), np.float32))
        except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise DeviceError(f"The network cannot work on the device {device!r} here: {reason}.") from error

    def read(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> Expressions:
        """Read n faces, n >= 1.

        Args:
            crops: (n, CROP_SIDE, CROP_SIDE) uint8.
            shapes: (n, LANDMARKS, 3) float32 of `inference.crops.shape`.
        """
        with torch.inference_mode():
            answers = self._network.answer(
                torch.from_numpy(crops).to(self._device), torch.from_numpy(shapes).to(self._device)
            )
            scores = self._calibration.probabilities(Logits(*(head.cpu() for head in answers.logits)))
            return Expressions(
                np.asarray(scores.numpy(), np.float32), np.asarray(answers.covered.cpu().numpy(), np.float32)
            )
