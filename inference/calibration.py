"""Logits -> the probabilities people see: both heads heard, rare expressions not drowned, confidences that hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.reading import EXPRESSIONS

Floats = NDArray[np.float32]


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

    def probabilities(self, votes: Floats, labels: Floats) -> Floats:
        """Return (n, 7) in the order of `EXPRESSIONS`, each row summing to 1.

        Contempt, which only the votes' head knows, is no answer: its share goes to the other seven in proportion.

        Args:
            votes: (n, 8) logits of the head that learned FER+'s votes.
            labels: (n, 7) logits of the head that learned FER2013's own labels.
        """
        of_votes, of_labels = _log_softmax(votes[:, : len(EXPRESSIONS)]), _log_softmax(labels)
        mean = of_votes + self.share * (of_labels - of_votes) + np.array(self.bias, np.float32)
        probabilities: Floats = np.exp(_log_softmax(mean / self.temperature))
        return probabilities

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Calibration:
        """Build from what `to_json` returned; anything else raises KeyError, TypeError or ValueError."""
        bias = tuple(float(value) for value in stored["bias"])
        calibration = cls(float(stored["share"]), bias, float(stored["temperature"]))
        if len(bias) != len(EXPRESSIONS) or not np.isfinite(bias).all():
            raise ValueError("seven biases expected")
        if not 0 <= calibration.share <= 1 or not 0 < calibration.temperature < np.inf:
            raise ValueError("a share from 0 to 1 and a temperature above 0 expected")
        return calibration


def _log_softmax(logits: Floats) -> Floats:
    centred = logits - logits.max(axis=1, keepdims=True)
    logarithms: Floats = centred - np.log(np.exp(centred).sum(axis=1, keepdims=True))
    return logarithms
