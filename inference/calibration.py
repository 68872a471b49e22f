"""Logits -> the probabilities people see: both heads heard, rare expressions not drowned, confidences that hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from inference.network import Logits
from inference.reading import EXPRESSIONS


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the two heads' logits become one answer; fitted by `training.calibrate`.

    Attributes:
        share: weight of the labels' head in the mean of both heads' log probabilities, 0 to 1.
        bias: added to the mean's log probability of each of `EXPRESSIONS`: training faces are mostly happy or neutral,
            which a network learns to expect of every face (logit adjustment, Menon et al. 2021).
        temperature: divides the result (Guo et al. 2017), so that a confidence of 0.8 is right 8 times in 10.
    """

    share: float = 0.0
    bias: tuple[float, ...] = (0.0,) * len(EXPRESSIONS)
    temperature: float = 1.0

    def probabilities(self, logits: Logits) -> Tensor:
        """Return (n, 7) in the order of `EXPRESSIONS`, each row summing to 1.

        Contempt, which only the votes' head knows, is no answer: its share goes to the other seven in proportion.
        """
        votes = torch.log_softmax(logits.votes[:, : len(EXPRESSIONS)], dim=1)
        labels = torch.log_softmax(logits.labels, dim=1)
        mean = torch.lerp(votes, labels, self.share) + torch.tensor(self.bias)
        return torch.softmax(mean / self.temperature, dim=1)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Calibration:
        """Build from what `to_json` returned; anything else raises KeyError, TypeError or ValueError."""
        bias = tuple(float(value) for value in stored["bias"])
        calibration = cls(float(stored["share"]), bias, float(stored["temperature"]))
        if len(bias) != len(EXPRESSIONS) or calibration.temperature <= 0:
            raise ValueError("seven biases and a temperature above 0 expected")
        return calibration
