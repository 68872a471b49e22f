"""Crops -> calibrated probabilities over the seven expressions, one batch a photo."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from inference.checkpoint import Checkpoint
from inference.crops import CROP_SIDE, LANDMARKS
from inference.errors import DeviceError
from inference.network import Logits, multiplies_bfloat16


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
            self._network = (network.in_bfloat16() if _multiplies_bfloat16(self._device) else network).channels_last()
            if self._device.type != "cpu":  # what does not work had better show now, and memory be taken
                self.read(np.zeros((1, CROP_SIDE, CROP_SIDE), np.uint8), np.zeros((1, LANDMARKS, 3), np.float32))
        except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise DeviceError(f"The network cannot work on the device {device!r} here: {reason}.") from error

    def read(self, crops: NDArray[np.uint8], shapes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities, (n, 7) in the order of `EXPRESSIONS`, each row summing to 1.

        Args:
            crops: (n, CROP_SIDE, CROP_SIDE) uint8, n >= 1.
            shapes: (n, LANDMARKS, 3) float32 of `inference.crops.shape`.
        """
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(crops).to(self._device), torch.from_numpy(shapes).to(self._device))
            return np.asarray(
                self._calibration.probabilities(Logits(*(head.cpu() for head in logits))).numpy(), np.float32
            )


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and multiplies_bfloat16()
