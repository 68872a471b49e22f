"""PublicTest's answers -> the calibration that ships."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as functional
from torch import Tensor

from inference.calibration import Calibration
from inference.network import Logits
from inference.reading import EXPRESSIONS
from training.logistic import minimise

_SEVEN = len(EXPRESSIONS)
# Keeps what few or too easy faces cannot tell from running away.
L2 = 1e-3
MAX_LOG_TEMPERATURE = 5.0
"""Either way."""
COSTS: Mapping[str, float] = MappingProxyType({"happy": 2.0, "fear": 2.0, "disgust": 2.0})
"""How many times missing an expression weighs in a release.

A smile taken for a blank face disappoints more than a blank face taken for a smile; fear and disgust are too few to be
heard otherwise (training/LOG.md, entry 13).
"""


def fit(
    logits: Logits,
    right: Tensor,
    balance: float,
    costs: Mapping[str, float] = MappingProxyType({}),
    origin: Tensor | None = None,
) -> Calibration:
    """Return the calibration that makes the right answers likeliest.

    Share and biases are fitted on rows weighted by their expression's frequency to the power of -balance: 0 serves the
    commonest expressions, 1 all alike. Within an expression each data set that shows it counts as much as the others,
    so that thousands of pictures of one kind do not speak for all. The temperature is then fitted on the rows as they
    are.

    Args:
        logits: of n faces, at least one.
        right: (n,) int64 index into `EXPRESSIONS`.
        balance: 0 to 1.
        costs: how many times missing an expression weighs, 1 where nothing is said (cost-sensitive learning, Elkan
            2001).
        origin: (n,) int64, which data set each face is from; None for one set.
    """
    # In double precision: where networks have hardly learned, the search takes steps that overflow single.
    weights = _weights(right, torch.zeros_like(right) if origin is None else origin, balance)
    weights = weights * torch.tensor([costs.get(name, 1.0) for name in EXPRESSIONS], dtype=torch.float64)[right]
    weights = weights / weights.sum()
    # Start where both heads are heard alike.
    share, bias, log_temperature = (torch.zeros(shape, dtype=torch.float64) for shape in ((), _SEVEN, ()))
    votes, labels = (
        functional.log_softmax(logits.votes[:, :_SEVEN].double(), dim=1),
        functional.log_softmax(logits.labels.double(), dim=1),
    )

    def mean() -> Tensor:
        return torch.lerp(votes, labels, torch.sigmoid(share)) + bias

    def temperature() -> Tensor:
        # The search tries steps far too long; within these bounds it finds its way back.
        return log_temperature.clamp(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE).exp()

    def loss() -> Tensor:
        each = functional.cross_entropy(mean() / temperature(), right, reduction="none")
        return (weights * each).sum() + L2 * (bias.square().sum() + share.square() + log_temperature.square())

    minimise([share, bias, log_temperature], loss)
    weights = torch.full_like(weights, 1 / len(right))
    minimise([log_temperature], loss)
    return Calibration(float(torch.sigmoid(share)), tuple(bias.tolist()), float(temperature()))


def _weights(right: Tensor, origin: Tensor, balance: float) -> Tensor:
    """Return what each row counts, (n,) double."""
    counts = torch.zeros(int(origin.max()) + 1, _SEVEN, dtype=torch.float64)
    counts.index_put_((origin, right), torch.ones(len(right), dtype=torch.float64), accumulate=True)
    together, sets = counts.sum(dim=0), (counts > 0).sum(dim=0)
    return together[right] ** (1 - balance) / sets[right] / counts[origin, right]
